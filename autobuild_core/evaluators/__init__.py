"""Evaluators: one file each; an architecture, a budget and a seed in, measured metrics out.

A file is imported by the app process, for its words: what computes, and needs torch, is imported late, in `evaluate`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from autobuild_core import registry
from autobuild_core.errors import ConfigError
from autobuild_core.spaces import Space

FOLDER = "evaluators"
DEVICES = ("cpu", "cuda")
Curve = list[dict[str, float]]  # metrics after every epoch


@dataclass(frozen=True)
class Conditions:
    """What a measurement holds at, beside the architecture.

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
    """What an evaluator found.

    Args:
        metrics: {name: value}, as they are called in equations.
        curve: metrics after every epoch, for those that train.
        artefacts: {name: text} beside the metrics, such as a strip of samples.
    """

    metrics: Mapping[str, float]
    curve: tuple[Mapping[str, float], ...] = ()
    artefacts: Mapping[str, str] | None = None


Report = Callable[[Mapping[str, float]], None]  # hears the metrics after every epoch


class Evaluator(ABC):
    """Measures architectures.

    `title` names it for people. `version` is raised when its numbers change: measurements of two versions are never averaged.
    `budget` is what it spends on an architecture unasked; 0 where there is nothing to spend. `by_seed`: a seed changes its numbers.
    """

    title: ClassVar[str]
    version: ClassVar[str] = "1"
    budget: ClassVar[int] = 0
    by_seed: ClassVar[bool] = True

    @abstractmethod
    def data(self) -> str:
        """The data that it measures on, a part of every measurement's name; reads none of them."""

    @abstractmethod
    def supports(self, space: Space) -> str | None:
        """The reason why it cannot measure architectures of a space; None when it can."""

    @abstractmethod
    def evaluate(self, arch: Any, at: Conditions, report: Report = lambda metrics: None) -> Measured:
        """Measures one architecture.

        Args:
            arch: in its native encoding.
            at: budget, seed and device.
            report: hears the metrics after every epoch.

        Raises:
            ArchitectureError: it cannot measure this one.
            Diverged: a training's loss was no finite number.
        """


def load_evaluator(name: str) -> Evaluator:
    """An evaluator by its file name; imports nothing heavy.

    Raises:
        ConfigError: there is none of that name.
    """
    return registry.load(FOLDER, name, Evaluator)()  # type: ignore[type-abstract]


def evaluators_for(space: Space) -> list[str]:
    """Names of the evaluators that measure architectures of a space."""
    return [name for name in registry.names(FOLDER) if load_evaluator(name).supports(space) is None]


def check_device(device: str) -> str:
    """The device itself when this machine has it.

    Raises:
        ConfigError: it is no device, or there is none of it here.
    """
    if device not in DEVICES:
        raise ConfigError(f"device: got '{device}', expected {' or '.join(DEVICES)}.")
    if device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ConfigError("device: got 'cuda', but torch sees no GPU here; expected cpu.")
    return device
