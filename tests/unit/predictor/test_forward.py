"""The numpy forward pass against torch, and node norms in an architecture and alone."""

from typing import Any

import numpy as np
import pytest
import torch

from autobuild_core.architectures.features import make_codebook
from autobuild_core.architectures.graphs import Graphs, make_graphs
from autobuild_core.architectures.modules import ModuleGroup, module_codes
from autobuild_core.architectures.records import ABSENT
from autobuild_core.architectures.structure import structure_features
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.predictor import forward as network_file
from autobuild_core.predictor.forward import GAUSSIAN, RANDOM, Ensemble
from autobuild_core.predictor.kernel import similarity
from autobuild_core.predictor.model import Encoded, GraphEnsemble, ModelConfig
from autobuild_core.spaces import Space, space_named
from tests.flat_spaces import loose_space, mixed_space
from tests.learning import NUM_HOPS, chain_space, flat_space, random_ensemble, random_weights

SPACES = {"macro": space_named("nas_bench_macro"), "ofa": space_named("ofa_mbv3"), "flat": flat_space(), "chain": chain_space()}
CELL = space_named("nas_bench_201")
SETS = {"set": loose_space(6), "mixed": mixed_space()}


def both(space: Space) -> tuple[GraphEnsemble, Ensemble]:
    weights = random_weights(space.spec, seed=2, width=14)
    ensemble = Ensemble(dict(weights), make_codebook(space.spec), NUM_HOPS)
    num_structure = weights.pop("structure_scale").shape[1]
    model = GraphEnsemble(ensemble.codebook, 3, ModelConfig(width=14), num_structure, seed=1)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    return model.eval(), ensemble


def check_equal(space: Space, graphs: Graphs, structure: np.ndarray) -> None:
    model, ensemble = both(space)
    given = Encoded.of(graphs, ensemble.codebook, structure).batch(torch.arange(len(graphs)))
    with torch.no_grad():
        scores, norms = (t.numpy() for t in model(given)[:2])
        nodes = [h.transpose(0, 1).numpy() for h in model.node_embeddings(given)]  # (members, nodes, dim)
    outputs = ensemble.forward(graphs, structure.astype(np.float32))
    assert scores.std() > 0.1
    np.testing.assert_allclose(outputs.scores, scores, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs.graph_norms, norms, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(ensemble.node_embeddings(graphs), nodes, strict=True):
        np.testing.assert_allclose(mine[:, graphs.mask], theirs, rtol=1e-5, atol=1e-5)
    without = ensemble.forward(graphs, np.zeros_like(structure, np.float32))
    assert np.abs(without.scores - outputs.scores).min(0).max() > 0.01  # the structure is heard


@pytest.mark.parametrize("space", [*SPACES.values(), CELL, *SETS.values()], ids=[*SPACES, "cell", *SETS])
def test_forward_is_that_of_torch(space: Space) -> None:
    codes = space.sample(50, np.random.default_rng(0))
    check_equal(space, make_graphs(codes, space.spec), both(space)[1].structure(codes))


def test_forward_is_that_of_torch_on_a_general_graph() -> None:
    rng = np.random.default_rng(1)
    sources = np.array([[0, -1, -1], [1, 0, -1], [2, 0, -1], [3, 2, 1], [4, -1, 0]], np.int16)
    positions = np.tile(np.arange(5, dtype=np.int16), (6, 1))
    graphs = Graphs(positions, rng.integers(0, 3, (6, 5)).astype(np.int16), np.tile(sources, (6, 1, 1)))
    check_equal(SPACES["macro"], graphs, rng.normal(size=(6, both(SPACES["macro"])[1].weights["structure_scale"].shape[1])))


@pytest.mark.parametrize("space", [*SPACES.values(), CELL], ids=[*SPACES, "cell"])
def test_predictions_are_those_of_torch_with_the_structure_of_the_codes(space: Space) -> None:
    model, ensemble = both(space)
    codes = space.sample(30, np.random.default_rng(4))
    mean, spread = ensemble.weights["structure_scale"].astype(float)
    structure = (structure_features(codes, space.spec) - mean) / spread
    with torch.no_grad():
        expected = model(Encoded.of(make_graphs(codes, space.spec), ensemble.codebook, structure).batch(torch.arange(30)))
    outputs = ensemble.predict(codes)
    np.testing.assert_allclose(outputs.scores, expected[0].numpy(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs.graph_norms, expected[1].numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", [SPACES["flat"], CELL], ids=["flat", "cell"])
def test_graph_embeddings_are_means_of_node_embeddings(space: Space) -> None:
    ensemble, codes = random_ensemble(space.spec), space.sample(12, np.random.default_rng(7))
    graphs = make_graphs(codes, space.spec)
    for pooled, nodes in zip(ensemble.pooled(graphs), ensemble.node_embeddings(graphs), strict=True):
        for row in range(12):
            np.testing.assert_allclose(pooled[:, row], nodes[:, row, graphs.mask[row]].mean(1), rtol=1e-5, atol=1e-6)


def test_contexts_stand_beside_the_structure_and_the_nodes_are_computed_once() -> None:
    space, rng = SPACES["flat"], np.random.default_rng(3)
    codes, num = space.sample(30, rng), 2
    plain = random_weights(space.spec, seed=2, width=14)
    wide = plain["structure_scale"].shape[1] + num
    model = GraphEnsemble(make_codebook(space.spec), 3, ModelConfig(width=14), wide, seed=1).eval()
    own = {name: t.numpy() for name, t in model.state_dict().items()} | {"structure_scale": plain["structure_scale"]}
    own["linear_weight"] = rng.normal(0, 0.3, own["linear_weight"].shape).astype(np.float32)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in own.items() if name != "structure_scale"})
    ensemble, contexts = Ensemble(own, make_codebook(space.spec), NUM_HOPS), rng.normal(size=(30, num)).astype(np.float32)
    graphs = make_graphs(codes, space.spec)
    given = Encoded.of(graphs, ensemble.codebook, np.concatenate([ensemble.structure(codes), contexts], 1))
    with torch.no_grad():
        scores, norms = (t.numpy() for t in model(given.batch(torch.arange(30)))[:2])
    found = ensemble.predict(codes, contexts)
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.graph_norms, norms, rtol=1e-5, atol=1e-5)
    points, shares = contexts[:3], np.array([0.5, 0.3, 0.2])
    each = np.stack([ensemble.predict(codes, np.tile(point, (30, 1))).scores for point in points])
    held = ensemble.held_at(points, shares)
    np.testing.assert_allclose(held.predict(codes).scores, np.tensordot(shares, each, 1), rtol=1e-5, atol=1e-5)
    assert held.predict(codes[:0]).scores.shape == (3, 0) and np.ptp(each, axis=0).min() > 1e-4
    largest = ensemble.held_at(points, shares, lambda at_points: at_points.max(0)).predict(codes).scores
    np.testing.assert_allclose(largest, each.max(0), rtol=1e-5, atol=1e-5)


