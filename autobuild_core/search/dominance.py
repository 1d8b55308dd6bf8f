"""Dominance between pairs of losses: which are on the Pareto front, and the hypervolume that a set dominates. Any leading axes.

Both sort once, so that hundreds of joint draws are judged at once; numpy alone, as pages draw fronts.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]


def on_front(losses: Array) -> NDArray[np.bool_]:
    """(..., n) which of (..., n, 2) losses no other exceeds: is as small in both and smaller in one. Equal ones stand together.

    Source: Kung, Luccio and Preparata, "On finding the maxima of a set of vectors", 1975, in two dimensions.
    """
    order = np.lexsort((losses[..., 1], losses[..., 0]), axis=-1)
    first, second = (np.take_along_axis(losses[..., axis], order, -1) for axis in (0, 1))
    before = np.full_like(second, np.inf)
    before[..., 1:] = np.minimum.accumulate(second, -1)[..., :-1]
    is_new = np.ones(second.shape, bool)
    is_new[..., 1:] = (np.diff(first, axis=-1) != 0) | (np.diff(second, axis=-1) != 0)
    place = np.where(is_new, np.arange(second.shape[-1]), 0)
    same = np.maximum.accumulate(place, -1)  # the first of those that are equal
    kept = np.zeros(second.shape, bool)
    np.put_along_axis(kept, order, np.take_along_axis(second < before, same, -1), -1)
    return kept


def hypervolume(losses: Array, reference: Array) -> Array:
    """(...) area between the front of (..., n, 2) losses and a reference; what exceeds the reference has no part in it.

    Source: Zitzler and Thiele 1998, "Multiobjective optimization using evolutionary algorithms", section 3.

    Args:
        losses: smaller is better; rows with NaN have no part in it.
        reference: (2,) the corner that the area ends at.
    """
    inside = np.where((losses < reference).all(-1, keepdims=True), losses, reference)
    order = np.argsort(inside[..., 0], axis=-1, kind="stable")
    first, second = (np.take_along_axis(inside[..., axis], order, -1) for axis in (0, 1))
    widths = np.diff(first, axis=-1, append=np.broadcast_to(reference[0], (*first.shape[:-1], 1)))
    area: Array = (widths * (reference[1] - np.minimum.accumulate(second, -1))).sum(-1)
    return area


def anytime_volume(losses: Array, reference: Array) -> Array:
    """(n,) hypervolume of the first one, two, ... of (n, 2) losses; NaN before the first that has both."""
    known = np.isfinite(losses).all(1)
    volumes = np.full(len(losses), np.nan)
    front = np.zeros((0, 2))
    for place in np.flatnonzero(known):
        front = np.concatenate([front, losses[place, None]])
        front = front[on_front(front)]
        volumes[place] = hypervolume(front, reference)
    filled: Array = pd.Series(volumes).ffill().to_numpy(float)
    return filled
