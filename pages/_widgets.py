"""Pieces of a page: its heading, figures and tables with their downloads, the legend, a module's card."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from autobuild_core.architectures.lens import TRAINED, Lens
from autobuild_core.errors import StudioError
from autobuild_core.figures import drawing, template
from autobuild_core.figures.colours import Scale
from pages import _selection, _text, _theme

PLOT = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}
STRIP = '<div style="max-width:520px;font-size:.82rem"><div style="height:12px;border-radius:3px;{0}"></div>{1}</div>'
LABELS = '<div style="display:flex;justify-content:space-between;margin-top:3px">{0}</div>'
CARD = (
    '<div style="display:flex;gap:.7rem;margin:.15rem 0 .55rem">'
    '<div style="flex:none;width:14px;border-radius:3px;background:{0}"></div>'
    '<div><div style="font-weight:600">{1}</div><div style="font-size:.9rem">{2}</div></div></div>'
)


def title(text: str, how_to_read: str) -> None:
    """The heading of a page, and behind a button beside it how the page is read: three sentences."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.header(text, anchor=False, width="content")
        with st.popover("How to read this", icon=":material/help:", type="tertiary"):
            st.markdown(f"**How to read this.** {how_to_read[:1].upper()}{how_to_read[1:]}")


def show(
    figure: go.Figure,
    table: pd.DataFrame | None,
    name: str,
    alt: str,
    key: str | None = None,
    on_pick: Callable[[], None] | None = None,
    regions: bool = False,
) -> None:
    """A figure (its mode bar saves SVG) and, below it, its table as CSV.

    Args:
        figure: what is drawn.
        table: what is downloaded.
        name: of the files.
        alt: what a screen reader says.
        key: of the chart, else from the name.
        on_pick: called when a point is clicked or a region is marked.
        regions: boxes and lassos can be drawn.
    """
    config = PLOT | {"toImageButtonOptions": {"format": "svg", "filename": name}}
    chosen: dict[str, Any] = {} if on_pick is None else {"on_select": on_pick, "selection_mode": "points"}
    if regions:
        config["modeBarButtonsToRemove"] = ["autoScale2d"]
        chosen["selection_mode"] = ("points", "box", "lasso")
    drawn = template.shown(figure, _theme.QUIET_INK[_theme.theme()])
    st.plotly_chart(drawn, config=config, key=key or f"plot_{name}", alt=alt, **chosen)
    if table is not None:
        csv_button(table, name)


def csv_button(table: pd.DataFrame, name: str, label: str = "CSV") -> None:
    """A small button that downloads a table."""
    st.download_button(
        label,
        lambda: table.to_csv(index=False),
        f"{name}.csv",
        "text/csv",
        key=f"csv_{name}",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def table(frame: pd.DataFrame, name: str, when_empty: str, formats: Mapping[str, str] | None = None) -> None:
    """A table with its CSV, or a sentence when it has no line.

    Args:
        frame: one row a line.
        name: of the CSV.
        when_empty: the sentence.
        formats: {column: how its numbers are shown, as "%.2f"}; the CSV has them whole.
    """
    if frame.empty:
        st.caption(when_empty)
        return
    config = {column: st.column_config.NumberColumn(format=shown) for column, shown in (formats or {}).items()}
    st.dataframe(frame.head(2000), hide_index=True, height="auto" if len(frame) < 10 else 360, column_config=config)
    if len(frame) > 2000:
        st.caption(f"The first 2,000 of {len(frame):,} lines; the CSV has all.")
    csv_button(frame, name)


def drawing_facts(drawn: pd.DataFrame) -> pd.DataFrame:
    """The facts in a drawn architecture, for its CSV: without places and colours."""
    return drawn.drop(columns=["fill", "outline", "ink", "x", "y", "text", "kind", "after"], errors="ignore")


def legend(scale: Scale) -> None:
    """The colour legend as a strip."""
    data = drawing.legend(scale, _theme.theme())
    labels = "".join(f"<span>{escape(label)}</span>" for label in data["labels"])
    st.html(STRIP.format(f"background:linear-gradient(90deg,{','.join(data['stops'])})", LABELS.format(labels)))


def module_card(name: str, words: str, swatch: str) -> str:
    """A module in two lines with its colour, as HTML."""
    return CARD.format(swatch, escape(name), escape(words))


def lens_select(key: str = "lens_widget") -> Lens:
    """The choice of lens, remembered."""
    lenses = list(TRAINED)
    help_text = "  \n".join(f"**{lens.label}**: {lens.explained}." for lens in lenses)
    index = lenses.index(_selection.lens())
    lens = st.selectbox("Score", lenses, index, format_func=lambda one: one.label, key=key, help=help_text)
    _selection.choose_lens(lens)
    return lens


def guarded(action: Callable[[], Any]) -> Any:
    """Runs an action of a button; a project error becomes its one sentence, and None is returned."""
    try:
        return action()
    except StudioError as error:
        st.error(_text.plain(error, 600))
        return None
