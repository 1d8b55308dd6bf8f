"""Builder: a slot a unit, the assembled architecture predicted at once, and "build for me"."""

import streamlit as st

from autobuild_core.scoring.finished_run import FinishedRun
from pages import _assembled, _building, _entering, _linked, _next_batch, _slots, _states, _trust, _widgets

UNITS_A_LINE = 5
HOW_TO_READ = (
    "every unit starts with the module that is best by the score chosen on the left; the list has the next best, and any other "
    "can be typed in. The architecture below and its prediction follow at once; the band is the 90 % interval among the measured "
    "architectures. What is chosen on other pages stands in the slots when this page opens, and a module chosen here is chosen "
    "everywhere."
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
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width=260):
            lens = _widgets.lens_select("builder_lens")
        st.button(
            "Best of every unit", type="tertiary", icon=":material/undo:", key="reset_slots", disabled=not _slots.by_reader(run),
            help=_slots.RESET_HELP, on_click=_slots.reset, args=(run, lens),
        )  # fmt: skip
    choices: list[list[int]] = []
    for first in range(0, len(run.table.spec.units), UNITS_A_LINE):
        units = list(enumerate(run.table.spec.units))[first : first + UNITS_A_LINE]
        for column, (index, unit) in zip(st.columns(max(len(units), 3)), units, strict=False):
            with column:
                choices.append(_slots.slot(run, index, unit, lens))
    codes = _assembled.assemble(run, choices)
    _assembled.predicted(run, codes)
    _building.for_me(run, codes)


_entering.enter("builder")
_widgets.title("Builder", HOW_TO_READ)
render(_states.chosen_run())
