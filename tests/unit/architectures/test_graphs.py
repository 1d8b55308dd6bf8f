"""Chains and cells in padded arrays, checked by hand."""

import numpy as np

from autobuild_core.architectures.graphs import (
    MEAN,
    hops_that_differ,
    make_graphs,
)
from autobuild_core.architectures.modules import ModuleGroup, module_codes
from autobuild_core.architectures.records import ABSENT, SpaceSpec, UnitSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.architectures.topologies._in_order import chain_graphs
from autobuild_core.spaces import space_named
from tests.flat_spaces import loose_space, mixed_space

A = ABSENT
CELL = space_named("nas_bench_201")
# Two cell nodes: a reads the input, b the sum of node 1, c the input; a enters node 1, b and c node 2.
TINY_UNITS = (UnitSpec("n1", (0,), (1,), (0, 1)), UnitSpec("n2", (1, 2), (2,), (0, 1)))
TINY = SpaceSpec("nas_bench_201", "tiny", ("a", "b", "c"), ("x", "y"), TINY_UNITS, reads=(A, 0, A))


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


def test_a_cell_by_hand() -> None:
    graphs = make_graphs(np.array([[1, 0, 1]], np.int16), TINY)
    assert graphs.positions.tolist() == [[0, 1, 2, 3, 4]]  # a, b, c, the sums of n1 and n2
    assert graphs.tokens.tolist() == [[1, 0, 1, 2, 2]]
    assert graphs.sources.tolist() == [[[0, A, A], [1, 0, A], [2, A, A], [3, 0, A], [4, 1, 2]]]


def test_an_absent_operation_is_heard_by_none_and_a_sum_of_absent_ones_is_absent() -> None:
    graphs = make_graphs(np.array([[A, 0, 1], [1, A, A]], np.int16), TINY)
    assert graphs.mask.tolist() == [[False, True, True, False, True], [True, False, False, True, False]]
    assert graphs.sources[0, 1:].tolist() == [[1, A, A], [2, A, A], [3, A, A], [4, 1, 2]]
    assert graphs.sources[1, 3].tolist() == [3, 0, A]


def test_chains_stay_chains() -> None:
    macro = space_named("nas_bench_macro")
    codes = macro.sample(5, np.random.default_rng(0))
    made, chains = make_graphs(codes, macro.spec), chain_graphs(codes)
    for name in ("positions", "tokens", "sources"):
        assert np.array_equal(getattr(made, name), getattr(chains, name))


def test_operations_of_nas_bench_201_hear_those_that_enter_the_node_they_read() -> None:
    graphs = make_graphs(CELL.sample(1, np.random.default_rng(0)), CELL.spec)
    labels = [*CELL.spec.position_labels, *(unit.label for unit in CELL.spec.units)]
    heard = {labels[n]: [labels[s] for s in row[1:] if s != A] for n, row in enumerate(graphs.sources[0])}
    assert heard == {
        **{"0>1": [], "0>2": [], "1>2": ["0>1"], "0>3": [], "1>3": ["0>1"], "2>3": ["0>2", "1>2"]},
        **{"node 1": ["0>1"], "node 2": ["0>2", "1>2"], "node 3": ["0>3", "1>3", "2>3"]},
    }


def test_sinks_and_contexts_of_modules() -> None:
    """A unit is scored at its sum at hop 1; where the last operation hears one beside the module, each layer may stand there."""
    pairs = {group.positions: group for group in CELL.windows(2)}
    assert topology_of(CELL.spec).sink(pairs[0, 2]) == (2, 1) and len(topology_of(CELL.spec).contexts(pairs[0, 2])) == 1
    contexts = topology_of(CELL.spec).contexts(pairs[1, 5])  # 0>2, 2>3: 1>2 is heard too
    assert [context[7].tolist() for context in contexts] == [[A, 1, other, A, A, 2] for other in range(5)]
    unit = CELL.unit_modules(2)[0]
    assert topology_of(CELL.spec).sink(unit) == (8, 1) and len(topology_of(CELL.spec).contexts(unit)) == 1
    single = CELL.windows(1)[5]
    assert topology_of(CELL.spec).sink(single) == (5, 0) and len(topology_of(CELL.spec).contexts(single)) == 1


def test_a_set_has_no_arrows_and_every_node_hears_the_mean() -> None:
    space = loose_space(3)
    graphs = make_graphs(space.sample(2, np.random.default_rng(0)), space.spec)
    assert graphs.sources.tolist() == [[[0, MEAN], [1, MEAN], [2, MEAN]]] * 2
    assert hops_that_differ(space.spec, 4) == 1


def test_chains_keep_their_arrows_beside_loose_units_and_end_there() -> None:
    spec = mixed_space().spec  # head; mlp.L1 to L3; block.L1, L2; list.L1 to L3; act
    graphs = make_graphs(np.array([[0, 2, 3, A, 4, A, 6, 7, 6, 9], [1, A, A, A, 5, 5, 6, 6, 6, 8]], np.int16), spec)
    assert graphs.positions.tolist()[0] == [0, 1, 2, 4, 6, 7, 8, 9]
    assert graphs.sources[0, :, 1].tolist() == [MEAN, A, 1, 2, 3, 4, 5, MEAN]
    assert graphs.sources[1, :, 1].tolist() == [MEAN, A, 1, 2, 3, 4, MEAN, A]  # the last is padded
    assert hops_that_differ(spec, 4) == 4
    parted = SpaceSpec("flat", "parted", tuple("abc"), ("x", "y"), tuple(
        UnitSpec(label, (i,), (1,), (0, 1), loose=label == "b") for i, label in enumerate("abc")
    ))  # fmt: skip
    assert make_graphs(np.zeros((1, 3), np.int16), parted).sources[0, :, 1].tolist() == [A, MEAN, A]
    assert make_graphs(np.array([[0, A, 0]], np.int16), parted).sources[0, :, 1].tolist() == [A, A]  # also where it is absent
