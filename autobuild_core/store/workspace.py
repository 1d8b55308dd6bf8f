"""The workspace: data sets, runs and uploads in folders, and an SQLite registry that every list is read from.

    datasets/<id>/   a saved table (tables.py): one version of a data set
    runs/<id>/       a run folder (run_folder.py)
    uploads/<id>/    a file whose columns are being looked at, and mapping.json: what was said of them so far
    candidates/<id>.jsonl  architectures that wait to be evaluated (candidates.py), a list for all versions of a data set
    mappings/<key>.json  what was said of the columns of files with one header (mapping.header_key)
    registry.sqlite  what lists show of data sets and runs, and the job queue (schema.py)

Ids are 128 random bits in hex: knowing one is the right to open it. The runs that ship are offered too, read-only: that of
sample_data/run as "sample", that of sample_data/cells/run as "sample-cells", and so on.
"""

import json
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from autobuild_core.architectures.records import ArchTable, Batch
from autobuild_core.errors import ConfigError, DataError, RunError
from autobuild_core.registry import APP
from autobuild_core.store import listing, schema, tables
from autobuild_core.store.candidates import CandidateLog
from autobuild_core.store.entries import DatasetEntry, RunEntry, RunRow, folder_bytes, write_entry
from autobuild_core.store.run_folder import TRAIN, JobSettings, RunConfig, RunFolder, StateRecord
from autobuild_core.store.states import ACTIVE_STATES, RunState
from autobuild_core.store.tables import SCHEMA_VERSION, content_hash, load_table, save_table

__all__ = [
    "SAMPLE_ID",
    "SCHEMA_VERSION",
    "RunConfig",
    "RunFolder",
    "Workspace",
    "content_hash",
    "is_sample",
    "load_table",
    "save_table",
]

KINDS = {"datasets": "data set", "runs": "run", "uploads": "upload"}
SAMPLE_ID = "sample"
SAMPLE_DATA = APP / "sample_data"
DEFAULT_CAP_GB = 5.0
LONGEST_NAME = 120
UPLOAD_SECONDS = 86_400.0
LONGEST_FILE_NAME = 200  # bytes


def _new_id() -> str:
    return secrets.token_hex(16)


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


def is_sample(run_id: str) -> bool:
    """Whether an id is that of a run that ships."""
    return run_id == SAMPLE_ID or run_id.startswith(f"{SAMPLE_ID}-")


def sample_folders() -> dict[str, Path]:
    """{id: folder} of the runs that ship, that of SAMPLE_ID first."""
    others = {f"{SAMPLE_ID}-{folder.parent.name}": folder for folder in sorted(SAMPLE_DATA.glob("*/run"))}
    found = {SAMPLE_ID: SAMPLE_DATA / "run"} | others
    return {run_id: folder for run_id, folder in found.items() if (folder / "config.json").exists()}


@lru_cache(maxsize=16)
def _sample_line(run_id: str, folder: Path, changed: int) -> tuple[RunEntry, StateRecord]:
    """The line of a run that ships, read again when it changed."""
    entry, state = RunEntry.of_folder(RunFolder(folder))
    return replace(entry, id=run_id), state


