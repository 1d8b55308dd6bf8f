"""The map of the space as a figure, and what a marked region has in common: pairs `*_table`/`*_figure`, and their sentences."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.names import block_name
from autobuild_core.architectures.numbers import number, with_unit
from autobuild_core.figures.colours import INK, PAGE, PAPER, Scale
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal, literal_frame
from autobuild_core.scoring.space_map import DEPTH, PREDICTED, Bounds, Brush, aggregate, around

MOST_POINTS = 4000  # drawn one by one; more are gathered in cells
FIRM = 0.4  # architectures a cell of the surface from which it is drawn in full
NAMED_R2 = 0.1  # an axis is explained by what reaches this much of its variance
DIRECTIONS = ("Left to right", "Bottom to top")


def map_scale(points: pd.DataFrame, mean: float, minimize: bool, unit: str) -> Scale:
    """The colours of whole architectures: those of scores, but wider, since an architecture differs more than its modules do.

    Args:
        points: target of the evaluated architectures.
        mean: the space's average target, the middle of every scale.
        minimize: smaller targets are better.
        unit: unit of the target, may be empty.
    """
    off = np.abs(points["target"].to_numpy(float) - mean)
    reach = (float(np.quantile(off, 0.9)) if len(off) else 0.0) or 1.0
    sign = -1 if minimize else 1
    return Scale(Lens.SCORE, mean, mean - sign * reach, mean + sign * reach, unit)


def window_of(points: pd.DataFrame, behind: pd.DataFrame, view: Brush | None) -> Bounds:
    """Bounds of what is in sight: a marked region with a margin, else everything."""
    every = np.concatenate([frame[["x", "y"]].to_numpy(float) for frame in (points, behind)])
    return around(np.array(view.corners) if view is not None else every, 0.03)


def map_table(points: pd.DataFrame, window: Bounds, minimize: bool) -> pd.DataFrame:
    """The marks of a window: x, y, num (architectures of a mark), target (their mean), row (the best of them).

    Up to MOST_POINTS architectures are a mark each; more are gathered in cells.
    """
    left, right, bottom, top = window
    shown = points[points["x"].between(left, right) & points["y"].between(bottom, top)]
    if len(shown) > MOST_POINTS:
        return aggregate(shown, window, minimize)
    return shown.assign(num=1)[["x", "y", "num", "target", "row"]].reset_index(drop=True)


def map_figure(
    marks: pd.DataFrame,
    behind: pd.DataFrame,
    window: Bounds,
    scale: Scale,
    titles: tuple[str, str],
    theme: str = "light",
    source_rows: "NDArray[Any] | None" = None,
    chosen: "pd.Series[Any] | None" = None,
    brush: Brush | None = None,
    holding: "NDArray[np.bool_] | None" = None,
    height: int = 430,
) -> go.Figure:
    """Architectures by their graph embeddings over the predictor's surface, both coloured by the target.

    Args:
        marks: from `map_table`.
        behind: map_surface.parquet.
        window: bounds in sight.
        scale: from `map_scale`.
        titles: of the two axes.
        theme: "light" or "dark".
        source_rows: (rows of the table,) row of the file, for the words under the pointer.
        chosen: x, y, source_row of the chosen architecture.
        brush: the marked region; what is outside is faint.
        holding: (marks,) whether a mark has the chosen module.
        height: pixels.
    """
    figure = blank_figure(height)
    ink, one_each = INK if theme == "light" else PAPER, bool((marks["num"] == 1).all())
    figure = blank_figure(height).add_traces(_behind(behind, scale, theme))
    held = np.ones(len(marks), bool) if brush is None else brush.inside(marks[["x", "y"]].to_numpy(float))
    rows, many = marks["row"].to_numpy(int), marks["num"].to_numpy(int)
    names = rows if source_rows is None else np.asarray(source_rows)[rows]
    edges = None if holding is None else np.where(holding, ink, "rgba(0,0,0,0)")
    size = (7.0 if len(marks) < 1500 else 5.0) + 4 * np.log2(many.clip(1)) / max(float(np.log2(many.max(initial=2))), 1.0)
    what = "row %{customdata[0]}<br>" if one_each else "%{customdata[1]} architectures, the best is row %{customdata[0]}<br>"
    for name, inside in (("outside", ~held), ("evaluated", held)):
        marker = {"color": marks["target"][inside].round(6), "size": size[0] if one_each and len(size) else size[inside].round(1)}
        marker |= _colouring(scale, theme)
        marker |= {
            "line": {"color": _edge(theme), "width": 0.7 if len(marks) < 1500 else 0.2}
            if edges is None
            else {"color": edges[inside], "width": 1.4}
        }
        marker |= {"opacity": 0.22, "showscale": False} if name == "outside" else {"opacity": 0.95}
        figure.add_scattergl(
            x=marks["x"][inside].round(5), y=marks["y"][inside].round(5), mode="markers", marker=marker, name=name,
            customdata=np.stack([names[inside], many[inside], rows[inside]], 1), unselected={"marker": {"opacity": 0.22}},
            hovertemplate=f"{what}measured {with_unit('%{marker.color:.4g}', literal(scale.unit))}<extra></extra>",
        )  # fmt: skip
    if chosen is not None:
        ring = {"symbol": "circle-open", "size": 19, "color": ink, "line": {"width": 3}}
        figure.add_scattergl(x=[chosen["x"]], y=[chosen["y"]], mode="markers", marker=ring, hoverinfo="skip", name="chosen")
        plate = f"rgba({','.join(map(str, PAGE[theme]))},.75)"
        label = {"showarrow": False, "yshift": 19, "font": {"color": ink}, "bgcolor": plate}
        figure.add_annotation(x=chosen["x"], y=chosen["y"], text=f"row {int(chosen['source_row'])}", **label)
    if brush is not None:
        figure.add_shape(**_region(brush, ink))
    left, right, bottom, top = window
    figure.update_xaxes(title=titles[0], range=[left, right], showgrid=False, showticklabels=False)
    figure.update_yaxes(title=titles[1], range=[bottom, top], showgrid=False, showticklabels=False)
    return figure.update_layout(dragmode="select", margin={"l": 30, "r": 8, "t": 10, "b": 40}, hovermode="closest")


def _behind(behind: pd.DataFrame, scale: Scale, theme: str) -> list[go.Heatmap]:
    """The predictor's surface, pale, and faint where fewer than FIRM architectures a cell bear it out."""
    low, high = scale.ends
    cells = behind.assign(x=behind["x"].round(9), y=behind["y"].round(9), veil=(1 - behind["num"] / FIRM).clip(0, 1))
    grids = [
        cells.pivot(index="y", columns="x", values=name).fillna(beyond) for name, beyond in (("value", scale.centre), ("veil", 1))
    ]
    place = {"x": grids[0].columns, "y": grids[0].index, "zsmooth": "fast", "showscale": False, "hoverinfo": "skip"}
    page = ",".join(map(str, PAGE[theme]))
    return [
        go.Heatmap(z=grids[0].to_numpy().round(6), zmin=low, zmax=high, colorscale=scale.plotly(theme), opacity=0.36, **place),
        go.Heatmap(
            z=grids[1].to_numpy().round(2), zmin=0, zmax=1, colorscale=[[0, f"rgba({page},0)"], [1, f"rgba({page},1)"]], **place
        ),
    ]


