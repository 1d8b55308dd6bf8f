"""Template that all charts share, its colours, and the rule that text from outside stays text.

Plotly takes some HTML in every text for markup, links among it. Figures use the tags in OWN_TAGS; all else is shown as written.
"""

import re
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

ACCENT, QUIET, SECOND = "#0f8a7e", "#8b92a0", "#b4508c"
HOP_COLOURS = ("#8b92a0", "#4f7fb8", "#0f8a7e", "#a8861d", "#b4508c")
OWN_TAGS = "br", "b", "extra"
FOREIGN = re.compile(rf"<(?!/?(?:{'|'.join(OWN_TAGS)})>)")
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


def blank_figure(height: float = 300, **layout: Any) -> go.Figure:
    """A figure in the project's template, without traces.

    Args:
        height: in pixels.
        layout: what else is known of its layout: given here it is checked once.
    """
    return go.Figure(layout={"template": TEMPLATE, "height": height, "showlegend": False} | layout)


def literal(text: Any) -> str:
    """A text from outside for a place where a figure puts markup around it, or for a template of what a pointer shows."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace("%{", "%&#123;")


def literal_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A table all of whose texts are `literal`."""
    return frame.map(lambda value: literal(value) if isinstance(value, str) else value)


def shown(figure: go.Figure, ink: str) -> go.Figure:
    """A figure as a page shows it: words that stand back in an ink, no text with any markup but OWN_TAGS.

    Args:
        figure: what was drawn.
        ink: colour of ticks, titles of axes, notes without a colour of their own, and what stands beside a heat map.
    """
    raw = as_written(figure.to_plotly_json())
    layout = raw["layout"]
    for name in {"xaxis", "yaxis", *(name for name in layout if name[1:5] == "axis")}:
        _colour_words(layout.setdefault(name, {}), ink)
    for note in layout.get("annotations", ()):
        note.setdefault("font", {}).setdefault("color", ink)
    for trace in raw["data"]:
        if trace["type"] == "heatmap":
            _colour_words(trace.setdefault("colorbar", {}), ink)
    return go.Figure(raw)  # all at once: a figure updated part by part is checked anew for each


def _colour_words(scale: dict[str, Any], ink: str) -> None:
    """Ticks and title of an axis or a colour bar."""
    for words in (scale.setdefault("tickfont", {}), scale.setdefault("title", {}).setdefault("font", {})):
        words["color"] = ink


def as_written(value: Any) -> Any:
    """A figure's JSON with every tag but OWN_TAGS written out; itself where it has none."""
    if isinstance(value, str):
        return FOREIGN.sub("&lt;", value) if "<" in value else value
    if isinstance(value, dict):
        parts = {name: as_written(part) for name, part in value.items()}
        return parts if any(parts[name] is not value[name] for name in value) else value
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        known = list(value)
        shown = [as_written(part) for part in known]
        return shown if any(a is not b for a, b in zip(shown, known, strict=True)) else value
    return value
