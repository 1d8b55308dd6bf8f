"""Skeletons: what stands around the cells of a network - stem, layers with widths and strides, head - and what a network costs.

A network of cells is {"skeleton": name or object, "madds_m": budget, "cells": one a layer, the published form as text}. With a
budget its widths are those of the skeleton, all scaled by one factor, so that networks of different cells cost alike. "max_lr"
may stand beside them: no part of the network, but the learning rate that it is trained with.

Source: ours, but for the published network's skeleton (docs/method.md, section 9); the convention of costs is the field's:
convolutions and linear layers count, a multiply-add once, normalisation does not.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any, Self

from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.spaces._cells import EXPANSIONS, OPERATIONS, Cell

TOLERANCE = 0.02  # how far the multiply-adds of a network may be from their budget
SMALLEST, LARGEST = 0.05, 20.0  # factors of widths that are tried
NORM = 2  # parameters of a channel's batch norm


@dataclass(frozen=True)
class Block:
    """The place of one cell in a network.

    Args:
        in_width: channels of its input.
        width: channels of its output.
        stride: of the operations that read its input.
        side: height and width of its input in pixels.
    """

    in_width: int
    width: int
    stride: int
    side: int

    @property
    def out_side(self) -> int:
        """Height and width of its output in pixels."""
        return -(-self.side // self.stride)

    def hidden(self, cell: Cell) -> int:
        """Channels of the cell's nodes."""
        return self.in_width * EXPANSIONS[cell.expansion]


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of one input, and parameters."""

    madds: int = 0
    params: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.madds + other.madds, self.params + other.params)


def cell_cost(cell: Cell, block: Block) -> Cost:
    """The cost of a cell at its place: 1x1 expansion (none at expansion 1), the operations of its live edges, 1x1 projection."""
    hidden, pixels = block.hidden(cell), block.out_side**2
    madds, params = hidden * block.width * pixels, hidden * block.width + NORM * block.width
    if hidden > block.in_width:
        madds += block.in_width * hidden * block.side**2
        params += block.in_width * hidden + NORM * hidden
    for edge in cell.live:
        operation = OPERATIONS[cell.operations[edge]]
        if operation.kernel:
            weights = operation.kernel**2 * hidden * (1 if operation.is_depthwise else hidden)
            madds += weights * pixels
            params += weights + NORM * hidden
    return Cost(madds, params)


@dataclass(frozen=True)
class Skeleton:
    """The network around the cells.

    Args:
        title: what a reader sees.
        side, channels: of an image.
        num_classes: of the last, linear layer.
        stem_width, stem_stride: of the first 3x3 convolution.
        widths: of the layers' outputs.
        strides: of the first block of each layer.
        repeats: blocks of each layer, all of the same cell; () = one each.
        first_width: of a fixed inverted residual block (expansion 1) before the layers; 0 = there is none.
        head_width: of the 1x1 convolution before pooling.

    Raises:
        ConfigError: a number is out of range, or there is not one of each for every layer.
    """

    title: str
    side: int
    channels: int
    num_classes: int
    stem_width: int
    stem_stride: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    repeats: tuple[int, ...] = ()
    first_width: int = 0
    head_width: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "repeats", tuple(self.repeats) or (1,) * len(self.widths))
        for name in ("widths", "strides"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not len(self.widths) == len(self.strides) == len(self.repeats) > 0:
            got = f"{len(self.widths)} widths, {len(self.strides)} strides and {len(self.repeats)} repeats"
            raise ConfigError(f"skeleton: got {got}, expected one of each for every layer.")
        for one in fields(self):
            values = getattr(self, one.name)
            least = 0 if one.name == "first_width" else 1
            for value in () if one.name == "title" else values if isinstance(values, tuple) else (values,):
                if isinstance(value, bool) or not isinstance(value, int) or value < least:
                    raise ConfigError(f"skeleton, {one.name}: got {value!r}, expected whole numbers of at least {least}.")

    @classmethod
    def read(cls, raw: Any) -> Self:
        """A skeleton from JSON: the name of one of SKELETONS, or an object with the fields of one.

        Raises:
            ConfigError: it is none.
        """
        if isinstance(raw, str):
            if raw not in SKELETONS:
                raise ConfigError(f"skeleton: got {raw[:60]!r}, expected one of {', '.join(SKELETONS)}, or its fields.")
            return SKELETONS[raw]  # type: ignore[return-value]
        try:
            return cls(**dict(raw))
        except (TypeError, ValueError):
            names = ", ".join(one.name for one in fields(cls))
            raise ConfigError(f"skeleton: got {str(raw)[:80]}, expected the name of one, or an object with {names}.") from None

    @property
    def named(self) -> str | dict[str, Any]:
        """The skeleton as JSON has it: its name where it is one of SKELETONS, else its fields."""
        return next((name for name, known in SKELETONS.items() if known == self), asdict(self))

    @property
    def num_layers(self) -> int:
        """Number of layers that choose a cell."""
        return len(self.widths)

    @cached_property
    def blocks(self) -> tuple[tuple[Block, ...], ...]:
        """The blocks of each layer."""
        side, width, layers = -(-self.side // self.stem_stride), self.first_width or self.stem_width, []
        for out, stride, repeats in zip(self.widths, self.strides, self.repeats, strict=True):
            blocks = [Block(width, out, stride, side)]
            side, width = blocks[0].out_side, out
            layers.append((*blocks, *[Block(out, out, 1, side)] * (repeats - 1)))
        return tuple(layers)

    @cached_property
    def fixed(self) -> Cost:
        """The cost of all that is no cell."""
        side = -(-self.side // self.stem_stride)
        weights = 9 * self.channels * self.stem_width
        cost = Cost(weights * side**2, weights + NORM * self.stem_width)
        if self.first_width:
            weights = self.stem_width * self.first_width
            cost += Cost((9 * self.stem_width + weights) * side**2, 9 * self.stem_width + weights)
            cost += Cost(0, NORM * (self.stem_width + self.first_width))
        last = self.blocks[-1][-1]
        weights, linear = last.width * self.head_width, self.head_width * self.num_classes
        return cost + Cost(weights * last.out_side**2 + linear, weights + NORM * self.head_width + linear + self.num_classes)

    def layer_cost(self, layer: int, cell: Cell) -> Cost:
        """The cost of a cell in all blocks of a layer, which counts from 0."""
        return sum((cell_cost(cell, block) for block in self.blocks[layer]), Cost())

    def cost(self, cells: Sequence[Cell]) -> Cost:
        """The cost of a network with a cell in each layer."""
        return sum((self.layer_cost(layer, cell) for layer, cell in enumerate(cells)), self.fixed)

    def scaled(self, factor: float) -> "Skeleton":
        """The skeleton with its stem, first block and layers made wider by a factor; the head is as it was."""
        first = self.first_width and _width(self.first_width, factor)
        widths = tuple(_width(width, factor) for width in self.widths)
        return replace(self, stem_width=_width(self.stem_width, factor), first_width=first, widths=widths)

    @lru_cache(maxsize=4096)  # noqa: B019 - skeletons are values
    def matched(self, cells: tuple[Cell, ...], madds_m: float) -> "Skeleton":
        """The skeleton scaled so that a network of some cells costs a budget, as nearly as one factor does.

        Where the nearest is further away than TOLERANCE, single layers are made one channel wider or narrower.

        Args:
            cells: one a layer.
            madds_m: multiply-adds in millions.

        Raises:
            ConfigError: no widths come within TOLERANCE of the budget.
        """
        budget = madds_m * 1e6
        if not math.isfinite(budget) or budget <= 0:
            raise ConfigError(f"madds_m: got {madds_m}, expected a budget above 0.")
        low, high = SMALLEST, LARGEST
        ends = [self.scaled(factor).cost(cells).madds for factor in (low, high)]
        if not ends[0] * (1 - TOLERANCE) <= budget <= ends[1] * (1 + TOLERANCE):
            expected = f"expected {ends[0] / 1e6:.3g} to {ends[1] / 1e6:.3g}"
            raise ConfigError(f"madds_m: got {madds_m:g}, which these cells cannot meet; {expected}.")
        for _ in range(50):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.scaled(middle).cost(cells).madds < budget else (low, middle)

        def distance(skeleton: Skeleton) -> float:
            return abs(skeleton.cost(cells).madds / budget - 1)

        best = min((self.scaled(low), self.scaled(high)), key=distance)
        while distance(best) > TOLERANCE:
            better = min(_neighbours(best), key=distance)
            if distance(better) >= distance(best):
                got = best.cost(cells).madds / 1e6
                raise ConfigError(f"madds_m: got {madds_m:g}, expected one that widths can meet; the nearest cost is {got:.4g}.")
            best = better
        return best


def number_of(arch: Mapping[str, Any], name: str) -> float | None:
    """A number of the encoding of a network or of a space; None where it has none.

    Raises:
        ConfigError: it is none, or not above 0.
    """
    value = arch.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf):
        raise ConfigError(f"{name}: got {value!r}, expected a number above 0.")
    return value


def _width(width: int, factor: float) -> int:
    return max(round(width * factor), 1)


def _neighbours(skeleton: Skeleton) -> list[Skeleton]:
    """Skeletons with one layer of one channel more or less."""
    found = []
    for layer, step in itertools.product(range(skeleton.num_layers), (1, -1)):
        widths = list(skeleton.widths)
        widths[layer] = max(widths[layer] + step, 1)
        found.append(replace(skeleton, widths=tuple(widths)))
    return found


SKELETONS = {
    # Ours: two overlaid items of Fashion-MNIST, seconds a training.
    "pairs": Skeleton("Five layers for overlaid pairs of 28x28", 28, 1, 10, 8, 2, (16, 16, 16, 24, 24), (2, 1, 1, 2, 1)),
    # The published network. Its 21 blocks against the 11 layers of its space: first and rest of five stages and the last one.
    "published": Skeleton(
        *("AutoSpace on ImageNet", 224, 3, 1000, 32, 2),
        widths=(24, 24, 40, 40, 80, 80, 96, 96, 192, 192, 320),
        strides=(2, 1, 2, 1, 2, 1, 1, 1, 2, 1, 1),
        repeats=(1, 3) * 5 + (1,),
        first_width=16,
        head_width=1280,
    ),
}


@dataclass(frozen=True)
class CellNetwork:
    """A network of cells.

    Args:
        skeleton: with the widths of the network.
        cells: one a layer.
        max_lr: highest learning rate of its training; None = whoever trains it knows one.
    """

    skeleton: Skeleton
    cells: tuple[Cell, ...]
    max_lr: float | None = None

    @classmethod
    def read(cls, arch: Any) -> Self:
        """A network from its native encoding.

        Raises:
            ArchitectureError: it is none, or no widths meet its budget.
        """
        if not (isinstance(arch, Mapping) and isinstance(arch.get("cells"), list) and "skeleton" in arch):
            raise ArchitectureError(f"network of cells: got {str(arch)[:80]}, expected an object with skeleton and cells.")
        try:
            skeleton = Skeleton.read(arch["skeleton"])
            cells = tuple(Cell.read(one) for one in arch["cells"])
            if len(cells) != skeleton.num_layers:
                raise ConfigError(f"cells: got {len(cells)}, expected {skeleton.num_layers}, one a layer.")
            madds_m, max_lr = (number_of(arch, name) for name in ("madds_m", "max_lr"))
            return cls(skeleton if madds_m is None else skeleton.matched(cells, madds_m), cells, max_lr)
        except ConfigError as error:
            raise ArchitectureError(f"network of cells, {error}") from error

    @property
    def cost(self) -> Cost:
        """The cost of the network."""
        return self.skeleton.cost(self.cells)
