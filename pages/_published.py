"""Search space: a file of the published form - a space or a network - with its cells drawn and what they cost."""

import json
from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.errors import DataError, StudioError, counted
from autobuild_core.figures import cells as drawn_cells
from autobuild_core.spaces._cells import Cell
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._network_file import NetworkFile, is_network
from pages import _text, _theme, _widgets

MAX_MB, A_LINE = 5, 6
HELP = "search_space.config or a network's .config as AutoSpace published them, or learned.json of an evolution."


def section() -> None:
    """The place to drop a file, and what is in it."""
    with st.expander("Look at a file of the published form"):
        upload = st.file_uploader(
            "A space or a network of cells", ["json", "config"], key="cells_file", max_upload_size=MAX_MB, help=HELP
        )
        if upload is None:
            return
        try:
            shown = _read(upload.getvalue(), upload.name)
        except StudioError as error:
            st.error(_text.plain(error, 600))
            return
        if isinstance(shown, NetworkFile):
            _network(shown)
        else:
            _space(shown)


def _read(content: bytes, name: str) -> CellLists | NetworkFile:
    """The space or the network of a file.

    Raises:
        DataError: it is neither.
    """
    try:
        raw: Any = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: got no readable JSON ({str(error)[:80]}), expected a space or a network of cells.") from error
    return NetworkFile.read(raw) if is_network(raw) else CellLists.read(raw)


def _space(space: CellLists) -> None:
    """Cells of each layer with their multiply-adds in the whole layer."""
    skeleton = space.skeleton
    st.markdown(f"{counted(len(space.layers), 'layer')} of cells around the skeleton “{_text.plain(skeleton.title)}”.")
    rows, table = [], []
    for layer, cells in enumerate(space.layers):
        costs = [skeleton.layer_cost(layer, cell) for cell in cells]
        marked = [(cell, f"{cost.madds / 1e6:.3g} M") for cell, cost in zip(cells, costs, strict=True)]
        for first in range(0, len(marked), A_LINE):
            rows.append((f"layer {layer + 1}" if not first else "", marked[first : first + A_LINE]))
        table += [_line(layer + 1, cell, cost.madds, cost.params) for cell, cost in zip(cells, costs, strict=True)]
    st.html(drawn_cells.cells_html(rows, _theme.theme()))
    st.caption("Below each cell: multiply-adds of all blocks of its layer, at the widths of the skeleton, without mix bits.")
    _widgets.table(pd.DataFrame(table), "cells_of_the_file", "")


def _network(network: NetworkFile) -> None:
    """Blocks of a network with their multiply-adds, and what the whole costs."""
    cost = network.cost
    words = (
        f"{counted(len(network.blocks), 'block')}, {cost.madds / 1e6:,.1f} M multiply-adds, {cost.params / 1e6:.2f} M parameters"
    )
    st.markdown(f"{words}, of one image of 224 x 224.")
    if network.num_with_se:
        said = counted(network.num_with_se, "block")
        st.warning(f"{said} say squeeze and excitation, which is not counted: how it is made was not published.")
    rows: list[tuple[str, list[tuple[Cell, str]]]] = []
    table = []
    for number, block in enumerate(network.blocks, 1):
        about = f"block {number}: {block.place.in_width} to {block.place.width}, stride {block.place.stride}"
        if block.cell is None:
            rows.append((f"{about}, left out", []))
            continue
        rows.append((about, [(block.cell, f"{block.cost.madds / 1e6:.3g} M")]))
        table.append(_line(number, block.cell, block.cost.madds, block.cost.params))
    left, right = st.columns(2, gap="large")
    half = -(-len(rows) // 2)
    for column, part in ((left, rows[:half]), (right, rows[half:])):
        column.html(drawn_cells.cells_html(part, _theme.theme()))
    _widgets.table(pd.DataFrame(table), "blocks_of_the_file", "")


def _line(number: int, cell: Cell, madds: int, params: int) -> dict[str, Any]:
    """A line of the table: the layer or the block, its cell, and what that costs."""
    return {"number": number, "cell": cell.name, "madds_m": madds / 1e6, "params_k": params / 1e3, "written": cell.text}
