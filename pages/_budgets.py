"""Builder: the budgets, as a reader sets them; they stand in the link. What stands in the way is said at once."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError, StudioError
from autobuild_core.predictor.metrics import Bound, Metrics
from autobuild_core.predictor.run_metrics import RunMetrics
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.budgets import CONFIDENCE, Budgets, Obstacle, budget_text, budget_words, read_budget
from autobuild_core.search.prices import step_of
from autobuild_core.targets.vocabulary import lower_is_better
from pages import _memory, _text

SURE = (50, 60, 70, 80, 90, 95, 99)
DRAWN = 4_000  # random architectures that are asked whether any keeps to the budgets, in a space too large to look at all
AT_MOST, AT_LEAST = "at most", "at least"
OLDER = "This run was trained before runs knew every metric: train it anew for budgets, gauges and what they cost."
HELP = "A limit of any metric of the data. What is built keeps to all of them at once, as surely as is chosen."
AVERAGE = "Budgets, gauges, intervals of swaps, prices, the front and searches are averages over the contexts of the data."
SURE_HELP = "The probability that measurements of an architecture keep to all budgets at once."


def known(run: FinishedRun) -> RunMetrics | None:
    """All that the run knows of metrics; None, which is said, where an older version trained it or a file is damaged."""
    try:
        found = run.known
    except StudioError as error:
        st.warning(_text.plain(error, 600))
        return None
    if found is None:
        st.caption(OLDER)
    return found


def written() -> list[str]:
    """The budgets of the link, whatever the run knows of their metrics."""
    return [text for text in map(str.strip, (_memory.recall("budgets") or "").split(";")) if text]


def chosen(run: FinishedRun, metrics: Metrics) -> Budgets:
    """The budgets of the link; one that the run cannot judge is said and left out."""
    bounds = []
    for text in written():
        try:
            bound = read_budget(text)
            metrics.model(bound.metric)
            if bound.metric not in run.table.metrics:
                raise ConfigError(f"budget: got {bound.metric}, expected a metric of the data.")
            bounds.append(bound)
        except StudioError as error:
            st.warning(f"A budget of the link is left out. {_text.plain(error, 400)}")
    return Budgets(metrics, tuple(bounds), _sure() / 100)


def _sure() -> int:
    """The probability to keep to all budgets, in percent."""
    wanted = _memory.recall("sure") or ""
    return int(wanted) if wanted in map(str, SURE) else int(100 * CONFIDENCE)


def keep(bounds: Sequence[Bound]) -> None:
    """Writes budgets into session and link."""
    _memory.keep(budgets="; ".join(map(budget_text, bounds)) or None)


def editor(run: FinishedRun, known: RunMetrics, budgets: Budgets) -> None:
    """A line with every budget, and what adds one."""
    if run.task:
        st.caption(AVERAGE)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for place, bound in enumerate(budgets.bounds):
            _field(run, budgets, place, bound)
        with st.popover("Add a budget", icon=":material/speed:", key=f"add_budget_{len(budgets.bounds)}", help=HELP):
            _adding(run, known, budgets)
        if budgets.bounds:
            st.selectbox(
                "Sure to keep all", SURE, SURE.index(_sure()), format_func=lambda one: f"{one} %", width=150, key="sure",
                on_change=lambda: _memory.keep(sure=st.session_state["sure"]), help=SURE_HELP,
            )  # fmt: skip
    if budgets.bounds and (stands := obstacle(run, budgets)) is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.warning(_text.plain(f"Nothing keeps to the budgets: {stands.words}", 600), icon=":material/block:")
            st.button("Take these", key="nearest", on_click=keep, args=(stands.nearest,))


def _field(run: FinishedRun, budgets: Budgets, place: int, bound: Bound) -> None:
    """The limit of a budget, and what removes it."""
    key = f"limit_{place}_{bound.metric}_{bound.is_upper}"

    def changed() -> None:
        value = st.session_state[key]
        bounds = list(budgets.bounds)
        bounds[place] = Bound(bound.metric, float(value), bound.is_upper)
        keep(bounds)

    st.session_state[key] = float(bound.limit)
    spread = float(np.nanstd(run.table.metrics[bound.metric].to_numpy(float)))
    with st.container(horizontal=True, vertical_alignment="bottom", gap=None, width="content"):
        label = f"{_text.plain(bound.metric, 40)} {AT_MOST if bound.is_upper else AT_LEAST}"
        step = step_of(bound.limit, spread)
        st.number_input(label, step=step, key=key, on_change=changed, format="%.8g", width=190)
        rest = [one for number, one in enumerate(budgets.bounds) if number != place]
        help = f"Remove {_text.plain(budget_words(bound), 80)}"
        st.button("", icon=":material/close:", type="tertiary", key=f"without_{key}", help=help, on_click=keep, args=(rest,))


def _adding(run: FinishedRun, known: RunMetrics, budgets: Budgets) -> None:
    """The choice of another budget."""
    taken = {bound.metric for bound in budgets.bounds}
    names = [name for name in known.in_order if name not in taken and name != known.target]
    if not names:
        st.caption("Every metric has a budget already.")
        return
    metric = st.selectbox("Metric", names, key="budget_metric")
    values = run.table.metrics[metric].to_numpy(float)
    median, spread = float(np.nanmedian(values)), float(np.nanstd(values))
    near = round_near(median, spread)
    side = AT_MOST if lower_is_better(metric) else AT_LEAST
    side = str(st.segmented_control("Limit", [AT_MOST, AT_LEAST], default=side, key=f"budget_side_{metric}") or side)
    limit = st.number_input("Value", value=near, step=step_of(median, spread), format="%.8g", key=f"budget_limit_{metric}")
    model = known.metrics.models[metric]
    how = "exact, a sum over layers" if model.is_exact else f"predicted, rank correlation {model.held_out.srcc:.2f} held out"
    st.caption(f"The median of the measured is about {_text.plain(f'{near:.8g}')}. This metric is {how}.")
    more = [*budgets.bounds, Bound(metric, float(limit), side == AT_MOST)]
    st.button("Add", type="primary", key="do_add_budget", on_click=partial(keep, more))


def round_near(value: float, spread: float) -> float:
    """A round number so near to a value that the difference is no matter beside a metric's spread."""
    digits = -int(np.floor(np.log10(max(spread, 1e-300) / 20)))
    return float(round(value, min(digits, 300)))


def obstacle(run: FinishedRun, budgets: Budgets) -> Obstacle | None:
    """The reason why no architecture keeps to the budgets; None where one does, or where a search may find one."""
    return _obstacle(run, run.key, budgets, ";".join(map(budget_text, budgets.bounds)), budgets.confidence)


@st.cache_data(max_entries=64, show_spinner="Looking whether anything keeps to the budgets")
def _obstacle(_run: FinishedRun, key: str, _budgets: Budgets, words: str, confidence: float) -> Obstacle | None:
    """Of all architectures where they can be enumerated, else of the measured ones and some random ones, whose nearest is near.

    Args:
        _run: the run.
        key: tells it from others.
        _budgets: the budgets.
        words: tell them from others.
        confidence: as the budgets have it.
    """
    return _budgets.obstacle(_looked_at(_run, key))


@st.cache_resource(max_entries=4, show_spinner=False)
def _looked_at(_run: FinishedRun, key: str) -> Codes:
    """(n, num_positions) architectures that are asked whether they keep to budgets."""
    every = _run.space.enumerate()
    if every is not None:
        return every[np.unique(_run.space.hash_networks(every), return_index=True)[1]]
    return np.concatenate([_run.table.codes, _run.space.sample(DRAWN, np.random.default_rng(0))])
