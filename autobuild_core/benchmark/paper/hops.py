"""Hops: how well the norms at every hop order networks that were held out, with the hop-level ranking loss and without it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.topologies import topology_of
from autobuild_core.benchmark.measures import draw
from autobuild_core.benchmark.paper.arms import NAMES, OURS, PUBLISHED
from autobuild_core.benchmark.paper.comparing import Verdict, differences, verdict
from autobuild_core.benchmark.paper.labels import Labels, read_sample
from autobuild_core.benchmark.paper.ledger import Ledger
from autobuild_core.benchmark.paper.outcome import Outcome, Table
from autobuild_core.scoring.intervals import Mean
from autobuild_core.store.tables import content_hash
from autobuild_core.targets.aim import Aim

WITHOUT, WITH = 0.0, 1.0  # lambda
SHARE = 0.5  # of the networks, to learn from; the rest is judged on
PREDICTION = "prediction"
NOTES = (
    "Spearman correlation with the target on networks that were not learned from, means over draws with 90 "
    "% intervals; hop 0 is the layers alone. difference: with the loss less without it, paired by draw."
)


@dataclass(frozen=True)
class Hops:
    """The experiment.

    Args:
        name: of its folder.
        data: {file of labels below the folder of samples: target}; files that are not there are left out, and the page says so.
    """

    name: str = "hops"
    data: Mapping[str, Aim] = field(
        default_factory=lambda: {
            "fashion_mbconv/fashion_mbconv.csv": Aim("test_loss", minimize=True),
            "cells/cells.csv": Aim("test_loss", minimize=True),
            "unets/unets.csv": Aim("log_frechet", minimize=True),
            "segmentation/segmentation.csv": Aim("pq_pct"),
        }
    )

    title = "Hops: with the hop-level ranking loss and without it"
    about = (
        "Source: AutoBuild's first result, that the ranking loss makes the norms at every hop order "
        "architectures. Half of the networks of a sample are learned from, the other half judges. Without: "
        "lambda is 0; in ours the order of distilled architectures and modules is not learned either. With: "
        "lambda is 1. Ours: data, draws and intervals. The published recipe takes chains only, so no cells."
    )

    def run(self, ledger: Ledger) -> Outcome:
        """The outcome; what the ledger has is not made again.

        Raises:
            StudioError: data or settings do not do.
            Cancelled: the ledger's should_stop said so.
        """
        tables, verdicts, missing = [], list[Verdict](), list[str]()
        for file, aim in self.data.items():
            path = ledger.settings.samples / file
            if not path.is_file():
                missing.append(path.stem)
                continue
            labels = Labels.of(read_sample(path), aim)
            ledger.keep_to(**{path.stem: content_hash(labels.table)})
            records, own = self._sample(path.stem, labels, ledger)
            tables.append(Table(f"{path.stem}, {aim.expression}, {len(labels.rows)} networks", records, NOTES))
            verdicts += own
        said = f" Not there: {', '.join(missing)}." if missing else ""
        return Outcome(self.title, self.about + said, tables, verdicts)

    def _sample(self, sample: str, labels: Labels, ledger: Ledger) -> tuple[list[dict[str, Any]], list[Verdict]]:
        """(a record for each recipe and hop, verdicts) of a sample."""
        records, verdicts = [], []
        for recipe in (OURS, PUBLISHED) if topology_of(labels.table.spec).in_order else (OURS,):
            found = {weight: self._drawn(sample, labels, recipe, weight, ledger) for weight in (WITHOUT, WITH)}
            for where in found[WITH][0]:
                one, other = ([own[where] for own in found[weight]] for weight in (WITH, WITHOUT))
                apart = differences(one, other)
                record = {"recipe": NAMES[recipe], "of": where, "without": Mean.of(other).words, "with": Mean.of(one).words}
                records.append(record | {"difference": Mean.of(apart).words})
                said = f"{sample}, {NAMES[recipe]}, {where}"
                verdicts.append(verdict("the ranking loss", "none", said, apart, minimize=False))
        return records, verdicts

    @staticmethod
    def _drawn(sample: str, labels: Labels, recipe: str, weight: float, ledger: Ledger) -> list[dict[str, float]]:
        """The correlations of every draw."""
        learn = ours if recipe == OURS else as_published
        found = []
        for seed in range(ledger.settings.seeds):
            name = f"{sample}, {recipe}, lambda {weight:g}, draw {seed}"
            found.append(ledger.found(name, partial(learn, labels, seed, weight, ledger)))
        return found


def split(labels: Labels, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(rows to learn from, rows to judge on)."""
    return draw(labels.rows, round(SHARE * len(labels.rows)), seed)


def ours(labels: Labels, seed: int, weight: float, ledger: Ledger) -> dict[str, float]:
    """Held-out correlations of an ensemble of ours that is trained with this lambda."""
    from autobuild_core.architectures.features import make_codebook
    from autobuild_core.jobs.kinds.train import pipeline

    own, (rows, rest) = ledger.settings, split(labels, seed)
    problem = pipeline.Problem.of(labels.rows.take(rows), labels.values[rows], labels.aim.minimize, None)
    given = {"members": own.members, "steps": own.steps, "seed": seed, "spearman_weight": weight}
    given |= {} if weight else {"module_weight": 0.0}
    codebook = make_codebook(labels.table.spec)
    learned = pipeline.learn_problem(problem, codebook, given, own.threads, ledger.report, ledger.should_stop)
    found = learned.ensemble.predict(labels.space.canonical(labels.rows.codes[rest]))
    truth = labels.gains[rest]
    hops = [float(np.mean([srcc(member, truth) for member in norms])) for norms in found.graph_norms.swapaxes(0, 1)]
    return named(srcc(found.scores.mean(0), truth), hops)


def as_published(labels: Labels, seed: int, weight: float, ledger: Ledger) -> dict[str, float]:
    """Held-out correlations of the published recipe with this lambda."""
    from autobuild_core.predictor import published

    rows, rest = split(labels, seed)
    epochs = {} if ledger.settings.epochs is None else {"epochs": ledger.settings.epochs}
    codes = labels.rows.codes
    model = published.train(labels.table.spec, codes[rows], labels.gains[rows], seed, weight=weight, **epochs)
    predicted, norms = model.predict(codes[rest])
    truth = labels.gains[rest]
    return named(srcc(predicted, truth), [srcc(norm, truth) for norm in norms])


def named(prediction: float, hops: list[float]) -> dict[str, float]:
    """Correlations by what they are of."""
    return {PREDICTION: prediction} | {f"hop {hop}": value for hop, value in enumerate(hops)}


def srcc(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """Spearman's correlation; 0 where all that was found is alike, which orders nothing."""
    from scipy.stats import spearmanr

    return float(spearmanr(found, truth).statistic) if np.ptp(found) > 0 else 0.0


EXPERIMENT = Hops()
