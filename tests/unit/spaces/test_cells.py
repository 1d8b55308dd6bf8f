"""Cells of AutoSpace: the published encoding, what is refused, which cells are one network, how many there are."""

import json
from typing import Any

import pytest

from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.spaces._cells import PUBLISHED, REFERENCE, SUPPORTS, Cell, Support, canonical, mbconv, network

WRITTEN = [[0, 0, 0, 2], [5, 0, 0, [0, 1]], [1, 3, 0, 0], [1, 2, 5, 0]]


def test_a_published_cell_is_read_and_written_as_it_is() -> None:
    cell = Cell.read(WRITTEN)
    assert cell.operations == (5, 1, 3, 1, 2, 5) and cell.expansion == 2 and cell.mix == (0, 1)
    assert cell.written == WRITTEN and Cell.read(json.dumps(WRITTEN)) == cell
    assert cell.name == "e6_3|-c|-s3_m01"


def test_the_published_support_has_5184_cells_a_layer() -> None:
    assert len(PUBLISHED) == 5184 and len(set(PUBLISHED.cells())) == 5184
    assert len(SUPPORTS["published"]) == 5184 // 4, "four values of the mix bits, which stay off in supernets"
    assert all(cell in PUBLISHED for cell in REFERENCE)


def test_the_reference_cells_are_those_of_the_published_files() -> None:
    assert [cell.written for cell in REFERENCE] == [
        [[0, 0, 0, 2], [5, 0, 0, [0, 0]], [1, 5, 0, 0], [1, 1, 5, 0]],
        [[0, 0, 0, 2], [5, 0, 0, [0, 0]], [1, 5, 0, 0], [1, 1, 2, 0]],
        [[0, 0, 0, 2], [5, 0, 0, [0, 0]], [1, 2, 0, 0], [1, 1, 2, 0]],
    ]
    assert mbconv(3, 6) == REFERENCE[-1], "one depthwise convolution is an inverted residual block"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ((1, 0, 4), "edge 0>1: got operation 4, expected one of 1 (none)"),
        ((0, 3, 3), "got expansion index 3, expected 0 to 2"),
        ((0, 1, 5), "row 0, column 1: got 5, expected 0"),
        ((1, 3, 0), "row 1, column 3: got 0, expected two feature-mix bits"),
        ((2, 1, "skip"), "1>2: got 'skip', expected a whole number"),
        ((1, 0, True), "0>1: got True, expected a whole number"),
        ((1, 0, 1), "got an output that the input does not reach"),
    ],
)
def test_a_faulty_cell_is_refused_with_its_place(change: tuple[int, int, Any], said: str) -> None:
    row, column, value = change
    rows = [list(own) for own in WRITTEN]
    rows[row][column] = value
    with pytest.raises(ArchitectureError) as caught:
        Cell.read(rows)
    assert said in str(caught.value)


@pytest.mark.parametrize("written", ["[[", "7", None, [[0] * 4] * 3, [[0] * 3] * 4, {"cell": 1}])
def test_what_is_no_cell_is_refused(written: Any) -> None:
    with pytest.raises(ArchitectureError, match="expected a list of 4 lists of 4"):
        Cell.read(written)


def test_isomorphic_cells_are_one_network() -> None:
    one = Cell((5, 3, 1, 1, 2, 5), 1)  # node 1 is dw 3x3, node 2 is conv 1x1: their sum, node 2 through dw 3x3
    other = Cell((3, 5, 1, 1, 5, 2), 1)  # the same with nodes 1 and 2 exchanged
    assert network(one, 1) == network(other, 1) and canonical(one, 1) == canonical(other, 1)
    assert network(one, 1) != network(Cell(one.operations, 2), 1), "the expansion counts"
    assert network(one, 1) != network(Cell(one.operations, 1, (1, 0)), 1), "and so do bits of unknown meaning"


def test_dead_paths_are_folded() -> None:
    assert canonical(Cell((5, 5, 1, 1, 1, 5), 0), 1) == canonical(Cell((1, 5, 1, 1, 1, 5), 0), 1)


def test_a_skip_that_reads_the_input_is_an_identity_only_without_a_stride() -> None:
    """At stride 2 it pools: what runs behind it is another network than what reads the input itself."""
    behind, direct = Cell((2, 1, 5, 1, 1, 2), 2), Cell((5, 1, 2, 1, 1, 2), 2)
    assert network(behind, 1) == network(direct, 1) and network(behind, 2) != network(direct, 2)


@pytest.mark.parametrize(("stride", "num"), [(1, 813), (2, 1062)])
def test_every_network_has_one_representative_and_it_is_in_the_support(stride: int, num: int) -> None:
    cells = list(SUPPORTS["published"].cells())
    representatives = {canonical(cell, stride) for cell in cells}
    assert len(representatives) == len({network(cell, stride) for cell in cells}) == num
    assert representatives <= set(cells)
    assert all(canonical(cell, stride) == cell for cell in representatives)


def test_supports_are_configured() -> None:
    edges = {"0>1": [5], "0>2": [1, 5], "1>2": [2], "0>3": [1], "1>3": [1], "2>3": [2, 9]}
    support = Support.read({"edges": edges, "expansions": [1]})
    assert len(support) == 4 and len({cell.name for cell in support.cells()}) == 4
    disconnected = Support.read({"edges": edges | {"2>3": [1, 2]}, "expansions": [1]})
    assert len(disconnected) == 2, "cells whose output is not reached are none"
    for faulty, said in (
        ({"edges": edges | {"0>2": [6]}, "expansions": [1]}, "edge 0>2: got operation 6"),
        ({"edges": edges | {"0>2": []}, "expansions": [1]}, "got operations of 5 edges"),
        ({"edges": edges, "expansions": [3]}, "expansion indices"),
        ({"edges": {"0>1": [5]}, "expansions": [1]}, "expected operations of 0>1"),
        ({"edges": edges}, "without 'expansions'"),
    ):
        with pytest.raises(ConfigError, match=said):
            Support.read(faulty)
