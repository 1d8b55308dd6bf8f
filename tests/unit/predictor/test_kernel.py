"""The kernel of the Gaussian process: what it compares, which relevance scales what, and the formula by hand."""

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.records import ABSENT
from autobuild_core.architectures.structure import structure_kinds
from autobuild_core.predictor.kernel import BIAS_VARIANCE, PARTS, Layers, Relevances, compare, similarity
from autobuild_core.spaces import Space, load_space, space_named
from tests.flat_spaces import infer_spec, loose_space
from tests.learning import chain_space, flat_space, random_member

SPACES = {"macro": space_named("nas_bench_macro"), "flat": flat_space(3), "cell": space_named("nas_bench_201")}
EVERY = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


class TestLayers:
    spec = SPACES["macro"].spec  # identity, mb3_k3, mb6_k5: operation, expansion and kernel are its attributes

    def columns(self, *codes: list[int]) -> np.ndarray:
        return Layers(self.spec).coordinates(np.array(codes, np.int16))

    def test_layers_are_compared_by_token_and_by_attributes_that_group_them_otherwise(self) -> None:
        """Expansion and kernel tell the three tokens apart as the token itself does."""
        of = Layers(self.spec).of
        assert of.tolist() == [[p, k] for p in range(8) for k in (0, 0, 0, 1, 1)]
        cell = Layers(SPACES["cell"].spec).of
        assert cell[:12].tolist() == [[0, k] for k in [0] * 5 + [1] * 4 + [2] * 3]

    def test_two_that_differ_are_one_apart_and_equal_ones_are_not(self) -> None:
        one, other = self.columns([0] * 8, [0, 1, 0, 0, 0, 0, 0, 2])
        apart = ((one - other) ** 2).reshape(8, 5)
        np.testing.assert_allclose(apart[:, :3].sum(1), [0, 1, 0, 0, 0, 0, 0, 1], rtol=1e-6)
        np.testing.assert_allclose(apart[:, 3:].sum(1), [0, 1, 0, 0, 0, 0, 0, 1], rtol=1e-6)

    def test_what_an_attribute_does_not_tell_apart_is_apart_by_token_only(self) -> None:
        one, other = self.columns([1] * 8, [2] * 8)  # both are mbconv
        apart = ((one - other) ** 2).reshape(8, 5)
        assert apart[:, :3].sum(1) == pytest.approx(1) and (apart[:, 3:] == 0).all()

    def test_an_absent_layer_has_no_coordinate_and_is_half_as_far(self) -> None:
        space = SPACES["flat"]
        layers, codes = Layers(space.spec), space.sample(30, np.random.default_rng(0))
        columns = layers.coordinates(codes)
        assert (codes == ABSENT).any()
        for position in range(space.spec.num_positions):
            own = columns[:, (layers.of == (position, 0)).all(1)]
            assert ((own == 0).all(1) == (codes[:, position] == ABSENT)).all()
            assert set(np.round((own**2).sum(1), 6)) <= {0.0, 0.5}

    def test_a_wide_flat_table_has_a_coordinate_for_each_of_its_values(self) -> None:
        """Each column of a table has tokens and an attribute of its own, which do not count at the others' positions."""
        table = pd.DataFrame({f"c{i}_x": ["a", "b", "c", "d"] for i in range(60)})
        space = load_space(infer_spec(table, list(table.columns)))
        assert space.spec.num_positions == 60
        assert len(Layers(space.spec).of) == 60 * 4

    def test_where_no_layer_can_differ_there_is_no_coordinate(self) -> None:
        space = chain_space(num_tokens=1, depths=(2,))
        codes = space.sample(4, np.random.default_rng(0))
        layers = Layers(space.spec)
        assert layers.coordinates(codes).shape == (4, 0) and layers.of.shape == (0, 2)
        random = random_member(space)
        columns = random.coordinates(codes, make_graphs(codes, space.spec), random.structure(codes))
        assert len(Relevances.of_space(space.spec, layers, random.hop_widths).of) == columns.shape[1]


