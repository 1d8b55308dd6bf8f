"""A finished run as one value: what was asked, what was learned from, what came out, where its numbers hold."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import RunError
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.store.run_folder import RunConfig, RunFolder
from autobuild_core.store.states import RunState

Array = NDArray[np.float64]


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


def tasks_of(quality: dict[str, Any]) -> list[Task]:
    """The tasks whose modules the training scored, the most frequent first, of quality.json; none where no task varies."""
    return [Task(**line) for line in quality.get("tasks", [])]


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """All that pages, claims and reports are made from.

    Args:
        config: its settings.
        table: its data.
        quality: quality.json.
        predictions: predictions.parquet, of the rows of a task where one is chosen.
        modules: modules.parquet, or as they are scored where the run holds.
        predictor: its ensemble, held where the run holds.
        best: trust_best.parquet; without lines where an older version trained the run, and at a chosen context.
        holding: claims.parquet; likewise.
    """

    config: RunConfig
    table: ArchTable
    quality: dict[str, Any]
    predictions: pd.DataFrame
    modules: pd.DataFrame
    predictor: Predictor
    best: pd.DataFrame = field(default_factory=pd.DataFrame)
    holding: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def load(cls, folder: RunFolder) -> Self:
        """The run of a folder, at the average over contexts.

        Raises:
            RunError: the run is not finished, or a file is damaged.
        """
        if (state := folder.state["state"]) != RunState.FINISHED:
            raise RunError(f"{folder.path}: got a run that is {state}, expected a finished one.")
        predictions, modules = (folder.read_frame(f"{name}.parquet") for name in ("predictions", "modules"))
        names = ("trust_best.parquet", "claims.parquet")
        best, holding = (folder.read_frame(n) if (folder.path / n).exists() else pd.DataFrame() for n in names)
        quality, predictor = folder.read_json("quality.json"), Predictor.load(folder.path)
        return cls(folder.config, folder.measurements(), quality, predictions, modules, predictor, best, holding)

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
        quality = self.quality | {"space_mean": space_mean, "num_evidence": num_evidence, "held": predictor.held.facts()}
        parts = {"predictions": self.predictions[inside].reset_index(drop=True), "modules": modules, "predictor": predictor}
        return replace(self, quality=quality, **parts, best=pd.DataFrame(), holding=pd.DataFrame())

    @property
    def unit(self) -> str:
        """Unit of the target, may be empty."""
        return self.config.label.unit

    @property
    def num_evaluated(self) -> int:
        """Architectures that count as evidence; of very many only a sample is learned from."""
        return int(self.quality.get("num_evidence", len(self.predictions)))

    @cached_property
    def values(self) -> Array:
        """(num_rows,) measured target of every row of the table, NaN where it is unknown or of another task than is chosen."""
        values, held = self.config.goal.values(self.table.metrics), self.predictor.held
        return values if held is None else np.where(held.rows_of(self.table.contexts), values, np.nan)

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
