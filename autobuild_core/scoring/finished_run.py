"""A finished run as one value: what was asked, what was learned from, what came out, where its numbers hold."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures import numbers
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.module_table import Index, module_index
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import RunError
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.predictor.metrics import Metrics
from autobuild_core.predictor.run_metrics import RunMetrics
from autobuild_core.spaces import Space, load_space
from autobuild_core.store.quality import Quality
from autobuild_core.store.run_folder import RunConfig, RunFolder
from autobuild_core.store.states import RunState
from autobuild_core.targets.vocabulary import Label

Array = NDArray[np.float64]
READ = ("predictions", "modules", "features")  # tables that every training writes


@dataclass(frozen=True)
class Task:
    """A task whose modules the training scored beside the average over contexts.

    Args:
        file: table of its modules in the run folder.
        context: {context: value}.
        num_rows: evaluated architectures that are evidence there.
        space_mean: expected target there.
    """

    file: str
    context: dict[str, str]
    num_rows: int
    space_mean: float

    @property
    def name(self) -> str:
        """As it is chosen and as a reader sees it, "dataset=cora"."""
        return ", ".join(f"{name}={value}" for name, value in self.context.items())


def tasks_of(quality: Quality) -> list[Task]:
    """The tasks whose modules the training scored, the most frequent first, of quality.json; none where no task varies."""
    return [Task(**line) for line in quality.get("tasks", [])]


def task_held(quality: Quality, predictor: Predictor) -> Task | None:
    """The task whose modules the training scored, where it is the very context that a predictor holds at; else None."""
    chosen = {} if predictor.held is None else predictor.held.chosen
    return next((task for task in tasks_of(quality) if task.context == chosen), None)


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """All that pages, claims and reports are made from; read once and shared, so never changed.

    Scores, predictions and measurements are those of a task where the run holds at one, of the average over contexts else.

    Args:
        config: its settings.
        table: its data.
        quality: quality.json.
        predictions: predictions.parquet, of the rows of a task where one is chosen.
        modules: modules.parquet, or as they are scored where the run holds.
        predictor: its ensemble, held where the run holds.
        best: trust_best.parquet; without lines where an older version trained the run, and at a chosen context.
        holding: claims.parquet; likewise.
        features: features.parquet, of the average.
        id: its id in a workspace, "" outside.
        folder: that it was read from, where there is one.
    """

    config: RunConfig
    table: ArchTable
    quality: Quality
    predictions: pd.DataFrame
    modules: pd.DataFrame
    predictor: Predictor
    best: pd.DataFrame = field(default_factory=pd.DataFrame)
    holding: pd.DataFrame = field(default_factory=pd.DataFrame)
    features: pd.DataFrame = field(default_factory=pd.DataFrame)
    id: str = ""
    folder: RunFolder | None = None

    @classmethod
    def load(cls, folder: RunFolder) -> Self:
        """The run of a folder, at the average over contexts.

        Raises:
            RunError: the run is not finished, or a file is damaged.
        """
        if (state := folder.state["state"]) != RunState.FINISHED:
            raise RunError(f"{folder.path}: got a run that is {state}, expected a finished one.")
        predictions, modules, features = (folder.read_frame(f"{name}.parquet") for name in READ)
        names = ("trust_best.parquet", "claims.parquet")
        best, holding = (folder.read_frame(n) if (folder.path / n).exists() else pd.DataFrame() for n in names)
        quality, predictor = folder.read_json("quality.json"), Predictor.load(folder.path)
        table = folder.measurements()
        return cls(folder.config, table, quality, predictions, modules, predictor, best, holding, features, folder=folder)

    def held_at(self, predictor: Predictor, modules: pd.DataFrame, space_mean: float, num_evidence: int) -> Self:
        """The same run where a predictor holds; what the training asked of modules at the average alone is left out.

        The trust report, and the labels' noise with it, stay those of the training.

        Args:
            predictor: its ensemble, held at a chosen context.
            modules: scored by it.
            space_mean: expected target there.
            num_evidence: rows that are evidence there.
        """
        assert predictor.held is not None
        inside = predictor.held.rows_of(self.table.contexts)[self.predictions["row"].to_numpy(int)]
        own: Quality = {"space_mean": space_mean, "num_evidence": num_evidence, "held": predictor.held.facts()}
        parts = {"predictions": self.predictions[inside].reset_index(drop=True), "modules": modules, "predictor": predictor}
        return replace(self, quality=self.quality | own, **parts, best=pd.DataFrame(), holding=pd.DataFrame())

    @cached_property
    def known(self) -> RunMetrics | None:
        """All that the training knows of metrics and of its target; None where an older version trained the run.

        Contexts are averaged over, wherever the run holds. It is read where it is first asked for, with numpy alone.

        Raises:
            RunError: a file is damaged.
        """
        if self.folder is None or not RunMetrics.is_in(self.folder):
            return None
        return RunMetrics.load(self.folder, self.space)

    @property
    def metrics(self) -> Metrics | None:
        """Models of the metrics, and of the target; None and errors as `known`."""
        return None if self.known is None else self.known.metrics

    @cached_property
    def tasks(self) -> list[Task]:
        """The tasks whose modules the training scored, the most frequent first."""
        return tasks_of(self.quality)

    @cached_property
    def task(self) -> str:
        """Name of the task that the run holds at, of `tasks`; "" at the average over contexts, and where it holds elsewhere."""
        task = task_held(self.quality, self.predictor)
        return "" if task is None else task.name

    @property
    def key(self) -> str:
        """Tells it from other runs, and from itself at another task."""
        return f"{self.id} {self.task}".strip()

    @cached_property
    def index(self) -> Index:
        """The line of each module in the table of modules."""
        return module_index(self.modules)

    @property
    def space(self) -> Space:
        """The rules of its search space."""
        return load_space(self.table.spec)

    @property
    def label(self) -> Label:
        """The name and the unit of the target."""
        return self.config.label

    @property
    def unit(self) -> str:
        """Unit of the target, may be empty."""
        return self.label.unit

    def amount(self, value: float) -> str:
        """A value of the target with its unit."""
        return numbers.amount(value, self.unit)

    @property
    def num_evaluated(self) -> int:
        """Architectures that count as evidence; of very many only a sample is learned from."""
        return int(self.quality.get("num_evidence", len(self.predictions)))

    @cached_property
    def values(self) -> Array:
        """(num_rows,) measured target of every row of the table, NaN where it is unknown or of another task than is chosen."""
        values, held = self.config.goal.values(self.table.metrics), self.predictor.held
        return values if held is None else np.where(held.rows_of(self.table.contexts), values, np.nan)

    @property
    def targets(self) -> Array:
        """(num_predictions,) the measured targets that are known, in the order of `predictions`."""
        values: Array = self.predictions["target"].to_numpy(float)
        return values

    def ranked_rows(self) -> NDArray[np.int64]:
        """Rows of the table by measured target, best first."""
        order = np.argsort(self.targets if self.config.minimize else -self.targets, kind="stable")
        rows: NDArray[np.int64] = self.predictions["row"].to_numpy(np.int64)[order]
        return rows

    def measured(self, row: int) -> float:
        """The measured target of a row of the table, NaN where it has none."""
        found = self.predictions.loc[self.predictions["row"] == row, "target"]
        return float(found.iloc[0]) if len(found) else float("nan")

    def line_of(self, module: ModuleKey) -> "pd.Series[Any]":
        """A module's line of the table of modules.

        Raises:
            RunError: the run did not score it.
        """
        found = self.modules[module.lines_of(self.modules)]
        if found.empty:
            name = ", ".join(module.layers)
            raise RunError(f"claim: got the module {name} at {', '.join(module.positions)}, expected one that this run scored.")
        return found.iloc[0]
