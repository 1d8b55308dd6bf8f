"""Architectures that the project's evaluators measure, the smallest and a larger one of each kind."""

from typing import Any

from autobuild_core.evaluators._networks import UNET_STAGES
from autobuild_core.spaces._cells import Cell
from autobuild_core.spaces._skeletons import SKELETONS

BLOCKS = {f"{stage}_{place}": kind for stage, kinds in UNET_STAGES.items() for place, kind in enumerate(kinds, 1)}


def stages(kernel: int = 3, expansion: int = 1, depth: int = 1) -> dict[str, Any]:
    return {f"stage{n}_{name}": v for n in range(1, 5) for name, v in (("e", expansion), ("k", kernel), ("l", depth))}


def encoder_decoder(kernel: int = 3, expansion: int = 1, depth: int = 1, decoder: int = 0, skip: str = "none") -> dict[str, Any]:
    arch: dict[str, Any] = {}
    for unit in ("enc1", "enc2", "enc3", "dec2", "dec1"):
        layers = depth if unit.startswith("enc") else decoder
        arch |= {f"{unit}_e": expansion, f"{unit}_k": kernel, f"{unit}_l": layers}
    return arch | {"skip1": skip, "skip2": skip}


def unet(*blocks: str) -> dict[str, Any]:
    """The U-Net with the named blocks, "all" for every one."""
    return {name: kind if name in blocks or "all" in blocks else "none" for name, kind in BLOCKS.items()}


def cell_network(*cells: Cell, skeleton: str = "pairs", madds_m: float | None = 0.6) -> dict[str, Any]:
    """A network of AutoSpace's cells, the given ones in turn."""
    num = SKELETONS[skeleton].num_layers
    arch: dict[str, Any] = {"skeleton": skeleton, "cells": [cells[layer % len(cells)].text for layer in range(num)]}
    return arch if madds_m is None else arch | {"madds_m": madds_m}


CELL = "|skip_connect~0|+|avg_pool_3x3~0|skip_connect~1|+|nor_conv_3x3~0|none~1|skip_connect~2|"
EXAMPLES: dict[str, Any] = {
    "classification": stages(),
    "segmentation": encoder_decoder(),
    "diffusion": unet(),
    "cost": CELL,
    "latency": unet("mid4_1"),
}
