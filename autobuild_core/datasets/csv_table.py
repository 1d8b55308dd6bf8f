"""Delimited text with a header: one row an evaluation, whatever its columns hold. Roles of columns: `_roles.py`."""

import re
from pathlib import Path
from typing import final

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import Dataset, Fit
from autobuild_core.datasets._delimited import head_rows, read_rows
from autobuild_core.datasets._intake import assemble
from autobuild_core.datasets._rows import Request, collect_cells
from autobuild_core.datasets._table import NUMBER

SINGLE = re.compile(r"[\w :.()%/-]{1,60}")


@final
class CsvTable(Dataset):
    """Commas, semicolons or tabs; columns are streamed, and cells parsed once per distinct value."""

    title = "Table (CSV)"
    about = "a row an evaluation: design choices or an architecture, and what was measured; commas, semicolons or tabs"
    example = b"block0_e,block0_k,block0_l,acc,latency_ms\n3,5,2,0.71,4.5\n6,3,1,0.73,4.1\n"

    def supports(self, head: bytes, name: str) -> Fit:
        rows = head_rows(head)
        if rows is None:
            return Fit(0, "the first line is no header")
        if all(NUMBER.fullmatch(cell.strip()) for cell in rows[0]):
            return Fit(0, "the first line holds only numbers, expected the names of columns")
        if len(rows) < 2 and not (len(rows[0]) > 1 and head.rstrip().count(b"\n") == 0):
            return Fit(0, "has no row behind its first line")
        if len(rows[0]) == 1:
            fits = SINGLE.fullmatch(rows[0][0].strip()) and all(len(row) == 1 for row in rows[:-1])
            return Fit(0.2, "one column under a header") if fits else Fit(0, "the first line is no header of columns")
        even = sum(len(row) == len(rows[0]) for row in rows[1:]) * 2 >= len(rows) - 1
        return Fit(0.5 if even else 0.3, f"a header of {len(rows[0])} columns")

    def read(self, path: Path, request: Request) -> ArchTable:
        header, rows, delimiter = read_rows(path)
        return assemble(collect_cells(header, rows, request, semicolons=delimiter == ";"), request)
