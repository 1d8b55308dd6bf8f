"""Any architecture survives its encoding, any flat table its inference, and no input breaks a parser."""

import json
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from autobuild_core.errors import ArchitectureError
from autobuild_core.spaces import space_named
from autobuild_core.spaces.flat import Flat
from autobuild_core.spaces.nas_bench_201 import network_of
from tests.flat_spaces import infer_spec

TOKENS = space_named("ofa_mbv3").spec.tokens
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from(["ks", "e", "d", "b0_k", "arch", "x"]), inner),
    max_leaves=25,
)
COLUMNS = ["b0_k", "b0_l", "b1_k", "b1_l", "act"]
ROWS = st.lists(
    st.tuples(st.sampled_from([3, 5, 7]), st.integers(0, 3), st.sampled_from([3, 5]), st.integers(1, 2), st.sampled_from("ab")),
    min_size=1,
    max_size=12,
)


@given(st.text("012", min_size=8, max_size=8))
def test_macro_keys_survive(key: str) -> None:
    space = space_named("nas_bench_macro")
    assert space.native(np.array(space.parse(key), np.int16)) == key


@given(st.text("012", min_size=8, max_size=8), st.text("012", min_size=8, max_size=8))
def test_macro_networks_are_equal_exactly_when_the_operations_are(one: str, other: str) -> None:
    def operations(key: str) -> list[tuple[str, str]]:
        return [(key[a], key[a + 1 : b].replace("0", "")) for a, b in ((0, 2), (2, 5), (5, 8))]

    space = space_named("nas_bench_macro")
    first, second = space.hash_networks(np.array([space.parse(one), space.parse(other)], np.int16))
    assert (first == second) == (operations(one) == operations(other))


@given(st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_cells_survive_and_their_representative_computes_the_same(row: list[int]) -> None:
    space = space_named("nas_bench_201")
    assert space.parse(space.native(np.array(row, np.int16))) == row
    canonical = space.canonical(np.array([row], np.int16))[0].tolist()
    assert network_of(tuple(canonical)) == network_of(tuple(row))
    assert sum(x > 0 for x in canonical) <= sum(x > 0 for x in row)


@given(st.lists(st.lists(st.sampled_from(TOKENS), min_size=2, max_size=4), min_size=5, max_size=5))
def test_ofa_lists_survive(arch: list[list[str]]) -> None:
    space = space_named("ofa_mbv3")
    assert space.native(np.array(space.parse(arch), np.int16)) == arch


@given(ROWS)
def test_every_row_of_a_flat_table_lies_in_its_inferred_space(rows: list[tuple[Any, ...]]) -> None:
    frame = pd.DataFrame(rows, columns=COLUMNS)
    space = Flat(infer_spec(frame, COLUMNS))
    for row in frame.to_dict("records"):
        codes = space.parse(row)
        again = space.native(np.array(codes, np.int16))
        assert space.parse(json.loads(json.dumps(again))) == codes
        for column, value in row.items():
            unused = column == "b0_k" and row["b0_l"] == 0  # a kernel of no layer
            assert unused or again[column] == value


@settings(max_examples=300)
@given(JSON_VALUES)
def test_no_value_breaks_a_parser(value: Any) -> None:
    flat = Flat(infer_spec(pd.DataFrame({"b0_k": [3, 5], "b0_l": [1, 2]}), ["b0_k", "b0_l"]))
    for space in (space_named("nas_bench_macro"), space_named("nas_bench_201"), space_named("ofa_mbv3"), flat):
        try:
            codes = space.parse(value)
        except ArchitectureError:
            continue
        assert space.check(codes) == codes
