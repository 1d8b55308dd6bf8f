"""Cells of AutoSpace: four nodes, an operation on each edge, an expansion; how they are written, checked, folded and counted.

Source: the files that AutoSpace (Zhou et al., ICCV 2021, arXiv 2103.11833) published, as docs/method.md, section 9, reads them.
Which operation an id names is what the published costs bear out; no code was published.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.spaces._four_nodes import EDGES, IDENTITY, NOTHING, Terms, live_edges, network_of

NUM_NODES = 4
EXPANSIONS = (1, 3, 6)  # hidden channels as a multiple of the input's, by the expansion index
NO_MIX = (0, 0)
EDGE_NAMES = tuple(f"{source}>{target}" for source, target in EDGES)


@dataclass(frozen=True)
class Operation:
    """An operation of an edge.

    Args:
        number: its id in published files.
        name: what a reader sees.
        letter: what stands for it in the name of a cell.
        kernel: side of its convolution; 0 of those that are none.
        is_depthwise: each channel by itself; else all channels together.
    """

    number: int
    name: str
    letter: str
    kernel: int = 0
    is_depthwise: bool = False


NONE, SKIP = Operation(1, NOTHING, "-"), Operation(2, IDENTITY, "s")
CONVOLUTION = Operation(3, "conv 1x1", "c", 1)
DEPTHWISE = tuple(Operation(number, f"dw {k}x{k}", str(k), k, True) for number, k in ((5, 3), (7, 5), (9, 7)))
OPERATIONS = {operation.number: operation for operation in (NONE, SKIP, CONVOLUTION, *DEPTHWISE)}


@dataclass(frozen=True, order=True)
class Cell:
    """A cell.

    Node 0 is the expanded input; every other node sums what its edges bring; node 3 is projected to the output.

    Args:
        operations: ids, one of each of the six edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3.
        expansion: index in EXPANSIONS.
        mix: the two feature-mix bits of published files. Their meaning was never published: they are kept, and used for nothing.

    Raises:
        ArchitectureError: an operation or the expansion is unknown, or no path leads from the input to the output.
    """

    operations: tuple[int, ...]
    expansion: int
    mix: tuple[int, int] = NO_MIX

    def __post_init__(self) -> None:
        if len(self.operations) != len(EDGES):
            raise ArchitectureError(f"cell: got {len(self.operations)} operations, expected {len(EDGES)}, one an edge.")
        for edge, number in zip(EDGE_NAMES, self.operations, strict=True):
            if number not in OPERATIONS:
                raise ArchitectureError(f"cell, edge {edge}: got operation {number}, expected one of {_known()}.")
        if self.expansion not in range(len(EXPANSIONS)):
            raise ArchitectureError(f"cell: got expansion index {self.expansion}, expected 0 to {len(EXPANSIONS) - 1}.")
        if not self.live:
            raise ArchitectureError(f"cell {self.name}: got an output that the input does not reach, expected one that it does.")

    @classmethod
    def read(cls, written: Any) -> Self:
        """A cell of the published form, a 4 x 4 list or its JSON.

        Raises:
            ArchitectureError: it is none; the message says where, what it got and what it expects.
        """
        rows = _as_list(written)
        if len(rows) != NUM_NODES or not all(isinstance(row, list) and len(row) == NUM_NODES for row in rows):
            raise ArchitectureError(f"cell: got {str(written)[:80]}, expected a list of {NUM_NODES} lists of {NUM_NODES}.")
        for target, source in itertools.product(range(NUM_NODES), repeat=2):
            free = source < target or (target, source) in ((0, 3), (1, 3))
            if not free and rows[target][source] != 0:
                raise ArchitectureError(f"cell, row {target}, column {source}: got {rows[target][source]!r}, expected 0.")
        mix = rows[1][3]
        if not (isinstance(mix, list) and len(mix) == 2 and all(_is_whole(bit) and bit in (0, 1) for bit in mix)):
            raise ArchitectureError(f"cell, row 1, column 3: got {mix!r}, expected two feature-mix bits such as [0, 0].")
        numbers = [rows[target][source] for source, target in EDGES]
        for edge, number in zip((*EDGE_NAMES, "expansion index"), (*numbers, rows[0][3]), strict=True):
            if not _is_whole(number):
                raise ArchitectureError(f"cell, {edge}: got {number!r}, expected a whole number.")
        return cls(tuple(numbers), rows[0][3], (mix[0], mix[1]))

    @property
    def written(self) -> list[list[Any]]:
        """The cell in the published form, ready for JSON."""
        rows: list[list[Any]] = [[0] * NUM_NODES for _ in range(NUM_NODES)]
        for (source, target), number in zip(EDGES, self.operations, strict=True):
            rows[target][source] = number
        rows[0][3], rows[1][3] = self.expansion, list(self.mix)
        return rows

    @property
    def text(self) -> str:
        """The published form as one text, as the files of networks have it."""
        return json.dumps(self.written, separators=(",", ":"))

    @property
    def name(self) -> str:
        """A short name: "e6_3|-s|--s" has expansion 6, and the letters of the operations that enter nodes 1, 2 and 3."""
        letters = [OPERATIONS[number].letter for number in self.operations]
        entering = ["".join(x for x, (_, to) in zip(letters, EDGES, strict=True) if to == node) for node in (1, 2, 3)]
        mixed = f"_m{self.mix[0]}{self.mix[1]}" if self.mix != NO_MIX else ""
        return f"e{EXPANSIONS[self.expansion]}_{'|'.join(entering)}{mixed}"

    @property
    def live(self) -> tuple[int, ...]:
        """Indices of the edges that lie on a path from the input to the output."""
        return _live(self.operations)


def reaches(operations: Sequence[int]) -> bool:
    """Whether a path leads from the input to the output of a cell with these operations."""
    return bool(_live(tuple(operations)))


@cache
def _live(operations: tuple[int, ...]) -> tuple[int, ...]:
    return live_edges([OPERATIONS[number].name for number in operations])


def network(cell: Cell, stride: int) -> tuple[Terms, int, tuple[int, int]]:
    """The network that a cell is: equal exactly for equal networks.

    Args:
        cell: the cell.
        stride: of its layer. The operations that read node 0 have it, so there a skip is a pooling and no identity.
    """
    return _network(cell.operations, stride), cell.expansion, cell.mix


def _network(operations: tuple[int, ...], stride: int) -> Terms:
    labels = [OPERATIONS[number].name for number in operations]
    if stride > 1:
        reads = [source for source, _ in EDGES]
        labels = ["pool" if x == IDENTITY and not source else x for x, source in zip(labels, reads, strict=True)]
    return network_of(labels)


def canonical(cell: Cell, stride: int) -> Cell:
    """The representative of all cells that are the same network in a layer of a stride.

    One of the published form (all edges of the path 0>1>2>3 there, none from 0 to 3) where there is any; then that of the fewest
    operations, the fewest skips, and the one whose operations come first.
    """
    live = frozenset(cell.operations[edge] for edge in cell.live) - {NONE.number, SKIP.number}
    return Cell(_representatives(live, stride)[network(cell, stride)[0]], cell.expansion, cell.mix)


@cache
def _representatives(live: frozenset[int], stride: int) -> dict[Terms, tuple[int, ...]]:
    """Of every network of some operations beside none and skip its representative."""
    best: dict[Terms, tuple[Any, ...]] = {}
    for row in itertools.product(sorted({NONE.number, SKIP.number, *live}), repeat=len(EDGES)):
        if terms := _network(row, stride):
            is_odd = row[3] != NONE.number or NONE.number in (row[0], row[2], row[5])
            late = tuple(-number for number in row)
            rank = (is_odd, len(EDGES) - row.count(NONE.number), row.count(SKIP.number), late, row)
            best[terms] = min(best.get(terms, rank), rank)
    return {terms: rank[-1] for terms, rank in best.items()}


@dataclass(frozen=True)
class Support:
    """The cells that may be: which operations each edge takes, and which expansions there are.

    Args:
        edges: ids of the operations of each of the six edges.
        expansions: indices in EXPANSIONS.
        mixes: feature-mix bits; off unless said otherwise.

    Raises:
        ConfigError: an edge takes nothing or an unknown operation, or there is no expansion.
    """

    edges: tuple[tuple[int, ...], ...]
    expansions: tuple[int, ...] = (0, 1, 2)
    mixes: tuple[tuple[int, int], ...] = (NO_MIX,)

    def __post_init__(self) -> None:
        if len(self.edges) != len(EDGES) or not all(self.edges):
            num = sum(map(bool, self.edges))
            raise ConfigError(f"support: got operations of {num} edges, expected some of all {len(EDGES)}.")
        for edge, numbers in zip(EDGE_NAMES, self.edges, strict=True):
            unknown = [number for number in numbers if number not in OPERATIONS]
            if unknown:
                raise ConfigError(f"support, edge {edge}: got operation {unknown[0]}, expected some of {_known()}.")
        if not self.expansions or not set(self.expansions) <= set(range(len(EXPANSIONS))):
            got = f"got expansion indices {list(self.expansions)}"
            raise ConfigError(f"support: {got}, expected some of 0 to {len(EXPANSIONS) - 1}.")

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """A support from JSON: {"edges": {"0>1": [2, 3, 5], ...}, "expansions": [0, 1, 2]}.

        Raises:
            ConfigError: it is none.
        """
        try:
            edges = tuple(tuple(map(int, raw["edges"][edge])) for edge in EDGE_NAMES)
            return cls(edges, tuple(map(int, raw["expansions"])))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"support: got one without {error}, expected operations of {', '.join(EDGE_NAMES)}.") from None

    def takes(self, operations: Sequence[int]) -> bool:
        """Whether each edge takes its operation."""
        return all(number in allowed for number, allowed in zip(operations, self.edges, strict=True))

    def __contains__(self, cell: Cell) -> bool:
        return self.takes(cell.operations) and cell.expansion in self.expansions and cell.mix in self.mixes

    def cells(self) -> Iterator[Cell]:
        """Every cell, in a fixed order; those whose output is not reached are none."""
        for row in itertools.product(*self.edges):
            if reaches(row):
                yield from (Cell(row, expansion, mix) for expansion in self.expansions for mix in self.mixes)

    def __len__(self) -> int:
        return sum(1 for _ in self.cells())


_EDGES = (2, 3, 5), (1, 2, 3, 5), (2, 3, 5), (1,), (1, 2, 3, 5), (2, 3, 5)
PUBLISHED = Support(_EDGES, mixes=((0, 0), (0, 1), (1, 0), (1, 1)))  # 5,184 cells
SUPPORTS = {
    "published": Support(_EDGES),  # without the mix: 1,296 cells
    # The kernels that the published network has beside those of its space, on the edge that reads the input.
    "wide": Support(((2, 3, 5, 7, 9), *_EDGES[1:])),
}
# The cells that end every layer of the published space, in its order: three, two and one depthwise convolution, expansion 6.
REFERENCE = tuple(Cell((5, 1, second, 1, 1, third), 2) for second, third in ((5, 5), (5, 2), (2, 2)))


def mbconv(kernel: int, expansion: int) -> Cell:
    """An inverted residual block as a cell: one depthwise convolution.

    Args:
        kernel: 3, 5 or 7.
        expansion: 1, 3 or 6.
    """
    number = next(operation.number for operation in DEPTHWISE if operation.kernel == kernel)
    return Cell((number, NONE.number, SKIP.number, NONE.number, NONE.number, SKIP.number), EXPANSIONS.index(expansion))


# The hand-made space that AutoSpace compares with, that of ProxylessNAS: inverted residual blocks of every kernel and expansion.
MBCONVS = tuple(mbconv(kernel, expansion) for expansion in (3, 6) for kernel in (3, 5, 7))


def _as_list(written: Any) -> list[Any]:
    """A written cell as a list.

    Raises:
        ArchitectureError: it is none.
    """
    try:
        found = json.loads(written) if isinstance(written, str) else written
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ArchitectureError(f"cell: got {str(written)[:80]!r}, expected a list of {NUM_NODES} lists of {NUM_NODES}.")
    return found


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _known() -> str:
    """The operations for a sentence."""
    return ", ".join(f"{number} ({operation.name})" for number, operation in OPERATIONS.items())
