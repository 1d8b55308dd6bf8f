"""Notebook interface: `ab.read`, `train`, `reduce`, `evaluate`, `search`, `evolve`, `close_loop`, `run_rounds` and others.

The command line is thin over it.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures import module_table
from autobuild_core.architectures.lens import TRAINED, Lens
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ArchTable, Batch
from autobuild_core.datasets import read_table
from autobuild_core.datasets._appending import Appended
from autobuild_core.datasets._appending import append as append_rows
from autobuild_core.datasets._appending import read_more as read_more
from autobuild_core.errors import ConfigError, DataError, RunError, TargetError, counted
from autobuild_core.loop.folder import LoopFolder
from autobuild_core.loop.rounds_folder import RoundsFolder
from autobuild_core.predictor.contexts import Chosen
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.predictor.metrics import Bound, Metrics
from autobuild_core.predictor.posterior import Posterior
from autobuild_core.predictor.run_metrics import TARGET, RunMetrics, name_of_target
from autobuild_core.scorers import (
    DEFAULT_SCORER,
    Scorer,
    default_groups,
    further_units,
    make_scorer,
    score_modules,
    unit_groups,
    window_count,
)
from autobuild_core.scoring import comparing
from autobuild_core.scoring.finished_run import FinishedRun, Task, task_held
from autobuild_core.scoring.overlap import mark_confounded
from autobuild_core.search import assembly
from autobuild_core.search.acquisition import NUM_NEXT, suggest
from autobuild_core.search.budgets import CONFIDENCE, Budgets, read_budget
from autobuild_core.search.design import Design, Objective, design, locks_of
from autobuild_core.search.front import Axis, Front, find_front
from autobuild_core.search.prices import STEPS, Prices, candidates, limits_around, prices, step_of
from autobuild_core.search.reduction import Keep, Ranking, Reduction, reduce_space
from autobuild_core.search.searchers import DEFAULT_SEARCHER
from autobuild_core.search.searching import FILES, read_space
from autobuild_core.spaces import Space, load_space
from autobuild_core.spaces._configspace import read_declared
from autobuild_core.spaces.autospace import read_cells
from autobuild_core.store.quality import Progress, Quality, Report
from autobuild_core.store.run_folder import RunConfig, RunFolder
from autobuild_core.store.tables import content_hash
from autobuild_core.targets.costs import fit_cost
from autobuild_core.targets.vocabulary import lower_is_better
from autobuild_core.trust.findings import TrustReport

WINDOW_LIMIT = 500_000
CURVE = ["budget", "metric", "limit", "next", "price", "low", "high", "best", "best_low", "best_high"]  # of `Run.price_curves`


def _silent(record: Progress) -> None:
    """Hears nothing."""


class Run:
    """A finished run folder.

    Args:
        path: the folder.
        context: what its predictions, scores and builds hold at, by the names of the data's contexts; averages go on over what is
            not named.

    Raises:
        RunError: it holds no finished run.
        ConfigError: a context that the data do not have, or a text that was not observed.
    """

    def __init__(self, path: Path | str, context: Chosen | None = None) -> None:
        self.folder = RunFolder(path)
        self.config = self.folder.config
        self.context = context or {}
        self._fitted = Metrics({})
        self.predictor = Predictor.load(path).at(self.context)

    def at(self, **context: str | float) -> "Run":
        """The same run, held at a chosen context.

        Raises:
            ConfigError: a context that the data do not have, or a text that was not observed.
        """
        return Run(self.folder.path, self.context | context)

    @property
    def holds_at(self) -> dict[str, Any]:
        """Context that all numbers hold at: {"chosen", "words", "points", "weights", "warnings"}; {} where none varies."""
        return {} if self.predictor.held is None else self.predictor.held.facts()

    @property
    def quality(self) -> Quality:
        """srcc, kendall, mae, hop_srcc and the rest of quality.json."""
        quality: Quality = self.folder.read_json("quality.json")
        return quality

    def table(self) -> ArchTable:
        """The evaluated architectures it was trained on."""
        return self.folder.table()

    @property
    def roles(self) -> dict[str, str]:
        """{column: role} of the data that it was trained on."""
        return {column.name: column.spoken for column in self.folder.table().columns}

    def modules(self) -> pd.DataFrame:
        """The modules the training scored, with scores, intervals and evidence; in a chosen context they are scored anew."""
        if not self.context:
            return self.folder.read_frame("modules.parquet")
        if (task := self.task) is not None:
            return self.folder.read_frame(task.file)
        scorer, space = make_scorer(DEFAULT_SCORER, self.predictor), self.predictor.space
        windows = default_groups(space, self.config.max_length)
        return self._scored(scorer, windows + further_units(space, windows, self.learned().codes))

    @property
    def task(self) -> Task | None:
        """The task whose modules the training scored, where it is the very context that was chosen; else None."""
        return task_held(self.quality, self.predictor)

    def finished(self) -> FinishedRun:
        """All tables of the run, where it holds.

        Raises:
            RunError: it is not finished, or a file is damaged.
        """
        average = FinishedRun.load(self.folder)
        if not self.context:
            return average
        if (task := self.task) is not None:
            return average.held_at(self.predictor, self.modules(), task.space_mean, task.num_rows)
        from autobuild_core.scorers.autobuild import AutoBuildScorer

        mean = AutoBuildScorer(self.predictor).space_mean
        return average.held_at(self.predictor, self.modules(), mean, len(self.evidence()))

    def learned(self) -> ArchTable:
        """The rows that were learned from; of repeats with other seeds their mean."""
        table = self.folder.measurements()
        return table.take(np.isfinite(self.config.goal.values(table.metrics)))

    def evidence(self) -> ArchTable:
        """Of the rows that were learned from, those of the tasks that were chosen."""
        learned, held = self.learned(), self.predictor.held
        return learned if held is None else learned.take(held.rows_of(learned.contexts))

    def _scored(self, scorer: Scorer, groups: list[ModuleGroup], report: Report = _silent) -> pd.DataFrame:
        """Modules by a scorer; those without a number say why, where contexts vary."""
        learned, held = self.learned(), self.predictor.held
        frame = score_modules(scorer, groups, self.evidence(), lambda share: report({"phase": "scoring", "share": share}))
        return frame if held is None else mark_confounded(frame, learned, held.contexts)

    def scores(
        self,
        lens: str = "score",
        max_length: int = 1,
        units: bool = False,
        cost: str | None = None,
        report: Report = _silent,
        scorer: str = DEFAULT_SCORER,
    ) -> pd.DataFrame:
        """Scores of modules, best first by a lens.

        Args:
            lens: "score" (the average lens), "good", "embedding_norm", or "equal_cost" where a cost is given.
            max_length: every run of up to so many consecutive positions; in cells, of operations head to tail.
            units: whole-unit modules instead.
            cost: a metric of the data; adds the lens `equal_cost`.
            report: hears {"phase", "share"}.
            scorer: file in scorers/; what it cannot tell is NaN.

        Raises:
            ConfigError: an unknown lens, cost or scorer, one that does not apply to this run, or more modules than can be scored.
        """
        asked = Lens.named(lens, list(Lens) if cost else TRAINED)
        space = self.predictor.space
        length_limit = space.spec.num_positions
        if not 1 <= max_length <= length_limit:
            raise ConfigError(f"max length: got {max_length}, expected 1 to {length_limit}.")
        if not units and (count := sum(window_count(space, n + 1) for n in range(max_length))) > WINDOW_LIMIT:
            raise ConfigError(f"max length: got {max_length}, which is {count:,} modules, expected at most {WINDOW_LIMIT:,}.")
        if units and not cost and scorer == DEFAULT_SCORER:  # these were scored by the training
            return self._ordered(module_table.ranked_modules(self.modules()).drop(columns="rank"), asked)
        table = self.learned()
        groups = unit_groups(space, table.codes) if units else [g for n in range(max_length) for g in space.windows(n + 1)]
        if cost and scorer != DEFAULT_SCORER:
            raise ConfigError(f"cost: got {cost} with the scorer '{scorer}', expected it with '{DEFAULT_SCORER}' only.")
        maker = make_scorer(scorer, self.predictor, fit_cost(table, space, cost) if cost else None, table)
        if why_not := maker.supports(self.predictor):
            raise ConfigError(f"scorer '{scorer}': it does not apply to this run: {why_not}.")
        frame = self._scored(maker, groups, report)
        if frame[asked].isna().all():
            raise ConfigError(f"lens: got '{lens}', which the scorer '{scorer}' cannot tell; choose another lens or scorer.")
        return self._ordered(frame, asked)

    def _ordered(self, frame: pd.DataFrame, lens: Lens) -> pd.DataFrame:
        """Modules, best first by a lens."""
        better = lens.direction(self.config.minimize)
        return frame.sort_values(lens, ascending=better < 0, kind="stable", ignore_index=True).assign(**self._where())

    def predict(self, data: ArchTable | Path | str) -> pd.DataFrame:
        """One line for every row of a file: row, predicted, low, high; empty where refused.

        Args:
            data: the file, which is read with the run's space and needs no metrics, or a table that was read from one.

        Raises:
            DataError: the file cannot be read.
            RunError: the table is of another space.
        """
        own = self.predictor.spec
        table = data if isinstance(data, ArchTable) else read_table(Path(data), space=own, roles=self.roles)
        if not table.spec.encodes_as(own):
            raise RunError(
                f"data: got architectures of {table.spec.title} with other units or layers than the run's ({own.title})."
            )
        out = self.predictor.predict(table.codes)[["predicted", "low", "high"]].assign(**self._where())
        out.index = pd.Index(table.source_rows, name="row")
        return out.reindex(pd.RangeIndex(max(table.num_read, len(table)), name="row")).reset_index()

    def _where(self) -> dict[str, str]:
        """A column that says what a table holds at, where contexts vary."""
        return {} if self.predictor.held is None else {"context": self.predictor.held.words}

    @property
    def trust(self) -> TrustReport:
        """The report behind the verdict (trust/report.py): held-out order, baselines, cost, noise, data, units, permutation.

        Raises:
            RunError: the run was trained before there was such a report.
        """
        report = TrustReport.of(self.quality)
        if report is None:
            raise RunError(f"{self.folder.path}: got a run without a trust report, expected one; train it anew.")
        return report

    def suggest(self, num: int = NUM_NEXT) -> pd.DataFrame:
        """Which architectures to evaluate next to learn most: arch (native encoding), information, predicted, low, high, modules.

        Raises:
            ConfigError: num is not positive, or every network was evaluated already.
        """
        networks = self.table().networks
        codes, frame = suggest(self.predictor, self.modules(), networks, num)
        if not len(codes):
            said = assembly.nothing_left(self.predictor.space, networks).said
            raise ConfigError(f"{said}, expected a space with networks left to evaluate.")
        return pd.DataFrame(assembly.architecture_records(self.predictor, codes, frame))

    def interactions(self) -> pd.DataFrame:
        """Second differences of the strongest pairs of modules (interactions.py); in a chosen context they are asked anew."""
        if not self.context:
            return self.folder.read_frame("interactions.parquet")
        from autobuild_core.scoring.interactions import interactions

        return interactions(self.predictor, self.modules(), self.config.minimize)

    def compare(self, other: "Run") -> pd.DataFrame:
        """The same whole-unit modules under this run's target and another's: ranks in their unit and what changed.

        Raises:
            ConfigError: the other run is of another search space, or has the same target.
        """
        if other.predictor.spec != self.predictor.spec:
            raise ConfigError("other: got a run of another search space, expected one with the same units and layers.")
        if (other.config.target, other.config.minimize) == (self.config.target, self.config.minimize):
            raise ConfigError(f"other: got a run with the same target ({self.config.target}), expected another one.")
        return comparing.two_targets(self.modules(), other.modules(), self.config.minimize, other.config.minimize)

    def build(
        self,
        num: int = 10,
        top_k: int | None = None,
        lens: str = "good",
        allow_evaluated: bool = False,
        report: Report = _silent,
        budgets: Sequence[str] = (),
        confidence: float = CONFIDENCE,
        locks: Mapping[str, Sequence[str]] | None = None,
        start: Sequence[Any] = (),
    ) -> pd.DataFrame:
        """The best distinct networks by the ensemble: arch (native encoding), predicted, low, high, modules.

        A space too large to be enumerated is searched from the best modules and from the best measured architectures.

        Args:
            num: how many, at most.
            top_k: only combine the best modules of each unit.
            lens: ranks the modules.
            allow_evaluated: evaluated networks may be among them.
            report: hears {"phase", "share"}.
            budgets: limits of metrics of the data, "latency_ms <= 8". What is built keeps to all of them, and has `within`, the
                probability of that, `improvement` over the best measured within them, and each metric with its interval,
                as "NAME (metric)" where its name is one of these (`search.design.Design`).
            confidence: probability with which measurements are to keep to all budgets at once.
            locks: {unit: layers, as tokens} that every architecture has.
            start: architectures, in native encodings, whose neighbourhoods are searched too.

        Raises:
            ConfigError: num or top_k is not positive, a budget cannot be read or kept to, a lock does not do, or every network
                was evaluated already and those are not allowed.
        """
        return self.offered(
            self.design(num, budgets, confidence, locks, start, top_k, lens, allow_evaluated, report), budgets, locks, top_k
        )

    def offered(
        self,
        found: Design,
        budgets: Sequence[str] = (),
        locks: Mapping[str, Sequence[str]] | None = None,
        top_k: int | None = None,
    ) -> pd.DataFrame:
        """The architectures of a design, as `build` returns them.

        Args:
            found: the design.
            budgets, locks, top_k: that it was made with.

        Raises:
            ConfigError: it has none.
        """
        if found.obstacle is not None:
            raise ConfigError(f"budget: {found.obstacle.words}")
        if not len(found.codes):
            raise ConfigError(self._nothing_built(top_k, bool(budgets or locks)))
        frame = found.frame if budgets else found.frame[["predicted", "low", "high"]]
        return pd.DataFrame(assembly.architecture_records(self.predictor, found.codes, frame))

    def _nothing_built(self, top_k: int | None, is_bounded: bool) -> str:
        """The reason why nothing was built, and what would help."""
        left = assembly.nothing_left(self.predictor.space, self.table().networks)
        said = f"{left.said};"
        if not left.is_exhausted and is_bounded:
            said = "Every network that was found within the budgets and locks was evaluated already;"
        elif not left.is_exhausted and top_k is not None:
            said = f"{left.said} among the {top_k} best modules of each unit: keep more of them (--top-k), or"
        return f"{said} allow evaluated ones (--allow-evaluated) to rank those."

    def design(
        self,
        num: int = 10,
        budgets: Sequence[str] = (),
        confidence: float = CONFIDENCE,
        locks: Mapping[str, Sequence[str]] | None = None,
        start: Sequence[Any] = (),
        top_k: int | None = None,
        lens: str = "good",
        allow_evaluated: bool = False,
        report: Report = _silent,
    ) -> Design:
        """The best distinct networks that keep to budgets, how good any could be, and what stands in the way.

        Args:
            num, budgets, confidence, locks, start, top_k, lens, allow_evaluated, report: as `build` has them.

        Raises:
            ConfigError: a setting does not do, or the data have no such metric.
        """
        bounds = [read_budget(text) for text in budgets]
        asked, table, space = Lens.named(lens, TRAINED), self.folder.measurements(), self.predictor.space
        within = None
        if top_k is not None:
            ranking = Ranking(self.config.name, self.predictor, self.modules(), asked)
            within = reduce_space([ranking], Keep(top_k)).space
        begun = np.array([space.parse(arch) for arch in start], np.int16).reshape(-1, space.spec.num_positions)
        values, held = self.config.goal.values(table.metrics), self.predictor.held
        values = values if held is None else np.where(held.rows_of(table.contexts), values, np.nan)
        return design(
            Objective(self.predictor, self.modules(), table, values, self._metrics_of(bounds)),
            bounds,
            confidence,
            locks_of(space.spec, locks or {}),
            begun,
            num,
            allow_evaluated,
            within,
            report=lambda share: report({"phase": "building", "share": share}),
        )

    @cached_property
    def _known(self) -> RunMetrics | None:
        """All that the training knows of metrics; None where an older version trained the run."""
        return RunMetrics.load(self.folder, self.predictor.space) if RunMetrics.is_in(self.folder) else None

    @property
    def metrics(self) -> Metrics:
        """Models of the metrics of the data, and of the target where that is none of them; contexts are averaged over.

        Raises:
            RunError: an older version trained the run, or a file is damaged.
        """
        if self._known is None:
            raise RunError(f"{self.folder.path}: got a run without models of its metrics, expected them; train it anew.")
        return self._known.metrics

    def _metrics_of(self, bounds: Sequence[Bound]) -> Metrics:
        """Models of the metrics of budgets: as the training wrote them, others fitted once a run."""
        known = (Metrics({}) if self._known is None else self._known.metrics).beside(self._fitted)
        done = {*known.models, *self._fitted.unknown}
        if missing := [name for name in dict.fromkeys(bound.metric for bound in bounds) if name not in done]:
            from autobuild_core.predictor.fitting import fit_metrics

            self._fitted = self._fitted.beside(fit_metrics(self.folder.measurements(), missing))
        return known.beside(self._fitted)

    def _straight(self, learned: ArchTable) -> Posterior:
        """The Gaussian process of the target on its own scale, as the training wrote it, else fitted."""
        if self._known is not None:
            return self._known.straight
        from autobuild_core.predictor.fitting import fit_straight

        return fit_straight(learned, self.config.goal.values(learned.metrics), self.config.minimize)

    def prices(
        self, budgets: Sequence[str], limits: Mapping[str, Sequence[float]] | None = None, confidence: float = CONFIDENCE
    ) -> pd.DataFrame:
        """Prices of budgets: how much better the best becomes by one step of a limit, the other budgets kept to.

        Args:
            budgets: limits of metrics of the data, "latency_ms <= 8".
            limits: {metric: limits that are looked at, in order}; of others the budget's own and one step beyond it
                (`search.prices.step_of`).
            confidence: probability with which measurements are to keep to all budgets at once.

        Returns:
            A line a step: metric, limit, next, price (in the target's units, above 0), low, high (90 % interval), best (within
            `next`). NaN where no architecture keeps to the limit.

        Raises:
            ConfigError: a budget cannot be read.
        """
        found = []
        for priced in self._priced(budgets, lambda bound: (limits or {}).get(bound.metric), confidence):
            found.append(priced.steps().assign(best=priced.curve()["best"].to_numpy()[1:]))
            found[-1].insert(0, "metric", priced.bound.metric)
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    def price_curves(
        self, budgets: Sequence[str], num: int = STEPS, confidence: float = CONFIDENCE, report: Report = _silent
    ) -> pd.DataFrame:
        """The best architecture against each limit, from below the budget to beyond it, the other budgets kept to.

        Args:
            budgets, confidence: as `prices` has them.
            num: steps of each limit, half of them below it.
            report: hears {"phase", "share"}.

        Returns:
            A line a step: budget (as it is given), metric, limit, next, price, low, high (of the step), best, best_low,
            best_high (within `limit`).

        Raises:
            ConfigError: a budget cannot be read, or num is not positive.
        """
        found = [pd.DataFrame(columns=CURVE)]
        for number, priced in enumerate(
            self._priced(budgets, lambda one: limits_around(one, num, self._spread(one)), confidence)
        ):
            report({"phase": "pricing", "share": (number + 1) / len(budgets)})
            best = priced.curve().drop(columns="limit").add_prefix("best_").rename(columns={"best_best": "best"})
            of = {"budget": budgets[number], "metric": priced.bound.metric, "limit": priced.limits}
            found.append(best.join(priced.steps()).assign(**of)[CURVE])
        return pd.concat(found[1:] or found, ignore_index=True)

    def _priced(
        self, budgets: Sequence[str], limits_of: Callable[[Bound], Sequence[float] | None], confidence: float
    ) -> Iterator[Prices]:
        """The best within each of several limits, budget by budget."""
        bounds, learned = [read_budget(text) for text in budgets], self.learned()
        judged, space = Budgets(self._metrics_of(bounds), tuple(bounds), confidence), self.predictor.space
        values = self.config.goal.values(learned.metrics)
        posterior = self._straight(learned)
        start = assembly.best_measured(learned.codes, learned.networks, values, self.config.minimize)
        for place, bound in enumerate(bounds):
            asked = limits_of(bound) or (bound.limit, bound.limit + bound.turn * step_of(bound.limit, self._spread(bound)))
            codes = candidates(posterior, space, judged, place, asked, start)
            yield prices(posterior, codes, judged.needed(codes, bound), bound, asked)

    def _spread(self, bound: Bound) -> float:
        """The standard deviation of a budget's metric."""
        return float(np.nanstd(self.table().metrics[bound.metric].to_numpy(float)))

    def front(
        self,
        first: str,
        second: str,
        minimize: Sequence[str] = (),
        maximize: Sequence[str] = (),
        budgets: Sequence[str] = (),
        confidence: float = CONFIDENCE,
        reference: Sequence[float] = (),
        seed: int = 0,
    ) -> Front:
        """The Pareto front of two metrics of the data, or of one and the target: measured and predicted (`search.front.Front`).

        Args:
            first, second: metrics, or the target's equation.
            minimize, maximize: those of them whose small, or large, values are the good ones; of others as their names say.
            budgets: that what was not measured keeps to.
            confidence: probability with which measurements are to keep to all budgets at once.
            reference: of the hypervolume, a value of each metric; () = the worst that was measured.
            seed: of draws, and of the search in a space too large to look at all.

        Raises:
            ConfigError: a metric is not known, or both are one.
        """
        table, bounds = self.folder.measurements(), tuple(map(read_budget, budgets))
        names = [self._axis_name(name) for name in (first, second)]
        metrics = self._metrics_of([*bounds, *(Bound(name, 0.0) for name in names if name != TARGET)])
        if TARGET in names:
            table = replace(table, metrics=table.metrics.assign(**{TARGET: self.config.goal.values(table.metrics)}))
        if TARGET in names and TARGET not in metrics.models:
            from autobuild_core.predictor.fitting import fit_metrics

            metrics = metrics.beside(fit_metrics(table, [TARGET]))
        axes = (self._axis(names[0], minimize, maximize), self._axis(names[1], minimize, maximize))
        return find_front(metrics, axes, table, Budgets(metrics, bounds, confidence), reference, seed)

    def _axis_name(self, name: str) -> str:
        """The name of a metric among the models: of the target, as equation too, its own."""
        return name_of_target(self.config.goal) if name in (self.config.target, TARGET) else name

    def _axis(self, name: str, minimize: Sequence[str], maximize: Sequence[str]) -> Axis:
        """A metric with its direction."""
        own = {name, self.config.target} if name == name_of_target(self.config.goal) else {name}
        if own & set(minimize) and own & set(maximize):
            raise ConfigError(f"front: got {name} to minimize and to maximize, expected one of them.")
        by_name = self.config.minimize if self.config.target in own else lower_is_better(name)
        return Axis(name, bool(own & set(minimize)) or (by_name and not own & set(maximize)))

    def front_records(self, found: Front) -> list[dict[str, Any]]:
        """The members of a front, one object an architecture, as `build` writes them; what was not measured is null."""
        facts = found.frame.astype(float).rename(columns=lambda name: name.replace(TARGET, self.config.target))
        records = assembly.architecture_records(self.predictor, found.codes, facts)
        flags = ("is_measured", "on_measured", "on_predicted")
        return [
            {name: bool(value) if name in flags else None if value != value else value for name, value in record.items()}
            for record in records
        ]


