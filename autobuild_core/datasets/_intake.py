"""From the rows of any file to a table of architectures: roles, the space, codes, contexts, stopped trials, refusals.

Formats hand over rows, as cells under a header or as objects; everything behind that is the same for all of them.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.datasets._columns import Column
from autobuild_core.datasets._inference import Inference, with_values
from autobuild_core.datasets._lists import list_form, native_cell
from autobuild_core.datasets._roles import ARCH_ROOTS, BY_DEFAULT, ONE_VALUE, PREFIXES, Evidence, Found, describe
from autobuild_core.datasets._sanity import warnings_of
from autobuild_core.datasets._table import MAX_METRICS, is_missing, known_space, metric_name, shorten
from autobuild_core.datasets._trackers import COMPLETE, STOPPED, Tracker, tracker_of
from autobuild_core.errors import ArchitectureError, DataError, MappingError, listed
from autobuild_core.records import ABSENT, ArchTable, Codes, ColumnRole, Rejection
from autobuild_core.spaces import Space
from autobuild_core.spaces._declared import Declared, as_text, make_spec
from autobuild_core.spaces.flat import Flat, block_columns

CHUNK_ROWS, CHUNK_CELLS = 20_000, 1_000_000
NUM_PEEKED = 1000
NUM_TRIED = 40  # cells of a column that are tried in the known spaces
MAX_COLUMNS = 10_000
OFA_FIELDS = frozenset({"ks", "e", "d"})
MEDIAN = 0.5
Row = dict[str, Any] | DataError


@dataclass(frozen=True)
class Request:
    """What a reader asks of a file.

    Args:
        name: of the file, for messages.
        format: file in datasets/ that reads it.
        space: that the rows must lie in, of a run; None to infer it.
        roles: {column: role} that a reader said.
        declared: a flat space that the reader declared; None to infer it.
        wider: {column: values} that a study says a parameter can take.
        censored: {row: quantile} of stopped trials whose bound the file tells better than the median.
    """

    name: str
    format: str
    space: Space | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    declared: Declared | None = None
    wider: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    censored: Mapping[int, float] = field(default_factory=dict)


@dataclass
class Rows:
    """Rows of a file in columns.

    Args:
        columns: by header, or by the dotted path of nested objects; in the order in which they appear.
        num_rows: rows read.
        refused: {row: reason} so far.
        architectures: {column: title of its space}.
        space: the known space of the first of these.
        codes: (num_rows, num_positions) codes of that column; None where there is none.
    """

    columns: dict[str, Column] = field(default_factory=dict)
    num_rows: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    architectures: dict[str, str] = field(default_factory=dict)
    space: Space | None = None
    codes: Codes | None = None


class _Architectures:
    """Parses the cells of an architecture column, each distinct one once a chunk.

    Args:
        space: that they lie in.
        header: of the column, for messages.
    """

    def __init__(self, space: Space, header: str) -> None:
        self.space, self.header = space, header
        self._parts: list[Codes] = []

    def extend(self, natives: Iterable[Any], start: int, refused: dict[int, str]) -> list[dict[str, Any]]:
        """Takes cells (or the error that refused a row before); returns what each says of its context."""
        known: dict[str, list[int] | str] = {}
        beside: list[dict[str, Any]] = []
        width = self.space.spec.num_positions
        rows = []
        for number, native in enumerate(natives, start):
            beside.append({} if isinstance(native, DataError) else self.space.context_of(native))
            if isinstance(native, DataError):
                rows.append([0] * width)
                continue
            key = native if isinstance(native, str) else json.dumps(native, default=str)
            if key not in known:
                try:
                    known[key] = self.space.parse(native_cell(native) if isinstance(native, str) else native)
                except DataError as error:
                    known[key] = str(error)
            found = known[key]
            if isinstance(found, str):
                refused.setdefault(number, found[:300])
                found = [0] * width
            rows.append(found)
        self._parts.append(np.array(rows, np.int16).reshape(len(rows), width))
        return beside

    def codes(self) -> Codes:
        """(num_rows, num_positions) all of them."""
        return np.concatenate(self._parts) if self._parts else np.zeros((0, self.space.spec.num_positions), np.int16)


def space_of(cells: Iterable[Any], given: Space | None, named: bool = False) -> Space | None:
    """The known space in which most of some cells lie: the given one, or any that needs no data; None where they lie in none.

    Args:
        cells: of one column.
        given: the space that they must lie in.
        named: the column is called like one of architectures, so that one that lies in a space is enough.
    """
    tried = [native_cell(cell) if isinstance(cell, str) else cell for cell in itertools.islice(cells, NUM_TRIED)]
    tried = [native for native in tried if not is_missing(native) and not isinstance(native, int | float)]
    if not tried:
        return None
    if given is not None:
        inside = sum(_lies_in(given, native) for native in tried)
        return given if inside * 2 > len(tried) or (named and inside) else None
    found = Counter(space.spec.name for native in tried if (space := known_space(native)))
    if not found or (found.total() * 2 <= len(tried) and not named):
        return None
    return next(s for native in tried if (s := known_space(native)) and s.spec.name == found.most_common(1)[0][0])


def _lies_in(space: Space, native: Any) -> bool:
    try:
        space.parse(native)
    except DataError:
        return False
    return True


# Rows of cells under a header


def collect_cells(header: list[str], rows: Iterator[list[str]], request: Request) -> Rows:
    """The columns of delimited rows; rows of another width than the header are refused.

    Raises:
        DataError: there is no row.
    """
    peeked = list(itertools.islice(rows, NUM_PEEKED))
    if not peeked:
        raise DataError(f"{request.name}: got a header and no row, expected architectures.")
    table = Rows({name: Column(name, (name,)) for name in header})
    even = [row for row in peeked if len(row) == len(header)]
    parser = None
    for place, name in enumerate(header):
        if said_otherwise(request.roles, name):
            continue
        known = request.space if request.space is not None and not isinstance(request.space, Flat) else None
        if request.space is not None and known is None:
            break
        if space := space_of((row[place] for row in even if row[place].strip()), known, snake_root(name) in ARCH_ROOTS):
            table.architectures[name] = space.spec.title
            parser = parser or _Architectures(space, name)
    if parser is None and request.space is not None and not isinstance(request.space, Flat):
        parser = _fallback(table, header, request)
    every, at_once = itertools.chain(peeked, rows), max(1, min(CHUNK_ROWS, CHUNK_CELLS // len(header)))
    while chunk := list(itertools.islice(every, at_once)):
        for index, row in enumerate(chunk):
            if len(row) != len(header):
                reason = f"got {len(row)} fields, expected {len(header)} as in the header."
                table.refused[table.num_rows + index] = reason
                chunk[index] = [""] * len(header)
        columns = list(zip(*chunk, strict=True))
        for name, cells in zip(header, columns, strict=True):
            if name not in table.architectures:
                table.columns[name].extend(cells)
        if parser is not None:
            natives = [
                DataError() if table.num_rows + i in table.refused else c
                for i, c in enumerate(columns[header.index(parser.header)])
            ]
            _note_contexts(table, parser.extend(natives, table.num_rows, table.refused))
        table.num_rows += len(chunk)
    return _finished(table, parser)


def _fallback(table: Rows, header: list[str], request: Request) -> _Architectures:
    """The column that must hold architectures of the given space though none lies in it: so every row says why not.

    Raises:
        DataError: no column is called like one.
    """
    space = request.space
    assert space is not None
    name = next((n for n in header if snake_root(n) in ARCH_ROOTS), header[0] if len(header) == 1 else None)
    if name is None:
        raise DataError(f"{request.name}: got a table of design choices, expected architectures of {space.spec.title}.")
    table.architectures[name] = space.spec.title
    return _Architectures(space, name)


def snake_root(header: str) -> str:
    """The first word of a header, without a prefix that gives a role."""
    for prefix in PREFIXES:
        header = header.removeprefix(prefix)
    return re.split(r"[\W_]+", header.strip().lower())[0]


def said_otherwise(roles: Mapping[str, str], header: str) -> bool:
    """A reader said of a column that it is no architecture."""
    prefix = next((role for p, role in PREFIXES.items() if header.startswith(p)), "architecture")
    plain = next((header.removeprefix(p) for p in PREFIXES if header.startswith(p)), header)
    said = roles.get(header, roles.get(plain, prefix))
    return said not in ("architecture", "choice", "design")


def _note_contexts(table: Rows, beside: list[dict[str, Any]]) -> None:
    """Adds what architectures say of their context (a resolution) as columns, where the file has no such column."""
    for name in dict.fromkeys(name for said in beside for name in said):
        column = table.columns.setdefault(name, Column(name, (name,)))
        if len(column) <= table.num_rows and column.path == (name,):
            column.pad(table.num_rows)
            column.extend(as_text(said[name]) if name in said else "" for said in beside)


def _finished(table: Rows, parser: _Architectures | None) -> Rows:
    """The rows, every column as long as the file."""
    for name, column in table.columns.items():
        if name not in table.architectures:
            column.pad(table.num_rows)
    if parser is not None:
        table.space, table.codes = parser.space, parser.codes()
    return table


# Rows as objects


def collect_objects(read: Callable[[], Iterator[Row]], request: Request) -> Rows:
    """The columns of objects, one a row: nested objects are their leaves.

    Args:
        read: begins to read them from the first; an error refuses its row.
        request: what is asked.

    Raises:
        DataError: there is no row, or there are ever new fields.
    """
    rows = read()
    peeked = list(itertools.islice(rows, NUM_PEEKED))
    if not peeked:
        raise DataError(f"{request.name}: got no row, expected architectures.")
    table = Rows()
    path, space = _architecture_field(peeked, request)
    parser = None
    if path is not None and space is not None:
        table.architectures[".".join(path)] = space.spec.title
        table.columns[".".join(path)] = Column(".".join(path), path)
        parser = _Architectures(space, ".".join(path))
    every = itertools.chain(peeked, rows)
    while chunk := list(itertools.islice(every, CHUNK_ROWS)):
        _take_objects(table, chunk, path, parser)
    return _finished(table, parser)


def _take_objects(table: Rows, chunk: list[Row], path: tuple[str, ...] | None, parser: _Architectures | None) -> None:
    """Takes a chunk of objects."""
    flat: list[dict[tuple[str, ...], str]] = []
    natives: list[Any] = []
    for number, row in enumerate(chunk, table.num_rows):
        leaves: dict[tuple[str, ...], str] = {}
        native: Any = row
        if isinstance(row, DataError):
            table.refused[number] = str(row)[:300]
        else:
            row = _whole_ofa(row)
            if path is not None:
                native = _at(row, path)
                if native is None:
                    native = DataError()
                    beside = listed(row) or "the metrics"
                    table.refused.setdefault(number, f"got no {'.'.join(path)}, expected it beside {beside}.")
            try:
                leaves = dict(_leaves(row, path))
            except RecursionError:
                table.refused.setdefault(number, "got an object nested too deeply, expected few levels.")
        flat.append(leaves)
        natives.append(native)
    for keys in dict.fromkeys(keys for leaves in flat for keys in leaves):
        name = ".".join(keys)
        if name not in table.columns:
            if len(table.columns) >= MAX_METRICS:
                raise DataError(f"the file: got more than {MAX_METRICS} fields, expected the same few in every row.")
            table.columns[name] = Column(name, keys)
        column = table.columns[name]
        column.pad(table.num_rows)
        column.extend(leaves.get(keys, "") for leaves in flat)
    if parser is not None:
        _note_contexts(table, parser.extend(natives, table.num_rows, table.refused))
    table.num_rows += len(chunk)


def _whole_ofa(row: dict[str, Any]) -> dict[str, Any]:
    """A row that is a once-for-all dictionary itself, with its metrics beside it, as one that holds it."""
    if "arch" in row or not row.keys() >= OFA_FIELDS:
        return row
    own = OFA_FIELDS | {"r", "wid"}
    return {"arch": {k: v for k, v in row.items() if k in own}} | {k: v for k, v in row.items() if k not in own}


def _at(row: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The value at a path, None where there is none."""
    found: Any = row
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _leaves(
    row: Mapping[str, Any], skip: tuple[str, ...] | None, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, cell) of every value of nested objects; a list of numbers that is a metric is one cell, as JSON."""
    for key, value in row.items():
        path = (*above, str(key))
        if path == skip:
            continue
        if isinstance(value, dict):
            yield from _leaves(value, skip, path)
        else:
            yield path, as_cell(value)


def as_cell(value: Any) -> str:
    """A JSON value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, list) else str(value)


