"""Evaluate: loops in rounds on the run's data: started, watched round by round, cancelled, gone on with."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures import numbers
from autobuild_core.architectures.names import native_text
from autobuild_core.errors import ConfigError, StudioError, listed
from autobuild_core.evaluators import DEVICES, load_evaluator
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.figures import rounds as figures
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.evaluate import RESULTS
from autobuild_core.jobs.kinds.rounds import RoundsSettings, loop_of, rounds_of
from autobuild_core.loop.plan import RoundsPlan
from autobuild_core.loop.proposing import codes_of
from autobuild_core.loop.round_networks import networks_table
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search import assembly
from autobuild_core.search.budgets import Budgets, budget_text, budget_words
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.states import RunState
from pages import (
    _budgets,
    _candidates,
    _evaluations,
    _listed,
    _measurable,
    _measuring,
    _navigation,
    _run_actions,
    _slots,
    _text,
    _widgets,
    _workspace,
)

KIND = _evaluations.ROUNDS
ABOUT = (
    "A loop measures a batch here, learns from it and chooses the next by what may improve on the best, until its "
    "evaluations are spent. Predictions are written down before anything is measured; what was measured joins the "
    "data when the loop ends. There are no random controls in it: a batch above has them."
)
NO_EVALUATOR = (
    "No evaluator here measures {} of this space, which the target needs. Write one of your own: a Python file "
    "with one function, or a program that answers JSON lines (docs/evaluators.md). Or hand batches out above "
    "(Elsewhere)."
)
NO_BUDGETS = "Without budgets. Those that you set on Builder hold here too."
AVERAGE = "A loop learns averages over the contexts of the data, not what holds for the chosen task."
HOW_TO_READ = (
    "A dot is what was measured of a network, the bar what was predicted of it before; the line of the best steps where "
    "a round ends. Networks that are chosen for what they promise are inside their intervals less often than 90 %."
)
WITHIN = " The best is that of the networks whose measurements keep to the budgets."
DAMAGED = "Start another one; this one can be deleted on Train."
AFTER = {
    RunState.FAILED: "Resume goes on with the round that was under way; other settings are another loop.",
    RunState.CANCELLED: "What was measured so far joins the data. Resume goes on with the round that was under way.",
}
FORMATS = {
    **dict.fromkeys(("best so far", "mean predicted", "mean measured", "expected improvement"), "%.4g"),
    **{"inside 90 %": "%.0f %%", "rank correlation": "%.2f", "s to learn": "%.2f", "s to measure": "%.1f"},
}


def section(run: FinishedRun) -> None:
    """The loops of this run's data, and what starts another; nothing without a loop where no network is left."""
    frame, is_done = _listed.jobs_of(run, KIND), _listed.exhausted(run) is not None
    if frame.empty and is_done:
        return
    st.subheader("Loop in rounds", anchor=False)
    shown = _run_actions.choose(frame, "Loop", KIND, ABOUT, None if is_done else lambda: _new(run))
    if shown is not None:
        _run_actions.watched(shown, KIND, lambda: _results(run, shown))


# Another loop


def _new(run: FinishedRun) -> None:
    """The settings of another loop, and the button that starts it."""
    titles = _measurable.of_target(run)
    if not titles:
        st.info(NO_EVALUATOR.format(_text.plain(listed(run.config.goal.names), 200)))
        return
    left, middle, right = st.columns(3)
    name = left.text_input("Name", "Loop", max_chars=120, key="rounds_name")
    by = middle.selectbox("Evaluator", list(titles), format_func=titles.__getitem__, key="rounds_evaluator")
    plan: dict[str, Any] = {"evaluator": by, "target": run.config.target, "minimize": run.config.minimize}
    if load_evaluator(by).by_device:
        plan["device"] = right.selectbox("Device", DEVICES, key="rounds_device")
    # No bounds here: a field with bounds keeps its last good value, and the button starts with that; the plan refuses.
    left, middle, right = st.columns(3)
    plan["evaluations"] = int(left.number_input("Networks to evaluate", value=RoundsPlan.evaluations, step=10, key="rounds_num"))
    plan["batch"] = int(middle.number_input("Networks a round", value=RoundsPlan.batch, step=1, key="rounds_batch"))
    plan["seed"] = int(right.number_input("Seed of the search", value=0, step=1, key="rounds_seed"))
    plan |= _of_each(by)
    budgets = _budgets_of_builder(run)
    kept = "" if budgets is None else " and ".join(budget_words(bound) for bound in budgets.bounds)
    words = NO_BUDGETS if budgets is None else f"Within the budgets of Builder, with {100 * budgets.confidence:g} %: {kept}."
    st.caption(_text.plain(words, 400))
    if run.task:
        st.caption(AVERAGE)
    num = max(plan["evaluations"], 0) * max(plan["seeds"], 0)
    st.caption(_measurable.time_words(by, num, plan["budget"] or load_evaluator(by).budget))
    _measurable.warn_of_budget(by, plan["budget"])
    refusal = st.container()
    if st.button("Start the loop", type="primary", key="start_rounds"):
        with refusal:
            _widgets.guarded(lambda: _start(run, name, plan, budgets))


