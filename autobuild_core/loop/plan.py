"""The rounds of a loop that evaluates by itself, as they are asked for. Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Self

from autobuild_core.autospace.plan import made
from autobuild_core.errors import ConfigError
from autobuild_core.evaluators import DEVICES
from autobuild_core.evaluators._searching import SearchPlan
from autobuild_core.predictor.metrics import Bound
from autobuild_core.search.budgets import CONFIDENCE, read_budget
from autobuild_core.targets.aim import Aim

SEARCHER = "bayesian_optimisation"  # the one that `replay` calls default
WHOLE = "evaluations", "batch", "seed", "seeds", "first_seed"  # settings that are whole numbers


@dataclass(frozen=True)
class RoundsPlan:
    """The settings of rounds: a batch is evaluated, all is learned from, the next is proposed.

    Args:
        evaluator: by name.
        target: equation over the metrics of the data, which the evaluator has to measure.
        minimize: smaller targets are better.
        evaluations: new networks in all; those that fail count.
        batch: networks of a round.
        seed: of the searcher.
        budgets: limits of metrics of the data, "latency_ms <= 8".
        confidence: probability with which measurements are to keep to all budgets at once.
        seeds: evaluations of each network.
        first_seed: of these; the others follow.
        budget: of every evaluation; None = the evaluator's own.
        device: "cpu" or "cuda".
        seconds: that one evaluation may take; None = as long as it takes.

    Raises:
        ConfigError: a setting does not do.
        TargetError: the target is no equation over the evaluator's metrics.
    """

    evaluator: str = ""
    target: str = ""
    minimize: bool = False
    evaluations: int = 40
    batch: int = 10
    seed: int = 0
    budgets: tuple[str, ...] = ()
    confidence: float = CONFIDENCE
    seeds: int = 1
    first_seed: int = 0
    budget: int | None = None
    device: str = "cpu"
    seconds: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.budgets, str):
            raise ConfigError(f"budgets: got '{self.budgets}', expected a list of texts.")
        object.__setattr__(self, "budgets", tuple(self.budgets))  # JSON has lists
        for name in WHOLE:
            if isinstance(value := getattr(self, name), bool) or not isinstance(value, int):
                raise ConfigError(f"{name}: got {value!r}, expected a whole number.")
        if not isinstance(self.minimize, bool):
            raise ConfigError(f"minimize: got {self.minimize!r}, expected true or false.")
        if self.batch < 1:
            raise ConfigError(f"batch: got {self.batch}, expected at least 1.")
        if self.evaluations < 1:
            raise ConfigError(f"evaluations: got {self.evaluations}, expected at least 1.")
        if not 0 < self.confidence < 1:
            raise ConfigError(f"confidence: got {self.confidence}, expected a number above 0 and below 1.")
        if self.device not in DEVICES:
            raise ConfigError(f"device: got '{self.device}', expected {' or '.join(DEVICES)}.")
        if not self.target:
            raise ConfigError("target: got none, expected an equation over the metrics of the data.")
        if not self.evaluator:
            raise ConfigError("evaluator: got none, expected what measures the networks that are proposed.")
        _ = self._searched, self.bounds

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Self:
        """A plan from settings by name.

        Raises:
            ConfigError: one is unknown or does not do.
        """
        return made(cls, settings, "rounds")

    @cached_property
    def _searched(self) -> SearchPlan:
        """Evaluator, target and evaluations, checked as those of a search are."""
        own = SearchPlan(self.evaluator, self.target, self.minimize, searcher=SEARCHER, num=self.evaluations, seed=self.seed)
        each = {name: getattr(self, name) for name in ("seeds", "first_seed", "budget", "device", "seconds")}
        return replace(own, **each)

    @cached_property
    def bounds(self) -> tuple[Bound, ...]:
        """The budgets as limits."""
        return tuple(map(read_budget, self.budgets))

    @property
    def aim(self) -> Aim:
        """The target with its direction."""
        return Aim(self.target, self.minimize)

    @property
    def sign(self) -> int:
        """The sign by which targets become scores, of which larger ones are better."""
        return -1 if self.minimize else 1

    def differs_from(self, other: "RoundsPlan") -> str:
        """The setting, in words, in which another plan differs; "" where at most the evaluations do: more may be asked for."""
        for name, value in asdict(self).items():
            if name != "evaluations" and (now := getattr(other, name)) != value:
                return f"{name} {value!r}, expected {now!r} as asked"
        return ""

    def to_json(self) -> dict[str, Any]:
        """The settings ready for JSON."""
        return asdict(self)
