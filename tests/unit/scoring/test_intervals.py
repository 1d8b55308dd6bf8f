"""Intervals: of a share of trials, of a mean over members."""

import numpy as np
import pytest

from autobuild_core.scoring.intervals import Mean, jackknife_half_width, wilson


@pytest.mark.parametrize(("inside", "num"), [(0, 5), (5, 5), (9, 10)])
def test_the_interval_of_a_share_is_one(inside: int, num: int) -> None:
    low, high = wilson(inside, num)
    assert 0 <= low <= inside / num <= high + 1e-9 and high <= 1 and high - low > 0.05
    reference = {(0, 5): (0.0, 0.3511), (5, 5): (0.6489, 1.0), (9, 10): (0.6535, 0.9776)}
    assert (low, high) == pytest.approx(reference[inside, num], abs=2e-3)


@pytest.mark.parametrize("members", [2, 4, 16])
def test_a_mean_of_members_has_the_jackknife_interval(members: int) -> None:
    values = np.random.default_rng(members).normal(3, 2, members)
    found, half = Mean.of_members(values), float(jackknife_half_width(values[:, None])[0])
    assert (found.mean, found.half, found.num) == (pytest.approx(values.mean()), pytest.approx(half, rel=1e-9), members)
    assert Mean.of_members(values, 2.0).half == pytest.approx(np.hypot(half, 1.645 * 2.0))
