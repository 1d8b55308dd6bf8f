"""Measurements as lines of a file: what was measured, with what, and how it ended; `inspect` and `train` read such files.

A line is {"arch", "seed", metrics..., "evaluator", "version", "data", "budget", "device", "seconds", "state"}; where there are
any also "error" (the reason of a failure), "curve" (metrics after every epoch), "samples" and "remark", and "host" and "worker"
where another machine may have measured. Lines are appended one by one, so a batch that was stopped goes on from what is there.
"""

import base64
import itertools
import json
import math
import time
import traceback
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autobuild_core.errors import Cancelled, ConfigError, Diverged, OutOfTime, StudioError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.store.tables import append_lines

if TYPE_CHECKING:
    from torch import Tensor

FINISHED, FAILED, DIVERGED, OUT_OF_TIME = "finished", "failed", "diverged", "out of time"
LONGEST_ERROR = 400
Line = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """An evaluation that is asked for.

    Args:
        arch: in its native encoding.
        seed: of all that is random.
        id: of the candidate, "" where it has none.
    """

    arch: Any
    seed: int
    id: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """The key by which it is told from others: the architecture as JSON, and the seed."""
        return json.dumps(self.arch, sort_keys=True), self.seed


@dataclass(frozen=True)
class Setting:
    """The conditions of a whole batch.

    Args:
        name: of the evaluator, as it was asked for.
        budget: of every evaluation.
        device: "cpu" or "cuda".
        seconds: that one evaluation may take; None = as long as it takes.
    """

    name: str
    budget: int
    device: str = "cpu"
    seconds: float | None = None

    def at(self, seed: int) -> Conditions:
        """The conditions with a seed."""
        return Conditions(self.budget, seed, self.device)


def key_of(line: Mapping[str, Any]) -> tuple[str, int]:
    """The key of the evaluation that a line is about (`Asked.key`)."""
    return json.dumps(line["arch"], sort_keys=True), int(line["seed"])


def measure(evaluator: Evaluator, asked: Asked, setting: Setting, watch: Watch) -> Line:
    """Measures one architecture; whatever happens but cancelling, there is a line.

    Args:
        evaluator: the evaluator.
        asked: architecture and seed.
        setting: conditions of the batch.
        watch: is asked at every step, and hears the metrics after every epoch.

    Raises:
        Cancelled: the watch said so; there is no line then, and the evaluation is done anew later.
    """
    start = time.perf_counter()
    try:
        evaluator.check(asked.arch)
        measured = evaluator.evaluate(asked.arch, setting.at(asked.seed), watch)
    except Cancelled:
        raise
    except Exception as error:
        show_fault(error)
        return failed_line(evaluator, asked, setting, error, time.perf_counter() - start)
    return line_of(evaluator, asked, setting, measured, time.perf_counter() - start)


def line_of(evaluator: Evaluator, asked: Asked, setting: Setting, measured: Measured, seconds: float) -> Line:
    """The line of an evaluation that came to its end; of a metric that is no finite number, that it diverged."""
    numbers = {name: float(value) for name, value in measured.metrics.items()}
    wrong = next((name for name, value in numbers.items() if not math.isfinite(value)), None)
    if wrong is not None:
        error = Diverged(f"{wrong}: got {numbers[wrong]}, expected a finite number.")
        return failed_line(evaluator, asked, setting, error, seconds, measured.curve)
    line = {"arch": asked.arch, "seed": asked.seed} | numbers | _about(evaluator, asked, setting, seconds, FINISHED)
    line |= _curve(measured.curve)
    line |= {"samples": measured.samples} if measured.samples else {}
    return line | ({"remark": measured.remark} if measured.remark else {})


def failed_line(
    evaluator: Evaluator,
    asked: Asked,
    setting: Setting,
    error: Exception,
    seconds: float,
    curve: Sequence[Mapping[str, float]] = (),
) -> Line:
    """The line of an evaluation that failed, with its reason."""
    state = DIVERGED if isinstance(error, Diverged) else OUT_OF_TIME if isinstance(error, OutOfTime) else FAILED
    said = str(error) if isinstance(error, StudioError) else f"{type(error).__name__}: {error}"
    line = {"arch": asked.arch, "seed": asked.seed} | _about(evaluator, asked, setting, seconds, state)
    line |= {"error": " ".join(said.split())[:LONGEST_ERROR]}
    return line | _curve(curve)


def _curve(curve: Sequence[Mapping[str, float]]) -> Line:
    """The curve as a part of a line, up to where it is no number any more."""
    finite = list(itertools.takewhile(lambda one: all(map(math.isfinite, one.values())), curve))
    return {"curve": [dict(one) for one in finite]} if finite else {}


def _about(evaluator: Evaluator, asked: Asked, setting: Setting, seconds: float, state: str) -> Line:
    about: Line = {"id": asked.id} if asked.id else {}
    about |= {"evaluator": setting.name, "version": evaluator.version, "data": evaluator.data()}
    return about | {"budget": setting.budget, "device": setting.device, "seconds": round(seconds, 3), "state": state}


def metrics_of(line: Line) -> list[str]:
    """Names of a line's metrics."""
    between = list(line)[2 : list(line).index("evaluator")]
    return [name for name in between if isinstance(line[name], int | float) and name != "id"]


def show_fault(error: Exception) -> None:
    """Puts where a fault of the program happened into the log; what an evaluator says itself needs no more."""
    if not isinstance(error, StudioError):
        traceback.print_exception(error)


class ResultsFile:
    """A file of lines that grows; a torn last line of a process that was killed is cut off before the next is written.

    Args:
        path: the file; made by the first line.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def read(self) -> list[Line]:
        """The lines that are there.

        Raises:
            ConfigError: a line before the last is no measurement, or the file cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(f"{self.path}: got {error.strerror}, expected a file of measurements.") from error
        whole, newline, _ = content.rpartition(b"\n")
        return [self._line(number, text) for number, text in enumerate(whole.split(b"\n"), 1) if text.strip()] if newline else []

    def _line(self, number: int, text: bytes) -> Line:
        """One line."""
        try:
            line = json.loads(text)
            if isinstance(line, dict) and "arch" in line and isinstance(line.get("seed"), int):
                return line
        except ValueError:
            pass
        got = text[:60].decode(errors="replace")
        raise ConfigError(f"{self.path}, line {number}: got {got!r}, expected a measurement; name another file.")

    def append(self, lines: Iterable[Line]) -> None:
        """Writes lines at once, each whole or, where the process is killed, cut off by the next.

        Raises:
            ConfigError: the file cannot be written.
        """
        try:
            with self.path.open("r+b" if self.path.exists() else "w+b") as file:
                append_lines(file, lines)
        except OSError as error:
            raise ConfigError(f"{self.path}: got {error.strerror}, expected a file that can be written.") from error


def pack_pictures(pictures: "Tensor") -> str:
    """Grey pictures (n, height, width) in -1..1 as a short text: their shape, and their bytes as base64."""
    grey = ((pictures + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    shape = "x".join(map(str, grey.shape))
    return f"{shape}:{base64.b64encode(zlib.compress(grey.tobytes(), 9)).decode()}"


def unpack_pictures(text: str) -> NDArray[np.uint8]:
    """The pictures that `pack_pictures` wrote, (n, height, width) uint8.

    Raises:
        ValueError: the text is none of its.
    """
    shape, _, packed = text.partition(":")
    sides = [int(side) for side in shape.split("x")]
    found = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8)
    return found.reshape(sides)
