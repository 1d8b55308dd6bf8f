"""Experiments that build: each arm chooses ten networks from the same labels; its best is trained on seeds that nobody saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark.paper import arms
from autobuild_core.benchmark.paper.arms import EVALUATED, EVOLUTION, NAMES, OURS, PUBLISHED
from autobuild_core.benchmark.paper.comparing import Verdict, differences, verdict
from autobuild_core.benchmark.paper.labels import Labels, best_of, read_sample, value_of
from autobuild_core.benchmark.paper.ledger import SELECTION_SEED, UNSEEN_SEEDS, Ledger, Measurements
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.errors import RunError
from autobuild_core.scoring.intervals import Mean, number
from autobuild_core.store.tables import content_hash
from autobuild_core.targets.aim import Aim

COMPARED = ((OURS, EVALUATED), (OURS, PUBLISHED), (OURS, EVOLUTION), (PUBLISHED, EVALUATED), (PUBLISHED, EVOLUTION))
LATENCY_MEASURED = "latency_ms"
NOTES = (
    "when picked: the target by which the network was chosen (of the evaluated set's best: its label, of "
    f"the others: one training). unseen seeds: mean over {len(UNSEEN_SEEDS)} trainings with seeds that no "
    "selection saw, with its 90 % interval. difference: from the evaluated set's best, paired by seed. "
    "trainings: what an arm needed to choose, its labels and its own; a network that two arms chose is "
    "charged to each. judged: trainings with unseen seeds, which chose nothing."
)


@dataclass(frozen=True)
class Building:
    """An experiment that builds.

    Args:
        name: of its folder.
        title: for the page.
        about: for the page.
        data: file of labels, below the folder of samples.
        evaluator: that trains.
        aims: targets over the data's metrics.
        arms: of `arms.NAMES`, beside the evaluated set's best.
        trainings_a_row: of the data.
        latency: evaluator of latency, "" where no target has one.
        latency_metric: what the data call it.
    """

    name: str
    title: str
    about: str
    data: str
    evaluator: str
    aims: tuple[Aim, ...]
    arms: tuple[str, ...]
    trainings_a_row: int = 1
    latency: str = ""
    latency_metric: str = ""

    def run(self, ledger: Ledger) -> Outcome:
        """The outcome; what the ledger has is not made again.

        Raises:
            StudioError: data or settings do not do.
            Cancelled: the ledger's should_stop said so.
        """
        return Build(self, read_sample(ledger.settings.samples / self.data), ledger).outcome()


class Build:
    """An experiment on its data.

    Args:
        plan: the experiment.
        table: its data.
        ledger: its folder.
    """

    def __init__(self, plan: Building, table: ArchTable, ledger: Ledger) -> None:
        self.plan, self.ledger = plan, ledger
        ledger.keep_to(data=content_hash(table), targets=[f"{aim.direction} {aim.expression}" for aim in plan.aims])
        self.labels = {aim.name: Labels.of(table, aim) for aim in plan.aims}

    def outcome(self) -> Outcome:
        """The outcome of all its targets."""
        tens = {aim.name: {arm: self._ten(aim.name, arm) for arm in self.plan.arms} for aim in self.plan.aims}
        latencies = self._latencies(tens)
        finals = {name: self._finals(name, own, latencies) for name, own in tens.items()}
        distinct = [arch for own in finals.values() for arch in own.values()]
        judged = self.ledger.measure("unseen", self.plan.evaluator, distinct, UNSEEN_SEEDS)
        fresh = self._rounds("latency_unseen", distinct)
        tables, verdicts = [], list[Verdict]()
        for aim in self.plan.aims:
            judge = Judged(aim, finals[aim.name], judged, self._renamed(fresh, finals[aim.name]))
            picked = {arm: self._picked(aim.name, arm, arch, latencies) for arm, arch in finals[aim.name].items()}
            tables.append(Table(aim_words(aim), judge.records(picked, self._charged(aim.name, tens[aim.name])), NOTES))
            verdicts += judge.verdicts()
        if remarks := self.ledger.remarks():
            tables.append(Table("Remarks of the evaluators", remarks))
        return Outcome(self.plan.title, self.plan.about, tables, verdicts, self.ledger.conditions())

    def _ten(self, name: str, arm: str) -> list[Any]:
        """The networks that an arm chooses, written down before they are measured."""
        labels = self.labels[name]
        if arm == EVOLUTION:
            return self._evolved(labels)
        make = arms.ours if arm == OURS else arms.as_published
        ten: list[Any] = self.ledger.pick(f"{name}, {arm}, built", lambda: make(labels, self.ledger))
        self._measured(ten)
        return ten

    def _measured(self, archs: Sequence[Any]) -> Measurements:
        """One training each, with the seed of the selections."""
        return self.ledger.measure("selection", self.plan.evaluator, archs, (SELECTION_SEED,))

    def _evolved(self, labels: Labels) -> list[Any]:
        """Ten networks, each proposed once the one before was measured."""
        evolution, found = arms.Evolution(labels), list[Any]()
        while len(found) < arms.NUM_BUILT:
            name = f"{labels.aim.name}, {EVOLUTION}, visits {len(found) + 1}"
            visits = self.ledger.pick(name, evolution.propose)
            if not visits:
                break
            found.append(visits[-1])
            value = self._value_on_the_way(labels, visits[-1], len(found))
            evolution.told(visits, -value if labels.aim.minimize else value)
        return found

    def _value_on_the_way(self, labels: Labels, arch: Any, count: int) -> float:
        """The target of a network as evolution hears it.

        Its latency is measured beside that of the evaluated set's best, and scaled so that this one has its label: the labels
        are of another day.
        """
        metrics = self._measured([arch]).of(arch, SELECTION_SEED)
        metric = self.plan.latency_metric
        if metric in labels.aim.target.names:
            best = labels.best()
            file = f"latency {labels.aim.name} evolution {count}"
            both = self.ledger.rounds(file.replace(" ", "_"), self.plan.latency, [arch, best])
            own, known = (both.of(one).get(LATENCY_MEASURED, float("nan")) for one in (arch, best))
            metrics |= {metric: own / known * float(labels.rows.metrics[metric].to_numpy()[int(labels.gains.argmax())])}
        return value_of(metrics, labels.aim)

    def _latencies(self, tens: dict[str, dict[str, list[Any]]]) -> Measurements | None:
        """The latency of every network that any arm may pick; None where no target has one."""
        archs = [labels.best() for labels in self.labels.values()]
        archs += [arch for own in tens.values() for ten in own.values() for arch in ten]
        return self._rounds("latency", archs)

    def _rounds(self, file: str, archs: Sequence[Any]) -> Measurements | None:
        """The latency of networks, in rounds over all; None where no target has one."""
        return self.ledger.rounds(file, self.plan.latency, archs) if self.plan.latency else None

    def _renamed(self, latencies: Measurements | None, finals: dict[str, Any]) -> dict[str, dict[str, float]]:
        """{arm: {the data's name of latency: its value}} of final picks."""
        return {arm: self._latency(arch, latencies) for arm, arch in finals.items()}

    def _latency(self, arch: Any, latencies: Measurements | None) -> dict[str, float]:
        """The latency of a network under the data's name of it; {} where there is none."""
        found = {} if latencies is None else latencies.of(arch)
        return {self.plan.latency_metric: found[LATENCY_MEASURED]} if found else {}

    def _finals(self, name: str, tens: dict[str, list[Any]], latencies: Measurements | None) -> dict[str, Any]:
        """The best network of each arm, and of the evaluated set."""
        finals = {}
        for arm, ten in tens.items():
            values = [self._picked(name, arm, arch, latencies) for arch in ten]
            if not any(value == value for value in values):
                raise RunError(f"{self.ledger.folder}: got no measured network of {NAMES[arm]} for {name}, expected some.")
            finals[arm] = self.ledger.pick(f"{name}, {arm}, final", partial(best_of, ten, values, self.labels[name].aim))
        finals[EVALUATED] = self.ledger.pick(f"{name}, {EVALUATED}, final", self.labels[name].best)
        return finals

    def _picked(self, name: str, arm: str, arch: Any, latencies: Measurements | None) -> float:
        """The target by which a network is chosen: its label, or one training and its latency."""
        labels = self.labels[name]
        if arm == EVALUATED:
            return float(labels.values[int(labels.gains.argmax())])
        metrics = self._measured([arch]).of(arch, SELECTION_SEED) | self._latency(arch, latencies)
        return value_of(metrics, labels.aim)

    def _charged(self, name: str, tens: dict[str, list[Any]]) -> dict[str, int]:
        """{arm: the trainings by which it chose}."""
        known = self.labels[name].num_evaluations * self.plan.trainings_a_row
        return {arm: known + len(ten) for arm, ten in tens.items()} | {EVALUATED: known}


class Judged:
    """Final picks under a target, trained with seeds that no selection saw.

    Args:
        aim: the target.
        finals: {arm: its pick}.
        judged: their trainings.
        latency: {arm: {metric: value}} beside the metrics of every training.
    """

    def __init__(self, aim: Aim, finals: dict[str, Any], judged: Measurements, latency: dict[str, dict[str, float]]) -> None:
        self.aim, self.finals, used = aim, finals, aim.target.names
        every = {arm: [judged.of(arch, seed) | latency[arm] for seed in UNSEEN_SEEDS] for arm, arch in finals.items()}
        self.values = {arm: [value_of(metrics, aim) for metrics in own] for arm, own in every.items()}
        self.metrics = {
            arm: {name: Mean.of([one.get(name, float("nan")) for one in own]).mean for name in used if len(used) > 1}
            for arm, own in every.items()
        }

    def records(self, picked: dict[str, float], charged: dict[str, int]) -> list[dict[str, Any]]:
        """One line an arm."""
        records = []
        for arm, values in self.values.items():
            apart = differences(values, self.values[EVALUATED])
            records.append(
                {
                    "arm": NAMES[arm],
                    "when picked": number(picked[arm]),
                    "unseen seeds": Mean.of(values).words,
                    **{name: number(value) for name, value in self.metrics[arm].items()},
                    "difference": "" if arm == EVALUATED else Mean.of(apart).words,
                    "trainings": charged[arm],
                    "judged": len(values),
                    "network": in_short(self.finals[arm]),
                }
            )
        return records

    def verdicts(self) -> list[Verdict]:
        """The comparisons of AutoBuild with what is beside it."""
        found = []
        for one, other in COMPARED:
            if one in self.values and other in self.values:
                apart, same = differences(self.values[one], self.values[other]), self.finals[one] == self.finals[other]
                found.append(verdict(NAMES[one], NAMES[other], self.aim.name, apart, self.aim.minimize, same))
        return found


def aim_words(aim: Aim) -> str:
    """A target as a heading."""
    return f"{aim.name}: {aim.direction} `{aim.expression}`"


def in_short(arch: Any) -> str:
    """A network in one cell of a table."""
    return (
        " ".join(f"{name}={value}" for name, value in arch.items()) if isinstance(arch, dict) else str(arch).replace("|", "\\|")
    )
