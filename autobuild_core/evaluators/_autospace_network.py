"""Networks of AutoSpace's cells: every cell expands, lets four nodes sum what their edges bring, and projects."""

from torch import Tensor, nn

from autobuild_core.evaluators._mbconv import DepthwiseConv, MBConv
from autobuild_core.spaces._cells import OPERATIONS, SKIP, Cell
from autobuild_core.spaces._four_nodes import EDGES
from autobuild_core.spaces._network_file import NetworkFile
from autobuild_core.spaces._skeletons import Block, CellNetwork, Skeleton


def make_operation(number: int, width: int, stride: int) -> nn.Module:
    """The operation of an id that is not none, (batch, width, side, side) to the same width; of stride 1 or 2.

    Convolutions are convolution, batch norm, ReLU, as in an inverted residual block. A skip with a stride is an average pooling.
    """
    operation = OPERATIONS[number]
    if operation == SKIP:
        return nn.Identity() if stride == 1 else nn.AvgPool2d(stride, ceil_mode=True)
    if operation.is_depthwise:
        convolution: nn.Conv2d = DepthwiseConv(width, operation.kernel, stride)
    else:
        convolution = nn.Conv2d(width, width, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


class CellBlock(nn.Module):
    """A cell at its place in a network.

    Source: AutoSpace's published cells (docs/method.md, section 9): expansion, four nodes, and an identity shortcut where the
    stride is 1 and widths are equal. Ours: a node sums its edges and does nothing else; the operations that read node 0 have
    the stride; a shortcut's last batch norm starts at zero, as in our inverted residual blocks. With one depthwise
    convolution and skips it is such a block exactly.

    Args:
        cell: which operations; edges on dead paths are not made.
        block: widths, stride and side.
        shortcut: whether an identity stands beside it; None = where shapes allow.
    """

    def __init__(self, cell: Cell, block: Block, shortcut: bool | None = None) -> None:
        super().__init__()
        hidden = block.hidden(cell)
        self.expand: nn.Module = nn.Identity()
        if hidden > block.in_width:
            convolution = nn.Conv2d(block.in_width, hidden, 1, bias=False)
            self.expand = nn.Sequential(convolution, nn.BatchNorm2d(hidden), nn.ReLU(inplace=True))
        self.edges = nn.ModuleDict()
        for edge in cell.live:
            stride = 1 if EDGES[edge][0] else block.stride
            self.edges[str(edge)] = make_operation(cell.operations[edge], hidden, stride)
        norm = nn.BatchNorm2d(block.width)
        self.shortcut = block.stride == 1 and block.in_width == block.width if shortcut is None else shortcut
        if self.shortcut:
            nn.init.zeros_(norm.weight)
        self.project = nn.Sequential(nn.Conv2d(hidden, block.width, 1, bias=False), norm)

    def forward(self, x: Tensor) -> Tensor:
        nodes = {0: self.expand(x)}
        for name, operation in self.edges.items():
            source, target = EDGES[int(name)]
            brought = operation(nodes[source])
            nodes[target] = nodes[target] + brought if target in nodes else brought
        out: Tensor = self.project(nodes[3])
        return x + out if self.shortcut else out


def make_stem(skeleton: Skeleton) -> list[nn.Module]:
    """The layers before the cells."""
    width = skeleton.stem_width
    convolution = nn.Conv2d(skeleton.channels, width, 3, skeleton.stem_stride, 1, bias=False)
    first = [MBConv(width, skeleton.first_width, 3, 1, 1)] if skeleton.first_width else []
    return [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True), *first]


def make_head(skeleton: Skeleton) -> list[nn.Module]:
    """The layers behind the cells."""
    width = skeleton.head_width
    convolution = nn.Conv2d(skeleton.widths[-1], width, 1, bias=False)
    norm = nn.BatchNorm2d(width)
    pooling = nn.AdaptiveAvgPool2d(1)
    return [convolution, norm, nn.ReLU(inplace=True), pooling, nn.Flatten(), nn.Linear(width, skeleton.num_classes)]


def make_network(network: CellNetwork) -> nn.Sequential:
    """Stem, the first block where there is one, the cells, a 1x1 head, pooling and a linear classifier.

    Takes (batch, channels, side, side) of its skeleton.
    """
    skeleton = network.skeleton
    layers = make_stem(skeleton)
    for cell, blocks in zip(network.cells, skeleton.blocks, strict=True):
        layers += [CellBlock(cell, block) for block in blocks]
    return nn.Sequential(*layers, *make_head(skeleton))


def make_published(network: NetworkFile) -> nn.Sequential:
    """A network of a file of the published form; takes (batch, 3, 224, 224). What a ZeroLayer leaves is its shortcut."""
    in_width, width, kernel, stride = network.stem
    convolution = nn.Conv2d(in_width, width, kernel, stride, kernel // 2, bias=False)
    layers: list[nn.Module] = [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    for block in network.blocks:
        layers.append(nn.Identity() if block.cell is None else CellBlock(block.cell, block.place, block.shortcut))
    last, mixed = network.blocks[-1].place.width, network.mix_width
    layers += [nn.Conv2d(last, mixed, 1, bias=False), nn.BatchNorm2d(mixed), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(mixed, network.num_classes))
