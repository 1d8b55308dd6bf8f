"""Data: the fields of the target, and its histogram."""

from dataclasses import replace

import numpy as np
import streamlit as st

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets._mapping import is_minimized
from autobuild_core.errors import TargetError, counted
from autobuild_core.figures import data
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.run_folder import MIN_NETWORKS
from autobuild_core.targets.aim import Aim
from autobuild_core.targets.equation import Target, Values
from autobuild_core.targets.vocabulary import LONGEST_NAME, LONGEST_UNIT, suggest_targets
from pages import _aim, _bar, _data_run, _memory, _text, _widgets

WAYS = ["Maximise", "Minimise"]


def target(table: ArchTable, dataset_id: str, run: FinishedRun | None) -> None:
    """The target equation with its histogram; the bar at the top says what the fields say.

    Args:
        table: the data set.
        dataset_id: its id.
        run: the one that is shown, if it is finished.
    """
    st.subheader("What to aim at", anchor=False)
    metrics = [str(m) for m in table.metrics.columns]
    if not metrics:
        sentence = "This file has no metric to learn from; add a column of measurements and upload it again."
        st.warning(sentence)
        settle(Aim(""), _bar.Blocked(dataset_id, "", "no metric", sentence))
        return
    left, right = st.columns([2, 3], gap="large")
    known = _memory.recall("target")
    with left:
        said, values, blocked = boxes(table, metrics, dataset_id)
    settle(said if values is not None else replace(said, expression=known or ""), blocked)
    with right:
        if values is None:
            still = f" Train would still learn {_text.code(known)}." if known else ""
            st.caption(f"The histogram is back as soon as the equation is accepted.{still}")
        else:
            histogram(table, values, said, run)


def boxes(table: ArchTable, metrics: list[str], dataset_id: str) -> tuple[Aim, Values | None, _bar.Blocked | None]:
    """The fields: what they say, the target of every row, and why it cannot be trained on."""
    suggested = suggest_targets(table.metrics) or metrics[:1]
    keys = [f"{kind}_{dataset_id}" for kind in ("target", "way", "called", "in_unit")]
    aimed = _aim.known() or Aim(suggested[0], is_minimized(table, suggested[0]))
    fill(keys, aimed, only_empty=True)
    text = st.text_input("Target, an equation over the metrics", key=keys[0], max_chars=300)
    values, blocked = judged(text, table, dataset_id)
    st.pills(
        "For example",
        suggested,
        format_func=lambda one: _text.plain(one, 300),
        key="suggested",
        on_change=take_suggestion,
        args=(table, keys),
    )
    way = st.segmented_control("Better is", WAYS, required=True, key=keys[1])
    name, unit = called(text, keys[2], keys[3])
    st.caption(f"Metrics: {', '.join(_text.code(m) for m in metrics)}. Also log, log2, log10, exp, sqrt, abs, min, max.")
    return Aim(text, way == "Minimise", name, unit), values, blocked


def fill(keys: list[str], aim: Aim, only_empty: bool = False) -> None:
    """Puts an aim into the boxes of these keys; where asked, only into those that hold nothing yet."""
    for key, value in zip(keys, (aim.expression, WAYS[aim.minimize], aim.name, aim.unit), strict=True):
        if not only_empty or key not in st.session_state:
            st.session_state[key] = value


def histogram(table: ArchTable, values: Values, aim: Aim, run: FinishedRun | None) -> None:
    """The target of all rows, and what is marked and chosen in it."""
    marked, chosen, label = _data_run.marks(run), _data_run.chosen_place(run), aim.label
    bars = data.histogram_table(values, label.axis)
    part = None if marked is None else data.histogram_table(values, label.axis, some=marked)
    named = None if chosen is None else (float(values[chosen]), f"row {int(table.source_rows[chosen])}")
    _widgets.show(data.histogram_figure(bars, 260, part, named), bars, "target", f"Histogram of {label.title}")


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
    follows = Aim(text, name=" ".join(name.split())).label.unit or "none"
    unit = right.text_input(
        "Unit", key=unit_box, max_chars=LONGEST_UNIT, placeholder=follows, help="Of the target's values and of all scores."
    )
    return " ".join(name.split()), " ".join(unit.split())


def settle(aim: Aim, blocked: _bar.Blocked | None) -> None:
    """Remembers what the fields say; where the bar at the top was drawn with anything else, it is drawn anew."""
    now = {"target": aim.expression or None, "minimize": "yes" if aim.minimize else None}
    now |= {"target_name": aim.name or None, "target_unit": aim.unit or None}
    said = {kind: _memory.recall(kind) for kind in now}, st.session_state.get("blocked")
    _memory.keep(**now)
    st.session_state["blocked"] = blocked
    if said != (now, blocked):
        st.rerun()


def take_suggestion(table: ArchTable, keys: list[str]) -> None:
    """Puts the suggestion that was clicked into the boxes, with the direction that goes with it; it has no name yet."""
    if suggestion := st.session_state["suggested"]:
        fill(keys, Aim(suggestion, is_minimized(table, suggestion)))


def judged(text: str, table: ArchTable, dataset_id: str) -> tuple[Values | None, _bar.Blocked | None]:
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
