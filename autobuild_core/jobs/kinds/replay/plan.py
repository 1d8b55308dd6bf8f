"""A replay as it is asked for, and the modes that it can compare. Imports nothing heavy."""

from dataclasses import dataclass

from autobuild_core.errors import ConfigError, listed
from autobuild_core.evaluators._searching import SearchPlan

# What is compared, by name: what it does with what is known, in words.
MODES = {
    "default": "Bayesian optimisation, as a search offers it",
    "gp": "the best means of the same Gaussian process",
    "gnn": "the best predictions of the graph network alone",
    "norms": "AutoBuild as published: modules by their norms, the product of the best of each unit",
    "norms_evolution": "AutoBuild as published: an evolution over the best modules of each unit",
    "ridge": "the best predictions of ridge regression on ranks",
    "random": "random networks",
    "local": "local search",
    "evolution": "regularised evolution",
}
DEFAULT_MODES = ("default", "gp", "ridge", "random", "local", "evolution")
LEAST = {"evaluations": 2, "initial": 2, "batch": 1, "seeds": 1, "first_seed": 0}


@dataclass(frozen=True)
class ReplayPlan:
    """The protocol of a replay.

    Args:
        target: equation over the metrics: what a loop observes.
        minimize: smaller targets are better.
        judge: equation of the same direction by which picks are judged; "" = the target.
        evaluations: networks that a loop evaluates, the initial ones among them.
        initial: random networks that it begins with, the same for all modes.
        batch: networks between two trainings; the modes that learn no model get each result at once.
        seeds: paired repetitions.
        first_seed: the others follow.
        modes: some of MODES.
        within: how much worse than the best a final pick may be to count as a success, in the judge's unit; 0 = it is the best.

    Raises:
        ConfigError: a setting does not do.
    """

    target: str
    minimize: bool = False
    judge: str = ""
    evaluations: int = 60
    initial: int = 20
    batch: int = 10
    seeds: int = 20
    first_seed: int = 0
    modes: tuple[str, ...] = DEFAULT_MODES
    within: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "modes", tuple(dict.fromkeys(self.modes)))  # JSON has lists
        for name, least in LEAST.items():
            if not isinstance(value := getattr(self, name), int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name.replace('_', ' ')}: got {value!r}, expected a whole number of at least {least}.")
        if self.initial >= self.evaluations:
            raise ConfigError(f"initial: got {self.initial} of {self.evaluations} evaluations, expected fewer.")
        if not self.modes or (unknown := [mode for mode in self.modes if mode not in MODES]):
            got = f"'{unknown[0]}'" if self.modes else "none"
            raise ConfigError(f"modes: got {got}, expected some of {listed(MODES)}.")
        if not isinstance(self.within, int | float) or not self.within >= 0:
            raise ConfigError(f"within: got {self.within!r}, expected a number of at least 0.")

    @property
    def steps(self) -> tuple[int, ...]:
        """Numbers of evaluations at which the pick is judged."""
        return (*range(self.initial, self.evaluations, self.batch), self.evaluations)

    @property
    def judged(self) -> str:
        """The equation by which picks are judged."""
        return self.judge or self.target

    def search_plan(self, evaluator: str, budget: int | None = None, device: str = "cpu") -> SearchPlan:
        """The evaluations of a replay whose networks are measured when they are asked for.

        Args:
            evaluator: by name.
            budget: of every evaluation; None = the evaluator's own.
            device: "cpu" or "cuda".

        Raises:
            ConfigError: the evaluator is unknown, or the budget none of its.
            TargetError: the target is no equation over its metrics.
        """
        return SearchPlan(evaluator, self.target, self.minimize, num=self.evaluations, budget=budget, device=device)

    @property
    def words(self) -> str:
        """The protocol in a line, by which a file of results is known again; modes and seeds may be added to it."""
        aim = f"{'minimise' if self.minimize else 'maximise'} {self.target}"
        judged = f", judged by {self.judge}" if self.judge else ""
        return f"{aim}{judged}; {self.evaluations} evaluations, {self.initial} initial, batches of {self.batch}"
