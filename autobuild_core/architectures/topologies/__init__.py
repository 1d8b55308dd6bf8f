"""Topologies: one file each. How data flows between the layers of a space, and all that follows from it.

Who depends on chain, set, cell or any other graph asks the topology of the space: which nodes a graph has and what each
of them hears, where windows stand, at which node a module is read and what else that node hears, where nodes are drawn.
This base is a general graph with a node for every position; a file gives its data flow and its layout.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from autobuild_core import registry
from autobuild_core.architectures.layout import Place
from autobuild_core.architectures.modules import ModuleGroup, module_codes
from autobuild_core.architectures.padded import Graphs
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec

FOLDER = "architectures/topologies"
Ending = tuple[tuple[int, ...], bool]  # positions of a module, whether it is a whole unit


class Topology(ABC):
    """The data flow of a search space.

    Nodes are numbered: the layers by their positions, behind them the states (such as the sums of a cell).

    Args:
        spec: the space.

    Attributes:
        in_order: graphs hold the layers that are there in the order of positions; else node = position.
        crossing: what windows over several units are called.
        caption: how a drawing is read, one sentence; "" where it explains itself.
    """

    in_order: ClassVar[bool] = False
    crossing: ClassVar[str] = "across units"
    caption: ClassVar[str] = ""

    def __init__(self, spec: SpaceSpec) -> None:
        self.spec = spec

    # Nodes and edges

    @property
    @abstractmethod
    def heard(self) -> tuple[tuple[int, ...], ...]:
        """The edges: per node the nodes that it hears where all layers are there, states behind the layers."""

    @property
    def states(self) -> tuple[int, ...]:
        """Per state the index of the unit that it sums up; none unless a topology has them."""
        return ()

    @final
    @property
    def num_nodes(self) -> int:
        """Layers and states of the largest graph."""
        return self.spec.num_positions + len(self.states)

    @final
    @cached_property
    def node_labels(self) -> tuple[str, ...]:
        """Per node what a reader sees: the label of its position, of a state that of its unit."""
        return (*self.spec.position_labels, *(self.spec.units[unit].label for unit in self.states))

    @final
    @cached_property
    def node_units(self) -> tuple[int, ...]:
        """Per node the index of its unit."""
        return (*(self.spec.unit_of(p) for p in range(self.spec.num_positions)), *self.states)

    @final
    def state_of(self, unit: int) -> int | None:
        """The node that sums up a unit; None where there is none."""
        return self.spec.num_positions + self.states.index(unit) if unit in self.states else None

    def apart(self, unit: int) -> bool:
        """Whether a unit stands by itself: no data flow enters or leaves it, and it is drawn as a card."""
        return False

    # Graphs

    def graphs(self, codes: Codes) -> Graphs:
        """The graphs of architectures. An absent layer is heard by no node; a state that hears none is absent.

        Args:
            codes: (num_graphs, num_positions); a module alone is a row with ABSENT everywhere else.
        """
        heard = self.heard
        width = 1 + max(map(len, heard))
        template = np.array(
            [[node, *others, *[ABSENT] * (width - 1 - len(others))] for node, others in enumerate(heard)], np.int16
        )
        tokens, num_layers = codes, self.spec.num_positions
        if self.states:
            there = np.stack([(codes[:, list(own)] != ABSENT).any(1) for own in heard[num_layers:]], 1)
            sums = np.where(there, np.int16(len(self.spec.tokens)), np.int16(ABSENT))
            tokens = np.concatenate([codes, sums], 1)
        present = tokens != ABSENT
        positions = np.where(present, np.arange(len(heard), dtype=np.int16), np.int16(ABSENT))
        if present.all():
            return Graphs(positions, tokens, np.broadcast_to(template, (len(codes), *template.shape)))
        known = (template != ABSENT) & present[:, template]
        known[..., 0] = True
        return Graphs(positions, tokens, np.where(known, template, np.int16(ABSENT)))

    def hops_that_differ(self, num_hops: int) -> int:
        """Number of the hops, at most `num_hops`, after which nodes still learn of others."""
        return num_hops

    def structure(self, codes: Codes) -> NDArray[np.float64]:
        """(n, dim) numbers of whole architectures that follow from their data flow; (n, 0) unless a topology has some."""
        return np.zeros((len(codes), 0))

    @property
    def structure_kinds(self) -> tuple[int, ...]:
        """The kind of every column of `structure`, from 0."""
        return ()

    # Modules

    @final
    def window_is_unit(self, unit: int) -> bool:
        """Whether a window that makes up a unit of fixed depth is the unit's module: not where a state is read for it."""
        return unit not in self.states

    @property
    def whole_units(self) -> bool:
        """Whether a unit's module says more than its layers one by one."""
        return True

    def window_positions(self, length: int) -> list[tuple[int, ...]]:
        """The places where windows of a length stand: at layers joined head to tail by data flow."""
        layers = range(self.spec.num_positions)
        paths: list[tuple[int, ...]] = [(p,) for p in layers]
        for _ in range(length - 1):
            paths = [(*path, p) for path in paths for p in layers if path[-1] in self.heard[p]]
        return paths

    @final
    def windows_within(self, unit: int) -> bool:
        """Whether windows of two layers lie within a unit."""
        own = set(self.spec.units[unit].positions)
        return any(own.issuperset(positions) for positions in self.window_positions(2))

    def sink(self, group: ModuleGroup) -> tuple[int, int]:
        """(node whose norm is the module's, its hop): the last layer, hop L - 1; of a unit with a state that, hop 1."""
        state = None if group.unit is None else self.state_of(group.unit)
        return (group.positions[-1], group.hop) if state is None else (state, 1)

    @final
    def sink_place(self, group: ModuleGroup) -> int:
        """Index of the sink among the nodes of the graph of a module alone."""
        return len(group.positions) - 1 if self.in_order else self.sink(group)[0]

    def free_positions(self, group: ModuleGroup) -> list[int]:
        """Positions beside the module that its sink hears of by its hop."""
        sink, hop = self.sink(group)
        reached = {sink}
        for _ in range(hop):
            reached |= {source for node in reached for source in self.heard[node]}
        return sorted(p for p in reached - {*group.positions, sink} if p < self.spec.num_positions)

    @final
    def contexts(self, group: ModuleGroup) -> list[Codes]:
        """The modules as architectures of their own, once for every context that their sink can tell apart.

        On a chain there is one, the module alone. In a cell the sink may hear operations that are not the module's (0>2,
        2>3 hears 1>2 too): one context for each combination of what may stand there, to be averaged over.

        Source: docs/method.md, section 2: elsewhere average over the free in-neighbours.

        Returns:
            each (num_modules, num_positions), ABSENT elsewhere.
        """
        alone, free = module_codes(group, self.spec.num_positions), self.free_positions(group)
        contexts = []
        for layers in itertools.product(*[self.spec.units[self.spec.unit_of(p)].tokens for p in free]):
            context = alone.copy()
            context[:, free] = layers
            contexts.append(context)
        return contexts

    # Drawing

    @abstractmethod
    def layout(self, row: Codes) -> list[Place]:
        """The nodes of an architecture in the order of units, each with its place.

        Args:
            row: (num_positions,) codes.
        """

    def endings(self, row: Codes, hop: int) -> Iterator[tuple[int, Iterator[list[Ending]]]]:
        """Per node the modules that it may show at a hop, in lists: where none of a list was scored, the next one is asked.

        At a state its whole unit; at a layer the paths that end there and reach back `hop` layers, then shorter ones.

        Args:
            row: (num_positions,) codes.
            hop: number of layers that a module reaches back.
        """
        for node in range(self.num_nodes):
            if node >= self.spec.num_positions:
                yield node, iter([[(self.spec.units[self.node_units[node]].positions, True)]])
            elif row[node] != ABSENT:
                yield node, self._paths_shown(node, hop)

    def _paths_shown(self, node: int, hop: int) -> Iterator[list[Ending]]:
        paths = self._paths_to(node, hop + 1)
        while paths:
            yield [(path, self._makes_up_unit(path)) for path in paths]
            paths = [path[1:] for path in paths if len(path) > 1]

    def unit_title(self, unit: int) -> str:
        """The name of a unit where nothing but its name shows which layers are its own."""
        return self.spec.units[unit].label

    def _makes_up_unit(self, positions: tuple[int, ...]) -> bool:
        unit = self.node_units[positions[-1]]
        return self.window_is_unit(unit) and self.spec.units[unit].positions == positions

    def _paths_to(self, node: int, length: int) -> list[tuple[int, ...]]:
        """Layers joined head to tail that end at a layer: as long as asked for, shorter where they begin at an input."""
        before = self.heard[node]
        if length <= 1 or not before:
            return [(node,)]
        return [(*path, node) for p in before for path in self._paths_to(p, length - 1)]


def topology_of(spec: SpaceSpec) -> Topology:
    """The topology of a space: the one that its spec names, else what its units and data flow say.

    Raises:
        ConfigError: no file in architectures/topologies/ has its name.
    """
    known: Topology | None = spec.__dict__.get("_topology")
    if known is None:
        name = spec.topology or ("cell" if spec.reads else "loose_set" if any(u.loose for u in spec.units) else "chain")
        known = registry.load(FOLDER, name, Topology)(spec)  # type: ignore[type-abstract]
        spec.__dict__["_topology"] = known
    return known
