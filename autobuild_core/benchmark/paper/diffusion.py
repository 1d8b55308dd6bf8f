"""Diffusion: the poster's table. From 68 evaluated U-Nets, predicting all of a space against the product of its best modules."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autobuild_core import api
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark.paper.arms import trained
from autobuild_core.benchmark.paper.building import in_short
from autobuild_core.benchmark.paper.comparing import Verdict, differences, verdict
from autobuild_core.benchmark.paper.labels import Labels, best_of, read_sample
from autobuild_core.benchmark.paper.ledger import UNSEEN_SEEDS, Ledger, Measurements
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.benchmark.truth import PRODUCT_K
from autobuild_core.scoring.intervals import Mean, number
from autobuild_core.search.assembly import product_codes
from autobuild_core.store.tables import content_hash
from autobuild_core.targets.aim import Aim

EXHAUSTIVE, NORMS, GOOD, EVALUATED = "exhaustive", "AutoBuild, norms", "AutoBuild, good", "best evaluated"
METHODS = (EXHAUSTIVE, NORMS, GOOD, EVALUATED)
LENSES = {NORMS: Lens.NORM, GOOD: Lens.GOOD}
LOG_FRECHET = Aim("log_frechet", minimize=True, name="log Frechet distance")
NUM_TOP = 4
MOST_RETRAINED = 12  # distinct networks, beside the truth's best
NOTES = (
    f"Means over the draws with 90 % intervals. best of four: the best of a method's top {NUM_TOP} by the "
    "table of all measured networks, of `best evaluated` the best of the draw's own labels. mean of four: "
    "of these. rank: of the best of four among all networks. difference: of the best of four from "
    "exhaustive, paired by draw. predictions: of architectures and modules. evaluations: networks, labels "
    "and the top four; trainings: of these, by the seeds that the table holds. By the table a network keeps "
    "the luck of the label for which it was chosen, as the best evaluated and the truth's best were; the "
    "unseen seeds below have none of it."
)


@dataclass(frozen=True)
class Diffusion:
    """The experiment.

    Args:
        name: of its folder.
        data: file of a space that was evaluated whole, below the folder of samples.
        evaluator: that trains.
        aim: the target.
        num_evaluated: networks of a draw.
    """

    name: str = "diffusion"
    data: str = "unets/unets.csv"
    evaluator: str = "diffusion"
    aim: Aim = LOG_FRECHET
    num_evaluated: int = 68

    title = "Diffusion: a product of the best modules against predicting everything"

    @property
    def about(self) -> str:
        """Its making, for the page."""
        return (
            f"Source: the table of AutoBuild's poster. A draw evaluates {self.num_evaluated} random networks "
            "of the sample's whole space, and a predictor learns from them. Exhaustive: it predicts every "
            f"network. AutoBuild: it predicts the product of each unit's {PRODUCT_K} best modules (by their "
            f"norms, as published; by `good`, ours). Both offer their top {NUM_TOP}, evaluated networks "
            "among them. Ours: data, evaluator, the predictor of all methods, the number of modules, the "
            "intervals, and the trainings on unseen seeds. `good` averages over the whole space, so its "
            "predictions count every network once more; norms need one of each module."
        )

    def run(self, ledger: Ledger) -> Outcome:
        """The outcome; what the ledger has is not made again.

        Raises:
            StudioError: data or settings do not do.
            Cancelled: the ledger's should_stop said so.
        """
        table = read_sample(ledger.settings.samples / self.data)
        ledger.keep_to(data=content_hash(table))
        truth = TruthTable(Labels.of(table, self.aim))
        draws = [self._draw(truth.labels, place, ledger) for place in range(ledger.settings.draws)]
        finals = [truth.finals(draw) for draw in draws]
        covered = number_covered(finals)
        archs = [truth.labels.best(), *(arch for own in finals[:covered] for arch in own.values())]
        chosen = ledger.pick(f"retrained, {len(draws)} draws", lambda: archs)
        judged = ledger.measure("unseen", self.evaluator, chosen, UNSEEN_SEEDS)
        shown = [by_table(truth, draws, finals), by_unseen_seeds(truth, finals[:covered], judged)]
        note = f"The picks of the first {covered} of {len(draws)} draws, which are at most {MOST_RETRAINED} distinct networks."
        tables = [Table("By the table", shown[0][0], NOTES), Table("On unseen seeds", shown[1][0], f"{note} {UNSEEN_NOTES}")]
        frequent = Table("Final picks", picks_of(truth, finals), "How many draws each network was the final pick of, by method.")
        return Outcome(self.title, self.about, [*tables, frequent], [*shown[0][1], *shown[1][1]], ledger.conditions())

    def _draw(self, labels: Labels, place: int, ledger: Ledger) -> dict[str, Any]:
        """The picks of a draw: {method: {"top": architectures, "predictions"}}, "evaluated" and "trainings" of its labels."""
        rng = np.random.default_rng(place)
        part = labels.part(np.sort(rng.permutation(len(labels.rows))[: self.num_evaluated]))

        def choose() -> dict[str, Any]:
            with trained(part, ledger, place) as run:
                methods = {method: tops(run, method, labels.rows) for method in (EXHAUSTIVE, *LENSES)}
            return methods | {EVALUATED: {"top": [part.best()], "predictions": 0}}

        found: dict[str, Any] = ledger.pick(f"draw {place}", choose)
        return found | {"evaluated": len(part.rows), "trainings": part.num_evaluations}


UNSEEN_NOTES = (
    f"Each final pick is the mean over {len(UNSEEN_SEEDS)} trainings with seeds that the table does not "
    "hold; means over draws with 90 % intervals. table: the same picks by the table, which chose them. "
    "difference: from exhaustive, paired by draw."
)


def tops(run: api.Run, method: str, rows: ArchTable) -> dict[str, Any]:
    """A method's top architectures, and how many predictions it took."""
    if method == EXHAUSTIVE:
        return {"top": list(run.build(NUM_TOP, allow_evaluated=True)["arch"]), "predictions": len(rows)}
    lens, predictor = LENSES[method], run.predictor
    built = run.build(NUM_TOP, PRODUCT_K, lens.value, allow_evaluated=True)
    modules = run.modules()
    product = product_codes(modules, predictor.spec, PRODUCT_K, lens, predictor.minimize)
    count = len(np.unique(predictor.space.hash_networks(product))) + int(modules["whole_unit"].sum())
    return {"top": list(built["arch"]), "predictions": count + (len(rows) if method == GOOD else 0)}


