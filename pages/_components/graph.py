"""The architecture as a graph that answers clicks: vis-network, as pyvis ships it, in a Streamlit component.

The library is sent once a session by a component without data, so that a recolouring sends only the nodes.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
HTML = """
<div class="graph">
  <div class="legend"><div class="title"></div><div class="bar"><div class="strip"></div><div class="mark"></div>
    <div class="labels"><span></span><span></span><span></span></div></div></div>
  <div class="canvas" tabindex="0" role="application"></div>
</div>
"""


@cache
def _library() -> str:
    """The text of vis-network as an ES module that leaves `vis` in the global scope."""
    spec = find_spec("pyvis")
    assert spec is not None, "requirements.txt names pyvis"
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "templates" / "lib" / "vis-9.1.2" / "vis-network.min.js").read_text(encoding="utf-8")
    text = "\n".join(line for line in text.split("\n") if not line.startswith("//# sourceMappingURL"))
    return f"if (!globalThis.vis) {{\n{text}\n}}\nexport default function () {{}}\n"


@cache
def _renderers() -> tuple[Any, Any]:
    """The loader and the graph, each registered once a process."""
    css, script = (HERE / "graph.css").read_text(encoding="utf-8"), (HERE / "graph.js").read_text(encoding="utf-8")
    loader = st.components.v2.component("autobuild_vis", js=_library())
    return loader, st.components.v2.component("autobuild_graph", html=HTML, css=css, js=script)


def graph(data: dict[str, Any], key: str, height: int = 340) -> str | None:
    """Draws a graph and returns the id of the node that was clicked last, None before the first click.

    Args:
        data: from `figures.drawing.graph_data`.
        key: one network is kept for each key.
        height: of the box, in pixels.
    """
    loader, renderer = _renderers()
    loader(key="vis_library", height=1)
    result = renderer(
        data=data | {"box_height": height}, key=key, default={"node": data["selected"]}, on_node_change=lambda: None
    )
    return result.node if isinstance(result.node, str) else None
