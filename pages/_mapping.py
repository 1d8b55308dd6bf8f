"""The mapping step on Data: how the columns of a dropped file are read, changed and seen before anything is stored."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import CONTEXT_KINDS, ArchTable, Codes, ColumnRole, SpaceSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.datasets import _mapping as mapping
from autobuild_core.datasets import title_of
from autobuild_core.datasets._guarded import read_guarded
from autobuild_core.datasets._mapping import ROLE_NAMES
from autobuild_core.errors import StudioError, counted, listed
from autobuild_core.figures import drawing
from autobuild_core.spaces import load_space
from autobuild_core.spaces._configspace import declared_json, read_declared
from autobuild_core.spaces._declared import from_json, to_json
from pages import _drop, _memory, _pair, _text, _theme, _widgets, _workspace
from pages._components.columns import columns as columns_component
from pages._components.columns import said

MAX_SECONDS = 120.0
MOST_CARDS = 15  # of a set, in a third of the page
SAID = "as you said"
MOST_TOKENS = 12  # of a unit that are written out
ABOVE = 330  # pixels of the window that are not the table's
UNITS_TALL = 300
FEW_UNITS = 6
UNIT = (
    '<div style="display:flex;gap:.6rem;align-items:baseline;padding:.16rem 0;font-size:.86rem">'
    '<div style="flex:0 0 38%;font-weight:600;overflow-wrap:anywhere">{0}</div>'
    '<div style="flex:1;overflow-wrap:anywhere">{1}'
    '<div style="font-size:.8rem;color:light-dark(#5a606e,#b4b9c6)">{2}</div></div></div>'
)


@dataclass(frozen=True, eq=False)
class Reading:
    """What reading a file with a mapping gave.

    Args:
        table: None where its columns make no space, or a column cannot be what it is said to be.
        columns: how they were read; () where reading did not come so far.
        sentence: why there is no table.
    """

    table: ArchTable | None
    columns: tuple[ColumnRole, ...]
    sentence: str = ""


@st.cache_resource(max_entries=6, show_spinner=False)
def _read(path: str, roles: str, declared: str) -> Reading:
    """Reads a file in a process of its own, once for each mapping; shared between sessions, never changed."""
    try:
        space = from_json(declared) if declared else None
        table = read_guarded(Path(path), roles=json.loads(roles), declared=space, max_seconds=MAX_SECONDS)
    except StudioError as error:
        return Reading(None, getattr(error, "columns", ()), str(error))
    return Reading(table, table.columns)


def read(path: Path, roles: Mapping[str, str] | None = None, declared: str = "") -> Reading:
    """A file read with a mapping.

    Args:
        path: an upload.
        roles: {column: role} that a reader said.
        declared: text of space.json, "" to infer the space.
    """
    return _read(str(path), json.dumps(dict(roles or {}), sort_keys=True), declared)


# The step


def step(drop: _drop.Drop) -> None:
    """The whole step; nothing else of the page is shown meanwhile."""
    found, said_now = read(drop.path), drop.mapping["roles"]
    heading = st.container(horizontal=True, vertical_alignment="center", gap="small")
    words = st.container(gap="small")
    left, right = st.columns([1.75, 1], gap="large")
    with right:
        waiting = "Reading the file" if not said_now and not drop.mapping["declared"] else "Reading the file again, as you say"
        with st.spinner(waiting):
            reading = read(drop.path, said_now, drop.mapping["declared"])
    with heading:
        _heading(drop, found, reading)
    with words:
        _words(drop, reading)
    with left:
        _columns(drop, found, reading)
    with right:
        if reading.table is None:
            st.caption("What follows from the columns stands here as soon as they make a search space.")
        else:
            _what_follows(reading.table)
        _declaring(drop, reading)
    if reading.table is not None:
        architectures(reading.table)


def _heading(drop: _drop.Drop, found: Reading, reading: Reading) -> None:
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


def _words(drop: _drop.Drop, reading: Reading) -> None:
    """Why there is no table, what was remembered, what is to be looked at before training."""
    if reading.table is None:
        st.warning(_text.plain(reading.sentence, 1200))
    if drop.mapping["like"]:
        line = st.container(horizontal=True, vertical_alignment="center", gap="small")
        names = [f"{name} as {ROLE_NAMES[role].lower()}" for name, role in drop.mapping["roles"].items()]
        sentence = f"Read as you chose for {_text.plain(drop.mapping['like'])}: {_text.plain(listed(names), 400)}."
        line.markdown(sentence, width="content")
        if line.button("Forget these choices", key="forget_roles", type="tertiary", icon=":material/undo:"):
            found = read(drop.path)
            _workspace.workspace().remember_roles(mapping.header_key(found.columns), {}, "")
            drop.say(roles={}, like="", turn=drop.mapping["turn"] + 1)
            st.rerun()
    if reading.table is not None:
        warnings(reading.table)


def warnings(table: ArchTable) -> None:
    """What should be looked at before training, a line each."""
    for sentence in table.warnings:
        st.markdown(f":orange[:material/warning:] {_text.plain(sentence, 600)}")


def _columns(drop: _drop.Drop, found: Reading, reading: Reading) -> None:
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


# What follows


def _what_follows(table: ArchTable) -> None:
    """Rows, the space and its units."""
    networks = len(np.unique(table.networks))
    facts = [f"**{len(table):,}** of {counted(table.num_read, 'row')} accepted", _bold(networks, "distinct network")]
    if table.num_censored:
        facts.append(f"{_bold(table.num_censored, 'stopped trial')}, kept as known to be worse")
    names = [f"{_text.code(name)} ({kind})" for name, kind in table.context_kinds.items()]
    facts += [f"context{'s' * (len(names) != 1)}: {', '.join(names[:6])}{' and more' * (len(names) > 6)}"] if names else []
    st.markdown("  \n".join(facts))
    if table.rejected:
        with st.expander(f"{counted(len(table.rejected), 'row')} refused"):
            for one in table.rejected[:5]:
                st.caption(f"Row {one.row}: {_text.plain(one.reason, 300)}")
            if len(table.rejected) > 5:
                st.caption("The report of the stored data set has all.")
    num = len(table.spec.units)
    st.markdown(f"**{counted(num, 'unit')}** of a space of {_size(table.spec)}")
    with st.container(height=UNITS_TALL if num > FEW_UNITS else "content", border=num > FEW_UNITS, key="units"):
        st.html("".join(_unit(table.spec, index) for index in range(num)))
    for note in table.notes:
        st.caption(_text.plain(note, 400))


def _bold(num: int, noun: str) -> str:
    """A number of things, the number in bold."""
    number, _, nouns = counted(num, noun).partition(" ")
    return f"**{number}** {nouns}"


def _size(spec: SpaceSpec) -> str:
    """How many architectures a space has."""
    size = load_space(spec).size
    return counted(size, "architecture") if size < 10**9 else f"10\\^{len(str(size)) - 1} architectures"


def _unit(spec: SpaceSpec, index: int) -> str:
    """A unit in a line: its values, its depths, what it depends on."""
    unit, space = spec.units[index], load_space(spec)
    tokens = [spec.tokens[token].removeprefix(f"{unit.label}=") for token in unit.tokens]
    shown = ", ".join(tokens[:MOST_TOKENS]) + (f" and {len(tokens) - MOST_TOKENS:,} more" if len(tokens) > MOST_TOKENS else "")
    facts = []
    if unit.depths[-1] > 1:
        facts.append(f"{_depths(unit.depths)} layers, {counted(space.unit_size(unit), 'module')}")
    elif unit.depths[0] == 0:
        facts.append("may be absent")
    for condition in spec.conditions:
        if condition.unit == index:
            parent = spec.units[condition.parent]
            values = [spec.tokens[t].removeprefix(f"{parent.label}=") for t in condition.tokens if t >= 0]
            facts.append(f"only where {parent.label} is {' or '.join(values[:MOST_TOKENS])}")
    return UNIT.format(*(escape(text) for text in (unit.label, shown, "; ".join(facts))))


def _depths(depths: tuple[int, ...]) -> str:
    """Numbers of layers in words."""
    if len(depths) > 1 and depths[-1] - depths[0] == len(depths) - 1:
        return f"{depths[0]} to {depths[-1]}"
    return " or ".join(map(str, depths))


def architectures(table: ArchTable, chosen: int | None = None) -> None:
    """Three architectures of a table, drawn; of a set of very many choices written side by side.

    Args:
        table: with at least one row.
        chosen: place of one that comes first.
    """
    places = sorted({0, len(table) // 2, len(table) - 1})
    places = places if chosen is None else [chosen, *(place for place in places if place != chosen)][:3]
    if sum(map(topology_of(table.spec).apart, range(len(table.spec.units)))) > MOST_CARDS:
        rows = [int(row) for row in table.source_rows[places]]
        names = {f"Row {row}{', chosen' if place == chosen else ''}": place for row, place in zip(rows, places, strict=True)}
        written = {name: _written(table.spec, table.codes[place]) for name, place in names.items()}
        frame = pd.DataFrame({"Layer": table.spec.position_labels} | written)
        st.dataframe(frame, hide_index=True, height=300)
        _widgets.csv_button(frame, "architectures_side_by_side")
        return
    for number, (column, index) in enumerate(zip(st.columns(3, gap="medium"), places, strict=False)):
        with column:
            row = int(table.source_rows[index])
            st.caption(f"Architecture of row {row}{', chosen' if index == chosen else ''}")
            drawn = drawing.architecture_table(table.spec, table.codes[index])
            figure = drawing.architecture_figure(drawn, _theme.theme()).update_layout(height=230)
            _widgets.show(figure, _widgets.drawing_facts(drawn), f"architecture_{number}", f"Architecture of row {row}")


def _written(spec: SpaceSpec, codes: Codes) -> list[str]:
    """The layers of an architecture, a text a position."""
    tokens = [spec.tokens[code] if code >= 0 else "" for code in codes]
    return [token.removeprefix(f"{label}=") for token, label in zip(tokens, spec.position_labels, strict=True)]


# The declared space


def _declaring(drop: _drop.Drop, reading: Reading) -> None:
    """The space as a file to download, edit and hand in; in place of the inferred one."""
    declared = drop.mapping["declared"]
    if not declared and (reading.table is None or reading.table.spec.name != "flat"):
        return
    with st.expander("Declare the space yourself", expanded=bool(declared)):
        if declared:
            st.markdown(f"As **{_text.plain(drop.mapping['declared_name'])}** declares it.")
            if reading.table is None:
                st.error(_text.plain(reading.sentence, 600))
            if st.button("Infer it from the rows again", key="infer_space", icon=":material/undo:"):
                drop.say(declared="", declared_name="")
                st.rerun()
        else:
            st.caption(
                "The space has the values that the rows have. Where more are valid, or some do not go together, edit this "
                "file and hand it back; the JSON that ConfigSpace writes is read too."
            )
        if reading.table is not None:
            spec = reading.table.spec
            st.download_button(
                "space.json",
                lambda: declared_json(spec),
                "space.json",
                "application/json",
                key="space_json",
                icon=":material/download:",
                on_click="ignore",
            )
        _take_space(drop)


def _take_space(drop: _drop.Drop) -> None:
    """The place where a declared space is handed in; what is wrong with it stands below."""
    given = st.file_uploader("An edited space.json", key=f"space_{drop.id}_{drop.mapping['turn']}", max_upload_size=16)
    if given is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "space.json"
        path.write_bytes(given.getbuffer())
        try:
            text = to_json(read_declared(path))
        except StudioError as error:
            st.error(_text.plain(error, 600))
            return
    drop.say(declared=text, declared_name=given.name, turn=drop.mapping["turn"] + 1)
    st.rerun()


# The report


def how_read(table: ArchTable) -> None:
    """How the columns of a stored data set were read."""
    if not table.columns:
        st.caption(f"{title_of(table.format)}: the format gives every field its role.")
        return
    if table.declared:
        st.caption("The space was declared in a file, not inferred from the rows.")
    columns_component(table.columns, "columns_read", _theme.theme(), ABOVE)
    _widgets.csv_button(mapping.columns_table(table.columns), "columns")
