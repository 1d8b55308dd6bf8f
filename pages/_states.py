"""The states of a run on a page: the finished one that is chosen, what is said of every other, how far a live one has come."""

from typing import Any, NoReturn

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.errors import StudioError
from autobuild_core.jobs.kinds import JobKind, load_kind, noun_of
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.states import ACTIVE_STATES, RunState
from pages import _memory, _navigation, _pair, _run, _text, _words, _workspace

STATE_COLOURS: dict[str, str] = {
    RunState.QUEUED: "gray",
    RunState.RUNNING: "blue",
    RunState.FINISHED: "green",
    RunState.FAILED: "red",
    RunState.CANCELLED: "gray",
    RunState.LOST: "red",
    RunState.DAMAGED: "red",
}


def chosen_run() -> FinishedRun:
    """The run of a page that shows results; in every other state says what to do and stops the page."""
    run = _pair.current_run()
    if run is None:
        _no_run()
    assert run is not None
    if run["state"] in ACTIVE_STATES:
        _still_running(str(run["id"]))
    if run["state"] != RunState.FINISHED or not run["has_scores"]:
        ended_badly(run)
        if st.button("Open this run on Train", type="primary"):
            _navigation.go_to("train", run=run["id"])
        st.stop()
    try:
        return _run.read_run(str(run["id"]), _memory.recall("task") or "")
    except StudioError as error:
        st.error(f"This run cannot be shown: {_text.plain(error, 600)}")
        st.stop()


def kind_of(run: "pd.Series[Any]") -> JobKind[Any] | None:
    """The kind of job of a run; None where the file of that kind is gone, or faulty."""
    try:
        return load_kind(str(run["kind"]))
    except Exception:  # the file is a user's
        return None


def ended_badly(run: "pd.Series[Any]") -> None:
    """One clear sentence for a failed, cancelled, lost or damaged run, and for one without scores."""
    sentence, name = _text.plain(run["error"] or "", 600), _text.plain(run["name"], 120)
    if run["state"] == RunState.FAILED:
        st.error(f'The run "{name}" failed. {sentence}')
    elif run["state"] == RunState.LOST:
        kind = kind_of(run)
        again = "Resume" if kind is not None and kind.resumes else "Repeat"
        st.warning(f'The run "{name}" was lost. {sentence} {again} it.')
    elif run["state"] == RunState.DAMAGED:
        st.error(f'The run "{name}" is damaged and can only be deleted, on Train. {sentence}')
    elif run["state"] == RunState.FINISHED:
        st.info(f'The run "{name}" is a {noun_of(str(run["kind"]))}: it has no scores of modules; its result is on Train.')
    else:
        st.info(f'The run "{name}" was cancelled before it finished; its progress is kept on Train.')


def _no_run() -> NoReturn:
    if _workspace.workspace().datasets().empty:
        st.info("Nothing to show yet: upload evaluated architectures, or take the sample.")
        if st.button("Go to Data", type="primary"):
            _navigation.go_to("data")
    else:
        st.info("Nothing to show yet: no run has been trained on these data.")
        if st.button("Go to Train", type="primary"):
            _navigation.go_to("train")
    st.stop()


def _still_running(run_id: str) -> NoReturn:
    st.info("This page fills as soon as the run is finished.")

    @st.fragment(run_every=1.0)
    def watch() -> None:
        _workspace.move_the_queue_on(is_said=False)
        frame = _workspace.runs()
        run = frame[frame["id"] == run_id]
        if run.empty or run.iloc[0]["state"] not in ACTIVE_STATES:
            st.rerun()
        progress_line(run.iloc[0])

    watch()
    if st.button("Watch it on Train", type="primary"):
        _navigation.go_to("train", run=run_id)
    st.stop()


def follow(run_id: str, state: str) -> None:
    """The progress of a live run, for a fragment; draws the page anew where it is not in the state any more."""
    _workspace.move_the_queue_on(is_said=False)
    frame = _workspace.runs()
    now = frame[frame["id"] == run_id]
    if now.empty or now.iloc[0]["state"] != state:
        st.rerun()
    progress_line(now.iloc[0])


def progress_line(run: "pd.Series[Any]") -> None:
    """The progress of a live run: a bar and a sentence."""
    if run["state"] == RunState.QUEUED:
        st.progress(0.0, "Waiting in the queue: one run at a time.")
        return
    kind = kind_of(run)
    if kind is None:
        st.progress(0.0, str(run["words"]) or "Running")
        return
    come = kind.progress(_workspace.workspace().run(str(run["id"])).last_progress())
    left = f", about {_words.duration(come.seconds_left)} left" if come.seconds_left is not None else ""
    st.progress(float(np.clip(come.share, 0, 1)), f"{come.words}{left}")
