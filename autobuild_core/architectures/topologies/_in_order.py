"""The common base of a chain and a set: layers in the order of positions, a column a unit."""

from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar, final

import numpy as np

from autobuild_core.architectures.layout import GAP_X, GAP_Y, NODE_HEIGHT, NODE_WIDTH, Place
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.padded import Graphs
from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.architectures.topologies import Ending, Topology

UNITS_A_LINE = 8
CARD_GAP, CARD_LINE = 18.0, 82.0  # between cards; height of a line of cards with names


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


class InOrder(Topology):
    """Layers that stand in the order of positions: each hears the one before it, unless a unit of theirs stands apart."""

    in_order: ClassVar[bool] = True

    @final
    @cached_property
    def heard(self) -> tuple[tuple[int, ...], ...]:
        apart = [self.apart(unit) for unit in self.node_units]
        joined = [p > 0 and not apart[p] and not apart[p - 1] for p in range(self.spec.num_positions)]
        return tuple((p - 1,) if joined[p] else () for p in range(self.spec.num_positions))

    @final
    def window_positions(self, length: int) -> list[tuple[int, ...]]:
        """The places where windows of a length stand: at consecutive positions.

        Where the depth varies they stay within a unit. A unit that stands apart has none but its single layers.
        """
        owners, found = self.node_units, []
        units = list(enumerate(self.spec.units))
        crossing = all(self.apart(index) or unit.depths == (len(unit.positions),) for index, unit in units)
        for start in range(self.spec.num_positions + 1 - length):
            inside = set(owners[start : start + length])
            apart = any(self.apart(owner) for owner in inside)
            if length == 1 or (not apart and (crossing or len(inside) == 1)):
                found.append(tuple(range(start, start + length)))
        return found

    @final
    def free_positions(self, group: ModuleGroup) -> list[int]:
        """None: what a layer of a module alone hears by its hop is the module's."""
        return []

    @final
    def endings(self, row: Codes, hop: int) -> Iterator[tuple[int, Iterator[list[Ending]]]]:
        """Per layer the runs of layers that end there, the longest first.

        Where depths vary they stay within a unit. A run that makes up its unit is the whole-unit module: exactly these
        layers, no deeper; where that was not scored it is a window, and the other way round.
        """
        present = [p for p in range(self.spec.num_positions) if row[p] != ABSENT]
        inside: dict[int, list[int]] = {}
        for position in present:
            inside.setdefault(self.node_units[position], []).append(position)
        for place, position in enumerate(present):
            own, reach = inside[self.node_units[position]], present[max(0, place - hop) : place + 1]
            if not self.spec.fixed_depth:
                reach = [p for p in reach if self.node_units[p] == self.node_units[position]]
            yield position, self._runs_shown(reach, own)

    @staticmethod
    def _runs_shown(reach: list[int], own: list[int]) -> Iterator[list[Ending]]:
        for start in range(len(reach)):
            whole = own == reach[start:]
            yield [(tuple(reach[start:]), whole)]
            yield [(tuple(reach[start:]), not whole)]

    @final
    def layout(self, row: Codes) -> list[Place]:
        """A column a unit, upstream on the left, wrapped into lines; below them a grid of those that stand apart."""
        places: list[Place] = []
        before: tuple[str, ...] = ()
        for index, (unit, (x, top)) in enumerate(zip(self.spec.units, self._unit_places(), strict=True)):
            apart = self.apart(index)
            before = () if apart else before
            present = [p for p in unit.positions if row[p] != ABSENT]
            for layer, position in enumerate(present):
                places.append(Place(position, x, top + layer * (NODE_HEIGHT + GAP_Y), "layer", before))
                before = () if apart else (self.node_labels[position],)
        return places

    def _unit_places(self) -> list[tuple[float, float]]:
        """(x, y) of the first layer of every unit."""
        numbers = range(len(self.spec.units))
        chains, cards = ([i for i in numbers if self.apart(i) is apart] for apart in (False, True))
        depth = max((len(self.spec.units[i].positions) for i in chains), default=0)
        places, top = [(0.0, 0.0)] * len(self.spec.units), 0.0
        sizes = (chains, GAP_X, depth * (NODE_HEIGHT + GAP_Y) + 56), (cards, CARD_GAP, CARD_LINE)
        for some, gap, height in sizes:
            num_lines = -(-len(some) // UNITS_A_LINE)
            a_line = -(-len(some) // max(num_lines, 1))
            for number, index in enumerate(some):
                line, column = divmod(number, a_line)
                places[index] = column * (NODE_WIDTH + gap), top + line * height
            top += num_lines * height
        return places
