"""Evaluators: one file each; an architecture, a budget and a seed in, measured metrics out.

A file is imported by the app process, for its words: what computes, and needs torch, is imported late, in `evaluate`. An
evaluator is named by its file (`classification`), by file and source where it reads one (`table:results.csv`), or is a user's
own: the path of a Python file with a function `evaluate`, or of a program that answers JSON lines (_own.py).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

from autobuild_core import registry
from autobuild_core.errors import ArchitectureError, Cancelled, ConfigError, OutOfTime
from autobuild_core.spaces import Space
from autobuild_core.targets.vocabulary import lower_is_better

FOLDER = "evaluators"
DEVICES = ("cpu", "cuda")
NUM_PROBES = 64  # random architectures of a space that tell whether an evaluator measures it


@dataclass(frozen=True)
class Conditions:
    """The conditions of a measurement beside the architecture.

    Args:
        budget: gradient steps, or what the evaluator spends instead; 0 where it spends none.
        seed: of all that is random.
        device: "cpu" or "cuda".
    """

    budget: int
    seed: int
    device: str = "cpu"


@dataclass(frozen=True)
class Measured:
    """The result of an evaluation.

    Args:
        metrics: {name: value}, as they are called in equations.
        curve: metrics after every epoch, for those that train.
        samples: pictures to look at, as `evaluators._results.pack_pictures` has them; "" where there are none.
        remark: what a reader should know of it, in a sentence; "" = nothing.
    """

    metrics: Mapping[str, float]
    curve: tuple[Mapping[str, float], ...] = ()
    samples: str = ""
    remark: str = ""


def _silent(metrics: Mapping[str, float]) -> None:
    """Hears nothing."""


@dataclass
class Watch:
    """Whoever waits for an evaluation: hears of it, and ends it.

    Args:
        epoch: hears the metrics after every epoch.
        should_stop: the user or a signal asks for the end.
        seconds: an evaluation may take; None = as long as it takes.
    """

    epoch: Callable[[Mapping[str, float]], None] = _silent
    should_stop: Callable[[], bool] = lambda: False
    seconds: float | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Time that is left, not below zero; None without a limit."""
        return None if self.seconds is None else max(self.began + self.seconds - time.monotonic(), 0.0)

    def step(self) -> None:
        """Asked at every step of an evaluation.

        Raises:
            Cancelled: it is to end.
            OutOfTime: its time is spent.
        """
        if self.should_stop():
            raise Cancelled
        if self.seconds_left == 0:
            raise OutOfTime(f"got no result within {self.seconds:g} s, expected one; give it more time.")


class Evaluator(ABC):
    """Measures architectures.

    `title` names it for people. `version` is raised when its numbers change: measurements of two versions are never averaged.
    `budget` is what it spends on an architecture unasked, 0 where there is nothing to spend. `metrics` are the names of its
    numbers, what it is judged by first; () where those are known only once it has measured. `by_seed`: a seed changes its
    numbers. `by_device`: it knows devices beside the CPU. `takes_source`: it reads a file that is named behind a colon.
    `at_once`: architectures that a search hands it at a time. `typical_seconds` of an evaluation of its own budget on an idle
    core: of a middling network and of the largest of the samples; None where they are not known.

    Args:
        source: the file, "" for those that read none.
    """

    title: ClassVar[str]
    about: ClassVar[str] = ""
    version: str = "1"
    budget: ClassVar[int] = 0
    metrics: tuple[str, ...] = ()
    by_seed: ClassVar[bool] = True
    by_device: ClassVar[bool] = True
    takes_source: ClassVar[bool] = False
    at_once: ClassVar[int] = 1
    typical_seconds: ClassVar[tuple[float, float] | None] = None

    def __init__(self, source: str = "") -> None:
        self.source = source

    @abstractmethod
    def data(self) -> str:
        """The name of the data that it measures on, a part of what every measurement is called; reads none of them."""

    @abstractmethod
    def check(self, arch: Any) -> None:
        """Returns when it can measure an architecture.

        Args:
            arch: in its native encoding.

        Raises:
            ArchitectureError: it cannot; the message says what it got and what it expects.
        """

    @abstractmethod
    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        """Measures one architecture.

        Args:
            arch: in its native encoding.
            at: budget, seed and device.
            watch: is asked at every step, and hears the metrics after every epoch.

        Raises:
            ArchitectureError: it cannot measure this one.
            EvaluationError: it failed.
            Cancelled: the watch said so.
        """

    def evaluate_together(self, archs: Sequence[Any], at: Conditions, watch: Watch) -> Iterator[Measured] | None:
        """Measures architectures in rounds over all of them; None for an evaluator that takes them one by one.

        What is measured of a machine is compared fairly only when a slow moment falls on all alike.
        """
        return None

    def supports(self, space: Space) -> str | None:
        """The reason why it cannot measure architectures of a space, found by some random ones; None when it can."""
        import numpy as np

        for row in space.sample(NUM_PROBES, np.random.default_rng(0)):
            try:
                self.check(space.native(row))
            except ArchitectureError as error:
                return str(error)
        return None

    def minimizes(self, metric: str) -> bool:
        """Whether small values of one of its metrics are the good ones."""
        return lower_is_better(metric)

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Ends what it holds; it may be asked again afterwards."""

    @final
    def budget_or(self, asked: int | None) -> int:
        """The budget that was asked for, else its own.

        Raises:
            ConfigError: it is not positive, or there is nothing to spend.
        """
        if asked is None:
            return self.budget
        if not self.budget:
            raise ConfigError(f"budget: got {asked}, but this evaluator ({self.title}) has nothing to spend it on.")
        if asked < 1:
            raise ConfigError(f"budget: got {asked}, expected at least 1.")
        return asked


def load_evaluator(name: str) -> Evaluator:
    """An evaluator by its name; imports nothing heavy.

    Args:
        name: a file in evaluators/, with ":" and a source where it takes one; or what is a user's own.

    Raises:
        ConfigError: there is none of that name, or it lacks its source.
    """
    from autobuild_core.evaluators import _own

    kind, _, source = name.partition(":")
    if kind not in registry.names(FOLDER):
        own = _own.find(name)
        if own is not None:
            return own
        known = ", ".join([*registry.names(FOLDER), *_own.registered()])
        raise ConfigError(f"evaluator: got '{name}', expected one of {known}, or the path of a file of your own.")
    made: type[Evaluator] = registry.load(FOLDER, kind, Evaluator)  # type: ignore[type-abstract]
    if made.takes_source != bool(source):
        expected = f"{kind}:FILE" if made.takes_source else kind
        raise ConfigError(f"evaluator: got '{name}', expected {expected}.")
    return made(source)


def evaluator_names() -> tuple[str, ...]:
    """Names of the evaluators that can be asked by name alone, a user's registered ones among them."""
    from autobuild_core.evaluators import _own

    files = [n for n in registry.names(FOLDER) if not registry.load(FOLDER, n, Evaluator).takes_source]  # type: ignore[type-abstract]
    return (*files, *_own.registered())


def check_device(device: str) -> str:
    """The device itself when this machine has it; asks torch where it is none that every machine has.

    Raises:
        ConfigError: it is no device, or there is none of it here.
    """
    if device not in DEVICES:
        raise ConfigError(f"device: got '{device}', expected {' or '.join(DEVICES)}.")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("device: got cuda, but torch sees no GPU here; expected cpu.")
    return device
