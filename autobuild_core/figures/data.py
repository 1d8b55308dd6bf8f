"""Figures of a data set: distributions, metrics against each other, duplicates, architectures as rows."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from autobuild_core.architectures.names import native_text
from autobuild_core.architectures.records import ArchTable
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, TEMPLATE, blank_figure, literal, literal_frame
from autobuild_core.spaces import Space
from autobuild_core.targets.vocabulary import by_use


def histogram_table(
    values: NDArray[np.float64], name: str, num_bins: int = 40, some: NDArray[np.bool_] | None = None
) -> pd.DataFrame:
    """Counts of finite values in equal bins: low, high, count; one bin when all are equal.

    Args:
        values: (n,) numbers; NaN and infinities are left out.
        name: what they are, kept in the column `metric`.
        num_bins: number of bins.
        some: (n,) which of them are counted; the bins are those of all.
    """
    known = np.isfinite(values)
    edges = np.histogram_bin_edges(values[known], bins=num_bins if len(np.unique(values[known])) > 1 else 1)
    counts, _ = np.histogram(values[known if some is None else known & some], bins=edges)
    return pd.DataFrame({"metric": name, "low": edges[:-1], "high": edges[1:], "count": counts})


def histogram_figure(
    table: pd.DataFrame, height: int = 220, part: pd.DataFrame | None = None, chosen: tuple[float, str] | None = None
) -> go.Figure:
    """A histogram.

    Args:
        table: from `histogram_table`.
        height: pixels.
        part: the same of some of the values, in the same bins, drawn in front.
        chosen: a value that is marked, and its name.
    """
    figure = blank_figure(height)
    middle, width = (table["low"] + table["high"]) / 2, table["high"] - table["low"]
    hover = "%{customdata[0]:.5g} to %{customdata[1]:.5g}: %{y} architectures<extra></extra>"
    figure.add_bar(
        x=middle, y=table["count"], width=width, marker_color=ACCENT if part is None else QUIET, name="all",
        customdata=table[["low", "high"]], hovertemplate=hover,
    )  # fmt: skip
    if part is not None:
        figure.add_bar(
            x=middle, y=part["count"], width=width, marker_color=ACCENT, name="marked on the map",
            customdata=part[["low", "high"]], hovertemplate=hover,
        )  # fmt: skip
    figure.update_layout(bargap=0.02, margin={"t": 8}, barmode="overlay", showlegend=part is not None)
    if chosen is not None and np.isfinite(chosen[0]):
        figure.add_vline(x=chosen[0], line={"color": SECOND, "width": 2.5})
        note = {"text": chosen[1], "showarrow": False, "yref": "paper", "yanchor": "bottom"}
        right = chosen[0] > (float(table["low"].iloc[0]) + float(table["high"].iloc[-1])) / 2
        figure.add_annotation(x=chosen[0], y=1, xanchor="right" if right else "left", **note)
        figure.update_layout(margin={"t": 26}, legend={"y": 1.12})
    figure.update_xaxes(title=literal(table["metric"].iloc[0])).update_yaxes(title="architectures")
    return figure


def metrics_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """Histograms of every metric, one below the other."""
    return pd.concat([histogram_table(metrics[m].to_numpy(float), str(m), 24) for m in metrics.columns], ignore_index=True)


def metrics_figure(table: pd.DataFrame, columns: int = 3) -> go.Figure:
    """Small multiples of the metrics' distributions, each on its own axis."""
    from plotly.subplots import make_subplots

    table = literal_frame(table)
    names = list(dict.fromkeys(table["metric"]))
    num_rows = -(-len(names) // columns)
    figure = make_subplots(
        rows=num_rows, cols=columns, subplot_titles=names, vertical_spacing=min(0.12, 0.9 / max(num_rows, 1) / 3)
    )
    for index, name in enumerate(names):
        part = table[table["metric"] == name]
        row, column = divmod(index, columns)
        middle, width = (part["low"] + part["high"]) / 2, part["high"] - part["low"]
        figure.add_bar(x=middle, y=part["count"], width=width, marker_color=ACCENT, row=row + 1, col=column + 1, name=name)
    figure.update_layout(template=TEMPLATE, height=60 + 150 * num_rows, showlegend=False, bargap=0.02)
    figure.update_annotations(font_size=12)
    return figure.update_yaxes(showticklabels=False)


def scatter_matrix_table(
    metrics: pd.DataFrame, first: Sequence[str] = (), num_metrics: int = 5, num_rows: int = 1000
) -> pd.DataFrame:
    """A few metrics of rows spread evenly over the file: place (of the row in the table), and the metrics that vary.

    Accuracies and costs come before others, single repeats of a metric ("loss_seed0" beside "loss") and spreads last.

    Args:
        metrics: a column a metric.
        first: metrics that are shown before all others.
        num_metrics: columns kept.
        num_rows: rows kept.
    """
    ordered = dict.fromkeys([*first, *by_use([str(name) for name in metrics.columns])])
    names = [m for m in ordered if m in metrics and metrics[m].nunique() > 1][:num_metrics]
    step = -(-len(metrics) // num_rows) if len(metrics) else 1
    table = metrics[names].iloc[::step].reset_index(drop=True)
    table.insert(0, "place", np.arange(0, len(metrics), step))
    return table


def scatter_matrix_figure(
    table: pd.DataFrame, source_rows: NDArray[Any], marked: NDArray[np.bool_] | None = None, chosen: int | None = None
) -> go.Figure:
    """Metrics against each other, a dot an architecture; a box in one panel marks the same architectures in all of them.

    Args:
        table: from `scatter_matrix_table`.
        source_rows: (rows,) rows of the file.
        marked: (rows,) architectures that are accented.
        chosen: row of the table that stands out.
    """
    names = [str(name) for name in table.columns if name != "place"]
    figure = blank_figure(110 + 100 * len(names))
    place = table["place"].to_numpy(int)
    accented = np.ones(len(place), bool) if marked is None else marked[place]
    shades = np.where(place == chosen, SECOND, np.where(accented, ACCENT, "rgba(139,146,160,.35)"))
    order = np.argsort((place == chosen) * 2 + accented, kind="stable")  # what matters is drawn last
    marker = {"size": np.where(place == chosen, 13, 5)[order].tolist(), "color": shades[order].tolist(), "opacity": 0.8}
    marker["line"] = {"width": 0}
    dimensions = [{"label": literal(name), "values": table[name].to_numpy(float)[order]} for name in names]
    figure.add_splom(
        dimensions=dimensions, marker=marker, diagonal={"visible": False}, showupperhalf=False,
        text=np.asarray(source_rows)[place[order]],
        hovertemplate="row %{text}<br>%{xaxis.title.text} %{x:.4g}, %{yaxis.title.text} %{y:.4g}<extra></extra>",
        unselected={"marker": {"opacity": 0.12}},
    )  # fmt: skip
    figure.update_layout({f"{way}axis{n or ''}": {} for way in "xy" for n in (0, *range(2, len(names) + 1))})  # to be coloured
    return figure.update_layout(dragmode="select", hovermode="closest", margin={"t": 8})


def duplicates_table(table: ArchTable) -> pd.DataFrame:
    """Rows whose network an earlier row has already in the same context: row, same network as row."""
    rows = pd.DataFrame({"row": table.source_rows, "evaluation": table.evaluations})
    rows["same_network_as_row"] = rows.groupby("evaluation")["row"].transform("first")
    return rows.loc[rows["row"] != rows["same_network_as_row"], ["row", "same_network_as_row"]].reset_index(drop=True)


def history_table(table: ArchTable, runs: Mapping[str, str]) -> pd.DataFrame:
    """Every version of a data set: version, origin, appended (UTC), rows, refused, proposed_by.

    Args:
        table: its newest version.
        runs: {id: name} of those that are there still.
    """
    starts = [batch.first_row for batch in table.batches]
    rows = np.bincount(table.batch_of, minlength=len(starts))
    refused = np.searchsorted(starts, [rejection.row for rejection in table.rejected], "right") - 1
    return pd.DataFrame(
        {
            "version": range(1, len(starts) + 1),
            "origin": [batch.origin or "the first file" for batch in table.batches],
            "appended": [_moment(batch.time) for batch in table.batches],
            "rows": rows,
            "refused": np.bincount(refused.astype(int), minlength=len(starts)),
            "proposed_by": [runs.get(batch.run, batch.run[:8]) for batch in table.batches],
        }
    )


def _moment(seconds: float) -> str:
    """Seconds since 1970 in UTC, "" where they are not known."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M") if seconds else ""


def architectures_table(table: ArchTable, space: Space) -> pd.DataFrame:
    """Every architecture in its native encoding, with its metrics: row, arch, the metrics."""
    natives = [native_text(native) for native in map(space.native, table.codes)]
    front = pd.DataFrame({"row": table.source_rows, "arch": natives})
    return pd.concat([front, table.metrics.reset_index(drop=True)], axis=1)