def _colouring(scale: Scale, theme: str) -> dict[str, Any]:
    """Settings that turn targets into colours, and the bar that says how."""
    low, high = scale.ends
    title, ink = f"measured {literal(scale.unit) or 'target'}", INK if theme == "light" else PAPER
    bar = {
        "title": {"text": title, "side": "right", "font": {"color": ink}},
        "tickfont": {"color": ink},
        "thickness": 12,
        "len": 0.9,
    }
    bar["tickvals"] = [low, scale.centre, high]
    ends = [f"{number(end)}<br>{'better' if end == scale.better else 'worse'}" for end in (low, high)]
    bar["ticktext"] = [ends[0], f"{number(scale.centre)}<br>average", ends[1]]
    return {"colorscale": scale.plotly(theme), "cmin": low, "cmax": high, "colorbar": bar, "showscale": True}


def _edge(theme: str) -> str:
    return "rgba(20,22,28,.55)" if theme == "light" else "rgba(255,255,255,.5)"


def _region(brush: Brush, ink: str) -> dict[str, Any]:
    """A region as a shape."""
    line = {"color": ink, "width": 1.4, "dash": "dot"}
    if brush.kind == "box":
        left, right, bottom, top = brush.bounds
        return {"type": "rect", "x0": left, "x1": right, "y0": bottom, "y1": top, "line": line}
    path = "M" + "L".join(f"{x:g},{y:g}" for x, y in brush.corners) + "Z"
    return {"type": "path", "path": path, "line": line}


