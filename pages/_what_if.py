"""Builder: what every single swap would gain and cost, and how sure that is; a swap can be put in."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures import numbers
from autobuild_core.architectures.names import layers_short
from autobuild_core.architectures.records import Codes
from autobuild_core.errors import counted
from autobuild_core.predictor.run_metrics import RunMetrics
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.budgets import Budgets
from autobuild_core.search.swaps import Swaps, find_swaps
from pages import _slots, _text, _widgets

ABOUT = (
    "Every change of one layer or of a depth, and the 50 best modules of each unit in its place, against the architecture above: "
    "the gain is better where it is above zero, the interval counts that two architectures that are alike are wrong alike."
)
MOST_COSTS = 3  # metrics whose change is told, beside those with budgets
ALL, SINGLE = "All", "One layer or depth"


@st.cache_data(max_entries=32, show_spinner="Trying every swap")
def _swaps(
    _run: FinishedRun,
    key: str,
    _budgets: Budgets,
    words: str,
    codes: tuple[int, ...],
    metrics: tuple[str, ...],
    locked: tuple[int, ...],
) -> tuple[Codes, pd.DataFrame, pd.DataFrame]:
    """The swaps of an architecture.

    Args:
        _run: the run.
        key: tells it from others.
        _budgets: the budgets.
        words: tell them from others.
        codes: of the architecture.
        metrics: whose changes are told.
        locked: units that stay.
    """
    assert _run.known is not None
    own = np.array(codes, np.int16)
    found = find_swaps(_run.predictor, _run.known.straight, _budgets, _run.modules, own, metrics, locked)
    return found.codes, found.frame, found.changes


def section(run: FinishedRun, known: RunMetrics, budgets: Budgets, names: Sequence[str], codes: Codes) -> None:
    """The table of swaps, and the button that puts one in.

    Args:
        run: the run.
        known: what it knows of metrics.
        budgets: the limits.
        names: of the metrics, in their order.
        codes: (num_positions,) the architecture on the screen.
    """
    bounded = list(dict.fromkeys(bound.metric for bound in budgets.bounds))
    costs = [name for name in names if name not in bounded and name != known.target][:MOST_COSTS]
    metrics = (*bounded, *costs)
    words = f"{budgets.bounds} {budgets.confidence}"
    locked = tuple(sorted(_slots.locks(run)))
    found = Swaps(*_swaps(run, run.key, budgets, words, tuple(codes.tolist()), metrics, locked))
    st.caption(ABOUT)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        kind = st.segmented_control("Swaps", [ALL, SINGLE], default=ALL, key="swap_kind", label_visibility="collapsed")
        only = st.toggle("Within the budgets", True, key="swaps_within") if budgets.bounds else False
    frame = found.frame
    kept = frame["is_single"] if kind == SINGLE else pd.Series(True, frame.index)
    if only:
        kept &= frame["within"] >= budgets.confidence
    frame = frame[kept]
    if frame.empty:
        st.caption("No swap is left: unlock a unit, or loosen a budget.")
        return
    st.markdown(_said(frame))
    _table(run, metrics, budgets, found, frame)


def _said(frame: pd.DataFrame) -> str:
    """The number of swaps that are predicted to be better, and of those that surely are, in words."""
    better, sure = int((frame["gain"] > 0).sum()), int((frame["low"] > 0).sum())
    if not better:
        return f"None of these {counted(len(frame), 'swap')} is predicted to be better."
    surely = f"{sure:,} surely: the 90 % interval lies above zero" if sure else "none surely: every 90 % interval holds zero"
    return f"{better:,} of these {counted(len(frame), 'swap')} predicted to be better, {surely}."


def _table(run: FinishedRun, metrics: Sequence[str], budgets: Budgets, found: Swaps, frame: pd.DataFrame) -> None:
    """The swaps as lines; the one that is chosen, else the first, can be put in."""
    unit = f", {run.unit}" if run.unit else ""
    shown = pd.DataFrame(
        {
            "unit": frame["unit"],
            "becomes": [layers_short(layers) for layers in frame["becomes"]],
            f"gain{unit}": frame["gain"],
            "90 % interval": [
                f"{numbers.number(low)} to {numbers.number(high)}" for low, high in zip(frame["low"], frame["high"], strict=True)
            ],
        }
    )
    for name in metrics:
        how = "exact" if budgets.metrics.models[name].is_exact else "predicted"
        shown[f"{name}, change ({how})"] = found.changes.loc[frame.index, name]
    if budgets.bounds:
        shown["sure to keep the budgets"] = frame["within"]
    if not frame["supported"].all():
        shown["data support it"] = frame["supported"]
    formats = {name: st.column_config.NumberColumn(format="%+.4g") for name in shown.select_dtypes("number")}
    formats |= {"sure to keep the budgets": st.column_config.NumberColumn(format="percent")}
    key = f"swaps_{abs(hash(tuple(found.codes[int(frame.index[0])].tolist())))}_{len(frame)}"
    st.dataframe(
        shown, hide_index=True, height="auto" if len(shown) < 8 else 300, column_config=formats, key=key, on_select="rerun",
        selection_mode="single-row",
    )  # fmt: skip
    lines = (st.session_state.get(key) or {}).get("selection", {}).get("rows", [])
    line = frame.iloc[lines[0] if lines and lines[0] < len(frame) else 0]
    with st.container(horizontal=True, vertical_alignment="center"):
        label = f"Put in {_text.plain(layers_short(line['becomes']), 80)} for unit {_text.plain(line['unit'])}"
        st.button(
            label, key="put_swap", type="primary" if line["gain"] > 0 else "secondary", icon=":material/swap_horiz:",
            on_click=_slots.put, args=(run, found.codes[int(line.name)]),
        )  # fmt: skip
        plain = frame.assign(was=frame["was"].map(layers_short), becomes=frame["becomes"].map(layers_short))
        _widgets.csv_button(plain, "swaps")
