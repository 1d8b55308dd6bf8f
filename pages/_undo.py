"""Builder: every architecture that was on the screen, so that a change can be undone and done again."""

from dataclasses import dataclass, field

import numpy as np
import streamlit as st

from autobuild_core.architectures.records import Codes
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _slots

MOST = 100  # architectures that are kept


@dataclass
class Trail:
    """The architectures of a session, in their order.

    Args:
        steps: (num_positions,) each.
        place: of the one on the screen.
    """

    steps: list[Codes] = field(default_factory=list)
    place: int = -1


def _trail(run: FinishedRun) -> Trail:
    """The trail of a run."""
    trail: Trail = st.session_state.setdefault(f"trail_{run.id}", Trail())
    return trail


def remember(run: FinishedRun, codes: Codes) -> None:
    """Adds the architecture on the screen, where it is another; what was undone before it is gone."""
    trail = _trail(run)
    if trail.place >= 0 and np.array_equal(trail.steps[trail.place], codes):
        return
    trail.steps = [*trail.steps[: trail.place + 1], codes][-MOST:]
    trail.place = len(trail.steps) - 1


def buttons(run: FinishedRun) -> None:
    """Undo and redo."""
    trail = _trail(run)
    ways = (("Undo", ":material/undo:", -1, trail.place > 0), ("Redo", ":material/redo:", 1, trail.place + 1 < len(trail.steps)))
    for label, icon, by, can in ways:
        st.button(
            label, icon=icon, type="tertiary", key=label.lower(), disabled=not can, on_click=_go, args=(run, by),
            help=f"{label} the last change of the architecture",
        )  # fmt: skip


def _go(run: FinishedRun, by: int) -> None:
    """Another one of the trail comes into the slots."""
    trail = _trail(run)
    trail.place += by
    _slots.put(run, trail.steps[trail.place])
