"""Map: the picture, what the mouse does on it, and the window that it shows."""

import pandas as pd
import streamlit as st

from autobuild_core.figures import space
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.scoring.space_map import Brush
from pages import _linked, _memory, _selection, _text, _theme, _widgets

MOUSE = {"select": "Mark a box", "lasso": "Mark freely", "pan": "Choose one"}  # Plotly's mode of dragging -> in words


def controls(region: Brush | None, view: Brush | None) -> str:
    """Controls for the mouse and the window; returns the mode of dragging."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        mouse = st.segmented_control(
            "Mouse", list(MOUSE), default="select", format_func=MOUSE.__getitem__, required=True, key="mouse",
            label_visibility="collapsed",
        )  # fmt: skip
        ways = [("Enlarge the region", {"view": region.text, "brush": None})] if region is not None else []
        ways += [("Clear the mark", {"brush": None})] if region is not None else []
        ways += [("Whole space", {"view": None})] if view is not None else []
        for label, choices in ways:
            st.button(label, type="tertiary", on_click=_memory.keep, kwargs=choices)
    return mouse or "select"


def picture(
    run: FinishedRun,
    points: pd.DataFrame,
    behind: pd.DataFrame,
    about: pd.DataFrame,
    region: Brush | None,
    view: Brush | None,
    mouse: str,
) -> None:
    """The map itself."""
    window = space.window_of(points, behind, view)
    marks = space.map_table(points, window, run.config.minimize)
    row = _selection.chosen_row(run)
    found = points[points["row"] == row]
    chosen = found.iloc[0] if len(found) else None
    module, holding = _selection.module(run), None
    if module is not None:
        holding = module.contained_in(run.table)[marks["row"].to_numpy(int)]
    titles = space.axis_title(about, 0), space.axis_title(about, 1)
    scale = space.map_scale(points, run.quality["space_mean"], run.config.minimize, run.unit)
    figure = space.map_figure(
        marks, behind, window, scale, titles, _theme.theme(), run.table.source_rows, chosen, region, holding
    ).update_layout(dragmode=mouse)
    alt = f"Map of {len(points):,} evaluated architectures. {space.axes_sentence(about, run.config.minimize)}"
    _widgets.show(figure, points, "map", alt, "space_map", on_pick=lambda: take(run), regions=True)
    gathered = f"{int(marks['num'].sum()):,} architectures in {len(marks):,} cells; enlarge a region to see them one by one. "
    outlined = f"Dark outlines: with {_text.plain(module.name)}." if module is not None else ""
    axes = _text.plain(space.axes_sentence(about, run.config.minimize), 600)
    st.caption(f"{gathered if (marks['num'] > 1).any() else ''}{outlined} {axes}")


def take(run: FinishedRun) -> None:
    """Keeps the choice of a drag or a click on the map."""
    selection = (st.session_state.get("space_map") or {}).get("selection", {})
    for kind in ("box", "lasso"):
        if drawn := selection.get(kind):
            _memory.keep(brush=Brush.of(kind, drawn[-1]["x"], drawn[-1]["y"]).text)
            return
    _linked.row_click("space_map", run)()
