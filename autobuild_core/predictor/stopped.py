"""The scale of a study in which trials were stopped: where its evaluated targets would stand among all.

Stopped trials are known to be worse than a bound, and what they are like says how much worse: so they are given the scores that a
Gaussian process expects of them (`gaussian_process.expect_stopped`), and the evaluated ones are ranked among these. Of the
targets below which nearly all trials were stopped only a few are known, by luck: there the scale is a straight line, whose slope
is the one by which these few agree best with what is alike.

Source: that a scale belongs to the model and is judged by the same likelihood, with the logarithm of its slope, is Snelson et
al., "Warped Gaussian processes", NIPS 2003; its use on stopped trials is ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtri

from autobuild_core.predictor.gaussian_process import Kernel, expect_stopped, find_kernel
from autobuild_core.predictor.kernel import Relevances
from autobuild_core.targets.scaling import NormalScores

Array = NDArray[np.float64]
ROUNDS = 2  # of expectations and ranks in turn
MOST_ROWS = 500  # from which the expectations are found; ranks are of all
STRICT = 0.25  # quantile of the bounds below which trials were stopped as a rule
UNDERNEATH = 0.95  # share of the stopped trials above which the evaluated ones stand as in a whole study
FEW = 20  # evaluated targets among the stopped trials, of which fewer do not tell the scale there
SLOPE_SPREAD, SLOPES = 0.7, np.linspace(-1.5, 2.5, 33)  # of the logarithm of the slope, relative to that above
NEAREST = 10  # evaluated targets above the stopped trials that tell that slope, at least
REACHED = (1.0, 2.0)  # normal scores below the lowest evaluated target where the line still holds


@dataclass(frozen=True, eq=False)
class Study:
    """Evaluated and stopped trials of one task or of several.

    Args:
        columns: (n, columns) coordinates of the trials, as the kernel compares them.
        relevances: of the coordinates.
        task: (n,) the task of each.
        values: (n,) targets, NaN of stopped trials.
        limits: (n,) target than which a stopped trial is worse, NaN of the others.
        sign: 1 where larger targets are better.
    """

    columns: Array
    relevances: Relevances
    task: NDArray[np.int64]
    values: Array
    limits: Array
    sign: int

    @property
    def stopped(self) -> NDArray[np.bool_]:
        """(n,) which trials were stopped."""
        return np.isfinite(self.limits)

    def take(self, index: NDArray[np.intp]) -> "Study":
        """Some of the trials."""
        rows = self.columns[index], self.relevances, self.task[index], self.values[index], self.limits[index]
        return Study(*rows, self.sign)

    def bounds(self, scalings: Sequence[NormalScores]) -> Array:
        """(n,) normal score below which a stopped trial is."""
        return scored(self.limits, self.task, scalings)


def scored(targets: Array, task: NDArray[np.int64], scalings: Sequence[NormalScores]) -> Array:
    """(n,) normal scores of targets, each by the scale of its task; NaN of NaN."""
    out = np.full(len(targets), np.nan)
    for number, scaling in enumerate(scalings):
        own = (task == number) & np.isfinite(targets)
        out[own] = scaling.to_scores(targets[own])
    return out


def scales(
    study: Study, first: Sequence[NormalScores], scores: Array, folds: NDArray[np.int64], seed: int
) -> tuple[tuple[NormalScores, ...], list[tuple[NormalScores, ...]]]:
    """(one scale a task, the same without each fold of the trials).

    Args:
        study: the trials.
        first: scales to begin with.
        scores: (n,) normal scores by them, of stopped trials first guesses.
        folds: (n,) fold of each trial.
        seed: draws the trials from which expectations are found.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(scores))[:MOST_ROWS])
    looked_at, own, scalings = study.take(chosen), scores[chosen], tuple(first)
    kernel = find_kernel(looked_at.columns, own, study.relevances)
    for _ in range(ROUNDS):
        bounds = looked_at.bounds(scalings)
        for _ in range(2):
            own = expect_stopped(kernel, looked_at.columns, own, bounds)[0]
            kernel = find_kernel(looked_at.columns, own, study.relevances)
        own = expect_stopped(kernel, looked_at.columns, own, bounds)[0]
        before, scalings = scalings, _ranked(study, looked_at, kernel, scalings, own)
        own = np.where(looked_at.stopped, own, scored(looked_at.values, looked_at.task, scalings))
    without = []
    for fold in range(int(folds.max()) + 1):
        inside, rows = np.flatnonzero(folds[chosen] != fold), np.flatnonzero(folds != fold)
        without.append(_ranked(study.take(rows), looked_at.take(inside), kernel, before, own[inside]))
    return scalings, without


