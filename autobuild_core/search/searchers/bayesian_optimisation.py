"""Bayesian optimisation: a Gaussian process learns from all that was evaluated, and what promises to improve most comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.predictor.kernel import Layers
from autobuild_core.predictor.posterior import Posterior, kernel_coordinates
from autobuild_core.search.improvement import DRAWS, best_batch, look_for_promising, most_promising, optimistic
from autobuild_core.search.searchers import History, Searcher

STARTS = 16  # best networks from whose neighbourhoods promising ones are looked for
LEAST = 5  # networks with a score, from which a kernel is found
REFUSED = -1e6  # normal score of a network that may not be proposed, where promising ones are looked for


@final
class BayesianOptimisation(Searcher):
    """Batches of the largest expected improvement by the Gaussian process of AutoBuild's predictor (`predictor/posterior.py`).

    Source: Jones, Schonlau and Welch 1998, "Efficient global optimization of expensive black-box functions". Ours are the kernel,
    the scale of the scores, and that the best is chosen by what is believed of it, not by what was measured: the best measurement
    of many is a lucky one. The first `initial` networks are random. What failed is not learned from.
    """

    title = "Bayesian optimisation"
    about = "what a Gaussian process expects to improve most"
    defaults: ClassVar[Mapping[str, int]] = {"initial": 10}

    def propose(self, history: History, num: int) -> Codes:
        rng, learned = self.rng(history), self.learned(history)
        if learned is None:
            return self.draw_new(history, max(min(num, self.settings["initial"] - history.num_networks), 1), rng)
        pool = self._pool(learned, history, rng)
        if not len(pool):
            return self.draw_new(history, num, rng)
        asked = learned.posterior.scaled(pool)
        draws = learned.posterior.draws(asked, DRAWS, rng)
        return pool[best_batch(draws, learned.posterior.moments(asked)[0], learned.least, num)]

    def incumbent(self, history: History) -> int | None:
        learned = self.learned(history)
        if learned is None:
            return super().incumbent(history)
        believed = np.where(learned.kept, learned.posterior.believed(learned.codes, learned.scores), -np.inf)
        return history.place_of(int(self.space.hash_networks(learned.codes[[believed.argmax()]])[0]))

    def learned(self, history: History) -> "Learned | None":
        """The posterior after the networks that have a score; None where they are too few or all alike."""
        from autobuild_core.predictor.fitting import fit_posterior  # here: it loads scipy

        codes, scores = history.evaluated()
        if history.num_networks < self.settings["initial"] or len(scores) < LEAST or np.ptp(scores) == 0:
            return None
        if self._last is None or not np.array_equal(self._last.scores, scores) or not np.array_equal(self._last.codes, codes):
            posterior = fit_posterior(self.space, codes, scores, seed=self.seed)
            kept = self.accept(codes)
            kept = kept if kept.any() else ~kept
            self._last = Learned(codes, scores, posterior, posterior.moments(codes)[0], kept)
        return self._last

    _last: "Learned | None" = None  # asked for twice: what comes next, and which is the best

    def _pool(self, learned: "Learned", history: History, rng: np.random.Generator) -> Codes:
        """(n, num_positions) promising networks that are not known and may be proposed."""
        if self.every is None:
            best = np.argsort(np.where(learned.kept, -learned.mean, np.inf), kind="stable")[:STARTS]
            worth = optimistic(learned.posterior)
            pool = look_for_promising(
                lambda asked: np.where(self.accept(asked), worth(asked), REFUSED),
                *(self.space, learned.codes[best], history.known, rng),
            )
            return pool[self.accept(pool)]
        codes, networks = self.every
        left = np.array([int(network) not in history.known for network in networks]) & self._accepted
        return most_promising(learned.posterior, codes[left], learned.posterior.scale(self._coordinates[left]))

    @cached_property
    def _coordinates(self) -> NDArray[np.float64]:
        """(networks, columns) coordinates of every network of the space."""
        assert self.every is not None
        return kernel_coordinates(self.space, Layers(self.space.spec), self.every[0])

    @cached_property
    def _accepted(self) -> NDArray[np.bool_]:
        """(networks,) of every network of the space whether it may be proposed."""
        assert self.every is not None
        return self.accept(self.every[0])


@dataclass(frozen=True, eq=False)
class Learned:
    """A posterior after some networks.

    Args:
        codes: (n, num_positions) the networks.
        scores: (n,) of each; larger is better.
        posterior: of the scores.
        mean: (n,) of it, as normal scores.
        kept: (n,) which may be proposed, by which the best is chosen; all where none may.
    """

    codes: Codes
    scores: NDArray[np.float64]
    posterior: Posterior
    mean: NDArray[np.float64]
    kept: NDArray[np.bool_]

    @property
    def least(self) -> float:
        """The normal score to exceed: the largest mean of those that may be proposed."""
        return float(self.mean[self.kept].max())
