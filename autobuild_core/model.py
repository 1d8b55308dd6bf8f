"""The AutoBuild predictor for a whole ensemble at once: FE-MLP, GATv2 hops, mean pooling, regressor.

Every parameter has a leading dimension of members; all members are one tensor program. `network.py` repeats the
forward pass in numpy (evaluation mode), which a test holds equal to this one.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autobuild_core.features import Codebook
from autobuild_core.network import NEGATIVE_SLOPE, NORM_EPS


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


def _normal(generator: torch.Generator, *shape: int, scale: float) -> nn.Parameter:
    return nn.Parameter(scale * torch.randn(*shape, generator=generator))


class FeatureEmbedding(nn.Module):
    """FE-MLP: every node feature has its own small network that ends in one non-negative number.

    Source: AutoBuild, section 3.1. A category enters as one-hot, so the first layer is a table. Ours: softplus in
    place of the absolute value, which keeps the order of the values and so the sign of an effect (method.md,
    weakness 8).

    Shapes: categories (members, batch, nodes, features) int64 -> (members, batch, nodes, features).
    """

    def __init__(self, codebook: Codebook, members: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        num_categories, num_features = len(codebook.values), len(codebook.names)
        self.register_buffer("feature_of", torch.from_numpy(codebook.feature_of), persistent=False)
        self.table = _normal(generator, members, num_categories, hidden, scale=0.5)
        self.out = _normal(generator, members, num_features, hidden, scale=hidden**-0.5)
        self.bias = nn.Parameter(torch.zeros(members, num_features))

    def values(self) -> Tensor:
        """(members, categories) the number of every category."""
        feature_of = self.get_buffer("feature_of")
        raw = (torch.relu(self.table) * self.out[:, feature_of]).sum(-1) + self.bias[:, feature_of]
        return nn.functional.softplus(raw)

    def forward(self, categories: Tensor) -> Tensor:
        members = len(categories)
        return self.values().gather(1, categories.reshape(members, -1)).reshape(categories.shape)


class GATv2(nn.Module):
    """One GATv2 layer with self loops and one head, for all members at once.

    Source: Brody et al., "How Attentive are Graph Attention Networks?", ICLR 2022, equation 7; equal to PyG's
    GATv2Conv(in_dim, out_dim) with the same weights.

    Shapes: x (members, graphs * nodes, in_dim), sources (members, graphs * nodes, degree) int64 flat indices, itself first,
    present (members, graphs * nodes, degree) bool -> (members, graphs * nodes, out_dim).
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

    def forward(self, x: Tensor, sources: Tensor, present: Tensor) -> Tensor:
        members, num_nodes, degree = sources.shape
        source = torch.baddbmm(self.bias_source, x, self.weight_source)  # (members, nodes, out_dim)
        target = torch.baddbmm(self.bias_target, x, self.weight_target)
        rows, flat = torch.arange(members)[:, None] * num_nodes, source.reshape(members * num_nodes, -1)
        heard = [source]  # a node hears itself first
        for k in range(1, degree):
            heard.append(flat.index_select(0, (sources[..., k] + rows).flatten()).reshape(source.shape))
        mixed = [nn.functional.leaky_relu(x + target, NEGATIVE_SLOPE) for x in heard]
        logits = torch.cat([torch.bmm(x, self.attention) for x in mixed], 2)  # (members, nodes, degree)
        weights = logits.masked_fill(~present, float("-inf")).softmax(-1)
        out: Tensor = self.bias
        for k, x in enumerate(heard):
            out = torch.addcmul(out, weights[..., k, None], x)
        return out


