"""Ablations: evolutions without reference cells, and with random numbers in place of the fitness."""

from dataclasses import dataclass
from typing import Any

from autobuild_core.autospace import EvolutionPlan
from autobuild_core.autospace.plan import RANDOM as RANDOM_FITNESS
from autobuild_core.benchmark.autospace.claim import ALONE, LEARNED, NUM_SPACES, architectures, means_of, rate_of
from autobuild_core.benchmark.autospace.spaces_compared import Difference
from autobuild_core.benchmark.autospace.work import BUDGET_M, NUM_ARCHS, NUM_KEPT, Work
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.scoring.intervals import Mean

WITHOUT, CHANCE = "evolved without reference cells", "evolved with random fitness"


@dataclass(frozen=True)
class Ablations:
    """The experiment."""

    name: str = "ablations"
    title: str = "Ablations: without reference cells, with random fitness"

    def run(self, work: Work) -> Outcome:
        """The outcome; what the folder has is not made again."""
        archs = architectures(work, LEARNED, ALONE)
        changed: dict[str, dict[str, Any]] = {WITHOUT: {"references": False}, CHANCE: {"fitness": RANDOM_FITNESS}}
        rates = {WITHOUT: rate_of(work, ALONE), CHANCE: rate_of(work, LEARNED)}
        for number, (arm, change) in enumerate(changed.items()):
            for seed in range(NUM_SPACES):
                plan = EvolutionPlan(seed=seed, madds_m=BUDGET_M, kept=NUM_KEPT, **change)
                space = work.evolved(f"{'without' if arm == WITHOUT else 'chance'}_{seed}", plan)
                archs[arm, seed] = work.to_train(f"{arm}, {seed}", space, (seed, number, 3), rates[arm])
        values = work.values(archs)
        means = {arm: means_of(values, arm) for arm in (LEARNED, ALONE, *changed)}
        records = [{"space": arm, "recall@2": Mean.of(own).words} for arm, own in means.items()]
        notes = f"Means over {NUM_SPACES} spaces with 90 % intervals, {NUM_ARCHS} architectures of each."
        pairs = [(ALONE, WITHOUT), (LEARNED, CHANCE)]
        verdicts = [Difference.of(means[a], means[b]).verdict(f"{a} less {b}") for a, b in pairs]
        return Outcome(self.title, "", [Table("Spaces", records, notes)], verdicts, work.ledger.conditions())


EXPERIMENT = Ablations()
