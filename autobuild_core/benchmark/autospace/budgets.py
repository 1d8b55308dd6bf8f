"""Two budgets: spaces evolved for half and for twice the budget, each judged at both."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from autobuild_core.autospace import EvolutionPlan
from autobuild_core.benchmark.autospace.claim import LEARNED, rate_of
from autobuild_core.benchmark.autospace.spaces_compared import Difference
from autobuild_core.benchmark.autospace.work import BUDGET_M, NUM_ARCHS, NUM_KEPT, Work
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.scoring.intervals import Mean

NUM_SPACES = 4  # of each budget
BUDGETS = {"half": BUDGET_M / 2, "twice": BUDGET_M * 2}
FIRST_SEED = 10  # the evolutions of the claim have others


@dataclass(frozen=True)
class Budgets:
    """The experiment."""

    name: str = "budgets"
    title: str = "Two budgets: does it matter which one a space was evolved for?"

    def run(self, work: Work) -> Outcome:
        """The outcome; what the folder has is not made again."""
        rate, archs = rate_of(work, LEARNED), dict[tuple[str, int, str], list[Any]]()
        for budget, (evolved, madds_m) in enumerate(BUDGETS.items()):
            for number in range(NUM_SPACES):
                plan = EvolutionPlan(seed=FIRST_SEED + NUM_SPACES * budget + number, madds_m=madds_m, kept=NUM_KEPT)
                space = work.evolved(f"{evolved}_{number}", plan)
                for place, (judged, at) in enumerate(BUDGETS.items()):
                    name, seed = f"evolved for {evolved}, {number}, judged at {judged}", (plan.seed, place, 2)
                    archs[evolved, number, judged] = work.to_train(name, space, seed, rate, at)
        means = {key: float(np.nanmean(own)) for key, own in work.values(archs).items()}
        records = []
        for evolved in BUDGETS:
            record: dict[str, Any] = {"evolved for": f"{BUDGETS[evolved]:g} M"}
            for judged in BUDGETS:
                values = [means[evolved, number, judged] for number in range(NUM_SPACES)]
                record[f"judged at {BUDGETS[judged]:g} M"] = Mean.of(values).words
            records.append(record)
        apart = {e: [means[e, n, "half"] - means[e, n, "twice"] for n in range(NUM_SPACES)] for e in BUDGETS}
        interaction = Difference.of(apart["half"], apart["twice"])
        notes = f"recall@2 in percent, means over {NUM_SPACES} spaces with 90 % intervals, {NUM_ARCHS} architectures of each."
        what = "Interaction (by how much a space does better at the budget it was evolved for)"
        return Outcome(self.title, "", [Table("Budgets", records, notes)], [interaction.verdict(what)], work.ledger.conditions())


EXPERIMENT = Budgets()
