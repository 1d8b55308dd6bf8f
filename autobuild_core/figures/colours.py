"""One colour scale and one wording for scores: violet-blue is worse than the average architecture, orange is better.

The same colour means the same score everywhere: the scale is fixed by a run's module table, not by what is in view.
A wide interval makes a colour faint. Values keep the target's units and sign; `minimize` only decides which side is better.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures.lens import Lens, bounds

ANCHORS = {
    "light": ((75, 58, 168), (155, 146, 216), (226, 227, 232), (242, 172, 102), (216, 96, 4)),
    "dark": ((150, 132, 255), (98, 88, 160), (64, 67, 77), (158, 98, 38), (255, 154, 60)),
}
PAGE = {"light": (255, 255, 255), "dark": (17, 20, 27)}
INK, PAPER = "#040507", "#ffffff"  # one of the two has a contrast of 4.5 on every colour


@dataclass(frozen=True)
class Scale:
    """Scale of a lens: its average and its two ends.

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
        return Scale(lens, lens.average, 0.0, max(top, 2 * lens.average), lens.unit(unit))
    centre = mean if lens is Lens.SCORE else 0.0
    reach = float(np.quantile(np.abs(values - centre), 0.9)) if len(values) else 1.0
    reach = reach or 1.0
    sign = lens.direction(minimize)
    return Scale(lens, centre, centre - sign * reach, centre + sign * reach, lens.unit(unit))


def colour(place: float, theme: str = "light") -> str:
    """The colour at a place from -1 (worse) to 1 (better)."""
    anchors = ANCHORS[theme]
    index = min(int((place + 1) * 2), 3)
    return _hex(_blend(anchors[index], anchors[index + 1], (place + 1) * 2 - index))


def ink_on(fill: str) -> str:
    """Black or white, whichever reads better on a fill."""
    return INK if _luminance(fill) > 0.182 else PAPER


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
