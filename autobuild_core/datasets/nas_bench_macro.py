"""NAS-Bench-Macro's published JSON: {"02012100": {"test_acc": [...], "mean_acc": ..., "std", "params", "flops"}, ...}."""

import json
import re
from pathlib import Path
from typing import Any, final

from autobuild_core.datasets import Dataset
from autobuild_core.datasets._files import UTF8_BOM, open_bytes
from autobuild_core.datasets._table import TableBuilder, shorten
from autobuild_core.errors import DataError
from autobuild_core.records import ArchTable
from autobuild_core.spaces import Space, space_named

KEY = re.compile(rb'"[012]{8}"\s*:\s*[\[{]')
SPACE = "nas_bench_macro"


class _Repeated(list[tuple[str, Any]]):
    """The pairs of a JSON object that has a key twice."""


def _object(pairs: list[tuple[str, Any]]) -> Any:
    """A JSON object as a dict, or as its pairs when a key is repeated: a dict would drop one silently."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else _Repeated(pairs)


@final
class NasBenchMacroJson(Dataset):
    """One JSON object, a key an architecture. The list of repeats test_acc becomes test_acc_1 to test_acc_3.

    Source: Su et al., CVPR 2021, nas-bench-macro_cifar10.json.
    """

    title = "NAS-Bench-Macro (JSON)"
    example = b'{"02012100": {"test_acc": [89.5, 89.0], "mean_acc": 89.25, "params": 890666}, "11111221": {"mean_acc": 92.3}}'

    def supports(self, head: bytes, name: str) -> str | None:
        text = head.lstrip()
        if not text.startswith(b"{"):
            return f"starts with {shorten(text[:1].decode(errors='replace'))}, not with {{"
        if re.match(rb'\{\s*"arch"', text) or not KEY.search(text):
            return "has no key of eight digits 0, 1 or 2"
        return None

    def read(self, path: Path, space: Space | None) -> ArchTable:
        if space and space.spec.name != SPACE:
            raise DataError(f"{path.name}: got architectures of NAS-Bench-Macro, expected those of {space.spec.title}.")
        pairs = self._pairs(path)
        builder = TableBuilder(space or space_named(SPACE), SPACE, path.name, given=space is not None)
        first_row: dict[str, int] = {}
        for row, (key, value) in enumerate(pairs):
            if key in first_row:
                builder.reject(f"key {shorten(key)}: got it again (first in row {first_row[key]}), expected each key once.")
            elif not isinstance(value, dict):
                found = "a metric twice" if isinstance(value, _Repeated) else shorten(value)
                builder.reject(f"key {shorten(key)}: got {found}, expected an object of metrics.")
            else:
                builder.add(key, value)
            first_row.setdefault(key, row)
        return builder.table()

    @staticmethod
    def _pairs(path: Path) -> list[tuple[str, Any]]:
        """(key, value) of the file in its own order, repeated keys too."""
        try:
            with open_bytes(path) as file:
                text = file.read().removeprefix(UTF8_BOM).decode()
            raw = json.loads(text, object_pairs_hook=_object)
        except UnicodeDecodeError as error:
            raise DataError(f"{path.name}: got byte {error.start} that is not UTF-8, expected UTF-8 JSON.") from None
        except json.JSONDecodeError as error:
            ended = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated string")
            cut = " (the file ends too early)" if ended else ""
            raise DataError(f"{path.name}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}{cut}.") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path.name}: not readable JSON: {str(error)[:120]}.") from None
        if not isinstance(raw, dict | _Repeated):
            raise DataError(f"{path.name}: got a JSON {type(raw).__name__}, expected an object with a key an architecture.")
        return list(raw.items()) if isinstance(raw, dict) else list(raw)
