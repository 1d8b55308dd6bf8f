"""Prices of budgets: the best architecture as the limit grows, and what one step more of it buys, with their doubt. Ours.

In every joint draw of a Gaussian process the best of one pool of candidates is taken. The pool grows with the limit, so no draw
has a price below zero, and what is uncertain of both sides of a step cancels out. The process is on the target's own scale, as a
price is a difference of targets, and measurements are drawn, noise and all: the best of many is so by some luck (decision 86).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.metrics import Bound
from autobuild_core.predictor.posterior import Posterior
from autobuild_core.search.budgets import Budgets
from autobuild_core.search.improvement import look_for_promising
from autobuild_core.spaces import Space

Array = NDArray[np.float64]
DRAWS = 100
OF_LIMIT, POOL = 60, 600  # most promising candidates at each limit, and in all
REACH = 1.0  # standard deviations above the mean by which they are promising
STEPS = 8  # of a limit in a curve, half of them below it
STEP = 0.1  # of a limit, about, which a step of it is unless it is given
FAR = -1e6  # worth of an architecture beyond a limit, less by how far


@dataclass(frozen=True, eq=False)
class Prices:
    """The best within a limit, draw by draw.

    Args:
        bound: the budget whose limit moves; the others hold.
        limits: (steps,) from the tightest to the loosest.
        draws: (draws, steps) the best target within each limit, in its units; NaN where no candidate keeps to it.
    """

    bound: Bound
    limits: Array
    draws: Array

    def curve(self) -> pd.DataFrame:
        """The best against the limit: limit, best, low, high (90 % interval)."""
        return pd.DataFrame({"limit": self.limits, **_interval(self.draws, "best")})

    def steps(self) -> pd.DataFrame:
        """The price of each step: limit, next, price (how much better the best becomes), low, high; never below zero."""
        gained = np.abs(np.diff(self.draws, axis=1))
        return pd.DataFrame({"limit": self.limits[:-1], "next": self.limits[1:], **_interval(gained, "price")})


def _interval(draws: Array, name: str) -> dict[str, Array]:
    """Means and 90 % intervals of the columns of (draws, n)."""
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    return {name: draws.mean(0), "low": low, "high": high}


def step_of(limit: float, spread: float = float("inf")) -> float:
    """A step of a limit: 1, 2 or 5 of some power of ten, about STEP of it, but no more than half its metric's spread.

    Nor is it less than a twentieth of the spread, as of a limit near 0.
    """
    size = max(min(abs(limit) * STEP, spread / 2), spread / 20 if np.isfinite(spread) else 0.0, 1e-300)
    power = 10.0 ** np.floor(np.log10(size))
    return float(min((1, 2, 5, 10), key=lambda n: abs(np.log(n * power / size))) * power)


def limits_around(bound: Bound, num: int = STEPS, spread: float = float("inf")) -> list[float]:
    """Limits of a curve, from the tightest on: a budget's own in the middle, so many steps in all (`step_of`).

    Args:
        bound: the budget.
        num: of steps.
        spread: standard deviation of its metric.

    Raises:
        ConfigError: num is not positive.
    """
    if num < 1:
        raise ConfigError(f"steps: got {num}, expected at least 1.")
    step, before = step_of(bound.limit, spread), num // 2
    return [bound.limit + bound.turn * step * number for number in range(-before, num - before + 1)]


def candidates(
    posterior: Posterior, space: Space, budgets: Budgets, place: int, limits: Sequence[float], start: Codes, seed: int = 0
) -> Codes:
    """(n, num_positions) architectures among which the best within each limit of a budget may be, the other budgets kept to.

    All of a space that can be enumerated; of a larger one what an evolution by the process finds within each limit.

    Args:
        posterior: of the target.
        space: the space.
        budgets: all of them.
        place: of the one whose limit moves.
        limits: that are looked at.
        start: (n, num_positions) architectures that it begins from.
        seed: of the evolution.
    """
    others, bound, every = budgets.without(place), budgets.bounds[place], space.enumerate()
    if every is not None:
        codes = every[np.unique(space.hash_networks(every), return_index=True)[1]]
        return codes[others.keeps(codes)]
    found = [start]
    for number, limit in enumerate(limits):
        worth = _within(posterior, budgets, others, bound, limit)
        found.append(look_for_promising(worth, space, np.concatenate(found), frozenset(), np.random.default_rng([seed, number])))
    codes = np.concatenate(found)
    codes = codes[np.unique(space.hash_networks(codes), return_index=True)[1]]
    return codes[others.keeps(codes)]


def _within(posterior: Posterior, budgets: Budgets, others: Budgets, bound: Bound, limit: float) -> Callable[[Codes], Array]:
    """The worth of architectures within a limit: mean and REACH standard deviations; beyond it the less, the further."""

    def worth(codes: Codes) -> Array:
        mean, spread = posterior.moments(codes)
        over = np.maximum(bound.turn * (budgets.needed(codes, bound) - limit), 0)
        broken = np.where(np.isnan(over), np.inf, over) + (others.confidence - others.within(codes)).clip(0) * max(
            abs(limit), 1.0
        )
        return np.where(broken > 0, FAR - np.nan_to_num(broken, posinf=1e9), mean + REACH * spread)

    return worth


def prices(
    posterior: Posterior, codes: Codes, needed: Array, bound: Bound, limits: Sequence[float], seed: int = 0, draws: int = DRAWS
) -> Prices:
    """The best target within each of several limits.

    Args:
        posterior: of the target.
        codes: (n, num_positions) candidates that keep to all other budgets.
        needed: (n,) the tightest limit that each keeps to (`Budgets.needed`).
        bound: the budget; its own limit is not looked at.
        limits: to look at, in any order.
        seed: of the draws.
        draws: how many.
    """
    order = bound.turn * np.unique(bound.turn * np.array(limits, float))
    mean, spread = posterior.moments(codes)
    pool = _pool(mean + REACH * spread, bound.turn * needed, bound.turn * order)
    rng, drawn = np.random.default_rng(seed), np.zeros((draws, 0))
    if len(pool):
        drawn = posterior.draws(codes[pool], draws, rng)
        drawn = drawn + np.sqrt(posterior.noise) * rng.standard_normal(drawn.shape)
    inside = bound.turn * needed[pool][:, None] <= bound.turn * order
    best = np.stack([np.where(kept, drawn, -np.inf).max(1, initial=-np.inf) for kept in inside.T], 1)
    known = np.isfinite(best)
    return Prices(bound, order, np.where(known, posterior.scaling.straight(np.where(known, best, 0.0)), np.nan))


def _pool(worth: Array, needed: Array, limits: Array) -> NDArray[np.intp]:
    """Candidates: the most promising at each limit, from the tightest on."""
    found: list[int] = []
    for limit in limits:
        inside = np.flatnonzero(needed <= limit)
        found += inside[np.argsort(-worth[inside], kind="stable")[:OF_LIMIT]].tolist()
    return np.array(list(dict.fromkeys(found))[:POOL], np.intp)
