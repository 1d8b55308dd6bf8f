"""Pins: a button that any page places beside a module, and what the Review page reads."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.errors import StudioError
from autobuild_core.review import record
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.cards import LONGEST_NOTE
from autobuild_core.store.pins import Claim, Pin, Pins
from autobuild_core.trust.claim import ClaimRecord
from pages import _navigation, _run, _text, _workspace
from pages._selection import module_text

NOTE_HELP = "What you would say to the one who reads the review: why it matters, what you doubt, what to do."


def pins_of(run: FinishedRun) -> Pins:
    """The pins of a run."""
    return Pins.of(_workspace.workspace(), run.id)


@st.cache_data(max_entries=256, show_spinner="Working out the claim")
def _record(run_id: str, task: str, changed: float, claim: Claim) -> tuple[ClaimRecord, pd.DataFrame]:
    run = _run.read_run(run_id, task)
    return record.record(run, claim), record.rivals_table(run, claim)


def record_of(run: FinishedRun, claim: Claim) -> tuple[ClaimRecord, pd.DataFrame]:
    """(the record of a claim, the table of modules that were looked at), worked out once a process.

    Raises:
        RunError: the run did not score the module.
    """
    changed = _workspace.workspace().run(run.id).path.joinpath("modules.parquet").stat().st_mtime
    return _record(run.id, run.task, changed, claim)


def pin(run: FinishedRun, line: "Mapping[str, Any] | Any", lens: Lens, place: str) -> None:
    """A button that pins what a module is worth, with a note; one that is pinned shows its note.

    Args:
        run: the run that is looked at.
        line: of the module table, or of a drawing's (module_positions, module_layers).
        lens: the lens it is looked at through.
        place: where the button stands, one name a place of a page, e.g. "builder_0".
    """
    if said := st.session_state.pop(f"pinned_{place}", None):
        st.toast(said)
    module = ModuleKey.of(line)
    if module.texts not in run.index:
        return
    claim = Claim(module.positions, module.layers, module.whole_unit, lens)
    known = pins_of(run).find(claim)
    icon = ":material/keep:" if known is None else ":material/check:"
    label = "Pin" if known is None else "Pinned"
    with st.popover(label, icon=icon, type="tertiary", help="Keep this claim, with a note, for the design review"):
        st.markdown(f"**{_text.plain(module.name, 120)}**, {lens.label.lower()}")
        key = f"note_{place}_{run.id}_{module_text(module)}_{lens.value}"
        note = known.note if known else ""
        st.text_area("Note", note, max_chars=LONGEST_NOTE, key=key, placeholder=NOTE_HELP, height=110)
        with st.container(horizontal=True):
            do = "Pin this claim" if known is None else "Save the note"
            st.button(do, type="primary", key=f"do_{key}", on_click=_write, args=(run, claim, known, key, place))
            st.page_link(_navigation.page("review"), label="Open Review", query_params={"run": run.id})


def _write(run: FinishedRun, claim: Claim, known: Pin | None, key: str, place: str) -> None:
    """Writes the pin with the note that was typed."""
    note = str(st.session_state.get(key, "")).strip()
    made = Pin(claim, note, place.partition("_")[0]) if known is None else replace(known, note=note)
    try:
        pins_of(run).write(made)
        said = "Pinned. It is on Review." if known is None else "The note is saved."
    except StudioError as error:
        said = _text.plain(error, 300)
    st.session_state[f"pinned_{place}"] = said  # a callback shows nothing itself
