"""A CSV whose column "arch" holds architectures in the native encoding of a known space; other numbers are metrics."""

import itertools
from collections import Counter
from pathlib import Path
from typing import final

from autobuild_core.datasets import Dataset
from autobuild_core.datasets._delimited import even_row, head_rows, holds_architectures, native_cell, read_rows
from autobuild_core.datasets._table import TableBuilder, is_missing, known_space, shorten
from autobuild_core.errors import DataError
from autobuild_core.records import ArchTable
from autobuild_core.spaces import Space

NUM_PEEKED = 1000


def as_value(cell: str) -> float | str | None:
    """A cell as a number, as nothing, or as the text it is."""
    if is_missing(cell):
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


@final
class ArchCsv(Dataset):
    """One row an architecture. Cells with brackets are read as JSON (Once-for-all), others as text (NAS-Bench-Macro and 201)."""

    title = "CSV with a column arch"
    example = b"arch,mean_acc,params\n02012100,89.2,890666\n11111221,92.3,2181386\n"

    def supports(self, head: bytes, name: str) -> str | None:
        rows = head_rows(head)
        if rows is None:
            return "the first line is no header of at least two columns"
        return None if holds_architectures(rows) else "has no column arch of native encodings"

    def read(self, path: Path, space: Space | None) -> ArchTable:
        header, rows = read_rows(path)
        if "arch" not in header:
            raise DataError(f"{path.name}: got columns {', '.join(header)[:200]}, expected one called arch.")
        place = header.index("arch")
        peeked = list(itertools.islice(rows, NUM_PEEKED))
        builder = TableBuilder(space or self._space(path, peeked, place), "arch_csv", path.name, given=space is not None)
        left_out = self._no_metrics(header, peeked)
        if left_out - {"arch"}:
            builder.notes.append(f"Columns that hold no numbers were left out: {', '.join(sorted(left_out - {'arch'}))[:200]}.")
        used = [(i, name) for i, name in enumerate(header) if name not in left_out]
        for row in itertools.chain(peeked, rows):
            cells, reason = even_row(row, len(header))
            if reason:
                builder.reject(reason)
            else:
                builder.add(native_cell(cells[place]), {name: as_value(cells[i]) for i, name in used})
        return builder.table()

    @staticmethod
    def _space(path: Path, peeked: list[list[str]], place: int) -> Space:
        """The space of the first architecture that lies in a known one."""
        cells = [row[place] for row in peeked if len(row) > place]
        for cell in cells:
            if space := known_space(native_cell(cell)):
                return space
        got = shorten(cells[0]) if cells else "no row"
        raise DataError(f"{path.name}, column arch: got {got}, expected an architecture of a known space.")

    @staticmethod
    def _no_metrics(header: list[str], peeked: list[list[str]]) -> set[str]:
        """Columns whose cells are mostly text in the rows peeked at, and arch itself."""
        votes: Counter[str] = Counter()
        for row in peeked:
            for name, cell in zip(header, row, strict=False):
                value = as_value(cell)
                votes[name] += 0 if value is None else -1 if isinstance(value, str) else 1
        return {name for name in header if votes[name] < 0} | {"arch"}
