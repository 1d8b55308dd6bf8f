"""Chains in padded arrays, checked by hand."""

import numpy as np

from autobuild_core.graphs import chain_graphs, module_codes
from autobuild_core.records import ABSENT, ModuleGroup

A = ABSENT


def test_absent_positions_are_left_out_and_neighbours_become_adjacent() -> None:
    graphs = chain_graphs(np.array([[7, A, 5, A], [1, 2, 3, A], [A, A, A, 4]], np.int16))
    assert graphs.tokens.tolist() == [[7, 5, A], [1, 2, 3], [4, A, A]]
    assert graphs.positions.tolist() == [[0, 2, A], [0, 1, 2], [3, A, A]]
    assert graphs.mask.tolist() == [[True, True, False], [True] * 3, [True, False, False]]
    assert len(graphs) == 3


def test_a_node_hears_itself_first_and_its_predecessor() -> None:
    graphs = chain_graphs(np.array([[0, 1, 2], [0, A, 2]], np.int16))
    assert graphs.sources.tolist() == [[[0, A], [1, 0], [2, 1]]] * 2


def test_an_architecture_without_layers_has_one_padded_node() -> None:
    graphs = chain_graphs(np.full((2, 3), A, np.int16))
    assert graphs.tokens.tolist() == [[A], [A]] and not graphs.mask.any()


def test_no_architectures_are_no_graphs() -> None:
    assert len(chain_graphs(np.zeros((0, 4), np.int16))) == 0


def test_a_module_alone_is_absent_elsewhere() -> None:
    group = ModuleGroup((1, 2), np.array([[4, 5], [6, 7]], np.int16))
    codes = module_codes(group, 4)
    assert codes.tolist() == [[A, 4, 5, A], [A, 6, 7, A]]
    assert chain_graphs(codes).positions.tolist() == [[1, 2], [1, 2]]
