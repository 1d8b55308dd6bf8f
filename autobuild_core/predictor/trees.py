"""Regression trees as arrays, evaluated in numpy: a third part of the ensemble, where held-out networks say that they help.

A kernel and a graph network carry trends on to where nothing was measured; trees hold what they saw last. `tree_growing.py` grows
them; here they predict wherever sklearn is not wanted.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
TREES = "trees."  # prefix of the weights
LEAF = -1  # in the place of a feature


class Trees:
    """The trees of an ensemble.

    Args:
        weights: by name after TREES, each (members, trees, nodes) and padded: "feature" that a node asks, LEAF of a leaf;
            "limit", up to which one goes on at "left", else at "right"; "value" of a leaf.
    """

    def __init__(self, weights: dict[str, Floats]) -> None:
        parts = {name: weights[TREES + name] for name in ("feature", "limit", "left", "right", "value")}
        self._shape = parts["value"].shape
        first = (np.arange(self._shape[0] * self._shape[1]) * self._shape[2])[:, None]
        flat = {name: part.reshape(len(first), -1) for name, part in parts.items()}
        leaf = flat["feature"] == LEAF
        self._roots, self._limit, self._value = first, flat["limit"].ravel(), flat["value"].ravel()
        self._feature = np.where(leaf, 0, flat["feature"]).astype(np.intp).ravel()
        itself = first + np.arange(self._shape[2])  # a leaf leads to itself
        self._sides = np.stack(
            [np.where(leaf, itself, first + flat[side].astype(np.intp)) for side in ("right", "left")], -1
        ).ravel()
        self._leaf = leaf.ravel()

    def predict(self, columns: NDArray[Any]) -> Floats:
        """(members, n) means over the trees of (n, columns) coordinates."""
        num = len(columns)
        by_column, row = np.ascontiguousarray(columns.T, np.float32).ravel(), np.arange(num)
        place = np.broadcast_to(self._roots, (len(self._roots), num))
        while not self._leaf[place].all():
            asked = by_column.take(self._feature.take(place) * num + row)
            place = self._sides.take(2 * place + (asked <= self._limit.take(place)))
        values = self._value.take(place).reshape(self._shape[0], self._shape[1], num)
        means: Floats = values.mean(1, dtype=np.float32)
        return means
