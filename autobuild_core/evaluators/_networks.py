"""The networks that the project can make, by the kind of their architectures; what evaluators share. Imports torch late.

| kind | architecture | input |
|---|---|---|
| stages | {"stage1_e": 3, "stage1_k": 5, "stage1_l": 2, ...}: four stages of inverted residual blocks | 28x28 |
| cell | "|nor_conv_3x3~0|+|...": a cell of NAS-Bench-201 | 28x28 |
| network of cells | {"skeleton": "pairs", "madds_m": 0.6, "cells": [...]}: AutoSpace's cells, one a layer | its skeleton's |
| published network | {"first_conv": {...}, "blocks": [...], ...}: a file as AutoSpace published one | 224x224 |
| encoder-decoder | {"enc1_e": 3, ..., "skip1": "add", "dec1_e": 1, ...}: inverted residual blocks, two decoder stages | 48x48 |
| U-Net | {"down16_1": "res", "down8_2": "none", ...}: residual and attention blocks, there or not | 16x16 |
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from autobuild_core.errors import ArchitectureError, ConfigError, DataError
from autobuild_core.evaluators._images import SIDE
from autobuild_core.spaces import space_named
from autobuild_core.spaces._network_file import SIDE as SIDE_OF_FILES
from autobuild_core.spaces._network_file import NetworkFile, is_network
from autobuild_core.spaces._skeletons import CellNetwork, Skeleton

if TYPE_CHECKING:
    from torch import Tensor, nn

KERNELS, EXPANSIONS = (3, 5, 7), (1, 3, 6)
STAGE_DEPTHS, NUM_STAGES = (1, 2, 3), 4
ENCODER_DEPTHS, DECODER_DEPTHS = (1, 2, 3), (0, 1, 2)
UNET_STAGES = {  # stage -> its blocks, upstream first
    "down16": ("res",),
    "down8": ("res", "att"),
    "mid4": ("res", "att", "res"),
    "up8": ("res", "att"),
    "up16": ("res",),
}
NUM_CLASSES, NUM_SCENE_CLASSES = 10, 11
Stage = tuple[int, int, int]  # kernel, expansion, depth


class Family(ABC):
    """One kind of networks."""

    title: ClassVar[str]

    @abstractmethod
    def owns(self, arch: Any) -> bool:
        """Whether an architecture looks like one of this kind, sound or not."""

    @abstractmethod
    def check(self, arch: Any) -> Any:
        """The choices of an architecture, as `make` takes them.

        Raises:
            ArchitectureError: it is not sound.
        """

    @abstractmethod
    def make(self, arch: Any) -> "nn.Module":
        """The network with fresh weights from torch's generator, on the CPU.

        Raises:
            ArchitectureError: the architecture is not sound.
        """

    @abstractmethod
    def inputs(self, arch: Any, num: int) -> "tuple[Tensor, ...]":
        """Inputs of an architecture's network, of zeros: a batch of `num`."""


def value_of(arch: Any, key: str, allowed: tuple[Any, ...]) -> Any:
    """A choice of an architecture that is an object.

    Raises:
        ArchitectureError: it is missing, or not one of those that are allowed.
    """
    got = arch.get(key) if isinstance(arch, Mapping) else None
    if isinstance(got, bool) or got not in allowed:
        raise ArchitectureError(f"{key}: got {got!r}, expected one of {', '.join(map(str, allowed))}.")
    return got


def stage_of(arch: Any, label: str, depths: tuple[int, ...]) -> Stage:
    """Kernel, expansion and depth of a stage of inverted residual blocks; without layers its other choices are idle.

    Raises:
        ArchitectureError: one is missing or not allowed.
    """
    depth = value_of(arch, f"{label}_l", depths)
    if not depth:
        return KERNELS[0], EXPANSIONS[0], 0
    return value_of(arch, f"{label}_k", KERNELS), value_of(arch, f"{label}_e", EXPANSIONS), depth


def _has(arch: Any, key: str) -> bool:
    return isinstance(arch, Mapping) and key in arch


class Stages(Family):
    """Four stages of inverted residual blocks."""

    title = "stages of inverted residual blocks (stage1_k, stage1_e, stage1_l, ...)"

    def owns(self, arch: Any) -> bool:
        return _has(arch, "stage1_k")

    def check(self, arch: Any) -> tuple[Stage, ...]:
        return tuple(stage_of(arch, f"stage{number}", STAGE_DEPTHS) for number in range(1, NUM_STAGES + 1))

    def make(self, arch: Any) -> "nn.Module":
        from autobuild_core.evaluators._mbconv import make_network

        return make_network(self.check(arch), NUM_CLASSES)

    def inputs(self, arch: Any, num: int) -> "tuple[Tensor, ...]":
        import torch

        return (torch.zeros(num, 1, 28, 28),)


class Cells(Family):
    """Cells of NAS-Bench-201."""

    title = "cells of NAS-Bench-201"

    def owns(self, arch: Any) -> bool:
        return isinstance(arch, str) and arch.startswith("|")

    def check(self, arch: Any) -> tuple[str, ...]:
        space = space_named("nas_bench_201")
        return tuple(space.spec.tokens[token] for token in space.parse(arch))

    def make(self, arch: Any) -> "nn.Module":
        from autobuild_core.evaluators._cell_network import make_network

        return make_network(self.check(arch), NUM_CLASSES)

    def inputs(self, arch: Any, num: int) -> "tuple[Tensor, ...]":
        import torch

        return (torch.zeros(num, 1, 28, 28),)


