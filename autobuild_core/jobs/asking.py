"""Asks the command line in a process of its own: what a page needs computed at once, beside the queue, and can give up.

Pages never compute, and the queue may be busy for hours. The answer is what the command prints, its files are where it was told.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autobuild_core.errors import ConfigError, RunError
from autobuild_core.jobs.warm import thread_limits
from autobuild_core.registry import ROOT, import_path

LOOK_SECONDS = 0.1  # between two looks at how far it is
USER_ERROR = 2  # exit status of what the user can mend
THREADS = 2
SHARE = re.compile(r"(\d+) %")


def ask(arguments: Sequence[str], report: Callable[[float], None] = lambda share: None) -> dict[str, Any]:
    """The answer of a command.

    Args:
        arguments: of the command line.
        report: hears the share that is done, every moment; whatever it raises ends the command.

    Raises:
        ConfigError: the command says that the user can mend it; the message is its sentence.
        RunError: it broke off.
    """
    environment = {**os.environ, **thread_limits(THREADS), "PYTHONPATH": import_path()}
    with tempfile.TemporaryDirectory(prefix="autobuild-asking-") as scratch:
        out, log = Path(scratch) / "out", Path(scratch) / "log"
        with out.open("wb") as said, log.open("wb") as heard:
            child = subprocess.Popen(
                [sys.executable, "-m", "autobuild_core", *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                stdout=said, stderr=heard, start_new_session=True,
            )  # fmt: skip
        try:
            while child.poll() is None:
                report(_share(log))
                time.sleep(LOOK_SECONDS)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        return _answer(child.returncode, out.read_text(encoding="utf-8"), log.read_text(encoding="utf-8", errors="replace"))


def _share(log: Path) -> float:
    """The last share that a command said of itself; 0 before the first."""
    found = SHARE.findall(log.read_text(encoding="utf-8", errors="replace"))
    return min(int(found[-1]) / 100, 1.0) if found else 0.0


def _answer(status: int, out: str, log: str) -> dict[str, Any]:
    """The answer that a command printed, or the error that it ended with."""
    lines = log.strip().splitlines() or ["no message"]
    if status == USER_ERROR:
        raise ConfigError(lines[-1].partition(": ")[2] or lines[-1])
    try:
        if status == 0:
            found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
            return found
    except (IndexError, ValueError):
        pass
    raise RunError(f"command: it broke off with status {status} ({lines[-1][:200]}), expected an answer; try again.")
