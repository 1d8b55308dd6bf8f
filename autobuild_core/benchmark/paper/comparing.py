"""Means with their 90 % intervals, and verdicts: who wins, who loses, and what cannot be told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autobuild_core.scoring.intervals import Mean

WINS, LOSES, OPEN = "wins", "loses", "cannot be told"


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
