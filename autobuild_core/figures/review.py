"""More figures of a design review: a claim among the modules it was chosen from, an architecture as SVG."""

from collections.abc import Sequence
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures.layout import NODE_HEIGHT, NODE_WIDTH, RADIUS
from autobuild_core.architectures.lens import Lens, bounds
from autobuild_core.figures import drawing
from autobuild_core.figures.colours import Scale, ink_on
from autobuild_core.figures.drawing import BOXES, PLAIN
from autobuild_core.figures.rankings import axis_title
from autobuild_core.figures.template import QUIET, blank_figure, literal, literal_frame
from autobuild_core.trust.claim import Effect

THEMES = ("light", "dark")
SVG_COLUMNS = ["label", "token", "unit", "text", "x", "y", "kind", "after", "loose", "value", "words", "at", "low", "high"]


def claim_figure(rivals: pd.DataFrame, effect: Effect, scale: Scale, theme: str = "light") -> go.Figure:
    """A claim among all modules that were looked at, on one axis: dots are modules, the large one is claimed.

    The thick bar is the claim's 90 % interval, the thin one that interval adjusted for all that were looked at.

    Args:
        rivals: from `record.rivals_table`: module, value, claimed.
        effect: the record's, through the lens.
        scale: of the lens.
        theme: "light" or "dark".
    """
    figure, average = blank_figure(128), effect.average
    shift = scale.centre - average if scale.lens is Lens.SCORE else 0.0  # an effect of the average lens counts from its centre
    rivals, unit = literal_frame(rivals), literal(effect.unit)
    others = rivals[~rivals["claimed"]]
    hover = "%{customdata}: %{x:.4g}<extra></extra>"
    dots = {"size": 8, "color": QUIET, "opacity": 0.55}
    figure.add_scatter(
        x=others["value"], y=[0] * len(others), mode="markers", marker=dots, customdata=others["module"], hovertemplate=hover
    )
    strong = scale.line(effect.value + shift, theme)
    for first, last, width in ((effect.adjusted_low, effect.adjusted_high, 2), (effect.low, effect.high, 7)):
        if first is not None and last is not None:
            bar = {"color": strong, "width": width}
            figure.add_scatter(x=[first, last], y=[0, 0], mode="lines", line=bar, hoverinfo="skip")
    low, high = ((effect.value if end is None else end) + shift for end in (effect.low, effect.high))
    fill = scale.fill(effect.value + shift, low, high, theme)
    marker, name = {"size": 15, "color": fill, "line": {"width": 2, "color": strong}}, rivals.loc[rivals["claimed"], "module"]
    figure.add_scatter(x=[effect.value], y=[0], mode="markers", marker=marker, customdata=name, hovertemplate=hover)
    figure.add_vline(x=average, line={"color": QUIET, "dash": "dash", "width": 1.5})
    note = {"text": "average architecture", "showarrow": False, "yref": "paper", "yanchor": "bottom", "font": {"size": 11}}
    figure.add_annotation(x=average, y=1, **note)
    title = f"effect ({unit})" if scale.lens is Lens.SCORE and unit else axis_title(scale)
    title = "effect" if scale.lens is Lens.SCORE and not unit else title
    figure.update_yaxes(visible=False, range=[-1, 1]).update_xaxes(title=title)
    return figure.update_layout(margin={"t": 22, "b": 42, "l": 12, "r": 12})


def svg_table(drawn: pd.DataFrame, lens: Lens) -> pd.DataFrame:
    """The lines of a coloured drawing that `architecture_svg` needs, without colours: SVG_COLUMNS.

    Args:
        drawn: from `drawing.coloured`.
        lens: its lens.
    """
    low, high = bounds(drawn, lens)
    return drawn.assign(at=drawn[lens.value], low=low, high=high)[SVG_COLUMNS]


def architecture_svg(table: pd.DataFrame, scale: Scale, title: str, marked: Sequence[str] = ()) -> str:
    """An architecture as SVG that shows in both themes: colours are CSS variables; a node says its score when pointed at.

    Classes: graph, frame, unit, edge (its arrow head is the marker #tip of the page), node, marked, score.

    Args:
        table: from `svg_table`.
        scale: what it is coloured by.
        title: what it shows, for those who do not see it.
        marked: labels of nodes that are outlined.
    """
    nodes = drawing.drawn_nodes(table)
    by_label = {str(node["label"]): node for node in nodes}
    parts = [_frame(frame) for frame in drawing.frames(table)]
    parts += [_arrow(by_label[before], node) for node in nodes for before in node["after"]]
    parts += [_node(node, scale, str(node["label"]) in marked) for node in nodes]
    left, right = min(n["x"] for n in nodes) - 78, max(n["x"] for n in nodes) + 78
    top, bottom = min(n["y"] for n in nodes) - 62, max(n["y"] for n in nodes) + 40
    box = f'viewBox="{left:g} {top:g} {right - left:g} {bottom - top:g}" style="max-width:{right - left:g}px"'
    return f'<svg class="graph" role="img" aria-label="{escape(title)}" {box}>{"".join(parts)}</svg>'


def _frame(frame: dict[str, Any]) -> str:
    box = frame["box"]
    size = f'width="{box["x1"] - box["x0"]:g}" height="{box["y1"] - box["y0"]:g}"'
    label = f'<text x="{frame["x"]:g}" y="{box["y0"] - 6:g}" class="unit">{escape(frame["label"])}</text>'
    around = "" if frame["loose"] else f'<rect class="frame" x="{box["x0"]:g}" y="{box["y0"]:g}" {size} rx="4"/>'
    return around + label


def _arrow(first: dict[str, Any], second: dict[str, Any]) -> str:
    (ax, ay), (bx, by) = (drawing.border(*pair) for pair in ((first, second), (second, first)))
    return f'<line class="edge" x1="{ax:g}" y1="{ay:g}" x2="{bx:g}" y2="{by:g}" marker-end="url(#tip)"/>'


def _node(node: dict[str, Any], scale: Scale, marked: bool) -> str:
    x, y = float(node["x"]), float(node["y"])
    lines, title, style = [str(node["text"])], str(node["label"]), ""
    for theme in THEMES:
        fill, line = PLAIN[theme]
        if "at" in node:
            at, low, high = (float(node[name]) if node[name] is not None else float("nan") for name in ("at", "low", "high"))
            fill, line = scale.fill(at, low, high, theme), scale.line(at, theme)
        style += f"--fill-{theme}:{fill};--line-{theme}:{line};--ink-{theme}:{ink_on(fill)};"
    if "at" in node:
        lines.append(str(node["value"]))
        title = f"{node['label']}: {node['token']}\n{node['words']}"
    if node["kind"] in BOXES:
        size = f'width="{NODE_WIDTH:g}" height="{NODE_HEIGHT:g}"'
        shape = f'<rect x="{x - NODE_WIDTH / 2:g}" y="{y - NODE_HEIGHT / 2:g}" {size} rx="3"/>'
    else:
        shape = f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS:g}"/>'
    first = y + 4 - 7.5 * (len(lines) - 1)
    classes = ("", ' class="score"')
    texts = [f'<text x="{x:g}" y="{first + 15 * i:g}"{classes[i]}>{escape(text)}</text>' for i, text in enumerate(lines)]
    return (
        f'<g class="node{" marked" if marked else ""}" style="{style}"><title>{escape(title)}</title>{shape}{"".join(texts)}</g>'
    )
