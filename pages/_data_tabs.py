"""Data: metrics, refused rows, duplicates and all rows of a stored data set, a tab each."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import TargetError
from autobuild_core.figures import data
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces import load_space
from pages import _aim, _data_run, _growing, _mapping, _selection, _text, _widgets


@st.fragment
def details(table: ArchTable, run: FinishedRun | None) -> None:
    """Metrics, refused rows, duplicates, all rows; each downloads as CSV, and only the one that is looked at is drawn."""
    parts: dict[str, Callable[[ArchTable], None]] = {
        "Metrics": metrics,
        "Metrics against each other": partial(metrics_against_each_other, run=run),
        f"Refused rows ({table.num_rejected:,})": refused,
        f"Duplicates ({table.num_duplicates:,})": duplicates,
        "Architectures": partial(architectures, run=run),
        "How the columns were read": _mapping.how_read,
    }
    parts |= {f"History ({table.version} versions)": _growing.history} if table.version > 1 else {}
    for tab, part in zip(st.tabs(list(parts), on_change="rerun", key="data_tabs"), parts.values(), strict=True):
        if tab.open:
            with tab:
                part(table)


def metrics(table: ArchTable) -> None:
    """The distribution of every metric."""
    if not table.metrics.shape[1]:
        st.caption("The file has no metric.")
        return
    histograms = data.metrics_table(table.metrics)
    _widgets.show(data.metrics_figure(histograms), histograms, "metrics", "Histogram of every metric")


def refused(table: ArchTable) -> None:
    """Rows that are no architecture of the space, and why."""
    frame = pd.DataFrame([(r.row, r.reason) for r in table.rejected], columns=["row", "reason"])
    if table.num_more_rejected:
        st.caption(f"Kept are the first {len(frame):,} of {table.num_rejected:,} refused rows.")
    _widgets.table(frame, "refused_rows", "No row was refused.")


def duplicates(table: ArchTable) -> None:
    """Rows whose network stands in an earlier row of the same context."""
    _widgets.table(data.duplicates_table(table), "duplicates", "No network occurs twice.")


def metrics_against_each_other(table: ArchTable, run: FinishedRun | None) -> None:
    """The scatter matrix."""
    pairs = data.scatter_matrix_table(table.metrics, aimed_at())
    if pairs.shape[1] <= 2:
        st.caption("It takes two metrics that vary to look at them against each other.")
    else:
        figure = data.scatter_matrix_figure(pairs, table.source_rows, _data_run.marks(run), _data_run.chosen_place(run))
        names = ", ".join(str(name) for name in pairs.columns[1:])
        _widgets.show(figure, pairs, "scatter_matrix", f"Scatter matrix of {names}", regions=True, on_pick=lambda: None)
    if left_out := [_text.code(name) for name in table.metrics.columns if name not in pairs.columns]:
        st.caption(f"Not drawn: {', '.join(left_out)}. Five metrics at most: the target's first, repeats last, constants never.")


def architectures(table: ArchTable, run: FinishedRun | None) -> None:
    """All rows; a click on a line chooses that architecture where a run was trained on these data."""
    frame = data.architectures_table(table, load_space(table.spec))
    if run is None:
        _widgets.table(frame, "architectures", "No architecture.")
        return
    one = run

    def choose() -> None:
        if lines := st.session_state["all_rows"]["selection"]["rows"]:
            _selection.choose_row(one, int(lines[0]))

    st.dataframe(frame.head(2000), hide_index=True, height=360, on_select=choose, selection_mode="single-row", key="all_rows")
    st.caption(f"A click on a line chooses it on every page.{' The first 2,000; the CSV has all.' if len(frame) > 2000 else ''}")
    _widgets.csv_button(frame, "architectures")


def aimed_at() -> tuple[str, ...]:
    """The metrics of the target equation."""
    try:
        return _aim.chosen().target.names
    except TargetError:
        return ()
