"""The importance graph as a component in the page: SVG that answers mouse and keyboard, no iframe, no other host."""

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent


@cache
def _renderer() -> Any:
    """The component, registered once a process."""
    html, css, script = ((HERE / f"graph.{ending}").read_text(encoding="utf-8") for ending in ("html", "css", "js"))
    return st.components.v2.component("autobuild_graph", html=html, css=css, js=script)


def chosen(key: str) -> dict[str, Any] | None:
    """The reader's last choice in a graph: node, stop, lens, turn, count; None before the first choice."""
    state = st.session_state.get(key) or {}
    at = state.get("at")
    return dict(at) if at else None


def graph(data: dict[str, Any], start: dict[str, Any], title: str, key: str, above: int, on_choice: Callable[[], Any]) -> None:
    """Draws a graph; `chosen` tells what was chosen in it.

    Args:
        data: from `figures.graph`.
        start: node, stop and lens to show; they are taken over when `turn` differs from the last time, else the reader's hold.
        title: what is drawn, in words.
        key: one box is kept for each key.
        above: pixels of the window's height that are not the drawing's.
        on_choice: called before the page runs when something was chosen, also where the same click leaves the page.
    """
    ident = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    more = {"id": ident, "start": start, "title": title, "above": above}
    _renderer()(data=data | more, key=key, on_at_change=on_choice)
