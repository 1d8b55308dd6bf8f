"""Cells that hold lists or objects: JSON, Python literals, or texts that one character splits into equally many parts."""

import ast
import json
import re
from typing import Any

from autobuild_core.datasets._columns import Column
from autobuild_core.spaces._declared import is_number
from autobuild_core.spaces.flat import list_of

SEPARATORS = ":-x_,"
MAX_LITERAL = 20_000  # characters of a cell that are read as a Python literal
MAX_LOOKED_AT = 2000
MAX_PARTS = 64
DATE = re.compile(r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|^\d{1,2}[/.]\d{1,2}[/.]\d{4}|^\d+ days ")
TIME = re.compile(r"^\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$")


def native_cell(cell: str) -> Any:
    """A cell's content: a list or object where it is JSON or a Python literal of one, else the text itself."""
    text = cell.strip()
    if not text.startswith(("[", "{", "(")) or not text.endswith(("]", "}", ")")):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > MAX_LITERAL:
        return text
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return text
    return list(found) if isinstance(found, tuple) else found if isinstance(found, list | dict) else text


def list_form(column: Column) -> str | None:
    """The form of a column's lists: "" = JSON lists, else the separator of their parts; None for no lists.

    A text is a list where one separator splits every cell into equally many parts of few values that combine to more cells than
    they are; two parts must be numbers, three numbers need not combine, and of words every part varies (no `conv` in all).
    """
    if column.__dict__.get("_form", column) is column:
        column.__dict__["_form"] = _form(column)
    form: str | None = column.__dict__["_form"]
    return form


def _form(column: Column) -> str | None:
    values = [value for value in column.values if value][:MAX_LOOKED_AT]
    if not values or column.is_numeric:
        return None
    if all(value.startswith("[") for value in values):
        return "" if all(list_of(value, "") is not None for value in values) else None
    if looks_like_date(column):
        return None
    for separator in SEPARATORS:
        parts = [value.split(separator) for value in values]
        widths = set(map(len, parts))
        if len(widths) != 1 or not 2 <= (width := widths.pop()) <= MAX_PARTS:
            continue
        flat = [part.strip() for own in parts for part in own]
        pool = set(flat)
        if "" in pool or len(pool) * 2 > len(flat) or len(values) < 3:
            continue
        combine, numeric = len(values) > len(pool), all(map(is_number, pool))
        combine &= numeric or all(len({own[i] for own in parts}) > 1 for i in range(width))
        if (combine and (width >= 3 or numeric)) or (numeric and width >= 3):
            return separator
    return None


def looks_like_date(column: Column) -> bool:
    """Most texts of a column are dates, or all are times of the day, some with a leading zero."""
    values = [value for value in column.values if value][:MAX_LOOKED_AT]
    if sum(bool(DATE.match(value)) for value in values) * 2 > len(values):
        return True
    padded = any(part.startswith("0") and len(part) > 1 for value in values for part in value.split(":"))
    return bool(values) and padded and all(map(TIME.match, values))
