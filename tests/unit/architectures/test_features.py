"""The codebook of a space of two positions and two tokens, and of real spaces."""

import numpy as np
import pytest

from autobuild_core.architectures.features import JOINT, make_codebook
from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.records import ABSENT, SpaceSpec, UnitSpec
from autobuild_core.architectures.topologies._in_order import chain_graphs
from autobuild_core.spaces import Space, space_named
from tests.flat_spaces import loose_space
from tests.learning import chain_space, flat_space

UNITS = (UnitSpec("A", (0,), (1,), (0, 1)), UnitSpec("B", (1,), (1,), (0, 1)))
SPEC = SpaceSpec("nas_bench_macro", "two", ("A1", "B1"), ("x", "y"), UNITS, {"kernel": ("3", "5"), "constant": ("1", "1")})


def test_codebook_by_hand() -> None:
    book = make_codebook(SPEC)
    assert book.names == ("kernel", "layer", "unit", "layer index", JOINT)  # "constant" tells nothing apart
    kernel, layer, unit = [(0, "3"), (0, "5")], [(1, "x"), (1, "y")], [(2, "A"), (2, "B")]
    index, joint = [(3, "A1"), (3, "B1")], [(4, "A1: x"), (4, "A1: y"), (4, "B1: x"), (4, "B1: y")]
    assert list(book.values) == kernel + layer + unit + index + joint
    assert book.feature_of.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4]
    assert book.table[:, 1, 0].tolist() == [0, 2, 5, 7, 10]  # position B1, token x


def test_encoding_by_hand() -> None:
    graphs = chain_graphs(np.array([[1, 0], [ABSENT, 1]], np.int16))
    categories = make_codebook(SPEC).encode(graphs)
    assert categories.shape == (2, 2, 5)
    assert categories[0].tolist() == [[1, 3, 4, 6, 9], [0, 2, 5, 7, 10]]
    assert categories[1, 0].tolist() == [1, 3, 5, 7, 11]


def test_sums_of_a_cell_have_values_of_their_own() -> None:
    spec = space_named("nas_bench_201").spec
    book = make_codebook(spec)
    assert book.names == ("operation", "kernel", "layer", "unit", "layer index", JOINT)
    graphs = make_graphs(np.array([[0, 1, 2, 3, 4, 0]], np.int16), spec)
    shown = [[book.values[c][1] for c in node] for node in book.encode(graphs)[0]]
    assert shown[2] == ["conv", "1", "nor_conv_1x1", "node 2", "1>2", "1>2: nor_conv_1x1"]
    assert shown[7] == ["sum", "sum", "sum", "node 2", "node 2", "node 2: sum"]
    assert set(range(len(book.values))) == set(book.table.ravel().tolist())  # no category that no node can have


@pytest.mark.parametrize("space", [space_named("nas_bench_macro"), space_named("ofa_mbv3"), flat_space(), chain_space()])
def test_every_layer_at_every_position_is_told_apart_and_described_by_its_own_values(space: Space) -> None:
    book, spec = make_codebook(space.spec), space.spec
    joint = book.table[book.names.index(JOINT)]
    assert len(np.unique(joint)) == spec.num_positions * len(spec.tokens)
    for feature, name in enumerate(book.names):
        assert set(book.feature_of[book.table[feature].ravel()].tolist()) == {feature}
        for token, value in enumerate(spec.attributes.get(name, ())):
            assert {book.values[c][1] for c in book.table[feature, :, token]} == {value}
    for position, label in enumerate(spec.position_labels):
        shown = {book.values[c][1] for c in book.table[book.names.index("layer index"), position]}
        assert shown == {label}
    assert (np.bincount(book.feature_of) > 1).all()


def test_of_loose_units_only_what_can_be_is_a_category_and_nothing_is_said_twice() -> None:
    spec = loose_space(60).spec
    book = make_codebook(spec)
    assert book.names == ("value", "layer", "unit")  # the layer index is the unit, the joint feature the layer
    values = [value for feature, value in book.values if feature == 1]
    assert values == list(spec.tokens)


def test_numbers_are_coordinates_and_texts_are_not() -> None:
    spec = loose_space(2).spec  # c0: texts; c1: 1, 2, 4, ...
    book = make_codebook(spec)
    numbers = dict(zip(((book.names[f], value) for f, value in book.values), book.numbers, strict=True))
    assert numbers["value", "1"] == 0 and numbers["value", "2"] == pytest.approx(1 / (2 ** (len(spec.units[1].tokens) - 1) - 1))
    assert np.isnan(numbers["value", "v0"]) and np.isnan(numbers["layer", "c1=1"])
    place = book.table[0, 1, spec.units[1].tokens[0]]
    assert book.values[place] == (0, "1")


def test_a_number_of_two_columns_is_a_category_in_each_by_its_coordinate() -> None:
    spec = loose_space(4).spec
    book = make_codebook(spec)
    assert sum(value == "2" for feature, value in book.values if feature == 0) == 2
