"""The panel beside the graph: what a module is worth, on what evidence, and what would stand better in its place."""

from collections import Counter
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from autobuild_core.architectures import numbers
from autobuild_core.architectures.lens import Lens, score_words
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.names import module_name
from autobuild_core.architectures.records import Codes
from autobuild_core.figures import rankings, replacements
from autobuild_core.scoring.finished_run import FinishedRun
from pages import _pins, _run, _text, _theme, _trust, _widgets, _words


def node_of(line: "pd.Series[Any]") -> "pd.Series[Any]":
    """A line of the module table as `rankings.module_facts` takes it."""
    return line.rename({"positions": "module_positions", "layers": "module_layers"})


def heading(line: "pd.Series[Any]") -> str:
    """The module's name, for Markdown."""
    return _text.plain(module_name(line["positions"], line["layers"]), 200)


def module(run: FinishedRun, line: "pd.Series[Any]", lens: Lens, row: Codes | None, key: str = "") -> None:
    """A module: score, interval, evidence, rank, the target with and without it, better replacements.

    Args:
        run: the run.
        line: its line of the module table.
        lens: the question.
        row: (num_positions,) the architecture that it stands in, None where it stands in none.
        key: tells two panels on a page apart.
    """
    st.subheader(heading(line), anchor=False)
    statements(run, line, lens)
    _pins.pin(run, line, lens, f"importance_{key}")
    table = rankings.with_without_table(run.table, run.predictions, ModuleKey.of(line))
    figure = rankings.with_without_figure(table, run.label.axis)
    alt = f"Measured {run.label.title} with and without the module"
    _widgets.show(figure, table, f"with_without{key}", alt, f"plot_with_without{key}")
    better(run, line, lens, row, key)


def statements(run: FinishedRun, line: "pd.Series[Any]", lens: Lens) -> None:
    """Score, interval, evidence and rank in words."""
    facts = rankings.module_facts(run.modules, node_of(line), lens, run.num_evaluated, run.config.minimize)
    words = score_words(line, lens, run.unit)
    st.html(_widgets.module_card(words, facts["seen"], _run.scale(run, lens).fill_of(line, _theme.theme())))
    if line.get("confounded_with"):
        st.markdown(
            f"It varied together with {_text.plain(line['confounded_with'], 120)} and never apart from it: what either is "
            "worth alone the data do not tell. Evaluate some networks that have it elsewhere."
        )
        return
    score = f"{run.amount(line['score'])} {_words.interval(line['score_low'], line['score_high'])}"
    good = f"{line['good']:.0%} ({line['good_low']:.0%} to {line['good_high']:.0%})"
    mean = numbers.number(run.quality["space_mean"])
    st.markdown(
        f"Expected target **{_text.plain(score)}**; the average architecture has {_text.plain(mean)}.  \n"
        f"Among the best 10 %: **{good}**. Norm {line['embedding_norm']:+.2f}.  \n**{facts['rank']}**"
    )
    if line["whole_unit"] and (note := _trust.best_note(run, line["positions"], line["layers"])):
        stable = bootstraps(run, line)
        st.markdown(_text.plain(note[:1].upper() + note[1:], 200) + f"{stable}.")


def bootstraps(run: FinishedRun, line: "pd.Series[Any]") -> str:
    """In how many bootstraps a module stays the best of its unit; "" where the run does not know."""
    best = run.best
    if "bootstrap_share" not in best:
        return ""
    found = best.loc[(best["positions"] == line["positions"]) & (best["layers"] == line["layers"]), "bootstrap_share"].dropna()
    return f"; best in {found.iloc[0]:.0%} of bootstraps" if len(found) else ""


ROW = (
    '<div style="display:flex;gap:.6rem;padding:.28rem 0;border-top:1px solid color-mix(in srgb, currentColor 18%, transparent)">'
    '<div style="flex:none;width:12px;border-radius:3px;background:{0}"></div>'
    '<div style="font-size:.9rem;line-height:1.35"><b>{1}</b> {2}<br>{3}</div></div>'
)


def better(run: FinishedRun, line: "pd.Series[Any]", lens: Lens, row: Codes | None, key: str) -> None:
    """The modules that would stand better in its place, and the prediction of this architecture with each."""
    st.markdown("##### Better in its place")
    arguments = (run.modules, node_of(line), lens, run.config.minimize, run.num_evaluated, run.unit)
    table = replacements.replacements_table(*arguments)
    if table.empty:
        st.caption(f'None: by the lens "{lens.label}" it is the best that was scored.')
        return
    if row is not None:
        table = replacements.with_predictions(table, run.predictor, row)
    now = float(run.predictor.predict(row[None])["predicted"].iloc[0]) if row is not None else float("nan")
    rows = []
    for one in table.to_dict("records"):
        here = one.get("predicted", float("nan"))
        text = f"This architecture: {numbers.number(here)} predicted, now {numbers.number(now)}; " if np.isfinite(here) else ""
        swatch = _run.scale(run, lens).fill_of(pd.Series(one), _theme.theme())
        rows.append(ROW.format(swatch, escape(one["module"]), escape(one["words"]), escape(text + one["seen"])))
    st.html("".join(rows))
    st.caption("Change against the module that stands there; its interval takes the two errors for independent.")
    _widgets.csv_button(table.drop(columns=["change_low", "change_high"] if lens is Lens.NORM else []), f"replacements{key}")


def several(run: FinishedRun, place: str, lines: "Counter[int]", lens: Lens, name: str) -> None:
    """A place of several architectures: what stands there how often, against all measured.

    Args:
        run: the run.
        place: label of the place.
        lines: how often each line of the module table stands there.
        lens: the question.
        name: what the architectures are, e.g. "the best tenth".
    """
    st.subheader(f"{_text.plain(place)} in {name}", anchor=False)
    name = name.removeprefix("the ")
    table = rankings.shares_table(run.table, run.predictions, run.modules, lines, lens, run.unit, name)
    percent = {one: st.column_config.NumberColumn(format="percent") for one in (name, "all measured")}
    st.dataframe(table, hide_index=True, column_config=percent, height="auto" if len(table) < 6 else 215)
    if len(lines) > len(table):
        st.caption(f"The commonest {len(table)} of {len(lines)} modules.")
    _widgets.csv_button(table, name.replace(" ", "_"))


def comparison(run: FinishedRun, rows: Codes, shown: "dict[str, pd.Series[Any] | None]", lens: Lens) -> None:
    """Two architectures: both predictions, and the two modules at a place side by side.

    Args:
        run: the run.
        rows: (2, num_positions) codes of A and B.
        shown: by side, the line of the module table at the chosen place; None where there is no layer.
        lens: the question.
    """
    predicted = run.predictor.predict(rows)
    values = [f"**{side}** {numbers.number(one['predicted'])} {_text.plain(_words.interval(one['low'], one['high']))}"
              for side, (_, one) in zip("AB", predicted.iterrows(), strict=True)]  # fmt: skip
    st.markdown(f"Predicted {_text.plain(run.label.title)}: " + ", ".join(values) + ".")
    for column, (side, line), row in zip(st.columns(2, gap="large"), shown.items(), rows, strict=True):
        with column:
            st.markdown(f"###### In {side}")
            if line is None:
                st.caption("No layer here, or none that was scored.")
            else:
                module(run, line, lens, row, f"_{side}")