class TestGaussianProcess:
    """Of NAS-Bench-Macro: 8 positions, 3 tokens."""

    def setup_method(self) -> None:
        self.space, rng = SPACES["macro"], np.random.default_rng(0)
        spec, self.own = self.space.spec, random_weights(self.space.spec, members=1, seed=5, width=6)
        self.num_structure = self.own["structure_scale"].shape[1]
        self.trained = random_weights(spec, members=3, seed=6)
        columns = 8 * 5 + self.num_structure + 4 * 6
        drawn = {"mean": columns, "roots": (3, columns), "weights": (3, 3), "landmarks": (7, columns), "readout": (3, 7)}
        self.solved = {GAUSSIAN + name: np.abs(rng.normal(0, 0.2, size)).astype(np.float32) for name, size in drawn.items()}
        self.codes = self.space.sample(20, rng)

    def ensemble(self, share: float) -> Ensemble:
        random = {RANDOM + name: w for name, w in self.own.items()}
        weights = self.trained | random | self.solved | {GAUSSIAN + "share": np.array(share, np.float32)}
        return Ensemble(weights, make_codebook(self.space.spec), NUM_HOPS)

    def coordinates(self) -> Any:
        random = Ensemble(self.own, make_codebook(self.space.spec), NUM_HOPS)
        return random.coordinates(self.codes, make_graphs(self.codes, self.space.spec), random.structure(self.codes))

    def test_its_coordinates_by_hand(self) -> None:
        ensemble, codes = Ensemble(self.own, make_codebook(self.space.spec), NUM_HOPS), self.codes
        graphs, structure = make_graphs(codes, self.space.spec), ensemble.structure(codes)
        columns = ensemble.coordinates(codes, graphs, structure)
        assert ensemble.hop_widths == [6, 6, 6, 6]
        for row in range(20):
            hot = []
            for p in range(8):  # by token, and by whether it is a convolution
                hot += [float(codes[row, p] == t) for t in range(3)] + [float(codes[row, p] == 0), float(codes[row, p] > 0)]
            np.testing.assert_allclose(columns[row, :40], np.array(hot) / 2**0.5, rtol=1e-6)
        np.testing.assert_array_equal(columns[:, 40 : 40 + self.num_structure], structure)
        pooled = ensemble.pooled(graphs)
        for hop in range(4):
            start = 40 + self.num_structure + 6 * hop
            np.testing.assert_allclose(columns[:, start : start + 6], pooled[hop + 1][0], rtol=1e-6)

    def test_both_halves_keep_to_the_threads(self) -> None:
        random = {RANDOM + name: w for name, w in self.own.items()}
        weights = self.trained | random | self.solved | {GAUSSIAN + "share": np.array(1, np.float32)}
        ensemble = Ensemble(weights, make_codebook(self.space.spec), NUM_HOPS, threads=1)
        assert ensemble.random is not None and ensemble.random.threads == 1

    def test_it_is_mixed_in_by_its_share(self) -> None:
        solved, trained, mixed = (self.ensemble(share).predict(self.codes) for share in (1, 0, 0.3))
        alone = Ensemble(self.trained, make_codebook(self.space.spec), NUM_HOPS).predict(self.codes)
        assert (trained.scores == alone.scores).all()
        assert (mixed.graph_norms == alone.graph_norms).all()  # norms are the GNN's
        np.testing.assert_allclose(mixed.scores, 0.3 * solved.scores + 0.7 * trained.scores, rtol=1e-5, atol=1e-6)

    def test_its_predictions_are_likenesses_to_the_landmarks_weighted(self) -> None:
        found, s = self.ensemble(1).predict(self.codes).scores, {n.removeprefix(GAUSSIAN): w for n, w in self.solved.items()}
        for member in range(3):
            a, b = (self.coordinates() - s["mean"]) * s["roots"][member], s["landmarks"] * s["roots"][member]
            norms = (a * a).sum(1), (b * b).sum(1)
            by_hand = similarity(a @ b.T, *norms, s["weights"][member]) @ s["readout"][member]
            np.testing.assert_allclose(found[member], by_hand, rtol=1e-4, atol=1e-5)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    space, rng = SPACES["flat"], np.random.default_rng(2)
    ensemble, codes = random_ensemble(space.spec), space.sample(23, rng)
    whole, node_norms = ensemble.predict(codes), ensemble.node_norms(codes, 2)
    monkeypatch.setattr(network_file, "CHUNK", 7)
    parts = ensemble.predict(codes)
    np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(parts.graph_norms, whole.graph_norms, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ensemble.node_norms(codes, 2), node_norms, rtol=1e-4, atol=1e-5)


