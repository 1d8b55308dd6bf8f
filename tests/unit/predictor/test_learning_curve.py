"""The sample doubles while that pays, and what judges it is never in it."""

import numpy as np
import pytest

from autobuild_core.predictor import learning_curve
from autobuild_core.predictor.learning_curve import learn_enough


def run(networks: np.ndarray, srcc_of_size: dict[int, float], seed: int = 0):
    """Learning returns its rows; the judge looks its number up by how many networks there were."""
    seen = []

    def learn(rows: np.ndarray) -> np.ndarray:
        seen.append(rows)
        return rows

    def judge(learned: np.ndarray, judged: np.ndarray) -> float:
        assert len(np.unique(networks[judged])) == learning_curve.NUM_JUDGED
        assert not np.isin(networks[judged], networks[learned]).any()
        return srcc_of_size[len(np.unique(networks[learned]))]

    return *learn_enough(networks, learn, judge, np.random.default_rng(seed)), seen


def test_few_are_all_learned_from() -> None:
    networks = np.repeat(np.arange(learning_curve.WHOLE_LIMIT, dtype=np.uint64), 2)
    rows, learned, points, seen = run(networks, {})
    assert np.array_equal(rows, np.arange(len(networks))) and learned is rows and points == [] and len(seen) == 1


def test_it_doubles_until_the_gain_ends() -> None:
    networks = np.random.default_rng(1).integers(2**63, size=50_000).astype(np.uint64)
    networks = np.concatenate([networks, networks[:5000]])  # some evaluated twice
    rows, _, points, seen = run(networks, {1000: 0.9, 2000: 0.95, 4000: 0.951, 8000: 0.952, 16_000: 0.99})
    assert [(p["num_networks"], p["srcc"]) for p in points] == [(1000, 0.9), (2000, 0.95), (4000, 0.951), (8000, 0.952)]
    assert all(p["seconds"] >= 0 for p in points)
    assert np.isin(seen[0], seen[1]).all() and np.isin(seen[1], rows).all()
    twins = np.isin(networks, networks[rows])
    assert np.array_equal(np.flatnonzero(twins), rows)  # all rows of a network, or none


def test_a_larger_sample_that_taught_less_is_not_taken() -> None:
    networks = np.arange(20_000, dtype=np.uint64)
    rows, learned, points, seen = run(networks, {1000: 0.99, 2000: 0.98, 4000: 0.985})
    assert len(points) == 3 and len(rows) == 1000 and learned is seen[0]


def test_one_fall_does_not_end_it() -> None:
    networks = np.arange(30_000, dtype=np.uint64)
    rows, learned, points, seen = run(networks, {1000: 0.95, 2000: 0.94, 4000: 0.97, 8000: 0.971, 16_000: 0.972})
    assert len(points) == 5 and len(rows) == 16_000 and learned is seen[4]


@pytest.mark.parametrize(("num", "last"), [(50_000, 16_000), (5500, 3500)])
def test_it_ends_at_the_limit_or_with_the_data(num: int, last: int) -> None:
    sizes = [1000, 2000, 3500, 4000, 8000, 16_000]
    points = run(np.arange(num, dtype=np.uint64), {size: size / 1e5 for size in sizes})[2]
    assert points[-1]["num_networks"] == last
    assert run(np.arange(num, dtype=np.uint64), {size: size / 1e5 for size in sizes}, 1)[2][0]["srcc"] == 0.01
