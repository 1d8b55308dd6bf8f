"""Importance: architectures as a graph, coloured by what their modules are worth; a click opens a module."""

import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.errors import StudioError
from autobuild_core.figures import graph as graphs
from pages import _entering, _graphs, _linked, _memory, _module_panel, _run, _selection, _states, _text, _trust, _widgets, _words
from pages._components.graph import graph

_entering.enter("importance")
_widgets.title(
    "Importance",
    "a box is a layer, coloured by the module that ends there and reaches back as many layers as the hop says; "
    "move the hop, click a box, or walk with the arrow keys.",
)
run = _states.chosen_run()
_trust.panel(run)
ABOVE = 393  # pixels that a page has above the drawing and for the legend below it
SHOWN = {"one": "One", "pair": "Side by side", "best": "Best tenth", "marked": "Marked"}
CHOICES = {"best": "The best measured", "worst": "The worst measured", "row": "A row of the data", "typed": "Typed in"}


def what_to_show(column: Any) -> str:
    """One architecture, two, the mean of the best tenth, or of what is marked on the map, where something is."""
    held = _linked.marked(run)
    offered = [kind for kind in SHOWN if kind != "marked" or (held is not None and held[run.ranked_rows()].any())]
    known = _memory.recall("show")
    start = known if known in offered else "one"
    if st.session_state.get("show", start) not in offered:
        del st.session_state["show"]
    with column:
        kind = st.segmented_control(
            "Show",
            offered,
            default=start,
            format_func=SHOWN.__getitem__,
            key="show",
            label_visibility="collapsed",
            required=True,
        )
    _memory.keep(show=None if kind == "one" else kind)
    return str(kind)


def architecture(left: Any, right: Any, name: str, label: str) -> _selection.Architecture:
    """Controls of an architecture in two columns; a mistake becomes its sentence and stops the page."""
    default = "best" if name == "arch" else "worst"
    known, _, rest = (_memory.recall(name) or default).partition(":")
    names = list(CHOICES)
    first, key = ("", name) if label == "Architecture" else (f"{label}: ", f"{name}_of_pair")  # a kept box shows its old words
    kind = left.selectbox(
        label,
        names,
        names.index(known) if known in names else 3,
        format_func=lambda one: first + CHOICES[one],
        key=f"{key}_kind",
        label_visibility="collapsed",
    )
    order, table = run.ranked_rows(), run.table
    chosen = kind
    if kind == "typed":
        best = run.space.native(table.codes[order[0]])
        written = best if isinstance(best, str) else json.dumps(best)
        text = rest if known == "typed" else "" if known in names else (_memory.recall(name) or "")
        written = right.text_input("In the native encoding", text or written, key=f"{key}_typed", label_visibility="collapsed")
        chosen = f"typed:{written}"
    if kind == "row":
        last = int(table.source_rows.max())
        named = _memory.whole_number(rest)
        start = int(table.source_rows[order[0]]) if named is None else min(named, last)
        asked = int(right.number_input("Row of the file, from 0", 0, last, start, key=f"{key}_row", label_visibility="collapsed"))
        if asked not in table.source_rows:
            st.error(f"Row {asked} was refused when the file was read; choose another one.")
            st.stop()
        chosen = f"row:{asked}"
    _memory.keep(**{name: None if chosen == default else chosen})
    try:
        return _selection.architecture(run, name)
    except StudioError as error:
        st.error(_text.plain(error, 500))
        st.stop()


@st.fragment
def instrument() -> None:
    """What to show, the graph, and the module that was clicked: only this is drawn anew by a click."""
    show, one_kind, one_value, two_kind, two_value = st.columns([1.9, 1.25, 0.85, 1.25, 0.85], vertical_alignment="bottom")
    kind = what_to_show(show)
    if kind == "pair":
        pair(architecture(one_kind, one_value, "arch", "A"), architecture(two_kind, two_value, "beside", "B"))
    elif kind in _graphs.MEANS:
        several(kind)
    else:
        one(architecture(one_kind, one_value, "arch", "Architecture"))


def follow(found: graphs.Graph, key: str) -> dict[str, Any]:
    """What is chosen in a graph becomes what is chosen everywhere; node, stop, lens and turn to show."""
    now = _graphs.where(run, found, key)
    lines = found.at(now["node"], now["stop"])
    _selection.choose_lens(Lens(now["lens"]))
    if not now["elsewhere"]:
        _memory.keep(hop=None if now["stop"] == "0" else now["stop"])
        if len(lines) == 1:
            _selection.choose_module(ModuleKey.of(run.modules.iloc[next(iter(lines))]), follow=False)
    _graphs.told(key)
    return now


def draw(found: graphs.Graph, kind: str, title: str) -> tuple[str, str, Lens]:
    """The graph; the node, the stop and the lens that are chosen."""
    key = f"graph_{kind}"
    now = follow(found, key)
    start = {name: now[name] for name in ("node", "stop", "lens", "turn")}
    _memory.visit()["heard"] = lambda: follow(found, key) if _graphs.pending(key) else None
    graph(found.data, start, title, key, ABOVE, lambda: follow(found, key))
    return now["node"], now["stop"], Lens(now["lens"])


