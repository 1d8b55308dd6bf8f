"""Replaying: would a closed loop have worked? Where every network is known, modes are compared that did not know it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autobuild_core.autospace.plan import made
from autobuild_core.errors import counted
from autobuild_core.jobs.kinds import JobKind, PlannedSettings, Report
from autobuild_core.jobs.kinds.replay.outcome import outcome_table
from autobuild_core.jobs.kinds.replay.plan import ReplayPlan
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.targets.equation import Target

CURVES = "curves.csv"


@dataclass(frozen=True)
class ReplaySettings(PlannedSettings[ReplayPlan]):
    """The settings of a replay: fields of `ReplayPlan`."""

    @staticmethod
    def read(plan: Mapping[str, Any]) -> ReplayPlan:
        return made(ReplayPlan, plan, "replay")


class Replay(JobKind[ReplaySettings]):
    """A replay of a data set that holds every network of its space; curves.csv has every curve."""

    title = "Replay"
    noun = "replay"
    settings_type = ReplaySettings
    resumes = True

    def run(self, folder: RunFolder, settings: ReplaySettings, report: Report, should_stop: Callable[[], bool]) -> None:
        from autobuild_core.jobs.kinds.replay import replaying, worlds

        plan = settings.made
        world = worlds.Looked(folder.table(), Target(plan.target, plan.minimize), Target(plan.judged, plan.minimize))
        replaying.Replay(plan, world, folder.path / CURVES).run(report, should_stop)

    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        if not record:
            return JobProgress(0.0, "Starting: loading the libraries.")
        words = f"Replaying, {int(record['step']):,} of {int(record['num_steps']):,} curves: {record['phase']}"
        return JobProgress(float(record["share"]), words, record.get("seconds_left"))

    def row(self, folder: RunFolder, settings: ReplaySettings) -> RunRow:
        plan, said = settings.made, ""
        if not (table := self.result(folder)).empty:
            best = table.loc[table["area"].idxmin()]
            said = f"{counted(int(table['seeds'].sum()), 'curve')}, least regret: {best['mode']}"
        return RunRow(plan.words, said, seed=plan.first_seed)

    def result(self, folder: RunFolder) -> pd.DataFrame:
        """The outcome (`outcome.outcome_table`)."""
        path = folder.path / CURVES
        return outcome_table(pd.read_csv(path), self.settings_of(folder).made) if path.exists() else pd.DataFrame()