def _of_each(by: str) -> dict[str, Any]:
    """The settings of every evaluation, as far as an evaluator knows them: budget, seeds, seconds."""
    evaluator, (left, middle, right) = load_evaluator(by), st.columns(3)
    budget, seeds, help = None, 1, evaluator.about or None
    if evaluator.budget:
        budget = int(left.number_input("Budget of each", value=evaluator.budget, step=1, key=f"rounds_budget_{by}", help=help))
    if evaluator.by_seed:
        seeds = int(middle.number_input("Seeds of each", value=1, step=1, key="rounds_seeds"))
    label, help = "Seconds that one may take", _measuring.SECONDS_HELP
    limit = right.number_input(label, value=None, step=1, key="rounds_seconds", help=help)
    return {"budget": budget, "seeds": seeds, "seconds": None if limit is None else float(limit)}


def _budgets_of_builder(run: FinishedRun) -> Budgets | None:
    """The budgets that were set on Builder; None where there are none."""
    known = _budgets.known(run) if _budgets.written() else None
    budgets = None if known is None else _budgets.chosen(run, known.metrics)
    return budgets if budgets is not None and budgets.bounds else None


def _start(run: FinishedRun, name: str, plan: dict[str, Any], budgets: Budgets | None) -> None:
    """Starts a loop on the newest version of the run's data.

    Raises:
        StudioError: a setting does not do, a budget of Builder cannot be judged, or no architecture keeps to all.
    """
    wanted = _budgets.written()
    if len(wanted) > (0 if budgets is None else len(budgets.bounds)):
        raise ConfigError(f"budgets: got {listed(wanted)}, of which this run cannot judge all; remove them on Builder.")
    if budgets is not None:
        plan |= {"budgets": [budget_text(bound) for bound in budgets.bounds], "confidence": budgets.confidence}
    RoundsPlan.read(plan)
    if budgets is not None and (stands := _budgets.obstacle(run, budgets)) is not None:
        raise ConfigError(f"budgets: {stands.words}")
    store = _workspace.workspace()
    newest = store.newest_version(store.data_of_run(run.id))
    data = store.datasets().set_index("id").loc[newest]
    own: dict[str, Any] = {"name": " ".join(name.split()) or "Loop", "plan": plan, "data_version": int(data["version"])}
    own |= {"data_name": str(data["name"]), "data_hash": str(data["hash"])}
    _workspace.executor().submit(kinds.add(store, KIND, store.dataset(newest), **own))
    st.rerun()


# The loop that is chosen


