"""Does the fitness tell the truth? Nine cells a layer, an orthogonal array of trainings, and the order of their main effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobuild_core.autospace import EvolutionFolder, EvolutionPlan, evolve, tables
from autobuild_core.benchmark.autospace.claim import LEARNED, learned_space, rate_of
from autobuild_core.benchmark.autospace.work import BUDGET_M, EVOLUTIONS, SKELETON, Work, network_of, with_rate
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.scoring.intervals import CONFIDENCE
from autobuild_core.spaces._cells import Cell
from autobuild_core.spaces._skeletons import SKELETONS

Array = NDArray[np.float64]
EVOLVED = 0  # seed of the claim's evolution whose cells are looked at
OTHER_SEEDS = (20, 21)  # of the supernets that the nine cells are trained in again
NUM_EACH, NUM_CELLS = 3, 9  # final, middle, eliminated; all of a layer
KINDS = "final", "middle", "eliminated"
NUM_BOOTSTRAPS = 2000
FITNESS, AGAIN, MADDS, AGE = (
    "fitness in its evolution",
    "fitness trained again",
    "multiply-adds alone (fewer)",
    "generations seen",
)


def orthogonal_array() -> NDArray[np.int64]:
    """(81, 5) an orthogonal array of nine levels and strength 2: in every pair of columns each pair of levels stands once.

    Source: Bose and Bush 1952: columns x, y, x + y, x + t y, x + (1 + t) y over the field of nine elements a + b t, t^2 = -1.
    """
    levels = [(a, b) for a in range(3) for b in range(3)]
    index = {level: place for place, level in enumerate(levels)}
    slopes = ((1, 0), (0, 1), (1, 1))
    rows = []
    for x in levels:
        for y in levels:
            row = [index[x], index[y]]
            for c, d in slopes:
                product = (c * y[0] - d * y[1]) % 3, (c * y[1] + d * y[0]) % 3
                row.append(index[(x[0] + product[0]) % 3, (x[1] + product[1]) % 3])
            rows.append(row)
    return np.array(rows)


@dataclass(frozen=True)
class Fitness:
    """The experiment."""

    name: str = "fitness"
    title: str = "Does the fitness tell the truth?"

    def run(self, work: Work) -> Outcome:
        """The outcome; what the folder has is not made again."""
        learned_space(work, EVOLVED)
        chosen: list[list[dict[str, Any]]] = work.ledger.pick("cells of the orthogonal array", lambda: nine_cells(work))
        cells = [[Cell.read(one["written"]) for one in own] for own in chosen]
        rate, skeleton, array = rate_of(work, LEARNED), SKELETONS[SKELETON], orthogonal_array()
        rows = [[own[level] for own, level in zip(cells, levels, strict=True)] for levels in array]
        archs = work.ledger.pick("architectures, array", lambda: [network_of(skeleton, row, BUDGET_M) for row in rows])
        values = np.array(work.trained([with_rate(arch, rate) for arch in archs]))
        effects = main_effects(array, values)
        said = {name: np.array([[one[name] for one in own] for own in chosen]) for name in ("fitness", "madds_k", "seen")}
        again = [np.array(self._again(work, chosen, seed)) for seed in OTHER_SEEDS]
        orders = {FITNESS: said["fitness"], AGAIN: again[0], MADDS: -said["madds_k"], AGE: said["seen"]}
        records = [
            {"order of": name, "rank correlation with the main effects": pooled(order, effects)} for name, order in orders.items()
        ]
        ceiling = {
            "order of": "fitness trained again",
            "with": "fitness trained again, another seed",
            "rank correlation": pooled(*again),
        }
        by_kind = self._by_kind(chosen, effects)
        notes = f"{len(values)} trainings; ranks of {NUM_CELLS} cells within each of {len(cells)} layers, pooled; "
        notes += "intervals by a bootstrap over cells."
        truth = Table("Ranks of fitness beside ranks of main effects", records, notes)
        tables_made = [truth, Table("Its ceiling: two supernets with the same nine cells", [ceiling]), by_kind]
        return Outcome(self.title, "", tables_made, [], work.ledger.conditions())

    @staticmethod
    def _again(work: Work, chosen: Sequence[Sequence[Mapping[str, Any]]], seed: int) -> list[list[float]]:
        """Of each layer the fitness of the nine cells in a supernet of their own, where none is mutated."""
        start = [[one["written"] for one in own] for own in chosen]
        plan = EvolutionPlan(seed=seed, madds_m=BUDGET_M, start=start, children=0, population=NUM_CELLS)

        def train() -> list[list[float]]:
            folder = work.ledger.folder / EVOLUTIONS / f"nine_cells_{seed}"
            evolve(plan, folder, work.ledger.report, work.ledger.should_stop)
            last = EvolutionFolder(folder).lines()[-1]
            return [[fitness for _, fitness, _ in layer["alive"]] for layer in last["layers"]]

        found: list[list[float]] = work.ledger.found(f"fitness of the nine cells, {seed}", train)
        return found

    @staticmethod
    def _by_kind(chosen: Sequence[Sequence[Mapping[str, Any]]], effects: Array) -> Table:
        """The mean main effect of final, middle and eliminated cells."""
        kinds = np.array([[one["kind"] for one in own] for own in chosen])
        records = [{"cells": kind, "mean main effect (points)": float(effects[kinds == kind].mean())} for kind in KINDS]
        return Table("Main effects by how cells ended", records, "Recall@2 above the mean of all trainings.")


def nine_cells(work: Work) -> list[list[dict[str, Any]]]:
    """Of each layer nine cells of an evolution: the three fittest at its end, three around the median, three that left.

    Reference cells are among them where they are so fit. Of those that left, the three that were least fit when they did;
    around the median, of all others that ever ran.
    """
    lines = EvolutionFolder(work.ledger.folder / EVOLUTIONS / f"claim_{EVOLVED}").lines()
    cells, found = tables.cells_table(lines), []
    for _, every in cells[cells["seen"] > 0].groupby("layer"):
        own = every.sort_values("fitness", ascending=False)
        final, out = own[own["left"].isna()].head(NUM_EACH), own[own["left"].notna()].tail(NUM_EACH)
        rest = own.drop([*final.index, *out.index])
        first = (len(rest) - NUM_EACH) // 2
        middle = rest.iloc[first : first + NUM_EACH]
        parts = zip(KINDS, (final, middle, out), strict=True)
        columns = ["cell", "written", "fitness", "madds_k", "seen"]
        found.append([one | {"kind": kind} for kind, part in parts for one in part[columns].to_dict("records")])
    return found


def main_effects(array: NDArray[np.int64], values: Array) -> Array:
    """(layers, levels) the mean of the trainings with each level, less the mean of all; NaN trainings are left out."""
    num_layers, num_levels = array.shape[1], int(array.max()) + 1
    means = [[np.nanmean(values[array[:, layer] == level]) for level in range(num_levels)] for layer in range(num_layers)]
    effects: Array = np.array(means) - np.nanmean(values)
    return effects


def pooled(one: Array, other: Array) -> str:
    """Spearman's correlation of ranks within layers, pooled, with its bootstrap interval, in words.

    Args:
        one: (layers, cells).
        other: the same.
    """
    from scipy.stats import bootstrap, pearsonr, rankdata

    ranks = [np.concatenate([rankdata(own) for own in values]) for values in (one, other)]
    found = bootstrap(
        ranks, lambda a, b: pearsonr(a, b).statistic, paired=True, vectorized=False, n_resamples=NUM_BOOTSTRAPS,
        confidence_level=CONFIDENCE, method="percentile", rng=np.random.default_rng(0),
    )  # fmt: skip
    interval = found.confidence_interval
    return f"{pearsonr(*ranks).statistic:.2f} [{interval.low:.2f}, {interval.high:.2f}]"


EXPERIMENT = Fitness()
