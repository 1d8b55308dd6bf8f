"""Nested objects, and lists of lists, as columns of their leaves."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from autobuild_core.datasets._columns import Column
from autobuild_core.datasets._lists import native_cell

NUM_PEEKED = 1000
NESTED = ("{", "[[", "((", "[(", "([")


def leaves(
    row: Mapping[str, Any], skip: Collection[tuple[str, ...]], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, cell) of every value of nested objects; a list of numbers that is a metric is one cell, as JSON."""
    for key, value in row.items():
        path = (*above, str(key))
        if path in skip:
            continue
        if isinstance(value, dict):
            yield from leaves(value, skip, path)
        else:
            yield path, as_cell(value)


def as_cell(value: Any) -> str:
    """A JSON value as the text of a cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str) if isinstance(value, list) else str(value)


def exploded(columns: Mapping[str, Column], kept: Collection[str]) -> dict[str, Column]:
    """The columns with those whose cells are objects replaced by the columns of their leaves; lists are JSON.

    Args:
        columns: by header.
        kept: headers of columns that stay as they are: architectures, a tracker's bookkeeping.
    """
    out: dict[str, Column] = {}
    for header, column in columns.items():
        values = [v for v in column.values if v]
        nested = bool(values) and header not in kept and all(v.startswith(NESTED) for v in values[:NUM_PEEKED])
        parsed = [_by_place(native_cell(v)) for v in column.values] if nested else []
        if not any(isinstance(p, dict) for p in parsed):
            out[header] = _normalised(column)
            continue
        by_value = [dict(leaves(p, ())) if isinstance(p, dict) else {} for p in parsed]
        codes = column.cell_codes().tolist()
        for keys in dict.fromkeys(keys for own in by_value for keys in own):
            own = keys[-1] not in columns and keys[-1] not in out and not keys[-1].isdigit()
            name = keys[-1] if own else ".".join((header, *keys))
            out[name] = Column(name, (header, *keys))
            out[name].extend(by_value[code].get(keys, "") for code in codes)
            out[name] = _normalised(out[name])
    return out


def _by_place(value: Any) -> Any:
    """A list of lists as an object of them, by their places from 1: a stage each; anything else as it is."""
    if isinstance(value, list) and value and all(isinstance(part, list) for part in value):
        return {str(place): part for place, part in enumerate(value, 1)}
    return value


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
