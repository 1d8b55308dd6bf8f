"""Hops: the same units under two targets."""

from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.figures import hops, rankings, trust
from autobuild_core.scoring import comparing
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.states import RunState
from pages import _linked, _memory, _run, _selection, _text, _theme, _widgets, _words, _workspace


def two_targets(run: FinishedRun) -> None:
    """The same units under two targets."""
    st.subheader("Two targets side by side", anchor=False)
    others = rivals(run)
    if not others:
        st.caption("Train another target on the same data to see what changes in each unit; other runs cannot be compared here.")
        return
    known = _memory.recall("other")
    one, two = st.columns([2, 1])
    ids = list(others)
    other = one.selectbox(
        "This run beside", ids, ids.index(known) if known in ids else 0, format_func=others.__getitem__, key="other_run"
    )
    _memory.keep(other=None if other == ids[0] else other)
    units, chosen = run.table.spec.units, _selection.unit(run.table.spec)
    index = two.selectbox("Unit", range(len(units)), chosen or 0, format_func=lambda i: units[i].label, key="other_unit")
    _selection.choose_unit(run.table.spec, index)
    table = _widgets.guarded(lambda: _compared(run.id, other, run.task))
    if table is None:
        return
    if _run.read_run(other, run.task).task != run.task:
        st.caption(_text.plain(f"B has no task {run.task} of its own: it is the average over its contexts.", 200))
    shown = trust.slopes_shown(table, index)
    if shown.empty:
        st.caption("No module was scored under both targets.")
        return
    _side_by_side(run, _run.read_run(other, run.task), (run.config.aim.words, others[other].rpartition(": ")[2]), table, index)


def _side_by_side(run: FinishedRun, other: FinishedRun, names: tuple[str, str], table: pd.DataFrame, index: int) -> None:
    """The changes from one target to the other: all units in a table, one of them as ranks and as heat maps.

    Args:
        run: A.
        other: B.
        names: of the targets, in words.
        table: of both runs' modules, with a rank under each.
        index: of the unit.
    """
    units, shown = run.table.spec.units, trust.slopes_shown(table, index)
    st.caption(_text.plain(f"A: {names[0]}. B: {names[1]}.", 300))
    summary = hops.targets_table(table)
    config: dict[str, Any] = {
        "unit": "unit", "best_first": "best for A", "best_second": "best for B", "num_modules": "modules",
        "rank_under_second": st.column_config.NumberColumn("A's best ranks under B"),
        "rank_under_first": st.column_config.NumberColumn("B's best ranks under A"),
        "agreement": st.column_config.NumberColumn("agreement", format="%.2f", help="Spearman correlation of the rankings"),
    }  # fmt: skip
    st.dataframe(summary, hide_index=True, column_config=config)
    _widgets.csv_button(summary, "targets_by_unit")
    left, right = st.columns(2, gap="large")
    with left:
        changed = int((shown["change"] != 0).sum())
        st.markdown(f"##### {changed} of the {len(shown)} leading modules of {_text.plain(units[index].label)} change place")
        alt = f"Ranks of the modules of {units[index].label} under two targets"
        _widgets.show(trust.slopes_figure(shown, "A", "B"), table, "two_targets", alt)
    with right:
        heats(run, other, names)


def rivals(run: FinishedRun) -> dict[str, str]:
    """Finished runs on the same data with another target: id -> what a reader sees."""
    frame = _workspace.runs()
    of_these = frame["has_scores"] & (frame["data_hash"] == run.config.data_hash) & (frame["id"] != run.id)
    same = (frame["target"] == run.config.target) & (frame["minimize"] == run.config.minimize)
    others = frame[(frame["state"] == RunState.FINISHED) & of_these & ~same]
    return _words.distinct({str(line["id"]): f"{line['name']}: {line['aim']}" for _, line in others.iterrows()})


@st.cache_data(max_entries=8, show_spinner="Comparing the rankings")
def _compared(first: str, second: str, task: str) -> pd.DataFrame:
    one, two = _run.read_run(first, task), _run.read_run(second, task)
    return comparing.two_targets(one.modules, two.modules, one.config.minimize, two.config.minimize)


def heats(run: FinishedRun, other: FinishedRun, names: tuple[str, str]) -> None:
    """Layer by position under both targets, each in its own run's colours."""
    for one, letter, name in zip((run, other), "AB", names, strict=True):
        st.markdown(f"##### {letter}: {_text.plain(name, 60)}")
        heat = rankings.heat_table(one.modules, one.table.spec, Lens.SCORE, one.num_evaluated, one.unit)
        figure = rankings.heat_figure(heat, _run.scale(one, Lens.SCORE), _theme.theme(), _linked.chosen_line_of(run, heat))
        alt = f"Scores of every layer at every position for {name}"
        click = _linked.module_click(f"plot_heat_{letter}", heat, curve=2)
        _widgets.show(figure, heat, f"heat_{letter}", alt, on_pick=click)
