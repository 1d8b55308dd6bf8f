"""What every topology must do: those of the product by the spaces that have them, and one that is no file of the product."""

import builtins
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core import registry
from autobuild_core.api import train
from autobuild_core.architectures.features import make_codebook
from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.layout import INPUT
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_index
from autobuild_core.architectures.records import ABSENT, ArchTable, SpaceSpec
from autobuild_core.architectures.topologies import FOLDER, topology_of
from autobuild_core.errors import ConfigError
from autobuild_core.figures import drawing, graph, review
from autobuild_core.figures.colours import Scale
from autobuild_core.scorers import make_scorer, score_modules, unit_groups
from autobuild_core.spaces import Space, space_named
from tests.flat_spaces import loose_space, mixed_space
from tests.learning import chain_space, random_network, random_predictor

EXTENSIONS = Path(__file__).resolve().parents[1] / "extensions"
MADE = {
    "chain": lambda: space_named("nas_bench_macro"),
    "chain of variable depth": chain_space,
    "loose_set": loose_space,
    "loose_set beside chains": mixed_space,
    "cell": lambda: space_named("nas_bench_201"),
}
SCALES = {
    Lens.SCORE: Scale(Lens.SCORE, 50.0, 40.0, 60.0, "points"),
    Lens.GOOD: Scale(Lens.GOOD, 0.1, 0.0, 0.5, "probability"),
    Lens.NORM: Scale(Lens.NORM, 0.0, -2.0, 2.0, "standard deviations"),
}