class Workspace:
    """One shared place for data sets and runs. Objects are light: make one wherever one is needed.

    Args:
        path: its folder, made when it is not there.
        cap_gb: most that data sets and runs may take; None = AUTOBUILD_DISK_CAP_GB, else 5.
    """

    def __init__(self, path: Path | str, cap_gb: float | None = None) -> None:
        self.path = Path(path).resolve()
        self.cap_gb = _cap_setting() if cap_gb is None else cap_gb
        try:
            for name in (*KINDS, "mappings"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"workspace {self.path}: {schema.disk_words(error)}") from error
        schema.prepare(self.path)

    @contextmanager
    def connect(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """A short connection; with `write` one transaction that holds the write lock from its start.

        Raises:
            RunError: the disk does not do, or the registry was damaged and has been made anew (`schema.MadeAnewError`).
        """
        connection = schema.open_connection(self.path)
        try:
            if connection.execute("PRAGMA user_version").fetchone()[0] != schema.VERSION:  # deleted or emptied by hand
                schema.prepare(self.path)
            connection.execute("PRAGMA synchronous = NORMAL")
            if write:
                connection.execute("BEGIN IMMEDIATE")
            yield connection
            if write:
                connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            connection.close()
            if (said := schema.explained(self.path, error)) is None:
                raise
            raise said from error
        finally:
            connection.close()  # an open transaction is rolled back

    def _lines(self, table: str) -> list[sqlite3.Row]:
        """The registry's lines of a table, newest first."""
        query = f"SELECT * FROM {table} ORDER BY created DESC, rowid DESC"
        try:
            with self.connect() as connection:
                return connection.execute(query).fetchall()
        except schema.MadeAnewError:
            with self.connect() as connection:
                return connection.execute(query).fetchall()

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
            with suppress(DataError):  # a damaged one is no reason to refuse a sound one
                if self.dataset(dataset_id).columns == table.columns:
                    return dataset_id
        dataset_id = _new_id()

        def listed(connection: sqlite3.Connection, folder: Path) -> None:
            entry = DatasetEntry.of_table(dataset_id, name, time.time(), table, folder)
            schema.put_dataset(connection, folder, entry)

        with self._new_folder("datasets", dataset_id, listed) as folder:
            save_table(table, folder)
        return dataset_id

    def add_version(self, dataset_id: str, table: ArchTable) -> str:
        """Saves a data set with rows that were appended to it as its next version; the one of before stays.

        Args:
            dataset_id: its newest version.
            table: its rows and those of one more batch, whose `parent` is the hash of that version.

        Returns:
            The id of the new version.

        Raises:
            RunError: there is no such data set.
            ConfigError: it has a newer version meanwhile, or the disk cap would be passed.
        """
        before, new_id = self._entry("datasets", dataset_id), _new_id()
        if not table.batches[0].origin:
            first = Batch(before["name"], before["created"])
            table = replace(table, batches=(first, *table.batches[1:]))

        def allowed(connection: sqlite3.Connection) -> None:
            query = "SELECT id, version, hash FROM datasets WHERE family = ? ORDER BY version DESC LIMIT 1"
            newest = connection.execute(query, (before["family"],)).fetchone()
            if newest is None or newest["id"] != dataset_id or newest["hash"] != table.batches[-1].parent:
                number = before["version"] if newest is None else newest["version"]
                got = f"got rows for version {before['version']}, expected rows for version {number}, which is the newest"
                raise ConfigError(f"data set {before['name']}: {got}; append them to that one.")

        def listed(connection: sqlite3.Connection, folder: Path) -> None:
            own = new_id, before["name"], time.time(), table, folder, before["family"]
            schema.put_dataset(connection, folder, DatasetEntry.of_table(*own))

        with self._new_folder("datasets", new_id, listed, allowed) as folder:
            save_table(table, folder)
        return new_id

    def data_of_run(self, run_id: str) -> str:
        """The id of the data set that a run learned from; its own copy is put into the workspace where it is not there.

        So the data of the run that ships, which is read-only, are copied before anything is appended to them.

        Raises:
            RunError: there is no such run.
            ConfigError: the disk cap would be passed.
        """
        folder = self.run(run_id)
        return self.known_data_of_run(run_id) or self.add_dataset(folder.table(), folder.config.data_name)

    def known_data_of_run(self, run_id: str) -> str | None:
        """The id of the data set that a run learned from; None where it is not in the workspace.

        Of equal content under several names that of the run's name, else the oldest.

        Raises:
            RunError: there is no such run.
        """
        config, sets = self.run(run_id).config, self.datasets()
        known = sets[(sets["hash"] == config.data_hash) & (sets["error"] == "")].iloc[::-1]
        named = known[known["name"] == config.data_name]
        found = named if len(named) else known
        return str(found["id"].iloc[0]) if len(found) else None

    def datasets(self) -> pd.DataFrame:
        """One line a data set, newest first, with DATASET_COLUMNS; `created` in UTC, `error` says why one cannot be read."""
        return listing.dataset_frame(self._lines("datasets"))

    def dataset(self, dataset_id: str) -> ArchTable:
        """The table of a data set.

        Raises:
            RunError: there is none of that id.
            DataError: its files are damaged; from then on it is listed so.
        """
        folder = self._folder("datasets", dataset_id)
        try:
            return load_table(folder)
        except DataError as error:
            with self.connect(write=True) as connection:
                connection.execute("UPDATE datasets SET error = ? WHERE id = ?", (str(error), dataset_id))
            raise

    def dataset_name(self, dataset_id: str) -> str:
        """The name of a data set.

        Raises:
            RunError: there is none of that id.
        """
        return str(self._entry("datasets", dataset_id)["name"])

    def candidates(self, dataset_id: str) -> CandidateLog:
        """The list of candidates of a data set, which all of its versions share.

        Raises:
            RunError: there is none of that id.
        """
        return CandidateLog(self.path / "candidates" / f"{self._entry('datasets', dataset_id)['family']}.jsonl")

    def newest_version(self, dataset_id: str) -> str:
        """The id of a data set's newest version.

        Raises:
            RunError: there is none of that id.
        """
        family = self._entry("datasets", dataset_id)["family"]
        query = "SELECT id FROM datasets WHERE family = ? ORDER BY version DESC LIMIT 1"
        with self.connect() as connection:
            return str(connection.execute(query, (family,)).fetchone()["id"])

    def delete_dataset(self, dataset_id: str) -> None:
        """Deletes a data set with all its versions and its candidates; runs keep their own copy of the data.

        Raises:
            RunError: there is none of that id.
        """
        family = self._entry("datasets", dataset_id)["family"]
        with self.connect() as connection:
            lines = connection.execute("SELECT id FROM datasets WHERE family = ?", (family,)).fetchall()
        self._delete_versions([str(line["id"]) for line in lines])
        (self.path / "candidates" / f"{family}.jsonl").unlink(missing_ok=True)

    def delete_version(self, dataset_id: str) -> None:
        """Deletes the newest version of a data set, so that the one of before is the newest.

        Raises:
            RunError: there is none of that id.
            ConfigError: a later version was made from it.
        """
        own = self._entry("datasets", dataset_id)
        with self.connect() as connection:
            query = "SELECT MAX(version) FROM datasets WHERE family = ?"
            newest = connection.execute(query, (own["family"],)).fetchone()[0]
        if own["version"] != newest:
            got = f"got a request to delete version {own['version']}, expected one for version {newest}, which was made from it"
            raise ConfigError(f"data set {own['name']}: {got}.")
        self._delete_versions([dataset_id])

    def _delete_versions(self, ids: list[str]) -> None:
        """Takes data sets off the list in one step, then deletes their files."""
        with self.connect(write=True) as connection:
            connection.executemany("DELETE FROM datasets WHERE id = ?", [(one,) for one in ids])
            trash = self._to_trash("datasets", *ids)
        for folder in trash:
            shutil.rmtree(folder, ignore_errors=True)

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
        name = name or f"{data_name}: {settings.get('target_name') or target}"[:LONGEST_NAME]
        try:
            own = name, data_name, content_hash(table), target, minimize
            config = RunConfig("", *own, **settings, data_version=table.version)
        except TypeError as error:
            raise ConfigError(f"settings of a run: got {', '.join(settings)}, expected fields of RunConfig ({error}).") from error
        return self.add_job(TRAIN, config, RunRow.of_training(config, {}), table)

    def add_job(self, kind: str, settings: JobSettings, row: RunRow, table: ArchTable | None = None) -> str:
        """Makes the folder of a run of any kind in state "queued"; `executor.Executor.submit` then puts it in the queue.

        Args:
            kind: name of a file in jobs/kinds.
            settings: the kind's; the id is given here.
            row: what lists show of it until it has ended.
            table: data that the job reads; the run keeps its own copy.

        Returns:
            The id of the run.

        Raises:
            ConfigError: the name is empty or too long, or the disk cap would be passed.
        """
        run_id, name = _new_id(), _clean_name(settings.name, "run")

        def listed(connection: sqlite3.Connection, folder: Path) -> None:
            schema.put_run(connection, RunFolder(folder), is_submitted=False)

        with self._new_folder("runs", run_id, listed) as folder:
            RunFolder(folder).create(replace(settings, id=run_id, name=name), table, kind)
            write_entry(folder, RunEntry(run_id, kind, name, time.time(), row))
        return run_id

    def adopt_run(self, source: RunFolder, name: str) -> str:
        """Copies a finished training that was made elsewhere, in a closed loop say, into the workspace.

        Args:
            source: its folder, which stays as it is.
            name: of the copy.

        Returns:
            The id of the copy.

        Raises:
            RunError: it is no finished training.
            ConfigError: the name is empty or too long, or the disk cap would be passed.
        """
        run_id, name, about = _new_id(), _clean_name(name, "run"), source.about
        if source.state["state"] != RunState.FINISHED:
            raise RunError(f"{source.path}: got a run that is {source.state['state']}, expected a finished one.")
        row = RunRow.of_training(source.config, RunRow.quality_of(source))

        def listed(connection: sqlite3.Connection, folder: Path) -> None:
            schema.put_run(connection, RunFolder(folder), is_submitted=False)

        with self._new_folder("runs", run_id, listed) as folder:
            shutil.copytree(source.path, folder)
            named = {"config": about["config"] | {"id": run_id, "name": name}}
            RunFolder(folder).write_json("config.json", about | named)
            write_entry(folder, RunEntry(run_id, TRAIN, name, time.time(), row))
        return run_id

    def runs(self) -> pd.DataFrame:
        """One line a run, newest first and those that ship last, with RUN_COLUMNS.

        Times are in UTC; "", NaT and NaN where there is nothing yet.
        """
        rows = [listing.run_line(line) for line in self._lines("runs")]
        for run_id, folder in sample_folders().items():
            with suppress(FileNotFoundError):
                changed = sum((folder / name).stat().st_mtime_ns for name in ("config.json", "state.json"))
                rows.append(listing.sample_line(*_sample_line(run_id, folder, changed)))
        return listing.run_frame(rows)

    def check_run(self, run_id: str) -> str:
        """Lists a run as damaged where its folder cannot be read, and as it is where it can be read again.

        Returns:
            Why it is damaged; "" of a sound one, and of one that waits or runs, whose worker says how it ends.
        """
        if is_sample(run_id):
            return ""
        entry, error = self._entry("runs", run_id), ""
        if entry["state"] in ACTIVE_STATES:
            return ""
        try:
            folder = self.run(run_id)
            folder.state  # noqa: B018
            _ = folder.config if entry["kind"] == TRAIN else folder.job
        except RunError as damage:
            error = str(damage)
        if error != (entry["error"] if entry["state"] == RunState.DAMAGED else ""):
            with self.connect(write=True) as connection:
                query = "UPDATE runs SET state = ?, error = ? WHERE id = ?"
                connection.execute(query, (RunState.DAMAGED.value, error, run_id))
                if not error:
                    schema.put_run(connection, folder, entry["name"])
        return error

    def run(self, run_id: str) -> RunFolder:
        """The folder of a run, or of one that ships.

        Raises:
            RunError: there is none of that id.
        """
        if is_sample(run_id) and (folder := sample_folders().get(run_id)):
            return RunFolder(folder)
        return RunFolder(self._folder("runs", run_id))

    def run_name(self, run_id: str) -> str:
        """The present name of a run.

        Raises:
            RunError: there is none of that id.
        """
        return self.run(run_id).config.name if is_sample(run_id) else str(self._entry("runs", run_id)["name"])

    def rename_run(self, run_id: str, name: str) -> None:
        """Gives a run another name.

        Raises:
            RunError: there is none of that id, or it is the sample.
            ConfigError: the name is empty or too long.
        """
        self._refuse_sample(run_id)
        self._entry("runs", run_id)
        name = _clean_name(name, "run")
        with self.connect(write=True) as connection:
            connection.execute("UPDATE runs SET name = ? WHERE id = ?", (name, run_id))
            schema.put_run(connection, RunFolder(self._folder("runs", run_id)), name)

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
            if entry and entry["state"] == RunState.RUNNING:
                raise RunError(f"run {run_id[:8]}: got a request to delete it while it is running, expected it cancelled first.")
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
            (trash,) = self._to_trash("runs", run_id)
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
        with self._new_folder("uploads", upload_id, lambda connection, folder: None) as folder:
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
        """The size of data sets, runs and uploads now, in GB (10^9 bytes)."""
        return sum(folder_bytes(self.path / name) for name in KINDS) / 1e9

    @contextmanager
    def _new_folder(
        self,
        kind: str,
        new_id: str,
        listed: Callable[[sqlite3.Connection, Path], None],
        allowed: Callable[[sqlite3.Connection], None] = lambda connection: None,
    ) -> Iterator[Path]:
        """A hidden folder to fill; it takes its place in one step when the block ends well and the disk cap allows it.

        Args:
            kind: of KINDS.
            new_id: its name.
            listed: writes its line into the registry, in the transaction in which it takes its place.
            allowed: raises in that transaction where it may not take its place.

        Raises:
            ConfigError: the disk cap would be passed, or the disk is full.
        """
        hidden, place = self.path / kind / f".{new_id}.part", self.path / kind / new_id
        try:
            yield hidden
            used, new = self.size_gb(), folder_bytes(hidden) / 1e9
            if used > self.cap_gb:
                raise ConfigError(
                    f"workspace {self.path}: got {new:.3f} GB on top of {used - new:.3f} GB, expected at most {self.cap_gb:g} GB "
                    "in all; delete runs or data sets, or raise AUTOBUILD_DISK_CAP_GB."
                )
            with self.connect(write=True) as connection:
                allowed(connection)
                hidden.rename(place)
                listed(connection, place)
        except OSError as error:
            raise ConfigError(f"workspace {self.path}: {schema.disk_words(error)}") from error
        finally:
            shutil.rmtree(hidden, ignore_errors=True)

    def _to_trash(self, kind: str, *old_ids: str) -> list[Path]:
        """Moves folders to hidden names, which are returned; leftovers of a deletion cut short go with them."""
        for leftover in (self.path / kind).glob(".trash-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        trash = [self.path / kind / f".trash-{secrets.token_hex(4)}-{old_id}" for old_id in old_ids]
        for old_id, hidden in zip(old_ids, trash, strict=True):
            folder = self.path / kind / old_id
            if folder.exists():
                folder.rename(hidden)
        return trash

    def _folder(self, kind: str, some_id: str) -> Path:
        """The folder of an id; an id that is not one of ours never reaches the file system.

        Raises:
            RunError: there is none.
        """
        folder = self.path / kind / self._checked_id(kind, some_id)
        if not folder.is_dir():
            raise self._unknown(kind, some_id)
        return folder

    @staticmethod
    def _checked_id(kind: str, some_id: str) -> str:
        """An id of ours.

        Raises:
            RunError: it is none.
        """
        if not re.fullmatch(r"[0-9a-f]{32}", some_id):
            raise RunError(f"{KINDS[kind]}: got the id '{some_id[:40]}', expected 32 hex digits.")
        return some_id

    @staticmethod
    def _unknown(kind: str, some_id: str) -> RunError:
        """The error of an id that was deleted, or never was."""
        what = f"{KINDS[kind]} {some_id[:8]}"
        return RunError(f"{what}: got an id that is not in this workspace, expected one that was not deleted.")

    def _entry(self, kind: str, some_id: str) -> sqlite3.Row:
        """The registry's row of an id.

        Raises:
            RunError: there is none.
        """
        self._checked_id(kind, some_id)
        with self.connect() as connection:
            entry: sqlite3.Row | None = connection.execute(f"SELECT * FROM {kind} WHERE id = ?", (some_id,)).fetchone()
        if entry is None:
            raise self._unknown(kind, some_id)
        return entry

    @staticmethod
    def _refuse_sample(run_id: str) -> None:
        """Raises: RunError: the id is that of a run that ships."""
        if is_sample(run_id):
            raise RunError(
                f"run {run_id}: got a request to change it, expected none: it ships with the project and is read-only."
            )


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
