"""One colour scale and one wording for scores: violet-blue is worse than the average architecture, orange is better.

The same colour means the same score everywhere: the scale is fixed by a run's module table, not by what is in view.
A wide interval makes a colour faint. Values keep the target's units and sign; `minimize` only decides which side is better.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

ANCHORS = {
    "light": ((75, 58, 168), (155, 146, 216), (226, 227, 232), (242, 172, 102), (216, 96, 4)),
    "dark": ((150, 132, 255), (98, 88, 160), (64, 67, 77), (158, 98, 38), (255, 154, 60)),
}
PAGE = {"light": (255, 255, 255), "dark": (17, 20, 27)}
INK, PAPER = "#040507", "#ffffff"  # one of the two has a contrast of 4.5 on every colour
GOOD_SHARE = 0.1  # the best tenth of the space: interface.md, lens `good`


class Lens(StrEnum):
    """The question a score answers; the value is its column in the module table."""

    SCORE = "score"
    GOOD = "good"
    NORM = "embedding_norm"

    @property
    def label(self) -> str:
        """What a reader sees."""
        return {"score": "Average", "good": "Among the best 10 %", "embedding_norm": "AutoBuild norm"}[self.value]

    @property
    def explained(self) -> str:
        """One sentence that says what it estimates."""
        return {
            "score": "expected target of an architecture that contains the module, the rest left free",
            "good": "probability that an architecture with the module is among the best 10 % of the space",
            "embedding_norm": "the paper's own magnitude at the module's hop, standardised",
        }[self.value]


@dataclass(frozen=True)
class Scale:
    """Where a lens has its average and its two ends.

    Args:
        lens: the question.
        centre: the value of the average architecture.
        worse: value that gets the full worse colour.
        better: value that gets the full better colour.
        unit: what a number of this lens is in.
    """

    lens: Lens
    centre: float
    worse: float
    better: float
    unit: str

    def place(self, value: float) -> float:
        """The value from -1 (worse) over 0 (average) to 1 (better), cut off at both ends; 0 where it is unknown."""
        if not np.isfinite(value):
            return 0.0
        share = (value - self.centre) / (self.better - self.centre)
        if share < 0:
            share = -(value - self.centre) / (self.worse - self.centre)
        return float(np.clip(share, -1, 1))

    def sureness(self, low: float, high: float) -> float:
        """1 for a narrow interval, down to 0.3 for one as wide as half the scale; beyond its ends colours do not differ."""
        if not (np.isfinite(low) and np.isfinite(high)):
            return 0.3
        low, high = np.clip((low, high), *self.ends)
        return float(np.clip(1.15 - (high - low) / abs(self.better - self.worse) * 1.7, 0.3, 1.0))

    def fill(self, value: float, low: float, high: float, theme: str = "light") -> str:
        """Colour of an area: the score's colour, blended into the page the less is known."""
        return _hex(_blend(PAGE[theme], _rgb(colour(self.place(value), theme)), self.sureness(low, high)))

    def fill_of(self, row: "pd.Series[Any]", theme: str = "light") -> str:
        """Colour of a line of the module table."""
        low, high = bounds(row, self.lens)
        return self.fill(float(row[self.lens.value]), float(low), float(high), theme)

    def line(self, value: float, theme: str = "light") -> str:
        """Colour of an outline: the score's colour at full strength, a little apart from the page."""
        return _hex(_blend(_rgb(colour(self.place(value), theme)), _rgb(INK if theme == "light" else PAPER), 0.18))

    def plotly(self, theme: str = "light") -> list[list[float | str]]:
        """The scale from `first` to `last` in Plotly's form."""
        low, high = self.ends
        steps = np.linspace(low, high, 21)
        return [[i / 20, colour(self.place(v), theme)] for i, v in enumerate(steps)]

    @property
    def ends(self) -> tuple[float, float]:
        """The smaller and the larger end."""
        return min(self.worse, self.better), max(self.worse, self.better)


def scale_for(modules: pd.DataFrame, lens: Lens, mean: float, minimize: bool, unit: str) -> Scale:
    """The scale of a run for a lens: its ends are the 90th percentile of its modules' distances to the average.

    Args:
        modules: the run's module table.
        lens: the question.
        mean: the space's average target.
        minimize: smaller targets are better.
        unit: unit of the target, may be empty.
    """
    values = modules[lens.value].to_numpy(float)
    values = values[np.isfinite(values)]
    if lens is Lens.GOOD:
        top = float(np.quantile(values, 0.95)) if len(values) else 0.0
        return Scale(lens, GOOD_SHARE, 0.0, max(top, 2 * GOOD_SHARE), "probability")
    centre = mean if lens is Lens.SCORE else 0.0
    reach = float(np.quantile(np.abs(values - centre), 0.9)) if len(values) else 1.0
    reach = reach or 1.0
    sign = -1 if minimize and lens is Lens.SCORE else 1
    own = unit if lens is Lens.SCORE else "standard deviations"
    return Scale(lens, centre, centre - sign * reach, centre + sign * reach, own)


def colour(place: float, theme: str = "light") -> str:
    """The colour at a place from -1 (worse) to 1 (better)."""
    anchors = ANCHORS[theme]
    index = min(int((place + 1) * 2), 3)
    return _hex(_blend(anchors[index], anchors[index + 1], (place + 1) * 2 - index))


def ink_on(fill: str) -> str:
    """Black or white, whichever reads better on a fill."""
    return INK if _luminance(fill) > 0.182 else PAPER


def number(value: float) -> str:
    """A number as a reader wants it: three or four digits that matter, no exponent where it can be helped."""
    if not np.isfinite(value):
        return "unknown"
    size = abs(value)
    if size and (size >= 1e6 or size < 1e-4):
        return f"{value:.2e}"
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:,.{digits}f}"


def amount(value: float, unit: str) -> str:
    """A number with its unit, which may be empty."""
    return with_unit(number(value), unit)


def with_unit(text: str, unit: str) -> str:
    """A number as text with its unit; nothing stands behind it where the unit is empty."""
    return f"{text} {unit}" if unit else text


def rounded(value: float) -> str:
    """Three digits that matter, for the ends of a scale: thousands instead of an exponent, "1,640,000"."""
    text = f"{value:,.3g}"
    return f"{float(text):,.0f}" if "e" in text and abs(value) >= 1000 else text


def digits_for(low: float, high: float) -> int:
    """Decimals that an interval bears: two digits of its half width, and no more than five of its ends."""
    half, end = (high - low) / 2, max(abs(low), abs(high))
    if not (np.isfinite(half) and half > 0):
        return 3
    return int(np.clip(min(1 - np.floor(np.log10(half)), 4 - np.floor(np.log10(end))), 0, 9))


def signed(value: float, digits: int) -> str:
    """A difference with its sign; zero has none."""
    if not np.isfinite(value):
        return "unknown"
    if abs(value) >= 1e6:
        return f"{value:+.2e}"
    text = f"{value:+,.{digits}f}"
    return text if float(text.replace(",", "")) else text[1:]


def words(row: "pd.Series[float]", lens: Lens, unit: str, total: int | None = None) -> str:
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
    """How often a module was evaluated, in words."""
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


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _hex(rgb: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _blend(first: tuple[int, int, int], second: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    a, b, c = (round(x + (y - x) * share) for x, y in zip(first, second, strict=True))
    return a, b, c


def _luminance(text: str) -> float:
    """Relative luminance. Source: WCAG 2.2."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in _rgb(text))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
