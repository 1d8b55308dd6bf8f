"""The evolution of a search space: generations of cells that run in a supernet, each saved, so that a killed one goes on.

Source: AutoSpace, algorithm 1; what of it is ours stands in docs/autospace.md.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autobuild_core.autospace.history import EvolutionFolder
from autobuild_core.autospace.plan import RANDOM, EvolutionPlan
from autobuild_core.autospace.population import Member, Population
from autobuild_core.errors import Cancelled
from autobuild_core.spaces._cells import Cell

Report = Callable[[Mapping[str, object]], None]


class Evolution:
    """One evolution; what its folder holds already is not done again.

    Args:
        plan: its settings.
        folder: where every generation is saved.
        report: hears {"phase", "step": generations done, "num_steps", "share", "seconds_left", "loss", "madds_m"}.
        should_stop: asked at every step.

    Raises:
        ConfigError: the folder holds another evolution, or one of another version.
    """

    def __init__(
        self,
        plan: EvolutionPlan,
        folder: EvolutionFolder,
        report: Report = lambda record: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.plan, self.folder, self.report, self.should_stop = plan, folder, report, should_stop
        self.training = None
        if plan.fitness != RANDOM:
            from autobuild_core.autospace.training import SupernetTraining

            self.training = SupernetTraining(plan)
        saved = folder.load(plan, self.training)
        if saved is None:
            layers = range(plan.skeleton_used.num_layers)
            self.layers = [Population.first(plan, layer, self._random(0, layer)) for layer in layers]
            self.generation = self.calm = 0
            about = {"plan": plan.to_json()}
            folder.begin(_record(0, self.layers, [population.members for population in self.layers], about))
        else:
            self.generation, self.calm, self.layers = saved

    def run(self) -> str:
        """Goes on to the end.

        Returns:
            Why it ended early, a sentence; "" where it had all its generations.

        Raises:
            Cancelled: should_stop said so; the generations that were finished are in the folder.
            Diverged: the loss is no finite number.
        """
        first, begun = self.generation, time.monotonic()
        while self.generation < self.plan.generations:
            if self.plan.patience and self.calm >= self.plan.patience:
                break
            numbers = self._next()
            each = (time.monotonic() - begun) / (self.generation - first)
            left = each * (self.plan.generations - self.generation)
            about = {"phase": "evolving", "share": self.generation / self.plan.generations, "seconds_left": left}
            about |= {"step": self.generation, "num_steps": self.plan.generations}
            self.report(about | numbers)
        ended = self.generation < self.plan.generations
        said = f"The {self.plan.kept} best cells of every layer stayed the same for {self.calm} generations." if ended else ""
        self.folder.finish(self.plan, self.layers, said)
        return said

    def _next(self) -> dict[str, Any]:
        """One generation, saved at its end; its numbers."""
        began, generation = time.monotonic(), self.generation + 1
        randoms = [self._random(generation, layer) for layer in range(len(self.layers))]
        grown = [own.born(self.plan, generation, rng) for own, rng in zip(self.layers, randoms, strict=True)]
        ran = [own.drawn(self.plan, generation, rng) for own, rng in zip(grown, randoms, strict=True)]
        alphas, numbers = self._fitness(generation, [[member.cell for member in own] for own in ran], randoms)
        entered = [[m for m in own.members if m.born == generation] for own in grown]
        told = [own.told(self.plan, *seen) for own, seen in zip(grown, zip(ran, alphas, strict=True), strict=True)]
        reduced = [own.reduced(self.plan, generation) for own in told]
        before, self.layers = self._kept(), [own for own, _ in reduced]
        self.calm = self.calm + 1 if self._kept() == before else 0
        self.generation = generation
        numbers["seconds"] = round(time.monotonic() - began, 3)
        record = _record(generation, self.layers, entered, numbers)
        for layer, own, seen, (_, left) in zip(record["layers"], ran, alphas, reduced, strict=True):
            layer["ran"] = [[member.number, round(alpha, 5)] for member, alpha in zip(own, seen, strict=True)]
            layer["left"] = [[member.number, round(member.fitness, 5)] for member in left]
        self.folder.save(self.plan, record, self.layers, self.calm, self.training)
        return numbers

    def _fitness(
        self, generation: int, cells: Sequence[Sequence[Cell]], randoms: Sequence[np.random.Generator]
    ) -> tuple[list[list[float]], dict[str, Any]]:
        """Of each layer the alphas of the cells that ran, and the numbers of the generation."""
        if self.training is None:
            if self.should_stop():
                raise Cancelled
            return [rng.standard_normal(len(own)).tolist() for rng, own in zip(randoms, cells, strict=True)], {}
        trained = self.training.generation(generation, cells, self.should_stop)
        return trained.alphas, {"loss": trained.loss, "alpha_loss": trained.alpha_loss, "madds_m": trained.madds_m}

    def _kept(self) -> list[set[int]]:
        """Of each layer the numbers of the members that are kept, as things stand."""
        return [{member.number for member in own.best(self.plan.kept)} for own in self.layers]

    def _random(self, generation: int, layer: int) -> np.random.Generator:
        """The random numbers of a generation and layer: the same whatever was done before."""
        return np.random.default_rng((self.plan.seed, generation, layer))


def _record(
    generation: int,
    layers: Sequence[Population],
    entered: Sequence[Sequence[Member]],
    numbers: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The line of a generation: its numbers, and of each layer who ran, entered and left, and the fitness of all that live."""
    found = []
    for own, new in zip(layers, entered, strict=True):
        alive = [[member.number, round(member.fitness, 5), member.seen] for member in own.members]
        found.append({"entered": [member.to_json() for member in new], "alive": alive, "ran": [], "left": []})
    return {"generation": generation, **(numbers or {}), "layers": found}
