"""Evaluate: a batch of candidates is measured here, or handed out to be measured elsewhere."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core import api
from autobuild_core.datasets._guarded import read_guarded
from autobuild_core.errors import ConfigError, StudioError, counted, listed
from autobuild_core.evaluators import DEVICES, load_evaluator
from autobuild_core.jobs import kinds
from autobuild_core.loop import proposing, shared, templating
from autobuild_core.loop.batches import Handed
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.candidates import Candidate, CandidateState, Origin
from pages import _listed, _measurable, _reading, _run, _text, _widgets, _workspace

HERE, ELSEWHERE = "Here", "Elsewhere"
JSON_LINES, OWN = "JSON lines", "A template of yours"
BATCH_HELP = (
    "Candidates that wait come first; the rest are the best that can be built and what teaches most. A fifth are random controls."
)
SECONDS_HELP = "One that takes longer is a failure with its reason, and the batch goes on."
DROP_HELP = (
    "JSON lines, a JSON array or a table, with the id, the architecture, or both; in any order, of some candidates only. A "
    "failure is a line with its state and error."
)


def measure(run: FinishedRun) -> None:
    """The section: here or elsewhere."""
    st.subheader("Measure a batch", anchor=False)
    where = st.segmented_control("Where", [HERE, ELSEWHERE], default=HERE, key="where", label_visibility="collapsed")
    if where == ELSEWHERE:
        _elsewhere(run)
    else:
        _here(run)


# Here


def _here(run: FinishedRun) -> None:
    """The controls of a batch that is measured by this server, what it will take, and the button that starts it."""
    found = _measurable.measurable(run)
    if not found.titles:
        st.info(
            "No evaluator here measures architectures of this space. Hand batches out (Elsewhere), or write an evaluator of your "
            "own: a Python file with one function, or a program that answers JSON lines (docs/evaluators.md)."
        )
        _why_not(found)
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        preferred = [n for n in found.titles if set(run.config.goal.names) <= set(load_evaluator(n).metrics)]
        names = list(dict.fromkeys([*preferred, *found.titles]))
        name = st.selectbox("Evaluator", names, format_func=found.titles.__getitem__, width=220, key="evaluator")
        num = int(st.number_input("Candidates to measure", 1, 200, 8, width=170, key="num_measured", help=BATCH_HELP))
        evaluator = load_evaluator(name)
        budget, seeds, seconds, device = evaluator.budget or 1, 1, None, "cpu"
        with st.popover("Budget, seeds, time"):
            if evaluator.budget:
                budget = int(
                    st.number_input("Budget", 1, 1_000_000, evaluator.budget, key=f"budget_{name}", help=evaluator.about)
                )
            if evaluator.by_seed:
                seeds = int(st.number_input("Seeds of each", 1, 20, 1, key="seeds_measured"))
            limit = st.number_input("Seconds that one may take", 1, 1_000_000, None, help=SECONDS_HELP, key="seconds_measured")
            seconds = None if limit is None else float(limit)
            if evaluator.by_device:
                device = st.selectbox("Device", DEVICES, key="device_measured")
        pressed = st.button("Start measuring", type="primary", key="start_measuring")
    st.caption(_cost_words(run, name, num, seeds, budget))
    _warn_of_target(run, name)
    _measurable.warn_of_budget(name, budget)
    _why_not(found)
    if pressed:
        _widgets.guarded(
            lambda: _start(run, name, num, tuple(range(seeds)), budget if evaluator.budget else None, seconds, device)
        )


def _cost_words(run: FinishedRun, name: str, num: int, seeds: int, budget: int) -> str:
    """The content of a batch and the seconds that it will take, before it is started."""
    controls = proposing.num_controls(num)
    found = _listed.listed(run)
    waiting = sum(one.state is CandidateState.WAITING and one.origin is not Origin.CONTROL for one in found)
    parts = f"{counted(num, 'candidate')}: {min(waiting, num - controls)} that wait"
    rest = num - controls - min(waiting, num - controls)
    parts += f", {rest} chosen by the run" if rest else ""
    parts += f", {counted(controls, 'random control')}" if controls else ""
    return f"{parts}. {_measurable.time_words(name, num * seeds, budget)}"


def _warn_of_target(run: FinishedRun, name: str) -> None:
    """A warning where an evaluator does not measure the target."""
    metrics, names = load_evaluator(name).metrics, run.config.goal.names
    if metrics and (missing := [one for one in names if one not in metrics]):
        measures, needs = (_text.plain(listed(some), 200) for some in (metrics, missing))
        st.warning(
            f"It measures {measures}, but the target needs {needs}: its results join the data as further metrics, and cannot be "
            "set against the predictions."
        )


def _why_not(found: _measurable.Measurable) -> None:
    """The evaluators that do not measure the space, each with its reason."""
    if not found.reasons:
        return
    with st.expander(f"{counted(len(found.reasons), 'evaluator')} that cannot measure this space"):
        for title, reason in found.reasons.items():
            st.markdown(f"**{_text.plain(title)}**: {_text.plain(reason, 300)}")


def _start(
    run: FinishedRun, name: str, num: int, seeds: tuple[int, ...], budget: int | None, seconds: float | None, device: str
) -> None:
    """Hands a batch out to a job of this server.

    Raises:
        StudioError: nothing is left to evaluate, or the job cannot be made.
    """
    settings: dict[str, Any] = {"evaluator": name, "seeds": seeds, "budget": budget, "seconds": seconds, "device": device}
    kinds.load_kind("evaluate").settings(settings | {"archs": ("",), "name": "checked before anything is handed out"})
    store = _workspace.workspace()
    log = _listed.list_made(run)
    with _listed.choosing() as report:
        handed = proposing.hand_out(_run.handle(run), log, num, report=report)
    data = _listed.versions_of(run).set_index("hash").loc[run.config.data_hash]
    version: dict[str, Any] = {"data_name": str(data["name"]), "data_hash": run.config.data_hash}
    batch: dict[str, Any] = {
        "archs": tuple(one.arch for one in handed.candidates),
        "ids": tuple(one.id for one in handed.candidates),
    }
    own = version | batch | {"data_version": int(data["version"]), "name": f"Batch {handed.number}"}
    try:
        _workspace.executor().submit(kinds.add(store, "evaluate", **settings, **own))
    except StudioError:
        log.give_back(one.id for one in handed.candidates)
        raise
    st.rerun()


# Elsewhere


def _elsewhere(run: FinishedRun) -> None:
    """A batch is handed out as a file; a file of results is taken in."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("##### Hand out")
        _hand_out(run)
    with right:
        st.markdown("##### Results")
        _results(run)


