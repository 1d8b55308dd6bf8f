"""Train: the chosen run, live while it trains, judged when it is finished."""

import pandas as pd
import streamlit as st

from autobuild_core.figures import quality
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.states import ACTIVE_STATES, STOPPED_STATES, RunState
from autobuild_core.targets.aim import Aim
from pages import (
    _aim,
    _linked,
    _memory,
    _run,
    _run_actions,
    _selection,
    _states,
    _text,
    _theme,
    _widgets,
    _words,
    _workspace,
)


def detail(run: "pd.Series[str]", frame: pd.DataFrame) -> None:
    """The chosen run."""
    state = str(run["state"])
    st.subheader(_text.plain(run["name"], 100), anchor=False)
    badge = f":{_states.STATE_COLOURS[state]}-badge[{state}]"
    st.markdown(f"{badge} {_words.age(run['created'])}, {asked(run)}")
    if state in (*STOPPED_STATES, RunState.DAMAGED):
        _states.ended_badly(run)
    kind = _states.kind_of(run)
    if kind is None:
        st.warning(f"There is no kind of job called {_text.code(run['kind'])} here any more; the run can still be deleted.")
    _run_actions.actions(run, kind)
    if state == RunState.DAMAGED:
        return
    live(str(run["id"]))
    if state == RunState.FINISHED and run["has_scores"]:
        judged(_run.read_run(str(run["id"])), frame)
    elif state == RunState.FINISHED and kind:
        result = kind.result(_workspace.workspace().run(str(run["id"])))
        _widgets.table(result, str(run["kind"]), str(run["result"]))
    with st.expander("Log", expanded=state == RunState.FAILED):
        log = _workspace.workspace().run(str(run["id"])).log_text()[-20_000:]
        st.code(log or "The log is empty so far.", language=None, height=260)


def asked(run: "pd.Series[str]") -> str:
    """The aim of a run in Markdown, with its seed where it has one."""
    aim = Aim.of(run)
    words = _text.plain(run["aim"], 200)
    if run["has_scores"]:
        words = f"{_aim.words(aim)} ({_aim.equation(aim)})" if aim.name else f"{aim.direction} {_text.code(aim.expression)}"
    return words if pd.isna(run["seed"]) else f"{words}, seed {run['seed']:.0f}"


def live(run_id: str) -> None:
    """Curves of a run; reads again every second while it lives, and draws the whole page anew when it ends."""
    frame = _workspace.runs()
    found = frame[frame["id"] == run_id]
    alive = not found.empty and found.iloc[0]["state"] in ACTIVE_STATES

    @st.fragment(run_every=1.0 if alive else None)
    def curves() -> None:
        if alive:
            _workspace.move_the_queue_on(is_said=False)
            rows = _workspace.runs()
            now = rows[rows["id"] == run_id]
            if now.empty or now.iloc[0]["state"] != found.iloc[0]["state"]:
                st.rerun()  # the rest of the page shows the state too
            _states.progress_line(now.iloc[0])
        progress = _workspace.workspace().run(run_id).progress()
        if not progress.empty and "loss" in progress:
            draw_curves(progress, alive)
        elif not alive and found["has_scores"].all():
            st.caption("This run left no curve: it ended before its first step.")

    curves()


def draw_curves(progress: pd.DataFrame, alive: bool) -> None:
    """Loss and held-out SRCC by step; their tables once the run has ended."""
    left, right = st.columns(2, gap="large")
    with left:
        losses = progress.dropna(subset=["loss"])
        table = None if alive else losses[["step", "loss"]]
        _widgets.show(quality.loss_figure(losses), table, "loss", "Training loss by step")
    with right:
        hops = quality.hop_progress_table(progress)
        figure = quality.hop_progress_figure(hops)
        _widgets.show(figure, None if alive else hops, "hop_progress", "Held-out SRCC by step, a line a hop")


@st.fragment
def judged(run: FinishedRun, frame: pd.DataFrame) -> None:
    """Prediction against measurement, and the comparison with another finished run."""
    _linked.line(run, "train")
    left, right = st.columns(2, gap="large")
    with left:
        chosen = _selection.chosen_row(run) if _memory.recall("arch") else None
        figure = quality.predictions_figure(run.predictions, run.label.axis, chosen, _linked.marked(run), _theme.theme())
        alt = f"Held-out prediction against measurement, one dot an architecture; rank correlation {run.quality['srcc']:.3f}"
        click = _linked.row_click("plot_predictions", run)
        _widgets.show(figure, run.predictions, "predictions", alt, on_pick=click)
    with right:
        others = frame[(frame["state"] == RunState.FINISHED) & frame["has_scores"] & (frame["id"] != run.id)]
        names = _words.distinct({str(row["id"]): str(row["name"]) for _, row in others.iterrows()})
        other = st.selectbox(
            "Compare with", list(names), None, format_func=names.__getitem__, placeholder="another finished run", key="compare"
        )
        sides = {f"{_run.name_of(run)} ": run.quality}
        if other:
            sides[names[other]] = _run.read_run(other).quality
        table = quality.compare_table(sides)
        st.dataframe(
            table, hide_index=True, column_config={c: st.column_config.NumberColumn(format="%.4g") for c in table.columns[1:]}
        )
        _widgets.csv_button(table, "comparison")
