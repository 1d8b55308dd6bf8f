"""Changes of rankings: from hop to hop (a bump chart), and from one target to another. Pairs `*_table`/`*_figure`."""

import json
import textwrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures.lens import Lens, bounds, score_words
from autobuild_core.architectures.module_table import Index
from autobuild_core.architectures.names import module_name
from autobuild_core.figures.colours import INK, PAPER, Scale
from autobuild_core.figures.template import QUIET, blank_figure, literal, literal_frame

LABEL = 25  # characters of a line beside a bump chart


def bump_table(
    modules: pd.DataFrame, index: Index, whole: pd.DataFrame, lens: Lens, minimize: bool, total: int, unit: str, num: int = 8
) -> pd.DataFrame:
    """The best modules of a place, followed from their last layer alone to all of their layers.

    At hop h a module stands with its last h + 1 layers, scored as a module of its own; one that has no more layers keeps its
    score. Modules whose last layers are the same are the same there, and stand next to each other in the order of the whole.

    Args:
        modules: the run's module table.
        index: its `module_table.module_index`.
        whole: lines of it, the modules that compete.
        lens: the question.
        minimize: smaller targets are better.
        total: number of evaluated architectures.
        unit: unit of the target, may be empty.
        num: modules followed, the best by the whole.

    Returns:
        A line a module and hop: line (0 = best by the whole), module, hop, part (the layers seen), rank among the shown,
        value, low, high, words, positions, layers, whole_unit (of the whole module). A part that was not scored is NaN.
    """
    ascending = lens.direction(minimize) < 0
    best = whole.sort_values(lens.value, ascending=ascending, kind="stable").head(num)
    deepest = max((len(json.loads(text)) for text in best["layers"]), default=0)
    lines = []
    for number, (_, module) in enumerate(best.iterrows()):
        positions, layers = json.loads(module["positions"]), json.loads(module["layers"])
        name = _short(module["positions"], module["layers"])
        for hop in range(deepest):
            seen = min(hop + 1, len(layers))
            where, tokens = json.dumps(positions[-seen:]), json.dumps(layers[-seen:])
            flags = (True, False) if seen == len(layers) and module["whole_unit"] else (False, True)
            found = next((index[key] for flag in flags if (key := (where, tokens, flag)) in index), None)
            line = {"line": number, "module": name, "hop": hop, "part": _short(where, tokens), "found": found}
            lines.append(
                line | {"positions": module["positions"], "layers": module["layers"], "whole_unit": module["whole_unit"]}
            )
    table = pd.DataFrame(lines)
    if table.empty:
        return table
    known = table["found"].notna()
    scores = modules.iloc[table.loc[known, "found"].astype(int)].set_axis(table.index[known])
    low, high = bounds(scores, lens)
    table["value"], table["low"], table["high"] = scores[lens.value], low, high
    table["words"] = pd.Series([score_words(row, lens, unit, total) for _, row in scores.iterrows()], table.index[known])
    order = table.sort_values("line", kind="stable")
    table["rank"] = order.groupby("hop")["value"].rank(method="first", ascending=ascending)
    return table.drop(columns="found")


