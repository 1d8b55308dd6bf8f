"""Budgets judged by measuring: what is built within them and rows of the data are measured in one run. Ours.

A file that holds a part of its space cannot say whether a new network keeps to a budget, and a measurement alone
cannot either: machines differ from the one that the file comes from. So rows of the file are measured among the
built networks, in a random order, and the median of measured by recorded scales the budgets.
"""

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.api import Run, train
from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark.budget_outcome import Measured
from autobuild_core.benchmark.designing import check_metrics
from autobuild_core.benchmark.paper.ledger import Ledger, Measurements
from autobuild_core.errors import ConfigError, listed
from autobuild_core.evaluators import load_evaluator
from autobuild_core.loop.proposing import codes_of
from autobuild_core.predictor.metrics import Metrics
from autobuild_core.search.budgets import CONFIDENCE
from autobuild_core.spaces import load_space
from autobuild_core.store.tables import content_hash
from autobuild_core.targets.equation import Target

BUILT, ROWS = 30, 30  # networks built within the budgets of a case; rows of the data measured among them
QUANTILES = (0.5, 0.25)  # of every metric, where budgets are
CONFIDENCES = (CONFIDENCE, 0.5)  # at the second a prediction within the budgets is enough
Arch = Any
Pick = dict[str, Any]


def read_names(written: Iterable[str]) -> dict[str, str]:
    """{metric of the data: what the evaluator calls it} of METRIC, which both call so, or METRIC=MEASURED."""
    pairs = (text.partition("=") for text in written)
    return {name: measured if equals else name for name, equals, measured in pairs}


@dataclass(frozen=True, eq=False)
class Judging:
    """Budgets of metrics of a data set, and the evaluator that says whether networks keep to them.

    Args:
        rows: measured networks, one a row.
        target: what is built for.
        names: {metric with a budget: what the evaluator calls it}.
        models: of these metrics.
        evaluator: by name.
    """

    rows: ArchTable
    target: Target
    names: Mapping[str, str]
    models: Metrics
    evaluator: str

    @classmethod
    def of(cls, table: ArchTable, target: Target, written: Sequence[str], evaluator: str) -> "Judging":
        """The budgets of metrics as they are written (`read_names`).

        Raises:
            ConfigError: the data lack a metric or are too few, or a metric can neither be measured nor counted.
        """
        from autobuild_core.predictor.fitting import fit_metrics  # here: it loads scipy

        names = read_names(written)
        check_metrics(table, list(names))
        known = np.isfinite(target.values(table.metrics))
        table = table.over_seeds(known)
        table = table.take(known & np.isfinite(table.metrics[list(names)].to_numpy(float)).all(1))
        rows = table.take(np.unique(table.networks, return_index=True)[1])
        if len(rows) <= ROWS:
            raise ConfigError(f"design: got {len(rows)} networks with all budgeted metrics, expected more than {ROWS}.")
        found = cls(rows, target, names, fit_metrics(rows, list(names)), evaluator)
        for name in names:
            found.models.model(name)
        if measured := load_evaluator(evaluator).metrics:  # a user's own has none before it has measured
            found.by_formula(measured)
        return found

    def by_formula(self, known: Collection[str]) -> list[str]:
        """The metrics that are counted by their formula, since the evaluator does not measure them.

        Args:
            known: metrics of the evaluator.

        Raises:
            ConfigError: one is neither measured nor an exact sum over layers.
        """
        left = [name for name, measured in self.names.items() if measured not in known]
        for name in left:
            asked, expected = self.names[name], f"expected METRIC=NAME with NAME among {listed(known)}"
            if asked != name:
                raise ConfigError(f"design: got '{name}={asked}', but {self.evaluator} does not measure {asked}; {expected}.")
            if not self.models.model(name).is_exact:
                why = f"{self.evaluator} does not measure and which is no exact sum over layers that could be counted"
                raise ConfigError(f"design: got '{name}', which {why}; {expected}.")
        return left

    def limits(self, quantile: float) -> dict[str, float]:
        """{metric: the limit of its budget} at a quantile of the data."""
        return {name: float(self.rows.metrics[name].quantile(quantile)) for name in self.names}

    def archs(self, places: NDArray[np.intp]) -> list[Arch]:
        """Networks of some rows."""
        space = load_space(self.rows.spec)
        return [space.native(row) for row in self.rows.codes[places]]

    def counted(self, name: str, archs: Sequence[Arch]) -> NDArray[np.float64]:
        """(n,) an exact metric of networks by its formula."""
        return self.models.model(name).interval(codes_of(load_space(self.rows.spec), archs))[0]


