"""An Optuna study in its SQLite storage, read without writing to it: parameters, values, states, what each may take.

Source: the tables of `optuna.storages.RDBStorage` (schema version 12). A categorical parameter is stored as the number of its
choice in its distribution. A pruned trial ranks below the completed trials that were better at its last step.
"""

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import Dataset, Fit
from autobuild_core.datasets._files import open_bytes
from autobuild_core.datasets._intake import assemble
from autobuild_core.datasets._rows import Request, Row, collect_objects
from autobuild_core.errors import DataError
from autobuild_core.spaces._declared import as_text

MAGIC = b"SQLite format 3\0"
JOURNAL = slice(18, 20)  # bytes of the header: 1 = rollback journal; a copy in memory has no write-ahead log
MAX_INTEGERS = 64  # values of an integer parameter that are all choices of the space
LOWEST = 0.05  # quantile below which no trial is said to be
DAMAGED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)  # in a distribution
TABLES = frozenset({"studies", "trials", "trial_params", "trial_values"})


def _example() -> bytes:
    """A storage of six trials."""
    with _memory() as connection:
        connection.executescript(
            "CREATE TABLE studies (study_id INTEGER PRIMARY KEY, study_name TEXT);"
            "CREATE TABLE study_directions (study_id INTEGER, objective INTEGER, direction TEXT);"
            "CREATE TABLE trials (trial_id INTEGER PRIMARY KEY, number INTEGER, study_id INTEGER, state TEXT);"
            "CREATE TABLE trial_params (trial_id INTEGER, param_name TEXT, param_value REAL, distribution_json TEXT);"
            "CREATE TABLE trial_values (trial_id INTEGER, objective INTEGER, value REAL, value_type TEXT);"
            "INSERT INTO studies VALUES (1, 'example'); INSERT INTO study_directions VALUES (1, 0, 'MAXIMIZE');"
        )
        act = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": ["relu", "gelu"]}})
        depth = json.dumps({"name": "IntDistribution", "attributes": {"low": 1, "high": 3, "step": 1, "log": False}})
        for number in range(6):
            connection.execute("INSERT INTO trials VALUES (?, ?, 1, 'COMPLETE')", (number, number))
            params = [(number, "activation", number % 2, act), (number, "n_layers", 1 + number // 2, depth)]
            connection.executemany("INSERT INTO trial_params VALUES (?, ?, ?, ?)", params)
            connection.execute("INSERT INTO trial_values VALUES (?, 0, ?, 'FINITE')", (number, 0.7 + 0.01 * number))
        connection.commit()
        return connection.serialize()


@contextmanager
def _memory() -> Iterator[sqlite3.Connection]:
    """A database in memory."""
    connection = sqlite3.connect(":memory:")
    try:
        yield connection
    finally:
        connection.close()


@final
class OptunaStorage(Dataset):
    """Of several studies that with the most completed trials."""

    title = "Optuna storage (SQLite)"
    about = "the file behind sqlite:///study.db"
    example = _example()

    def supports(self, head: bytes, name: str) -> Fit:
        if not head.startswith(MAGIC):
            return Fit(0, "is no SQLite database")
        named = b"trial_params" in head or b"studies" in head
        return Fit(1 if named else 0.3, "a SQLite database with Optuna's tables" if named else "a SQLite database")

    def read(self, path: Path, request: Request) -> ArchTable:
        with open_bytes(path) as file:
            content = bytearray(file.read())
        content[JOURNAL] = b"\1\1"
        try:
            with _memory() as connection:
                connection.deserialize(bytes(content))
                study = _Study(connection, path.name)
                rows, wider, bounds = study.rows(), study.values(), study.bounds()
        except (sqlite3.Error, *DAMAGED) as error:
            raise DataError(f"{path.name}: got a SQLite file that is no readable Optuna storage ({error}).") from None
        if not rows:
            raise DataError(f"{path.name}: got a study without a trial, expected completed trials.")
        request = replace(request, wider=wider, censored=bounds)
        table = assemble(collect_objects(lambda: iter(rows), request), request)
        return replace(table, notes=(*table.notes, *study.notes))


class _Study:
    """The study of a storage with the most completed trials."""

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self.query = connection.execute
        have = {row[0] for row in self.query("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not have >= TABLES:
            shown = ", ".join(sorted(have)[:6]) or "no table"
            raise DataError(f"{name}: got a SQLite database with {shown}, expected the storage of an Optuna study.")
        self.have, self.notes = have, list[str]()
        counted = self.query(
            "SELECT s.study_id, s.study_name, SUM(t.state = 'COMPLETE') FROM studies s LEFT JOIN trials t USING (study_id) "
            "GROUP BY s.study_id ORDER BY 3 DESC, 1"
        ).fetchall()
        if not counted:
            raise DataError(f"{name}: got a storage without a study, expected one with completed trials.")
        self.id = counted[0][0]
        if len(counted) > 1:
            others = ", ".join(str(row[1]) for row in counted[1:6])
            self.notes.append(
                f"Of {len(counted)} studies that with the most completed trials was read: {counted[0][1]}; not {others}."
            )
        directions = self.query("SELECT objective, direction FROM study_directions WHERE study_id = ? ORDER BY 1", (self.id,))
        self.minimized = [str(direction).upper().startswith("MIN") for _, direction in directions]
        if any(self.minimized):
            which = [self._value(i) for i, low in enumerate(self.minimized) if low]
            self.notes.append(f"The study minimises {', '.join(which)}.")

    def _value(self, objective: int) -> str:
        """The name of an objective, as in `trials_dataframe`."""
        return "value" if len(self.minimized) < 2 else f"values_{objective}"

    def rows(self) -> list[Row]:
        """One object a trial, with the columns of `trials_dataframe`."""
        trials: dict[int, dict[str, Any]] = {}
        for trial, number, state in self.query(
            "SELECT trial_id, number, state FROM trials WHERE study_id = ? ORDER BY number", (self.id,)
        ):
            trials[trial] = {"number": number} | dict.fromkeys(map(self._value, range(len(self.minimized) or 1)))
            trials[trial]["state"] = state
        for trial, name, value, distribution in self._params:
            if trial in trials:
                trials[trial][f"params_{name}"] = _external(value, distribution)
        for trial, objective, value in self.query("SELECT trial_id, objective, value FROM trial_values"):
            if trial in trials:
                trials[trial][self._value(objective)] = value
        if "trial_user_attributes" in self.have:
            for trial, key, value in self.query("SELECT trial_id, key, value_json FROM trial_user_attributes"):
                if trial in trials:
                    trials[trial][f"user_attrs_{key}"] = json.loads(value)
        return list(trials.values())

    @cached_property
    def _params(self) -> list[tuple[int, str, float, dict[str, Any]]]:
        """(trial, parameter, stored value, distribution) of the study."""
        found = self.query(
            "SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json FROM trial_params p "
            "JOIN trials t USING (trial_id) WHERE t.study_id = ?",
            (self.id,),
        )
        decoded = cache(json.loads)  # few distributions, repeated by every trial
        return [(trial, name, value, decoded(text)) for trial, name, value, text in found]

    def values(self) -> dict[str, tuple[str, ...]]:
        """{parameter: values} of what the study says it can take: categories, and whole numbers of at most MAX_INTEGERS."""
        found: dict[str, dict[str, None]] = {}
        for _, name, _, distribution in self._params:
            about = distribution.get("attributes", {})
            if "choices" in about:
                values = [as_text(choice) for choice in about["choices"] if choice is not None]
            elif distribution.get("name", "").startswith("Int") and not about.get("log"):
                numbers = range(int(about["low"]), int(about["high"]) + 1, int(about.get("step") or 1))
                if len(numbers) > MAX_INTEGERS:
                    continue
                values = [str(number) for number in numbers]
            else:
                continue
            found.setdefault(name, {}).update(dict.fromkeys(values))
        return {name: tuple(values) for name, values in found.items()}

    def bounds(self) -> dict[int, float]:
        """{row: quantile} of pruned trials: the share of completed trials that were not better at the trial's last step."""
        if "trial_intermediate_values" not in self.have or len(self.minimized) > 1:
            return {}
        sign = -1 if any(self.minimized) else 1
        states = dict(self.query("SELECT trial_id, state FROM trials WHERE study_id = ? ORDER BY number", (self.id,)).fetchall())
        by_step: dict[int, list[float]] = {}
        last: dict[int, tuple[int, float]] = {}
        for trial, step, value in self.query(
            "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values ORDER BY step"
        ):
            if value is None or not math.isfinite(value) or trial not in states:
                continue
            if states[trial] == "COMPLETE":
                by_step.setdefault(step, []).append(sign * value)
            elif states[trial] == "PRUNED":
                last[trial] = (step, sign * value)
        found = {}
        for row, trial in enumerate(states):
            if trial in last and (known := by_step.get(last[trial][0])):
                found[row] = float(np.clip(np.mean(np.array(known) <= last[trial][1]), LOWEST, 1))
        return found


def _external(value: float, distribution: dict[str, Any]) -> Any:
    """A stored value as the study's objective saw it."""
    about = distribution.get("attributes", {})
    if "choices" in about:
        return about["choices"][int(value)]
    return int(value) if distribution.get("name", "").startswith("Int") else value
