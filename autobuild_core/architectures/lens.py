"""The lenses: the questions that a score answers, and an answer in words."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures.numbers import digits_for, signed, with_unit
from autobuild_core.errors import ConfigError

GOOD_SHARE = 0.1  # of the space: its best tenth is what the lens `good` asks for


class Lens(StrEnum):
    """The question that a score answers; the value is its column in the table of modules."""

    SCORE = "score"
    GOOD = "good"
    EQUAL_COST = "equal_cost"
    NORM = "embedding_norm"

    @classmethod
    def named(cls, text: str, among: Sequence["Lens"]) -> "Lens":
        """The lens of a name that a user gave.

        Raises:
            ConfigError: it is none of those that can be asked here.
        """
        if text not in list(among):
            raise ConfigError(f"lens: got '{text}', expected one of {', '.join(among)}.")
        return cls(text)

    @property
    def label(self) -> str:
        """The name that a reader sees."""
        return {
            Lens.SCORE: "Average",
            Lens.GOOD: "Among the best 10 %",
            Lens.EQUAL_COST: "At equal cost",
            Lens.NORM: "AutoBuild norm",
        }[self]

    @property
    def explained(self) -> str:
        """One sentence that says what it estimates."""
        return {
            Lens.SCORE: "expected target of an architecture that contains the module, the rest left free",
            Lens.GOOD: "probability that an architecture with the module is among the best 10 % of the space",
            Lens.EQUAL_COST: "expected target beyond what the architecture's cost lets expect",
            Lens.NORM: "the paper's own magnitude at the module's hop, standardised",
        }[self]

    @property
    def in_units(self) -> bool:
        """Its values are in the target's units, so that their better side is the target's."""
        return self in (Lens.SCORE, Lens.EQUAL_COST)

    def direction(self, minimize: bool) -> int:
        """1 where a larger value is better, -1 where a smaller one is, of a target that is minimised or not."""
        return -1 if self.in_units and minimize else 1

    def unit(self, of_target: str) -> str:
        """Unit of its values, of a target with a unit that may be empty."""
        return of_target if self.in_units else "probability" if self is Lens.GOOD else "standard deviations"

    @property
    def average(self) -> float:
        """The value of the average architecture, on the axis of `value_columns`."""
        return GOOD_SHARE if self is Lens.GOOD else 0.0

    @property
    def value_columns(self) -> tuple[str, str, str]:
        """Columns of value, low and high that claims speak of: of the average its effect; "" where there is no interval."""
        if self is Lens.NORM:
            return self.value, "", ""
        name = "effect" if self is Lens.SCORE else self.value
        return name, f"{name}_low", f"{name}_high"


TRAINED = (Lens.SCORE, Lens.GOOD, Lens.NORM)  # the lenses that every training has; that of equal cost is asked for


def score_words(row: "pd.Series[float]", lens: Lens, unit: str, total: int | None = None) -> str:
    """A score as a sentence: "+0.42 points (+0.21 to +0.60), seen in 38 of 400", or why there is none.

    Args:
        row: effect or good with low and high, or embedding_norm; num_evaluated and confounded_with where known.
        lens: the question.
        unit: unit of the target, may be empty.
        total: number of evaluated architectures.
    """
    if row.get("confounded_with"):
        text = f"no number: cannot be told from {row['confounded_with']}"
    elif lens is Lens.SCORE:
        digits = digits_for(row["effect_low"], row["effect_high"])
        low, high = signed(row["effect_low"], digits), signed(row["effect_high"], digits)
        text = with_unit(signed(row["effect"], digits), unit) + f" ({low} to {high})"
    elif lens is Lens.GOOD:
        text = f"{row['good']:.0%} among the best 10 % ({row['good_low']:.0%} to {row['good_high']:.0%})"
    else:
        text = f"norm {row['embedding_norm']:+.2f}"
    seen = row.get("num_evaluated")
    if seen is None or total is None or not np.isfinite(seen):
        return text
    return f"{text}, {evidence(int(seen), total)}"


def change_words(change: float, half: float, lens: Lens, unit: str) -> str:
    """A change of importance as a sentence: "+0.42 points (+0.21 to +0.63)".

    Args:
        change: from the first module's score to the second's.
        half: half width of its interval.
        lens: the question.
        unit: unit of the target, may be empty.
    """
    if lens is Lens.NORM:
        return f"norm {change:+.2f}"
    if lens is Lens.GOOD:
        return f"{100 * change:+.0f} percentage points ({100 * (change - half):+.0f} to {100 * (change + half):+.0f})"
    digits = digits_for(change - half, change + half)
    return with_unit(signed(change, digits), unit) + f" ({signed(change - half, digits)} to {signed(change + half, digits)})"


def evidence(seen: int, total: int) -> str:
    """The number of evaluated architectures that have a module, in words."""
    return f"seen in {seen:,} of {total:,}" if seen else f"never seen in {total:,}: no evidence of its own"


def short_values(table: pd.DataFrame, lens: Lens) -> list[str]:
    """Scores in a few characters, for the inside of nodes; all with as many decimals as their typical interval bears."""
    if lens is Lens.GOOD:
        return [f"{value:.0%}" for value in table["good"]]
    if lens is Lens.NORM:
        return [f"{value:+.2f}" for value in table["embedding_norm"]]
    digits = digits_for(0, float((table["effect_high"] - table["effect_low"]).median()))
    return [signed(value, digits) for value in table["effect"]]


def bounds(frame: Any, lens: Lens) -> tuple[Any, Any]:
    """Low and high of a lens on its own axis, of a module table or one line of it; the average takes the effect's.

    The published norm has no interval: both ends are the value itself.
    """
    if lens is Lens.SCORE:
        base = frame["score"] - frame["effect"]
        return base + frame["effect_low"], base + frame["effect_high"]
    if lens is Lens.GOOD:
        return frame["good_low"], frame["good_high"]
    return frame["embedding_norm"], frame["embedding_norm"]
