"""registry.sqlite: its tables, how an older one becomes one of today, and what is done about a damaged or missing one.

The registry is the read model of every list, and the queue. All that is in it beside the queue is in the folders too (entry.json,
state.json), so that it can always be made anew: a missing, emptied or cut file costs nothing but the order of the queue.

WAL, a busy timeout, a short connection a call. `PRAGMA user_version` is the version of the tables: 0 of an empty file, 1 of
before lists were read from here, 2 of before data sets had versions, 3 of today.
"""

import errno
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from autobuild_core.errors import RunError
from autobuild_core.store.entries import DatasetEntry, RunEntry, write_entry
from autobuild_core.store.run_folder import TRAIN, RunFolder, StateRecord
from autobuild_core.store.states import ENDED_STATES, RunState

FILE = "registry.sqlite"
VERSION = 3
BUSY_SECONDS = 20.0
DATASET_TYPES = {
    "id": "TEXT PRIMARY KEY",
    "name": "TEXT NOT NULL",
    "hash": "TEXT NOT NULL",
    "created": "REAL NOT NULL",
    "format": "TEXT NOT NULL DEFAULT ''",
    "space": "TEXT NOT NULL DEFAULT ''",
    "num_rows": "INTEGER NOT NULL DEFAULT 0",
    "num_metrics": "INTEGER NOT NULL DEFAULT 0",
    "num_rejected": "INTEGER NOT NULL DEFAULT 0",
    "size_mb": "REAL NOT NULL DEFAULT 0",
    "error": "TEXT NOT NULL DEFAULT ''",
    "family": "TEXT NOT NULL DEFAULT ''",
    "version": "INTEGER NOT NULL DEFAULT 1",
    "parent": "TEXT NOT NULL DEFAULT ''",
    "origin": "TEXT NOT NULL DEFAULT ''",
    "run": "TEXT NOT NULL DEFAULT ''",
}
RUN_TYPES = {
    "id": "TEXT PRIMARY KEY",
    "name": "TEXT NOT NULL",
    "state": "TEXT NOT NULL",
    "created": "REAL NOT NULL",
    "submitted": "REAL",
    "pid": "INTEGER",
    "pid_started": "REAL",
    "heartbeat": "REAL",
    "cancel": "REAL",
    "kind": f"TEXT NOT NULL DEFAULT '{TRAIN}'",
    "error": "TEXT NOT NULL DEFAULT ''",
    "started": "REAL",
    "ended": "REAL",
    "row": "TEXT NOT NULL DEFAULT '{}'",  # entries.RunRow as JSON
    "share": "REAL",  # of the work that is done
    "words": "TEXT NOT NULL DEFAULT ''",  # what is being done
}
TYPES = {"datasets": DATASET_TYPES, "runs": RUN_TYPES}
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
ANEW = "its list of data sets and runs was damaged and has been made anew from their folders; do that once more."
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, or delete runs and data sets.",
    sqlite3.SQLITE_READONLY: "it may not be written; give this user the right to, or choose another folder.",
    sqlite3.SQLITE_CANTOPEN: "its list of data sets and runs cannot be opened; see that the disk is there and has space.",
    sqlite3.SQLITE_IOERR: "the disk refuses to read or write; see that it is there and has space.",
    sqlite3.SQLITE_BUSY: f"another process held its list for {BUSY_SECONDS:.0f} s; try again, or end that process.",
    sqlite3.SQLITE_PROTOCOL: "another process holds its list; try again, or end that process.",
}


class MadeAnewError(RunError):
    """The registry was damaged and has been made anew; what was asked of it can be asked again."""


def open_connection(path: Path) -> sqlite3.Connection:
    """A connection to a registry, which makes the file where there is none."""
    connection = sqlite3.connect(path / FILE, timeout=BUSY_SECONDS, isolation_level=None)
    connection.row_factory = sqlite3.Row
    return connection


def explained(path: Path, error: sqlite3.Error) -> RunError | None:
    """SQLite's error in one sentence with the way out; a damaged registry is made anew first.

    Args:
        path: the workspace.
        error: as it was raised.

    Returns:
        What to raise in its place; None where the error is a fault of the program.
    """
    if _code(error) in DAMAGED:
        make_anew(path)
        return MadeAnewError(f"workspace {path}: {ANEW}")
    reason = REASONS.get(_code(error))
    return None if reason is None else RunError(f"workspace {path}: {reason}")


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 where there is none."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def prepare(path: Path) -> None:
    """Sees that the registry of a workspace is one of today that knows all folders.

    Raises:
        RunError: a later version wrote it, or the disk does not do.
    """
    with _said(path):
        try:
            _bring_up_to_date(path)
        except sqlite3.DatabaseError as error:
            if _code(error) not in DAMAGED:
                raise
            make_anew(path)


