"""The importance graph as data: what each node shows at every hop, pairs, the best tenth, folds, costs, replacements."""

import json
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.lens import TRAINED, Lens
from autobuild_core.architectures.module_table import module_index
from autobuild_core.architectures.records import ABSENT, ArchTable, SpaceSpec, UnitSpec
from autobuild_core.figures import drawing, graph, replacements
from autobuild_core.figures.colours import Scale
from autobuild_core.spaces import space_named
from autobuild_core.targets.costs import layer_cost
from tests.flat_spaces import loose_space
from tests.unit.figures.test_rankings import module

SCALES = {
    Lens.SCORE: Scale(Lens.SCORE, 50.0, 40.0, 60.0, "points"),
    Lens.GOOD: Scale(Lens.GOOD, 0.1, 0.0, 0.5, "probability"),
    Lens.NORM: Scale(Lens.NORM, 0.0, -2.0, 2.0, "standard deviations"),
}
MACRO = space_named("nas_bench_macro").spec
FIRST = np.array([2, 2, 0, 0, 0, 0, 0, 0], np.int16)
SECOND = np.array([2, 1, 0, 0, 0, 0, 0, 0], np.int16)


def source(modules: pd.DataFrame, spec: SpaceSpec = MACRO) -> graph.Source:
    return graph.Source(spec, modules, module_index(modules), SCALES, 9, "points")


def deep(depth: int) -> SpaceSpec:
    """One unit of up to `depth` layers of two tokens."""
    labels = tuple(f"U1.L{i + 1}" for i in range(depth))
    unit = UnitSpec("U1", tuple(range(depth)), tuple(range(1, depth + 1)), (0, 1))
    return SpaceSpec("flat", "Deep", labels, ("k3", "k5"), (unit,))


@pytest.fixture
def modules() -> pd.DataFrame:
    """Two layers at L1, three at L2, the first unit as a whole twice: effects chosen so that all sums are whole."""
    return pd.DataFrame(
        [
            module(["L1"], ["mb6_k5"], 2.0),
            module(["L1"], ["mb3_k3"], -1.0),
            module(["L2"], ["mb6_k5"], 1.0),
            module(["L2"], ["mb3_k3"], 0.1, good=0.1),
            module(["L2"], ["identity"], 4.0),
            module(["L1", "L2"], ["mb6_k5", "mb6_k5"], 3.0, whole_unit=True, unit="L1-2"),
            module(["L1", "L2"], ["mb6_k5", "mb3_k3"], -2.0, whole_unit=True, unit="L1-2"),
        ]
    )