def read(
    path: Path | str,
    format: str | None = None,
    space: str | Path | None = None,
    roles: Mapping[str, str] | None = None,
) -> ArchTable:
    """Reads a file of evaluated architectures; its format is recognised by content.

    Args:
        path: the file; .gz is read as what is inside.
        format: file in datasets/, where recognition is not wanted.
        space: file in spaces/ that the architectures must belong to, or the path of a space.json that declares the flat space of
            the table (ConfigSpace's JSON is read too), or of a file that lists the cells of each layer (a learned space).
        roles: {column: "architecture", "choice", "context", "metric" or "ignored"}; others are found by evidence.

    Raises:
        MappingError: its columns do not make a space.
        DataError: it cannot be read, or is of another space.
        ConfigError: no such format or role.
    """
    listed = read_cells(Path(space)) if space and str(space).endswith(FILES) else None
    declared = read_declared(Path(space)) if space and listed is None and str(space).endswith(FILES) else None
    table = read_table(Path(path), format, listed, roles, declared)
    if space and listed is None and declared is None and table.spec.name != space:
        raise DataError(f"{path}: got architectures of {table.spec.name}, expected {space}.")
    return table


def append(
    table: ArchTable,
    data: Path | str | ArchTable,
    origin: str = "",
    run: str = "",
    format: str | None = None,
) -> Appended:
    """A data set with the rows of another file, as its next version: measurements of it that were made later.

    Args:
        table: the data set; it stays as it is.
        data: the file, or rows that were read from one with `read_more`.
        origin: where they come from; the file's name unless given.
        run: id of the run that proposed their architectures.
        format: of the file, where recognition is not wanted.

    Returns:
        The data set with its new rows, how many there are, and those that were refused.

    Raises:
        DataError: the file cannot be read, is of another space, or none of its rows is new.
    """
    more = data if isinstance(data, ArchTable) else read_more(Path(data), table, format)
    name = origin or ("" if isinstance(data, ArchTable) else Path(data).name)
    return append_rows(table, more, Batch(name, time.time(), content_hash(table), run))


