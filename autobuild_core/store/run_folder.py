"""A run folder: all that one training reads and writes, in files that any tool can open.

From the start: config.json (settings, versions, schema version), table.parquet + table.json (a copy of the data), state.json,
progress.jsonl, log.txt. What the pipeline adds (quality.json, modules.parquet, model.safetensors, ...) is its own matter. A run
folder needs no workspace: the command line writes one wherever it is told to.
"""

import json
import platform
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, Self

import pandas as pd

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError, DataError, RunError
from autobuild_core.store import tables
from autobuild_core.targets.equation import Target
from autobuild_core.targets.vocabulary import LONGEST_NAME, LONGEST_UNIT, Label

ACTIVE_STATES = ("queued", "running")
ENDED_STATES = ("finished", "failed", "cancelled", "lost")
STATES = ACTIVE_STATES + ENDED_STATES
MIN_NETWORKS = 10  # distinct ones with a target; of fewer nothing is learned
RECORDED_VERSIONS = ("torch", "numpy", "pandas", "scipy")


@dataclass(frozen=True)
class RunConfig:
    """What a training is asked to do.

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
    """

    id: str
    name: str
    data_name: str
    data_hash: str
    target: str
    minimize: bool = False
    seed: int = 0
    num_members: int | None = None
    num_steps: int | None = None
    max_length: int | None = None
    threads: int = 2
    target_name: str = ""
    target_unit: str = ""
    drop_stopped: bool = False

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
    def goal(self) -> Target:
        """The target, parsed once.

        Raises:
            TargetError: its equation is not in the grammar.
        """
        return Target(self.target, self.minimize)

    @property
    def label(self) -> Label:
        """How the target is called."""
        return Label.of(self.target, self.target_name, self.target_unit)


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

    def create(self, config: RunConfig, table: ArchTable) -> Self:
        """Makes the folder with its settings and a copy of the data, in state "queued".

        Raises:
            RunError: the folder holds a run already.
        """
        if (self.path / "config.json").exists():
            raise RunError(f"{self.path}: got a folder that holds a run already, expected a new one.")
        tables.save_table(table, self.path)
        about = {
            "schema_version": tables.SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": run_versions(),
            "config": asdict(config),
        }
        self.set_state("queued")
        self.write_json("config.json", about)
        return self

    @property
    def about(self) -> dict[str, Any]:
        """config.json: "schema_version", "created", "versions" and "config".

        Raises:
            RunError: there is no run, or another version wrote it.
        """
        if not (self.path / "config.json").is_file():
            raise RunError(f"{self.path}: got no config.json, expected the folder of a run.")
        about: dict[str, Any] = self.read_json("config.json")
        version = about.get("schema_version")
        if version != tables.SCHEMA_VERSION:
            raise RunError(f"{self.path}: got schema version {version}, expected {tables.SCHEMA_VERSION}; train the run anew.")
        return about

    @property
    def config(self) -> RunConfig:
        """The settings.

        Raises:
            RunError: there is no run, another version wrote it, or config.json is damaged.
        """
        try:
            return RunConfig(**self.about["config"])
        except (KeyError, TypeError) as error:
            raise RunError(f"{self.path}/config.json: got damaged settings ({error}), expected those of a run.") from error

    @property
    def state(self) -> dict[str, Any]:
        """{"state", "error"} and, as seconds since 1970 or None, "started" and "ended".

        Raises:
            RunError: there is no run.
        """
        state: dict[str, Any] = self.read_json("state.json")
        return state

    def set_state(self, state: str, error: str = "") -> None:
        """Moves to a state of STATES; `error` is the one clear sentence that a reader sees."""
        assert state in STATES, state
        old = self.state if (self.path / "state.json").exists() else {}
        started, ended, now = old.get("started"), old.get("ended"), time.time()
        if state == "running":
            started, ended = (started if old.get("state") == "lost" else now), None
        elif state in ENDED_STATES:
            ended = now
        self.write_json("state.json", {"state": state, "error": error, "started": started, "ended": ended})

    def append_progress(self, record: dict[str, Any]) -> None:
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
        """What `write_json` wrote.

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
        """What `write_frame` wrote.

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
