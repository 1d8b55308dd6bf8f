"""A network as AutoSpace published one: ProxylessNAS's form, its blocks cells, inverted residual layers or nothing at all.

Source: the published net_340M.config, as docs/method.md, section 9, has it. Squeeze and excitation ("has_se") and attention
are said there without what they do: they are told, and not costed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from autobuild_core.errors import ArchitectureError, DataError
from autobuild_core.spaces._cells import EXPANSIONS, Cell, mbconv
from autobuild_core.spaces._skeletons import NORM, Block, Cost, cell_cost

SIDE = 224  # of ImageNet's images
CELL_KEYS = ("in_channels", "out_channels", "stride")


@dataclass(frozen=True)
class NetworkBlock:
    """A block of a network.

    Args:
        place: its widths, stride and side.
        cell: what it computes; None of a layer that is left out (ZeroLayer), where only the shortcut stays.
        shortcut: whether an identity stands beside it.
        has_se: whether the file says squeeze and excitation.
    """

    place: Block
    cell: Cell | None
    shortcut: bool
    has_se: bool = False

    @property
    def cost(self) -> Cost:
        """The cost of the block."""
        return Cost() if self.cell is None else cell_cost(self.cell, self.place)


@dataclass(frozen=True)
class NetworkFile:
    """A whole network.

    Args:
        stem: convolution before the blocks, as (in_width, width, kernel, stride).
        blocks: in their order.
        mix_width: of the 1x1 convolution behind them.
        num_classes: of the last, linear layer.
    """

    stem: tuple[int, int, int, int]
    blocks: tuple[NetworkBlock, ...]
    mix_width: int
    num_classes: int

    @classmethod
    def read(cls, raw: Any) -> Self:
        """A network from the JSON of a file.

        Raises:
            DataError: it is none; the message names the block and what is wrong with it.
        """
        if not is_network(raw):
            raise DataError(f"network: got {str(raw)[:80]}, expected an object with first_conv, blocks and classifier.")
        first, mix, last = (_of(raw, name) for name in ("first_conv", "feature_mix_layer", "classifier"))
        stem = tuple(_whole(first, name, "first_conv") for name in ("in_channels", "out_channels", "kernel_size", "stride"))
        side, width, blocks = -(-SIDE // stem[3]), stem[1], []
        for number, written in enumerate(raw["blocks"], 1):
            block = _block(written, f"network, block {number}", width, side)
            blocks.append(block)
            side, width = block.place.out_side, block.place.width
        mix_width = _whole(mix, "out_channels", "feature_mix_layer")
        return cls((stem[0], stem[1], stem[2], stem[3]), tuple(blocks), mix_width, _whole(last, "out_features", "classifier"))

    @property
    def num_with_se(self) -> int:
        """Number of blocks that say squeeze and excitation."""
        return sum(block.has_se for block in self.blocks)

    @property
    def cost(self) -> Cost:
        """The cost of one image of ImageNet's size."""
        in_width, width, kernel, stride = self.stem
        weights, side = kernel**2 * in_width * width, -(-SIDE // stride)
        cost = sum((block.cost for block in self.blocks), Cost(weights * side**2, weights + NORM * width))
        last = self.blocks[-1].place
        mix, linear = last.width * self.mix_width, self.mix_width * self.num_classes
        return cost + Cost(mix * last.out_side**2 + linear, mix + NORM * self.mix_width + linear + self.num_classes)


def is_network(raw: Any) -> bool:
    """Whether the JSON of a file looks like a network of this form."""
    return isinstance(raw, Mapping) and "first_conv" in raw and isinstance(raw.get("blocks"), list) and bool(raw["blocks"])


def _block(written: Any, where: str, width: int, side: int) -> NetworkBlock:
    """A block of the file.

    Args:
        written: its object.
        where: it stands, for messages.
        width: channels that reach it.
        side: pixels that reach it.

    Raises:
        DataError: it is none, or its input is not what reaches it.
    """
    layer = _of(written, "mobile_inverted_conv", where)
    shortcut = bool(written.get("shortcut"))
    if layer.get("name") == "ZeroLayer":
        if not shortcut:
            raise DataError(f"{where}: got a ZeroLayer without a shortcut, expected one that leaves a path.")
        return NetworkBlock(Block(width, width, 1, side), None, True)
    in_width, out_width, stride = (_whole(layer, name, where) for name in CELL_KEYS)
    if in_width != width:
        raise DataError(f"{where}: got {in_width} channels of input, expected the {width} that reach it.")
    place = Block(in_width, out_width, stride, side)
    if shortcut and (stride > 1 or in_width != out_width):
        raise DataError(
            f"{where}: got a shortcut from {in_width} to {out_width} channels at stride {stride}, expected equal shapes."
        )
    return NetworkBlock(place, _cell(layer, where), shortcut, bool(layer.get("has_se")))


def _cell(layer: Mapping[str, Any], where: str) -> Cell:
    """The cell of a block: that of its build_graph, else the inverted residual layer that it is.

    Raises:
        DataError: it is neither, or its fields contradict its graph.
    """
    try:
        if "build_graph" not in layer:
            kernel, expansion = (_whole(layer, name, where) for name in ("kernel_size", "expand_ratio"))
            if kernel not in (3, 5, 7) or expansion not in EXPANSIONS:
                expected = f"kernel 3, 5 or 7 and expansion {', '.join(map(str, EXPANSIONS))}"
                raise DataError(f"{where}: got kernel {kernel} and expansion {expansion}, expected {expected}.")
            return mbconv(kernel, expansion)
        cell = Cell.read(layer["build_graph"])
    except ArchitectureError as error:
        raise DataError(f"{where}, {error}") from error
    index = layer.get("dim_conv_idx", cell.expansion)
    if index != cell.expansion:
        raise DataError(f"{where}: got dim_conv_idx {index}, expected {cell.expansion} as the graph has it.")
    return cell


def _of(raw: Any, name: str, where: str = "network") -> Mapping[str, Any]:
    """A part of the file that is an object.

    Raises:
        DataError: it is missing.
    """
    found = raw.get(name) if isinstance(raw, Mapping) else None
    if not isinstance(found, Mapping):
        raise DataError(f"{where}, {name}: got {str(found)[:60]}, expected an object.")
    return found


def _whole(layer: Mapping[str, Any], name: str, where: str) -> int:
    """A whole number of a layer.

    Raises:
        DataError: it is none above 0.
    """
    value = layer.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < math.inf:
        raise DataError(f"{where}, {name}: got {value!r}, expected a whole number above 0.")
    return value
