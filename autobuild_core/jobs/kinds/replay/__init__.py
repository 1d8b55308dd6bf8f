"""Replaying: would a closed loop have worked? Where every network is known, modes are compared that did not know it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autobuild_core.autospace.plan import made
from autobuild_core.errors import counted
from autobuild_core.evaluators import load_evaluator
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.jobs.kinds import JobKind, OnDataSettings, PlannedSettings, Report
from autobuild_core.jobs.kinds.evaluate import RESULTS
from autobuild_core.jobs.kinds.replay.curves import read_curves
from autobuild_core.jobs.kinds.replay.outcome import outcome_table
from autobuild_core.jobs.kinds.replay.plan import ReplayPlan
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunFolder

CURVES = "curves.csv"


@dataclass(frozen=True)
class ReplaySettings(PlannedSettings[ReplayPlan], OnDataSettings):
    """The settings of a replay: fields of `ReplayPlan`, and where the truth is.

    Args:
        evaluator: measures networks of its own space when they are asked for; "" = the table in the run's folder holds them all.

    Raises:
        ConfigError: a setting does not do.
        TargetError: the target is no equation over the evaluator's metrics.
    """

    evaluator: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.evaluator:
            self.made.search_plan(self.evaluator)

    @staticmethod
    def read(plan: Mapping[str, Any]) -> ReplayPlan:
        return made(ReplayPlan, plan, "replay")


class Replay(JobKind[ReplaySettings]):
    """A replay where every network of a space is known, or an evaluator tells it; curves.csv has every curve."""

    title = "Replay"
    noun = "replay"
    settings_type = ReplaySettings
    resumes = True

    def run(self, folder: RunFolder, settings: ReplaySettings, report: Report, should_stop: Callable[[], bool]) -> None:
        from autobuild_core.jobs.kinds.replay import replaying, worlds

        plan, world = settings.made, None
        if settings.evaluator:
            results = ResultsFile(folder.path / RESULTS)
            world = worlds.measured_by(plan, plan.search_plan(settings.evaluator), None, results, should_stop)
        replaying.Replay(plan, world or worlds.looked_up(plan, folder.table()), folder.path / CURVES).run(report, should_stop)

    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        if not record:
            return JobProgress(0.0, "Starting: loading the libraries.")
        words = f"Replaying, {int(record['step']):,} of {int(record['num_steps']):,} curves: {record['phase']}"
        return JobProgress(float(record["share"]), words, record.get("seconds_left"))

    def row(self, folder: RunFolder, settings: ReplaySettings) -> RunRow:
        plan, said = settings.made, ""
        if not (table := self.result(folder)).empty:
            said = counted(int(table["seeds"].sum()), "curve")
            ranked = table.dropna(subset="area").sort_values("area", kind="stable")
            said += "" if ranked.empty else f", least regret: {ranked['mode'].iloc[0]}"
        by = f"; {load_evaluator(settings.evaluator).title}" if settings.evaluator else ""
        return RunRow(f"{plan.words}{by}", said, *settings.data, seed=plan.first_seed)

    def result(self, folder: RunFolder) -> pd.DataFrame:
        """The outcome (`outcome.outcome_table`); empty before the first curve."""
        curves = read_curves(folder.path / CURVES)
        return curves if curves.empty else outcome_table(curves, self.settings_of(folder).made)
