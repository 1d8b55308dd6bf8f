"""JSON lines: one object a line, an architecture in any native encoding or design choices, and metrics beside it.

{"arch": [["mbconv3_e3_k3", ...], ...], "resolution": 224, "acc": ...}   Once-for-all, as tokens
{"arch": {"ks": [...], "e": [...], "d": [...]}, "acc": ...}              Once-for-all, as its own dictionary
{"arch": "02012100", "mean_acc": ...}                                    NAS-Bench-Macro
{"arch": "|none~0|+|none~0|...", "acc": ...}                             NAS-Bench-201
{"arch": {"block0_e": 3, ...}, "acc": ...}                               a flat space: an object of design choices
{"units": 128, "activation": "gelu", "acc": ...}                         design choices without arch
{"config": {...}, "metrics": {...}}                                      nested objects
"""

from collections.abc import Iterator
from pathlib import Path
from typing import final

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import Dataset, Fit
from autobuild_core.datasets._files import MAX_LINE_BYTES, byte_lines
from autobuild_core.datasets._intake import assemble
from autobuild_core.datasets._json import decode_row
from autobuild_core.datasets._rows import Request, Row, collect_objects
from autobuild_core.errors import DataError


def read_line(line: bytes) -> Row:
    """One line as an object, or the error that refuses it."""
    if len(line) > MAX_LINE_BYTES:
        return DataError(f"got a line of more than {MAX_LINE_BYTES // 2**20} MiB, expected one architecture a line.")
    try:
        return decode_row(line.decode())
    except UnicodeDecodeError:
        return DataError("got bytes that are not UTF-8, expected JSON.")


def read_lines(path: Path) -> Iterator[Row]:
    """The lines of a file; blank ones are no rows."""
    return (read_line(line) for line in byte_lines(path) if line.strip())


@final
class JsonLines(Dataset):
    """Streams the file; the first thousand lines tell which field is the architecture, and its space."""

    title = "JSON lines"
    about = "one object a line: an architecture or design choices, and what was measured"
    example = (
        b'{"arch": {"block0_e": 3, "block0_k": 5, "block0_l": 2}, "acc": 0.71}\n'
        b'{"arch": {"block0_e": 6, "block0_k": 3, "block0_l": 1}, "acc": 0.73}\n'
    )

    def supports(self, head: bytes, name: str) -> Fit:
        lines = [line for line in head.lstrip().splitlines() if line.strip()][:20]
        if not lines or not lines[0].lstrip().startswith(b"{"):
            first = next((line for line in lines if isinstance(read_line(line), dict)), None)
            return Fit(0.4, "some lines are JSON objects") if first else Fit(0, "has no line that is a JSON object")
        objects = [found for line in lines if isinstance(found := read_line(line), dict)]
        if len(objects) >= 2:
            return Fit(0.9, "several lines that are JSON objects each")
        nested = any(isinstance(value, dict | list) for value in objects[0].values()) if objects else True
        if objects and objects[0] and ("arch" in objects[0] or not nested):
            return Fit(0.7, "a line that is a JSON object")
        cut = len(lines) == 1 and lines[0].lstrip().startswith(b'{"arch"')  # longer than the head: said better when it is read
        return Fit(0.6, "begins with an object that has arch") if cut else Fit(0, "has no line that is a JSON object of its own")

    def read(self, path: Path, request: Request) -> ArchTable:
        return assemble(collect_objects(lambda: read_lines(path), request), request)
