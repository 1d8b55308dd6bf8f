"""Closing the loop: a space is evolved, a sample evaluated, its modules scored, networks built and evaluated, in one job.

What each stage wrote is read and not done again, so a job that was stopped goes on wherever it was (files.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autobuild_core.errors import counted
from autobuild_core.jobs.kinds import JobKind, PlannedSettings, Report
from autobuild_core.jobs.kinds.loop.files import TITLES, LoopFiles, loop_summary, stages_table
from autobuild_core.jobs.kinds.loop.plan import LoopPlan
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunFolder

LOOP = "loop"  # folder of the stages in that of the run


@dataclass(frozen=True)
class LoopSettings(PlannedSettings[LoopPlan]):
    """The settings of a closed loop: fields of `LoopPlan`."""

    @staticmethod
    def read(plan: Mapping[str, Any]) -> LoopPlan:
        return LoopPlan.read(plan)


class Loop(JobKind[LoopSettings]):
    """A closed loop; the folder "loop" has what every stage wrote."""

    title = "Closed loop"
    noun = "loop"
    settings_type = LoopSettings
    resumes = True

    def run(self, folder: RunFolder, settings: LoopSettings, report: Report, should_stop: Callable[[], bool]) -> None:
        from autobuild_core.jobs.kinds.loop.closing import close_loop

        close_loop(settings.made, files_of(folder), report, should_stop, threads=settings.threads)

    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        if not record:
            return JobProgress(0.0, "Starting: loading the libraries.")
        words = f"Stage {int(record['step'])} of {int(record['num_steps'])}: {record['phase']}"
        return JobProgress(float(record["share"]), words, record.get("seconds_left"))

    def row(self, folder: RunFolder, settings: LoopSettings) -> RunRow:
        plan, said = settings.made, ""
        aim = plan.aim()
        words = f"{aim.words}, {plan.evolution_used.madds_m:g} M multiply-adds"
        if files_of(folder).begun:
            found = loop_summary(files_of(folder), plan, aim)
            said = counted(found["num_evaluated"], "evaluation")
            if found["best"] is not None:
                said += f", best {found['best']['value']:.6g} in the {TITLES[found['best']['space']]}"
        return RunRow(words, said, seed=plan.seed)

    def result(self, folder: RunFolder) -> pd.DataFrame:
        """The stages of both spaces (`files.stages_table`)."""
        plan = self.settings_of(folder).made
        return stages_table(files_of(folder), plan, plan.aim()) if files_of(folder).begun else pd.DataFrame()


def files_of(folder: RunFolder) -> LoopFiles:
    """The files of a loop in the folder of its run."""
    return LoopFiles(folder.path / LOOP)
