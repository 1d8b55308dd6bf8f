"""Train: the form that starts a training, the table of runs of any kind of job, the chosen run live."""

import pandas as pd
import streamlit as st

from autobuild_core.errors import StudioError
from pages import _entering, _memory, _run_detail, _run_list, _start_form, _text, _widgets, _workspace

HOW_TO_READ = (
    "a click on a line of the table chooses a run: its curves, its log and its quality follow below, live while it "
    "trains. Held-out SRCC is the rank correlation of prediction and measurement on networks the model never saw; 1 is "
    "perfect, 0 is chance. In the last chart every dot is one such network: near the diagonal it was predicted well, "
    "and a click chooses it on every page."
)


def render(runs: pd.DataFrame) -> None:
    """The page.

    Args:
        runs: the table of runs.
    """
    if runs.empty:
        _start_form.form()
        return
    is_unfolded = _memory.visit().setdefault("form", _start_form.wanted(runs))
    with st.expander("Start a training", expanded=is_unfolded, icon=":material/add:"):
        _start_form.form()
    try:
        shown = _run_list.listing(runs)
        if shown is None:
            st.caption(
                "No run was trained on the chosen data; a click on a line chooses a run and the data that it was trained on."
            )
        else:
            _run_detail.detail(shown, runs)
    except StudioError as problem:
        st.error(_text.plain(problem, 600))


_entering.enter("train")
_widgets.title("Train", HOW_TO_READ)
render(_workspace.runs())
