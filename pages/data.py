"""Data: what was read, what was refused, and what to aim at."""

import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import title_of
from autobuild_core.errors import StudioError, counted
from autobuild_core.scoring.finished_run import FinishedRun
from pages import (
    _data_run,
    _data_tabs,
    _drop,
    _entering,
    _growing,
    _intake,
    _linked,
    _mapping,
    _pair,
    _table_shown,
    _target_fields,
    _text,
    _widgets,
    _words,
    _workspace,
)

HOW_TO_MAP = (
    "each line is a column of the file with what it is read as, and why; choose another role and all that follows is worked out "
    "again. Choices make the search space on the right and the architectures below, contexts are what else varied, metrics what "
    "was measured. Nothing is stored before you use the columns, and what you change is remembered for the next file like this."
)
HOW_TO_READ = (
    "every row of the file is either an architecture below or in the list of refused rows; nothing is dropped silently. "
    "The target is an equation over the metrics of the file: what the training learns to predict and every score is "
    "counted in, its histogram beside it. In the scatter matrix a box marks the same architectures in every panel; what "
    "is marked on the map stands out here."
)


def render(drop: _drop.Drop | None) -> None:
    """The page: how a dropped file is to be read, else the stored data sets.

    Args:
        drop: the file whose columns are being looked at.
    """
    _widgets.title("Data", HOW_TO_READ if drop is None else HOW_TO_MAP)
    if drop is not None:
        _mapping.step(drop)
    elif (dataset := choose()) is not None:
        stored(dataset)


def stored(dataset: "pd.Series[str]") -> None:
    """A data set: what was read, what to aim at, all of its rows."""
    try:
        table = _workspace.read_dataset(str(_workspace.workspace().path), str(dataset["id"]))
    except StudioError as problem:
        st.error(_text.plain(problem, 600))
        return
    _growing.what_came_of_it(str(dataset["id"]))
    run = _data_run.shown()
    if run is not None:
        _linked.line(run, "data")
    report(table, run)
    _target_fields.target(table, str(dataset["id"]), run)
    _data_tabs.details(table, run)


def choose() -> "pd.Series[str] | None":
    """The data set to look at, and the ways to add one."""
    frame, (chosen_run, current) = _workspace.workspace().datasets(), _pair.current_pair()
    if frame.empty:
        _intake.drop_zone()
        _intake.sample_data_button()
        return None
    left, middle, right = st.columns([2.6, 1.1, 3.1], vertical_alignment="bottom")
    shown = _growing.newest(frame, current)
    ids = shown["id"].tolist()
    sizes = [
        "damaged" if error else counted(num, "architecture") for num, error in zip(shown["num_rows"], shown["error"], strict=True)
    ]
    names = _words.distinct({one: f"{name}, {size}" for one, name, size in zip(ids, shown["name"], sizes, strict=True)})
    at = None if current is None else ids.index(current["id"])
    chosen = left.selectbox("Data set", ids, at, format_func=names.__getitem__, placeholder="Choose another one")
    if chosen is not None and (current is None or chosen != current["id"]):
        _pair.choose_data(chosen)
        st.rerun()
    if current is not None:
        with middle:
            _growing.versions(frame, current)
    with right.container(horizontal=True):
        turn = st.session_state.get("drops", 0)
        with st.popover("Add another file", width="stretch", key=f"add_{turn}"):
            _intake.drop_zone()
            _intake.sample_data_button()
        if current is not None:
            with st.popover("Add measurements", width="stretch", key=f"grow_{turn}", disabled=bool(current["error"])):
                _growing.adding(frame, current)
            with st.popover("Delete", key=f"delete_{chosen}"):
                delete(current, frame)
    if current is None and chosen_run is not None:
        gone(chosen_run)
    return current


def gone(run: "pd.Series[str]") -> None:
    """The run that is chosen was trained on data that are not in the workspace; its own copy can be put back."""
    st.info(f'The data of the run "{_text.plain(run["name"])}" are not in the workspace any more; the run keeps its own copy.')
    store = _workspace.workspace()

    def act() -> None:
        store.data_of_run(str(run["id"]))
        st.rerun()

    if st.button("Put them back", key="put_back"):
        _widgets.guarded(act)


def delete(dataset: "pd.Series[str]", sets: pd.DataFrame) -> None:
    """Asks, then deletes a data set with all its versions, or the newest of them alone."""
    own = sets[sets["family"] == dataset["family"]]
    if len(own) > 1 and _growing.is_newest(sets, dataset):
        _growing.take_back(dataset)
    num = int(_workspace.runs()["data_hash"].isin(own["hash"]).sum())
    kept = f" {num} run{'s' * (num != 1)} trained on it stay{'s' * (num == 1)}: a run keeps its own copy." if num else ""
    every = f" with its {len(own)} versions" if len(own) > 1 else ""
    st.write(f"The data set {_text.plain(dataset['name'])} goes for good{every}.{kept}")

    def act() -> None:
        _workspace.workspace().delete_dataset(str(dataset["id"]))
        left = _workspace.workspace().datasets()
        _pair.choose_data(None if left.empty else str(left["id"].iloc[0]))
        st.rerun()

    if st.button("Delete this data set", key=f"do_delete_{dataset['id']}"):
        _widgets.guarded(act)


def report(table: ArchTable, run: FinishedRun | None) -> None:
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
    _table_shown.warnings(table)
    for note in table.notes:
        st.caption(_text.plain(note, 400))
    _table_shown.architectures(table, _data_run.chosen_place(run))


_entering.enter("data")
render(_drop.dropped())