class TruthTable:
    """The measured target of every network of a space.

    Args:
        labels: all of them.
    """

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.by_network = dict(zip(labels.rows.networks.tolist(), labels.values.tolist(), strict=True))

    def value(self, arch: Any) -> float:
        """The target of a network."""
        codes = np.array([self.labels.space.parse(arch)], np.int16)
        return float(self.by_network[int(self.labels.space.hash_networks(codes)[0])])

    def rank(self, value: float) -> int:
        """The rank of a target among all, from 1."""
        gain = -value if self.labels.aim.minimize else value
        return 1 + int((self.labels.gains > gain).sum())

    def finals(self, draw: dict[str, Any]) -> dict[str, Any]:
        """{method: the best of its top by the table}."""
        tops = {method: draw[method]["top"] for method in METHODS}
        return {method: best_of(top, [self.value(arch) for arch in top], self.labels.aim) for method, top in tops.items()}


def number_covered(finals: Sequence[dict[str, Any]]) -> int:
    """The number of draws, from the first on, that have at most MOST_RETRAINED distinct final picks."""
    distinct = set[str]()
    for count, own in enumerate(finals):
        distinct |= {in_short(arch) for arch in own.values()}
        if len(distinct) > MOST_RETRAINED:
            return count
    return len(finals)


