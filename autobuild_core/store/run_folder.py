"""A run folder: all that one job reads and writes, in files that any tool can open.

From the start: config.json (kind of job, settings, versions, schema version), table.parquet + table.json (a copy of the data,
where the job has any), state.json, progress.jsonl, log.txt; in a workspace entry.json too, its line of the registry. What a
kind of job adds (of a training quality.json, modules.parquet, model.safetensors, ...) is its own matter. A run folder needs no
workspace: the command line writes one wherever it is told to.
"""

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, NotRequired, Self, TypedDict

import numpy as np
import pandas as pd

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError, DataError, RunError
from autobuild_core.store import tables
from autobuild_core.store.states import ENDED_STATES, RunState
from autobuild_core.targets.aim import Aim
from autobuild_core.targets.equation import Target
from autobuild_core.targets.vocabulary import LONGEST_NAME, LONGEST_UNIT, Label

MIN_NETWORKS = 10  # distinct ones with a target; of fewer nothing is learned
RECORDED_VERSIONS = ("torch", "numpy", "pandas", "scipy")
TRAIN = "train"  # the kind of every run of before there were kinds


@dataclass(frozen=True)
class JobSettings:
    """Settings that every kind of job has; a kind derives its own from them.

    Args:
        id: 32 hex digits, or "" outside a workspace.
        name: what a reader sees.
        threads: threads that the job may use.

    Raises:
        ConfigError: a number is out of range.
    """

    id: str = ""
    name: str = ""
    threads: int = field(default=2, kw_only=True)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ConfigError(f"threads: got {self.threads}, expected at least 1.")


class StateRecord(TypedDict):
    """state.json: times in seconds since 1970; pid and pid_started of the worker while it runs in a workspace."""

    state: str
    error: str
    started: float | None
    ended: float | None
    pid: NotRequired[int]
    pid_started: NotRequired[float]


@dataclass(frozen=True)
class Job:
    """A job as config.json asks for it: its kind, and its settings as JSON has them.

    Args:
        kind: name of a file in jobs/kinds.
        settings: fields of the kind's settings.
        created: seconds since 1970.
    """

    kind: str
    settings: dict[str, Any]
    created: float

    @property
    def threads(self) -> int:
        """Threads that the job may use."""
        wished = self.settings.get("threads")
        return wished if isinstance(wished, int) and wished > 0 else 1


@dataclass(frozen=True)
class RunConfig(JobSettings):
    """The settings of a training.

    Args:
        id: 32 hex digits, or "" outside a workspace.
        name: what a reader sees.
        data_name: name of the data set.
        data_hash: `tables.content_hash` of its table.
        target: equation over the metrics.
        minimize: smaller targets are better.
        seed: of every random choice.
        num_members: members of the ensemble; None = the pipeline's own choice, as below.
        num_steps: training steps.
        max_length: longest module scored that crosses units.
        threads: threads that the training may use.
        target_name: what the target is called; "" = its equation.
        target_unit: unit of its values; "" = what follows from equation and name.
        drop_stopped: stopped trials are left out, not learned as worse than their bound.
        data_version: version of the data set that is learned from.
    """

    data_name: str = ""
    data_hash: str = ""
    target: str = ""
    minimize: bool = False
    seed: int = 0
    num_members: int | None = None
    num_steps: int | None = None
    max_length: int | None = None
    target_name: str = ""
    target_unit: str = ""
    drop_stopped: bool = False
    data_version: int = 1

    def __post_init__(self) -> None:
        """Checks numbers and names.

        Raises:
            ConfigError: one is out of range.
        """
        for what, text, longest in (
            ("target name", self.target_name, LONGEST_NAME),
            ("target unit", self.target_unit, LONGEST_UNIT),
        ):
            if len(text) > longest or text != " ".join(text.split()):
                raise ConfigError(f"{what}: got '{text[:80]}', expected one line of at most {longest} characters.")
        smallest = {"seed": 0, "num_members": 2, "num_steps": 1, "max_length": 1, "threads": 1}
        for setting, least in smallest.items():
            value = getattr(self, setting)
            if value is not None and value < least:
                raise ConfigError(f"{setting.removeprefix('num_')}: got {value}, expected at least {least}.")

    @cached_property
    def aim(self) -> Aim:
        """Target, direction, name and unit in one value."""
        return Aim(self.target, self.minimize, self.target_name, self.target_unit)

    @property
    def goal(self) -> Target:
        """The target, parsed once.

        Raises:
            TargetError: its equation is not in the grammar.
        """
        return self.aim.target

    @property
    def label(self) -> Label:
        """The name and the unit of the target."""
        return self.aim.label