def _ranked(
    study: Study, looked_at: Study, kernel: Kernel, before: Sequence[NormalScores], own: Array
) -> tuple[NormalScores, ...]:
    """One scale a task, from (trials looked at,) scores by those before."""
    done = ~looked_at.stopped
    between = kernel.between(looked_at.columns[done], looked_at.columns[done])
    factor = cho_factor(between + kernel.noise * np.eye(len(between)))
    known = scored(looked_at.values[done], looked_at.task[done], before)
    out = []
    for number, scaling in enumerate(before):
        values = study.values[(study.task == number) & ~study.stopped]
        share = max(int(((study.task == number) & study.stopped).sum()), 0)
        expected = np.sort(own[(looked_at.task == number) & looked_at.stopped])
        if not len(expected):
            out.append(scaling)
            continue
        levels, counts = np.unique(study.sign * values, return_counts=True)
        old = scaling.to_scores(study.sign * levels)
        below = np.searchsorted(expected, old) * share / len(expected)
        fresh = ndtri((np.cumsum(counts) - counts / 2 + below) / (len(values) + share))
        limits = study.sign * study.limits[(study.task == number) & study.stopped]
        few = int((levels < np.quantile(limits, STRICT)).sum())
        if few >= FEW:  # bounds that say little: what is expected says where trials were stopped
            few = int((old < np.quantile(expected, UNDERNEATH)).sum())
        if few >= min(FEW, len(levels) - 1):
            out.append(NormalScores(fresh, study.sign * levels, study.sign))
            continue
        mine = looked_at.task[done] == number
        targets = study.sign * looked_at.values[done][mine]
        out.append(_straight_below(fresh, levels, few, study.sign, _likelihood(factor, known, mine, targets, levels, few)))
    return tuple(out)


def _likelihood(
    factor: tuple[Array, bool], known: Array, mine: NDArray[np.bool_], targets: Array, levels: Array, few: int
) -> Callable[[Array, float], float]:
    """The Gaussian process's log-likelihood of scores at the levels, with a slope below the first `few`.

    It is known up to a constant.

    Args:
        factor: of the covariance of the evaluated trials.
        known: (n,) their scores so far.
        mine: (n,) those whose scale it is.
        targets: (mine,) their oriented targets.
        levels: oriented targets of the scale.
        few: how many levels are below the line's end.
    """
    num = int((targets < levels[few]).sum())

    def worth(line: Array, slope: float) -> float:
        scores = known.copy()
        scores[mine] = np.interp(targets, levels, line)
        return float(-0.5 * scores @ cho_solve(factor, scores) - num * np.log(slope))

    return worth


def _straight_below(
    scores: Array, levels: Array, few: int, sign: int, likelihood: Callable[[Array, float], float]
) -> NormalScores:
    """The scale that is a straight line below the first `few` of (levels,) oriented targets."""
    above = slice(few, few + max(NEAREST, len(levels) // 4))
    usual = max(float(np.polyfit(scores[above], levels[above], 1)[0]), 1e-12 * float(np.ptp(levels)) + 1e-300)
    best, found, slope = -np.inf, scores, usual
    for logarithm in SLOPES if few else (0.0,):
        tried, line = usual * float(np.exp(logarithm)), scores.copy()
        line[:few] = scores[few] + (levels[:few] - levels[few]) / tried
        worth = likelihood(line, tried) - 0.5 * (logarithm / SLOPE_SPREAD) ** 2
        if worth > best:
            best, found, slope = worth, line, tried
    further = found[0] - np.array(REACHED[::-1])
    beyond = levels[0] + (further - found[0]) * slope
    return NormalScores(np.concatenate([further, found]), sign * np.concatenate([beyond, levels]), sign)
