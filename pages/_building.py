"""Build for me: the best networks that were not measured, set against the architecture on the screen."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError
from autobuild_core.figures import candidates
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search import assembly
from autobuild_core.search.assembly import Against, Built
from autobuild_core.search.reduction import Keep, Ranking, Reduction, reduce_space
from autobuild_core.spaces import ENUMERATION_LIMIT
from autobuild_core.store.candidates import Origin
from pages import _candidates, _listed, _text, _widgets

ABOUT = (
    "The whole space is searched for the networks that are predicted best and were not measured: all of it where it can be "
    "enumerated, else from its best modules, the architecture on the screen and the best measured ones."
)
KEEP_HELP = "Off: the whole space is searched. On: only combinations of the best modules of each unit, the reduced space."
SEARCHING = "Searching the space; a click anywhere ends it"


@dataclass(frozen=True, eq=False)
class Found:
    """The result of a search.

    Args:
        run: key of the run.
        begun: (num_positions,) the architecture that was on the screen.
        built: the networks, best first.
        top_k: modules of each unit that were combined; None where the whole space was searched.
        reduced: their space; None where there is none.
    """

    run: str
    begun: Codes
    built: Built
    top_k: int | None
    reduced: Reduction | None


def for_me(run: FinishedRun, codes: Codes) -> None:
    """The controls, and what was found.

    Args:
        run: the run.
        codes: (num_positions,) the architecture on the screen.
    """
    st.subheader("Build for me", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        num = int(st.number_input("Architectures to build", 1, 200, 10, width=200))
        top_k = None
        if st.toggle("Keep only the best modules of each unit", key="keep_modules", help=KEEP_HELP):
            top_k = int(st.number_input("Modules kept a unit", 1, 200, 10, width=200, help="Their product is the reduced space."))
        pressed = st.button("Build", type="primary", key="build")
    if pressed:
        st.session_state["built"] = _search(run, codes, num, top_k)
    found: Found | None = st.session_state.get("built")
    if found is None or found.run != run.key:
        st.caption(ABOUT)
    elif not len(found.built.codes):
        left = assembly.nothing_left(run.space, run.table.networks)
        advice = "there is nothing to build" if left.is_exhausted else "keep more modules a unit"
        st.info(f"{left.said}: {advice}.")
    else:
        _show(run, codes, found)


def _search(run: FinishedRun, codes: Codes, num: int, top_k: int | None) -> Found:
    """The search, with its progress; any other click ends it."""
    bar = st.progress(0.0, SEARCHING)
    minimize, rows = run.config.minimize, run.predictions["row"].to_numpy(int)
    measured = assembly.best_measured(run.table.codes[rows], run.table.networks[rows], run.targets, minimize)
    begun = np.concatenate([codes[None], measured])

    def report(share: float) -> None:
        bar.progress(share, SEARCHING)

    built = assembly.build(run.predictor, run.modules, run.table.networks, num, top_k, report=report, start=begun)
    bar.empty()
    return Found(run.key, codes, built, top_k, None if top_k is None else _reduced(run, top_k))


def _reduced(run: FinishedRun, top_k: int) -> Reduction | None:
    """The space of the best modules of each unit; None where nothing is left of one of them."""
    try:
        return reduce_space([Ranking(run.config.name, run.predictor, run.modules)], Keep(top_k))
    except ConfigError:
        return None


def _beside(against: Against) -> list[str]:
    """The comparison of each network with the architecture on the screen, in words."""
    kinds = {1: "better", 0: "alike", -1: "worse"}
    lines = zip(against.same, against.change, against.gain, strict=True)
    return ["on the screen" if own else f"{by:+.3g} {kinds[int(gain)]}" for own, by, gain in lines]


def _show(run: FinishedRun, codes: Codes, found: Found) -> None:
    """The networks better than the architecture on the screen, above those that are not; downloads."""
    against = assembly.against(found.built, codes, run.predictor)
    words, order = _beside(against), np.argsort(~against.better, kind="stable")
    built = Built(found.built.codes[order], found.built.frame.iloc[order].reset_index(drop=True))
    records = assembly.built_records(built, run.predictor)
    table = candidates.built_table(records)
    _verdict(run, against.now, int(against.better.sum()), len(order))
    left, right = st.columns([1, 1.8], gap="large")
    with left:
        best = run.measured(int(run.ranked_rows()[0]))
        figure = candidates.candidates_figure(table, best, run.label.axis, against.now)
        _widgets.show(figure, table, "candidates", "Candidates with intervals, best first")
    with right:
        facts = table.drop(columns="arch")
        facts.insert(1, "against the screen", [words[place] for place in order])
        _candidates.candidates(facts, records, "built")
        _listed.add_button(run, [record["arch"] for record in records], Origin.BUILT, "built")
        st.caption(_where(run, codes, found))
        _downloads(records, found.reduced)


def _verdict(run: FinishedRun, now: float, num_better: int, num: int) -> None:
    """One sentence: whether anything is predicted better than what is on the screen."""
    screen = f"the architecture on the screen ({_text.plain(run.amount(now))})"
    if not num_better:
        st.info(f"Nothing unmeasured was found that is predicted better than {screen}. None of the networks below is.")
        return
    rest = "" if num_better == num else f" The other {num - num_better} stand below, marked as not better."
    what = "It is" if num == 1 else "All are" if num_better == num else f"**{num_better} of {num}** are"
    st.markdown(f"{what} predicted better than {screen}.{rest}")


def _where(run: FinishedRun, codes: Codes, found: Found) -> str:
    """The part of the space that was searched, in words."""
    if found.top_k is not None:
        sizes = f": {own.space.size:,} of {own.full.size:,} architectures" if (own := found.reduced) is not None else ""
        return f"Reduced space{sizes}: the {found.top_k} modules of each unit that are most often among the best 10 %."
    if run.space.size <= ENUMERATION_LIMIT:
        return f"All {run.space.size:,} architectures of the space were predicted."
    others = "its best modules, the best measured architectures and"
    if np.array_equal(codes, found.begun):
        return f"The whole space was searched, from {others} the one on the screen."
    return f"The whole space was searched, from {others} another one than is on the screen now: Build begins from this one too."


def _downloads(records: list[dict[str, Any]], reduced: Reduction | None) -> None:
    """JSON lines, CSV, native encoding, the reduced space."""
    files = candidates.built_files(records)
    labels = {"built.jsonl": "JSON lines", "built.csv": "CSV", "built.txt": "Native"}
    if reduced is not None:
        files["space.json"], labels["space.json"] = json.dumps(reduced.record(), indent=1), "Reduced space"
    with st.container(horizontal=True):
        for name, label in labels.items():
            st.download_button(
                label, files[name], name, icon=":material/download:", type="tertiary", on_click="ignore", key=f"get_{name}"
            )