def train(
    table: ArchTable,
    target: str,
    out: Path | str | None = None,
    minimize: bool = False,
    seed: int = 0,
    name: str = "",
    data_name: str = "",
    report: Report = _silent,
    should_stop: Callable[[], bool] = lambda: False,
    **settings: Any,
) -> Run:
    """Trains the ensemble and scores the modules.

    Args:
        table: evaluated architectures.
        target: equation over the metrics.
        out: new folder for the run; None = a temporary one.
        minimize: smaller targets are better.
        seed: of every random choice.
        name: of the run; its target unless given.
        data_name: of the data; their format unless given.
        report: hears progress records.
        should_stop: asked at every step.
        settings: other fields of RunConfig.

    Raises:
        StudioError: data, target or settings do not do.
        Cancelled: should_stop said so.
    """
    from autobuild_core.jobs.kinds.train.pipeline import train_new

    if len(table) == 0:
        raise ConfigError(f"data: got no architecture that could be read, expected at least 10.{_refused(table)}")
    own = name or target, data_name or table.format, content_hash(table), target, minimize, seed
    config = RunConfig("", *own, **settings, data_version=table.version)
    try:
        config.goal.check_varies(config.goal.values(table.metrics))
    except TargetError as error:
        raise TargetError(f"{error}{_refused(table)}", error.position) from error
    path = Path(out) if out else Path(tempfile.mkdtemp(prefix="autobuild-run-"))
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path}: got something that exists already, expected a new folder for the run.")
    train_new(RunFolder(path), config, table, report, should_stop)
    return Run(path)


