"""Search space: an evolution of the space itself, live."""

import streamlit as st

from pages import _closing, _entering, _evolution_views, _evolutions, _published, _run_actions, _states, _widgets

HOW_TO_READ = (
    "in every layer cells compete: each generation some run side by side in a supernet, and what its training weighs them with "
    "makes them fitter or less fit; the fittest are mutated, the least fit leave. A band of the stream is a cell, as wide as its "
    "share of the layer's fitness: the widest bands at the right edge are the learned space, which the reference cells follow "
    "as in the published file, wherever they were outlived. Click a band to see the cell and the "
    "cells that it comes from; the dashed line is the budget of multiply-adds that the whole space is held to."
)


def render() -> None:
    """The page, whatever there is: an evolution that goes on, one that has ended, or the one that ships."""
    shown = _evolutions.choose()
    if shown.run is not None:
        _run_actions.state_line(shown.run, "", "evolution")

    @st.fragment(run_every=2.0 if shown.is_live else None)
    def watch() -> None:
        if shown.run is not None and shown.is_live:
            _states.follow(shown.id, str(shown.run["state"]))
        lines = _evolutions.lines_of(shown)
        if len(lines) > 1:
            _evolution_views.pictures(lines)
        elif not shown.is_live:
            st.info("This evolution ended before its first generation; resume it, or start another one.")

    watch()
    _closing.section(shown)
    _published.section()


_entering.enter("search_space")
_widgets.title("Search space", HOW_TO_READ)
render()