def test_threads_change_nothing_and_chunks_stay_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_file, "CHUNK", 5)
    space = SPACES["flat"]
    ensemble, codes = random_ensemble(space.spec), space.sample(23, np.random.default_rng(2))
    outputs = []
    for threads in (1, 2, 3):
        ensemble.threads = threads
        outputs.append(ensemble.predict(codes).scores)
        assert [part.tolist() for part in ensemble.by_chunks(lambda chunk: chunk[:, 0], codes)] == [
            codes[start : start + 5, 0].tolist() for start in range(0, 23, 5)
        ]
    assert all((outputs[0] == other).all() for other in outputs[1:])


def test_nothing_to_predict() -> None:
    outputs = random_ensemble(SPACES["macro"].spec).predict(np.zeros((0, 8), np.int16))
    assert outputs.scores.shape == (3, 0) and outputs.graph_norms.shape == (3, 5, 0)


@pytest.mark.parametrize("space", [SPACES["flat"], CELL], ids=["flat", "cell"])
def test_node_norms_stand_at_their_positions_and_a_graph_norm_is_their_mean(space: Space) -> None:
    ensemble, codes = random_ensemble(space.spec), space.sample(20, np.random.default_rng(3))
    for hop in range(5):
        norms = ensemble.node_norms(codes, hop)
        assert norms.shape == (3, 20, topology_of(space.spec).num_nodes)
        assert (np.isnan(norms[..., : space.spec.num_positions]) == (codes == ABSENT)).all()
        np.testing.assert_allclose(np.nanmean(norms, axis=2), ensemble.predict(codes).graph_norms[:, hop], rtol=1e-4)


@pytest.mark.parametrize("name", SPACES)
def test_a_module_alone_has_the_norm_it_has_inside_any_architecture(name: str) -> None:
    """At hop L - 1, at its last layer: what makes embedding norms scores of modules (docs/method.md, section 2)."""
    space, rng = SPACES[name], np.random.default_rng(4)
    ensemble, codes = random_ensemble(space.spec), space.sample(40, rng)
    for length in range(1, ensemble.num_hops + 2):
        inside = ensemble.node_norms(codes, length - 1)
        checked = 0
        for end in range(length - 1, space.spec.num_positions):
            positions = tuple(range(end - length + 1, end + 1))
            rows = np.flatnonzero((codes[:, list(positions)] != ABSENT).all(1))[:5]
            if not len(rows):
                continue
            group = ModuleGroup(positions, codes[rows][:, list(positions)])
            alone = ensemble.node_norms(module_codes(group, space.spec.num_positions), length - 1)
            np.testing.assert_allclose(alone[:, :, end], inside[:, rows, end], rtol=2e-5)
            checked += len(rows)
        assert checked or length > 3
    deeper = ensemble.node_norms(codes[:, :], 1)[:, :, 0] - ensemble.node_norms(codes, 2)[:, :, 0]
    assert np.nanmax(np.abs(deeper)) > 1e-3  # hops do differ


