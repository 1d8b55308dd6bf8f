"""Delimited text in columns: streamed in chunks, numbers and repeated values kept compactly, row by row faults noted."""

import csv
import itertools
import json
import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autobuild_core.datasets._files import text_lines
from autobuild_core.datasets._table import is_missing, known_space, shorten
from autobuild_core.errors import DataError
from autobuild_core.spaces.flat import as_choice

CHUNK_ROWS = 20_000
MAX_CHOICES = 4096
MAX_BAD_CELLS = 100_000
MAX_COLUMNS = 10_000
DELIMITERS = ",;\t"


def delimiter_of(header: str) -> str:
    """The delimiter that occurs most often in the header line."""
    return max(DELIMITERS, key=header.count)


def split_line(line: str) -> list[str]:
    """The fields of a header line, none when it is no CSV."""
    try:
        fields = next(csv.reader([line], delimiter=delimiter_of(line)), [])
    except csv.Error:
        return []
    return [name.strip() for name in fields]


def head_rows(head: bytes, num: int = 20) -> list[list[str]] | None:
    """Header and first rows of a file's head; None when it is no delimited text of at least two columns."""
    lines = head.decode(errors="replace").lstrip().split("\n")[:num]
    if len(split_line(lines[0])) < 2 or lines[0].startswith(("{", "[")) or "\ufffd" in lines[0]:
        return None
    try:
        return [row for row in csv.reader(lines, delimiter=delimiter_of(lines[0])) if row]
    except csv.Error:
        return None


class _Choices(dict[str, int]):
    """Cell as written -> index of its value; grows by itself, equal values in other spellings share an index."""

    def __init__(self) -> None:
        self.values_seen: dict[str, int] = {}

    def __missing__(self, cell: str) -> int:
        index = self.values_seen.setdefault(as_choice(cell), len(self.values_seen))
        self[cell] = index
        return index


