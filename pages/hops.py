"""Hops: how well each hop orders architectures, and how modules rank at each."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.figures import hops, quality, rankings, space
from autobuild_core.scoring import space_map
from pages import (
    _entering,
    _hops_sections,
    _linked,
    _memory,
    _navigation,
    _pins,
    _run,
    _selection,
    _states,
    _text,
    _theme,
    _trust,
    _widgets,
)

_entering.enter("hops")
_widgets.title(
    "Hops",
    "hop h scores modules of h + 1 layers: hop 0 a layer alone, the last hop whole units. Dots are scores, lines their 90 % "
    "intervals, the dashed line the average architecture; orange is better, violet worse, faint unsure. A click on a dot or a "
    "cell chooses that module here and on every other page, where the best architecture with it is shown.",
)
run = _states.chosen_run()
spec = run.table.spec
topology = topology_of(spec)
SHOWN_WHOLE = 30  # a ranking of more lines leaves out its middle
_trust.panel(run)


def beyond(last_hop: int, scored_hop: int) -> str:
    """Why the network has hops at which no module stands on the other charts; "" where it has none."""
    if last_hop <= scored_hop:
        return ""
    hops_there = f"Hop {last_hop} is" if last_hop == scored_hop + 1 else f"Hops {scored_hop + 1} to {last_hop} are"
    layers = f"{scored_hop + 1} layer{'s' if scored_hop else ''}"
    return (
        f"{hops_there} of the network alone: the longest module scored has {layers} (hop {scored_hop}), so no module is ranked "
        "there; the prediction uses every hop."
    )


def windows() -> "pd.Series[bool]":
    """Lines of modules that are windows.

    Where its depth varies, a whole unit (exactly these layers) is another module than these layers in a deeper one; with
    a state it is scored there.
    """
    there = [i for i, unit in enumerate(spec.units) if unit.depths == (len(unit.positions),)]
    fixed = [i for i in there if topology.window_is_unit(i)]
    return run.modules["unit_index"].isin(fixed) | ~run.modules["whole_unit"]


def groups() -> dict[str, tuple[int, str]]:
    """What can be ranked: whole units first, then each hop within and across units."""
    found = {}
    for hop, part in run.modules[windows()].groupby("hop"):
        for index in sorted(part["unit_index"].unique()):
            label = spec.units[index].label if index >= 0 else topology.crossing
            found[f"{hop}:{index}"] = (int(hop), f"{label}, hop {hop} ({'one layer' if hop == 0 else f'{hop + 1} layers'})")
    return found


def lines_of(key: str) -> pd.DataFrame:
    """The modules of a group: "whole:<unit>", "<hop>:<unit>", with "all" for every unit."""
    kind, _, index = key.partition(":")
    part = (
        run.modules[run.modules["whole_unit"]] if kind == "whole" else run.modules[(run.modules["hop"] == int(kind)) & windows()]
    )
    return part[part["unit_index"] >= 0] if index == "all" else part[part["unit_index"] == int(index)]


def group_of(chosen: ModuleKey) -> str:
    """The group that a module competes in."""
    line = _selection.module_line(run)
    unit = -1 if line is None else int(line["unit_index"])
    return f"whole:{unit}" if chosen.whole_unit else f"{chosen.hop}:{unit}"


def names_of_groups() -> dict[str, str]:
    """What can be ranked, in words."""
    found = groups()
    deepest = [hop for hop in sorted({hop for hop, _ in found.values()}) if len(spec.units) > 1]
    names = {"whole:all": "Every unit, whole"} if len(spec.units) > 1 else {}
    names |= {f"whole:{i}": f"{unit.label}, whole unit" for i, unit in enumerate(spec.units)}
    names |= {f"{hop}:all": f"Every unit, hop {hop}" for hop in deepest if not lines_of(f"{hop}:all").empty}
    return names | {key: name for key, (_, name) in found.items()}


def ranking(lens: Lens) -> None:
    """The modules of one hop as dots with intervals, sorted within their unit."""
    names, chosen = names_of_groups(), _selection.module(run)
    keys, known = list(names), _memory.recall("rank")
    own = None if chosen is None else group_of(chosen)
    start = known if known in keys else own if own in keys else keys[0]
    left, right = st.columns(2)
    key = left.selectbox("Modules of", keys, keys.index(start), format_func=names.__getitem__)
    _memory.keep(rank=None if key == (own if own in keys else keys[0]) else key)
    part = lines_of(key)
    if part.empty:
        st.caption("No module was scored here.")
        return
    if key.endswith(":all"):
        table = rankings.units_ranking_table(part, lens, run.config.minimize, run.num_evaluated, run.unit)
    else:
        about = run.config.minimize, run.num_evaluated, run.unit
        table = rankings.ranking_table(part, lens, *about, whole_up_to=SHOWN_WHOLE)
    with right:
        pick(table)
    unit = key.partition(":")[2]
    if key.startswith("whole:"):  # how sure the best of each unit is
        notes = [_trust.unit_note(run, i) for i in (range(len(spec.units)) if unit == "all" else [int(unit)])]
        st.caption(_text.plain(" ".join(filter(None, notes)), 600))
    if len(part) > len(table):
        st.caption(f"The best and the worst of {len(part):,}; the CSV has all.")
    figure = rankings.ranking_figure(table, _run.scale(run, lens), _theme.theme(), _linked.chosen_line_of(run, table))
    everything = part.drop(columns=["unit_index", "first_position"]).sort_values(lens.value, ascending=False)
    alt = f"Ranking of modules, {names[key]}, with intervals; the first is {table['module'].iloc[0]}"
    _widgets.show(figure, everything, "ranking", alt, on_pick=_linked.module_click("plot_ranking", table))
    _pins.pin(run, table.iloc[_linked.chosen_line_of(run, table) or 0], lens, "hops")


def pick(table: pd.DataFrame) -> None:
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


def bump(lens: Lens) -> None:
    """How the best modules of a unit rank from hop to hop."""
    across = run.modules[(run.modules["unit_index"] < 0) & windows()]
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


@st.fragment
def body() -> None:
    """Everything below the heading; the lens is chosen once for all charts."""
    _linked.line(run, "hops")
    left, right = st.columns([1, 1.8], gap="large")
    with left:
        st.subheader("How well each hop orders", anchor=False)
        trusted = _trust.report_of(run)
        baselines = trusted.baselines if trusted else ()
        bars = quality.hop_srcc_table(run.quality["hop_srcc"], run.quality["srcc"], baselines)
        alt = f"Held-out SRCC by hop, of the prediction ({run.quality['srcc']:.3f}) and of the baselines"
        _widgets.show(quality.hop_srcc_figure(bars), bars, "hop_srcc", alt)
        if note := beyond(len(run.quality["hop_srcc"]) - 1, int(run.modules["hop"].max())):
            st.caption(note)
    with right:
        heading, choice = st.columns([2, 1], vertical_alignment="bottom")
        heading.subheader("Layer choice by position", anchor=False)
        with choice:
            lens = _widgets.lens_select()
        heat = rankings.heat_table(run.modules, spec, lens, run.num_evaluated, run.unit)
        marked = _linked.marked(run)
        if marked is not None and marked.any():
            heat = space.with_marked_shares(heat, space_map.in_common(run.table.codes, spec, marked))
        figure = rankings.heat_figure(heat, _run.scale(run, lens), _theme.theme(), _linked.chosen_line_of(run, heat))
        click = _linked.module_click("plot_heat_map", heat, curve=2)
        _widgets.show(figure, heat, "heat_map", "Heat map: the score of every layer at every position", on_pick=click)
        if "marked" in heat:
            st.caption("Rings: the larger, the more of the architectures marked on the map have the layer there.")
    left, right = st.columns([1.15, 1], gap="large")
    with left:
        st.subheader("Ranking", anchor="ranking")
        ranking(lens)
    with right:
        st.subheader("From hop to hop", anchor=False)
        bump(lens)
        st.caption(
            "Each line is a whole module, from its last layer alone to all of its layers, ranked among these. Where lines cross, "
            "what stands before a layer changes what it is worth."
        )
    st.subheader("What a feature is worth", anchor=False)
    _trust.of_the_average(run)
    st.caption(
        "Hop 0, signed: how much a single layer with the value raises or lowers the expected target against the average "
        "architecture; the mean over the places where the space has it."
    )
    features = rankings.features_shown(run.features)
    if features.empty:
        st.caption("No feature here has few enough values for a panel: the heat map shows every layer.")
        return
    figure = rankings.features_figure(features, _run.scale(run, Lens.SCORE), _theme.theme(), columns=5)
    names = ", ".join(dict.fromkeys(features["feature"]))
    _widgets.show(figure, run.features, "features", f"Signed effects of the values of hop-0 features: {names}")


body()
_hops_sections.closer(run)
_navigation.scroll_to_place(("ranking", "interactions"))