def learned_by(
    folder: LoopFolder, report: Report = _silent, should_stop: Callable[[], bool] = lambda: False, **settings: Any
) -> Run:
    """The run that learned from the newest data of a loop through files, trained where there is none yet.

    Args:
        folder: of the loop.
        report: hears the progress of a training.
        should_stop: asked at every step of it.
        settings: of it, as `train` takes them.

    Raises:
        StudioError: the data do not do.
        Cancelled: should_stop said so.
    """
    table, own = folder.table(), folder.settings
    place = folder.run_of(table)
    if (place / "quality.json").exists():
        return Run(place)
    name = f"{folder.path.name}, version {table.version}"
    chosen = own["target"], place, own["minimize"], own["seed"]
    return train(table, *chosen, name, folder.path.name, report, should_stop, **settings)


def _refused(table: ArchTable) -> str:
    """A sentence about the rows of a file that were refused; "" where there are none."""
    if not table.rejected:
        return ""
    first = table.rejected[0]
    return f" {counted(len(table.rejected), 'row')} were not read, the first of them row {first.row}: {first.reason}"


def reduce(
    runs: Run | Path | str | Sequence[Run | Path | str],
    top_k: int | None = None,
    share: float | None = None,
    lens: str | Sequence[str] = "good",
    seed: int = 0,
    report: Report = _silent,
) -> Reduction:
    """The reduced space: the best modules of each unit, and how good their product is predicted to be against the full space.

    Args:
        runs: a finished run, or several of one search space, held at a context or not; a module that any of them keeps is kept.
        top_k: modules that each run keeps of each unit.
        share: in its place, of every unit this share of the modules that have a score, rounded down, at least one.
        lens: ranks the modules: "good", "score" or "embedding_norm", one for all runs or one a run.
        seed: of the random architectures that are predicted where a space is too large to predict all.
        report: hears {"phase", "share"}.

    Returns:
        `units` with what is kept and by which run, `quality` of each run, `space` to search (`ab.search(found.space, ...)`),
        `record()` for JSON, `lists()` of modules as the published code has them.

    Raises:
        ConfigError: both or neither of top_k and share are given, one is out of range, a lens is unknown, the runs are of several
            spaces, or nothing would be left of a unit.
    """
    given = [runs] if isinstance(runs, Run | Path | str) else list(runs)
    lenses = [lens] * len(given) if isinstance(lens, str) else list(lens)
    if len(lenses) != len(given):
        raise ConfigError(f"lens: got {len(lenses)} for {counted(len(given), 'run')}, expected one, or one a run.")
    keep, chosen = Keep(top_k, share), [Lens.named(text, TRAINED) for text in lenses]
    found = [run if isinstance(run, Run) else Run(run) for run in given]
    rankings = [Ranking(run.config.name, run.predictor, run.modules(), own) for run, own in zip(found, chosen, strict=True)]
    return reduce_space(rankings, keep).with_quality(seed, lambda part: report({"phase": "predicting", "share": part}))


