"""Asks the warm supervisor (supervisor.py) to start a worker, which takes milliseconds in place of seconds of imports.

One supervisor a workspace, number of threads and state of the code: workers must not run code older than that of who asks.
Where none listens, the caller starts the worker the slow way; nothing depends on it.
"""

import functools
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from autobuild_core.registry import EXTENSIONS, PACKAGE, ROOT, import_path, installed, own_places

ANSWER_SECONDS = 0.3  # every page asks, and waits so long
SILENT_SECONDS = 60.0  # a supervisor that did not answer in time is left alone: runs start the slow way meanwhile
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
RETRY_SECONDS = 60.0  # a supervisor that cannot start is not tried at every page
_started: dict[Path, tuple[float, subprocess.Popen[bytes]]] = {}
_silent: dict[Path, float] = {}  # when a supervisor did not answer in time, by its address


@functools.cache
def _code_stamp() -> str:
    """Changes when a file of the package or of an extension does, or the version of an installed package that brings one.

    Taken once a process, whose own code does not change either.
    """
    files = [path for place in (PACKAGE, *own_places()) for path in sorted(place.rglob("*.py"))]
    here = sys.executable, os.environ.get(EXTENSIONS, ""), *installed()
    return json.dumps([*here, *((str(path), path.stat().st_mtime_ns) for path in files)])


def thread_limits(threads: int) -> dict[str, str]:
    """Environment of a worker that may use so many threads: its own; each library gets one, as its operations are small."""
    return dict.fromkeys(THREAD_VARIABLES, "1") | {"AUTOBUILD_THREADS": str(threads)}


def address(workspace: Path, threads: int) -> Path:
    """The socket of a workspace's supervisor, in a folder that only this user may enter (a socket's path must be short).

    Raises:
        OSError: the folder cannot be made, or belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir()) / f"autobuild-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise PermissionError(f"{folder}: got a folder that others may enter, expected one of this user alone.")
    name = hashlib.sha256(f"{workspace.resolve()}\0{threads}\0{_code_stamp()}".encode()).hexdigest()[:20]
    return folder / name


def is_silent(place: Path) -> bool:
    """Whether the supervisor of an address did not answer in time a while ago, so that it is not to be waited for again."""
    return time.monotonic() - _silent.get(place, -SILENT_SECONDS) < SILENT_SECONDS


def ask(workspace: Path, threads: int, request: dict[str, object]) -> dict[str, object] | None:
    """The supervisor's answer; None where none listens, or it does not answer in time or did not a while ago.

    A worker that it starts too late, for whoever has gone on without, ends by itself: the run is another process's (queue.begin).
    """
    try:
        place = address(workspace, threads)
        return None if is_silent(place) else _asked(place, request)
    except (OSError, ValueError):
        return None


def _asked(place: Path, request: dict[str, object]) -> dict[str, object]:
    """The answer at an address.

    Raises:
        OSError: there is none.
        ValueError: it is nonsense.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER_SECONDS)
            line.connect(str(place))
            line.sendall(json.dumps(request).encode() + b"\n")
            with line.makefile("rb") as heard:
                answer: dict[str, object] = json.loads(heard.readline())
    except (TimeoutError, BlockingIOError):  # BlockingIOError: so many wait there that no more are let in
        _silent[place] = time.monotonic()
        raise
    return answer


def spawn(workspace: Path, threads: int, arguments: Sequence[str], log: Path) -> int | None:
    """Starts a worker in a session of its own.

    Args:
        workspace: whose supervisor is asked.
        threads: that the worker may use.
        arguments: of the worker's command line.
        log: file that its output is added to.

    Returns:
        Its pid; None where no supervisor is ready.
    """
    answer = ask(workspace, threads, {"arguments": list(arguments), "log": str(log)})
    pid = answer.get("pid") if answer else None
    return pid if isinstance(pid, int) else None


def keep_ready(workspace: Path, threads: int) -> bool:
    """Tells the supervisor that it is wanted, and starts one where there is none; returns whether one is ready now."""
    for _, child in _started.values():
        child.poll()  # one that ended is no zombie
    if ask(workspace, threads, {}) is not None:
        return True
    place, now = address(workspace, threads), time.monotonic()
    if is_silent(place):
        return False  # it holds its lock: another one would end at once
    if place in _started and now - _started[place][0] < RETRY_SECONDS:
        return False  # it is on its way
    environment = {**os.environ, "PYTHONPATH": import_path(), **thread_limits(threads)}
    command = [sys.executable, "-m", "autobuild_core.jobs.supervisor", str(workspace.resolve()), "--threads", str(threads)]
    nothing = subprocess.DEVNULL
    with (workspace / "supervisor.log").open("wb") as log:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=nothing, stdout=log, stderr=log, start_new_session=True
        )
    _started[place] = now, child
    return False
