"""Map: every evaluated architecture in two dimensions, over what the predictor expects of the whole space."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from autobuild_core.architectures.numbers import number
from autobuild_core.figures import candidates, drawing, rankings, space
from autobuild_core.scoring import space_map
from autobuild_core.scoring.space_map import Brush
from pages import _entering, _linked, _memory, _navigation, _run, _selection, _states, _text, _theme, _trust, _widgets, _words

_entering.enter("map")
_widgets.title(
    "Map",
    "every mark is an evaluated architecture (or a cell of many), placed so that what the ensemble sees as alike lies close "
    "together, and coloured by what was measured: orange is better than the average, violet worse. The pale surface behind is "
    "what the predictor expects of the space there, so a mark that stands out from it surprised the predictor. Drag to mark a "
    "region: what its architectures have in common is listed below, and every other page shows them too.",
)
run = _states.chosen_run()
MOUSE = {"select": "Mark a box", "lasso": "Mark freely", "pan": "Choose one"}  # Plotly's mode of dragging -> in words
LISTED = 300  # lines of the table of architectures that are drawn; the CSV has all


def take() -> None:
    """What a drag or a click on the map chose."""
    selection = (st.session_state.get("space_map") or {}).get("selection", {})
    for kind in ("box", "lasso"):
        if drawn := selection.get(kind):
            _memory.keep(brush=Brush.of(kind, drawn[-1]["x"], drawn[-1]["y"]).text)
            return
    _linked.row_click("space_map", run)()


def controls(region: Brush | None, view: Brush | None) -> str:
    """What the mouse does, and the window; returns the mode of dragging."""
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


@st.fragment
def body(tables: dict[str, pd.DataFrame]) -> None:
    """The map and all that follows from it: one click draws only this anew."""
    points, behind, about = (tables[name] for name in space_map.FILES)
    _linked.line(run, "map")
    region, view = _linked.brush(), Brush.parse(_memory.recall("view"))
    left, right = st.columns([2.3, 1], gap="large")
    with left:
        mouse = controls(region, view)
        picture(points, behind, about, region, view, mouse)
    held = np.ones(len(points), bool) if region is None else region.inside(points[["x", "y"]].to_numpy(float))
    with right:
        summary(points, held, region)
        chosen_one(points)
    below(points, held, region)


def picture(
    points: pd.DataFrame, behind: pd.DataFrame, about: pd.DataFrame, region: Brush | None, view: Brush | None, mouse: str
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
    _widgets.show(figure, points, "map", alt, "space_map", on_pick=take, regions=True)
    gathered = f"{int(marks['num'].sum()):,} architectures in {len(marks):,} cells; enlarge a region to see them one by one. "
    outlined = f"Dark outlines: with {_text.plain(module.name)}." if module is not None else ""
    axes = _text.plain(space.axes_sentence(about, run.config.minimize), 600)
    st.caption(f"{gathered if (marks['num'] > 1).any() else ''}{outlined} {axes}")


def summary(points: pd.DataFrame, held: "NDArray[np.bool_]", region: Brush | None) -> None:
    """The marked architectures in numbers, beside the others."""
    target, sign = points["target"].to_numpy(float), 1 if run.config.minimize else -1
    inside = target[held]
    st.subheader("All evaluated" if region is None else "The marked region", anchor=False)
    if not len(inside):
        st.caption("No evaluated architecture lies here; the surface is the predictor's guess. Mark another region.")
        return
    best = inside[np.argmin(sign * inside)]
    share = "" if region is None else f" of {len(target):,}"
    st.markdown(
        f"**{len(inside):,}**{share} architectures  \nbest {_text.strong(run.amount(float(best)))}, median "
        f"{_text.strong(run.amount(float(np.median(inside))))}"
    )
    group = np.where(held, "marked" if region is not None else "all evaluated", "the others")
    table = pd.DataFrame({"source_row": points["source_row"], "target": target, "group": group})
    names = ("the others", "marked") if region is not None else ("all evaluated",)
    figure = rankings.groups_figure(table, run.label.axis, names)
    _widgets.show(
        figure, table, "marked_targets", "Distribution of the measured target of the marked architectures and of the others"
    )


def chosen_one(points: pd.DataFrame) -> None:
    """The chosen architecture, drawn and coloured by its modules."""
    row = _selection.chosen_row(run)
    if row is None or not (points["row"] == row).any():
        st.caption("The chosen architecture was not measured, so it has no place on the map.")
        return
    line = run.predictor.predict(run.table.codes[[row]]).iloc[0]
    own = _memory.recall("arch") is not None
    st.subheader(f"{'Chosen' if own else 'Best measured'}: row {int(run.table.source_rows[row])}", anchor=False)
    st.markdown(
        f"measured {_text.strong(run.amount(run.measured(row)))}, predicted {number(line['predicted'])} "
        f"{_words.interval(line['low'], line['high'])}"
    )
    lens = _selection.lens()
    drawn = _run.drawn(run, run.table.codes[row], 0, lens)
    figure = drawing.architecture_figure(drawn, _theme.theme()).update_layout(height=170)
    _widgets.show(
        figure, _widgets.drawing_facts(drawn), "chosen_architecture", f"Architecture of row {int(run.table.source_rows[row])}"
    )


def below(points: pd.DataFrame, held: "NDArray[np.bool_]", region: Brush | None) -> None:
    """What the marked architectures have in common, else the best tenth; and all of them as a table."""
    left, right = st.columns([1, 1.2], gap="large")
    with left:
        who = "the best tenth" if region is None else "the marked"
        st.subheader(f"What {who} have in common", anchor=False)
        if region is None:
            order = points["target"].to_numpy(float) * (1 if run.config.minimize else -1)
            held_now = order <= np.quantile(order, 0.1)
        else:
            held_now = held
        if held_now.any():
            rows = points["row"].to_numpy(int)
            table = space_map.in_common(run.table.codes[rows], run.table.spec, held_now)
            _widgets.show(
                space.in_common_figure(table, who), table, "in_common", f"Layers of {who} architectures against those of all"
            )
    with right:
        st.subheader("Architectures, best first", anchor=False)
        listing(points[held].sort_values("target", ascending=run.config.minimize, kind="stable"))


def listing(inside: pd.DataFrame) -> None:
    """The architectures, a column a unit; a click on a line chooses one."""
    if inside.empty:
        st.caption("None.")
        return
    rows = inside["row"].to_numpy(int)
    shown = candidates.units_table(run.table, rows[:LISTED])
    shown.insert(1, "measured", inside["target"].to_numpy()[:LISTED])

    def choose() -> None:
        if lines := st.session_state["map_rows"]["selection"]["rows"]:
            _selection.choose_row(run, int(rows[lines[0]]))

    st.dataframe(shown, hide_index=True, on_select=choose, selection_mode="single-row", key="map_rows", height=390)
    if len(rows) > LISTED:
        st.caption(f"The first {LISTED} of {len(rows):,}; the CSV has all.")
    _widgets.csv_button(inside.drop(columns="row"), "marked")


_trust.panel(run)
if len(run.table) > _linked.MOST_MAPPED_HERE:
    _trust.of_the_average(run)  # what is predicted behind the marks
everything = _linked.maps(run)
if everything is None:
    st.info(_linked.OLDER)
    if st.button("Go to Train", type="primary"):
        _navigation.go_to("train")
else:
    body(everything)