def evaluate(
    architectures: pd.DataFrame | Path | str | Sequence[Any],
    evaluator: str,
    out: Path | str,
    seeds: int = 1,
    first_seed: int = 0,
    budget: int | None = None,
    device: str = "cpu",
    seconds: float | None = None,
    report: Callable[[Mapping[str, object]], None] = lambda record: None,
    scheduler: str | None = None,
) -> pd.DataFrame:
    """Measures architectures for real: one line for each and each seed, as `evaluators._results` has them.

    Args:
        architectures: a frame with a column arch (`run.build`, `run.suggest`), a file of JSON lines, or native encodings.
        evaluator: by name, "table:FILE", or the path of one of your own.
        out: JSON lines; what is there is not measured again.
        seeds, first_seed: each architecture is measured with so many seeds, from the first on.
        budget: of every measurement; None = the evaluator's own.
        device: "cpu" or "cuda".
        seconds: that one may take; None = as long as it takes.
        report: hears {"phase", "share", "step", "num_steps", "seconds_left"}.
        scheduler: address of a Dask scheduler whose workers measure, "" for this process; None = AUTOBUILD_DASK_SCHEDULER.

    Raises:
        ConfigError: a setting does not do.
        DataError: the file has no architectures.
    """
    from autobuild_core.evaluators import _batch, load_evaluator

    if isinstance(architectures, Path | str):
        candidates = _batch.read_candidates(Path(architectures))
    else:
        archs = architectures["arch"] if isinstance(architectures, pd.DataFrame) else architectures
        candidates = _batch.Candidates(tuple(archs))
    asked = candidates, load_evaluator(evaluator), evaluator, Path(out), seeds, first_seed, budget, device, seconds, report
    return pd.DataFrame(_batch.evaluate(*asked, scheduler=scheduler))


