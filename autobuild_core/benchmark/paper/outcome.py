"""The outcome of an experiment: its tables and verdicts, from which the page is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autobuild_core.benchmark.paper.comparing import Verdict

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Args:
        title: its heading.
        records: its lines.
        notes: below it.
    """

    title: str
    records: Sequence[Record]
    notes: str = ""


@dataclass(frozen=True)
class Outcome:
    """The outcome of an experiment.

    Args:
        title: its heading.
        about: how it was made, and what of it is ours.
        tables: its tables.
        verdicts: its comparisons.
        conditions: of its evaluations (`Ledger.conditions`).
    """

    title: str
    about: str
    tables: Sequence[Table]
    verdicts: Sequence[Verdict]
    conditions: Sequence[Record] = ()


def as_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome ready for JSON: its tables by title, its verdicts."""
    tables = {table.title: list(table.records) for table in outcome.tables}
    return {"tables": tables, "verdicts": [{"outcome": one.outcome, "text": one.text} for one in outcome.verdicts]}
