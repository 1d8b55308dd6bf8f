"""Spaces as units of a comparison: a value is the mean over the architectures of one space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from autobuild_core.benchmark.paper.comparing import LOSES, OPEN, WINS, Verdict
from autobuild_core.scoring.intervals import CONFIDENCE


@dataclass(frozen=True)
class Difference:
    """The difference of two means of unpaired values, with its 90 % interval by Welch.

    Args:
        mean, low, high: of the first less the second.
        p: of a permutation of the values, that a difference as large or larger is chance; NaN where none was asked for.
    """

    mean: float
    low: float
    high: float
    p: float = float("nan")

    @classmethod
    def of(cls, one: Sequence[float], other: Sequence[float], permute: bool = True) -> Self:
        """The difference of two lists of values, NaN left out.

        Args:
            one: values.
            other: values.
            permute: whether the values are exchangeable under the null hypothesis: whole spaces on both sides.
        """
        from scipy import stats

        a, b = (np.array([value for value in values if np.isfinite(value)]) for values in (one, other))
        tested = stats.ttest_ind(a, b, equal_var=False)
        interval = tested.confidence_interval(CONFIDENCE)
        p = float("nan")
        if permute:
            found = stats.permutation_test(
                (a, b), lambda x, y: np.mean(x) - np.mean(y), alternative="greater", n_resamples=np.inf, vectorized=False
            )
            p = float(found.pvalue)
        return cls(float(a.mean() - b.mean()), float(interval.low), float(interval.high), p)

    @property
    def words(self) -> str:
        """The difference with its interval: "+1.52 [+0.98, +2.06]"."""
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"

    def verdict(self, what: str) -> Verdict:
        """Whether the first is larger, smaller, or that it cannot be told."""
        outcome = WINS if self.low > 0 else LOSES if self.high < 0 else OPEN
        said = {WINS: "larger", LOSES: "smaller", OPEN: "cannot be told apart"}[outcome]
        chance = f", permutation p = {self.p:.3f}" if np.isfinite(self.p) else ""
        return Verdict(outcome, f"{what}: {said}, {self.words} points{chance}.")
