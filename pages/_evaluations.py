"""Evaluate: the evaluations of this server, live, and how results of all that measures reach the list and the data."""

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core import api
from autobuild_core.architectures.names import native_text
from autobuild_core.errors import DataError, StudioError
from autobuild_core.evaluators._results import metrics_of, unpack_pictures
from autobuild_core.jobs.kinds.evaluate import RESULTS, Evaluate
from autobuild_core.loop import shared
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.states import ACTIVE_STATES, RunState
from pages import _listed, _run_actions, _states, _text, _widgets, _words, _workspace

KIND, ROUNDS = "evaluate", "rounds"
MOST_STRIPS, STRIP_PIXELS = 40, 560


def take_in(run: FinishedRun) -> None:
    """Takes the results of evaluations and loops in rounds that ended into the list and the data, once.

    What cannot be read, or is known already, is said once. Where the disk is full, or somebody else makes a version this moment,
    the next visit tries again.
    """
    log = _listed.log_of(run)
    if log is None:
        return
    heard = log.heard()
    for one in _listed.jobs_of(run, KIND, ROUNDS).iloc[::-1].to_dict("records"):
        run_id, name = str(one["id"]), _text.strong(one["name"])
        if one["state"] in ACTIVE_STATES or one["state"] == RunState.DAMAGED:
            continue
        num = 0
        try:
            path = _workspace.workspace().run(run_id).path / RESULTS
            num = path.read_bytes().count(b"\n") if path.exists() else 0
            if num <= heard.get(run_id, 0):
                continue
            told, _ = shared.tell(
                *(_workspace.workspace(), str(_listed.data_of(run)), path, api.read_more),
                *(f"{one['name']} ({one['aim']})", "" if one["kind"] == ROUNDS else run.id, run_id),
            )
            st.toast(f"{name}: {_text.plain(told.sentence, 300)}")
        except DataError as error:
            st.warning(f"The results of {name} did not join the data. {_text.plain(error, 600)}")
            log.tell([], run_id, num)
        except (StudioError, OSError) as error:
            st.warning(f"The results of {name} could not join the data yet. {_text.plain(error, 600)}")


def evaluations(run: FinishedRun) -> None:
    """The section: the chosen evaluation, live; nothing before the first."""
    frame = _listed.jobs_of(run, KIND)
    if frame.empty:
        return
    ids = [str(one) for one in frame["id"]]
    names = _words.distinct({str(one["id"]): f"{one['name']}, {one['aim']}" for one in frame.to_dict("records")})
    st.subheader("Evaluations", anchor=False)
    chosen = ids[0]
    if len(ids) > 1:
        chosen = st.selectbox("Evaluation", ids, format_func=names.__getitem__, key=f"evaluation_{ids[0]}", width=420)
    shown = frame[frame["id"] == chosen].iloc[0]
    _one(shown)


def _one(shown: "pd.Series[str]") -> None:
    """An evaluation: its state, what can be done, how far each candidate is."""
    run_id, state = str(shown["id"]), str(shown["state"])
    _run_actions.state_line(shown, f", {_text.plain(shown['aim'])}", "evaluation")
    if state != RunState.DAMAGED:
        _widgets.guarded(lambda: _live(run_id, state))


def _live(run_id: str, state: str) -> None:
    """Progress and candidates; read again every second while it lives."""
    is_live = state in ACTIVE_STATES

    @st.fragment(run_every=1.0 if is_live else None)
    def watch() -> None:
        if is_live:
            _states.follow(run_id, state)  # when it has ended its results join the list and the data
        table = Evaluate().by_candidate(_workspace.workspace().run(run_id), state == RunState.RUNNING)
        if not table["error"].any():
            table = table.drop(columns="error")
        numbers = {name: st.column_config.NumberColumn(format="%.4g") for name in table.select_dtypes("number")}
        st.dataframe(table, hide_index=True, column_config=numbers, height="auto" if len(table) < 10 else 360)
        if not is_live:
            _widgets.csv_button(table, "evaluation")

    watch()
    if not is_live:
        strips(run_id)


def strips(run_id: str) -> None:
    """The samples that generative networks drew, all from the same noise, so that a column is one noise; nothing of others."""
    lines = [line for line in Evaluate().lines(_workspace.workspace().run(run_id)) if line.get("samples")]
    if not lines:
        return
    with st.expander("Samples from the same noise", expanded=True):
        for line in lines[:MOST_STRIPS]:
            drawn = unpack_pictures(str(line["samples"]))
            numbers = ", ".join(f"{name} {line[name]:.4g}" for name in metrics_of(line)[:2])
            about, picture = st.columns([1, 3], vertical_alignment="center")
            about.markdown(
                f"{_text.code(line.get('id') or native_text(line['arch']))}, seed {line['seed']}  \n{_text.plain(numbers, 120)}"
            )
            picture.image(np.concatenate(list(drawn), 1), width=STRIP_PIXELS, output_format="PNG")
        if len(lines) > MOST_STRIPS:
            st.caption(f"The first {MOST_STRIPS} of {len(lines):,}.")
