"""Linked selection: what is chosen, in a line on every page; clicks on charts that choose; the region marked on the map."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from autobuild_core.architectures.lens import score_words
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.errors import StudioError
from autobuild_core.scoring import space_map
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.scoring.space_map import Brush
from pages import _memory, _navigation, _pins, _run, _selection, _text

MOST_MAPPED_HERE = 20_000  # an older run has no map: up to so many architectures a page makes it itself
OLDER = "This run was trained before there was a map: train it anew on Train to see one."


# The map's tables and the region marked on it


def maps(run: FinishedRun) -> dict[str, pd.DataFrame] | None:
    """The tables of a run's map; None where an older version trained it on more than a page can map.

    Where a task is chosen it has what was measured there, before what is predicted there; of a large run, at the average.
    """
    small, written = len(run.table) <= MOST_MAPPED_HERE, {name: _run.extra(run, name) for name in space_map.FILES}
    known = all(len(table) for table in written.values()) and not (run.task and small)
    if not known and not small:
        return None
    tables = written if known else _mapped(run.id, run.task)
    if run.task:
        tables = tables | {"map": tables["map"][tables["map"]["row"].isin(run.predictions["row"])].reset_index(drop=True)}
    return tables


@st.cache_data(max_entries=4, show_spinner="Mapping the space")
def _mapped(run_id: str, task: str) -> dict[str, pd.DataFrame]:
    run = _run.read_run(run_id, task)
    return space_map.make_map(run.predictor, run.table)


def brush() -> Brush | None:
    """The region that is marked."""
    return Brush.parse(_memory.recall("brush"))


def marked(run: FinishedRun) -> NDArray[np.bool_] | None:
    """(rows of the run's table,) which architectures the marked region holds; None where nothing is marked."""
    region = brush()
    tables = None if region is None else maps(run)
    if region is None or tables is None:
        return None
    points, held = tables["map"], np.zeros(len(run.table), bool)
    held[points["row"].to_numpy(int)[region.inside(points[["x", "y"]].to_numpy(float))]] = True
    return held


# Clicks


def picked(key: str) -> list[dict[str, Any]]:
    """The points of a chart that were clicked."""
    event: dict[str, Any] = st.session_state.get(key) or {}
    points: list[dict[str, Any]] = event.get("selection", {}).get("points", [])
    return points


def module_click(key: str, lines: pd.DataFrame, curve: int = 0) -> Callable[[], None]:
    """A callback: the module whose mark was clicked becomes the chosen one.

    Args:
        key: of the chart.
        lines: a line a mark of the trace, with positions, layers and whole_unit.
        curve: number of the trace.
    """

    def choose() -> None:
        for point in picked(key):
            if point.get("curve_number") == curve:
                _selection.choose_module(ModuleKey.of(lines.iloc[int(point["point_index"])]))

    return choose


def row_click(key: str, run: FinishedRun) -> Callable[[], None]:
    """A callback: the architecture that was clicked is chosen; the last number of a point's customdata is its row."""

    def choose() -> None:
        for point in picked(key):
            if custom := point.get("customdata"):
                _selection.choose_row(run, int(list(custom.values() if isinstance(custom, dict) else custom)[-1]))

    return choose


def chosen_line_of(run: FinishedRun, lines: pd.DataFrame) -> int | None:
    """Place of the chosen module among lines with positions, layers and whole_unit; None where it is not there."""
    chosen = _selection.module(run)
    if chosen is None:
        return None
    places = np.flatnonzero(chosen.lines_of(lines))
    return int(places[0]) if len(places) else None


# The line


def line(run: FinishedRun, where: str) -> None:
    """The current choice, with the ways to look at it and to let go of it; nothing where nothing is chosen.

    Args:
        run: the run.
        where: name of the page, for keys and to leave out the link to itself.
    """
    module, held = _selection.module(run), marked(run)
    own = _memory.recall("arch") is not None
    said = [f"**{_text.plain(_architecture(run))}**"] if own else []
    said += [_module(run, module)] if module is not None else []
    said += [f"**{int(held.sum()):,} of {len(held):,}** architectures marked on the map"] if held is not None else []
    if not said:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"chosen_{where}"):
        st.markdown(f":gray[Chosen]  {' · '.join(said)}", width="content")
        linked = (own or module is not None) and where != "importance"
        if linked and st.button("Show in Importance", type="tertiary", icon=":material/arrow_forward:", key=f"show_{where}"):
            follow(run)
        if (scored := _selection.module_line(run)) is not None:
            _pins.pin(run, scored, _selection.lens(), f"{where}_chosen")
        if held is not None and where != "map" and st.button("Show on the map", type="tertiary", key=f"to_map_{where}"):
            _navigation.go_to("map")
        st.button("Clear", type="tertiary", icon=":material/close:", key=f"clear_{where}", on_click=clear)


def follow(run: FinishedRun) -> None:
    """Opens Importance on the chosen module, in the best architecture that has it where the chosen one does not."""
    module = _selection.module(run)
    if module is not None:
        row = _selection.chosen_row(run)
        inside = module.contained_in(run.table)
        if row is None or not inside[row]:
            _selection.choose_row(run, _selection.best_row_with(run, module))
    _navigation.go_to("importance")


def clear() -> None:
    """Lets go of architecture, module and region."""
    _memory.keep(arch=None, module=None, unit=None, brush=None, view=None)


def _architecture(run: FinishedRun) -> str:
    try:
        chosen = _selection.architecture(run)
    except StudioError:
        return "an architecture outside this space"
    if chosen.row is None:
        return "architecture typed in"
    return f"{chosen.what}: {run.amount(run.measured(chosen.row))}"


def _module(run: FinishedRun, module: ModuleKey) -> str:
    found = _selection.module_line(run)
    if found is None:
        return f"**{_text.plain(module.name)}**"
    words = score_words(found, _selection.lens(), run.unit, run.num_evaluated)
    return f"**{_text.plain(module.name)}**: {_text.plain(words, 160)}"