class MaskedNorm(nn.Module):
    """Batch norm over the real nodes of each member. Shapes: x (members, nodes, dim), mask (members, nodes, 1)."""

    mean: Tensor
    variance: Tensor

    def __init__(self, members: int, dim: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.momentum = momentum
        self.scale = nn.Parameter(torch.ones(members, 1, dim))
        self.shift = nn.Parameter(torch.zeros(members, 1, dim))
        self.register_buffer("mean", torch.zeros(members, 1, dim))
        self.register_buffer("variance", torch.ones(members, 1, dim))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        mean, variance = self.mean, self.variance
        if self.training:
            count = mask.sum(1, keepdim=True)
            mean = (x * mask).sum(1, keepdim=True) / count
            variance = ((x - mean) * mask).square().sum(1, keepdim=True) / count
            with torch.no_grad():
                self.mean.lerp_(mean, self.momentum)
                self.variance.lerp_(variance, self.momentum)
        factor = (variance + NORM_EPS).rsqrt() * self.scale
        return torch.addcmul(self.shift - mean * factor, x, factor)


class Predictor(nn.Module):
    """The ensemble of AutoBuild predictors.

    Source: AutoBuild, section 3. Ours: a linear path from the graph embeddings of all hops to the prediction beside
    the regressor on the last.

    Args:
        codebook: the node features.
        members: size of the ensemble.
        config: sizes.
        seed: initialisation.
    """

    def __init__(self, codebook: Codebook, members: int, config: ModelConfig, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.config = config
        self.embedding = FeatureEmbedding(codebook, members, config.hidden, generator)
        dims = [len(codebook.names)] + [config.width] * config.num_hops
        self.hops = nn.ModuleList(GATv2(members, a, b, generator) for a, b in itertools.pairwise(dims))
        self.norms = nn.ModuleList(MaskedNorm(members, dim) for dim in dims[1:])
        self.hidden_weight = _normal(generator, members, config.width, config.width, scale=config.width**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(members, 1, config.width))
        self.out_weight = _normal(generator, members, config.width, 1, scale=config.width**-0.5)
        self.out_bias = nn.Parameter(torch.zeros(members, 1, 1))
        self.linear_weight = nn.Parameter(torch.zeros(members, sum(dims), 1))

    def node_embeddings(self, categories: Tensor, sources: Tensor, mask: Tensor) -> list[Tensor]:
        """Node embeddings at hops 0..M, each (members, graphs, nodes, dim), non-negative.

        Args:
            categories: (members, graphs, nodes, features) int64.
            sources: (members, graphs, nodes, degree) int64, -1 where none.
            mask: (members, graphs, nodes) bool.
        """
        members, graphs, nodes, degree = sources.shape
        offset = (torch.arange(graphs) * nodes)[:, None, None]
        present = (sources >= 0).reshape(members, graphs * nodes, degree)
        flat = (sources.clamp(min=0) + offset).reshape(members, graphs * nodes, degree)
        keep = mask.reshape(members, graphs * nodes, 1).float()
        h = self.embedding(categories).reshape(members, graphs * nodes, -1)
        out = [h]
        for index, (hop, norm) in enumerate(zip(self.hops, self.norms, strict=True)):
            fresh = torch.relu(norm(hop(h, flat, present), keep))
            h = fresh + h if index else fresh
            out.append(h)
        return [x.reshape(members, graphs, nodes, -1) for x in out]

    def forward(self, categories: Tensor, sources: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(predicted (members, graphs), graph embedding norms (members, hops + 1, graphs))."""
        weight = (mask / mask.sum(2, keepdim=True).clamp(min=1))[..., None]
        embeddings = self.node_embeddings(categories, sources, mask)
        pooled = [(h * weight).sum(2) for h in embeddings]  # each (members, graphs, dim)
        norms = torch.stack([g.sum(-1) for g in pooled], 1)
        last = nn.functional.dropout(pooled[-1], self.config.dropout, self.training)
        hidden = torch.relu(torch.baddbmm(self.hidden_bias, last, self.hidden_weight))
        predicted = torch.baddbmm(self.out_bias, hidden, self.out_weight)
        predicted = predicted + torch.bmm(torch.cat(pooled, -1), self.linear_weight)
        return predicted[..., 0], norms
