"""A worker process whose training takes no torch: the run's target says what it does. Also its executor and supervisor."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autobuild_core.errors import TargetError
from autobuild_core.jobs import supervisor
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.jobs.supervisor import Supervisor
from autobuild_core.jobs.worker import Worker
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.workspace import Workspace

LOOK_SECONDS = 0.2  # between two looks of the supervisor at its workspace: a test waits for the next


class FakeExecutor(SubprocessExecutor):
    """Starts this file in place of the real worker."""

    def command(self, folder: RunFolder) -> list[str]:
        return [sys.executable, __file__, *self.arguments(folder)]


def train(folder: RunFolder, report: Callable[[dict[str, Any]], None], should_stop: Callable[[], bool]) -> dict[str, Any]:
    """What the target says: "quick", "gated", "obedient" (until asked), "deaf", "killed", "mended", "broken", "threads"."""
    kind = folder.config.target
    report({"step": 1, "num_steps": 9, "loss": 0.5, "phase": "training"})
    if kind == "mended":
        raise TargetError("target: got 'acd', expected a metric such as acc.")
    if kind == "broken":
        raise ZeroDivisionError("half\nof it")
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "threads":
        folder.write_json("threads.json", {n: os.environ.get(n) for n in ("AUTOBUILD_THREADS", "OMP_NUM_THREADS")})
    while kind == "gated" and not (folder.path / "go").exists():
        time.sleep(0.02)
    while kind in ("obedient", "deaf"):
        time.sleep(0.02)
        if kind == "obedient" and should_stop():
            report({"step": 2, "num_steps": 9})
            break
    folder.write_json("quality.json", {"srcc": 0.5})
    return {}


def main(arguments: list[str] | None = None) -> int:
    """The worker's command line; with --supervise that of a warm supervisor of such workers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run_folder", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--max-running", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--supervise", type=float, help="idle seconds")
    options = parser.parse_args(arguments)
    if options.supervise:
        supervisor.LOOK_SECONDS = LOOK_SECONDS
        return Supervisor(options.run_folder, options.threads, main, [], options.supervise).run()
    space = Workspace(options.workspace)
    executor = FakeExecutor(space, options.max_running, options.threads, options.warm)
    Worker(RunFolder(options.run_folder), space, executor).run(train)
    return 0


if __name__ == "__main__":
    sys.exit(main())
