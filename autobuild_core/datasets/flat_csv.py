"""A CSV with one row an architecture: columns of design choices, and metrics. The columns define the space.

Which column is which, in this order:
- a header "design:NAME" or "metric:NAME" says so itself; the prefix is no part of the name;
- a name that speaks of a measurement (acc, loss, latency, params, seed, ...) is a metric;
- columns that describe blocks (`block0_e`, `block0_k`, `block0_l`) are design choices; next to them every other
  number is a metric;
- without blocks, whole numbers of at most 12 distinct values are design choices, other numbers are metrics;
- a text of at most 64 distinct values is a design choice, unless it names its row;
- the rest is left out, with a note.
"""

import re
from pathlib import Path
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.datasets import Dataset
from autobuild_core.datasets._delimited import Column, Columns, head_rows, holds_architectures, read_columns
from autobuild_core.datasets._table import NUMBER, assemble, metric_name, require_rows, shorten, usual_choices
from autobuild_core.errors import DataError
from autobuild_core.records import ArchTable, Rejection
from autobuild_core.spaces import Space
from autobuild_core.spaces.flat import Flat, block_columns, infer_spec

MAX_WHOLE_VALUES, MAX_TEXT_VALUES, MAX_ALL_DIFFERENT = 12, 64, 12
PREFIXES = ("design:", "metric:")
METRIC = re.compile(
    r"accuracy|latency|throughput|energy|param|flop|madd|perplexity|(^|_)(acc|loss|macs?|top_?[15]|map|error|err|fid|seed|std|var|mean|"
    r"score|ms|fps|time|seconds|iou|miou|pq|auc|f1|mae|mse|rmse|bce|ce|ppl|recall|precision|psnr|ssim|bleu|memory|mem|power|"
    r"watts?|joules?|pct|predicted|epochs?)\d*(_|$)"
)
IDENTITY = re.compile(r"^(id|index|idx|row|key|name|hash|uuid|path|file|unnamed_\d+|column_\d+)$|_(id|idx|index|name|hash|uuid)$")


def snake(name: str) -> str:
    """A header in lower case with underscores between its words: "valTop1 (%)" -> "val_top1"."""
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").lower()


class Roles:
    """Which columns are design choices, which metrics.

    Args:
        table: the file's columns.
        design: the design columns when the space is given, else None.
    """

    def __init__(self, table: Columns, design: list[str] | None) -> None:
        self.table, self.notes = table, list[str]()
        self.ignored: list[str] = []
        self.given = design is not None
        forced = {name: kind for name in table.columns for kind in PREFIXES if name.startswith(kind)}
        plain = {name: name.removeprefix(forced.get(name, "")).strip() for name in table.columns}
        self.column_of = {plain[name]: column for name, column in table.columns.items()}
        self.forced = {plain[name]: kind for name, kind in forced.items()}
        if len(self.column_of) < len(plain):
            raise DataError("header: got a column twice, once with a prefix design: or metric:, expected each name once.")
        named = [n for n in self.column_of if self._speaks_of_metric(n)]
        self.blocks = block_columns([n for n in self.column_of if n not in named])
        in_blocks = {n for columns in self.blocks.values() for n in columns}
        self.design = (
            [n for n in self.column_of if n not in named and self._is_design(n, n in in_blocks)] if design is None else design
        )
        self.metrics = [n for n in self.column_of if n not in self.design and self._is_metric(n)]
        if design is None:
            self._leave_out_constants()
            self._say_what_was_decided()

    def _speaks_of_metric(self, name: str) -> bool:
        """Forced to be a metric, or named like a measurement."""
        return self.forced.get(name) == "metric:" or (name not in self.forced and bool(METRIC.search(snake(name))))

    def _is_design(self, name: str, in_block: bool) -> bool:
        """A column that does not speak of a metric is a design choice."""
        column = self.column_of[name]
        if in_block or self.forced.get(name) == "design:":
            return True
        if IDENTITY.search(snake(name)) or not column.values:
            return False
        if column.is_numeric:
            return not self.blocks and column.is_whole and len(usual_values(column)) <= MAX_WHOLE_VALUES
        all_different = len(column.values) == self.table.num_rows > MAX_ALL_DIFFERENT
        return len(column.values) <= MAX_TEXT_VALUES and not all_different

    def _is_metric(self, name: str) -> bool:
        """A column that is no design choice is a metric; else it is left out."""
        column = self.column_of[name]
        named = self._speaks_of_metric(name)
        if (named and column.num_numbers) or (column.is_numeric and not IDENTITY.search(snake(name))):
            return True
        self.ignored.append(name)
        return False

    def _leave_out_constants(self) -> None:
        """A single column with one value for all rows is no choice, where there is another one."""
        in_blocks = {n for columns in self.blocks.values() for n in columns}
        constant = [n for n in self.design if n not in in_blocks and n not in self.forced and len(self.column_of[n].values) == 1]
        if len(constant) < len(self.design):
            self.design = [n for n in self.design if n not in constant]
            self.ignored += constant

    def _say_what_was_decided(self) -> None:
        """Notes on what a reader might have wanted otherwise."""
        if self.ignored:
            shown = ", ".join(self.ignored)[:200]
            self.notes.append(f"Columns left out: {shown}. Write design: or metric: before a name in the header to use one.")
        few = [n for n in self.metrics if not self._speaks_of_metric(n) and 1 < len(self.column_of[n].values) <= MAX_WHOLE_VALUES]
        if few and self.table.num_rows >= 4 * MAX_WHOLE_VALUES:
            shown = ", ".join(few)[:200]
            self.notes.append(
                f"Taken as metrics though they have few values: {shown}. Write design: before a name to make it a choice."
            )


