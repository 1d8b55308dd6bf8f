"""Figures: the colour scale, the wording, the drawing and every chart's table, on cases small enough to do by hand."""

import json
from collections import Counter

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from autobuild_core.architectures.lens import Lens, change_words, evidence, score_words
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.module_table import module_index
from autobuild_core.architectures.names import layers_named, module_name
from autobuild_core.architectures.numbers import amount, digits_for, number, rounded, signed
from autobuild_core.architectures.records import ArchTable, SpaceSpec
from autobuild_core.errors import ArchitectureError
from autobuild_core.figures import candidates, data, drawing, quality, rankings
from autobuild_core.figures.colours import Scale, colour, ink_on, scale_for
from autobuild_core.spaces import space_named
from tests.flat_spaces import loose_space, mixed_space

UP = Scale(Lens.SCORE, 50.0, 40.0, 60.0, "points")
DOWN = Scale(Lens.SCORE, 50.0, 60.0, 40.0, "ms")


def contrast(first: str, second: str) -> float:
    def luminance(text: str) -> float:
        values = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in values)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def module(places: list[str], layers: list[str], effect: float = 1.0, **more: object) -> dict[str, object]:
    base = {
        "positions": json.dumps(places),
        "layers": json.dumps(layers),
        "unit": "",
        "hop": len(places) - 1,
        "embedding_norm": effect,
    }
    scores = {"score": 50 + effect, "score_low": 49 + effect, "score_high": 51 + effect}
    effects = {"effect": effect, "effect_low": effect - 0.2, "effect_high": effect + 0.2}
    good = {
        "good": 0.1 + effect / 20,
        "good_low": 0.05,
        "good_high": 0.3,
        "num_evaluated": 3,
        "whole_unit": False,
        "unit_index": 0,
    }
    return base | scores | effects | good | more


@pytest.fixture
def modules() -> pd.DataFrame:
    return pd.DataFrame(
        [
            module(["L1"], ["mb6_k5"], 2.0),
            module(["L1"], ["mb3_k3"], -1.0),
            module(["L1"], ["identity"], 0.5),
            module(["L2"], ["mb6_k5"], 1.0),
            module(["L1", "L2"], ["mb6_k5", "mb6_k5"], 3.0, whole_unit=True, unit="L1-2"),
        ]
    )


@pytest.fixture
def table() -> ArchTable:
    space = space_named("nas_bench_macro")
    codes = np.array(
        [[2, 2, 0, 0, 0, 0, 0, 0], [2, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0, 0]], np.int16
    )
    metrics = pd.DataFrame({"acc": [4.0, 3.0, 2.0, 1.0]})
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.array([0, 2, 3, 5]))


# Colour and words


def test_the_average_is_the_middle_and_ends_are_cut_off() -> None:
    assert [UP.place(v) for v in (50, 60, 40, 99, -99)] == [0, 1, -1, 1, -1]
    assert UP.place(55) == pytest.approx(0.5)


def test_minimising_turns_the_scale_round() -> None:
    assert [DOWN.place(v) for v in (40, 60)] == [1, -1]


def test_an_unknown_score_has_the_colour_of_the_average() -> None:
    assert UP.place(float("nan")) == 0


