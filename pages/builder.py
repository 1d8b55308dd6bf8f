"""Builder: a slot a unit, the assembled architecture predicted at once, and "build for me"."""

import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.records import Codes
from autobuild_core.predictor.run_metrics import RunMetrics
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.budgets import Budgets
from pages import (
    _assembled,
    _budgets,
    _building,
    _entering,
    _fronts,
    _gauges,
    _linked,
    _next_batch,
    _priced,
    _searches,
    _shortlist,
    _slots,
    _states,
    _trust,
    _undo,
    _what_if,
    _widgets,
)

UNITS_A_LINE = 5
BUILD, SWAPS, PRICES, FRONT, SEARCH = "Build for me", "Single swaps", "What budgets buy", "Pareto front", "Search"
HOW_TO_READ = (
    "every unit starts with the module that is best by the score chosen on the left; the list has the next best, any other can "
    "be typed in, and a lock holds it. Budgets are limits of any metric: the gauges below the drawing say what the architecture "
    "has of each, whether that is measured, exact or predicted, and how surely it keeps to them all. The tools below build what "
    "keeps to the budgets, try every swap, say what more of a budget would buy, draw the front of two metrics and search; what "
    "is worth keeping goes on the shortlist."
)


def render(run: FinishedRun) -> None:
    """The page of a finished run."""
    _trust.panel(run)
    by_hand(run)
    _next_batch.next_batch(run)


@st.fragment
def by_hand(run: FinishedRun) -> None:
    """The slots and what they make, and what was built set against it; a choice draws only this anew."""
    _linked.line(run, "builder")
    _slots.follow_choice(run)
    known = _budgets.known(run)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width=260):
            lens = _widgets.lens_select("builder_lens")
        st.button(
            "Best of every unit", type="tertiary", icon=":material/restart_alt:", key="reset_slots",
            disabled=not _slots.by_reader(run), help=_slots.RESET_HELP, on_click=_slots.reset, args=(run, lens),
        )  # fmt: skip
        beside = st.container(horizontal=True, gap="small", width="content")
    codes = _assembled.assemble(run, _columns(run, lens))
    _undo.remember(run, codes)
    with beside:
        _undo.buttons(run)
    names = [] if known is None else known.in_order
    budgets = None if known is None else _budgets.chosen(run, known.metrics)
    if known is not None and budgets is not None:
        _budgets.editor(run, known, budgets)
    left, right = st.columns([2, 1.2], gap="large")
    with left:
        _assembled.drawing(run, codes)
        if known is not None and budgets is not None:
            _gauges.section(run, known, budgets, names, codes)
    with right:
        _assembled.predicted(run, codes)
    _tool(run, known, budgets, names, codes)
    _shortlist.section(run, known, budgets)


def _columns(run: FinishedRun, lens: Lens) -> list[list[int]]:
    """The slots, a column a unit; the layers in them, as codes."""
    choices: list[list[int]] = []
    for first in range(0, len(run.table.spec.units), UNITS_A_LINE):
        units = list(enumerate(run.table.spec.units))[first : first + UNITS_A_LINE]
        for column, (index, unit) in zip(st.columns(max(len(units), 3)), units, strict=False):
            with column:
                choices.append(_slots.slot(run, index, unit, lens))
    return choices


def _tool(run: FinishedRun, known: RunMetrics | None, budgets: Budgets | None, names: list[str], codes: Codes) -> None:
    """The tool that is chosen: building, swaps, prices, the front, searches."""
    tools = [BUILD, SEARCH] if known is None else [BUILD, SWAPS, PRICES, FRONT, SEARCH]
    tool = st.segmented_control("Tool", tools, default=BUILD, key="tool", label_visibility="collapsed") or BUILD
    if tool == SEARCH:
        _searches.section(run)
    elif known is None or budgets is None or tool == BUILD:
        _building.for_me(run, budgets, codes)
    elif tool == SWAPS:
        _what_if.section(run, known, budgets, names, codes)
    elif tool == PRICES:
        _priced.section(run, budgets)
    else:
        _fronts.section(run, known, budgets, names, codes)


_entering.enter("builder")
_widgets.title("Builder", HOW_TO_READ)
render(_states.chosen_run())
