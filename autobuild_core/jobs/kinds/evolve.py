"""Evolving: a search space of cells is evolved, every generation is kept, and a job that was stopped goes on from the last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autobuild_core.autospace import LEARNED, EvolutionFolder, EvolutionPlan, evolve, make_plan, read_learned, summary
from autobuild_core.autospace.tables import learned_table
from autobuild_core.errors import counted
from autobuild_core.jobs.kinds import JobKind, PlannedSettings, Report
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunFolder

EVOLUTION = "evolution"  # folder of the generations in that of the run


@dataclass(frozen=True)
class EvolveSettings(PlannedSettings[EvolutionPlan]):
    """The settings of an evolution: fields of `autospace.EvolutionPlan`."""

    @staticmethod
    def read(plan: Mapping[str, Any]) -> EvolutionPlan:
        return make_plan(plan)


class Evolve(JobKind[EvolveSettings]):
    """An evolution of a search space; the folder "evolution" has a line for each generation."""

    title = "Evolution"
    noun = "evolution"
    settings_type = EvolveSettings
    resumes = True

    def run(self, folder: RunFolder, settings: EvolveSettings, report: Report, should_stop: Callable[[], bool]) -> None:
        evolve(settings.made, folder.path / EVOLUTION, report, should_stop)

    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        if not record:
            return JobProgress(0.0, "Starting: loading the libraries.")
        words = f"Evolving, generation {int(record['step'])} of {int(record['num_steps'])}"
        if record.get("madds_m") is not None:
            words += f", {float(record['madds_m']):.3g} M multiply-adds expected"
        return JobProgress(float(record["share"]), words, record.get("seconds_left"))

    def row(self, folder: RunFolder, settings: EvolveSettings) -> RunRow:
        plan = settings.made
        aim = f"{counted(plan.skeleton_used.num_layers, 'layer')} of cells, {plan.madds_m:g} M multiply-adds"
        if not (folder.path / EVOLUTION).is_dir():
            return RunRow(aim, seed=plan.seed)
        found = summary(EvolutionFolder(folder.path / EVOLUTION))
        said = f"{counted(found['generations'], 'generation')}, {counted(found['num_cells'], 'cell')} tried"
        return RunRow(aim, said, seed=plan.seed)

    def result(self, folder: RunFolder) -> pd.DataFrame:
        """The cells of the learned space (`autospace.tables.learned_table`)."""
        path = folder.path / EVOLUTION / LEARNED
        if not path.exists():
            return pd.DataFrame()
        space = read_learned(EvolutionFolder(folder.path / EVOLUTION))
        return learned_table(space, self.settings_of(folder).made)