class CellNetworks(Family):
    """Networks of AutoSpace's cells."""

    title = "networks of AutoSpace's cells (skeleton, madds_m, cells)"

    def owns(self, arch: Any) -> bool:
        return _has(arch, "cells") and _has(arch, "skeleton")

    def check(self, arch: Any) -> CellNetwork:
        return CellNetwork.read(arch)

    def make(self, arch: Any) -> "nn.Module":
        from autobuild_core.evaluators._autospace_network import make_network

        return make_network(self.check(arch))

    def inputs(self, arch: Any, num: int) -> "tuple[Tensor, ...]":
        import torch

        skeleton = self.check(arch).skeleton
        return (torch.zeros(num, skeleton.channels, skeleton.side, skeleton.side),)


class PublishedNetworks(Family):
    """Networks in the form of AutoSpace's published files."""

    title = "networks as AutoSpace published them (first_conv, blocks, ...)"

    def owns(self, arch: Any) -> bool:
        return is_network(arch)

    def check(self, arch: Any) -> NetworkFile:
        try:
            return NetworkFile.read(arch)
        except DataError as error:
            raise ArchitectureError(str(error)) from error

    def make(self, arch: Any) -> "nn.Module":
        from autobuild_core.evaluators._autospace_network import make_published

        return make_published(self.check(arch))

    def inputs(self, arch: Any, num: int) -> "tuple[Tensor, ...]":
        import torch

        return (torch.zeros(num, self.check(arch).stem[0], SIDE_OF_FILES, SIDE_OF_FILES),)


class EncoderDecoders(Family):
    """Encoder-decoders of inverted residual blocks."""

    title = "encoder-decoders (enc1_k, ..., skip1, dec1_k, ...)"

    def owns(self, arch: Any) -> bool:
        return _has(arch, "enc1_k")

    def check(self, arch: Any) -> tuple[tuple[Stage, ...], tuple[Stage, ...], tuple[bool, ...]]:
        encoder = tuple(stage_of(arch, f"enc{number}", ENCODER_DEPTHS) for number in (1, 2, 3))
        decoder = tuple(stage_of(arch, f"dec{number}", DECODER_DEPTHS) for number in (1, 2))
        return encoder, decoder, tuple(value_of(arch, f"skip{number}", ("add", "none")) == "add" for number in (1, 2))

    def make(self, arch: Any) -> "nn.Module":
        from autobuild_core.evaluators._encoder_decoder import EncoderDecoder

        return EncoderDecoder(*self.check(arch), NUM_SCENE_CLASSES)

    def inputs(self, arch: Any, num: int) -> "tuple[Tensor, ...]":
        import torch

        return (torch.zeros(num, 1, 48, 48),)


class UNets(Family):
    """U-Nets whose blocks are there or not."""

    title = "U-Nets (down16_1, down8_1, ..., up16_1)"

    def owns(self, arch: Any) -> bool:
        return _has(arch, "mid4_1")

    def check(self, arch: Any) -> dict[str, tuple[bool, ...]]:
        return {
            stage: tuple(value_of(arch, f"{stage}_{n}", (kind, "none")) == kind for n, kind in enumerate(kinds, 1))
            for stage, kinds in UNET_STAGES.items()
        }

    def make(self, arch: Any) -> "nn.Module":
        from autobuild_core.evaluators._unet import UNet

        return UNet(self.check(arch))

    def inputs(self, arch: Any, num: int) -> "tuple[Tensor, ...]":
        import torch

        return torch.zeros(num, 1, 16, 16), torch.zeros(num)


STAGES, CELLS, CELL_NETWORKS, ENCODER_DECODERS, UNETS = Stages(), Cells(), CellNetworks(), EncoderDecoders(), UNets()
PUBLISHED_NETWORKS = PublishedNetworks()
FAMILIES: tuple[Family, ...] = (STAGES, CELLS, CELL_NETWORKS, PUBLISHED_NETWORKS, ENCODER_DECODERS, UNETS)


def family_of(arch: Any, families: tuple[Family, ...] = FAMILIES) -> Family:
    """The kind of networks that a sound architecture belongs to.

    Args:
        arch: in its native encoding.
        families: the kinds that are measured.

    Raises:
        ArchitectureError: it is of none of them, or not sound.
    """
    for family in families:
        if family.owns(arch):
            family.check(arch)
            return family
    raise ArchitectureError(f"architecture: got {str(arch)[:80]}, expected {' or '.join(f.title for f in families)}.")


def check_images(skeleton: Skeleton) -> None:
    """Returns when a skeleton takes the images of the classification task.

    Raises:
        ConfigError: it does not.
    """
    got, expected = (skeleton.channels, skeleton.side, skeleton.num_classes), (1, SIDE, NUM_CLASSES)
    if got != expected:
        words = [f"{channels} x {side} x {side} and {classes} classes" for channels, side, classes in (got, expected)]
        raise ConfigError(f"skeleton: got one for images of {words[0]}, expected {words[1]}: there are no others to train on.")
