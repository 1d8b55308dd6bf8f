"""Roles of a file's columns as a reader changes them: when worth a look, what changed, what is remembered.

`records.ColumnRole` says how a column was read; a mapping is {column: role as `--role` takes it} of those that a reader changed.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from autobuild_core.architectures.records import BETTER, CONTEXT_KINDS, ArchTable, ColumnRole
from autobuild_core.datasets._table import metric_name
from autobuild_core.targets.vocabulary import lower_is_better

ROLE_NAMES = {"architecture": "Architecture", "choice": "Choice"}
ROLE_NAMES |= {f"metric:{way}": f"Metric, {good} is good" for way, good in zip(BETTER, ("high", "low"), strict=True)}
ROLE_NAMES |= {kind: f"Context, {kind}" for kind in CONTEXT_KINDS} | {"ignored": "Ignored"}


def worth_a_look(table: ArchTable) -> bool:
    """Whether a reader should see how the columns were read before the table is kept.

    Always of a flat table, whose space follows from it; of a published space where a column beside the architecture is neither
    a metric nor the same in every row.
    """
    if table.spec.name == "flat":
        return True
    plain = ("architecture", "metric")
    return any(c.role not in plain and not (c.role == "ignored" and c.num_values <= 1) for c in table.columns)


def header_key(columns: Iterable[ColumnRole]) -> str:
    """32 hex digits that are equal for files with the same columns, in whatever order."""
    return hashlib.sha256("\n".join(sorted(c.name for c in columns)).encode()).hexdigest()[:32]


def changed(found: Sequence[ColumnRole], before: Mapping[str, str], name: str, role: str) -> dict[str, str]:
    """A mapping with one column's role changed; a role that was found anyway is no change.

    Args:
        found: how the columns are read without a mapping.
        before: the mapping.
        name: of the column.
        role: one of ROLE_NAMES.
    """
    after = {column: said for column, said in before.items() if column != name}
    own = next((c for c in found if c.name == name), None)
    if own is not None and role in ROLE_NAMES and role != own.spoken:
        after[name] = role
    return after


def said(columns: Iterable[ColumnRole]) -> dict[str, str]:
    """The mapping behind columns that were read with one."""
    return {column.name: column.spoken for column in columns if column.said}


def is_minimized(table: ArchTable, expression: str) -> bool:
    """Whether small values of an equation are the good ones: as a reader said of the metric, else by its name."""
    name = expression.strip()
    better = {metric_name(c.name): c.better for c in table.columns if c.role == "metric"}
    return better[name] == "lower" if better.get(name) else lower_is_better(name)


def columns_table(columns: Iterable[ColumnRole]) -> pd.DataFrame:
    """Column, role in words, kind, values, examples, why, and whether a reader changed it."""
    rows = [
        (c.name, ROLE_NAMES[c.spoken], c.kind, c.num_values, ", ".join(c.examples), c.why, "yes" if c.said else "")
        for c in columns
    ]
    return pd.DataFrame(rows, columns=["column", "role", "kind", "values", "for example", "why", "changed"])
