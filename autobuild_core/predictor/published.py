"""The published AutoBuild recipe, plainly, weaknesses included: the yardstick of `benchmark` and `replay`, used nowhere else.

Source: Mills et al., CVPR 2024, sections 3.1 to 3.4, arXiv 2403.13293, with the settings of its published code: one model, 200
epochs of batches of 128, AdamW at a fixed 1e-4 with weight decay 1e-5, gradient norm at most 5, width 32, four GATv2 hops,
lambda 1, no validation. Each weakness that it keeps has its number in docs/method.md, section 8. Assumed, because the paper
leaves it open: features are the unit, the index in the unit and the layer's attributes, each embedded in three numbers; the loss
goes backward once a step (the published code does so twice, which takes longer and adds the same gradient again).
"""

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn import BatchNorm, GATv2Conv, global_mean_pool

from autobuild_core.architectures.modules import ModuleGroup, module_codes
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.predictor.loss import pearson, soft_rank

EPOCHS, BATCH, RATE, DECAY, CLIP = 200, 128, 1e-4, 1e-5, 5.0
WIDTH, HOPS, EMBEDDED, LAMBDA, STRENGTH = 32, 4, 3, 1.0, 1.0

Array = NDArray[np.float64]


class Features:
    """Description of a node of the graph: its unit, its index in the unit and the attributes of its layer.

    Args:
        spec: the search space.
    """

    def __init__(self, spec: SpaceSpec) -> None:
        owner = [spec.unit_of(p) for p in range(spec.num_positions)]
        self.by_position = np.array([(u, spec.units[u].positions.index(p)) for p, u in enumerate(owner)])
        columns = list(spec.attributes.values()) or [spec.tokens]
        self.by_token = np.stack([np.unique(values, return_inverse=True)[1] for values in columns], 1)
        self.sizes = (*(self.by_position.max(0) + 1), *(self.by_token.max(0) + 1))

    def graph(self, row: Codes, target: float = 0.0) -> Data:
        """One row of codes as a chain."""
        positions = np.flatnonzero(row != ABSENT)
        x = np.concatenate([self.by_position[positions], self.by_token[row[positions]]], 1)
        edges = np.stack([np.arange(len(x) - 1), np.arange(1, len(x))])
        return Data(x=torch.from_numpy(x), edge_index=torch.from_numpy(edges), y=torch.tensor([target], dtype=torch.float32))


