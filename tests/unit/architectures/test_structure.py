"""Structure features of hand-made cells and chains."""

import numpy as np
import pytest

from autobuild_core.architectures.records import ABSENT, SpaceSpec, UnitSpec
from autobuild_core.architectures.structure import (
    WEIGHT,
    layer_pairs,
    one_hot,
    structure_features,
    structure_kinds,
    structure_scale,
    token_counts,
)
from autobuild_core.architectures.topologies.cell import path_features
from autobuild_core.spaces import space_named
from tests.flat_spaces import mixed_space
from tests.learning import chain_space, flat_space

CELL = space_named("nas_bench_201")
# Edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3; tokens none 0, skip 1, 1x1 convolution 2, 3x3 convolution 3, pooling 4.
DEAD = [3, 0, 3, 0, 0, 0]  # convolutions that reach no output
SKIP = [0, 0, 0, 1, 0, 0]  # input to output, and nothing else
CHAIN = [3, 0, 3, 0, 0, 3]  # 0>1>2>3
MIXED = [3, 2, 1, 1, 4, 3]  # every edge does something
ORDER = [(1,), (2,), (3,), (4,), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)]


def paths(cell: list[int], subset: tuple[int, ...]) -> list[float]:
    """[shortest, longest, paths, fewest, most, behind the input, before the output] of a set of operations."""
    place = ORDER.index(subset)
    found: list[float] = path_features(np.array([cell], np.int16), CELL.spec)[0, 7 * place : 7 * place + 7].tolist()
    return found


class TestPaths:
    def test_every_set_of_working_operations_has_seven(self) -> None:
        assert path_features(np.array([DEAD, SKIP], np.int16), CELL.spec).shape == (2, 7 * 15)  # 2 ** 4 - 1 sets

    def test_a_dead_cell_reaches_nothing(self) -> None:
        assert paths(DEAD, (3,)) == [4, 0, 0, -1, -1, 1, 0]  # farther than the three units; one convolution reads the input
        assert paths(DEAD, (1, 3)) == [4, 0, 0, -1, -1, 1, 0]
        assert paths(DEAD, (1,)) == [4, 0, 0, -1, -1, 0, 0]

    def test_a_direct_skip(self) -> None:
        assert paths(SKIP, (1,)) == [1, 1, 1, 1, 1, 1, 1]
        assert paths(SKIP, (3,)) == [4, 0, 0, 0, 0, 0, 0]  # the one path has no convolution
        assert paths(SKIP, (1, 3)) == [1, 1, 1, 1, 1, 1, 1]

    def test_a_chain_of_three_convolutions(self) -> None:
        assert paths(CHAIN, (3,)) == [3, 3, 1, 3, 3, 1, 1]
        assert paths(CHAIN, (1,)) == [4, 0, 0, 0, 0, 0, 0]
        assert paths(CHAIN, (2, 3)) == [3, 3, 1, 3, 3, 1, 1]

    def test_many_paths_by_hand(self) -> None:
        """Paths: 0>3 skip; 0>1>3 conv, pool; 0>2>3 1x1, conv; 0>1>2>3 conv, skip, conv."""
        assert paths(MIXED, (3,)) == [4, 0, 0, 0, 2, 1, 1]  # 1>2 is no convolution, so none goes over convolutions alone
        assert paths(MIXED, (1,)) == [1, 1, 1, 0, 1, 1, 1]
        assert paths(MIXED, (1, 3)) == [1, 3, 2, 1, 3, 2, 2]
        assert paths(MIXED, (2, 3)) == [2, 2, 1, 0, 2, 2, 1]
        assert paths(MIXED, (3, 4)) == [2, 2, 1, 0, 2, 1, 2]

    def test_against_a_walk_over_all_paths(self) -> None:
        """Every path of every one of some random cells, for every single operation and pair."""
        codes = CELL.sample(60, np.random.default_rng(0))
        routes = [(3,), (0, 4), (1, 5), (0, 2, 5)]  # positions along each way from the input to the output
        for row in codes:
            for subset in ORDER:
                inside = [route for route in routes if all(row[p] in subset for p in route)]
                alive = [sum(row[p] in subset for p in route) for route in routes if all(row[p] != 0 for p in route)]
                lengths = [len(route) for route in inside]
                expected = [min(lengths, default=4), max(lengths, default=0), len(inside)]
                expected += [min(alive, default=-1), max(alive, default=-1)]
                expected += [sum(row[p] in subset for p in (0, 1, 3)), sum(row[p] in subset for p in (3, 4, 5))]
                assert paths(row.tolist(), subset) == expected, (row, subset)