def by_table(
    truth: TruthTable, draws: Sequence[dict[str, Any]], finals: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[Verdict]]:
    """(records by method with the truth's best, verdicts) by what the table says."""
    values = {method: [truth.value(own[method]) for own in finals] for method in METHODS}
    records = []
    for method, own in values.items():
        four = [float(np.mean([truth.value(arch) for arch in draw[method]["top"]])) for draw in draws]
        further = 0 if method == EVALUATED else NUM_TOP
        record = {"method": method, "best of four": Mean.of(own).words, "mean of four": Mean.of(four).words}
        record |= {"rank": Mean.of([float(truth.rank(value)) for value in own]).words}
        record |= {"difference": "" if method == EXHAUSTIVE else Mean.of(differences(own, values[EXHAUSTIVE])).words}
        per_network = np.mean([draw["trainings"] / draw["evaluated"] for draw in draws])
        needed = np.mean([draw["evaluated"] for draw in draws]) + further
        record |= {"predictions": number(float(np.mean([draw[method]["predictions"] for draw in draws])))}
        records.append(record | {"evaluations": number(needed), "trainings": number(needed * per_network)})
    labels = truth.labels
    best = truth.value(labels.best())
    whole = {"method": "the truth's best", "best of four": number(best), "rank": "1", "predictions": "0"}
    records.append(whole | {"evaluations": number(len(labels.rows)), "trainings": number(labels.num_evaluations)})
    return records, compared(values, "by the table", labels.aim)


def by_unseen_seeds(
    truth: TruthTable, finals: Sequence[dict[str, Any]], judged: Measurements
) -> tuple[list[dict[str, Any]], list[Verdict]]:
    """(records by method with the truth's best, verdicts) by trainings with seeds that the table does not hold."""
    metric = truth.labels.aim.expression

    def mean(arch: Any) -> Mean:
        return Mean.of([judged.of(arch, seed).get(metric, float("nan")) for seed in UNSEEN_SEEDS])

    values = {method: [mean(own[method]).mean for own in finals] for method in METHODS}
    records: list[dict[str, Any]] = []
    for method, own in values.items():
        apart = differences(own, values[EXHAUSTIVE])
        record = {
            "method": method,
            "unseen seeds": Mean.of(own).words,
            "table": Mean.of([truth.value(f[method]) for f in finals]).words,
        }
        record |= {"difference": "" if method == EXHAUSTIVE else Mean.of(apart).words}
        records.append(record | {"judged": len({in_short(f[method]) for f in finals}) * len(UNSEEN_SEEDS)})
    best = truth.labels.best()
    whole = {"method": "the truth's best", "unseen seeds": mean(best).words, "table": number(truth.value(best))}
    records.append(whole | {"judged": len(UNSEEN_SEEDS)})
    return records, compared(values, "on unseen seeds", truth.labels.aim)


def compared(values: dict[str, list[float]], where: str, aim: Aim) -> list[Verdict]:
    """Both ways of AutoBuild against predicting everything and against the best evaluated."""
    pairs = [(one, other) for one in LENSES for other in (EXHAUSTIVE, EVALUATED)]
    return [
        verdict(
            one, other, f"{aim.name} {where}", differences(values[one], values[other]), aim.minimize, values[one] == values[other]
        )
        for one, other in pairs
    ]


def picks_of(truth: TruthTable, finals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line a distinct final pick, the best first."""
    archs = {in_short(arch): arch for own in finals for arch in own.values()}
    counts = {method: Counter(in_short(own[method]) for own in finals) for method in METHODS}
    order = sorted(archs, key=lambda name: truth.rank(truth.value(archs[name])))
    about = {name: {"rank": truth.rank(truth.value(archs[name])), "table": number(truth.value(archs[name]))} for name in order}
    return [about[name] | {method: own[name] for method, own in counts.items()} | {"network": name} for name in order]


EXPERIMENT = Diffusion()
