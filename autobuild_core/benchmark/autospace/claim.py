"""The claim: learned spaces against random ones of the same form and the hand-made one, judged by training from scratch.

The unit is a space: of each ten architectures are trained, one seed each, all at one budget of multiply-adds by the same width
rule, with the learning rate of their arm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autobuild_core.autospace import EvolutionPlan
from autobuild_core.benchmark.autospace.spaces_compared import Difference
from autobuild_core.benchmark.autospace.work import (
    BUDGET_M,
    HAND_MADE,
    NUM_ARCHS,
    NUM_KEPT,
    NUM_PILOTS,
    PILOT_SPACE,
    SKELETON,
    Work,
    random_cells,
)
from autobuild_core.benchmark.paper.comparing import OPEN, WINS, Verdict
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.scoring.intervals import Mean
from autobuild_core.spaces._cells import MBCONVS
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._skeletons import SKELETONS

NUM_SPACES, MARGIN = 6, 1.0  # points of recall at two that a learned space may be worse than the hand-made one
LEARNED, ALONE, RANDOM, NINE = "learned", "learned, without reference cells", "random with reference cells", "nine random"
ARMS = LEARNED, ALONE, RANDOM, NINE, HAND_MADE
DRAWS = {arm: number for number, arm in enumerate(ARMS)}  # part of the seed of every draw


def learned_space(work: Work, seed: int) -> CellLists:
    """The learned space of the evolution with a seed."""
    return work.evolved(f"claim_{seed}", EvolutionPlan(seed=seed, madds_m=BUDGET_M, kept=NUM_KEPT))


def space_of(work: Work, arm: str, seed: int) -> CellLists:
    """The space of an arm with a seed; there is one hand-made space."""
    if arm == HAND_MADE:
        return work.space(HAND_MADE, lambda: [MBCONVS] * SKELETONS[SKELETON].num_layers)
    if arm in (LEARNED, ALONE):
        space = learned_space(work, seed)
        return space if arm == LEARNED else replace(space, layers=tuple(own[:NUM_KEPT] for own in space.layers))
    num = NUM_KEPT if arm == RANDOM else NUM_KEPT + 3
    return work.space(f"{arm}, {seed}", lambda: random_cells(num, arm == RANDOM, (seed, DRAWS[arm])))


def rate_of(work: Work, arm: str) -> float:
    """The learning rate of an arm, tuned on pilots of a space that judges nothing."""
    space = space_of(work, arm, PILOT_SPACE)
    return work.rate(arm, work.drawn(f"pilots, {arm}", space, NUM_PILOTS, (PILOT_SPACE, DRAWS[arm])))


def architectures(work: Work, *arms: str) -> dict[tuple[str, int], list[Any]]:
    """The architectures of arms by the arm and the seed of their space, with the learning rate that they are trained with."""
    found = {}
    for arm in arms:
        rate = rate_of(work, arm)
        for seed in range(NUM_SPACES):
            name, draw = f"{arm}, {seed}", (seed, DRAWS[arm], 1)
            found[arm, seed] = work.to_train(name, space_of(work, arm, seed), draw, rate)
    return found


def means_of(values: Mapping[tuple[str, int], list[float]], arm: str) -> list[float]:
    """The means of the spaces of an arm, failed trainings left out."""
    return [float(np.nanmean(own)) for (name, _), own in values.items() if name == arm]


def every_value(values: Mapping[tuple[str, int], list[float]], arm: str) -> list[float]:
    """The values of all architectures of an arm."""
    return [value for (name, _), own in values.items() if name == arm for value in own]


@dataclass(frozen=True)
class Claim:
    """The experiment."""

    name: str = "claim"
    title: str = "The claim: learned spaces against random and hand-made ones"

    def run(self, work: Work) -> Outcome:
        """The outcome; what the folder has is not made again."""
        values = work.values(architectures(work, *ARMS))
        means = {arm: means_of(values, arm) for arm in ARMS}
        hand = every_value(values, HAND_MADE)
        records = []
        for arm in ARMS:
            is_one, every = arm == HAND_MADE, every_value(values, arm)
            record = {"space": arm, "spaces": 1 if is_one else NUM_SPACES, "trainings": len(every)}
            record |= {"recall@2": Mean.of(hand if is_one else means[arm]).words}
            record |= {"worst space": "" if is_one else round(min(means[arm]), 2)}
            record |= {"best space": "" if is_one else round(max(means[arm]), 2)}
            record |= {"best network": round(max(every), 2), "learning rate": rate_of(work, arm)}
            records.append(record)
        notes = "Means over spaces with 90 % intervals (hand-made: over architectures), in percent."
        table = Table(f"{NUM_ARCHS} architectures of each space at {BUDGET_M:g} M multiply-adds", records, notes)
        return Outcome(self.title, "", [table], self._verdicts(means, hand), work.ledger.conditions())

    @staticmethod
    def _verdicts(means: Mapping[str, list[float]], hand: list[float]) -> list[Verdict]:
        pairs = [(LEARNED, RANDOM), (LEARNED, NINE), (ALONE, NINE), (ALONE, RANDOM), (LEARNED, ALONE)]
        verdicts = [Difference.of(means[a], means[b]).verdict(f"{a} less {b}") for a, b in pairs]
        for arm in (LEARNED, ALONE):
            apart = Difference.of(means[arm], hand, permute=False)
            verdicts.append(apart.verdict(f"{arm} less {HAND_MADE}"))
            said, outcome = ("is", WINS) if apart.low > -MARGIN else ("is not shown to be", OPEN)
            verdicts.append(Verdict(outcome, f"{arm} {said} non-inferior to {HAND_MADE} by a margin of {MARGIN:g}."))
        return verdicts


EXPERIMENT = Claim()
