"""From the rows of any file to a table of architectures: roles, the space, codes, contexts, stopped trials, refusals.

Formats hand over rows, as cells under a header or as objects; everything behind that is the same for all of them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, ColumnRole, Rejection
from autobuild_core.datasets._columns import Column
from autobuild_core.datasets._inference import Inference, with_values
from autobuild_core.datasets._lists import list_form
from autobuild_core.datasets._objects import exploded
from autobuild_core.datasets._roles import ARCH_ROOTS, BY_DEFAULT, ONE_VALUE, Evidence, Found, describe, split_prefix
from autobuild_core.datasets._rows import Request, Rows
from autobuild_core.datasets._sanity import warnings_of
from autobuild_core.datasets._table import metric_name, shorten
from autobuild_core.datasets._trackers import COMPLETE, STOPPED, Tracker, tracker_of
from autobuild_core.errors import ArchitectureError, DataError, MappingError, counted, listed
from autobuild_core.spaces import Space, load_space
from autobuild_core.spaces._declared import Declared, make_spec
from autobuild_core.spaces.flat import Flat, block_columns

MEDIAN = 0.5


def assemble(rows: Rows, request: Request) -> ArchTable:
    """The table of a file's rows.

    Raises:
        MappingError: there is no design choice, every row is refused, or a column cannot be what it is said to be; it holds how
            every column was read.
        DataError: a role was said of a column that is not there.
    """
    assembly = _Assembly(rows, request)
    try:
        return assembly.table()
    except MappingError:
        raise
    except DataError as error:
        raise MappingError(str(error), assembly.roles) from error


class _Assembly:
    """One file on its way to a table."""

    def __init__(self, rows: Rows, request: Request) -> None:
        self.rows, self.request = rows, request
        self.tracker: Tracker | None = tracker_of({*rows.columns, *(c.path[0] for c in rows.columns.values() if c.path)})
        self.notes: list[str] = []
        bookkeeping = [header for header in rows.columns if self.tracker and self.tracker.ignored.match(header)]
        rows.columns = exploded(rows.columns, {*rows.architectures, *bookkeeping})
        design = frozenset(request.space.columns) if isinstance(request.space, Flat) else None
        if request.declared is not None and not request.declared.base:
            design = frozenset(c for slot in request.declared.slots for own in slot.columns for c in own) | {
                slot.depth for slot in request.declared.slots if slot.depth
            }
        evidence = Evidence(request.roles, self.tracker, rows.num_rows, rows.architectures, design, request.joining)
        self.names = _plain_names(rows.columns, evidence)
        self._refuse_unknown_roles()
        impossible: list[str] = []
        self.found: dict[str, Found] = {h: self._role(evidence, h, impossible) for h in rows.columns}
        self._keep_blocks_whole()
        self._keep_numbered_together()
        self.roles = tuple(self._described(header) for header in rows.columns)
        impossible += self._named_twice()
        if impossible:
            raise MappingError(impossible[0], self.roles)
        self.reasons = dict(rows.refused)
        self.censored: NDArray[np.float64] = np.full(rows.num_rows, np.nan)

    def _refuse_unknown_roles(self) -> None:
        """Raises: DataError: a role was said of a column that the file does not have."""
        known = {n for h in self.rows.columns for n in (h, split_prefix(h)[1])} | set(self.names.values())
        known |= {column.path[-1] for column in self.rows.columns.values() if column.path}
        if self.request.space is None and (unknown := [c for c in self.request.roles if c not in known]):
            shown = listed(self.rows.columns)
            raise DataError(f"{self.request.name}: got a role for column {unknown[0]}, expected one of {shown}.")

    def _role(self, evidence: Evidence, header: str, impossible: list[str]) -> Found:
        """The role of a column; where a prefix in its header gives one that it cannot have, what the other evidence says.

        Args:
            evidence: what decides.
            header: of the column.
            impossible: sentences on prefixes; grows.
        """
        column, name = self.rows.columns[header], self.names[header]
        try:
            return evidence.role(column, name)
        except MappingError as error:
            impossible.append(f"{self.request.name}: {error}")
            return evidence.role(column, name, by_prefix=False)

    def _named_twice(self) -> Iterator[str]:
        """Sentences on columns that are called alike, none of which is ignored."""
        for second, first in self.rows.twice.items():
            if "ignored" not in (self.found[first].role, self.found[second].role):
                got = f"got column {shorten(first)} twice"
                yield f"{self.request.name}: {got}, expected each name once; ignore {shorten(second)} or the first."
        plain: dict[str, str] = {}
        for header, found in self.found.items():
            first = plain.setdefault(split_prefix(header)[1], header) if found.role != "ignored" else header
            if first != header:
                got = f"got column {shorten(split_prefix(header)[1])} twice, once with a prefix such as design: or metric:"
                yield f"{self.request.name}: {got}, expected each name once; ignore one of them."

    def _keep_blocks_whole(self) -> None:
        """Makes choices of block columns of one value whose block has another choice: they describe its layers."""
        constant = [h for h, f in self.found.items() if f.why.startswith(ONE_VALUE) and self.rows.columns[h].counts]
        choices = [self.names[h] for h, f in self.found.items() if f.role == "choice"]
        header_of = {self.names[h]: h for h in constant}
        for block, columns in block_columns([*choices, *header_of]).items():
            chosen = [name for name in columns if name in choices]
            for name in columns if chosen else ():
                if name in header_of:
                    self.found[header_of[name]] = Found("choice", f"one value, but part of the block {block}")

    def _keep_numbered_together(self) -> None:
        """Makes choices of numbers that hardly repeat in columns numbered like others that are choices: the last of a chain."""
        stems: dict[str, list[str]] = {}
        for header in self.rows.columns:
            stems.setdefault(re.sub(r"\d+", "#", self.names[header]), []).append(header)
        for stem, headers in stems.items():
            chosen = [h for h in headers if self.found[h].role == "choice"]
            others = [h for h in headers if self.found[h].why in BY_DEFAULT and self.rows.columns[h].choices is not None]
            if "#" in stem and chosen and len(chosen) + len(others) == len(headers):
                for header in others:
                    self.found[header] = Found("choice", f"numbered like {self.names[chosen[0]]}")

    def _described(self, header: str) -> ColumnRole:
        column, found = self.rows.columns[header], self.found[header]
        if found.role == "architecture":
            num = len(np.unique(self.rows.codes, axis=0)) if self.rows.codes is not None and len(self.rows.codes) else 0
            return ColumnRole(self.names[header], "architecture", "architecture", num, found.why, said=found.said)
        return describe(column, self.names[header], found)

    def _of_role(self, role: str) -> dict[str, Column]:
        """{plain name: column} of a role, in the order of the file."""
        return {self.names[h]: c for h, c in self.rows.columns.items() if self.found[h].role == role}

    def table(self) -> ArchTable:
        """The table."""
        metrics, contexts, kinds = self._metrics(), self._contexts(), self._context_kinds()
        self._outcomes(metrics)
        space, codes = self._coded()
        keep = np.ones(self.rows.num_rows, bool)
        keep[list(self.reasons)] = False
        fewer = self.request.declared is not None and self.request.declared.base
        if space.rules or space.listed or fewer:
            for row in np.flatnonzero(keep)[~space.valid(codes[keep])].tolist():
                try:
                    space.check(codes[row].tolist())
                except ArchitectureError as error:
                    self.reasons[row] = str(error)[:300]
                    keep[row] = False
        rows = np.flatnonzero(keep).astype(np.int64)
        rejected = tuple(Rejection(row, self.reasons[row][:300]) for row in sorted(self.reasons))
        codes = np.ascontiguousarray(codes[keep], np.int16)
        frame = pd.DataFrame({n: v[keep] for n, v in metrics.items()}, index=pd.RangeIndex(len(rows)))
        frame.loc[np.isfinite(self.censored[keep])] = np.nan
        beside = pd.DataFrame({n: v[keep] for n, v in contexts.items()}, index=pd.RangeIndex(len(rows)))
        read = (self.request.format, self.rows.num_rows, rejected, tuple(self.notes))
        table = ArchTable(
            *(space.spec, codes, space.hash_networks(codes), frame, rows, *read, beside, kinds, self.censored[keep], self.roles)
        )
        if self.request.space is not None:
            return table
        self._require_rows(table)
        return replace(table, warnings=warnings_of(table), declared=self.request.declared is not None)

    def _require_rows(self, table: ArchTable) -> None:
        """Raises: MappingError: every row was refused; the message gives the first reason."""
        if not len(table):
            first = table.rejected[0]
            raise MappingError(self._all_refused(first.row, first.reason), self.roles)

    def _all_refused(self, row: int, reason: str) -> str:
        """The message where no row is left."""
        num = self.rows.num_rows
        refused = f"all {num} rows were refused" if num > 1 else "its only row was refused"
        return f"{self.request.name}: {refused}; row {row}: {reason}"

    def _metrics(self) -> dict[str, NDArray[np.float64]]:
        """{name in equations: (num_rows,) values}; cells that are no numbers refuse their rows."""
        found: dict[str, NDArray[np.float64]] = {}
        named = set(map(metric_name, self._of_role("metric")))
        for name, column in self._of_role("metric").items():
            short = metric_name(name)
            if list_form(column) == "":
                self._repeats(found, short, column)
                continue
            for row, reason in column.faults().items():
                self.reasons.setdefault(row, reason)
            self._add(found, short, np.where(np.isinf(column.numbers), np.nan, column.numbers))
            if short != name:
                self.notes.append(f"Column {shorten(name)} is called {short} in equations.")
            if column.errors is not None and f"{short}_std" not in named:
                found[f"{short}_std"] = column.errors
        return found

    def _add(self, found: dict[str, NDArray[np.float64]], short: str, values: NDArray[np.float64]) -> None:
        """Takes a metric.

        Raises:
            DataError: another column has its name in equations.
        """
        if short in found:
            said = f"{self.request.name}: got two columns that equations would call {short}, expected distinct names"
            raise MappingError(f"{said}; ignore one of them.", self.roles)
        found[short] = values

    def _repeats(self, found: dict[str, NDArray[np.float64]], short: str, column: Column) -> None:
        """A metric whose cells are lists: one metric a place, numbered from 1."""
        by_value = [json.loads(value) if value else [] for value in column.values]
        width = max(map(len, by_value), default=0)
        table = np.full((len(by_value), width), np.nan)
        wrong: dict[int, str] = {}
        for place, parts in enumerate(by_value):
            for i, part in enumerate(parts):
                if isinstance(part, int | float) and not isinstance(part, bool):
                    table[place, i] = part
                elif part is not None:
                    wrong[place] = f"column {column.name}: got {shorten(part)}, expected a number."
        codes = column.cell_codes()
        for row in np.flatnonzero(np.isin(codes, list(wrong))).tolist() if wrong else ():
            self.reasons.setdefault(row, wrong[int(codes[row])])
        for i in range(width):
            self._add(found, f"{short}_{i + 1}", table[codes, i])

    def _contexts(self) -> dict[str, Any]:
        """{name: (num_rows,) numbers or texts} of what varies beside the architecture."""
        found: dict[str, Any] = {}
        for name, column in self._of_role("context").items():
            if column.is_numeric:
                for row, reason in column.faults().items():
                    self.reasons.setdefault(row, reason)
                found[name] = column.numbers
            elif column.choices is None:
                raise DataError(f"column {name}: got too many values, expected a context with few texts.")
            else:
                found[name] = pd.array(list(column.cells()), dtype="str")
        return found

    def _context_kinds(self) -> dict[str, str]:
        return {self.names[h]: f.context for h, f in self.found.items() if f.role == "context"}

    def _outcomes(self, metrics: dict[str, NDArray[np.float64]]) -> None:
        """Stopped trials become censored rows; failed ones without a value are refused with their state as the reason."""
        column = self.rows.columns.get(self.tracker.state) if self.tracker and self.tracker.state else None
        if column is None or self.tracker is None or column.choices is None:
            return
        outcome = [self.tracker.outcome(value) if value else COMPLETE for value in column.values]
        runtime, kept = {metric_name(name) for name in self.tracker.runtime}, 0
        results = [values for name, values in metrics.items() if name not in runtime]
        valued: NDArray[np.bool_] = np.isfinite(np.array([np.full(self.rows.num_rows, np.nan), *results])).any(0)
        for row, code in enumerate(column.cell_codes().tolist()):
            if outcome[code] == STOPPED:
                self.censored[row] = self.request.censored.get(row, MEDIAN)
            elif outcome[code] != COMPLETE and not valued[row]:
                self.reasons.setdefault(row, f"{column.name}: got {column.values[code]}, expected a completed trial.")
            else:
                kept += outcome[code] != COMPLETE
        if kept:
            have = "has values and is" if kept == 1 else "have values and are"
            self.notes.append(f"{counted(kept, 'trial')} that did not complete {have} kept: {column.name} says which.")
        num = int(np.isfinite(self.censored).sum())
        if num:
            are, own = ("is", "its own value is") if num == 1 else ("are", "their own values are")
            self.notes.append(
                f"{counted(num, 'stopped trial')} {are} kept as known to be worse than what was then required of the completed "
                f"ones; {own} not learned."
            )

    # Space and codes

    def _coded(self) -> tuple[Space, Codes]:
        """The space and the codes of every row.

        Raises:
            MappingError: there is no design choice.
        """
        declared = self.request.declared
        if declared is not None and declared.base:
            return self._of_some_operations(declared)
        if self.rows.space is not None and self.rows.codes is not None:
            if declared is not None:
                got = f"architectures of {self.rows.space.spec.title} in {', '.join(self.rows.architectures)}"
                expected = "expected design columns of the declared space; ignore that column."
                raise DataError(f"{self.request.name}: got {got}, {expected}")
            return self.rows.space, self.rows.codes
        choices = self._of_role("choice")
        given = self.request.space
        if isinstance(given, Flat):
            self._complete(choices, given)
            self._refuse_foreign(given)
            return given, self._parse(given, choices)
        if not choices:
            raise MappingError(self._no_choice(), self.roles)
        good = np.ones(self.rows.num_rows, bool)
        good[list(self.reasons)] = False
        if not good.any():
            first = min(self.reasons)
            raise MappingError(self._all_refused(first, self.reasons[first]), self.roles)
        try:
            declared = declared or with_values(self._inferred(choices, good), dict(self.request.wider))
            space = Flat(make_spec(declared, Flat.title))
        except DataError as error:
            raise MappingError(f"{self.request.name}: {error}", self.roles) from error
        self._complete(choices, space)
        return space, self._parse(space, choices)

    def _of_some_operations(self, declared: Declared) -> tuple[Space, Codes]:
        """The space and the codes of architectures of a known space, of which a reader declared some operations.

        Raises:
            DataError: the file has none of them.
        """
        space = load_space(make_spec(declared, ""))
        if self.rows.space is None or self.rows.codes is None or self.rows.space.spec.name != declared.base:
            got = "no architectures" if self.rows.space is None else f"architectures of {self.rows.space.spec.title}"
            raise DataError(f"{self.request.name}: got {got}, expected some of {space.spec.title}, as declared.")
        return space, self.rows.codes

    def _inferred(self, choices: dict[str, Column], good: NDArray[np.bool_]) -> Declared:
        """The space of the rows that it refuses none of: what only refused rows have is not in it."""
        num = -1
        while num != int(good.sum()):
            num = int(good.sum())
            declared = Inference(choices, good, self.reasons).declared()
        return declared

    def _no_choice(self) -> str:
        """The message where nothing is a design choice, with what to do."""
        constant = [r.name for r in self.roles if r.why.startswith(ONE_VALUE)]
        have = "has" if len(constant) == 1 else "have"
        only = f" ({', '.join(constant[:5])} {have} one value in every row)" if constant else ""
        if not self.roles:
            return f"{self.request.name}: got rows without a field, expected design choices and what was measured."
        shown = listed(r.name for r in self.roles)
        remedy = "say which columns are, or write design: before their names"
        return f"{self.request.name}: got no design choice among {shown}{only}; {remedy}."

    def _complete(self, choices: dict[str, Column], space: Flat) -> None:
        """Adds empty columns for units that may be absent.

        Raises:
            DataError: a column is missing whose unit is always there.
        """
        missing = [c for c in space.columns if c not in choices]
        for index, unit in enumerate(space.spec.units):
            for column in space.columns_of(index):
                if column in missing and (unit.depths[0] == 0 or self._is_behind(space, index, column)):
                    choices[column] = Column(column, (column,))
                    choices[column].pad(self.rows.num_rows)
        if missing := [c for c in missing if c not in choices]:
            shown = listed(missing)
            raise DataError(f"{self.request.name}: got no column {shown}, expected every design column of the run's space.")

    @staticmethod
    def _is_behind(space: Flat, index: int, column: str) -> bool:
        """A numbered column behind the fewest layers of its unit, or the column of a depth that its layers tell."""
        entry, unit = space.spec.options["columns"][index], space.spec.units[index]
        if entry.get("kind") not in ("numbered", "list"):
            return False
        if column == entry["depth"]:
            return True
        return bool(entry.get("kind") == "numbered" and entry["choices"].index(column) % len(unit.positions) >= unit.depths[0])

    def _refuse_foreign(self, space: Flat) -> None:
        """Refuses rows whose architecture has a field that the given space does not."""
        for column in self.rows.columns.values():
            inside = len(column.path) > 1 and column.path[0] in ARCH_ROOTS
            if inside and column.path[-1] not in space.columns and column.choices is not None:
                for row in np.flatnonzero(~column.absent).tolist():
                    expected = listed(space.columns)
                    self.reasons.setdefault(row, f"{column.path[0]}: got {shorten(column.path[-1])}, expected only {expected}.")

    def _parse(self, space: Flat, choices: dict[str, Column]) -> Codes:
        """(num_rows, num_positions) codes; each distinct combination of a unit's cells is parsed once."""
        codes = np.full((self.rows.num_rows, space.spec.num_positions), ABSENT, np.int16)
        for index, unit in enumerate(space.spec.units):
            names = space.columns_of(index)
            columns = [choices[name] for name in names]
            key = np.zeros(self.rows.num_rows, np.int64)
            for name, column in zip(names, columns, strict=True):
                if column.choices is None:
                    raise DataError(f"column {name}: got too many values, expected a design choice.")
                key = pd.factorize(key * len(column.values) + column.cell_codes())[0].astype(np.int64)
            first = np.unique(key, return_index=True)[1]
            parsed = np.full((len(first), len(unit.positions)), ABSENT, np.int16)
            faults: dict[int, str] = {}
            for combination, row in enumerate(first.tolist()):
                cells = {n: c.values[c.codes[row]] for n, c in zip(names, columns, strict=True)}
                try:
                    parsed[combination] = space.parse_unit(index, cells)
                except DataError as error:
                    faults[combination] = str(error)
            for row in np.flatnonzero(np.isin(key, list(faults))).tolist() if faults else ():
                self.reasons.setdefault(row, faults[int(key[row])])
            codes[:, list(unit.positions)] = parsed[key]
        return codes


def _plain_names(columns: Mapping[str, Column], evidence: Evidence) -> dict[str, str]:
    """{header: name} without prefixes and paths, where that is still one name each."""
    names = {header: evidence.plain_name(column) for header, column in columns.items()}
    last = {h: column.path[-1] for h, column in columns.items() if len(column.path) > 1 and not column.path[-1].isdigit()}
    names = {h: last.get(h, name) if name == h else name for h, name in names.items()}
    often = Counter(names.values())
    return {header: name if often[name] == 1 else header for header, name in names.items()}
