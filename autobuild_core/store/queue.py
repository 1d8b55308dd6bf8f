"""The queue in a workspace's registry: how a run moves from state to state, and how its worker speaks with it.

What a worker calls (`begin`, `beat`, `end`) returns whether the registry still knows this very process as the run's worker.
"""

import json
import os
import sqlite3
import time
from dataclasses import asdict, dataclass

from autobuild_core.errors import RunError
from autobuild_core.store import schema
from autobuild_core.store.entries import RunEntry, RunRow, write_entry
from autobuild_core.store.run_folder import StateRecord
from autobuild_core.store.states import RunState
from autobuild_core.store.workspace import Workspace


@dataclass(frozen=True)
class JobProgress:
    """The progress of a job.

    Args:
        share: of its work that is done, 0 to 1.
        words: what it does now.
        seconds_left: until it is done; None where that is not known.
    """

    share: float
    words: str
    seconds_left: float | None = None


def move(
    workspace: Workspace,
    connection: sqlite3.Connection,
    run_id: str,
    state: RunState,
    error: str = "",
    worker: tuple[int, float] | None = None,
) -> None:
    """Moves a run to a state, in its folder and in the registry.

    Args:
        workspace: of the run.
        connection: in a transaction.
        run_id: of the run.
        state: the new one.
        error: the one clear sentence that a reader sees.
        worker: (pid, when it started) of who runs it from now on.
    """
    try:
        record = workspace.run(run_id).set_state(state, error, worker)
    except (RunError, OSError):  # its folder was deleted by hand, or the disk is full: the registry alone knows it
        ended = None if state.is_active else time.time()
        record = StateRecord(state=state.value, error=error, started=None, ended=ended)
    schema.set_state(connection, run_id, record)


def begin(workspace: Workspace, run_id: str) -> bool:
    """The worker takes up its run; False when the registry did not start this very process for it."""
    with workspace.connect(write=True) as connection:
        query = "UPDATE runs SET heartbeat = ? WHERE id = ? AND state = ? AND pid = ?"
        mine = time.time(), run_id, RunState.RUNNING, os.getpid()
        ours = connection.execute(query, mine).rowcount == 1
        if ours:
            move(workspace, connection, run_id, RunState.RUNNING, worker=_me(connection, run_id))
    return ours


def beat(workspace: Workspace, run_id: str, progress: JobProgress | None = None) -> bool:
    """The worker lives, and says how far it is. A run held for lost meanwhile (a machine that slept) is running again."""
    with workspace.connect(write=True) as connection:
        query = "SELECT state FROM runs WHERE id = ? AND pid = ?"
        entry = connection.execute(query, (run_id, os.getpid())).fetchone()
        if entry is None or entry["state"] not in (RunState.RUNNING, RunState.LOST):
            return False
        connection.execute("UPDATE runs SET heartbeat = ? WHERE id = ?", (time.time(), run_id))
        if progress is not None:
            said = progress.share, progress.words, run_id
            connection.execute("UPDATE runs SET share = ?, words = ? WHERE id = ?", said)
        if entry["state"] == RunState.LOST:
            move(workspace, connection, run_id, RunState.RUNNING, worker=_me(connection, run_id))
    return True


def cancel_asked(workspace: Workspace, run_id: str) -> float | None:
    """When the run was asked to end, seconds since 1970; None when it was not."""
    with workspace.connect() as connection:
        entry = connection.execute("SELECT cancel FROM runs WHERE id = ?", (run_id,)).fetchone()
    if entry is None:
        return 0.0  # deleted: nobody waits for it any more
    asked: float | None = entry["cancel"]
    return asked


def end(workspace: Workspace, run_id: str, state: RunState, error: str = "", row: RunRow | None = None) -> bool:
    """The worker writes its run's last state, and what lists show of it; False when somebody else has ended it."""
    with workspace.connect(write=True) as connection:
        query = "SELECT state FROM runs WHERE id = ? AND pid = ?"
        entry = connection.execute(query, (run_id, os.getpid())).fetchone()
        ours = entry is not None and entry["state"] in (RunState.RUNNING, RunState.LOST)
        if ours:
            if row is not None:
                set_row(workspace, connection, run_id, row)
            move(workspace, connection, run_id, state, error)
    return ours


def set_row(workspace: Workspace, connection: sqlite3.Connection, run_id: str, row: RunRow) -> None:
    """Writes what lists show of a run, into the registry and into its folder."""
    connection.execute("UPDATE runs SET row = ? WHERE id = ?", (json.dumps(asdict(row)), run_id))
    line = connection.execute("SELECT kind, name, created FROM runs WHERE id = ?", (run_id,)).fetchone()
    try:
        write_entry(workspace.run(run_id).path, RunEntry(run_id, line["kind"], line["name"], line["created"], row))
    except (RunError, OSError):  # its folder was deleted by hand, or the disk is full: the registry alone knows it
        return


def _me(connection: sqlite3.Connection, run_id: str) -> tuple[int, float]:
    """(pid, when it started) of the worker, as the registry has it."""
    line = connection.execute("SELECT pid, pid_started FROM runs WHERE id = ?", (run_id,)).fetchone()
    return int(line["pid"]), float(line["pid_started"] or 0.0)
