"""Populations that scorers average over: a space's encodings, contexts for modules, measured architectures.

Averages are uniform over encodings as written (docs/method.md, section 5): over every encoding of a space of up to 50,000, else
over random ones.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.lens import GOOD_SHARE
from autobuild_core.architectures.modules import ModuleGroup, active_rows, group_keys, key_columns, module_keys
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, SpaceSpec
from autobuild_core.spaces import Space
from autobuild_core.targets.equation import Target

Array = NDArray[np.float64]
NUM_CONTEXTS = 16
NUM_DRAWS = 4096
TINY, MOST_SCALED = 1e-12, 2.0  # a mean share that is none; the most that shares are scaled by


@dataclass(frozen=True, eq=False)
class Population:
    """The space as the lenses average over it.

    Args:
        codes: (n, num_positions) every encoding, or random ones where they are too many.
        weights: (n,) probability of each, summing to one.
        exact: every encoding is there.
    """

    codes: Codes
    weights: Array
    exact: bool

    @classmethod
    def of(cls, space: Space, rng: np.random.Generator) -> Self:
        """Every encoding of a space that can be enumerated, else NUM_DRAWS random ones."""
        codes = space.enumerate()
        if codes is not None:
            return cls(codes, space.weights(codes), True)
        return cls(space.sample(NUM_DRAWS, rng), np.full(NUM_DRAWS, 1 / NUM_DRAWS), False)

    def best_tenth(self, values: Array) -> Array:
        """(members,) the value above which GOOD_SHARE of the space lies, of (members, n) values."""
        return self.level(values, GOOD_SHARE)

    def level(self, values: Array, share: float) -> Array:
        """(members,) the value above which a share of the space lies, of (members, n) values."""
        order = np.argsort(values, axis=1)
        above = 1 - np.cumsum(self.weights[order], 1)  # (members, n) weight above each, in ascending order
        place = (above >= share - 1e-9).sum(1).clip(max=len(self.weights) - 1)
        threshold: Array = values[np.arange(len(values)), order[np.arange(len(values)), place]]
        return threshold

    def best_of(self, values: Array, num: int) -> float:
        """The largest of (n,) values that `num` independent random draws are expected to find."""
        order = np.argsort(values)
        reached = np.cumsum(self.weights[order])
        return float(np.diff((reached / reached[-1]) ** num, prepend=0.0) @ values[order])


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The measured networks, one line a network: twins are averaged.

    Args:
        codes: (n, num_positions) canonical encodings.
        values: (n,) mean target of each network.
        networks: (n,) hashes, increasing.
        counts: (n,) rows of each network; of means over different numbers of seeds, as many as are as certain.
    """

    codes: Codes
    values: Array
    networks: NDArray[np.uint64]
    counts: Array

    @classmethod
    def of(cls, table: ArchTable, space: Space, target: str, minimize: bool, values: Array | None = None) -> Self:
        """The rows of a table whose target is known; (n,) `values` in its place, where they are given."""
        values = Target(target, minimize).values(table.metrics) if values is None else values
        kept = np.flatnonzero(np.isfinite(values))
        networks, first, inverse = np.unique(table.networks[kept], return_index=True, return_inverse=True)
        shares = table.take(kept).noise_shares
        weights = np.ones(len(kept)) if shares is None else 1 / shares
        counts = np.bincount(inverse, weights, len(networks)).astype(np.float64)
        means = np.bincount(inverse, weights * values[kept], len(networks)) / counts
        return cls(space.canonical(table.codes[kept[first]]), means, networks, counts)

    def __len__(self) -> int:
        return len(self.codes)

    def find(self, networks: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(lines among `networks` that were measured, the line of each here)."""
        place = np.minimum(np.searchsorted(self.networks, networks), len(self.networks) - 1)
        lines = np.flatnonzero(self.networks[place] == networks)
        return lines, place[lines]


def exact_means(values: Array, population: Population, group: ModuleGroup, spec: SpaceSpec) -> Array:
    """(members, num_modules) weighted mean of (members, n) values over encodings that contain a module; NaN where none does."""
    keys = group_keys(group, spec)
    order = np.argsort(keys)
    found = module_keys(population.codes, key_columns(group, spec))
    place = np.minimum(np.searchsorted(keys[order], found), len(keys) - 1)
    inside = keys[order][place] == found
    module, weight = order[place[inside]], population.weights[inside]
    total = np.bincount(module, weight, len(group))
    with np.errstate(invalid="ignore"):
        return np.stack([np.bincount(module, row[inside] * weight, len(group)) for row in values]) / total


def shifted(values: Array, mean: Array, aim: Array) -> Array:
    """(members, n) values whose (members,) mean is `mean`, moved to the mean `aim`."""
    moved: Array = values + (aim - mean)[:, None]
    return moved


def scaled(shares: Array, mean: Array, aim: Array) -> Array:
    """(members, n) shares whose (members,) mean is `mean`, scaled towards the mean `aim`: small ones stay above 0.

    By a factor of at most MOST_SCALED: few contexts may hold hardly any good architecture.
    """
    factor = np.clip(aim / np.maximum(mean, TINY), 1 / MOST_SCALED, MOST_SCALED)
    moved: Array = np.clip(shares * factor[:, None], 0, 1)
    return moved


def pooled(values: Array, group: ModuleGroup, weights: Array | None = None) -> Array:
    """(..., num_shown) weighted means over the modules of each range of (..., num_modules) values; themselves without ranges.

    What is NaN has no part in a mean; a range of nothing else is NaN.

    Args:
        values: of each module, by member or not.
        group: the modules.
        weights: (num_modules,) as `range_weights`; equal unless given.
    """
    if group.ranges is None:
        return values
    shares = np.broadcast_to(np.ones(len(group)) if weights is None else weights, values.shape)
    shares = np.where(np.isfinite(values), shares, 0.0)
    inside = np.equal.outer(group.ranges, np.arange(group.num_shown)).astype(float)
    with np.errstate(invalid="ignore"):
        means: Array = np.nan_to_num(values) * shares @ inside / (shares @ inside)
    return means


def range_weights(group: ModuleGroup, population: Population, spec: SpaceSpec) -> Array:
    """(num_modules,) how often the space has each module of a group with ranges: alike, unless combinations are forbidden."""
    weights = np.ones(len(group))
    if not spec.forbidden or group.ranges is None:
        return weights
    column, tokens = population.codes[:, group.positions[0]], group.codes[:, 0]
    there = column != ABSENT
    seen = np.bincount(column[there], population.weights[there], len(spec.tokens))[tokens]
    total = np.bincount(group.ranges, seen)[group.ranges]
    return np.where(total > 0, seen, weights)


def mean_beside(values: Array, population: Population, group: ModuleGroup, spec: SpaceSpec) -> Array:
    """(members,) weighted mean of (members, n) values over the `active_rows` of a group: without conditions over all."""
    weights = population.weights
    if spec.conditions:
        weights = np.where(active_rows(population.codes, group, spec), weights, 0)
        weights = weights / max(float(weights.sum()), 1e-300)
    mean: Array = values @ weights
    return mean
