"""Warnings of what should be looked at before training, one sentence each with its remedy."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, ArchTable
from autobuild_core.errors import counted

FEW_NETWORKS = 30
SAME_SHARE = 0.1  # distinct networks a row, below which nearly all rows are the same few
UNIQUE_SHARE = 0.8
EXPLAINED = 0.5  # of a metric's variance in ranks by a context alone
MIN_ROWS = 10
RAY_ITERATION = "training_iteration"  # the name that Ray Tune gives
MOST_COMPARED = 40  # metrics that are compared with each other
RANK = 1e-9


def warnings_of(table: ArchTable) -> tuple[str, ...]:
    """The warnings of a table with at least one row."""
    found = (_networks, _constants, _equal_metrics, _followers, _mixed_units, _unique_choices, _contexts, _ended_early)
    return tuple(sentence for check in found for sentence in check(table))


def _networks(table: ArchTable) -> Iterator[str]:
    """Too few distinct networks, or rows that are nearly all the same."""
    num = len(np.unique(table.networks))
    networks = counted(num, "distinct network")
    if len(table) >= MIN_ROWS and num <= max(1, SAME_SHARE * len(table)):
        yield f"Nearly all rows are the same: {networks} in {len(table)} rows. Check which columns are design choices."
    if num < FEW_NETWORKS:
        yield f"Only {networks}, fewer than {FEW_NETWORKS}: scores will be uncertain. Evaluate more, if you can."


def _constants(table: ArchTable) -> Iterator[str]:
    """Metrics and choices of one value that a reader asked for."""
    for name in table.metrics:
        known = table.metrics[name].dropna()
        if len(known) > 1 and known.nunique() == 1:
            yield f"The metric {name} is {known.iloc[0]:g} in every row, so nothing can be learned of it. Choose another target."
    for unit in table.spec.units:
        if len(unit.tokens) == 1 and len(unit.depths) == 1 and len(table.spec.units) > 1 and table.spec.name == "flat":
            yield f"The choice {unit.label} has one value, so nothing can be told of it. Ignore the column."


def _equal_metrics(table: ArchTable) -> Iterator[str]:
    """Metrics that equal another."""
    names = [str(name) for name in table.metrics][:MOST_COMPARED]
    for i, name in enumerate(names):
        own = table.metrics[name]
        if own.nunique() < 2:
            continue
        for other in names[:i]:
            if own.equals(table.metrics[other]):
                yield f"The metrics {other} and {name} are equal in every row. Use one of them in a target."
                break


def _followers(table: ArchTable) -> Iterator[str]:
    """Metrics that follow from one choice."""
    for name in list(table.metrics)[:MOST_COMPARED]:
        values = table.metrics[name].to_numpy(float)
        known = np.isfinite(values)
        if known.sum() < MIN_ROWS or len(np.unique(values[known])) < 2:
            continue
        for unit in table.spec.units:
            key = pd.factorize(
                pd.util.hash_pandas_object(pd.DataFrame(table.codes[known][:, list(unit.positions)]), index=False)
            )[0]
            spread = pd.Series(values[known]).groupby(key).agg(["min", "max", "size"])
            same = (spread["max"] - spread["min"]) <= RANK * np.abs(values[known]).max()
            if bool(same.all()) and 2 <= len(spread) <= len(key) / 2 and spread["size"].min() >= 2:
                yield (
                    f"The metric {name} follows from {unit.label} alone: it is the choice in other words. "
                    "Do not use it as a target; ignore it if it is a setting."
                )
                break


def _mixed_units(table: ArchTable) -> Iterator[str]:
    """Metrics with shares of one beside per cents."""
    for name in table.metrics:
        values = table.metrics[name].dropna().to_numpy(float)
        if len(values) < MIN_ROWS or values.min() < 0 or not 10 < values.max() <= 100:
            continue
        small = values <= 1
        if 0.05 <= small.mean() <= 0.95 and values[~small].min() >= 5 and np.median(values[small]) > 0.05:
            yield (
                f"The metric {name} mixes units: {int(small.sum())} values up to 1 beside {int((~small).sum())} up to "
                f"{values.max():g}. Write all as shares or all as per cents."
            )


def _unique_choices(table: ArchTable) -> Iterator[str]:
    """Choices that are almost different in every row."""
    if len(table) < MIN_ROWS or table.spec.name != "flat":
        return
    for unit in table.spec.units:
        columns = table.codes[:, list(unit.positions)]
        present = (columns != ABSENT).any(1)
        num = len(np.unique(columns[present], axis=0))
        if len(unit.positions) == 1 and num >= max(MIN_ROWS, UNIQUE_SHARE * present.sum()):
            yield (
                f"The choice {unit.label} is different in almost every row ({num} values in {int(present.sum())} rows), "
                "so hardly a value is seen twice. Ignore it, or make it a context."
            )


def _contexts(table: ArchTable) -> Iterator[str]:
    """Contexts that alone explain most of a metric."""
    for name, kind in table.context_kinds.items():
        if kind == "seed":
            continue
        every = list(table.metrics)[:MOST_COMPARED]
        told = [metric for metric in every if _explained(table, name, metric) > EXPLAINED]
        if told:
            yield (
                f"The context {name} alone explains most of {', '.join(map(str, told[:3]))}: effects of modules are read "
                "within it. Is it a context, and not a design choice?"
            )


def _ended_early(table: ArchTable) -> Iterator[str]:
    """Trials of Ray Tune most of which ended before the last iteration: its tables do not say that a scheduler stopped them."""
    said = any(column.name == RAY_ITERATION and column.said for column in table.columns)
    if said or table.context_kinds.get(RAY_ITERATION) != "fidelity":
        return
    reached = table.contexts[RAY_ITERATION].dropna().to_numpy(float)
    num_last = int((reached == reached.max(initial=-np.inf)).sum())
    if num_last < len(reached) / 2:
        yield (
            f"Only {num_last} of {len(reached)} trials reached {RAY_ITERATION} {reached.max():g}: a scheduler such as ASHA may "
            f"have stopped the others. They are read as measured at a lower fidelity, and scores hold at {reached.max():g}. To "
            f"learn from the value that each trial ended with, ignore the column (--role {RAY_ITERATION}=ignore)."
        )


def _explained(table: ArchTable, context: str, metric: str) -> float:
    """Share of a metric's variance in ranks that a context explains: by its values, or by the rank of its numbers."""
    values = table.metrics[metric]
    known = (values.notna() & table.contexts[context].notna()).to_numpy()
    if known.sum() < MIN_ROWS:
        return 0.0
    ranks = values[known].rank().to_numpy(float)
    column = table.contexts[context][known]
    groups = pd.factorize(column)[0]
    if groups.max() + 1 <= known.sum() / 4:
        fitted: NDArray[np.float64] = (np.bincount(groups, ranks) / np.bincount(groups))[groups]
    elif pd.api.types.is_numeric_dtype(column):
        x = column.rank().to_numpy(float)
        fitted = np.polyval(np.polyfit(x, ranks, 1), x)
    else:
        return 0.0
    return 1 - float(np.var(ranks - fitted) / max(np.var(ranks), RANK))
