"""The lower sections of Hops: scorers beside each other, interactions, two targets side by side."""

from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.figures import hops, rankings, trust
from autobuild_core.scoring import comparing
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.states import RunState
from pages import _linked, _memory, _run, _selection, _text, _theme, _trust, _widgets, _workspace

KINDS = {"layers": "single layers", "units": "best modules of units"}


@st.fragment
def closer(run: FinishedRun) -> None:
    """One of the sections, chosen and remembered in the URL: only what is looked at is drawn."""
    sections = {"scorers": scorers, "interactions": interactions, "targets": two_targets}
    names = {"scorers": "Scorers beside each other", "interactions": "Interactions", "targets": "Two targets side by side"}
    known = _memory.recall("look")
    start = known if known in sections else "scorers"
    chosen = st.segmented_control("Look closer", list(sections), default=start, format_func=names.__getitem__, key="look_widget")
    _memory.keep(look=None if chosen in (None, "scorers") else chosen)
    sections[chosen or "scorers"](run)


def scorers(run: FinishedRun) -> None:
    """Each scorer's best modules; where they disagree the page says so; any of them as a ranking."""
    st.subheader("Scorers beside each other", anchor=False)
    table = _run.extra(run, "scorers")
    if table.empty:
        st.caption(_trust.OLDER)
        return
    _trust.of_the_average(run)
    labels = {index: unit.label for index, unit in enumerate(run.table.spec.units) if index in set(table["unit_index"])}
    best = comparing.best_by_scorer(table)
    sentence = trust.disagreement_sentence(best, labels)
    (st.warning if sentence else st.success)(_text.plain(sentence or "All scorers name the same best module in every unit.", 600))
    trusted = _trust.report_of(run)
    explained = {line.scorer: line for line in (trusted.scorers if trusted else ())}
    st.dataframe(trust.scorers_table(best, labels), hide_index=True, height="content")
    _widgets.csv_button(table, "scorers")
    missing = [f"{line.title}: {line.why_not}" for line in explained.values() if line.why_not]
    not_applicable = f"Not applicable. {'; '.join(missing)}" if missing else ""
    st.caption(_text.plain(f"Best module of each unit, by scorer. {not_applicable}", 600))
    one, two, _ = st.columns([1, 1, 2])
    titles = dict(table[["scorer", "title"]].drop_duplicates().itertuples(index=False))
    chosen = one.selectbox("Scorer", list(titles), format_func=titles.__getitem__, key="scorer_widget")
    index = two.selectbox("Unit", list(labels), format_func=labels.__getitem__, key="scorer_unit")
    if chosen in explained:
        st.caption(_text.plain(explained[chosen].explained, 300))
    ranking = trust.scorer_ranking(table, chosen, index)
    ranking["whole_unit"] = True
    figure = rankings.ranking_figure(ranking, _run.scale(run, Lens.SCORE), _theme.theme(), _linked.chosen_line_of(run, ranking))
    click = _linked.module_click("plot_scorer_ranking", ranking)
    alt = f"The best modules of {labels[index]} by {titles[chosen]}"
    _widgets.show(figure, ranking, "scorer_ranking", alt, on_pick=click)


def interactions(run: FinishedRun) -> None:
    """Second differences as a heat map of places and the strongest pairs."""
    st.subheader("Interactions", anchor="interactions")
    table = _run.extra(run, "interactions")
    if table.empty:
        st.caption(_trust.OLDER if _trust.report_of(run) is None else "No two places vary together.")
        return
    _trust.of_the_average(run)
    st.caption(
        "What two modules bring together beyond what each brings alone, over random architectures: f(a, b) - f(a) - f(b) + f(). "
        "Zero everywhere would mean that the best modules of the units simply add up."
    )
    kinds = [kind for kind in KINDS if (table["kind"] == kind).any()]
    kind = (
        st.segmented_control("Pairs of", kinds, default=kinds[0], format_func=KINDS.__getitem__, key="pairs_widget") or kinds[0]
    )
    left, right = st.columns(2, gap="large")
    with left:
        grid = trust.interactions_heat_table(table, kind)
        figure = trust.interactions_heat_figure(grid, run.config.minimize, run.unit, _theme.theme())
        _widgets.show(figure, table, "interactions", "The strongest second difference of every pair of places")
    with right:
        pairs = trust.interactions_table(table, kind)
        figure = trust.interactions_figure(pairs, run.config.minimize, run.unit, _theme.theme())
        _widgets.show(figure, pairs, "pairs", "The strongest interactions with their intervals")


@st.cache_data(max_entries=8, show_spinner="Comparing the rankings")
def _compared(first: str, second: str, task: str) -> pd.DataFrame:
    one, two = _run.read_run(first, task), _run.read_run(second, task)
    return comparing.two_targets(one.modules, two.modules, one.config.minimize, two.config.minimize)


def rivals(run: FinishedRun) -> dict[str, str]:
    """Finished runs on the same data with another target: id -> what a reader sees."""
    frame = _workspace.runs()
    of_these = frame["has_scores"] & (frame["data_hash"] == run.config.data_hash) & (frame["id"] != run.id)
    same = (frame["target"] == run.config.target) & (frame["minimize"] == run.config.minimize)
    others = frame[(frame["state"] == RunState.FINISHED) & of_these & ~same]
    return {str(line["id"]): f"{line['name']}: {line['aim']}" for _, line in others.iterrows()}


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
    name = run.config.aim.words, others[other].rpartition(": ")[2]
    st.caption(_text.plain(f"A: {name[0]}. B: {name[1]}.", 300))
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
        heats(run, _run.read_run(other, run.task), name)


def heats(run: FinishedRun, other: FinishedRun, names: tuple[str, str]) -> None:
    """Layer by position under both targets, each in its own run's colours."""
    for one, letter, name in zip((run, other), "AB", names, strict=True):
        st.markdown(f"##### {letter}: {_text.plain(name, 60)}")
        heat = rankings.heat_table(one.modules, one.table.spec, Lens.SCORE, one.num_evaluated, one.unit)
        figure = rankings.heat_figure(heat, _run.scale(one, Lens.SCORE), _theme.theme(), _linked.chosen_line_of(run, heat))
        alt = f"Scores of every layer at every position for {name}"
        click = _linked.module_click(f"plot_heat_{letter}", heat, curve=2)
        _widgets.show(figure, heat, f"heat_{letter}", alt, on_pick=click)
