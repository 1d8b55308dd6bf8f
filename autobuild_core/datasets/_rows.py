"""Rows of any file in columns: cells under a header, or objects; the column of architectures is parsed on the way.

Formats hand over rows; `_intake` makes a table of what is collected here.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autobuild_core.architectures.records import Codes
from autobuild_core.datasets._columns import Column
from autobuild_core.datasets._lists import native_cell
from autobuild_core.datasets._objects import leaves
from autobuild_core.datasets._roles import ARCH_ROOTS, split_prefix
from autobuild_core.datasets._table import MAX_METRICS, is_missing
from autobuild_core.errors import DataError, listed
from autobuild_core.spaces import Space, known_space
from autobuild_core.spaces._declared import Declared, as_text
from autobuild_core.spaces.flat import Flat

CHUNK_ROWS, CHUNK_CELLS = 20_000, 1_000_000
NUM_PEEKED = 1000
NUM_TRIED = 40  # cells of a column that are tried in the known spaces
OFA_FIELDS = frozenset({"ks", "e", "d"})
Row = dict[str, Any] | DataError


@dataclass(frozen=True)
class Request:
    """A reader's request for a file.

    Args:
        name: of the file, for messages.
        format: file in datasets/ that reads it.
        space: that the rows must lie in, of a run; None to infer it.
        roles: {column: role} that a reader said.
        declared: a flat space that the reader declared; None to infer it.
        wider: {column: values} that a study says a parameter can take.
        censored: {row: quantile} of stopped trials whose bound the file tells better than the median.
        joining: the rows are to be appended to others, so that a context of one value is one.
    """

    name: str
    format: str
    space: Space | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    declared: Declared | None = None
    wider: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    censored: Mapping[int, float] = field(default_factory=dict)
    joining: bool = False


@dataclass
class Rows:
    """Rows of a file in columns.

    Args:
        columns: by header, or by the dotted path of nested objects; in the order in which they appear.
        num_rows: rows read.
        refused: {row: reason} so far.
        architectures: {column: title of its space}; the one that a reader said comes first.
        space: the known space of the first of these.
        codes: (num_rows, num_positions) codes of that column; None where there is none.
        twice: {column: another that the header calls the same}.
    """

    columns: dict[str, Column] = field(default_factory=dict)
    num_rows: int = 0
    refused: dict[int, str] = field(default_factory=dict)
    architectures: dict[str, str] = field(default_factory=dict)
    space: Space | None = None
    codes: Codes | None = None
    twice: dict[str, str] = field(default_factory=dict)


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
    found = [space for native in tried if (space := known_space(native))]
    if not found or (len(found) * 2 <= len(tried) and not named):
        return None
    name = Counter(space.spec.name for space in found).most_common(1)[0][0]
    distinct: list[Space] = []
    for space in found:
        if space.spec.name == name and all(space.spec != one.spec for one in distinct):
            distinct.append(space)
    return max(distinct, key=lambda space: sum(_lies_in(space, native) for native in tried))


def _lies_in(space: Space, native: Any) -> bool:
    try:
        space.parse(native)
    except DataError:
        return False
    return True


# Rows of cells under a header


def collect_cells(header: list[str], rows: Iterator[list[str]], request: Request, semicolons: bool = False) -> Rows:
    """The columns of delimited rows; rows of another width than the header are refused.

    Args:
        header: names of the columns.
        rows: their cells.
        request: what is asked.
        semicolons: they separate the columns.

    Raises:
        DataError: there is no row.
    """
    peeked = list(itertools.islice(rows, NUM_PEEKED))
    if not peeked:
        raise DataError(f"{request.name}: got a header and no row, expected architectures.")
    header, twice = _distinct(header)
    table = Rows({name: Column(name, (name,), semicolons=semicolons) for name in header}, twice=twice)
    even = [row for row in peeked if len(row) == len(header)]
    parser = None
    for place, name in sorted(enumerate(header), key=lambda item: not said_so(request.roles, item[1])):
        if said_otherwise(request.roles, name):
            continue
        known = request.space if request.space is not None and not isinstance(request.space, Flat) else None
        if request.space is not None and known is None:
            break
        named = snake_root(name) in ARCH_ROOTS or said_so(request.roles, name, ("architecture",))
        if space := space_of((row[place] for row in even if row[place].strip()), known, named):
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
    return re.split(r"[\W_]+", split_prefix(header)[1].strip().lower())[0]


def _distinct(header: list[str]) -> tuple[list[str], dict[str, str]]:
    """(names of columns, {one that stood in the header before: the first of that name})."""
    found: dict[str, str] = {}
    for place, name in enumerate(header, 1):
        own = name
        while own in found:
            own = f"{own} (column {place})"
        found[own] = name
    return list(found), {name: first for name, first in found.items() if name != first}


def said_so(roles: Mapping[str, str], header: str, words: Sequence[str] = ("architecture", "choice", "design")) -> bool:
    """A reader, or a prefix, said of a column that it is the one of architectures, in one of these words."""
    by_prefix, plain = split_prefix(header)
    return roles.get(header, roles.get(plain, by_prefix or "")) in words


def said_otherwise(roles: Mapping[str, str], header: str) -> bool:
    """A reader said of a column that it is no architecture."""
    by_prefix, plain = split_prefix(header)
    said = roles.get(header, roles.get(plain, by_prefix or "architecture"))
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
    fields = _architecture_fields(peeked, request)
    for path, space in fields.items():
        table.architectures[".".join(path)] = space.spec.title
        table.columns[".".join(path)] = Column(".".join(path), path)
    parser = next((_Architectures(space, ".".join(path)) for path, space in fields.items()), None)
    every = itertools.chain(peeked, rows)
    while chunk := list(itertools.islice(every, CHUNK_ROWS)):
        _take_objects(table, chunk, tuple(fields), parser)
    return _finished(table, parser)


def _take_objects(table: Rows, chunk: list[Row], fields: tuple[tuple[str, ...], ...], parser: _Architectures | None) -> None:
    """Takes a chunk of objects; the architecture is read from the first of the fields that hold one."""
    flat: list[dict[tuple[str, ...], str]] = []
    natives: list[Any] = []
    for number, row in enumerate(chunk, table.num_rows):
        found: dict[tuple[str, ...], str] = {}
        native: Any = row
        if isinstance(row, DataError):
            table.refused[number] = str(row)[:300]
        else:
            row = _whole_ofa(row)
            if fields:
                native = _at(row, fields[0])
                if native is None:
                    native = DataError()
                    beside = listed(row) or "the metrics"
                    table.refused.setdefault(number, f"got no {'.'.join(fields[0])}, expected it beside {beside}.")
            try:
                found = dict(leaves(row, fields))
            except RecursionError:
                table.refused.setdefault(number, "got an object nested too deeply, expected few levels.")
        flat.append(found)
        natives.append(native)
    for keys in dict.fromkeys(keys for found in flat for keys in found):
        name = ".".join(keys)
        if name not in table.columns:
            if len(table.columns) >= MAX_METRICS:
                raise DataError(f"the file: got more than {MAX_METRICS} fields, expected the same few in every row.")
            table.columns[name] = Column(name, keys)
        column = table.columns[name]
        column.pad(table.num_rows)
        column.extend(found.get(keys, "") for found in flat)
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


def _architecture_fields(peeked: list[Row], request: Request) -> dict[tuple[str, ...], Space]:
    """{path of a field whose values lie in a known space: that space}, the one to be read first; {} where none does."""
    if isinstance(request.space, Flat):
        return {}
    objects = [_whole_ofa(row) for row in peeked if isinstance(row, dict)][:NUM_TRIED]
    paths: dict[tuple[str, ...], None] = dict.fromkeys((key,) for row in objects for key in row)
    paths |= dict.fromkeys(
        (key, inner) for row in objects for key, value in row.items() if isinstance(value, dict) for inner in value
    )
    found: dict[tuple[str, ...], Space] = {}
    roles = {".".join(p): request.roles[p[-1]] for p in paths if p[-1] in request.roles} | dict(request.roles)
    for path in sorted(paths, key=lambda p: (not said_so(roles, ".".join(p)), p[-1] not in ARCH_ROOTS, len(p))):
        name = ".".join(path)
        if said_otherwise(roles, name) or any(path[: len(own)] == own for own in found):
            continue
        values = (value for row in objects if (value := _at(row, path)) is not None)
        named = path[-1] in ARCH_ROOTS or said_so(roles, name, ("architecture",))
        if space := space_of(values, request.space, named):
            found[path] = space
    if request.space is not None and not found:
        return {next((p for p in paths if p[-1] in ARCH_ROOTS), ("arch",)): request.space}
    return found
