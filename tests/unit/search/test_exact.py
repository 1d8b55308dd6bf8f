"""Exact assembly: equal to brute force with pair terms and budgets, one after the other, apart, and honest about its limit."""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autobuild_core.errors import ConfigError
from autobuild_core.search import exact
from autobuild_core.search.exact import Pair, Problem, assemble

Choice = tuple[int, ...]


def drawn(seed: int, most_units: int = 4) -> Problem:
    """A small problem with pairs and budgets, its numbers rounded so that there are equal ones."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 6, rng.integers(2, most_units + 1)).tolist()
    num_budgets, units = int(rng.integers(0, 3)), len(sizes)
    pairs = []
    for _ in range(int(rng.integers(0, 6))):
        one, other = rng.choice(units, 2, replace=False).tolist()
        value = round(float(rng.normal()), 1)
        pairs.append(Pair((one, int(rng.integers(sizes[one]))), (other, int(rng.integers(sizes[other]))), value))
    scores = [rng.normal(size=size).round(1) for size in sizes]
    costs = [rng.random((size, num_budgets)).round(1) for size in sizes]
    return Problem(scores, costs, np.full(num_budgets, round(units * rng.uniform(0.25, 0.7), 2)), pairs)


def brute(problem: Problem) -> list[tuple[float, Choice]]:
    """All choices that keep to the budgets, the best first."""
    every = itertools.product(*(range(len(scores)) for scores in problem.scores))
    kept = [(problem.value(one), one) for one in every if (problem.cost(one) <= problem.limits + 1e-9).all()]
    return sorted(kept, key=lambda pair: -pair[0])


@pytest.mark.parametrize("seed", range(200))
def test_the_best_are_those_of_brute_force(seed: int) -> None:
    problem, num = drawn(seed), 1 + seed % 5
    found, every = assemble(problem, num), brute(problem)
    assert found.values == pytest.approx([value for value, _ in every[:num]])
    assert len({tuple(one) for one in found.chosen.tolist()}) == len(found.chosen) and found.is_proven
    assert [problem.value(one) for one in found.chosen.tolist()] == pytest.approx(found.values)
    assert all((problem.cost(one) <= problem.limits + 1e-6).all() for one in found.chosen.tolist())
    assert bool(found.ended) == (len(every) < num)
    first = [every[0][0], 0.0] if every else [np.nan, np.nan]
    assert [found.bound, found.gap] == pytest.approx(first, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("seed", range(40))
def test_choices_that_differ_in_several_units_are_those_of_brute_force(seed: int) -> None:
    problem = drawn(1000 + seed)
    apart = 1 + seed % len(problem.scores)
    wanted: list[tuple[float, Choice]] = []
    for value, one in brute(problem):
        if all(sum(a != b for a, b in zip(one, other, strict=True)) >= apart for _, other in wanted):
            wanted.append((value, one))
    found = assemble(problem, 3, apart)
    for one, other in itertools.combinations(found.chosen.tolist(), 2):
        assert sum(a != b for a, b in zip(one, other, strict=True)) >= apart
    assert found.values[:1].tolist() == pytest.approx([value for value, _ in wanted[:1]])
    for number, value in enumerate(found.values[1:], 1):
        left = [
            worth
            for worth, one in brute(problem)
            if all(sum(a != b for a, b in zip(one, before, strict=True)) >= apart for before in found.chosen[:number].tolist())
        ]
        assert value == pytest.approx(left[0])


def large(seed: int = 0, units: int = 5, modules: int = 7_371) -> Problem:
    """A problem of the size of once-for-all's."""
    rng = np.random.default_rng(seed)
    scores = [np.sort(rng.normal(size=modules)) for _ in range(units)]
    costs = [np.abs(own[:, None] + rng.normal(size=(modules, 2))) + 1 for own in scores]
    pairs = []
    for _ in range(exact.MOST_PAIRS):
        one, other = rng.choice(units, 2, replace=False).tolist()
        first, second = (modules - 1 - rng.integers(200, size=2)).tolist()
        pairs.append(Pair((one, first), (other, second), float(0.3 * rng.normal())))
    return Problem(scores, costs, np.array([11.0, 12.0]), pairs)


def test_of_many_modules_few_are_left_and_the_answer_is_proven() -> None:
    problem = large()
    assert all(len(exact._kept(problem, unit, 1)) < 400 for unit in range(5))
    found = assemble(problem)
    assert found.is_proven and found.gap == pytest.approx(0, abs=1e-6)
    assert (problem.cost(found.chosen[0].tolist()) <= problem.limits + 1e-6).all()


def test_a_time_limit_returns_what_was_found_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that is a hundred seconds further each time it is asked."""
    clock = itertools.count(0, 100)
    monkeypatch.setattr(exact, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    problem = Problem([np.arange(9.0)] * 3, [np.zeros((9, 0))] * 3, np.zeros(0))
    found = assemble(problem, num=50, seconds=450.0)
    assert found.values.tolist() == [24, 23, 23, 23] and found.bound == pytest.approx(24) and not found.is_proven
    assert found.ended == "The limit of 450 s was reached after 4 of them."


def test_no_time_at_all_finds_nothing_and_says_so() -> None:
    found = assemble(large(), seconds=0.0)
    assert not len(found.values) and not found.is_proven and np.isnan(found.bound) and np.isnan(found.gap)
    assert found.ended == "The limit of 0 s was reached after 0 of them."


def test_budgets_that_nothing_keeps_to() -> None:
    problem = Problem([np.zeros(2)] * 2, [np.ones((2, 1))] * 2, np.array([1.5]))
    found = assemble(problem, 3)
    assert not len(found.values) and found.ended == "No choice keeps to all budgets." and found.is_proven


def test_of_more_pairs_the_strongest_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "MOST_PAIRS", 1)
    pairs = [Pair((0, 0), (1, 0), 1.0), Pair((0, 1), (1, 1), -3.0)]
    found = assemble(Problem([np.array([0.0, 2.5])] * 2, [np.zeros((2, 0))] * 2, np.zeros(0), pairs))
    assert found.chosen.tolist() in ([[0, 1]], [[1, 0]])


@pytest.mark.parametrize("wrong", [{"num": 0}, {"apart": 0}, {"apart": 9}])
def test_what_is_out_of_range_is_said(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="assembly: got"):
        assemble(drawn(0), **wrong)
