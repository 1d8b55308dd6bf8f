"""Cells drawn as graphs: four nodes in a row, an arc an operation, as SVG pictures in the colours of a theme."""

import base64
from collections.abc import Sequence
from html import escape

from autobuild_core.spaces._cells import EXPANSIONS, OPERATIONS, Cell
from autobuild_core.spaces._four_nodes import EDGES

WIDTH, HEIGHT = 190, 108
STEP, LEFT, BASE = 52, 17, 60  # of the nodes, in pixels
RADIUS = 6
RISE = {(0, 2): 34, (1, 3): -34, (0, 3): 66}  # of the arcs that leave a node out; below where it is negative
INKS = {"light": ("#2b3040", "#ffffff", "#5a606e"), "dark": ("#e6e8ee", "#11141b", "#b4b9c6")}  # nodes, paper, words
# Letter of an operation -> its colour on light and on dark paper; both have a contrast of 4.5 there.
COLOURS = {
    "s": {"light": "#5a606e", "dark": "#b4b9c6"},
    "c": {"light": "#a03a8a", "dark": "#e08bd0"},
    "3": {"light": "#0b6e64", "dark": "#3fc0b0"},
    "5": {"light": "#2f6db0", "dark": "#7fb4ee"},
    "7": {"light": "#9a5b00", "dark": "#e0a850"},
}
GRID = '<div style="display:grid;gap:.1rem .6rem;align-items:center;grid-template-columns:{0}">{1}</div>'
PICTURE = '<img alt="{0}" title="{1}" src="data:image/svg+xml;base64,{2}" style="width:100%;max-width:210px">'


def cell_svg(cell: Cell, caption: str = "", theme: str = "light") -> str:
    """A cell as SVG: node 0 is the input behind its expansion, node 3 the output; edges on dead paths are left out.

    Args:
        cell: the cell.
        caption: a line below it.
        theme: "light" or "dark".
    """
    node, _, words = INKS[theme]
    alive = {0, 3} | {place for edge in cell.live for place in EDGES[edge]}
    parts = [_edge(edge, OPERATIONS[cell.operations[edge]].letter, theme) for edge in cell.live]
    parts += [f'<circle cx="{LEFT + place * STEP}" cy="{BASE}" r="{RADIUS}" fill="{node}"/>' for place in sorted(alive)]
    parts.append(f'<text x="{LEFT}" y="{BASE + 21}" fill="{node}">x{EXPANSIONS[cell.expansion]}</text>')
    if caption:
        parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 4}" fill="{words}">{escape(caption)}</text>')
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    return f'{begin} text-anchor="middle">{"".join(parts)}</svg>'


def _edge(edge: int, letter: str, theme: str) -> str:
    """An edge as an arc with the letter of its operation."""
    source, target = EDGES[edge]
    start, end, rise = LEFT + source * STEP, LEFT + target * STEP, RISE.get((source, target), 0)
    middle, place, colour = (start + end) / 2, BASE - rise / 2, COLOURS[letter][theme]
    path = f'<path d="M{start} {BASE} Q{middle} {BASE - rise} {end} {BASE}" fill="none" stroke="{colour}" stroke-width="2"/>'
    tag = f'<rect x="{middle - 8}" y="{place - 8}" width="16" height="16" rx="4" fill="{INKS[theme][1]}"/>'
    return f'{path}{tag}<text x="{middle}" y="{place + 4}" font-weight="700" fill="{colour}">{letter}</text>'


def words_of(cell: Cell) -> str:
    """A cell in words: its expansion and its live edges."""
    edges = [f"{EDGES[edge][0]} to {EDGES[edge][1]} {OPERATIONS[cell.operations[edge]].name}" for edge in cell.live]
    return f"expansion {EXPANSIONS[cell.expansion]}, {', '.join(edges)}"


def cells_html(rows: Sequence[tuple[str, Sequence[tuple[Cell, str]]]], theme: str = "light") -> str:
    """A grid of cells as HTML.

    Args:
        rows: a heading, and cells with their captions.
        theme: "light" or "dark".
    """
    num, lines = max((len(cells) for _, cells in rows), default=1), []
    for heading, cells in rows:
        drawn = [_picture(cell, caption, theme) for cell, caption in cells]
        lines.append(f'<b style="font-size:.85rem">{escape(heading)}</b>{"".join(drawn)}{"<span></span>" * (num - len(cells))}')
    return GRID.format(f"minmax(3.6rem,auto) repeat({num},minmax(0,1fr))", "".join(lines))


def _picture(cell: Cell, caption: str, theme: str) -> str:
    svg = base64.b64encode(cell_svg(cell, caption, theme).encode()).decode()
    said = f"Cell {cell.name}: {words_of(cell)}"
    return PICTURE.format(escape(said, quote=True), escape(said, quote=True), svg)
