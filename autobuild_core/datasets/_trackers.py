"""Experiment trackers by the columns that they publish: which hold parameters, which results, what a trial's state means.

Source: Optuna's `Study.trials_dataframe` and its dashboard's CSV; W&B's runs table; Ray Tune's results frame and progress.csv;
MLflow's `search_runs` and the CSV of its page.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

COMPLETE, STOPPED, FAILED = "complete", "stopped", "failed"


@dataclass(frozen=True)
class Tracker:
    """One tracker's table.

    Args:
        title: what a reader sees.
        params: matches the headers of parameters; group "name" is the parameter.
        metrics: matches the headers of results.
        ignored: matches its own bookkeeping.
        attributes: matches the headers of what a user noted of a trial; group "name" is what it was called.
        runtime: its own headers of seconds, which are measured.
        state: header of a trial's state, "" where it has none.
        complete, stopped: states, in lower case; all others are failures.
    """

    title: str
    params: "re.Pattern[str] | None"
    metrics: "re.Pattern[str] | None"
    ignored: "re.Pattern[str]"
    runtime: frozenset[str] = frozenset()
    state: str = ""
    complete: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()
    attributes: "re.Pattern[str] | None" = None

    def outcome(self, state: str) -> str:
        """COMPLETE, STOPPED or FAILED."""
        known = state.strip().lower()
        return COMPLETE if known in self.complete else STOPPED if known in self.stopped else FAILED


OPTUNA_FRAME = Tracker(
    "Optuna",
    params=re.compile(r"^params_(?P<name>.+)$"),
    metrics=re.compile(r"^(?P<name>values?|values?_.+|user_attrs_.+)$"),
    ignored=re.compile(r"^(number|datetime_.+|duration|state|system_attrs_.+|study_.*|trial_id|intermediate_values.*)$"),
    state="state",
    complete=frozenset({"complete", "trialstate.complete"}),
    stopped=frozenset({"pruned", "trialstate.pruned"}),
    attributes=re.compile(r"^user_attrs_(?P<name>.+)$"),
)
OPTUNA_DASHBOARD = Tracker(
    "Optuna's dashboard",
    params=re.compile(r"^Param (?P<name>.+)$"),
    metrics=re.compile(r"^(?P<name>Values?( .+)?|(Objective|UserAttribute) .+)$"),
    ignored=re.compile(r"^(Number|State|Duration.*|Datetime.*|System.*|Constraint.*)$"),
    state="State",
    complete=frozenset({"complete"}),
    stopped=frozenset({"pruned"}),
    attributes=re.compile(r"^UserAttribute (?P<name>.+)$"),
)
MLFLOW = Tracker(
    "MLflow",
    params=re.compile(r"^params?[./](?P<name>.+)$"),
    metrics=re.compile(r"^metrics?[./](?P<name>.+)$"),
    ignored=re.compile(
        r"^(run_?id|Run ID|experiment_?id|artifact_uri|status|Status"
        r"|start_time|end_time|(Start|End) [Tt]ime|Duration|Name|User|Source.*|Version|tags\..+)$"
    ),
    state="status",
    complete=frozenset({"finished"}),
)
WANDB = Tracker(
    "Weights & Biases",
    params=re.compile(r"^config[./](?P<name>.+)$"),
    metrics=re.compile(r"^summary[./](?P<name>.+)$"),
    ignored=re.compile(
        r"^(Name|name|ID|id|State|state|Notes|User|Tags|Created|Updated|End Time|Start Time|Heartbeat|Sweep|Group|Job Type|Host"
        r"|Hostname|Commit|GitHub|GPU (Type|Count)|Description|Project|Entity|run_?id|wandb_version"
        r"|(summary\.)?(_step|_timestamp|_wandb(\..+)?))$"
    ),
    runtime=frozenset({"Runtime", "_runtime"}),
    state="State",
    complete=frozenset({"finished"}),
)
RAY = Tracker(
    "Ray Tune",
    params=re.compile(r"^config[/.](?P<name>.+)$"),
    metrics=None,
    ignored=re.compile(
        r"^(trial_id|trial_name|experiment_(id|tag)|date|timestamp|pid|hostname|node_ip|done|logdir|should_checkpoint|status"
        r"|episodes_total|timesteps_(total|since_restore)|iterations_since_restore|checkpoint_dir_name|warmup_time)$"
    ),
    runtime=frozenset({"time_this_iter_s", "time_total_s", "time_since_restore"}),
    state="status",
    complete=frozenset({"terminated", "running", "paused"}),
)


WANDB_SURE = frozenset({"_wandb", "_runtime", "_timestamp", "Runtime", "Sweep", "Created"})
WANDB_OWN = WANDB_SURE | {"_step", "State", "Name", "ID", "Tags", "User"}


VALUE = re.compile(r"^values?(_.+)?$")


def tracker_of(headers: Collection[str]) -> Tracker | None:
    """The tracker that wrote a table with these headers; None where no tracker's own columns are there."""
    have = set(headers)

    def some(tracker: Tracker) -> bool:
        return tracker.params is not None and any(map(tracker.params.match, have))

    if have & {"number", "state"} and any(map(VALUE.match, have)) and some(OPTUNA_FRAME):
        return OPTUNA_FRAME
    if {"Number", "State"} <= have and some(OPTUNA_DASHBOARD):
        return OPTUNA_DASHBOARD
    if some(MLFLOW) and MLFLOW.metrics is not None and any(map(MLFLOW.metrics.match, have)):
        return MLFLOW
    if "trial_id" in have and (some(RAY) or {"training_iteration", "time_total_s"} & have):
        return RAY
    if {"config", "summary"} <= have:  # the API's table: its cells are objects
        return WANDB
    return WANDB if len(WANDB_OWN & have) >= 3 and WANDB_SURE & have else None
