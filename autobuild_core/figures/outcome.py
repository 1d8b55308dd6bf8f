"""Candidates after their measurement: predicted against measured, by the reason for which they were proposed."""

import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures import numbers
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal

CONTROL = "control"
COLOURS = {"built": ACCENT, "next": "#4f7fb8", "claim": "#a8861d", "typed": "#7a6fb0", CONTROL: SECOND}
SYMBOLS = {CONTROL: "diamond"}


def outcome_figure(table: pd.DataFrame, names: dict[str, str], target: str) -> go.Figure:
    """Measured against predicted with 90 % intervals, a colour a reason; on the diagonal the prediction was right.

    Args:
        table: of `loop.outcome.outcomes`.
        names: {origin: its reason in words}.
        target: what the target is called, with its unit: `Label.axis`.
    """
    figure = blank_figure(380, showlegend=True)
    ends = [float(table[["low", "measured"]].min().min()), float(table[["high", "measured"]].max().max())]
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": QUIET, "dash": "dash"}, hoverinfo="skip", showlegend=False)
    for origin, name in names.items():
        own = table[table["origin"] == origin]
        if own.empty:
            continue
        error = {"type": "data", "symmetric": False, "thickness": 1.3, "width": 0, "color": COLOURS.get(origin, ACCENT)}
        error |= {"array": own["high"] - own["predicted"], "arrayminus": own["predicted"] - own["low"]}
        marker = {"size": 9, "color": COLOURS.get(origin, ACCENT), "symbol": SYMBOLS.get(origin, "circle")}
        figure.add_scatter(
            x=own["predicted"], y=own["measured"], mode="markers", name=f"{name} ({len(own)})", marker=marker, error_x=error,
            customdata=own[["id", "low", "high"]],
            hovertemplate="%{customdata[0]}<br>predicted %{x:.4g} (%{customdata[1]:.4g} to %{customdata[2]:.4g})"
            "<br>measured %{y:.4g}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title=f"predicted {literal(target)}, with its 90 % interval")
    return figure.update_yaxes(title=f"measured {literal(target)}")


def group_table(groups: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Bias and coverage for a reader: a line a reason.

    Args:
        groups: of `loop.outcome.by_group`.
        unit: of the target.
    """
    rows = []
    for one in groups.to_dict("records"):
        bias = numbers.with_unit(f"{one['bias']:+.3g}", unit)
        known = one["num"] > 1
        bias += f" ({one['bias_low']:+.3g} to {one['bias_high']:+.3g})" if known else ""
        coverage = f"{one['num_inside']} of {one['num']} ({one['coverage_low']:.0%} to {one['coverage_high']:.0%})"
        rows.append({"proposed": one["group"], "measured": one["num"], "better than predicted by": bias, "inside 90 %": coverage})
    return pd.DataFrame(rows)


def outcome_words(built: float, control: float, cost: float, low: float, high: float, unit: str) -> str:
    """One sentence: how far what was built for its prediction disappoints, beside the controls.

    Args:
        built, control: means of measured less predicted, above 0 where better.
        cost: control less built, with its 90 % interval low..high.
        unit: of the target.
    """
    said = f"What was built came out {_side(built, unit)}, the random controls {_side(control, unit)}. "
    ends = f"{numbers.with_unit(f'{cost:+.3g}', unit)} ({low:+.3g} to {high:+.3g})"
    if low > 0:
        return f"{said}Being chosen for its prediction cost {ends}."
    return f"{said}The difference, {ends}, does not tell a cost of being chosen from none."


def _side(bias: float, unit: str) -> str:
    """A bias in words."""
    return f"{numbers.with_unit(f'{abs(bias):.3g}', unit)} {'better' if bias >= 0 else 'worse'} than predicted"
