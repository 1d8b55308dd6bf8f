"""Review: the claims that were pinned, each with what speaks for and against it, as one file that can be sent and checked."""

import streamlit as st

from autobuild_core.review.bundle import Bundle, make_bundle, to_json
from autobuild_core.review.page import page
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.pins import Pin
from pages import _claims, _entering, _linked, _navigation, _pins, _run, _states, _trust, _widgets, _workspace

HOW_TO_READ = (
    "the large dot is the claimed module, small ones are all it was chosen from; the thick bar is its 90 % interval, "
    "the thin one is adjusted for having looked at all of them."
)


def render(run: FinishedRun) -> None:
    """The page of a finished run."""
    _trust.panel(run)
    kept = _pins.pins_of(run).all()
    exports(run, kept)
    _linked.line(run, "review")
    _claims.undo_line(run)
    if not kept:
        st.info(
            "No claim is pinned yet. Pin on Importance, Hops or Builder keeps what a module is worth, with your note; here it "
            "gets its evidence, its counter-example and what would overturn it."
        )
        if st.button("Go to Importance", type="primary"):
            _navigation.go_to("importance")
    for number, one in enumerate(kept):
        _claims.card(run, number, one)


def exports(run: FinishedRun, kept: list[Pin]) -> None:
    """The report as a page and as JSON, and how whoever gets it can check it."""

    def bundle() -> Bundle:
        return make_bundle(_workspace.workspace().run(run.id), _pins.pins_of(run).all(), _run.name_of(run), run)

    left, right = st.columns([1, 2.2], vertical_alignment="center", gap="medium")
    files = (
        ("One HTML file", "review.html", "text/html", lambda: page(bundle())),
        ("JSON", "review.json", "application/json", lambda: to_json(bundle())),
    )
    with left, st.container(horizontal=True):
        for label, name, mime, make in files:
            st.download_button(label, make, name, mime, key=f"get_{name}", icon=":material/download:", on_click="ignore")
    count = f"{len(kept)} claim{'' if len(kept) == 1 else 's'}, figures" if kept else "Figures"
    right.caption(
        f"{count}, settings and hashes in one file that opens without a network. Whoever has the data "
        "can work every number out again: `.venv/bin/python -m autobuild_core verify review.html DATA`"
    )


_entering.enter("review")
_widgets.title("Review", HOW_TO_READ)
render(_states.chosen_run())