def _architecture_field(peeked: list[Row], request: Request) -> tuple[tuple[str, ...] | None, Space | None]:
    """(path of the field whose values lie in a known space, that space); (None, None) where none does."""
    if isinstance(request.space, Flat):
        return None, None
    objects = [_whole_ofa(row) for row in peeked if isinstance(row, dict)][:NUM_TRIED]
    paths: dict[tuple[str, ...], None] = dict.fromkeys((key,) for row in objects for key in row)
    paths |= dict.fromkeys(
        (key, inner) for row in objects for key, value in row.items() if isinstance(value, dict) for inner in value
    )
    for path in sorted(paths, key=lambda p: (p[-1] not in ARCH_ROOTS, len(p))):
        if said_otherwise(request.roles, ".".join(path)):
            continue
        values = (value for row in objects if (value := _at(row, path)) is not None)
        if space := space_of(values, request.space, path[-1] in ARCH_ROOTS):
            return path, space
    if request.space is not None:
        return next((p for p in paths if p[-1] in ARCH_ROOTS), ("arch",)), request.space
    return None, None


# From rows to a table


def assemble(rows: Rows, request: Request) -> ArchTable:
    """The table of a file's rows.

    Raises:
        MappingError: there is no design choice; it holds how every column was read.
        DataError: every row is refused, or a column cannot be what it is said to be.
    """
    return _Assembly(rows, request).table()


