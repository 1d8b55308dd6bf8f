"""Second differences: nothing on an additive function, the known number on a product."""

import json

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.module_table import describe_modules
from autobuild_core.scorers import unit_groups
from autobuild_core.scoring.interactions import extreme_layers, interactions, layer_places, second_differences, unit_places
from autobuild_core.spaces import Space
from tests.learning import chain_space, flat_space


class Planted:
    """An "ensemble" of two members that are a function of the codes, already in target units."""

    def __init__(self, space: Space, product: float) -> None:
        self.space, self.spec, self.product = space, space.spec, product

    def member_scores(self, codes: np.ndarray) -> np.ndarray:
        present = codes >= 0
        additive = (np.where(present, codes + 1.0, 0.0) * np.linspace(1, 2, codes.shape[1])).sum(1)
        both = self.product * (codes[:, 0] == 2) * (codes[:, 3] == 1)
        return np.stack([additive + both, additive + 1.5 * both]).astype(np.float64)

    def member_expected(self, scores: np.ndarray) -> np.ndarray:
        return scores


def modules_of(space: Space):
    frame = describe_modules(unit_groups(space), space.spec, space.sample(10, np.random.default_rng(0)))
    return frame.assign(score=np.arange(len(frame), dtype=float), good=0.1)


@pytest.mark.parametrize("space", [chain_space(), chain_space(depths=(3,)), flat_space()], ids=["depths", "fixed", "tied"])
def test_an_additive_function_has_none(space: Space) -> None:
    table = interactions(Planted(space, 0.0), modules_of(space), False)
    assert len(table) and np.abs(table[["value", "low", "high"]].to_numpy()).max() < 1e-9


def test_a_product_is_found_with_its_value() -> None:
    space = chain_space(depths=(3,))  # two units of three positions; positions 0 and 3 interact at tokens 2 and 1
    table = interactions(Planted(space, 6.0), modules_of(space), False, num_contexts=400, most_rows=10**6, seed=1)
    top = table[table["kind"] == "layers"].iloc[0]
    assert (top["first"], top["second"]) == ("U1.L1", "U2.L1")
    assert (json.loads(top["first_module"]), json.loads(top["second_module"])) == (["mbconv2"], ["mbconv1"])
    # Members: 6 and 9. With chance 1/3 each of the context's own: b (1 - p)(1 - q) = b 4/9.
    assert top["value"] == pytest.approx(7.5 * 4 / 9, rel=0.12)
    assert top["low"] < 6 * 4 / 9 < 9 * 4 / 9 < top["high"]


def test_exactly_by_hand_over_all_contexts() -> None:
    space = chain_space(depths=(3,))
    places = layer_places(space.spec)
    contexts = space.enumerate()
    assert contexts is not None
    values = second_differences(Planted(space, 6.0), places[0], places[3], contexts)[0]
    expected = 6 * np.outer([-1 / 3, -1 / 3, 2 / 3], [-1 / 3, 2 / 3, -1 / 3])
    assert values == pytest.approx(expected)


def test_places_of_units_are_their_best_modules() -> None:
    space = chain_space()
    places = unit_places(modules_of(space), space.spec, False, top=2)
    assert [p.label for p in places] == ["U1", "U2"] and all(len(p.codes) == 2 for p in places)
    assert places[0].codes[0].tolist() == [2, 2, 2]  # the last of the module table has the largest score


def test_only_extreme_layers_of_a_place_with_many() -> None:
    space = chain_space(num_tokens=7, depths=(3,))
    scores = [3.0, 9, 1, 5, 7, 2, 4]
    lines = [{"positions": '["U1.L1"]', "layers": f'["mbconv{i}"]', "score": s} for i, s in enumerate(scores)]
    place = extreme_layers(layer_places(space.spec)[0], pd.DataFrame(lines), space.spec, 5)
    assert place.codes[:, 0].tolist() == [1, 2, 3, 4, 5]  # 9, 7, 5 and 1, 2