def make_anew(path: Path) -> None:
    """Replaces a damaged registry by one that is read from the folders; of several processes one does it.

    Raises:
        RunError: it cannot be made.
    """
    with _said(path), _alone(path):
        if not _is_sound(path):
            for end in ("-wal", "-shm"):
                (path / f"{FILE}{end}").unlink(missing_ok=True)
            (path / FILE).rename(path / f"damaged-{FILE}")
        _bring_up_to_date(path)


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Errors of SQLite and the disk as one sentence.

    Raises:
        RunError: there was one.
    """
    try:
        yield
    except sqlite3.Error as error:
        reason = REASONS.get(_code(error), f"its list of data sets and runs failed ({error}).")
        raise RunError(f"workspace {path}: {reason}") from error
    except OSError as error:
        raise RunError(f"workspace {path}: {disk_words(error)}") from error


def disk_words(error: OSError) -> str:
    """The disk's error as the second half of a sentence, with the way out."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return REASONS[sqlite3.SQLITE_FULL]
    where = f" at {error.filename}" if error.filename else ""
    return f"got '{error.strerror}'{where}; see that the disk is there and this user may write."


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other process makes the registry anew meanwhile."""
    lock = os.open(path / "registry.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _is_sound(path: Path) -> bool:
    """SQLite finds nothing wrong with the file."""
    connection = open_connection(path)
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError as error:
        if _code(error) in DAMAGED:
            return False
        raise
    finally:
        connection.close()


def _bring_up_to_date(path: Path) -> None:
    """Makes or migrates the tables, and takes up folders that they do not know."""
    connection = open_connection(path)
    try:
        version = _version(connection)
        if version > VERSION:
            raise RunError(f"workspace {path}: got version {version}, expected {VERSION}; choose another folder.")
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise _damage(found)
        if version == 0:
            connection.execute("PRAGMA journal_mode = WAL")
        elif version == VERSION and not any(_differing(connection, path).values()):
            return
        connection.execute("BEGIN IMMEDIATE")
        _migrate(connection, path, _version(connection))
        _take_up_strays(connection, path)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        connection.close()  # an open transaction is rolled back


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _damage(said: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(said)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """From an empty file, or from an older one: 1 knew names, states and the queue; the rest is in the folders."""
    for table, types in TYPES.items():
        if version == 0:
            columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} ({columns})")
        known = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        for name in types.keys() - known:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {types[name]}")
    connection.execute("UPDATE datasets SET family = id WHERE family = ''")
    if version == 1:
        for row in connection.execute("SELECT id, name, created FROM datasets ORDER BY rowid").fetchall():
            if (folder := path / "datasets" / row["id"]).is_dir():
                put_dataset(connection, folder, DatasetEntry.of_folder(folder, row["name"], row["created"]))
        for row in connection.execute("SELECT id, name, created FROM runs ORDER BY rowid").fetchall():
            if (path / "runs" / row["id"]).is_dir():
                put_run(connection, RunFolder(path / "runs" / row["id"]), row["name"], row["created"])


def _differing(connection: sqlite3.Connection, path: Path) -> dict[str, tuple[set[str], set[str]] | None]:
    """{table: (ids of folders without a line, ids of lines without a folder)}, None where they agree."""
    found: dict[str, tuple[set[str], set[str]] | None] = {}
    for table in TYPES:
        folders = {entry.name for entry in os.scandir(path / table) if len(entry.name) == 32 and entry.is_dir()}
        lines = {row["id"] for row in connection.execute(f"SELECT id FROM {table}")}
        found[table] = (folders - lines, lines - folders) if folders != lines else None
    return found


def _take_up_strays(connection: sqlite3.Connection, path: Path) -> None:
    """Lists every folder, and drops the lines of folders that were deleted by hand."""
    for table, differing in _differing(connection, path).items():
        new, gone = differing or (set(), set())
        for one in sorted(new, key=lambda one: (path / table / one).stat().st_mtime):
            folder = path / table / one
            if table == "runs":
                put_run(connection, RunFolder(folder))
            else:
                put_dataset(connection, folder, DatasetEntry.of_folder(folder))
        connection.executemany(f"DELETE FROM {table} WHERE id = ?", [(one,) for one in gone])


def put_dataset(connection: sqlite3.Connection, folder: Path, entry: DatasetEntry) -> None:
    """Writes the line of a data set, in the registry and in its folder."""
    values = asdict(entry)
    marks = ", ".join(f":{name}" for name in values)
    connection.execute(f"INSERT OR REPLACE INTO datasets ({', '.join(values)}) VALUES ({marks})", values)
    write_entry(folder, entry)


def put_run(
    connection: sqlite3.Connection, folder: RunFolder, name: str = "", created: float = 0.0, is_submitted: bool = True
) -> None:
    """Writes the line of a run as its folder says; what the registry knows of its place in the queue stays.

    Args:
        connection: in a transaction.
        folder: of the run.
        name: that the registry gave it.
        created: likewise.
        is_submitted: a run that the registry did not know is in the queue where its folder says "queued".
    """
    entry, state = RunEntry.of_folder(folder, name, created)
    values: dict[str, object] = {"id": entry.id, "kind": entry.kind, "name": entry.name, "created": entry.created}
    values |= {"row": json.dumps(asdict(entry.row))}
    known = connection.execute("SELECT state FROM runs WHERE id = ?", (entry.id,)).fetchone()
    if known is None:
        values |= {"submitted": entry.created if is_submitted else None, "heartbeat": time.time()}
        values |= {"pid": state.get("pid"), "pid_started": state.get("pid_started"), "state": state["state"]}
    else:
        values["state"] = known["state"]
    marks, own = ", ".join(f":{one}" for one in values), [one for one in values if one != "id"]
    updates = ", ".join(f"{one} = excluded.{one}" for one in own)
    insert = f"INSERT INTO runs ({', '.join(values)}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {updates}"
    connection.execute(insert, values)
    if known is None or known["state"] != RunState.RUNNING or state["state"] in ENDED_STATES:
        set_state(connection, entry.id, state)  # else its worker is about to say it
    if state["state"] != RunState.DAMAGED:
        write_entry(folder.path, entry)


def set_state(connection: sqlite3.Connection, run_id: str, record: StateRecord) -> None:
    """Writes a run's state into its line, as its folder has it."""
    values = record["state"], record["error"], record["started"], record["ended"], run_id
    connection.execute("UPDATE runs SET state = ?, error = ?, started = ?, ended = ? WHERE id = ?", values)
