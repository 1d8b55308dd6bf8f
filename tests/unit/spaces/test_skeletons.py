"""Skeletons: what networks of cells cost, the rule that scales their widths to a budget, and how they are written."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.spaces._cells import REFERENCE, SUPPORTS, Cell, mbconv
from autobuild_core.spaces._skeletons import SKELETONS, TOLERANCE, Block, CellNetwork, cell_cost

PAIRS = SKELETONS["pairs"]
EVERY = list(SUPPORTS["wide"].cells())


def drawn(num: int, seed: int = 0) -> list[tuple[Cell, ...]]:
    rng = np.random.default_rng(seed)
    return [tuple(EVERY[index] for index in rng.integers(len(EVERY), size=PAIRS.num_layers)) for _ in range(num)]


def test_an_inverted_residual_block_costs_what_is_known_of_it() -> None:
    block = Block(in_width=10, width=16, stride=2, side=14)
    cost = cell_cost(mbconv(5, 3), block)
    assert cost.madds == 10 * 30 * 14**2 + 25 * 30 * 7**2 + 30 * 16 * 7**2
    assert cost.params == 10 * 30 + 2 * 30 + 25 * 30 + 2 * 30 + 30 * 16 + 2 * 16
    assert cell_cost(mbconv(5, 1), block).madds == 25 * 10 * 7**2 + 10 * 16 * 7**2, "expansion 1 has no expanding convolution"


@pytest.mark.parametrize("madds_m", [0.5, 1.0, 2.0])
def test_widths_meet_a_budget_within_two_percent(madds_m: float) -> None:
    for cells in drawn(40):
        assert PAIRS.matched(cells, madds_m).cost(cells).madds == pytest.approx(madds_m * 1e6, rel=TOLERANCE)


def test_widths_are_scaled_by_one_factor() -> None:
    cells = (mbconv(3, 1),) * 5
    widths = PAIRS.matched(cells, 2.0).widths
    factor = widths[0] / PAIRS.widths[0]
    assert np.allclose(np.array(widths) / PAIRS.widths, factor, rtol=0.06) and factor > 1


@pytest.mark.parametrize("madds_m", [0.0, -1.0, 1e-4, 1e6, float("nan")])
def test_an_impossible_budget_is_refused_in_a_sentence(madds_m: float) -> None:
    with pytest.raises(ConfigError, match="madds_m: got"):
        PAIRS.matched(REFERENCE[:1] * 5, madds_m)


def test_the_published_network_is_as_large_as_inverted_residual_blocks_make_it() -> None:
    """21 blocks, of which the published 340 M network leaves some out and makes others cheaper."""
    skeleton = SKELETONS["published"]
    assert skeleton.num_layers == 11 and sum(skeleton.repeats) == 21
    assert skeleton.cost(REFERENCE[-1:] * 11).madds / 1e6 == pytest.approx(472.6, abs=0.1)
    assert skeleton.blocks[1][0].side == 56 and skeleton.blocks[-1][-1].side == 7


def test_networks_are_read_from_their_native_encoding() -> None:
    arch = {"skeleton": "pairs", "madds_m": 0.6, "cells": [cell.written for cell in REFERENCE[-1:] * 5]}
    network = CellNetwork.read(arch)
    assert network.cells == REFERENCE[-1:] * 5 and network.cost.madds == pytest.approx(6e5, rel=TOLERANCE)
    plain = CellNetwork.read({name: value for name, value in arch.items() if name != "madds_m"})
    assert plain.skeleton.widths == PAIRS.widths, "without a budget the widths are the skeleton's"
    own: dict[str, Any] = {"skeleton": PAIRS.scaled(2).named, "cells": arch["cells"]}
    assert CellNetwork.read(own).skeleton.widths == tuple(2 * width for width in PAIRS.widths)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"skeleton": "small"}, "skeleton: got 'small', expected one of pairs, published"),
        ({"skeleton": {"side": 28}}, "expected the name of one, or an object with title, side"),
        ({"cells": []}, "cells: got 0, expected 5, one a layer"),
        ({"madds_m": "0.6"}, "madds_m: got '0.6', expected a number above 0"),
        ({"max_lr": 0}, "max_lr: got 0, expected a number above 0"),
        ({"madds_m": 1e-6}, "which these cells cannot meet"),
        ({"cells": [0] * 5}, "cell: got '0', expected a list"),
        ({"cells": "none"}, "expected an object with skeleton and cells"),
    ],
)
def test_a_faulty_network_is_refused(change: dict[str, Any], said: str) -> None:
    arch = {"skeleton": "pairs", "madds_m": 0.6, "cells": [cell.written for cell in REFERENCE[-1:] * 5]}
    with pytest.raises(ArchitectureError) as caught:
        CellNetwork.read(arch | change)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"widths": (8, 8)}, "2 widths, 5 strides and 2 repeats"),
        ({"side": 0}, "skeleton, side: got 0"),
        ({"strides": (1, 1, 1, 1, 1.5)}, "skeleton, strides: got 1.5"),
        ({"head_width": True}, "skeleton, head_width: got True"),
    ],
)
def test_a_faulty_skeleton_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(SKELETONS["pairs"], **{"repeats": (), **change})