def search(
    space: Space | ArchTable | Run | Path | str,
    out: Path | str,
    evaluator: str | None = None,
    target: str = "",
    minimize: bool = False,
    searcher: str = DEFAULT_SEARCHER,
    num: int = 100,
    seed: int = 0,
    report: Callable[[Mapping[str, object]], None] = lambda record: None,
    **settings: Any,
) -> pd.DataFrame:
    """Searches a space: a searcher proposes, an evaluator measures; every network is evaluated once.

    Args:
        space: a space, by its name or of a file too (`search.searching.read_space`); the space of a table or of a run.
        out: JSON lines of results; a search whose lines are there goes on from them.
        evaluator: by name; of a run, None = its own predictions.
        target: equation over the evaluator's metrics; "" = its first, as its name says in which direction.
        minimize: smaller targets are better.
        searcher: file in search/searchers/.
        num: networks to evaluate, at most.
        seed: of the search.
        report: hears {"phase", "step", "num_steps", "share", "seconds_left", "best"}.
        settings: other fields of `evaluators._searching.SearchPlan`: second (target of a Pareto front), seeds, budget, device,
            seconds, settings of the searcher.

    Returns:
        One row a network in the order of its evaluation: arch, value (NaN where it failed), best (so far), state, metrics. Of two
        targets also second, on_front, and hypervolume (so far) in the place of best.

    Raises:
        ConfigError: a setting does not do, or `out` holds another search.
        TargetError: the target is no equation over the metrics.
    """
    from autobuild_core.evaluators._results import ResultsFile
    from autobuild_core.evaluators._searching import SearchPlan, run_search

    name = evaluator or (f"predictor:{space.folder.path}" if isinstance(space, Run) else "")
    plan = SearchPlan(name, target, minimize, searcher=searcher, num=num, seed=seed, **settings)
    return run_search(space_of(space), plan, ResultsFile(out), report).table()


