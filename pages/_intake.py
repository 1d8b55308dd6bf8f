"""Taking in a file: the drop zone and the sample, read in a guarded process, kept in the workspace. For Home and Data."""

import re
from collections.abc import Callable

import streamlit as st

from autobuild_core import registry
from autobuild_core.datasets import Dataset, load_format
from autobuild_core.datasets import _mapping as mapping
from autobuild_core.datasets._guarded import read_guarded
from autobuild_core.datasets._kinds import PARQUET, SQLITE, kind_of
from autobuild_core.datasets._trackers import SHOWN, Tracker
from autobuild_core.errors import DataError, StudioError
from autobuild_core.store.workspace import SAMPLE_ID, is_sample
from pages import _drop, _memory, _navigation, _pair, _reading, _text, _widgets, _workspace

ENDINGS = {PARQUET: "parquet", SQLITE: "sqlite"}
SAMPLE_NAME = "Fashion MBConv sample"


def drop_zone() -> None:
    """A place to drop a file; once one is read, Data opens on it, or on how its columns are read."""
    count = st.session_state.setdefault("drops", 0)
    label = "A file of evaluated architectures, plain or packed with gzip; its format is recognised by its content"
    upload = st.file_uploader(label, key=f"drop_{count}", max_upload_size=200)
    _examples()
    if upload is None:
        return
    _take_in(upload.name, lambda: _kept(upload.getbuffer(), upload.name))


def _kept(content: memoryview, name: str) -> str | None:
    """Keeps a dropped file as a data set, or as an upload where its columns are to be looked at first.

    Returns:
        The data set's id; None for an upload, which is then the one that Data shows.

    Raises:
        StudioError: the file cannot be read, or there is no room for it.
    """
    store, before = _workspace.workspace(), _memory.recall("drop")
    drop = _drop.Drop(store.add_upload(content, name, _drop.NOTHING_SAID))
    found = _reading.read(drop.path)
    if mapping.worth_a_look(found.table) if found.table is not None else found.columns:
        like, roles = store.remembered_roles(mapping.header_key(found.columns))
        drop.say(like=like, roles=roles)
        if before is not None:
            store.delete_upload(before)
        _memory.keep(drop=drop.id)
        return None
    store.delete_upload(drop.id)
    if found.table is None:
        raise DataError(found.sentence)
    return store.add_dataset(found.table, drop.name)


def _examples() -> None:
    """Formats and trackers' tables that can be dropped, each with a sentence and a small file to download."""
    with st.expander("What can I drop here?"):
        for name, format in _kinds().items():
            words, button = st.columns([4, 1.5], vertical_alignment="center")
            words.markdown(f"**{_text.plain(format.title)}**  \n{_text.plain(format.about, 400)}")
            button.download_button(
                "Example",
                format.example,
                _file_name(format),
                key=f"example_{name}",
                icon=":material/download:",
                on_click="ignore",
                help=f"A small file of this kind, to see how yours should look: {format.title}",
                width="stretch",
            )


def _kinds() -> dict[str, Dataset | Tracker]:
    """All that can be dropped, by name: formats, and trackers' tables."""
    return {name: load_format(name) for name in registry.names("datasets")} | SHOWN


def _file_name(format: Dataset | Tracker) -> str:
    """The name of a format's example when it is downloaded."""
    lines = format.example.strip().splitlines()
    in_json = "json" if lines[0].startswith(b"[") or len(lines) == 1 else "jsonl"
    ending = ENDINGS.get(kind_of(format.example)) or (in_json if lines[0].startswith((b"[", b"{")) else "csv")
    name = re.sub(r"\W+", "_", re.sub(r"\(.*?\)", "", format.title).lower()).strip("_")
    return f"{name}.{ending}"


def sample_button() -> None:
    """The first step: opens a trained run that ships, or takes the sample's data in where none does."""
    runs = _workspace.runs()
    shipped = {str(one["id"]): one for one in runs[runs["id"].map(is_sample).astype(bool)].to_dict("records")}
    first = shipped.pop(SAMPLE_ID, None)
    offered = first is not None or _workspace.SAMPLE_FILE.exists()
    if offered and st.button("Try the sample", type="primary", key="try_sample"):
        if first is not None:
            _open_sample(SAMPLE_ID, SAMPLE_NAME)
        _take_in(SAMPLE_NAME, _sample)
    if shipped:
        st.caption("Or another that was measured for real, each network trained from scratch:")
        with st.container(horizontal=True):
            for run_id, one in shipped.items():
                label = _text.plain(str(one["name"]).removeprefix("Sample: "))
                if st.button(label, key=f"try_{run_id}", help=f"Learned to {_text.plain(one['aim'], 200)}"):
                    _open_sample(run_id, str(one["data_name"]))


def _open_sample(run_id: str, name: str) -> None:
    """Opens a run that ships on Home, with its data in the workspace under a name."""
    store = _workspace.workspace()
    _widgets.guarded(lambda: store.add_dataset(store.run(run_id).table(), name))
    _pair.choose_run(run_id)
    _navigation.go_to("home")


def sample_data_button() -> None:
    """Takes the sample's data in, to train on it."""
    if _workspace.SAMPLE_FILE.exists() and st.button("Take the sample's data", key="take_sample"):
        _take_in(SAMPLE_NAME, _sample)


def _take_in(name: str, act: Callable[[], str | None]) -> None:
    """Takes a file in and opens Data on it; an error stays on the page as its sentence.

    Args:
        name: of the file.
        act: gives the id of its data set, None where its columns are looked at first.
    """
    with st.status(f"Reading {_text.plain(name)} in a process of its own", expanded=False) as status:
        try:
            dataset = act()
        except StudioError as error:
            status.update(label="This file could not be read", state="error", expanded=True)
            st.write(_text.plain(error, 1200))
            return
    st.session_state["drops"] = st.session_state.get("drops", 0) + 1
    if dataset is not None:
        _memory.keep(drop=None)
        _pair.choose_new_data(dataset)
    _navigation.go_to("data")


def _sample() -> str:
    """Reads the sample's data and keeps them: the id of the data set."""
    table = read_guarded(_workspace.SAMPLE_FILE, max_seconds=_reading.MAX_SECONDS)
    return _workspace.workspace().add_dataset(table, SAMPLE_NAME)
