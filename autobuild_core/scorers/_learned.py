"""Shared parts of scorers beside AutoBuild: evaluated data, expectations over the space, jackknife intervals.

A learned scorer is an ensemble like AutoBuild's: member m never sees fold m of the networks. So its intervals are made
in the same way, and each member's prediction of its own fold is a held-out one.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from autobuild_core.architectures.lens import GOOD_SHARE
from autobuild_core.architectures.module_table import SCORE_COLUMNS
from autobuild_core.architectures.modules import ModuleGroup, eligible_rows
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, SpaceSpec
from autobuild_core.architectures.structure import counted, counted_attributes, token_counts
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import Scorer
from autobuild_core.scoring.intervals import jackknife_half_width
from autobuild_core.scoring.population import (
    NUM_CONTEXTS,
    NUM_DRAWS,
    Evaluated,
    Population,
    exact_means,
    mean_beside,
    pooled,
    range_weights,
    scaled,
    shifted,
)
from autobuild_core.spaces._in_contexts import in_contexts
from autobuild_core.store.run_folder import MIN_NETWORKS
from autobuild_core.targets.costs import CostModel

Array = NDArray[np.float64]
MEMBERS = 5  # of a baseline: each holds out a fifth of the networks
MODULES_AT_ONCE = 512  # small groups are put into contexts together: a forest's call costs as much as thousands of its rows


def random_folds(num: int, num_folds: int, seed: int = 0) -> NDArray[np.int64]:
    """(num,) fold of each network, all as large as can be."""
    folds = np.empty(num, np.int64)
    folds[np.random.default_rng(seed).permutation(num)] = np.arange(num) % num_folds
    return folds


def around(values: Array, half: Array) -> tuple[Array, Array, Array]:
    """Mean over members of (members, n) values, with the ends of an interval of the given half width."""
    mean = values.mean(0)
    return mean, mean - half, mean + half


def score_frame(**lenses: tuple[Array, Array, Array]) -> pd.DataFrame:
    """A frame with SCORE_COLUMNS from (value, low, high) of "score", "effect" and perhaps "good"; NaN where a scorer has none."""
    columns: dict[str, Any] = {}
    for name, (value, low, high) in lenses.items():
        columns |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(columns).reindex(columns=list(SCORE_COLUMNS)).astype(float)


class DataScorer(Scorer):
    """A scorer that learns from the evaluated architectures themselves.

    Args:
        predictor: the trained run: its space, target and scale.
        cost: not used; here so that all scorers are made alike.
        table: the evaluated architectures.
    """

    def __init__(self, predictor: Predictor, cost: CostModel | None = None, table: ArchTable | None = None) -> None:
        self.predictor, self.cost, self.table = predictor, cost, table
        self._folds: NDArray[np.int64] | None = None

    def supports(self, predictor: Predictor) -> str | None:
        if self.table is None:
            return "it learns from the evaluated architectures, and got none"
        if len(self.evaluated) < MIN_NETWORKS:
            return f"it needs {MIN_NETWORKS} evaluated networks, and got {len(self.evaluated)}"
        return None

    @cached_property
    def evaluated(self) -> Evaluated:
        """The evaluated networks that it learns from."""
        assert self.table is not None
        predictor = self.predictor
        return Evaluated.of(self.table, predictor.space, predictor.target_name, predictor.minimize, self.values)

    @cached_property
    def values(self) -> Array:
        """(rows,) targets of its table as they would be where the predictor holds, NaN where there is none."""
        assert self.table is not None
        values = self.predictor.target.values(self.table.metrics)
        known = np.isfinite(values)
        values[known] = self.predictor.adjusted(self.table.take(known), values[known])
        return values

    @property
    def folds(self) -> NDArray[np.int64]:
        """(networks,) which member holds out each network; set it before anything is fitted to judge on given folds."""
        if self._folds is None:
            self._folds = random_folds(len(self.evaluated), min(MEMBERS, len(self.evaluated)))
        return self._folds

    @folds.setter
    def folds(self, folds: NDArray[np.int64]) -> None:
        assert folds.shape == (len(self.evaluated),) and "members" not in vars(self)
        self._folds = folds


class LearnedScorer(DataScorer):
    """A scorer that predicts architectures and averages its predictions over the space, as AutoBuildScorer does."""

    has_intervals = True  # False where the spread between members hides most of the error

    @abstractmethod
    def fit(self, folds: NDArray[np.int64]) -> Sequence[Callable[[Codes], Array]]:
        """One function a member: codes -> targets; member m never sees the networks of fold m."""

    @cached_property
    def members(self) -> Sequence[Callable[[Codes], Array]]:
        """The fitted members."""
        return self.fit(self.folds)

    def predict(self, codes: Codes) -> Array:
        """(members, n) expected targets; equal networks get equal ones."""
        canonical = self.predictor.space.canonical(codes)
        return np.stack([member(canonical) for member in self.members])

    @cached_property
    def held_out(self) -> Array:
        """(networks,) prediction of each evaluated network by the member that did not see it."""
        out = np.empty(len(self.evaluated))
        for number, member in enumerate(self.members):
            inside = self.folds == number
            out[inside] = member(self.evaluated.codes[inside])
        return out

    @cached_property
    def _space(self) -> tuple[Population, Array, float, Array]:
        """The population; its (members, n) targets; the residual; (members,) threshold of the best tenth."""
        population = Population.of(self.predictor.space, np.random.default_rng(0))
        targets = self.predict(population.codes)
        residual = max(float(np.sqrt(((self.evaluated.values - self.held_out) ** 2).mean())), 1e-9)
        rng = np.random.default_rng(0)
        drawn = rng.choice(len(population.weights), 4 * NUM_DRAWS, p=population.weights)
        oriented = self.predictor.scaling.sign * targets[:, drawn] + residual * rng.standard_normal(len(drawn))
        return population, targets, residual, np.quantile(oriented, 1 - GOOD_SHARE, axis=1)

    def score(self, groups: list[ModuleGroup], report: Callable[[float], None] = lambda share: None) -> list[pd.DataFrame]:
        total, done, frames = sum(map(len, groups)), 0, []
        population, targets, _, _ = self._space
        for group, (score, good) in zip(groups, self._exact(groups) if population.exact else self._sampled(groups), strict=True):
            means = mean_beside(targets, population, group, self.predictor.spec)
            if group.ranges is not None:
                weights = range_weights(group, population, self.predictor.spec)
                score, good = pooled(score, group, weights), pooled(good, group, weights)
            lenses = {"score": score, "effect": score - means[:, None], "good": good}
            unknown = 0.0 if self.has_intervals else np.nan
            frame = {name: around(v, jackknife_half_width(v) + unknown) for name, v in lenses.items()}
            share = [np.clip(part, 0, 1) for part in frame["good"]]
            frame["good"] = share[0], share[1], share[2]
            frames.append(score_frame(**frame))
            done += len(group)
            report(done / total)
        return frames

    def _good_of(self, targets: Array) -> Array:
        """Probability that architectures of (members, n) expected targets are among the best tenth."""
        *_, residual, thresholds = self._space
        good: Array = ndtr((self.predictor.scaling.sign * targets - thresholds[:, None]) / residual)
        return good

    def _exact(self, groups: list[ModuleGroup]) -> Iterator[tuple[Array, Array]]:
        """(members, num_modules) expected target and `good` of every group."""
        population, targets, _, _ = self._space
        good = self._good_of(targets)
        for group in groups:
            score, share = (exact_means(v, population, group, self.predictor.spec) for v in (targets, good))
            yield score, share

    def _sampled(self, groups: list[ModuleGroup]) -> Iterator[tuple[Array, Array]]:
        """Over the same random contexts for every module, moved to the mean of all random ones with as many layers there."""
        population, targets, _, _ = self._space
        good, spec = self._good_of(targets), self.predictor.spec
        for some in _batches(groups):
            eligible = [eligible_rows(population.codes, group, spec) for group in some]
            contexts = [population.codes[rows[:NUM_CONTEXTS]] for rows in eligible]
            predicted = self.predict(np.concatenate([in_contexts(*pair, spec) for pair in zip(some, contexts, strict=True)]))
            shares, end = self._good_of(predicted), 0
            for group, rows in zip(some, eligible, strict=True):
                used = rows[:NUM_CONTEXTS]
                start, end = end, end + len(group) * len(used)
                complete = len(group) == self.predictor.space.group_size(group.positions)
                out = []
                for values, everywhere, move in ((predicted, targets, shifted), (shares, good, scaled)):
                    averages = values[:, start:end].reshape(len(values), len(group), len(used)).mean(2)
                    now = averages.mean(1) if complete else everywhere[:, used].mean(1)
                    out.append(move(averages, now, everywhere[:, rows].mean(1)))
                yield out[0], out[1]


def _batches(groups: list[ModuleGroup]) -> Iterator[list[ModuleGroup]]:
    """The groups in order, so many at a time as one prediction of their contexts is worth."""
    waiting: list[ModuleGroup] = []
    for group in groups:
        waiting.append(group)
        if sum(map(len, waiting)) >= MODULES_AT_ONCE:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def count_features(codes: Codes, spec: SpaceSpec) -> Array:
    """(n, columns) how many layers have each counted token and attribute value, and how many there are."""
    counts = token_counts(codes, spec)
    parts = [counted(counts, spec), (codes != ABSENT).sum(1, keepdims=True).astype(float)]
    for values in counted_attributes(spec).values():
        distinct = sorted(set(values))
        member = np.array([[value == one for one in distinct] for value in values], float)  # (tokens, distinct)
        parts.append(counts @ member)
    return np.concatenate(parts, axis=1)
