"""Architectures that the project's evaluators measure, the smallest and a larger one of each kind."""

from collections.abc import Sequence
from typing import Any

from autobuild_core.evaluators._networks import UNET_STAGES
from autobuild_core.spaces._cells import EXPANSIONS, OPERATIONS, Cell
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


def published_network(
    cells: Sequence[Cell | None], widths: Sequence[int] = (24, 40, 80, 96, 192), has_se: bool = False
) -> dict[str, Any]:
    """A network in the form of the published net_340M.config: 21 blocks of the given cells in turn, None = left out.

    Cells of one depthwise convolution are written as inverted residual layers.
    """
    convolution = {"name": "ConvLayer", "kernel_size": 3, "stride": 2, "in_channels": 3, "out_channels": 32}
    blocks: list[dict[str, Any]] = [_published_block(Cell((5, 1, 2, 1, 1, 2), 0), 32, 16, 1, has_se)]
    width, num = 16, 0
    for stage, out in enumerate((*widths, 320)):
        for place in range(1 if out == 320 else 4):
            stride = 2 if place == 0 and stage in (0, 1, 2, 4) else 1
            cell = cells[num % len(cells)] if place else cells[0]
            blocks.append(_published_block(cell, width, out, stride, has_se))
            width, num = out, num + 1
    mix = {"name": "ConvLayer", "kernel_size": 1, "stride": 1, "in_channels": 320, "out_channels": 1280}
    classifier = {"name": "LinearLayer", "in_features": 1280, "out_features": 1000}
    return {
        "name": "ProxylessNASNets",
        "first_conv": convolution,
        "blocks": blocks,
        "feature_mix_layer": mix,
        "classifier": classifier,
    }


def _published_block(cell: Cell | None, in_width: int, width: int, stride: int, has_se: bool) -> dict[str, Any]:
    same = stride == 1 and in_width == width
    shortcut = {"name": "IdentityLayer", "in_channels": [in_width], "out_channels": [in_width]} if same else None
    layer: dict[str, Any] = {"name": "ZeroLayer", "stride": stride}
    if cell is not None:
        layer = {"in_channels": in_width, "out_channels": width, "stride": stride, "has_se": has_se}
        if cell.operations[1:] == (1, 2, 1, 1, 2):
            layer |= {"name": "MBInvertedConvLayer", "kernel_size": OPERATIONS[cell.operations[0]].kernel}
            layer |= {"expand_ratio": EXPANSIONS[cell.expansion]}
        else:
            layer |= {"name": "CellLayer", "num_nodes": 4, "build_graph": str(cell.written), "dim_conv_idx": cell.expansion}
            layer |= {"atten_mode": "channel", "feature_mix_mode_idx": list(cell.mix)}
    return {"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": layer, "shortcut": shortcut}


CELL = "|skip_connect~0|+|avg_pool_3x3~0|skip_connect~1|+|nor_conv_3x3~0|none~1|skip_connect~2|"
EXAMPLES: dict[str, Any] = {
    "classification": stages(),
    "segmentation": encoder_decoder(),
    "diffusion": unet(),
    "cost": CELL,
    "latency": unet("mid4_1"),
}
