"""The number of architectures that is enough: samples double until the gain from more is not worth its time.

Ours: of a hundred thousand evaluated architectures a few thousand say what all of them do; the curve that shows it is kept.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

WHOLE_LIMIT = 5000  # networks that are learned from without asking
FIRST_SIZE, LAST_SIZE = 1000, 16_000
NUM_JUDGED = 2000
WORTHWHILE = 0.003  # gain in rank correlation for which the sample is doubled once more
PATIENCE = 2  # doublings in a row without such a gain, after which it is enough: one may fall where the learner changes its ways

Rows = NDArray[np.intp]
T = TypeVar("T")


def learn_enough(
    networks: NDArray[np.uint64], learn: Callable[[Rows], T], judge: Callable[[T, Rows], float], rng: np.random.Generator
) -> tuple[Rows, T, list[dict[str, Any]]]:
    """Learns from all rows where they are few, else from samples of 1,000, 2,000, ... networks until the gain ends.

    Samples are of networks, so that no twin of a learned one is judged; each holds the one before it.

    Args:
        networks: (n,) canonical hash of each row.
        learn: from these rows.
        judge: rank correlation of what was learned with the truth on these rows, which no sample holds.
        rng: draws the samples.

    Returns:
        The rows learned from, what was learned (the best, where the last was worse), and the curve [{"num_networks", "srcc",
        "seconds"}], empty where all were used.
    """
    distinct, network = np.unique(networks, return_inverse=True)
    if len(distinct) <= WHOLE_LIMIT:
        everything = np.arange(len(networks))
        return everything, learn(everything), []
    place = np.empty(len(distinct), np.int64)
    place[rng.permutation(len(distinct))] = np.arange(len(distinct))
    place = place[network]  # (n,) where each row's network stands in a random order
    judged = np.flatnonzero(place < NUM_JUDGED)
    curve: list[dict[str, Any]] = []
    best: tuple[Rows, T] | None = None
    idle = 0
    size, most = FIRST_SIZE, min(LAST_SIZE, len(distinct) - NUM_JUDGED)
    while True:
        begun = time.monotonic()
        rows = np.flatnonzero((place >= NUM_JUDGED) & (place < NUM_JUDGED + size))
        learned = learn(rows)
        srcc = judge(learned, judged)
        gain = srcc - max((point["srcc"] for point in curve), default=-np.inf)
        if best is None or gain > 0:
            best = rows, learned
        idle = 0 if gain >= WORTHWHILE else idle + 1
        curve.append({"num_networks": size, "srcc": srcc, "seconds": time.monotonic() - begun})
        if idle == PATIENCE or size == most:
            return *best, curve
        size = min(2 * size, most)
