"""Spaces: encodings, networks, sizes and refusals, against numbers worked out by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ABSENT, SpaceSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.errors import ArchitectureError, ConfigError, DataError
from autobuild_core.scorers import unit_groups
from autobuild_core.spaces import SOME_OF_DEPTH, Space, load_space, space_named
from autobuild_core.spaces.flat import Flat, as_choice, block_columns
from autobuild_core.spaces.nas_bench_201 import NasBench201
from autobuild_core.spaces.nas_bench_macro import NasBenchMacro
from autobuild_core.spaces.ofa_mbv3 import OfaMbv3
from autobuild_core.spaces.ofa_proxyless import OfaProxyless
from tests.flat_spaces import Columns, infer_spec

BLOCKS = pd.DataFrame({"b0_k": [3, 5, 3], "b0_l": [1, 2, 0], "b1_k": [3, 3, 7], "b1_l": [1, 1, 2]})


class TestNasBenchMacro:
    def test_a_key_is_its_digits(self) -> None:
        assert NasBenchMacro().parse("02012100") == [0, 2, 0, 1, 2, 1, 0, 0]
        assert NasBenchMacro().native(np.array([0, 2, 0, 1, 2, 1, 0, 0], np.int16)) == "02012100"

    @pytest.mark.parametrize("key", ["0201210", "02012103", "020121000", 2012100, None, ["0"] * 8, ""])
    def test_anything_else_is_refused(self, key: Any) -> None:
        with pytest.raises(ArchitectureError, match="expected 8 digits of 0, 1 and 2"):
            NasBenchMacro().parse(key)

    def test_identities_behind_the_first_of_a_stage_do_nothing(self) -> None:
        space = NasBenchMacro()
        keys = ["11101222", "11110222", "11011222", "01110222", "10110222"]
        hashes = space.hash_networks(np.array([space.parse(key) for key in keys], np.int16))
        assert hashes[0] == hashes[1]  # L3-5: 101 and 110 are the same two operations behind each other
        assert hashes[2] != hashes[1]  # 011 begins with a downsampling identity
        assert len({int(h) for h in hashes[[1, 3, 4]]}) == 3  # in L1-2, 11, 01 and 10 all differ

    def test_it_has_6561_keys_and_3969_networks(self) -> None:
        space = NasBenchMacro()
        codes = space.enumerate()
        assert codes is not None and len(codes) == space.size == 6561
        assert len(np.unique(space.hash_networks(codes))) == 3969  # 9 * 21 * 21


def cell(*operations: str) -> list[int]:
    """Codes of a cell by short names, edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3."""
    names = {"-": "none", "s": "skip_connect", "c1": "nor_conv_1x1", "c3": "nor_conv_3x3", "p": "avg_pool_3x3"}
    return [NasBench201().token_index[names[operation]] for operation in operations]


class TestNasBench201:
    NATIVE = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"

    def test_a_string_is_six_operations(self) -> None:
        row = NasBench201().parse(self.NATIVE)
        assert row == cell("c3", "-", "p", "s", "c1", "-") == [3, 0, 4, 1, 2, 0]
        assert NasBench201().native(np.array(row, np.int16)) == self.NATIVE

    @pytest.mark.parametrize(
        ("native", "message"),
        [
            (NATIVE.replace("nor_conv_1x1", "conv_9x9"), "edge 1>3: got 'conv_9x9', expected one of none, skip_connect"),
            (NATIVE[:-1], "expected .op~0.+"),
            (NATIVE.replace("~2", "~1"), "NAS-Bench-201 cell: got"),
            (NATIVE + "+|none~0|", "NAS-Bench-201 cell: got"),
            ([3, 0, 4, 1, 2, 0], "NAS-Bench-201 cell: got"),
        ],
    )
    def test_anything_else_is_refused(self, native: Any, message: str) -> None:
        with pytest.raises(ArchitectureError, match=message):
            NasBench201().parse(native)

    def test_units_are_the_cell_nodes_with_the_edges_that_enter_them(self) -> None:
        spec = NasBench201().spec
        entering = [[spec.position_labels[p] for p in unit.positions] for unit in spec.units]
        assert entering == [["0>1"], ["0>2", "1>2"], ["0>3", "1>3", "2>3"]]
        assert spec.reads == (ABSENT, ABSENT, 0, ABSENT, 0, 1) and len(topology_of(spec).states) == 3
        assert SpaceSpec.from_json(spec.to_json()) == spec
        assert "reads" not in NasBenchMacro().spec.to_json()  # hashes of chains stay what they were

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (("-", "-", "-", "c3", "-", "-"), ("c3", "c1", "p", "c3", "-", "-")),  # a dead end computes nothing that counts
            (("-", "-", "-", "c3", "-", "-"), ("-", "-", "c1", "c3", "p", "c3")),  # a convolution of nothing is nothing
            (("s", "-", "-", "-", "c3", "-"), ("-", "-", "-", "c3", "-", "-")),  # a skip is the identity
            (("c3", "c3", "-", "-", "c1", "p"), ("c3", "c3", "-", "-", "p", "c1")),  # nodes 1 and 2 change places
            (("c3", "s", "s", "-", "-", "s"), ("c3", "-", "-", "s", "s", "-")),  # a sum of sums is one sum
            (("-", "-", "-", "-", "-", "-"), ("c3", "c1", "p", "-", "-", "-")),  # both cut off from the output
        ],
    )
    def test_equal_networks(self, one: tuple[str, ...], other: tuple[str, ...]) -> None:
        canonical = NasBench201().canonical(np.array([cell(*one), cell(*other)], np.int16))
        assert canonical[0].tolist() == canonical[1].tolist()

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (("c3", "-", "-", "-", "c1", "-"), ("c1", "-", "-", "-", "c3", "-")),  # one behind the other: the order counts
            (("-", "-", "-", "s", "-", "-"), ("s", "-", "-", "s", "s", "-")),  # x is not x + x
            (("s", "c1", "s", "-", "-", "c3"), ("-", "c1", "-", "c3", "-", "c3")),  # conv(x + y) is not conv(x) + conv(y)
            (("-", "-", "-", "-", "-", "-"), ("-", "-", "-", "s", "-", "-")),
        ],
    )
    def test_different_networks(self, one: tuple[str, ...], other: tuple[str, ...]) -> None:
        first, second = NasBench201().hash_networks(np.array([cell(*one), cell(*other)], np.int16))
        assert first != second

    def test_the_representative_does_without_what_does_nothing(self) -> None:
        rows = [("s", "c1", "p", "-", "c3", "-"), ("s", "s", "-", "-", "-", "c3"), ("c3", "-", "-", "-", "-", "-")]
        canonical = NasBench201().canonical(np.array([cell(*row) for row in rows], np.int16))
        assert canonical[:2].tolist() == [cell("-", "-", "-", "c3", "-", "-")] * 2  # one convolution of the input
        assert canonical[2].tolist() == cell(*"------")

    def test_it_has_15625_strings_and_4930_networks(self) -> None:
        space = NasBench201()
        codes = space.enumerate()
        assert codes is not None and len(codes) == space.size == 15_625
        assert len(np.unique(space.hash_networks(codes))) == len(np.unique(space.canonical(codes), axis=0)) == 4930

    def test_windows_are_joined_head_to_tail(self) -> None:
        space = NasBench201()
        labels = [[[space.spec.position_labels[p] for p in g.positions] for g in space.windows(n)] for n in (1, 2, 3, 4)]
        assert labels[0] == [[label] for label in space.spec.position_labels]
        assert labels[1] == [["0>1", "1>2"], ["0>1", "1>3"], ["0>2", "2>3"], ["1>2", "2>3"]]
        assert labels[2:] == [[["0>1", "1>2", "2>3"]], []]
        assert [len(g) for g in space.windows(2)] == [25] * 4
        assert [len(g) for u in range(3) for g in space.unit_modules(u)] == [5, 25, 125]


class TestOfaMbv3:
    UNIT = ("mbconv3_e3_k3", "mbconv3_e6_k7")

    def test_units_fill_from_the_front(self) -> None:
        row = OfaMbv3().parse([list(self.UNIT)] * 5)
        assert row == [0, 8, ABSENT, ABSENT] * 5

    def test_its_own_dictionary_ignores_what_is_behind_the_depth(self) -> None:
        native = {"ks": [3, 7, 5, 5] * 5, "e": [3, 6, 4, 4] * 5, "d": [2] * 5}
        assert OfaMbv3().parse(native) == [0, 8, ABSENT, ABSENT] * 5

    def test_a_unit_has_7371_modules(self) -> None:
        space = OfaMbv3()
        assert [len(group) for group in space.unit_modules(0)] == [81, 729, 6561]
        assert space.size == 7371**5
        assert space.enumerate() is None

    @pytest.mark.parametrize(
        ("native", "message"),
        [
            ([["mbconv3_e3_k3"]] * 5, "unit U1: got 1 layers, expected 2, 3, 4"),
            ([["mbconv3_e3_k3"] * 5] * 5, "unit U1: got 5 layers"),
            ([["mbconv3_e3_k3", "mbconv3_e5_k3"]] * 5, "unit U1: got 'mbconv3_e5_k3'"),
            ([["mbconv3_e3_k3"] * 2] * 4, "expected 5 lists"),
            ([["mbconv3_e3_k3"] * 2] * 4 + [["mbconv3_e3_k3", ["x"]]], "unit U5"),
            ([["mbconv3_e3_k3"] * 2] * 4 + [{"mbconv3_e3_k3": 1, "mbconv3_e6_k3": 1}], "expected 5 lists"),
            ("mbconv3_e3_k3", "expected 5 lists"),
            ({"ks": [3] * 20, "e": [3] * 20, "d": [True] * 5}, "five depths of 2, 3 or 4"),
            ({"ks": [3] * 20, "e": [3] * 19, "d": [2] * 5}, "ks and e of 20 entries"),
            ({"ks": [9] * 20, "e": [3] * 20, "d": [2] * 5}, "mbconv3_e3_k9"),
        ],
    )
    def test_refusals_name_the_unit(self, native: Any, message: str) -> None:
        space = OfaMbv3()
        space.parse([["mbconv3_e3_k3"] * 2] * 4 + [["mbconv3_e3_k3", "mbconv3_e6_k3"]])
        for _ in range(2):  # the second time from the units parsed before
            with pytest.raises(ArchitectureError, match=message):
                space.parse(native)


class TestOfaProxyless:
    A, B = "mbconv2_e3_k3", "mbconv2_e6_k7"

    def test_the_sixth_stage_joins_the_fifth_unit(self) -> None:
        space = OfaProxyless()
        native = [[self.A, self.B]] * 4 + [[self.A] * 3, [self.B]]
        row = space.parse(native)
        assert row == [0, 8, ABSENT, ABSENT] * 4 + [0, 0, 0, 8, ABSENT]
        assert space.parse(native) == row  # from the stages met before
        assert space.native(np.array(row, np.int16)) == native
        assert space.spec.position_labels[-1] == "U5.L5" and space.spec.units[4].depths == (3, 4, 5)

    def test_it_has_95823_modules(self) -> None:
        space = OfaProxyless()
        assert [space.unit_size(unit) for unit in space.spec.units] == [7371] * 4 + [66339]
        assert sum(map(space.unit_size, space.spec.units)) == 95_823

    @pytest.mark.parametrize("last", [1, 2, 4])
    def test_its_own_dictionary_has_21_entries_and_six_depths(self, last: int) -> None:
        native = {"ks": [3, 7, 5, 5] * 5 + [7], "e": [3, 6, 4, 4] * 5 + [6], "d": [2] * 5 + [last]}
        assert OfaProxyless().parse(native) == [0, 8, ABSENT, ABSENT] * 4 + [0, 8, 8, ABSENT, ABSENT]

    @pytest.mark.parametrize(
        ("native", "message"),
        [
            ([[A, A]] * 5, "expected 6 lists"),
            ([[A, A]] * 5 + [[A, A]], "last stage: got 2 layers, expected 1"),
            ([[A, A]] * 5 + [[]], "last stage: got 0 layers"),
            ([[A, A]] * 4 + [[A], [A]], "unit U5: got 1 layers, expected 2, 3, 4"),
            ([[A, A]] * 4 + [[A] * 5, [A]], "unit U5: got 5 layers"),
            ([["mbconv3_e3_k3"] * 2] * 5 + [[A]], "unit U1: got 'mbconv3_e3_k3'"),
            ({"ks": [3] * 21, "e": [3] * 21, "d": [2] * 5 + [0]}, "six depths"),
            ({"ks": [3] * 20, "e": [3] * 20, "d": [2] * 5}, "ks and e of 21 entries"),
        ],
    )
    def test_refusals_name_the_stage(self, native: Any, message: str) -> None:
        space = OfaProxyless()
        space.parse([[self.A, self.A]] * 5 + [[self.A]])
        for _ in range(2):
            with pytest.raises(ArchitectureError, match=message):
                space.parse(native)


class TestFlat:
    def test_blocks_are_columns_with_one_prefix(self) -> None:
        assert block_columns(["b0_k", "b0_l", "b1_k", "b1_l", "top1_acc", "width"]) == {
            "b0": ["b0_k", "b0_l"],
            "b1": ["b1_k", "b1_l"],
        }

    def test_a_block_with_a_depth_is_a_unit_of_equal_layers(self) -> None:
        spec = infer_spec(BLOCKS, list(BLOCKS))
        assert spec.position_labels == ("b0.L1", "b0.L2", "b1.L1", "b1.L2")
        assert [(u.label, u.depths, u.tied) for u in spec.units] == [("b0", (0, 1, 2), True), ("b1", (1, 2), True)]
        assert spec.tokens == ("k3", "k5", "k7")
        assert spec.attributes == {"k": ("3", "5", "7")}
        assert Flat(spec).size == (1 + 2 + 2) * (2 + 2)  # b0: none, or 3 or 5 once or twice; b1: 3 or 7 once or twice

    def test_rows_become_codes_and_back(self) -> None:
        space = Flat(infer_spec(BLOCKS, list(BLOCKS)))
        native = {"b0_k": 5, "b0_l": 2, "b1_k": 7, "b1_l": 1}
        assert space.parse(native) == [1, 1, 2, ABSENT]
        assert space.native(np.array([1, 1, 2, ABSENT], np.int16)) == native

    def test_a_unit_without_layers_is_one_network_whatever_its_kernel(self) -> None:
        space = Flat(infer_spec(BLOCKS, list(BLOCKS)))
        rows = [space.parse({"b0_k": k, "b0_l": 0, "b1_k": 3, "b1_l": 1}) for k in (3, 5)]
        assert rows[0] == rows[1] == [ABSENT, ABSENT, 0, ABSENT]

    def test_single_columns_keep_their_values_apart(self) -> None:
        frame = pd.DataFrame({"width": [16, 8, 16], "act": ["relu", "swish", "relu"]})
        spec = infer_spec(frame, ["width", "act"])
        assert spec.tokens == ("width=8", "width=16", "act=relu", "act=swish")
        assert Flat(spec).parse({"width": 16.0, "act": "swish"}) == [1, 3]

    @pytest.mark.parametrize(
        ("native", "message"),
        [
            ({"b0_k": 5, "b0_l": 2, "b1_k": 7}, "column b1_l: got nothing"),
            ({"b0_k": 5, "b0_l": 2, "b1_k": float("nan"), "b1_l": 1}, "column b1_k: got nothing"),
            ({"b0_k": 5, "b0_l": 3, "b1_k": 7, "b1_l": 1}, "column b0_l: got 3, expected one of 0, 1, 2"),
            ({"b0_k": 9, "b0_l": 2, "b1_k": 7, "b1_l": 1}, "column b0_k: got 9, expected one of 3, 5"),
            ({"b0_k": [5], "b0_l": 2, "b1_k": 7, "b1_l": 1}, "column b0_k: got"),
            ("b0", "expected an object"),
        ],
    )
    def test_refusals_name_the_column(self, native: Any, message: str) -> None:
        with pytest.raises(ArchitectureError, match=message):
            Flat(infer_spec(BLOCKS, list(BLOCKS))).parse(native)

    def test_too_many_combinations_are_refused_before_they_are_built(self) -> None:
        frame = pd.DataFrame({f"b0_{a}": range(100) for a in "xyz"} | {f"b1_{a}": range(100) for a in "xyz"})
        with pytest.raises(DataError, match="b0: got 1000000 combinations"):
            infer_spec(frame, list(frame))

    def test_a_depth_must_be_a_small_whole_number(self) -> None:
        with pytest.raises(DataError, match="column b0_l: got 99, expected numbers of layers"):
            infer_spec(pd.DataFrame({"b0_k": [3], "b0_l": [99]}), ["b0_k", "b0_l"])

    @pytest.mark.parametrize(
        ("cell", "choice"), [(3, "3"), (3.0, "3"), ("3.00", "3"), (" 3 ", "3"), (0.5, "0.5"), ("v3.0b", "v3.0b")]
    )
    def test_a_number_is_one_choice_however_it_is_written(self, cell: Any, choice: str) -> None:
        assert as_choice(cell) == choice


def test_spaces_load_by_name_or_spec() -> None:
    assert isinstance(space_named("ofa_mbv3"), OfaMbv3)
    assert isinstance(load_space(infer_spec(BLOCKS, list(BLOCKS))), Flat)
    with pytest.raises(ConfigError, match="inferred from data"):
        space_named("flat")


def test_windows_cross_units_only_where_the_depth_is_fixed() -> None:
    macro = space_named("nas_bench_macro")
    assert [len(macro.windows(length)) for length in (1, 2, 8)] == [8, 7, 1]
    assert [g.unit for g in macro.windows(3)] == [None, None, 1, None, None, 2]
    ofa = space_named("ofa_mbv3")
    assert [g.positions for g in ofa.windows(2)][:4] == [(0, 1), (1, 2), (2, 3), (4, 5)]
    assert all(group.unit is None for group in ofa.windows(2))  # two layers of a unit that may be deeper


def chain_space(num_layers: int, num_widths: int) -> Space:
    """Layers of so many widths each, all of them present."""
    columns = Columns()
    columns.add("w", [str(width) for width in range(1, num_widths + 1)], (num_layers,), loose=False)
    return columns.space()


@pytest.mark.parametrize("num_layers", [3, 9])
def test_of_a_depth_of_too_many_modules_some_are_looked_at_and_those_that_were_evaluated(num_layers: int) -> None:
    space = chain_space(num_layers, 100)
    (group,) = space.unit_modules(0)
    assert space.size >= 1e6 and 4000 < len(group) <= SOME_OF_DEPTH
    assert len(np.unique(group.codes, axis=0)) == len(group) and (space.unit_modules(0)[0].codes == group.codes).all()
    codes = space.sample(50, np.random.default_rng(0))
    (more,) = unit_groups(space, codes)
    there = {tuple(row) for row in more.codes.tolist()}
    assert {tuple(row) for row in codes.tolist()} <= there and {tuple(row) for row in group.codes.tolist()} <= there


def test_a_unit_of_less_is_whole() -> None:
    space = chain_space(4, 6)
    assert len(space.unit_modules(0)[0]) == 6**4 == len(unit_groups(space, space.sample(5, np.random.default_rng(0)))[0])