def usual_values(column: Column) -> list[str]:
    """The values of a design column, without slips and missing cells."""
    counts = np.bincount(column.cell_codes(), minlength=len(column.values)).tolist()
    return usual_choices({v: n for v, n in zip(column.values, counts, strict=True) if v})


@final
class FlatCsv(Dataset):
    """Columns are read in one pass; architectures are parsed once per distinct combination of a unit's values."""

    title = "Flat table of design choices (CSV)"
    example = b"block0_e,block0_k,block0_l,acc,latency_ms\n3,5,2,0.71,4.5\n6,3,1,0.73,4.1\n"

    def supports(self, head: bytes, name: str) -> str | None:
        rows = head_rows(head)
        if rows is None:
            return "the first line is no header of at least two columns"
        if all(NUMBER.fullmatch(cell.strip()) for cell in rows[0]):
            return "the first line holds only numbers, expected the names of columns"
        if holds_architectures(rows):
            return "has a column arch of native encodings"
        return None

    def read(self, path: Path, space: Space | None) -> ArchTable:
        if space is not None and not isinstance(space, Flat):
            raise DataError(f"{path.name}: got a table of design choices, expected architectures of {space.spec.title}.")
        wanted = [c for i in range(len(space.spec.units)) for c in space.columns_of(i)] if space else None
        kept = [prefix + name for name in wanted or () for prefix in ("", *PREFIXES)]
        table = read_columns(path, kept)
        roles = Roles(table, wanted)
        missing = [name for name in roles.design if name not in roles.column_of]
        if missing:
            raise DataError(
                f"{path.name}: got no column {', '.join(missing[:5])}, expected every design column of the run's space."
            )
        if not roles.design:
            found = ", ".join(table.columns)[:200]
            raise DataError(f"{path.name}: got no column of design choices among {found}; write design: before their names.")
        reasons = dict(table.ragged)
        for name in roles.metrics:
            reasons = roles.column_of[name].faults() | reasons
        found_space = self._space(roles, reasons) if space is None else space
        codes = self._codes(found_space, roles, reasons)
        return self._table(path, found_space, roles, codes, reasons, given=space is not None)

    @staticmethod
    def _space(roles: Roles, reasons: dict[int, str]) -> Flat:
        """The space of the values in rows that are not refused already."""
        good = np.ones(roles.table.num_rows, bool)
        good[list(reasons)] = False
        seen = {}
        for name in roles.design:
            column = roles.column_of[name]
            if not column.values:
                raise DataError(f"column {name}: got too many values, expected a design choice.")
            counts = np.bincount(column.cell_codes()[good], minlength=len(column.values)).tolist()
            seen[name] = usual_choices({v: n for v, n in zip(column.values, counts, strict=True) if n and v})
            if not seen[name]:
                raise DataError(f"column {name}: got no value in any readable row, expected a design choice.")
        frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in seen.items()})
        return Flat(infer_spec(frame, roles.design))

    @staticmethod
    def _codes(space: Flat, roles: Roles, reasons: dict[int, str]) -> NDArray[np.int16]:
        """(num_rows, num_positions) codes; refused rows get a reason and rows of zeros."""
        codes = np.zeros((roles.table.num_rows, space.spec.num_positions), np.int16)
        for index, unit in enumerate(space.spec.units):
            columns = [roles.column_of[name] for name in space.columns_of(index)]
            names = space.columns_of(index)
            key = np.zeros(roles.table.num_rows, np.int64)
            for column in columns:  # a number for each combination seen, kept small after every column
                key = pd.factorize(key * len(column.values) + column.cell_codes())[0].astype(np.int64)
            first = np.unique(key, return_index=True)[1]
            parsed = np.zeros((len(first), len(unit.positions)), np.int16)
            faults: dict[int, str] = {}
            for combination, row in enumerate(first.tolist()):
                cells = {n: c.values[c.codes[row]] for n, c in zip(names, columns, strict=True)}
                try:
                    parsed[combination] = space.parse_unit(index, cells)
                except DataError as error:
                    faults[combination] = str(error)
            for row in np.flatnonzero(np.isin(key, list(faults))).tolist() if faults else ():
                reasons.setdefault(row, faults[int(key[row])])
            codes[:, list(unit.positions)] = parsed[key]
        return codes

    @staticmethod
    def _table(
        path: Path, space: Flat, roles: Roles, codes: NDArray[np.int16], reasons: dict[int, str], given: bool
    ) -> ArchTable:
        """The rows without a reason to refuse them."""
        keep = np.ones(len(codes), bool)
        keep[list(reasons)] = False
        metrics: dict[str, NDArray[np.float64]] = {}
        for name in roles.metrics:
            short = metric_name(name)
            if short in metrics:
                raise DataError(f"{path.name}: got two columns that equations would call {short}, expected distinct names.")
            if short != name:
                roles.notes.append(f"Column {shorten(name)} is called {short} in equations.")
            metrics[short] = roles.column_of[name].numbers[keep]
        frame = pd.DataFrame(metrics, index=pd.RangeIndex(int(keep.sum())))
        rejected = [Rejection(row, reason[:300]) for row, reason in reasons.items()]
        rows = np.flatnonzero(keep).astype(np.int64)
        table = assemble(space, codes[keep], frame, rows, "flat_csv", len(codes), rejected, roles.notes)
        return table if given else require_rows(table, path.name)
