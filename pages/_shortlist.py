"""Builder: the shortlist of a design review: named designs side by side, the verdict on each and why, sent to Evaluate."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures import numbers
from autobuild_core.architectures.names import layers_short
from autobuild_core.architectures.records import Codes
from autobuild_core.errors import StudioError, counted
from autobuild_core.loop import proposing
from autobuild_core.predictor.run_metrics import RunMetrics
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.budgets import Budgets
from autobuild_core.search.gauges import Known, gauges
from autobuild_core.store.candidates import Candidate, Origin
from autobuild_core.store.cards import LONGEST_NOTE
from autobuild_core.store.shortlist import LONGEST_NAME, ShortDesign, Shortlist, Verdict
from pages import _listed, _navigation, _run, _slots, _text, _widgets, _workspace

EMPTY = "Put designs that you want to compare on the shortlist: with the button beside the architecture above."
ROW = 35  # pixels of a line
WHY = "What speaks for it or against it: the reader of the review sees it, and Evaluate beside the candidate."


def shortlist_of(run: FinishedRun) -> Shortlist:
    """The shortlist of a run."""
    return Shortlist.of(_workspace.workspace(), run.id)


def add_button(run: FinishedRun, codes: Codes) -> None:
    """The button that puts the architecture on the screen on the shortlist, with a name and a reason."""
    native, shortlist = run.space.native(codes), shortlist_of(run)
    if (known := _same(run, shortlist, codes)) is not None:
        st.markdown(f":gray[On the shortlist as] {_text.strong(known.name)}", width="content")
        return
    with st.popover("Shortlist", icon=":material/bookmark_add:", type="tertiary", key=f"shortlist_{len(shortlist.all())}"):
        name = st.text_input("Name", shortlist.free_name(), max_chars=LONGEST_NAME, key=f"name_{len(shortlist.all())}")
        note = st.text_area("Why", "", max_chars=LONGEST_NOTE, placeholder=WHY, height=90, key=f"why_{len(shortlist.all())}")
        if st.button("Put it on the shortlist", type="primary", key="do_shortlist"):
            design = _widgets.guarded(lambda: shortlist.write(ShortDesign(" ".join(name.split()), native, note=note.strip())))
            if design is not None:
                st.rerun()


def _same(run: FinishedRun, shortlist: Shortlist, codes: Codes) -> ShortDesign | None:
    """The design of an architecture's network, whatever its encoding; None where it is not on the list."""
    network = run.space.hash_networks(codes[None])[0]
    for one in shortlist.all():
        with suppress(StudioError):  # the section says what is wrong with it
            if run.space.hash_networks(proposing.codes_of(run.space, [one.arch]))[0] == network:
                return one
    return None


def section(run: FinishedRun, known: RunMetrics | None, budgets: Budgets | None) -> None:
    """The designs side by side, their verdicts, and the way to Evaluate."""
    designs = shortlist_of(run).all()
    st.subheader("Shortlist", anchor=False)
    if not designs:
        st.caption(EMPTY)
        return
    try:
        codes = proposing.codes_of(run.space, [one.arch for one in designs])
    except StudioError as error:
        st.error(_text.plain(error, 400))
        return
    table = side_by_side(run, known, budgets, designs, codes)
    st.dataframe(table, hide_index=True, height=ROW * (len(table) + 1) + 3, key=f"short_table_{len(designs)}")
    _widgets.csv_button(table, "shortlist")
    names = {one.id: f"{one.name} ({one.verdict.value})" for one in designs}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox("Design", list(names), format_func=names.__getitem__, key=f"short_{len(designs)}", width=280)
        place = [one.id for one in designs].index(chosen)
        _acts(run, designs[place], codes[place])
    _send(run, designs, codes)


