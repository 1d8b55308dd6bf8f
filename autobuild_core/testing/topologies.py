"""Checks that every topology must pass."""

import itertools
import json

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.features import make_codebook
from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.layout import INPUT
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_index
from autobuild_core.architectures.records import ABSENT, ArchTable
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.figures import drawing, graph, review
from autobuild_core.figures.colours import Scale
from autobuild_core.scorers import make_scorer, score_modules, unit_groups
from autobuild_core.spaces import Space
from autobuild_core.testing.examples import random_ensemble, random_predictor

SCALES = {
    Lens.SCORE: Scale(Lens.SCORE, 50.0, 40.0, 60.0, "points"),
    Lens.GOOD: Scale(Lens.GOOD, 0.1, 0.0, 0.5, "probability"),
    Lens.NORM: Scale(Lens.NORM, 0.0, -2.0, 2.0, "standard deviations"),
}


def scored(space: Space, num: int = 40) -> tuple[ArchTable, pd.DataFrame]:
    """Random rows, and all short windows and units scored by random weights."""
    codes = space.sample(num, np.random.default_rng(0))
    metrics = pd.DataFrame({"acc": codes.sum(1).astype(float)})
    table = ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(num))
    windows = space.windows(1) + space.windows(2)
    there = {group.positions for group in windows if group.unit is not None}
    units = [group for group in unit_groups(space) if group.positions not in there]
    return table, score_modules(make_scorer("autobuild", random_predictor(space)), windows + units, table)


class TopologySuite:
    """Checks of a topology by a space that has it: nodes, edges, windows, sinks, contexts, layout, and all that is drawn of them.

    Derive a class and say which space:

        class TestMine(TopologySuite):
            @pytest.fixture
            def space(self) -> Space:
                return space_named("a_space_of_mine")
    """

    @pytest.fixture
    def space(self) -> Space:
        """A space of the topology."""
        raise NotImplementedError

    def test_nodes_have_labels_units_and_a_place_in_every_graph(self, space: Space) -> None:
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

    def test_graphs_have_the_edges_of_the_topology_where_all_layers_are_there(self, space: Space) -> None:
        topology, spec = topology_of(space.spec), space.spec
        row = np.array([[spec.units[spec.unit_of(p)].tokens[0] for p in range(spec.num_positions)]], np.int16)
        graphs = topology.graphs(row)
        heard = [sorted(int(s) for s in sources[1:] if s >= 0) for sources in graphs.sources[0]]
        assert heard == [sorted(own) for own in topology.heard]
        assert (graphs.sources[0, :, 0] == np.arange(topology.num_nodes)).all()

    def test_windows_are_joined_and_their_sinks_are_in_their_graphs(self, space: Space) -> None:
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

    def test_windows_within_units_are_those_of_the_windows(self, space: Space) -> None:
        topology, spec = topology_of(space.spec), space.spec
        within = [topology.windows_within(unit) for unit in range(len(spec.units))]
        owners = [{spec.unit_of(p) for p in positions} for positions in topology.window_positions(2)]
        assert within == [{unit} in owners for unit in range(len(spec.units))]

    def test_a_module_alone_has_the_norm_that_its_contexts_leave_it(self, space: Space) -> None:
        """The mean norm over its contexts is finite at the sink: what the scorers read."""
        network, topology = random_ensemble(space.spec, members=2), topology_of(space.spec)
        for group in [space.windows(1)[0], *space.windows(2)[:2], *space.unit_modules(0)[:1]]:
            sink, hop = topology.sink(group)
            norms = [network.node_norms(codes, min(hop, network.num_hops))[:, :, sink] for codes in topology.contexts(group)]
            assert np.isfinite(np.mean(norms, axis=0)).all()

    def test_structure_has_a_kind_for_every_column(self, space: Space) -> None:
        topology = topology_of(space.spec)
        columns = topology.structure(space.sample(7, np.random.default_rng(0)))
        assert columns.shape == (7, len(topology.structure_kinds))

    def test_every_node_has_one_place_and_arrows_lead_from_nodes_or_the_input(self, space: Space) -> None:
        topology = topology_of(space.spec)
        for row in space.sample(5, np.random.default_rng(1)):
            places = topology.layout(row)
            nodes = [place.node for place in places]
            assert len(set(nodes)) == len(nodes) and set(nodes) == {node for node, _ in topology.endings(row, 0)}
            assert len({(place.x, place.y) for place in places}) == len(places)
            labels = {topology.node_labels[node] for node in nodes} | {INPUT}
            assert all(before in labels for place in places for before in place.after)

    def test_tables_figures_and_graphs_show_every_node(self, space: Space) -> None:
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
