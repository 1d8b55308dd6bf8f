"""The contents of a finished training's quality.json, and the progress that a training reports."""

from collections.abc import Callable
from typing import Any, TypedDict


class TaskLine(TypedDict):
    """A task whose modules were scored beside the average; see `finished_run.Task`."""

    file: str
    context: dict[str, str]
    num_rows: int
    space_mean: float


class Calibration(TypedDict):
    """The error of scores of modules of a group against what was measured, beside their spread."""

    num_modules: int
    error: float
    spread: float


class Stopped(TypedDict, total=False):
    """Stopped trials: whether they were left out, else what leaving them out would change."""

    dropped: bool
    correlation: float
    slope: float
    best_changed: int
    num_positions: int


class Quality(TypedDict, total=False):
    """quality.json: how good a training is and what its numbers hold for; runs of before lack what came later.

    srcc, kendall, hop_srcc, coverage: rank correlations of held-out predictions and of the norms per hop, share of measurements
    within their 90 % interval. mae, space_mean, good_threshold: in target units. num_*: counts of rows, networks and trials.
    trust: `trust.findings.TrustReport` as JSON. held: `contexts.Held.facts`, of a run that is looked at in a chosen context.
    """

    srcc: float
    kendall: float
    mae: float
    hop_srcc: list[float]
    coverage: float
    zero_gradient_share: list[float]
    num_train: int
    num_networks: int
    num_evidence: int
    num_without_target: int
    num_repeated: int
    num_censored: int
    ensemble_size: int
    calibration: list[Calibration]
    space_mean: float
    good_threshold: float
    learning_curve: list[dict[str, Any]]
    stopped: Stopped
    tasks: list[TaskLine]
    held: dict[str, Any]
    trust: dict[str, Any]
    verdict: str
    verdict_why: str
    seconds: float


class Progress(TypedDict, total=False):
    """The progress of a training.

    Its phase ("training", "scoring", "checking", "metrics"), seconds since its start and, if known, left.

    While it trains: step of num_steps, loss, held-out SRCC of the predictions and per hop. Later: share of the phase.
    """

    phase: str
    share: float
    seconds: float
    seconds_left: float | None
    step: int
    num_steps: int
    loss: float
    srcc: float | None
    hop_srcc: list[float]


Report = Callable[[Progress], None]
