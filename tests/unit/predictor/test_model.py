"""The packed layers against torch_geometric and torch, and what the method promises of node embeddings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv

from autobuild_core.architectures.features import make_codebook
from autobuild_core.architectures.graphs import Graphs, make_graphs
from autobuild_core.architectures.records import ABSENT
from autobuild_core.architectures.topologies._in_order import chain_graphs
from autobuild_core.predictor.model import Batch, Encoded, FeatureEmbedding, GATv2, GraphEnsemble, ModelConfig, NodeNorm
from autobuild_core.spaces import Space, space_named
from tests.learning import encoded, flat_space, random_weights

MEMBERS = 2
SPACES = {name: space_named(name) for name in ("nas_bench_macro", "nas_bench_201")} | {"flat": flat_space()}


def layer(in_dim: int, out_dim: int) -> GATv2:
    made = GATv2(MEMBERS, in_dim, out_dim, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    return made


def reference(made: GATv2, member: int) -> GATv2Conv:
    in_dim, out_dim = made.weight_source.shape[1:]
    conv = GATv2Conv(in_dim, out_dim)
    state = {
        "lin_l.weight": made.weight_source[member].T,
        "lin_l.bias": made.bias_source[member, 0],
        "lin_r.weight": made.weight_target[member].T,
        "lin_r.bias": made.bias_target[member, 0],
        "att": made.attention[member].reshape(1, 1, -1),
        "bias": made.bias[member, 0],
    }
    conv.load_state_dict(state)
    return conv


CHAIN = ([[0, -1], [1, 0], [2, 1], [3, 2]], [[0, 1, 2], [1, 2, 3]])
GENERAL = (  # node 4 hears three others, node 3 two, node 2 one from far back
    [[0, -1, -1, -1], [1, 0, -1, -1], [2, -1, 0, -1], [3, 1, 2, -1], [4, 0, 2, 3]],
    [[0, 0, 1, 2, 0, 2, 3], [1, 2, 3, 3, 4, 4, 4]],
)


@pytest.mark.parametrize(("sources", "edges"), [CHAIN, GENERAL], ids=["chain", "degree three"])
def test_gatv2_is_that_of_torch_geometric(sources: list[list[int]], edges: list[list[int]]) -> None:
    made, heard = layer(5, 6), torch.tensor(sources)
    num = len(sources)
    x = torch.randn(num, MEMBERS, 5, generator=torch.Generator().manual_seed(2))
    zero = torch.zeros(num, dtype=torch.int64)
    own = torch.where(heard >= 0, heard, torch.arange(num)[:, None])
    with torch.no_grad():
        out = made(x, Batch(zero, own, heard >= 0, zero, torch.ones(num, 1), torch.zeros(1, 0), torch.arange(num)[None]))
        for member in range(MEMBERS):
            expected = reference(made, member)(x[:, member], torch.tensor(edges))
            assert torch.allclose(out[:, member], expected, atol=1e-5)
    assert not torch.allclose(out[:, 0], out[:, 1], atol=1e-2)


@pytest.mark.parametrize("name", SPACES)
def test_gatv2_on_a_packed_batch_is_that_of_torch_geometric_on_each_graph(name: str) -> None:
    space = SPACES[name]
    graphs = make_graphs(with_holes(space, 9), space.spec)
    batch = Encoded.of(graphs, make_codebook(space.spec), np.zeros((9, 1))).batch(torch.arange(9))
    made, x = layer(5, 6), torch.randn(len(batch.graph), MEMBERS, 5, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        out, start = made(x, batch), 0
        for row in range(9):
            nodes = np.flatnonzero(graphs.mask[row]).tolist()
            pairs = [(s, n) for n in nodes for s in graphs.sources[row, n, 1:].tolist() if s != ABSENT]
            edges = torch.tensor([[nodes.index(s), nodes.index(n)] for s, n in pairs], dtype=torch.int64).reshape(-1, 2).T
            here = slice(start, start + len(nodes))
            start += len(nodes)
            for member in range(MEMBERS):
                assert torch.allclose(out[here, member], reference(made, member)(x[here, member], edges), atol=1e-5)
    assert start == len(x)


def with_holes(space: Space, num: int, seed: int = 0) -> np.ndarray:
    """Random architectures; of a cell's every second some operations are absent, as in a module alone."""
    codes, rng = space.sample(num, np.random.default_rng(seed)), np.random.default_rng(seed)
    if space.spec.reads:
        codes[::2] = np.where(rng.random((len(codes[::2]), codes.shape[1])) < 0.4, np.int16(ABSENT), codes[::2])
        codes[::2, 5] = 1
    return codes


