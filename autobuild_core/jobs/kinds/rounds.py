"""Rounds: a batch is evaluated, all is learned from, the next is proposed; each round is a row, and what was measured is kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autobuild_core.architectures.names import native_text
from autobuild_core.errors import counted
from autobuild_core.evaluators import load_evaluator
from autobuild_core.jobs.kinds import JobKind, OnDataSettings, PlannedSettings, Report
from autobuild_core.jobs.kinds.evaluate import RESULTS
from autobuild_core.loop.folder import LoopFolder
from autobuild_core.loop.plan import RoundsPlan
from autobuild_core.loop.rounds_folder import RoundsFolder
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunFolder

LOOP = "loop"  # folder of the loop in that of the run


@dataclass(frozen=True)
class RoundsSettings(PlannedSettings[RoundsPlan], OnDataSettings):
    """The settings of rounds: fields of `RoundsPlan`, and the data set that they begin with."""

    @staticmethod
    def read(plan: Mapping[str, Any]) -> RoundsPlan:
        return RoundsPlan.read(plan)


class Rounds(JobKind[RoundsSettings]):
    """Rounds on the data of the run; the folder "loop" is a loop through files, results.jsonl has a line for each evaluation."""

    title = "Loop in rounds"
    noun = "loop in rounds"
    settings_type = RoundsSettings
    resumes = True

    def run(self, folder: RunFolder, settings: RoundsSettings, report: Report, should_stop: Callable[[], bool]) -> None:
        from autobuild_core.loop.rounds import run_rounds

        given = None if loop_of(folder).begun else folder.table()
        run_rounds(loop_of(folder), settings.made, given, folder.path / RESULTS, report, should_stop)

    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        if not record:
            return JobProgress(0.0, "Starting: loading the libraries.")
        words = f"Round {int(record['round'])} of {int(record['num_rounds'])}"
        words += f", {int(record['step']):,} of {int(record['num_steps']):,} networks"
        words += f", best {record['best']:.6g}" if record.get("best") is not None else ""
        return JobProgress(float(record["share"]), words, record.get("seconds_left"))

    def row(self, folder: RunFolder, settings: RoundsSettings) -> RunRow:
        plan, files = settings.made, rounds_of(folder)
        by = plan.evaluator.partition(":")[0].rpartition("/")[2]
        aim = f"{plan.aim.words}: {counted(plan.evaluations, 'network')} by {by}, {plan.batch:,} a round"
        aim += f", a budget of {plan.budget:,} each" if plan.budget not in (None, load_evaluator(plan.evaluator).budget) else ""
        said = ""
        if rows := files.rows():
            said = f"{counted(len(rows), 'round')}, {counted(files.num_spent, 'network')}"
            said += f", best {rows[-1]['best']:.6g}" if rows[-1]["best"] is not None else ""
        return RunRow(f"{aim}{''.join(f', {one}' for one in plan.budgets)}", said, *settings.data, seed=plan.seed)

    def result(self, folder: RunFolder) -> pd.DataFrame:
        """A row a round (`loop.round_row.make_row`)."""
        table = rounds_of(folder).table()
        return table if table.empty else table.assign(arch=[native_text(arch) if arch else "" for arch in table["arch"]])


def loop_of(folder: RunFolder) -> LoopFolder:
    """The loop in the folder of its run."""
    return LoopFolder(folder.path / LOOP)


def rounds_of(folder: RunFolder) -> RoundsFolder:
    """The files of the rounds in the folder of their run."""
    return RoundsFolder(folder.path / LOOP)
