"""A loop in rounds as a chart, a table and a sentence: its networks predicted and measured, and the best so far."""

import math

import pandas as pd
import plotly.graph_objects as go

from autobuild_core.errors import counted
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal

MOST_NAMED = 12  # rounds whose numbers stand in the chart; of more every second, third, ...
SHOWN = {
    "round": "round",
    "num_proposed": "networks",
    "num_failed": "failed",
    "best": "best so far",
    "mean_predicted": "mean predicted",
    "mean_measured": "mean measured",
    "inside": "inside 90 %",
    "srcc": "rank correlation",
    "expected_improvement": "expected improvement",
    "seconds_fit": "s to learn",
    "seconds_evaluated": "s to measure",
}


def rounds_table(rounds: pd.DataFrame) -> pd.DataFrame:
    """The rounds for a reader, a line each; the share of measurements inside their intervals in percent.

    What no round says is left out, such as the rank correlation of two networks.

    Args:
        rounds: of `loop.rounds_folder.RoundsFolder.table`.
    """
    shown = rounds.reindex(columns=list(SHOWN))
    shown["inside"] = 100 * shown["inside"].astype(float)
    return shown.dropna(axis=1, how="all").rename(columns=SHOWN)


def rounds_figure(networks: pd.DataFrame, rounds: pd.DataFrame, target: str, best_before: float | None = None) -> go.Figure:
    """The networks as they were asked for, each predicted and measured; a line is the best so far.

    The line steps where a round ends: a round is proposed from what was measured before it.

    Args:
        networks: of `loop.round_networks.networks_table`.
        rounds: of `loop.rounds_folder.RoundsFolder.table`.
        target: what the values are called, with their unit.
        best_before: the best of the data that the loop began with; None = there is none.
    """
    figure = blank_figure(340, showlegend=True, margin={"t": 52}, legend={"y": 1.1})
    number = pd.Series(range(1, len(networks) + 1), networks.index)
    _predicted(figure, networks, number)
    _failed(figure, networks, number)
    hover = "network %{x}, round %{customdata}<br>measured %{y:.4g}<extra></extra>"
    figure.add_scatter(
        x=number, y=networks["measured"], mode="markers", name="measured", marker={"size": 7, "color": ACCENT},
        customdata=networks["round"], hovertemplate=hover,
    )  # fmt: skip
    ends = rounds["num_proposed"].cumsum().tolist() if len(rounds) else []
    steps = [(0, best_before), *zip(ends, rounds["best"].tolist() if ends else [], strict=True)]
    steps += [(len(networks), steps[-1][1])] if len(networks) > steps[-1][0] else []
    figure.add_scatter(
        x=[step for step, _ in steps], y=[best for _, best in steps], mode="lines", name="best so far",
        line={"color": ACCENT, "width": 2, "shape": "hv"}, hovertemplate="after %{x} networks: %{y:.4g}<extra></extra>",
    )  # fmt: skip
    if best_before is not None:
        line = {"color": SECOND, "dash": "dash", "width": 2}
        figure.add_scatter(
            x=[0, len(networks)], y=[best_before, best_before], mode="lines", line=line, hoverinfo="skip",
            name=f"best before the loop, {best_before:.4g}",
        )  # fmt: skip
    _divide(figure, networks)
    figure.update_xaxes(title="networks in the order of the rounds", rangemode="tozero")
    return figure.update_yaxes(title=literal(target))


def _predicted(figure: go.Figure, networks: pd.DataFrame, number: "pd.Series[int]") -> None:
    """The predictions with their intervals; nothing where none was made."""
    known = networks[networks["predicted"].notna()]
    if known.empty:
        return
    error = {"type": "data", "symmetric": False, "thickness": 1.3, "width": 0, "color": QUIET}
    error |= {"array": known["high"] - known["predicted"], "arrayminus": known["predicted"] - known["low"]}
    figure.add_scatter(
        x=number[known.index], y=known["predicted"], mode="markers", name="predicted, with its 90 % interval", error_y=error,
        marker={"symbol": "line-ew-open", "size": 7, "color": QUIET}, customdata=known[["low", "high"]],
        hovertemplate="network %{x}<br>predicted %{y:.4g} (%{customdata[0]:.4g} to %{customdata[1]:.4g})<extra></extra>",
    )  # fmt: skip


def _failed(figure: go.Figure, networks: pd.DataFrame, number: "pd.Series[int]") -> None:
    """A cross at what was predicted of each network that failed."""
    failed = networks[(networks["state"] == "failed") & networks["predicted"].notna()]
    if len(failed):
        figure.add_scatter(
            x=number[failed.index], y=failed["predicted"], mode="markers", name="failed", customdata=failed["error"],
            marker={"symbol": "x", "size": 8, "color": SECOND}, hovertemplate="network %{x}<br>%{customdata}<extra></extra>",
        )  # fmt: skip


def _divide(figure: go.Figure, networks: pd.DataFrame) -> None:
    """A line between two rounds, and the numbers of rounds above their networks."""
    sizes = networks.groupby("round", sort=True).size()
    every, last = math.ceil(len(sizes) / MOST_NAMED) if len(sizes) else 1, 0
    for place, (number, size) in enumerate(sizes.items()):
        if last:
            figure.add_vline(x=last + 0.5, line={"color": QUIET, "dash": "dot", "width": 1}, opacity=0.6)
        if place % every == 0:
            note = {"yref": "paper", "y": 1, "yanchor": "bottom", "showarrow": False}
            figure.add_annotation(x=last + (size + 1) / 2, text=f"round {number}", **note)
        last += int(size)


def rounds_words(networks: pd.DataFrame, rounds: pd.DataFrame, best_before: float | None) -> str:
    """The loop so far in a sentence.

    Args:
        networks, rounds, best_before: as `rounds_figure` has them.
    """
    num = {state: int((networks["state"] == state).sum()) for state in ("measured", "failed")}
    said = f"{counted(len(rounds), 'round')} over, {counted(num['measured'], 'network')} measured"
    said += f", {num['failed']:,} failed" if num["failed"] else ""
    best = float(rounds["best"].iloc[-1]) if len(rounds) and pd.notna(rounds["best"].iloc[-1]) else None
    if best is not None and best_before is not None and best == best_before:
        said += f"; none is better than the best before the loop, {best_before:.5g}"
    elif best is not None:
        said += f"; the best {best:.5g}" + ("" if best_before is None else f", {best_before:.5g} before the loop")
    judged = networks["inside"].dropna()
    if len(judged):
        said += f"; {int(judged.sum())} of {len(judged)} inside their 90 % intervals"
    return f"{said}."
