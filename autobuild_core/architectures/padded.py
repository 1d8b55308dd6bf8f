"""Graphs of architectures in padded arrays: what every topology makes and the predictor reads."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes

MEAN = -2  # among the sources of a node: the mean of all nodes of its graph


@dataclass(frozen=True, eq=False)
class Graphs:
    """A batch of graphs; the nodes of chains stand in data-flow order, padded at the end; else node = position, states last.

    Args:
        positions: (num_graphs, num_nodes) position of each node in its space, ABSENT where padded; state number s counts as
            position num_positions + s.
        tokens: (num_graphs, num_nodes) token of each node, ABSENT where padded; that of a state is the number of tokens.
        sources: (num_graphs, num_nodes, degree) indices of the nodes that a node hears, itself first, ABSENT where none,
            MEAN where it hears the mean of all.
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
