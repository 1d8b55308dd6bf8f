"""An evolution of a search space as it is asked for. Imports nothing heavy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, TypeVar

from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.evaluators import DEVICES
from autobuild_core.spaces._cells import SUPPORTS, Cell, Support, mbconv, reaches
from autobuild_core.spaces._skeletons import SMALLEST, Skeleton

ALPHA, RANDOM = FITNESSES = "alpha", "random"
LEAST = {
    "generations": 1,
    "parallel": 2,
    "children": 0,
    "population": 2,
    "tournament": 1,
    "steps": 1,
    "batch": 2,
    "kept": 1,
    "patience": 0,
    "seed": 0,
}
SHARES = ("momentum", "guarded", "warming", "settling")
P = TypeVar("P")


def _costliest(support: Support, skeleton: Skeleton, layer: int) -> Cell:
    """The cell of a support with the most multiply-adds in a layer: operations only add, so each edge's is chosen in turn."""
    operations, expansion = next(support.cells()).operations, max(support.expansions)
    for edge, numbers in [*enumerate(support.edges)] * 2:  # twice: an edge may be dead until a later one is chosen
        rows = [(*operations[:edge], number, *operations[edge + 1 :]) for number in numbers]
        operations = max(filter(reaches, rows), key=lambda row: skeleton.layer_cost(layer, Cell(row, expansion)).madds)
    return Cell(operations, expansion)


def made(plan: type[P], settings: Mapping[str, Any], noun: str) -> P:
    """A plan of some type from settings by name.

    Args:
        plan: a frozen dataclass that checks itself.
        settings: its fields that differ from their defaults.
        noun: what it is the plan of, for the message.

    Raises:
        ConfigError: one is unknown or does not do.
    """
    known = {one.name for one in fields(plan)}  # type: ignore[arg-type]
    if unknown := set(settings) - known:
        raise ConfigError(f"{noun}: got the setting {min(unknown)}, expected some of {', '.join(sorted(known))}.")
    try:
        return plan(**settings)
    except (TypeError, ValueError, AttributeError) as error:
        got = ", ".join(f"{name} {value!r}"[:60] for name, value in settings.items())
        raise ConfigError(f"{noun}: got {got}, expected values of another kind ({error}).") from error


