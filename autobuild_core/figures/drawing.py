"""An architecture as a graph: layers as boxes in data-flow order, units as frames around them, coloured by score.

States, such as a cell's sums, are circles, coloured by their whole unit. Units that stand apart are cards without arrows.

The layout is fixed by the topology of the space, so that two architectures and two hops of one are laid out alike.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures.layout import INPUT, NODE_HEIGHT, NODE_WIDTH, RADIUS
from autobuild_core.architectures.lens import Lens, bounds, score_words, short_values
from autobuild_core.architectures.module_table import Index
from autobuild_core.architectures.names import block_name
from autobuild_core.architectures.numbers import rounded, with_unit
from autobuild_core.architectures.ranges import range_of, shown_layer
from autobuild_core.architectures.records import Codes, SpaceSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.figures.colours import Scale, ink_on
from autobuild_core.figures.template import blank_figure, literal, literal_frame

LONGEST_NAME = 14  # letters of a name over a card
BOXES = ("layer", "operation")  # kinds of nodes that are boxes; others are circles
COLUMNS = ["position", "label", "token", "unit", "text", "x", "y", "kind", "after", "loose"]
PLAIN = {"light": ("#eceef2", "#9aa0ad"), "dark": ("#262b36", "#6b7280")}


def architecture_table(spec: SpaceSpec, row: Codes) -> pd.DataFrame:
    """The layers of an architecture and where they are drawn.

    Args:
        spec: its space.
        row: (num_positions,) codes.

    Returns:
        One line a node, upstream first: position, label, token, unit, text, x, y (centre, pixels, y down), kind (of `Place`),
        after (labels of the nodes whose arrows lead to it), loose (a card of a set).
    """
    topology, block = topology_of(spec), block_name(spec.tokens)
    rows: list[dict[str, Any]] = []
    for place in topology.layout(row):
        index, label = topology.node_units[place.node], topology.node_labels[place.node]
        unit, apart = spec.units[index].label, topology.apart(index)
        token, text = "sum of what enters", unit
        if place.node < spec.num_positions:
            token = spec.tokens[row[place.node]]
            text = short_token(token.removeprefix(f"{unit}=") if apart else token, "" if apart else block)
        name = {"position": place.node, "label": label, "token": token, "unit": unit, "text": text}
        rows.append(name | {"x": place.x, "y": place.y, "kind": place.kind, "after": list(place.after), "loose": apart})
    return pd.DataFrame(rows, columns=COLUMNS)


def node_scores(modules: pd.DataFrame, index: Index, spec: SpaceSpec, row: Codes, hop: int) -> pd.DataFrame:
    """The module that ends at each layer of an architecture and reaches back `hop` layers, with its scores.

    Near the input, and where so long a module was not scored, they are shorter; see `Topology.endings`. Of several that end
    at a node that which is farthest from the average architecture is shown.

    Args:
        modules: the run's module table.
        index: its `module_table.module_index`.
        spec: the search space.
        row: (num_positions,) codes.
        hop: number of layers that a module reaches back.

    Returns:
        One line a node that was scored: position, module_positions, module_layers, num_layers, the columns of `modules`.
    """
    found = node_lines(modules, index, spec, row, hop)
    lines = [line for _, line, _ in found]
    scores = modules.iloc[lines].reset_index(drop=True).drop(columns=["unit"])
    scores = scores.rename(columns={"positions": "module_positions", "layers": "module_layers"})
    places = pd.DataFrame([(position, length) for position, _, length in found], columns=["position", "num_layers"])
    return pd.concat([places, scores], axis=1)


def node_lines(modules: pd.DataFrame, index: Index, spec: SpaceSpec, row: Codes, hop: int) -> list[tuple[int, int, int]]:
    """As `node_scores`, without the scores: (position, line of the module table, number of layers) of each node with a module."""
    found = []
    for node, lists in topology_of(spec).endings(row, hop):
        for endings in lists:
            lines = [(line_of(index, spec, row, positions, whole), len(positions)) for positions, whole in endings]
            known = [(line, length) for line, length in lines if line is not None]
            if known:
                best = known[0] if len(known) == 1 else max((_apart(modules, line), line, length) for line, length in known)[1:]
                found.append((node, *best))
                break
    return found


def _apart(modules: pd.DataFrame, line: int) -> float:
    """Distance of a module from the average architecture, in target units."""
    return abs(float(modules["effect"].iloc[line]))


def line_of(index: Index, spec: SpaceSpec, row: Codes, positions: Sequence[int], whole: bool) -> int | None:
    """Line of the module at these positions, as a whole unit or not; None where it was not scored.

    A number is found by its range.
    """
    places = json.dumps([spec.position_labels[p] for p in positions])
    layers = json.dumps([spec.tokens[row[p]] for p in positions])
    if len(positions) == 1 and range_of(spec, int(row[positions[0]])):
        shown = json.dumps([shown_layer(spec, int(row[positions[0]]))])
        layers = shown if (places, shown, True) in index or (places, shown, False) in index else layers  # older runs: no ranges
    return index.get((places, layers, whole))


def unit_line(index: Index, spec: SpaceSpec, row: Codes, positions: list[int], whole: bool) -> int | None:
    """Line of the module at some last layers of a unit, as a whole unit or not, or where that was not scored the other way."""
    line = line_of(index, spec, row, positions, whole)
    return line_of(index, spec, row, positions, not whole) if line is None else line


def coloured(nodes: pd.DataFrame, scores: pd.DataFrame, scale: Scale, unit: str, theme: str = "light") -> pd.DataFrame:
    """The drawing table with the score of each layer's module: fill, outline, ink, value, words.

    Args:
        nodes: what `architecture_table` made.
        scores: `node_scores` of the same architecture.
        scale: the run's scale for a lens.
        unit: unit of the target.
        theme: "light" or "dark".
    """
    both = nodes.merge(scores.drop(columns=["label", "token", "unit"], errors="ignore"), on="position", how="left")
    low, high = bounds(both, scale.lens)
    values = list(zip(both[scale.lens.value], low, high, strict=True))
    both["fill"] = [scale.fill(v, lo, hi, theme) for v, lo, hi in values]
    both["outline"] = [scale.line(v, theme) for v, _, _ in values]
    both["ink"] = [ink_on(fill) for fill in both["fill"]]
    both["value"] = short_values(both, scale.lens)
    both["words"] = [score_words(line, scale.lens, unit) for _, line in both.iterrows()]
    return both


def architecture_figure(table: pd.DataFrame, theme: str = "light") -> go.Figure:
    """A still drawing of an architecture; coloured where the table has scores.

    Args:
        table: from `architecture_table`, or `coloured`.
        theme: "light" or "dark".
    """
    fill, outline = PLAIN[theme]
    shapes, notes = [], []  # handed over at once: adding them one by one takes a second
    for frame in frames(table):
        if not frame["loose"]:
            drawn = {"type": "rect", "line": {"width": 1, "color": outline}, "opacity": 0.55, "layer": "below"}
            shapes.append(drawn | frame["box"])
        note = {"x": frame["x"], "y": frame["box"]["y0"], "text": literal(frame["label"]), "yanchor": "bottom", "yshift": 1}
        notes.append(note | {"showarrow": False})
    nodes = drawn_nodes(table)
    by_label = {str(node["label"]): node for node in nodes}
    line = {"arrowcolor": outline, "arrowwidth": 1.4, "arrowhead": 2, "arrowsize": 0.9, "text": ""}
    free = placed_freely(table)
    arrow = _straight_arrow if free else _arrow
    notes += [arrow(by_label[before], node) | line for node in nodes for before in node["after"]]
    for node in nodes:
        own = node.get("fill", fill)
        line = {"color": node.get("outline", outline), "width": 1.5}
        shapes.append({"type": "rect" if node["kind"] in BOXES else "circle", "fillcolor": own, "line": line} | _box(node))
        text = literal(node["text"]) + (f"<br><b>{literal(node['value'])}</b>" if "value" in node else "")
        font = {"color": ink_on(own), "size": 11}
        notes.append({"x": node["x"], "y": node["y"], "text": text, "showarrow": False, "font": font})
    said = literal_frame(table[[name for name in ("label", "token", "words") if name in table]])
    hover = said["label"] + ": " + said["token"] + ("<br>" + said["words"] if "words" in said else "")
    marker = {"size": 34, "opacity": 0}
    height = table["y"].max() - table["y"].min() + NODE_HEIGHT + 60
    left = min(node["x"] for node in nodes)
    across = {"visible": False, "range": [left - 78, table["x"].max() + 78], "fixedrange": True}
    down = {"visible": False, "range": [table["y"].max() + 40, table["y"].min() - 58], "fixedrange": True}
    if free:  # circles stay round
        across, down = across | {"constrain": "domain"}, down | {"scaleanchor": "x", "constrain": "domain"}
    margin = {"l": 0, "r": 0, "t": 0, "b": 0}
    figure = blank_figure(min(float(height), 640.0), margin=margin, shapes=shapes, annotations=notes, xaxis=across, yaxis=down)
    return figure.add_scatter(x=table["x"], y=table["y"], mode="markers", marker=marker, text=hover, hoverinfo="text")


def placed_freely(table: pd.DataFrame) -> bool:
    """Whether the nodes of a drawing table stand where data flow puts them, with straight arrows, and not in columns."""
    return bool((table["kind"] != "layer").any())


def drawn_nodes(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The nodes to draw; before those of a graph with an input that, which is none of the table's and has no score."""
    nodes: list[dict[str, Any]] = table.to_dict("records")
    if not any(INPUT in node["after"] for node in nodes):
        return nodes
    return [{"label": INPUT, "text": INPUT, "x": 0.0, "y": 0.0, "kind": "input", "after": []}, *nodes]