def cell_groups() -> list[ModuleGroup]:
    """Every kind of module of a cell: single layers, paths of two and three, whole units."""
    return [g for n in (1, 2, 3) for g in CELL.windows(n)] + [g for u in range(3) for g in CELL.unit_modules(u)]


@pytest.mark.parametrize("group", cell_groups(), ids=lambda g: f"{g.positions} {g.unit}")
def test_a_module_of_a_cell_has_the_norm_it_has_inside_any_cell(group: ModuleGroup) -> None:
    """Alone, where it is all that its sink hears; else with the same operation where its sink hears another."""
    rng, (sink, hop) = np.random.default_rng(5), topology_of(CELL.spec).sink(group)
    ensemble, columns = random_ensemble(CELL.spec), list(group.positions)
    group = ModuleGroup(group.positions, group.codes[rng.permutation(len(group))[:10]], group.unit)
    contexts = topology_of(CELL.spec).contexts(group)
    assert len(contexts) == (5 if group.positions in {(1, 5), (2, 5), (0, 2, 5)} else 1)
    free = [p for p in range(6) if p not in columns and (contexts[0][:, p] != ABSENT).all()]
    for alone in contexts:
        inside = CELL.sample(len(group), rng)
        inside[:, columns + free] = alone[:, columns + free]
        expected = ensemble.node_norms(inside, hop)[:, :, sink]
        np.testing.assert_allclose(ensemble.node_norms(alone, hop)[:, :, sink], expected, rtol=2e-5)


def test_one_hop_more_hears_what_is_not_the_units() -> None:
    ensemble, unit = random_ensemble(CELL.spec), CELL.unit_modules(2)[0]
    alone, inside = topology_of(CELL.spec).contexts(unit)[0], CELL.sample(len(unit), np.random.default_rng(6))
    inside[:, 3:] = unit.codes
    sink, hop = topology_of(CELL.spec).sink(unit)
    difference = [ensemble.node_norms(inside, h)[:, :, sink] - ensemble.node_norms(alone, h)[:, :, sink] for h in (hop, hop + 1)]
    assert np.abs(difference[0]).max() < 1e-4 < 1e-2 < np.abs(difference[1]).max()


@pytest.mark.parametrize("name", SETS)
def test_a_loose_choice_hears_all_others_at_hop_one_and_no_hop_depends_on_their_order(name: str) -> None:
    space, rng = SETS[name], np.random.default_rng(7)
    ensemble, codes = random_ensemble(space.spec), space.sample(30, rng)
    loose = next(i for i, unit in enumerate(space.spec.units) if unit.loose)
    (place,) = space.spec.units[loose].positions
    other = next(unit for unit in reversed(space.spec.units) if unit.loose)
    changed = codes.copy()
    tokens = np.array(other.tokens)
    changed[:, other.positions[0]] = tokens[(np.searchsorted(tokens, codes[:, other.positions[0]]) + 1) % len(tokens)]
    for hop, heard in ((0, False), (1, True)):
        difference = ensemble.node_norms(codes, hop)[:, :, place] - ensemble.node_norms(changed, hop)[:, :, place]
        assert (np.abs(difference).max(0) > 1e-4).all() == heard and (np.abs(difference).max() > 1e-6) == heard


def test_a_chain_beside_loose_choices_hears_nothing_of_them() -> None:
    space = SETS["mixed"]
    ensemble, codes = random_ensemble(space.spec), space.sample(200, np.random.default_rng(8))
    codes = codes[codes[:, 1] != ABSENT]
    changed = codes.copy()
    changed[:, -1] = np.where(codes[:, -1] == codes[:, -1].max(), codes[:, -1].min(), codes[:, -1].max())  # act
    for hop in range(NUM_HOPS + 1):
        before, after = (ensemble.node_norms(c, hop)[:, :, 1:9] for c in (codes, changed))
        np.testing.assert_allclose(before, after, rtol=1e-5)


def test_a_loose_module_alone_hears_its_own_mean() -> None:
    space = SETS["set"]
    group = space.unit_modules(0)[0]
    ensemble = random_ensemble(space.spec)
    graphs = make_graphs(module_codes(group, space.spec.num_positions), space.spec)
    hops = ensemble.node_embeddings(graphs)
    own = ensemble._gat(0, hops[0][:, :, 0], np.arange(len(group))[:, None], np.ones((len(group), 1), bool), None)
    factor, shift = ensemble._folded[0]
    np.testing.assert_allclose(hops[1][:, :, 0], np.maximum(own * factor + shift, 0), rtol=1e-5, atol=1e-6)
