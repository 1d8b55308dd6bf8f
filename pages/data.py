"""Data: what was read, what was refused, and what to aim at."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import title_of
from autobuild_core.datasets._mapping import is_minimized
from autobuild_core.errors import StudioError, TargetError, counted
from autobuild_core.figures import data
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces import load_space
from autobuild_core.store.run_folder import MIN_NETWORKS
from autobuild_core.targets.aim import Aim
from autobuild_core.targets.equation import Target
from autobuild_core.targets.vocabulary import LONGEST_NAME, LONGEST_UNIT, Label, suggest_targets
from pages import (
    _aim,
    _bar,
    _drop,
    _entering,
    _intake,
    _linked,
    _mapping,
    _memory,
    _pair,
    _run,
    _selection,
    _text,
    _widgets,
    _workspace,
)

WAYS = ["Maximise", "Minimise"]

_entering.enter("data")
drop = _drop.dropped()
_widgets.title(
    "Data",
    "each line is a column of the file with what it is read as, and why; choose another role and all that follows is worked out "
    "again. Choices make the search space on the right and the architectures below, contexts are what else varied, metrics what "
    "was measured. Nothing is stored before you use the columns, and what you change is remembered for the next file like this."
    if drop is not None
    else "every row of the file is either an architecture below or in the list of refused rows; nothing is dropped silently. "
    "The target is an equation over the metrics of the file: what the training learns to predict and every score is "
    "counted in, its histogram beside it. In the scatter matrix a box marks the same architectures in every panel; what "
    "is marked on the map stands out here.",
)


def choose() -> "pd.Series[str] | None":
    """The data set to look at, and the ways to add one."""
    frame, (chosen_run, current) = _workspace.workspace().datasets(), _pair.current_pair()
    if frame.empty:
        _intake.drop_zone()
        _intake.sample_data_button()
        return None
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    ids = frame["id"].tolist()
    sizes = [
        "damaged" if error else counted(num, "architecture") for num, error in zip(frame["num_rows"], frame["error"], strict=True)
    ]
    names = {one: f"{name}, {size}" for one, name, size in zip(ids, frame["name"], sizes, strict=True)}
    at = None if current is None else ids.index(current["id"])
    chosen = left.selectbox("Data set", ids, at, format_func=names.__getitem__, placeholder="Choose another one")
    if chosen is not None and (current is None or chosen != current["id"]):
        _pair.choose_data(chosen)
        st.rerun()
    with right.container(horizontal=True):
        with st.popover("Add another file", width="stretch", key=f"add_{st.session_state.get('drops', 0)}"):
            _intake.drop_zone()
            _intake.sample_data_button()
        if current is not None:
            with st.popover("Delete", key=f"delete_{chosen}"):
                delete(current)
    if current is None and chosen_run is not None:
        gone(chosen_run)
    return current


def gone(run: "pd.Series[str]") -> None:
    """The run that is chosen was trained on data that are not in the workspace; its own copy can be put back."""
    st.info(f'The data of the run "{_text.plain(run["name"])}" are not in the workspace any more; the run keeps its own copy.')
    store = _workspace.workspace()

    def act() -> None:
        store.add_dataset(store.run(str(run["id"])).table(), str(run["data_name"]))
        st.rerun()

    if st.button("Put them back", key="put_back"):
        _widgets.guarded(act)


def delete(dataset: "pd.Series[str]") -> None:
    """Asks, then deletes a data set."""
    num = int((_workspace.runs()["data_hash"] == dataset["hash"]).sum())
    kept = f" {num} run{'s' * (num != 1)} trained on it stay{'s' * (num == 1)}: a run keeps its own copy." if num else ""
    st.write(f"The data set {_text.plain(dataset['name'])} goes for good.{kept}")

    def act() -> None:
        _workspace.workspace().delete_dataset(str(dataset["id"]))
        left = _workspace.workspace().datasets()
        _pair.choose_data(None if left.empty else str(left["id"].iloc[0]))
        st.rerun()

    if st.button("Delete this data set", key=f"do_delete_{dataset['id']}"):
        _widgets.guarded(act)


def linked_run() -> FinishedRun | None:
    """The run at the top, once it is finished: what is chosen in it can be shown here."""
    current = _pair.current_run()
    if current is None or current["state"] != "finished":
        return None
    try:
        return _run.read_run(str(current["id"]))
    except StudioError:
        return None


def report(table: ArchTable) -> None:
    """Format, space, counts, warnings, three architectures."""
    facts = {
        "Format": title_of(table.format),
        "Space": table.spec.title,
        "Accepted": f"{len(table):,} of {table.num_read:,}",
        "Refused": f"{table.num_rejected:,}",
        "Duplicates": f"{table.num_duplicates:,}",
        "Metrics": f"{table.metrics.shape[1]}",
    }
    facts |= {"Contexts": f"{len(table.context_kinds)}"} if table.context_kinds else {}
    facts |= {"Stopped trials": f"{table.num_censored:,}"} if table.num_censored else {}
    for column, (name, value) in zip(st.columns([2.6, 2.4, 2, *[1.3] * (len(facts) - 3)]), facts.items(), strict=True):
        column.markdown(f":gray[{name}]  \n**{_text.plain(value)}**")
    _mapping.warnings(table)
    for note in table.notes:
        st.caption(_text.plain(note, 400))
    _mapping.architectures(table, chosen_place())


def chosen_place() -> int | None:
    """Place of the chosen architecture in the table; None where none is chosen or it belongs to other data."""
    return _selection.chosen_row(run) if run is not None and _memory.recall("arch") else None


def aim(table: ArchTable, dataset_id: str) -> None:
    """The target equation with its histogram; the bar at the top says what the fields say."""
    st.subheader("What to aim at", anchor=False)
    metrics = [str(m) for m in table.metrics.columns]
    if not metrics:
        sentence = "This file has no metric to learn from; add a column of measurements and upload it again."
        st.warning(sentence)
        settle(None, None, "", "", _bar.Blocked(dataset_id, "", "no metric", sentence))
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        suggested = suggest_targets(table.metrics) or metrics[:1]
        boxes = [f"{kind}_{dataset_id}" for kind in ("target", "way", "called", "in_unit")]
        known = _memory.recall("target")
        aimed = _aim.known() or Aim(suggested[0], is_minimized(table, suggested[0]))
        for box, value in zip(boxes, (aimed.expression, WAYS[aimed.minimize], aimed.name, aimed.unit), strict=True):
            st.session_state.setdefault(box, value)
        text = st.text_input("Target, an equation over the metrics", key=boxes[0], max_chars=300)
        values, blocked = judged(text, table, dataset_id)
        st.pills(
            "For example",
            suggested,
            format_func=lambda one: _text.plain(one, 300),
            key="suggested",
            on_change=take_suggestion,
            args=(table, boxes),
        )
        way = st.segmented_control("Better is", WAYS, required=True, key=boxes[1])
        name, unit = called(text, boxes[2], boxes[3])
        st.caption(f"Metrics: {', '.join(_text.code(m) for m in metrics)}. Also log, log2, log10, exp, sqrt, abs, min, max.")
    settle(known if values is None else text, "yes" if way == "Minimise" else None, name, unit, blocked)
    with right:
        if values is None:
            still = f" Train would still learn {_text.code(known)}." if known else ""
            st.caption(f"The histogram is back as soon as the equation is accepted.{still}")
            return
        label, marked, chosen = Label.of(text, name, unit), linked_marks(), chosen_place()
        histogram = data.histogram_table(values, label.axis)
        part = None if marked is None else data.histogram_table(values, label.axis, some=marked)
        named = None if chosen is None else (float(values[chosen]), f"row {int(table.source_rows[chosen])}")
        _widgets.show(data.histogram_figure(histogram, 260, part, named), histogram, "target", f"Histogram of {label.title}")


def called(text: str, name_box: str, unit_box: str) -> tuple[str, str]:
    """The name and the unit of the target, as typed: both may be empty."""
    left, right = st.columns([2, 1])
    name = left.text_input(
        "Name",
        key=name_box,
        max_chars=LONGEST_NAME,
        placeholder="the equation itself",
        help="What charts and texts call the target.",
    )
    follows = Label.of(text, " ".join(name.split())).unit or "none"
    unit = right.text_input(
        "Unit", key=unit_box, max_chars=LONGEST_UNIT, placeholder=follows, help="Of the target's values and of all scores."
    )
    return " ".join(name.split()), " ".join(unit.split())


def settle(target: str | None, minimize: str | None, name: str, unit: str, blocked: _bar.Blocked | None) -> None:
    """Remembers what the fields say; where the bar at the top was drawn with anything else, it is drawn anew."""
    now = {"target": target, "minimize": minimize, "target_name": name or None, "target_unit": unit or None}
    said = {kind: _memory.recall(kind) for kind in now}, st.session_state.get("blocked")
    _memory.keep(**now)
    st.session_state["blocked"] = blocked
    if said != (now, blocked):
        st.rerun()


def linked_marks() -> "NDArray[np.bool_] | None":
    """(rows,) what is marked on the map of the run that was trained on these data."""
    return None if run is None else _linked.marked(run)


def take_suggestion(table: ArchTable, boxes: list[str]) -> None:
    """Puts the suggestion that was clicked into the target's box, and the direction that goes with it; it has no name yet."""
    if suggestion := st.session_state["suggested"]:
        for box, value in zip(boxes, (suggestion, WAYS[is_minimized(table, suggestion)], "", ""), strict=True):
            st.session_state[box] = value