def vis(page: str) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Nodes and edges of a stand-alone file."""
    found = [json.loads(re.search(rf"{name} = new vis.DataSet\((\[.*?\])\);", page)[1]) for name in ("nodes", "edges")]  # type: ignore[index]
    return found[0], found[1]


class TestStandalone:
    def test_it_names_no_other_host(self, modules: pd.DataFrame) -> None:
        page = graph.standalone_html(graph.one_graph(source(modules), FIRST), "1", Lens.SCORE, "A <run>")
        assert 'src="http' not in page and 'href="http' not in page
        assert "A &lt;run&gt;" in page and "vis.Network" in page and "average 50" in page

    def test_one_shows_what_the_page_shows(self, modules: pd.DataFrame) -> None:
        found = graph.one_graph(source(modules), FIRST)
        nodes, edges = vis(graph.standalone_html(found, "1", Lens.SCORE, "One"))
        assert [node["label"] for node in nodes[:3]] == ["mb6 k5\n+2.00", "mb6 k5\n+3.00", "identity\n"]
        assert "L1 to L2: 2 x mb6 k5" in str(nodes[1]["title"]) and "not scored" in str(nodes[2]["title"])
        assert (
            nodes[1]["color"]["background"]
            == found.data["records"]["paint"]["score"]["light"]["fill"][  # type: ignore[index]
                found.data["slots"][1]["nodes"][0]["of"][1]
            ]
        )
        assert [(edge["from"], edge["to"]) for edge in edges] == [(f"L{i}", f"L{i + 1}") for i in range(1, 8)]

    def test_two_stand_beside_each_other(self, modules: pd.DataFrame) -> None:
        nodes, edges = vis(graph.standalone_html(graph.pair_graph(source(modules), FIRST, SECOND), "0", Lens.SCORE, "Two"))
        places = {node["id"]: (node["x"], node["y"]) for node in nodes}
        assert len(places) == 16 and places["A:L2"][1] == places["B:L2"][1]
        assert float(places["B:L2"][0]) - float(places["A:L2"][0]) >= graph.PAIR_WIDTH  # type: ignore[arg-type]
        assert len(edges) == 14 and all(str(edge["from"])[0] == str(edge["to"])[0] for edge in edges)

    def test_each_of_two_has_its_own_chain_where_one_is_shorter(self) -> None:
        spec, scored = deep(3), pd.DataFrame([module([f"U1.L{i}"], ["k3"], 1.0) for i in (1, 2, 3)])
        long, short = np.array([0, 0, 0], np.int16), np.array([0, ABSENT, ABSENT], np.int16)
        _, edges = vis(graph.standalone_html(graph.pair_graph(source(scored, spec), long, short), "0", Lens.SCORE, "Two"))
        assert [(edge["from"], edge["to"]) for edge in edges] == [("A:U1.L1", "A:U1.L2"), ("A:U1.L2", "A:U1.L3")]

    def test_a_cell_begins_at_its_input(self) -> None:
        scored = pd.DataFrame([module(["0>1"], ["skip_connect"], 1.0)])
        found = graph.one_graph(source(scored, space_named("nas_bench_201").spec), np.zeros(6, np.int16))
        nodes, edges = vis(graph.standalone_html(found, "0", Lens.SCORE, "Cell"))
        assert len(nodes) == 1 + 6 + 3 and len(edges) == 6 + 6
        assert [edge["to"] for edge in edges if edge["from"] == "input"] == ["0>1", "0>2", "0>3"]

    def test_cards_of_a_set_have_no_edges_and_no_stop_but_the_layer_alone(self) -> None:
        spec = loose_space(4).spec
        scored = pd.DataFrame(
            [module([u.label], [spec.tokens[u.tokens[0]]], 1.0, whole_unit=True, unit=u.label) for u in spec.units]
        )
        found = graph.one_graph(source(scored, spec), np.array([u.tokens[0] for u in spec.units], np.int16))
        assert found.data["edges"] == [] and found.data["loose"] == ["c0", "c1", "c2", "c3"]
        assert [stop["id"] for stop in found.data["stops"]] == ["0"]
        nodes, edges = vis(graph.standalone_html(found, "0", Lens.SCORE, "Set"))
        assert len(nodes) == 4 and edges == []

    def test_a_mean_says_how_common_its_layers_are(self, modules: pd.DataFrame) -> None:
        found = graph.mean_graph(source(modules), np.stack([FIRST, FIRST, SECOND]))
        nodes, _ = vis(graph.standalone_html(found, "0", Lens.SCORE, "Mean"))
        assert "In 67% of the best tenth." in str(nodes[1]["title"])


class TestOne:
    def test_a_node_shows_one_module_a_stop(self, modules: pd.DataFrame) -> None:
        found = graph.one_graph(source(modules), FIRST)
        assert [stop["id"] for stop in found.data["stops"]] == ["0", "1", "unit"]
        assert found.data["stops"][1]["name"] == "Hop 1: 2 layers"
        shown = {node: [found.at(node, stop) for stop in ("0", "1", "unit")] for node in ("L1", "L2")}
        assert shown["L1"] == [Counter({0: 1}), Counter({0: 1}), Counter({5: 1})]
        assert shown["L2"] == [Counter({2: 1}), Counter({5: 1}), Counter({5: 1})]
        assert found.at("L3", "0") == Counter()  # nothing there was scored

    def test_every_lens_and_stop_is_in_the_data_once(self, modules: pd.DataFrame) -> None:
        data = json.loads(json.dumps(graph.one_graph(source(modules), FIRST).data))
        assert [lens["id"] for lens in data["lenses"]] == [lens.value for lens in TRAINED]
        record = data["slots"][1]["nodes"][0]["of"][1]
        assert data["records"]["name"][record] == "L1 to L2: 2 x mb6 k5" and data["records"]["reach"][record] == ["L1", "L2"]
        paint = data["records"]["paint"]
        assert paint["score"]["words"][record] == "+3.00 points (+2.80 to +3.20), seen in 3 of 9"
        assert paint["good"]["words"][record].startswith("25% among the best 10 % (5% to 30%)")
        assert paint["embedding_norm"]["words"][record].startswith("norm +3.00")
        assert paint["score"]["light"]["fill"][record] == SCALES[Lens.SCORE].fill(53.0, 52.8, 53.2)
        counts = {len(lens[name]) for lens in paint.values() for name in ("value", "words", "unsure")}
        counts |= {
            len(lens[theme][name]) for lens in paint.values() for theme in graph.THEMES for name in ("fill", "line", "ink")
        }
        assert counts == {len(data["records"]["name"])} == {5}  # three modules, and the means of L1 and L2 folded at hops 0 and 1

    def test_hatched_is_what_cannot_be_told_from_the_average(self, modules: pd.DataFrame) -> None:
        found = graph.one_graph(source(modules), SECOND)  # L2 mb3_k3: 0.1, from -0.1 to 0.3
        paint = found.data["records"]["paint"]
        unsure = {found.data["records"]["name"][i]: one for i, one in enumerate(paint["score"]["unsure"])}
        assert unsure == {"L1: mb6 k5": 0, "L2: mb3 k3": 1, "L1 to L2: mb6 k5, mb3 k3": 0}
        assert not any(paint["embedding_norm"]["unsure"])

    def test_both_themes_are_sent(self, modules: pd.DataFrame) -> None:
        data = graph.one_graph(source(modules), FIRST).data
        paint = data["records"]["paint"]["score"]
        assert paint["dark"]["fill"][0] == SCALES[Lens.SCORE].fill(52.0, 51.8, 52.2, "dark") != paint["light"]["fill"][0]
        assert data["lenses"][0]["legend"]["dark"] == drawing.legend(SCALES[Lens.SCORE], "dark")

    def test_a_module_is_found_where_it_is_shown(self, modules: pd.DataFrame) -> None:
        found = graph.one_graph(source(modules), FIRST)
        assert [found.find(5, stop) for stop in ("0", "1", "unit")] == [None, "L2", "L1"]
        assert found.stop("unit") == 2 and found.stop("7") == 0


class TestPair:
    def test_sides_are_aligned_and_differences_marked(self, modules: pd.DataFrame) -> None:
        data = graph.pair_graph(source(modules), FIRST, SECOND).data
        assert [[node["id"] for node in slot["nodes"]] for slot in data["slots"][:2]] == [["A:L1", "B:L1"], ["A:L2", "B:L2"]]
        assert [slot["differs"] for slot in data["slots"]] == [False, True] + [False] * 6
        assert [slot["change"] for slot in data["slots"][:2]] == [[-1, -1, 0], [1, 0, 0]]

    def test_a_change_is_the_second_minus_the_first(self, modules: pd.DataFrame) -> None:
        changes = graph.pair_graph(source(modules), FIRST, SECOND).data["changes"]
        # -2 - 3 and 0.1 - 1.0; each half 0.2, together 0.2 * sqrt(2)
        assert changes["score"]["words"] == ["-5.00 points (-5.28 to -4.72)", "-0.90 points (-1.18 to -0.62)"]
        wide = 0.2 * np.sqrt(2)
        assert changes["score"]["light"]["fill"][0] == SCALES[Lens.SCORE].fill(45.0, 45.0 - wide, 45.0 + wide)
        assert changes["good"]["value"] == ["-25 pp", "-5 pp"]  # 0 - 0.25 and 0.10 - 0.15
        assert changes["embedding_norm"]["words"][0] == "norm -5.00"

    def test_a_layer_that_one_side_lacks_is_a_gap(self) -> None:
        spec = deep(3)
        modules = pd.DataFrame([module([f"U1.L{i}"], ["k3"], i) for i in (1, 2, 3)])
        data = graph.pair_graph(
            source(modules, spec), np.array([0, 0, 0], np.int16), np.array([0, ABSENT, ABSENT], np.int16)
        ).data
        assert [[node["text"] for node in slot["nodes"]] for slot in data["slots"]] == [
            ["k3", "k3"],
            ["k3", "no layer"],
            ["k3", "no layer"],
        ]
        assert [slot["differs"] for slot in data["slots"]] == [False, True, True]
        assert data["slots"][1]["nodes"][1]["of"] == [] and data["slots"][1]["change"] == [-1, -1]


class TestBestTenth:
    def test_a_place_is_the_mean_of_what_stands_there(self, modules: pd.DataFrame) -> None:
        rows = np.stack([FIRST, FIRST, SECOND, SECOND, SECOND])
        found = graph.mean_graph(source(modules), rows)
        assert found.at("L2", "0") == Counter({3: 3, 2: 2}) and found.at("L1", "0") == Counter({0: 1})  # all alike: one module
        slot = found.data["slots"][1]["nodes"][0]
        assert (slot["text"], slot["corner"]) == ("mb3 k3", "60%")
        assert (
            found.data["records"]["paint"]["score"]["words"][slot["of"][0]] == "+0.46 points (+0.26 to +0.66)"
        )  # (3 * .1 + 2) / 5
        assert found.data["records"]["name"][slot["of"][0]] == "Mean of 2 modules"

    def test_layers_that_some_lack_are_drawn_with_their_share(self) -> None:
        spec = deep(2)
        modules = pd.DataFrame([module([f"U1.L{i}"], ["k3"], i) for i in (1, 2)])
        rows = np.array([[0, 0], [0, ABSENT], [0, ABSENT], [0, ABSENT]], np.int16)
        assert graph.commonest(rows).tolist() == [0, 0]
        node = graph.mean_graph(source(modules, spec), rows).data["slots"][1]["nodes"][0]
        assert node["corner"] == "25%" and "25% have a layer here" in node["note"]

    def test_many_rows_are_thinned_evenly(self, modules: pd.DataFrame) -> None:
        rows = np.repeat(np.stack([FIRST, SECOND]), 2 * graph.MOST_ROWS, axis=0)
        counted = graph.mean_graph(source(modules), rows).at("L2", "0")
        assert counted == Counter({2: 1, 3: 1})  # 500 of each, in lowest terms


class TestFolds:
    def test_equal_layers_in_a_row_fold_into_their_mean(self) -> None:
        spec = deep(4)
        modules = pd.DataFrame([module([f"U1.L{i}"], [token], i) for i in (1, 2, 3, 4) for token in ("k3", "k5")])
        found = graph.one_graph(source(modules, spec), np.array([0, 0, 0, 1], np.int16))
        (fold,) = found.data["folds"]
        assert fold["slots"] == ["U1.L1", "U1.L2", "U1.L3"] and fold["nodes"][0]["text"] == "3 x k3"
        assert found.data["records"]["paint"]["score"]["words"][fold["nodes"][0]["of"][0]].startswith(
            "+2.00 points"
        )  # of 1, 2, 3
        assert not found.data["folded"]

    def test_large_graphs_are_folded_first_and_by_unit_where_nothing_repeats(self) -> None:
        depth = graph.FOLD_FROM + 2
        spec = deep(depth)
        modules = pd.DataFrame([module(["U1.L1"], ["k3"], 1.0)])
        alike = graph.one_graph(source(modules, spec), np.zeros(depth, np.int16)).data
        mixed = graph.one_graph(source(modules, spec), (np.arange(depth) % 2).astype(np.int16)).data
        assert alike["folded"] and mixed["folded"]
        assert [fold["nodes"][0]["text"] for fold in alike["folds"]] == [f"{depth} x k3"]
        assert [fold["nodes"][0]["text"] for fold in mixed["folds"]] == [f"{depth} layers"]

    def test_cells_do_not_fold(self) -> None:
        spec = space_named("nas_bench_201").spec
        tokens = spec.tokens
        modules = pd.DataFrame([module([label], [tokens[3]], 0.5) for label in spec.position_labels])
        data = graph.one_graph(source(modules, spec), np.full(6, 3, np.int16)).data
        assert data["free"] and data["input"] and data["folds"] == []
        assert [slot["kind"] for slot in data["slots"]].count("sum") == 3
        assert ["input", "0>1"] in data["edges"] and ["0>1", "node 1"] in data["edges"]
        assert sum(len(slot["nodes"][0]["of"]) for slot in data["slots"]) == 2 * 9  # a sum without a module is drawn all the same


class TestCosts:
    def table(self, metric: str, noise: float) -> ArchTable:
        space = space_named("nas_bench_macro")
        codes = space.sample(200, np.random.default_rng(0))
        canonical = space.canonical(codes)
        values = (canonical == 1).sum(1) * 3e6 + (canonical == 2).sum(1) * 8e6 + 1e7
        metrics = pd.DataFrame({"acc": np.arange(200.0), metric: values + np.random.default_rng(1).normal(0, 1, 200) * noise})
        return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(200))

    def test_a_layer_costs_what_it_adds_over_the_cheapest(self) -> None:
        table = self.table("flops", 0.0)
        cost = layer_cost(table, space_named("nas_bench_macro"), "acc")
        assert cost is not None and cost.metric == "flops"
        np.testing.assert_allclose(cost.layers(), np.tile([0.0, 3e6, 8e6], (8, 1)), rtol=1e-3, atol=1e3)

    def test_a_metric_that_layers_do_not_explain_is_no_cost(self) -> None:
        assert layer_cost(self.table("flops", 1e9), space_named("nas_bench_macro"), "acc") is None
        assert layer_cost(self.table("sparsity", 0.0), space_named("nas_bench_macro"), "acc") is None
        assert layer_cost(self.table("flops", 0.0), space_named("nas_bench_macro"), "acc / flops") is None  # the target's own

    def test_an_optional_layer_costs_all_it_adds(self) -> None:
        space = space_named("ofa_mbv3")
        codes = space.sample(400, np.random.default_rng(0))
        table = ArchTable(
            space.spec,
            codes,
            space.hash_networks(codes),
            pd.DataFrame({"latency_ms": (codes != ABSENT).sum(1) * 2.0}),
            np.arange(400),
        )
        cost = layer_cost(table, space, "acc")
        assert cost is not None
        added = cost.layers()
        unit = space.spec.units[0]
        assert np.nanmax(added[unit.positions[0]]) < 0.05  # always there: nothing over the cheapest
        np.testing.assert_allclose(added[unit.positions[-1], list(unit.tokens)], 2.0, atol=0.05)

    @pytest.mark.parametrize(
        ("value", "metric", "text"),
        [
            (8.3e6, "flops", "8.3 M"),
            (0.16, "madds_m", "0.16 M"),
            (12.3, "latency_ms", "12 ms"),
            (512.0, "macs", "512"),
            (2.1e9, "flops", "2.1 G"),
        ],
    )
    def test_costs_are_short(self, value: float, metric: str, text: str) -> None:
        assert graph.short_cost(value, metric) == text


class TestReplacements:
    def best(self, modules: pd.DataFrame, line: int, lens: Lens = Lens.SCORE, minimize: bool = False) -> pd.DataFrame:
        node = modules.iloc[line].rename({"positions": "module_positions", "layers": "module_layers"})
        return replacements.replacements_table(modules, node, lens, minimize, 9, "points")

    def test_what_beats_a_module_in_its_place_best_first(self, modules: pd.DataFrame) -> None:
        table = self.best(modules, 3)
        assert table["module"].tolist() == ["identity", "mb6 k5"]
        assert table["words"].tolist() == ["+3.90 points (+3.62 to +4.18)", "+0.90 points (+0.62 to +1.18)"]
        assert table["seen"].tolist() == ["seen in 3 of 9"] * 2
        assert self.best(modules, 4).empty

    def test_the_other_way_round_for_a_target_to_be_minimised(self, modules: pd.DataFrame) -> None:
        assert self.best(modules, 2, minimize=True)["module"].tolist() == ["mb3 k3"]
        assert self.best(modules, 2, Lens.GOOD, minimize=True)["module"].tolist() == ["identity"]

    def test_the_norm_has_no_interval(self, modules: pd.DataFrame) -> None:
        table = self.best(modules, 3, Lens.NORM)
        assert table["words"].tolist() == ["norm +3.90", "norm +0.90"] and table["change_low"].isna().all()

    def test_a_unit_competes_with_whole_units(self, modules: pd.DataFrame) -> None:
        assert self.best(modules, 6)["module"].tolist() == ["2 x mb6 k5"]

    def test_replacing_a_whole_unit_leaves_no_other_layer_in_it(self) -> None:
        spec = deep(3)
        table = pd.DataFrame([module(["U1.L1"], ["k5"], whole_unit=True), module(["U1.L2"], ["k5"])])
        found = replacements.replaced(spec, np.array([0, 0, 0], np.int16), table)
        assert found.tolist() == [[1, ABSENT, ABSENT], [0, 1, 0]]


def test_a_node_says_what_its_layer_costs(modules: pd.DataFrame) -> None:
    space = space_named("nas_bench_macro")
    table = TestCosts().table("flops", 0.0)
    bare = source(modules)
    known = graph.Source(bare.spec, bare.modules, bare.index, bare.scales, 9, "points", layer_cost(table, space, "acc"))
    nodes = [slot["nodes"][0] for slot in graph.one_graph(known, FIRST).data["slots"]]
    assert nodes[0]["corner"] == "8 M"
    assert nodes[0]["note"] == "Costs 8 M (flops) over the cheapest that may stand here."
    assert (nodes[2]["corner"], nodes[2]["note"]) == ("0", "The cheapest that may stand here, by flops.")
