"""Data: versions of a data set, and the measurements that are appended to it."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core import api
from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets._guarded import read_guarded
from autobuild_core.errors import counted
from autobuild_core.figures import data
from pages import _memory, _navigation, _pair, _reading, _text, _widgets, _words, _workspace

NO_RUN = "nobody here"


def newest(sets: pd.DataFrame, current: "pd.Series[Any] | None") -> pd.DataFrame:
    """A line a data set: its newest version, or the one that is looked at.

    Args:
        sets: every version, newest first.
        current: what is looked at.
    """
    first = sets.drop_duplicates("family")
    if current is None:
        return first
    own = sets[sets["id"] == current["id"]]
    return pd.concat([own, first[first["family"] != current["family"]]]).sort_index()


def versions(sets: pd.DataFrame, current: "pd.Series[Any]") -> None:
    """The choice of a version, where there are several."""
    own = sets[sets["family"] == current["family"]].sort_values("version", ascending=False).set_index("id")
    if len(own) < 2:
        return
    ids = [str(one) for one in own.index]
    chosen = st.selectbox(
        "Version",
        ids,
        ids.index(str(current["id"])),
        format_func=lambda one: f"{own.loc[one, 'version']}: {counted(int(own.loc[one, 'num_rows']), 'row')}",
        key=f"version_{current['family']}_{len(ids)}_{current['id']}",
        help="Appended measurements make a new version; a run keeps to the one that it learned from.",
    )
    if chosen != current["id"]:
        _pair.choose_version(chosen)
        st.rerun()


def is_newest(sets: pd.DataFrame, current: "pd.Series[Any]") -> bool:
    """No later version was made from this one."""
    return bool(current["version"] == sets.loc[sets["family"] == current["family"], "version"].max())


def adding(sets: pd.DataFrame, current: "pd.Series[Any]") -> None:
    """A place to drop later measurements of the data set's architectures, or others of its space."""
    if not is_newest(sets, current):
        st.caption("Only the newest version grows: choose it beside the data set.")
        return
    st.markdown(
        f"Later measurements for {_text.strong(current['name'])}: a file of any kind that is read here. Its columns mean "
        f"what they meant in the first file. This stays, and they make version {int(current['version']) + 1}."
    )
    runs = _workspace.runs()
    own = runs[runs["data_hash"].isin(sets.loc[sets["family"] == current["family"], "hash"])]
    names = _words.distinct({str(one): str(name) for one, name in zip(own["id"], own["name"], strict=True)})
    by = st.selectbox(
        "Architectures proposed by", ["", *names], format_func=lambda one: names.get(one, NO_RUN), key="appended_by"
    )
    count = st.session_state.setdefault("drops", 0)
    upload = st.file_uploader("A file of measurements", key=f"append_{current['id']}_{count}", max_upload_size=200)
    if upload is None:
        return
    with st.spinner(f"Reading {_text.plain(upload.name)} in a process of its own"):
        made = _widgets.guarded(lambda: append(str(current["id"]), upload.getbuffer(), upload.name, by or ""))
    if made is not None:
        new_id, sentence = made
        st.session_state["drops"] = count + 1
        _memory.visit()["appended"] = {"id": new_id, "said": sentence}
        _pair.choose_version(new_id)
        _navigation.go_to("data")


def append(dataset_id: str, content: memoryview, name: str, run: str) -> tuple[str, str]:
    """Appends the rows of a file to a data set: the id of its next version, and what came of it.

    Raises:
        StudioError: the file cannot be read, no row is new, or another version was made meanwhile.
    """
    store = _workspace.workspace()
    table = store.dataset(dataset_id)
    with tempfile.TemporaryDirectory(prefix="autobuild-appending-") as scratch:
        path = Path(scratch) / (Path(name).name or "file")
        path.write_bytes(content)
        more = api.read_more(path, table, read=partial(read_guarded, max_seconds=_reading.MAX_SECONDS))
    added = api.append(table, more, name, run)
    return store.add_version(dataset_id, added.table), added.sentence


def what_came_of_it(dataset_id: str) -> None:
    """The outcome of appending during this visit, on the version that it made."""
    said = _memory.visit().get("appended")
    if said is not None and said["id"] == dataset_id:
        st.success(f"{_text.plain(said['said'], 300)} Refused rows are listed below; train again to learn from the new ones.")


def history(table: ArchTable) -> None:
    """The origin of the rows, version by version."""
    names = {str(one): str(name) for one, name in zip(*(_workspace.runs()[c] for c in ("id", "name")), strict=True)}
    _widgets.table(data.history_table(table, names), "history", "All rows came with the first file.")


def take_back(current: "pd.Series[Any]") -> None:
    """Asks, then deletes the newest version alone."""
    st.write(f"Version {int(current['version'])} goes, and the one before is the newest again.")

    def act() -> None:
        store = _workspace.workspace()
        store.delete_version(str(current["id"]))
        left = store.datasets()
        own = left[left["family"] == current["family"]].sort_values("version")
        _pair.choose_version(str(own["id"].iloc[-1]))
        st.rerun()

    if st.button(f"Delete version {int(current['version'])}", key=f"do_take_back_{current['id']}"):
        _widgets.guarded(act)