def judged(text: str, table: ArchTable, dataset_id: str) -> tuple[NDArray[np.float64] | None, _bar.Blocked | None]:
    """The target of every row, and why it cannot be trained on; a mistake is marked at its place under the box."""
    try:
        target = Target(text)
        values = np.asarray(target.values(table.metrics), float)
        target.check_varies(values)
    except TargetError as error:
        st.code(text + ("" if error.position is None else f"\n{' ' * error.position}^"), language=None)
        st.error(_text.plain(error, 600))
        return None, _bar.Blocked(dataset_id, text, "rejected", "The equation is rejected: mend it first.")
    num = len(np.unique(table.networks[np.isfinite(values)]))
    if num < MIN_NETWORKS:
        sentence = f"Too few to train on: {counted(num, 'distinct network')} with a target, expected at least {MIN_NETWORKS}."
        st.warning(sentence)
        return values, _bar.Blocked(dataset_id, text, "too few", sentence)
    return values, None


@st.fragment
def details(table: ArchTable) -> None:
    """Metrics, refused rows, duplicates, all rows; each downloads as CSV, and only the one that is looked at is drawn."""
    parts = {
        "Metrics": metrics,
        "Metrics against each other": metrics_against_each_other,
        f"Refused rows ({table.num_rejected:,})": refused,
        f"Duplicates ({table.num_duplicates:,})": duplicates,
        "Architectures": architectures,
        "How the columns were read": _mapping.how_read,
    }
    for tab, part in zip(st.tabs(list(parts), on_change="rerun", key="data_tabs"), parts.values(), strict=True):
        if tab.open:
            with tab:
                part(table)


