"""JSON lines: one object a line with "arch" in the native encoding of any space, and metrics beside it.

{"arch": [["mbconv3_e3_k5", ...], ...], "resolution": 224, "acc": ...}   Once-for-all, as tokens
{"arch": {"ks": [...], "e": [...], "d": [...]}, "acc": ...}              Once-for-all, as its own dictionary
{"arch": "02012100", "mean_acc": ...}                                    NAS-Bench-Macro
{"arch": "|none~0|+|none~0|...", "acc": ...}                             NAS-Bench-201
{"arch": {"block0_e": 3, ...}, "acc": ...}                               a flat space: an object of design choices
"""

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeGuard, final

import pandas as pd

from autobuild_core.datasets import Dataset
from autobuild_core.datasets._files import MAX_LINE_BYTES, byte_lines
from autobuild_core.datasets._table import TableBuilder, is_missing, known_space, shorten, usual_choices
from autobuild_core.errors import DataError
from autobuild_core.records import ArchTable
from autobuild_core.spaces import Space, load_space
from autobuild_core.spaces.flat import Flat, as_choice, infer_spec

NUM_PEEKED = 1000
MAX_VALUES = 4096
OFA_FIELDS = {"ks", "e", "d"}
Line = dict[str, Any] | DataError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict.

    Raises:
        DataError: a key is repeated.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise DataError(f"{shorten(key)}: got it twice in one object, expected each key once.")
    return found


_decode = json.JSONDecoder(object_pairs_hook=_unique).decode


def read_line(line: bytes) -> Line:
    """One line as an object with "arch", or the error that refuses it."""
    if len(line) > MAX_LINE_BYTES:
        return DataError(f"got a line of more than {MAX_LINE_BYTES // 2**20} MiB, expected one architecture a line.")
    try:
        found = _decode(line.decode())
    except json.JSONDecodeError as error:
        return DataError(f"not JSON at column {error.colno}: {error.msg}; got {shorten(error.doc.strip())}.")
    except UnicodeDecodeError:
        return DataError("got bytes that are not UTF-8, expected JSON.")
    except DataError as error:
        return error
    except (ValueError, RecursionError) as error:
        return DataError(f"not readable JSON: {str(error)[:120]}.")
    if not isinstance(found, dict):
        return DataError(f"got {shorten(found)}, expected an object with arch.")
    if "arch" not in found and found.keys() >= OFA_FIELDS:
        found["arch"] = {name: found.pop(name) for name in sorted(OFA_FIELDS)}
    if "arch" not in found:
        return DataError(f"got no arch, expected it beside {', '.join(sorted(found))[:60] or 'the metrics'}.")
    return found


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file; blank ones are no rows."""
    return (read_line(line) for line in byte_lines(path) if line.strip())


@final
class JsonLines(Dataset):
    """Streams the file; the first thousand lines tell the space and which fields are no metrics."""

    title = "JSON lines with arch and metrics"
    example = (
        b'{"arch": {"block0_e": 3, "block0_k": 5, "block0_l": 2}, "acc": 0.71}\n'
        b'{"arch": {"block0_e": 6, "block0_k": 3, "block0_l": 1}, "acc": 0.73}\n'
    )

    def supports(self, head: bytes, name: str) -> str | None:
        text = head.lstrip()
        if text.startswith(b"["):
            return "is a JSON array, expected one object a line"
        lines = [line for line in text.splitlines() if line.strip()][:20]
        if any(isinstance(read_line(line), dict) for line in lines):
            return None
        if re.match(rb'\{\s*"arch"\s*:', text) and len(lines) == 1:
            return None  # one line that is cut off or longer than the head: said better when it is read
        return "has no line that is a JSON object with arch"

    def read(self, path: Path, space: Space | None) -> ArchTable:
        return self.read_objects(lambda: read_lines(path), path.name, space, "json_lines")

    @classmethod
    def read_objects(cls, read: Callable[[], Iterator[Line]], name: str, space: Space | None, format: str) -> ArchTable:
        """The table of objects with arch and metrics, whatever file they come from.

        Args:
            read: begins to read them, from the first.
            name: of the file, for messages.
            space: that they must lie in; None to infer it.
            format: file in datasets/ that reads them.

        Raises:
            DataError: the file as a whole cannot be read.
        """
        lines = read()
        peeked = list(itertools.islice(lines, NUM_PEEKED))
        if not peeked:
            raise DataError(f"{name}: got an empty file, expected architectures.")
        found = space or cls._space(read, name, peeked)
        skipped = cls._no_metrics(peeked)
        builder = TableBuilder(found, format, name, given=space is not None)
        if skipped:
            builder.notes.append(f"Fields that hold no numbers were left out: {', '.join(sorted(skipped))[:200]}.")
        columns = (
            {name for i in range(len(found.spec.units)) for name in found.columns_of(i)} if isinstance(found, Flat) else set()
        )
        for line in itertools.chain(peeked, lines):
            if isinstance(line, DataError):
                builder.reject(str(line))
                continue
            native = line.pop("arch")
            unknown = sorted(native.keys() - columns) if columns and isinstance(native, dict) else []
            if unknown:
                builder.reject(f"arch: got {shorten(unknown[0])}, expected only {', '.join(sorted(columns))[:200]}.")
            else:
                builder.add(native, {field: value for field, value in line.items() if field not in skipped})
        return builder.table()

    @staticmethod
    def _space(read: Callable[[], Iterator[Line]], name: str, peeked: list[Line]) -> Space:
        """The space of the first architecture that lies in a known one, else a flat space of all choices seen."""
        objects = [line["arch"] for line in peeked if isinstance(line, dict)]
        for native in objects:
            if space := known_space(native):
                return space
        columns = next((list(native) for native in objects if _is_flat(native)), None)
        if not columns:
            reason = next((str(line) for line in peeked if isinstance(line, DataError)), "")
            got = f"arch {shorten(objects[0])}" if objects else reason
            raise DataError(f"{name}: got {got}; expected an architecture of a known space or an object of design choices.")
        seen: dict[str, Counter[str]] = {column: Counter() for column in columns}
        for line in read():
            native = line["arch"] if isinstance(line, dict) else None
            if _is_flat(native) and native.keys() == seen.keys():
                for column, value in native.items():
                    seen[column][as_choice(value)] += 1
                    if len(seen[column]) > MAX_VALUES:
                        raise DataError(f"{name}, {column}: got over {MAX_VALUES} values, expected a design choice.")
        frame = pd.DataFrame({column: pd.Series(usual_choices(counts), dtype=object) for column, counts in seen.items()})
        return load_space(infer_spec(frame, columns))

    @staticmethod
    def _no_metrics(peeked: list[Line]) -> set[str]:
        """Fields whose values are mostly neither numbers nor lists of numbers in the lines peeked at."""
        votes: Counter[str] = Counter()
        for line in peeked:
            for field, value in line.items() if isinstance(line, dict) else ():
                if field != "arch" and not is_missing(value):
                    votes[field] += 1 if _is_numeric(value) else -1
        return {field for field, balance in votes.items() if balance < 0} - {"resolution"}


def _is_numeric(value: Any) -> bool:
    """A number or a list of numbers."""
    if isinstance(value, list):
        return bool(value) and all(is_missing(v) or (_is_numeric(v) and not isinstance(v, list)) for v in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_flat(native: Any) -> TypeGuard[dict[str, Any]]:
    """An object of design choices: every value a finite number or text."""
    if not isinstance(native, dict) or not native:
        return False
    return all(isinstance(v, str | int) or (isinstance(v, float) and math.isfinite(v)) for v in native.values())
