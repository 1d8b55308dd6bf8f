"""Importance: what is drawn, and which architecture."""

import json
from typing import Any

import streamlit as st

from autobuild_core.errors import StudioError
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _linked, _memory, _selection, _text

SHOWN = {"one": "One", "pair": "Side by side", "best": "Best tenth", "marked": "Marked"}
CHOICES = {"best": "The best measured", "worst": "The worst measured", "row": "A row of the data", "typed": "Typed in"}


def what_to_show(run: FinishedRun, column: Any) -> str:
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


def architecture(run: FinishedRun, left: Any, right: Any, name: str, label: str) -> _selection.Architecture:
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
    chosen = kind
    if kind == "typed":
        text = rest if known == "typed" else "" if known in names else (_memory.recall(name) or "")
        chosen = f"typed:{typed(run, right, key, text)}"
    if kind == "row":
        chosen = f"row:{row(run, right, key, _memory.whole_number(rest))}"
    _memory.keep(**{name: None if chosen == default else chosen})
    try:
        return _selection.architecture(run, name)
    except StudioError as error:
        st.error(_text.plain(error, 500))
        st.stop()


def typed(run: FinishedRun, column: Any, key: str, text: str) -> str:
    """A box for the native encoding; without a text it holds that of the best measured architecture."""
    best = run.space.native(run.table.codes[run.ranked_rows()[0]])
    written = best if isinstance(best, str) else json.dumps(best)
    box = column.text_input("In the native encoding", text or written, key=f"{key}_typed", label_visibility="collapsed")
    return str(box)


def row(run: FinishedRun, column: Any, key: str, named: int | None) -> int:
    """A box for a row of the file; without a named one it holds that of the best measured architecture."""
    rows = run.table.source_rows
    last = int(rows.max())
    start = int(rows[run.ranked_rows()[0]]) if named is None else min(named, last)
    asked = int(column.number_input("Row of the file, from 0", 0, last, start, key=f"{key}_row", label_visibility="collapsed"))
    if asked not in rows:
        st.error(f"Row {asked} was refused when the file was read; choose another one.")
        st.stop()
    return asked
