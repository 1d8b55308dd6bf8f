"""Evaluate: what was measured beside what was predicted, apart for candidates that were chosen and for controls."""

from collections.abc import Sequence
from dataclasses import asdict

import streamlit as st

from autobuild_core.errors import counted, listed
from autobuild_core.figures import outcome as figures
from autobuild_core.loop.outcome import GROUPS, by_group, outcomes, selection_cost
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.candidates import Candidate, CandidateState
from pages import _listed, _text, _widgets, _workspace

NOTHING = "When candidates have been measured, their predictions stand here beside the measurements."


def outcome(run: FinishedRun) -> None:
    """The section."""
    found = _listed.listed(run)
    if not found:
        return
    st.subheader("Predicted and measured", anchor=False)
    held = run.predictor.held
    table = outcomes(found, run.config.goal, "" if held is None else held.words)
    if table.empty:
        st.caption(NOTHING)
        return
    groups = by_group(table)
    left, right = st.columns([1.35, 1], gap="large")
    with left:
        names = {origin.value: words for origin, words in GROUPS.items()}
        figure = figures.outcome_figure(table, names, run.label.axis)
        _widgets.show(figure, table, "outcome", "Measured against predicted, a dot a candidate with its 90 % interval")
    with right:
        if (cost := selection_cost(table)) is not None:
            st.markdown(_text.plain(figures.outcome_words(**asdict(cost), unit=run.unit), 400))
        shown = figures.group_table(groups, run.unit).map(lambda cell: _text.plain(cell, 200))  # its cells are Markdown
        st.table(shown.set_index("proposed"), border="horizontal")
        st.caption(_whose(run, found, set(table["id"])))
        st.caption(
            "Better than predicted by: mean of measured less predicted, turned so that above 0 is better, with its 90 % "
            "interval. Inside 90 %: candidates whose interval holds what was measured, and the share that this allows."
        )
        _widgets.csv_button(groups, "outcome_groups")


def _whose(run: FinishedRun, found: Sequence[Candidate], shown: set[str]) -> str:
    """The runs that predicted, and how many candidates failed, in a sentence."""
    runs = _workspace.runs().set_index("id")["name"]
    mine = [one.prediction.run for one in found if one.id in shown]
    names = [_text.plain(runs.get(one, "a run that is gone")) for one in dict.fromkeys(mine)]
    failed = sum(one.state is CandidateState.FAILED for one in found)
    return f"Predicted by {listed(names)}." + (
        f" {counted(failed, 'candidate')} failed and count nowhere here." if failed else ""
    )
