"""An encoder-decoder of inverted residual blocks for dense prediction: three encoder stages, two decoder stages, optional skips."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autobuild_core.errors import ArchitectureError
from autobuild_core.evaluators._mbconv import EXPANSIONS, KERNELS, MBConv, Stage

WIDTHS = (12, 16, 24)  # at 24, 12 and 6 pixels
ENCODER_DEPTHS, DECODER_DEPTHS = (1, 2, 3), (0, 1, 2)


@dataclass(frozen=True)
class Choice:
    """An architecture.

    Args:
        encoder: stages at 24, 12 and 6 pixels.
        decoder: stages at 24 and 12 pixels.
        skips: at 24 and 12 pixels whether the encoder's output is added to the decoder's input.
    """

    encoder: tuple[Stage, ...]
    decoder: tuple[Stage, ...]
    skips: tuple[bool, ...]


def choice_of(arch: Any) -> Choice:
    """The choice of an architecture {"enc1_k", "enc1_e", "enc1_l", ..., "skip1": "add" or "none", "dec1_k", ...}.

    Raises:
        ArchitectureError: naming what is missing or not a value of this space.
    """

    def value(key: str, allowed: tuple[Any, ...]) -> Any:
        got = arch.get(key) if isinstance(arch, Mapping) else None
        if got not in allowed:
            raise ArchitectureError(f"segmentation, {key}: got {got!r}, expected one of {', '.join(map(str, allowed))}.")
        return got

    def stage(label: str, depths: tuple[int, ...]) -> Stage:
        depth = value(f"{label}_l", depths)
        if not depth:
            return KERNELS[0], EXPANSIONS[0], 0
        return value(f"{label}_k", KERNELS), value(f"{label}_e", EXPANSIONS), depth

    encoder = tuple(stage(f"enc{n}", ENCODER_DEPTHS) for n in (1, 2, 3))
    decoder = tuple(stage(f"dec{n}", DECODER_DEPTHS) for n in (1, 2))
    return Choice(encoder, decoder, tuple(value(f"skip{n}", ("add", "none")) == "add" for n in (1, 2)))


class EncoderDecoder(nn.Module):
    """Images (batch, 1, 48, 48) to class scores (batch, num_classes, 48, 48).

    Args:
        choice: the architecture.
        num_classes: channels of the output.
    """

    def __init__(self, choice: Choice, num_classes: int) -> None:
        super().__init__()
        width = WIDTHS[0]
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.encoder = nn.ModuleList()
        for index, (stage, wanted) in enumerate(zip(choice.encoder, WIDTHS, strict=True)):
            self.encoder.append(make_stage(stage, width, wanted, stride=1 if index == 0 else 2))
            width = wanted
        self.skips, self.narrow, self.decoder = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage, skip, wanted in zip(choice.decoder[::-1], choice.skips[::-1], WIDTHS[-2::-1], strict=True):
            self.narrow.append(nn.Sequential(nn.Conv2d(width, wanted, 1, bias=False), nn.BatchNorm2d(wanted)))
            self.skips.append(nn.Conv2d(wanted, wanted, 1, bias=False) if skip else nn.Identity())
            self.decoder.append(make_stage(stage, wanted, wanted, stride=1))
            width = wanted
        self.has_skip = choice.skips[::-1]
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(width, num_classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        encoded = []
        for stage in self.encoder:
            x = stage(x)
            encoded.append(x)
        levels = zip(self.narrow, self.skips, self.has_skip, self.decoder, encoded[-2::-1], strict=True)
        for narrow, skip, has_skip, stage, beside in levels:
            x = nn.functional.interpolate(narrow(x), scale_factor=2.0, mode="nearest")
            x = stage(x + skip(beside) if has_skip else x)
        return torch.nn.functional.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)


def make_stage(stage: Stage, in_width: int, width: int, stride: int) -> nn.Sequential:
    """The blocks of a stage; the first changes the width and has the stride."""
    kernel, expansion, depth = stage
    blocks = [
        MBConv(in_width if index == 0 else width, width, kernel, expansion, stride if index == 0 else 1) for index in range(depth)
    ]
    return nn.Sequential(*blocks)
