"""The closed loop as it is asked for. Imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from autobuild_core.autospace import EvolutionFolder, EvolutionPlan, make_plan, read_learned
from autobuild_core.autospace.plan import made
from autobuild_core.autospace.tables import plan_of
from autobuild_core.errors import ConfigError
from autobuild_core.evaluators import DEVICES, Evaluator, load_evaluator
from autobuild_core.evaluators._searching import SearchPlan
from autobuild_core.store.run_folder import MIN_NETWORKS
from autobuild_core.targets.aim import Aim

LEAST = {"num_sampled": MIN_NETWORKS, "num_built": 1, "num_again": 1, "charged": 0, "num_members": 2, "num_steps": 1, "seed": 0}
OPTIONAL = "charged", "num_members", "num_steps"


@dataclass(frozen=True)
class LoopPlan:
    """The settings of a closed loop.

    Args:
        evolution: fields of `autospace.EvolutionPlan` that differ from its own; its budget is that of every network.
        evolved: folder of such an evolution that has ended, taken in place of a new one; "" = the loop evolves.
        num_sampled: networks of the learned space that are drawn and evaluated, for AutoBuild to learn from.
        num_built: networks that are built and evaluated.
        num_again: unseen seeds with which the best of every stage are evaluated again.
        charged: evaluations that the evolution is worth; None = its seconds as evaluations of the sample.
        evaluator: by name.
        target: equation over its metrics; "" = the metric that it is judged by first.
        minimize: smaller targets are better, where `target` is given.
        budget: of every evaluation; None = the evaluator's own.
        max_lr: learning rate of every training; None = the evaluator's own.
        num_members, num_steps: of AutoBuild's ensembles; None = by the data's size.
        seed: of the draws, of AutoBuild's training and, unless `evolution` has another, of the evolution.
        device: "cpu" or "cuda", of the evolution too unless it has another.

    Raises:
        ConfigError: a setting does not do, or the evaluator does not measure networks of cells.
        TargetError: the target is no equation over the evaluator's metrics.
    """

    evolution: Mapping[str, Any] = field(default_factory=dict)
    evolved: str = ""
    num_sampled: int = 20
    num_built: int = 5
    num_again: int = 3
    charged: int | None = None
    evaluator: str = "classification"
    target: str = ""
    minimize: bool = False
    budget: int | None = None
    max_lr: float | None = 0.012
    num_members: int | None = None
    num_steps: int | None = None
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is None and name in OPTIONAL:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name}: got {value!r}, expected a whole number of at least {least}.")
        if self.max_lr is not None and (isinstance(self.max_lr, str) or not 0 < self.max_lr < 1):
            raise ConfigError(f"max_lr: got {self.max_lr!r}, expected above 0 and below 1.")
        if not isinstance(self.minimize, bool):
            raise ConfigError(f"minimize: got {self.minimize!r}, expected true or false.")
        if not (isinstance(self.evaluator, str) and isinstance(self.target, str) and isinstance(self.evolution, Mapping)):
            raise ConfigError("evaluator, target, evolution: got values of another kind, expected two texts and an object.")
        if self.device not in DEVICES:
            raise ConfigError(f"device: got '{self.device}', expected {' or '.join(DEVICES)}.")
        _ = self._judged, self.evolution_used

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Self:
        """A plan from settings by name.

        Raises:
            ConfigError: one is unknown or does not do.
        """
        return made(cls, settings, "closed loop")

    @classmethod
    def after(cls, evolved: Path | str, settings: Mapping[str, Any]) -> Self:
        """The plan of a loop that takes an evolution in place of a new one.

        Args:
            evolved: folder of the evolution.
            settings: the other fields.

        Raises:
            ConfigError: there is no ended evolution in the folder, or a setting does not do.
        """
        if settings.get("evolution"):
            raise ConfigError("evolved: got a folder and settings of a new evolution, expected one of them.")
        if not Path(evolved).is_dir():
            raise ConfigError(f"evolved: got {evolved}, expected the folder of an evolution that has ended.")
        folder = EvolutionFolder(evolved)
        read_learned(folder)
        if not folder.lines():
            raise ConfigError(f"evolved: got {evolved} without its generations, expected an evolution that has ended.")
        about = {"evolution": plan_of(folder.lines()).to_json(), "evolved": str(Path(evolved).resolve())}
        return cls.read({**settings, **about})

    @cached_property
    def evolution_used(self) -> EvolutionPlan:
        """The evolution.

        Raises:
            ConfigError: a setting of it does not do.
        """
        return make_plan({"seed": self.seed, "device": self.device} | dict(self.evolution))

    @cached_property
    def _judged(self) -> SearchPlan:
        """Evaluator, target and budget, checked as those of a search are."""
        return SearchPlan(self.evaluator, self.target, self.minimize, budget=self.budget)

    def aim(self, evaluator: Evaluator | None = None) -> Aim:
        """The target with its direction."""
        return self._judged.aims(evaluator or load_evaluator(self.evaluator))[0]

    def to_json(self) -> dict[str, Any]:
        """The settings ready for JSON."""
        return asdict(self)
