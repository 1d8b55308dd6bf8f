"""Training: learns a target from evaluated architectures and scores their modules (pipeline.py, which loads torch and scipy).

It does not resume: weights are written once the ensemble is trained, and half a training is worth little beside its minutes. A
run that was stopped keeps its progress and is repeated instead, with the same seed to the same result.
"""

from collections.abc import Callable, Mapping
from typing import Any

from autobuild_core.jobs.kinds import JobKind, Report
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunConfig, RunFolder


class Train(JobKind[RunConfig]):
    """The training of the ensemble, with its trust report."""

    title = "Training"
    noun = "training"
    settings_type = RunConfig
    resumes = False
    preloaded = ("autobuild_core.jobs.kinds.train.pipeline", "autobuild_core.predictor.training")

    def run(self, folder: RunFolder, settings: RunConfig, report: Report, should_stop: Callable[[], bool]) -> None:
        from autobuild_core.jobs.kinds.train.pipeline import train_run

        train_run(folder, report, should_stop)

    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        left = record.get("seconds_left")
        if not record:
            return JobProgress(0.0, "Starting: reading the data and loading the libraries.")
        if record.get("phase") == "scoring":
            return JobProgress(min(max(float(record.get("share", 0)), 0.0), 1.0), "Scoring modules", left)
        if record.get("phase") == "checking":
            return JobProgress(1.0, "Checking how far the scores can be trusted")
        if record.get("phase") == "metrics":
            return JobProgress(min(max(float(record.get("share", 0)), 0.0), 1.0), "Learning every metric of the data", left)
        step, total = int(record["step"]), max(int(record["num_steps"]), 1)
        return JobProgress(min(step / total, 1.0), f"Training, step {step:,} of {total:,}", left)

    def row(self, folder: RunFolder, settings: RunConfig) -> RunRow:
        return RunRow.of_training(settings, RunRow.quality_of(folder))
