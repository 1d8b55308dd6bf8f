"""Collects the rows of a file into columns: codes, metrics, refusals. Memory grows with the numbers, not with objects."""

import keyword
import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core import registry
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.records import ArchTable, Codes, Rejection
from autobuild_core.spaces import Space, load_space, space_named

MAX_METRICS = 1000
MAX_RESOLUTION = 100_000
NO_RESOLUTION = -1
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MISSING_MARKS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?"})


@cache
def metric_name(field: str) -> str:
    """A field's name as equations write it: letters, digits and underscores, not starting with a digit."""
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", field.strip())).strip("_") or "metric"
    name = re.sub(r"\W", "_", name)
    return f"m_{name}" if name[0].isdigit() else f"{name}_" if keyword.iskeyword(name) else name


def is_missing(value: Any) -> bool:
    """None, NaN, or a text that stands for nothing."""
    if isinstance(value, str):
        return value.strip().lower() in MISSING_MARKS
    return value is None or (isinstance(value, float) and math.isnan(value))


def as_metric(field: str, value: Any) -> float:
    """A metric's value, NaN where it is missing.

    Raises:
        DataError: it is not a finite number.
    """
    if is_missing(value):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{field}: got {shorten(value)}, expected a number.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number):
        raise DataError(f"{field}: got {'-' if value < 0 else ''}infinity or a number beyond 1.8e308, expected a finite number.")
    return number


def shorten(value: Any, length: int = 60) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def flatten_metrics(fields: Mapping[str, Any]) -> dict[str, float]:
    """{metric: value}; a list gives one metric a place, numbered from 1 (test_acc -> test_acc_1, test_acc_2, ...).

    Raises:
        DataError: a value is not a number or a list of numbers, or two fields have one name in equations.
    """
    flat: dict[str, float] = {}
    for field, value in fields.items():
        name = metric_name(field)
        places = enumerate(value, 1) if isinstance(value, list) else None
        for key, number in ((f"{name}_{i}", v) for i, v in places) if places else ((name, value),):
            if key in flat:
                raise DataError(f"{field}: got metric {key} twice, expected one value each.")
            flat[key] = as_metric(field, number)
    return flat


