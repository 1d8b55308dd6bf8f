"""The supernet: in each layer K cells in parallel, weighted by softmax(alpha), with weights shared per layer, edge and operation.

Source: AutoSpace, section 3 (x_{l+1} = sum_k alpha_k cell_k(x_l)). Ours: all else, as docs/autospace.md answers.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from autobuild_core.evaluators._autospace_network import make_head, make_stem
from autobuild_core.evaluators._mbconv import depthwise
from autobuild_core.spaces._cells import CONVOLUTION, EXPANSIONS, OPERATIONS, SKIP, Cell, Support
from autobuild_core.spaces._four_nodes import EDGES
from autobuild_core.spaces._skeletons import Block, Skeleton

EXPAND = "expand"


class SharedBlock(nn.Module):
    """One block of a layer, in which any cells of a support run side by side.

    A convolution of an edge has one weight for all cells; those of smaller hidden width use its first channels. Cells of
    expansion 1, whose node 0 is the input itself, share theirs among each other.

    Args:
        block: widths, stride and side.
        support: the operations and expansions that there may be.
    """

    def __init__(self, block: Block, support: Support) -> None:
        super().__init__()
        self.block = block
        self.weights, self.scales, self.shifts = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        factors = [EXPANSIONS[index] for index in support.expansions]
        widths = {block.in_width * factor for factor in (min(factors), max(factors))}
        for hidden in sorted(widths if 1 in factors else {max(widths)}):
            kind = self.kind(hidden)
            if kind == "wide":
                self._add(EXPAND, nn.Conv2d(block.in_width, hidden, 1), hidden)
            self._add(f"{kind}_project", nn.Conv2d(hidden, block.width, 1))
            for edge, numbers in enumerate(support.edges):
                for operation in (OPERATIONS[number] for number in numbers if OPERATIONS[number].kernel):
                    groups = hidden if operation.is_depthwise else 1
                    made = nn.Conv2d(hidden, hidden, operation.kernel, groups=groups)
                    self._add(f"{kind}_{edge}_{operation.number}", made, hidden)
        self.scale, self.shift = nn.Parameter(torch.ones(block.width)), nn.Parameter(torch.zeros(block.width))
        self.shortcut = block.stride == 1 and block.in_width == block.width
        if self.shortcut:
            nn.init.zeros_(self.scale)

    def _add(self, name: str, convolution: nn.Conv2d, normed: int = 0) -> None:
        """Takes over a fresh weight, and the scale and shift of its batch norm where it has one."""
        self.weights[name] = nn.Parameter(convolution.weight.detach())
        if normed:
            self.scales[name], self.shifts[name] = nn.Parameter(torch.ones(normed)), nn.Parameter(torch.zeros(normed))

    def kind(self, hidden: int) -> str:
        """Which weights a hidden width has."""
        return "thin" if hidden == self.block.in_width else "wide"

    def forward(self, x: Tensor, cells: Sequence[Cell], shares: Tensor) -> Tensor:
        """The output of cells weighted by shares; each cell's is normalised first, so that only its share weighs it.

        Args:
            x: (batch, in_width, side, side).
            cells: those that run.
            shares: (cells,) their weights in the sum.
        """
        nodes, outs = _Nodes(self, x, max(map(self.block.hidden, cells))), []
        for cell in cells:
            hidden = self.block.hidden(cell)
            outs.append(functional.conv2d(nodes.node(cell, 3, hidden), self.weights[f"{self.kind(hidden)}_project"][:, :hidden]))
        normed = functional.batch_norm(torch.cat(outs, 1), None, None, training=True)
        mixed = (normed.unflatten(1, (len(cells), -1)) * shares[:, None, None, None]).sum(1)
        out: Tensor = mixed * self.scale[:, None, None] + self.shift[:, None, None]
        return x + out if self.shortcut else out

    def normed(self, x: Tensor, name: str) -> Tensor:
        """Batch norm by the statistics of the batch, and ReLU."""
        width = x.shape[1]
        scale, shift = self.scales[name][:width], self.shifts[name][:width]
        out: Tensor = functional.batch_norm(x, None, None, scale, shift, training=True)
        return functional.relu_(out)


class _Nodes:
    """The nodes of all cells of a block for one input; what cells have in common is worked out once.

    Without a 1x1 convolution the first channels of a node follow from those before it alone, so it is worked out at the
    widest hidden width and cut for the cells of others.
    """

    def __init__(self, shared: SharedBlock, x: Tensor, widest: int) -> None:
        self.shared, self.x, self.widest = shared, x, widest
        self.known: dict[tuple[object, ...], Tensor] = {}

    def node(self, cell: Cell, target: int, width: int) -> Tensor:
        """A node of a cell, (batch, width, side, side)."""
        kind = self.shared.kind(self.shared.block.hidden(cell))
        if not target and kind == "thin":
            return self.x
        upstream = _upstream(cell, target)
        is_mixed = any(cell.operations[edge] == CONVOLUTION.number for edge in upstream)
        own = width if is_mixed or kind == "thin" else self.widest
        key = (kind, own, target, *((edge, cell.operations[edge]) for edge in upstream))
        if key not in self.known:
            self.known[key] = self._sum(cell, target, own)
        return self.known[key][:, :width]

    def _sum(self, cell: Cell, target: int, width: int) -> Tensor:
        """The sum of a node's edges; of node 0 the expanded input."""
        if not target:
            return self.shared.normed(functional.conv2d(self.x, self.shared.weights[EXPAND][:width]), EXPAND)
        brought = [self._edge(cell, edge, width) for edge in cell.live if EDGES[edge][1] == target]
        return sum(brought[1:], brought[0])

    def _edge(self, cell: Cell, edge: int, width: int) -> Tensor:
        """The operation of an edge on its node, (batch, width, side, side)."""
        source, number = EDGES[edge][0], cell.operations[edge]
        kind = self.shared.kind(self.shared.block.hidden(cell))
        key = (kind, width, "edge", edge, number, *((e, cell.operations[e]) for e in _upstream(cell, source)))
        if key not in self.known:
            stride = 1 if source else self.shared.block.stride
            self.known[key] = self._operation(self.node(cell, source, width), f"{kind}_{edge}_{number}", number, stride)
        return self.known[key]

    def _operation(self, x: Tensor, name: str, number: int, stride: int) -> Tensor:
        """An operation that is not none, with the weight of a name."""
        operation, width = OPERATIONS[number], x.shape[1]
        if operation == SKIP:
            return x if stride == 1 else functional.avg_pool2d(x, stride, ceil_mode=True)
        weight = self.shared.weights[name][:width]
        if operation.is_depthwise:
            return self.shared.normed(depthwise(x, weight, stride), name)
        return self.shared.normed(functional.conv2d(x, weight[:, :width], stride=stride), name)


