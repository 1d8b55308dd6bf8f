"""Build for me: the best networks that were not measured and keep to the budgets, set against the architecture on the screen."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import Codes
from autobuild_core.errors import counted
from autobuild_core.figures import candidates
from autobuild_core.loop.proposing import codes_of
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search import assembly
from autobuild_core.search.assembly import Against, Built
from autobuild_core.search.budgets import Budgets, budget_words
from autobuild_core.search.reduction import Keep, Ranking, Reduction, reduce_space
from autobuild_core.store.candidates import Origin
from autobuild_core.store.tables import to_json
from pages import _asking, _candidates, _listed, _slots, _text, _widgets

ABOUT = (
    "The whole space is searched for the networks that are predicted best, keep to the budgets and were not measured: all of it "
    "where it can be enumerated, else from exact assembly, the best modules, the architecture on the screen and the best that "
    "were measured."
)
ROUNDING_ERROR = 1e-9  # of a sum of effects
KEEP_HELP = "Off: the whole space is searched. On: only combinations of the best modules of each unit, the reduced space."
MOST, MOST_KEPT = 200, 200


@dataclass(frozen=True, eq=False)
class Found:
    """The result of a search.

    Args:
        run: key of the run.
        begun: (num_positions,) the architecture that was on the screen.
        budgets: in words, that were kept to.
        records: of the networks, best first, as `build` writes them; none where `refused` says why.
        answer: what the command said of the search.
        refused: the reason why nothing was built.
        reduced: the reduced space where modules were kept, else None.
        is_locked: units were locked.
    """

    run: str
    begun: Codes
    budgets: str
    records: list[dict[str, Any]]
    answer: dict[str, Any]
    refused: str
    reduced: Reduction | None
    is_locked: bool


def for_me(run: FinishedRun, budgets: Budgets | None, codes: Codes) -> None:
    """The controls, and what was found.

    Args:
        run: the run.
        budgets: to keep to; None where the run knows no metrics.
        codes: (num_positions,) the architecture on the screen.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        num = st.number_input("Architectures to build", value=10, step=1, key="num_built", width=200)
        top_k = None
        if st.toggle("Keep only the best modules of each unit", key="keep_modules", help=KEEP_HELP):
            help = "Their product is the reduced space."
            top_k = st.number_input("Modules kept a unit", value=10, step=1, key="num_kept", width=200, help=help)
        pressed = st.button("Build", type="primary", key="build")
    if pressed and _do(num, MOST, "Architectures to build") and (top_k is None or _do(top_k, MOST_KEPT, "Modules kept a unit")):
        st.session_state["built"] = _search(run, budgets, codes, int(num), None if top_k is None else int(top_k))
    found: Found | None = st.session_state.get("built")
    if found is None or found.run != run.key:
        st.caption(ABOUT)
    elif found.refused:
        st.info(_text.plain(found.refused, 900))
    else:
        if budgets is not None and found.budgets != ", ".join(map(budget_words, budgets.bounds)):
            st.caption("What stands below was built within other budgets.")
        _show(run, budgets, codes, found)


def _do(num: float, most: int, what: str) -> bool:
    """Whether a number does; it is said where it does not."""
    if not 1 <= num <= most:
        st.error(f"{what}: got {num:g}, expected 1 to {most}.")
    return 1 <= num <= most


def _search(run: FinishedRun, budgets: Budgets | None, codes: Codes, num: int, top_k: int | None) -> Found:
    """The search, with its progress; any other click ends it."""
    arguments = ["--num", str(num), *_asking.of_budgets(budgets)]
    if top_k is not None:
        arguments += ["--top-k", str(top_k)]
    for index, layers in _slots.locks(run).items():
        arguments += ["--lock", f"{run.table.spec.units[index].label}={json.dumps(layers)}"]
    start = {"--start": assembly.json_lines([{"arch": run.space.native(codes)}])}
    got = _asking.asked(run, "build", arguments, "Searching the space", start, held=True)
    words = "" if budgets is None else ", ".join(map(budget_words, budgets.bounds))
    if isinstance(got, str):
        return Found(run.key, codes, words, [], {}, _refusal(got), None, False)
    answer, text = got
    reduced = None
    if top_k is not None:
        reduced = reduce_space([Ranking(run.config.name, run.predictor, run.modules)], Keep(top_k))
    return Found(run.key, codes, words, _asking.lines_of(text), answer, "", reduced, bool(_slots.locks(run)))


def _refusal(said: str) -> str:
    """The reason why nothing was built, without the options of the command line."""
    first, _, rest = said.partition(";")
    if "--" not in rest:
        return said
    return f"{first}: there is nothing to build." if first.startswith("All ") else f"{first}."


