"""Evaluating: architectures are measured for real, one after the other; what was measured is kept whatever happens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from autobuild_core.architectures.names import native_text
from autobuild_core.errors import ConfigError, counted
from autobuild_core.evaluators import load_evaluator
from autobuild_core.evaluators._batch import ask, in_words, run_batch
from autobuild_core.evaluators._executors import executor_for
from autobuild_core.evaluators._results import Line, ResultsFile, Setting
from autobuild_core.jobs.kinds import JobKind, Report
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import JobSettings, RunFolder

RESULTS = "results.jsonl"
HIDDEN = ("curve", "samples")  # parts of a line that a table does not show


@dataclass(frozen=True)
class EvaluateSettings(JobSettings):
    """The settings of a batch of evaluations.

    Args:
        evaluator: its name (`evaluators.load_evaluator`).
        archs: what is measured, in native encodings.
        ids: of the candidates; () where they have none.
        seeds: every architecture is measured with each.
        budget: of an evaluation; None = what the evaluator spends unasked.
        device: "cpu" or "cuda".
        seconds: that one evaluation may take; None = as long as it takes.

    Raises:
        ConfigError: there is nothing to measure, or a number is out of range.
    """

    evaluator: str = ""
    archs: tuple[Any, ...] = ()
    ids: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    budget: int | None = None
    device: str = "cpu"
    seconds: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("archs", "ids", "seeds"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.archs:
            raise ConfigError("archs: got none, expected architectures to evaluate.")
        if self.ids and len(self.ids) != len(self.archs):
            raise ConfigError(f"ids: got {len(self.ids)} for {len(self.archs)} architectures, expected one each.")
        if not self.seeds or min(self.seeds) < 0:
            raise ConfigError(f"seeds: got {list(self.seeds)}, expected some, none below 0.")
        if self.seconds is not None and self.seconds <= 0:
            raise ConfigError(f"seconds: got {self.seconds}, expected more than 0.")
        load_evaluator(self.evaluator).budget_or(self.budget)


class Evaluate(JobKind[EvaluateSettings]):
    """A batch of evaluations; results.jsonl has a line for each."""

    title = "Evaluation"
    noun = "evaluation"
    settings_type = EvaluateSettings
    resumes = True

    def run(self, folder: RunFolder, settings: EvaluateSettings, report: Report, should_stop: Callable[[], bool]) -> None:
        evaluator = load_evaluator(settings.evaluator)
        setting = Setting(settings.evaluator, evaluator.budget_or(settings.budget), settings.device, settings.seconds)
        asked = ask(settings.archs, settings.seeds if evaluator.by_seed else settings.seeds[:1], settings.ids)
        run_batch(evaluator, asked, setting, self._results(folder), report, should_stop, executor_for())

    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        if not record:
            return JobProgress(0.0, "Starting: loading the libraries.")
        step, total = int(record["step"]), max(int(record["num_steps"]), 1)
        share = min(max(float(record.get("share", step / total)), 0.0), 1.0)
        return JobProgress(share, f"Evaluating, {step:,} of {total:,} done", record.get("seconds_left"))

    def row(self, folder: RunFolder, settings: EvaluateSettings) -> RunRow:
        seeds = f", {counted(len(settings.seeds), 'seed')}" if len(settings.seeds) > 1 else ""
        aim = f"{settings.evaluator.partition(':')[0]} of {counted(len(settings.archs), 'architecture')}{seeds}"
        lines = self._results(folder).read()
        return RunRow(aim=aim, result=in_words(lines) if lines else "", seed=settings.seeds[0])

    def result(self, folder: RunFolder) -> pd.DataFrame:
        lines = self._results(folder).read()
        return pd.DataFrame([shown(line) for line in lines])

    @staticmethod
    def _results(folder: RunFolder) -> ResultsFile:
        return ResultsFile(folder.path / RESULTS)


def shown(line: Line) -> dict[str, Any]:
    """A line of results as a row of a table."""
    return {"arch": native_text(line["arch"])} | {n: v for n, v in line.items() if n != "arch" and n not in HIDDEN}
