"""The workspace: data sets, runs and uploads in folders, and an SQLite registry of what they are called and how they stand.

    datasets/<id>/   a saved table (tables.py)
    runs/<id>/       a run folder (run_folder.py)
    uploads/<id>/    a file whose columns are being looked at, and mapping.json: what was said of them so far
    mappings/<key>.json  what was said of the columns of files with one header (mapping.header_key)
    registry.sqlite  names, states and the job queue; WAL, a busy timeout, a short connection a call

Ids are 128 random bits in hex: knowing one is the right to open it. The run that ships in sample_data/run is offered too, as a
read-only run of id "sample".
"""

import json
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError, DataError, RunError, StudioError
from autobuild_core.registry import ROOT
from autobuild_core.store import tables
from autobuild_core.store.run_folder import ACTIVE_STATES, ENDED_STATES, STATES, RunConfig, RunFolder
from autobuild_core.store.tables import SCHEMA_VERSION, content_hash, load_table, save_table

__all__ = [
    "ACTIVE_STATES",
    "ENDED_STATES",
    "SAMPLE_ID",
    "SCHEMA_VERSION",
    "STATES",
    "RunConfig",
    "RunFolder",
    "Workspace",
    "content_hash",
    "load_table",
    "save_table",
]

KINDS = {"datasets": "data set", "runs": "run", "uploads": "upload"}
SAMPLE_ID = "sample"
SAMPLE_RUN = ROOT / "sample_data" / "run"
DEFAULT_CAP_GB = 5.0
LONGEST_NAME = 120
BUSY_SECONDS = 20.0
UPLOAD_SECONDS = 86_400.0
LONGEST_FILE_NAME = 200  # bytes
TEXTS = ("id", "name", "state", "data_name", "data_hash", "target", "target_name", "target_unit", "verdict", "phase", "error")
TIMES = ("created", "started", "finished")
NUMBERS = ("seed", "threads", "seconds", "srcc", "kendall", "mae", "step", "num_steps", "loss", "seconds_left")
FLAGS = ("minimize", "read_only")
RUN_COLUMNS = TEXTS + TIMES + NUMBERS + FLAGS
DATASET_COLUMNS = ("id", "name", "format", "space", "num_rows", "num_metrics", "num_rejected", "hash", "created", "size_mb")
TABLES = """
CREATE TABLE IF NOT EXISTS datasets (id TEXT PRIMARY KEY, name TEXT NOT NULL, hash TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL,
    submitted REAL, pid INTEGER, pid_started REAL, heartbeat REAL, cancel REAL
);
"""


def _new_id() -> str:
    return secrets.token_hex(16)


