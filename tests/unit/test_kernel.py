"""The kernel of the solved half: what it compares, which relevance scales what, and the formula by hand."""

import numpy as np
import pytest

from autobuild_core.graphs import make_graphs
from autobuild_core.kernel import BIAS_VARIANCE, PARTS, Relevances, layer_coordinates, layer_kinds, similarity
from autobuild_core.records import ABSENT
from autobuild_core.spaces import Space, space_named
from autobuild_core.structure import structure_kinds
from tests.learning import flat_space, random_member

SPACES = {"macro": space_named("nas_bench_macro"), "flat": flat_space(3), "cell": space_named("nas_bench_201")}
EVERY = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


class TestLayers:
    spec = SPACES["macro"].spec  # identity, mb3_k3, mb6_k5: operation, expansion and kernel are its attributes

    def test_layers_are_compared_by_token_and_by_each_attribute(self) -> None:
        assert [kind.tolist() for kind in layer_kinds(self.spec)] == [[0, 1, 2], [0, 1, 1], [0, 1, 2], [0, 1, 2]]

    def test_two_that_differ_are_one_apart_and_equal_ones_are_not(self) -> None:
        codes = np.array([[0, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 2]], np.int16)
        one, other = layer_coordinates(codes, self.spec)
        apart = (one - other).reshape(-1) ** 2
        by_kind = np.split(apart, np.cumsum([8 * 3, 8 * 2, 8 * 3])[:3])
        for part, values in zip(by_kind, (3, 2, 3, 3), strict=True):
            np.testing.assert_allclose(part.reshape(8, values).sum(1), [0, 1, 0, 0, 0, 0, 0, 1], rtol=1e-6)

    def test_what_differs_in_one_attribute_only_is_apart_there_only(self) -> None:
        one, other = layer_coordinates(np.array([[1] * 8, [2] * 8], np.int16), self.spec)
        operation = slice(8 * 3, 8 * 5)
        assert (one[operation] == other[operation]).all() and (one != other).any()  # both are mbconv

    def test_an_absent_layer_has_no_coordinate(self) -> None:
        space = SPACES["flat"]
        codes = space.sample(30, np.random.default_rng(0))
        num = space.spec.num_positions
        tokens = layer_coordinates(codes, space.spec)[:, : num * len(space.spec.tokens)].reshape(30, num, -1)
        assert ((tokens == 0).all(2) == (codes == ABSENT)).all() and (codes == ABSENT).any()


class TestRelevances:
    @EVERY
    @pytest.mark.parametrize("hops", [0, 4])
    def test_there_is_one_for_every_coordinate(self, space: Space, hops: int) -> None:
        random, codes = random_member(space), space.sample(5, np.random.default_rng(0))
        random.num_hops = hops
        columns = random.coordinates(codes, make_graphs(codes, space.spec), random.structure(codes))
        relevances = Relevances.of_space(space.spec, random.hop_widths)
        assert relevances.of.shape == (columns.shape[1], 2) and len(random.hop_widths) == hops
        positions, kinds = space.spec.num_positions, len(layer_kinds(space.spec))
        groups = max(structure_kinds(space.spec)) + 1
        assert len(relevances.prior) == len(relevances.spread) == positions + kinds + groups + hops
        assert set(relevances.of.ravel()) == {-1, *range(len(relevances.prior))}  # each is used

    def test_a_layers_is_that_of_its_position_times_that_of_what_it_is_compared_by(self) -> None:
        spec = SPACES["macro"].spec
        relevances = Relevances.of_space(spec, [6])
        logs = np.random.default_rng(0).normal(size=len(relevances.prior))
        scales = relevances.scales(logs)
        layers = scales[: 8 * 11]
        start = 0
        for kind, values in enumerate((3, 2, 3, 3)):
            for position in range(8):
                expected = np.exp(logs[position] + logs[8 + kind])
                np.testing.assert_allclose(layers[start : start + values], expected)
                start += values
        np.testing.assert_allclose(scales[-6:], np.exp(logs[-1]))  # the hop's

    def test_slopes_are_gathered_as_scales_are_made(self) -> None:
        relevances = Relevances.of_space(SPACES["cell"].spec, [3, 3])
        rng = np.random.default_rng(1)
        logs, weights = rng.normal(size=len(relevances.prior)), rng.normal(size=len(relevances.of))
        gathered = relevances.gather(weights * relevances.scales(logs))
        for number, step in enumerate(1e-6 * np.eye(len(logs))):
            slope = weights @ (relevances.scales(logs + step) - relevances.scales(logs - step)) / 2e-6
            assert gathered[number] == pytest.approx(slope, rel=1e-5, abs=1e-6)

    @EVERY
    def test_groups_have_size_one_and_layers_stay(self, space: Space) -> None:
        random, codes = random_member(space), space.sample(60, np.random.default_rng(0))
        raw = random.coordinates(codes, make_graphs(codes, space.spec), random.structure(codes)).astype(float)
        relevances = Relevances.of_space(space.spec, random.hop_widths)
        columns = (raw - raw.mean(0)) / relevances.sizes(raw - raw.mean(0))
        num_layers = layer_coordinates(codes, space.spec).shape[1]
        np.testing.assert_allclose(columns[:, :num_layers], (raw - raw.mean(0))[:, :num_layers])
        for group in set(relevances.of[num_layers:, 0]):
            assert (columns[:, relevances.of[:, 0] == group] ** 2).sum(1).mean() == pytest.approx(1)

    def test_what_never_varies_is_not_divided_by_nothing(self) -> None:
        relevances = Relevances.of_space(SPACES["macro"].spec, [6])
        assert (relevances.sizes(np.zeros((4, len(relevances.of)))) == 1).all()


class TestSimilarity:
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(7, 5)), rng.normal(size=(4, 5))
    weights = np.array([0.7, 0.3, 0.1])

    def between(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return similarity(a @ b.T, (a * a).sum(1), (b * b).sum(1), self.weights)

    def test_by_hand(self) -> None:
        assert len(self.weights) == PARTS
        found = self.between(self.left, self.right)
        for i, a in enumerate(self.left):
            for j, b in enumerate(self.right):
                expected = 0.7 * np.exp(-((a - b) ** 2).sum()) + 0.3 * (a @ b) + 0.1 * (a @ b) ** 2 + BIAS_VARIANCE
                assert found[i, j] == pytest.approx(expected)

    def test_it_is_a_kernel(self) -> None:
        found = self.between(self.left, self.left)
        assert np.allclose(found, found.T) and np.linalg.eigvalsh(found).min() > -1e-9

    def test_rounding_makes_no_likeness_above_that_to_itself(self) -> None:
        rows = (1000 + self.rng.normal(size=(3, 5))).astype(np.float32)
        norms = (rows * rows).sum(1)
        assert similarity(rows @ rows.T, norms, norms, np.array([1.0, 0, 0])).max() <= 1 + BIAS_VARIANCE
