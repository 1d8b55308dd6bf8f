"""AutoBuild's cache of evaluated networks as JSON: [{"original config": [resolution, arch], "acc": ..., ...}, ...].

Source: Mills et al., CVPR 2024, published code; there the list is pickled, which is never read here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from autobuild_core.datasets import Dataset
from autobuild_core.datasets._files import UTF8_BOM, open_bytes
from autobuild_core.datasets._table import shorten
from autobuild_core.datasets.json_lines import JsonLines, Line
from autobuild_core.errors import DataError
from autobuild_core.records import ArchTable
from autobuild_core.spaces import Space

CONFIG = "original config"
BLANK = " \t\r\n"
_decode = json.JSONDecoder().raw_decode


def items(text: str, name: str) -> Iterator[Any]:
    """The items of a JSON array, one at a time: a hundred thousand networks never stand in memory as objects.

    Raises:
        DataError: it is no JSON array, or breaks off.
    """
    place = _skip(text, 0)
    more, place = text[place : place + 1] == "[", _skip(text, place + 1)
    if more and text[place : place + 1] == "]":
        more = False
    while more:
        try:
            item, place = _decode(text, place)
        except json.JSONDecodeError as error:
            cut = " (the file ends too early)" if error.pos >= len(text.rstrip()) - 1 else ""
            raise DataError(f"{name}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}{cut}.") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}: not readable JSON: {str(error)[:120]}.") from None
        yield item
        place = _skip(text, place)
        more = text[place : place + 1] == ","
        place = _skip(text, place + 1) if more else place
    if text[place : place + 1] != "]" or text[place + 1 :].strip(BLANK):
        got = shorten(text[place : place + 20]) if place < len(text) else "the end of the file"
        raise DataError(f"{name}: got {got} at character {place}, expected one JSON array.")


def _skip(text: str, place: int) -> int:
    """The next place that is no white space."""
    while text[place : place + 1] and text[place] in BLANK:
        place += 1
    return place


def as_line(item: Any) -> Line:
    """An item as JSON lines have it: {"arch", "resolution", metrics...}, or the error that refuses it."""
    config = item.pop(CONFIG, None) if isinstance(item, dict) else None
    if not (isinstance(config, list) and len(config) == 2):
        return DataError(f"got {shorten(item)}, expected an object with {CONFIG}: [resolution, arch].")
    return {**item, "resolution": config[0], "arch": config[1]}


@final
class AutoBuildCache(Dataset):
    """One object a network; fields that hold no numbers are left out."""

    title = "AutoBuild cache (JSON)"
    example = (
        b'[{"original config": [224, [["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e4_k5"], '
        b'["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e4_k7"], '
        b'["mbconv2_e6_k7"]]], "acc": 0.751, "latency_gpu": 5.1},\n'
        b' {"original config": [224, [["mbconv2_e6_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e4_k5"], '
        b'["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e4_k7"], '
        b'["mbconv2_e3_k5"]]], "acc": 0.764, "latency_gpu": 5.6}]\n'
    )

    def supports(self, head: bytes, name: str) -> str | None:
        text = head.lstrip()
        if not text.startswith(b"["):
            return f"starts with {shorten(text[:1].decode(errors='replace'))}, not with ["
        return None if f'"{CONFIG}"'.encode() in text else f'has no "{CONFIG}"'

    def read(self, path: Path, space: Space | None) -> ArchTable:
        try:
            with open_bytes(path) as file:
                text = file.read().removeprefix(UTF8_BOM).decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{path.name}: got byte {error.start} that is not UTF-8, expected UTF-8 JSON.") from None
        return JsonLines.read_objects(lambda: map(as_line, items(text, path.name)), path.name, space, "autobuild_cache")
