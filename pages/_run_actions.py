"""Train: what can be done with a run: cancel, resume, repeat, rename, delete."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.jobs import kinds
from autobuild_core.store.states import ACTIVE_STATES, STOPPED_STATES, RunState
from autobuild_core.store.workspace import is_sample
from pages import _memory, _pair, _start_form, _states, _text, _widgets, _words, _workspace


def actions(run: "pd.Series[str]", kind: kinds.JobKind[Any] | None) -> None:
    """Cancel, resume, repeat, rename, delete."""
    run_id, own = str(run["id"]), not is_sample(str(run["id"]))
    with st.container(horizontal=True):
        if run["state"] in ACTIVE_STATES and st.button("Cancel", icon=":material/stop_circle:"):
            _widgets.guarded(lambda: cancel(run_id))
        if run["state"] in STOPPED_STATES and kind and kind.resumes and st.button("Resume", icon=":material/play_circle:"):
            _widgets.guarded(lambda: resume(run_id))
        if run["state"] != RunState.DAMAGED and kind:
            repetition(run)
        if own and run["state"] != RunState.DAMAGED:
            with st.popover("Rename"):
                name = st.text_input("New name", str(run["name"]), key=f"rename_{run_id}")
                if st.button("Rename", key=f"do_rename_{run_id}"):
                    _widgets.guarded(lambda: _workspace.workspace().rename_run(run_id, name))
                    st.rerun()
        if own and run["state"] not in ACTIVE_STATES:
            with st.popover("Delete"):
                st.write("The run and all its tables go for good. The data set stays.")
                if st.button("Delete this run", key=f"delete_{run_id}"):
                    _widgets.guarded(lambda: _workspace.workspace().delete_run(run_id))
                    _memory.keep(run=None)
                    st.rerun()


def state_line(run: "pd.Series[str]", about: str, noun: str) -> None:
    """The state of a job in a line, with what stops it or goes on with it, and how it ended where it ended badly.

    Args:
        run: its line in the table of runs.
        about: behind its name.
        noun: what it is called in the keys of its buttons.
    """
    run_id, state = str(run["id"]), str(run["state"])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        badge = f":{_states.STATE_COLOURS[state]}-badge[{state}]"
        since = "" if state in ACTIVE_STATES else f", started {_words.age(run['created'])}"  # the line stands still meanwhile
        st.markdown(f"{badge} {_text.strong(run['name'])}{about}{since}", width="content")
        if state in ACTIVE_STATES and st.button("Cancel", icon=":material/stop_circle:", key=f"cancel_{noun}"):
            _widgets.guarded(lambda: cancel(run_id))
        if state in STOPPED_STATES and st.button("Resume", icon=":material/play_circle:", key=f"resume_{noun}"):
            _widgets.guarded(lambda: resume(run_id))
    if state in (RunState.FAILED, RunState.LOST, RunState.DAMAGED):
        _states.ended_badly(run)


def choose(frame: pd.DataFrame, title: str, noun: str, about: str, new: Callable[[], None] | None) -> "pd.Series[Any] | None":
    """The job that is shown, and beside the list what starts another one.

    Args:
        frame: jobs of one kind, newest first.
        title: one of them is called so.
        noun: in the keys.
        about: said before there is one.
        new: draws the settings of another one; None = none can be started.

    Returns:
        The line of the job; None before there is one.
    """
    labels = _words.distinct({str(one["id"]): f"{one['name']}, {one['aim']}" for one in frame.to_dict("records")})
    chosen = None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if labels:
            chosen = st.selectbox(title, list(labels), format_func=labels.__getitem__, key=f"{noun}_of_{len(labels)}", width=420)
        if new is not None:
            with st.popover(f"New {title.lower()}", icon=":material/add:", key=f"new_{noun}_{len(labels)}"):
                new()
    if chosen is None:
        st.caption(about)
        return None
    return frame[frame["id"] == chosen].iloc[0]


def watched(run: "pd.Series[str]", noun: str, draw: Callable[[], None]) -> None:
    """A job with its state line and aim and what it found so far, drawn again every second while it goes on.

    Args:
        run, noun: as `state_line` has them.
        draw: what it found; nothing of one whose folder cannot be read.
    """
    state_line(run, f", {_text.plain(run['aim'], 200)}", noun)
    if run["state"] == RunState.DAMAGED:
        return
    is_live = run["state"] in ACTIVE_STATES

    @st.fragment(run_every=1.0 if is_live else None)
    def watch() -> None:
        if is_live:
            _states.follow(str(run["id"]), str(run["state"]))
        _widgets.guarded(draw)

    watch()


def repetition(run: "pd.Series[str]") -> None:
    """Another run like this one: of a training with another seed, of any other job with the same settings."""
    run_id = str(run["id"])
    with st.popover("Repeat"):
        if run["has_scores"]:
            seed = st.number_input("Seed of the repetition", 0, 2**31 - 1, int(run["seed"]) + 1, key=f"seed_{run_id}")
        else:
            st.write("A new run with the same settings, from the start.")
        if st.button("Start", type="primary", key=f"repeat_{run_id}"):
            _widgets.guarded(lambda: repeat(run_id, int(seed)) if run["has_scores"] else again(run_id, str(run["kind"])))


def again(run_id: str, kind: str) -> None:
    """A job of another kind than training from the start, on its own copy of the data where it has any."""
    folder = _workspace.workspace().run(run_id)
    data = folder.table() if (folder.path / "table.json").exists() else None
    new = kinds.add(
        _workspace.workspace(), kind, data, **(folder.job.settings | {"name": _workspace.workspace().run_name(run_id)})
    )
    _workspace.executor().submit(new)
    _pair.choose_run(new)
    st.rerun()


def resume(run_id: str) -> None:
    """Goes on with a run that was stopped, from what it wrote."""
    _workspace.executor().resume(run_id)
    st.rerun()


def cancel(run_id: str) -> None:
    """Takes a run out of the queue, or asks it to end, and draws the page anew: a queued one is over at once."""
    _workspace.executor().cancel(run_id)
    if _workspace.workspace().run(run_id).state["state"] in ACTIVE_STATES:
        st.toast("Cancelling: the run stops at its next step, after 3 s at the latest.")
    st.rerun()


def repeat(run_id: str, seed: int) -> None:
    """The same run with another seed, on the run's own copy of the data."""
    folder = _workspace.workspace().run(run_id)
    config = folder.config
    dataset_id = _workspace.workspace().add_dataset(folder.table(), config.data_name)
    settings = {"num_members": config.num_members, "num_steps": config.num_steps, "max_length": config.max_length}
    settings |= {"drop_stopped": config.drop_stopped}
    name = f"{_workspace.workspace().run_name(run_id)[:100]}, seed {seed}"
    _start_form.start(name, dataset_id, config.aim, seed=seed, threads=config.threads, **settings)
