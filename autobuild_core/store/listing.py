"""The lists of a workspace as tables, from the registry's lines alone."""

import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.store.entries import RunEntry, RunRow
from autobuild_core.store.run_folder import StateRecord

TEXTS = (
    *("id", "kind", "name", "state", "error", "words"),
    *("aim", "result", "data_name", "data_hash", "target", "target_name", "target_unit", "verdict"),
)
TIMES = ("created", "started", "finished")
NUMBERS = ("seed", "srcc", "seconds", "share", "data_version")
FLAGS = ("minimize", "has_scores", "read_only")
RUN_COLUMNS = TEXTS + TIMES + NUMBERS + FLAGS
DATASET_COLUMNS = (
    *("id", "name", "format", "space", "num_rows", "num_metrics", "num_rejected", "hash", "created", "size_mb", "error"),
    *("family", "version", "parent", "origin", "run"),
)
ROW_FIELDS = {field.name for field in fields(RunRow)}


def run_line(line: sqlite3.Row) -> dict[str, Any]:
    """The values of a run's line by column, times in seconds since 1970."""
    names = ("id", "kind", "name", "state", "error", "created", "started", "share", "words")
    values = {name: line[name] for name in names} | {"finished": line["ended"]}
    return _row(line["row"]) | values


def sample_line(entry: RunEntry, state: StateRecord) -> dict[str, Any]:
    """The values of the run that ships, which no registry lists."""
    values = {"id": entry.id, "kind": entry.kind, "name": entry.name, "created": entry.created, "read_only": True}
    values |= {"state": state["state"], "error": state["error"], "started": state["started"], "finished": state["ended"]}
    return asdict(entry.row) | values


def _row(text: str) -> dict[str, Any]:
    """The row that a kind of job gave; of another version what is known of it."""
    try:
        raw = json.loads(text)
    except ValueError:
        return {}
    return {name: value for name, value in raw.items() if name in ROW_FIELDS} if isinstance(raw, dict) else {}


def run_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One line a run with RUN_COLUMNS, the same column types whatever they hold.

    Times are in UTC; "", NaT and NaN stand where there is nothing yet. `seconds` is how long it runs, or ran.
    """
    now = time.time()
    for row in rows:
        started = row.get("started")
        row["seconds"] = (row.get("finished") or now) - started if started else None
    columns: dict[str, Any] = {}
    for name in RUN_COLUMNS:
        values = [row.get(name) for row in rows]
        if name in TEXTS:
            columns[name] = pd.array([str(value or "") for value in values], dtype="str")
        elif name in FLAGS:
            columns[name] = np.array([value is True for value in values], bool)
        else:
            columns[name] = _moments(values) if name in TIMES else _numbers(values)
    return pd.DataFrame(columns)


def _numbers(values: Iterable[Any]) -> NDArray[np.float64]:
    """Numbers, None as NaN."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _moments(seconds: Iterable[Any]) -> pd.DatetimeIndex:
    """Seconds since 1970 as UTC timestamps of whole seconds, None as NaT."""
    numbers = _numbers(seconds)
    known = np.isfinite(numbers)
    whole = np.where(known, np.floor(np.where(known, numbers, 0)), 0).astype("datetime64[s]")
    whole[~known] = np.datetime64("NaT")
    return pd.DatetimeIndex(whole).tz_localize("UTC")


def dataset_frame(lines: Iterable[sqlite3.Row]) -> pd.DataFrame:
    """One line a data set with DATASET_COLUMNS; `created` in UTC, `error` says why one cannot be read."""
    frame = pd.DataFrame([dict(line) for line in lines], columns=list(DATASET_COLUMNS))
    frame["created"] = _moments(frame["created"])
    return frame
