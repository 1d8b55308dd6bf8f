"""A cell with operations on edges: an operation reads the cell's input or a sum, and enters a sum."""

import itertools
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.layout import INPUT, Place
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.architectures.topologies import Topology

Array = NDArray[np.float64]
UNREACHED = 99
PATH_NUMBERS = 7  # of every set of operations
# Pixels: between units, input to first box, box to sum; so far apart that a straight arrow passes no box on its way.
COLUMN, FIRST, BOX_TO_SUM = 248.0, 132.0, 112.0
DOWN, UP, RISE = 102.0, 107.0, 36.0  # between rows; each row above the second lies RISE higher


@final
class Cell(Topology):
    """An operation hears those that enter the sum it reads; a state for each unit's sum hears the unit's operations.

    Source: docs/method.md, section 2: a state node per cell node is the sink of the operations entering it. That an
    operation hears operations and not the sum between them is ours: so two operations head to tail meet at hop 1.
    """

    crossing: ClassVar[str] = "head to tail"
    caption: ClassVar[str] = "Circles are sums, coloured by their whole unit; a box, by the path to it that tells most."

    @cached_property
    def heard(self) -> tuple[tuple[int, ...], ...]:
        entering = [unit.positions for unit in self.spec.units]
        return (*(entering[unit] if unit != ABSENT else () for unit in self.spec.reads), *entering)

    @cached_property
    def states(self) -> tuple[int, ...]:
        return tuple(range(len(self.spec.units)))

    def structure(self, codes: Codes) -> Array:
        return path_features(codes, self.spec)

    @property
    def structure_kinds(self) -> tuple[int, ...]:
        return tuple(number for _ in _path_subsets(self.spec) for number in range(PATH_NUMBERS))

    def unit_title(self, unit: int) -> str:
        entering = ", ".join(self.node_labels[p] for p in self.spec.units[unit].positions)
        return f"{self.spec.units[unit].label} ({entering})"

    def layout(self, row: Codes) -> list[Place]:
        """A column a unit: its operations as boxes that lead into its sum, a circle.

        An operation on the shortest way stands in the middle line, one that reads the cell's input farther up, one that
        reads an earlier sum farther down.
        """
        places = []
        for index, unit in enumerate(self.spec.units):
            for position in unit.positions:
                read = self.spec.reads[position]
                after = INPUT if read == ABSENT else self.spec.units[read].label
                places.append(Place(position, *self._place_of(position), "layer", (after,)))
            entering = tuple(self.node_labels[p] for p in unit.positions)
            middle = FIRST + index * COLUMN + BOX_TO_SUM
            places.append(Place(self.spec.num_positions + index, middle, 0.0, "sum", entering))
        return places

    def _place_of(self, position: int) -> tuple[float, float]:
        """(x, y) of an operation's centre; the input is at (0, 0)."""
        unit, read = self.node_units[position], self.spec.reads[position]
        alike = [p for p in self.spec.units[unit].positions if self.spec.reads[p] == read]  # several from one sum
        skipped = unit - read - 1 + alike.index(position)
        up = skipped * UP + max(skipped - 1, 0) * RISE
        return FIRST + unit * COLUMN, -up if read == ABSENT else skipped * DOWN


def path_features(codes: Codes, spec: SpaceSpec) -> Array:
    """(n, PATH_NUMBERS * subsets) paths of cells with operations on edges, for every set of operations that do something.

    For each set: shortest and longest path from the input to the output over its operations alone, and the number of such paths;
    how many of its operations lie on a path at least and at most, other operations between them allowed; its operations that
    read the input, and those that enter the output.

    Source: in the manner of GRAF (Kadlecova et al., "Surprisingly Strong Performance Prediction with Neural Graph Features",
    ICML 2024, section 3): path lengths and degrees per set of operations; counts along paths are ours.
    """
    present = (codes[:, :, None] == np.array(_working(spec))).any(2)
    columns = []
    for subset in _path_subsets(spec):
        inside = (codes[:, :, None] == np.array(subset)).any(2)
        shortest, longest, ways = _extremes(inside, inside, spec)
        least, most, _ = _extremes(present, inside, spec)
        read_input = inside[:, [p for p, read in enumerate(spec.reads) if read == ABSENT]].sum(1)
        enter_output = inside[:, list(spec.units[-1].positions)].sum(1)
        reached = shortest < UNREACHED
        columns += [np.where(reached, shortest, len(spec.units) + 1), np.where(reached, longest, 0), ways]
        columns += [np.where(least < UNREACHED, least, -1), np.where(least < UNREACHED, most, -1), read_input, enter_output]
    return np.stack(columns, 1).astype(float)


def _working(spec: SpaceSpec) -> list[int]:
    """Tokens that do something."""
    return [t for t in range(len(spec.tokens)) if t != spec.options.get("none")]


def _path_subsets(spec: SpaceSpec) -> list[tuple[int, ...]]:
    """The sets of working tokens whose paths are counted."""
    working = _working(spec)
    largest = len(working) if len(working) <= 5 else 2
    return [s for size in range(1, largest + 1) for s in itertools.combinations(working, size)]


def _extremes(allowed: NDArray[np.bool_], counted: NDArray[np.bool_], spec: SpaceSpec) -> tuple[Array, Array, Array]:
    """(fewest, most) counted operations on a path from input to output over allowed ones, number of such paths; each (n,).

    Args:
        allowed, counted: (n, num_positions).
        spec: units in the order of data flow.
    """
    num = len(allowed)
    fewest = {ABSENT: np.zeros(num)}
    most, ways = {ABSENT: np.zeros(num)}, {ABSENT: np.ones(num)}
    for index, unit in enumerate(spec.units):
        fewest[index], most[index], ways[index] = np.full(num, float(UNREACHED)), np.full(num, -float(UNREACHED)), np.zeros(num)
        for position in unit.positions:
            source, count = spec.reads[position], counted[:, position]
            open_ = allowed[:, position] & (ways[source] > 0)
            fewest[index] = np.where(open_, np.minimum(fewest[index], fewest[source] + count), fewest[index])
            most[index] = np.where(open_, np.maximum(most[index], most[source] + count), most[index])
            ways[index] += np.where(open_, ways[source], 0)
    last = len(spec.units) - 1
    return fewest[last], most[last], ways[last]
