"""Predicted quality of a reduced space against the full one: levels of both, the difference of their means and its doubt. Ours.

The modules are chosen by the same predictor, so the quality is that predictor's own belief: docs/design.md says how far it can
be trusted.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.lens import GOOD_SHARE
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scoring.intervals import Mean
from autobuild_core.scoring.population import Population

Array = NDArray[np.float64]
NUM_RANDOM = 100  # evaluations of the random search that is asked about


@dataclass(frozen=True)
class Levels:
    """Predicted targets of the architectures of a space, uniform as the space draws them, in target units.

    Args:
        mean: their average.
        median: half of them reach it.
        best_tenth: a tenth of them reach it.
        best_of_100: the best of NUM_RANDOM random ones, on average over all such draws.
        in_best_tenth: share of them that reaches the full space's `best_tenth`.
    """

    mean: float
    median: float
    best_tenth: float
    best_of_100: float
    in_best_tenth: float


@dataclass(frozen=True)
class SpaceQuality:
    """A reduced space against the full one, by the predictions of one run.

    Args:
        full: levels of the full space.
        reduced: levels of the reduced space.
        difference: mean of the reduced space less that of the full one, in target units, with its 90 % interval.
        num_full: architectures of the full space that were predicted.
        num_reduced: those of the reduced space.
        full_is_exact: these are all that there are; else random draws.
        reduced_is_exact: likewise.
    """

    full: Levels
    reduced: Levels
    difference: Mean
    num_full: int
    num_reduced: int
    full_is_exact: bool
    reduced_is_exact: bool

    def record(self) -> dict[str, Any]:
        """The same, ready for JSON: {"full", "reduced", "difference", "difference_low", "difference_high", ...}."""
        moved, facts = self.difference, asdict(self)
        of_mean = {"difference": moved.mean, "difference_low": moved.low, "difference_high": moved.high}
        return {name: facts[name] for name in ("full", "reduced")} | of_mean | {n: facts[n] for n in list(facts)[3:]}


def space_quality(predictor: Predictor, full: Population, reduced: Population) -> SpaceQuality:
    """A reduced space against the full one, by the predictions of one run.

    Each member of the ensemble predicts both spaces, so what it gets wrong of both cancels out of its difference. The interval is
    that of a jackknife over the members, wider by what no member sees of each network (of few networks it does not average out),
    and by the error of random draws where there are some.

    Args:
        predictor: the run.
        full: the full space.
        reduced: the reduced space, in codes of the full one.
    """
    scores = [predictor.member_scores(one.codes).astype(float) for one in (full, reduced)]
    members, unseen = [predictor.member_expected(own) for own in scores], 0.0
    for one, own in zip((full, reduced), scores, strict=True):
        unseen += _unseen_variance(predictor, one, own.mean(0))
    turn = -1 if predictor.minimize else 1
    values = [turn * own.mean(0) for own in members]
    threshold = float(full.best_tenth(values[0][None])[0])
    drawn = sum(own.var() / len(own) for one, own in zip((full, reduced), values, strict=True) if not one.exact)
    difference = Mean.of_members(members[1] @ reduced.weights - members[0] @ full.weights, float(np.sqrt(drawn + unseen)))
    levels = _levels(full, values[0], threshold, turn), _levels(reduced, values[1], threshold, turn)
    return SpaceQuality(*levels, difference, len(full.codes), len(reduced.codes), full.exact, reduced.exact)


def _unseen_variance(predictor: Predictor, population: Population, scores: Array) -> float:
    """Variance of a population's mean by the error that the ensemble makes of each network, alike for its encodings.

    Args:
        predictor: the run, whose calibration has that error.
        population: the population.
        scores: (n,) predicted normal scores.
    """
    error, to_target = predictor.calibration.residual, predictor.scaling.to_target
    each = np.abs(to_target(scores + error) - to_target(scores - error)) / 2
    network = np.unique(predictor.space.hash_networks(population.codes), return_inverse=True)[1]
    return float((np.bincount(network, population.weights * each) ** 2).sum())


def _levels(population: Population, values: Array, threshold: float, turn: int) -> Levels:
    """Levels of (n,) values, larger is better, in target units again by `turn`."""
    median, tenth = (turn * float(population.level(values[None], share)[0]) for share in (0.5, GOOD_SHARE))
    mean, best = turn * float(values @ population.weights), turn * population.best_of(values, NUM_RANDOM)
    return Levels(mean, median, tenth, best, min(float(population.weights @ (values >= threshold)), 1.0))
