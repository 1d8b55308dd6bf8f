"""Cells of four nodes with an operation on each of the six edges: which of them are one network."""

from collections.abc import Sequence
from typing import Any

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # from node, to node; 0 is the cell's input, 3 its output
NOTHING, IDENTITY = "none", "skip"  # labels of an edge that brings nothing, and of one that hands its node on
Terms = tuple[Any, ...]


def network_of(labels: Sequence[str]) -> Terms:
    """The network of a cell: the terms that its output sums, each ("input",) or (operation, terms it reads).

    Equal exactly for equal networks; () where no path from the input is alive. Folded are dead paths, a node that IDENTITY
    hands on with the terms that it sums, so that sums of sums are one sum, and the order of terms, so that isomorphic cells
    are one network. Kept apart are x + x and x, and f(x + y) and f(x) + f(y).

    Args:
        labels: of EDGES: NOTHING, IDENTITY, or the name of an operation.
    """
    nodes: list[Terms] = [(("input",),)]
    for node in (1, 2, 3):
        terms: list[Any] = []
        for (source, target), label in zip(EDGES, labels, strict=True):
            if target == node and label != NOTHING and nodes[source]:
                terms += nodes[source] if label == IDENTITY else [(label, nodes[source])]
        nodes.append(tuple(sorted(terms, key=repr)))
    return nodes[3]


def live_edges(labels: Sequence[str]) -> tuple[int, ...]:
    """Indices of the EDGES that lie on a path from the input to the output."""
    there = [index for index, label in enumerate(labels) if label != NOTHING]
    fed, asked = {0}, {3}
    for node in (1, 2, 3):
        fed |= {node} if any(EDGES[i][1] == node and EDGES[i][0] in fed for i in there) else set()
    for node in (2, 1, 0):
        asked |= {node} if any(EDGES[i][0] == node and EDGES[i][1] in asked for i in there) else set()
    return tuple(i for i in there if EDGES[i][0] in fed and EDGES[i][1] in asked)
