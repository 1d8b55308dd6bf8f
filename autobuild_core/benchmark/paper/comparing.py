"""Means with their 90 % intervals, and verdicts: who wins, who loses, and what cannot be told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from autobuild_core.scoring.intervals import CONFIDENCE, student_bound

WINS, LOSES, OPEN = "wins", "loses", "cannot be told"


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


def differences(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """The differences of pairs, NaN where either is."""
    return [a - b for a, b in zip(one, other, strict=True)]


@dataclass(frozen=True)
class Verdict:
    """A comparison in a sentence.

    Args:
        outcome: WINS, LOSES or OPEN.
        text: the sentence, with the interval.
    """

    outcome: str
    text: str


def verdict(one: str, other: str, where: str, apart: Sequence[float], minimize: bool, same: bool = False) -> Verdict:
    """The comparison of one with another by paired differences.

    Args:
        one, other: what they are called.
        where: what is compared, for the sentence.
        apart: values of the one less those of the other, pair by pair.
        minimize: smaller values are better.
        same: both picked the very same networks.
    """
    if same:
        return Verdict(OPEN, f"{where}: {one} against {other} cannot be told, both picked the same.")
    gain = Mean.of([-value for value in apart] if minimize else list(apart))
    pairs = f"{gain.num} pair{'s' * (gain.num != 1)}"
    if not math.isfinite(gain.half):
        return Verdict(OPEN, f"{where}: {one} against {other} cannot be told from {pairs}.")
    outcome = WINS if gain.low > 0 else LOSES if gain.high < 0 else OPEN
    said = {WINS: f"{one} wins against {other}", LOSES: f"{one} loses against {other}"}
    said[OPEN] = f"{one} against {other} cannot be told"
    return Verdict(outcome, f"{where}: {said[outcome]}, gain {gain.words} ({pairs}).")
