"""The Gaussian process alone: what is known of a metric of architectures, jointly, in numpy.

Beside the ensemble, which explains a target, this answers for every metric how much it is and how sure that is, of several
architectures at once: their errors go together as far as they are alike. It compares layers and structure (`kernel.py`) without
the random hops of the ensemble's own process, which changed nothing where both were measured (decision 84).

Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, equations 2.22 to 2.26.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.architectures.structure import structure_features
from autobuild_core.predictor.kernel import BIAS_VARIANCE, Layers, compare
from autobuild_core.spaces import Space
from autobuild_core.targets.scaling import TWO_SIDED_90, NormalScores

Array = NDArray[np.float64]
OWN_SHARE = 0.5  # of what the kernel leaves of a measurement is the network's own, the rest noise: without repeats nobody knows
JITTER = 1e-6  # of the mean variance: what makes a covariance invertible
LEAST_VARIANCE = 1e-10
AT_ONCE = 8_192  # architectures, so that the arrays between stay small
BLOCK = 64  # rows of a triangle that is inverted as a whole


def kernel_coordinates(space: Space, layers: Layers, codes: Codes) -> Array:
    """(n, columns) what the kernel compares of (n, num_positions) codes: layers and structure of their canonical encodings."""
    canonical = space.canonical(codes)
    return np.concatenate([layers.coordinates(canonical), structure_features(canonical, space.spec)], 1).astype(float)


@dataclass(frozen=True, eq=False)
class Posterior:
    """A Gaussian process after its measurements, on the normal scores of a metric.

    Args:
        space: the search space.
        layers: its layers as coordinates.
        scaling: normal scores <-> metric; larger scores are better.
        centre: (columns,) mean of the coordinates.
        roots: (columns,) factors of the centred coordinates.
        weights: (PARTS,) of the kernel.
        noise: variance of a measurement that the kernel does not explain.
        codes: (m, num_positions) architectures that were learned from.
        scores: (m,) their normal scores.
        shares: (m,) noise variance of each of these as a share of `noise`.
    """

    space: Space
    layers: Layers
    scaling: NormalScores
    centre: Array
    roots: Array
    weights: Array
    noise: float
    codes: Codes
    scores: Array
    shares: Array

    @cached_property
    def marks(self) -> Array:
        """(m, columns) scaled coordinates of the architectures that were learned from."""
        return self.scaled(self.codes)

    @cached_property
    def inverse(self) -> Array:
        """(m, m) inverse of the lower Cholesky factor of their covariance, noise included.

        It is worked out where it is first needed (of 1,024 architectures in a tenth of a second), so no file has to hold it.
        """
        covariance = compare(self.marks, self.marks, self.weights) + self.noise * np.diag(self.shares)
        return _inverse_of_triangle(np.linalg.cholesky(covariance).astype(float, copy=False))

    @cached_property
    def _whitened(self) -> Array:
        """(m,) scores in the coordinates in which they are independent."""
        whitened: Array = self.inverse @ self.scores
        return whitened

    def scaled(self, codes: Codes) -> Array:
        """(n, columns) scaled coordinates of (n, num_positions) codes; other methods take them in the place of codes."""
        return self.scale(kernel_coordinates(self.space, self.layers, codes))

    def scale(self, coordinates: Array) -> Array:
        """(n, columns) scaled coordinates of (n, columns) `kernel_coordinates`."""
        scaled: Array = (coordinates - self.centre) * self.roots
        return scaled

    def moments(self, asked: NDArray[Any]) -> tuple[Array, Array]:
        """((n,) means, (n,) standard deviations) of the normal scores of architectures, without the noise of a measurement.

        Args:
            asked: (n, num_positions) codes or (n, columns) of `scaled`.
        """
        if len(asked) > AT_ONCE:
            parts = [self.moments(part) for part in np.array_split(asked, len(asked) // AT_ONCE + 1)]
            return np.concatenate([mean for mean, _ in parts]), np.concatenate([spread for _, spread in parts])
        mean, left, at = self._given(asked)
        return mean, np.sqrt(np.maximum(self._variances(left, at), LEAST_VARIANCE))

    def joint(self, asked: NDArray[Any]) -> tuple[Array, Array]:
        """((n,) means, (n, n) covariance) of normal scores; `asked` as for `moments`."""
        mean, left, at = self._given(asked)
        covariance: Array = compare(at, at, self.weights) - left.T @ left
        return mean, (covariance + covariance.T) / 2

    def apart(self, asked: NDArray[Any]) -> tuple[Array, Array]:
        """((n,) variances of normal scores, (n,) covariances with the first); `asked` as for `moments`."""
        _, left, at = self._given(asked)
        shared: Array = compare(at, at[:1], self.weights)[:, 0] - left.T @ left[:, 0]
        return self._variances(left, at), shared

    def _variances(self, left: Array, at: Array) -> Array:
        """(n,) variances of normal scores, of what `_given` returns."""
        norms = (at * at).sum(1)
        prior = self.weights[0] + norms * (self.weights[1] + self.weights[2] * norms) + BIAS_VARIANCE
        variances: Array = prior - (left * left).sum(0)
        return variances

    def draws(self, asked: NDArray[Any], num: int, rng: np.random.Generator) -> Array:
        """(num, n) joint draws of normal scores; `asked` as for `moments`."""
        return self.drawn(asked, rng.standard_normal((num, len(asked))))

    def drawn(self, asked: NDArray[Any], normals: Array, widening: float = 1.0) -> Array:
        """(num, n) joint draws of normal scores that follow standard normals.

        Args:
            asked: as for `moments`.
            normals: (num, n).
            widening: factor of all standard deviations.
        """
        mean, covariance = self.joint(asked)
        jitter = JITTER * max(float(np.diag(covariance).mean()), LEAST_VARIANCE)
        root = np.linalg.cholesky(covariance + jitter * np.eye(len(mean)))
        drawn: Array = mean + widening * normals @ root.T
        return drawn

    def interval(self, asked: NDArray[Any], widening: float = 1.0) -> tuple[Array, Array, Array]:
        """(expected, low, high), each (n,): of a measurement, noise and all, with its 90 % interval, in the metric's units.

        Args:
            asked: as for `moments`.
            widening: factor of the standard deviations.
        """
        mean, spread = self.of_measurement(asked, widening)
        ends = [self.scaling.straight(mean + side * TWO_SIDED_90 * spread) for side in (-1, 0, 1)]
        return ends[1], np.minimum(ends[0], ends[2]), np.maximum(ends[0], ends[2])

    def of_measurement(self, asked: NDArray[Any], widening: float = 1.0) -> tuple[Array, Array]:
        """((n,) means, (n,) standard deviations) of the normal score of a measurement, noise and all; as for `interval`."""
        mean, spread = self.moments(asked)
        return mean, widening * np.sqrt(spread**2 + self.noise)

    def believed(self, asked: NDArray[Any], measured: Array) -> Array:
        """(n,) normal scores that measured architectures are believed to have: between measurement and mean (OWN_SHARE), ours.

        Args:
            asked: as for `moments`.
            measured: (n,) values of the metric.
        """
        mean = self.moments(asked)[0]
        believed: Array = mean + OWN_SHARE * (self.scaling.to_scores(measured) - mean)
        return believed

    def _given(self, asked: NDArray[Any]) -> tuple[Array, Array, Array]:
        """(means, whitened covariances with the marks, scaled coordinates)."""
        at = self.scaled(asked) if asked.dtype.kind == "i" else asked
        left = self.inverse @ compare(self.marks, at, self.weights)
        return left.T @ self._whitened, left, at


def _inverse_of_triangle(lower: Array) -> Array:
    """(m, m) inverse of a lower triangular matrix, half by half: a fifth of the time that numpy's own takes."""
    half, inverse = len(lower) // 2, np.zeros(lower.shape)
    if len(lower) <= BLOCK:
        inverse[:] = np.linalg.inv(lower)
        return inverse
    above, below = _inverse_of_triangle(lower[:half, :half]), _inverse_of_triangle(lower[half:, half:])
    inverse[:half, :half], inverse[half:, half:] = above, below
    inverse[half:, :half] = -below @ (lower[half:, :half] @ above)
    return inverse