@dataclass(frozen=True)
class EvolutionPlan:
    """The settings of an evolution. None was published; every default is ours, docs/autospace.md says why.

    Args:
        skeleton: by name, such as pairs or published, or its fields.
        support: by name, published or wide, or {"edges", "expansions"}.
        madds_m: budget of a network in millions of multiply-adds.
        generations: at most.
        parallel: cells of each layer that run side by side (K).
        children: of these, mutated anew; the others are drawn from the population.
        population: cells of each layer that live on.
        tournament: members that are drawn, of which the fittest becomes a parent, or runs again.
        steps: of the weights in a generation; alpha takes half as many.
        batch: pairs of images in a step.
        momentum: share of the newest alpha in a fitness, at least.
        lr: of the weights, highest.
        alpha_lr: of alpha; gradients are divided by their usual size in the layer.
        price: of a relative excess of multiply-adds, in units of the loss.
        references: whether the reference cells are in the population from the start.
        guarded: share of the generations in which reference cells cannot leave.
        warming: share of the generations, the first ones, in which no cell is mutated: the weights learn first.
        settling: share of the generations, the last ones, in which no cell is mutated, so that all are seen often.
        patience: generations without a change of the kept cells after which it ends early; 0 = never.
        kept: cells of each layer in the learned space, at most the population.
        keep_references: whether the reference cells follow them there, as they do in the published file.
        fitness: "alpha", or "random" numbers for comparison, without a supernet.
        seed: of all that is random.
        device: "cpu" or "cuda".
        start: of each layer the cells, as texts, that it begins with in place of reference and random ones; () = those.

    Raises:
        ConfigError: a setting is out of range, or no widths meet the budget.
    """

    skeleton: str | Mapping[str, Any] = "pairs"
    support: str | Mapping[str, Any] = "published"
    madds_m: float = 0.6
    generations: int = 60
    parallel: int = 4
    children: int = 2
    population: int = 12
    tournament: int = 3
    steps: int = 30
    batch: int = 64
    momentum: float = 0.3
    lr: float = 0.006
    alpha_lr: float = 0.1
    price: float = 0.035
    references: bool = True
    guarded: float = 0.5
    warming: float = 0.15
    settling: float = 0.25
    patience: int = 0
    kept: int = 6
    keep_references: bool = True
    fitness: str = ALPHA
    seed: int = 0
    device: str = "cpu"
    start: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name}: got {value!r}, expected a whole number of at least {least}.")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected 0 to 1.")
        for name in ("lr", "alpha_lr"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected above 0.")
        if not 0 <= self.price < math.inf:
            raise ConfigError(f"price: got {self.price}, expected at least 0.")
        if self.children >= self.parallel:
            raise ConfigError(f"children: got {self.children} of {self.parallel} cells that run, expected fewer.")
        if self.population < self.parallel:
            raise ConfigError(f"population: got {self.population}, expected at least {self.parallel}, as many as run.")
        if self.warming + self.settling > 1:
            got = f"got {self.warming} and {self.settling} of the generations"
            raise ConfigError(f"warming, settling: {got}, expected 1 together at most: no cell is mutated in them.")
        for name in ("references", "keep_references"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}: got {getattr(self, name)!r}, expected true or false.")
        if self.fitness not in FITNESSES:
            raise ConfigError(f"fitness: got '{self.fitness}', expected one of {', '.join(FITNESSES)}.")
        if self.device not in DEVICES:  # whether this machine has it is asked where it is used: the app process has no torch
            raise ConfigError(f"device: got '{self.device}', expected {' or '.join(DEVICES)}.")
        _ = self.skeleton_used, self.support_used, self.start_used

    @cached_property
    def support_used(self) -> Support:
        """The cells that there may be."""
        if isinstance(self.support, str):
            if self.support not in SUPPORTS:
                raise ConfigError(f"support: got '{self.support}', expected one of {', '.join(SUPPORTS)}, or its edges.")
            return SUPPORTS[self.support]
        return Support.read(self.support)

    @cached_property
    def start_used(self) -> tuple[tuple[Cell, ...], ...]:
        """Of each layer the cells that it begins with; () where they are drawn.

        Raises:
            ConfigError: they are not cells of the support, or not of every layer.
        """
        if not self.start:
            return ()
        num = self.skeleton_used.num_layers
        if len(self.start) != num:
            raise ConfigError(f"start: got cells of {len(self.start)} layers, expected {num}.")
        try:
            found = tuple(tuple(Cell.read(text) for text in own) for own in self.start)
        except ArchitectureError as error:
            raise ConfigError(f"start: {error}") from error
        for layer, own in enumerate(found, 1):
            if len(own) < self.parallel or any(cell not in self.support_used for cell in own):
                raise ConfigError(
                    f"start, layer {layer}: got {len(own)} cells, expected at least {self.parallel} of the support."
                )
        return found

    @cached_property
    def skeleton_used(self) -> Skeleton:
        """The skeleton with the widths of the supernet: those at which inverted residual blocks cost the budget.

        Raises:
            ConfigError: they cannot, or networks of the support's costliest cell cannot.
        """
        skeleton = Skeleton.read(self.skeleton)
        narrow = skeleton.scaled(SMALLEST)
        skeleton.matched(
            tuple(_costliest(self.support_used, narrow, layer) for layer in range(skeleton.num_layers)), self.madds_m
        )
        return skeleton.matched((mbconv(3, 6),) * skeleton.num_layers, self.madds_m)

    def has_births(self, generation: int) -> bool:
        """Whether cells are mutated in a generation."""
        first, last = round(self.warming * self.generations), round((1 - self.settling) * self.generations)
        return first < generation <= last

    @property
    def num_steps(self) -> int:
        """Steps of the weights, if it does not end early."""
        return self.generations * self.steps

    def to_json(self) -> dict[str, Any]:
        """The settings ready for JSON; a start that is drawn is left out, and so are reference cells that are kept."""
        usual = {"start"} if not self.start else set()
        usual |= {"keep_references"} if self.keep_references else set()
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in usual}
