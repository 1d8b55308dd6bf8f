"""Fitting a Gaussian process to one metric: its scale, its kernel and what follows, in a tenth of a second for a hundred rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from autobuild_core.architectures.records import Codes, noise_shares
from autobuild_core.predictor.gaussian_process import MAX_EVIDENCE, MAX_LANDMARKS, find_kernel
from autobuild_core.predictor.kernel import Layers, Relevances
from autobuild_core.predictor.posterior import Posterior, kernel_coordinates
from autobuild_core.predictor.target_scale import ranked_share
from autobuild_core.spaces import Space
from autobuild_core.targets.scaling import NormalScores

Array = NDArray[np.float64]


def fit_posterior(
    space: Space, codes: Codes, values: Array, minimize: bool = False, repeats: NDArray[np.int64] | None = None, seed: int = 0
) -> Posterior:
    """The Gaussian process of a metric, exact for up to MAX_LANDMARKS architectures; of more so many are learned from.

    Args:
        space: the search space.
        codes: (n, num_positions) measured architectures, one a network.
        values: (n,) the metric, finite, not all alike.
        minimize: smaller values are better.
        repeats: (n,) measurements that each value is the mean of; None = one.
        seed: draws the rows where there are too many, and those that the kernel is found from.
    """
    order = np.random.default_rng(seed).permutation(len(codes))
    rows = np.sort(order[:MAX_LANDMARKS])
    codes, values = codes[rows], values[rows]
    shares = np.ones(len(rows)) if repeats is None or (found := noise_shares(repeats[rows])) is None else found
    layers = Layers(space.spec)
    raw = kernel_coordinates(space, layers, codes)
    relevances, centre = Relevances.of_space(space.spec, layers, ()), raw.mean(0)
    size = relevances.sizes(raw - centre)
    columns, every = (raw - centre) / size, [np.arange(len(rows))]
    ranked = ranked_share(columns, relevances, [-values if minimize else values], every, shares, seed)
    scaling = NormalScores.fit(values, minimize, ranked=ranked)
    scores = scaling.to_scores(values)
    some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_EVIDENCE])
    kernel = find_kernel(columns[some], scores[some], relevances, shares[some])
    covariance = kernel.between(columns, columns) + kernel.noise * np.diag(shares)
    inverse = solve_triangular(cholesky(covariance, lower=True), np.eye(len(rows)), lower=True)
    parts = centre, kernel.roots / size, kernel.weights, kernel.noise, columns * kernel.roots
    return Posterior(space, layers, scaling, *parts, scores, inverse)
