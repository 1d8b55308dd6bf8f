"""Ridge regression of the target's ranks on one-hot (position, layer) and counts: the linear baseline that is hard to beat."""

from collections.abc import Callable, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.architectures.structure import one_hot
from autobuild_core.scorers._learned import Array, LearnedScorer, count_features

PENALTIES = np.geomspace(1e-3, 1e3, 25)


def fit_ridge(features: Array, target: Array) -> tuple[Array, float]:
    """Weights and intercept of the ridge regression whose penalty has the smallest leave-one-out error.

    With X = U S V' centred and H = U diag(s^2 / (s^2 + penalty)) U' + 1/n, the error that leaves row i out is
    (y - Hy)_i / (1 - H_ii), in closed form. Penalties are relative to the mean squared singular value.

    Args:
        features: (n, p).
        target: (n,).
    """
    mean, level = features.mean(0), float(target.mean())
    inner = features - mean
    wide = features.shape[1] > len(features)
    squares, vectors = np.linalg.eigh(inner @ inner.T if wide else inner.T @ inner)  # a tenth of the time of decomposing n x p
    kept = squares > 1e-10 * max(float(squares.max(initial=0)), 1e-300)
    s, vectors = np.sqrt(squares[kept]), vectors[:, kept]
    if not len(s):
        return np.zeros(features.shape[1]), level
    u, vt = (vectors, vectors.T @ inner / s[:, None]) if wide else (inner @ vectors / s, vectors.T)
    projected, centred = u.T @ (target - level), target - level
    best, weights = np.inf, np.zeros(features.shape[1])
    for penalty in PENALTIES * float((s**2).mean()):
        shrunk = s**2 / (s**2 + penalty)
        left = (centred - u @ (shrunk * projected)) / np.maximum(1 - (u**2) @ shrunk - 1 / len(target), 1e-9)
        if (error := float((left**2).mean())) < best:
            best, weights = error, vt.T @ (shrunk / s * projected)
    return weights, level - float(mean @ weights)


@final
class Ridge(LearnedScorer):
    """Normal scores of the target, linear in one-hot (position, layer) and counts of layers and of their attributes.

    Ours, after the baseline of issue 3. Members differ by the fold they leave out; the penalty is chosen by the closed
    leave-one-out error of each. Predictions return to target units as the ensemble's do, with ridge's own error.
    """

    title = "Ridge on ranks"
    explained = "a linear model of the target's ranks: each layer adds the same everywhere it can stand; knows no interaction"

    def fit(self, folds: NDArray[np.int64]) -> Sequence[Callable[[Codes], Array]]:
        scores, features = self.predictor.scaling.to_scores(self.evaluated.values), self._features(self.evaluated.codes)
        fits = [fit_ridge(features[folds != m], scores[folds != m]) for m in range(folds.max() + 1)]
        errors = [scores[folds == m] - features[folds == m] @ w - b for m, (w, b) in enumerate(fits)]
        grid, expected = self.predictor.scaling.expectation(float(np.sqrt((np.concatenate(errors) ** 2).mean())))

        def member(weights: Array, intercept: float) -> Callable[[Codes], Array]:
            return lambda codes: np.interp(self._features(codes) @ weights + intercept, grid, expected)

        return [member(*fit) for fit in fits]

    def _features(self, codes: Codes) -> Array:
        spec = self.predictor.spec
        return np.concatenate([one_hot(codes, spec), count_features(codes, spec)], axis=1)