@pytest.fixture(autouse=True)
def _extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph's topology and space are two files in a folder of a user's own."""
    monkeypatch.setenv(registry.EXTENSIONS, str(EXTENSIONS))


@pytest.fixture
def dag(_extensions: None) -> Space:
    return space_named("small_dag")


@pytest.fixture(params=[*MADE, "dag"])
def space(request: pytest.FixtureRequest, dag: Space) -> Space:
    return dag if request.param == "dag" else MADE[request.param]()


def test_every_topology_of_the_product_is_tested_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(registry.EXTENSIONS)
    assert {name.split()[0] for name in MADE} == set(registry.names(FOLDER))


def test_a_topology_is_found_by_its_name_and_else_derived(dag: Space) -> None:
    assert type(topology_of(dag.spec)).__name__ == "Dag" and "dag" in registry.names(FOLDER)
    assert SpaceSpec.from_json(dag.spec.to_json()) == dag.spec and json.loads(dag.spec.to_json())["topology"] == "dag"
    for name, make in MADE.items():
        spec = make().spec
        assert type(topology_of(spec)).__module__.rsplit(".")[-1] == name.split()[0]
        assert topology_of(spec) is topology_of(spec) and "topology" not in json.loads(spec.to_json())


def test_an_unknown_one_is_refused() -> None:
    spec = chain_space().spec
    with pytest.raises(ConfigError, match=r"topologies: got 'moebius', expected one of .*cell.*chain.*loose_set"):
        topology_of(SpaceSpec(spec.name, "x", spec.position_labels, spec.tokens, spec.units, topology="moebius"))


def test_nodes_have_labels_units_and_a_place_in_every_graph(space: Space) -> None:
    topology, spec = topology_of(space.spec), space.spec
    assert len(topology.heard) == len(topology.node_labels) == len(topology.node_units) == topology.num_nodes
    assert len(set(topology.node_labels)) == topology.num_nodes
    for number, unit in enumerate(topology.states):
        assert topology.state_of(unit) == spec.num_positions + number
        assert set(topology.heard[spec.num_positions + number]) <= set(spec.units[unit].positions)
    codes = space.sample(30, np.random.default_rng(0))
    graphs = make_graphs(codes, spec)
    for row, positions, tokens in zip(codes, graphs.positions, graphs.tokens, strict=True):
        layers = {int(p): int(t) for p, t in zip(positions, tokens, strict=True) if 0 <= p < spec.num_positions}
        assert layers == {p: t for p, t in enumerate(row.tolist()) if t != ABSENT}
    encoded = make_codebook(spec).encode(graphs)
    assert encoded.shape[:2] == graphs.positions.shape and encoded.min() >= 0


def test_graphs_have_the_edges_of_the_topology_where_all_layers_are_there(space: Space) -> None:
    topology, spec = topology_of(space.spec), space.spec
    row = np.array([[spec.units[spec.unit_of(p)].tokens[0] for p in range(spec.num_positions)]], np.int16)
    graphs = topology.graphs(row)
    heard = [sorted(int(s) for s in sources[1:] if s >= 0) for sources in graphs.sources[0]]
    assert heard == [sorted(own) for own in topology.heard]
    assert (graphs.sources[0, :, 0] == np.arange(topology.num_nodes)).all()


def test_windows_are_joined_and_their_sinks_are_in_their_graphs(space: Space) -> None:
    topology, spec = topology_of(space.spec), space.spec
    assert topology.window_positions(1) == [(p,) for p in range(spec.num_positions)]
    for length in (2, 3):
        for positions in topology.window_positions(length):
            assert all(a in topology.heard[b] for a, b in itertools.pairwise(positions))
    groups = [group for length in (1, 2) for group in space.windows(length)][:12]
    for group in groups + [g for unit in range(len(spec.units)) for g in space.unit_modules(unit)]:
        sink, hop = topology.sink(group)
        assert 0 <= hop <= max(len(group.positions), 1)
        for context in topology.contexts(group):
            graphs = topology.graphs(context)
            assert (graphs.positions[:, topology.sink_place(group)] == sink).all()
            assert (context[:, list(group.positions)] == group.codes).all()


def test_windows_within_units_are_those_of_the_windows(space: Space) -> None:
    topology, spec = topology_of(space.spec), space.spec
    within = [topology.windows_within(unit) for unit in range(len(spec.units))]
    owners = [{spec.unit_of(p) for p in positions} for positions in topology.window_positions(2)]
    assert within == [{unit} in owners for unit in range(len(spec.units))]


def test_no_file_hides_a_word_of_python() -> None:
    """A submodule stands as a name in its package: one that is called like a built-in would take its place there."""
    assert not {name for name in registry.names(FOLDER) if hasattr(builtins, name)}


def test_a_module_alone_has_the_norm_that_its_contexts_leave_it(space: Space) -> None:
    """The mean norm over its contexts is finite at the sink: what the scorers read."""
    network, topology = random_network(space.spec, members=2), topology_of(space.spec)
    for group in [space.windows(1)[0], *space.windows(2)[:2], *space.unit_modules(0)[:1]]:
        sink, hop = topology.sink(group)
        norms = [network.node_norms(codes, min(hop, network.num_hops))[:, :, sink] for codes in topology.contexts(group)]
        assert np.isfinite(np.mean(norms, axis=0)).all()


def test_structure_has_a_kind_for_every_column(space: Space) -> None:
    topology = topology_of(space.spec)
    columns = topology.structure(space.sample(7, np.random.default_rng(0)))
    assert columns.shape == (7, len(topology.structure_kinds))


def test_every_node_has_one_place_and_arrows_lead_from_nodes_or_the_input(space: Space) -> None:
    topology = topology_of(space.spec)
    for row in space.sample(5, np.random.default_rng(1)):
        places = topology.layout(row)
        nodes = [place.node for place in places]
        assert len(set(nodes)) == len(nodes) and set(nodes) == {node for node, _ in topology.endings(row, 0)}
        assert len({(place.x, place.y) for place in places}) == len(places)
        labels = {topology.node_labels[node] for node in nodes} | {INPUT}
        assert all(before in labels for place in places for before in place.after)


def scored(space: Space, num: int = 40) -> tuple[ArchTable, pd.DataFrame]:
    """Random rows, and all short windows and units scored by random weights."""
    codes = space.sample(num, np.random.default_rng(0))
    metrics = pd.DataFrame({"acc": codes.sum(1).astype(float)})
    table = ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(num))
    windows = space.windows(1) + space.windows(2)
    there = {group.positions for group in windows if group.unit is not None}
    units = [group for group in unit_groups(space) if group.positions not in there]
    return table, score_modules(make_scorer("autobuild", random_predictor(space)), windows + units, table)


def test_tables_figures_and_graphs_show_every_node(space: Space) -> None:
    table, modules = scored(space)
    index, topology = module_index(modules), topology_of(space.spec)
    source = graph.Source(space.spec, modules, index, SCALES, len(table), "points")
    for row in table.codes[:4]:
        drawn = drawing.architecture_table(space.spec, row)
        assert len(drawn) == len(topology.layout(row)) and drawn["label"].is_unique
        scores = drawing.node_scores(modules, index, space.spec, row, 1)
        assert set(scores["position"]) == set(drawn["position"])
        both = drawing.coloured(drawn, scores, SCALES[Lens.SCORE], "points")
        figure = drawing.architecture_figure(both)
        num_edges = sum(map(len, drawn["after"]))
        assert sum(bool(note.showarrow) for note in figure.layout.annotations) == num_edges
        svg = review.architecture_svg(review.svg_table(both, Lens.SCORE), SCALES[Lens.SCORE], "An architecture")
        assert svg.count('class="edge"') == num_edges and svg.count('class="node"') >= len(drawn)
        data = graph.one_graph(source, row).data
        assert [slot["id"] for slot in data["slots"]] == drawn["label"].tolist() and len(data["edges"]) == num_edges
        assert all(node["of"][0] >= 0 for slot in data["slots"] for node in slot["nodes"])
        assert data["input"] == (INPUT in {before for after in drawn["after"] for before in after})
    pair = graph.pair_graph(source, table.codes[0], table.codes[1])
    mean = graph.mean_graph(source, table.codes)
    for one in (pair, mean):
        assert json.loads(json.dumps(one.data)) == one.data
        page = graph.standalone_html(one, "1", Lens.SCORE, "A graph")
        assert "vis.Network" in page


class TestDag:
    """A graph that is in no file of the product, from its graphs to a trained run."""

    def test_its_graphs_by_hand(self, dag: Space) -> None:
        graphs = make_graphs(np.array([[0, 1, 2, 0, 1]], np.int16), dag.spec)
        assert graphs.positions.tolist() == [[0, 1, 2, 3, 4, 5]] and graphs.tokens.tolist() == [[0, 1, 2, 0, 1, 3]]
        assert graphs.sources[0].tolist() == [[0, -1, -1], [1, 0, -1], [2, 0, -1], [3, 1, 2], [4, 0, 3], [5, 1, 2]]
        alone = make_graphs(np.array([[ABSENT, 1, ABSENT, 0, ABSENT]], np.int16), dag.spec)
        assert alone.mask.tolist() == [[False, True, False, True, False, True]]
        assert alone.sources[0, 3].tolist() == [3, 1, -1]

    def test_its_windows_units_and_contexts_by_hand(self, dag: Space) -> None:
        topology = topology_of(dag.spec)
        assert topology.window_positions(2) == [(0, 1), (0, 2), (0, 4), (1, 3), (2, 3), (3, 4)]
        assert [group.unit for group in dag.windows(2)] == [None] * 5 + [2]  # d, e is all of the head
        branches = dag.unit_modules(1)[0]
        assert topology.sink(branches) == (5, 1) and len(topology.contexts(branches)) == 1
        pair = dag.windows(2)[3]  # b, d: d hears c too
        assert topology.sink(pair) == (3, 1) and topology.free_positions(pair) == [2]
        assert [context[0].tolist() for context in topology.contexts(pair)] == [
            [ABSENT, 0, other, 0, ABSENT] for other in range(3)
        ]

    def test_it_trains_scores_and_builds(self, dag: Space) -> None:
        rng = np.random.default_rng(0)
        every = dag.enumerate()
        assert every is not None and len(every) == 3**5
        codes = every[rng.permutation(len(every))[:80]]
        worth = np.array([0.0, 1.0, -1.0])[codes]
        acc = 70 + worth @ [1, 2, 1, 3, 1] + 2 * worth[:, 1] * worth[:, 3] + rng.normal(0, 0.05, 80)
        table = ArchTable(dag.spec, codes, dag.hash_networks(codes), pd.DataFrame({"acc": acc}), np.arange(80))
        run = train(table, "acc", num_steps=60, max_length=3)
        assert run.quality["srcc"] > 0.8
        modules = run.modules()
        assert set(modules["hop"]) == {0, 1, 2} and modules["score"].notna().all()
        at_d = modules[(modules["positions"] == '["d"]')].set_index("layers")["score"]
        assert at_d.idxmax() == '["k5"]' and at_d.idxmin() == '["pool"]'
        assert {'["b", "c"]', '["d", "e"]'} <= set(modules[modules["whole_unit"]]["positions"])
        assert len(run.build(5)) == 5 and run.build(1)["arch"].iloc[0][3] == run.predictor.spec.tokens[1]


@pytest.mark.parametrize("name", registry.names("scorers"))
def test_every_scorer_scores_the_modules_of_a_graph(name: str, dag: Space) -> None:
    table, _ = scored(dag)
    table = replace(table, metrics=table.metrics.assign(flops=1.0 + (table.codes != 2).sum(1)))  # pools cost nothing
    predictor = random_predictor(dag)
    scorer = make_scorer(name, predictor, table=table)
    assert scorer.supports(predictor) is None
    frame = score_modules(scorer, dag.windows(2)[:2] + dag.unit_modules(1), table)
    assert len(frame) == 3 * 9
