"""The report as one HTML file that opens without a network: a function of the report's JSON and of nothing else.

Scripts and styles are in line, plotly.js once; a content security policy forbids every request. The same report gives the same
text, letter for letter, so that a page that was changed by hand is found out (`verifying.py`).
"""

import json
import shlex
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.names import native_text
from autobuild_core.architectures.numbers import amount, number
from autobuild_core.figures import drawing, rankings, review, trust
from autobuild_core.figures.colours import Scale
from autobuild_core.figures.quality import hop_srcc_figure, predictions_figure
from autobuild_core.figures.template import as_written
from autobuild_core.review.bundle import Bundle, as_frame
from autobuild_core.review.words import EXAMPLES, effects_table, overturn_table, overturn_words
from autobuild_core.targets.aim import Aim
from autobuild_core.trust.claim import ClaimRecord
from autobuild_core.trust.findings import TrustReport

HERE = Path(__file__).resolve().parent
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
INK = {"light": "#1b1f27", "dark": "#e8eaf0"}
GRID = {"light": "#e4e7ec", "dark": "#2a303b"}
VERDICTS = {"trustworthy": "good", "thin": "thin", "not enough": "bad", "not trustworthy": "bad"}
Figures = dict[str, dict[str, Any]]


def page(bundle: Bundle) -> str:
    """The whole page.

    Args:
        bundle: from `make_bundle`, or as a file held it.
    """
    figures: Figures = {}
    body = "".join(
        (
            _header(bundle),
            "<main>",
            _claims(bundle, figures),
            _best(bundle),
            _rankings(bundle, figures),
            _trust(bundle, figures),
            _next(bundle),
            _columns(bundle),
            _settings(bundle),
            "</main>",
        )
    )
    title = escape(f"Design review: {bundle['run']['name']}")
    css, script = ((HERE / f"page.{ending}").read_text(encoding="utf-8") for ending in ("css", "js"))
    marker = '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs><marker id="tip" viewBox="0 0 8 8" '
    marker += 'refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs></svg>'
    early = "document.documentElement.dataset.theme=matchMedia('(prefers-color-scheme: dark)').matches?'dark':'light'"
    return (
        f'<!DOCTYPE html>\n<html lang="en" data-theme="light">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<title>{title}</title>\n'
        f"<script>{early}</script>\n<style>\n{css}</style>\n</head>\n<body>\n{marker}\n{body}\n"
        f'<script type="application/json" id="bundle">{_json(bundle)}</script>\n'
        f'<script type="application/json" id="figures">{_json(figures)}</script>\n'
        f"<script>{_library()}</script>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _json(value: Any) -> str:
    """JSON that can stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _library() -> str:
    """plotly.js."""
    from plotly.offline import get_plotlyjs  # 4.8 MB, read when it is needed

    text: str = get_plotlyjs()
    return text


def _put(figures: Figures, name: str, light: go.Figure, dark: go.Figure | None, alt: str) -> str:
    """Remembers a figure in both themes and returns its place on the page."""
    figures[name] = {}
    for theme, figure in (("light", light), ("dark", go.Figure(dark or light))):
        figure = go.Figure(figure).update_layout(font_color=INK[theme], font_family="system-ui, sans-serif")
        figure.update_layout(modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#8b92a0", "activecolor": INK[theme]})
        figure.update_xaxes(gridcolor=GRID[theme], linecolor=GRID[theme]).update_yaxes(gridcolor=GRID[theme])
        raw = as_written(json.loads(figure.to_json()))
        figures[name][theme] = {"data": raw["data"], "layout": raw["layout"]}
    height = int(light.layout.height or 300)
    return f'<div class="figure" data-figure="{name}" role="img" aria-label="{escape(alt)}" style="height:{height}px"></div>'


def _csv(name: str) -> str:
    return f'<button class="link" data-csv="{name}">CSV</button>'


def _html_table(frame: pd.DataFrame, forms: dict[str, str] | None = None) -> str:
    """A table; numbers as a reader wants them, or as `forms` says by column."""

    def text(name: str, value: Any) -> str:
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            return ""
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if isinstance(value, int | np.integer):
            return f"{value:,}"
        return (forms or {}).get(name, "{}").format(number(value) if name not in (forms or {}) else value)

    numeric = {name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool}
    heads = [f"<th{' class=number' if name in numeric else ''}>{escape(str(name))}</th>" for name in frame.columns]
    rows = []
    for values in frame.itertuples(index=False):
        cells = []
        for name, value in zip(frame.columns, values, strict=True):
            long = isinstance(value, str) and len(value) > 30
            kind = " class=number" if name in numeric else " class=wide" if name == "arch" else " class=long" if long else ""
            cells.append(f"<td{kind}>{escape(value if isinstance(value, str) else text(str(name), value))}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f'<div class="scroll"><table><thead><tr>{"".join(heads)}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _panes(name: str, panes: list[tuple[str, str]]) -> str:
    """Buttons, one a pane, of which the first is shown."""
    if len(panes) == 1:
        return panes[0][1]
    buttons = [
        f'<button data-pane="{name}{i}" aria-pressed="{"false" if i else "true"}">{escape(title)}</button>'
        for i, (title, _) in enumerate(panes)
    ]
    bodies = [f'<div class="pane" id="{name}{i}"{" hidden" if i else ""}>{body}</div>' for i, (_, body) in enumerate(panes)]
    return f'<div class="panes"><div class="bar">{"".join(buttons)}</div>{"".join(bodies)}</div>'


def _scale(bundle: Bundle, lens: str) -> Scale:
    """The run's colour scale for a lens; the average's for one that has none of its own."""
    known = bundle["results"]["scales"]
    return Scale(**(raw := known.get(lens, known["score"])) | {"lens": Lens(raw["lens"])})


def _legend(scale: Scale) -> str:
    strips = []
    for theme in review.THEMES:
        stops = drawing.legend(scale, theme)["stops"]
        strips.append(f'<div class="strip {theme}" style="background:linear-gradient(90deg,{",".join(stops)})"></div>')
    labels = "".join(f"<span>{escape(label)}</span>" for label in drawing.legend(scale)["labels"])
    return f'<div class="legend">{"".join(strips)}<div>{labels}</div></div>'


# Sections


def _header(bundle: Bundle) -> str:
    run, data, quality = bundle["run"], bundle["data"], bundle["results"]["quality"]
    settings, verdict = run["settings"], str(quality.get("verdict", ""))
    aim = Aim.of(settings)
    badge = f'<span class="badge {VERDICTS.get(verdict, "thin")}">{escape(verdict)}</span>' if verdict else ""
    facts = {
        "Target": aim.words,
        "Data": f"{data['name']}: {data['num_rows']:,} architectures",
        "Search space": data["space"],
        "Equation": aim.expression if aim.label.title != aim.expression else "",
        "Numbers hold at": bundle.get("context", {}).get("words", ""),
        "Seed": str(settings["seed"]),
        "Data hash": data["hash"],
        "Made": bundle["made"]["at"].replace("T", " ").replace("+00:00", " UTC"),
    }
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items() if text)
    why = escape(trust.headline(quality)) if verdict else ""
    buttons = '<div class="bar"><button id="json">JSON</button><button id="theme">Dark</button></div>'
    heading = f'<div class="soft">Design review</div><h1>{escape(run["name"])}</h1>'
    return (
        f'<header><div><div class="top"><div>{heading}</div>{buttons}</div>'
        f'<dl class="facts">{items}</dl><p style="margin-top:12px">{badge} {why}</p></div></header>'
    )


def _claims(bundle: Bundle, figures: Figures) -> str:
    claims = bundle["results"]["claims"]
    how = (
        "The large dot is the claimed module, small ones are all modules that it was chosen from. The thick bar is its 90 % "
        "interval; the thin one is adjusted for having looked at all of them."
    )
    if not claims:
        return '<h2>Claims</h2><p class="how">No claim was pinned.</p>'
    pairs = zip(claims, bundle["pins"], strict=True)
    cards = [_claim(bundle, i, claim, pin, figures) for i, (claim, pin) in enumerate(pairs)]
    return f'<h2>Claims</h2><p class="how">How to read this: {how}</p>{"".join(cards)}'


def _claim(bundle: Bundle, index: int, claim: dict[str, Any], pin: dict[str, Any], figures: Figures) -> str:
    found, rivals = ClaimRecord.from_json(claim["record"]), as_frame(claim["rivals"])
    scale = _scale(bundle, found.effect().lens)
    drawn = [review.claim_figure(rivals, found.effect(), scale, theme) for theme in review.THEMES]
    figure = _put(figures, f"claim{index}", drawn[0], drawn[1], claim["sentence"])
    remarks = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text[:1].upper() + text[1:])}</dd>" for name, text in claim["remarks"])
    graphs, average = [], _scale(bundle, "score")
    for name, about in found.examples.items():
        if about is not None:
            text = f"{EXAMPLES[name]}: row {about.source_row}, {number(about.value)}, rank {about.rank:,} of {about.of:,}"
            marked = pin["claim"]["positions"] if name == "with_it" else ()
            svg = review.architecture_svg(as_frame(claim[name]), average, text, marked)
            graphs.append(f"<div><h4>{escape(text)}</h4>{svg}</div>")
    note = f"<blockquote>{escape(pin['note'])}</blockquote>" if pin["note"] else ""
    table = _html_table(overturn_table(found.overturn))
    return (
        f'<section class="claim"><h3>{escape(claim["sentence"])}</h3>{note}'
        f'<div class="two"><div>{figure}{_html_table(effects_table(found))}</div><dl class="remarks">{remarks}</dl></div>'
        f'<div class="two" style="margin-top:12px">{"".join(graphs)}</div>'
        f"<details><summary>The five evaluations most likely to overturn it</summary>"
        f'<p class="how">{escape(overturn_words(found.overturn))}</p>{table}'
        f"</details></section>"
    )


def _best(bundle: Bundle) -> str:
    scale, label, parts = _scale(bundle, "score"), Aim.of(bundle["run"]["settings"]).label, []
    for about in bundle["results"]["architectures"]:
        unit = "" if label.unit == label.title else label.unit
        heading = f"Best measured: row {about['source_row']}, {label.title} {amount(about['measured'], unit)}"
        panes = []
        for hop, columns in enumerate(about["hops"]):
            name = "Hop 0: one layer" if hop == 0 else f"Hop {hop}: {hop + 1} layers"
            panes.append((name, review.architecture_svg(as_frame(columns), scale, f"{heading}, {name}")))
        arch = escape(native_text(about["arch"]))
        parts.append(f"<h2>{escape(heading)}</h2>{_legend(scale)}{_panes('hop', panes)}<p><code>{arch}</code></p>")
    return "".join(parts)


def _rankings(bundle: Bundle, figures: Figures) -> str:
    found, scale, panes = bundle["results"]["tables"], _scale(bundle, "score"), []
    ranking = as_frame(found["ranking"])
    for index, (unit, part) in enumerate(ranking.groupby("unit", sort=False)):
        part = part.reset_index(drop=True)
        drawn = [rankings.ranking_figure(part, scale, theme) for theme in review.THEMES]
        panes.append(
            (str(unit), _put(figures, f"ranking{index}", drawn[0], drawn[1], f"Modules of {unit} with intervals, best first"))
        )
    heat = [rankings.heat_figure(as_frame(found["heat"]), scale, theme) for theme in review.THEMES]
    ranked = f"<h4>Whole units, best and worst {_csv('ranking')}</h4>{_panes('ranking', panes)}" if panes else ""
    return (
        f'<h2>What matters</h2>{_legend(scale)}<div class="two"><div>{ranked}</div>'
        f"<div><h4>Layer choice by position {_csv('heat')}</h4>"
        f"{_put(figures, 'heat', heat[0], heat[1], 'Scores of every layer at every position')}</div></div>"
    )


def _trust(bundle: Bundle, figures: Figures) -> str:
    quality, found, target = (
        bundle["results"]["quality"],
        bundle["results"]["tables"],
        Aim.of(bundle["run"]["settings"]).label.axis,
    )

    def box(title: str, name: str, figure: go.Figure, alt: str) -> str:
        return f"<div><h4>{escape(title)} {_csv(name)}</h4>{_put(figures, name, figure, None, alt)}</div>"

    predictions = predictions_figure(as_frame(found["predictions"]), target)
    boxes = [box("Held out: predicted against measured", "predictions", predictions, "Held-out predictions against measurements")]
    bars = hop_srcc_figure(as_frame(found["hop_srcc"]))
    boxes.append(box("How well each hop orders", "hop_srcc", bars, "Held-out rank correlation by hop"))
    words = ""
    if report := TrustReport.of(quality):
        held = trust.srcc_figure(as_frame(found["held_out"]).astype({"ceiling": float}))
        boxes.append(box("Order of unseen networks", "held_out", held, "Rank correlation beside the baselines"))
        bins = trust.calibration_figure(as_frame(found["calibration"]), target)
        boxes.append(box("Are its numbers right?", "calibration", bins, "Predicted against measured, in bins"))
        best = trust.contenders_figure(as_frame(found["contenders"]))
        boxes.append(box("Is the best module the best?", "contenders", best, "Probability of being the best of its unit"))
        unit = bundle["results"]["scales"]["score"]["unit"]
        said = [trust.meaning(report), trust.data_sentence(report), f"Size: {trust.cost_sentence(report)}"]
        said += (f"Label noise: {trust.noise_sentence(report, unit)}", f"Permuted labels: {trust.permutation_sentence(report)}")
        if bundle.get("context", {}).get("chosen"):
            said.insert(0, "All in this section is of the average over contexts, which the training judged.")
        words = "".join(f"<p>{escape(text)}</p>" for text in said)
        units = f"<h4>The best module of each unit {_csv('units')}</h4>{_html_table(as_frame(found['units']))}"
        boxes.append(f'<div class="whole">{units}</div>')
    return f'<h2>Should I trust this?</h2>{words}<div class="two">{"".join(boxes)}</div>'


def _next(bundle: Bundle) -> str:
    found = bundle["results"]["tables"].get("next")
    if not found or not found["arch"]:
        return ""
    table = as_frame(found).rename(columns={"information": "doubt removed so far"})
    how = "These tell each unit's best modules apart; doubt removed so far counts each together with those above it."
    drawn = _html_table(table, {"doubt removed so far": "{:.0%}"})
    return f'<h2>Evaluate these next {_csv("next")}</h2><p class="how">{how}</p>{drawn}'


def _columns(bundle: Bundle) -> str:
    """Section on how the file's columns were read; nothing where its format gives every field its role."""
    columns = bundle["data"].get("columns")
    if not columns or not columns["column"]:
        return ""
    said, declared = bundle["data"]["roles"], bundle["data"]["declared"]
    how = f"A reader changed {len(said)} of {len(columns['column'])} roles. " if said else ""
    how += "The space was declared in a file." if declared else "The space follows from the rows." if how else ""
    return f'<h2>How the columns were read</h2><p class="how">{how}</p>{_html_table(as_frame(columns))}'


def _settings(bundle: Bundle) -> str:
    run, data, made = bundle["run"], bundle["data"], bundle["made"]
    lines = {f"setting {name}": value for name, value in run["settings"].items() if name != "id"}
    apart = ("columns", "roles", "declared", "format_title")
    shown = {name: value for name, value in data.items() if name not in apart}
    lines |= {f"data {name}": value for name, value in (shown | {"format": data.get("format_title", data["format"])}).items()}
    lines |= {f"trained with {name}": value for name, value in run["versions"].items()} | {"trained": run["created"]}
    lines |= {f"report {name}": value for name, value in made.items()}
    texts = [", ".join(map(str, v)) if isinstance(v, list) else "default" if v is None else str(v) for v in lines.values()]
    table = _html_table(pd.DataFrame({"what": list(lines), "value": texts}))
    command = f"python -m autobuild_core verify THIS_FILE {shlex.quote(data['name'])}"
    how = "This command reads the data, trains again, works every number out anew and fails where one differs:"
    return (
        "<h2>Settings and how to check this</h2>"
        "<p>Every number here follows from the data and the settings; notes and names are as they were written. "
        f"{how}</p><pre>{escape(command)}</pre>{table}"
        f"<footer>AutoBuild Studio {escape(made['autobuild_core'])}. This page asks no network for anything.</footer>"
    )


def plotly_version() -> str:
    """The version that draws the figures: another one may write the page's text in another way."""
    return metadata.version("plotly")
