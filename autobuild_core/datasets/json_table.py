"""One JSON document: an array of records, an object keyed by the architecture, or an object of columns."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, final

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import Dataset, Fit
from autobuild_core.datasets._files import read_text
from autobuild_core.datasets._intake import assemble
from autobuild_core.datasets._json import Repeated, as_row, document, items
from autobuild_core.datasets._rows import Request, Row, collect_objects
from autobuild_core.datasets._table import shorten
from autobuild_core.errors import DataError

KEY, MIN_KEY = "arch", 8  # shorter whole numbers are numbers of rows
RECORD_LISTS = ("runs", "trials", "results", "records", "data", "rows", "architectures", "experiments")


@final
class JsonTable(Dataset):
    """Arrays are read item by item; an object is told by what its values are."""

    title = "JSON document"
    about = "an array of records, an object keyed by the architecture, or an object of columns"
    example = (
        b'[{"arch": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|nor_conv_3x3~0|skip_connect~1|none~2|", "acc": 83.78},\n'
        b' {"arch": "|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|", "acc": 93.94}]\n'
    )

    def supports(self, head: bytes, name: str) -> Fit:
        text = head.lstrip()
        if text.startswith(b"["):
            return Fit(0.6, "begins like a JSON array")
        if text.startswith(b"{"):
            return Fit(0.5, "begins like a JSON object")
        return Fit(0, f"starts with {shorten(text[:1].decode(errors='replace'))}, not with a bracket")

    def read(self, path: Path, request: Request) -> ArchTable:
        text = read_text(path)
        if text.lstrip().startswith("["):
            return assemble(collect_objects(lambda: map(as_row, items(text, path.name)), request), request)
        return assemble(collect_objects(rows_of(document(text, path.name), path.name), request), request)


def _are(found: Any, kind: type) -> bool:
    """A list of nothing but one type."""
    return isinstance(found, list) and all(isinstance(item, kind) for item in found)


def rows_of(found: Any, name: str) -> Callable[[], Iterator[Row]]:
    """A function that begins to read the rows of an object.

    Raises:
        DataError: its values are neither objects nor lists of one length.
    """
    pairs = list(found) if isinstance(found, Repeated) else list(found.items()) if isinstance(found, dict) else []
    values = [value for _, value in pairs]
    by_key = dict(pairs)
    names, lines = by_key.get("columns", ()), by_key.get("data", ())
    if _are(names, str) and _are(lines, list):  # pandas, orient="split"
        return lambda: (dict(zip(names, row, strict=False)) for row in lines)
    if values and all(isinstance(value, list) for value in values) and len(set(map(len, values))) == 1 and len(values) > 1:
        return lambda: (dict(zip((k for k, _ in pairs), row, strict=True)) for row in zip(*values, strict=True))
    objects = [value for value in values if isinstance(value, dict)]
    if values and len(objects) * 2 > len(values):
        numbered = all(key.isdigit() for own in objects for key in own)
        if numbered and len(objects) == len(values) and objects[0]:
            keys = list(dict.fromkeys(key for own in objects for key in own))
            return lambda: ({column: own.get(key) for (column, own) in pairs} for key in keys)
        return lambda: _keyed(pairs)
    inner = next((value for key, value in pairs if key.lower() in RECORD_LISTS and isinstance(value, list) and value), None)
    if inner is not None and all(isinstance(item, dict) for item in inner):
        return lambda: map(as_row, inner)
    if pairs and not any(isinstance(value, dict | list) for value in values):
        return lambda: iter([dict(pairs)])
    got = f"an object of {shorten(', '.join(key for key, _ in pairs))}" if pairs else "an object without a key"
    raise DataError(f"{name}: got {got}, expected an array of records, a key an architecture, or a list a column.")


def _keyed(pairs: list[tuple[str, Any]]) -> Iterator[Row]:
    """The rows of an object with a key an architecture; a key that comes again is refused."""
    first: dict[str, int] = {}
    for row, (key, value) in enumerate(pairs):
        if key in first:
            yield DataError(f"key {shorten(key)}: got it again (first in row {first[key]}), expected each key once.")
        elif not isinstance(value, dict):
            got = "a metric twice" if isinstance(value, Repeated) else shorten(value)
            yield DataError(f"key {shorten(key)}: got {got}, expected an object of metrics.")
        else:
            yield value if KEY in value or (key.isdigit() and len(key) < MIN_KEY) else {KEY: key} | value
        first.setdefault(key, row)