class _Assembly:
    """One file on its way to a table."""

    def __init__(self, rows: Rows, request: Request) -> None:
        self.rows, self.request = rows, request
        self.tracker: Tracker | None = tracker_of({*rows.columns, *(c.path[0] for c in rows.columns.values() if c.path)})
        self.notes: list[str] = []
        _explode(rows)
        design = frozenset(request.space.columns) if isinstance(request.space, Flat) else None
        if request.declared is not None:
            design = frozenset(c for slot in request.declared.slots for own in slot.columns for c in own) | {
                slot.depth for slot in request.declared.slots if slot.depth
            }
        evidence = Evidence(request.roles, self.tracker, rows.num_rows, rows.architectures, design)
        self.names = _plain_names(rows.columns, evidence)
        self._refuse_unknown_roles()
        self.found: dict[str, Found] = {h: evidence.role(c, self.names[h]) for h, c in rows.columns.items()}
        self._keep_blocks_whole()
        self._keep_numbered_together()
        self.roles = tuple(self._described(header) for header in rows.columns)
        self.reasons = dict(rows.refused)
        self.censored: NDArray[np.float64] = np.full(rows.num_rows, np.nan)

    def _refuse_unknown_roles(self) -> None:
        """Raises: DataError: a role was said of a column that the file does not have."""
        known = {n for h in self.rows.columns for n in (h, *(h.removeprefix(p) for p in PREFIXES))} | set(self.names.values())
        known |= {h.removeprefix(p) for h in self.rows.columns for p in ("params_", "Param ", "params.", "config/", "config.")}
        known |= {column.path[-1] for column in self.rows.columns.values() if column.path}
        if self.request.space is None and (unknown := [c for c in self.request.roles if c not in known]):
            shown = listed(self.rows.columns)
            raise DataError(f"{self.request.name}: got a role for column {unknown[0]}, expected one of {shown}.")

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
        if space.spec.conditions or space.spec.forbidden:
            for row in np.flatnonzero(keep).tolist():
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
            message = f"{self.request.name}: all {table.num_read} rows were refused; row {first.row}: {first.reason}"
            raise MappingError(message, self.roles)

    def _metrics(self) -> dict[str, NDArray[np.float64]]:
        """{name in equations: (num_rows,) values}; cells that are no numbers refuse their rows."""
        found: dict[str, NDArray[np.float64]] = {}
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
            if column.errors is not None and f"{short}_std" not in found:
                found[f"{short}_std"] = column.errors
        return found

    def _add(self, found: dict[str, NDArray[np.float64]], short: str, values: NDArray[np.float64]) -> None:
        """Takes a metric.

        Raises:
            DataError: another column has its name in equations.
        """
        if short in found:
            raise DataError(f"{self.request.name}: got two columns that equations would call {short}, expected distinct names.")
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
        """Stopped trials become censored rows; failed ones are refused with their state as the reason."""
        column = self.rows.columns.get(self.tracker.state) if self.tracker and self.tracker.state else None
        if column is None or self.tracker is None or column.choices is None:
            return
        outcome = [self.tracker.outcome(value) if value else COMPLETE for value in column.values]
        for row, code in enumerate(column.cell_codes().tolist()):
            if outcome[code] == STOPPED:
                self.censored[row] = self.request.censored.get(row, MEDIAN)
            elif outcome[code] != COMPLETE:
                self.reasons.setdefault(row, f"{column.name}: got {column.values[code]}, expected a completed trial.")
        num = int(np.isfinite(self.censored).sum())
        if num:
            self.notes.append(
                f"{num} stopped trials are kept as known to be worse than what was then required of the completed ones; "
                "their own values are not learned."
            )

    # Space and codes

    def _coded(self) -> tuple[Space, Codes]:
        """The space and the codes of every row.

        Raises:
            MappingError: there is no design choice.
        """
        if self.rows.space is not None and self.rows.codes is not None:
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
            message = f"{self.request.name}: all {self.rows.num_rows} rows were refused; row {first}: {self.reasons[first]}"
            raise MappingError(message, self.roles)
        try:
            declared = self.request.declared or with_values(
                Inference(choices, good, self.reasons).declared(), dict(self.request.wider)
            )
            space = Flat(make_spec(declared, Flat.title))
        except DataError as error:
            raise MappingError(f"{self.request.name}: {error}", self.roles) from error
        self._complete(choices, space)
        return space, self._parse(space, choices)

    def _no_choice(self) -> str:
        """What to do where nothing is a design choice."""
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


