"""Figures of a design under budgets: a gauge a metric, the Pareto front of two, the best against a limit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures.numbers import number
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal
from autobuild_core.search.gauges import Known

ROW = 46  # pixels of a gauge
SURE = 0.9  # probability from which a budget counts as kept


def gauges_figure(gauges: pd.DataFrame, sure: float = SURE) -> go.Figure:
    """A gauge a line: the range that was measured, the architecture's value with its interval, and the limit.

    Args:
        gauges: from `search.gauges.gauges`.
        sure: probability from which a budget counts as kept.
    """
    figure = blank_figure(ROW * len(gauges) + 12, margin={"l": 4, "r": 4, "t": 4, "b": 4})
    for row, line in enumerate(reversed(gauges.to_dict("records"))):
        _gauge(figure, row, line, ACCENT if not line["within"] < sure else SECOND)
    figure.update_xaxes(visible=False, range=[-0.02, 1.02], fixedrange=True)
    return figure.update_yaxes(visible=False, range=[-0.55, len(gauges) - 0.45], fixedrange=True)


def _gauge(figure: go.Figure, row: int, line: dict[Any, Any], colour: str) -> None:
    """Draws one gauge."""
    known = [line[name] for name in ("least", "most", "low", "high", "limit", "value") if np.isfinite(line[name])]
    least, width = min(known, default=0.0), max(max(known, default=1.0) - min(known, default=0.0), 1e-300)
    low, value, high, limit = ((line[name] - least) / width for name in ("low", "value", "high", "limit"))
    for start, end, half, ink, opacity in ((0, 1, 0.08, QUIET, 0.25), (low, high, 0.1, colour, 0.45)):
        box = {"x0": start, "x1": end, "y0": row - 0.24 - half, "y1": row - 0.24 + half}
        figure.add_shape(type="rect", fillcolor=ink, opacity=opacity, line_width=0, **box)
    words = {"yanchor": "bottom", "y": row - 0.12, "showarrow": False, "font": {"size": 12}}
    name = literal(line["metric"])
    figure.add_annotation(x=0, xanchor="left", text=f"<b>{name}</b>{_limit_words(line)}", **words)
    figure.add_annotation(x=1, xanchor="right", text=_value_words(line), **words)
    marker = {"size": 11, "color": colour, "symbol": "diamond"}
    hover = f"{name}: {_value_words(line)}<extra></extra>"
    figure.add_scatter(x=[value], y=[row - 0.24], mode="markers", marker=marker, hovertemplate=hover)
    if np.isfinite(limit):
        ends = {"x0": limit, "x1": limit, "y0": row - 0.42, "y1": row - 0.06}
        figure.add_shape(type="line", line={"color": colour, "width": 3}, **ends)


def _limit_words(line: dict[Any, Any]) -> str:
    """A limit, and how sure it is kept."""
    if not np.isfinite(line["limit"]):
        return ""
    sign = "at most" if line["is_upper"] else "at least"
    broken = "exceeded" if line["is_upper"] else "missed"
    kept = {0.0: broken, 1.0: "kept"}.get(line["within"], f"{100 * line['within']:.0f} % sure to be kept")
    return f" {sign} {number(line['limit'])}: {kept}"


def _value_words(line: dict[Any, Any]) -> str:
    """A value, and how it is known."""
    if line["known"] == Known.PREDICTED:
        return f"{number(line['value'])} ({number(line['low'])} to {number(line['high'])}) predicted"
    return f"{number(line['value'])} {line['known']}"


def front_table(records: Sequence[dict[str, object]]) -> pd.DataFrame:
    """The members of a front as a table: arch (as text), numbers, flags; without modules.

    Args:
        records: as `front` writes them.
    """
    return pd.DataFrame([{name: value for name, value in one.items() if name != "modules"} for one in records])


def front_figure(
    members: pd.DataFrame,
    measured: pd.DataFrame,
    axes: tuple[str, str],
    titles: tuple[str, str],
    screen: tuple[float, float] | None = None,
) -> go.Figure:
    """The Pareto front of two metrics; members have their line as custom data, for clicks.

    Args:
        members: from `front_table`: of each axis NAME, NAME_measured; is_measured, on_measured, on_predicted, probability.
        measured: (all measured architectures, both axes) values.
        axes: names of the metrics; the second is drawn upwards.
        titles: of the axes, with units.
        screen: values of the architecture on the screen.
    """
    first, second = axes
    figure = blank_figure(380, margin={"l": 60, "r": 16, "t": 34, "b": 52}, showlegend=True)
    figure.add_scatter(
        x=measured[second], y=measured[first], mode="markers", name="measured", hoverinfo="skip",
        marker={"size": 5, "color": QUIET, "opacity": 0.35},
    )  # fmt: skip
    groups = (
        ("measured front", members["on_measured"].astype(bool), SECOND, "diamond", "_measured"),
        ("predicted, not measured", ~members["is_measured"].astype(bool), ACCENT, "circle", ""),
    )
    for name, chosen, colour, symbol, end in groups:
        own = members[chosen]
        if own.empty:
            continue
        hover = "%{y:.4g} for %{x:.4g}<br>on the front with probability %{customdata[1]:.2f}<extra>" + name + "</extra>"
        likely = own["probability"].to_numpy(float) if end == "" else np.ones(len(own))
        figure.add_scatter(
            x=own[f"{second}{end}"],
            y=own[f"{first}{end}"],
            mode="markers",
            name=name,
            hovertemplate=hover,
            customdata=[[int(line), float(one)] for line, one in own["probability"].items()],  # an array would come as an object
            marker={"size": 6 + 6 * likely, "color": colour, "symbol": symbol, "opacity": (0.35 + 0.65 * likely).tolist()},
        )
    if screen is not None:
        marker = {"size": 16, "color": ACCENT, "symbol": "circle-open", "line": {"width": 3}}
        hover = "on the screen<extra></extra>"
        figure.add_scatter(x=[screen[1]], y=[screen[0]], mode="markers", name="on the screen", hovertemplate=hover, marker=marker)
    return figure.update_xaxes(title=literal(titles[1])).update_yaxes(title=literal(titles[0]))


def price_figure(curve: pd.DataFrame, limit: float, titles: tuple[str, str]) -> go.Figure:
    """The best architecture against a limit, with its 90 % interval, and the budget as it is.

    Args:
        curve: limit, best, best_low, best_high, of one metric.
        limit: of the budget.
        titles: of the target and of the metric, with units.
    """
    known = curve[curve["best"].notna()]
    figure = blank_figure(300)
    figure.add_scatter(
        x=[*known["limit"], *known["limit"][::-1]], y=[*known["best_high"], *known["best_low"][::-1]], fill="toself",
        fillcolor="rgba(15,138,126,.22)", line={"width": 0}, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=known["limit"], y=known["best"], mode="lines+markers", line={"color": ACCENT, "width": 2},
        hovertemplate="the best within %{x:.4g}: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    figure.add_vline(x=limit, line={"color": SECOND, "dash": "dash", "width": 2})
    figure.add_annotation(
        x=limit, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"budget {number(limit)}", font={"color": SECOND}
    )
    return figure.update_xaxes(title=literal(titles[1])).update_yaxes(title=f"best of a draw, {literal(titles[0])}")