class TableBuilder:
    """Takes rows in the order of the file; `table` turns them into an ArchTable.

    Where the space has an input resolution, a field of that name is no metric: rows of another resolution than the
    given space's, or than the file's most common one, are refused.

    Args:
        space: what the rows must lie in.
        format: file in datasets/ that reads them.
        file_name: for messages.
        given: the space was given, not inferred: its resolution holds, and a table without a row is no error.
    """

    def __init__(self, space: Space, format: str, file_name: str, given: bool) -> None:
        self.space, self.format, self.file_name, self.given = space, format, file_name, given
        self.num_read = 0
        self.rejected: list[Rejection] = []
        self.notes: list[str] = []
        self._source_rows = array("q")
        self._codes = array("h")
        self._resolutions = array("q")
        self._has_resolution = "resolution" in space.spec.options
        self._metrics: dict[str, array[float]] = {}

    def add(self, native: Any, fields: Mapping[str, Any]) -> None:
        """Takes or refuses the next row."""
        resolution = NO_RESOLUTION
        try:
            codes = self.space.parse(native)
            if self._has_resolution and "resolution" in fields:
                resolution = as_resolution(fields["resolution"])
                fields = {field: value for field, value in fields.items() if field != "resolution"}
            metrics = flatten_metrics(fields)
        except DataError as error:
            self.reject(str(error))
            return
        for name, value in metrics.items():
            column = self._metrics.get(name)
            if column is None:
                column = self._new_metric(name)
            column.extend([math.nan] * (len(self._source_rows) - len(column)))  # rows in which it was absent
            column.append(value)
        self._codes.extend(codes)
        self._resolutions.append(resolution)
        self._source_rows.append(self.num_read)
        self.num_read += 1

    def reject(self, reason: str) -> None:
        """Refuses the next row."""
        self.rejected.append(Rejection(self.num_read, reason[:300]))
        self.num_read += 1

    def _new_metric(self, name: str) -> "array[float]":
        if len(self._metrics) >= MAX_METRICS:
            raise DataError(f"{self.file_name}: got more than {MAX_METRICS} metrics, expected the same few in every row.")
        return self._metrics.setdefault(name, array("d"))

    def table(self) -> ArchTable:
        """All rows taken.

        Raises:
            DataError: there is none, and no space was given.
        """
        num = len(self._source_rows)
        for column in self._metrics.values():
            column.extend([math.nan] * (num - len(column)))
        keep = self._one_resolution(np.array(self._resolutions, np.int64))
        codes = np.array(self._codes, np.int16).reshape(num, self.space.spec.num_positions)
        frame = pd.DataFrame({n: np.array(c, np.float64) for n, c in self._metrics.items()}, index=pd.RangeIndex(num))
        rows, metrics = np.array(self._source_rows, np.int64), frame[keep].reset_index(drop=True)
        table = assemble(self.space, codes[keep], metrics, rows[keep], self.format, self.num_read, self.rejected, self.notes)
        return table if self.given else require_rows(table, self.file_name)

    def _one_resolution(self, found: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rows have the space's one resolution; the others are refused. May adapt an inferred space to its file."""
        known = Counter(found[found != NO_RESOLUTION].tolist())
        if not known:
            return np.ones(len(found), bool)
        if not self.given:
            options = {**self.space.spec.options, "resolution": known.most_common(1)[0][0]}
            self.space = load_space(replace(self.space.spec, options=options))
        expected = self.space.spec.options["resolution"]
        whose = "that of the run's space" if self.given else "the most common of the file"
        keep = (found == expected) | (found == NO_RESOLUTION)
        for index in np.flatnonzero(~keep).tolist():
            reason = f"resolution: got {found[index]}, expected {expected}, {whose} (a space has one resolution)."
            self.rejected.append(Rejection(self._source_rows[index], reason))
        return np.asarray(keep, bool)


def as_resolution(value: Any) -> int:
    """An input resolution in pixels, NO_RESOLUTION where it is missing.

    Raises:
        DataError: it is not a whole number of pixels.
    """
    if is_missing(value):
        return NO_RESOLUTION
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not 1 <= value <= MAX_RESOLUTION or int(value) != value:
        raise DataError(f"resolution: got {shorten(value)}, expected a whole number of pixels.")
    return int(value)


def assemble(
    space: Space,
    codes: Codes,
    metrics: pd.DataFrame,
    source_rows: NDArray[np.int64],
    format: str,
    num_read: int,
    rejected: Iterable[Rejection],
    notes: Iterable[str],
) -> ArchTable:
    """The table of these columns, with refusals in the order of rows and canonical hashes."""
    ordered = tuple(sorted(rejected, key=lambda rejection: rejection.row))
    codes = np.ascontiguousarray(codes, np.int16)
    networks = space.hash_networks(codes)
    return ArchTable(space.spec, codes, networks, metrics, source_rows, format, num_read, ordered, tuple(notes))


def require_rows(table: ArchTable, file_name: str) -> ArchTable:
    """The table itself when it has a row.

    Raises:
        DataError: every row was refused; the message gives the first reason.
    """
    if len(table):
        return table
    if table.rejected:
        first = table.rejected[0]
        raise DataError(f"{file_name}: all {table.num_read} rows were refused; row {first.row}: {first.reason}")
    raise DataError(f"{file_name}: got no row, expected architectures.")


def known_space(native: Any) -> Space | None:
    """The space that needs no data to be defined and has this architecture; None when there is none."""
    for name in registry.names("spaces"):
        try:
            space = space_named(name)
            space.parse(native)
        except (ConfigError, DataError):
            continue
        return space
    return None


def usual_choices(counts: Mapping[str, int]) -> list[str]:
    """The values that a design column takes: where most cells are numbers only those, so that one slip is no new choice."""
    texts = [value for value in counts if not NUMBER.fullmatch(value)]
    if sum(counts[value] for value in texts) * 2 < sum(counts.values()):
        return [value for value in counts if NUMBER.fullmatch(value)]
    return list(counts)
