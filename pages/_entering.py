"""The beginning of every page: the queue moves on, choices are restored, the bar is drawn."""

from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.errors import StudioError
from autobuild_core.store.states import RunState
from pages import _bar, _memory, _navigation, _pair, _run, _selection, _streamlit, _text, _theme, _workspace


def enter(name: str) -> None:
    """The first line of every page: repairs the navigation where app.py did not run, moves the queue on, draws the bar.

    A deep link as the first hit of a server starts the page without app.py (tests: "first_hit").
    """
    if _streamlit.is_navigation_missing():
        _navigation.navigation()
        st.rerun()
    same_page = st.session_state.get("page_shown") == name
    if not same_page:
        _streamlit.forget_fragments()
        st.session_state["visit"] = {"from": st.session_state.get("page_shown")}
        st.session_state["page_shown"] = name
    st.html(_theme.style())
    _workspace.move_the_queue_on()
    _memory.restore(same_page)
    if "heard" in _memory.visit():  # Streamlit drops the callback of a choice where the next click comes before it is done
        _memory.visit()["heard"]()
    wanted = _memory.recall("run")
    run = _pair.current_run(fall_back_to_sample=name != "home")
    if run is not None and _workspace.workspace().check_run(str(run["id"])) and run["state"] != RunState.DAMAGED:
        run = _pair.current_run(fall_back_to_sample=name != "home")  # its folder was found damaged this moment
    if wanted is not None and not (_workspace.runs()["id"] == wanted).any():
        _memory.visit()["instead"] = None if run is None else run["id"]
    if run is not None or name != "home" or not _workspace.workspace().datasets().empty:
        _bar.top_bar(name, run)
    _say_what_is_gone(run)


def _say_what_is_gone(run: "pd.Series[Any] | None") -> None:
    """Sentences where the link names a run or a row that is not there, so that nothing else than `run` is shown in silence."""
    if "instead" in _memory.visit() and _memory.visit()["instead"] == (None if run is None else run["id"]):
        other = "" if run is None else f'; shown is "{_text.plain(run["name"])}"'
        st.warning(f"The run in this link does not exist any more{other}.")
    if run is None or run["state"] != RunState.FINISHED or not run["has_scores"]:
        return
    row = None
    if _memory.recall("arch") is None:  # Importance has already put the best in its place
        row = _memory.visit().get("row")
    if named := _selection.named_rows():
        try:
            known = _run.read_run(str(run["id"])).table.source_rows
        except StudioError:
            return  # the page says it
        if missing := [one for one in named if not (known == _memory.whole_number(one)).any()]:
            row = _memory.visit()["row"] = missing[0]
    if row is not None:
        said = "is not among the data of this run; shown is the best measured architecture."
        st.warning(f"Row {_text.plain(row)} of this link {said}")
