"""What the scorers beside AutoBuild share: evaluated data, expectations over the space, jackknife intervals.

A learned scorer is an ensemble like AutoBuild's: member m never sees fold m of the networks. So its intervals are made
in the same way, and each member's prediction of its own fold is a held-out one.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from autobuild_core.costs import CostModel
from autobuild_core.inference import TWO_SIDED_90, Predictor
from autobuild_core.records import ABSENT, ArchTable, Codes, ModuleGroup, SpaceSpec
from autobuild_core.scorers import SCORE_COLUMNS, Scorer, group_keys, key_columns, module_keys
from autobuild_core.spaces import Space
from autobuild_core.targets import Target

Array = NDArray[np.float64]
MEMBERS = 5  # of a baseline: each holds out a fifth of the networks
NUM_CONTEXTS, NUM_DRAWS = 16, 4096  # as AutoBuildScorer
GOOD_SHARE = 0.1
MIN_NETWORKS = 10


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What was measured, one line a network: twins are averaged.

    Args:
        codes: (n, num_positions) canonical encodings.
        values: (n,) mean target of each network.
        networks: (n,) hashes.
        counts: (n,) rows of each network.
    """

    codes: Codes
    values: Array
    networks: NDArray[np.uint64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, table: ArchTable, space: Space, target: str, minimize: bool) -> Self:
        """The rows of a table whose target is known."""
        values = Target(target, minimize).values(table.metrics)
        kept = np.flatnonzero(np.isfinite(values))
        networks, first, inverse, counts = np.unique(
            table.networks[kept], return_index=True, return_inverse=True, return_counts=True
        )
        means = np.bincount(inverse, values[kept], len(networks)) / counts
        return cls(space.canonical(table.codes[kept[first]]), means, networks, counts)

    def __len__(self) -> int:
        return len(self.codes)


def random_folds(num: int, num_folds: int, seed: int = 0) -> NDArray[np.int64]:
    """(num,) fold of each network, all as large as can be."""
    folds = np.empty(num, np.int64)
    folds[np.random.default_rng(seed).permutation(num)] = np.arange(num) % num_folds
    return folds


def population_of(space: Space, seed: int = 0) -> tuple[Codes, Array, bool]:
    """(codes, weights, exact): every encoding of the space, or the random ones that AutoBuildScorer averages over."""
    codes = space.enumerate()
    if codes is not None:
        return codes, space.weights(codes), True
    return space.sample(NUM_DRAWS, np.random.default_rng(seed)), np.full(NUM_DRAWS, 1 / NUM_DRAWS), False


def exact_means(values: Array, codes: Codes, weights: Array, group: ModuleGroup, spec: SpaceSpec) -> Array:
    """(members, num_modules) weighted mean of (members, n) values over codes that contain each module; NaN where none does."""
    keys = group_keys(group, spec)
    order = np.argsort(keys)
    found = module_keys(codes, key_columns(group, spec))
    place = np.minimum(np.searchsorted(keys[order], found), len(keys) - 1)
    inside = keys[order][place] == found
    module, weight = order[place[inside]], weights[inside]
    total = np.bincount(module, weight, len(group))
    with np.errstate(invalid="ignore"):
        return np.stack([np.bincount(module, row[inside] * weight, len(group)) for row in values]) / total


def eligible_rows(codes: Codes, group: ModuleGroup, spec: SpaceSpec) -> NDArray[np.intp]:
    """Rows that have a layer wherever the module has one and, for a whole unit, none behind."""
    inside = (codes[:, list(group.positions)] != ABSENT).all(1)
    if group.unit is not None:
        inside &= (codes[:, list(spec.units[group.unit].positions)] != ABSENT).sum(1) == len(group.positions)
    return np.flatnonzero(inside)


def in_contexts(group: ModuleGroup, contexts: Codes, spec: SpaceSpec) -> Codes:
    """(num_modules * contexts, num_positions) every module of a group put into every context, contexts inside.

    The other layers of tied units that a window lies in get the window's layer.
    """
    codes = np.tile(contexts, (len(group), 1))
    codes[:, list(group.positions)] = np.repeat(group.codes, len(contexts), axis=0)
    for unit in spec.units:
        inside = [p for p in group.positions if p in unit.positions]
        if unit.tied and inside and group.unit is None:
            columns = list(unit.positions)
            codes[:, columns] = np.where(codes[:, columns] == ABSENT, ABSENT, codes[:, inside[:1]])
    return codes


def half_width(values: Array) -> Array:
    """Half of the 90 % interval of the mean of (members, n) values: the delete-a-group jackknife of AutoBuildScorer."""
    half: Array = TWO_SIDED_90 * np.sqrt(len(values) - 1) * values.std(0)
    return half


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
        """What it learns from."""
        assert self.table is not None
        return Evaluated.of(self.table, self.predictor.space, self.predictor.target_name, self.predictor.minimize)

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
    def _space(self) -> tuple[Codes, Array, bool, Array, float, Array]:
        """Population codes, weights, exact; its (members, n) targets; the residual; (members,) threshold of the best tenth."""
        codes, weights, exact = population_of(self.predictor.space)
        targets = self.predict(codes)
        residual = max(float(np.sqrt(((self.evaluated.values - self.held_out) ** 2).mean())), 1e-9)
        rng = np.random.default_rng(0)
        drawn = rng.choice(len(weights), 4 * NUM_DRAWS, p=weights)
        oriented = self.predictor.scaling.sign * targets[:, drawn] + residual * rng.standard_normal(len(drawn))
        return codes, weights, exact, targets, residual, np.quantile(oriented, 1 - GOOD_SHARE, axis=1)

    def score(self, groups: list[ModuleGroup], report: Callable[[float], None] = lambda share: None) -> list[pd.DataFrame]:
        total, done, frames = sum(map(len, groups)), 0, []
        _, weights, exact, targets, _, _ = self._space
        means = targets @ weights
        for group in groups:
            score, good = self._exact(group) if exact else self._sampled(group)
            lenses = {"score": score, "effect": score - means[:, None], "good": good}
            unknown = 0.0 if self.has_intervals else np.nan
            frame = {name: around(v, half_width(v) + unknown) for name, v in lenses.items()}
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

    def _exact(self, group: ModuleGroup) -> tuple[Array, Array]:
        codes, weights, _, targets, _, _ = self._space
        spec = self.predictor.spec
        return tuple(exact_means(v, codes, weights, group, spec) for v in (targets, self._good_of(targets)))  # type: ignore[return-value]

    def _sampled(self, group: ModuleGroup) -> tuple[Array, Array]:
        """Over the same random contexts for every module, moved to the mean of all random ones with as many layers there."""
        codes, _, _, targets, _, _ = self._space
        rows = eligible_rows(codes, group, self.predictor.spec)
        contexts = codes[rows[:NUM_CONTEXTS]]
        predicted = self.predict(in_contexts(group, contexts, self.predictor.spec))
        complete = len(group) == self.predictor.space.group_size(group.positions)
        out = []
        for values, everywhere in ((predicted, targets), (self._good_of(predicted), self._good_of(targets))):
            averages = values.reshape(len(values), len(group), len(contexts)).mean(2)
            now = averages.mean(1) if complete else everywhere[:, rows[:NUM_CONTEXTS]].mean(1)
            out.append(averages + (everywhere[:, rows].mean(1) - now)[:, None])
        return out[0], np.clip(out[1], 0, 1)
