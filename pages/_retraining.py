"""Evaluate: a training on the data with the new results, and whose claims still hold beside the run before."""

import pandas as pd
import streamlit as st

from autobuild_core.errors import StudioError, counted
from autobuild_core.figures import quality
from autobuild_core.review import between
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.states import RunState
from pages import _listed, _pins, _run, _start_form, _text, _widgets, _words, _workspace

UNASKED = "Nothing was pinned in that run: these are the best modules of each unit, as it saw them."


def retraining(run: FinishedRun) -> None:
    """The section: the button where there are new results, and the comparison where there is a run before."""
    newest, earlier = _newest(run), _earlier(run)
    if newest is None and earlier.empty:
        return
    st.subheader("Learn from it", anchor=False)
    if newest is not None:
        versions = _listed.versions_of(run)
        before = versions.loc[versions["hash"] == run.config.data_hash, "num_rows"]
        more = int(newest["num_rows"]) - int(before.iloc[0])
        version = f"Version {int(newest['version'])} of {_text.strong(newest['name'])}"
        gained = f"{counted(more, 'row')} more than this run learned from" if more else "the same rows with further metrics"
        st.markdown(f"{version} has {gained}.")
        if st.button("Retrain with the new results", type="primary", key="retrain"):
            _widgets.guarded(lambda: retrain(run, newest))
    if not earlier.empty:
        _compare(run, earlier)


def _newest(run: FinishedRun) -> "pd.Series[str] | None":
    """The newest version of the run's data, where it learned from an older one."""
    versions = _listed.versions_of(run).sort_values("version", ascending=False)
    return None if versions.empty or versions.iloc[0]["hash"] == run.config.data_hash else versions.iloc[0]


def _earlier(run: FinishedRun) -> pd.DataFrame:
    """Finished trainings for the same target on earlier versions of the run's data, newest first."""
    runs, versions = _workspace.runs(), _listed.versions_of(run)
    same = (runs["target"] == run.config.target) & (runs["minimize"] == run.config.minimize) & runs["has_scores"]
    before = runs["data_hash"].isin(versions["hash"]) & (runs["data_version"] < run.config.data_version)
    return runs[same & before & (runs["state"] == RunState.FINISHED)]


def retrain(run: FinishedRun, newest: "pd.Series[str]") -> None:
    """The same training on the newest version of the data; its page opens by itself when it is finished.

    Raises:
        StudioError: the run cannot be made.
    """
    config = run.config
    settings = {"num_members": config.num_members, "num_steps": config.num_steps, "max_length": config.max_length}
    name = f"{_run.name_of(run)[:100].partition(', version ')[0]}, version {int(newest['version'])}"
    _start_form.start(
        name,
        str(newest["id"]),
        config.aim,
        seed=config.seed,
        threads=config.threads,
        drop_stopped=config.drop_stopped,
        **settings,
    )


def _compare(run: FinishedRun, earlier: pd.DataFrame) -> None:
    """Which claims of a run before still hold, and the quality of both."""
    runs = earlier.to_dict("records")
    names = _words.distinct({str(one["id"]): f"{one['name']}, version {int(one['data_version'])}" for one in runs})
    chosen = st.selectbox("Beside the run before", list(names), format_func=names.__getitem__, key=f"before_{run.id}", width=420)
    try:
        before = _run.read_run(chosen, run.task)
    except StudioError as problem:
        st.error(_text.plain(problem, 600))
        return
    if before.task != run.task:
        st.caption(f"That run was not scored at {_text.plain(run.task, 100)}: its claims are those of the average.")
    pinned = [pin.claim for pin in _pins.pins_of(before).all()]
    table = between.claims_between(before, run, pinned or between.best_of_units(before))
    left, right = st.columns([1.9, 1], gap="large")
    with left:
        hold = int(table["verdict"].isin([between.Verdict.HOLDS, between.Verdict.GAINED]).sum())
        st.markdown(
            f"**{hold} of {len(table)}** claims of the run before are sure now." + ("" if pinned else f"  \n:gray[{UNASKED}]")
        )
        st.dataframe(table, hide_index=True, height="auto" if len(table) < 10 else 360)
        _widgets.csv_button(table, "claims_between")
    with right:
        both = quality.compare_table({"before": before.quality, "now": run.quality})
        columns = {c: st.column_config.NumberColumn(format="%.4g") for c in both.columns[1:]}
        st.dataframe(both, hide_index=True, column_config=columns)