def bump_figure(table: pd.DataFrame, scale: Scale, theme: str = "light", chosen: int | None = None) -> go.Figure:
    """Ranks from hop to hop, a line a module; dots are coloured by the score of the part that the hop sees.

    Args:
        table: from `bump_table`.
        scale: colours of the lens.
        theme: "light" or "dark".
        chosen: `line` of the module that is marked.
    """
    hops, ink = sorted(table["hop"].unique()), INK if theme == "light" else PAPER
    first = table[table["hop"] == hops[0]]
    wrapped = {name: table[name].astype(str).map(_wrapped) for name in ("part", "module")}
    beside = {"part": wrapped["part"][first.index], "module": wrapped["module"]}
    deepest = max(int(texts.str.count("<br>").max()) for texts in beside.values())
    figure, notes = blank_figure(96 + (30 + 11 * deepest) * int(table["line"].nunique())), []
    for line, own in table.groupby("line", sort=True):
        marked, known = line == chosen, own.dropna(subset="value")
        fills = [scale.fill(v, lo, hi, theme) for v, lo, hi in zip(known["value"], known["low"], known["high"], strict=True)]
        edges = [ink if marked else scale.line(v, theme) for v in known["value"]]
        figure.add_scatter(
            x=known["hop"], y=known["rank"], mode="lines+markers", customdata=literal_frame(known[["part", "words"]]),
            line={"color": ink if marked else QUIET, "width": 4 if marked else 1.8, "shape": "spline", "smoothing": 0.6},
            marker={"size": 16 if marked else 13, "color": fills, "line": {"color": edges, "width": 2 if marked else 1.4}},
            hovertemplate="hop %{x}, rank %{y}: %{customdata[0]}<br>%{customdata[1]}<extra></extra>",
            selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}}, cliponaxis=False,
        )  # fmt: skip
        for row, side, shift, name in ((own.iloc[0], "right", -14, "part"), (own.iloc[-1], "left", 14, "module")):
            if np.isfinite(row["rank"]):
                label = wrapped[name][row.name]
                text = f"{label}  {row['rank']:.0f}" if side == "right" else f"{row['rank']:.0f}  {label}"
                note = {"x": row["hop"], "y": row["rank"], "text": f"<b>{text}</b>" if marked else text, "showarrow": False}
                notes.append(note | {"xanchor": side, "xshift": shift, "align": side, "font": {"color": ink}})
    names = [f"hop {hop}<br>{hop + 1} layer{'s' if hop else ''}" for hop in hops]
    ends = [-0.12, max(hops) + 0.12]
    figure.update_xaxes(
        tickvals=hops, ticktext=names, side="top", showgrid=False, range=ends, title="", tickangle=0, automargin=False
    )
    figure.update_yaxes(autorange="reversed", visible=False)
    longest = [int(texts.str.split("<br>").explode().str.len().max()) for texts in beside.values()]
    widths = [int(6.2 * characters) + 30 for characters in longest]
    return figure.update_layout(annotations=notes, margin={"t": 60, "b": 12, "l": min(widths[0], 170), "r": min(widths[1], 190)})


def _wrapped(name: str) -> str:
    """A long name in lines of LABEL characters, broken between words."""
    lines = textwrap.wrap(name, LABEL, break_long_words=False, break_on_hyphens=False) or [name]
    return "<br>".join(map(literal, lines))


def _short(positions: str, layers: str) -> str:
    """A module's name with its place inside the unit: "L1 to L3: 3 x e6 k5" of "stage1"."""
    places = json.loads(positions)
    alike = len({place.rpartition(".")[0] for place in places}) == 1
    return module_name(json.dumps([place.rpartition(".")[2] for place in places]) if alike else positions, layers)


def targets_table(both: pd.DataFrame) -> pd.DataFrame:
    """Changes from one target to another, a line a unit.

    Args:
        both: from `comparing.two_targets`.

    Returns:
        unit, best_first, best_second (names of the best modules), rank_under_second (of the first's best), rank_under_first (of
        the second's best), num_modules, agreement (Spearman correlation of the two rankings).
    """
    lines = []
    for _, unit in both.groupby("unit_index", sort=True):
        one, two = unit.loc[unit["first_rank"].idxmin()], unit.loc[unit["second_rank"].idxmin()]
        ranks = unit["first_rank"].rank(), unit["second_rank"].rank()
        agreement = float(np.corrcoef(*ranks)[0, 1]) if len(unit) > 1 else 1.0
        lines.append(
            {
                "unit": one["unit"],
                "best_first": module_name(one["positions"], one["layers"], False),
                "best_second": module_name(two["positions"], two["layers"], False),
                "rank_under_second": int(one["second_rank"]),
                "rank_under_first": int(two["first_rank"]),
                "num_modules": len(unit),
                "agreement": agreement,
            }
        )
    return pd.DataFrame(lines)
