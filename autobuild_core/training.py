"""Training the ensemble: every member holds out one fold of the networks, which judges it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr
from torch import Tensor

from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.features import Codebook
from autobuild_core.graphs import Graphs
from autobuild_core.loss import autobuild_loss
from autobuild_core.model import ModelConfig, Predictor

MIN_NETWORKS = 10
REPORT_SECONDS = 1.0
MAX_HELD_OUT_SHOWN = 128  # held-out architectures a member is judged on while it trains
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training; `for_size` gives the defaults for a data set.

    Args:
        members: size of the ensemble, and number of folds.
        steps: gradient steps. Method.md, weakness 12: a budget in steps, not epochs.
        batch_size: architectures a member sees in a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        spearman_weight: lambda of the loss.
        clip: largest gradient norm, per member on average (one norm for all, times the root of their number).
        seed: of folds, batches and initialisation.
        threads: of torch.
    """

    members: int = 10
    steps: int = 250
    batch_size: int = 128
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    spearman_weight: float = 1.0
    clip: float = 5.0
    seed: int = 0
    threads: int = 2
    model: ModelConfig = field(default_factory=ModelConfig)

    @classmethod
    def for_size(cls, num_networks: int, **given: Any) -> "TrainConfig":
        """The defaults for a number of networks.

        Ten members with dropout up to 1,000 networks, five without beyond; 200 steps and one more for every five
        networks, at most 800.
        """
        few = num_networks <= 1000
        model = ModelConfig(dropout=0.3 if few else 0.0)
        chosen = cls(members=10 if few else 5, steps=min(800, 200 + num_networks // 5), model=model)
        return replace(chosen, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, eq=False)
class Data:
    """Encoded architectures.

    Args:
        categories: (n, nodes, features) int64.
        sources: (n, nodes, degree) int64.
        mask: (n, nodes) bool.
        scores: (n,) targets as normal scores.
        fold: (n,) the member that does not see the row.
    """

    categories: Tensor
    sources: Tensor
    mask: Tensor
    scores: NDArray[np.float64]
    fold: NDArray[np.int64]

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The model's inputs for (members, batch) row numbers."""
        return self.categories[index], self.sources[index], self.mask[index]


def split_folds(networks: NDArray[np.uint64], num_folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) fold of every row; rows of one network are in one fold, so that no twin leaks.

    Raises:
        ConfigError: fewer than MIN_NETWORKS distinct networks, or than folds.
    """
    distinct, inverse = np.unique(networks, return_inverse=True)
    needed = max(MIN_NETWORKS, num_folds)
    if len(distinct) < needed:
        raise ConfigError(f"data: got {len(distinct)} distinct networks with a target, expected at least {needed}.")
    fold_of = np.empty(len(distinct), np.int64)
    fold_of[rng.permutation(len(distinct))] = np.arange(len(distinct)) % num_folds
    return fold_of[inverse]


def encode(graphs: Graphs, codebook: Codebook, scores: NDArray[np.float64], fold: NDArray[np.int64]) -> Data:
    """Graphs as tensors."""
    categories = torch.from_numpy(codebook.encode(graphs))
    sources = torch.from_numpy(graphs.sources.astype(np.int64))
    return Data(categories, sources, torch.from_numpy(graphs.mask), scores, fold)


def train_ensemble(
    data: Data, codebook: Codebook, config: TrainConfig, report: Report, should_stop: Callable[[], bool]
) -> Predictor:
    """The trained ensemble, in evaluation mode.

    Args:
        data: encoded architectures; member m never sees those of fold m.
        codebook: their features.
        config: settings.
        report: called about once a second with step, loss, held-out SRCC of the prediction and per hop, time left.
        should_stop: asked at every step.

    Raises:
        Cancelled: should_stop said so.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = Predictor(codebook, config.members, config.model, config.seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
    seen = [np.flatnonzero(data.fold != member) for member in range(config.members)]
    batch_size = min(config.batch_size, *(len(rows) for rows in seen))
    start = reported = time.monotonic()
    for step in range(1, config.steps + 1):
        if should_stop():
            raise Cancelled
        index = np.stack([rng.choice(rows, batch_size, replace=False) for rows in seen])
        target = data.scores[index]
        ranks = torch.from_numpy(rankdata(target, axis=1)).float()
        predicted, norms = model(*data.batch(torch.from_numpy(index)))
        losses = autobuild_loss(predicted, torch.from_numpy(target).float(), ranks, norms, config.spearman_weight)
        optimiser.zero_grad()
        losses.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip * config.members**0.5)
        optimiser.step()
        schedule.step()
        now = time.monotonic()
        if now - reported >= REPORT_SECONDS or step in (1, config.steps):
            reported = now
            held_out = _held_out_srcc(model, data, config.members)
            left = (now - start) / step * (config.steps - step)
            record = {"step": step, "num_steps": config.steps, "loss": float(losses.detach().mean())}
            report(record | held_out | {"seconds": now - start, "seconds_left": left, "phase": "training"})
    return model.eval()


@torch.no_grad()
def _held_out_srcc(model: Predictor, data: Data, members: int) -> dict[str, Any]:
    """{"srcc", "hop_srcc"}: means over members of the Spearman correlation on (a part of) each one's own fold."""
    held = [np.flatnonzero(data.fold == member) for member in range(members)]
    size = min(MAX_HELD_OUT_SHOWN, *(len(rows) for rows in held))
    if size < 3:
        return {"srcc": None, "hop_srcc": []}
    index = np.stack([rows[:size] for rows in held])
    model.eval()
    predicted, norms = model(*data.batch(torch.from_numpy(index)))
    model.train()
    target = data.scores[index]
    srcc = [spearmanr(p, t).statistic for p, t in zip(predicted.numpy(), target, strict=True)]
    hops = [[spearmanr(n, t).statistic for n in per_hop] for per_hop, t in zip(norms.numpy(), target, strict=True)]
    return {"srcc": float(np.nanmean(srcc)), "hop_srcc": np.nanmean(hops, axis=0).tolist()}
