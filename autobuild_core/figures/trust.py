"""Figures of the trust report and of what stands beside the scores: pairs `*_table`/`*_figure`, and its sentences."""

import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures.lens import Lens, bounds
from autobuild_core.architectures.names import module_name
from autobuild_core.architectures.numbers import amount, number
from autobuild_core.figures.colours import ANCHORS, colour
from autobuild_core.figures.template import ACCENT, QUIET, SECOND, blank_figure, literal, literal_frame
from autobuild_core.store.quality import Quality
from autobuild_core.trust.findings import TrustReport, UnitFinding

# Sentences


def headline(quality: Quality) -> str:
    """The verdict's reason in one line."""
    return str(quality["verdict_why"])[:1].upper() + str(quality["verdict_why"])[1:]


def meaning(report: TrustReport) -> str:
    """Average effects or associations: what the scores are, given where the data come from."""
    data = report.data
    if data.kind == "search log":
        return (
            "Associations: the data look like the log of a search, which keeps near what was good. A module's score is what goes "
            "with it in the architectures that were visited; how it would do anywhere else in the space is extrapolated."
        )
    of = "hold the whole space" if data.kind == "whole space" else "look like a uniform sample of the space"
    return f"Average effects: the data {of}, so a module's score is what it does on average, whatever the rest is."


def best_sentence(unit: UnitFinding) -> str:
    """Certainty about the best module of a unit: its probability, and how many others a joint test leaves in.

    The probability is a share of draws, the test holds for all differences to the best at once (`trust.best_of`), which is more
    cautious: a module may be unlikely to be the best and yet not be ruled out. The words say which is which.
    """
    left, of = unit.num_alike - 1, unit.num_modules
    rest = "rules out all others" if left == 0 else f"does not rule out {left} {'other' if left == 1 else 'others'}"
    return f"the best of {of:,} with probability {unit.prob_best:.0%}; a joint test of all {of:,} at 90 % {rest}"


def module_sentence(best: pd.DataFrame, positions: str, layers: str) -> str:
    """The report's sentence on a whole-unit module; "" where it is none or was not among the contenders."""
    found = best[(best["positions"] == positions) & (best["layers"] == layers)]
    if found.empty:
        return ""
    line = found.iloc[0]
    return f"by the average the best of its unit with probability {line['prob_best']:.0%}"


def noise_sentence(report: TrustReport, unit: str) -> str:
    """Label noise and its ceiling in words."""
    noise = report.noise
    if noise.noise_sd is None or noise.ceiling is None:
        return "Not known: no architecture was measured twice. A second seed for a few architectures would tell."
    spread = amount(noise.noise_sd, unit)
    return (
        f"From {noise.source} of {noise.num:,} networks: a label is off by {spread} (standard deviation). Even a perfect "
        f"predictor would reach a rank correlation of about {noise.ceiling:.2f} with such labels; "
        f"this one has {report.srcc.value:.2f}."
    )


def cost_sentence(report: TrustReport) -> str:
    """Sentence on how much of the importance is just size."""
    cost = report.cost
    if cost.agreement is None:
        return f"Not known: {cost.why_not or 'no unit has modules of different cost'}."
    words = "mostly just size" if cost.agreement > 0.85 else "partly just size" if cost.agreement > 0.5 else "not just size"
    agree = f"scores agree at {cost.agreement:.2f} with those of {cost.metric} alone"
    return f"{words[:1].upper()}{words[1:]}: within units, {agree}."


def permutation_sentence(report: TrustReport) -> str:
    """The label-permutation check in words."""
    check = report.permutation
    if not check:
        return "Not made."
    left = check.spread / max(check.real_spread, 1e-12)
    outcome = "Passed" if check.passed else "Failed"
    return (
        f"{outcome}: trained on permuted labels of {check.num_networks:,} networks, the held-out rank correlation is "
        f"{check.srcc:+.2f} (chance stays below {check.limit:.2f}) and the spread of scores {left:.0%} of the real one."
    )


def data_sentence(report: TrustReport) -> str:
    """Sentence on where the data lie in the space, in numbers."""
    data = report.data
    return (
        f"The data look like a {data.kind}: layers are chosen {data.effective_share:.0%} as variedly as uniformly, "
        f"{data.never_seen:.0%} of the layer choices were never evaluated, and a random architecture differs from the nearest "
        f"evaluated one at {data.distance:.0%} of the positions "
        f"({data.uniform_distance:.0%} for a uniform sample as large)."
    )