class TestFeatures:
    def test_of_a_chain_by_hand(self) -> None:
        units = (UnitSpec("A", (0, 1), (1, 2), (0, 1, 2)), UnitSpec("B", (2,), (1,), (0, 1, 2)))
        attributes = {"kernel": ("3", "3", "5"), "kind": ("x", "y", "x")}
        spec = SpaceSpec("ofa_mbv3", "small", ("A1", "A2", "B1"), ("p", "q", "r"), units, attributes)
        features = structure_features(np.array([[0, ABSENT, 2], [1, 2, 2]], np.int16), spec)
        # Layers of p, q, r; of kernel 3, 5; of kind x, y; of unit A, whose depth varies. Unit B always has one.
        assert features.tolist() == [[1, 0, 1, 1, 1, 2, 0, 1], [0, 1, 2, 1, 2, 2, 1, 2]]

    def test_of_a_cell_counts_come_first_then_paths(self) -> None:
        codes = np.array([DEAD, CHAIN], np.int16)
        features, spec = structure_features(codes, CELL.spec), CELL.spec
        assert features[:, :5].tolist() == [[4, 0, 0, 2, 0], [3, 0, 0, 3, 0]]
        kinds = {name: list(dict.fromkeys(values)) for name, values in spec.attributes.items()}
        assert features[:, 5 : 5 + len(kinds["operation"])].tolist() == [[4, 0, 2, 0], [3, 0, 3, 0]]  # none, skip, conv, pool
        assert (features[:, -7 * 15 :] == path_features(codes, spec)).all()
        assert features.shape[1] == 5 + sum(map(len, kinds.values())) + 7 * 15

    @pytest.mark.parametrize("space", [CELL, flat_space(), chain_space(), space_named("ofa_mbv3")])
    def test_the_columns_do_not_depend_on_the_rows(self, space) -> None:
        codes = space.sample(20, np.random.default_rng(1))
        whole = structure_features(codes, space.spec)
        assert (np.concatenate([structure_features(codes[i : i + 1], space.spec) for i in range(20)]) == whole).all()
        assert structure_features(codes[:0], space.spec).shape == (0, whole.shape[1])

    @pytest.mark.parametrize("space", [CELL, space_named("ofa_mbv3")])
    def test_standardised_features_have_the_weight_as_their_norm_and_constants_stay_finite(self, space) -> None:
        codes = space.sample(300, np.random.default_rng(2))
        mean, spread = structure_scale(codes, space.spec).astype(float)
        features = structure_features(codes, space.spec)
        varied = features.std(0) > 0
        standard = (features - mean) / spread
        assert standard.mean(0) == pytest.approx(0, abs=1e-4)
        per_column = WEIGHT / np.sqrt(features.shape[1])
        assert standard.std(0)[varied] == pytest.approx(per_column, rel=1e-4)
        assert np.sqrt((standard**2).sum(1).mean()) == pytest.approx(WEIGHT * np.sqrt(varied.mean()), rel=1e-4)
        alone = structure_scale(codes[:1], space.spec)
        assert np.isfinite(alone).all() and (alone[1] > 0).all()


def test_kinds_are_tokens_attributes_depths_and_each_number_of_a_path() -> None:
    macro = space_named("nas_bench_macro").spec  # 3 tokens; operation 2, expansion 3, kernel 3 values; fixed depth
    assert structure_kinds(macro) == [0] * 3 + [1] * 2 + [2] * 3 + [3] * 3
    chain = chain_space().spec  # 3 tokens, 3 expansions, 2 units of variable depth
    assert structure_kinds(chain) == [0] * 3 + [1] * 3 + [2] * 2
    cell = structure_kinds(CELL.spec)
    assert cell[:12] == [0] * 5 + [1] * 4 + [2] * 3 and cell[12:] == list(range(3, 10)) * 15


@pytest.mark.parametrize("name", ["nas_bench_macro", "nas_bench_201", "ofa_mbv3", "ofa_proxyless"])
def test_every_column_has_a_kind(name: str) -> None:
    space = space_named(name)
    codes = space.sample(2, np.random.default_rng(0))
    assert len(structure_kinds(space.spec)) == structure_features(codes, space.spec).shape[1]


def test_one_hot_of_what_can_be_only() -> None:
    space = mixed_space()
    codes = space.sample(40, np.random.default_rng(0))
    hot, (places, tokens) = one_hot(codes, space.spec), layer_pairs(space.spec)
    assert list(zip(places.tolist(), tokens.tolist(), strict=True))[:4] == [(0, 0), (0, 1), (1, 2), (1, 3)]
    assert hot.shape == (40, 2 * space.spec.num_positions)
    assert (hot == (codes[:, places] == tokens)).all()
    assert (token_counts(codes, space.spec) == (codes[:, :, None] == np.arange(len(space.spec.tokens))).sum(1)).all()


def test_one_hot_where_everything_can_be_is_positions_times_tokens() -> None:
    codes = CELL.sample(30, np.random.default_rng(0))
    assert (one_hot(codes, CELL.spec) == (codes[:, :, None] == np.arange(5)).reshape(30, -1)).all()
