"""Train: the table of runs of any kind of job."""

import pandas as pd
import streamlit as st

from autobuild_core.store.run_folder import TRAIN
from pages import _pair, _widgets, _words


def listing(frame: pd.DataFrame) -> "pd.Series[str] | None":
    """All runs, and the chosen one; a click on a line chooses one and its data."""
    current = _pair.current_run()
    shown = _as_shown(frame, None if current is None else str(current["id"]))
    config = {"Run": st.column_config.TextColumn(width="medium"), "Shown": st.column_config.TextColumn(width="small")}
    picked = st.dataframe(
        shown,
        hide_index=True,
        column_config=config,
        on_select="rerun",
        selection_mode="single-row",
        key="runs",
        height="content" if len(shown) < 7 else 250,
    )
    rows = picked["selection"]["rows"]
    if rows and rows != st.session_state.get("picked_rows"):
        _pair.choose_run(str(frame.iloc[rows[0]]["id"]))
        st.session_state["picked_rows"] = rows
        st.rerun()
    st.session_state["picked_rows"] = rows
    _widgets.csv_button(shown.drop(columns="Shown"), "runs")
    return current


def _as_shown(frame: pd.DataFrame, chosen: str | None) -> pd.DataFrame:
    """The table as a reader sees it; what kind of job a run is only where one is no training.

    Args:
        frame: the table of runs.
        chosen: id of the run that is shown.
    """
    shown = pd.DataFrame(
        {
            "Shown": ["\u25b6" if run == chosen else "" for run in frame["id"]],
            "Run": frame["name"],
            "State": frame["state"],
            "Data": [
                f"{name}, version {int(version)}" if version > 1 else name
                for name, version in zip(frame["data_name"], frame["data_version"], strict=True)
            ],
            "Target": frame["aim"],
            "Seed": ["" if pd.isna(seed) else f"{seed:.0f}" for seed in frame["seed"]],
            "SRCC, held out": ["" if pd.isna(value) else f"{value:.3f}" for value in frame["srcc"]],
            "Verdict": frame["verdict"],
            "Age": [_words.age(moment) for moment in frame["created"]],
        }
    )
    if (frame["kind"] != TRAIN).any():
        shown.insert(2, "Kind", frame["kind"])
        shown.insert(shown.columns.get_loc("Age"), "Result", frame["result"].where(frame["result"] != "", frame["words"]))
    return shown
