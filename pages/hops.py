"""Hops: how well each hop orders architectures, and how modules rank at each."""

import pandas as pd
import streamlit as st

from autobuild_core.figures import charts
from autobuild_core.figures.colours import Lens
from pages import _hops_sections, _pins, _selection, _shared, _trust

_shared.enter("hops")
_shared.title(
    "Hops",
    "hop h scores modules of h + 1 layers; dots are scores, lines 90 % intervals, the dashed line the average architecture.",
)
run = _shared.chosen_run()
spec = run.table.spec
_trust.panel(run)


def windows() -> "pd.Series[bool]":
    """Lines of modules that are windows.

    Where the depth varies, a whole unit (exactly these layers) is another module than these layers in a deeper one; in a
    cell it is scored at its sum.
    """
    return (spec.fixed_depth and not spec.reads) | ~run.modules["whole_unit"]


def groups() -> dict[str, tuple[int, str]]:
    """What can be ranked: whole units first, then each hop within and across units."""
    found = {}
    for hop, part in run.modules[windows()].groupby("hop"):
        for index in sorted(part["unit_index"].unique()):
            across = "head to tail" if spec.reads else "across units"
            label = spec.units[index].label if index >= 0 else across
            found[f"{hop}:{index}"] = (int(hop), f"{label}, hop {hop} ({'one layer' if hop == 0 else f'{hop + 1} layers'})")
    return found


def ranking(lens: Lens) -> None:
    """The modules of one hop and unit as dots with intervals."""
    names = {f"whole:{i}": f"{unit.label}, whole unit" for i, unit in enumerate(spec.units)}
    names |= {key: name for key, (_, name) in groups().items()}
    known = _shared.recall("rank")
    keys = list(names)
    key = st.selectbox("Modules of", keys, keys.index(known) if known in keys else 0, format_func=names.__getitem__)
    _shared.keep(rank=None if key == keys[0] else key)
    kind, _, index = key.partition(":")
    of_unit = run.modules[run.modules["unit_index"] == int(index)]
    if kind == "whole":
        part = of_unit[of_unit["whole_unit"]]
    else:
        part = of_unit[(of_unit["hop"] == int(kind)) & windows()]
    if part.empty:
        st.caption("No module was scored here.")
        return
    table = charts.ranking_table(part, lens, run.config.minimize, run.num_evaluated, run.config.target)
    if kind == "whole" and (note := _trust.unit_note(run, int(index))):
        st.caption(_shared.plain(note, 300))
    if len(part) > len(table):
        st.caption(f"The best and the worst of {len(part):,}; the CSV has all.")
    figure = charts.ranking_figure(table, run.scale(lens), _shared.theme())
    everything = part.drop(columns=["unit_index", "first_position"]).sort_values(lens.value, ascending=False)
    _shared.show(figure, everything, "ranking", f"Ranking of the modules of {names[key]} with intervals")
    chosen = _selection.module_line(run)
    _pins.pin(run, table.iloc[0] if chosen is None else chosen, lens, "hops")


@st.fragment
def body() -> None:
    """Everything below the heading; the lens is chosen once for all charts."""
    left, right = st.columns([1, 1.8], gap="large")
    with left:
        st.subheader("How well each hop orders", anchor=False)
        bars = charts.hop_srcc_table(run.quality["hop_srcc"], run.quality["srcc"])
        _shared.show(charts.hop_srcc_figure(bars), bars, "hop_srcc", "Held-out SRCC by hop")
    with right:
        heading, choice = st.columns([2, 1], vertical_alignment="bottom")
        heading.subheader("Layer choice by position", anchor=False)
        with choice:
            lens = _shared.lens_select()
        heat = charts.heat_table(run.modules, spec, lens, run.num_evaluated, run.config.target)
        _shared.show(
            charts.heat_figure(heat, run.scale(lens), _shared.theme()),
            heat,
            "heat_map",
            "Scores of every layer at every position",
        )
    left, right = st.columns([1.8, 1], gap="large")
    with left:
        st.subheader("Ranking", anchor=False)
        ranking(lens)
    with right:
        st.subheader("What a feature is worth", anchor=False)
        st.caption("Hop 0, signed, against the average value of that feature.")
        figure = charts.features_figure(charts.features_shown(run.features), run.scale(Lens.SCORE), _shared.theme())
        _shared.show(figure, run.features, "features", "Signed effects of hop-0 feature values")


body()
_hops_sections.closer(run)
