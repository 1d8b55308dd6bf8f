"""Networks of NAS-Bench-201 cells, small enough for seconds: one cell at each of two resolutions."""

import torch
from torch import Tensor, nn

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # from node, to node: the order of a cell's operations
WIDTHS = (12, 24)  # at 14 and at 7 pixels


class Zero(nn.Module):
    """The operation `none`: zeros of its input's shape."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def make_operation(token: str, width: int) -> nn.Module:
    """An operation of a cell, (batch, width, side, side) to the same shape.

    Source: NAS-Bench-201, Dong and Yang, ICLR 2020, section 2.1: convolutions are ReLU, convolution, batch norm.
    """
    if token == "none":
        return Zero()
    if token == "skip_connect":
        return nn.Identity()
    if token == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    kernel = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}[token]
    return nn.Sequential(nn.ReLU(), nn.Conv2d(width, width, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(width))


class Cell(nn.Module):
    """A cell of four nodes; every node sums what its edges bring.

    Args:
        tokens: the operations of EDGES.
        width: channels.
    """

    def __init__(self, tokens: tuple[str, ...], width: int) -> None:
        super().__init__()
        self.operations = nn.ModuleList(make_operation(token, width) for token in tokens)

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for node in (1, 2, 3):
            terms = [self.operations[i](nodes[source]) for i, (source, target) in enumerate(EDGES) if target == node]
            nodes.append(sum(terms[1:], terms[0]))
        return nodes[3]


class Reduction(nn.Module):
    """The block between two resolutions: a convolution of stride 2 beside a pooled 1x1 convolution.

    Source: the residual block between cells of NAS-Bench-201, of one convolution in place of two.

    Args:
        in_width: channels of its input.
        width: channels of its output.
    """

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(in_width, width, 3, stride=2, padding=1, bias=False)
        self.body = nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(width))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(in_width, width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


def make_network(tokens: tuple[str, ...], num_classes: int) -> nn.Sequential:
    """Stem (stride 2), cell, reduction, cell, pooling and a linear classifier; input (batch, 1, 28, 28)."""
    width = WIDTHS[0]
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width)]
    for index, wanted in enumerate(WIDTHS):
        if index:
            layers.append(Reduction(width, wanted))
        layers.append(Cell(tokens, wanted))
        width = wanted
    layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(width, num_classes))
