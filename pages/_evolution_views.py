"""Search space: an evolution in pictures: streams, the best cells, the lineage of one, what came and went."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.autospace import EvolutionPlan, tables
from autobuild_core.errors import counted
from autobuild_core.figures import cells as drawn_cells
from autobuild_core.figures import evolution as charts
from autobuild_core.spaces._cells import Cell
from pages import _memory, _theme, _widgets

NUM_BEST, MOST_ANCESTORS = 6, 3
FORMATS = {"fitness": "%+.2f", "survived_pct": "%.0f"}
LEGEND = (
    '<div style="font-size:.85rem;display:flex;gap:1rem;flex-wrap:wrap">{}<span>a band is as wide as the cell is fit in its '
    "layer; it begins where the cell entered and ends where it left</span></div>"
)
SWATCH = '<span><span style="display:inline-block;width:12px;height:12px;border-radius:2px;background:{}"></span> {}</span>'


def pictures(lines: list[dict[str, Any]]) -> None:
    """All that is shown of an evolution with at least one generation."""
    plan, cells = tables.plan_of(lines), tables.cells_table(lines)
    chosen = _chosen(cells)
    _numbers(lines, cells, plan.madds_m)
    stream = charts.stream_table(tables.fitness_table(lines), cells)
    left, right = st.columns([1.55, 1], gap="large")
    with left:
        _stream(stream, cells, chosen, plan)
    with right:
        _lineage(stream, cells, chosen)
    _best(cells)
    _course(lines, plan.madds_m)
    _changes(lines, cells)


def _numbers(lines: list[dict[str, Any]], cells: pd.DataFrame, budget_m: float) -> None:
    """The evolution in one line."""
    last = lines[-1]
    alive = int(cells["left"].isna().sum())
    parts = [counted(last["generation"], "generation"), f"{counted(len(cells), 'cell')} tried, {alive} live"]
    if last.get("madds_m") is not None:
        parts.append(f"{last['madds_m']:.3g} M multiply-adds expected of a budget of {budget_m:g} M")
    if last.get("loss") is not None:
        parts.append(f"supernet's loss {last['loss']:.3f}")
    st.markdown(", ".join(parts) + ".")


def _chosen(cells: pd.DataFrame) -> tuple[int, int]:
    """(layer, number) of the cell that is chosen: the one in the link, else the fittest that is no reference cell."""
    wanted = (_memory.recall("cell") or "").split(".")
    if len(wanted) == 2 and all(map(_is_number, wanted)):
        layer, number = map(int, wanted)
        if ((cells["layer"] == layer) & (cells["number"] == number)).any():
            return layer, number
        _memory.keep(cell=None)
    own = cells[cells["left"].isna() & cells["parent"].notna()]
    own = own if len(own) else cells
    best = own.loc[own["fitness"].idxmax()]
    return int(best["layer"]), int(best["number"])


def _is_number(text: str) -> bool:
    return _memory.whole_number(text) is not None


def _stream(stream: pd.DataFrame, cells: pd.DataFrame, chosen: tuple[int, int], plan: EvolutionPlan) -> None:
    """The streams of the layers; a click on a band chooses its cell."""
    st.subheader("Cells of each layer over the generations", anchor=False)
    layers = sorted(cells["layer"].unique().tolist())
    theme = _theme.theme()
    tone = int(theme == "dark")
    swatches = [("reference cells", charts.REFERENCE_BAND), ("the cell beside", charts.CHOSEN)]
    swatches += [(f"expansion {name}", colours) for name, colours in charts.BANDS.items()]
    st.html(LEGEND.format("".join(SWATCH.format(colours[tone], name) for name, colours in swatches)))
    figure = charts.stream_figure(stream, layers, chosen, theme)

    def pick() -> None:
        points = st.session_state["stream"]["selection"]["points"]
        if points and (data := points[0].get("customdata")):
            values = list(data.values()) if isinstance(data, dict) else list(data)
            _memory.keep(cell=f"{int(values[0])}.{int(values[1])}")

    words = f"Streams of the cells of {len(layers)} layers over {int(stream['generation'].max())} generations"
    _widgets.show(figure, stream, "cells_over_generations", words, key="stream", on_pick=pick)
    st.caption(
        "A cell is named by its expansion and by the operations that enter its nodes 1, 2 and 3: e6_3|s3|-s3 expands six times, "
        "3x3 into node 1, skip and 3x3 into node 2, none, skip and 3x3 into node 3. "
        f"No cell is mutated in the first {plan.warming:.0%} and the last {plan.settling:.0%} of the generations."
    )


def _lineage(stream: pd.DataFrame, cells: pd.DataFrame, chosen: tuple[int, int]) -> None:
    """A cell, its ancestors, and its fitness beside theirs."""
    layer, number = chosen
    chain = tables.lineage(cells, layer, number)
    one = chain.iloc[-1]
    st.subheader("Where a cell comes from", anchor=False)
    own = cells[cells["layer"] == layer]
    options = own.sort_values(["left", "fitness"], ascending=[False, False], na_position="first")["number"].tolist()
    names = {int(n): _option(row) for n, row in own.set_index("number").iterrows()}
    with st.container(horizontal=True, gap="small"):
        layers = sorted(cells["layer"].unique().tolist())
        new_layer = st.selectbox("Layer", layers, layers.index(layer), width=90, key=f"cell_layer_{layer}_{number}")
        new = st.selectbox("Cell", options, options.index(number), format_func=names.__getitem__, key=f"cell_{layer}_{number}")
    if new_layer != layer:
        best = cells[(cells["layer"] == new_layer) & cells["left"].isna()].sort_values("fitness").iloc[-1]
        _memory.keep(cell=f"{new_layer}.{int(best['number'])}")
        st.rerun()
    if new != number:
        _memory.keep(cell=f"{layer}.{new}")
        st.rerun()
    rows = [(_birth(row), [(Cell.read(row["written"]), row["cell"])]) for row in chain.tail(MOST_ANCESTORS).to_dict("records")]
    st.html(drawn_cells.cells_html(rows, _theme.theme()))
    if len(chain) > MOST_ANCESTORS:
        first = chain.iloc[0]
        begins = f"{first['cell']} ({first['mutation']})"
        st.caption(f"The last {MOST_ANCESTORS} of {len(chain)} cells in its line, which begins with {begins}.")
    left = "lives" if np.isnan(one["left"]) else f"left in generation {one['left']:.0f}"
    children = int((own["parent"] == number).sum())
    st.caption(
        f"Ran in {counted(int(one['seen']), 'generation')}, fitness {one['fitness']:+.2f}, parent of {children}, {left}; "
        f"{one['madds_k']:.3g} k multiply-adds in the supernet."
    )
    if len(stream[(stream["layer"] == layer) & (stream["number"] == number)]) > 1:
        figure = charts.fitness_figure(stream, chain, _theme.theme())
        _widgets.show(figure, None, "fitness_of_a_cell", f"Fitness of cell {one['cell']} and its ancestors")


def _option(row: "pd.Series[Any]") -> str:
    """A cell in the list of a layer."""
    lives = "" if not np.isnan(row["left"]) else ", lives"
    return f"{row['cell']} ({row['fitness']:+.2f}{lives})"


def _birth(row: dict[str, Any]) -> str:
    """The birth of a cell, for the heading of its drawing."""
    if np.isnan(row["parent"]):
        return f"start: {row['mutation']}"
    return f"gen. {row['born']}: {row['mutation']}"


def _best(cells: pd.DataFrame) -> None:
    """The fittest living cells of every layer, drawn."""
    st.subheader("The fittest cells of each layer", anchor=False)
    rows = []
    for layer, own in cells[cells["left"].isna()].groupby("layer"):
        best = own.sort_values("fitness", ascending=False).head(NUM_BEST)
        marked = [
            (Cell.read(one["written"]), f"{one['fitness']:+.2f}{', reference' if one['mutation'] == 'reference' else ''}")
            for one in best.to_dict("records")
        ]
        rows.append((f"layer {layer}", marked))
    st.html(drawn_cells.cells_html(rows, _theme.theme()))
    st.caption("s: skip, c: 1x1 convolution, 3, 5, 7: depthwise convolution of that kernel; x6: the input is expanded six times.")
    with st.container():
        _widgets.csv_button(cells, "cells_of_the_evolution")


def _course(lines: list[dict[str, Any]], budget_m: float) -> None:
    """Loss, multiply-adds, diversity and operations over the generations."""
    st.subheader("How it went", anchor=False)
    generations = tables.generations_table(lines)
    figure = charts.course_figure(
        generations, tables.diversity_table(lines), tables.operations_table(lines), budget_m, _theme.theme()
    )
    words = "Loss, expected multiply-adds against the budget, diversity and operations over the generations"
    _widgets.show(figure, generations, "generations", words)


def _changes(lines: list[dict[str, Any]], cells: pd.DataFrame) -> None:
    """Which cells entered and left and why, and which mutations survived."""
    left, right = st.columns([1.7, 1], gap="large")
    with left:
        st.subheader("Who entered, who left", anchor=False)
        _widgets.table(tables.changes_table(lines, cells).iloc[::-1], "changes", "Nothing has changed yet.", FORMATS)
    with right:
        st.subheader("Which mutations survived", anchor=False)
        _widgets.table(tables.mutations_table(cells), "mutations", "Nothing was mutated yet.", FORMATS)
