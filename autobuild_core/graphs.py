"""Architectures as directed graphs in padded arrays: a node a layer, an edge i -> i + 1 along the chain."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.records import ABSENT, Codes, ModuleGroup


@dataclass(frozen=True, eq=False)
class Graphs:
    """A batch of graphs, the nodes of each in data-flow order, padded at the end.

    Args:
        positions: (num_graphs, num_nodes) position of each node in its space, ABSENT where padded.
        tokens: (num_graphs, num_nodes) token of each node, ABSENT where padded.
        sources: (num_graphs, num_nodes, degree) indices of the nodes that a node hears, itself first, ABSENT where none.
    """

    positions: Codes
    tokens: Codes
    sources: Codes

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(num_graphs, num_nodes) where a node is real."""
        mask: NDArray[np.bool_] = self.positions != ABSENT
        return mask

    def __len__(self) -> int:
        return len(self.positions)


def chain_graphs(codes: Codes) -> Graphs:
    """The chains that codes stand for; absent positions are left out, so their neighbours become adjacent.

    A module alone is a row with ABSENT everywhere but at the module's positions.

    Args:
        codes: (num_graphs, num_positions).
    """
    present = codes != ABSENT
    width = max(int(present.sum(1).max(initial=0)), 1)
    order = np.argsort(~present, axis=1, kind="stable")[:, :width].astype(np.int16)
    tokens = np.take_along_axis(codes, order, 1)
    positions = np.where(tokens == ABSENT, np.int16(ABSENT), order)
    node = np.arange(width, dtype=np.int16)
    chain = np.stack([node, node - 1], axis=1)  # (width, 2): itself, its predecessor (none for the first)
    return Graphs(positions, tokens, np.broadcast_to(chain, (len(codes), width, 2)))


def module_codes(group: ModuleGroup, num_positions: int) -> Codes:
    """(num_modules, num_positions) each module as an architecture of its own, ABSENT elsewhere."""
    codes = np.full((len(group), num_positions), ABSENT, np.int16)
    codes[:, list(group.positions)] = group.codes
    return codes
