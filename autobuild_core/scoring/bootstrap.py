"""Bootstraps of the networks: would another sample of the same size have named the same module the best?

The Gaussian process is refitted on every bootstrap sample; the kernel, found on all data, stays. The GNN is not trained
again: it learned from the Gaussian process and is taken to move along with it. All refits are one block of conjugate gradients,
preconditioned with the fit to all data, because a hundred factorisations would cost half a minute at 3,000 architectures.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; preconditioning a system by a nearby one as in Golub
and Van Loan, "Matrix Computations", section 11.5.
"""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from autobuild_core.architectures.records import Codes
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.predictor.forward import GAUSSIAN
from autobuild_core.predictor.gaussian_process import KernelFeatures

Array = NDArray[np.float64]
BOOTSTRAPS = 100
TOLERANCE, MAX_ITERATIONS = 0.002, 200  # of the error, relative to how far a refit is from the first guess


def bootstrap_counts(networks: NDArray[np.uint64], num: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n, num) how often each row is in each bootstrap sample; rows of one network are drawn together."""
    distinct, inverse = np.unique(networks, return_inverse=True)
    drawn = rng.multinomial(len(distinct), np.full(len(distinct), 1 / len(distinct)), num)
    counts: NDArray[np.int64] = drawn[:, inverse].T
    return counts


def refit_readouts(features: Array, scores: Array, counts: Array, noise: float) -> Array:
    """(dim, num) ridge weights of every weighted sample.

    Args:
        features: (n, dim), with weights of prior variance one.
        scores: (n,) targets.
        counts: (n, num) weight of each row in each sample.
        noise: variance of the scores.
    """
    factor = cho_factor(features.T @ features + noise * np.eye(features.shape[1]))
    right = features.T @ (counts * scores[:, None])
    weights: Array = cho_solve(factor, right)
    residual = right - features.T @ (counts * (features @ weights)) - noise * weights
    direction = ready = cho_solve(factor, residual)
    fit = (residual * ready).sum(0)  # about the squared error in the norm of the system
    goal = TOLERANCE**2 * fit + 1e-300
    for _ in range(MAX_ITERATIONS):
        if (fit <= goal).all():
            break
        moved = features.T @ (counts * (features @ direction)) + noise * direction
        step = fit / np.maximum((direction * moved).sum(0), 1e-300)
        weights, residual = weights + step * direction, residual - step * moved
        ready = cho_solve(factor, residual)
        fit, before = (residual * ready).sum(0), fit
        direction = ready + fit / np.maximum(before, 1e-300) * direction
    return weights


class Bootstraps:
    """The moves of the ensemble's predictions from one bootstrap sample of the networks to the next.

    Args:
        predictor: the ensemble.
        moves: (dim, num) readout of the Gaussian process in each bootstrap sample less their mean: with a third of the networks
            missing from each, all are drawn to the mean of the data, which another sample of the full size would not be.
    """

    def __init__(self, predictor: Predictor, moves: NDArray[np.float32]) -> None:
        self.predictor, self.moves = predictor, moves
        self._features = KernelFeatures(predictor.ensemble)

    @classmethod
    def draw(
        cls,
        predictor: Predictor,
        codes: Codes,
        scores: Array,
        networks: NDArray[np.uint64],
        noise_shares: Array | None = None,
        num: int = BOOTSTRAPS,
        seed: int = 0,
    ) -> Self:
        """Bootstraps of an ensemble with a Gaussian process.

        Args:
            predictor: the ensemble.
            codes: (n, num_positions) canonical encodings it learned from.
            scores: (n,) their targets as normal scores.
            networks: (n,) their hashes.
            noise_shares: (n,) noise variance of each as a share of their mean; None where all are equal.
            num: bootstrap samples.
            seed: draws them.
        """
        features = KernelFeatures(predictor.ensemble)(codes)
        counts = bootstrap_counts(networks, num, np.random.default_rng(seed))
        noise = float(predictor.ensemble.weights[GAUSSIAN + "every_noise"][0])
        weights = counts.astype(float) if noise_shares is None else counts / noise_shares[:, None]
        readouts = refit_readouts(features, scores, weights, noise)
        return cls(predictor, (readouts - readouts.mean(1, keepdims=True)).astype(np.float32))

    def target_moves(self, codes: Codes) -> Array:
        """(num, n) how far the expected targets of (n, num_positions) codes are from the ensemble's in every bootstrap sample."""
        predictor = self.predictor
        moved = (self._features(predictor.space.canonical(codes)) @ self.moves).T
        own: Array = predictor.member_scores(codes).mean(0, dtype=float)
        return predictor.expected(own + moved) - predictor.expected(own)
