"""The noise of the labels themselves, from repeated trainings, and the ceiling that it sets. Ours (issue 3)."""

import math
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable
from autobuild_core.targets.equation import Target
from autobuild_core.targets.scaling import NormalScores

Array = NDArray[np.float64]
Pairs = tuple[str, Array, Array, float, int]  # source, one label, another of the same network, labels averaged, networks
REPEATED = re.compile(r"^(?P<stem>.+?)_?(?:seed|run|rep|repeat|trial)?_?(?P<number>\d+)$", re.IGNORECASE)


def repeats_of(metrics: pd.DataFrame, name: str) -> tuple[list[str], int]:
    """(columns that repeat a metric, how many of them it averages): acc_seed0, acc_seed1 of acc or of acc_seed0; ([], 1) if none.

    A metric of another name belongs to the columns whose mean it is (mean_acc of test_acc_1 to test_acc_3).
    """
    groups: dict[str, list[str]] = {}
    for column in map(str, metrics.columns):
        if found := REPEATED.match(column):
            groups.setdefault(found["stem"].rstrip("_"), []).append(column)
    for stem, columns in groups.items():
        if len(columns) < 2:
            continue
        if name in columns:
            return columns, 1
        mean, own = metrics[columns].mean(axis=1), metrics[name]
        is_mean = bool(((mean - own).abs() <= 0.02 * max(float(own.std()), 1e-12)).mean() > 0.9)
        if is_mean or name == stem:
            return columns, len(columns) if is_mean else 1
    return [], 1


def averaged_in(metrics: pd.DataFrame) -> dict[str, str]:
    """{column: the metric that averages it with others} of the single repeats among metrics."""
    found: dict[str, str] = {}
    for name in map(str, metrics.columns):
        columns, num = repeats_of(metrics, name)
        found |= {column: name for column in columns if num > 1}
    return found


@dataclass(frozen=True)
class LabelNoise:
    """The noise of labels, from repeated trainings.

    Args:
        source: where it is known from, "" where there are no repeats.
        num: networks with repeats.
        noise_sd: standard deviation of a label, in target units; None without repeats, as the next two.
        reliability: share of the labels' variance on the scale of normal scores that is no noise.
        ceiling: rank correlation that a perfect predictor would reach with such labels.
    """

    source: str = ""
    num: int = 0
    noise_sd: float | None = None
    reliability: float | None = None
    ceiling: float | None = None


def label_noise(table: ArchTable, target: Target, scaling: NormalScores, values: Array | None = None) -> LabelNoise:
    """The noise of the target itself, from repeated trainings, and its ceiling on the SRCC of any predictor.

    Repeats are columns of the file (several seeds), else rows with other seeds, which are averaged, else rows of the same
    network, else a column of standard deviations. The noise is that of a label as it is learned (of a mean over seeds, that of
    the mean), on the scale of normal scores, where the target has variance 1.

    Args:
        table: evaluated architectures.
        target: over its metrics.
        scaling: of the targets.
        values: (n,) in the place of the targets where contexts vary, as they would be in one context: then only rows tell.
    """
    if values is not None:
        found = _other_seeds(table, target, values) or _repeated_rows(table, values)
    else:
        own = target.values(table.metrics)
        found = _repeated_columns(table, target) or _other_seeds(table, target, own) or _repeated_rows(table, own)
        found = found or _deviation_column(table, target)
    if found is None:
        return LabelNoise()
    source, first, second, averaged, num = found
    raw = float(np.sqrt(np.mean((first - second) ** 2) / 2 / averaged))
    noise = float(np.mean((scaling.to_scores(first) - scaling.to_scores(second)) ** 2) / 2 / averaged)
    reliability = float(np.clip(1 - noise, 0, 1))
    return LabelNoise(source, num, raw, reliability, srcc_ceiling(reliability))


def srcc_ceiling(reliability: float) -> float:
    """Spearman's correlation of noisy labels with the truth itself, for normal variables: 6/pi asin(sqrt(reliability) / 2)."""
    return 6 / math.pi * math.asin(math.sqrt(reliability) / 2)


def _repeated_columns(table: ArchTable, target: Target) -> Pairs | None:
    for name in target.names:
        columns, averaged = repeats_of(table.metrics, name)
        if len(columns) >= 2:
            values = np.stack([target.values(table.metrics.assign(**{name: table.metrics[c]})) for c in columns])
            values = values[:, np.isfinite(values).all(0)]
            if values.shape[1] >= 8:
                pairs = [(a, b) for a in range(len(columns)) for b in range(a)]
                first, second = (np.concatenate([values[pair[k]] for pair in pairs]) for k in (0, 1))
                return f"repeated trainings ({', '.join(columns[:4])})", first, second, averaged, values.shape[1]
    return None


def _repeated_rows(table: ArchTable, values: Array) -> Pairs | None:
    frame = pd.DataFrame({"network": table.evaluations, "value": values}).dropna().sort_values("network", kind="stable")
    twin = (frame["network"] == frame["network"].shift(-1)).to_numpy()[:-1]
    first, second = frame["value"].to_numpy()[:-1][twin], frame["value"].to_numpy()[1:][twin]
    if twin.sum() < 8 or (first == second).mean() > 0.9:  # copies of one measurement say nothing
        return None
    return "rows of the same network", first, second, 1, int(frame["network"].to_numpy()[:-1][twin].size)


def _other_seeds(table: ArchTable, target: Target, values: Array) -> Pairs | None:
    """Means over seeds: two labels of each that lie as far apart as labels of two seeds."""
    learned = np.isfinite(values)
    averaged = 1 / float((1 / table.repeats[learned]).mean()) if learned.any() else 1.0
    for name in target.names if table.spreads.shape[1] else ():
        ends = _ends(table, target, name, table.spreads[name])
        known = np.isfinite(ends).all(0) & learned
        if known.sum() >= 8:
            apart = (ends[0] - ends[1])[known] / 2
            return "repeats with other seeds", values[known] + apart, values[known] - apart, averaged, int(known.sum())
    return None


def _ends(table: ArchTable, target: Target, name: str, spread: pd.Series) -> Array:
    """(2, n) targets where a metric is half of the usual difference of two labels above and below its value."""
    metric = table.metrics[name]
    return np.array([target.values(table.metrics.assign(**{name: metric + k * spread / math.sqrt(2)})) for k in (1, -1)])


def _deviation_column(table: ArchTable, target: Target) -> Pairs | None:
    for name in target.names:
        for column in (f"{name}_std", f"{name}_sd", "std" if len(target.names) == 1 else ""):
            if column in table.metrics and column not in target.names:
                ends = _ends(table, target, name, table.metrics[column].abs())
                known = np.isfinite(ends).all(0)
                if known.sum() >= 8:
                    return f"column {column}", ends[0][known], ends[1][known], 1, int(known.sum())
    return None
