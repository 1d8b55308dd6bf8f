"""Intervals of a mean over the members of an ensemble, and how much wider for having looked at many."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from autobuild_core.targets.scaling import TWO_SIDED_90

Array = NDArray[np.float64]
CONFIDENCE = 0.9


def jackknife_half_width(values: Array) -> Array:
    """Half of the 90 % interval of the mean of (members, n) values.

    Members differ in what they hold out, one fold of as many as there are members: the spread between them is that of a
    delete-a-group jackknife, whose standard error is the spread times sqrt(members - 1), with members - 1 degrees of freedom.
    """
    from scipy.special import stdtrit  # here: importing this file loads nothing heavy

    degrees = len(values) - 1
    half: Array = stdtrit(degrees, 0.95) * np.sqrt(degrees) * values.std(0)
    return half


def student_probability(t: float, degrees: int) -> float:
    """P(|T| > t) of Student's t with whole degrees of freedom, without scipy.

    Source: Abramowitz and Stegun 26.7.3 and 26.7.4 (finite sums in the angle atan(t / sqrt(degrees))).
    """
    angle = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    if degrees % 2:
        term = total = cosine if degrees > 1 else 0.0
        for k in range(3, degrees, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
        return 1 - 2 / math.pi * (angle + sine * total)
    term = total = 1.0
    for k in range(2, degrees, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 1 - sine * total


@cache
def student_bound(miss: float, degrees: int) -> float:
    """The t that is passed, on either side together, with probability `miss`."""
    low, high = 0.0, 1.0
    while student_probability(high, degrees) > miss and high < 1e12:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if student_probability(middle, degrees) > miss else (low, middle)
    return high


@dataclass(frozen=True)
class Mean:
    """A mean with its 90 % interval by Student's t.

    Args:
        mean: of the values; NaN of none.
        half: half of the interval; NaN of fewer than two values.
        num: how many values.
    """

    mean: float
    half: float
    num: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """The mean of values, NaN left out."""
        known = np.array([value for value in values if math.isfinite(value)], float)
        if len(known) < 2:
            return cls(float(known.mean()) if len(known) else math.nan, math.nan, len(known))
        error = float(known.std(ddof=1)) / math.sqrt(len(known))
        return cls(float(known.mean()), student_bound(1 - CONFIDENCE, len(known) - 1) * error, len(known))

    @classmethod
    def of_members(cls, values: Array, error: float = 0.0) -> Self:
        """The mean over the members of an ensemble, with the interval of `jackknife_half_width`; scipy is not loaded.

        Args:
            values: (members,).
            error: a further standard error, independent of the members' own.
        """
        degrees = len(values) - 1
        half = student_bound(1 - CONFIDENCE, degrees) * math.sqrt(degrees) * float(values.std())
        return cls(float(values.mean()), math.hypot(half, TWO_SIDED_90 * error), len(values))

    @property
    def low(self) -> float:
        """The lower end of the interval."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.mean + self.half

    @property
    def words(self) -> str:
        """The mean with its interval: "0.331 [0.329, 0.333]"; the interval is left out where there is none."""
        if not math.isfinite(self.mean):
            return ""
        if not math.isfinite(self.half):
            return number(self.mean)
        return f"{number(self.mean)} [{number(self.low)}, {number(self.high)}]"


def number(value: float) -> str:
    """A number with four digits; "" of NaN."""
    return f"{value:.4g}" if math.isfinite(value) else ""


def widening(num: int, members: int) -> float:
    """The factor by which a 90 % interval grows when `num` of them are to hold together with probability 90 %.

    Bonferroni over the modules that were looked at: each interval may miss with probability 0.1 / num. It holds under any
    dependence between the modules' errors and needs no more than the module table, so that it can be worked out again from a
    report. Sidak's bound is a little narrower but assumes that the studentised errors are jointly t; a maximum over the ensemble
    would be narrower still, but a few members (errors of rank members - 1) know their own largest deviation badly. Student's t
    with members - 1 degrees of freedom, as the intervals themselves (`jackknife_half_width`): where an interval also
    holds a regression's error, which is normal, it becomes wider than need be.

    Args:
        num: modules looked at.
        members: size of the ensemble.
    """
    miss, degrees = 1 - CONFIDENCE, max(members - 1, 1)
    return student_bound(miss / max(num, 1), degrees) / student_bound(miss, degrees)


def wilson(inside: int, num: int) -> tuple[float, float]:
    """The 90 % interval of a probability of which `inside` of `num` trials are known.

    Source: Wilson, Journal of the American Statistical Association 22 (1927).
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, square = inside / num, z**2 / num
    middle, half = share + square / 2, z * math.sqrt(share * (1 - share) / num + square / (4 * num))
    return max((middle - half) / (1 + square), 0.0), min((middle + half) / (1 + square), 1.0)
