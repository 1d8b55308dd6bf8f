"""Intervals: of a share of trials."""

import pytest

from autobuild_core.scoring.intervals import wilson


@pytest.mark.parametrize(("inside", "num"), [(0, 5), (5, 5), (9, 10)])
def test_the_interval_of_a_share_is_one(inside: int, num: int) -> None:
    low, high = wilson(inside, num)
    assert 0 <= low <= inside / num <= high + 1e-9 and high <= 1 and high - low > 0.05
    reference = {(0, 5): (0.0, 0.3511), (5, 5): (0.6489, 1.0), (9, 10): (0.6535, 0.9776)}
    assert (low, high) == pytest.approx(reference[inside, num], abs=2e-3)
