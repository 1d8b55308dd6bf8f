"""Permuted labels: an ensemble trained on them must find nothing."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.trust.findings import PermutationCheck

Array = NDArray[np.float64]
PERMUTED_NETWORKS = 300


def layer_spread(scores: Array, codes: Codes, num_tokens: int) -> float:
    """Standard deviation, over layers at positions, of the mean of (n,) scores of codes that have the layer there."""
    means = []
    for column in codes.T:
        there = column != ABSENT
        counts = np.bincount(column[there], minlength=num_tokens)
        sums = np.bincount(column[there], scores[there], num_tokens)
        means.append((sums / np.maximum(counts, 1))[counts > 0] - scores[there].mean())
    return float(np.concatenate(means).std())


def permutation_check(
    train: Callable[[NDArray[np.intp], Array], tuple[Array, float]],
    scores: Array,
    networks: NDArray[Any],
    real: float,
    seed: int = 0,
) -> PermutationCheck:
    """Trains on permuted labels: the held-out order must be lost, and module scores must shrink to noise.

    Labels are permuted between networks, so that twins keep one label. What is left must be chance: a correlation beyond three
    standard errors means that held-out labels leak into the training.

    Args:
        train: (row numbers, their new scores) -> (held-out predictions of these rows, spread of the layers' scores).
        scores: (n,) normal scores of the labels.
        networks: (n,) hashes.
        real: spread of the layers' scores of the real ensemble.
        seed: of the permutation.
    """
    rng, (_, first, group) = np.random.default_rng(seed), np.unique(networks, return_index=True, return_inverse=True)
    chosen = rng.permutation(len(first))[:PERMUTED_NETWORKS]
    label = np.full(len(first), np.nan)
    label[chosen] = scores[first[chosen]][rng.permutation(len(chosen))]
    rows = np.flatnonzero(np.isfinite(label[group]))
    held, spread = train(rows, label[group][rows])
    srcc = float(np.nan_to_num(spearmanr(held, label[group][rows]).statistic))
    limit = 3 / math.sqrt(max(len(chosen) - 1, 1))
    return PermutationCheck(srcc, limit, srcc <= limit, spread, real, len(chosen))