def run_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result, without importing them."""
    versions = {"python": platform.python_version()}
    for package in RECORDED_VERSIONS:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = ""
    return versions


class RunFolder:
    """One run on disk. Making the object reads nothing; each call reads what is there now.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def create(self, settings: JobSettings, table: ArchTable | None, kind: str = TRAIN) -> Self:
        """Makes the folder with its settings and a copy of the data, in state "queued".

        Args:
            settings: those of the kind of job.
            table: the data; None for a job without any.
            kind: of the job.

        Raises:
            RunError: the folder holds a run already.
        """
        if (self.path / "config.json").exists():
            raise RunError(f"{self.path}: got a folder that holds a run already, expected a new one.")
        self.path.mkdir(parents=True, exist_ok=True)
        if table is not None:
            tables.save_table(table, self.path)
        about = {
            "schema_version": tables.SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": run_versions(),
            "kind": kind,
            "config": asdict(settings),
        }
        self.set_state(RunState.QUEUED)
        self.write_json("config.json", about)
        return self

    @property
    def about(self) -> dict[str, Any]:
        """config.json: "schema_version", "created", "versions", "kind" (of runs of before: none) and "config".

        Raises:
            RunError: there is no run, or another version wrote it.
        """
        if not (self.path / "config.json").is_file():
            raise RunError(f"{self.path}: got no config.json, expected the folder of a run.")
        about = self._object("config.json")
        version = about.get("schema_version")
        if version != tables.SCHEMA_VERSION:
            raise RunError(f"{self.path}: got schema version {version}, expected {tables.SCHEMA_VERSION}; train the run anew.")
        return about

    @property
    def job(self) -> Job:
        """The kind of job and its settings.

        Raises:
            RunError: there is no run, another version wrote it, or config.json is damaged.
        """
        about = self.about
        try:
            created = datetime.fromisoformat(about["created"]).timestamp()
            return Job(str(about.get("kind", TRAIN)), dict(about["config"]), created)
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged("config.json", error) from error

    @property
    def config(self) -> RunConfig:
        """The settings of a training.

        Raises:
            RunError: there is no run, another version wrote it, it is another kind of job, or config.json is damaged.
        """
        job = self.job
        if job.kind != TRAIN:
            raise RunError(f"{self.path}: got a job of the kind '{job.kind}', expected a training.")
        try:
            return RunConfig(**job.settings)
        except TypeError as error:
            raise self._damaged("config.json", error) from error

    @property
    def state(self) -> StateRecord:
        """The state, its error, and when the run started and ended.

        Raises:
            RunError: there is no run, or state.json is damaged.
        """
        state = self._object("state.json")
        if str(state.get("state")) not in set(RunState):
            raise self._damaged("state.json", f"state {state.get('state')!r}")
        whole: StateRecord = {"state": "", "error": "", "started": None, "ended": None}
        whole.update(state)  # type: ignore[typeddict-item]
        return whole

    def set_state(self, state: str, error: str = "", worker: tuple[int, float] | None = None) -> StateRecord:
        """Moves to a state of RunState.

        Args:
            state: the new one.
            error: the one clear sentence that a reader sees.
            worker: (pid, when it started) of who runs it now, so that a registry can be made anew under a running job.

        Returns:
            What was written.
        """
        assert state in set(RunState), state
        old, now = self._old_state(), time.time()
        started, ended = old.get("started"), old.get("ended")
        if state == RunState.RUNNING:
            started, ended = (started if old.get("state") == RunState.LOST else now), None
        elif state == RunState.QUEUED:
            started, ended = None, None
        elif state in ENDED_STATES:
            ended = now
        new: StateRecord = {"state": str(state), "error": error, "started": started, "ended": ended}
        if worker is not None:
            new["pid"], new["pid_started"] = worker
        self.write_json("state.json", new)
        return new

    def _old_state(self) -> dict[str, Any]:
        """state.json as it is, {} where it is missing or damaged: a new state mends it."""
        try:
            return dict(self.state)
        except RunError:
            return {}

    def _object(self, name: str) -> dict[str, Any]:
        """A JSON file that holds an object.

        Raises:
            RunError: it is missing or damaged.
        """
        value = self.read_json(name)
        if not isinstance(value, dict):
            raise self._damaged(name, f"a {type(value).__name__}")
        return value

    def _damaged(self, name: str, found: object) -> RunError:
        """The error of a file that is not what was written."""
        return RunError(f"{self.path / name}: got a damaged file ({found}), expected that of a run; delete the run.")

    def append_progress(self, record: Mapping[str, object]) -> None:
        """Adds one line to progress.jsonl."""
        self._append("progress.jsonl", tables.to_json(record) + "\n")

    def progress(self) -> pd.DataFrame:
        """One row a record so far; without columns before the first. A line that is half written is left out."""
        path = self.path / "progress.jsonl"
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        records = []
        for line in lines:
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
        return pd.DataFrame(records)

    def last_progress(self) -> dict[str, Any]:
        """The newest record of progress.jsonl, {} before the first; reads only the end of the file."""
        path = self.path / "progress.jsonl"
        if not path.exists():
            return {}
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 65_536))
            lines = file.read().split(b"\n")[:-1]
        for line in reversed(lines):
            try:
                record: dict[str, Any] = json.loads(line)
            except ValueError:
                continue
            return record
        return {}

    def log(self, line: str) -> None:
        """Adds a line, or several, with the time to log.txt."""
        self._append("log.txt", f"{datetime.now().strftime('%H:%M:%S')} {line.rstrip()}\n")

    def log_text(self) -> str:
        """All of log.txt, "" when there is none."""
        path = self.path / "log.txt"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _append(self, name: str, text: str) -> None:
        """One write to the end of a file, so that lines of several threads do not mix."""
        with (self.path / name).open("ab", buffering=0) as file:
            file.write(text.encode())

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file atomically; numpy values are welcome."""
        tables.write_json(self.path / name, value)

    def read_json(self, name: str) -> Any:
        """The value that `write_json` wrote.

        Raises:
            RunError: the file is missing or damaged.
        """
        try:
            return json.loads(self._existing(name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunError(f"{self.path / name}: got a damaged file ({error}), expected JSON.") from error

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Writes a table as Parquet, atomically; `name` has its suffix."""
        tables.write_frame(self.path / name, frame)

    def read_frame(self, name: str) -> pd.DataFrame:
        """The table that `write_frame` wrote.

        Raises:
            RunError: the file is missing or damaged.
        """
        path = self._existing(name)
        try:
            return tables.read_frame(path)
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: got a damaged file ({error}), expected Parquet.") from error

    def _existing(self, name: str) -> Path:
        """The path of a file of the run.

        Raises:
            RunError: there is none.
        """
        path = self.path / name
        if not path.is_file():
            raise RunError(f"{self.path}: got no {name}, expected it in a run that has come so far.")
        return path

    def table(self) -> ArchTable:
        """The run's own copy of the data.

        Raises:
            RunError: it is missing or damaged.
        """
        try:
            return tables.load_table(self.path)
        except DataError as error:
            raise RunError(str(error)) from error

    def measurements(self) -> ArchTable:
        """The data that the run learned from, of repeats with other seeds the mean in place of the first.

        Raises:
            RunError: the data are missing or damaged.
        """
        table = self.table()
        return table.over_seeds(np.isfinite(self.config.goal.values(table.metrics)))
