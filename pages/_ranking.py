"""Hops: the modules that compete with each other, ranked."""

import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.figures import rankings
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _linked, _memory, _pins, _run, _selection, _text, _theme, _trust, _widgets

SHOWN_WHOLE = 30  # a ranking of more lines leaves out its middle


def ranking(run: FinishedRun, lens: Lens) -> None:
    """The modules of one hop as dots with intervals, sorted within their unit."""
    names, chosen = names_of_groups(run), _selection.module(run)
    keys, known = list(names), _memory.recall("rank")
    own = None if chosen is None else group_of(run, chosen)
    start = known if known in keys else own if own in keys else keys[0]
    left, right = st.columns(2)
    key = left.selectbox("Modules of", keys, keys.index(start), format_func=names.__getitem__)
    _memory.keep(rank=None if key == (own if own in keys else keys[0]) else key)
    part = lines_of(run, key)
    if part.empty:
        st.caption("No module was scored here.")
        return
    if key.endswith(":all"):
        table = rankings.units_ranking_table(part, lens, run.config.minimize, run.num_evaluated, run.unit)
    else:
        about = run.config.minimize, run.num_evaluated, run.unit
        table = rankings.ranking_table(part, lens, *about, whole_up_to=SHOWN_WHOLE)
    with right:
        pick(run, table)
    unit = key.partition(":")[2]
    if key.startswith("whole:"):  # how sure the best of each unit is
        notes = [_trust.unit_note(run, i) for i in (range(len(run.table.spec.units)) if unit == "all" else [int(unit)])]
        st.caption(_text.plain(" ".join(filter(None, notes)), 600))
    if len(part) > len(table):
        st.caption(f"The best and the worst of {len(part):,}; the CSV has all.")
    figure = rankings.ranking_figure(table, _run.scale(run, lens), _theme.theme(), _linked.chosen_line_of(run, table))
    everything = part.drop(columns=["unit_index", "first_position"]).sort_values(lens.value, ascending=False)
    alt = f"Ranking of modules, {names[key]}, with intervals; the first is {table['module'].iloc[0]}"
    _widgets.show(figure, everything, "ranking", alt, on_pick=_linked.module_click("plot_ranking", table))
    _pins.pin(run, table.iloc[_linked.chosen_line_of(run, table) or 0], lens, "hops")


def pick(run: FinishedRun, table: pd.DataFrame) -> None:
    """The choice of a module without a mouse; follows what was clicked."""
    place, chosen = _linked.chosen_line_of(run, table), _selection.module(run)
    key = f"pick_module_{'' if chosen is None else _selection.module_text(chosen)}"
    names = [f"{rank}. {name}" for rank, name in zip(table["rank"], table["module"], strict=True)]

    def choose() -> None:
        if (line := st.session_state[key]) is not None:
            _selection.choose_module(ModuleKey.of(table.iloc[line]))

    st.selectbox(
        "Choose a module", range(len(table)), place, format_func=names.__getitem__, key=key, on_change=choose,
        placeholder="here, or click its dot",
    )  # fmt: skip


def names_of_groups(run: FinishedRun) -> dict[str, str]:
    """The names of the groups that can be ranked."""
    found = groups(run)
    deepest = [hop for hop in sorted({hop for hop, _ in found.values()}) if len(run.table.spec.units) > 1]
    names = {"whole:all": "Every unit, whole"} if len(run.table.spec.units) > 1 else {}
    names |= {f"whole:{i}": f"{unit.label}, whole unit" for i, unit in enumerate(run.table.spec.units)}
    names |= {f"{hop}:all": f"Every unit, hop {hop}" for hop in deepest if not lines_of(run, f"{hop}:all").empty}
    return names | {key: name for key, (_, name) in found.items()}


def groups(run: FinishedRun) -> dict[str, tuple[int, str]]:
    """The groups that can be ranked: whole units first, then each hop within and across units."""
    topology, found = topology_of(run.table.spec), {}
    for hop, part in run.modules[windows(run)].groupby("hop"):
        for index in sorted(part["unit_index"].unique()):
            label = run.table.spec.units[index].label if index >= 0 else topology.crossing
            found[f"{hop}:{index}"] = (int(hop), f"{label}, hop {hop} ({'one layer' if hop == 0 else f'{hop + 1} layers'})")
    return found


def group_of(run: FinishedRun, chosen: ModuleKey) -> str:
    """The group that a module competes in."""
    line = _selection.module_line(run)
    unit = -1 if line is None else int(line["unit_index"])
    return f"whole:{unit}" if chosen.whole_unit else f"{chosen.hop}:{unit}"


def lines_of(run: FinishedRun, key: str) -> pd.DataFrame:
    """The modules of a group: "whole:<unit>", "<hop>:<unit>", with "all" for every unit."""
    kind, _, index = key.partition(":")
    part = (
        run.modules[run.modules["whole_unit"]]
        if kind == "whole"
        else run.modules[(run.modules["hop"] == int(kind)) & windows(run)]
    )
    return part[part["unit_index"] >= 0] if index == "all" else part[part["unit_index"] == int(index)]


def windows(run: FinishedRun) -> "pd.Series[bool]":
    """Lines of modules that are windows.

    Where its depth varies, a whole unit (exactly these layers) is another module than these layers in a deeper one; with
    a state it is scored there.
    """
    topology = topology_of(run.table.spec)
    there = [i for i, unit in enumerate(run.table.spec.units) if unit.depths == (len(unit.positions),)]
    fixed = [i for i in there if topology.window_is_unit(i)]
    return run.modules["unit_index"].isin(fixed) | ~run.modules["whole_unit"]