def _folder_bytes(folder: Path) -> int:
    """Size of the files below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total


def _clean_name(name: str, what: str) -> str:
    """A name in one line.

    Raises:
        ConfigError: it is empty or too long.
    """
    clean = " ".join(name.split())
    if not 0 < len(clean) <= LONGEST_NAME:
        raise ConfigError(f"name of a {what}: got {len(clean)} characters, expected 1 to {LONGEST_NAME}.")
    return clean


def _file_name(name: str) -> str:
    """A name that a file can have here: its end, where it is long."""
    safe = Path(name.replace("\0", "")).name.lstrip(".")
    return safe.encode()[-LONGEST_FILE_NAME:].decode(errors="ignore") or "file"


def _moment(seconds: Any) -> Any:
    """Seconds since 1970 as a UTC timestamp, None as NaT."""
    return pd.NaT if seconds is None else pd.Timestamp(seconds, unit="s", tz="UTC").floor("s")


class Workspace:
    """One shared place for data sets and runs. Objects are light: make one wherever one is needed.

    Args:
        path: its folder, made when it is not there.
        cap_gb: most that data sets and runs may take; None = AUTOBUILD_DISK_CAP_GB, else 5.
    """

    def __init__(self, path: Path | str, cap_gb: float | None = None) -> None:
        self.path = Path(path).resolve()
        self.cap_gb = _cap_setting() if cap_gb is None else cap_gb
        for name in (*KINDS, "mappings"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        with self.connect() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA_VERSION):
                raise RunError(f"workspace {self.path}: got version {version}, expected {SCHEMA_VERSION}; choose another folder.")
            if version == 0:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(TABLES + f"PRAGMA user_version = {SCHEMA_VERSION};")

    @contextmanager
    def connect(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A short connection; with `write` one transaction that holds the write lock from its start."""
        connection = sqlite3.connect(self.path / "registry.sqlite", timeout=BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            if write:
                connection.execute("BEGIN IMMEDIATE")
            yield connection
            if write:
                connection.execute("COMMIT")
        finally:
            connection.close()  # an open transaction is rolled back

    # Data sets

    def add_dataset(self, table: ArchTable, name: str) -> str:
        """Saves a table; the same content, read in the same way, is kept once under the same name.

        Returns:
            The id of the data set.

        Raises:
            ConfigError: the name is empty or too long, or the disk cap would be passed.
        """
        name, digest = _clean_name(name, "data set"), content_hash(table)
        query = "SELECT id FROM datasets WHERE hash = ? AND name = ?"
        with self.connect() as connection:
            known = [str(entry["id"]) for entry in connection.execute(query, (digest, name)).fetchall()]
        for dataset_id in known:
            if self.dataset(dataset_id).columns == table.columns:
                return dataset_id
        dataset_id = _new_id()
        with self._new_folder("datasets", dataset_id) as folder:
            save_table(table, folder)
        with self.connect(write=True) as connection:
            connection.execute("INSERT INTO datasets VALUES (?, ?, ?, ?)", (dataset_id, name, digest, time.time()))
        return dataset_id

    def datasets(self) -> pd.DataFrame:
        """One row a data set, newest first, with DATASET_COLUMNS; `created` in UTC."""
        with self.connect() as connection:
            entries = connection.execute("SELECT * FROM datasets ORDER BY created DESC, rowid DESC").fetchall()
        rows = []
        for entry in entries:
            folder = self.path / "datasets" / entry["id"]
            try:
                facts = tables.table_facts(folder)
            except DataError:
                continue  # deleted this moment, or by hand
            size_mb = _folder_bytes(folder) / 1e6
            counts = (facts["num_rows"], len(facts["metrics"]), len(facts["rejected"]))
            space = facts["spec"]["title"]
            created = _moment(entry["created"])
            rows.append((entry["id"], entry["name"], facts["format"], space, *counts, entry["hash"], created, size_mb))
        return pd.DataFrame(rows, columns=list(DATASET_COLUMNS))

    def dataset(self, dataset_id: str) -> ArchTable:
        """The table of a data set.

        Raises:
            RunError: there is none of that id.
            DataError: its files are damaged.
        """
        return load_table(self._folder("datasets", dataset_id))

    def dataset_name(self, dataset_id: str) -> str:
        """What a data set is called.

        Raises:
            RunError: there is none of that id.
        """
        return str(self._entry("datasets", dataset_id)["name"])

    def delete_dataset(self, dataset_id: str) -> None:
        """Deletes a data set; runs keep their own copy of the data.

        Raises:
            RunError: there is none of that id.
        """
        self._entry("datasets", dataset_id)
        with self.connect(write=True) as connection:
            connection.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))
            trash = self._to_trash("datasets", dataset_id)
        shutil.rmtree(trash, ignore_errors=True)

    # Runs

    def add_run(self, dataset_id: str, target: str, *, name: str = "", minimize: bool = False, **settings: Any) -> str:
        """Makes the folder of a run in state "queued"; `executor.Executor.submit` then puts it in the queue.

        Args:
            dataset_id: the data; the run keeps its own copy.
            target: equation over the metrics; checked by the caller (targets/equation.py).
            name: "" = data set and what the target is called.
            minimize: smaller targets are better.
            settings: other fields of `RunConfig`: seed, num_members, num_steps, max_length, threads, target_name, target_unit.

        Returns:
            The id of the run.

        Raises:
            RunError: there is no such data set.
            ConfigError: the name is too long, a setting is unknown, or the disk cap would be passed.
        """
        table, data_name = self.dataset(dataset_id), self.dataset_name(dataset_id)
        name = _clean_name(name or f"{data_name}: {settings.get('target_name') or target}"[:LONGEST_NAME], "run")
        run_id, digest = _new_id(), content_hash(table)
        try:
            config = RunConfig(run_id, name, data_name, digest, target, minimize, **settings)
        except TypeError as error:
            raise ConfigError(f"settings of a run: got {', '.join(settings)}, expected fields of RunConfig ({error}).") from error
        with self._new_folder("runs", run_id) as folder:
            RunFolder(folder).create(config, table)
        with self.connect(write=True) as connection:
            query = "INSERT INTO runs (id, name, state, created) VALUES (?, ?, 'queued', ?)"
            connection.execute(query, (run_id, name, time.time()))
        return run_id

    def runs(self) -> pd.DataFrame:
        """One row a run, newest first, with RUN_COLUMNS: times in UTC, "", NaT and NaN where there is nothing yet."""
        with self.connect() as connection:
            entries = connection.execute("SELECT * FROM runs ORDER BY created DESC, rowid DESC").fetchall()
        rows = []
        for entry in entries:
            try:
                rows.append(_run_row(self.run(entry["id"]), dict(entry)))
            except RunError as error:
                if (self.path / "runs" / entry["id"]).exists():
                    rows.append({"id": entry["id"], "name": entry["name"], "state": "lost", "error": str(error)})
        if (SAMPLE_RUN / "config.json").exists():
            rows.append(_run_row(RunFolder(SAMPLE_RUN), {"id": SAMPLE_ID, "read_only": True}))
        return _run_frame(rows)

    def run(self, run_id: str) -> RunFolder:
        """The folder of a run, or of the sample.

        Raises:
            RunError: there is none of that id.
        """
        if run_id == SAMPLE_ID and (SAMPLE_RUN / "config.json").exists():
            return RunFolder(SAMPLE_RUN)
        return RunFolder(self._folder("runs", run_id))

    def run_name(self, run_id: str) -> str:
        """What a run is called now.

        Raises:
            RunError: there is none of that id.
        """
        return self.run(run_id).config.name if run_id == SAMPLE_ID else str(self._entry("runs", run_id)["name"])

    def rename_run(self, run_id: str, name: str) -> None:
        """Gives a run another name.

        Raises:
            RunError: there is none of that id, or it is the sample.
            ConfigError: the name is empty or too long.
        """
        self._refuse_sample(run_id)
        self._entry("runs", run_id)
        with self.connect(write=True) as connection:
            connection.execute("UPDATE runs SET name = ? WHERE id = ?", (_clean_name(name, "run"), run_id))

    def delete_run(self, run_id: str) -> None:
        """Deletes a run that is not running. Its folder leaves its place in one step, then its files go.

        Raises:
            RunError: there is none of that id, it is running, or it is the sample.
        """
        self._refuse_sample(run_id)
        self._entry("runs", run_id)
        with self.connect(write=True) as connection:
            query = "SELECT state FROM runs WHERE id = ?"
            entry = connection.execute(query, (run_id,)).fetchone()
            if entry and entry["state"] == "running":
                raise RunError(f"run {run_id[:8]}: got a request to delete it while it is running, expected it cancelled first.")
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
            trash = self._to_trash("runs", run_id)
        shutil.rmtree(trash, ignore_errors=True)

    # Uploads, and what is remembered of their columns

    def add_upload(self, content: memoryview | bytes, name: str, mapping: dict[str, Any]) -> str:
        """Keeps a file until it is stored as a data set or dropped; what nobody came back to in a day goes.

        Args:
            content: of the file.
            name: that it had.
            mapping: what was said of its columns, as `set_mapping` keeps it.

        Returns:
            The id of the upload.

        Raises:
            ConfigError: the disk cap would be passed.
        """
        for folder in (self.path / "uploads").iterdir():
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > UPLOAD_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
        upload_id = _new_id()
        with self._new_folder("uploads", upload_id) as folder:
            (folder / "file").mkdir(parents=True)
            (folder / "file" / _file_name(name)).write_bytes(content)
            tables.write_json(folder / "mapping.json", mapping | {"name": Path(name).name})
        return upload_id

    def upload(self, upload_id: str) -> tuple[Path, dict[str, Any]]:
        """(the file, {"name", and what was said of its columns}).

        Raises:
            RunError: there is none of that id.
        """
        folder = self._folder("uploads", upload_id)
        try:
            mapping: dict[str, Any] = json.loads((folder / "mapping.json").read_text(encoding="utf-8"))
            return next((folder / "file").iterdir()), mapping
        except (OSError, ValueError, StopIteration) as error:
            raise RunError(f"upload {upload_id[:8]}: got a damaged folder, expected a file; drop it again.") from error

    def set_mapping(self, upload_id: str, mapping: dict[str, Any]) -> None:
        """Keeps what is said of an upload's columns now.

        Raises:
            RunError: there is none of that id.
        """
        tables.write_json(self._folder("uploads", upload_id) / "mapping.json", mapping)

    def delete_upload(self, upload_id: str) -> None:
        """Deletes an upload; one that is gone already is none."""
        with suppress(RunError):
            shutil.rmtree(self._folder("uploads", upload_id), ignore_errors=True)

    def remember_roles(self, key: str, roles: dict[str, str], name: str) -> None:
        """Keeps what a reader said of the columns of a file for the next one with the same header; {} forgets it.

        Args:
            key: `_mapping.header_key`.
            roles: {column: role} that differ from the found ones.
            name: of the file.
        """
        path = self.path / "mappings" / f"{key}.json"
        if roles:
            tables.write_json(path, {"name": name, "roles": roles})
        else:
            path.unlink(missing_ok=True)

    def remembered_roles(self, key: str) -> tuple[str, dict[str, str]]:
        """(the file of which they were said, {column: role}); ("", {}) where nothing is remembered."""
        try:
            found = json.loads((self.path / "mappings" / f"{key}.json").read_text(encoding="utf-8"))
            return str(found["name"]), dict(found["roles"])
        except (OSError, ValueError, LookupError, TypeError):
            return "", {}

    # Disk

    def size_gb(self) -> float:
        """What data sets, runs and uploads take now, in GB (10^9 bytes)."""
        return sum(_folder_bytes(self.path / name) for name in KINDS) / 1e9

    @contextmanager
    def _new_folder(self, kind: str, new_id: str) -> Iterator[Path]:
        """A hidden folder to fill; it takes its place in one step when the block ends well and the disk cap allows it."""
        hidden = self.path / kind / f".{new_id}.part"
        try:
            yield hidden
            used, new = self.size_gb(), _folder_bytes(hidden) / 1e9
            if used > self.cap_gb:
                raise ConfigError(
                    f"workspace {self.path}: got {new:.3f} GB on top of {used - new:.3f} GB, expected at most {self.cap_gb:g} GB "
                    "in all; delete runs or data sets, or raise AUTOBUILD_DISK_CAP_GB."
                )
            hidden.rename(self.path / kind / new_id)
        finally:
            shutil.rmtree(hidden, ignore_errors=True)

    def _to_trash(self, kind: str, old_id: str) -> Path:
        """Moves a folder to a hidden name, which is returned; leftovers of a deletion cut short go with it."""
        for leftover in (self.path / kind).glob(".trash-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        trash = self.path / kind / f".trash-{secrets.token_hex(4)}-{old_id}"
        folder = self.path / kind / old_id
        if folder.exists():
            folder.rename(trash)
        return trash

    def _folder(self, kind: str, some_id: str) -> Path:
        """The folder of an id; an id that is not one of ours never reaches the file system.

        Raises:
            RunError: there is none.
        """
        what = KINDS[kind]
        if not re.fullmatch(r"[0-9a-f]{32}", some_id):
            raise RunError(f"{what}: got the id '{some_id[:40]}', expected 32 hex digits.")
        folder = self.path / kind / some_id
        if not folder.is_dir():
            raise RunError(f"{what} {some_id[:8]}: got an id that is not in this workspace, expected one that was not deleted.")
        return folder

    def _entry(self, kind: str, some_id: str) -> sqlite3.Row:
        """The registry's row of an id.

        Raises:
            RunError: there is none.
        """
        self._folder(kind, some_id)
        with self.connect() as connection:
            entry: sqlite3.Row | None = connection.execute(f"SELECT * FROM {kind} WHERE id = ?", (some_id,)).fetchone()
        if entry is None:
            raise RunError(f"{kind}: got the id {some_id[:8]}, which the registry does not list, expected one it lists.")
        return entry

    @staticmethod
    def _refuse_sample(run_id: str) -> None:
        """Raises: RunError: the id is that of the sample."""
        if run_id == SAMPLE_ID:
            raise RunError("run sample: got a request to change it, expected none: it ships with the project and is read-only.")


def _cap_setting() -> float:
    """The disk cap of the environment.

    Raises:
        ConfigError: it is not a positive number.
    """
    text = os.environ.get("AUTOBUILD_DISK_CAP_GB") or str(DEFAULT_CAP_GB)
    try:
        cap = float(text)
    except ValueError:
        cap = -1.0
    if not cap > 0:
        raise ConfigError(f"AUTOBUILD_DISK_CAP_GB: got '{text}', expected a positive number of gigabytes.")
    return cap


def _run_row(folder: RunFolder, entry: dict[str, Any]) -> dict[str, Any]:
    """One row of `Workspace.runs`: what the registry, the folder and its newest progress say.

    Raises:
        RunError: the folder is missing, damaged, or of another version.
    """
    config, state, progress = folder.config, folder.state, folder.last_progress()
    try:
        quality = folder.read_json("quality.json")
    except StudioError:
        quality = {}
    started, ended = state.get("started"), state.get("ended")
    created = pd.Timestamp(folder.about["created"]).timestamp()
    row: dict[str, Any] = {name: getattr(config, name) for name in ("name", "data_name", "data_hash")}
    row |= {name: getattr(config, name) for name in ("target", "target_name", "target_unit", "minimize", "seed", "threads")}
    row |= {name: progress.get(name) for name in ("step", "num_steps", "loss", "phase", "seconds_left")}
    row |= {name: quality.get(name) for name in ("srcc", "kendall", "mae", "verdict")}
    row |= {"id": entry["id"], "name": entry.get("name", config.name), "state": state["state"], "error": state["error"]}
    row |= {"created": _moment(created), "started": _moment(started), "finished": _moment(ended)}
    row["seconds"] = (ended or time.time()) - started if started else None
    row["read_only"] = entry.get("read_only", False)
    return row


def _run_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows with the same column types whatever they hold."""
    frame = pd.DataFrame(rows, columns=list(RUN_COLUMNS))
    for name in TEXTS:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "").astype("str")
    for name in TIMES:
        frame[name] = pd.to_datetime(frame[name], utc=True)
    for name in NUMBERS:
        frame[name] = pd.to_numeric(frame[name]).astype("float64")
    for name in FLAGS:
        frame[name] = frame[name].eq(True)
    return frame
