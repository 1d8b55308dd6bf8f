"""The folder of AutoSpace's experiments: evolutions, spaces, architectures that were drawn, and one list of trainings.

What stands in picks.json was written before any training that it names, and is never chosen anew. An evolution may be begun
beside the command by `evolve --out FOLDER/evolutions/NAME` with the same settings: it is gone on from, or taken as it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from autobuild_core.autospace import EvolutionFolder, EvolutionPlan, evolve, read_learned
from autobuild_core.benchmark.paper.ledger import Ledger, Settings
from autobuild_core.spaces._cells import REFERENCE, SUPPORTS, Cell, canonical
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._skeletons import SKELETONS, Skeleton

METRIC = "recall_at_2_pct"
SKELETON, SUPPORT = "pairs", "published"
BUDGET_M = 0.6  # multiply-adds in millions
STEPS = 600  # of every training
NUM_ARCHS = 10  # of every space
NUM_KEPT = 6  # cells of a layer beside the three reference cells
RATES = (0.003, 0.006, 0.012)  # learning rates that are tried
NUM_PILOTS, PILOT_SPACE, PILOT_SEED = 5, 100, 1000  # of the tuning: networks of an arm, seed of its space and of its trainings
TRAINING_SEED = 0
HAND_MADE = "hand-made"
EVOLUTIONS, TRAININGS = "evolutions", "trainings"
Key = TypeVar("Key")


def settings(steps: int = STEPS, device: str = "cpu", scheduler: str | None = None) -> Settings:
    """The settings of the experiments' folder."""
    return Settings(Path(), budget=steps, device=device, scheduler=scheduler)


@dataclass(frozen=True)
class Work:
    """The experiments' folder at work.

    Args:
        ledger: of the folder.
    """

    ledger: Ledger

    def evolved(self, name: str, plan: EvolutionPlan) -> CellLists:
        """The learned space of an evolution, evolved where it is not there yet."""

        def make() -> Any:
            folder = self.ledger.folder / EVOLUTIONS / name
            evolve(plan, folder, self.ledger.report, self.ledger.should_stop)
            return read_learned(EvolutionFolder(folder)).texts

        return self._picked(f"learned space, {name}", make)

    def space(self, name: str, make: Callable[[], Sequence[Sequence[Cell]]]) -> CellLists:
        """A space of some cells a layer, made where it is not written down yet."""
        return self._picked(f"space, {name}", lambda: [[cell.text for cell in own] for own in make()])

    def _picked(self, name: str, make: Callable[[], list[list[str]]]) -> CellLists:
        """The space of a pick, which has the cells of each layer as texts."""
        layers = tuple(tuple(map(Cell.read, own)) for own in self.ledger.pick(name, make))
        return CellLists(layers, SKELETONS[SKELETON], BUDGET_M)

    def drawn(self, name: str, space: CellLists, num: int, seed: Sequence[int], madds_m: float | None = None) -> list[Any]:
        """Architectures of a space, drawn uniformly over its distinct cells and written down.

        Args:
            name: of the draw.
            space: the space.
            num: how many.
            seed: of the draw.
            madds_m: budget that their widths are scaled to; None = the space's.
        """
        rng, strides = np.random.default_rng(tuple(seed)), space.skeleton.strides
        layers = [
            list(dict.fromkeys(canonical(cell, stride) for cell in cells))
            for cells, stride in zip(space.layers, strides, strict=True)
        ]

        def make() -> list[Any]:
            rows = [[own[rng.integers(len(own))] for own in layers] for _ in range(num)]
            return [network_of(space.skeleton, row, madds_m or space.madds_m) for row in rows]

        found: list[Any] = self.ledger.pick(f"architectures, {name}", make)
        return found

    def trained(self, archs: Sequence[Any], seeds: Sequence[int] = (TRAINING_SEED,)) -> list[float]:
        """The metric of architectures, the mean over seeds; NaN of those whose training failed."""
        found = self.ledger.measure(TRAININGS, "classification", archs, seeds)
        every = [[found.of(arch, seed).get(METRIC, np.nan) for seed in seeds] for arch in archs]
        return [float(np.mean(own)) for own in every]

    def to_train(
        self, name: str, space: CellLists, seed: Sequence[int], rate: float, madds_m: float | None = None
    ) -> list[dict[str, Any]]:
        """The architectures of a space that are trained: as many as of every space, each with a learning rate.

        Args:
            name, space, seed, madds_m: as `drawn` has them.
            rate: the learning rate.
        """
        return [with_rate(arch, rate) for arch in self.drawn(name, space, NUM_ARCHS, seed, madds_m)]

    def values(self, groups: Mapping[Key, Sequence[Any]], seeds: Sequence[int] = (TRAINING_SEED,)) -> dict[Key, list[float]]:
        """The metric of the architectures of groups, as `trained` has it; all are one batch."""
        found = iter(self.trained([arch for own in groups.values() for arch in own], seeds))
        return {key: [next(found) for _ in own] for key, own in groups.items()}

    def rate(self, arm: str, pilots: Sequence[Any]) -> float:
        """The learning rate of an arm: the best of RATES by the mean of its pilots, then frozen."""

        def tune() -> dict[str, float]:
            archs = [with_rate(arch, rate) for rate in RATES for arch in pilots]
            values = np.reshape(self.trained(archs, (PILOT_SEED,)), (len(RATES), -1)).mean(1)
            return {str(rate): float(value) for rate, value in zip(RATES, values, strict=True)}

        means: Mapping[str, float] = self.ledger.found(f"pilots, {arm}", tune)
        return float(max(means, key=lambda rate: means[rate]))


def network_of(skeleton: Skeleton, cells: Sequence[Cell], madds_m: float | None) -> dict[str, Any]:
    """A network in its native encoding."""
    return {"skeleton": skeleton.named, "madds_m": madds_m, "cells": [cell.text for cell in cells]}


def with_rate(arch: Mapping[str, Any], rate: float) -> dict[str, Any]:
    """A network with the learning rate of its training."""
    return {**arch, "max_lr": rate}


def random_cells(num: int, with_references: bool, seed: Sequence[int]) -> list[list[Cell]]:
    """A random space of the form of a learned one: of each layer some networks of the support, then the reference cells.

    Args:
        num: random cells of a layer, no network twice and none of the reference cells'.
        with_references: whether those follow.
        seed: of the draw.
    """
    rng, layers = np.random.default_rng(tuple(seed)), []
    for stride in SKELETONS[SKELETON].strides:
        references = {canonical(cell, stride) for cell in REFERENCE}
        every = sorted({canonical(cell, stride) for cell in SUPPORTS[SUPPORT].cells()} - references)
        drawn = [every[index] for index in rng.choice(len(every), num, replace=False)]
        layers.append([*drawn, *(REFERENCE if with_references else ())])
    return layers
