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

from autobuild_core.architectures.features import Codebook
from autobuild_core.architectures.records import noise_shares
from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.predictor.distillation import Distilled
from autobuild_core.predictor.loss import autobuild_loss, order_losses, spearman
from autobuild_core.predictor.model import Encoded, GraphEnsemble, ModelConfig
from autobuild_core.store.quality import Progress, Report
from autobuild_core.store.run_folder import MIN_NETWORKS

FEW_NETWORKS = 500  # more leave nothing to ten members that three with a larger budget do not learn (measured)
REPORT_SECONDS = 1.0
MAX_DISTILLED_MODULES = 32  # of a step
MAX_HELD_OUT_SHOWN, MAX_NODES_SHOWN = 500, 10_000  # held-out architectures, and nodes, that members are judged on in training


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
        distilled_batch: architectures of a step whose order by the Gaussian process is learned; 0 leaves them and modules out.
        module_weight: of the order of the norms at the sinks of distilled modules.
        clip: largest gradient norm, per member on average (one norm for all, times the root of their number).
        seed: of folds, batches and initialisation.
    """

    members: int = 10
    steps: int = 250
    batch_size: int = 48
    learning_rate: float = 0.01
    weight_decay: float = 0.1
    spearman_weight: float = 1.0
    distilled_batch: int = 16
    module_weight: float = 0.2
    clip: float = 5.0
    seed: int = 0
    model: ModelConfig = field(default_factory=ModelConfig)

    @classmethod
    def for_size(cls, num_networks: int, **given: Any) -> "TrainConfig":
        """The defaults for a number of networks.

        Up to FEW_NETWORKS ten members; beyond, three that learn faster and for longer, and lean more on the orders.
        """
        if num_networks <= FEW_NETWORKS:
            steps = min(500, max(200, 100 + num_networks))
            batch = num_networks if num_networks <= 60 else 40 if num_networks <= 150 else 64  # so few: all of them in every step
            chosen = cls(steps=steps, batch_size=batch, model=ModelConfig(width=24, dropout=0.15))
        else:
            steps, size = min(800, 450 + num_networks // 60), ModelConfig(width=24)
            chosen = cls(members=3, steps=steps, learning_rate=0.02, model=size)
            chosen = replace(chosen, spearman_weight=2.0, module_weight=0.1)
        return replace(chosen, **{name: value for name, value in given.items() if value is not None})


class FoldedBatches:
    """Batches with equally many rows of every fold, so that all members can share one: member m leaves out those of fold m.

    Args:
        fold: (n,) fold of every row.
        num_folds: how many, each with at least one row.
        size: rows of a batch, about.
        rng: draws them; every row once before any comes again.
        repeats: (n,) seeds that each is the mean of: so many times it stands among the rows; None = one.
    """

    def __init__(
        self,
        fold: NDArray[np.int64],
        num_folds: int,
        size: int,
        rng: np.random.Generator,
        repeats: NDArray[np.int64] | None = None,
    ) -> None:
        repeats = np.ones(len(fold), np.int64) if repeats is None or noise_shares(repeats) is None else repeats
        self._rows = [np.repeat(rows := np.flatnonzero(fold == k), repeats[rows]) for k in range(num_folds)]
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
    distilled: Distilled | None = None,
    order: NDArray[np.float64] | None = None,
    repeats: NDArray[np.int64] | None = None,
) -> GraphEnsemble:
    """The trained ensemble, in evaluation mode.

    Args:
        data: encoded architectures, and behind them those of `distilled`.
        scores: (n,) the targets of the first n as normal scores; or (members, n), where members learn from different ones.
        fold: (n,) the member that does not learn from each.
        codebook: their features.
        config: settings.
        report: called about once a second with step, loss, held-out SRCC of the prediction and per hop, time left.
        should_stop: asked at every step.
        distilled: from the Gaussian process.
        order: (members, n) what the norms are to order; the scores unless given.
        repeats: (n,) seeds that each target is the mean of; None = one.

    Raises:
        Cancelled: should_stop said so.
    """
    scores = np.broadcast_to(scores, (config.members, len(fold)))
    ordered = scores if order is None else order
    torch.set_num_threads(1)  # operations of tens of microseconds: on a busy machine a second thread made them ten times slower
    torch.manual_seed(config.seed)
    model = GraphEnsemble(codebook, config.members, config.model, data.structure.shape[1], config.seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=config.steps)
    rng = np.random.default_rng(config.seed)
    batches = FoldedBatches(fold, config.members, config.batch_size, rng, repeats)
    distillation = None if distilled is None or not config.distilled_batch else _Distillation(distilled, len(fold), config, rng)
    seen = torch.from_numpy(batches.seen)
    start = reported = time.monotonic()
    for step in range(1, config.steps + 1):
        if should_stop():
            raise Cancelled
        own = batches.draw()
        drawn = None if distillation is None else distillation.draw()
        batch = data.batch(torch.from_numpy(own if drawn is None else np.concatenate([own, drawn.rows])))
        predicted, norms, nodes = model(batch)
        target, num = np.take_along_axis(scores[:, own], batches.seen, 1), len(own)
        ranks = _ranks(np.take_along_axis(ordered[:, own], batches.seen, 1))
        mine = norms[:, :, :num].gather(2, seen[:, None].expand(-1, norms.shape[1], -1))
        wanted = torch.from_numpy(target).float()
        losses = autobuild_loss(predicted[:, :num].gather(1, seen), wanted, ranks, mine, config.spearman_weight)
        if drawn is not None:
            losses = losses + drawn.losses(norms[:, :, num:], nodes, batch.place[num:])
        optimiser.zero_grad()
        losses.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip * config.members**0.5)
        optimiser.step()
        schedule.step()
        now = time.monotonic()
        if now - reported >= REPORT_SECONDS or step in (1, config.steps):
            reported = now
            held_out = _held_out_srcc(model, data, scores, ordered, fold)
            left = (now - start) / step * (config.steps - step)
            record: Progress = {"step": step, "num_steps": config.steps, "loss": float(losses.detach().mean())}
            report(record | held_out | {"seconds": now - start, "seconds_left": left, "phase": "training"})
    return model.eval()


class _Distillation:
    """A step's share of the distillation: a few architectures, and modules of one unit and depth.

    Args:
        distilled: all of it.
        start: row of its first architecture in the encoded data.
        config: settings.
        rng: draws what a step distils.
    """

    def __init__(self, distilled: Distilled, start: int, config: TrainConfig, rng: np.random.Generator) -> None:
        self._distilled, self._start, self._config, self._rng = distilled, start, config, rng

    def draw(self) -> "_DistilledStep":
        """The drawn of the next step."""
        distilled, rng = self._distilled, self._rng
        rows = rng.choice(distilled.scores.shape[1], min(self._config.distilled_batch, distilled.scores.shape[1]), replace=False)
        parts, modules = [rows], None
        if distilled.modules:
            group = distilled.modules[rng.integers(len(distilled.modules))]
            chosen = rng.permutation(group.rows.shape[1])[:MAX_DISTILLED_MODULES]
            parts.append(group.rows[rng.integers(len(group.rows)), chosen])
            modules = group.hop, group.sink, group.scores[:, chosen]
        return _DistilledStep(np.concatenate(parts) + self._start, distilled.scores[:, rows], modules, self._config)


@dataclass(frozen=True, eq=False)
class _DistilledStep:
    """Rows of the encoded data, architectures then modules; what they should give, (members, n) each; (hop, sink, scores)."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    modules: tuple[int, int, NDArray[np.float64]] | None
    config: TrainConfig

    def losses(self, norms: Tensor, nodes: list[Tensor], place: Tensor) -> Tensor:
        """(members,) losses of the ensemble's outputs.

        Args:
            norms: (members, hops + 1, rows).
            nodes: node embeddings at every hop, each (nodes, members, dim), of the whole batch.
            place: (rows, padded nodes) their numbers in it.
        """
        num = self.scores.shape[1]
        losses = self.config.spearman_weight * order_losses(norms[:, :, :num], _ranks(self.scores))
        if self.modules is not None:
            hop, sink, scores = self.modules
            at_sinks = nodes[hop][place[num:, sink]].sum(-1).T  # (members, modules)
            losses = losses + self.config.module_weight * (1 - spearman(at_sinks, _ranks(scores)))
        return losses


