"""Delimited text: its header, its delimiter, its rows."""

import csv
from collections.abc import Iterator
from pathlib import Path

from autobuild_core.datasets._files import text_lines
from autobuild_core.errors import DataError

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
    """Header and first rows of a file's head; None when it is no delimited text."""
    lines = head.decode(errors="replace").lstrip().split("\n")[:num]
    if not split_line(lines[0]) or lines[0].startswith(("{", "[")):
        return None
    try:
        return [row for row in csv.reader(lines, delimiter=delimiter_of(lines[0])) if row]
    except csv.Error:
        return None


def read_rows(path: Path) -> tuple[list[str], Iterator[list[str]], str]:
    """The header, the rows behind it, and the delimiter; blank lines are left out.

    Raises:
        DataError: no header, too many columns; while iterating: not CSV.
    """
    lines = text_lines(path)
    first = next((line for line in lines if line.strip()), "")
    header = split_line(first)
    if not header or len(header) > MAX_COLUMNS:
        raise DataError(f"{path.name}: got a header of {len(header)} columns, expected 1 to {MAX_COLUMNS}.")

    def rows() -> Iterator[list[str]]:
        reader = csv.reader(lines, delimiter=delimiter_of(first))
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    yield row
        except csv.Error as error:
            raise DataError(f"{path.name}, near line {reader.line_num + 1}: not readable as CSV: {error}.") from None

    return [name or f"unnamed_{i}" for i, name in enumerate(header)], rows(), delimiter_of(first)
