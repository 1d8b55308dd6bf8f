"""Background jobs: a queue in the workspace's registry, and an executor that gives each run a process of its own.

The states are those of store/states.py: a run is lost when its process is gone, or was silent for 30 s; it becomes running again
when it speaks again. One that was stopped is queued again where its kind of job resumes.

All decisions are made while holding the registry's write lock, so any number of servers, browsers and workers may call `poll`
at once. Nothing here needs to keep running: a worker polls at its own end, so the queue moves without a browser, and a new
server finds everything in the registry.

Cancelling: a flag that the worker reads at each step; after 3 s its process group is killed, by the worker itself or by `poll`.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from typing import Protocol

import psutil

from autobuild_core.errors import ConfigError, RunError, StudioError
from autobuild_core.jobs import warm
from autobuild_core.jobs.kinds import load_kind, noun_of
from autobuild_core.registry import ROOT, import_path
from autobuild_core.store import queue, schema
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.states import ENDED_STATES, STOPPED_STATES, RunState
from autobuild_core.store.workspace import Workspace

SILENT_SECONDS = 30.0
CANCEL_SECONDS = 3.0
BEAT_SECONDS = 2.0
START_TOLERANCE = 5.0  # s; the start of a process is derived from the clock, which may be set meanwhile
SILENT = f"The {{}} was not heard of for {SILENT_SECONDS:.0f} s; its last state is kept."
GONE = "The {}'s process ended without a word (killed, out of memory, or the machine restarted); its last state is kept."

_children: dict[int, subprocess.Popen[bytes]] = {}
_children_lock = threading.Lock()


class Executor(Protocol):
    """Who runs queued runs. Implementations are light objects; all that lasts is in the workspace."""

    def submit(self, run_id: str) -> None:
        """Puts a run that was made with `kinds.add` or `Workspace.add_run` at the end of the queue."""

    def poll(self) -> int:
        """Notices what ended, starts what may start; returns how many runs are queued or running."""

    def cancel(self, run_id: str) -> None:
        """Asks a run to end; returns at once."""

    def resume(self, run_id: str) -> None:
        """Puts a run that was stopped at the end of the queue again, to go on from what it wrote."""


def process_started(pid: int) -> float | None:
    """When a process started, seconds since 1970; None when it is gone (a zombie is gone)."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def is_alive(pid: int | None, started: float | None) -> bool:
    """The process lives and is not a later one with the same number."""
    now = process_started(pid) if pid else None
    return now is not None and started is not None and abs(now - started) < START_TOLERANCE


