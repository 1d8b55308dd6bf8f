"""The lower sections of Hops: scorers beside each other, interactions."""

import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.figures import rankings, trust
from autobuild_core.scoring import comparing
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _linked, _memory, _run, _text, _theme, _trust, _two_targets, _widgets

KINDS = {"layers": "single layers", "units": "best modules of units"}


@st.fragment
def closer(run: FinishedRun) -> None:
    """One of the sections, chosen and remembered in the URL: only what is looked at is drawn."""
    sections = {"scorers": scorers, "interactions": interactions, "targets": _two_targets.two_targets}
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