def evolve(
    out: Path | str,
    report: Callable[[Mapping[str, object]], None] = lambda record: None,
    **settings: Any,
) -> pd.DataFrame:
    """Evolves a search space of cells (docs/autospace.md).

    Args:
        out: folder; an evolution that is there goes on from its last generation, without any settings with its own.
        report: hears {"phase", "step": generations, "num_steps", "share", "seconds_left", "loss", "madds_m"}.
        settings: fields of `autospace.EvolutionPlan`: madds_m, generations, seed, ...

    Returns:
        The cells of the learned space, as `autospace.tables.learned_table` has them; learned.json in the folder is the space.

    Raises:
        ConfigError: a setting does not do, or the folder holds another evolution.
    """
    from autobuild_core import autospace
    from autobuild_core.autospace.tables import learned_table

    plan = autospace.plan_in(out, settings)
    autospace.evolve(plan, out, report)
    return learned_table(autospace.read_learned(autospace.EvolutionFolder(out)), plan)


def close_loop(
    out: Path | str,
    evolved: Path | str | None = None,
    report: Callable[[Mapping[str, object]], None] = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    scheduler: str | None = None,
    threads: int = 2,
    **settings: Any,
) -> dict[str, Any]:
    """Closes the loop: a space is evolved, a sample evaluated, its modules scored, networks built and evaluated.

    The hand-made space goes through the same stages with as many evaluations, the evolution's seconds among them.

    Args:
        out: folder; a loop that is there goes on with its next stage, without any settings with its own.
        evolved: folder of an evolution that has ended, taken in place of a new one.
        report: hears {"phase", "step": the stage, "num_steps", "share", "seconds_left"}.
        should_stop: asked at every step.
        scheduler: address of a Dask scheduler whose workers evaluate, "" for this process; None = AUTOBUILD_DASK_SCHEDULER.
        threads: of the trainings of AutoBuild.
        settings: fields of `jobs.kinds.loop.plan.LoopPlan`: evolution, num_sampled, num_built, evaluator, seed, ...

    Returns:
        `jobs.kinds.loop.files.loop_summary`: round, num_evaluated, charged, target, best, stages.

    Raises:
        ConfigError: a setting does not do, or the folder holds another loop.
        Cancelled: should_stop said so; what was finished is kept.
        StudioError: a stage cannot be done.
    """
    from autobuild_core.jobs.kinds.loop import closing
    from autobuild_core.jobs.kinds.loop.files import EVOLUTION, LoopFiles
    from autobuild_core.jobs.kinds.loop.plan import LoopPlan

    files = LoopFiles(Path(out))
    if evolved and files.has_evolved:  # its own copy: where it came from may be gone
        evolved = files.path / EVOLUTION
    if files.begun and not (evolved or settings):
        plan = files.plan
    else:
        plan = LoopPlan.after(evolved, settings) if evolved else LoopPlan.read(settings)
    return closing.close_loop(plan, files, report, should_stop, scheduler, threads)


