"""A closed loop as a chart and a table: what every stage found in the learned and in the hand-made space, and at what cost."""

import math
from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures import numbers
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal

COLOURS = {"learned": ACCENT, "hand_made": SECOND}
STAGES = {"sampled": ("sample", "circle-open", 7), "built": ("built", "diamond", 10)}


def loop_figure(evaluations: pd.DataFrame, titles: Mapping[str, str], charged: int, target: str) -> go.Figure:
    """The target of every evaluation against the evaluations spent; a line is the best so far, a star the best evaluated again.

    Args:
        evaluations: of `jobs.kinds.loop.files.evaluations_table`.
        titles: {space: its title}.
        charged: evaluations that the evolution is worth: the learned space begins behind them.
        target: what the target is called, with its unit: `Label.axis`.
    """
    figure = blank_figure(360, showlegend=True)
    if charged:
        figure.add_vrect(0, charged, fillcolor=ACCENT, opacity=0.12, line_width=0)
        place = {"x": charged / 2, "y": 0.02, "yref": "paper", "yanchor": "bottom", "textangle": -90}
        figure.add_annotation(text="evolution", showarrow=False, **place)
    for space, title in titles.items():
        of_space, colour = evaluations[evaluations["space"] == space], COLOURS[space]
        line = {"color": colour, "width": 2, "shape": "hv"}
        figure.add_scatter(
            x=of_space["spent"], y=of_space["best"], mode="lines", line=line, name=f"{title}, best so far", hoverinfo="skip"
        )
        for stage, (word, symbol, size) in STAGES.items():
            own = of_space[of_space["stage"] == stage]
            said = [
                "" if math.isnan(one) else f", predicted {one:#.4g} ({low:#.4g} to {high:#.4g})"
                for one, low, high in zip(own["predicted"], own["low"], own["high"], strict=True)
            ]
            figure.add_scatter(
                x=own["spent"], y=own["value"], mode="markers", showlegend=False, customdata=said,
                marker={"color": colour, "symbol": symbol, "size": size},
                hovertemplate=f"{title}, {word}<br>evaluation %{{x}}: %{{y:.4g}}%{{customdata}}<extra></extra>",
            )  # fmt: skip
    again = evaluations[evaluations["again"].notna()]
    marker = {"color": [COLOURS[space] for space in again["space"]], "symbol": "star", "size": 13}
    figure.add_scatter(
        x=again["spent"], y=again["again"], mode="markers", showlegend=False,
        marker=marker | {"line": {"width": 1, "color": QUIET}}, hovertemplate="mean over unseen seeds: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    keys = [(word, symbol, size) for word, symbol, size in STAGES.values()] + [("the best with unseen seeds", "star", 13)]
    for word, symbol, size in keys:
        figure.add_scatter(x=[None], y=[None], mode="markers", name=word, marker={"color": QUIET, "symbol": symbol, "size": size})
    figure.update_xaxes(title="evaluations spent", rangemode="tozero")
    return figure.update_yaxes(title=literal(target))


def stages_shown(stages: pd.DataFrame, titles: Mapping[str, str], unit: str) -> pd.DataFrame:
    """The stages for a reader: a line a stage of a space.

    Args:
        stages: of `jobs.kinds.loop.files.stages_table`.
        titles: {space: its title}.
        unit: of the target.
    """
    rows = []
    for one in stages.to_dict("records"):
        row = {"space": titles[one["space"]], "stage": STAGES[one["stage"]][0], "evaluated": one["num"], "spent": one["spent"]}
        row["mean"] = _with_interval(one, "mean", unit)
        row["best"] = numbers.with_unit(f"{one['best']:#.4g}", unit) if math.isfinite(one["best"]) else ""
        rows.append(row | {"best, unseen seeds": _with_interval(one, "again", unit), "failed": one["failed"]})
    columns = ["space", "stage", "evaluated", "spent", "mean", "best", "best, unseen seeds", "failed"]
    return pd.DataFrame(rows, columns=columns)


def _with_interval(row: dict[str, float], name: str, unit: str) -> str:
    """A mean with its 90 % interval, "" where there is none."""
    if not math.isfinite(row[name]):
        return ""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    interval = f" ({low:#.4g} to {high:#.4g})" if math.isfinite(low) else ""
    return numbers.with_unit(f"{row[name]:#.4g}", unit) + interval
