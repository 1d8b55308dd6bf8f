"""Builder: what to evaluate next."""

import json

import pandas as pd
import streamlit as st

from autobuild_core.architectures.names import native_text
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search import assembly
from autobuild_core.store.candidates import Origin
from pages import _candidates, _listed, _run, _trust, _widgets

DOUBT = "doubt removed so far"


@st.fragment
def next_batch(run: FinishedRun) -> None:
    """The architectures to evaluate next, with downloads."""
    table = _run.extra(run, "next")
    st.subheader("Evaluate these next", anchor=False)
    if table.empty:
        st.caption("Every network was evaluated already." if _trust.report_of(run) else _trust.OLDER)
        return
    _trust.of_the_average(run)
    st.caption(
        "Architectures that tell each unit's best modules apart: those on which the members' disagreement depends, "
        "diverse, with every contending module about equally often, none of them evaluated. Doubt removed counts each together "
        "with those above it."
    )
    records = [json.loads(text) for text in table["record"]]
    shown = pd.DataFrame({"arch": [native_text(r["arch"]) for r in records]}).join(table.drop(columns="record"))
    facts = table[["information", "predicted", "low", "high"]]
    _candidates.candidates(facts, records, "next", {"information": st.column_config.NumberColumn(DOUBT, format="percent")})
    _listed.add_button(run, [record["arch"] for record in records], Origin.NEXT, "next")
    with st.container(horizontal=True):
        lines = assembly.json_lines(records)
        st.download_button(
            "JSONL", lines, "next.jsonl", icon=":material/download:", type="tertiary", on_click="ignore", key="get_next"
        )
        _widgets.csv_button(shown, "next")
