"""Evaluate: replays of the run's space: would a loop have worked? Started, watched while they go on, cancelled, gone on with."""

from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.figures import replaying
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.replay import CURVES, ReplaySettings
from autobuild_core.jobs.kinds.replay.curves import read_curves
from autobuild_core.jobs.kinds.replay.outcome import course_table, in_words, outcome_table
from autobuild_core.jobs.kinds.replay.plan import DEFAULT_MODES, MODES
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.targets.aim import Aim
from autobuild_core.targets.equation import Target
from pages import _listed, _measurable, _run_actions, _text, _widgets, _workspace

KIND = "replay"
ABOUT = (
    "A replay plays a closed loop many times over where the answer is known: every mode begins with the same random networks, is "
    "told what an evaluation would have told it, and is judged by how far its pick is from the best."
)
MEASURED, PREDICTED = "What was measured", "The run's predictions"
BY_PREDICTIONS = (
    "Judged by the run's own predictions: which mode finds more of what the predictor believes, and it flatters models of the "
    "predictor's kind. It says nothing about what would be measured."
)
INCOMPLETE = "The data do not hold every network of the space, so a replay can only ask the run for its predictions."
COMMAND = "Other evaluators, and final picks measured once more with unseen seeds, by the command `replay`: docs/replay.md."
AVERAGE = "A replay is of averages over the contexts of the data, not of the chosen task."
JUDGE_HELP = "An equation over the metrics that the loop does not observe, as the mean of other repeats. Empty: the target."
WITHIN_HELP = "A final pick that is worse than the best by no more than this, in the target's unit, is a success."
REGRET, APART = "Regret", "Default less each mode"
OVER = {"evaluations": "Evaluations", "seconds": "Seconds"}
READ = {
    REGRET: "Mean over the seeds; a band holds the middle 80 % of them. Lower is better.",
    APART: "Mean of the differences seed by seed, with its 90 % interval. Below zero the default is better.",
}


def section(run: FinishedRun) -> None:
    """The replays of this run's space, and what starts another."""
    st.subheader("Would this have worked?", anchor=False)
    shown = _run_actions.choose(_listed.jobs_of(run, KIND), "Replay", KIND, ABOUT, lambda: _new(run))
    if shown is not None:
        _run_actions.watched(shown, KIND, lambda: _curves(run, str(shown["id"])))


def _new(run: FinishedRun) -> None:
    """The settings of another replay, and the button that starts it; a field has no bounds, the plan says what does."""
    name = st.text_input("Name", "Replay", max_chars=120, key="replay_name")
    every = _listed.all_evaluated(run)
    truths = [MEASURED, PREDICTED] if every else [PREDICTED]
    truth = st.segmented_control("The truth is", truths, default=truths[0], required=True, key=f"replay_truth_{len(truths)}")
    st.caption(f"{every}." if truth == MEASURED else BY_PREDICTIONS if every else f"{INCOMPLETE} {BY_PREDICTIONS}")
    if run.task:
        st.caption(AVERAGE)
    modes = st.multiselect("Modes", list(MODES), list(DEFAULT_MODES), key="replay_modes")
    st.caption(_text.plain("; ".join(f"{mode}: {MODES[mode]}" for mode in modes) + ".", 900) if modes else "None is chosen.")
    left, middle, right = st.columns(3)
    numbers = {
        "evaluations": left.number_input("Evaluations", value=60, step=10, key="replay_evaluations"),
        "initial": middle.number_input("Of these random", value=20, step=5, key="replay_initial"),
        "batch": right.number_input("In a batch", value=10, step=1, key="replay_batch"),
        "seeds": left.number_input("Seeds", value=10, step=5, key="replay_seeds"),
    }
    within = middle.number_input("Success within", value=0.0, format="%g", key="replay_within", help=WITHIN_HELP)
    judge = ""
    if truth == MEASURED:
        judge = right.text_input("Judged by", "", placeholder=run.config.target, key="replay_judge", help=JUDGE_HELP)
    st.caption(COMMAND)
    refusal = st.container()
    if st.button("Start the replay", type="primary", key="start_replay"):
        plan: dict[str, Any] = {field: int(number) for field, number in numbers.items()}
        plan |= {"modes": tuple(modes), "within": float(within), "minimize": run.config.minimize, "judge": judge.strip()}
        with refusal:
            _widgets.guarded(lambda: _start(run, name, truth == PREDICTED, plan))


