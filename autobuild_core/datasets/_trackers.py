"""Experiment trackers by the columns that they publish: which hold parameters, which results, what a trial's state means.

Source: Optuna's `Study.trials_dataframe` and its dashboard's CSV; W&B's runs table; Ray Tune's results frame and progress.csv;
MLflow's `search_runs` and the CSV of its page. Beside them what `evaluate` writes: a line for every architecture and seed.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

COMPLETE, STOPPED, FAILED = "complete", "stopped", "failed"


@dataclass(frozen=True)
class Tracker:
    """One tracker's table.

    Args:
        title: what a reader sees.
        about: what such a table holds, in one clause.
        example: a small one, shown as help.
        params: matches the headers of parameters; group "name" is the parameter.
        metrics: matches the headers of results.
        ignored: matches its own bookkeeping.
        attributes: matches the headers of what a user noted of a trial; group "name" is what it was called.
        runtime: its own headers of seconds, which are measured.
        state: header of a trial's state, "" where it has none.
        complete, stopped: states, in lower case; all others are failures.
        contexts: its own headers of what was measured under, with the kind of context that each is, also of one value.
        holder: header under which architectures stand; every other number is a result. "" = choices stand beside results.
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
    about: str = ""
    example: bytes = b""
    contexts: Mapping[str, str] = field(default_factory=dict)
    holder: str = ""

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
    about="a study as trials_dataframe gives it, saved as CSV; its dashboard's CSV and its SQLite storage are read too",
    example=(
        b"number,value,params_activation,params_units,params_lr,user_attrs_seed,state\n"
        b"0,0.71,relu,64,0.0123,0,COMPLETE\n1,0.74,gelu,128,0.0047,1,COMPLETE\n"
        b"2,0.55,relu,128,0.0911,0,PRUNED\n3,0.73,gelu,64,0.0018,1,COMPLETE\n"
    ),
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
    about="the runs of an experiment as search_runs gives them, saved as CSV, or the CSV of its page",
    example=(
        b"run_id,experiment_id,status,metrics.val_acc,params.activation,params.units,tags.mlflow.user\n"
        b"3f2a,1,FINISHED,0.71,relu,64,ada\n9c41,1,FINISHED,0.74,gelu,128,ada\n"
        b"77d0,1,FINISHED,0.72,relu,128,ada\nb1e8,1,FINISHED,0.73,gelu,64,ada\n"
    ),
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
    about="the runs table of W&B: the CSV of its page, or what its API gives",
    example=(
        b"Name,State,Created,Runtime,Sweep,activation,units,_step,val_acc\n"
        b"brisk-sweep-1,finished,2026-03-01T10:00:00.000Z,412,ab12,relu,64,9,0.71\n"
        b"calm-sweep-2,finished,2026-03-01T10:07:00.000Z,530,ab12,gelu,128,9,0.74\n"
        b"deft-sweep-3,finished,2026-03-01T10:16:00.000Z,498,ab12,relu,128,9,0.72\n"
        b"eager-sweep-4,finished,2026-03-01T10:25:00.000Z,431,ab12,gelu,64,9,0.73\n"
    ),
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
    about="the results frame of Tune (get_dataframe), saved as CSV, or a trial's progress.csv",
    example=(
        b"val_acc,training_iteration,trial_id,time_total_s,done,config/activation,config/units\n"
        b"0.71,10,a1f3_00000,41.2,True,relu,64\n0.74,10,a1f3_00001,53.0,True,gelu,128\n"
        b"0.72,10,a1f3_00002,49.8,True,relu,128\n0.73,10,a1f3_00003,43.1,True,gelu,64\n"
    ),
)
MEASURED = Tracker(
    "Measurements of an evaluator",
    params=None,
    metrics=None,
    ignored=re.compile(r"^(state|seconds|id|error|curve|samples|remark|host|worker|search)$"),
    state="state",
    complete=frozenset({"finished"}),
    stopped=frozenset({"stopped", "diverged"}),
    about="a line for every architecture and seed with its metrics, and evaluator, version, data, budget and device beside them",
    example=(
        b"activation,units,seed,acc,evaluator,version,data,budget,device,seconds,state\n"
        b"relu,64,0,0.71,classification,1,digits,500,cpu,9.1,finished\n"
        b"gelu,128,0,0.74,classification,1,digits,500,cpu,8.7,finished\n"
        b"relu,128,0,0.72,classification,1,digits,500,cpu,9.4,finished\n"
        b"gelu,64,0,0.73,classification,1,digits,500,cpu,9.0,finished\n"
    ),
    contexts={
        **{"evaluator": "task", "version": "task", "data": "task"},  # within each the target is ranked by itself
        **{"budget": "fidelity", "device": "setting", "seed": "seed"},
    },
)
SHOWN = {"measured": MEASURED, "optuna": OPTUNA_FRAME, "wandb": WANDB, "ray": RAY, "mlflow": MLFLOW}  # among what can be dropped


WANDB_SURE = frozenset({"_wandb", "_runtime", "_timestamp", "Runtime", "Sweep", "Created"})
WANDB_OWN = WANDB_SURE | {"_step", "State", "Name", "ID", "Tags", "User"}


VALUE = re.compile(r"^values?(_.+)?$")


def tracker_of(headers: Collection[str]) -> Tracker | None:
    """The tracker that wrote a table with these headers; None where no tracker's own columns are there."""
    have = set(headers)

    def some(tracker: Tracker) -> bool:
        return tracker.params is not None and any(map(tracker.params.match, have))

    if {"evaluator", "version", "device", "state"} <= have:
        return replace(MEASURED, holder="arch") if "arch" in have else MEASURED
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
