"""Between the target's units and the scale a network learns on: normal scores of ranks and the target, larger is better."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
GRID_SIZE = 513
TWO_SIDED_90 = 1.645
REACH = 1.5  # how far, in standard deviations beyond the data, a prediction is followed


def normal_scores(target: Array) -> Array:
    """(n,) quantiles of a normal distribution, of unit variance, by the ranks of (n,) targets; ties share their mean rank."""
    levels, place = np.unique((pd.Series(target).rank().to_numpy(np.float64) - 0.5) / len(target), return_inverse=True)
    scores = np.array([NormalDist().inv_cdf(level) for level in levels])[place]  # as scipy's ndtri, which the app never loads
    return scores / max(float(scores.std()), 1e-12)


def standardised(target: Array) -> Array:
    """(n,) targets less their mean, of unit variance."""
    scores: Array = (target - target.mean()) / max(float(target.std()), 1e-12)
    return scores


@dataclass(frozen=True, eq=False)
class NormalScores:
    """Ranks as quantiles of a normal distribution: a heavy-tailed target (100 ** acc) loses its tail.

    Why: docs/method.md, weakness 1. Where the target itself is told better by its distances, a share of the scale is the
    standardised target: which share is chosen by `predictor/target_scale.py`.

    Args:
        scores: (num_knots,) increasing.
        values: (num_knots,) the target at each score, in its own units.
        sign: 1 where larger targets are better, -1 where smaller ones are.
        ranked: share of the ranks' normal scores in the scale.
    """

    scores: Array
    values: Array
    sign: int
    ranked: float = 1.0

    @classmethod
    def fit(cls, target: Array, minimize: bool, stopped: Array | None = None, ranked: float = 1.0) -> Self:
        """The map that sends (n,) evaluated targets to scores of unit variance. Ties share their mean rank.

        Args:
            target: (n,) evaluated targets.
            minimize: smaller ones are better.
            stopped: (k,) of stopped trials the target than which each is known to be worse; the others then get the normal
                scores that they would have among all.
            ranked: share of the ranks' normal scores; the rest is the standardised target.
        """
        sign = -1 if minimize else 1
        if stopped is not None and len(stopped):
            return cls._among_stopped(target, sign, stopped)
        scores = ranked * normal_scores(sign * target)
        if ranked < 1:
            scores += (1 - ranked) * standardised(sign * target)
        order = np.unique(scores, return_index=True)[1]
        return cls(scores[order] / max(float(scores.std()), 1e-12), target[order].astype(float), sign, ranked)

    @classmethod
    def _among_stopped(cls, target: Array, sign: int, stopped: Array) -> Self:
        """`fit` with trials of which only a bound is known.

        Source: Kaplan and Meier, "Nonparametric estimation from incomplete observations", 1958, read downwards from the best
        target: a row stopped below a bound shares its weight among the evaluated ones below that bound.
        """
        levels, counts = np.unique(sign * target, return_counts=True)
        bounds = np.sort(sign * stopped)
        at_risk = np.cumsum(counts) + np.searchsorted(bounds, levels, side="right")
        kept = np.cumprod((1 - counts / at_risk)[::-1])[::-1]  # share of all that lies below each level
        mass = np.append(kept[1:], 1.0) - kept
        scores = np.array([NormalDist().inv_cdf(level) for level in kept + mass / 2])
        mean = np.average(scores, weights=mass)
        spread = float(np.sqrt(np.average((scores - mean) ** 2, weights=mass)))
        return cls(scores / max(spread, 1e-12), sign * levels.astype(float), sign)

    def to_scores(self, target: Array) -> Array:
        """(n,) targets -> normal scores."""
        scores: Array = np.interp(self.sign * target, self.sign * self.values, self.scores)
        return scores

    def to_target(self, scores: Array) -> Array:
        """Normal scores of any shape -> targets, straight on at the ends by the slope of the outer quarter, up to REACH."""
        low, high = self.scores[0], self.scores[-1]
        inside = np.interp(scores, self.scores, self.values)
        below = np.clip(scores - low, -REACH, 0) * self._end_slope(self.scores <= np.quantile(self.scores, 0.25))
        above = np.clip(scores - high, 0, REACH) * self._end_slope(self.scores >= np.quantile(self.scores, 0.75))
        target: Array = inside + below + above
        return target

    def straight(self, scores: Array) -> Array:
        """As `to_target`, carried on without end, so that the order is kept; `back` is its inverse."""
        low, high = self.scores[0], self.scores[-1]
        below, above = self._straight_slopes
        inside = np.interp(scores, self.scores, self.values)
        target: Array = inside + np.minimum(scores - low, 0) * below + np.maximum(scores - high, 0) * above
        return target

    def back(self, target: Array) -> Array:
        """The normal scores of which `straight` makes these targets."""
        oriented, knots = self.sign * target, self.sign * self.values
        below, above = (self.sign * slope for slope in self._straight_slopes)
        inside = np.interp(oriented, knots, self.scores)
        beyond = np.minimum(oriented - knots[0], 0) / below + np.maximum(oriented - knots[-1], 0) / above
        scores: Array = inside + beyond
        return scores

    @property
    def _straight_slopes(self) -> tuple[float, float]:
        """Slopes of `straight` at both ends, those of `to_target` where they have the map's direction."""
        whole = self.sign * max(abs(float(self.values[-1] - self.values[0])), 1e-12) / max(float(np.ptp(self.scores)), 1e-12)
        ends = (self.scores <= np.quantile(self.scores, 0.25)), (self.scores >= np.quantile(self.scores, 0.75))
        low, high = (self._end_slope(chosen) for chosen in ends)
        return low if low * self.sign > 0 else whole, high if high * self.sign > 0 else whole

    def _end_slope(self, chosen: NDArray[np.bool_]) -> float:
        """Least-squares slope of the target over the chosen knots; 0 where there are too few."""
        if chosen.sum() < 3:
            return 0.0
        return float(np.polyfit(self.scores[chosen], self.values[chosen], 1)[0])

    def expectation(self, spread: float) -> tuple[Array, Array]:
        """A table (scores, expected target) of a prediction whose error is normal with the given spread.

        The mean of the target is not the target of the mean score where the map is curved; this is the mean.
        """
        grid = np.linspace(self.scores[0] - REACH - 1, self.scores[-1] + REACH + 1, GRID_SIZE)
        nodes, weights = np.polynomial.hermite_e.hermegauss(15)
        values = self.to_target(grid[:, None] + spread * nodes) @ (weights / weights.sum())
        return grid, values

    def to_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return {"scores": self.scores.tolist(), "values": self.values.tolist(), "sign": self.sign, "ranked": self.ranked}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(np.array(raw["scores"]), np.array(raw["values"]), int(raw["sign"]), float(raw.get("ranked", 1.0)))
