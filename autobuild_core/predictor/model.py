"""The AutoBuild predictor for a whole ensemble at once: FE-MLP, GATv2 hops, mean pooling, regressor.

All members are one tensor program over the same batch of graphs: node embeddings are (nodes, members, dim), nodes of all
graphs packed one behind the other without padding, and every parameter has a leading dimension of members. `forward.py`
repeats the forward pass in numpy (evaluation mode), which a test holds equal to this one.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autobuild_core.architectures.features import Codebook
from autobuild_core.architectures.graphs import MEAN, Graphs
from autobuild_core.architectures.records import ABSENT
from autobuild_core.predictor.forward import NEGATIVE_SLOPE, NORM_EPS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the predictor.

    Args:
        num_hops: M, message-passing layers (the paper's 4).
        width: dimension of node embeddings from hop 1 on.
        hidden: hidden units of each feature's own network.
        dropout: share of the last graph embedding dropped in training.
    """

    num_hops: int = 4
    width: int = 32
    hidden: int = 8
    dropout: float = 0.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Graphs with their nodes packed: no padding.

    Args:
        categories: (nodes, features) int64.
        sources: (nodes, degree) int64, indices of the nodes that a node hears, itself first; itself again where there is none.
        present: (nodes, degree) bool, where a source is real.
        graph: (nodes,) int64, the graph of each node.
        share: (nodes, 1) one divided by the number of nodes of its graph.
        structure: (graphs, dim) what each looks like as a whole, standardised.
        place: (graphs, padded nodes) int64, packed number of every node that is there.
        pooled: some node hears the mean of its graph; sources number these means behind the nodes, one a graph.
    """

    categories: Tensor
    sources: Tensor
    present: Tensor
    graph: Tensor
    share: Tensor
    structure: Tensor
    place: Tensor
    pooled: bool = False

    @property
    def num_graphs(self) -> int:
        """The number of graphs."""
        return len(self.structure)


@dataclass(frozen=True, eq=False)
class Encoded:
    """Graphs as padded tensors, from which batches are packed; see `Graphs` and `Codebook.encode`."""

    categories: Tensor
    sources: Tensor
    mask: Tensor
    structure: Tensor
    pooled: bool = False

    @classmethod
    def of(cls, graphs: Graphs, codebook: Codebook, structure: Array) -> "Encoded":
        """The tensors of a batch of graphs; structure is (graphs, dim), standardised."""
        sources = torch.from_numpy(graphs.sources.astype(np.int64))
        whole = torch.from_numpy(structure.astype(np.float32))
        pooled = bool((graphs.sources == MEAN).any())
        return cls(torch.from_numpy(codebook.encode(graphs)), sources, torch.from_numpy(graphs.mask), whole, pooled)

    def __len__(self) -> int:
        return len(self.mask)

    def batch(self, index: Tensor) -> Batch:
        """The graphs at (n,) row numbers, packed."""
        mask, sources = self.mask[index], self.sources[index]
        place = mask.flatten().cumsum(0).reshape(mask.shape) - 1  # packed number of every real node
        graph, node = mask.nonzero(as_tuple=True)
        heard = sources[graph, node]  # (nodes, degree)
        present = heard != ABSENT
        packed = place[graph[:, None], heard.clamp(min=0)]
        packed = torch.where(present, packed, packed[:, :1])
        if self.pooled:
            packed = torch.where(heard == MEAN, len(graph) + graph[:, None], packed)
        share = (1 / mask.sum(1).float())[graph, None]
        categories = self.categories[index][graph, node]
        return Batch(categories, packed, present, graph, share, self.structure[index], place, self.pooled)


def _normal(generator: torch.Generator, *shape: int, scale: float) -> nn.Parameter:
    return nn.Parameter(scale * torch.randn(*shape, generator=generator))


def _times(x: Tensor, weight: Tensor) -> Tensor:
    """(rows, members, in) times (members, in, out) -> (rows, members, out), each member by its own weight."""
    return torch.bmm(x.transpose(0, 1), weight).transpose(0, 1)


class FeatureEmbedding(nn.Module):
    """FE-MLP: every node feature has its own small network that ends in one non-negative number.

    A category's one-hot enters by a table; a number by a slope and an offset a hidden unit.

    Source: AutoBuild, section 3.1. A category enters as one-hot, so the first layer is a table. Ours: softplus in
    place of the absolute value, which keeps the order of the values and so the sign of an effect (docs/method.md,
    weakness 8).

    Shapes: categories (nodes, features) int64 -> (nodes, members, features).
    """

    def __init__(self, codebook: Codebook, members: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        num_categories, num_features = len(codebook.values), len(codebook.names)
        self.register_buffer("feature_of", torch.from_numpy(codebook.feature_of), persistent=False)
        self.table = _normal(generator, members, num_categories, hidden, scale=0.5)
        self.out = _normal(generator, members, num_features, hidden, scale=hidden**-0.5)
        self.bias = nn.Parameter(torch.zeros(members, num_features))
        self.register_buffer("numbers", torch.from_numpy(codebook.numbers.astype(np.float32)), persistent=False)
        self.numeric = bool(np.isfinite(codebook.numbers).any())
        if self.numeric:
            self.slope = _normal(generator, members, num_features, hidden, scale=1.0)
            self.offset = _normal(generator, members, num_features, hidden, scale=0.5)

    def values(self) -> Tensor:
        """(members, categories) the number of every category."""
        feature_of = self.get_buffer("feature_of")
        entering: Tensor = self.table
        if self.numeric:
            numbers = self.get_buffer("numbers")[:, None]
            line = numbers.nan_to_num() * self.slope[:, feature_of] + self.offset[:, feature_of]
            entering = torch.where(numbers.isnan(), self.table, line)
        raw = (torch.relu(entering) * self.out[:, feature_of]).sum(-1) + self.bias[:, feature_of]
        return nn.functional.softplus(raw)

    def forward(self, categories: Tensor) -> Tensor:
        per_feature = nn.functional.embedding(categories, self.values().T.contiguous())  # (nodes, features, members)
        return per_feature.transpose(1, 2)


class GATv2(nn.Module):
    """One GATv2 layer with self loops and one head, for all members at once.

    Source: Brody et al., "How Attentive are Graph Attention Networks?", ICLR 2022, equation 7; equal to PyG's
    GATv2Conv(in_dim, out_dim) with the same weights.

    Shapes: x (nodes, members, in_dim), batch of these nodes -> (nodes, members, out_dim).
    """

    def __init__(self, members: int, in_dim: int, out_dim: int, generator: torch.Generator) -> None:
        super().__init__()
        scale = (2 / (in_dim + out_dim)) ** 0.5
        self.weight_source = _normal(generator, members, in_dim, out_dim, scale=scale)
        self.weight_target = _normal(generator, members, in_dim, out_dim, scale=scale)
        self.bias_source = nn.Parameter(torch.zeros(members, 1, out_dim))
        self.bias_target = nn.Parameter(torch.zeros(members, 1, out_dim))
        self.attention = _normal(generator, members, out_dim, 1, scale=(2 / (1 + out_dim)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(members, 1, out_dim))

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        source = _times(x, self.weight_source) + self.bias_source.squeeze(1)  # (nodes, members, out_dim)
        target = _times(x, self.weight_target) + self.bias_target.squeeze(1)
        every = source
        if batch.pooled:
            means = source.new_zeros(batch.num_graphs, *source.shape[1:])
            every = torch.cat([source, means.index_add(0, batch.graph, source * batch.share[:, None])])
        heard = [source, *(every.index_select(0, batch.sources[:, k]) for k in range(1, batch.sources.shape[1]))]
        mixed = [nn.functional.leaky_relu(h + target, NEGATIVE_SLOPE) for h in heard]
        logits = torch.stack([_times(m, self.attention)[..., 0] for m in mixed], 2)  # (nodes, members, degree)
        weights = logits.masked_fill(~batch.present[:, None], float("-inf")).softmax(-1)
        out: Tensor = self.bias.squeeze(1)
        for k, h in enumerate(heard):
            out = torch.addcmul(out, weights[..., k, None], h)
        return out


class NodeNorm(nn.Module):
    """Batch norm over the nodes of each member. Shapes: (nodes, members, dim) -> the same."""

    mean: Tensor
    variance: Tensor

    def __init__(self, members: int, dim: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.scale = nn.Parameter(torch.ones(members, 1, dim))
        self.shift = nn.Parameter(torch.zeros(members, 1, dim))
        self.register_buffer("mean", torch.zeros(members, 1, dim))
        self.register_buffer("variance", torch.ones(members, 1, dim))

    def forward(self, x: Tensor) -> Tensor:
        running, affine = (self.mean.view(-1), self.variance.view(-1)), (self.scale.view(-1), self.shift.view(-1))
        flat = x.reshape(len(x), -1)
        normed = nn.functional.batch_norm(flat, *running, *affine, self.training, self.momentum, NORM_EPS)
        return normed.view(x.shape)


class GraphEnsemble(nn.Module):
    """The graph neural networks of the ensemble, one torch module with a leading dimension of members.

    Source: AutoBuild, section 3. Ours: a linear path from the graph embeddings of all hops to the prediction beside
    the regressor on the last.

    Args:
        codebook: the node features.
        members: size of the ensemble.
        config: sizes.
        num_structure: dimension of the structure features, which the regressor and the linear path see beside the embeddings.
        seed: initialisation.
    """

    def __init__(self, codebook: Codebook, members: int, config: ModelConfig, num_structure: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.config, self.members = config, members
        self.embedding = FeatureEmbedding(codebook, members, config.hidden, generator)
        dims = [len(codebook.names)] + [config.width] * config.num_hops
        self.hops = nn.ModuleList(GATv2(members, a, b, generator) for a, b in itertools.pairwise(dims))
        self.norms = nn.ModuleList(NodeNorm(members, dim) for dim in dims[1:])
        seen = config.width + num_structure
        self.hidden_weight = _normal(generator, members, seen, config.width, scale=seen**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(members, 1, config.width))
        self.out_weight = _normal(generator, members, config.width, 1, scale=config.width**-0.5)
        self.out_bias = nn.Parameter(torch.zeros(members, 1, 1))
        self.linear_weight = nn.Parameter(torch.zeros(members, sum(dims) + num_structure, 1))

    def node_embeddings(self, batch: Batch) -> list[Tensor]:
        """Node embeddings at hops 0..M, each (nodes, members, dim), non-negative."""
        h = self.embedding(batch.categories)
        out = [h]
        for index, (hop, norm) in enumerate(zip(self.hops, self.norms, strict=True)):
            fresh = torch.relu(norm(hop(h, batch)))
            h = fresh + h if index else fresh
            out.append(h)
        return out

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, list[Tensor]]:
        """(predicted (members, graphs), graph norms (members, hops + 1, graphs), node embeddings at every hop)."""
        pooled = []  # each (graphs, members, dim): the mean over a graph's nodes
        nodes = self.node_embeddings(batch)
        for h in nodes:
            sums = h.new_zeros(batch.num_graphs, self.members, h.shape[2])
            pooled.append(sums.index_add(0, batch.graph, h * batch.share[:, None]))
        norms = torch.stack([g.sum(-1).T for g in pooled], 1)
        last = nn.functional.dropout(pooled[-1], self.config.dropout, self.training)
        whole = batch.structure[:, None].expand(-1, self.members, -1)
        hidden = torch.relu(_times(torch.cat([last, whole], -1), self.hidden_weight) + self.hidden_bias.squeeze(1))
        predicted = _times(hidden, self.out_weight) + self.out_bias.squeeze(1)
        predicted = predicted + _times(torch.cat([*pooled, whole], -1), self.linear_weight)
        return predicted[..., 0].T, norms, nodes
