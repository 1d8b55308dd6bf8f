"""Review: a pinned claim as a card, with what speaks for and against it."""

from dataclasses import replace

import numpy as np
import streamlit as st

from autobuild_core.architectures import numbers
from autobuild_core.architectures.lens import TRAINED, Lens
from autobuild_core.errors import StudioError
from autobuild_core.figures import drawing, review
from autobuild_core.review import words
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search import assembly
from autobuild_core.store.candidates import Origin
from autobuild_core.store.cards import LONGEST_NOTE
from autobuild_core.store.pins import Pin
from autobuild_core.trust.claim import ClaimRecord
from pages import _candidates, _listed, _navigation, _pins, _run, _selection, _text, _theme, _widgets


def card(run: FinishedRun, number: int, one: Pin) -> None:
    """One claim: sentence, note, figure, lenses, remarks, examples, what would overturn it."""
    with st.container(border=True, key=f"claim_{one.id}"):
        try:
            found, rivals = _pins.record_of(run, one.claim)
        except StudioError as error:
            st.error(_text.plain(error, 400))
            st.button("Delete", key=f"delete_{one.id}", on_click=forget, args=(run, one))
            return
        head(run, one, found)
        left, right = st.columns([1.15, 1], gap="large")
        with left:
            effect = found.effect()
            lens = effect.lens if effect.lens in TRAINED else Lens.SCORE
            figure = review.claim_figure(rivals, effect, _run.scale(run, lens), _theme.theme())
            _widgets.show(figure, None, f"claim_{number}", words.sentence(found), key=f"plot_{one.id}")
            effects = words.effects_table(found).map(lambda cell: _text.plain(cell, 200))  # its cells are Markdown
            st.table(effects.set_index("lens"), border="horizontal")
        with right:
            key = f"review_note_{one.id}"
            st.text_area("Note", one.note, max_chars=LONGEST_NOTE, key=key, height=68, on_change=save_note, args=(run, one, key))
            remarks = words.remarks(found, run.label.title)
            st.markdown("  \n".join(f":gray[{name}:] {_text.plain(text, 400)}" for name, text in remarks))
        examples(run, one, found)
        overturn(run, one, found)


def head(run: FinishedRun, one: Pin, found: ClaimRecord) -> None:
    """The claim as a sentence, the way to its module, and the way to forget it."""
    heading, show, delete = st.columns([7, 1.5, 1], vertical_alignment="center")
    heading.subheader(_text.plain(words.sentence(found), 300), anchor=False)
    if show.button("Show the module", key=f"show_{one.id}", type="tertiary", icon=":material/account_tree:"):
        row = None if found.with_it is None else found.with_it.source_row
        choices = {
            "module": _selection.module_text(one.claim.module),
            "hop": found.hop or None,
            "lens": one.claim.lens.value,
        }
        _navigation.go_to("importance", run=run.id, arch=None if row is None else f"row:{row}", **choices)
    delete.button("Delete", key=f"delete_{one.id}", type="tertiary", icon=":material/delete:", on_click=forget, args=(run, one))


def examples(run: FinishedRun, one: Pin, found: ClaimRecord) -> None:
    """The best measured architecture with the module and without it, drawn at the claim's hop."""
    with st.expander("The best measured with it, and the best without it", key=f"examples_{one.id}", on_change="rerun") as folded:
        if not folded.open:
            return
        for column, (name, title) in zip(st.columns(2, gap="large"), words.EXAMPLES.items(), strict=True):
            about = found.examples[name]
            if about is None:
                column.caption(f"{title}: none was measured.")
                continue
            with column:
                st.caption(f"{title}: row {about.source_row}, {numbers.number(about.value)}, rank {about.rank:,}.")
                drawn = _run.drawn(run, run.table.codes[about.row], found.hop, Lens.SCORE)
                figure = drawing.architecture_figure(drawn, _theme.theme())
                _widgets.show(figure, None, name, f"{title}, row {about.source_row}", key=f"{name}_{one.id}")


def overturn(run: FinishedRun, one: Pin, found: ClaimRecord) -> None:
    """The five evaluations most likely to overturn the claim."""
    with st.expander("The five evaluations most likely to overturn it", key=f"overturn_{one.id}", on_change="rerun") as folded:
        if not folded.open:
            return
        st.caption(_text.plain(words.overturn_words(found.overturn), 300))
        table = words.overturn_table(found.overturn)
        if table.empty:
            st.caption("Every network was evaluated already.")
            return
        codes = np.array([run.space.parse(evaluation.arch) for evaluation in found.overturn.evaluations], np.int16)
        facts = table.drop(columns="arch")
        records = assembly.architecture_records(run.predictor, codes, facts[[]])
        _candidates.candidates(facts, records, f"overturn_{one.id}")
        _listed.add_button(run, [record["arch"] for record in records], Origin.CLAIM, f"overturn_{one.id}")
        _widgets.csv_button(table, f"overturn_{one.id}")


def save_note(run: FinishedRun, one: Pin, key: str) -> None:
    """Writes a note that was edited."""
    _widgets.guarded(lambda: _pins.pins_of(run).write(replace(one, note=str(st.session_state[key]).strip())))


def forget(run: FinishedRun, one: Pin) -> None:
    """Forgets a claim; it can be put back until the next one is deleted."""
    _pins.pins_of(run).delete(one.id)
    st.session_state[f"deleted_{run.id}"] = one


def undo_line(run: FinishedRun) -> None:
    """The claim that was deleted last, and the way to have it back with its note."""
    one: Pin | None = st.session_state.get(f"deleted_{run.id}")
    if one is None:
        return

    def put_back() -> None:
        if _widgets.guarded(lambda: _pins.pins_of(run).write(one)) is not None:
            st.session_state.pop(f"deleted_{run.id}")

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":gray[Deleted]  **{_text.plain(one.claim.name, 120)}**", width="content")
        st.button("Undo", key="undo_delete", type="tertiary", icon=":material/undo:", on_click=put_back)
