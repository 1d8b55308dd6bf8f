"""Budgets: limits of metrics as a person writes them, whether architectures keep to them, and what stands in the way."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.metrics import Bound, Metrics

Array = NDArray[np.float64]
Accept = Callable[[Codes], NDArray[np.bool_]]  # (n, num_positions) architectures -> (n,) which of them may be proposed
WRITTEN = re.compile(r"\s*(?P<metric>[^<>=≤≥]+?)\s*(?P<sign><=|>=|<|>|≤|≥)\s*(?P<limit>[^<>=≤≥]+?)\s*")
CONFIDENCE = 0.9
DIGITS = 6  # of a limit in words


def everything(codes: Codes) -> NDArray[np.bool_]:
    """Every architecture may be proposed."""
    return np.ones(len(codes), bool)


def read_budget(text: str) -> Bound:
    """A budget as it is written: "latency_gpu <= 8", "madds_m < 40", "acc >= 93".

    Raises:
        ConfigError: it is not of that form, or its limit is no number.
    """
    found = WRITTEN.fullmatch(text)
    try:
        limit = float(found["limit"].replace(",", "").replace("_", "")) if found else np.nan
    except ValueError:
        limit = np.nan
    if found is None or not np.isfinite(limit):
        raise ConfigError(f"budget: got '{text}', expected a metric, <= or >=, and a number, as in 'latency_ms <= 8'.")
    return Bound(found["metric"], limit, found["sign"] in ("<=", "<", "≤"))


def budget_text(bound: Bound) -> str:
    """A budget as `read_budget` reads it, to the last digit."""
    return f"{bound.metric} {'<=' if bound.is_upper else '>='} {float(bound.limit)!r}"


def budget_words(bound: Bound) -> str:
    """A budget for people."""
    return f"{bound.metric} {'<=' if bound.is_upper else '>='} {bound.limit:,.{DIGITS}g}"


@dataclass(frozen=True)
class Obstacle:
    """The reason why no architecture keeps to all budgets.

    Args:
        binding: the budgets that the nearest architecture breaks, or that no architecture keeps to by itself.
        alone: no architecture keeps to one of them, the others apart.
        nearest: the budgets, moved as little as it takes, each by the same share of its metric's spread.
    """

    binding: tuple[Bound, ...]
    alone: bool
    nearest: tuple[Bound, ...]

    @property
    def words(self) -> str:
        """A sentence."""
        broken = " and ".join(budget_words(one) for one in self.binding)
        why = "no architecture keeps to" if self.alone else "no architecture keeps at once to all; what binds is"
        return f"{why} {broken}. The nearest that one keeps to: {', '.join(budget_words(one) for one in self.nearest)}."


@dataclass(frozen=True, eq=False)
class Budgets:
    """Budgets over what is known of metrics.

    Args:
        metrics: models of them.
        bounds: the limits; none = everything keeps to them.
        confidence: probability with which measurements are to keep to all at once.

    Raises:
        ConfigError: a metric is not known, or the confidence is no probability.
    """

    metrics: Metrics
    bounds: tuple[Bound, ...] = ()
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence: got {self.confidence}, expected a number above 0 and below 1.")
        for bound in self.bounds:
            self.metrics.model(bound.metric)

    def within(self, codes: Codes) -> Array:
        """(n,) probability that measurements of (n, num_positions) architectures keep to all budgets."""
        return self.metrics.within(codes, self.bounds) if self.bounds else np.ones(len(codes))

    def keeps(self, codes: Codes) -> NDArray[np.bool_]:
        """(n,) which architectures keep to all budgets with the confidence."""
        return self.within(codes) >= self.confidence if len(codes) else np.zeros(0, bool)

    def without(self, place: int) -> "Budgets":
        """The same without one of them."""
        return Budgets(self.metrics, self.bounds[:place] + self.bounds[place + 1 :], self.confidence)

    def needed(self, codes: Codes, bound: Bound) -> Array:
        """(n,) the tightest limit that an architecture keeps to with the confidence, each metric by itself."""
        return self.metrics.model(bound.metric).quantile(codes, self.confidence if bound.is_upper else 1 - self.confidence)

    def spreads(self, codes: Codes) -> Array:
        """(budgets,) standard deviations of the limits that architectures need."""
        found = np.array([np.nanstd(self.needed(codes, bound)) for bound in self.bounds])
        least = np.array([1e-12 * abs(bound.limit) + 1e-300 for bound in self.bounds])
        spreads: Array = np.maximum(found, least)
        return spreads

    def over(self, codes: Codes, spreads: Array) -> Array:
        """(budgets, n) how far architectures are beyond each limit, in its metric's spread; 0 of those within it."""
        parts = []
        for bound, spread in zip(self.bounds, spreads, strict=True):
            beyond = np.maximum(bound.turn * (self.needed(codes, bound) - bound.limit), 0) / spread
            parts.append(np.where(np.isnan(beyond), np.inf, beyond))
        return np.stack(parts)

    def obstacle(self, codes: Codes) -> Obstacle | None:
        """The obstacle of some architectures; None where one of them keeps to the budgets.

        The nearest budgets are those of the architecture that has to move them by the least share of their metrics' spreads.
        """
        if not self.bounds or self.keeps(codes).any():
            return None
        over = self.over(codes, self.spreads(codes))
        needed = np.stack([self.needed(codes, bound) for bound in self.bounds])
        limits = np.array([bound.limit for bound in self.bounds])[:, None]
        nearest = int(over.max(0).argmin())
        alone = [place for place in range(len(self.bounds)) if over[place].min() > 0]
        broken = (
            alone or [place for place in range(len(self.bounds)) if over[place, nearest] > 0] or list(range(len(self.bounds)))
        )
        moved = np.where(over[:, nearest] > 0, needed[:, nearest], limits[:, 0])
        named = tuple(
            Bound(bound.metric, _outward(float(limit), bound.turn) if limit != bound.limit else bound.limit, bound.is_upper)
            for bound, limit in zip(self.bounds, moved, strict=True)
        )
        return Obstacle(tuple(self.bounds[place] for place in broken), bool(alone), named)


def _outward(value: float, turn: int) -> float:
    """A limit rounded to four digits so that what kept to it still does."""
    unit = 10.0 ** (np.floor(np.log10(max(abs(value), 1e-300))) - 3)
    return float(f"{turn * np.ceil(turn * value / unit) * unit:.12g}")


def read_budgets(metrics: Metrics, written: Sequence[str], confidence: float = CONFIDENCE) -> Budgets:
    """Budgets as they are written.

    Raises:
        ConfigError: one is not of the form, its metric is not known, or the confidence is no probability.
    """
    return Budgets(metrics, tuple(map(read_budget, written)), confidence)
