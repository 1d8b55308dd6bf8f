"""Importance: one architecture as a graph, coloured by what its modules are worth; a click opens a module."""

import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.errors import StudioError
from autobuild_core.figures import charts, colours, drawing
from autobuild_core.records import Codes
from pages import _pins, _shared, _trust
from pages._components.graph import graph

_shared.enter("importance")
_shared.title(
    "Importance",
    "each box is a layer, coloured by the module that ends there and reaches back as many layers as the hop says; "
    "click a box, or move with the arrow keys.",
)
run = _shared.chosen_run()
_trust.panel(run)
CHOICES = {"best": "The best measured", "worst": "The worst measured", "row": "A row of the data", "typed": "Typed in"}


def architecture(left: Any, right: Any) -> tuple[Codes, str]:
    """The architecture to look at and what it is; its controls stand in two columns."""
    kind, _, rest = (_shared.recall("arch") or "best").partition(":")
    names = list(CHOICES)
    kind = left.selectbox("Architecture", names, names.index(kind) if kind in names else 0, format_func=CHOICES.__getitem__)
    order, table = run.ranked_rows(), run.table
    if kind == "typed":
        best = run.space.native(table.codes[order[0]])
        text = right.text_input(
            "In the native encoding", rest or (best if isinstance(best, str) else json.dumps(best)), key="typed"
        )
        _shared.keep(arch=f"typed:{text}")
        return parse(text), "typed in"
    row = int(order[0] if kind == "best" else order[-1])
    if kind == "row":
        known = int(rest) if rest.isdigit() else int(table.source_rows[row])
        asked = right.number_input(
            "Row of the file, from 0", 0, int(table.source_rows.max()), min(known, int(table.source_rows.max())), key="row"
        )
        found = np.flatnonzero(table.source_rows == asked)
        if not len(found):
            st.error(f"Row {asked} was refused when the file was read; choose another one.")
            st.stop()
        row = int(found[0])
    _shared.keep(arch=f"row:{int(table.source_rows[row])}" if kind == "row" else kind if kind == "worst" else None)
    measured = f"measured {colours.number(run.measured(row))} {run.unit}"
    return table.codes[row], f"row {int(table.source_rows[row])}, {measured}"


def parse(text: str) -> Codes:
    """A typed architecture; a mistake becomes its sentence and stops the page."""
    try:
        native = json.loads(text) if text.strip().startswith(("[", "{")) else text.strip()
        return np.array(run.space.parse(native), np.int16)
    except (ValueError, StudioError) as error:
        sentence = (
            str(error) if isinstance(error, StudioError) else f"architecture: got text that is not JSON ({error}), expected JSON."
        )
        st.error(_shared.plain(sentence, 500))
        st.stop()


@st.fragment
def instrument() -> None:
    """Architecture, lens, hop, graph and the module that was clicked: only this is drawn anew by a click."""
    left, right = st.columns([2, 1], gap="medium")
    with left:
        one, two, three = st.columns([1.2, 1.5, 1.1], vertical_alignment="bottom")
        codes, what = architecture(one, two)
        with three:
            lens = _shared.lens_select()
        place, hop = st.container(), hop_slider()
        drawn = run.drawing(codes, hop, lens)
        labels = drawn["label"].tolist()
        clicked = (st.session_state.get("arch_graph") or {}).get("node")
        wanted = next((label for label in (clicked, _shared.recall("module")) if label in labels), labels[0])
        with place:
            node = graph(
                drawing.graph_data(drawn, run.scale(lens), wanted, _shared.theme()),
                "arch_graph",
                390 if run.table.spec.reads else 340,
            )
        chosen = node if node in labels else wanted
        _shared.keep(hop=hop or None, module=chosen)
        caption(codes, what)
        downloads(drawn, lens, what)
    with right:
        module(drawn[drawn["label"] == chosen].iloc[0], lens)


def hop_slider() -> int:
    """How many layers the modules have."""
    deepest = min(int(run.modules["hop"].max()), 8)
    known = _shared.recall("hop") or ""
    start = min(int(known), deepest) if known.isdigit() else 0
    label = "Hop: how many layers a module reaches back"
    return int(st.select_slider(label, range(deepest + 1), start, format_func=hop_name, key="hop_widget"))


def caption(codes: Codes, what: str) -> None:
    """The architecture and its prediction in a line."""
    line = run.predictor.predict(codes[None]).iloc[0]
    interval = _shared.interval(line["low"], line["high"])
    circles = (
        " Circles are sums, coloured by their whole unit; a box, by the path to it that tells most."
        if run.table.spec.reads
        else ""
    )
    st.caption(f"{what[:1].upper()}{what[1:]}; predicted {colours.number(line['predicted'])} {run.unit} {interval}.{circles}")


def hop_name(hop: int) -> str:
    """A hop in words."""
    return "0: one layer" if hop == 0 else f"{hop}: {hop + 1} layers"


def downloads(drawn: pd.DataFrame, lens: colours.Lens, what: str) -> None:
    """The table of the graph and the graph as one file."""
    with st.container(horizontal=True):
        _shared.csv_button(drawn.drop(columns=["fill", "outline", "ink", "x", "y", "text", "kind", "after"]), "architecture")
        page = lambda: drawing.standalone_html(drawn, run.scale(lens), f"{run.name}: {what}")  # noqa: E731
        st.download_button(
            "Stand-alone HTML",
            page,
            "architecture.html",
            "text/html",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )


def module(node: "pd.Series[str]", lens: colours.Lens) -> None:
    """The module that ends at a layer: score, interval, evidence, rank, the target with and without it."""
    places, layers = json.loads(node["module_positions"]), json.loads(node["module_layers"])
    facts = charts.module_facts(run.modules, node, lens, run.num_evaluated, run.config.minimize)
    name = charts.module_name(node["module_positions"], node["module_layers"]).replace("_", " ")
    st.subheader(_shared.plain(name, 200), anchor=False)
    st.html(_shared.module_card(node["words"], facts["seen"], node["fill"]))
    _pins.pin(run, node, lens, "importance")
    mean = colours.number(run.quality["space_mean"])
    score = f"{colours.number(node['score'])} {run.unit} {_shared.interval(node['score_low'], node['score_high'])}"
    good = f"{node['good']:.0%} ({node['good_low']:.0%} to {node['good_high']:.0%})"
    st.markdown(
        f"Expected target **{_shared.plain(score)}**; the average architecture has {_shared.plain(mean)}.  \n"
        f"Among the best 10 %: **{good}**. Norm {node['embedding_norm']:+.2f}.  \n{facts['rank']}"
    )
    if note := _trust.best_note(run, node["module_positions"], node["module_layers"]) if node["whole_unit"] else "":
        st.markdown(_shared.plain(note[:1].upper() + note[1:], 200) + ".")
    table = charts.with_without_table(run.table, run.predictions, places, layers, bool(node["whole_unit"]))
    _shared.show(
        charts.with_without_figure(table, run.config.target), table, "with_without", "Measured target with and without the module"
    )


instrument()
