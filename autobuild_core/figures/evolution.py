"""An evolution of a search space as charts: the cells of a layer as a stream, and its course in numbers."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from autobuild_core.figures.template import ACCENT, QUIET, SECOND, TEMPLATE, blank_figure, literal, literal_frame

BANDS = {"1": ("#4f7fb8", "#7fb4ee"), "3": ("#0f8a7e", "#3fc0b0"), "6": ("#b07d12", "#e0b050")}  # by expansion, light and dark
REFERENCE_BAND = ("#8b92a0", "#8b92a0")
CHOSEN = ("#d1490a", "#ff8a3d")
NAMES = {"light": "#4a505c", "dark": "#c4c9d4"}  # ink of names in a chart; a contrast of more than 7
LABEL_SHARE = 0.1  # height of a name as a share of the axis
OPERATION_COLOURS = {
    "none": "#a9aebb",
    "skip": "#6a7080",
    "conv 1x1": SECOND,
    "dw 3x3": ACCENT,
    "dw 5x5": "#4f7fb8",
    "dw 7x7": "#a8861d",
}


def stream_table(fitness: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """One row a generation and living cell.

    Columns: layer, generation, number, cell, mutation, fitness, share of the layer (softmax of fitness), middle of its band where
    those of smaller numbers lie below it.
    """
    whole = fitness.merge(cells[["layer", "number", "cell", "mutation"]], on=["layer", "number"])
    groups = whole.groupby(["layer", "generation"])["fitness"]
    weight = np.exp(whole["fitness"] - groups.transform("max"))
    share = weight / weight.groupby([whole["layer"], whole["generation"]]).transform("sum")
    whole = whole.assign(share=share).sort_values(["layer", "generation", "number"], ignore_index=True)
    whole["middle"] = whole.groupby(["layer", "generation"])["share"].cumsum() - whole["share"] / 2
    return whole.sort_values(["layer", "number", "generation"], ignore_index=True)


def stream_figure(table: pd.DataFrame, layers: list[int], chosen: tuple[int, int] | None, theme: str = "light") -> go.Figure:
    """The cells of layers over the generations, each a band as wide as its share of the layer.

    Args:
        table: of `stream_table`.
        layers: those that are drawn, from 1.
        chosen: (layer, number) of the cell whose band and ancestors stand out; None = none.
        theme: "light" or "dark".
    """
    tone = int(theme == "dark")
    figure = make_subplots(len(layers), 1, shared_xaxes=True, vertical_spacing=0.025)
    for row, layer in enumerate(layers, 1):
        own = table[table["layer"] == layer]
        for number, band in own.groupby("number", sort=True):
            first = band.iloc[0]
            kind = REFERENCE_BAND if first["mutation"] == "reference" else BANDS[str(first["cell"]).split("_")[0][1:]]
            is_chosen = chosen == (layer, number)
            figure.add_trace(_band(band, CHOSEN[tone] if is_chosen else kind[tone]), row, 1)
        figure.add_trace(_middles(own), row, 1)
        figure.update_yaxes(title=f"layer {layer}", range=[0, 1], showticklabels=False, showgrid=False, row=row, col=1)
    figure.update_xaxes(range=[0, max(int(table["generation"].max()), 1)], showgrid=False)
    figure.update_layout(template=TEMPLATE, height=90 + 118 * len(layers), showlegend=False, hovermode="closest")
    return figure.update_xaxes(title="generation", row=len(layers), col=1)


def _band(band: pd.DataFrame, colour: str) -> go.Scatter:
    """The band of one cell."""
    first = band.iloc[0]
    return go.Scatter(
        x=band["generation"], y=band["share"], stackgroup=f"layer {first['layer']}", stackgaps="infer zero", mode="lines",
        line={"width": 0.6, "color": "#ffffff"}, fillcolor=colour, hoverinfo="skip", name=str(first["cell"]),
    )  # fmt: skip


def _middles(own: pd.DataFrame) -> go.Scatter:
    """Invisible marks in the middle of the bands of a layer, which say what they are and can be clicked."""
    known = own[["layer", "number", "cell", "mutation", "fitness", "share"]]
    words = "<b>%{customdata[2]}</b><br>layer %{customdata[0]}, cell %{customdata[1]}: %{customdata[3]}<br>generation %{x}, "
    words += "fitness %{customdata[4]:+.2f}, %{customdata[5]:.0%} of the layer<extra></extra>"
    return go.Scatter(
        x=own["generation"], y=own["middle"], mode="markers", marker={"size": 9, "opacity": 0, "color": QUIET},
        customdata=literal_frame(known), hovertemplate=words,
    )  # fmt: skip


def course_figure(
    generations: pd.DataFrame, diversity: pd.DataFrame, operations: pd.DataFrame, budget_m: float, theme: str = "light"
) -> go.Figure:
    """Four small charts over the generations: loss, expected multiply-adds against the budget, diversity, operations.

    Args:
        generations: of `autospace.tables.generations_table`.
        diversity: of `diversity_table`.
        operations: of `operations_table`.
        budget_m: multiply-adds in millions.
        theme: "light" or "dark".
    """
    titles = (
        "loss: weights green, alpha pink",
        "expected multiply-adds (M)",
        "how much cells differ (edges)",
        "operations (% of edges)",
    )
    figure = make_subplots(1, 4, subplot_titles=titles, horizontal_spacing=0.06)
    at = generations["generation"]
    for name, words, colour in (("loss", "weights' images", ACCENT), ("alpha_loss", "alpha's images", SECOND)):
        figure.add_trace(_line(at, generations[name], words, colour), 1, 1)
    figure.add_trace(_line(at, generations["madds_m"], "expected", ACCENT), 1, 2)
    figure.add_hline(
        budget_m,
        line={"dash": "dash", "color": QUIET},
        annotation={"text": "budget", "yanchor": "bottom", "xanchor": "right"},
        row=1,
        col=2,
    )
    mean = diversity.groupby("generation", as_index=False)["distance"].mean()
    figure.add_trace(_line(mean["generation"], mean["distance"], "mean of the layers", ACCENT), 1, 3)
    for name, own in operations.groupby("operation", sort=False):
        figure.add_trace(_line(own["generation"], own["share_pct"], str(name), OPERATION_COLOURS[str(name)]), 1, 4)
    figure.add_trace(_names_at_the_end(operations).update(textfont={"color": NAMES[theme]}), 1, 4)
    figure.update_layout(template=TEMPLATE, height=250, showlegend=False)
    figure.update_annotations(font={"size": 12})
    last = int(generations["generation"].max())
    ticks = {"tickmode": "array", "tickvals": [0, last // 2, last]}
    for place, room in ((2, 1.35), (4, 1.45)):  # for the words behind the curves
        figure.update_xaxes(range=[0, last * room], **ticks, row=1, col=place)
    return figure.update_xaxes(title="generation")


def _names_at_the_end(operations: pd.DataFrame) -> go.Scatter:
    """The names of the operations behind the ends of their lines, moved up where they would touch."""
    ends = operations[operations["generation"] == operations["generation"].max()].sort_values("share_pct")
    least = LABEL_SHARE * float(operations["share_pct"].max())
    heights: list[float] = []
    for share in ends["share_pct"]:
        heights.append(max(share, heights[-1] + least) if heights else share)
    place = {"x": ends["generation"], "y": heights, "text": ends["operation"], "textposition": "middle right"}
    return go.Scatter(mode="text", hoverinfo="skip", **place)


def _line(x: pd.Series, y: pd.Series, name: str, colour: str) -> go.Scatter:
    return go.Scatter(x=x, y=y, mode="lines", name=name, line={"color": colour, "width": 2})


def fitness_figure(table: pd.DataFrame, chain: pd.DataFrame, theme: str = "light") -> go.Figure:
    """The fitness of a cell and of its ancestors over the generations.

    Args:
        table: of `stream_table`.
        chain: of `autospace.tables.lineage`.
        theme: "light" or "dark".
    """
    figure: Any = blank_figure(260, showlegend=True)
    last = int(chain["number"].iloc[-1])
    for place, one in enumerate(chain.to_dict("records")):
        own = table[(table["layer"] == one["layer"]) & (table["number"] == one["number"])]
        is_last = one["number"] == last
        line = {"width": 3 if is_last else 1.6, "color": CHOSEN[theme == "dark"] if is_last else QUIET}
        dash = {} if is_last else {"dash": ("solid", "dot", "dash", "dashdot")[place % 4]}
        figure.add_scatter(x=own["generation"], y=own["fitness"], mode="lines", name=literal(one["cell"]), line=line | dash)
    figure.update_xaxes(title="generation")
    return figure.update_yaxes(title="fitness (alpha against the layer)")
