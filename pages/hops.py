"""Hops: how well each hop orders architectures, and how modules rank at each."""

import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.figures import quality, rankings, space
from autobuild_core.scoring import space_map
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _bump, _entering, _hops_sections, _linked, _navigation, _ranking, _run, _states, _theme, _trust, _widgets

HOW_TO_READ = (
    "hop h scores modules of h + 1 layers: hop 0 a layer alone, the last hop whole units. Dots are scores, lines their 90 % "
    "intervals, the dashed line the average architecture; orange is better, violet worse, faint unsure. A click on a dot or a "
    "cell chooses that module here and on every other page, where the best architecture with it is shown."
)


def render(run: FinishedRun) -> None:
    """The page of a finished run."""
    _trust.panel(run)
    charts(run)
    _hops_sections.closer(run)
    _navigation.scroll_to_place(("ranking", "interactions"))


@st.fragment
def charts(run: FinishedRun) -> None:
    """Everything above the closer look; the lens is chosen once for all charts."""
    _linked.line(run, "hops")
    left, right = st.columns([1, 1.8], gap="large")
    with left:
        orders(run)
    with right:
        lens = layers(run)
    left, right = st.columns([1.15, 1], gap="large")
    with left:
        st.subheader("Ranking", anchor="ranking")
        _ranking.ranking(run, lens)
    with right:
        st.subheader("From hop to hop", anchor=False)
        _bump.bump(run, lens)
        st.caption(
            "Each line is a whole module, from its last layer alone to all of its layers, ranked among these. Where lines "
            "cross, what stands before a layer changes what it is worth."
        )
    features(run)


def orders(run: FinishedRun) -> None:
    """The rank correlation of each hop's order of the architectures, beside the baselines."""
    st.subheader("How well each hop orders", anchor=False)
    trusted = _trust.report_of(run)
    baselines = trusted.baselines if trusted else ()
    bars = quality.hop_srcc_table(run.quality["hop_srcc"], run.quality["srcc"], baselines)
    alt = f"Held-out SRCC by hop, of the prediction ({run.quality['srcc']:.3f}) and of the baselines"
    _widgets.show(quality.hop_srcc_figure(bars), bars, "hop_srcc", alt)
    if note := beyond(len(run.quality["hop_srcc"]) - 1, int(run.modules["hop"].max())):
        st.caption(note)


def beyond(last_hop: int, scored_hop: int) -> str:
    """The reason for hops of the network with no module on the other charts; "" where it has none."""
    if last_hop <= scored_hop:
        return ""
    hops_there = f"Hop {last_hop} is" if last_hop == scored_hop + 1 else f"Hops {scored_hop + 1} to {last_hop} are"
    layers = f"{scored_hop + 1} layer{'s' if scored_hop else ''}"
    return (
        f"{hops_there} of the network alone: the longest module scored has {layers} (hop {scored_hop}), so no module is ranked "
        "there; the prediction uses every hop."
    )


def layers(run: FinishedRun) -> Lens:
    """The score of every layer at every position; the lens that is chosen above it."""
    heading, choice = st.columns([2, 1], vertical_alignment="bottom")
    heading.subheader("Layer choice by position", anchor=False)
    with choice:
        lens = _widgets.lens_select()
    heat = rankings.heat_table(run.modules, run.table.spec, lens, run.num_evaluated, run.unit)
    marked = _linked.marked(run)
    if marked is not None and marked.any():
        heat = space.with_marked_shares(heat, space_map.in_common(run.table.codes, run.table.spec, marked))
    figure = rankings.heat_figure(heat, _run.scale(run, lens), _theme.theme(), _linked.chosen_line_of(run, heat))
    click = _linked.module_click("plot_heat_map", heat, curve=2)
    _widgets.show(figure, heat, "heat_map", "Heat map: the score of every layer at every position", on_pick=click)
    if "marked" in heat:
        st.caption("Rings: the larger, the more of the architectures marked on the map have the layer there.")
    return lens


def features(run: FinishedRun) -> None:
    """The worth of the values of features of single layers."""
    st.subheader("What a feature is worth", anchor=False)
    _trust.of_the_average(run)
    st.caption(
        "Hop 0, signed: how much a single layer with the value raises or lowers the expected target against the average "
        "architecture; the mean over the places where the space has it."
    )
    shown = rankings.features_shown(run.features)
    if shown.empty:
        st.caption("No feature here has few enough values for a panel: the heat map shows every layer.")
        return
    figure = rankings.features_figure(shown, _run.scale(run, Lens.SCORE), _theme.theme(), columns=5)
    names = ", ".join(dict.fromkeys(shown["feature"]))
    _widgets.show(figure, run.features, "features", f"Signed effects of the values of hop-0 features: {names}")


_entering.enter("hops")
_widgets.title("Hops", HOW_TO_READ)
render(_states.chosen_run())
