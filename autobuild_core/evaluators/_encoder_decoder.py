"""An encoder-decoder of inverted residual blocks for dense prediction: three stages down, two up, optional skips."""

import torch
from torch import Tensor, nn

from autobuild_core.evaluators._mbconv import MBConv
from autobuild_core.evaluators._networks import Stage

WIDTHS = (12, 16, 24)  # at 24, 12 and 6 pixels


class EncoderDecoder(nn.Module):
    """Images (batch, 1, 48, 48) to class scores (batch, num_classes, 48, 48).

    Args:
        encoder: stages at 24, 12 and 6 pixels.
        decoder: stages at 24 and 12 pixels.
        skips: at 24 and 12 pixels whether the encoder's output is added to the decoder's input.
        num_classes: channels of the output.
    """

    def __init__(self, encoder: tuple[Stage, ...], decoder: tuple[Stage, ...], skips: tuple[bool, ...], num_classes: int) -> None:
        super().__init__()
        width = WIDTHS[0]
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.encoder = nn.ModuleList()
        for index, (stage, wanted) in enumerate(zip(encoder, WIDTHS, strict=True)):
            self.encoder.append(make_stage(stage, width, wanted, stride=1 if index == 0 else 2))
            width = wanted
        self.skips, self.narrow, self.decoder = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for stage, skip, wanted in zip(decoder[::-1], skips[::-1], WIDTHS[-2::-1], strict=True):
            self.narrow.append(nn.Sequential(nn.Conv2d(width, wanted, 1, bias=False), nn.BatchNorm2d(wanted)))
            self.skips.append(nn.Conv2d(wanted, wanted, 1, bias=False) if skip else nn.Identity())
            self.decoder.append(make_stage(stage, wanted, wanted, stride=1))
            width = wanted
        self.has_skip = skips[::-1]
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
