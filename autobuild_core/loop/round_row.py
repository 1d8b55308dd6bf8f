"""The row of a round: what was predicted of its networks, what was measured, and the best so far."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobuild_core.evaluators._results import Line
from autobuild_core.loop.learner import Learner
from autobuild_core.loop.rounds_folder import Batch, Row

LEAST_RANKED = 3  # networks of which a rank correlation says something
Array = NDArray[np.float64]


def make_row(learner: Learner, batch: Batch, number: int, lines: Sequence[Line], new: Collection[str]) -> Row:
    """The row of a round that is over.

    Args:
        learner: of the data with the results of the round.
        batch: the networks that the round asked for.
        number: of the batch in the list of candidates.
        lines: its evaluations.
        new: all networks that rounds asked for so far, this one too.

    Returns:
        round, batch (its number in the list of candidates); num_proposed, num_failed (without a target), num_evaluated (new
        networks so far, failed ones too); best (target within the budgets so far, the first data included) and its arch; best_new
        (the same among new networks); best_before and expected_improvement as they were when the batch was proposed;
        mean_predicted and mean_measured of the batch, over networks that have both; inside, the share of these in their
        90 % intervals; srcc, their rank correlation; seconds_fit, and seconds_evaluated, the sum over evaluations;
        data_version. None where there is nothing to say.
    """
    values = _values(learner, batch)
    about = {"round": batch.round, "batch": number, "num_proposed": len(values), "num_failed": int(np.isnan(values).sum())}
    spent = {"seconds_fit": batch.seconds_fit, "seconds_evaluated": float(sum(float(line["seconds"]) for line in lines))}
    return {
        **about,
        "num_evaluated": len(new),
        **best_so_far(learner, new),
        "best_before": batch.best_before,
        **_compared(batch, values),
        "expected_improvement": batch.expected_improvement,
        **spent,
        "data_version": learner.table.version,
    }


def best_so_far(learner: Learner, new: Collection[str]) -> dict[str, Any]:
    """{"best": target, "arch": native encoding, "best_new": target of the best among new networks}; None where there is none."""
    known, sign = learner.known, learner.plan.sign
    within = known.within(learner.plan.bounds, learner.budgets.metrics)
    is_new = np.array([str(network) in new for network in known.networks.tolist()], bool)
    best, best_new = known.best(sign, within), known.best(sign, within & is_new)
    return {
        "best": None if best is None else float(known.values[best]),
        "arch": None if best is None else learner.space.native(known.codes[best]),
        "best_new": None if best_new is None else float(known.values[best_new]),
    }


def _values(learner: Learner, batch: Batch) -> Array:
    """(networks of the batch,) their targets, NaN of those that failed."""
    known = dict(zip(map(str, learner.known.networks.tolist()), learner.known.values.tolist(), strict=True))
    return np.array([known.get(network, np.nan) for network in batch.networks], float)


def _compared(batch: Batch, values: Array) -> dict[str, float | None]:
    """Predictions of a batch beside what was measured."""
    names: dict[str, float | None] = dict.fromkeys(("mean_predicted", "mean_measured", "inside", "srcc"))
    fine = np.isfinite(values)
    if fine.any():
        names["mean_measured"] = float(values[fine].mean())
    if not fine.any() or not batch.predicted:
        return names
    predicted, low, high = (np.array(part)[fine] for part in (batch.predicted, batch.low, batch.high))
    measured = values[fine]
    names["mean_predicted"] = float(predicted.mean())
    names["inside"] = float(((low <= measured) & (measured <= high)).mean())
    if len(measured) >= LEAST_RANKED and np.ptp(measured) > 0 and np.ptp(predicted) > 0:
        from scipy.stats import spearmanr  # here: the app process reads rows

        names["srcc"] = float(spearmanr(predicted, measured).statistic)
    return names
