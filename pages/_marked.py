"""Map: what the marked architectures are and have in common, and the chosen one."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from autobuild_core.architectures.numbers import number
from autobuild_core.figures import candidates, drawing, rankings, space
from autobuild_core.scoring import space_map
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.scoring.space_map import Brush
from pages import _memory, _run, _selection, _text, _theme, _widgets, _words

LISTED = 300  # lines of the table of architectures that are drawn; the CSV has all


def summary(run: FinishedRun, points: pd.DataFrame, held: "NDArray[np.bool_]", region: Brush | None) -> None:
    """The marked architectures in numbers, beside the others."""
    target, sign = points["target"].to_numpy(float), 1 if run.config.minimize else -1
    inside = target[held]
    st.subheader("All evaluated" if region is None else "The marked region", anchor=False)
    if not len(inside):
        st.caption("No evaluated architecture lies here; the surface is the predictor's guess. Mark another region.")
        return
    best = inside[np.argmin(sign * inside)]
    share = "" if region is None else f" of {len(target):,}"
    st.markdown(
        f"**{len(inside):,}**{share} architectures  \nbest {_text.strong(run.amount(float(best)))}, median "
        f"{_text.strong(run.amount(float(np.median(inside))))}"
    )
    group = np.where(held, "marked" if region is not None else "all evaluated", "the others")
    table = pd.DataFrame({"source_row": points["source_row"], "target": target, "group": group})
    names = ("the others", "marked") if region is not None else ("all evaluated",)
    figure = rankings.groups_figure(table, run.label.axis, names)
    _widgets.show(
        figure, table, "marked_targets", "Distribution of the measured target of the marked architectures and of the others"
    )


def chosen_one(run: FinishedRun, points: pd.DataFrame) -> None:
    """The chosen architecture, drawn and coloured by its modules."""
    row = _selection.chosen_row(run)
    if row is None or not (points["row"] == row).any():
        st.caption("The chosen architecture was not measured, so it has no place on the map.")
        return
    line = run.predictor.predict(run.table.codes[[row]]).iloc[0]
    own = _memory.recall("arch") is not None
    st.subheader(f"{'Chosen' if own else 'Best measured'}: row {int(run.table.source_rows[row])}", anchor=False)
    st.markdown(
        f"measured {_text.strong(run.amount(run.measured(row)))}, predicted {number(line['predicted'])} "
        f"{_words.interval(line['low'], line['high'])}"
    )
    lens = _selection.lens()
    drawn = _run.drawn(run, run.table.codes[row], 0, lens)
    figure = drawing.architecture_figure(drawn, _theme.theme()).update_layout(height=170)
    _widgets.show(
        figure, _widgets.drawing_facts(drawn), "chosen_architecture", f"Architecture of row {int(run.table.source_rows[row])}"
    )


def below(run: FinishedRun, points: pd.DataFrame, held: "NDArray[np.bool_]", region: Brush | None) -> None:
    """The common layers of the marked architectures, else of the best tenth; and all of them as a table."""
    left, right = st.columns([1, 1.2], gap="large")
    with left:
        who = "the best tenth" if region is None else "the marked"
        st.subheader(f"What {who} have in common", anchor=False)
        if region is None:
            held_now = space_map.best_tenth(points["target"].to_numpy(float), run.config.minimize)
        else:
            held_now = held
        if held_now.any():
            rows = points["row"].to_numpy(int)
            table = space_map.in_common(run.table.codes[rows], run.table.spec, held_now)
            _widgets.show(
                space.in_common_figure(table, who), table, "in_common", f"Layers of {who} architectures against those of all"
            )
    with right:
        st.subheader("Architectures, best first", anchor=False)
        listing(run, points[held].sort_values("target", ascending=run.config.minimize, kind="stable"))


def listing(run: FinishedRun, inside: pd.DataFrame) -> None:
    """The architectures, a column a unit; a click on a line chooses one."""
    if inside.empty:
        st.caption("None.")
        return
    rows = inside["row"].to_numpy(int)
    shown = candidates.units_table(run.table, rows[:LISTED])
    shown.insert(1, "measured", inside["target"].to_numpy()[:LISTED])

    def choose() -> None:
        if lines := st.session_state["map_rows"]["selection"]["rows"]:
            _selection.choose_row(run, int(rows[lines[0]]))

    st.dataframe(shown, hide_index=True, on_select=choose, selection_mode="single-row", key="map_rows", height=390)
    if len(rows) > LISTED:
        st.caption(f"The first {LISTED} of {len(rows):,}; the CSV has all.")
    _widgets.csv_button(inside.drop(columns="row"), "marked")
