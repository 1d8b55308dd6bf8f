"""Architectures that were built or are to be evaluated: their predictions, and the files that a reader downloads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from autobuild_core.architectures.names import layers_short, native_text
from autobuild_core.architectures.numbers import number
from autobuild_core.architectures.records import ArchTable
from autobuild_core.figures.data import histogram_figure, histogram_table
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal
from autobuild_core.search.assembly import json_lines


def candidates_table(facts: pd.DataFrame, described: Sequence[Sequence[tuple[str, Sequence[str]]]]) -> pd.DataFrame:
    """Facts about architectures, and a column a unit with its layers in short, as `layers_short` names them.

    Args:
        facts: a line an architecture; where it has predicted, low and high, the ends become "90 % interval", in words.
        described: of each, (unit label, layer tokens) of its units, as `Space.describe` gives them; a unit that is called like a
            fact gets " (unit)" behind its name.
    """
    shown = facts.reset_index(drop=True)
    if {"low", "high"} <= set(shown):
        ends = [f"{number(low)} to {number(high)}" for low, high in zip(shown["low"], shown["high"], strict=True)]
        shown.insert(shown.columns.get_loc("low"), "90 % interval", ends)
        shown = shown.drop(columns=["low", "high"])
    names = [{unit: layers_short(layers) for unit, layers in one} for one in described]
    units = pd.DataFrame(names, index=shown.index)
    return shown.join(units.rename(columns={name: f"{name} (unit)" for name in set(units) & set(shown)}))


def prediction_figure(targets: NDArray[np.float64], predicted: float, low: float, high: float, target: str) -> go.Figure:
    """Chart of a prediction and its interval among the measured architectures."""
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
    return figure.update_xaxes(title=f"predicted {literal(target)}")


def built_table(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Built architectures as a table: arch (native encoding), predicted, low, high.

    Args:
        records: from `assembly.built_records`.
    """
    rows = [{"arch": native_text(r["arch"]), **{k: r[k] for k in ("predicted", "low", "high")}} for r in records]
    return pd.DataFrame(rows, columns=["arch", "predicted", "low", "high"])


def built_files(records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Built architectures as the files a reader downloads: built.jsonl (as `build` writes it), built.csv, built.txt (native)."""
    table = built_table(records)
    return {
        "built.jsonl": json_lines(records),
        "built.csv": table.to_csv(index=False),
        "built.txt": "\n".join(table["arch"]) + "\n",
    }


def units_table(table: ArchTable, rows: NDArray[np.intp]) -> pd.DataFrame:
    """Some architectures in short: row (of the file), and a column a unit with its layers as `layers_short` names them."""
    codes, spec = np.asarray(table.codes)[rows], table.spec
    described = [[(u.label, [spec.tokens[c] for c in line[list(u.positions)] if c >= 0]) for u in spec.units] for line in codes]
    return candidates_table(pd.DataFrame({"row": np.asarray(table.source_rows)[rows]}), described)
