"""A replay as charts and a table: how far from the best each mode's pick is on the way, and how much the default differs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from autobuild_core.errors import listed
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal

# The line of each mode: models of ours, the published recipe, another model, and searches without one, each a colour.
LINES = {
    "default": (ACCENT, "solid"),
    "gp": (ACCENT, "dash"),
    "gnn": (ACCENT, "dot"),
    "norms": (SECOND, "solid"),
    "norms_evolution": (SECOND, "dash"),
    "ridge": ("#4f7fb8", "solid"),
    "random": (QUIET, "dot"),
    "local": ("#a8861d", "solid"),
    "evolution": ("#a8861d", "dash"),
}
AXES = {"evaluations": "networks evaluated", "seconds": "seconds of the mode itself, evaluations apart"}
LEAST_SECONDS = 1e-3  # where a logarithmic axis begins
BAND = 0.12  # opacity


def course_figure(course: pd.DataFrame, over: str, unit: str, apart: bool = False) -> go.Figure:
    """The regret of every mode's pick on the way, a band for the middle 80 % of the seeds; or the default's less each mode's.

    Args:
        course: of `jobs.kinds.replay.outcome.course_table`.
        over: "evaluations" or "seconds", the axis below; seconds are drawn on a logarithmic one.
        unit: of regrets; "" = none.
        apart: draws the paired differences with their 90 % intervals; they are differences after equally many evaluations.
    """
    figure = blank_figure(360, showlegend=True, hovermode="closest")
    middle, low, high = ("apart", "apart_low", "apart_high") if apart else ("regret", "low", "high")
    known = course.dropna(subset=middle)
    least = LEAST_SECONDS if over == "seconds" else 0.0
    ways = {mode: known[known["mode"] == mode] for mode in LINES if mode in set(known["mode"])}
    for mode, own in ways.items():
        there, top, bottom = own[over].clip(least), own[high].fillna(own[middle]), own[low].fillna(own[middle])
        figure.add_scatter(
            x=[*there, *there[::-1]], y=[*top, *bottom[::-1]], fill="toself", fillcolor=LINES[mode][0], opacity=BAND,
            mode="lines", line={"width": 0}, hoverinfo="skip", legendgroup=mode, showlegend=False,
        )  # fmt: skip
    for mode, own in ways.items():  # above all bands
        colour, dash = LINES[mode]
        said = [_said(*row) for row in own[["evaluations", "seconds", middle, low, high, "seeds"]].itertuples(index=False)]
        figure.add_scatter(
            x=own[over].clip(least), y=own[middle], mode="lines+markers", name=mode, legendgroup=mode, customdata=said,
            line={"color": colour, "dash": dash, "width": 6 if mode == "default" else 2}, marker={"size": 5},
            hovertemplate=f"{mode}, %{{customdata}}<extra></extra>",
        )  # fmt: skip
    if apart:
        figure.add_hline(y=0, line={"color": QUIET, "width": 1})
    scale = {"type": "log", "dtick": 1} if over == "seconds" else {"type": "linear"}
    figure.update_xaxes(title=AXES[over], **scale)
    title = "regret of the default less that of the mode" if apart else "regret"
    return figure.update_yaxes(title=literal(f"{title} ({unit})" if unit else title))


def _said(evaluations: float, seconds: float, middle: float, low: float, high: float, seeds: float) -> str:
    """A place of a curve in words."""
    spread = f" ({low:.3g} to {high:.3g})" if np.isfinite(low) else ""
    of = f"{int(seeds)} seed{'' if seeds == 1 else 's'}"
    return f"{int(evaluations)} evaluations, {seconds:.2g} s: {middle:.3g}{spread}, {of}"


def outcome_words(outcome: pd.DataFrame) -> str:
    """The modes that the default is ahead of, behind, or cannot be told apart from, in a sentence; "" where nothing is compared.

    Args:
        outcome: of `jobs.kinds.replay.outcome.outcome_table`.
    """
    if "apart" not in outcome:
        return ""
    others = outcome[outcome["apart"].notna()]
    ahead, behind = others["apart_high"] < 0, others["apart_low"] > 0
    parts = {
        "ahead of {}": others.loc[ahead, "mode"],
        "behind {}": others.loc[behind, "mode"],
        "not told apart from {}": others.loc[~ahead & ~behind, "mode"],
    }
    said = [words.format(listed(modes.tolist())) for words, modes in parts.items() if len(modes)]
    return f"By the mean regret on the way, default is {'; '.join(said)}." if said else ""


def outcome_shown(lines: Sequence[Mapping[str, str]], modes: Mapping[str, str]) -> pd.DataFrame:
    """The outcome for a reader, a line a mode; columns that say nothing are left out.

    Args:
        lines: of `jobs.kinds.replay.outcome.in_words`.
        modes: {mode: what it does, in words}.
    """
    frame = pd.DataFrame(lines).set_index("mode")
    shown = frame.loc[:, (frame != "").any()]
    shown.insert(0, "what it does", [modes[str(mode)] for mode in shown.index])
    return shown.reset_index()
