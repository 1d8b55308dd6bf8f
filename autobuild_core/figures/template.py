"""What all charts share: the template and its colours."""

import plotly.graph_objects as go

ACCENT, QUIET, SECOND = "#0f8a7e", "#8b92a0", "#b4508c"
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
