"""A general graph with operations on nodes, as a topology in one file that is no file of the product."""

import itertools
from functools import cached_property
from typing import final

from autobuild_core.architectures.layout import INPUT, Place
from autobuild_core.architectures.records import Codes
from autobuild_core.architectures.topologies import Topology


@final
class Dag(Topology):
    """Nodes hear those that the edges in the spec's options lead from; a unit whose layers are parallel has a state."""

    caption = "Circles stand for the parallel layers of a unit."

    @cached_property
    def heard(self) -> tuple[tuple[int, ...], ...]:
        edges = self.spec.options["edges"]
        layers = (tuple(a for a, b in edges if b == p) for p in range(self.spec.num_positions))
        return (*layers, *(self.spec.units[unit].positions for unit in self.states))

    @cached_property
    def states(self) -> tuple[int, ...]:
        joined = {(a, b) for a, b in self.spec.options["edges"]}
        units = enumerate(self.spec.units)
        return tuple(i for i, unit in units if not set(itertools.pairwise(unit.positions)) <= joined)

    def layout(self, row: Codes) -> list[Place]:
        depth: dict[int, int] = {}
        places = []
        for index, unit in enumerate(self.spec.units):
            for line, position in enumerate(unit.positions):
                before = self.heard[position]
                depth[position] = 1 + max((depth[p] for p in before), default=0)
                after = tuple(self.node_labels[p] for p in before) or (INPUT,)
                places.append(Place(position, 180.0 * depth[position], 90.0 * line, "operation", after))
            state = self.state_of(index)
            if state is not None:
                after = tuple(self.node_labels[p] for p in unit.positions)
                places.append(Place(state, 180.0 * depth[unit.positions[0]] + 90, 200.0, "sum", after))
        return places
