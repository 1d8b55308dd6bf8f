"""Quality of a training: its loss, its order hop by hop, its held-out predictions."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from autobuild_core.figures.colours import INK, PAPER
from autobuild_core.figures.template import ACCENT, HOP_COLOURS, QUIET, SECOND, blank_figure, literal
from autobuild_core.store.quality import Quality
from autobuild_core.trust.findings import Baseline


def loss_figure(progress: pd.DataFrame) -> go.Figure:
    """The training loss by step."""
    figure = blank_figure(240)
    line = {"color": ACCENT, "width": 2}
    figure.add_scatter(
        x=progress["step"], y=progress["loss"], mode="lines", line=line, hovertemplate="step %{x}: %{y:.4f}<extra></extra>"
    )
    return figure.update_xaxes(title="step").update_yaxes(title="training loss")


def hop_progress_table(progress: pd.DataFrame) -> pd.DataFrame:
    """Held-out rank correlation by step: one column a hop and one for the prediction."""
    known = progress[progress["hop_srcc"].map(lambda v: isinstance(v, (list, np.ndarray)) and len(v) > 0)]
    table = pd.DataFrame(known["hop_srcc"].tolist(), index=known.index)
    table.columns = [f"hop {h}" for h in table.columns]
    return pd.concat([known[["step"]], table, known[["srcc"]].rename(columns={"srcc": "prediction"})], axis=1).reset_index(
        drop=True
    )


def hop_progress_figure(table: pd.DataFrame) -> go.Figure:
    """Held-out rank correlation by step, a line a hop."""
    figure = blank_figure(240)
    colours = dict(zip([c for c in table.columns if str(c).startswith("hop")], HOP_COLOURS, strict=False))
    for name in table.columns.drop("step"):
        line = {"color": colours.get(name, ACCENT), "width": 3 if name == "prediction" else 1.6}
        line |= {} if name == "prediction" else {"dash": "dot"}
        figure.add_scatter(x=table["step"], y=table[name], mode="lines", name=str(name), line=line)
    figure.update_layout(showlegend=True)
    return figure.update_xaxes(title="step").update_yaxes(title="held-out SRCC", range=[min(0.0, _floor(table)), 1.02])


def _floor(table: pd.DataFrame) -> float:
    lowest = table.drop(columns="step").min().min() if len(table) else 0.0
    return float(lowest) if np.isfinite(lowest) else 0.0


def hop_srcc_table(hop_srcc: Sequence[float], srcc: float, baselines: Sequence[Baseline] = ()) -> pd.DataFrame:
    """Held-out rank correlation of each hop's norm, of the prediction, and of baselines: what, srcc, kind.

    Args:
        hop_srcc: of hops 0..M.
        srcc: of the prediction.
        baselines: title and srcc of each, on the same folds.
    """
    lines = [(f"hop {h}", value, "hop") for h, value in enumerate(hop_srcc)] + [("prediction", srcc, "prediction")]
    lines += [(b.title, b.srcc, "baseline") for b in sorted(baselines, key=lambda b: -float(b.srcc))]
    return pd.DataFrame(lines, columns=["what", "srcc", "kind"])


def hop_srcc_figure(table: pd.DataFrame) -> go.Figure:
    """Rank correlations as bars, hops first; the best baseline as a line across all of them."""
    figure = blank_figure(90 + 27 * len(table))
    shades = table["kind"].map({"hop": ACCENT, "prediction": SECOND, "baseline": QUIET})
    figure.add_bar(
        x=table["srcc"], y=[f"{what}  {value:.3f}" for what, value in zip(table["what"], table["srcc"], strict=True)],
        orientation="h", marker_color=shades, hovertemplate="%{y}<extra></extra>", width=0.68,
    )  # fmt: skip
    baselines = table[table["kind"] == "baseline"]
    if len(baselines):
        best = float(baselines["srcc"].max())
        figure.add_vline(x=best, line={"color": QUIET, "dash": "dash", "width": 1.5})
        note = {"text": "best baseline", "showarrow": False, "yref": "paper", "yanchor": "bottom"}
        figure.add_annotation(x=best, y=1, xanchor="right" if best > 0.5 else "left", **note)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure.update_xaxes(title="held-out SRCC", range=[min(0.0, float(table["srcc"].min()) - 0.1), 1.02])


def predictions_figure(
    table: pd.DataFrame, target: str, chosen: int | None = None, marked: NDArray[np.bool_] | None = None, theme: str = "light"
) -> go.Figure:
    """Held-out prediction against measurement, with the diagonal.

    Args:
        table: the run's predictions (row, target, predicted, low, high, source_row).
        target: what the target is called, with its unit: `Label.axis`.
        chosen: row of the run's table that is marked with a ring.
        marked: (rows of the run's table,) architectures that are accented; the others stand back.
        theme: "light" or "dark".
    """
    figure = blank_figure(320)
    kept = np.arange(len(table)) % -(-len(table) // 3000) == 0 if len(table) > 3000 else np.ones(len(table), bool)
    part = table[kept | (table["row"] == chosen).to_numpy(bool)]
    ends = [float(table["target"].min()), float(table["target"].max())]
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": QUIET, "dash": "dash"}, hoverinfo="skip")
    hover = "row %{customdata[0]}<br>measured %{x:.4g}<br>predicted %{y:.4g} "
    hover += "(%{customdata[1]:.4g} to %{customdata[2]:.4g})<extra></extra>"
    accented = np.ones(len(part), bool) if marked is None else marked[part["row"].to_numpy(int)]
    ink = INK if theme == "light" else PAPER
    ringed = (part["row"] == chosen).to_numpy(bool)
    marker = {"size": np.where(ringed, 13, 6).tolist(), "color": np.where(accented, ACCENT, QUIET).tolist()}
    marker["opacity"] = np.where(ringed, 1.0, np.where(accented, 0.6, 0.25)).tolist()
    marker["line"] = {"color": ink, "width": np.where(ringed, 2.5, 0).tolist()}
    custom = part[["source_row", "low", "high", "row"]]
    figure.add_scatter(
        x=part["target"], y=part["predicted"], mode="markers", marker=marker, customdata=custom, hovertemplate=hover,
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 0.6}},
    )  # fmt: skip
    figure.update_xaxes(title=f"measured {literal(target)}")
    return figure.update_yaxes(title=f"predicted, held out {literal(target)}")


def compare_table(qualities: Mapping[str, Quality]) -> pd.DataFrame:
    """Quality of runs side by side: a line a measure, a column a run."""
    names = {
        "srcc": "SRCC, held out",
        "kendall": "Kendall, held out",
        "mae": "mean absolute error",
        "coverage": "coverage of the 90 % interval",
    }
    names |= {"num_networks": "networks", "ensemble_size": "members", "seconds": "seconds"}
    lines = [{"measure": title} | {run: q.get(key) for run, q in qualities.items()} for key, title in names.items()]
    return pd.DataFrame(lines)