def run_rounds(
    out: Path | str,
    data: ArchTable | Path | str | None = None,
    report: Callable[[Mapping[str, object]], None] = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    scheduler: str | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """A closed loop in rounds: a batch is evaluated, all is learned from, the next is proposed, until the evaluations are spent.

    Args:
        out: folder of a loop through files (docs/loop.md); rounds that are there go on, without any settings with their own.
        data: evaluated architectures to begin a loop with, a file or a table; None = those of the folder.
        report: hears {"phase", "step", "num_steps", "share", "seconds_left", "round", "num_rounds", "best"}.
        should_stop: asked at every step of an evaluation.
        scheduler: address of a Dask scheduler whose workers evaluate, "" for this process; None = AUTOBUILD_DASK_SCHEDULER.
        settings: fields of `loop.plan.RoundsPlan`: evaluator, target, minimize, evaluations, batch, budgets, seeds, seed, ...

    Returns:
        A row a round, as `loop.round_row.make_row` has them.

    Raises:
        ConfigError: a setting does not do, no architecture keeps to the budgets, or the folder holds another loop.
        Cancelled: should_stop said so; what was finished is kept.
    """
    from autobuild_core.loop.rounds import run_rounds as run

    folder, table = LoopFolder(out), data if isinstance(data, ArchTable) or data is None else read(data)
    plan = RoundsFolder(folder.path).plan_of(settings, folder)
    return pd.DataFrame(run(folder, plan, table, None, report, should_stop, scheduler))


def space_of(given: Space | ArchTable | Run | Path | str) -> Space:
    """The space that is meant: itself, that of a table or of a run, or one by name or of a file.

    Raises:
        ConfigError: there is none of that name.
        DataError: the file declares none.
    """
    if isinstance(given, Space):
        return given
    if isinstance(given, Run):
        return given.predictor.space
    return load_space(given.spec) if isinstance(given, ArchTable) else read_space(str(given))
