"""Architectures to evaluate, as a table of their units."""

from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.architectures.names import native_text
from autobuild_core.figures.candidates import candidates_table
from pages import _navigation


def candidates(facts: pd.DataFrame, records: list[dict[str, Any]], key: str, columns: dict[str, Any] | None = None) -> int:
    """Architectures to evaluate as a table of their units; the one whose line is clicked, else the first, opens on Importance.

    Args:
        facts: a line an architecture: what is known of it.
        records: of each its "arch" (native encoding) and "modules", as `assembly.architecture_records` has them.
        key: of the table.
        columns: how Streamlit shows columns, by name.

    Returns:
        The line that is chosen.
    """
    described = [[(part["unit"], part["layers"]) for part in record["modules"]] for record in records]
    shown = candidates_table(facts, described)
    shown.insert(0, "candidate", range(1, len(shown) + 1))
    numbers = {"candidate": st.column_config.NumberColumn("no.", width=44)}
    numbers |= {"predicted": st.column_config.NumberColumn(format="%.4g")}
    st.dataframe(
        shown,
        hide_index=True,
        height="auto" if len(shown) <= 10 else 388,
        column_config=numbers | (columns or {}),
        key=f"lines_{key}",
        on_select="rerun",
        selection_mode="single-row",
    )
    lines = (st.session_state.get(f"lines_{key}") or {}).get("selection", {}).get("rows", [])
    line = lines[0] if lines and lines[0] < len(records) else 0
    label = f"Show candidate {line + 1} in Importance"
    help = "Click the box before a line to choose another candidate."
    if st.button(label, type="tertiary", icon=":material/arrow_forward:", key=f"open_{key}", help=help):
        _navigation.go_to("importance", arch=f"typed:{native_text(records[line]['arch'])}")
    return line
