"""Hops: how the best modules rank from hop to hop."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.figures import hops
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _linked, _ranking, _run, _selection, _theme, _widgets


def bump(run: FinishedRun, lens: Lens) -> None:
    """The ranks of the best modules of a unit from hop to hop."""
    spec, topology = run.table.spec, topology_of(run.table.spec)
    across = run.modules[(run.modules["unit_index"] < 0) & _ranking.windows(run)]
    names = {str(i): unit.label for i, unit in enumerate(spec.units) if topology.windows_within(i)}
    names |= {"across": topology.crossing} if len(across) else {}
    if not names:
        st.caption("Every module here has one layer: there is nothing to follow.")
        return
    keys, unit = list(names), _selection.unit(spec)
    key = st.selectbox(
        "Follow the best of", keys, keys.index(str(unit)) if str(unit) in keys else 0, format_func=names.__getitem__
    )
    if key == "across":
        whole = across[across["hop"] == across["hop"].max()]
    else:
        _selection.choose_unit(spec, int(key))
        whole = run.modules[run.modules["whole_unit"] & (run.modules["unit_index"] == int(key))]
    table = hops.bump_table(run.modules, run.index, whole, lens, run.config.minimize, run.num_evaluated, run.unit)
    firsts = table.drop_duplicates("line")
    place = _linked.chosen_line_of(run, firsts)
    figure = hops.bump_figure(
        table, _run.scale(run, lens), _theme.theme(), None if place is None else int(firsts["line"].iloc[place])
    )
    alt = f"Ranks of the best modules of {names[key]} from hop to hop; the best whole is {firsts['module'].iloc[0]}"
    _widgets.show(figure, table, "bump", alt, on_pick=bump_click(table))


def bump_click(table: pd.DataFrame) -> Callable[[], None]:
    """A callback: the whole module whose line was clicked is chosen."""

    def choose() -> None:
        for point in _linked.picked("plot_bump"):
            _selection.choose_module(ModuleKey.of(table[table["line"] == point["curve_number"]].iloc[0]))

    return choose