def one(chosen: _selection.Architecture) -> None:
    """One architecture, and beside it the module that was clicked."""
    found = _graphs.drawn(run, "one", chosen.codes[None])
    left, right = st.columns([2.1, 1], gap="medium")
    with left:
        node, stop, lens = draw(found, "one", f"Architecture, {chosen.what}")
        caption(chosen, "" if chosen.row is None else measured(chosen.row))
        downloads(found, chosen.what, stop, lens, {"": chosen})
    with right:
        lines = found.at(node, stop)
        asked = _selection.module(run)
        shown = run.modules.iloc[next(iter(lines))] if lines else None
        if asked is not None and asked.texts in run.index and (shown is None or ModuleKey.of(shown) != asked):
            shown = elsewhere(asked)
            _module_panel.module(run, shown, lens, None)
        elif shown is None:
            st.caption("No module that ends here was scored.")
        else:
            _module_panel.module(run, shown, lens, chosen.codes)


def measured(row: int) -> str:
    """The measurement of a row of the table, for a caption."""
    value = run.measured(row)
    if np.isfinite(value):
        return f", measured {_text.plain(run.amount(value))}"
    return f", not measured for {_text.plain(run.task, 120)}" if run.task else ""


def elsewhere(asked: ModuleKey) -> "pd.Series[Any]":
    """The module that was chosen on another page and is not in the architecture that is shown."""
    row = _selection.best_row_with(run, asked)
    st.info("The chosen module is not in this architecture; click a box to look at another one.")
    if row is not None and st.button("Show the best measured that has it"):
        _selection.choose_row(run, row)
        for name in ("arch_kind", "arch_row", "arch_typed"):
            st.session_state.pop(name, None)
        st.rerun()
    return run.modules.iloc[run.index[asked.texts]]


def pair(a: _selection.Architecture, b: _selection.Architecture) -> None:
    """Two architectures aligned by unit, and below them what stands at the chosen place."""
    rows = np.stack([a.codes, b.codes])
    found = _graphs.drawn(run, "pair", rows)
    node, stop, lens = draw(found, "pair", f"Two architectures side by side, A: {a.what}, B: {b.what}")
    st.caption(f"A: {a.what}; B: {b.what}. Thick outlines: another layer; the small numbers: what changes from A to B.")
    downloads(found, f"A: {a.what}, B: {b.what}", stop, lens, {"A": a, "B": b})
    slot = found.nodes()[node][0]
    shown = {}
    for one_node in slot["nodes"]:
        lines = found.at(one_node["id"], stop) if one_node["of"] else None
        shown[one_node["side"]] = run.modules.iloc[next(iter(lines))] if lines else None
    _module_panel.comparison(run, rows, shown, lens)


def several(kind: str) -> None:
    """The mean over several architectures, and beside it what stands at the chosen place there."""
    rows, name = _graphs.averaged(run, kind), _graphs.MEANS[kind]
    found = _graphs.drawn(run, kind, rows)
    left, right = st.columns([2.1, 1], gap="medium")
    with left:
        node, stop, lens = draw(found, kind, f"Mean over {name}, {len(rows)} measured")
        number = f"{len(rows):,} measured architectures"
        number += f", {graphs.MOST_ROWS:,} of them spread evenly" if len(rows) > graphs.MOST_ROWS else ""
        st.caption(
            f"Mean over {name}, {number}: each place shows its commonest layer with its share, "
            "coloured by the mean of what stands there."
        )
        downloads(found, f"mean over {name}", stop, lens, {})
    with right:
        lines = found.at(node, stop)
        if not lines:
            st.caption("No module that ends here was scored.")
            return
        _module_panel.several(run, found.nodes()[node][0]["id"], lines, lens, name)
        _module_panel.module(run, run.modules.iloc[lines.most_common(1)[0][0]], lens, None)


def caption(chosen: _selection.Architecture, measured: str) -> None:
    """The architecture and its prediction in a line."""
    line = run.predictor.predict(chosen.codes[None]).iloc[0]
    interval = _words.interval(line["low"], line["high"])
    reading = topology_of(run.table.spec).caption
    what = chosen.what[:1].upper() + chosen.what[1:]
    st.caption(f"{what}{measured}; predicted {_text.plain(run.amount(line['predicted']))} {interval}. {reading}".rstrip())


def downloads(found: graphs.Graph, title: str, stop: str, lens: Lens, shown: dict[str, _selection.Architecture]) -> None:
    """The table of each architecture, and the graph as one file."""
    hop = int(stop) if stop.isdigit() else int(run.modules["hop"].max())
    with st.container(horizontal=True):
        for side, chosen in shown.items():
            table = _widgets.drawing_facts(_run.drawn(run, chosen.codes, hop, lens))
            _widgets.csv_button(table, f"architecture{side}", f"CSV {side}".strip())
        st.download_button(
            "Stand-alone HTML",
            lambda: graphs.standalone_html(found, stop, lens, f"{_run.name_of(run)}: {title}, {graphs.stop_name(stop).lower()}"),
            "architecture.html",
            "text/html",
            key="standalone",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
        )


instrument()