def _explode(rows: Rows) -> None:
    """Columns whose cells are objects become the columns of their leaves, in their place."""
    out: dict[str, Column] = {}
    for header, column in rows.columns.items():
        values = [v for v in column.values if v]
        objects = bool(values) and header not in rows.architectures and all(v.startswith("{") for v in values[:NUM_PEEKED])
        parsed = [native_cell(v) for v in column.values] if objects else []
        if not objects or not any(isinstance(p, dict) for p in parsed):
            out[header] = _normalised(column)
            continue
        leaves = [dict(_leaves(p, None)) if isinstance(p, dict) else {} for p in parsed]
        codes = column.cell_codes().tolist()
        for keys in dict.fromkeys(keys for own in leaves for keys in own):
            name = keys[-1] if keys[-1] not in rows.columns and keys[-1] not in out else ".".join((header, *keys))
            out[name] = Column(name, (header, *keys))
            out[name].extend(leaves[code].get(keys, "") for code in codes)
            out[name] = _normalised(out[name])
    rows.columns = out


def _normalised(column: Column) -> Column:
    """A column whose lists are Python literals, with JSON lists instead."""
    values = [v for v in column.values if v]
    if not values or not all(v.startswith(("[", "(")) for v in values):
        return column
    as_json = [json.dumps(found) if isinstance(found := native_cell(v), list) else v for v in column.values]
    if as_json == column.values:
        return column
    fresh = Column(column.name, column.path)
    fresh.extend(as_json[code] for code in column.cell_codes().tolist())
    return fresh


def _plain_names(columns: Mapping[str, Column], evidence: Evidence) -> dict[str, str]:
    """{header: name} without prefixes and paths, where that is still one name each.

    Raises:
        DataError: two columns differ only in a prefix that gives a role.
    """
    names = {header: evidence.plain_name(column) for header, column in columns.items()}
    names = {h: columns[h].path[-1] if name == h and len(columns[h].path) > 1 else name for h, name in names.items()}
    often = Counter(names.values())
    for header, name in names.items():
        if often[name] > 1 and any(header.startswith(p) for p in PREFIXES):
            raise DataError("header: got a column twice, once with a prefix such as design: or metric:, expected each name once.")
    return {header: name if often[name] == 1 else header for header, name in names.items()}
