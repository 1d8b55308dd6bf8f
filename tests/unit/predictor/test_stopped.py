"""Stopped trials: what is expected of them, and where the others stand among all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, spearmanr, truncnorm

from autobuild_core.api import train
from autobuild_core.architectures.records import ArchTable
from autobuild_core.predictor.gaussian_process import Kernel, below, expect_stopped
from autobuild_core.predictor.kernel import Relevances
from autobuild_core.predictor.stopped import Study, scales, scored
from autobuild_core.targets.scaling import NormalScores
from tests.learning import macro_data, macro_truth


def line_kernel(columns: np.ndarray, noise: float = 0.05) -> Kernel:
    """A kernel of plain coordinates, smooth."""
    relevances = Relevances(np.stack([np.arange(columns.shape[1]), np.full(columns.shape[1], -1)], 1), np.zeros(1), np.ones(1))
    return Kernel(np.log([*[0.5] * columns.shape[1], 1.0, 0.5, 0.01, noise]), relevances)


class TestExpectations:
    def test_below_is_the_mean_of_a_normal_variable_cut_off(self) -> None:
        for mean, spread, bound in ((0.0, 1.0, 0.0), (2.0, 0.5, 1.0), (-1.0, 1.0, 3.0)):
            expected = truncnorm.mean(-np.inf, (bound - mean) / spread, mean, spread)
            assert float(below(mean, spread, bound)) == pytest.approx(expected, abs=1e-6)
        assert float(below(0.0, 1.0, -40.0)) == pytest.approx(-40.025, abs=0.01)  # far out, where a ratio of densities is 0 / 0

    def test_one_stopped_trial_has_its_exact_expectation(self) -> None:
        columns = np.array([[0.0], [0.4], [0.9]])
        kernel, scores = line_kernel(columns), np.array([0.8, 0.0, 0.3])
        whole = kernel.between(columns, columns) + kernel.noise * np.eye(3)
        weights = np.linalg.solve(whole[np.ix_([0, 2], [0, 2])], whole[[0, 2], 1])
        mean, variance = weights @ scores[[0, 2]], whole[1, 1] - weights @ whole[[0, 2], 1]
        found = expect_stopped(kernel, columns, scores, np.array([np.nan, 0.1, np.nan]))[0]
        expected = truncnorm.mean(-np.inf, (0.1 - mean) / variance**0.5, mean, variance**0.5)
        assert found == pytest.approx([0.8, expected, 0.3], abs=1e-3)

    def test_many_are_where_a_smooth_truth_has_them(self) -> None:
        rng = np.random.default_rng(0)
        x = np.sort(rng.uniform(-2, 2, 80))[:, None]
        truth = 1.2 * x[:, 0]
        scores = truth + 0.2 * rng.standard_normal(80)
        bounds = np.where(scores < 0, 0.0, np.nan)
        bounds[:10] = np.nan  # a few low ones were evaluated
        first = np.where(np.isfinite(bounds), -0.8, scores)
        found = expect_stopped(line_kernel(x, 0.04), x, first, bounds)[0]
        stopped = np.isfinite(bounds)
        assert (found[stopped] < 0).all() and (found[~stopped] == scores[~stopped]).all()
        assert np.abs(found - truth)[stopped].mean() < 0.25 < np.abs(first - truth)[stopped].mean()


class TestScales:
    def test_without_stopped_trials_it_is_the_plain_one(self) -> None:
        values = np.random.default_rng(0).normal(size=50)
        plain, none = NormalScores.fit(values, False), NormalScores.fit(values, False, np.zeros(0))
        assert (plain.scores == none.scores).all() and (plain.values == none.values).all()

    @pytest.mark.parametrize("minimize", [False, True])
    def test_where_trials_were_stopped_at_random_scores_are_those_of_the_whole(self, minimize: bool) -> None:
        rng = np.random.default_rng(0)
        values, sign = rng.normal(10, 2, 2000), -1 if minimize else 1
        whole = NormalScores.fit(values, minimize)
        limit = float(np.median(values))
        stopped = (sign * values < sign * limit) & (rng.random(2000) < 0.6)
        found = NormalScores.fit(values[~stopped], minimize, np.full(stopped.sum(), limit))
        there = np.quantile(values, [0.05, 0.25, 0.45, 0.6, 0.95])
        assert found.to_scores(there) == pytest.approx(whole.to_scores(there), abs=0.08)
        dropped = NormalScores.fit(values[~stopped], minimize)
        assert np.abs(dropped.to_scores(there) - whole.to_scores(there)).max() > 0.25

    def test_straight_and_back_are_inverse_everywhere(self) -> None:
        for minimize in (False, True):
            scaling = NormalScores.fit(np.exp(np.random.default_rng(1).normal(size=60)), minimize)
            scores = np.linspace(-6, 6, 101)
            assert scaling.back(scaling.straight(scores)) == pytest.approx(scores, abs=1e-9)
            inside = np.linspace(scaling.scores[0], scaling.scores[-1], 50)
            assert scaling.straight(inside) == pytest.approx(scaling.to_target(inside))

    @pytest.mark.parametrize("minimize", [False, True])
    def test_where_nearly_all_were_stopped_likeness_tells_the_slope(self, minimize: bool) -> None:
        rng, sign = np.random.default_rng(2), -1 if minimize else 1
        x = rng.normal(size=(150, 1))
        oriented = x[:, 0] + 0.1 * rng.standard_normal(150)
        values = sign * (50 + 3 * oriented)
        stopped = oriented < 0
        stopped[np.flatnonzero(stopped)[:5]] = False
        limits = np.where(stopped, sign * 50.0, np.nan)
        relevances = Relevances(np.array([[0, -1]]), np.zeros(1), np.ones(1))
        known = np.where(stopped, np.nan, values)
        study = Study(x, relevances, np.zeros(150, int), known, limits, sign)
        first = (NormalScores.fit(values[~stopped], minimize, limits[stopped]),)
        guess = np.where(stopped, -0.8, scored(known, study.task, first))
        fold = np.arange(150) % 3
        (found,), without = scales(study, first, guess, fold, 0)
        true = NormalScores.fit(values, minimize)
        there = np.array([-2.0, -1.0, 0.0, 1.0])
        assert found.to_target(there) == pytest.approx(true.to_target(there), abs=0.8)
        assert len(without) == 3 and all(len(own) == 1 for own in without)
        assert np.std([own[0].to_target(np.array([-1.5])) for own in without]) > 0  # members know the tail differently


def stopped_study(seed: int = 0, num: int = 100) -> ArchTable:
    """A study in which two thirds of what is below the median was stopped."""
    whole = macro_data(num, seed)
    acc = whole.metrics["acc"].to_numpy()
    stopped = (acc < np.median(acc)) & (np.random.default_rng(seed).random(num) < 2 / 3)
    share = np.searchsorted(np.sort(acc[~stopped]), np.median(acc)) / (~stopped).sum()
    metrics = pd.DataFrame({"acc": np.where(stopped, np.nan, acc)})
    return replace(whole, metrics=metrics, censored=np.where(stopped, share, np.nan))


def test_a_run_learns_them_judges_by_the_others_and_says_what_leaving_them_out_changes(tmp_path: Path) -> None:
    cut = stopped_study()
    few = {"num_members": 3, "num_steps": 30, "max_length": 1, "threads": 1}
    run = train(cut, "acc", tmp_path / "run", **few)
    quality, frame = run.quality, run.folder.read_frame("predictions.parquet")
    assert quality["num_censored"] == cut.num_censored > 20
    assert len(frame) == quality["num_evidence"] == 100 - cut.num_censored and quality["num_train"] == 100
    assert np.isfinite(frame).all(axis=None) and quality["num_without_target"] == 0
    told = quality["stopped"]
    assert not told["dropped"] and -1 <= told["correlation"] <= 1 and told["num_positions"] == 8 >= told["best_changed"]
    unseen = cut.codes[np.isfinite(cut.censored)]
    assert spearmanr(run.predictor.predict(unseen)["predicted"], macro_truth(unseen)).statistic > 0.8
    evaluated = run.modules()
    assert evaluated[evaluated["positions"] == '["L1"]']["num_evaluated"].sum() == quality["num_evidence"]

    left_out = train(cut, "acc", tmp_path / "dropped", drop_stopped=True, **few)
    assert left_out.quality["stopped"] == {"dropped": True} and left_out.quality["num_train"] == 100 - cut.num_censored


def test_a_bound_of_a_minimised_target_is_on_its_worse_side() -> None:
    values = np.arange(10.0)
    scaling = NormalScores.fit(values, True, np.array([7.5, 7.5]))
    assert (np.diff(scaling.to_scores(values)) < 0).all()
    assert scaling.to_scores(np.array([8.0]))[0] > NormalScores.fit(values, True).to_scores(np.array([8.0]))[0] - 0.3
    plain = norm.ppf(0.5 / 12)
    assert scaling.scores.min() > plain  # the two that were stopped share their place with the worst