def metrics(table: ArchTable) -> None:
    """The distribution of every metric."""
    if not table.metrics.shape[1]:
        st.caption("The file has no metric.")
        return
    histograms = data.metrics_table(table.metrics)
    _widgets.show(data.metrics_figure(histograms), histograms, "metrics", "Histogram of every metric")


def refused(table: ArchTable) -> None:
    """Rows that are no architecture of the space, and why."""
    frame = pd.DataFrame([(r.row, r.reason) for r in table.rejected], columns=["row", "reason"])
    if table.num_more_rejected:
        st.caption(f"Kept are the first {len(frame):,} of {table.num_rejected:,} refused rows.")
    _widgets.table(frame, "refused_rows", "No row was refused.")


def duplicates(table: ArchTable) -> None:
    """Rows whose network stands in an earlier row."""
    _widgets.table(data.duplicates_table(table), "duplicates", "No network occurs twice.")


def metrics_against_each_other(table: ArchTable) -> None:
    """The scatter matrix."""
    pairs = data.scatter_matrix_table(table.metrics, aimed_at())
    if pairs.shape[1] <= 2:
        st.caption("It takes two metrics that vary to look at them against each other.")
    else:
        figure = data.scatter_matrix_figure(pairs, table.source_rows, linked_marks(), chosen_place())
        names = ", ".join(str(name) for name in pairs.columns[1:])
        _widgets.show(figure, pairs, "scatter_matrix", f"Scatter matrix of {names}", regions=True, on_pick=lambda: None)
    if left_out := [_text.code(name) for name in table.metrics.columns if name not in pairs.columns]:
        st.caption(f"Not drawn: {', '.join(left_out)}. Five metrics at most: the target's first, repeats last, constants never.")


def aimed_at() -> tuple[str, ...]:
    """The metrics of the target equation."""
    try:
        return Target(_memory.recall("target") or "").names
    except TargetError:
        return ()


def architectures(table: ArchTable) -> None:
    """All rows; a click on a line chooses that architecture where a run was trained on these data."""
    frame = data.architectures_table(table, load_space(table.spec))
    if run is None:
        _widgets.table(frame, "architectures", "No architecture.")
        return
    one = run

    def choose() -> None:
        if lines := st.session_state["all_rows"]["selection"]["rows"]:
            _selection.choose_row(one, int(lines[0]))

    st.dataframe(frame.head(2000), hide_index=True, height=360, on_select=choose, selection_mode="single-row", key="all_rows")
    st.caption(f"A click on a line chooses it on every page.{' The first 2,000; the CSV has all.' if len(frame) > 2000 else ''}")
    _widgets.csv_button(frame, "architectures")


if drop is not None:
    _mapping.step(drop)
    st.stop()
dataset = choose()
if dataset is not None:
    try:
        stored = _workspace.read_dataset(str(_workspace.workspace().path), str(dataset["id"]))
    except StudioError as problem:
        st.error(_text.plain(problem, 600))
        st.stop()
    run = linked_run()
    if run is not None:
        _linked.line(run, "data")
    report(stored)
    aim(stored, str(dataset["id"]))
    details(stored)
