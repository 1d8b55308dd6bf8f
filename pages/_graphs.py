"""The graphs of a run for Importance, built once and shared between sessions, and what is chosen in them."""

from typing import Any

import numpy as np
import streamlit as st

from autobuild_core.architectures.lens import TRAINED
from autobuild_core.architectures.records import Codes
from autobuild_core.figures import graph as graphs
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.targets.costs import layer_cost
from pages import _linked, _memory, _run, _selection, _workspace
from pages._components.graph import chosen

BEST_SHARE = 0.1
MEANS = {"best": "the best tenth", "marked": "the marked region"}
WATCHED = ("run", "task", "module", "hop", "lens")


@st.cache_resource(max_entries=8, show_spinner=False)
def _source(run_key: str, changed: float, _finished: FinishedRun) -> graphs.Source:
    cost = layer_cost(_finished.table, _finished.space, _finished.config.target)
    scales = {lens: _run.scale(_finished, lens) for lens in TRAINED}
    return graphs.Source(
        _finished.table.spec, _finished.modules, _finished.index, scales, _finished.num_evaluated, _finished.unit, cost
    )


@st.cache_resource(max_entries=64, show_spinner="Drawing the graph")
def _graph(run_key: str, changed: float, rows: bytes, kind: str, _finished: FinishedRun) -> graphs.Graph:
    source = _source(run_key, changed, _finished)
    codes = np.frombuffer(rows, np.int16).reshape(-1, _finished.table.spec.num_positions)
    if kind == "pair":
        return graphs.pair_graph(source, codes[0], codes[1])
    return graphs.mean_graph(source, codes, MEANS[kind]) if kind in MEANS else graphs.one_graph(source, codes[0])


def drawn(run: FinishedRun, kind: str, codes: Codes) -> graphs.Graph:
    """The graph of architectures.

    Args:
        run: the run.
        kind: "one", "pair", or one of MEANS.
        codes: (n, num_positions): one, two, or all that are averaged.
    """
    changed = _workspace.workspace().run(run.id).path.joinpath("quality.json").stat().st_mtime
    rows = np.ascontiguousarray(codes, np.int16).tobytes()
    return _graph(run.key, changed, rows, kind, run)


def averaged(run: FinishedRun, kind: str) -> Codes:
    """(n, num_positions) the measured architectures of one of MEANS, best first."""
    rows = run.ranked_rows()
    held = _linked.marked(run) if kind == "marked" else None
    rows = rows[: max(int(len(rows) * BEST_SHARE), 1)] if held is None else rows[held[rows]]
    chosen: Codes = run.table.codes[rows]
    return chosen


def where(run: FinishedRun, graph: graphs.Graph, key: str) -> dict[str, Any]:
    """Node, stop and lens to show: the reader's last choice in this graph, or what was chosen elsewhere since.

    Returns:
        {"node", "stop", "lens", "turn"}: a new turn tells the browser to follow; "elsewhere": the module that was chosen is not
        in the graph, which shows its place instead.
    """
    wanted, memory = [_memory.recall(name) for name in WATCHED], f"{key}_now"
    now, at = st.session_state.get(memory), chosen(key)
    if now and at and pending(key):
        # Before the link: a run that was cut short may have kept only half of the last choice there.
        now = at | {"elsewhere": now["elsewhere"] and at["node"] == now["node"]}
    elif now is None or now["told"] != wanted:
        now = _from_link(run, graph) | {"turn": (now or {}).get("turn", 0) + 1}
    if now["node"] not in graph.nodes():
        now |= {"node": next(iter(graph.nodes())), "turn": now["turn"] + 1}
    st.session_state[memory] = now | {"told": wanted}
    return dict(now)


def told(key: str) -> None:
    """Remembers the link as it is now: what differs from it later was chosen elsewhere. The last choice has been followed."""
    memory = st.session_state[f"{key}_now"]
    memory |= {"told": [_memory.recall(name) for name in WATCHED], "followed": memory.get("count")}


def pending(key: str) -> bool:
    """Whether the reader's last choice in a graph was not followed to its end: a run can be cut short anywhere."""
    now, at = st.session_state.get(f"{key}_now"), chosen(key)
    return bool(now and at and at["turn"] == now["turn"] and at["count"] != now.get("followed"))


def _from_link(run: FinishedRun, graph: graphs.Graph) -> dict[str, Any]:
    asked, nodes = _selection.module(run), graph.nodes()
    names = [stop["id"] for stop in graph.data["stops"]]
    hop = _memory.recall("hop") or ""
    number = _memory.whole_number(hop)
    stop = names[min(number, len(names) - 2)] if number is not None else hop if hop in names else names[0]
    line = None if asked is None else run.index.get(asked.texts)
    if line is not None and asked is not None:
        for one in dict.fromkeys([stop, names[min(asked.hop, len(names) - 2)], graphs.WHOLE]):
            if node := graph.find(line, one):
                return {"node": node, "stop": one, "lens": _selection.lens().value, "elsewhere": False}
    place = next((node for node, (slot, _) in nodes.items() if asked and slot["id"] == asked.positions[-1]), next(iter(nodes)))
    return {"node": place, "stop": stop, "lens": _selection.lens().value, "elsewhere": line is not None}