def _upstream(cell: Cell, target: int) -> tuple[int, ...]:
    """The live edges from which a node hears, in order."""
    found: set[int] = set()
    for node in range(target, 0, -1):
        if node == target or any(EDGES[edge][0] == node for edge in found):
            found |= {edge for edge in cell.live if EDGES[edge][1] == node}
    return tuple(sorted(found))


class Supernet(nn.Module):
    """All layers with the weights of every cell of a support; a pass runs some cells of each.

    Args:
        skeleton: with the widths of the supernet.
        support: of every layer.
    """

    def __init__(self, skeleton: Skeleton, support: Support) -> None:
        super().__init__()
        self.stem = nn.Sequential(*make_stem(skeleton))
        self.layers = nn.ModuleList(nn.ModuleList(SharedBlock(block, support) for block in blocks) for blocks in skeleton.blocks)
        self.head = nn.Sequential(*make_head(skeleton))

    def forward(self, images: Tensor, cells: Sequence[Sequence[Cell]], shares: Sequence[Tensor]) -> Tensor:
        """Logits.

        Args:
            images: (batch, channels, side, side).
            cells: of each layer those that run in parallel.
            shares: of each layer (cells,) their weights, softmax(alpha).
        """
        x = self.stem(images)
        for blocks, own, weights in zip(self.layers, cells, shares, strict=True):
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(x, own, weights)
        logits: Tensor = self.head(x)
        return logits
