"""Networks of inverted residual blocks: stages that choose a kernel size, an expansion and a depth."""

from typing import Any

import torch
from torch import Tensor, nn

from autobuild_core.evaluators._networks import Stage

WIDTHS, STRIDES, HEAD_WIDTH = (8, 16, 24, 32), (2, 1, 2, 1), 64


class SmallMapDepthwise(torch.autograd.Function):
    """Depthwise convolution (stride 1) of a map smaller than its kernel, with a fast gradient of the weight.

    oneDNN has no fast kernel for that gradient: it took half of the training time. Here it is the correlation of
    every input with every output place, added up by offset.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return nn.functional.conv2d(x, weight, None, 1, weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        width, kernel, (batch, _, side, _) = len(weight), weight.shape[-1], x.shape
        pad = [kernel // 2] * 2
        only_input = [True, False, False]
        by_input = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], pad, [1, 1], False, [0, 0], width, only_input
        )[0]
        inputs = x.permute(0, 2, 3, 1).reshape(batch, side**2, 1, width)
        outputs = gradient.permute(0, 2, 3, 1).reshape(batch, 1, side**2, width)
        products = torch.zeros(side**2, side**2, width)
        for start in range(0, batch, 8):  # eight at a time stay in the cache
            products += (inputs[start : start + 8] * outputs[start : start + 8]).sum(0)
        offset = torch.arange(side)[:, None] - torch.arange(side) + kernel // 2  # (in, out) along one axis
        inside = (offset >= 0) & (offset < kernel)
        index = (offset[:, None, :, None] * kernel + offset[None, :, None, :]).flatten()
        kept = (inside[:, None, :, None] & inside[None, :, None, :]).flatten()
        by_offset = torch.zeros(kernel**2, width).index_add_(0, index[kept], products.reshape(-1, width)[kept])
        return by_input, by_offset.t().reshape(weight.shape)


def depthwise(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """A same-padded depthwise convolution that avoids two backward passes oneDNN is 10 to 60 times slower at.

    Args:
        x: (batch, width, side, side).
        weight: (width, 1, kernel, kernel).
        stride: 1 or 2.
    """
    width, kernel = len(weight), weight.shape[-1]
    if x.device.type == "cpu" and x.shape[-1] < kernel and stride == 1 and torch.is_grad_enabled():
        return SmallMapDepthwise.apply(x, weight)  # type: ignore[no-any-return,no-untyped-call]
    if kernel == 3 and stride == 2:
        return nn.functional.conv2d(nn.functional.pad(x, (kernel // 2,) * 4), weight, None, stride, groups=width)
    return nn.functional.conv2d(x, weight, None, stride, kernel // 2, groups=width)


class DepthwiseConv(nn.Conv2d):
    """A depthwise convolution by `depthwise`.

    Args:
        width: channels.
        kernel: its side.
        stride: 1 or 2.
    """

    def __init__(self, width: int, kernel: int, stride: int) -> None:
        super().__init__(width, width, kernel, stride, kernel // 2, groups=width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return depthwise(x, self.weight, self.stride[0])


class MBConv(nn.Module):
    """An inverted residual block: 1x1 expand (unless expansion 1), depthwise, 1x1 project, residual where shapes allow.

    Source: MobileNetV2, Sandler et al., CVPR 2018. The last batch norm of a residual starts at zero, which steadies short
    trainings.

    Args:
        in_width: channels of its input.
        width: channels of its output.
        kernel: side of the depthwise convolution.
        expansion: hidden channels as a multiple of the input's.
        stride: 1 or 2.
    """

    def __init__(self, in_width: int, width: int, kernel: int, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = in_width * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [nn.Conv2d(in_width, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True)]
        layers += [
            DepthwiseConv(hidden, kernel, stride),
            nn.BatchNorm2d(hidden),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, width, 1, bias=False),
        ]
        norm = nn.BatchNorm2d(width)
        self.residual = stride == 1 and in_width == width
        if self.residual:
            nn.init.zeros_(norm.weight)
        self.body = nn.Sequential(*layers, norm)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out if self.residual else out


def make_network(stages: tuple[Stage, ...], num_classes: int) -> nn.Sequential:
    """Stem (stride 2), the stages, a 1x1 head, pooling and a linear classifier; input (batch, 1, 28, 28)."""
    width = WIDTHS[0]
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    for (kernel, expansion, depth), stage_width, stride in zip(stages, WIDTHS, STRIDES, strict=True):
        for index in range(depth):
            layers.append(MBConv(width, stage_width, kernel, expansion, stride if index == 0 else 1))
            width = stage_width
    layers += [nn.Conv2d(width, HEAD_WIDTH, 1, bias=False), nn.BatchNorm2d(HEAD_WIDTH), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(HEAD_WIDTH, num_classes))