def frames(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The frame around each unit: label, x of its middle, box {x0, x1, y0, y1}, loose.

    A unit with a state is named in its circle.
    """
    found = []
    for label, part in table.groupby("unit", sort=False):
        left, right, top, bottom = (float(v) for v in (part["x"].min(), part["x"].max(), part["y"].min(), part["y"].max()))
        loose, named = bool(part["loose"].iloc[0]), bool((part["kind"] == "sum").any())
        around = 2 if loose else 10
        half = NODE_WIDTH / 2 + around
        ends = {"x0": left - half, "x1": right + (RADIUS + 10 if named else half)}
        box = ends | {"y0": top - NODE_HEIGHT / 2 - around, "y1": bottom + NODE_HEIGHT / 2 + around}
        name = "" if named else shortened(str(label), LONGEST_NAME) if loose else str(label)
        found.append({"label": name, "x": (left + right) / 2, "box": box, "loose": loose})
    return found


def legend(scale: Scale, theme: str = "light") -> dict[str, Any]:
    """The colour legend: stops from the smaller to the larger end, and three labels in the lens's unit."""
    low, high = scale.ends
    worse_first = scale.worse < scale.better
    form = "{:.0%}".format if scale.lens is Lens.GOOD else rounded
    names = ("worse", "better") if worse_first else ("better", "worse")
    return {
        "title": scale.lens.label,
        "stops": [str(stop[1]) for stop in scale.plotly(theme)],
        "centre": (scale.centre - low) / (high - low),
        "labels": [
            f"{names[0]}: {form(low)}",
            f"average {form(scale.centre)}",
            f"{names[1]}: {with_unit(form(high), scale.unit)}",
        ],
    }


def short_token(token: str, block: str = "") -> str:
    """A token as it fits in a box: "mbconv3_e4_k5" -> "e4 k5" where every layer is an mbconv3; cut with an ellipsis."""
    return shortened(token.removeprefix(block).replace("_", " "), 16)


def shortened(text: str, most: int) -> str:
    """A text of at most so many letters, cut with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _box(node: dict[str, Any]) -> dict[str, float]:
    """The corners of a node, or of the square around its circle."""
    x, y = node["x"], node["y"]
    width, height = (NODE_WIDTH / 2, NODE_HEIGHT / 2) if node["kind"] in BOXES else (RADIUS, RADIUS)
    return {"x0": x - width, "x1": x + width, "y0": y - height, "y1": y + height}


def _straight_arrow(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """A straight arrow from border to border, in Plotly's annotation form."""
    (ax, ay), (x, y) = (border(*pair) for pair in ((first, second), (second, first)))
    return {"axref": "x", "ayref": "y", "showarrow": True, "ax": ax, "ay": ay, "x": x, "y": y}


def _arrow(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """From the edge of one box to the edge of the next, in Plotly's annotation form."""
    points = {"axref": "x", "ayref": "y", "showarrow": True}
    if first["x"] == second["x"]:
        down = NODE_HEIGHT / 2
        return points | {"ax": first["x"], "ay": first["y"] + down, "x": second["x"], "y": second["y"] - down}
    if second["x"] > first["x"]:
        side = NODE_WIDTH / 2
        return points | {"ax": first["x"] + side, "ay": first["y"], "x": second["x"] - side, "y": second["y"]}
    down = NODE_HEIGHT / 2
    return points | {"ax": first["x"], "ay": first["y"] + down, "x": second["x"], "y": second["y"] - down - 30}


def border(node: dict[str, Any], toward: dict[str, Any]) -> tuple[float, float]:
    """Point where the line between two nodes' centres leaves the first: a box, or the circle of a state or input."""
    dx, dy = toward["x"] - node["x"], toward["y"] - node["y"]
    if node["kind"] in BOXES:
        share = min(NODE_WIDTH / 2 / abs(dx) if dx else math.inf, NODE_HEIGHT / 2 / abs(dy) if dy else math.inf)
    else:
        share = RADIUS / max(math.hypot(dx, dy), 1e-9)
    return node["x"] + dx * share, node["y"] + dy * share
