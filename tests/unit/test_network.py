"""The numpy forward pass against torch, and node norms in an architecture and alone."""

import numpy as np
import pytest
import torch

from autobuild_core import network as network_file
from autobuild_core.features import make_codebook
from autobuild_core.graphs import Graphs, make_graphs, module_codes, module_contexts, module_sink
from autobuild_core.model import ModelConfig, Predictor
from autobuild_core.network import Network
from autobuild_core.records import ABSENT, ModuleGroup
from autobuild_core.spaces import Space, space_named
from autobuild_core.training import encode
from tests.learning import chain_space, disturbed, flat_space, random_network

SPACES = {"macro": space_named("nas_bench_macro"), "ofa": space_named("ofa_mbv3"), "flat": flat_space(), "chain": chain_space()}
CELL = space_named("nas_bench_201")


def both(space: Space) -> tuple[Predictor, Network]:
    codebook = make_codebook(space.spec)
    model = Predictor(codebook, 3, ModelConfig(width=14), seed=1)
    state = {name: disturbed(name, w.numpy(), 2) for name, w in model.state_dict().items()}
    model.load_state_dict({name: torch.from_numpy(w) for name, w in state.items()})
    return model.eval(), Network(state, codebook, model.config.num_hops)


def check_equal(space: Space, graphs: Graphs) -> None:
    model, network = both(space)
    data = encode(graphs, network.codebook, np.zeros(len(graphs)), np.zeros(len(graphs), np.int64))
    given = data.batch(torch.arange(len(graphs)).expand(3, -1))
    with torch.no_grad():
        scores, norms = (t.numpy() for t in model(*given))
        nodes = [h.numpy() for h in model.node_embeddings(*given)]
    outputs = network.forward(graphs)
    assert scores.std() > 0.1
    np.testing.assert_allclose(outputs.scores, scores, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs.graph_norms, norms, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(network.node_embeddings(graphs), nodes, strict=True):
        np.testing.assert_allclose(mine[:, graphs.mask], theirs[:, graphs.mask], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", [*SPACES.values(), CELL], ids=[*SPACES, "cell"])
def test_forward_is_that_of_torch(space: Space) -> None:
    check_equal(space, make_graphs(space.sample(50, np.random.default_rng(0)), space.spec))


def test_forward_is_that_of_torch_on_a_general_graph() -> None:
    rng = np.random.default_rng(1)
    sources = np.array([[0, -1, -1], [1, 0, -1], [2, 0, -1], [3, 2, 1], [4, -1, 0]], np.int16)
    positions = np.tile(np.arange(5, dtype=np.int16), (6, 1))
    graphs = Graphs(positions, rng.integers(0, 3, (6, 5)).astype(np.int16), np.tile(sources, (6, 1, 1)))
    check_equal(SPACES["macro"], graphs)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    space, rng = SPACES["flat"], np.random.default_rng(2)
    network, codes = random_network(space.spec), space.sample(23, rng)
    whole, node_norms = network.predict(codes), network.node_norms(codes, 2)
    monkeypatch.setattr(network_file, "CHUNK", 7)
    parts = network.predict(codes)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(parts.graph_norms, whole.graph_norms, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.node_norms(codes, 2), node_norms, rtol=1e-4, atol=1e-5)


def test_nothing_to_predict() -> None:
    outputs = random_network(SPACES["macro"].spec).predict(np.zeros((0, 8), np.int16))
    assert outputs.scores.shape == (3, 0) and outputs.graph_norms.shape == (3, 5, 0)


@pytest.mark.parametrize("space", [SPACES["flat"], CELL], ids=["flat", "cell"])
def test_node_norms_stand_at_their_positions_and_a_graph_norm_is_their_mean(space: Space) -> None:
    network, codes = random_network(space.spec), space.sample(20, np.random.default_rng(3))
    for hop in range(5):
        norms = network.node_norms(codes, hop)
        assert norms.shape == (3, 20, space.spec.num_positions + space.spec.num_states)
        assert (np.isnan(norms[..., : space.spec.num_positions]) == (codes == ABSENT)).all()
        np.testing.assert_allclose(np.nanmean(norms, axis=2), network.predict(codes).graph_norms[:, hop], rtol=1e-4)


@pytest.mark.parametrize("name", SPACES)
def test_a_module_alone_has_the_norm_it_has_inside_any_architecture(name: str) -> None:
    """At hop L - 1, at its last layer: what makes embedding norms scores of modules (method.md, section 1)."""
    space, rng = SPACES[name], np.random.default_rng(4)
    network, codes = random_network(space.spec), space.sample(40, rng)
    for length in range(1, network.num_hops + 2):
        inside = network.node_norms(codes, length - 1)
        checked = 0
        for end in range(length - 1, space.spec.num_positions):
            positions = tuple(range(end - length + 1, end + 1))
            rows = np.flatnonzero((codes[:, list(positions)] != ABSENT).all(1))[:5]
            if not len(rows):
                continue
            group = ModuleGroup(positions, codes[rows][:, list(positions)])
            alone = network.node_norms(module_codes(group, space.spec.num_positions), length - 1)
            np.testing.assert_allclose(alone[:, :, end], inside[:, rows, end], rtol=2e-5)
            checked += len(rows)
        assert checked or length > 3
    deeper = network.node_norms(codes[:, :], 1)[:, :, 0] - network.node_norms(codes, 2)[:, :, 0]
    assert np.nanmax(np.abs(deeper)) > 1e-3  # hops do differ


def cell_groups() -> list[ModuleGroup]:
    """Every kind of module of a cell: single layers, paths of two and three, whole units."""
    return [g for n in (1, 2, 3) for g in CELL.windows(n)] + [g for u in range(3) for g in CELL.unit_modules(u)]


@pytest.mark.parametrize("group", cell_groups(), ids=lambda g: f"{g.positions} {g.unit}")
def test_a_module_of_a_cell_has_the_norm_it_has_inside_any_cell(group: ModuleGroup) -> None:
    """Alone, where it is all that its sink hears; else with the same operation where its sink hears another."""
    rng, (sink, hop) = np.random.default_rng(5), module_sink(group, CELL.spec)
    network, columns = random_network(CELL.spec), list(group.positions)
    group = ModuleGroup(group.positions, group.codes[rng.permutation(len(group))[:10]], group.unit)
    contexts = module_contexts(group, CELL.spec)
    assert len(contexts) == (5 if group.positions in {(1, 5), (2, 5), (0, 2, 5)} else 1)
    free = [p for p in range(6) if p not in columns and (contexts[0][:, p] != ABSENT).all()]
    for alone in contexts:
        inside = CELL.sample(len(group), rng)
        inside[:, columns + free] = alone[:, columns + free]
        expected = network.node_norms(inside, hop)[:, :, sink]
        np.testing.assert_allclose(network.node_norms(alone, hop)[:, :, sink], expected, rtol=2e-5)


def test_one_hop_more_hears_what_is_not_the_units() -> None:
    network, unit = random_network(CELL.spec), CELL.unit_modules(2)[0]
    alone, inside = module_contexts(unit, CELL.spec)[0], CELL.sample(len(unit), np.random.default_rng(6))
    inside[:, 3:] = unit.codes
    sink, hop = module_sink(unit, CELL.spec)
    difference = [network.node_norms(inside, h)[:, :, sink] - network.node_norms(alone, h)[:, :, sink] for h in (hop, hop + 1)]
    assert np.abs(difference[0]).max() < 1e-4 < 1e-2 < np.abs(difference[1]).max()
