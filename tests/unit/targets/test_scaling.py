"""Normal scores: the map there and back, its ends, and expectations against sampling."""

import json

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from autobuild_core.targets.scaling import REACH, NormalScores


def test_scores_by_hand() -> None:
    scaling = NormalScores.fit(np.array([30.0, 10.0, 20.0]), minimize=False)
    outer = norm.ppf(5 / 6)  # ranks 1, 2, 3 are the quantiles 1/6, 1/2, 5/6
    spread = np.sqrt(2 * outer**2 / 3)
    assert scaling.to_scores(np.array([10.0, 20.0, 30.0])) == pytest.approx([-outer / spread, 0, outer / spread])
    assert scaling.to_scores(np.array([15.0])) == pytest.approx([-outer / spread / 2])


def test_ties_share_one_score() -> None:
    target = np.array([1.0, 2.0, 2.0, 2.0, 3.0])
    scores = NormalScores.fit(target, False).to_scores(target)
    assert scores[1] == scores[2] == scores[3] == pytest.approx(0) and scores.std() == pytest.approx(1)
    assert scores[0] < 0 < scores[4]


@pytest.mark.parametrize("minimize", [False, True])
def test_the_way_back_and_unit_variance(minimize: bool) -> None:
    target = np.exp(np.random.default_rng(0).normal(0, 2, 300))
    scaling = NormalScores.fit(target, minimize)
    scores = scaling.to_scores(target)
    assert scores.mean() == pytest.approx(0, abs=1e-9) and scores.std() == pytest.approx(1)
    assert (rankdata(scores) == rankdata(-target if minimize else target)).all()
    assert scaling.to_target(scores) == pytest.approx(target)


def test_a_heavy_tail_is_gone() -> None:
    accuracy = np.random.default_rng(1).uniform(0.5, 0.9, 200)
    heavy = NormalScores.fit(100**accuracy, False).to_scores(100**accuracy)
    plain = NormalScores.fit(accuracy, False).to_scores(accuracy)
    assert heavy == pytest.approx(plain) and np.abs(heavy).max() < 3.5


@pytest.mark.parametrize("minimize", [False, True])
def test_beyond_the_data_it_goes_straight_on_and_then_stops(minimize: bool) -> None:
    target = np.linspace(0, 1, 101)
    scaling = NormalScores.fit(target, minimize)
    sign, top = scaling.sign, scaling.scores[-1]
    ends = scaling.to_target(np.array([top, top + REACH / 2, top + REACH, top + REACH + 1, top + 50]))
    steps = sign * np.diff(ends)
    assert steps[0] > 0 and steps[1] == pytest.approx(steps[0]) and steps[2] == steps[3] == 0
    grid = sign * scaling.to_target(np.linspace(-5, 5, 500))
    assert (np.diff(grid) >= -1e-12).all()


def test_expectation_without_error_is_the_map_and_with_error_the_mean() -> None:
    target = np.exp(np.random.default_rng(2).normal(0, 1, 400))
    scaling = NormalScores.fit(target, False)
    grid, exact = scaling.expectation(0.0)
    assert exact == pytest.approx(scaling.to_target(grid))
    grid, mean = scaling.expectation(0.5)
    errors = np.random.default_rng(3).normal(0, 0.5, 40_000)
    for score in (-1.0, 0.0, 1.0):
        drawn = scaling.to_target(score + errors)
        assert np.interp(score, grid, mean) == pytest.approx(drawn.mean(), abs=5 * drawn.std() / 200)
    assert np.interp(0.0, grid, mean) > np.interp(0.0, grid, exact)  # a convex map


def test_survives_json() -> None:
    scaling = NormalScores.fit(np.random.default_rng(4).normal(size=30), True)
    again = NormalScores.from_dict(json.loads(json.dumps(scaling.to_dict())))
    assert again.sign == -1 and (again.scores == scaling.scores).all() and (again.values == scaling.values).all()
