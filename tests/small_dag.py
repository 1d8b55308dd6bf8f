"""A general graph with operations on nodes, as a topology and a space that are no files of the product."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, final

from autobuild_core import registry
from autobuild_core.architectures.layout import INPUT, Place
from autobuild_core.architectures.records import Codes, SpaceSpec, UnitSpec
from autobuild_core.architectures.topologies import FOLDER, Topology
from autobuild_core.errors import ArchitectureError
from autobuild_core.spaces import Space

TOKENS = ("k3", "k5", "pool")
EDGES = ((0, 1), (0, 2), (1, 3), (2, 3), (0, 4), (3, 4))
#       a -> b, c -> d -> e, and a -> e. Units: a; b and c, which have a state; d and e.
UNITS = (("stem", (0,)), ("branches", (1, 2)), ("head", (3, 4)))


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


@final
class SmallDag(Space):
    """A list of five tokens, one a node."""

    title = "Small graph"

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        units = tuple(UnitSpec(label, positions, (len(positions),), (0, 1, 2)) for label, positions in UNITS)
        attributes = {"kind": ("conv", "conv", "pool"), "kernel": ("3", "5", "3")}
        options = {"edges": [list(edge) for edge in EDGES]}
        return SpaceSpec("small_dag", cls.title, tuple("abcde"), TOKENS, units, attributes, options, topology="dag")

    def parse(self, native: Any) -> list[int]:
        if not (isinstance(native, list) and len(native) == 5 and all(isinstance(t, str) for t in native)):
            raise ArchitectureError(f"graph: got {str(native)[:60]}, expected five tokens.")
        if unknown := [token for token in native if token not in TOKENS]:
            raise ArchitectureError(f"graph: got {unknown[0][:60]}, expected one of {', '.join(TOKENS)}.")
        return [self.token_index[token] for token in native]

    def native(self, row: Codes) -> list[str]:
        return [self.spec.tokens[token] for token in row]


@contextmanager
def known() -> Iterator[Space]:
    """The space, while topology and space are registered."""
    registry.register(FOLDER, "dag", Dag)
    registry.register("spaces", "small_dag", SmallDag)
    try:
        yield SmallDag()
    finally:
        registry.register(FOLDER, "dag", None)
        registry.register("spaces", "small_dag", None)
