"""The batched layers against torch_geometric and torch, and what the method promises of node embeddings."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GATv2Conv

from autobuild_core.features import make_codebook
from autobuild_core.graphs import Graphs, chain_graphs
from autobuild_core.model import FeatureEmbedding, GATv2, MaskedNorm, ModelConfig, Predictor
from autobuild_core.records import ABSENT
from autobuild_core.spaces import space_named
from autobuild_core.training import encode
from tests.learning import disturbed, flat_space

MEMBERS = 2


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
    x = torch.randn(MEMBERS, len(sources), 5, generator=torch.Generator().manual_seed(2))
    every = heard.expand(MEMBERS, *heard.shape)
    with torch.no_grad():
        out = made(x, every.clamp(min=0), every >= 0)
        for member in range(MEMBERS):
            expected = reference(made, member)(x[member], torch.tensor(edges))
            assert torch.allclose(out[member], expected, atol=1e-5)
    assert not torch.allclose(out[0], out[1], atol=1e-2)


class TestMaskedNorm:
    def setup_method(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.x = 3 * torch.randn(MEMBERS, 20, 4, generator=generator) + 1
        self.mask = (torch.rand(MEMBERS, 20, 1, generator=generator) < 0.6).float()
        self.norm = MaskedNorm(MEMBERS, 4)
        with torch.no_grad():
            self.norm.scale += torch.rand(self.norm.scale.shape, generator=generator)
            self.norm.shift += torch.rand(self.norm.shift.shape, generator=generator)

    def torch_norm(self, member: int) -> nn.BatchNorm1d:
        norm = nn.BatchNorm1d(4)
        state = {"weight": self.norm.scale[member, 0], "bias": self.norm.shift[member, 0]}
        state |= {"running_mean": self.norm.mean[member, 0], "running_var": self.norm.variance[member, 0]}
        norm.load_state_dict(state, strict=False)
        return norm

    def test_is_torchs_on_the_real_nodes(self) -> None:
        for mode in (True, False, True, False):
            expected = []
            for member in range(MEMBERS):
                expected.append(self.torch_norm(member).train(mode)(self.x[member][self.mask[member, :, 0] > 0]))
            out = self.norm.train(mode)(self.x, self.mask)
            for member in range(MEMBERS):
                assert torch.allclose(out[member][self.mask[member, :, 0] > 0], expected[member], atol=1e-5)

    def test_running_statistics_are_those_of_the_real_nodes(self) -> None:
        self.norm.train()(self.x, self.mask)
        for member in range(MEMBERS):
            real = self.x[member][self.mask[member, :, 0] > 0]
            assert torch.allclose(self.norm.mean[member, 0], 0.1 * real.mean(0), atol=1e-6)
            assert torch.allclose(self.norm.variance[member, 0], 0.9 + 0.1 * real.var(0, correction=0), atol=1e-5)

    def test_padded_nodes_change_nothing(self) -> None:
        first = self.norm.train()(self.x, self.mask) * self.mask
        changed = self.x + 100 * (1 - self.mask)
        assert torch.allclose(self.norm(changed, self.mask) * self.mask, first, atol=1e-6)


def inputs(codes: np.ndarray, space_name: str = "nas_bench_macro") -> tuple[Predictor, tuple[Tensor, Tensor, Tensor]]:
    """A model with random weights everywhere and its inputs for some architectures."""
    space = space_named(space_name) if space_name != "flat" else flat_space()
    codebook = make_codebook(space.spec)
    model = Predictor(codebook, MEMBERS, ModelConfig(width=10), seed=4)
    state = {name: torch.from_numpy(disturbed(name, w.numpy(), 4)) for name, w in model.state_dict().items()}
    model.load_state_dict(state)
    return model, batch(chain_graphs(codes), codebook)


def batch(graphs: Graphs, codebook: object) -> tuple[Tensor, Tensor, Tensor]:
    data = encode(graphs, codebook, np.zeros(len(graphs)), np.zeros(len(graphs), np.int64))  # type: ignore[arg-type]
    return data.batch(torch.arange(len(graphs)).expand(MEMBERS, -1))


def test_fe_mlp_gives_one_non_negative_number_a_feature() -> None:
    codebook = make_codebook(space_named("ofa_mbv3").spec)
    made = FeatureEmbedding(codebook, MEMBERS, 8, torch.Generator().manual_seed(5))
    with torch.no_grad():
        made.bias -= 2
    values = made.values()
    assert values.shape == (MEMBERS, len(codebook.values)) and bool((values > 0).all()) and bool((values < 0.5).any())
    categories = torch.tensor([[[[0, 3]]], [[[1, 2]]]])
    assert made(categories).tolist() == [[[[values[0, 0], values[0, 3]]]], [[[values[1, 1], values[1, 2]]]]]


@pytest.mark.parametrize("name", ["nas_bench_macro", "flat"])
@pytest.mark.parametrize("training", [True, False])
def test_embeddings_are_non_negative_and_graph_norms_are_means_of_node_norms(name: str, training: bool) -> None:
    space = space_named(name) if name != "flat" else flat_space()
    model, given = inputs(space.sample(30, np.random.default_rng(0)), name)
    model.train(training)
    with torch.no_grad():
        embeddings = model.node_embeddings(*given)
        _, norms = model(*given)
    mask = given[2]
    assert [h.shape[-1] for h in embeddings] == [len(make_codebook(space.spec).names), 10, 10, 10, 10]
    for hop, h in enumerate(embeddings):
        assert bool((h >= 0).all()) and bool((h > 0).any())
        node_norms = h.abs().sum(-1)
        mean = torch.stack(
            [torch.stack([n[m].mean() for n, m in zip(*pair, strict=True)]) for pair in zip(node_norms, mask, strict=True)]
        )
        assert torch.allclose(norms[:, hop], mean, rtol=1e-4, atol=1e-5)


def test_order_of_graphs_and_padding_change_nothing() -> None:
    codes = flat_space().sample(12, np.random.default_rng(1))
    model, given = inputs(codes, "flat")
    model.eval()
    graphs = chain_graphs(codes)
    pad = ((0, 0), (0, 2))
    node = np.arange(graphs.positions.shape[1] + 2, dtype=np.int16)
    sources = np.broadcast_to(np.stack([node, node - 1], 1), (len(codes), len(node), 2))
    positions = np.pad(graphs.positions, pad, constant_values=ABSENT)
    padded = Graphs(positions, np.pad(graphs.tokens, pad, constant_values=ABSENT), sources)
    order = np.random.default_rng(2).permutation(len(codes))
    codebook = make_codebook(flat_space().spec)
    for mode in (False, True):
        model.train(mode)
        with torch.no_grad():
            predicted, norms = model(*given)
            for other, index in ((padded, np.arange(len(codes))), (chain_graphs(codes[order]), order)):
                again, again_norms = model(*batch(other, codebook))
                assert torch.allclose(again, predicted[:, index], atol=1e-4)
                assert torch.allclose(again_norms, norms[:, :, index], rtol=1e-4)


def test_a_node_at_hop_m_sees_exactly_its_m_predecessors() -> None:
    codes = np.zeros((9, 8), np.int16)
    codes[np.arange(1, 9), np.arange(8)] = 2  # row r differs from row 0 at position r - 1 alone
    model, given = inputs(codes)
    with torch.no_grad():
        for hop, h in enumerate(model.eval().node_embeddings(*given)):
            moved = (h[0, 1:] - h[0, :1]).abs().amax(-1) > 1e-6  # (changed position, node)
            distance = np.arange(8)[None] - np.arange(8)[:, None]
            assert not moved[torch.from_numpy((distance < 0) | (distance > hop))].any()
            assert moved.diagonal().all() and moved[torch.from_numpy(distance == hop)].any()


def test_members_do_not_mix() -> None:
    model, given = inputs(space_named("nas_bench_macro").sample(16, np.random.default_rng(3)))
    predicted, norms = model.train()(*given)
    (predicted[0].sum() + norms[0].sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and not parameter.grad[1].any(), name
        assert name.startswith("hops") or parameter.grad[0].any(), name


def test_the_seed_decides_the_weights() -> None:
    codebook = make_codebook(space_named("nas_bench_macro").spec)
    config = replace(ModelConfig(), width=8)
    states = [Predictor(codebook, MEMBERS, config, seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["hidden_weight"], states[2]["hidden_weight"])