def side_by_side(
    run: FinishedRun, known: RunMetrics | None, budgets: Budgets | None, designs: list[ShortDesign], codes: Codes
) -> pd.DataFrame:
    """A column a design: its prediction, every metric and how it is known, its units, its verdict and why."""
    predictions = run.predictor.predict(codes)
    measured = run.space.hash_networks(codes)
    columns: dict[str, list[str]] = {}
    rows: list[str] = []
    for place, design in enumerate(designs):
        line = predictions.iloc[place]
        ends = f"{numbers.number(line['low'])} to {numbers.number(line['high'])}"
        facts = {"verdict": design.verdict.value, "why": design.note}
        facts |= {f"{run.label.title}, predicted": f"{numbers.number(line['predicted'])} ({ends})"}
        own = run.values[run.table.networks == measured[place]]
        own = own[np.isfinite(own)]
        facts[f"{run.label.title}, measured"] = numbers.number(float(own.mean())) if len(own) else "novel"
        if known is not None and budgets is not None:
            names = [name for name in known.metrics.models if name != known.target]
            for gauge in gauges(known.metrics, names, run.table, budgets.bounds, codes[place]).to_dict("records"):
                facts[str(gauge["metric"])] = _gauge_words(gauge)
        facts |= {unit: layers_short(layers) for unit, layers in run.space.describe(codes[place])}
        rows = list(facts)
        columns[design.name if design.name not in columns else f"{design.name} ({place + 1})"] = list(facts.values())
    return pd.DataFrame({"": rows} | columns)


def _gauge_words(gauge: dict[Any, Any]) -> str:
    """A metric of a design in words."""
    value = numbers.number(gauge["value"])
    if gauge["known"] == Known.PREDICTED:
        value += f" ({numbers.number(gauge['low'])} to {numbers.number(gauge['high'])})"
    kept = "" if not np.isfinite(gauge["within"]) else f"; sure to keep its budget: {100 * gauge['within']:.0f} %"
    return f"{value}, {gauge['known']}{kept}"


def _acts(run: FinishedRun, design: ShortDesign, codes: Codes) -> None:
    """Puts a design on the screen, says the verdict on it and why, takes it off."""
    st.button("Put it on the screen", key="short_put", icon=":material/move_up:", on_click=_slots.put, args=(run, codes))
    with st.popover("Verdict and why", icon=":material/rate_review:", key=f"verdict_of_{design.id}_{design.verdict.value}"):
        verdict = st.segmented_control(
            "Verdict", list(Verdict), default=design.verdict, format_func=lambda one: one.value, key=f"verdict_{design.id}"
        )
        note = st.text_area("Why", design.note, max_chars=LONGEST_NOTE, placeholder=WHY, height=110, key=f"note_{design.id}")
        if st.button("Save", type="primary", key=f"save_{design.id}"):
            own = replace(design, verdict=verdict or design.verdict, note=note.strip())
            if _widgets.guarded(lambda: shortlist_of(run).write(own)) is not None:
                st.rerun()
    if st.button("Take it off", type="tertiary", icon=":material/close:", key="short_off"):
        shortlist_of(run).delete(design.id)
        st.rerun()


def _send(run: FinishedRun, designs: list[ShortDesign], codes: Codes) -> None:
    """Puts the designs that were not rejected on the list to evaluate, each with its reason."""
    left = [place for place, one in enumerate(designs) if one.verdict is not Verdict.REJECTED]

    def send() -> str:
        made = proposing.candidates_of(_run.handle(run), codes[left], Origin.TYPED)
        own = [_with_reason(one, designs[place]) for one, place in zip(made, left, strict=True)]
        return _listed.put(run, lambda _: own)

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        label = f"Send {counted(len(left), 'design')} to Evaluate"
        if st.button(label, type="primary", key="send_shortlist", icon=":material/send:", disabled=not left):
            st.session_state["sent"] = _widgets.guarded(send)
        if said := st.session_state.pop("sent", None):
            st.markdown(f":gray[{_text.plain(said, 300)}]", width="content")
            st.page_link(_navigation.page("evaluate"), label="Open Evaluate", query_params={"run": run.id})


def _with_reason(candidate: Candidate, design: ShortDesign) -> Candidate:
    """A candidate with the name of its design and why it was chosen."""
    why = f"{design.name}, {design.verdict.value}" + (f": {design.note}" if design.note else "")
    return replace(candidate, why=why)