# Held-out order


def srcc_table(report: TrustReport) -> pd.DataFrame:
    """Held-out SRCC of AutoBuild and of the baselines on the same folds: what, srcc, low, high, ceiling."""
    lines = [{"what": "AutoBuild", "srcc": report.srcc.value, "low": report.srcc.low, "high": report.srcc.high}]
    lines += [{"what": b.title, "srcc": b.srcc, "low": b.low, "high": b.high} for b in report.baselines]
    ceiling = report.noise.ceiling
    return pd.DataFrame(lines).assign(ceiling=np.nan if ceiling is None else float(ceiling))


def srcc_figure(table: pd.DataFrame) -> go.Figure:
    """Rank correlations as dots with intervals; the ceiling of label noise as a line."""
    figure = blank_figure(84 + 30 * len(table))
    colours = [ACCENT, *[QUIET] * (len(table) - 1)]
    error = {
        "type": "data",
        "symmetric": False,
        "array": table["high"] - table["srcc"],
        "thickness": 2,
        "width": 0,
        "color": QUIET,
    }
    error["arrayminus"] = table["srcc"] - table["low"]
    hover = "%{y} (%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>"
    names = [f"{what}  {value:.3f}" for what, value in zip(table["what"], table["srcc"], strict=True)]
    marker, custom = {"size": 11, "color": colours}, table[["low", "high"]]
    figure.add_scatter(
        x=table["srcc"], y=names, mode="markers", marker=marker, error_x=error, customdata=custom, hovertemplate=hover
    )
    ceiling = float(table["ceiling"].iloc[0])
    if np.isfinite(ceiling):
        figure.add_vline(x=ceiling, line={"color": SECOND, "dash": "dash", "width": 1.5})
        note = {"text": f"ceiling of label noise {ceiling:.2f}", "showarrow": False, "yref": "paper", "yanchor": "bottom"}
        figure.add_annotation(x=ceiling, y=1, xanchor="right", font={"color": SECOND}, **note)
    low = min(float(table["low"].min()), float(table["srcc"].min()))
    figure.update_yaxes(autorange="reversed").update_xaxes(title="held-out SRCC", range=[min(low - 0.05, 0.9), 1.02])
    return figure.update_layout(margin={"t": 30})


def calibration_figure(table: pd.DataFrame, target: str) -> go.Figure:
    """Predicted against measured, bin by bin, with the diagonal; the label is how many of a bin lie in their 90 % interval."""
    figure = blank_figure(300)
    ends = [
        float(min(table["predicted"].min(), table["measured"].min())),
        float(max(table["predicted"].max(), table["measured"].max())),
    ]
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": QUIET, "dash": "dash"}, hoverinfo="skip")
    error = {"type": "data", "symmetric": False, "array": table["measured_high"] - table["measured"], "width": 0, "color": QUIET}
    error["arrayminus"] = table["measured"] - table["measured_low"]
    hover = "predicted %{x:.4g}, measured %{y:.4g}<br>%{customdata[0]} architectures, "
    hover += "%{customdata[1]:.0%} in their interval<extra></extra>"
    figure.add_scatter(
        x=table["predicted"], y=table["measured"], mode="markers+text", marker={"size": 9, "color": ACCENT}, error_y=error,
        text=[f"{c:.0%}" for c in table["coverage"]], textposition="top left", textfont={"size": 11},
        customdata=table[["num", "coverage"]], hovertemplate=hover, cliponaxis=False,
    )  # fmt: skip
    return figure.update_xaxes(title=f"predicted, held out: {literal(target)}").update_yaxes(title="measured, mean of the bin")


def contenders_table(best: pd.DataFrame, report: TrustReport, num: int = 4) -> pd.DataFrame:
    """The most likely best modules of each unit.

    Returns:
        unit, module, rank (by the average), prob_best, share_of_members, bootstrap_share (where the run has it), cannot_be_told
        (from the first by the average), num_evaluated.
    """
    labels = {unit.unit_index: unit.unit for unit in report.units}
    top = best.sort_values(["unit_index", "prob_best"], ascending=[True, False], kind="stable").groupby("unit_index").head(num)
    out = pd.DataFrame({"unit": top["unit_index"].map(labels)})
    out["module"] = [module_name(p, m, False) for p, m in zip(top["positions"], top["layers"], strict=True)]
    columns = ["rank", "prob_best", "share_of_members", "bootstrap_share", "cannot_be_told", "num_evaluated"]
    return out.join(top[top.columns.intersection(columns)]).reset_index(drop=True)


