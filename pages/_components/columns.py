"""The columns of a file as a component in the page: a table with a list of roles in every line, and tiny histograms."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from autobuild_core.architectures.records import ColumnRole
from autobuild_core.datasets._mapping import ROLE_NAMES

HERE = Path(__file__).parent
GROUPS = {"Architecture": "Architecture", "Choice": "Choices", "Context": "Contexts", "Metric": "Metrics", "Ignored": "Ignored"}


@cache
def _renderer() -> Any:
    """The component, registered once a process."""
    html, css, script = ((HERE / f"columns.{ending}").read_text(encoding="utf-8") for ending in ("html", "css", "js"))
    return st.components.v2.component("autobuild_columns", html=html, css=css, js=script)


def said(key: str) -> tuple[int, dict[str, str]]:
    """(turn, {column: role}) that the reader chose in a table since that turn; (-1, {}) before the first choice."""
    found = (st.session_state.get(key) or {}).get("said") or {"turn": -1, "roles": {}}
    return int(found["turn"]), dict(found["roles"])


def columns(
    shown: Sequence[ColumnRole],
    key: str,
    theme: str,
    above: int,
    found: Mapping[str, str] | None = None,
    turn: int = 0,
    on_change: Callable[[], Any] | None = None,
) -> None:
    """Draws the columns; `said` tells what was chosen.

    Args:
        shown: how they are read.
        key: one table is kept for each key.
        theme: "light" or "dark".
        above: pixels of the window's height that are not the table's.
        found: {column: role} without what a reader said, shown beside a change.
        turn: a new one lets go of what was chosen in the table.
        on_change: called before the page runs when a role was chosen; None = roles cannot be changed.
    """
    roles = [
        {"name": title, "options": [{"value": r, "label": n} for r, n in ROLE_NAMES.items() if n.startswith(word)]}
        for word, title in GROUPS.items()
    ]
    data = {"roles": roles, "lines": [_line(c, found or {}) for c in shown], "editable": on_change is not None, "theme": theme}
    ident = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    data |= {"turn": turn, "above": above, "id": ident}
    _renderer()(data=data, key=key, on_said_change=on_change or (lambda: None))


def _line(column: ColumnRole, found: Mapping[str, str]) -> dict[str, Any]:
    """A column as the table shows it."""
    number = f"{column.num_values:,} value{'s' * (column.num_values != 1)}"
    kind = f"{column.kind}, " if column.role != "context" else ""
    return {
        "name": column.name,
        "role": column.spoken,
        "facts": f"{kind}{number}",
        "examples": ", ".join(column.examples),
        "bars": list(column.histogram),
        "why": column.why,
        "said": column.said,
        "found": ROLE_NAMES.get(found.get(column.name, ""), "").lower(),
    }
