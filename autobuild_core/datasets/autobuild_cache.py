"""AutoBuild's cache of evaluated networks as JSON: [{"original config": [resolution, arch], "acc": ..., ...}, ...].

Source: Mills et al., CVPR 2024, published code; there the list is pickled, which is never read here.
"""

from pathlib import Path
from typing import Any, final

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import Dataset, Fit
from autobuild_core.datasets._files import read_text
from autobuild_core.datasets._intake import assemble
from autobuild_core.datasets._json import items
from autobuild_core.datasets._rows import Request, Row, collect_objects
from autobuild_core.datasets._table import shorten
from autobuild_core.errors import DataError

CONFIG = "original config"


def as_line(item: Any) -> Row:
    """An item as JSON lines have it: {"arch", "resolution", metrics...}, or the error that refuses it."""
    config = item.pop(CONFIG, None) if isinstance(item, dict) else None
    if not (isinstance(config, list) and len(config) == 2):
        return DataError(f"got {shorten(item)}, expected an object with {CONFIG}: [resolution, arch].")
    return {**item, "resolution": config[0], "arch": config[1]}


@final
class AutoBuildCache(Dataset):
    """One object a network."""

    title = "AutoBuild cache (JSON)"
    about = "the list of evaluated networks that AutoBuild's published code keeps, as JSON"
    example = (
        b'[{"original config": [224, [["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e4_k5"], '
        b'["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e4_k7"], '
        b'["mbconv2_e6_k7"]]], "acc": 0.751, "latency_gpu": 5.1},\n'
        b' {"original config": [224, [["mbconv2_e6_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e4_k5"], '
        b'["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e6_k5"], ["mbconv2_e3_k3", "mbconv2_e4_k7"], '
        b'["mbconv2_e3_k5"]]], "acc": 0.764, "latency_gpu": 5.6}]\n'
    )

    def supports(self, head: bytes, name: str) -> Fit:
        text = head.lstrip()
        if not text.startswith(b"["):
            return Fit(0, f"starts with {shorten(text[:1].decode(errors='replace'))}, not with [")
        return Fit(1, f'has "{CONFIG}"') if f'"{CONFIG}"'.encode() in text else Fit(0, f'has no "{CONFIG}"')

    def read(self, path: Path, request: Request) -> ArchTable:
        text = read_text(path)
        return assemble(collect_objects(lambda: map(as_line, items(text, path.name)), request), request)
