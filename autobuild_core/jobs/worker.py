"""`python -m autobuild_core.jobs.worker RUN_FOLDER`: one job of any kind in its own process.

Its output goes to log.txt of the run folder (executor.py sees to that). Whatever happens, the run ends in a state with one clear
sentence: an error that the user can mend says it itself, any other leaves its traceback in the log.
"""

import argparse
import errno
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autobuild_core.errors import Cancelled, StudioError
from autobuild_core.jobs.executor import BEAT_SECONDS, CANCEL_SECONDS, Executor, SubprocessExecutor, kill_group
from autobuild_core.jobs.kinds import JobKind, load_kind
from autobuild_core.memory import keep_freed_memory, wait_briefly
from autobuild_core.store import queue
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.states import RunState
from autobuild_core.store.workspace import Workspace

ASK_SECONDS = 0.2  # how often at most the registry is asked for the cancel flag
FULL = (errno.ENOSPC, errno.EDQUOT)
Work = Callable[[RunFolder, Callable[[dict[str, Any]], None], Callable[[], bool]], object]


class Worker:
    """Does one job and keeps its state.

    Args:
        folder: the run.
        workspace: where the run's queue is; None for a run folder on its own.
        executor: called at the end, so that the queue moves on; None for a run folder on its own.
    """

    def __init__(self, folder: RunFolder, workspace: Workspace | None = None, executor: Executor | None = None) -> None:
        self.folder, self.workspace, self.executor = folder, workspace, executor
        self.run_id = folder.path.name
        self.stopped = threading.Event()  # a signal, or the cancel flag
        self.done = threading.Event()
        self.asked_at = 0.0
        self.last: Mapping[str, Any] = {}  # progress record
        self.kind: JobKind[Any] | None = None

    def run(self, work: Work | None = None) -> str:
        """Does the job to its end.

        Args:
            work: what is done; None = what the run's kind of job does.

        Returns:
            The state the run ended in; "" when the run is not this process's.
        """
        if self.workspace and not queue.begin(self.workspace, self.run_id):
            return ""
        if not self.workspace:
            self.folder.set_state(RunState.RUNNING)
        heart = threading.Thread(target=self._heartbeat, name="heartbeat", daemon=True)
        heart.start()
        state, error = self._work(work)
        self.done.set()
        heart.join()
        self._end(state, error)
        return state

    def _work(self, work: Work | None) -> tuple[RunState, str]:
        """The job with every way to end as (state, sentence)."""
        try:
            job = self.folder.job
            self.kind = load_kind(job.kind)
            self.folder.log(f"{self.kind.title} starts.")
            if work is None:
                self.kind.run(self.folder, self.kind.settings(job.settings), self._report, self.should_stop)
            else:
                work(self.folder, self._report, self.should_stop)
        except KeyboardInterrupt:
            return RunState.CANCELLED, ""
        except Exception as error:
            return self._explain(error)
        self._log("Finished.")
        return RunState.FINISHED, ""

    def _report(self, record: Mapping[str, Any]) -> None:
        """Keeps a progress record; lists hear of it with the next heartbeat."""
        self.folder.append_progress(record)
        self.last = record

    def _explain(self, error: Exception) -> tuple[RunState, str]:
        """An exception as the run's last (state, sentence)."""
        if isinstance(error, Cancelled):
            self._log("Cancelled; what was finished is kept.")
            return RunState.CANCELLED, ""
        if isinstance(error, StudioError):
            self._log(f"Failed: {error}")
            return RunState.FAILED, str(error)
        self._log(traceback.format_exc())
        noun = self.kind.noun if self.kind else "job"
        if isinstance(error, MemoryError):
            return RunState.FAILED, f"The {noun} ran out of memory; give it fewer rows or smaller settings."
        if isinstance(error, OSError) and error.errno in FULL:
            return RunState.FAILED, f"The {noun} could not write its files: the disk is full; free some space and start it again."
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return RunState.FAILED, f"The {noun} stopped at a fault of the program ({said}); its log has the details."

    def _log(self, line: str) -> None:
        """A line of the log, where the disk takes one: the run has to end in its state all the same."""
        with suppress(OSError):
            self.folder.log(line)

    def _progress(self) -> JobProgress | None:
        """Progress of the job in its kind's words; None where those fail, which is no reason to fall silent."""
        try:
            return self.kind.progress(self.last) if self.kind else None
        except Exception:
            return None

    def _row(self) -> RunRow | None:
        """Row of the job in lists, now that it has ended; None = as before."""
        try:
            return self.kind.row(self.folder, self.kind.settings_of(self.folder)) if self.kind else None
        except Exception:
            self._log(traceback.format_exc())
            return None

    def should_stop(self) -> bool:
        """The training is to end: asked by the user or by a signal. Cheap enough for every step."""
        now = time.monotonic()
        if self.workspace and not self.stopped.is_set() and now - self.asked_at >= ASK_SECONDS:
            self.asked_at = now
            if queue.cancel_asked(self.workspace, self.run_id) is not None:
                self.stopped.set()
        return self.stopped.is_set()

    def _heartbeat(self) -> None:
        """Says every 2 s that the worker lives; ends it when it was asked to stop 3 s ago, or is not wanted any more."""
        while self.workspace and not self.done.wait(BEAT_SECONDS / 2):
            try:
                wanted = queue.beat(self.workspace, self.run_id, self._progress())
                asked = queue.cancel_asked(self.workspace, self.run_id)
            except Exception:  # a full disk or a locked registry must not silence the heart for good
                self._log(traceback.format_exc())
                continue
            if not wanted or (asked is not None and time.time() - asked > CANCEL_SECONDS):
                self._end(RunState.CANCELLED, "")
                leave_at_once()

    def _end(self, state: RunState, error: str) -> None:
        """Writes the last state and what lists show, and lets the next run start."""
        if not self.workspace:
            self.folder.set_state(state, error)
            return
        queue.end(self.workspace, self.run_id, state, error, self._row())
        if self.executor:
            self.executor.poll()

    def stop(self, *_: Any) -> None:
        """Signal handler: end at the next step."""
        self.stopped.set()


def leave_at_once() -> None:
    """Ends this process and, in a session of its own, whatever it started."""
    if os.getpgrp() == os.getpid():
        kill_group(os.getpid())
    os._exit(1)


def main(arguments: list[str] | None = None) -> int:
    """The command line of a worker; 0 when the run finished, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m autobuild_core.jobs.worker", description="Does the job of one run folder.")
    parser.add_argument("run_folder", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--max-running", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm", action="store_true", help="let the warm supervisor start the next run")
    options = parser.parse_args(arguments)
    faulthandler.enable()
    keep_freed_memory()
    wait_briefly()
    workspace = Workspace(options.workspace) if options.workspace else None
    limits = (options.max_running, options.threads, options.warm)
    executor = SubprocessExecutor(workspace, *limits) if workspace else None
    worker = Worker(RunFolder(options.run_folder), workspace, executor)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, worker.stop)
    return 0 if worker.run() == RunState.FINISHED else 1


if __name__ == "__main__":
    sys.exit(main())
