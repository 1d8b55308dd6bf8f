"""Importance: architectures as a graph, coloured by what their modules are worth; a click opens a module."""

import streamlit as st

from autobuild_core.scoring.finished_run import FinishedRun
from pages import _architecture_choice, _entering, _graph_views, _graphs, _states, _trust, _widgets

HOW_TO_READ = (
    "a box is a layer, coloured by the module that ends there and reaches back as many layers as the hop says; "
    "move the hop, click a box, or walk with the arrow keys."
)


def render(run: FinishedRun) -> None:
    """The page of a finished run."""
    _trust.panel(run)
    instrument(run)


@st.fragment
def instrument(run: FinishedRun) -> None:
    """The choice of what to show, the graph, and the clicked module: only this is drawn anew by a click."""
    show, one_kind, one_value, two_kind, two_value = st.columns([1.9, 1.25, 0.85, 1.25, 0.85], vertical_alignment="bottom")
    kind = _architecture_choice.what_to_show(run, show)
    if kind in _graphs.MEANS:
        _graph_views.several(run, kind)
    elif kind == "pair":
        a = _architecture_choice.architecture(run, one_kind, one_value, "arch", "A")
        b = _architecture_choice.architecture(run, two_kind, two_value, "beside", "B")
        _graph_views.pair(run, a, b)
    else:
        chosen = _architecture_choice.architecture(run, one_kind, one_value, "arch", "Architecture")
        _graph_views.one(run, chosen)


_entering.enter("importance")
_widgets.title("Importance", HOW_TO_READ)
render(_states.chosen_run())
