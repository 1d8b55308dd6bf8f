"""How a cell with operations on edges is drawn: a column a unit, its operations as boxes that lead into its sum, a circle.

The layout follows from the space's data flow alone: an operation on the shortest way stands in the middle line, one that
reads the cell's input farther up, one that reads an earlier sum farther down.
"""

import json
import math
from typing import Any

import pandas as pd

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec

INPUT = "input"
RADIUS = 30.0
# Pixels: between units, input to first box, box to sum; so far apart that a straight arrow passes no box on its way.
COLUMN, FIRST, BOX_TO_SUM = 248.0, 132.0, 112.0
DOWN, UP, RISE = 102.0, 107.0, 36.0  # between rows; each row above the second lies RISE higher


def place_layer(spec: SpaceSpec, position: int) -> tuple[float, float]:
    """(x, y) of an operation's centre; the input is at (0, 0)."""
    unit, read = spec.unit_of(position), spec.reads[position]
    alike = [p for p in spec.units[unit].positions if spec.reads[p] == read]  # several operations from one sum
    skipped = unit - read - 1 + alike.index(position)
    up = skipped * UP + max(skipped - 1, 0) * RISE
    return FIRST + unit * COLUMN, -up if read == ABSENT else skipped * DOWN


def place_sum(unit: int) -> tuple[float, float]:
    """(x, y) of a unit's circle."""
    return FIRST + unit * COLUMN + BOX_TO_SUM, 0.0


def heard_labels(spec: SpaceSpec, position: int) -> list[str]:
    """Labels of the nodes whose arrows lead to a node: a sum or the input to an operation, operations to a sum."""
    if position >= spec.num_positions:
        return [spec.position_labels[p] for p in spec.units[position - spec.num_positions].positions]
    read = spec.reads[position]
    return [INPUT if read == ABSENT else spec.units[read].label]


def paths_to(spec: SpaceSpec, position: int, length: int) -> list[list[int]]:
    """Operations joined head to tail that end at a position: as long as asked for, shorter where they begin at the input."""
    read = spec.reads[position]
    if length <= 1 or read == ABSENT:
        return [[position]]
    return [[*path, position] for p in spec.units[read].positions for path in paths_to(spec, p, length - 1)]


def best_known(
    modules: pd.DataFrame, index: dict[tuple[str, str, bool], int], spec: SpaceSpec, row: Codes, position: int, hop: int
) -> tuple[int, int] | None:
    """(line, number of layers) of the module shown at a node; None where none was scored.

    At a sum its whole unit; at an operation the path that ends there and reaches back `hop` operations, of several the one
    farthest from the average architecture.

    Args:
        modules: the run's module table.
        index: its `drawing.module_index`.
        spec: the search space.
        row: (num_positions,) codes.
        position: of the node; sums stand behind the positions.
        hop: number of operations that a path reaches back.
    """
    whole = position >= spec.num_positions
    groups = [list(spec.units[position - spec.num_positions].positions)] if whole else paths_to(spec, position, hop + 1)
    while True:
        lines = []
        for group in groups:
            places = json.dumps([spec.position_labels[p] for p in group])
            layers = json.dumps([spec.tokens[row[p]] for p in group])
            line = index.get((places, layers, whole))
            if line is not None:
                lines.append((abs(float(modules["effect"].iloc[line])), line, len(group)))
        if lines:
            return max(lines)[1:]
        groups = [group[1:] for group in groups if len(group) > 1]  # so long a path was not scored
        if whole or not groups:
            return None


def border(node: dict[str, Any], toward: dict[str, Any], width: float, height: float) -> tuple[float, float]:
    """Where the line from a node's centre to another's leaves the node: a circle for a sum or the input, else a box."""
    dx, dy = toward["x"] - node["x"], toward["y"] - node["y"]
    if node["kind"] == "layer":
        share = min(width / 2 / abs(dx) if dx else math.inf, height / 2 / abs(dy) if dy else math.inf)
    else:
        share = RADIUS / max(math.hypot(dx, dy), 1e-9)
    return node["x"] + dx * share, node["y"] + dy * share