def _results(run: FinishedRun, shown: "pd.Series[str]") -> None:
    """The loop so far: a sentence, the chart, a line a round, the networks of the round that is chosen."""
    folder = _workspace.workspace().run(str(shown["id"]))
    settings: RoundsSettings = kinds.load_kind(KIND).settings_of(folder)
    try:
        rounds, networks, before, ended = _read(folder, settings.made)
    except StudioError as error:
        st.error(f"What this loop wrote cannot be read: {_text.plain(error, 600)} {DAMAGED}")
        return
    if shown["state"] in AFTER:
        st.caption(AFTER[RunState(shown["state"])])
    if networks.empty:
        st.caption("No network is proposed yet.")
        return
    st.markdown(_text.plain(figures.rounds_words(networks, rounds, before), 400))
    if ended:
        st.info(f"It ended before its evaluations were spent. {_text.plain(ended, 400)}")
    own = settings.made.aim
    is_target = (own.expression, own.minimize) == (run.config.target, run.config.minimize)
    figure = figures.rounds_figure(networks, rounds, run.label.axis if is_target else own.label.axis, before)
    told = networks.assign(arch=[native_text(arch) for arch in networks["arch"]])
    words = "What was predicted and measured of each network, in the order of the rounds, and the best so far"
    _widgets.show(figure, told, "rounds_networks", words, key=f"plot_rounds_{folder.path.name}")
    st.caption(HOW_TO_READ + (WITHIN if settings.made.budgets else ""))
    _networks(run, networks[networks["round"] == _chosen(folder, rounds, networks)], folder.path.name)


def _read(folder: RunFolder, plan: RoundsPlan) -> tuple[pd.DataFrame, pd.DataFrame, float | None, str]:
    """(rounds, networks, the best before, why it ended early) of a loop.

    Raises:
        StudioError: a file of it is damaged.
    """
    files, lines = rounds_of(folder), ResultsFile(folder.path / RESULTS).read()
    rows, num_seeds = files.rows(), plan.seeds if load_evaluator(plan.evaluator).by_seed else 1
    networks = networks_table(loop_of(folder), rows, lines, plan.aim.target, num_seeds)
    return pd.DataFrame(rows), networks, files.best_before(), files.ended


def _chosen(folder: RunFolder, rounds: pd.DataFrame, networks: pd.DataFrame) -> int:
    """The round whose line is chosen in the table of rounds, else the newest."""
    newest = int(networks["round"].max())
    if rounds.empty:
        return newest
    table, key = figures.rounds_table(rounds), f"rounds_{folder.path.name}"
    columns = {name: st.column_config.NumberColumn(format=shown) for name, shown in FORMATS.items()}
    st.dataframe(
        table, hide_index=True, column_config=columns, height="auto" if len(table) < 8 else 300, key=key, on_select="rerun",
        selection_mode="single-row",
    )  # fmt: skip
    _widgets.csv_button(rounds.assign(arch=[native_text(arch) if arch else "" for arch in rounds["arch"]]), "rounds")
    lines = (st.session_state.get(key) or {}).get("selection", {}).get("rows", [])
    return int(table["round"].iloc[lines[0]]) if lines and lines[0] < len(table) else newest


def _networks(run: FinishedRun, own: pd.DataFrame, run_id: str) -> None:
    """The networks of a round, predicted and measured; one that is chosen can be looked at on other pages."""
    number = int(own["round"].iloc[0])
    st.markdown(f"**Networks of round {number}**. The box before a line of the table above chooses another round.")
    intervals = [
        f"{numbers.number(low)} to {numbers.number(high)}" if np.isfinite(low) else ""
        for low, high in zip(own["low"], own["high"], strict=True)
    ]
    facts = own[["state", "predicted", "measured"]].reset_index(drop=True)
    facts.insert(2, "90 % interval", intervals)
    facts["inside"] = ["" if np.isnan(one) else "yes" if one else "no" for one in own["inside"]]
    facts["why it failed"] = own["error"].tolist()
    facts = facts.drop(columns=[name for name in ("90 % interval", "inside", "why it failed") if not facts[name].any()])
    facts = facts.drop(columns=[name for name in ("predicted", "measured") if facts[name].isna().all()])
    codes = codes_of(run.space, own["arch"].tolist())
    records = assembly.architecture_records(run.predictor, codes, facts[[]])
    columns = {"measured": st.column_config.NumberColumn(format="%.4g")}
    line = _candidates.candidates(facts, records, f"round_{run_id}_{number}", columns)
    label = f"Put candidate {line + 1} on Builder's screen"
    if st.button(label, type="tertiary", icon=":material/move_up:", key=f"screen_round_{run_id}"):
        _slots.put(run, codes[line])
        _navigation.go_to("builder", arch=f"typed:{native_text(own['arch'].iloc[line])}")
