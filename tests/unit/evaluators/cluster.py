"""A real scheduler of Dask and real workers, each a process of its own on 127.0.0.1; and an evaluator that waits for a test."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_SECONDS = 120.0  # on a busy machine
# Notes that it began, waits for architectures that begin with "held" until the file "open" is there; the number is the seed's.
WAITING = """
import os, pathlib, random, signal, time
PLACE = pathlib.Path(__file__).parent
def evaluate(arch, budget, seed):
    with (PLACE / "begun").open("a") as file:
        file.write(f"{arch},{seed},{os.getppid()},{os.getpid()}\\n")
    if arch.startswith("deadly"):
        os.kill(os.getppid(), signal.SIGKILL)
        raise SystemExit
    while arch.startswith("held") and not (PLACE / "open").exists():
        time.sleep(0.02)
    return {"loss": random.Random(f"{arch} {seed}").random()}
"""


def wait_for(found: Callable[[], Any], about: str) -> Any:
    """What is looked for, once it is there."""
    limit = time.monotonic() + PATIENCE_SECONDS
    while not (value := found()):
        if time.monotonic() > limit:
            raise TimeoutError(about)
        time.sleep(0.02)
    return value


class Waiting:
    """The evaluator WAITING in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder, self.path = folder, folder / "waiting.py"
        self.path.write_text(WAITING)

    def begun(self) -> list[tuple[str, int, int, int]]:
        """(architecture, seed, process of the worker, process of the evaluator) of all that began, in this order."""
        file = self.folder / "begun"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(arch, int(seed), int(worker), int(own)) for arch, seed, worker, own in (line.split(",") for line in lines)]

    def open(self) -> None:
        """Lets those that wait go on."""
        (self.folder / "open").touch()


class Cluster:
    """A scheduler and its workers.

    Args:
        folder: of logs, and all that Dask writes.
        environment: of the scheduler beside this process's.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._processes, about = folder, [], folder / "scheduler.json"
        words = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(about)]
        self.scheduler = self._start("scheduler", words, environment)

        def address() -> str:
            try:
                return str(json.loads(about.read_text())["address"])
            except (OSError, ValueError):
                return ""

        self.address = wait_for(address, "the scheduler says no address")

    def worker(
        self, name: str, *words: str, threads: int = 1, environment: Mapping[str, str] | None = None, cwd: Path = ROOT
    ) -> "subprocess.Popen[bytes]":
        """A worker that is there; without a nanny, so that its process is all of it, unless words say so."""
        own = words or ("--no-nanny",)
        place = ["--host", "127.0.0.1", "--no-dashboard", "--local-directory", str(self._folder / name)]
        started = self._start(
            name, ["worker", self.address, "--name", name, "--nthreads", str(threads), *place, *own], environment, cwd
        )
        log = self._folder / f"{name}.log"
        wait_for(lambda: "Registered to:" in log.read_text(), f"worker {name} does not come")
        return started

    def _start(
        self, name: str, words: list[str], environment: Mapping[str, str] | None, cwd: Path = ROOT
    ) -> "subprocess.Popen[bytes]":
        own = {"DASK_TEMPORARY_DIRECTORY": str(self._folder), "PYTHONPATH": str(cwd), **(environment or {})}
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words], cwd=cwd, env={**os.environ, **own}, stdout=log, stderr=log
            )
        self._processes.append(process)
        return process

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """Ends a worker, or the scheduler."""
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Ends all of it, the scheduler last: a worker that hears of both ends at once may hang."""
        scheduler, *workers = self._processes
        for process in workers:
            process.terminate()
        for process in (*workers, scheduler):
            self.stop(process)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of results."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
