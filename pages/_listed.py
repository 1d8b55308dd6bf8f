"""The list of candidates of a run's data: what waits, is out or was measured; and the ways onto it from any page."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from autobuild_core.architectures import numbers
from autobuild_core.architectures.names import native_text
from autobuild_core.errors import ConfigError, StudioError, counted
from autobuild_core.loop import proposing
from autobuild_core.loop.outcome import GROUPS, measured_values
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search import assembly
from autobuild_core.store.candidates import Candidate, CandidateLog, CandidateState, Origin
from autobuild_core.store.quality import Progress, Report
from pages import _candidates, _navigation, _run, _selection, _text, _widgets, _workspace

ORDER = (CandidateState.WAITING, CandidateState.ASKED, CandidateState.MEASURED, CandidateState.FAILED, CandidateState.WITHDRAWN)
STATE_WORDS = {CandidateState.ASKED: "out"}
EMPTY = (
    "Nothing is on the list yet. Put architectures on it from Builder or Review, here below, or begin at once: a batch that is "
    "measured fills up by itself."
)
WITHDRAW_HELP = "It is not handed out any more; results that still come in count."
CHOOSING = "Choosing architectures; a click anywhere ends it"
BUILT_HELP = "The networks that are predicted best and were not measured."
NEXT_HELP = "The networks that tell each unit's best modules apart."
TYPED_HELP = "A native encoding, as the file had it, or the layers as Importance takes them."


@contextmanager
def choosing() -> Iterator[Report]:
    """A bar while a run chooses architectures; any click ends it."""
    bar = st.progress(0.0, CHOOSING)

    def report(record: Progress) -> None:
        bar.progress(min(float(record.get("share") or 0.0), 1.0), CHOOSING)

    yield report
    bar.empty()


def data_of(run: FinishedRun) -> str | None:
    """Id of the data set that the run learned from; None where the workspace has it not, or not any more."""
    return _workspace.workspace().known_data_of_run(run.id)


def versions_of(run: FinishedRun) -> pd.DataFrame:
    """All versions of the data set that the run learned from, newest first; without lines where the workspace has it not."""
    sets, known = _workspace.workspace().datasets(), data_of(run)
    return sets[sets["family"].isin(sets.loc[sets["id"] == known, "family"])]


def jobs_of(run: FinishedRun, *wanted: str) -> pd.DataFrame:
    """The jobs of some kinds on the run's data, in any version of them, newest first."""
    runs, versions = _workspace.runs(), versions_of(run)
    is_hash = runs["data_hash"].isin([*versions["hash"], run.config.data_hash])
    return runs[runs["kind"].isin(wanted) & is_hash & runs["data_name"].isin([*versions["name"], run.config.data_name])]


def log_of(run: FinishedRun) -> CandidateLog | None:
    """The list of the run's data; None where nothing can be on it yet."""
    known = data_of(run)
    return None if known is None else _workspace.workspace().candidates(known)


def listed(run: FinishedRun) -> list[Candidate]:
    """The candidates of the run's data."""
    log = log_of(run)
    return [] if log is None else log.all()


def list_made(run: FinishedRun) -> CandidateLog:
    """The list of the run's data, which are put into the workspace where they are not there."""
    store = _workspace.workspace()
    return store.candidates(store.data_of_run(run.id))


def put(run: FinishedRun, make: Callable[[CandidateLog], Sequence[Candidate]]) -> str:
    """Puts candidates on the list: what came of it, in a sentence.

    Args:
        run: that proposes them.
        make: the candidates, given the list.

    Raises:
        StudioError: one is not in the space, or the list cannot be written.
    """
    log = list_made(run)
    made = make(log)
    added = log.propose(made)
    known = len(made) - len(added)
    before = f"; {counted(known, 'network')} of them there already, or measured" if known else ""
    return f"{counted(len(added), 'candidate')} put on the list{before}."


def put_architectures(run: FinishedRun, archs: Sequence[Any], origin: Origin) -> str:
    """Puts architectures in native encodings on the list: what came of it, in a sentence.

    Raises:
        StudioError: one is not in the space, or the list cannot be written.
    """
    handle = _run.handle(run)
    codes = proposing.codes_of(run.space, archs)
    return put(run, lambda _: proposing.candidates_of(handle, codes, origin))


def add_button(run: FinishedRun, archs: Sequence[Any], origin: Origin, key: str) -> None:
    """A button that puts architectures on the list, and the way there.

    Args:
        run: that proposes them.
        archs: in native encodings.
        origin: why.
        key: of the button.
    """
    label = "Put it on the list to evaluate" if len(archs) == 1 else f"Put all {len(archs)} on the list to evaluate"

    def act() -> None:
        st.session_state[f"said_{key}"] = _attempt(lambda: put_architectures(run, archs, origin))

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(label, key=f"put_{key}", type="tertiary", icon=":material/playlist_add:", on_click=act)
        if said := st.session_state.pop(f"said_{key}", None):
            st.markdown(f":gray[{_text.plain(said, 300)}]", width="content")
            st.page_link(_navigation.page("evaluate"), label="Open Evaluate", query_params={"run": run.id})


def _attempt(action: Callable[[], str]) -> str:
    """The sentence of an action, or of its error; a callback shows nothing itself."""
    try:
        return action()
    except StudioError as error:
        return str(error)


