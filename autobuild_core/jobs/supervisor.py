"""`python -m autobuild_core.jobs.supervisor WORKSPACE`: has torch loaded and forks a worker whenever it is asked to (warm.py).

It is a process of its own, not the app's: torch stays out of the app, and workers outlive a server that restarts. It computes
nothing, so that no thread pool exists when it forks. A worker is as if it had been started by hand: a session and a process group
of its own, its output in the run's log. The supervisor ends when nobody wanted it for half an hour or its workspace is gone.
"""

import argparse
import fcntl
import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autobuild_core import registry
from autobuild_core.jobs import warm, worker
from autobuild_core.jobs.kinds import FOLDER, load_kind
from autobuild_core.memory import wait_briefly

IDLE_SECONDS = 1800.0
LOOK_SECONDS = 5.0
Main = Callable[[list[str]], int]


def preloaded_by_kinds() -> list[str]:
    """Modules that the kinds of jobs want to be loaded; a kind that is faulty says so when it is asked for."""
    found: list[str] = []
    for name in registry.names(FOLDER):
        try:
            found += load_kind(name).preloaded
        except Exception as error:
            print(f"kind of job {name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return found


class Supervisor:
    """Listens on a workspace's socket.

    Args:
        workspace: its folder.
        threads: that every worker may use.
        main: what a worker runs with its arguments.
        preloaded: modules that workers will need; None = those that the kinds of jobs name.
        idle_seconds: ends after so long without a word.
    """

    def __init__(
        self,
        workspace: Path,
        threads: int,
        main: Main = worker.main,
        preloaded: Sequence[str] | None = None,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self.workspace, self.threads, self.main = workspace, threads, main
        self.preloaded, self.idle_seconds = preloaded, idle_seconds
        self.address = warm.address(workspace, threads)

    def run(self) -> int:
        """Serves until it is not wanted any more; 0, or 1 when another one serves already."""
        lock = os.open(self.address.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 1
        wait_briefly()
        for name in preloaded_by_kinds() if self.preloaded is None else self.preloaded:
            importlib.import_module(name)
        gc.freeze()  # what is loaded stays shared with the workers
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended workers are no zombies
        self.address.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(self.address))
            listener.listen()
            listener.settimeout(min(LOOK_SECONDS, self.idle_seconds))
            try:
                self._serve(listener, lock)
            finally:
                self.address.unlink(missing_ok=True)
        return 0

    def _serve(self, listener: socket.socket, lock: int) -> None:
        heard = time.monotonic()
        while time.monotonic() - heard < self.idle_seconds and self.workspace.is_dir():
            try:
                line, _ = listener.accept()
            except TimeoutError:
                continue
            heard = time.monotonic()
            with line:
                try:
                    line.settimeout(warm.ANSWER_SECONDS)
                    with line.makefile("rb") as text:
                        request = json.loads(text.readline())
                    answer = {"pid": self._fork(request, (listener.fileno(), line.fileno(), lock))} if request else {}
                    line.sendall(json.dumps(answer).encode() + b"\n")
                except (OSError, ValueError, KeyError) as error:
                    print(f"request not served: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    def _fork(self, request: dict[str, Any], mine: tuple[int, ...]) -> int:
        """The pid of a new worker that has a session of its own already, so that it can be killed as a group."""
        arguments, log = [str(word) for word in request["arguments"]], str(request["log"])
        ready, said = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                for number in (*mine, ready):
                    os.close(number)  # the lock too: it must be free when the supervisor dies
                self._become_worker(log)
                os.close(said)
                status = self.main(arguments)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        os.close(said)
        os.read(ready, 1)  # ends when the worker has closed its side
        os.close(ready)
        return pid

    def _become_worker(self, log: str) -> None:
        """Set-up of a worker, as Popen does it: session, output, signals, limits."""
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        out, nothing = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        os.environ.update(warm.thread_limits(self.threads))


def main(arguments: list[str] | None = None) -> int:
    """The command line of the supervisor."""
    parser = argparse.ArgumentParser(
        prog="python -m autobuild_core.jobs.supervisor", description="Starts workers without their imports."
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    options = parser.parse_args(arguments)
    return Supervisor(options.workspace, options.threads, idle_seconds=options.idle_seconds).run()


if __name__ == "__main__":
    sys.exit(main())