class TestRelevances:
    @EVERY
    @pytest.mark.parametrize("hops", [0, 4])
    def test_there_is_one_for_every_coordinate(self, space: Space, hops: int) -> None:
        random, codes = random_member(space), space.sample(5, np.random.default_rng(0))
        random.num_hops = hops
        columns = random.coordinates(codes, make_graphs(codes, space.spec), random.structure(codes))
        relevances = Relevances.of_space(space.spec, random.layers, random.hop_widths)
        assert relevances.of.shape == (columns.shape[1], 2) and len(random.hop_widths) == hops
        positions, kinds = space.spec.num_positions, len(np.unique(random.layers.of[:, 1]))
        groups = max(structure_kinds(space.spec)) + 1
        assert len(relevances.prior) == len(relevances.spread) == positions + kinds + groups + hops
        assert set(relevances.of.ravel()) == {-1, *range(len(relevances.prior))}  # each is used

    def test_a_layers_is_that_of_its_position_times_that_of_what_it_is_compared_by(self) -> None:
        spec = SPACES["macro"].spec
        relevances = Relevances.of_space(spec, Layers(spec), [6])
        logs = np.random.default_rng(0).normal(size=len(relevances.prior))
        scales = relevances.scales(logs)
        for position, layers in enumerate(scales[: 8 * 5].reshape(8, 5)):
            np.testing.assert_allclose(layers[:3], np.exp(logs[position] + logs[8]))
            np.testing.assert_allclose(layers[3:], np.exp(logs[position] + logs[9]))
        np.testing.assert_allclose(scales[-6:], np.exp(logs[-1]))  # the hop's

    def test_slopes_are_gathered_as_scales_are_made(self) -> None:
        relevances = Relevances.of_space(SPACES["cell"].spec, Layers(SPACES["cell"].spec), [3, 3])
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
        relevances = Relevances.of_space(space.spec, random.layers, random.hop_widths)
        columns = (raw - raw.mean(0)) / relevances.sizes(raw - raw.mean(0))
        num_layers = len(random.layers.of)
        np.testing.assert_allclose(columns[:, :num_layers], (raw - raw.mean(0))[:, :num_layers])
        for group in set(relevances.of[num_layers:, 0]):
            assert (columns[:, relevances.of[:, 0] == group] ** 2).sum(1).mean() == pytest.approx(1)

    def test_what_never_varies_is_not_divided_by_nothing(self) -> None:
        spec = SPACES["macro"].spec
        relevances = Relevances.of_space(spec, Layers(spec), [6])
        rounding = 1e-7 * np.random.default_rng(0).normal(size=(4, len(relevances.of)))
        assert (relevances.sizes(rounding) == 1).all()


class TestSimilarity:
    rng = np.random.default_rng(2)
    left, right = rng.normal(size=(7, 5)), rng.normal(size=(4, 5))
    weights = np.array([0.7, 0.3, 0.1])

    def test_by_hand(self) -> None:
        assert len(self.weights) == PARTS
        found = compare(self.left, self.right, self.weights)
        for i, a in enumerate(self.left):
            for j, b in enumerate(self.right):
                expected = 0.7 * np.exp(-((a - b) ** 2).sum()) + 0.3 * (a @ b) + 0.1 * (a @ b) ** 2 + BIAS_VARIANCE
                assert found[i, j] == pytest.approx(expected)

    def test_it_is_a_kernel(self) -> None:
        found = compare(self.left, self.left, self.weights)
        assert np.allclose(found, found.T) and np.linalg.eigvalsh(found).min() > -1e-9

    def test_rounding_makes_no_likeness_above_that_to_itself(self) -> None:
        norms = np.array([1e4, 1e4], np.float32)
        inner = np.full((2, 2), 1e4 + 1e-2, np.float32)  # a rounding of 1e-6 away: the squared distance seems to be -0.02
        assert (norms[:, None] + norms - 2 * inner).min() < -0.01
        assert similarity(inner, norms, norms, np.array([1.0, 0, 0])).max() <= 1 + BIAS_VARIANCE


def test_a_number_is_a_coordinate_of_its_own() -> None:
    spec = loose_space(2).spec
    layers, tokens = Layers(spec), spec.units[1].tokens
    codes = np.array([[spec.units[0].tokens[0], token] for token in tokens], np.int16)
    own = layers.coordinates(codes)[:, (layers.of == (1, 2)).all(1)]  # kinds: token, value as a category, value as a number
    assert own[:, 0] == pytest.approx([spec.numbers["value"][token] for token in tokens])
    assert not (layers.of[layers.of[:, 0] == 0, 1] == 2).any()  # a column of texts has none
    assert layers.coordinates(np.array([[0, ABSENT]], np.int16))[0, (layers.of == (1, 2)).all(1)] == pytest.approx(0.5)
