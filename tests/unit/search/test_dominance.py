"""Which losses are on the Pareto front, and the hypervolume: against the definition, Optuna and a count of cells."""

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray

from autobuild_core.search.dominance import anytime_volume, hypervolume, on_front

Array = NDArray[np.float64]


def by_definition(losses: Array) -> list[bool]:
    return [not any((other <= one).all() and (other < one).any() for other in losses) for one in losses]


@pytest.mark.parametrize("levels", [3, 1000], ids=["many alike", "all different"])
@pytest.mark.parametrize("num", [1, 2, 7, 40])
def test_the_front_is_what_none_is_better_than(num: int, levels: int) -> None:
    losses = np.random.default_rng(num).integers(0, levels, (30, num, 2)).astype(float)
    assert on_front(losses).tolist() == [by_definition(draw) for draw in losses]


def test_the_front_is_that_of_optuna() -> None:
    losses = np.random.default_rng(0).random((60, 2))
    study = optuna.create_study(directions=["minimize", "minimize"])
    for one in losses.tolist():
        study.add_trial(optuna.trial.create_trial(values=one))
    assert sorted(trial.number for trial in study.best_trials) == np.flatnonzero(on_front(losses)).tolist()


def test_the_hypervolume_counts_the_cells_that_are_dominated() -> None:
    losses = np.random.default_rng(1).integers(0, 12, (50, 9, 2)).astype(float)
    reference = np.array([9.0, 7.0])
    x, y = np.meshgrid(np.arange(9), np.arange(7), indexing="ij")
    cells = ((losses[:, :, None, None, 0] <= x) & (losses[:, :, None, None, 1] <= y)).any(1)
    assert hypervolume(losses, reference).tolist() == cells.sum((1, 2)).tolist()


def test_what_is_unknown_has_no_part_in_it() -> None:
    losses = np.array([[1.0, 2.0], [np.nan, 0.0], [0.0, np.nan]])
    assert hypervolume(losses, np.array([3.0, 3.0])) == 2.0


def test_the_hypervolume_so_far() -> None:
    losses = np.array([[np.nan, 1.0], [2.0, 2.0], [np.nan, np.nan], [1.0, 2.5], [3.0, 3.0], [0.0, 0.0]])
    assert anytime_volume(losses, np.array([3.0, 3.0])).tolist() == pytest.approx([np.nan, 1, 1, 1.5, 1.5, 9], nan_ok=True)
