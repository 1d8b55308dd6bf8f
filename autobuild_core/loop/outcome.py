"""The outcome of candidates: what was measured of them beside what was predicted, apart for those chosen and for controls.

What was selected for its prediction disappoints even where the predictor is right on average (the winner's curse); random
controls, which no prediction chose, say what is due to the predictor alone. Ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.names import native_text
from autobuild_core.errors import TargetError
from autobuild_core.scoring.intervals import CONFIDENCE, student_bound, wilson
from autobuild_core.store.candidates import Candidate, Origin
from autobuild_core.targets.equation import Target

GROUPS = {
    Origin.BUILT: "built, for their prediction",
    Origin.NEXT: "to learn most",
    Origin.IMPROVEMENT: "to improve on the best",
    Origin.CLAIM: "to test a claim",
    Origin.TYPED: "by hand",
    Origin.CONTROL: "random controls",
}
COLUMNS = ("id", "arch", "origin", "predicted", "low", "high", "measured", "seeds", "better_by", "inside")


def outcomes(candidates: Sequence[Candidate], target: Target, context: str = "") -> pd.DataFrame:
    """Predictions and measurements of the candidates that have both, for a target.

    Args:
        candidates: of a list.
        target: only what was predicted of it counts.
        context: only what was predicted there counts, in words; "" = at the average over contexts.

    Returns:
        A line a candidate with COLUMNS: `measured` is the mean over its results, `better_by` measured less predicted, above 0
        where it is better than predicted, `inside` whether the 90 % interval holds the measurement.
    """
    rows = []
    for one in candidates:
        said = one.prediction
        if (said.target, said.minimize, said.context) != (target.expression, target.minimize, context) or said.predicted is None:
            continue
        values = measured_values(one, target)
        if not len(values) or said.low is None or said.high is None:
            continue
        measured = float(values.mean())
        better = (measured - said.predicted) * (-1 if target.minimize else 1)
        known = one.id, native_text(one.arch), one.origin.value, said.predicted, said.low, said.high
        rows.append((*known, measured, len(values), better, said.low <= measured <= said.high))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def measured_values(one: Candidate, target: Target) -> NDArray[np.float64]:
    """(n,) target of every finished result of a candidate that has its metrics."""
    found = [dict(result.metrics) for result in one.results if result.state == "finished"]
    found = [metrics for metrics in found if set(target.names) <= set(metrics)]
    if not found:
        return np.zeros(0)
    try:
        values = np.asarray(target.values(pd.DataFrame(found)), float)
    except TargetError:
        return np.zeros(0)
    finite: NDArray[np.float64] = values[np.isfinite(values)]
    return finite


def by_group(table: pd.DataFrame) -> pd.DataFrame:
    """Bias and coverage of predictions, a line a reason for which candidates were proposed.

    Args:
        table: of `outcomes`.

    Returns:
        origin, group (in words), num, bias (mean of better_by) with its 90 % interval bias_low..bias_high (NaN for a single one),
        num_inside, coverage with its 90 % interval coverage_low..coverage_high.
    """
    rows = []
    for origin, group in GROUPS.items():
        own = table[table["origin"] == origin.value]
        if own.empty:
            continue
        differences, num = own["better_by"].to_numpy(float), len(own)
        bias, half = float(differences.mean()), float("nan")
        if num > 1:
            half = student_bound(1 - CONFIDENCE, num - 1) * float(differences.std(ddof=1)) / np.sqrt(num)
        inside = int(own["inside"].sum())
        rows.append((origin.value, group, num, bias, bias - half, bias + half, inside, inside / num, *wilson(inside, num)))
    names = ["origin", "group", "num", "bias", "bias_low", "bias_high", "num_inside", "coverage", "coverage_low", "coverage_high"]
    return pd.DataFrame(rows, columns=names)


@dataclass(frozen=True)
class SelectionCost:
    """The cost of having been chosen for a prediction: how much worse the built come out, against it, than the controls do.

    Args:
        built, control: mean of measured less predicted, above 0 where it is better than predicted.
        cost: control less built.
        low, high: its 90 % interval.
    """

    built: float
    control: float
    cost: float
    low: float
    high: float


def selection_cost(table: pd.DataFrame) -> SelectionCost | None:
    """The cost of selection among measured candidates; None before two of the built and two controls were measured.

    Source: the interval of a difference of means of unequal variances, Welch, Biometrika 34 (1947).

    Args:
        table: of `outcomes`.
    """
    built, control = (table.loc[table["origin"] == o.value, "better_by"].to_numpy(float) for o in (Origin.BUILT, Origin.CONTROL))
    if min(len(built), len(control)) < 2:
        return None
    parts = [float(part.var(ddof=1)) / len(part) for part in (built, control)]
    cost, total = float(control.mean() - built.mean()), sum(parts)
    shares = [part**2 / (len(own) - 1) for part, own in zip(parts, (built, control), strict=True)]
    degrees = max(int(total**2 / sum(shares)), 1) if total else 1
    half = student_bound(1 - CONFIDENCE, degrees) * float(np.sqrt(total))
    return SelectionCost(float(built.mean()), float(control.mean()), cost, cost - half, cost + half)