def test_a_wide_interval_is_fainter() -> None:
    assert UP.sureness(50, 50.1) == 1.0
    assert UP.sureness(45, 55) < UP.sureness(48, 52)
    assert UP.sureness(float("nan"), 1) == 0.3
    assert UP.sureness(62, 75) == 1.0  # all of it past the better end: the colour is the same throughout
    assert UP.sureness(59, 75) == UP.sureness(59, 60)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("place", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_ink_is_readable_on_every_colour(place: float, theme: str) -> None:
    for low, high in ((50, 50.1), (40, 60)):
        fill = UP.fill(50 + 10 * place, low, high, theme)
        assert contrast(fill, ink_on(fill)) >= 4.5


def test_ink_is_readable_on_every_grey_and_so_on_every_luminance() -> None:
    assert min(contrast(fill, ink_on(fill)) for fill in (f"#{g:02x}{g:02x}{g:02x}" for g in range(256))) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_worse_is_bluish_and_better_is_orange(theme: str) -> None:
    worse, better = colour(-1, theme), colour(1, theme)
    assert int(worse[5:], 16) > int(worse[1:3], 16)
    assert int(better[1:3], 16) > int(better[5:], 16)


def test_the_scale_is_fixed_by_the_run(modules: pd.DataFrame) -> None:
    scale = scale_for(modules, Lens.SCORE, 50.0, False, "points")
    assert (scale.centre, scale.unit) == (50.0, "points")
    assert scale.better - scale.centre == pytest.approx(scale.centre - scale.worse)
    assert scale_for(modules, Lens.SCORE, 50.0, True, "ms").better < 50
    assert scale_for(modules, Lens.GOOD, 50.0, True, "acc").centre == 0.1
    assert scale_for(modules, Lens.NORM, 50.0, True, "acc").better > 0


def test_words_are_those_of_the_design() -> None:
    row = pd.Series({"effect": 0.42, "effect_low": 0.21, "effect_high": 0.60, "num_evaluated": 38})
    assert score_words(row, Lens.SCORE, "points", 400) == "+0.42 points (+0.21 to +0.60), seen in 38 of 400"
    assert evidence(0, 400) == "never seen in 400: no evidence of its own"


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.0000"), (93.126, "93.13"), (0.7891, "0.789"), (12345.6, "12,346"), (1e9, "1.00e+09")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_unknown_numbers_are_called_unknown() -> None:
    assert number(float("nan")) == signed(float("nan"), 2) == "unknown"


def test_decimals_follow_the_interval() -> None:
    assert digits_for(0.2, 0.6) == 2
    assert digits_for(-20, 20) == 0
    assert signed(-0.001, 2) == "0.00"


def test_nothing_stands_behind_a_number_without_a_unit() -> None:
    assert amount(45.414, "") == "45.41" and amount(45.414, "points") == "45.41 points"
    row = pd.Series({"effect": 0.42, "effect_low": 0.2, "effect_high": 0.6})
    assert score_words(row, Lens.SCORE, "") == "+0.42 (+0.20 to +0.60)"
    assert change_words(0.42, 0.2, Lens.SCORE, "") == "+0.42 (+0.22 to +0.62)"


# Drawing


def test_layers_stand_below_each_other_and_units_side_by_side(table: ArchTable) -> None:
    nodes = drawing.architecture_table(table.spec, table.codes[0])
    assert nodes["label"].tolist() == list(table.spec.position_labels)
    assert nodes.groupby("unit")["x"].nunique().eq(1).all()
    assert nodes["x"].nunique() == 3


def test_an_absent_layer_is_not_drawn() -> None:
    space = space_named("ofa_mbv3")
    row = space.sample(1, np.random.default_rng(0))[0]
    nodes = drawing.architecture_table(space.spec, row)
    assert nodes["position"].tolist() == np.flatnonzero(row >= 0).tolist()


class TestCards:
    def test_loose_choices_are_a_grid_without_arrows_and_frames(self) -> None:
        space = loose_space(10)
        nodes = drawing.architecture_table(space.spec, space.sample(1, np.random.default_rng(0))[0])
        assert nodes["loose"].all() and not any(nodes["after"])
        assert nodes["y"].nunique() == 2 and nodes["x"].nunique() == 5 and not nodes.duplicated(["x", "y"]).any()
        token, text = nodes.loc[1, ["token", "text"]]
        assert token == f"c1={text}"  # the column's name stands over the card
        figure = drawing.architecture_figure(nodes)
        assert len(figure.layout.shapes) == 10 and not any(note.showarrow for note in figure.layout.annotations)
        assert {"c0", "c9"} <= {note.text for note in figure.layout.annotations}

    def test_chains_stand_above_with_their_arrows(self) -> None:
        spec = mixed_space().spec
        row = np.array([0, 2, 3, -1, 4, -1, 6, 7, 6, 9], np.int16)
        nodes = drawing.architecture_table(spec, row).set_index("label")
        assert nodes.loc[["head", "act"], "y"].min() > nodes.drop(["head", "act"])["y"].max()
        assert nodes["after"].map(list).to_dict() == {
            "head": [],
            "mlp.L1": [],
            "mlp.L2": ["mlp.L1"],
            "block.L1": ["mlp.L2"],
            "list.L1": ["block.L1"],
            "list.L2": ["list.L1"],
            "list.L3": ["list.L2"],
            "act": [],
        }


def test_a_hop_takes_the_module_that_ends_at_the_layer(table: ArchTable, modules: pd.DataFrame) -> None:
    index = module_index(modules)
    scores = drawing.node_scores(modules, index, table.spec, table.codes[0], 1)
    assert scores["position"].tolist() == [0, 1]
    assert scores["num_layers"].tolist() == [1, 2]
    assert scores["effect"].tolist() == [2.0, 3.0]


def test_a_module_never_scored_falls_back_to_a_shorter_one(table: ArchTable, modules: pd.DataFrame) -> None:
    fewer = modules.iloc[:4]
    scores = drawing.node_scores(fewer, module_index(fewer), table.spec, table.codes[0], 1)
    assert scores["num_layers"].tolist() == [1, 1]


def test_a_drawing_is_a_figure_with_its_legend(table: ArchTable, modules: pd.DataFrame) -> None:
    scores = drawing.node_scores(modules, module_index(modules), table.spec, table.codes[0], 0)
    drawn = drawing.coloured(drawing.architecture_table(table.spec, table.codes[0]), scores, UP, "points")
    assert len(drawn) == 8 and drawn["after"].map(len).sum() == 7
    assert drawing.legend(UP)["labels"][1] == "average 50"
    assert isinstance(drawing.architecture_figure(drawn), go.Figure)


def test_a_minimised_target_has_better_on_the_left() -> None:
    assert drawing.legend(DOWN)["labels"] == ["better: 40", "average 50", "worse: 60 ms"]


class TestCells:
    """A cell of NAS-Bench-201: boxes for its operations, circles for its sums."""

    space = space_named("nas_bench_201")
    row = np.array([3, 1, 2, 0, 4, 3], np.int16)

    def scored(self, *more: dict[str, object]) -> pd.DataFrame:
        tokens, labels = self.space.spec.tokens, self.space.spec.position_labels
        single = [module([label], [tokens[code]], 0.1) for label, code in zip(labels, self.row, strict=True)]
        paths = [(["0>2", "2>3"], [1, 3], -2.0), (["1>2", "2>3"], [2, 3], 1.0), (["0>1", "1>2", "2>3"], [3, 2, 3], 0.5)]
        units = [(["0>1"], [3], 4.0), (["0>2", "1>2"], [1, 2], 5.0), (["0>3", "1>3", "2>3"], [0, 4, 3], 6.0)]
        found = single + [module(places, [tokens[c] for c in codes], effect) for places, codes, effect in paths]
        whole = {"whole_unit": True}
        return pd.DataFrame(found + [module(p, [tokens[c] for c in codes], e, **whole) for p, codes, e in units] + list(more))

    def drawn(self, hop: int) -> pd.DataFrame:
        modules = self.scored()
        scores = drawing.node_scores(modules, module_index(modules), self.space.spec, self.row, hop)
        return drawing.coloured(drawing.architecture_table(self.space.spec, self.row), scores, UP, "points")

    def test_operations_lead_into_the_sum_of_their_unit(self) -> None:
        nodes = drawing.architecture_table(self.space.spec, self.row).set_index("label")
        assert nodes.index.tolist() == ["0>1", "node 1", "0>2", "1>2", "node 2", "0>3", "1>3", "2>3", "node 3"]
        assert nodes["kind"].tolist().count("sum") == 3 and nodes.loc["node 3", "position"] == 8
        assert nodes.loc["1>3", "after"] == ["node 1"] and nodes.loc["0>3", "after"] == ["input"]
        assert nodes.loc["node 3", "after"] == ["0>3", "1>3", "2>3"]
        assert nodes[["x", "y"]].drop_duplicates().shape == (9, 2)

    def test_no_arrow_runs_behind_a_box(self) -> None:
        nodes = drawing.architecture_table(self.space.spec, self.row).set_index("label")
        places = {label: (node["x"], node["y"]) for label, node in nodes.iterrows()} | {"input": (0.0, 0.0)}
        for label, node in nodes.iterrows():
            for before in node["after"]:
                for share in np.linspace(0, 1, 200):
                    x, y = ((1 - share) * a + share * b for a, b in zip(places[before], places[label], strict=True))
                    for other, box in nodes[nodes["kind"] == "layer"].iterrows():
                        outside = abs(x - box["x"]) > drawing.NODE_WIDTH / 2 or abs(y - box["y"]) > drawing.NODE_HEIGHT / 2
                        assert outside or other in (label, before), (before, label, other)

    def test_a_sum_shows_its_unit_and_an_operation_the_path_that_tells_most(self) -> None:
        effects = [self.drawn(hop).set_index("label")["effect"].to_dict() for hop in (0, 1, 2)]
        for shown in effects:
            assert [shown[f"node {n}"] for n in (1, 2, 3)] == [4.0, 5.0, 6.0]
        assert [shown["2>3"] for shown in effects] == [0.1, -2.0, -2.0]  # 0>2, 2>3 begins at the input: no longer path through it
        assert [shown["0>1"] for shown in effects] == [0.1] * 3
        names = self.drawn(1).set_index("label")[["module_positions", "num_layers"]]
        assert names.loc["2>3"].tolist() == ['["0>2", "2>3"]', 2]
        assert names.loc["1>3"].tolist() == ['["1>3"]', 1]  # 0>1, 1>3 was not scored

    def test_the_graph_has_an_input_that_is_no_node_to_select(self) -> None:
        drawn = self.drawn(1)
        assert drawn["kind"].tolist().count("sum") == 3 and "input" not in drawn["label"].tolist()
        before = [label for labels in drawn["after"] for label in labels]
        assert len(before) == 6 + 6 and set(before) >= {"input", "node 1", "node 2"}
        assert [frame["label"] for frame in drawing.frames(self.drawn(1))] == ["", "", ""]
        figure = drawing.architecture_figure(self.drawn(0))
        assert sum(shape["type"] == "circle" for shape in figure.layout.shapes) == 4

    def test_modules_are_named_by_their_path_or_edges(self) -> None:
        assert module_name('["0>1", "1>3"]', '["skip_connect", "none"]') == "0>1>3: skip connect, none"
        assert module_name('["0>2", "1>2"]', '["skip_connect", "skip_connect"]') == "0>2, 1>2: 2 x skip connect"


# Charts


def test_contains_asks_for_these_tokens_at_these_positions(table: ArchTable) -> None:
    assert ModuleKey(("L1",), ("mb6_k5",)).contained_in(table).tolist() == [True, True, False, False]
    assert ModuleKey(("L1", "L2"), ("mb6_k5", "mb3_k3"), True).contained_in(table).tolist() == [False, True, False, False]


def test_a_whole_unit_is_no_deeper() -> None:
    space = space_named("ofa_mbv3")
    unit = [["mbconv3_e3_k3"] * 2] * 4
    codes = np.array([space.parse([["mbconv3_e3_k3"] * depth, *unit]) for depth in (2, 3)], np.int16)
    two = ArchTable(space.spec, codes, space.hash_networks(codes), pd.DataFrame({"a": [1.0, 2.0]}), np.arange(2))
    assert ModuleKey(("U1.L1", "U1.L2"), ("mbconv3_e3_k3",) * 2, True).contained_in(two).tolist() == [True, False]
    assert ModuleKey(("U1.L1", "U1.L2"), ("mbconv3_e3_k3",) * 2).contained_in(two).tolist() == [True, True]


def test_with_and_without(table: ArchTable) -> None:
    targets = pd.DataFrame({"row": [0, 1, 3], "source_row": [0, 2, 5], "target": [4.0, 3.0, 1.0]})
    split = rankings.with_without_table(table, targets, ModuleKey(("L1",), ("mb6_k5",)))
    assert split["group"].tolist() == ["with the module", "with the module", "without it"]
    assert isinstance(rankings.with_without_figure(split, "acc"), go.Figure)


def test_shares_at_a_place_are_the_commonest_first_beside_those_of_all(table: ArchTable, modules: pd.DataFrame) -> None:
    at_first = np.flatnonzero(modules["positions"] == '["L1"]')[:2]
    targets = pd.DataFrame({"row": [0, 1, 3]})
    lines = Counter({int(at_first[0]): 1, int(at_first[1]): 3})
    shares = rankings.shares_table(table, targets, modules, lines, Lens.SCORE, "points", "best tenth")
    assert shares["best tenth"].tolist() == [0.75, 0.25]
    held = [ModuleKey.of(modules.iloc[line]).contained_in(table)[[0, 1, 3]].mean() for line in at_first[::-1]]
    assert shares["all measured"].tolist() == [round(share, 2) for share in held]
    assert len(rankings.shares_table(table, targets, modules, lines, Lens.SCORE, "", "best tenth", num=1)) == 1


def test_duplicates_name_the_row_they_repeat(table: ArchTable) -> None:
    assert data.duplicates_table(table).to_dict("records") == [{"row": 5, "same_network_as_row": 3}]


def test_ranking_is_best_first_in_the_targets_direction(modules: pd.DataFrame) -> None:
    single = modules[modules["positions"] == '["L1"]']
    up = rankings.ranking_table(single, Lens.SCORE, False, 9, "acc_pct")
    down = rankings.ranking_table(single, Lens.SCORE, True, 9, "acc_pct")
    assert up["module"].tolist() == down["module"].tolist()[::-1] == ["L1: mb6 k5", "L1: identity", "L1: mb3 k3"]
    assert isinstance(rankings.ranking_figure(up, UP), go.Figure)


def test_a_long_ranking_keeps_both_ends(modules: pd.DataFrame) -> None:
    many = pd.concat([modules.iloc[[0]].assign(score=float(i)) for i in range(30)])
    assert rankings.ranking_table(many, Lens.SCORE, False, 9, "acc", 3, 2)["rank"].tolist() == [1, 2, 3, 29, 30]


def test_facts_of_a_module(table: ArchTable, modules: pd.DataFrame) -> None:
    index = module_index(modules)
    row = table.codes[0]
    nodes = drawing.node_scores(modules, index, table.spec, row, 0)
    single = nodes[nodes["module_positions"] == '["L1"]'].iloc[0]
    scores = modules.loc[modules["positions"] == '["L1"]', "score"]
    rank = int((scores > single["score"]).sum()) + 1
    facts = rankings.module_facts(modules, single, Lens.SCORE, 9, False)
    assert facts == {"seen": f"seen in {single['num_evaluated']} of 9", "rank": f"Rank {rank} of 3 at its place."}
    assert rankings.module_facts(modules, single, Lens.SCORE, 9, True)["rank"] == f"Rank {4 - rank} of 3 at its place."


def test_a_whole_unit_is_ranked_among_whole_units_only(modules: pd.DataFrame) -> None:
    whole = modules[modules["whole_unit"]].iloc[0].rename({"positions": "module_positions"})
    twin = modules[modules["whole_unit"]].assign(whole_unit=False, score=1e9)  # the same layers in a deeper unit
    facts = rankings.module_facts(pd.concat([modules, twin]), whole, Lens.SCORE, 9, False)
    assert facts["rank"] == f"Rank 1 of {int(modules['whole_unit'].sum())} in its unit."


def test_module_names_are_short() -> None:
    assert module_name('["U1.L1", "U1.L2"]', '["mbconv3_e3_k5", "mbconv3_e3_k5"]') == "U1.L1 to L2: 2 x e3 k5"
    assert module_name('["L1", "L2"]', '["mb6_k5", "mb6_k3"]') == "L1 to L2: mb6 k5, mb6 k3"


def test_heat_map_is_in_the_order_of_the_space(table: ArchTable, modules: pd.DataFrame) -> None:
    heat = rankings.heat_table(modules, table.spec, Lens.SCORE, 4, "acc")
    assert list(zip(heat["position"], heat["layer"], strict=True)) == [
        ("L1", "identity"),
        ("L1", "mb3_k3"),
        ("L1", "mb6_k5"),
        ("L2", "mb6_k5"),
    ]
    assert isinstance(rankings.heat_figure(heat, UP), go.Figure)


def test_a_histogram_leaves_out_what_is_not_finite() -> None:
    assert data.histogram_table(np.array([1.0, 2.0, np.nan, np.inf]), "acc")["count"].sum() == 2
    assert len(data.histogram_table(np.array([3.0, 3.0]), "acc")) == 1


def test_metrics_side_by_side(table: ArchTable) -> None:
    histograms = data.metrics_table(table.metrics)
    assert set(histograms["metric"]) == {"acc"}
    assert isinstance(data.metrics_figure(histograms), go.Figure)


def test_progress_without_held_out_records() -> None:
    progress = pd.DataFrame(
        {"step": [1, 2, np.nan], "loss": [2.0, 1.0, np.nan], "hop_srcc": [[0.1, 0.2], None, None], "srcc": [0.3, np.nan, np.nan]}
    )
    hops = quality.hop_progress_table(progress)
    assert hops.columns.tolist() == ["step", "hop 0", "hop 1", "prediction"]
    assert len(hops) == 1
    assert isinstance(quality.hop_progress_figure(hops), go.Figure)


def test_features_with_many_values_are_left_to_the_heat_map() -> None:
    few = pd.DataFrame({"feature": "kernel", "value": ["3", "5"], "effect": [0.1, -0.1], "effect_low": 0.0, "effect_high": 0.2})
    many = pd.DataFrame(
        {"feature": "joint", "value": [str(i) for i in range(40)], "effect": 0.1, "effect_low": 0.0, "effect_high": 0.2}
    )
    shown = rankings.features_shown(pd.concat([few, many]).assign(num_nodes=1))
    assert set(shown["feature"]) == {"kernel"}
    assert isinstance(rankings.features_figure(shown, UP), go.Figure)


def test_built_files_are_what_build_writes() -> None:
    record = {"arch": "22222222", "predicted": 1.0, "low": 0.5, "high": 1.5, "modules": [{"unit": "L1-2", "layers": ["mb6_k5"]}]}
    files = candidates.built_files([record])
    assert json.loads(files["built.jsonl"]) == record
    assert files["built.txt"] == "22222222\n"
    assert files["built.csv"].splitlines() == ["arch,predicted,low,high", "22222222,1.0,0.5,1.5"]


def test_layers_are_read_as_they_are_shown_and_as_they_are_written() -> None:
    tokens = ["identity", "mb3_k3", "mb6_k5"]
    for text in ("mb6 k5, mb6_k5", "2 x mb6 k5", "MB6  k5,mb6 k5,"):
        assert layers_named(text, tokens) == ["mb6_k5", "mb6_k5"]
    assert layers_named("3 x e6 k5, e3 k5", ["mbconv3_e6_k5", "mbconv3_e3_k5"]) == [
        *["mbconv3_e6_k5"] * 3,
        "mbconv3_e3_k5",
    ]
    assert layers_named("", tokens) == []
    cell = ["nor_conv_3x3", "none"]
    assert layers_named(module_name('["a", "b"]', json.dumps(cell), False), cell) == cell
    with pytest.raises(ArchitectureError, match="got the layer 'mb9 k5', expected some of: identity, mb3 k3, mb6 k5"):
        layers_named("mb6_k5, mb9 k5", tokens)


def test_candidates_in_short() -> None:
    facts = pd.DataFrame({"predicted": [1.0], "low": [0.5], "high": [1.5]}, index=[7])
    table = candidates.candidates_table(facts, [[("A", ["mb6_k5", "mb6_k5"]), ("B", [])]])
    assert table.to_dict("records") == [{"predicted": 1.0, "90 % interval": "0.500 to 1.50", "A": "2 x mb6 k5", "B": "none"}]


def test_the_ends_of_a_scale_have_no_exponent() -> None:
    assert [rounded(v) for v in (1.636e6, 1234.5, 0.3534, 53.27)] == ["1,640,000", "1,230", "0.353", "53.3"]
    assert drawing.legend(Scale(Lens.SCORE, 2e6, 3e6, 1e6, "FLOPs"))["labels"][1] == "average 2,000,000"


def test_a_ranking_is_whole_up_to_a_length() -> None:
    modules = pd.DataFrame([module(["L1"], [f"t{i}"], float(i)) for i in range(31)])
    ranked = [len(rankings.ranking_table(modules.head(n), Lens.SCORE, False, 9, "acc", whole_up_to=30)) for n in (27, 30, 31)]
    assert ranked == [27, 30, 24] and len(rankings.ranking_table(modules, Lens.SCORE, False, 9, "acc", 3, 3)) == 6


def test_a_heat_map_of_loose_columns_has_a_line_for_their_first_second_and_third_values() -> None:
    modules = pd.DataFrame([module(["a"], [f"a={v}"], v) for v in (1, 2, 3)] + [module(["b"], [f"b={v}"], 0.5) for v in "xy"])
    spec = SpaceSpec("flat", "two", ("a", "b"), ("a=1", "a=2", "a=3", "b=x", "b=y"), ())
    table = rankings.heat_table(modules, spec, Lens.SCORE, 9, "points")
    figure = rankings.heat_figure(table, UP, chosen=4)
    assert list(figure.data[0].y) == ["1", "2", "3"] and np.isnan(figure.data[0].z[2][1])
    assert list(figure.data[2].text) == ["a=1", "a=2", "a=3", "b=x", "b=y"] and list(figure.data[2].y) == [
        "1",
        "2",
        "3",
        "1",
        "2",
    ]
    named = [(note.x, note.y, note.text) for note in figure.layout.annotations]
    assert named == [(0, 0, "1"), (0, 1, "2"), (0, 2, "3"), (1, 0, "x"), (1, 1, "y")]
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].y0) == (0.5, 0.5)
