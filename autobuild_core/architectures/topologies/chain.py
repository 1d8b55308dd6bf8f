"""A chain: one layer behind the other."""

from typing import final

from autobuild_core.architectures.padded import Graphs
from autobuild_core.architectures.records import Codes
from autobuild_core.architectures.topologies._in_order import InOrder, chain_graphs


@final
class Chain(InOrder):
    """Layers that hear the one before them, over the borders of units too."""

    def graphs(self, codes: Codes) -> Graphs:
        """The chains of architectures; absent positions are left out, so their neighbours become adjacent."""
        return chain_graphs(codes)