class TestPacking:
    def test_chains_of_different_lengths_by_hand(self) -> None:
        space = flat_space()
        codes = np.array([[ABSENT, ABSENT, 1, 1, 1], [0, 0, 2, ABSENT, ABSENT], [ABSENT, ABSENT, 3, ABSENT, ABSENT]], np.int16)
        codebook, graphs = make_codebook(space.spec), chain_graphs(codes)
        structure = np.array([[1.0], [2.0], [3.0]])
        batch = Encoded.of(graphs, codebook, structure).batch(torch.tensor([2, 0, 1]))
        assert batch.graph.tolist() == [0, 1, 1, 1, 2, 2, 2]
        assert batch.sources.tolist() == [[0, 0], [1, 1], [2, 1], [3, 2], [4, 4], [5, 4], [6, 5]]
        assert batch.present.tolist() == [[True, k > 0] for k in (0, 0, 1, 2, 0, 1, 2)]
        assert batch.share[:, 0].tolist() == pytest.approx([1, *[1 / 3] * 6])
        assert batch.structure.tolist() == [[3.0], [1.0], [2.0]] and batch.num_graphs == 3
        encoding = codebook.encode(graphs)
        assert batch.categories[0].tolist() == encoding[2, 0].tolist()
        assert batch.categories[4:].tolist() == encoding[1].tolist()

    def test_a_cell_with_absent_operations_by_hand(self) -> None:
        """Only 0>1, 1>2 and 2>3 are there: nodes 0, 2, 5 and the three sums 6, 7, 8; then a whole cell of nine nodes."""
        spec = space_named("nas_bench_201").spec
        codes = np.array([[3, -1, 2, -1, -1, 1], [0, 1, 2, 3, 4, 0]], np.int16)
        batch = Encoded.of(make_graphs(codes, spec), make_codebook(spec), np.zeros((2, 1))).batch(torch.arange(2))
        assert batch.graph.tolist() == [0] * 6 + [1] * 9
        # Packed: 0>1 is 0, 1>2 is 1, 2>3 is 2, sums are 3, 4, 5. 1>2 hears 0>1; 2>3 hears 1>2 (0>2 is absent).
        heard = [{int(s) for s, p in zip(*pair, strict=True) if p} for pair in zip(batch.sources, batch.present, strict=True)]
        assert heard[:6] == [{0}, {1, 0}, {2, 1}, {3, 0}, {4, 1}, {5, 2}]
        assert heard[6:] == [{6}, {7}, {8, 6}, {9}, {10, 6}, {11, 7, 8}, {12, 6}, {13, 7, 8}, {14, 9, 10, 11}]
        own = batch.sources[:, :1].expand_as(batch.sources)
        assert torch.equal(batch.sources[:, 0], torch.arange(15))
        assert torch.equal(batch.sources[~batch.present], own[~batch.present])  # where there is none, itself
        assert batch.share[:, 0].tolist() == pytest.approx([1 / 6] * 6 + [1 / 9] * 9)

    @pytest.mark.parametrize("name", SPACES)
    def test_what_a_batch_says_of_a_graph_does_not_depend_on_the_others(self, name: str) -> None:
        space = SPACES[name]
        data = encoded(with_holes(space, 12), space.spec)
        alone = [data.batch(torch.tensor([row])) for row in range(12)]
        index = [7, 0, 11, 0, 3]
        together, start = data.batch(torch.tensor(index)), 0
        for place, row in enumerate(index):
            here = slice(start, start + len(alone[row].graph))
            assert (together.graph[here] == place).all()
            assert torch.equal(together.categories[here], alone[row].categories)
            assert torch.equal(together.sources[here] - start, alone[row].sources)
            assert torch.equal(together.present[here], alone[row].present)
            assert torch.equal(together.share[here], alone[row].share)
            assert torch.equal(together.structure[place], data.structure[row])
            start = here.stop
        assert start == len(together.graph) and len(data) == 12