def _ranks(targets: NDArray[np.float64]) -> Tensor:
    """(rows, n) ascending ranks within each row."""
    return torch.from_numpy(rankdata(targets, axis=1)).float()


@torch.no_grad()
def _held_out_srcc(
    model: GraphEnsemble, data: Encoded, scores: NDArray[np.float64], ordered: NDArray[np.float64], fold: NDArray[np.int64]
) -> Progress:
    """{"srcc", "hop_srcc"}: means over members of the Spearman correlation on (a part of) each one's own fold.

    Args:
        model, data, fold: see `train_ensemble`.
        scores: (members, n) what should be predicted; of the norms the order of `ordered`, shaped alike, is judged.
    """
    held = [np.flatnonzero(fold == member) for member in range(model.members)]
    most = min(MAX_HELD_OUT_SHOWN, MAX_NODES_SHOWN // data.mask.shape[1])
    size = min(most // model.members, *(len(rows) for rows in held))
    if size < 3:
        return {"srcc": None, "hop_srcc": []}
    index = np.concatenate([rows[:size] for rows in held])
    model.eval()
    predicted, norms, _ = model(data.batch(torch.from_numpy(index)))
    model.train()
    own = np.arange(len(index)).reshape(model.members, size)
    member = np.arange(model.members)[:, None]
    target, wanted = scores[member, index[own]], ordered[member, index[own]]
    srcc = [spearmanr(p, t).statistic for p, t in zip(predicted.numpy()[member, own], target, strict=True)]
    per_hop = norms.numpy()[member[..., None], np.arange(norms.shape[1])[None, :, None], own[:, None]]
    hops = [[spearmanr(n, t).statistic for n in rows] for rows, t in zip(per_hop, wanted, strict=True)]
    return {"srcc": float(np.nanmean(srcc)), "hop_srcc": np.nanmean(hops, axis=0).tolist()}
