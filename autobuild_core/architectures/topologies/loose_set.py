"""A set of loose choices, alone or beside chains."""

from typing import final

import numpy as np

from autobuild_core.architectures.padded import MEAN, Graphs
from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.architectures.topologies._in_order import InOrder, chain_graphs


@final
class LooseSet(InOrder):
    """Loose units stand together with all others: each of their nodes hears the mean of all nodes. The rest are chains.

    A choice that stands by itself together with all others: ours. So a chain is not joined across a loose unit either.
    """

    def apart(self, unit: int) -> bool:
        return self.spec.units[unit].loose

    @property
    def whole_units(self) -> bool:
        """Whether there is a chain: of a loose choice the layer alone is all of its unit."""
        return not all(unit.loose for unit in self.spec.units)

    def hops_that_differ(self, num_hops: int) -> int:
        """At most one where all units are loose: at the first hop a node has met all there is."""
        return num_hops if self.whole_units else min(num_hops, 1)

    def graphs(self, codes: Codes) -> Graphs:
        """As those of a chain, where a node of a loose unit hears itself and MEAN; no arrow enters or leaves it."""
        chains = chain_graphs(codes)
        loose = np.array([self.apart(unit) for unit in self.node_units])
        run = np.cumsum(loose)  # positions of one chain share its number
        place, before = np.maximum(chains.positions, 0), np.maximum(np.roll(chains.positions, 1, 1), 0)
        arrow = ~loose[place] & ~loose[before] & (run[place] == run[before])
        second = np.where(arrow, chains.sources[..., 1], np.int16(ABSENT))
        second[loose[place]] = MEAN
        second[~chains.mask] = ABSENT
        return Graphs(chains.positions, chains.tokens, np.stack([chains.sources[..., 0], second], -1))