def _start(run: FinishedRun, name: str, by_predictions: bool, plan: dict[str, Any]) -> None:
    """Starts a replay.

    Raises:
        StudioError: a setting does not do.
    """
    store = _workspace.workspace()
    own: dict[str, Any] = {"name": " ".join(name.split()) or "Replay"}
    own |= {"data_name": run.config.data_name, "data_hash": run.config.data_hash, "data_version": run.config.data_version}
    if by_predictions:
        own |= {"evaluator": _measurable.predictions_of(run), "plan": plan | {"target": "predicted"}}
    else:
        own["plan"] = plan | {"target": run.config.target}
        Target(plan["judge"] or run.config.target, run.config.minimize).check(list(run.table.metrics))
    run_id = kinds.add(store, KIND, None if by_predictions else run.table, **own)
    _workspace.executor().submit(run_id)
    st.rerun()


def _curves(run: FinishedRun, run_id: str) -> None:
    """The curves so far, and what they say of each mode."""
    folder = _workspace.workspace().run(run_id)
    settings: ReplaySettings = kinds.load_kind(KIND).settings_of(folder)
    curves = read_curves(folder.path / CURVES)
    if curves.empty:
        st.caption("No curve is there yet: each appears as soon as it is whole.")
        return
    if settings.evaluator:
        st.caption(BY_PREDICTIONS)
    course = course_table(curves)
    shown, over = REGRET, "evaluations"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        if course["apart"].notna().any():
            shown = str(st.segmented_control("Shown", [REGRET, APART], default=REGRET, required=True, key="replay_shown"))
        if shown == REGRET:
            over = st.segmented_control(
                "Against", list(OVER), default=over, format_func=OVER.__getitem__, required=True, key="replay_over"
            )
    st.caption(READ[shown])
    figure = replaying.course_figure(course, over, _unit(run, settings), shown == APART)
    alt = f"{shown} of every mode against {OVER[over].lower()}, with its spread over the seeds"
    _widgets.show(figure, course, "replay", alt, key=f"plot_replay_{run_id}")
    _outcome(curves, settings)


def _unit(run: FinishedRun, settings: ReplaySettings) -> str:
    """The unit of a replay's regrets: of what it is judged by, which need not be the target of the run."""
    plan = settings.made
    own = "predicted" if settings.evaluator == _measurable.predictions_of(run) else run.config.target
    return run.unit if plan.judged == own else Aim(plan.judged, plan.minimize).label.unit


def _outcome(curves: pd.DataFrame, settings: ReplaySettings) -> None:
    """The outcome of every mode in a table."""
    plan = settings.made
    numbers = outcome_table(curves, plan)
    table = replaying.outcome_shown(in_words(numbers), MODES)
    if said := replaying.outcome_words(numbers):
        st.markdown(said)
    st.table(table.map(lambda cell: _text.plain(cell, 200)).set_index("mode"), border="horizontal")
    best = "the best network that any mode found" if settings.evaluator else "the best network"
    said = f"within {plan.within:g} of it" if plan.within else "it"
    st.caption(
        f"Mean over the seeds ± standard deviation. Regret: how much worse than {best}; its mean is on the way from the random "
        "networks to the last evaluation. Default less it: paired, with its 90 % interval. Success: the share of final picks "
        f"that are {said}, with its 90 % interval."
    )
    _widgets.csv_button(numbers, "replay_outcome")
