"""Training the ensemble: every member holds out one fold of the networks, which judges it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, spearmanr

from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.features import Codebook
from autobuild_core.loss import autobuild_loss
from autobuild_core.model import Encoded, ModelConfig, Predictor

MIN_NETWORKS = 10
REPORT_SECONDS = 1.0
MAX_HELD_OUT_SHOWN = 500  # held-out architectures that the members are judged on while they train
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training; `for_size` gives the defaults for a data set.

    Args:
        members: size of the ensemble, and number of folds.
        steps: gradient steps. Method.md, weakness 12: a budget in steps, not epochs.
        batch_size: architectures of a step; each member leaves its own fold of them out.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        spearman_weight: lambda of the loss.
        clip: largest gradient norm, per member on average (one norm for all, times the root of their number).
        seed: of folds, batches and initialisation.
        threads: of torch.
    """

    members: int = 10
    steps: int = 250
    batch_size: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 0.1
    spearman_weight: float = 1.0
    clip: float = 5.0
    seed: int = 0
    threads: int = 2
    model: ModelConfig = field(default_factory=ModelConfig)

    @classmethod
    def for_size(cls, num_networks: int, **given: Any) -> "TrainConfig":
        """The defaults for a number of networks.

        Up to 1,000 networks ten members, beside the solved half; beyond, four that learn alone, faster and for longer.
        """
        if num_networks <= 1000:
            chosen = cls(steps=250 + num_networks // 4, model=ModelConfig(dropout=0.15))
        else:
            chosen = cls(members=4, steps=min(900, 500 + num_networks // 30), learning_rate=0.02, model=ModelConfig(width=24))
        return replace(chosen, **{name: value for name, value in given.items() if value is not None})


class FoldedBatches:
    """Batches with equally many rows of every fold, so that all members can share one: member m leaves out those of fold m.

    Args:
        fold: (n,) fold of every row.
        num_folds: how many, each with at least one row.
        size: rows of a batch, about.
        rng: draws them; every row once before any comes again.
    """

    def __init__(self, fold: NDArray[np.int64], num_folds: int, size: int, rng: np.random.Generator) -> None:
        self._rows = [np.flatnonzero(fold == k) for k in range(num_folds)]
        self._left: list[NDArray[np.int64]] = [np.zeros(0, np.int64)] * num_folds
        self._rng = rng
        self.per_fold = max(1, min(round(size / num_folds), *(len(rows) for rows in self._rows)))
        own = np.arange(num_folds)[:, None] != np.repeat(np.arange(num_folds), self.per_fold)
        self.seen = np.stack([np.flatnonzero(mask) for mask in own])  # (members, rows that a member learns from)

    def draw(self) -> NDArray[np.int64]:
        """(num_folds * per_fold,) row numbers, fold by fold."""
        parts = []
        for k, rows in enumerate(self._rows):
            if len(self._left[k]) < self.per_fold:
                fresh = self._rng.permutation(rows)
                again = np.isin(fresh, self._left[k])  # what is left comes first, and not twice in one batch
                self._left[k] = np.concatenate([self._left[k], fresh[~again], fresh[again]])
            parts.append(self._left[k][: self.per_fold])
            self._left[k] = self._left[k][self.per_fold :]
        return np.concatenate(parts)


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


def train_ensemble(
    data: Encoded,
    scores: NDArray[np.float64],
    fold: NDArray[np.int64],
    codebook: Codebook,
    config: TrainConfig,
    report: Report,
    should_stop: Callable[[], bool],
) -> Predictor:
    """The trained ensemble, in evaluation mode.

    Args:
        data: encoded architectures.
        scores: (n,) their targets as normal scores.
        fold: (n,) the member that does not learn from each.
        codebook: their features.
        config: settings.
        report: called about once a second with step, loss, held-out SRCC of the prediction and per hop, time left.
        should_stop: asked at every step.

    Raises:
        Cancelled: should_stop said so.
    """
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    model = Predictor(codebook, config.members, config.model, data.structure.shape[1], config.seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
    batches = FoldedBatches(fold, config.members, config.batch_size, np.random.default_rng(config.seed))
    seen = torch.from_numpy(batches.seen)
    start = reported = time.monotonic()
    for step in range(1, config.steps + 1):
        if should_stop():
            raise Cancelled
        index = batches.draw()
        target = scores[index][batches.seen]
        ranks = torch.from_numpy(rankdata(target, axis=1)).float()
        predicted, norms = model(data.batch(torch.from_numpy(index)))
        predicted, norms = predicted.gather(1, seen), norms.gather(2, seen[:, None].expand(-1, norms.shape[1], -1))
        losses = autobuild_loss(predicted, torch.from_numpy(target).float(), ranks, norms, config.spearman_weight)
        optimiser.zero_grad()
        losses.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip * config.members**0.5)
        optimiser.step()
        schedule.step()
        now = time.monotonic()
        if now - reported >= REPORT_SECONDS or step in (1, config.steps):
            reported = now
            held_out = _held_out_srcc(model, data, scores, fold)
            left = (now - start) / step * (config.steps - step)
            record = {"step": step, "num_steps": config.steps, "loss": float(losses.detach().mean())}
            report(record | held_out | {"seconds": now - start, "seconds_left": left, "phase": "training"})
    return model.eval()


@torch.no_grad()
def _held_out_srcc(model: Predictor, data: Encoded, scores: NDArray[np.float64], fold: NDArray[np.int64]) -> dict[str, Any]:
    """{"srcc", "hop_srcc"}: means over members of the Spearman correlation on (a part of) each one's own fold."""
    held = [np.flatnonzero(fold == member) for member in range(model.members)]
    size = min(MAX_HELD_OUT_SHOWN // model.members, *(len(rows) for rows in held))
    if size < 3:
        return {"srcc": None, "hop_srcc": []}
    index = np.concatenate([rows[:size] for rows in held])
    model.eval()
    predicted, norms = model(data.batch(torch.from_numpy(index)))
    model.train()
    own = np.arange(len(index)).reshape(model.members, size)
    target, member = scores[index][own], np.arange(model.members)[:, None]
    srcc = [spearmanr(p, t).statistic for p, t in zip(predicted.numpy()[member, own], target, strict=True)]
    per_hop = norms.numpy()[member[..., None], np.arange(norms.shape[1])[None, :, None], own[:, None]]
    hops = [[spearmanr(n, t).statistic for n in rows] for rows, t in zip(per_hop, target, strict=True)]
    return {"srcc": float(np.nanmean(srcc)), "hop_srcc": np.nanmean(hops, axis=0).tolist()}