# What the axes are


def axis_title(about: pd.DataFrame, axis: int) -> str:
    """The title of an axis: its share of the variance, and the two things that explain most of it; upright, in two lines."""
    own = about[about["axis"] == axis]
    named = literal("; ".join(_named(own))) or "no single choice explains it"
    return f"{('first', 'second')[axis]} axis: {float(own['share'].iloc[0]):.0%} of the variance{(' ', '<br>')[axis]}({named})"


def axes_sentence(about: pd.DataFrame, minimize: bool) -> str:
    """Meaning of the two axes, in words."""
    parts = []
    for axis, direction in enumerate(DIRECTIONS):
        own = about[about["axis"] == axis]
        aim = float(own.loc[own["what"] == PREDICTED, "r2"].iloc[0])
        said = [f"a {'smaller' if minimize else 'larger'}, so better, predicted target (R² {aim:.2f})"] if aim >= NAMED_R2 else []
        named = [text for text in _named(own, 3) if PREDICTED not in text][:2]
        said += [f"the {' and the '.join(named)}"] if named else []
        what = "; ".join(said) or "no single choice explains it"
        parts.append(f"{direction}, {float(own['share'].iloc[0]):.0%} of the variance of the graph embeddings: {what}.")
    return " ".join(parts)


def _named(own: pd.DataFrame, num: int = 2) -> list[str]:
    """The best explanations of an axis, with their R2."""
    top = own[own["r2"] >= NAMED_R2].head(num)
    return [f"{w if w in (PREDICTED, DEPTH) else f'layer at {w}'} {r:.2f}" for w, r in zip(top["what"], top["r2"], strict=True)]


# What a region has in common


def in_common_figure(table: pd.DataFrame, who: str = "the marked", num: int = 12) -> go.Figure:
    """Shares of layers among some architectures beside those among all, the largest changes on top.

    Args:
        table: from `space_map.in_common`.
        who: whose layers these are.
        num: lines shown.
    """
    top = literal_frame(table.head(num))
    figure = blank_figure(100 + 25 * len(top))
    block = block_name(top["layer"].tolist()) if len(top) else ""
    names = [f"{p}: {m.removeprefix(block).replace('_', ' ')}" for p, m in zip(top["position"], top["layer"], strict=True)]
    shades = [ACCENT if change > 0 else SECOND for change in top["change"]]
    figure.update_layout(
        shapes=[
            {"type": "line", "x0": a, "x1": b, "y0": n, "y1": n, "line": {"color": shade, "width": 3}, "opacity": 0.6}
            for a, b, n, shade in zip(top["share_of_all"], top["share"], names, shades, strict=True)
        ]
    )
    hover = f"%{{y}}<br>%{{customdata[0]:.0%}} of {who}, %{{customdata[1]:.0%}} of all<extra></extra>"
    custom = top[["share", "share_of_all"]]
    figure.add_scatter(
        x=top["share_of_all"], y=names, mode="markers", name="of all evaluated", customdata=custom, hovertemplate=hover,
        marker={"symbol": "line-ns", "size": 13, "line": {"width": 2, "color": QUIET}},
    )  # fmt: skip
    figure.add_scatter(
        x=top["share"], y=names, mode="markers", marker={"size": 11, "color": shades}, name=f"of {who}", customdata=custom,
        hovertemplate=hover,
    )  # fmt: skip
    figure.update_layout(showlegend=True)
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=names)
    most = float(top[["share", "share_of_all"]].max().max()) if len(top) else 1.0
    return figure.update_xaxes(
        title="share of architectures with this layer", tickformat=".0%", range=[-0.02, min(most * 1.08, 1.04)]
    )


def with_marked_shares(heat: pd.DataFrame, common: pd.DataFrame) -> pd.DataFrame:
    """`rankings.heat_table` with the column `marked`, the share of marked architectures that have a layer at a position.

    Args:
        heat: position, layer, words and more.
        common: from `space_map.in_common`.
    """
    shares = common.set_index(["position", "layer"])[["share", "share_of_all"]]
    own = shares.reindex(pd.MultiIndex.from_frame(heat[["position", "layer"]])).fillna(0.0)
    said = [f"; in {a:.0%} of the marked, {b:.0%} of all" for a, b in zip(own["share"], own["share_of_all"], strict=True)]
    return heat.assign(marked=own["share"].to_numpy(), words=heat["words"] + said)