def _beside(against: Against) -> list[str]:
    """The comparison of each network with the architecture on the screen, in words."""
    kinds = {1: "better", 0: "alike", -1: "worse"}
    lines = zip(against.same, against.change, against.gain, strict=True)
    return ["on the screen" if own else f"{by:+.3g} {kinds[int(gain)]}" for own, by, gain in lines]


def _show(run: FinishedRun, budgets: Budgets | None, codes: Codes, found: Found) -> None:
    """The networks better than the architecture on the screen, above those that are not; downloads."""
    own = codes_of(run.space, [record["arch"] for record in found.records])
    against = assembly.against(Built(own, pd.DataFrame(found.records)), codes, run.predictor)
    words, order = _beside(against), np.argsort(~against.better, kind="stable")
    records = [found.records[place] for place in order]
    table = candidates.built_table(records)
    if budgets is not None and budgets.bounds and found.budgets and not budgets.keeps(codes[None])[0]:
        said = _text.strong(run.amount(found.records[0]["predicted"]))
        st.markdown(f"The architecture on the screen does not keep the budgets. The best found that does is predicted {said}.")
    else:
        _verdict(run, against.now, int(against.better.sum()), len(order))
    left, right = st.columns([1, 1.8], gap="large")
    with left:
        best = run.measured(int(run.ranked_rows()[0]))
        figure = candidates.candidates_figure(table, best, run.label.axis, against.now)
        _widgets.show(figure, table, "candidates", "Candidates with intervals, best first")
    with right:
        facts = table.drop(columns="arch")
        facts.insert(1, "against the screen", [words[place] for place in order])
        if "within" in records[0]:
            facts["sure to keep the budgets"] = [record["within"] for record in records]
        sure = {"sure to keep the budgets": st.column_config.NumberColumn(format="percent")}
        line = _candidates.candidates(facts, records, "built", sure)
        with st.container(horizontal=True):
            label = f"Put candidate {line + 1} on the screen"
            st.button(
                label,
                type="tertiary",
                icon=":material/move_up:",
                key="screen_built",
                on_click=_slots.put,
                args=(run, own[order[line]]),
            )
        _listed.add_button(run, [record["arch"] for record in records], Origin.BUILT, "built")
        st.caption(_where(run, codes, found))
        for sentence in _stands_in_the_way(run, found):
            st.caption(sentence)
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
    kept = f" Kept to: {_text.plain(found.budgets, 300)}." if found.budgets else ""
    if (own := found.reduced) is not None:
        sizes = f"{own.space.size:,} of {own.full.size:,} architectures"
        return f"Reduced space: {sizes}: the {own.keep.top_k} modules of each unit most often among the best 10 %.{kept}"
    if found.answer["is_exact"] and found.is_locked:
        return f"All architectures with the locked units were predicted.{kept}"
    if found.answer["is_exact"]:
        return f"All {run.space.size:,} architectures of the space were predicted.{kept}"
    others = "its best modules, the best measured architectures and"
    if np.array_equal(codes, found.begun):
        return f"The whole space was searched, from {others} the one on the screen.{kept}"
    other = "another one than is on the screen now: Build begins from this one too"
    return f"The whole space was searched, from {others} {other}.{kept}"


def _stands_in_the_way(run: FinishedRun, found: Found) -> list[str]:
    """Sentences about budgets that keep better ones out, and about exact assembly."""
    said = [
        f"Without {_text.plain(one['budget'], 120)} the best would be better by {_text.plain(run.amount(one['gain']))}."
        for one in found.answer["binding"]
    ]
    if (own := found.answer["assembled"]) is not None and own["best"] is not None:
        is_best = own["is_proven"] or own["gap"] < ROUNDING_ERROR
        proven = "proven to be the best sum" if is_best else f"at most {run.amount(own['gap'])} below the best sum"
        found_words = f"found {counted(own['num'], 'choice')}, the first {proven}"
        said.append(f"Exact assembly of the modules' effects under the budgets {found_words}. {own['ended']}")
    return said


def _downloads(records: list[dict[str, Any]], reduced: Reduction | None) -> None:
    """JSON lines, CSV, native encoding, the reduced space."""
    files = candidates.built_files(records)
    labels = {"built.jsonl": "JSON lines", "built.csv": "CSV", "built.txt": "Native"}
    if reduced is not None:
        files["space.json"], labels["space.json"] = to_json(reduced.record(), indent=1), "Reduced space"
        files["lists.json"], labels["lists.json"] = json.dumps(reduced.lists()), "As lists"
    with st.container(horizontal=True):
        for name, label in labels.items():
            st.download_button(
                label, files[name], name, icon=":material/download:", type="tertiary", on_click="ignore", key=f"get_{name}"
            )
