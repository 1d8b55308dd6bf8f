"""Evaluations on the workers of a Dask scheduler: each is a task, and its line comes back to the process of the batch.

That process alone writes results, one line for each evaluation that it gave out. Dask runs a task again where its worker is
killed; a task that costs several workers their lives (Dask's `allowed-failures`) is a failed line. As many evaluations are given
out as there are workers: one that waits in the queue of a worker would share the blame for that worker's end.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from autobuild_core.errors import Cancelled, ConfigError, EvaluationError, StudioError, counted
from autobuild_core.evaluators import Evaluator, Watch, _dask_task, _own
from autobuild_core.evaluators._dask_task import Order, fingerprint
from autobuild_core.evaluators._results import Asked, Line, Setting, failed_line

if TYPE_CHECKING:
    from distributed import Client, Future

ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):\d{1,5}")
CONNECT_SECONDS = 10.0
WORKERLESS_SECONDS = 30.0  # a machine may be late, or start anew
LOOK_SECONDS = 0.2  # how often it is looked whether to go on, and for workers that came or went
FETCH_SECONDS = 5.0
KEPT = "what was measured is kept. Start it again, then this batch, which goes on from there."
GONE = f"{{}}: the scheduler is gone; {KEPT}"
SAME = "as it is here, at the scheduler and at each worker"


class DaskExecutor:
    """Evaluations on the workers of a Dask scheduler, as many at a time as there are workers.

    Args:
        address: of the scheduler, tcp://HOST:PORT or tls://HOST:PORT.
        patience: seconds without any worker after which a batch gives up.

    Raises:
        ConfigError: it is no such address.
    """

    def __init__(self, address: str, patience: float = WORKERLESS_SECONDS) -> None:
        if not ADDRESS.fullmatch(address):
            raise ConfigError(f"scheduler: got '{address}', expected its address, as tcp://HOST:8786 or tls://HOST:8786.")
        self.address, self.patience = address, patience

    def measure_each(
        self, evaluator: Evaluator, asked: Sequence[Asked], setting: Setting, watch: Callable[[Asked], Watch]
    ) -> Iterator[Line]:
        """A line for every evaluation, as each comes to its end, with the host and the worker that measured it.

        Raises:
            Cancelled: the watch said so; evaluations that run end too.
            ConfigError: there is no such scheduler, or a worker has other code, data or files than this process.
            EvaluationError: the scheduler or all workers are gone.
        """
        order = Order(name_elsewhere(evaluator, setting.name), setting, fingerprint(evaluator))
        should_stop = watch(asked[0]).should_stop
        with self._connected() as client:
            self._check(client, order, should_stop)
            batch = _Batch(client, order, self.address)
            try:
                yield from self._lines(batch, evaluator, asked, should_stop)
            finally:
                batch.end()

    def _lines(
        self, batch: "_Batch", evaluator: Evaluator, asked: Sequence[Asked], should_stop: Callable[[], bool]
    ) -> Iterator[Line]:
        """A line for every evaluation."""
        left, seen = deque(asked), time.monotonic()
        while left or batch.running:
            if should_stop():
                raise Cancelled
            num_workers = batch.num_workers
            seen = time.monotonic() if num_workers else seen
            if time.monotonic() - seen > self.patience:
                raise EvaluationError(f"{self.address}: got no worker for {self.patience:g} s; {KEPT}")
            while left and len(batch.running) < num_workers:
                batch.give(left.popleft())
            yield from batch.come(evaluator)

    @contextmanager
    def _connected(self) -> "Iterator[Client]":
        """A connection to the scheduler.

        Raises:
            ConfigError: Dask is not installed, or there is no such scheduler.
        """
        try:
            from distributed import Client
            from distributed.security import Security
        except ImportError as error:
            what = "pip install -r requirements-scale.txt"
            raise ConfigError(f"scheduler: got {self.address}, but Dask is not installed here ({error}); {what}") from error
        # A client that fails but for want of an answer is not closed by Dask: collected later, it can lock up the next one.
        allowed, tls = Security().get_connection_args("client"), self.address.startswith("tls:")
        if (allowed["ssl_context"] is None) if tls else allowed["require_encryption"]:
            got = "no certificates for it" if tls else "that tls:// is required"
            raise ConfigError(f"scheduler {self.address}: got {got} in Dask's settings here, expected the scheduler's own.")
        try:
            client = Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError as error:
            expected = "expected a scheduler that runs there (python -m dask scheduler), and a firewall that lets it be reached"
            said = " ".join(str(error).split())[:200]
            raise ConfigError(f"scheduler {self.address}: got no answer ({said}), {expected}.") from error
        try:
            yield client
        finally:
            with suppress(TimeoutError):
                client.close(timeout=CONNECT_SECONDS)

    def _check(self, client: "Client", order: Order, should_stop: Callable[[], bool]) -> None:
        """Waits for a worker, and returns when all that are there may measure.

        Raises:
            Cancelled: should_stop said so.
            ConfigError: there is no worker, or one may not measure.
        """
        limit = time.monotonic() + self.patience
        while not _num_workers(client, self.address):
            if should_stop():
                raise Cancelled
            if time.monotonic() > limit:
                raise ConfigError(f"scheduler {self.address}: got no worker, expected some: python -m dask worker {self.address}")
            time.sleep(LOOK_SECONDS)
        with _there(self.address):
            answers = client.run(_dask_task.check, order, on_error="return")
        for worker, said in sorted(answers.items()):
            if isinstance(said, Exception) and not isinstance(said, OSError):
                said = f"worker {worker}: got {type(said).__name__} ({str(said)[:200]}), expected AutoBuild Studio {SAME}."
            if said and not isinstance(said, OSError):  # one that is gone already measures nothing
                raise ConfigError(str(said))


@contextmanager
def _there(address: str) -> Iterator[None]:
    """Questions to the scheduler.

    Raises:
        EvaluationError: it is gone.
    """
    try:
        yield
    except OSError as error:
        raise EvaluationError(GONE.format(address)) from error


def _num_workers(client: "Client", address: str) -> int:
    """The number of workers now, each of one thread.

    Raises:
        EvaluationError: the scheduler is gone.
    """
    with _there(address):
        return len(client.nthreads())


@dataclass(frozen=True)
class _Given:
    """An evaluation that was given out.

    Args:
        future: of Dask.
        asked: the evaluation.
        at: seconds of the monotonic clock.
    """

    future: "Future"
    asked: Asked
    at: float


class _Batch:
    """Evaluations that were given out.

    Args:
        client: the connection.
        order: of the batch.
        address: of the scheduler.
    """

    def __init__(self, client: "Client", order: Order, address: str) -> None:
        self._client, self._order, self._address = client, order, address
        self._name = f"autobuild-{uuid4().hex[:12]}"
        self._num_given = 0
        self._come = threading.Event()
        self.running: dict[str, _Given] = {}  # by key

    @property
    def num_workers(self) -> int:
        """The number of workers now."""
        return _num_workers(self._client, self._address)

    def give(self, asked: Asked) -> None:
        """Gives an evaluation out; each has a key of its own, so Dask takes none for the other."""
        key = f"{self._name}-{self._num_given}"
        self._num_given += 1
        future = self._client.submit(_dask_task.evaluate, self._order, asked, key=key, pure=False)
        self.running[key] = _Given(future, asked, time.monotonic())
        future.add_done_callback(lambda _: self._come.set())

    def come(self, evaluator: Evaluator) -> list[Line]:
        """The lines of evaluations that came to their end, waited for a moment; they are not among the running ones any more.

        Raises:
            ConfigError: a worker may not measure.
            EvaluationError: the scheduler is gone, or a worker cannot take evaluations at all.
        """
        self._come.wait(LOOK_SECONDS)
        self._come.clear()
        lines = []
        for key, given in list(self.running.items()):
            if given.future.status in ("pending", "lost"):  # lost with its worker: done anew
                continue
            line = self._line(given, evaluator)
            if line is not None:
                del self.running[key]
                lines.append(line)
        return lines

    def _line(self, given: "_Given", evaluator: Evaluator) -> Line | None:
        """The line of an evaluation that ended; None where its worker died with it, and it is done anew."""
        try:
            line: Line = given.future.result(timeout=FETCH_SECONDS)
            return line
        except TimeoutError:
            return None
        except Exception as error:
            if given.future.status == "cancelled":
                raise EvaluationError(GONE.format(self._address)) from error
            own = _as_ours(error)
            return failed_line(evaluator, given.asked, self._order.setting, own, time.monotonic() - given.at)

    def end(self) -> None:
        """Takes back what still runs, and ends what workers hold for the batch."""
        with suppress(OSError, TimeoutError):
            if self.running:
                self._client.cancel([given.future for given in self.running.values()])
            else:
                self._client.run(_dask_task.release, on_error="ignore")


def _as_ours(error: Exception) -> EvaluationError:
    """The end of a task that is the evaluation's own: it killed worker after worker.

    Raises:
        ConfigError: a worker may not measure.
        EvaluationError: tasks cannot be done there at all.
    """
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        died = counted(error.allowed_failures + 1, "worker")
        return EvaluationError(f"{died} died while measuring it, the last {error.last_worker.name}: out of memory, or killed.")
    if isinstance(error, StudioError):
        raise error
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    raise EvaluationError(f"an evaluation could not be given to a worker ({said}), expected AutoBuild Studio {SAME}.") from error


def name_elsewhere(evaluator: Evaluator, name: str) -> str:
    """The name by which a worker loads an evaluator: paths are whole, as it stands in another folder.

    An own evaluator that is registered keeps its name: each machine registers its own path.
    """
    if not evaluator.source or name in _own.registered():
        return name
    path = str(Path(evaluator.source).resolve())
    return f"{name.partition(':')[0]}:{path}" if evaluator.takes_source else path