def contenders_figure(table: pd.DataFrame) -> go.Figure:
    """Probability of being the best of its unit, the likeliest modules of every unit; accented is each unit's likeliest."""
    figure = blank_figure(70 + 23 * len(table))
    names = [literal(f"{u}: {m}") for u, m in zip(table["unit"], table["module"], strict=True)]
    likeliest = table["unit"].ne(table["unit"].shift()).to_numpy(bool)
    left = np.where(table["cannot_be_told"].to_numpy(bool), "not ruled out", "ruled out")
    shares = [table[c].map("{:.0%}".format) for c in ("share_of_members", "bootstrap_share") if c in table]
    stable = "; in %{customdata[3]} of bootstraps" if len(shares) == 2 else ""
    figure.add_bar(
        x=table["prob_best"], y=list(range(len(names))), orientation="h",
        marker={"color": [ACCENT if first else QUIET for first in likeliest]}, text=[f"{p:.0%}" for p in table["prob_best"]],
        textposition="outside", cliponaxis=False, customdata=np.stack([names, left, *shares], 1),
        hovertemplate="%{customdata[0]}<br>best with probability %{x:.0%}; first with %{customdata[2]} of members" + stable
        + "<br>%{customdata[1]} by a joint test of all at 90 %<extra></extra>",
    )  # fmt: skip
    firsts = np.flatnonzero(table["unit"].ne(table["unit"].shift()))[1:]
    figure.update_layout(shapes=[_divider(float(i) - 0.5) for i in firsts])
    figure.update_yaxes(autorange="reversed", tickvals=list(range(len(names))), ticktext=names, showgrid=False)
    return figure.update_xaxes(title="probability of being the best of its unit", range=[0, 1.08], tickformat=".0%")


def _divider(y: float) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"color": QUIET, "width": 1, "dash": "dot"},
    }


def evidence_table(report: TrustReport) -> pd.DataFrame:
    """A line a unit: its best module, how sure, and how much of it was evaluated."""
    lines = []
    for unit in report.units:
        share = unit.bootstrap_share
        line: dict[str, Any] = {"unit": unit.unit, "best module": module_name(unit.positions, unit.layers, False)}
        line |= {"probability": f"{unit.prob_best:.0%}", "first with members": f"{unit.share_of_members:.0%}"}
        line["first in bootstraps"] = "not known" if share is None or np.isnan(share) else f"{share:.0%}"
        line |= {"not ruled out": unit.num_alike, "modules": unit.num_modules}
        lines.append(
            line | {"ever evaluated": f"{unit.num_seen / max(unit.num_modules, 1):.0%}", "best seen in": unit.num_evaluated}
        )
    return pd.DataFrame(lines)


def overlap_figure(positions: pd.DataFrame) -> go.Figure:
    """Effective number of layers evaluated at each position, against a uniform sample's."""
    figure = blank_figure(240)
    positions = literal_frame(positions)
    custom = positions[["never_seen", "num_layers"]]
    hover = "%{x}: as varied as %{y:.1f} layers<br>%{customdata[0]} of %{customdata[1]} never evaluated<extra></extra>"
    figure.add_bar(
        x=positions["position"], y=positions["effective_layers"], marker_color=ACCENT, customdata=custom, hovertemplate=hover
    )
    figure.add_scatter(
        x=positions["position"], y=positions["uniform_layers"], mode="markers", hoverinfo="skip",
        marker={"symbol": "line-ew", "size": 16, "line": {"width": 2, "color": QUIET}},
    )  # fmt: skip
    return figure.update_yaxes(title="effective number of layers", rangemode="tozero").update_xaxes(
        title="position (line: uniform sample)"
    )


# Interactions


def interactions_table(interactions: pd.DataFrame, kind: str, num: int = 12) -> pd.DataFrame:
    """The strongest pairs of a kind whose interval leaves out zero first, else the strongest: pair, value, low, high."""
    own = interactions[interactions["kind"] == kind]
    sure = (own["low"] > 0) | (own["high"] < 0)
    shown = pd.concat([own[sure], own[~sure]]).head(num)
    sides = [
        [
            f"{place}: {module_name(json.dumps([place]), module, False)}"
            for place, module in zip(shown[s], shown[f"{s}_module"], strict=True)
        ]
        for s in ("first", "second")
    ]
    pairs = [f"{a} with {b}" for a, b in zip(*sides, strict=True)]
    return pd.DataFrame({"pair": pairs, "value": shown["value"], "low": shown["low"], "high": shown["high"]}).reset_index(
        drop=True
    )


