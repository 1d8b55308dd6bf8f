"""Builder: the Pareto front of two metrics, measured and predicted; a click puts an architecture on the screen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import Codes
from autobuild_core.figures import design
from autobuild_core.loop.proposing import codes_of
from autobuild_core.predictor.run_metrics import RunMetrics
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.budgets import Budgets, budget_text
from pages import _asking, _slots, _text, _widgets

ABOUT = (
    "Diamonds: measured architectures that no other measured one exceeds. Circles: what was not measured and may be on it, "
    "the larger and darker the likelier, in 200 joint draws of what may be true. A click puts an architecture on the screen."
)


@dataclass(frozen=True, eq=False)
class Shown:
    """The front that was worked out.

    Args:
        run: key of the run.
        asked: metrics and budgets in words.
        axes: names of the metrics, the first drawn upwards.
        records: of the members.
        answer: what the command said.
        refused: why there is none.
    """

    run: str
    asked: str
    axes: tuple[str, str]
    records: list[dict[str, Any]]
    answer: dict[str, Any]
    refused: str


def section(run: FinishedRun, known: RunMetrics, budgets: Budgets, names: list[str], codes: Codes) -> None:
    """The choice of metrics, the button, and the front.

    Args:
        run: the run.
        known: what it knows of metrics.
        budgets: that members which were not measured keep to.
        names: of the metrics, in their order; the target last.
        codes: (num_positions,) the architecture on the screen.
    """
    label = {name: run.label.title if name == known.target else name for name in names}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        first = st.selectbox("Upwards", names, len(names) - 1, format_func=label.__getitem__, key="front_first", width=220)
        others = [name for name in names if name != first]
        if not others:
            st.caption("A front needs two metrics; the data have one.")
            return
        bounded = [bound.metric for bound in budgets.bounds if bound.metric in others]
        index = others.index(bounded[0]) if bounded else 0
        second = st.selectbox("Across", others, index, format_func=label.__getitem__, key="front_second", width=220)
        pressed = st.button("Draw the front", type="primary", key="do_front")
    asked = f"{first}, {second}, {', '.join(map(budget_text, budgets.bounds))}, {budgets.confidence}"
    if pressed:
        st.session_state["front"] = _work_out(run, budgets, (first, second), asked)
    found: Shown | None = st.session_state.get("front")
    if found is None or found.run != run.key:
        st.caption(ABOUT)
    elif found.refused:
        st.info(_text.plain(found.refused, 900))
    else:
        if found.asked != asked:
            st.caption("The front below is of other metrics or budgets.")
        _show(run, known, found, label, codes)


def _work_out(run: FinishedRun, budgets: Budgets, axes: tuple[str, str], asked: str) -> Shown:
    """Asks for the front."""
    got = _asking.asked(run, "front", [*axes, *_asking.of_budgets(budgets)], "Looking for the front")
    if isinstance(got, str):
        return Shown(run.key, asked, axes, [], {}, got)
    return Shown(run.key, asked, axes, _asking.lines_of(got[1]), got[0], "")


def _show(run: FinishedRun, known: RunMetrics, found: Shown, label: dict[str, str], codes: Codes) -> None:
    """The figure, what a click does, and what the front is worth."""
    first, second = (run.config.target if name == known.target and name not in run.table.metrics else name for name in found.axes)
    members = design.front_table(found.records)
    every = {run.config.target: run.config.goal.values(run.table.metrics), **run.table.metrics}
    values = {name: np.asarray(every[name], float) for name in (first, second)}
    on_screen = [float(known.metrics.model(name).expected(codes[None])[0]) for name in found.axes]
    titles = label[found.axes[0]], label[found.axes[1]]
    figure = design.front_figure(members, pd.DataFrame(values), (first, second), titles, (on_screen[0], on_screen[1]))

    def pick() -> None:
        points = st.session_state["plot_front"]["selection"]["points"]
        lines = [int(point["customdata"][0]) for point in points if point.get("customdata")]
        if lines:
            arch = found.records[lines[0]]["arch"]
            _slots.put(run, codes_of(run.space, [arch])[0])

    _widgets.show(figure, members, "front", f"The Pareto front of {titles[0]} and {titles[1]}", key="plot_front", on_pick=pick)
    st.caption(_worth(found, titles))


def _worth(found: Shown, titles: tuple[str, str]) -> str:
    """The hypervolume in words, with its reference."""
    lines = {line["of"]: line for line in found.answer["hypervolume"]}
    parts = []
    for name, words in (("measured", "of what was measured"), ("reachable", "with what may be reached")):
        one = lines[name]
        parts.append(f"{one['expected']:.4g} ({one['low']:.4g} to {one['high']:.4g}) {words}")
    reference = ", ".join(f"{name} {value:.4g}" for name, value in zip(titles, found.answer["reference"], strict=True))
    sides = ["small" if axis["minimize"] else "large" for axis in found.answer["axes"]]
    good = f"{sides[0].capitalize()} {titles[0]} and {sides[1]} {titles[1]} are the good ones."
    volume = f"Hypervolume against {reference}, the worst that was measured: {', '.join(parts)}; predicted."
    return _text.plain(f"{volume} {good}", 500)
