"""Tables of architectures before anything is learned from them: rows, space, warnings, some rows drawn."""

from html import escape

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import ArchTable, Codes, SpaceSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.errors import counted
from autobuild_core.figures import drawing
from autobuild_core.spaces import load_space
from pages import _text, _theme, _widgets

MOST_CARDS = 15  # of a set, in a third of the page
MOST_TOKENS = 12  # of a unit that are written out
UNITS_TALL = 300
FEW_UNITS = 6
UNIT = (
    '<div style="display:flex;gap:.6rem;align-items:baseline;padding:.16rem 0;font-size:.86rem">'
    '<div style="flex:0 0 38%;font-weight:600;overflow-wrap:anywhere">{0}</div>'
    '<div style="flex:1;overflow-wrap:anywhere">{1}'
    '<div style="font-size:.8rem;color:light-dark(#5a606e,#b4b9c6)">{2}</div></div></div>'
)


def what_follows(table: ArchTable) -> None:
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


def warnings(table: ArchTable) -> None:
    """The warnings of what should be looked at before training, a line each."""
    for sentence in table.warnings:
        st.markdown(f":orange[:material/warning:] {_text.plain(sentence, 600)}")


def _bold(num: int, noun: str) -> str:
    """A number of things, the number in bold."""
    number, _, nouns = counted(num, noun).partition(" ")
    return f"**{number}** {nouns}"


def _size(spec: SpaceSpec) -> str:
    """The number of architectures in a space."""
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
