"""Importance: one architecture, two, or the mean of several as a graph, and the module that was clicked."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.figures import graph as graphs
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _graphs, _memory, _module_panel, _run, _selection, _text, _widgets, _words
from pages._components.graph import graph

ABOVE = 393  # pixels that a page has above the drawing and for the legend below it


def one(run: FinishedRun, chosen: _selection.Architecture) -> None:
    """One architecture, and beside it the module that was clicked."""
    found = _graphs.drawn(run, "one", chosen.codes[None])
    left, right = st.columns([2.1, 1], gap="medium")
    with left:
        node, stop, lens = draw(run, found, "one", f"Architecture, {chosen.what}")
        caption(run, chosen, "" if chosen.row is None else measured(run, chosen.row))
        downloads(run, found, chosen.what, stop, lens, {"": chosen})
    with right:
        lines = found.at(node, stop)
        asked = _selection.module(run)
        shown = run.modules.iloc[next(iter(lines))] if lines else None
        if asked is not None and asked.texts in run.index and (shown is None or ModuleKey.of(shown) != asked):
            shown = elsewhere(run, asked)
            _module_panel.module(run, shown, lens, None)
        elif shown is None:
            st.caption("No module that ends here was scored.")
        else:
            _module_panel.module(run, shown, lens, chosen.codes)


def pair(run: FinishedRun, a: _selection.Architecture, b: _selection.Architecture) -> None:
    """Two architectures aligned by unit, and below them what stands at the chosen place."""
    rows = np.stack([a.codes, b.codes])
    found = _graphs.drawn(run, "pair", rows)
    node, stop, lens = draw(run, found, "pair", f"Two architectures side by side, A: {a.what}, B: {b.what}")
    st.caption(f"A: {a.what}; B: {b.what}. Thick outlines: another layer; the small numbers: what changes from A to B.")
    downloads(run, found, f"A: {a.what}, B: {b.what}", stop, lens, {"A": a, "B": b})
    slot = found.nodes()[node][0]
    shown = {}
    for one_node in slot["nodes"]:
        lines = found.at(one_node["id"], stop) if one_node["of"] else None
        shown[one_node["side"]] = run.modules.iloc[next(iter(lines))] if lines else None
    _module_panel.comparison(run, rows, shown, lens)


def several(run: FinishedRun, kind: str) -> None:
    """The mean over several architectures, and beside it what stands at the chosen place there."""
    rows, name = _graphs.averaged(run, kind), _graphs.MEANS[kind]
    found = _graphs.drawn(run, kind, rows)
    left, right = st.columns([2.1, 1], gap="medium")
    with left:
        node, stop, lens = draw(run, found, kind, f"Mean over {name}, {len(rows)} measured")
        number = f"{len(rows):,} measured architectures"
        number += f", {graphs.MOST_ROWS:,} of them spread evenly" if len(rows) > graphs.MOST_ROWS else ""
        st.caption(
            f"Mean over {name}, {number}: each place shows its commonest layer with its share, "
            "coloured by the mean of what stands there."
        )
        downloads(run, found, f"mean over {name}", stop, lens, {})
    with right:
        lines = found.at(node, stop)
        if not lines:
            st.caption("No module that ends here was scored.")
            return
        _module_panel.several(run, found.nodes()[node][0]["id"], lines, lens, name)
        _module_panel.module(run, run.modules.iloc[lines.most_common(1)[0][0]], lens, None)


def draw(run: FinishedRun, found: graphs.Graph, kind: str, title: str) -> tuple[str, str, Lens]:
    """The graph; the node, the stop and the lens that are chosen."""
    key = f"graph_{kind}"
    now = follow(run, found, key)
    start = {name: now[name] for name in ("node", "stop", "lens", "turn")}
    _memory.visit()["heard"] = lambda: follow(run, found, key) if _graphs.pending(key) else None
    graph(found.data, start, title, key, ABOVE, lambda: follow(run, found, key))
    return now["node"], now["stop"], Lens(now["lens"])


def follow(run: FinishedRun, found: graphs.Graph, key: str) -> dict[str, Any]:
    """The choice in a graph, which becomes the choice everywhere; node, stop, lens and turn to show."""
    now = _graphs.where(run, found, key)
    lines = found.at(now["node"], now["stop"])
    _selection.choose_lens(Lens(now["lens"]))
    if not now["elsewhere"]:
        _memory.keep(hop=None if now["stop"] == "0" else now["stop"])
        if len(lines) == 1:
            _selection.choose_module(ModuleKey.of(run.modules.iloc[next(iter(lines))]), follow=False)
    _graphs.told(key)
    return now


def elsewhere(run: FinishedRun, asked: ModuleKey) -> "pd.Series[Any]":
    """The module that was chosen on another page and is not in the architecture that is shown."""
    row = _selection.best_row_with(run, asked)
    st.info("The chosen module is not in this architecture; click a box to look at another one.")
    if row is not None and st.button("Show the best measured that has it"):
        _selection.choose_row(run, row)
        for name in ("arch_kind", "arch_row", "arch_typed"):
            st.session_state.pop(name, None)
        st.rerun()
    return run.modules.iloc[run.index[asked.texts]]


def measured(run: FinishedRun, row: int) -> str:
    """The measurement of a row of the table, for a caption."""
    value = run.measured(row)
    if np.isfinite(value):
        return f", measured {_text.plain(run.amount(value))}"
    return f", not measured for {_text.plain(run.task, 120)}" if run.task else ""


def caption(run: FinishedRun, chosen: _selection.Architecture, measured: str) -> None:
    """The architecture and its prediction in a line."""
    line = run.predictor.predict(chosen.codes[None]).iloc[0]
    interval = _words.interval(line["low"], line["high"])
    reading = topology_of(run.table.spec).caption
    what = chosen.what[:1].upper() + chosen.what[1:]
    st.caption(f"{what}{measured}; predicted {_text.plain(run.amount(line['predicted']))} {interval}. {reading}".rstrip())


def downloads(
    run: FinishedRun, found: graphs.Graph, title: str, stop: str, lens: Lens, shown: dict[str, _selection.Architecture]
) -> None:
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