def interactions_heat_table(interactions: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Places by places: the strongest second difference of every pair, symmetric; NaN where it was not looked at."""
    own = interactions[interactions["kind"] == kind]
    places = list(dict.fromkeys([*own["first"], *own["second"]]))
    strongest = own.loc[own.groupby(["first", "second"])["value"].apply(lambda v: v.abs().idxmax())] if len(own) else own
    grid = pd.DataFrame(np.nan, index=places, columns=places)
    for first, second, value in zip(strongest["first"], strongest["second"], strongest["value"], strict=True):
        grid.loc[first, second] = grid.loc[second, first] = value
    order = sorted(places)
    return grid.loc[order, order]


def interactions_heat_figure(grid: pd.DataFrame, minimize: bool, unit: str, theme: str = "light") -> go.Figure:
    """The strongest second difference of every pair of places: orange where together is better than the sum, violet worse."""
    figure, unit = blank_figure(max(150 + 30 * len(grid), 260)), literal(unit)
    reach = float(np.nanmax(np.abs(grid.to_numpy()))) if np.isfinite(grid.to_numpy()).any() else 1.0
    columns, rows = ([literal(name) for name in names] for names in (grid.columns, grid.index))
    steps = np.linspace(-1, 1, len(ANCHORS[theme]) * 4 + 1)
    scale = [[(s + 1) / 2, colour(-s if minimize else s, theme)] for s in steps]
    bar = {
        "title": {"text": f"together beyond the sum ({unit})" if unit else "together beyond the sum", "side": "right"},
        "thickness": 12,
    }
    figure.add_heatmap(
        z=grid.to_numpy(), x=columns, y=rows, zmin=-reach, zmax=reach, colorscale=scale, xgap=2, ygap=2,
        colorbar=bar, hovertemplate="%{y} with %{x}: %{z:+.3g}<extra></extra>", hoverongaps=False,
    )  # fmt: skip
    return figure.update_yaxes(autorange="reversed", showgrid=False, type="category").update_xaxes(
        showgrid=False, type="category"
    )


def interactions_figure(table: pd.DataFrame, minimize: bool, unit: str, theme: str = "light") -> go.Figure:
    """The strongest pairs as dots with intervals; zero is no interaction."""
    table, unit, figure = literal_frame(table), literal(unit), blank_figure(80 + 26 * len(table))
    reach = max(float(table["value"].abs().max()), 1e-12)
    fills = [colour((-v if minimize else v) / reach, theme) for v in table["value"]]
    error = {
        "type": "data",
        "symmetric": False,
        "array": table["high"] - table["value"],
        "thickness": 2,
        "width": 0,
        "color": QUIET,
    }
    error["arrayminus"] = table["value"] - table["low"]
    hover = "%{y}<br>%{x:+.3g} (%{customdata[0]:+.3g} to %{customdata[1]:+.3g})<extra></extra>"
    marker = {"size": 11, "color": fills, "line": {"width": 1, "color": QUIET}}
    figure.add_scatter(
        x=table["value"],
        y=table["pair"],
        mode="markers",
        marker=marker,
        error_x=error,
        customdata=table[["low", "high"]],
        hovertemplate=hover,
    )
    figure.add_vline(x=0, line={"color": QUIET, "dash": "dash", "width": 1.5})
    title = f"together beyond the sum of both ({unit})" if unit else "together beyond the sum of both"
    return figure.update_yaxes(autorange="reversed").update_xaxes(title=title)


# Rankings side by side


def slopes_shown(table: pd.DataFrame, unit_index: int, num: int = 8) -> pd.DataFrame:
    """The modules of a unit that lead under either of two targets, from `comparing.two_targets`."""
    own = table[table["unit_index"] == unit_index]
    shown = own[(own["first_rank"] <= num) | (own["second_rank"] <= num)].reset_index(drop=True)
    return shown.assign(module=[module_name(p, m, False) for p, m in zip(shown["positions"], shown["layers"], strict=True)])


def slopes_figure(table: pd.DataFrame, first: str, second: str) -> go.Figure:
    """Ranks under two targets, a line a module; what rises is accented, what falls is plain."""
    table, figure = literal_frame(table), blank_figure(90 + 24 * len(table))
    ranks, notes = [table[name].rank(method="first") for name in ("first_rank", "second_rank")], []
    for place, line in table.reset_index(drop=True).iterrows():
        gained = int(line["change"])
        shade = ACCENT if gained > 0 else SECOND if gained < 0 else QUIET
        ends = [float(r.iloc[place]) for r in ranks]
        hover = f"{line['module']}: rank {line['first_rank']} and {line['second_rank']}<extra></extra>"
        figure.add_scatter(
            x=[0, 1], y=ends, mode="lines+markers", line={"color": shade, "width": 2}, marker={"size": 8}, hovertemplate=hover
        )
        for x, end, rank, anchor in ((0, ends[0], line["first_rank"], "right"), (1, ends[1], line["second_rank"], "left")):
            text = f"{line['module']}  {rank}" if x == 0 else f"{rank}  {line['module']}"
            note = {"x": x, "y": end, "text": text, "xanchor": anchor, "xshift": -8 if x == 0 else 8}
            notes.append(note | {"showarrow": False})
    for x, name in ((0, first), (1, second)):
        note = {"x": x, "y": 1, "yref": "paper", "yanchor": "bottom", "text": f"<b>{literal(name[:44])}</b>"}
        notes.append(note | {"showarrow": False})
    figure.update_xaxes(visible=False, range=[-0.95, 1.95], fixedrange=True)
    margin = {"t": 40, "b": 10, "l": 8, "r": 8}
    return figure.update_yaxes(visible=False, autorange="reversed").update_layout(annotations=notes, margin=margin)


def scorers_table(best: pd.DataFrame, labels: dict[int, str]) -> pd.DataFrame:
    """Each scorer's best module, a line a scorer and a column a unit; a mark where it is AutoBuild's too.

    Args:
        best: from `comparing.best_by_scorer`.
        labels: unit index -> label.
    """
    names = [module_name(p, m, False) for p, m in zip(best["positions"], best["layers"], strict=True)]
    text = [
        n if agrees else f"{n} (ours: rank {rank:.0f})"
        for n, agrees, rank in zip(names, best["agrees"], best["rank_of_ours"], strict=True)
    ]
    frame = pd.DataFrame({"scorer": best["title"], "unit": best["unit_index"].map(labels), "best": text})
    wide = frame.pivot(index="scorer", columns="unit", values="best").reindex(columns=list(labels.values()))
    order = ["AutoBuild", *[name for name in wide.index if name != "AutoBuild"]]
    return wide.loc[order].reset_index().rename_axis(columns=None)


def disagreement_sentence(best: pd.DataFrame, labels: dict[int, str]) -> str:
    """Which units' best module the scorers disagree on; "" where all agree."""
    others = best[best["scorer"] != "autobuild"]
    agreed = others.groupby("unit_index")["agrees"].agg(["sum", "size"])
    split = agreed[agreed["sum"] < agreed["size"]]
    if split.empty:
        return ""
    parts = [f"{labels[int(index)]} ({row['sum']} of {row['size']} agree)" for index, row in split.iterrows()]
    return f"The scorers disagree with AutoBuild's best module of {', '.join(parts)}."


def scorer_ranking(table: pd.DataFrame, scorer: str, unit_index: int, num: int = 12) -> pd.DataFrame:
    """A scorer's best modules of a unit in the form of `rankings.ranking_table`: rank, module, value, low, high, words."""
    own = (
        table[(table["scorer"] == scorer) & (table["unit_index"] == unit_index)]
        .sort_values("rank")
        .head(num)
        .reset_index(drop=True)
    )
    own["module"] = [module_name(p, m, False) for p, m in zip(own["positions"], own["layers"], strict=True)]
    own["value"] = own["score"]
    low, high = bounds(own, Lens.SCORE)
    own["low"], own["high"] = low.fillna(own["score"]), high.fillna(own["score"])
    known = low.notna()
    own["words"] = [
        f"{number(v)} ({number(lo)} to {number(hi)})" if there else f"{number(v)}, no interval"
        for v, lo, hi, there in zip(own["value"], own["low"], own["high"], known, strict=True)
    ]
    return own
