"""The mapping step on Data: how the columns of a dropped file are read, changed and seen before anything is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from autobuild_core.architectures.records import CONTEXT_KINDS, ArchTable, ColumnRole
from autobuild_core.datasets import _mapping as mapping
from autobuild_core.datasets import title_of
from autobuild_core.datasets._mapping import ROLE_NAMES
from autobuild_core.errors import listed
from pages import _declaring, _drop, _memory, _pair, _reading, _table_shown, _text, _theme, _widgets, _workspace
from pages._components.columns import columns as columns_component
from pages._components.columns import said

SAID = "as you said"
ABOVE = 330  # pixels of the window that are not the table's


def step(drop: _drop.Drop) -> None:
    """The whole step; nothing else of the page is shown meanwhile."""
    found, said_now = _reading.read(drop.path), drop.mapping["roles"]
    heading = st.container(horizontal=True, vertical_alignment="center", gap="small")
    words = st.container(gap="small")
    left, right = st.columns([1.75, 1], gap="large")
    with right:
        waiting = "Reading the file" if not said_now and not drop.mapping["declared"] else "Reading the file again, as you say"
        with st.spinner(waiting):
            reading = _reading.read(drop.path, said_now, drop.mapping["declared"])
    with heading:
        _heading(drop, found, reading)
    with words:
        _remarks(drop, reading)
    with left:
        _columns(drop, found, reading)
    with right:
        if reading.table is None:
            st.caption("What follows from the columns stands here as soon as they make a search space.")
        else:
            _table_shown.what_follows(reading.table)
        _declaring.declaring(drop, reading)
    if reading.table is not None:
        _table_shown.architectures(reading.table)


def _heading(drop: _drop.Drop, found: _reading.Reading, reading: _reading.Reading) -> None:
    """The file's name, and the two ways out of the step."""
    st.subheader(f"How is {_text.plain(drop.name)} to be read?", anchor=False, width="stretch")

    def store() -> None:
        assert reading.table is not None
        workspace = _workspace.workspace()
        dataset = workspace.add_dataset(reading.table, drop.name)
        workspace.remember_roles(mapping.header_key(found.columns), drop.mapping["roles"], drop.name)
        workspace.delete_upload(drop.id)
        _memory.keep(drop=None)
        _pair.choose_new_data(dataset)
        st.rerun()

    if st.button("Discard the file", key="drop_the_file", help="Nothing of it is kept"):
        _workspace.workspace().delete_upload(drop.id)
        _memory.keep(drop=None)
        st.rerun()
    missing = reading.table is None
    why = (
        "Change a column's role, or leave the file: the sentence above says why it cannot be read"
        if missing
        else "Stores the data set as it is read here"
    )
    if st.button("Use these columns", type="primary", disabled=missing, key="use_columns", help=why) and not missing:
        with st.spinner("Saving"):
            _widgets.guarded(store)


def _remarks(drop: _drop.Drop, reading: _reading.Reading) -> None:
    """The reason why there is no table, what was remembered, what is to be looked at before training."""
    if reading.table is None:
        st.warning(_text.plain(reading.sentence, 1200))
    if drop.mapping["like"]:
        line = st.container(horizontal=True, vertical_alignment="center", gap="small")
        names = [f"{name} as {ROLE_NAMES[role].lower()}" for name, role in drop.mapping["roles"].items()]
        sentence = f"Read as you chose for {_text.plain(drop.mapping['like'])}: {_text.plain(listed(names), 400)}."
        line.markdown(sentence, width="content")
        if line.button("Forget these choices", key="forget_roles", type="tertiary", icon=":material/undo:"):
            found = _reading.read(drop.path)
            _workspace.workspace().remember_roles(mapping.header_key(found.columns), {}, "")
            drop.say(roles={}, like="", turn=drop.mapping["turn"] + 1)
            st.rerun()
    if reading.table is not None:
        _table_shown.warnings(reading.table)


def _columns(drop: _drop.Drop, found: _reading.Reading, reading: _reading.Reading) -> None:
    """The table of columns; a choice in it is kept before the page runs, by its callback or by the next run's first line."""
    key = f"columns_{drop.id}"

    def take() -> None:
        _take(drop.id, found.columns, key)

    _memory.visit()["heard"] = take
    shown = reading.columns or _as_said(found.columns, drop.mapping["roles"])
    before = {column.name: column.spoken for column in found.columns}
    columns_component(shown, key, _theme.theme(), ABOVE, before, drop.mapping["turn"], take)


def _take(upload_id: str, found: Sequence[ColumnRole], key: str) -> None:
    """Keeps what was chosen in the table of columns, unless its file or its turn is over.

    Args:
        upload_id: of the file.
        found: how its columns are read without a mapping.
        key: of the table.
    """
    drop, (turn, roles) = _drop.dropped(), said(key)
    if drop is None or drop.id != upload_id or turn != drop.mapping["turn"]:
        return
    now = drop.mapping["roles"]
    for name, role in roles.items():
        now = mapping.changed(found, now, name, role)
    if now != drop.mapping["roles"]:
        drop.say(roles=now, like="")


def _as_said(found: Sequence[ColumnRole], roles: Mapping[str, str]) -> tuple[ColumnRole, ...]:
    """Columns as a reader wants them, where they cannot be read so."""
    shown = []
    for column in found:
        if role := roles.get(column.name):
            name, _, better = role.partition(":")
            if name in CONTEXT_KINDS:
                column = replace(column, role="context", kind=name, said=True, why=SAID)
            else:
                column = replace(column, role=name, better=better, said=True, why=SAID)
        shown.append(column)
    return tuple(shown)


def how_read(table: ArchTable) -> None:
    """The columns of a stored data set, and the way in which they were read."""
    if not table.columns:
        st.caption(f"{title_of(table.format)}: the format gives every field its role.")
        return
    if table.declared:
        st.caption("The space was declared in a file, not inferred from the rows.")
    columns_component(table.columns, "columns_read", _theme.theme(), ABOVE)
    _widgets.csv_button(mapping.columns_table(table.columns), "columns")
