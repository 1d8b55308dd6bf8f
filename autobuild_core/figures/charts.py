"""Charts, each a pair: `*_table` gathers what is drawn (and downloaded as CSV), `*_figure` draws it."""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens, bounds, evidence, score_words
from autobuild_core.architectures.module_table import contains, rivals_of
from autobuild_core.architectures.names import module_name, native_text
from autobuild_core.architectures.numbers import number, rounded, with_unit
from autobuild_core.architectures.ranges import tokens_of
from autobuild_core.architectures.records import ArchTable, SpaceSpec
from autobuild_core.figures.colours import INK, PAGE, PAPER, Scale, ink_on
from autobuild_core.spaces import Space
from autobuild_core.targets.vocabulary import by_use

ACCENT, QUIET, SECOND = "#0f8a7e", "#8b92a0", "#b4508c"
NUMBER = r"[-+]?[\d.]+(?:e[-+]?\d+)?"
NAMED_COLUMNS, NAMED_LETTERS = 10, 8  # a heat map of so many loose columns has values in its cells, cut to so many letters
HOP_COLOURS = ("#8b92a0", "#4f7fb8", "#0f8a7e", "#a8861d", "#b4508c")
TEMPLATE = go.layout.Template(
    layout={
        "font": {"size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 16, "t": 28, "b": 48},
        "colorway": [ACCENT, SECOND, "#4f7fb8", "#a8861d", QUIET],
        "xaxis": {"zeroline": False, "automargin": True, "title": {"standoff": 8}},
        "yaxis": {"zeroline": False, "automargin": True, "title": {"standoff": 8}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"align": "left"},
        "bargap": 0.25,
    }
)


def blank_figure(height: int = 300) -> go.Figure:
    """A figure in the project's template."""
    return go.Figure(layout={"template": TEMPLATE, "height": height, "showlegend": False})


# The data


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
    figure.update_xaxes(title=str(table["metric"].iloc[0])).update_yaxes(title="architectures")
    return figure


def metrics_table(metrics: pd.DataFrame) -> pd.DataFrame:
    """Histograms of every metric, one below the other."""
    return pd.concat([histogram_table(metrics[m].to_numpy(float), str(m), 24) for m in metrics.columns], ignore_index=True)


def metrics_figure(table: pd.DataFrame, columns: int = 3) -> go.Figure:
    """Small multiples of the metrics' distributions, each on its own axis."""
    from plotly.subplots import make_subplots

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
    dimensions = [{"label": name, "values": table[name].to_numpy(float)[order]} for name in names]
    figure.add_splom(
        dimensions=dimensions, marker=marker, diagonal={"visible": False}, showupperhalf=False,
        text=np.asarray(source_rows)[place[order]],
        hovertemplate="row %{text}<br>%{xaxis.title.text} %{x:.4g}, %{yaxis.title.text} %{y:.4g}<extra></extra>",
        unselected={"marker": {"opacity": 0.12}},
    )  # fmt: skip
    figure.update_layout({f"{way}axis{n or ''}": {} for way in "xy" for n in (0, *range(2, len(names) + 1))})  # to be coloured
    return figure.update_layout(dragmode="select", hovermode="closest", margin={"t": 8})


def duplicates_table(table: ArchTable) -> pd.DataFrame:
    """Rows whose network an earlier row has already: row, same network as row."""
    rows = pd.DataFrame({"row": table.source_rows, "network": table.networks})
    rows["same_network_as_row"] = rows.groupby("network")["row"].transform("first")
    return rows.loc[rows["row"] != rows["same_network_as_row"], ["row", "same_network_as_row"]].reset_index(drop=True)


def architectures_table(table: ArchTable, space: Space) -> pd.DataFrame:
    """Every architecture in its native encoding, with its metrics: row, arch, the metrics."""
    natives = [native_text(native) for native in map(space.native, table.codes)]
    front = pd.DataFrame({"row": table.source_rows, "arch": natives})
    return pd.concat([front, table.metrics.reset_index(drop=True)], axis=1)


def units_table(table: ArchTable, rows: NDArray[np.intp]) -> pd.DataFrame:
    """Some architectures in short: row (of the file), and a column a unit with its layers as `module_name` names them."""
    codes, spec = np.asarray(table.codes)[rows], table.spec
    described = [[(u.label, [spec.tokens[c] for c in line[list(u.positions)] if c >= 0]) for u in spec.units] for line in codes]
    return candidates_table(pd.DataFrame({"row": np.asarray(table.source_rows)[rows]}), described)


def candidates_table(facts: pd.DataFrame, described: Sequence[Sequence[tuple[str, Sequence[str]]]]) -> pd.DataFrame:
    """What is known of architectures, and in short what they are: a column a unit with its layers as `module_name` names them.

    Args:
        facts: a line an architecture; where it has predicted, low and high, the ends become "90 % interval", in words.
        described: of each, (unit label, layer tokens) of its units, as `Space.describe` gives them.
    """
    shown = facts.reset_index(drop=True)
    if {"low", "high"} <= set(shown):
        ends = [f"{number(low)} to {number(high)}" for low, high in zip(shown["low"], shown["high"], strict=True)]
        shown.insert(shown.columns.get_loc("low"), "90 % interval", ends)
        shown = shown.drop(columns=["low", "high"])
    names = [
        {
            unit: module_name(json.dumps([""] * len(layers)), json.dumps(layers), False) if layers else "none"
            for unit, layers in one
        }
        for one in described
    ]
    return shown.join(pd.DataFrame(names, index=shown.index))


# Training and quality


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


def hop_srcc_table(hop_srcc: Sequence[float], srcc: float, baselines: Sequence[dict[str, Any]] = ()) -> pd.DataFrame:
    """Held-out rank correlation of each hop's norm, of the prediction, and of baselines: what, srcc, kind.

    Args:
        hop_srcc: of hops 0..M.
        srcc: of the prediction.
        baselines: title and srcc of each, on the same folds.
    """
    lines = [(f"hop {h}", value, "hop") for h, value in enumerate(hop_srcc)] + [("prediction", srcc, "prediction")]
    lines += [(b["title"], b["srcc"], "baseline") for b in sorted(baselines, key=lambda b: -float(b["srcc"]))]
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
    figure.update_xaxes(title=f"measured {target}")
    return figure.update_yaxes(title=f"predicted, held out {target}")


def compare_table(qualities: dict[str, dict[str, float]]) -> pd.DataFrame:
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


# Modules


def ranking_table(
    modules: pd.DataFrame,
    lens: Lens,
    minimize: bool,
    total: int,
    unit: str,
    num_best: int = 16,
    num_worst: int = 8,
    whole_up_to: int = 0,
) -> pd.DataFrame:
    """The modules of one hop and unit, best first, with intervals and words; the middle is left out of long rankings.

    Args:
        modules: lines of the run's module table that compete for the same place.
        lens: the question.
        minimize: smaller targets are better.
        total: number of evaluated architectures.
        unit: unit of the target, may be empty.
        num_best: lines kept from the top.
        num_worst: lines kept from the bottom.
        whole_up_to: a ranking of so many lines is kept whole.
    """
    ascending = minimize and lens is Lens.SCORE
    ranked = modules.sort_values(lens.value, ascending=ascending, kind="stable").reset_index(drop=True)
    ranked["rank"] = ranked.index + 1
    if len(ranked) > max(num_best + num_worst, whole_up_to):
        ranked = pd.concat([ranked.iloc[:num_best], ranked.iloc[len(ranked) - num_worst :]])
    low, high = bounds(ranked, lens)
    ranked["module"] = [module_name(p, m) for p, m in zip(ranked["positions"], ranked["layers"], strict=True)]
    ranked["value"], ranked["low"], ranked["high"] = ranked[lens.value], low, high
    ranked["words"] = [score_words(row, lens, unit, total) for _, row in ranked.iterrows()]
    return ranked.reset_index(drop=True)


def units_ranking_table(
    modules: pd.DataFrame, lens: Lens, minimize: bool, total: int, unit: str, num_best: int = 4, num_worst: int = 1
) -> pd.DataFrame:
    """`ranking_table` of every unit, one below the other, with the column `section` (its number)."""
    parts = [
        ranking_table(part, lens, minimize, total, unit, num_best, num_worst).assign(section=number)
        for number, (_, part) in enumerate(modules.groupby("unit_index", sort=True))
    ]
    return pd.concat(parts, ignore_index=True)


def ranking_figure(table: pd.DataFrame, scale: Scale, theme: str = "light", chosen: int | None = None) -> go.Figure:
    """Modules as dots with intervals, best on top; a line marks the average architecture.

    Args:
        table: from `ranking_table`, or from `units_ranking_table`: then a line stands between units.
        scale: colours of the lens.
        theme: "light" or "dark".
        chosen: line of the table that is marked.
    """
    figure = blank_figure(90 + 24 * len(table))
    names = [f"{r}. {m}" for r, m in zip(table["rank"], table["module"], strict=True)]
    bars = [
        {
            "type": "line",
            "x0": lo,
            "x1": hi,
            "y0": name,
            "y1": name,
            "opacity": 0.55,
            "line": {"color": scale.line(value, theme), "width": 3},
        }
        for name, value, lo, hi in zip(names, table["value"], table["low"], table["high"], strict=True)
    ]
    figure.update_layout(shapes=bars)
    fills = [scale.fill(v, lo, hi, theme) for v, lo, hi in zip(table["value"], table["low"], table["high"], strict=True)]
    ink = INK if theme == "light" else PAPER
    lines = [ink if line == chosen else scale.line(v, theme) for line, v in enumerate(table["value"])]
    widths, sizes = ([big if line == chosen else small for line in range(len(table))] for big, small in ((3, 1.5), (16, 12)))
    marker = {"size": sizes, "color": fills, "line": {"width": widths, "color": lines}}
    hover = "%{y}<br>%{customdata}<extra></extra>"
    figure.add_scatter(
        x=table["value"], y=names, mode="markers", marker=marker, customdata=table["words"], hovertemplate=hover,
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip
    figure.add_vline(x=scale.centre, line={"color": QUIET, "dash": "dash", "width": 1.5})
    ends = [*table["low"], *table["high"], scale.centre]
    pad = (max(ends) - min(ends)) * 0.05
    near = (scale.centre - min(ends)) / max(max(ends) - min(ends), 1e-12)
    label = {"showarrow": False, "yref": "paper", "yanchor": "bottom"}
    label["xanchor"] = "right" if near > 0.8 else "left" if near < 0.2 else "center"
    figure.add_annotation(x=scale.centre, y=1, text="average architecture", **label)
    sections = table["section"].diff() > 0 if "section" in table else table["rank"].diff() > 1
    for place in np.flatnonzero(sections.to_numpy()):
        figure.add_hline(y=float(place) - 0.5, line={"color": QUIET, "dash": "dot", "width": 1})
    named = [f"<b>{name}</b>" if line == chosen else name for line, name in enumerate(names)]
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names, tickvals=names, ticktext=named)
    return figure.update_xaxes(title=axis_title(scale), range=[min(ends) - pad, max(ends) + pad])


def axis_title(scale: Scale) -> str:
    """What an axis of this lens says."""
    return f"{scale.lens.label} ({scale.unit})" if scale.unit else scale.lens.label


def heat_table(modules: pd.DataFrame, spec: SpaceSpec, lens: Lens, total: int, unit: str) -> pd.DataFrame:
    """Single layers: position, layer, value, low, high, words, in the space's order."""
    single = modules[modules["hop"] == 0]
    low, high = bounds(single, lens)
    table = pd.DataFrame(
        {
            "position": [json.loads(p)[0] for p in single["positions"]],
            "layer": [json.loads(m)[0] for m in single["layers"]],
            "value": single[lens.value].to_numpy(),
            "low": low.to_numpy(),
            "high": high.to_numpy(),
            "words": [score_words(row, lens, unit, total) for _, row in single.iterrows()],
            "positions": single["positions"].to_numpy(),
            "layers": single["layers"].to_numpy(),
            "whole_unit": single["whole_unit"].to_numpy(bool),
        }
    ).drop_duplicates(["position", "layer"])
    order = {label: i for i, label in enumerate(spec.position_labels)}
    tokens = {token: i for i, token in enumerate(spec.tokens)}
    first = [tokens[text] if text in tokens else tokens_of(spec, text)[0] for text in table["layer"]]
    return table.iloc[np.lexsort([first, table["position"].map(order)])].reset_index(drop=True)


def heat_figure(table: pd.DataFrame, scale: Scale, theme: str = "light", chosen: int | None = None) -> go.Figure:
    """Position by layer choice, coloured like the graph; wide intervals are faint; empty where a layer cannot stand.

    Args:
        table: from `heat_table`.
        scale: colours of the lens.
        theme: "light" or "dark".
        chosen: line of the table that is marked. The third trace has a mark a line, to be clicked.

    With a column `marked` (share of some architectures that have the layer there) each cell has a ring of that size. Where every
    position has layers of its own, as loose columns have, a line holds their first, second, ... values.
    """
    own = all(layer.startswith(f"{position}=") for position, layer in zip(table["position"], table["layer"], strict=True))
    table = table.assign(line=table.groupby("position").cumcount().add(1).astype(str) if own else table["layer"])
    positions, layers = list(dict.fromkeys(table["position"])), sorted(set(table["line"]), key=int) if own else []
    layers = layers or list(dict.fromkeys(table["layer"]))
    figure = blank_figure(max(150 + 26 * len(layers), 240))
    shown = table.pivot(index="line", columns="position", values="value").reindex(index=layers, columns=positions)
    low, high = scale.ends
    bar = {"title": {"text": axis_title(scale), "side": "right"}, "thickness": 12, "tickvals": [low, scale.centre, high]}
    bar["ticktext"] = [rounded(low), f"average {rounded(scale.centre)}", rounded(high)]
    figure.add_heatmap(
        z=shown.to_numpy(), x=positions, y=layers, zmin=low, zmax=high, colorscale=scale.plotly(theme), xgap=2, ygap=2,
        hoverinfo="skip", colorbar=bar,
    )  # fmt: skip
    table = table.assign(veil=[1 - scale.sureness(a, b) for a, b in zip(table["low"], table["high"], strict=True)])
    veil = table.pivot(index="line", columns="position", values="veil").reindex(index=layers, columns=positions)
    page = ",".join(map(str, PAGE[theme]))
    fading = [[0, f"rgba({page},0)"], [1, f"rgba({page},1)"]]
    cover = {"zmin": 0, "zmax": 1, "colorscale": fading, "showscale": False, "hoverinfo": "skip", "xgap": 2, "ygap": 2}
    figure.add_heatmap(z=veil.to_numpy(), x=positions, y=layers, **cover)
    unseen = {"symbol": "square", "size": 22, "color": "rgba(0,0,0,0)"}
    figure.add_scatter(
        x=table["position"], y=table["line"], mode="markers", marker=unseen, customdata=table["words"], text=table["layer"],
        hovertemplate="%{x}: %{text}<br>%{customdata}<extra></extra>",
    )  # fmt: skip
    if "marked" in table:
        there = table[table["marked"] > 0]
        size = (3 + 22 * there["marked"].to_numpy(float)).round(1)
        rings = {"symbol": "circle-open", "size": size, "line": {"width": 1.8}, "color": INK if theme == "light" else PAPER}
        figure.add_scatter(x=there["position"], y=there["line"], mode="markers", marker=rings, hoverinfo="skip")
    if chosen is not None:
        x, y = positions.index(table["position"].iloc[chosen]), layers.index(table["line"].iloc[chosen])
        frame = {"color": INK if theme == "light" else PAPER, "width": 3}
        figure.add_shape(type="rect", x0=x - 0.5, x1=x + 0.5, y0=y - 0.5, y1=y + 0.5, line=frame)
    if own and len(positions) <= NAMED_COLUMNS:
        fills = [
            scale.fill(value, low, high, theme) for value, low, high in table[["value", "low", "high"]].itertuples(index=False)
        ]
        for place, line, layer, fill in zip(table["position"], table["line"], table["layer"], fills, strict=True):
            font = {"color": ink_on(fill), "size": 11}
            text = layer.removeprefix(f"{place}=")
            if ends := re.fullmatch(rf"({NUMBER}) to {NUMBER}", text):
                text = f"≥{ends[1]}"  # a range by its lower end
            text = text[:NAMED_LETTERS]
            here = positions.index(place), layers.index(line)  # by number: a category that is one is taken for its place
            figure.add_annotation(x=here[0], y=here[1], text=text, showarrow=False, font=font)
    title = ("value, in order", "column") if own else ("layer", "position")
    figure.update_yaxes(autorange="reversed", title=title[0], showgrid=False, type="category")
    return figure.update_xaxes(title=title[1], showgrid=False, type="category")


def features_shown(features: pd.DataFrame, num_values: int = 12) -> pd.DataFrame:
    """The features with few enough values for a panel; joint ones, such as (position, layer), are the heat map's."""
    counts = features.groupby("feature")["value"].transform("size")
    return features[counts.between(2, num_values)]


def features_figure(features: pd.DataFrame, scale: Scale, theme: str = "light", columns: int = 2) -> go.Figure:
    """Signed effects of single layers by the value of each hop-0 feature, one panel a feature.

    Args:
        features: feature, value, effect, effect_low, effect_high, num_nodes.
        scale: the scale of the average lens.
        theme: "light" or "dark".
        columns: panels side by side.
    """
    from plotly.subplots import make_subplots

    names = list(dict.fromkeys(features["feature"]))
    num_rows = -(-len(names) // columns)
    longest = int(features["value"].astype(str).str.len().max()) if len(features) else 0
    a_row = 150 + (7 * longest if longest > 8 else 0)  # long names stand upright below their panel
    gap = (a_row - 103) / a_row / max(num_rows, 1)
    figure = make_subplots(rows=num_rows, cols=columns, subplot_titles=names, vertical_spacing=gap)
    for index, name in enumerate(names):
        part = features[features["feature"] == name]
        row, column = divmod(index, columns)
        at = scale.centre + part["effect"]
        fills = [
            scale.fill(v, scale.centre + lo, scale.centre + hi, theme)
            for v, lo, hi in zip(at, part["effect_low"], part["effect_high"], strict=True)
        ]
        error = {
            "type": "data",
            "symmetric": False,
            "array": part["effect_high"] - part["effect"],
            "thickness": 1.2,
            "width": 3,
            "color": QUIET,
        }
        error["arrayminus"] = part["effect"] - part["effect_low"]
        marker = {"color": fills, "line": {"width": 1, "color": [scale.line(v, theme) for v in at]}}
        hover = f"{name} %{{x}}: {with_unit('%{y:+.3g}', scale.unit)}<br>%{{customdata}} layers<extra></extra>"
        custom = part["num_nodes"]
        figure.add_bar(
            x=part["value"].astype(str),
            y=part["effect"],
            marker=marker,
            error_y=error,
            customdata=custom,
            hovertemplate=hover,
            row=row + 1,
            col=column + 1,
        )
    figure.update_layout(template=TEMPLATE, height=70 + a_row * num_rows, showlegend=False)
    figure.update_xaxes(type="category").update_yaxes(zeroline=True, zerolinecolor=QUIET, zerolinewidth=1, exponentformat="none")
    figure.update_yaxes(title=f"effect ({scale.unit})" if scale.unit else "effect", col=1)
    return figure


def with_without_table(
    table: ArchTable, targets: pd.DataFrame, positions: Sequence[str], layers: Sequence[str], whole_unit: bool
) -> pd.DataFrame:
    """The measured target of architectures with and without a module: one line a measured row.

    Args:
        table: the run's architectures.
        targets: the run's predictions: row (index in the table), source_row, target.
        positions: labels of the module's positions, upstream first.
        layers: its tokens.
        whole_unit: the module is a whole unit: exactly these layers, no deeper.
    """
    mask = contains(table, positions, layers, whole_unit)[targets["row"].to_numpy(int)]
    group = np.where(mask, "with the module", "without it")
    return pd.DataFrame(
        {"source_row": targets["source_row"].to_numpy(), "target": targets["target"].to_numpy(float), "group": group}
    )


def with_without_figure(table: pd.DataFrame, target: str, num_bins: int = 26) -> go.Figure:
    """Two distributions of the target as shares of their group, medians as lines."""
    return groups_figure(table, target, ("without it", "with the module"), num_bins)


def groups_figure(table: pd.DataFrame, target: str, names: Sequence[str], num_bins: int = 26) -> go.Figure:
    """Distributions of the target as shares of their group, medians as lines; the last group is accented.

    Args:
        table: target, group.
        target: what the target is called, with its unit: `Label.axis`.
        names: the groups, in the order in which they are drawn.
        num_bins: number of bins.
    """
    figure = blank_figure(210)
    known = table["target"].dropna()
    low, high = (
        float(known.quantile(0.01)),
        float(known.quantile(0.995)),
    )  # a long tail would press the rest into one bin; it is kept in the last
    edges = np.linspace(low, high, num_bins + 1) if low < high else np.histogram_bin_edges(known, bins=num_bins)
    for name in names:
        fill = ACCENT if name == names[-1] else QUIET
        values = table.loc[table["group"] == name, "target"].dropna()
        if values.empty:
            continue
        counts, _ = np.histogram(values.clip(edges[0], edges[-1]), bins=edges)
        share = counts / len(values)
        hover = f"{name}: %{{x:.4g}}: %{{y:.1%}}<extra></extra>"
        trace = {
            "mode": "lines",
            "line": {"shape": "hvh", "color": fill, "width": 2},
            "fill": "tozeroy",
            "name": f"{name} ({len(values):,})",
        }
        figure.add_scatter(x=(edges[:-1] + edges[1:]) / 2, y=share, hovertemplate=hover, **trace)
        figure.add_vline(x=float(values.median()), line={"color": fill, "dash": "dash", "width": 2})
    figure.update_layout(showlegend=True, margin={"t": 32, "b": 44})
    return figure.update_xaxes(title=f"measured {target}").update_yaxes(title="share", tickformat=".0%", rangemode="tozero")


def prediction_figure(targets: NDArray[np.float64], predicted: float, low: float, high: float, target: str) -> go.Figure:
    """Where a prediction and its interval lie among the measured architectures."""
    table = histogram_table(targets, f"measured {target}", 36)
    figure = histogram_figure(table, 200).update_traces(marker_color=QUIET, opacity=0.6)
    figure.add_vrect(x0=low, x1=high, fillcolor=ACCENT, opacity=0.22, line_width=0)
    figure.add_vline(x=predicted, line={"color": ACCENT, "width": 3})
    figure.add_annotation(x=predicted, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"predicted {predicted:.4g}")
    return figure.update_layout(margin={"t": 26})


def candidates_figure(built: pd.DataFrame, best_measured: float, target: str, on_screen: float) -> go.Figure:
    """Built architectures with their intervals, best first, against the best that was measured and the one on the screen."""
    figure = blank_figure(80 + 24 * len(built))
    names = [f"candidate {i + 1}" for i in range(len(built))]
    error = {
        "type": "data",
        "symmetric": False,
        "array": built["high"] - built["predicted"],
        "thickness": 2,
        "width": 0,
        "color": QUIET,
    }
    error["arrayminus"] = built["predicted"] - built["low"]
    hover = "%{y}: %{x:.4g}<extra></extra>"
    figure.add_scatter(
        x=built["predicted"], y=names, mode="markers", marker={"size": 10, "color": ACCENT}, error_x=error, hovertemplate=hover
    )
    figure.add_vline(x=best_measured, line={"color": SECOND, "dash": "dash", "width": 2})
    figure.add_annotation(
        x=best_measured, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"best measured {best_measured:.4g}"
    )
    figure.add_vline(x=on_screen, line={"color": ACCENT, "dash": "dot", "width": 2})
    note = {"yref": "paper", "yanchor": "bottom", "yshift": 16, "showarrow": False}
    figure.add_annotation(x=on_screen, y=1, text=f"on the screen {on_screen:.4g}", **note)
    figure.update_layout(margin={"t": 46}, height=98 + 24 * len(built))
    figure.update_yaxes(autorange="reversed")
    return figure.update_xaxes(title=f"predicted {target}")


def module_facts(modules: pd.DataFrame, node: "pd.Series[Any]", lens: Lens, num_evaluated: int, minimize: bool) -> dict[str, str]:
    """What the run's module table knows about one module.

    Args:
        modules: the run's module table.
        node: a line of `drawing.node_scores`.
        lens: the question it is ranked by.
        num_evaluated: architectures that were learned from.
        minimize: smaller targets are better.

    Returns:
        {"seen": evidence in words, "rank": its rank among the modules at the same place, in words}.
    """
    rivals, place = rivals_of(modules, node), "in its unit" if node["whole_unit"] else "at its place"
    smaller_is_better = minimize and lens is Lens.SCORE
    value = node[lens.value]
    ahead = (rivals[lens.value] < value if smaller_is_better else rivals[lens.value] > value).sum()
    rank = f"Rank {ahead + 1:,} of {len(rivals):,} {place}."
    return {"seen": evidence(int(node["num_evaluated"]), num_evaluated), "rank": rank}


def built_table(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Built architectures as a table: arch (native encoding), predicted, low, high.

    Args:
        records: from `building.built_records`.
    """
    rows = [{"arch": native_text(r["arch"]), **{k: r[k] for k in ("predicted", "low", "high")}} for r in records]
    return pd.DataFrame(rows, columns=["arch", "predicted", "low", "high"])


def built_files(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Built architectures as the files a reader downloads: built.jsonl (as `build` writes it), built.csv, built.txt (native)."""
    table = built_table(records)
    lines = [json.dumps(record) for record in records]
    return {
        "built.jsonl": "\n".join(lines) + "\n",
        "built.csv": table.to_csv(index=False),
        "built.txt": "\n".join(table["arch"]) + "\n",
    }
