"""A search as a chart: what every network was worth, and the best so far, or the hypervolume of two targets."""

import pandas as pd
import plotly.graph_objects as go

from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal


def anytime_figure(found: pd.DataFrame, target: str, known_best: float | None = None) -> go.Figure:
    """The networks of a search in the order of their evaluation, and the best so far; of two targets the hypervolume so far.

    Args:
        found: of `evaluators._searching.Found.table`: value and best, or hypervolume.
        target: what the values are called, with their unit.
        known_best: the best that was known before, drawn as a line; None = nothing is.
    """
    figure = blank_figure(300, showlegend=True)
    number = list(range(1, len(found) + 1))
    so_far = found["hypervolume"] if "hypervolume" in found else found["best"]
    if "hypervolume" not in found:
        hover = "network %{x}: %{y:.4g}<extra></extra>"
        marker = {"size": 6, "color": QUIET, "opacity": 0.6}
        figure.add_scatter(x=number, y=found["value"], mode="markers", name="evaluated", marker=marker, hovertemplate=hover)
    line = {"color": ACCENT, "width": 2, "shape": "hv"}
    name = "hypervolume so far" if "hypervolume" in found else "best so far"
    figure.add_scatter(x=number, y=so_far, mode="lines", name=name, line=line, hovertemplate="%{x}: %{y:.4g}<extra></extra>")
    if known_best is not None and "hypervolume" not in found:
        figure.add_hline(y=known_best, line={"color": SECOND, "dash": "dash", "width": 2})
        note = {"x": 1, "xref": "paper", "xanchor": "right", "y": known_best, "yanchor": "bottom", "showarrow": False}
        figure.add_annotation(text=f"best measured {known_best:.4g}", **note)
    figure.update_xaxes(title="networks evaluated", rangemode="tozero")
    return figure.update_yaxes(title="hypervolume" if "hypervolume" in found else literal(target))
