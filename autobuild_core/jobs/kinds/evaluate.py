"""Evaluating: architectures are measured for real, one after the other; what was measured is kept whatever happens."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures.names import native_text
from autobuild_core.errors import ConfigError, StudioError, counted
from autobuild_core.evaluators import Evaluator, load_evaluator
from autobuild_core.evaluators._batch import ask, in_words, run_batch
from autobuild_core.evaluators._executors import executor_for
from autobuild_core.evaluators._results import FINISHED, Asked, Line, ResultsFile, Setting, key_of, metrics_of
from autobuild_core.jobs.kinds import JobKind, OnDataSettings, Report
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.workspace import Workspace

RESULTS = "results.jsonl"
HIDDEN = ("curve", "samples")  # parts of a line that a table does not show
FIXED_SHARE = 0.2  # of the seconds of an evaluation of the evaluator's own budget: making, testing
RECENT = 5  # evaluations of before that say how long one takes


@dataclass(frozen=True)
class EvaluateSettings(OnDataSettings):
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
        run_batch(evaluator, _asked(settings, evaluator), setting, self._results(folder), report, should_stop, executor_for())

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
        return RunRow(aim, in_words(lines) if lines else "", *settings.data, seed=settings.seeds[0])

    def result(self, folder: RunFolder) -> pd.DataFrame:
        lines = self._results(folder).read()
        return pd.DataFrame([shown(line) for line in lines])

    def lines(self, folder: RunFolder) -> list[Line]:
        """The measurements that are there so far."""
        return self._results(folder).read()

    def by_candidate(self, folder: RunFolder, is_running: bool) -> pd.DataFrame:
        """The progress of each candidate: id, seeds (done of all), state, metrics so far, seconds, error, arch.

        Args:
            folder: of the run.
            is_running: the first that is not done is being measured.
        """
        settings, lines = self.settings_of(folder), self.lines(folder)
        found = {key_of(line): line for line in lines}
        asked = _asked(settings, load_evaluator(settings.evaluator))
        num_seeds = len({one.seed for one in asked})
        current = next((one.key[0] for one in asked if one.key not in found), None) if is_running else None
        now = folder.last_progress().get("metrics", {}) if current else {}
        rows = []
        for first in {one.key[0]: one for one in reversed(asked)}.values():
            key = first.key[0]
            own = [found[one.key] for one in asked if one.key[0] == key and one.key in found]
            fine = [line for line in own if line["state"] == FINISHED]
            state = "measuring" if key == current else "waiting" if len(own) < num_seeds else _how(own)
            row: dict[str, Any] = {"id": first.id, "seeds": f"{len(own)} of {num_seeds}", "state": state}
            for name in metrics_of(fine[0]) if fine else []:
                row[name] = float(np.mean([line[name] for line in fine]))
            if key == current and not fine:
                row |= {name: value for name, value in now.items() if name != "step"}
            errors = [line["error"] for line in own if line.get("error")]
            row |= {"seconds": sum(line["seconds"] for line in own), "error": errors[-1] if errors else ""}
            rows.append(row | {"arch": native_text(first.arch)})
        return pd.DataFrame(rows[::-1])

    @staticmethod
    def _results(folder: RunFolder) -> ResultsFile:
        return ResultsFile(folder.path / RESULTS)


def _asked(settings: EvaluateSettings, evaluator: Evaluator) -> list[Asked]:
    """The evaluations of a batch; one seed where a seed changes nothing."""
    return ask(settings.archs, settings.seeds if evaluator.by_seed else settings.seeds[:1], settings.ids)


def _how(lines: Sequence[Line]) -> str:
    """The end of all evaluations of a candidate: "measured" where one did."""
    return "measured" if any(line["state"] == FINISHED for line in lines) else str(lines[-1]["state"])


@dataclass(frozen=True)
class Seconds:
    """The seconds that an evaluation will take.

    Args:
        middling: as the median of those measured here, or typical of a middling network.
        largest: the same, or typical of the largest network of the samples.
        num_known: evaluations of this workspace that say so; 0 = what is typical.
    """

    middling: float
    largest: float
    num_known: int = 0


def seconds_each(workspace: Workspace, name: str, budget: int) -> Seconds | None:
    """The seconds that an evaluation will take, by the newest of this workspace, or as is typical; None where that is not known.

    Args:
        workspace: whose newest evaluations are looked at.
        name: of the evaluator.
        budget: of an evaluation.
    """
    evaluator, runs, seconds = load_evaluator(name), workspace.runs(), []
    own = evaluator.budget
    measured = (runs["kind"] == "evaluate") & runs["aim"].str.startswith(f"{name} of ")
    measured |= (runs["kind"] == "rounds") & runs["aim"].str.contains(f" by {name},", regex=False)
    for run_id in runs.loc[measured, "id"].head(RECENT):
        with suppress(StudioError):
            lines = Evaluate().lines(workspace.run(str(run_id)))
            fine = [line for line in lines if line["state"] == FINISHED and line["evaluator"] == name]
            seconds += [line["seconds"] * _cost(budget, own) / _cost(line["budget"], own) for line in fine]
    if seconds:
        median = float(np.median(seconds))
        return Seconds(median, median, len(seconds))
    if evaluator.typical_seconds is None:
        return None
    middling, largest = evaluator.typical_seconds
    return Seconds(middling * _cost(budget, own), largest * _cost(budget, own))


def _cost(budget: int, own: int) -> float:
    """The cost of an evaluation beside one of the evaluator's own budget: a part is spent whatever the budget is."""
    return FIXED_SHARE + (1 - FIXED_SHARE) * budget / own if own else 1.0


def shown(line: Line) -> dict[str, Any]:
    """A line of results as a row of a table."""
    return {"arch": native_text(line["arch"])} | {n: v for n, v in line.items() if n != "arch" and n not in HIDDEN}