def kill_group(pid: int) -> None:
    """Kills a worker and whatever it started."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


class SubprocessExecutor:
    """Each run in a process of its own session on this machine.

    Args:
        workspace: where the runs and the queue are.
        max_running: most runs at a time.
        threads: most threads for a run, whatever its own setting says.
        use_warm: let the warm supervisor start the processes where one is ready (`keep_warm` makes it so).

    Raises:
        ConfigError: a limit is below one.
    """

    def __init__(self, workspace: Workspace, max_running: int = 1, threads: int = 2, use_warm: bool = False) -> None:
        if max_running < 1 or threads < 1:
            raise ConfigError(f"executor: got max_running {max_running} and threads {threads}, expected at least 1 each.")
        self.workspace, self.max_running, self.threads, self.use_warm = workspace, max_running, threads, use_warm

    def keep_warm(self) -> bool:
        """Sees that the next run of this executor starts at once; returns whether it would now. Cheap enough for every page."""
        try:
            return self.use_warm and warm.keep_ready(self.workspace.path, self.threads)
        except OSError:
            return False  # no place for its socket or log: runs start the slow way

    def submit(self, run_id: str) -> None:
        """Puts a run at the end of the queue and starts it if it may start.

        Raises:
            RunError: there is no such run, or it was submitted before.
        """
        self.workspace.run_name(run_id)
        with self.workspace.connect(write=True) as connection:
            query = "UPDATE runs SET submitted = ? WHERE id = ? AND state = ? AND submitted IS NULL"
            if connection.execute(query, (time.time(), run_id, RunState.QUEUED)).rowcount != 1:
                raise RunError(f"run {run_id[:8]}: got a second request to start it, expected one; make a new run.")
        self.poll()

    def poll(self) -> int:
        """Notices what ended, starts what may start. Without work it only reads, so it may be called often.

        Returns:
            How many runs are queued or running.
        """
        reap()
        query = "SELECT count(*) FROM runs WHERE state = ? OR state = ? AND submitted IS NOT NULL"
        alive = RunState.RUNNING, RunState.QUEUED
        with self.workspace.connect() as connection:
            if not connection.execute(query, alive).fetchone()[0]:
                return 0
        with self.workspace.connect(write=True) as connection:
            for entry in connection.execute("SELECT * FROM runs WHERE state = ?", alive[:1]).fetchall():
                self._check(connection, entry)
            self._start_queued(connection)
            return int(connection.execute(query, alive).fetchone()[0])

    def cancel(self, run_id: str) -> None:
        """Takes a queued run out of the queue at once, asks a running one to end, kills a lost one that lives on.

        An ended run stays as it is.

        Raises:
            RunError: there is no such run.
        """
        self.workspace.run_name(run_id)
        with self.workspace.connect(write=True) as connection:
            entry = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
            state = entry["state"] if entry else "deleted"
            if state == RunState.QUEUED:
                self._set(connection, run_id, RunState.CANCELLED)
            elif state == RunState.RUNNING:
                connection.execute("UPDATE runs SET cancel = coalesce(cancel, ?) WHERE id = ?", (time.time(), run_id))
            elif state == RunState.LOST and is_alive(entry["pid"], entry["pid_started"]):
                kill_group(entry["pid"])
                self._set(connection, run_id, RunState.CANCELLED)
        self.poll()

    def resume(self, run_id: str) -> None:
        """Puts a run that failed, was cancelled or lost at the end of the queue again, to go on from what it wrote.

        Raises:
            RunError: there is no such run, its kind of job does not resume, or it was not stopped.
        """
        self.workspace.run_name(run_id)
        with self.workspace.connect(write=True) as connection:
            entry = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
            what = f"run {run_id[:8]}: got a request to resume it"
            if entry is None or entry["state"] not in STOPPED_STATES:
                raise RunError(f"{what}, expected one that failed, was cancelled or lost.")
            if not load_kind(entry["kind"]).resumes:
                raise RunError(f"{what}, but a {noun_of(entry['kind'])} cannot go on where it stopped; repeat it.")
            if entry["state"] == RunState.LOST and is_alive(entry["pid"], entry["pid_started"]):
                raise RunError(f"{what} while its old process lives, expected that to be gone; cancel it first.")
            update = "UPDATE runs SET submitted = ?, pid = NULL, pid_started = NULL, cancel = NULL WHERE id = ?"
            connection.execute(update, (time.time(), run_id))
            self._set(connection, run_id, RunState.QUEUED)
        self.poll()

    def command(self, folder: RunFolder) -> list[str]:
        """The command line of a run's worker."""
        return [sys.executable, "-m", "autobuild_core.jobs.worker", *self.arguments(folder)]

    def arguments(self, folder: RunFolder) -> list[str]:
        """The arguments of a worker's command line."""
        limits = ["--max-running", str(self.max_running), "--threads", str(self.threads), *["--warm"] * self.use_warm]
        return [str(folder.path), "--workspace", str(self.workspace.path), *limits]

    def _check(self, connection: sqlite3.Connection, entry: sqlite3.Row) -> None:
        """Settles a run that the registry holds for running: gone, silent, or cancelled and still there."""
        run_id, now = entry["id"], time.time()
        if not is_alive(entry["pid"], entry["pid_started"]):
            if self._ended_in_its_folder(connection, entry):
                return
            if entry["cancel"] is not None:
                self._set(connection, run_id, RunState.CANCELLED)
            else:
                self._set(connection, run_id, RunState.LOST, GONE.format(noun_of(entry["kind"])))
        elif entry["cancel"] is not None and now - entry["cancel"] > CANCEL_SECONDS:
            kill_group(entry["pid"])
            self._set(connection, run_id, RunState.CANCELLED)
        elif now - entry["heartbeat"] > SILENT_SECONDS:
            self._set(connection, run_id, RunState.LOST, SILENT.format(noun_of(entry["kind"])))

    def _start_queued(self, connection: sqlite3.Connection) -> None:
        """Starts queued runs, first come first served, up to the limit."""
        running = connection.execute("SELECT count(*) FROM runs WHERE state = ?", (RunState.RUNNING,)).fetchone()[0]
        query = "SELECT id, kind FROM runs WHERE state = ? AND submitted IS NOT NULL ORDER BY submitted, rowid LIMIT ?"
        for run_id, kind in connection.execute(query, (RunState.QUEUED, max(0, self.max_running - running))).fetchall():
            try:
                pid = self._spawn(run_id)
            except (OSError, RunError) as error:
                self._set(connection, run_id, RunState.FAILED, f"The {noun_of(kind)} could not be started: {error}")
                continue
            update = "UPDATE runs SET state = ?, pid = ?, pid_started = ?, heartbeat = ?, share = NULL WHERE id = ?"
            connection.execute(update, (RunState.RUNNING, pid, process_started(pid), time.time(), run_id))

    def _spawn(self, run_id: str) -> int:
        """Starts the worker of a run; it waits for our transaction before it begins. Returns its pid.

        Raises:
            RunError: the run's folder is damaged.
        """
        folder = self.workspace.run(run_id)
        threads, log_path = min(folder.job.threads, self.threads), folder.path / "log.txt"
        if self.use_warm and (pid := warm.spawn(self.workspace.path, threads, self.arguments(folder), log_path)):
            return pid
        environment = {**os.environ, "PYTHONPATH": import_path(), **warm.thread_limits(threads)}
        nothing = subprocess.DEVNULL
        with log_path.open("ab") as log:
            child = subprocess.Popen(
                self.command(folder), cwd=ROOT, env=environment, stdin=nothing, stdout=log, stderr=log, start_new_session=True
            )
        with _children_lock:
            _children[child.pid] = child
        return child.pid

    def _ended_in_its_folder(self, connection: sqlite3.Connection, entry: sqlite3.Row) -> bool:
        """A worker died after its last word to the folder: the folder is believed, and lists show what it says."""
        try:
            folder = self.workspace.run(entry["id"])
            record = folder.state
            if record["state"] not in ENDED_STATES:
                return False
        except RunError:
            return False
        schema.set_state(connection, entry["id"], record)
        try:
            kind = load_kind(entry["kind"])
            queue.set_row(self.workspace, connection, entry["id"], kind.row(folder, kind.settings_of(folder)))
        except StudioError:
            pass  # the row of before does
        return True

    def _set(self, connection: sqlite3.Connection, run_id: str, state: RunState, error: str = "") -> None:
        """Moves a run in the registry and in its folder."""
        queue.move(self.workspace, connection, run_id, state, error)


def reap() -> None:
    """Collects the exit statuses of this process's own workers, so that none stays a zombie."""
    with _children_lock:
        for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
            del _children[pid]