def _hand_out(run: FinishedRun) -> None:
    """The next batch, and every batch of before, as a file."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        num = int(st.number_input("Candidates to hand out", 1, 1000, 16, width=180, key="num_handed", help=BATCH_HELP))
        if st.button("Hand out a batch", type="primary", key="hand_out"):
            _widgets.guarded(lambda: _hand(run, num))
    batches = _batches(run)
    if not batches:
        st.caption("The batch is a file of ids and architectures, with a fifth of random controls; predictions stay here.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        number = st.selectbox(
            "Batch", list(batches)[::-1], width=220, key=f"batch_{len(batches)}",
            format_func=lambda one: f"{one}: {counted(len(batches[one].candidates), 'candidate')}",
        )  # fmt: skip
        kind = st.selectbox("As", [JSON_LINES, *templating.shipped(), OWN], width=200, key="template")
    if (made := _filled(batches[number], kind)) is not None:
        name, text = made
        st.download_button(f"Download {name}", text, name, icon=":material/download:", on_click="ignore", key="get_batch")


def _hand(run: FinishedRun, num: int) -> None:
    """Hands the next batch out.

    Raises:
        StudioError: nothing is left to evaluate.
    """
    with _listed.choosing() as report:
        proposing.hand_out(_run.handle(run), _listed.list_made(run), num, report=report)
    st.rerun()


def _batches(run: FinishedRun) -> dict[int, Handed]:
    """The batches that were handed out, by number."""
    found: dict[int, list[Candidate]] = {}
    for one in _listed.listed(run):
        if one.batch:
            found.setdefault(one.batch, []).append(one)
    return {number: Handed(number, tuple(found[number])) for number in sorted(found)}


def _filled(handed: Handed, kind: str) -> tuple[str, str] | None:
    """(file name, text) of a batch; None where a template of the reader's is missing or faulty."""
    if kind == JSON_LINES:
        return f"batch_{handed.number}.jsonl", handed.json_lines()
    if kind != OWN:
        text: str | None = _widgets.guarded(lambda: templating.fill(templating.shipped()[kind], handed, kind))
        return None if text is None else (f"batch_{handed.number}_{kind}", text)
    upload = st.file_uploader(
        "A Jinja template over batch and candidates (id, arch, origin)", key="own_template", max_upload_size=1
    )
    if upload is None:
        return None

    def fill() -> tuple[str, str]:
        try:
            text = upload.getvalue().decode()
        except UnicodeDecodeError:
            raise ConfigError(f"{upload.name}: got no text, expected a Jinja template.") from None
        return f"batch_{handed.number}_{upload.name.removesuffix('.j2')}", templating.fill(text, handed, upload.name)

    filled: tuple[str, str] | None = _widgets.guarded(fill)
    return filled


def _results(run: FinishedRun) -> None:
    """The place to drop results, and what came of the last file."""
    said = st.session_state.get("told")
    if said is not None and said["run"] == run.id:
        st.success(_text.plain(said["sentence"], 400))
        if len(said["rejected"]):
            with st.expander(f"{counted(len(said['rejected']), 'row')} not taken"):
                _widgets.table(said["rejected"], "not_taken", "")
    count = st.session_state.setdefault("told_files", 0)
    upload = st.file_uploader("A file of results", key=f"results_{run.id}_{count}", max_upload_size=200, help=DROP_HELP)
    if upload is None:
        return
    if (refused := st.session_state.get("refused_results")) is not None and refused["id"] == upload.file_id:
        st.error(refused["why"])
        return
    with st.spinner(f"Reading {_text.plain(upload.name)}"):
        try:
            told = _tell(run, upload.getvalue(), upload.name)
        except StudioError as error:  # it is read once, not at every click
            st.session_state["refused_results"] = {"id": upload.file_id, "why": _text.plain(error, 600)}
            st.rerun()
    st.session_state["told"] = {"run": run.id} | told
    st.session_state["told_files"] = count + 1
    st.rerun()


def _tell(run: FinishedRun, content: bytes, name: str) -> dict[str, object]:
    """Takes a file of results in.

    Raises:
        StudioError: it cannot be read, or holds no new result.
    """
    store = _workspace.workspace()
    with tempfile.TemporaryDirectory(prefix="autobuild-results-") as scratch:
        path = Path(scratch) / (Path(name).name or "file")
        path.write_bytes(content)
        read = partial(api.read_more, read=partial(read_guarded, max_seconds=_reading.MAX_SECONDS))
        told, _ = shared.tell(store, store.data_of_run(run.id), path, read, name, run.id)
    rejected = pd.DataFrame([(r.row, r.reason) for r in told.rejected], columns=["row", "reason"])
    return {"sentence": told.sentence, "rejected": rejected}
