"""Builder: searches of the run's space: started, watched while they go on, cancelled, gone on with."""

from typing import Any

import streamlit as st

from autobuild_core.errors import StudioError, counted
from autobuild_core.evaluators import load_evaluator
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.evaluators._searching import Found, found_so_far
from autobuild_core.figures import searching
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.evaluate import RESULTS
from autobuild_core.jobs.kinds.search import SearchSettings
from autobuild_core.loop.proposing import codes_of
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.reduction import Keep, Ranking, reduce_space
from autobuild_core.search.searchers import searcher_class, searcher_names
from pages import _budgets, _listed, _measurable, _run_actions, _slots, _text, _widgets, _workspace

KIND = "search"
PREDICTIONS = "The run's own predictions"
ABOUT = (
    "A searcher proposes architectures, an evaluator measures them or the run predicts them; each network is evaluated once. By "
    "the run's predictions a search finds what the predictor believes: a list to measure, not a measurement."
)
NO_BUDGETS = "A search looks at its targets alone, not at the budgets above: these hold in what is built, swapped and priced."
WHOLE, REDUCED = "Whole space", "Reduced space"
DEFAULT = "bayesian_optimisation"
FIRST, SECOND = "Target", "Second target, for a front"
FRONTS = ("pareto_evolution", "pareto_evolution_layers", "random")  # searchers to whom a second target says something


def section(run: FinishedRun) -> None:
    """The searches of this run's space, and what starts another."""
    shown = _run_actions.choose(_listed.jobs_of(run, KIND), "Search", KIND, ABOUT, lambda: _new(run))
    if shown is not None:
        _run_actions.watched(shown, KIND, lambda: _results(run, str(shown["id"])))


def _new(run: FinishedRun) -> None:
    """The settings of another search, and the button that starts it."""
    name = st.text_input("Name", "Search", max_chars=120, key="search_name")
    found = _measurable.measurable(run)
    by = [PREDICTIONS, *found.titles]
    evaluator = st.selectbox("Judged by", by, format_func=lambda one: found.titles.get(one, one), key="search_by")
    own = _measurable.predictions_of(run) if evaluator == PREDICTIONS else evaluator
    metrics = [one for one in load_evaluator(own).metrics if one not in ("low", "high")]
    left, right = st.columns(2)
    target, minimize = _target(run, own, metrics, left, FIRST)
    second, minimize_second = _target(run, own, metrics, right, SECOND)
    searchers = [one for one in searcher_names() if not second or one in FRONTS]
    index = searchers.index(DEFAULT) if DEFAULT in searchers else 0
    titles = {one: searcher_class(one).title for one in searchers}
    key = f"searcher_{bool(second)}"
    searcher = st.selectbox("Searcher", searchers, index, format_func=titles.__getitem__, key=key)
    st.caption(_text.plain(f"{searcher_class(searcher).about}.", 200))
    left, right = st.columns(2)
    num = left.number_input("Networks to evaluate", value=100, step=10, key="search_num")
    seed = right.number_input("Seed", value=0, step=1, key="search_seed")
    space = left.segmented_control("Space", [WHOLE, REDUCED], default=WHOLE, key="search_space") or WHOLE
    top_k = right.number_input("Modules kept a unit", value=10, step=1, key="search_kept") if space == REDUCED else None
    if _budgets.written():
        st.caption(NO_BUDGETS)
    refusal = st.container()
    if st.button("Start the search", type="primary", key="start_search"):
        settings: dict[str, Any] = {"evaluator": own, "searcher": searcher, "num": int(num), "seed": int(seed), "target": target}
        settings |= {"minimize": minimize, "second": second, "minimize_second": minimize_second}
        with refusal:
            _widgets.guarded(lambda: _start(run, name, settings, None if top_k is None else int(top_k)))


def _target(run: FinishedRun, evaluator: str, metrics: list[str], place: Any, label: str) -> tuple[str, bool]:
    """(a target, smaller values are better): a metric of an evaluator, or an equation where it does not say which it has."""
    key = f"search_{label}_{evaluator}"
    if metrics:
        options = [*([] if label == FIRST else [""]), *metrics]
        target = str(place.selectbox(label, options, format_func=lambda one: one or "none", key=key))
    else:
        target = str(place.text_input(label, run.config.target if label == FIRST else "", key=key)).strip()
    if not target:
        return "", False
    by_name = run.config.minimize if target == run.config.target else load_evaluator(evaluator).minimizes(target)
    return target, bool(place.toggle("Smaller is better", by_name, key=f"{key}_{target}"))


def _start(run: FinishedRun, name: str, settings: dict[str, Any], top_k: int | None) -> None:
    """Starts a search.

    Raises:
        StudioError: a setting does not do.
    """
    space = run.space
    if top_k is not None:
        space = reduce_space([Ranking(run.config.name, run.predictor, run.modules)], Keep(top_k)).space
    called = " ".join(name.split()) or "Search"
    data = {"data_name": run.config.data_name, "data_hash": run.config.data_hash, "data_version": run.config.data_version}
    own: dict[str, Any] = settings | data | {"space": space.spec.to_json(), "name": called}
    run_id = kinds.add(_workspace.workspace(), KIND, **own)
    _workspace.executor().submit(run_id)
    st.rerun()


def _results(run: FinishedRun, run_id: str) -> None:
    """The curve so far, and the best of it, which can be put on the screen."""
    folder = _workspace.workspace().run(run_id)
    settings: SearchSettings = kinds.load_kind(KIND).settings_of(folder)
    found = found_so_far(settings.plan, ResultsFile(folder.path / RESULTS).read())
    if not found.archs:
        st.caption("Nothing is evaluated yet.")
        return
    table = found.table()
    by_itself = settings.evaluator == _measurable.predictions_of(run) and found.aim.expression == "predicted"
    is_target = (by_itself or found.aim.expression == run.config.target) and found.aim.minimize == run.config.minimize
    best = run.measured(int(run.ranked_rows()[0])) if is_target else None
    title = run.label.axis if is_target else found.aim.label.title
    figure = searching.anytime_figure(table, title, best)
    _widgets.show(figure, table.astype({"arch": str}), "search", "What the search found so far", key=f"plot_search_{run_id}")
    _best(run, found)


def _best(run: FinishedRun, found: Found) -> None:
    """The best of a search, or its front, in words, with what puts it on the screen."""
    told = found.summary()
    if told["best"] is None:
        st.caption(f"None of {counted(told['num'], 'network')} has the target yet.")
        return
    value = _text.strong(f"{told['best']['value']:.5g}")
    what = f"the best {value}"
    if "front" in told:
        what = f"{counted(len(told['front']), 'network')} on the front"
        if told["hypervolume"] is not None:
            corner = ", ".join(f"{value:.4g}" for value in told["reference"])
            what += f", hypervolume {told['hypervolume']:.4g} against ({corner})"
    failed = f", {told['failed']} of them failed" if told["failed"] else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{counted(told['num'], 'network')} evaluated{failed}: {what}.", width="content")
        try:
            best = codes_of(run.space, [told["best"]["arch"]])[0]
        except StudioError:
            return
        st.button(
            "Put the best on the screen", type="tertiary", icon=":material/move_up:", key="screen_found", on_click=_slots.put,
            args=(run, best),
        )  # fmt: skip
