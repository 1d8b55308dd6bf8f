"""`python -m autobuild_core.jobs.worker RUN_FOLDER`: one training in its own process.

Its output goes to log.txt of the run folder (executor.py sees to that). Whatever happens, the run ends in a state with one clear
sentence: an error that the user can mend says it itself, any other leaves its traceback in the log.
"""

import argparse
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autobuild_core.errors import Cancelled, StudioError
from autobuild_core.jobs.executor import BEAT_SECONDS, CANCEL_SECONDS, Executor, SubprocessExecutor, kill_group
from autobuild_core.jobs.memory import keep_freed_memory, wait_briefly
from autobuild_core.store import queue
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.workspace import Workspace

ASK_SECONDS = 0.2  # how often at most the registry is asked for the cancel flag
Train = Callable[[RunFolder, Callable[[dict[str, Any]], None], Callable[[], bool]], dict[str, Any]]


class Worker:
    """Runs one training and keeps its state.

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

    def run(self, train: Train | None = None) -> str:
        """Trains to the end.

        Args:
            train: what trains; None = `kinds.train.train_run`.

        Returns:
            The state the run ended in; "" when the run is not this process's to train.
        """
        if self.workspace and not queue.begin(self.workspace, self.run_id):
            return ""
        if not self.workspace:
            self.folder.set_state("running")
        heart = threading.Thread(target=self._heartbeat, name="heartbeat", daemon=True)
        heart.start()
        state, error = self._train(train)
        self.done.set()
        heart.join()
        self._end(state, error)
        return state

    def _train(self, train: Train | None) -> tuple[str, str]:
        """The training with every way to end as (state, sentence)."""
        try:
            self.folder.log("Training starts.")
            train = train or _pipeline()
            train(self.folder, self.folder.append_progress, self.should_stop)
        except KeyboardInterrupt:
            return "cancelled", ""
        except Exception as error:
            return self._explain(error)
        self.folder.log("Finished.")
        return "finished", ""

    def _explain(self, error: Exception) -> tuple[str, str]:
        """What an exception means for the run, as (state, sentence)."""
        if isinstance(error, Cancelled):
            self.folder.log("Cancelled; what was finished is kept.")
            return "cancelled", ""
        if isinstance(error, StudioError):
            self.folder.log(f"Failed: {error}")
            return "failed", str(error)
        self.folder.log(traceback.format_exc())
        if isinstance(error, MemoryError):
            return "failed", "The training ran out of memory; train on fewer rows or with a smaller ensemble."
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return "failed", f"The training stopped at a fault of the program ({said}); its log has the details."

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
                wanted = queue.beat(self.workspace, self.run_id)
                asked = queue.cancel_asked(self.workspace, self.run_id)
            except Exception:  # a full disk or a locked registry must not silence the heart for good
                self.folder.log(traceback.format_exc())
                continue
            if not wanted or (asked is not None and time.time() - asked > CANCEL_SECONDS):
                self._end("cancelled", "")
                leave_at_once()

    def _end(self, state: str, error: str) -> None:
        """Writes the last state and lets the next run start."""
        if not self.workspace:
            self.folder.set_state(state, error)
            return
        queue.end(self.workspace, self.run_id, state, error)
        if self.executor:
            self.executor.poll()

    def stop(self, *_: Any) -> None:
        """Signal handler: end at the next step."""
        self.stopped.set()


def _pipeline() -> Train:
    """The real training. Importing it takes seconds, so it is done when the heart beats already."""
    from autobuild_core.jobs.kinds import train

    return train.train_run


def leave_at_once() -> None:
    """Ends this process and, in a session of its own, whatever it started."""
    if os.getpgrp() == os.getpid():
        kill_group(os.getpid())
    os._exit(1)


def main(arguments: list[str] | None = None) -> int:
    """The command line of a worker; 0 when the run finished, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m autobuild_core.jobs.worker", description="Trains one run folder.")
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
    return 0 if worker.run() == "finished" else 1


if __name__ == "__main__":
    sys.exit(main())