class TestNodeNorm:
    def setup_method(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.x = 3 * torch.randn(20, MEMBERS, 4, generator=generator) + 1
        self.norm = NodeNorm(MEMBERS, 4)
        with torch.no_grad():
            self.norm.scale += torch.rand(self.norm.scale.shape, generator=generator)
            self.norm.shift += torch.rand(self.norm.shift.shape, generator=generator)

    def torch_norm(self, member: int) -> nn.BatchNorm1d:
        norm = nn.BatchNorm1d(4)
        state = {"weight": self.norm.scale[member, 0], "bias": self.norm.shift[member, 0]}
        state |= {"running_mean": self.norm.mean[member, 0], "running_var": self.norm.variance[member, 0]}
        norm.load_state_dict(state, strict=False)
        return norm

    def test_is_torchs_of_each_member(self) -> None:
        for mode in (True, False, True, False):
            expected = [self.torch_norm(member).train(mode)(self.x[:, member]) for member in range(MEMBERS)]
            out = self.norm.train(mode)(self.x)
            for member in range(MEMBERS):
                assert torch.allclose(out[:, member], expected[member], atol=1e-5)

    def test_running_statistics_are_those_of_each_member(self) -> None:
        self.norm.train()(self.x)
        for member in range(MEMBERS):
            assert torch.allclose(self.norm.mean[member, 0], 0.1 * self.x[:, member].mean(0), atol=1e-6)
            assert torch.allclose(self.norm.variance[member, 0], 0.9 + 0.1 * self.x[:, member].var(0), atol=1e-5)


def inputs(codes: np.ndarray, name: str = "nas_bench_macro") -> tuple[GraphEnsemble, Batch]:
    """A model with random weights everywhere and its inputs for some architectures."""
    spec = SPACES[name].spec
    weights = random_weights(spec, MEMBERS, seed=4, width=10)
    scale = weights.pop("structure_scale")
    model = GraphEnsemble(make_codebook(spec), MEMBERS, ModelConfig(width=10), scale.shape[1], seed=4)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    return model, every(encoded(codes, spec, scale))


def every(data: Encoded) -> Batch:
    return data.batch(torch.arange(len(data)))


def test_fe_mlp_gives_one_non_negative_number_a_feature() -> None:
    codebook = make_codebook(space_named("ofa_mbv3").spec)
    made = FeatureEmbedding(codebook, MEMBERS, 8, torch.Generator().manual_seed(5))
    with torch.no_grad():
        made.bias -= 2
    values = made.values()
    assert values.shape == (MEMBERS, len(codebook.values)) and bool((values > 0).all()) and bool((values < 0.5).any())
    categories = torch.tensor([[0, 3], [1, 2]])  # two nodes of two features
    expected = [[[values[m, a], values[m, b]] for m in range(MEMBERS)] for a, b in ((0, 3), (1, 2))]
    assert made(categories).tolist() == expected


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("training", [True, False])
def test_embeddings_are_non_negative_and_graph_norms_are_means_of_node_norms(name: str, training: bool) -> None:
    space = SPACES[name]
    model, given = inputs(with_holes(space, 30), name)
    model.train(training)
    with torch.no_grad():
        embeddings = model.node_embeddings(given)
        _, norms, nodes = model(given)
    assert [h.shape[-1] for h in embeddings] == [len(make_codebook(space.spec).names), 10, 10, 10, 10]
    assert all(torch.equal(a, b) for a, b in zip(nodes, embeddings, strict=True))
    for hop, h in enumerate(embeddings):
        assert bool((h >= 0).all()) and bool((h > 0).any())
        node_norms = h.abs().sum(-1)  # (nodes, members)
        mean = torch.stack([node_norms[given.graph == g].mean(0) for g in range(30)], 1)
        assert torch.allclose(norms[:, hop], mean, rtol=1e-4, atol=1e-5)


def test_order_of_graphs_and_padding_change_nothing() -> None:
    space = SPACES["flat"]
    codes = space.sample(12, np.random.default_rng(1))
    model, given = inputs(codes, "flat")
    graphs, codebook = chain_graphs(codes), make_codebook(space.spec)
    pad = ((0, 0), (0, 2))
    node = np.arange(graphs.positions.shape[1] + 2, dtype=np.int16)
    sources = np.broadcast_to(np.stack([node, node - 1], 1), (len(codes), len(node), 2))
    positions = np.pad(graphs.positions, pad, constant_values=ABSENT)
    padded = Graphs(positions, np.pad(graphs.tokens, pad, constant_values=ABSENT), sources)
    order = np.random.default_rng(2).permutation(len(codes))
    structure = given.structure.numpy().astype(float)
    for mode in (False, True):
        model.train(mode)
        with torch.no_grad():
            predicted, norms, _ = model(given)
            for other, index in ((padded, np.arange(len(codes))), (chain_graphs(codes[order]), order)):
                again, again_norms, _ = model(every(Encoded.of(other, codebook, structure[index])))
                assert torch.allclose(again, predicted[:, index], atol=1e-4)
                assert torch.allclose(again_norms, norms[:, :, index], rtol=1e-4)


def test_a_node_at_hop_m_sees_exactly_its_m_predecessors() -> None:
    codes = np.zeros((9, 8), np.int16)
    codes[np.arange(1, 9), np.arange(8)] = 2  # row r differs from row 0 at position r - 1 alone
    model, given = inputs(codes)
    with torch.no_grad():
        for hop, packed in enumerate(model.eval().node_embeddings(given)):
            h = packed[:, 0].reshape(9, 8, -1)
            moved = (h[1:] - h[:1]).abs().amax(-1) > 1e-6  # (changed position, node)
            distance = np.arange(8)[None] - np.arange(8)[:, None]
            assert not moved[torch.from_numpy((distance < 0) | (distance > hop))].any()
            assert moved.diagonal().all() and moved[torch.from_numpy(distance == hop)].any()


def test_structure_reaches_the_prediction_and_no_norm() -> None:
    model, given = inputs(SPACES["nas_bench_macro"].sample(16, np.random.default_rng(5)))
    with torch.no_grad():
        predicted, norms, _ = model.eval()(given)
        other = replace(given, structure=given.structure + 1)
        moved, same, _ = model(other)
    assert torch.equal(norms, same) and bool(((predicted - moved).abs() > 1e-3).all())


def test_members_do_not_mix() -> None:
    model, given = inputs(SPACES["nas_bench_macro"].sample(16, np.random.default_rng(3)))
    predicted, norms, _ = model.train()(given)
    (predicted[0].sum() + norms[0].sum()).backward()
    for name, parameter in model.named_parameters():
        gradient: Tensor | None = parameter.grad
        assert gradient is not None and not gradient[1].any(), name
        assert name.startswith("hops") or gradient[0].any(), name


def test_the_seed_decides_the_weights() -> None:
    codebook = make_codebook(SPACES["nas_bench_macro"].spec)
    states = [GraphEnsemble(codebook, MEMBERS, ModelConfig(width=8), 5, seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["hidden_weight"], states[2]["hidden_weight"])
