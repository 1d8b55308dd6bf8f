"""Modules, layers and features by a lens: rankings, the heat map of a space, what features are worth, with and without."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures.lens import Lens, bounds, evidence, score_words
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.module_table import rivals_of
from autobuild_core.architectures.names import module_name
from autobuild_core.architectures.numbers import rounded, with_unit
from autobuild_core.architectures.ranges import tokens_of
from autobuild_core.architectures.records import ArchTable, SpaceSpec
from autobuild_core.figures.colours import INK, PAGE, PAPER, Scale, ink_on
from autobuild_core.figures.template import ACCENT, QUIET, TEMPLATE, blank_figure, literal, literal_frame

NUMBER = r"[-+]?[\d.]+(?:e[-+]?\d+)?"
NAMED_COLUMNS, NAMED_LETTERS = 10, 8  # a heat map of so many loose columns has values in its cells, cut to so many letters


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
    ascending = lens.direction(minimize) < 0
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
    table = literal_frame(table)
    names = [f"{r}. {m}" for r, m in zip(table["rank"], table["module"], strict=True)]
    ends = [*table["low"], *table["high"], scale.centre]
    pad = (max(ends) - min(ends)) * 0.05
    named = [f"<b>{name}</b>" if line == chosen else name for line, name in enumerate(names)]
    figure = blank_figure(
        90 + 24 * len(table),
        shapes=_ranking_lines(table, names, scale, theme),
        annotations=[_average_note(scale.centre, min(ends), max(ends))],
        xaxis={"title": {"text": axis_title(scale)}, "range": [min(ends) - pad, max(ends) + pad]},
        yaxis={"autorange": "reversed", "categoryorder": "array", "categoryarray": names, "tickvals": names, "ticktext": named},
    )
    fills = [scale.fill(v, lo, hi, theme) for v, lo, hi in zip(table["value"], table["low"], table["high"], strict=True)]
    ink = INK if theme == "light" else PAPER
    lines = [ink if line == chosen else scale.line(v, theme) for line, v in enumerate(table["value"])]
    widths, sizes = ([big if line == chosen else small for line in range(len(table))] for big, small in ((3, 1.5), (16, 12)))
    marker = {"size": sizes, "color": fills, "line": {"width": widths, "color": lines}}
    hover = "%{y}<br>%{customdata}<extra></extra>"
    return figure.add_scatter(
        x=table["value"], y=names, mode="markers", marker=marker, customdata=table["words"], hovertemplate=hover,
        selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
    )  # fmt: skip


def _ranking_lines(table: pd.DataFrame, names: list[str], scale: Scale, theme: str) -> list[dict[str, Any]]:
    """All lines of a ranking, to be handed over at once: adding one checks all that are there anew."""
    shapes: list[dict[str, Any]] = []
    for name, value, low, high in zip(names, table["value"], table["low"], table["high"], strict=True):
        ends = {"x0": low, "x1": high, "y0": name, "y1": name}
        shapes.append({"type": "line", "opacity": 0.55, "line": {"color": scale.line(value, theme), "width": 3}} | ends)
    down = {"xref": "x", "yref": "y domain", "x0": scale.centre, "x1": scale.centre, "y0": 0, "y1": 1}
    shapes.append({"type": "line", "line": {"color": QUIET, "dash": "dash", "width": 1.5}} | down)
    sections = table["section"].diff() > 0 if "section" in table else table["rank"].diff() > 1
    for place in np.flatnonzero(sections.to_numpy()):
        across = {"xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "y0": float(place) - 0.5, "y1": float(place) - 0.5}
        shapes.append({"type": "line", "line": {"color": QUIET, "dash": "dot", "width": 1}} | across)
    return shapes


def _average_note(centre: float, low: float, high: float) -> dict[str, Any]:
    """The note over the line of the average architecture, on the side where the axis has room for it."""
    near = (centre - low) / max(high - low, 1e-12)
    side = "right" if near > 0.8 else "left" if near < 0.2 else "center"
    place = {"x": centre, "y": 1, "yref": "paper", "xanchor": side, "yanchor": "bottom"}
    return {"text": "average architecture", "showarrow": False} | place


def axis_title(scale: Scale) -> str:
    """Title of an axis of this lens."""
    return f"{scale.lens.label} ({literal(scale.unit)})" if scale.unit else scale.lens.label


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
    table = literal_frame(table)
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
        notes = []
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
            notes.append({"x": here[0], "y": here[1], "text": text, "showarrow": False, "font": font})
        figure.update_layout(annotations=notes)  # all at once: adding one checks all that are there anew
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

    features, unit = literal_frame(features), literal(scale.unit)
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
        hover = f"{name} %{{x}}: {with_unit('%{y:+.3g}', unit)}<br>%{{customdata}} layers<extra></extra>"
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
    figure.update_yaxes(title=f"effect ({unit})" if unit else "effect", col=1)
    return figure


def shares_table(
    table: ArchTable,
    targets: pd.DataFrame,
    modules: pd.DataFrame,
    lines: "Counter[int]",
    lens: Lens,
    unit: str,
    name: str,
    num: int = 8,
) -> pd.DataFrame:
    """The commonest modules at a place of several architectures, against all that were measured.

    Args:
        table: the run's architectures.
        targets: the run's predictions: row (index in the table).
        modules: the run's module table.
        lines: how often each of its lines stands at the place.
        lens: what is said of a module.
        unit: of the target.
        name: what the several are, which calls the column of their share.
        num: modules.
    """
    rows, measured = [], targets["row"].to_numpy(int)
    for number, count in lines.most_common(num):
        line = modules.iloc[number]
        everywhere = float(ModuleKey.of(line).contained_in(table)[measured].mean())
        shares = {name: round(count / lines.total(), 2), "all measured": round(everywhere, 2)}
        called = module_name(line["positions"], line["layers"], False)
        rows.append({"module": called} | shares | {"score": score_words(line, lens, unit)})
    return pd.DataFrame(rows)


def with_without_table(table: ArchTable, targets: pd.DataFrame, module: ModuleKey) -> pd.DataFrame:
    """The measured target of architectures with and without a module: one line a measured row.

    Args:
        table: the run's architectures.
        targets: the run's predictions: row (index in the table), source_row, target.
        module: what they have or lack.
    """
    mask = module.contained_in(table)[targets["row"].to_numpy(int)]
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
    figure.update_yaxes(title="share", tickformat=".0%", rangemode="tozero")
    return figure.update_xaxes(title=f"measured {literal(target)}")


def module_facts(modules: pd.DataFrame, node: "pd.Series[Any]", lens: Lens, num_evaluated: int, minimize: bool) -> dict[str, str]:
    """Facts about one module from the run's module table.

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
    smaller_is_better = lens.direction(minimize) < 0
    value = node[lens.value]
    ahead = (rivals[lens.value] < value if smaller_is_better else rivals[lens.value] > value).sum()
    rank = f"Rank {ahead + 1:,} of {len(rivals):,} {place}."
    return {"seen": evidence(int(node["num_evaluated"]), num_evaluated), "rank": rank}
