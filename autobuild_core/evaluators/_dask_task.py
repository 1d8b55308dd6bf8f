"""An evaluation as a worker of Dask does it, and whether that worker may: code, data and files must be those of the batch.

A worker with other code, another torch, digits in place of Fashion-MNIST or another file of measurements would give numbers
that look alike and are not. So the batch says what it has, each worker compares before it measures anything, and a worker that
joins later compares with its first evaluation.
"""

import hashlib
import importlib.metadata
import inspect
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from autobuild_core.errors import ConfigError, StudioError
from autobuild_core.evaluators import Evaluator, Watch, check_device, load_evaluator
from autobuild_core.evaluators._results import Asked, Line, Setting, measure
from autobuild_core.memory import keep_freed_memory
from autobuild_core.version import VERSION

PACKAGE = Path(__file__).resolve().parent.parent
CODE = (".py", ".safetensors")  # files that decide what is measured
BUILT_IN_APP = "_app"  # pages and samples, which only a wheel has in the package
HASH_LENGTH = 12
ENDING = ("closing", "closed", "failed")  # states of a worker whose results nobody fetches


@dataclass(frozen=True)
class Order:
    """The order that a worker gets beside an evaluation.

    Args:
        name: by which workers load the evaluator.
        setting: conditions of the batch.
        wanted: what must be the same where the batch was started and where it is measured, as `fingerprint` has it.
    """

    name: str
    setting: Setting
    wanted: Mapping[str, str]


def fingerprint(evaluator: Evaluator) -> dict[str, str]:
    """{what: its version, name or hash} of all that decides an evaluator's numbers, but for the kind of processor."""
    return {
        "AutoBuild Studio": VERSION,
        "code": code_hash(),
        "torch": importlib.metadata.version("torch").partition("+")[0],  # builds for CPU and GPU are called 2.13.0+cpu, +cu130
        "version of the evaluator": evaluator.version,
        "data": evaluator.data(),
        "file": _file_hash(evaluator),
    }


@cache
def code_hash() -> str:
    """The hash of the package's code: a version is raised by hand, code is changed between two of them."""
    digest = hashlib.sha256()
    for path in sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.suffix in CODE):
        if path.parts[0] != BUILT_IN_APP:
            digest.update(f"{path.as_posix()}\n".encode() + (PACKAGE / path).read_bytes())
    return digest.hexdigest()[:HASH_LENGTH]


def _file_hash(evaluator: Evaluator) -> str:
    """The hash of what an evaluator reads (its source) and of its own file, which may be an extension."""
    digest = hashlib.sha256(Path(inspect.getfile(type(evaluator))).read_bytes())
    if evaluator.source:
        try:
            digest.update(Path(evaluator.source).read_bytes())
        except OSError as error:
            raise ConfigError(f"{evaluator.source}: got {error.strerror}, expected the evaluator's file.") from error
    return digest.hexdigest()[:HASH_LENGTH]


def lacking(order: Order, threads: int) -> str:
    """The reason why this process may not measure for a batch, "" when it may.

    Args:
        order: of the batch.
        threads: of this worker. Trainings draw from the process's random numbers, so there can be one at a time.
    """
    if threads != 1:
        return f"got {threads} threads, expected 1: start it with --nthreads 1, and --nworkers {threads} for as many evaluations."
    try:
        check_device(order.setting.device)
        evaluator = load_evaluator(order.name)
        found = fingerprint(evaluator)
    except StudioError as error:
        return str(error)
    wrong = [name for name, value in order.wanted.items() if found.get(name) != value]
    said = [f"{name} {found.get(name)} where the batch has {order.wanted[name]}" for name in wrong]
    return f"got {', '.join(said)}; expected the same. Install the same version, data and files there." if said else ""


class _Held:
    """The evaluator that this worker holds between two evaluations of a batch: it may have read a table or hold a process.

    Only the one thread of the worker uses it, and whoever has the lock.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.order: Order | None = None
        self.evaluator: Evaluator | None = None

    def of(self, order: Order, threads: int) -> Evaluator:
        """The evaluator of an order.

        Raises:
            ConfigError: this worker may not measure for that batch.
        """
        if self.evaluator is None or self.order != order:
            self.drop()
            if said := lacking(order, threads):
                raise ConfigError(said)
            keep_freed_memory()
            self.order, self.evaluator = order, load_evaluator(order.name)
        return self.evaluator

    def drop(self) -> None:
        """Ends what is held."""
        evaluator, self.evaluator = self.evaluator, None
        if evaluator is not None:
            evaluator.close()


_held = _Held()


def check(order: Order, dask_worker: Any) -> str:
    """The reason why a worker may not measure for a batch, "" when it may; asked of all workers at once.

    Args:
        order: of the batch.
        dask_worker: filled in by Dask.
    """
    said = lacking(order, dask_worker.state.nthreads)
    return f"worker {dask_worker.name} on {socket.gethostname()}: {said}" if said else ""


def release() -> None:
    """Ends what this worker holds, unless it is measuring for another batch."""
    if _held.lock.acquire(blocking=False):
        try:
            _held.drop()
        finally:
            _held.lock.release()


def evaluate(order: Order, asked: Asked) -> Line:
    """The line of an evaluation, with the host and the worker that measured it.

    It ends early when nobody waits for it any more: the batch was cancelled, its process or the scheduler is gone, or this worker
    is told to end.

    Raises:
        ConfigError: this worker may not measure for the batch.
        Cancelled: nobody waits for it.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    host = socket.gethostname()

    def unwanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state != "executing" or worker.status.name in ENDING

    with _held.lock:
        try:
            evaluator = _held.of(order, worker.state.nthreads)
        except ConfigError as error:
            raise ConfigError(f"worker {worker.name} on {host}: {error}") from error
        line = measure(evaluator, asked, order.setting, Watch(should_stop=unwanted, seconds=order.setting.seconds))
    return line | {"host": host, "worker": str(worker.name)}