@dataclass
class Column:
    """One column of a table.

    Args:
        name: its header.
        always_choices: keep every distinct value, however many there are.
    """

    name: str
    always_choices: bool = False
    floats: "array[float]" = field(default_factory=lambda: array("d"))
    bad: dict[int, str] = field(default_factory=dict)
    num_bad: int = 0
    choices: _Choices | None = field(default_factory=_Choices)
    codes: "array[int]" = field(default_factory=lambda: array("i"))

    def extend(self, cells: tuple[str, ...]) -> None:
        """Takes the column's next cells."""
        start = len(self.floats)
        try:
            self.floats.extend(array("d", map(float, cells)))
        except ValueError:
            self.floats.extend([self._float(start + i, cell) for i, cell in enumerate(cells)])
        if self.choices is not None:
            self.codes.extend(map(self.choices.__getitem__, cells))
            if len(self.choices.values_seen) > MAX_CHOICES and not self.always_choices:
                self.choices, self.codes = None, array("i")

    def _float(self, row: int, cell: str) -> float:
        """The cell as a number, NaN when it is missing or none; the latter is noted."""
        try:
            return float(cell)
        except ValueError:
            if not is_missing(cell):
                self.num_bad += 1
                if len(self.bad) < MAX_BAD_CELLS:
                    self.bad[row] = cell[:80]
            return math.nan

    @property
    def values(self) -> list[str]:
        """Its distinct values, where they were kept; codes index them."""
        return list(self.choices.values_seen) if self.choices is not None else []

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Its cells as numbers, NaN where missing or not a number."""
        return np.frombuffer(self.floats, np.float64) if len(self.floats) else np.zeros(0)

    @property
    def num_numbers(self) -> int:
        """Cells that are numbers."""
        return int((~np.isnan(self.numbers)).sum())

    @property
    def is_numeric(self) -> bool:
        """Most of what is not missing are numbers."""
        return self.num_numbers > self.num_bad

    @property
    def is_whole(self) -> bool:
        """A numeric column of whole numbers."""
        numbers = self.numbers[~np.isnan(self.numbers)]
        return self.is_numeric and bool(np.isfinite(numbers).all() and (numbers == np.floor(numbers)).all())

    def cell_codes(self) -> NDArray[np.int32]:
        """Per row the index of its value among `values`."""
        return np.frombuffer(self.codes, np.int32) if len(self.codes) else np.zeros(0, np.int32)

    def faults(self) -> dict[int, str]:
        """{row: reason} of the cells that are not finite numbers.

        Raises:
            DataError: there are more than 100,000 of them.
        """
        if self.num_bad > len(self.bad):
            raise DataError(
                f"column {self.name}: got {self.num_bad} cells like {shorten(next(iter(self.bad.values())))}, expected numbers."
            )
        reasons = {row: f"column {self.name}: got {shorten(cell)}, expected a number." for row, cell in self.bad.items()}
        for row in np.flatnonzero(np.isinf(self.numbers)).tolist():
            reasons[row] = f"column {self.name}: got infinity or a number beyond 1.8e308, expected a finite number."
        return reasons


@dataclass
class Columns:
    """A delimited file.

    Args:
        columns: its columns by name, in the order of the file.
        num_rows: rows behind the header; blank lines are none.
        ragged: {row: reason} of rows with too few or too many fields.
    """

    columns: dict[str, Column]
    num_rows: int = 0
    ragged: dict[int, str] = field(default_factory=dict)


def read_rows(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    """The header and the rows behind it; blank lines are left out.

    Raises:
        DataError: no header, too many columns, a name used twice; while iterating: not CSV.
    """
    lines = text_lines(path)
    first = next((line for line in lines if line.strip()), "")
    header = split_line(first)
    if len(header) < 2 or len(header) > MAX_COLUMNS:
        raise DataError(f"{path.name}: got a header of {len(header)} columns, expected 2 to {MAX_COLUMNS}.")
    named = [name for name in header if name]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise DataError(f"{path.name}: got column {shorten(twice)} twice, expected each name once.")

    def rows() -> Iterator[list[str]]:
        reader = csv.reader(lines, delimiter=delimiter_of(first))
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    yield row
        except csv.Error as error:
            raise DataError(f"{path.name}, near line {reader.line_num + 1}: not readable as CSV: {error}.") from None

    return [name or f"column_{i + 1}" for i, name in enumerate(header)], rows()


def even_row(row: list[str], width: int) -> tuple[list[str], str | None]:
    """A row of exactly `width` fields, and the reason to refuse it when it had another number of them."""
    if len(row) == width:
        return row, None
    reason = f"got {len(row)} fields, expected {width} as in the header."
    return [""] * width, reason


def read_columns(path: Path, always_choices: Iterable[str] = ()) -> Columns:
    """A whole file in columns.

    Args:
        path: the file, plain or gzipped.
        always_choices: columns whose distinct values are all kept, however many.

    Raises:
        DataError: it is no CSV, or has a header only.
    """
    header, rows = read_rows(path)
    kept = set(always_choices)
    table = Columns({name: Column(name, name in kept) for name in header})
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        for index, row in enumerate(chunk):
            if len(row) != len(header):
                chunk[index], reason = even_row(row, len(header))
                table.ragged[table.num_rows + index] = str(reason)
        for column, cells in zip(table.columns.values(), zip(*chunk, strict=True), strict=True):
            column.extend(cells)
        table.num_rows += len(chunk)
    if not table.num_rows:
        raise DataError(f"{path.name}: got a header and no row, expected architectures.")
    return table


def native_cell(cell: str) -> object:
    """A cell's architecture: JSON when it looks like it, else the text itself."""
    text = cell.strip()
    if not text.startswith(("[", "{")):
        return text
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found


def holds_architectures(rows: list[list[str]]) -> bool:
    """Header and first rows of a file with a column arch of native encodings of a known space."""
    header, width = rows[0], len(rows[0])
    if "arch" not in header:
        return False
    cells = [row[header.index("arch")] for row in rows[1:] if len(row) == width]
    return any(known_space(native_cell(cell)) for cell in cells)