@dataclass(frozen=True, eq=False)
class MeasuredBudgets:
    """Networks built within budgets and measured, in a folder that a stopped run goes on from.

    Args:
        judging: budgets and evaluator.
        ledger: the folder; its settings are those of the trainings and measurements.
    """

    judging: Judging
    ledger: Ledger

    def __post_init__(self) -> None:
        own, target = self.judging, self.judging.target
        facts = {"data": content_hash(own.rows), "target": target.expression, "minimize": target.minimize}
        counts = {"built": BUILT, "rows": ROWS, "quantiles": QUANTILES, "confidences": CONFIDENCES}
        self.ledger.keep_to(**facts, metrics=dict(own.names), evaluator=own.evaluator, **counts)

    def measured(self, seed: int) -> Measured:
        """The networks that a training with a seed builds, and rows of the data, measured in one run in a random order.

        Raises:
            StudioError: data or settings do not do.
            Cancelled: it was to stop; what was finished is in the folder.
        """
        rng, judging = np.random.default_rng(seed), self.judging
        places = np.sort(rng.permutation(len(judging.rows))[:ROWS])
        picks = self.ledger.pick(f"built, seed {seed}", partial(self._built, seed))
        rows = judging.archs(places)
        every = [*rows, *(arch for pick in picks for arch in pick["archs"])]
        order = [every[place] for place in rng.permutation(len(every))]
        found = self._one_run(f"measured_{seed}", order)
        numbers = pd.DataFrame([found.of(arch) for arch in every])
        counted = judging.by_formula(list(numbers.columns))
        values = {name: judging.counted(name, every) if name in counted else numbers[own] for name, own in judging.names.items()}
        return Measured(seed, judging.rows, dict(judging.names), places, rows, picks, pd.DataFrame(values))

    def _one_run(self, file: str, archs: Sequence[Arch]) -> Measurements:
        """The measurements of networks, in rounds over all of them where the evaluator knows any."""
        name = self.judging.evaluator
        if load_evaluator(name).at_once > 1:
            return self.ledger.rounds(file, name, archs, self.ledger.settings.budget)
        return self.ledger.measure(file, name, archs, (0,))

    def _built(self, seed: int) -> list[Pick]:
        """The networks that a training on all the data builds in each case, with what is predicted of them."""
        own, target = self.ledger.settings, self.judging.target
        settings: dict[str, Any] = {"num_members": own.members, "num_steps": own.steps, "threads": own.threads}
        settings |= {"report": self.ledger.report, "should_stop": self.ledger.should_stop}
        with tempfile.TemporaryDirectory(prefix="autobuild-design-") as place:
            run = train(self.judging.rows, target.expression, Path(place) / "run", target.minimize, seed, **settings)
            return [self._case(run, quantile, confidence) for quantile in QUANTILES for confidence in CONFIDENCES]

    def _case(self, run: Run, quantile: float, confidence: float) -> Pick:
        """Networks that were never measured, within budgets at a quantile with a confidence."""
        limits = self.judging.limits(quantile)
        self.ledger.report({"phase": f"building within the quantile {quantile:g}", "share": 0.0})
        budgets = [f"{name} <= {limit!r}" for name, limit in limits.items()]
        frame = run.build(BUILT, budgets=budgets, confidence=confidence)
        about = {"quantile": quantile, "confidence": confidence, "limits": limits, "archs": frame["arch"].tolist()}
        predicted = {name: frame[f"{name} (metric)" if f"{name} (metric)" in frame else name].tolist() for name in limits}
        return about | {"within": frame["within"].tolist(), "predicted": predicted}
