"""Columns of a file, whatever it is: cells as texts, numbers and repeated values kept compactly, faults noted row by row."""

import itertools
import math
import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autobuild_core.datasets._table import MISSING_MARKS, is_missing, shorten
from autobuild_core.spaces.flat import as_choice

MAX_NUMBERS = 4096  # distinct values that a column of numbers keeps
MAX_TEXTS = 1_000_000
SURE_TEXTS = 20_000  # cells that are no numbers, most of a column, from which on it is known to be one of texts
LOOKED_AT = 200  # cells of a chunk that are searched for "_", which `float` takes for part of a number
ABSENT_MARKS = frozenset({"", "nan", "null", "#n/a"})  # "none" and "-" may be choices
WITH_ERROR = re.compile(r"^(?P<number>[^±]+?)\s*(?:±|\+/-|\+-)\s*(?P<error>[^±]+)$")
COMMA = re.compile(r"^[+-]?\d*,\d+$")
GROUPS = re.compile(r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$")
DOT_GROUPS = re.compile(r"^[+-]?\d{1,3}(\.\d{3})+,\d+$")


class _Choices(dict[str, int]):
    """Cell as written -> index of its value; grows by itself, equal values in other spellings share an index."""

    def __init__(self) -> None:
        self.values_seen: dict[str, int] = {}

    def __missing__(self, cell: str) -> int:
        text = as_choice(cell)
        index = self.values_seen.setdefault("" if text.lower() in ABSENT_MARKS else text, len(self.values_seen))
        self[cell] = index
        return index


@dataclass
class Column:
    """One column of a table.

    Args:
        name: its header.
        path: keys that lead to it in nested objects; its header alone in flat files.
        semicolons: the file separates its columns by them, as tables with decimal commas do.
        textual: so many cells are no numbers that none is tried any more.
    """

    name: str
    path: tuple[str, ...] = ()
    semicolons: bool = False
    textual: bool = False
    floats: "array[float]" = field(default_factory=lambda: array("d"))
    odd: dict[int, str] = field(default_factory=dict)
    choices: _Choices | None = field(default_factory=_Choices)
    codes: "array[int]" = field(default_factory=lambda: array("i"))

    def __len__(self) -> int:
        return len(self.floats)

    def extend(self, cells: Iterable[str]) -> None:
        """Takes the column's next cells."""
        cells, start = tuple(cells), len(self.floats)
        if self.textual:
            self.floats.extend([math.nan] * len(cells))
        elif any("_" in cell for cell in cells[:LOOKED_AT]):
            self._note(start, cells)
        else:
            try:
                self.floats.extend(array("d", map(float, cells)))
            except ValueError:
                self._note(start, cells)
        if self.choices is not None:
            self.codes.extend(map(self.choices.__getitem__, cells))
            num, numeric = len(self.choices.values_seen), not self.textual and len(self.odd) * 2 < len(self.floats)
            if num > (MAX_NUMBERS if numeric else MAX_TEXTS):
                self.choices, self.codes = None, array("i")

    def _note(self, start: int, cells: tuple[str, ...]) -> None:
        """Takes cells some of which are no numbers."""
        self.floats.extend([self._float(start + i, cell) for i, cell in enumerate(cells)])
        if len(self.odd) > SURE_TEXTS and len(self.odd) * 2 > len(self.floats):
            some = list(itertools.islice(self.odd.values(), LOOKED_AT))
            style = NumberStyle.of(some, self.semicolons)
            if sum(math.isnan(style.parse(cell)[0]) for cell in some) * 2 > len(some):
                self.textual, self.odd = True, {}

    def pad(self, num_rows: int) -> None:
        """Fills up with missing cells to a number of rows."""
        if (lacking := num_rows - len(self.floats)) > 0:
            self.extend([""] * lacking)

    def _float(self, row: int, cell: str) -> float:
        """The cell as a number, NaN when it is missing or none; the latter is noted."""
        try:
            if "_" not in cell:
                return float(cell)
        except ValueError:
            pass
        if not is_missing(cell):
            self.odd[row] = cell[:80]
        return math.nan

    @property
    def values(self) -> list[str]:
        """Its distinct values, where they were kept; codes index them, "" stands for nothing."""
        return list(self.choices.values_seen) if self.choices is not None else []

    @cached_property
    def _read(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, dict[int, str]]:
        """(numbers, their errors where any is given, cells that are no numbers), once all cells are in."""
        numbers = np.frombuffer(self.floats, np.float64).copy() if len(self.floats) else np.zeros(0)
        if not self.odd:
            return numbers, None, {}
        style = NumberStyle.of(self.odd.values(), self.semicolons)
        errors, bad = np.full(len(numbers), np.nan), {}
        for row, cell in self.odd.items():
            number, error = style.parse(cell)
            numbers[row], errors[row] = number, error
            if math.isnan(number):
                bad[row] = cell
        return numbers, errors if np.isfinite(errors).any() else None, bad

    @property
    def numbers(self) -> NDArray[np.float64]:
        """(num_rows,) its cells as numbers, NaN where missing or not a number; 71.3% is 71.3, 71.3 ± 0.2 too."""
        return self._read[0]

    @property
    def errors(self) -> NDArray[np.float64] | None:
        """(num_rows,) what stands behind ±; None where nothing does."""
        return self._read[1]

    @property
    def num_numbers(self) -> int:
        """Cells that are numbers."""
        return int((~np.isnan(self.numbers)).sum())

    @cached_property
    def is_numeric(self) -> bool:
        """Most of what is not missing are numbers."""
        return self.num_numbers > len(self._read[2])

    @cached_property
    def is_whole(self) -> bool:
        """A numeric column of whole numbers."""
        numbers = self.numbers[~np.isnan(self.numbers)]
        return self.is_numeric and bool(np.isfinite(numbers).all() and (numbers == np.floor(numbers)).all())

    def cell_codes(self) -> NDArray[np.int32]:
        """(num_rows,) index of each row's value among `values`."""
        return np.frombuffer(self.codes, np.int32) if len(self.codes) else np.zeros(0, np.int32)

    @cached_property
    def counts(self) -> dict[str, int]:
        """{value: rows} of what was kept, absence apart; {} where too many were seen."""
        counts = np.bincount(self.cell_codes(), minlength=len(self.values)).tolist()
        return {value: num for value, num in zip(self.values, counts, strict=True) if value and num}

    @cached_property
    def absent(self) -> NDArray[np.bool_]:
        """(num_rows,) where the cell is empty."""
        if self.choices is None:
            return np.isnan(self.numbers)
        mask: NDArray[np.bool_] = self.cell_codes() == self.choices.values_seen.get("", -1)
        return mask

    @cached_property
    def num_values(self) -> int:
        """Distinct values, absence counting as one."""
        if self.choices is not None:
            return len(self.counts) + bool(self.absent.any())
        known = self.numbers[~np.isnan(self.numbers)]
        return len(np.unique(known)) + bool(len(known) < len(self))

    def cells(self) -> Iterator[str]:
        """Its cells as choices, "" where there is nothing; only where values were kept."""
        values = self.values
        return (values[code] for code in self.codes)

    def faults(self) -> dict[int, str]:
        """{row: reason} of the cells that are not finite numbers."""
        reasons = {row: f"column {self.name}: got {shorten(cell)}, expected a number." for row, cell in self._read[2].items()}
        for row in np.flatnonzero(np.isinf(self.numbers)).tolist():
            reasons[row] = f"column {self.name}: got infinity or a number beyond 1.8e308, expected a finite number."
        return reasons


@dataclass(frozen=True)
class NumberStyle:
    """The style in which the numbers of a column are written, where `float` does not read them.

    Args:
        comma_is_point: "0,713" is 0.713; else commas group thousands.
    """

    comma_is_point: bool

    @classmethod
    def of(cls, cells: Iterable[str], semicolons: bool = False) -> "NumberStyle":
        """The style that the whole column decides: a comma groups thousands only where every one of them can.

        Between semicolons also only where a point stands behind one of them (1,013.01): 60,123 is 60.123 there.
        """
        commas = [part for cell in cells for part in cls._parts(cell) if "," in part]
        groups = [part for part in commas if GROUPS.match(part)]
        grouped = bool(commas) and len(groups) == len(commas) and not any(p.lstrip("+-").startswith("0,") for p in commas)
        certain = not semicolons or any("." in part for part in groups)
        return cls(comma_is_point=not (grouped and certain))

    @staticmethod
    def _parts(cell: str) -> list[str]:
        """The numbers of a cell: itself, or both around ±; without a percent sign."""
        text = cell.strip()
        found = WITH_ERROR.match(text.rstrip("%").strip() if text.count("%") == 1 else text)
        parts = [found["number"], found["error"]] if found else [text]
        return [part.strip().rstrip("%").strip() for part in parts]

    def parse(self, cell: str) -> tuple[float, float]:
        """(number, error behind ±) of a cell, NaN where there is none."""
        parts = [self._number(part) for part in self._parts(cell)]
        return parts[0], parts[1] if len(parts) > 1 and not math.isnan(parts[0]) else math.nan

    def _number(self, text: str) -> float:
        if "_" in text:
            return math.nan
        if "," in text:
            if not self.comma_is_point and GROUPS.match(text):
                text = text.replace(",", "")
            elif self.comma_is_point and (COMMA.match(text) or DOT_GROUPS.match(text)):
                text = text.replace(".", "").replace(",", ".")
            else:
                return math.nan
        try:
            number = float(text)
        except ValueError:
            return math.nan
        return number if text.lower() not in MISSING_MARKS else math.nan
