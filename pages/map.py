"""Map: every evaluated architecture in two dimensions, over what the predictor expects of the whole space."""

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.scoring import space_map
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.scoring.space_map import Brush
from pages import _entering, _linked, _map_picture, _marked, _memory, _navigation, _states, _trust, _widgets

HOW_TO_READ = (
    "every mark is an evaluated architecture (or a cell of many), placed so that what the ensemble sees as alike lies close "
    "together, and coloured by what was measured: orange is better than the average, violet worse. The pale surface behind is "
    "what the predictor expects of the space there, so a mark that stands out from it surprised the predictor. Drag to mark a "
    "region: what its architectures have in common is listed below, and every other page shows them too."
)


def render(run: FinishedRun) -> None:
    """The page of a finished run."""
    _trust.panel(run)
    if len(run.table) > _linked.MOST_MAPPED_HERE:
        _trust.of_the_average(run)  # what is predicted behind the marks
    tables = _linked.maps(run)
    if tables is None:
        st.info(_linked.OLDER)
        if st.button("Go to Train", type="primary"):
            _navigation.go_to("train")
    else:
        body(run, tables)


@st.fragment
def body(run: FinishedRun, tables: dict[str, pd.DataFrame]) -> None:
    """The map and all that follows from it: one click draws only this anew."""
    points, behind, about = (tables[name] for name in space_map.FILES)
    _linked.line(run, "map")
    region, view = _linked.brush(), Brush.parse(_memory.recall("view"))
    left, right = st.columns([2.3, 1], gap="large")
    with left:
        mouse = _map_picture.controls(region, view)
        _map_picture.picture(run, points, behind, about, region, view, mouse)
    held = np.ones(len(points), bool) if region is None else region.inside(points[["x", "y"]].to_numpy(float))
    with right:
        _marked.summary(run, points, held, region)
        _marked.chosen_one(run, points)
    _marked.below(run, points, held, region)


_entering.enter("map")
_widgets.title("Map", HOW_TO_READ)
render(_states.chosen_run())