@st.cache_data(max_entries=16, show_spinner="Counting the space")
def _all_evaluated(_run: FinishedRun, key: str) -> str | None:
    """The sentence that every network of a run's space is among its data; None where some are not.

    Args:
        _run: the run.
        key: tells it from others.
    """
    left = assembly.nothing_left(_run.space, _run.table.networks)
    return left.said if left.is_exhausted else None


def all_evaluated(run: FinishedRun) -> str | None:
    """The sentence that every network of a run's space is among its data; None where some are not."""
    return _all_evaluated(run, run.key)


def exhausted(run: FinishedRun) -> str | None:
    """The sentence that every network of a run's space was evaluated; None where some are left, or candidates are open."""
    return None if any(one.state.is_open for one in listed(run)) else all_evaluated(run)


def candidates(run: FinishedRun) -> None:
    """The section: how many there are in each state, the ways onto the list, the list."""
    found = listed(run)
    st.subheader("Candidates", anchor=False)
    if found:
        counts = {state: sum(one.state is state for one in found) for state in ORDER}
        said = [f"**{num:,}** {STATE_WORDS.get(state, state.value)}" for state, num in counts.items() if num]
        st.markdown(", ".join(said) + ".")
    if every := exhausted(run):
        st.info(f"{every}: there is nothing to measure.")
    else:
        if not found:
            st.caption(EMPTY)
        _ways(run)
    if found:
        table(run, sorted(found, key=lambda one: ORDER.index(one.state)))


def _ways(run: FinishedRun) -> None:
    """The ways onto the list on this page."""
    if said := st.session_state.pop("said_listed", None):
        st.toast(_text.plain(said, 300))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        num = int(st.number_input("Architectures to add", 1, 200, 8, width=180, key="num_listed"))
        if st.button("Add the best built", key="add_built", help=BUILT_HELP):
            _add(run, num, Origin.BUILT)
        if st.button("Add what teaches most", key="add_next", help=NEXT_HELP):
            _add(run, num, Origin.NEXT)
        with st.popover("Type one in"), st.form("typed", border=False):
            text = st.text_input("Architecture", help=TYPED_HELP, key="typed_arch")
            if st.form_submit_button("Add it"):
                _widgets.guarded(lambda: _say(put(run, lambda _: _typed(run, text))))


def _typed(run: FinishedRun, text: str) -> list[Candidate]:
    if not text.strip():
        raise ConfigError("architecture: got nothing, expected a native encoding.")
    codes = _selection.parse(run, text.strip())
    return proposing.candidates_of(_run.handle(run), codes[None], Origin.TYPED)


def _add(run: FinishedRun, num: int, origin: Origin) -> None:
    """Adds what the run builds or suggests."""
    handle = _run.handle(run)
    with choosing() as report:
        said = _widgets.guarded(lambda: put(run, lambda log: proposing.proposed(handle, log, num, origin, report)))
    if said is not None:
        _say(said)


def _say(sentence: str) -> None:
    """Says a sentence once the page is drawn anew."""
    st.session_state["said_listed"] = sentence
    st.rerun()


def table(run: FinishedRun, found: Sequence[Candidate]) -> None:
    """The candidates with what was predicted and what was measured; one that is chosen can be looked at, or withdrawn."""
    aimed = run.config.target, run.config.minimize
    mine = [one.prediction if (one.prediction.target, one.prediction.minimize) == aimed else None for one in found]
    facts = pd.DataFrame(
        {
            "id": [one.id for one in found],
            "proposed": [GROUPS[one.origin] for one in found],
            "state": [STATE_WORDS.get(one.state, one.state.value) for one in found],
            "batch": ["" if not one.batch else str(one.batch) for one in found],
            "predicted": [np.nan if said is None or said.predicted is None else said.predicted for said in mine],
            "90 % interval": [_interval(said) for said in mine],
            "measured": [_measured(measured_values(one, run.config.goal)) for one in found],
            "why it failed": [_reason(one) for one in found],
        }
    )
    facts.insert(2, "why", [one.why for one in found])
    facts = facts.drop(columns=[name for name in ("why", "why it failed") if not facts[name].any()])
    codes = proposing.codes_of(run.space, [one.arch for one in found])
    records = assembly.architecture_records(run.predictor, codes, facts[[]])
    in_order = zlib.crc32("".join(facts["id"] + facts["state"]).encode())  # a chosen line must not become another candidate's
    line = _candidates.candidates(facts, records, f"listed_{in_order}")
    with st.container(horizontal=True):
        one = found[line]

        def withdraw() -> None:
            if (log := log_of(run)) is not None:
                _widgets.guarded(lambda: log.withdraw([one.id]))

        st.button(
            f"Withdraw candidate {line + 1}", type="tertiary", icon=":material/close:", key="withdraw",
            disabled=not one.state.is_open, on_click=withdraw, help=WITHDRAW_HELP,
        )  # fmt: skip
        archs = pd.DataFrame({"arch": [native_text(record["arch"]) for record in records]})
        _widgets.csv_button(facts.join(archs), "candidates")


def _measured(values: NDArray[np.float64]) -> str:
    """The measurement of a candidate, and of how many it is the mean."""
    if not len(values):
        return ""
    return numbers.number(float(values.mean())) + (f" (mean of {len(values)})" if len(values) > 1 else "")


def _interval(said: Any) -> str:
    """The interval of a prediction in words."""
    return "" if said is None or said.low is None else f"{numbers.number(said.low)} to {numbers.number(said.high)}"


def _reason(one: Candidate) -> str:
    """The reason why all evaluations of a candidate failed; "" where one did not."""
    return one.results[-1].error if one.state is CandidateState.FAILED else ""
