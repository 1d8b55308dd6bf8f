"""Search in the learned space: evolution with forty trainings in learned, random and hand-made spaces, judged on unseen seeds.

A search may be begun beside the command by `search --space FOLDER/spaces/NAME.json --out FOLDER/searches/NAME.jsonl` with the
settings of `plan_of`: it is gone on from, or taken as it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autobuild_core.autospace import EvolutionFolder
from autobuild_core.benchmark.autospace.claim import LEARNED, NUM_SPACES, RANDOM, architectures, every_value, rate_of, space_of
from autobuild_core.benchmark.autospace.spaces_compared import Difference
from autobuild_core.benchmark.autospace.work import EVOLUTIONS, HAND_MADE, METRIC, Work, network_of, with_rate
from autobuild_core.benchmark.paper.ledger import UNSEEN_SEEDS
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.evaluators._searching import SearchPlan, run_search
from autobuild_core.scoring.intervals import Mean
from autobuild_core.spaces import load_space
from autobuild_core.spaces._cells import Cell
from autobuild_core.spaces.autospace import spec_of
from autobuild_core.store.tables import write_json

ARMS = LEARNED, RANDOM, HAND_MADE
CHECKPOINTS = (10, 20, 40)  # trainings of a search after which its best is judged
SEARCH_SEED, EVALUATION_SEED = 200, 50
POPULATION, SAMPLE = 10, 3  # of regularised evolution: its defaults are for hundreds of networks
GRADIENT = "gradient pick"


def plan_of(work: Work, seed: int) -> SearchPlan:
    """The settings of a search."""
    own = work.ledger.settings
    return SearchPlan(
        "classification",
        METRIC,
        settings={"population": POPULATION, "sample": SAMPLE},
        num=CHECKPOINTS[-1],
        seed=SEARCH_SEED + seed,
        first_seed=EVALUATION_SEED,
        budget=own.budget,
        device=own.device,
    )


@dataclass(frozen=True)
class Incumbent:
    """The best network of a search so far.

    Args:
        arch: the network in its native encoding.
        seen: its metric in the search, whose luck made it the best.
    """

    arch: Any
    seen: float


def searched(work: Work, arm: str, seed: int) -> dict[int, Incumbent]:
    """The incumbents of a search after each of CHECKPOINTS."""
    name = f"{arm.split(',')[0].replace(' ', '_')}_{seed}"
    space = replace(space_of(work, arm, seed), max_lr=rate_of(work, arm))
    for folder in ("spaces", "searches"):
        (work.ledger.folder / folder).mkdir(exist_ok=True)
    if not (path := work.ledger.folder / "spaces" / f"{name}.json").exists():
        write_json(path, space.written)

    def search() -> dict[str, Any]:
        results = ResultsFile(work.ledger.folder / "searches" / f"{name}.jsonl")
        space_searched = load_space(spec_of(space))
        found = run_search(space_searched, plan_of(work, seed), results, work.ledger.report, work.ledger.should_stop)
        values = np.nan_to_num(found.values[:, 0], nan=-np.inf)
        best = {num: int(values[:num].argmax()) for num in CHECKPOINTS}
        return {str(num): {"arch": found.archs[at], "seen": float(found.values[at, 0])} for num, at in best.items()}

    picks: Mapping[str, Any] = work.ledger.pick(f"search, {name}", search)
    return {int(num): Incumbent(**own) for num, own in picks.items()}


def gradient_pick(work: Work, seed: int) -> Any:
    """The network of the fittest cell of each layer, reference cells among them: the argmax of alpha, averaged."""

    def pick() -> Any:
        last = EvolutionFolder(work.ledger.folder / EVOLUTIONS / f"claim_{seed}").lines()
        cells = {
            (layer, member["number"]): Cell.read(member["cell"])
            for line in last
            for layer, own in enumerate(line["layers"])
            for member in own["entered"]
        }
        fittest = [max(own["alive"], key=lambda one: one[1])[0] for own in last[-1]["layers"]]
        space = space_of(work, LEARNED, seed)
        row = [cells[layer, number] for layer, number in enumerate(fittest)]
        return with_rate(network_of(space.skeleton, row, space.madds_m), rate_of(work, LEARNED))

    return work.ledger.pick(f"{GRADIENT}, {seed}", pick)


def best_of_random(values: list[float], num: int) -> float:
    """The expected largest of `num` values drawn at random, with replacement, from those that are known: by order statistics."""
    ordered = np.sort(np.array(values))
    shares = (np.arange(1, len(ordered) + 1) / len(ordered)) ** num
    return float(np.diff(shares, prepend=0.0) @ ordered)


@dataclass(frozen=True)
class Searching:
    """The experiment."""

    name: str = "search"
    title: str = "Search in the learned space"

    def run(self, work: Work) -> Outcome:
        """The outcome; what the folder has is not made again."""
        picks = {arm: [searched(work, arm, seed) for seed in range(NUM_SPACES)] for arm in ARMS}
        gradient = [gradient_pick(work, seed) for seed in range(NUM_SPACES)]
        judged = {(arm, num): [one[num].arch for one in own] for arm, own in picks.items() for num in CHECKPOINTS}
        values = work.values({**judged, (GRADIENT, 0): gradient}, UNSEEN_SEEDS)
        claimed = work.values(architectures(work, *ARMS))
        records = []
        for arm in ARMS:
            record: dict[str, Any] = {"space": arm}
            record |= {f"best of {num}": Mean.of(values[arm, num]).words for num in CHECKPOINTS}
            seen = {num: float(np.mean([one[num].seen for one in picks[arm]])) for num in CHECKPOINTS}
            record |= {f"best of {num} as it seemed": value for num, value in seen.items()}
            known = [value for value in every_value(claimed, arm) if np.isfinite(value)]
            record |= {f"random, best of {num} as it seems": best_of_random(known, num) for num in CHECKPOINTS}
            records.append(record)
        records.append({"space": f"{LEARNED}: {GRADIENT}", "best of 10": Mean.of(values[GRADIENT, 0]).words})
        notes = (
            "Incumbents of six searches after so many trainings, each trained anew with seeds "
            f"{UNSEEN_SEEDS[0]} to {UNSEEN_SEEDS[-1]}. "
            "As it seemed: the mean of what the search itself saw, the luck of its one seed in it. Random, with the same luck: "
            "the expected largest of so many of the claim's trainings, those of the arm's spaces together. "
            "The gradient pick costs no training beside its evolution."
        )
        last = CHECKPOINTS[-1]
        verdicts = [
            Difference.of(values[LEARNED, last], values[arm, last]).verdict(f"{LEARNED} less {arm}, best of {last}")
            for arm in (RANDOM, HAND_MADE)
        ]
        verdicts.append(
            Difference.of(values[GRADIENT, 0], values[LEARNED, last]).verdict(f"{GRADIENT} less {LEARNED}, best of {last}")
        )
        return Outcome(self.title, "", [Table("Incumbents on unseen seeds", records, notes)], verdicts, work.ledger.conditions())


EXPERIMENT = Searching()
