"""The scale that a target is learned on: its ranks' normal scores, the target itself, or what lies between.

Ranks forget how far apart targets are. A heavy tail has to be forgotten. But a search's log is dense among the good: a scale
of ranks is then spent on telling these apart, and the few bad ones, which most of the space is like, all look alike. The
Gaussian process is asked which scale the architectures explain best.

Source: warped Gaussian processes, Snelson, Rasmussen and Ghahramani, NIPS 2003: the evidence of the scores times the slopes of
the map. The family of maps (a mixture of two) and the average over it are ours.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autobuild_core.predictor.gaussian_process import find_kernel
from autobuild_core.predictor.kernel import Relevances
from autobuild_core.targets.scaling import normal_scores, standardised

Array = NDArray[np.float64]
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the ranks' normal scores: some of them holds a single outlier back
MOST_ROWS = 200  # that choose


def ranked_share(
    columns: Array, relevances: Relevances, targets: Sequence[Array], rows: Sequence[NDArray[np.intp]], noise: Array, seed: int
) -> float:
    """The mean over SHARES of normal scores in the scale, each as probable as the Gaussian process makes the targets by it.

    Args:
        columns: (n, columns) coordinates of the architectures.
        relevances: of them.
        targets: of each task, larger is better.
        rows: of each task, the rows of its targets.
        noise: (n,) noise variance of each as a share of their mean.
        seed: draws the rows that choose, where there are more than MOST_ROWS.
    """
    ranks, plain, slopes = (np.empty(len(columns)) for _ in range(3))
    spread = np.empty(len(columns))
    for own, inside in zip(targets, rows, strict=True):
        ranks[inside], plain[inside] = normal_scores(own), standardised(own)
        slopes[inside], spread[inside] = slopes_of(plain[inside], ranks[inside]), 1.0
    some = np.sort(np.random.default_rng(seed).permutation(len(columns))[:MOST_ROWS])
    worth = []
    for share in SHARES:
        for inside in rows:
            spread[inside] = max(float((share * ranks[inside] + (1 - share) * plain[inside]).std()), 1e-12)
        scores = (share * ranks + (1 - share) * plain) / spread
        steep = np.log((share * slopes + (1 - share)) / spread)[some].sum()
        worth.append(find_kernel(columns[some], scores[some], relevances, noise[some]).evidence + steep)
    probable = np.exp(np.array(worth) - max(worth))
    return float(probable @ SHARES / probable.sum())


def slopes_of(target: Array, scores: Array) -> Array:
    """(n,) slope of increasing scores at (n,) targets: between those so many places before and behind.

    Source: Vasicek, "A test for normality based on sample entropy", JRSS B 1976, estimates densities so; the logarithm of a gap
    of 2m places is too small by about 1 / 4m, which is put right here.
    """
    num = len(target)
    reach = max(round(num**0.5), 1)
    order, place = np.argsort(target, kind="stable"), np.arange(num)
    low, high = np.maximum(place - reach, 0), np.minimum(place + reach, num - 1)
    gaps = target[order][high] - target[order][low]
    slopes = np.empty(num)
    rise = scores[order][high] - scores[order][low]
    slopes[order] = rise / np.maximum(gaps, 1e-9) * np.exp(-1 / (4 * reach))
    return np.maximum(slopes, 1e-9)