class Model(nn.Module):
    """FE-MLP, GATv2 hops with batch norm, ReLU and residual, mean pooling, regressor.

    Weakness 8: every FE-MLP is linear, and the absolute value of its one number hides the sign.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, EMBEDDED) for size in sizes)
        self.ends = nn.ModuleList(nn.Linear(EMBEDDED, 1) for _ in sizes)
        dims = [len(sizes)] + [WIDTH] * HOPS
        self.hops = nn.ModuleList(GATv2Conv(a, b) for a, b in itertools.pairwise(dims))
        self.norms = nn.ModuleList(BatchNorm(WIDTH) for _ in range(HOPS))
        layers: list[nn.Module] = [nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)]
        self.regressor = nn.Sequential(*layers)

    def nodes(self, data: Data) -> list[Tensor]:
        """Node embeddings (num_nodes, dim) at hops 0 to HOPS."""
        numbers = [end(table(data.x[:, i])) for i, (table, end) in enumerate(zip(self.tables, self.ends, strict=True))]
        out = [torch.cat(numbers, 1).abs()]
        for index, (hop, norm) in enumerate(zip(self.hops, self.norms, strict=True)):
            fresh = torch.relu(norm(hop(out[-1], data.edge_index)))
            out.append(fresh + out[-1] if index else fresh)
        return out

    def forward(self, data: Data) -> tuple[Tensor, Tensor]:
        """(predicted (num_graphs,), graph embedding norms (HOPS + 1, num_graphs))."""
        pooled = [global_mean_pool(h, data.batch) for h in self.nodes(data)]
        return self.regressor(pooled[-1])[:, 0], torch.stack([g.norm(1, dim=1) for g in pooled])


def loss(predicted: Tensor, norms: Tensor, target: Tensor, weight: float = LAMBDA) -> Tensor:
    """MSE + lambda * mean over hops of (1 - rho); weaknesses 1 and 2: rho of the raw target, at a fixed strength."""
    ranks = soft_rank(norms, STRENGTH)
    rho = pearson(ranks, target.expand_as(ranks))
    return ((predicted - target) ** 2).mean() + weight * (1 - rho).mean()


@dataclass(frozen=True, eq=False)
class Published:
    """A model trained by the published recipe; larger targets are better.

    Args:
        spec: the search space.
        features: of its nodes.
        model: in evaluation mode.
        target: (mean, standard deviation) that the model's output is scaled by.
        hops: (HOPS + 1, 2) mean and standard deviation of the norms of all nodes at a hop (weakness 3).
        moments: (unit index, depth) -> mean and standard deviation of the targets; weakness 4: (0, 1) where none was seen.
    """

    spec: SpaceSpec
    features: Features
    model: Model
    target: tuple[float, float]
    hops: Array
    moments: dict[tuple[int, int], tuple[float, float]]

    @torch.no_grad()
    def predict(self, codes: Codes) -> tuple[Array, Array]:
        """((n,) predicted targets, (HOPS + 1, n) graph embedding norms) of architectures."""
        graphs = [self.features.graph(row) for row in codes]
        parts = [self.model(batch) for batch in DataLoader(graphs, batch_size=1024)]
        predicted, norms = (torch.cat([part[i] for part in parts], -1).double().numpy() for i in (0, 1))
        return predicted * self.target[1] + self.target[0], norms

    @torch.no_grad()
    def norms(self, group: ModuleGroup, limit: int | None = None) -> Array:
        """(num_modules,) standardised norm of each module's last node at its hop; weakness 9: one module after another.

        Args:
            group: modules at the same positions.
            limit: score only the first so many.
        """
        hop = min(group.hop, HOPS)
        mean, spread = self.hops[hop]
        out = []
        for row in module_codes(group, self.spec.num_positions)[:limit]:
            norm = float(self.model.nodes(self.features.graph(row))[hop][-1].norm(1))
            out.append((norm - mean) / spread)
        return np.array(out)

    def score(self, group: ModuleGroup, limit: int | None = None) -> Array:
        """(num_modules,) scores of whole-unit modules: the norm, scaled to the targets of the unit at that depth."""
        assert group.unit is not None
        mean, spread = self.moments.get((group.unit, len(group.positions)), (0.0, 1.0))
        return self.norms(group, limit) * spread + mean


def build(spec: SpaceSpec, groups: list[ModuleGroup], scores: list[Array], top_k: int, num: int) -> Codes:
    """(num, num_positions) combinations of the top K modules of each unit with the largest sums of scores.

    Weaknesses 6 and 9: the sum ignores interaction, and all products are made.
    """
    choices = best_modules(spec, groups, scores, top_k)
    products = sorted(itertools.product(*choices), key=lambda parts: -sum(score for score, _ in parts))[:num]
    codes = np.full((len(products), spec.num_positions), ABSENT, np.int16)
    for row, parts in zip(codes, products, strict=True):
        for unit, (_, layers) in zip(spec.units, parts, strict=True):
            row[list(unit.positions)] = layers
    return codes


def best_modules(spec: SpaceSpec, groups: list[ModuleGroup], scores: list[Array], top_k: int) -> list[list[tuple[float, Codes]]]:
    """The top K modules of each unit, best first: (score, (positions of the unit,) layers)."""
    choices = []
    for index, unit in enumerate(spec.units):
        ranked = [
            (score, row[list(unit.positions)])
            for group, values in zip(groups, scores, strict=True)
            if group.unit == index
            for score, row in zip(values.tolist(), module_codes(group, spec.num_positions), strict=True)
        ]
        choices.append(sorted(ranked, key=lambda pair: -pair[0])[:top_k])
    return choices


def train(spec: SpaceSpec, codes: Codes, target: Array, seed: int = 0, epochs: int = EPOCHS, weight: float = LAMBDA) -> Published:
    """The published recipe on evaluated architectures.

    Args:
        spec: their space.
        codes: (n, num_positions).
        target: (n,) larger is better.
        seed: of initialisation and batches.
        epochs: weakness 12: a number of epochs whatever the data's size, no validation.
        weight: lambda.
    """
    torch.manual_seed(seed)
    features = Features(spec)
    mean, spread = float(target.mean()), max(float(target.std()), 1e-12)
    graphs = [features.graph(row, value) for row, value in zip(codes, (target - mean) / spread, strict=True)]
    model = Model(features.sizes)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    loader = DataLoader(graphs, batch_size=BATCH, shuffle=True)
    for _ in range(epochs):
        for batch in loader:
            predicted, norms = model(batch)
            optimiser.zero_grad()
            loss(predicted, norms, batch.y, weight).backward()
            nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
    model.eval()
    return Published(spec, features, model, (mean, spread), _hop_moments(model, graphs), unit_moments(spec, codes, target))


@torch.no_grad()
def _hop_moments(model: Model, graphs: list[Data]) -> Array:
    """(HOPS + 1, 2) mean and standard deviation of the norms of all nodes at each hop."""
    norms = [torch.stack([h.norm(1, dim=1) for h in model.nodes(batch)]) for batch in DataLoader(graphs, batch_size=1024)]
    spread, mean = torch.std_mean(torch.cat(norms, 1), dim=1)
    moments: Array = torch.stack([mean, spread], 1).double().numpy()
    return moments


def unit_moments(spec: SpaceSpec, codes: Codes, target: Array) -> dict[tuple[int, int], tuple[float, float]]:
    """(unit index, depth) -> mean and standard deviation of the targets of the architectures whose unit has that depth."""
    found = {}
    for index, unit in enumerate(spec.units):
        depths = (codes[:, list(unit.positions)] != ABSENT).sum(1)
        for depth in np.unique(depths).tolist():
            values = target[depths == depth]
            found[index, depth] = float(values.mean()), float(values.std())
    return found
