"""Prices: never below zero, about the true step, and what limits and directions do to them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core import api
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.predictor import fitting
from autobuild_core.predictor.fitting import fit_metrics, fit_posterior
from autobuild_core.predictor.metrics import Bound, Metrics
from autobuild_core.predictor.posterior import Posterior
from autobuild_core.search.budgets import Budgets
from autobuild_core.search.prices import candidates, limits_around, prices, step_of
from autobuild_core.spaces import Space, space_named
from autobuild_core.testing.examples import additive_truth, chain_space
from tests.learning import macro_data, macro_truth

MACRO = space_named("nas_bench_macro")
NOISE = 0.1


def size_of(codes: Codes) -> np.ndarray:
    return np.asarray(1.0 + (MACRO.canonical(codes) ** 2).sum(1))


def networks(space: Space, codes: Codes) -> Codes:
    return codes[np.unique(space.hash_networks(codes), return_index=True)[1]]


@pytest.fixture(scope="module")
def every() -> tuple[Codes, np.ndarray, np.ndarray]:
    """All networks, their measured targets and their sizes."""
    whole = MACRO.enumerate()
    assert whole is not None
    codes = networks(MACRO, whole)
    return codes, macro_truth(codes) + NOISE * np.random.default_rng(0).standard_normal(len(codes)), size_of(codes)


def learned(every: tuple[Codes, np.ndarray, np.ndarray], seed: int, sign: int = 1) -> Posterior:
    rows = np.random.default_rng(seed).permutation(len(every[0]))[:100]
    return fit_posterior(MACRO, every[0][rows], sign * every[1][rows], sign < 0, ranked=0.0)


def test_prices_hold_the_true_step(every: tuple[Codes, np.ndarray, np.ndarray]) -> None:
    codes, values, size = every
    held = []
    for seed in range(20):
        limit = float(np.quantile(size, np.random.default_rng(seed).uniform(0.1, 0.8)))
        found = prices(learned(every, seed), codes, size, Bound("size", limit), (limit, limit + 4), seed).steps().iloc[0]
        true = values[size <= limit + 4].max() - values[size <= limit].max()
        assert 0 <= found["low"] <= found["price"] <= found["high"]
        held.append(found["low"] - 1e-9 <= true <= found["high"] + 1e-9)
    assert np.mean(held) >= 0.8


def test_the_best_grows_with_the_limit_whatever_the_direction(every: tuple[Codes, np.ndarray, np.ndarray]) -> None:
    codes, _, size = every
    limits = (9.0, 13.0, 17.0, 21.0)
    more = prices(learned(every, 1), codes, size, Bound("size", 9.0), limits)
    assert more.limits.tolist() == list(limits) and (np.diff(more.draws, axis=1) >= 0).all() and more.draws.shape == (100, 4)
    less = prices(learned(every, 1, -1), codes, size, Bound("size", 9.0), limits)
    assert (np.diff(less.draws, axis=1) <= 0).all()
    assert less.steps()[["price", "low", "high"]].to_numpy() == pytest.approx(more.steps()[["price", "low", "high"]].to_numpy())
    lower = prices(learned(every, 1), codes, -size, Bound("speed", -9.0, False), [-limit for limit in limits])
    assert lower.limits.tolist() == [-9.0, -13.0, -17.0, -21.0]
    assert lower.curve()["best"].to_numpy() == pytest.approx(more.curve()["best"].to_numpy())


def test_where_nothing_keeps_to_a_limit_there_is_no_price(every: tuple[Codes, np.ndarray, np.ndarray]) -> None:
    codes, _, size = every
    found = prices(learned(every, 2), codes, size, Bound("size", 0.0), (0.0, 9.0))
    assert found.steps()["price"].isna().all() and found.curve()["best"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("limit", "step"), [(8.0, 1.0), (40.0, 5.0), (600_000.0, 50_000.0), (-0.3, 0.02), (93.0, 10.0), (1.9, 0.2)]
)
def test_a_step_is_a_round_number_of_about_a_tenth(limit: float, step: float) -> None:
    assert step_of(limit) == pytest.approx(step)


def test_a_step_is_no_more_than_half_of_what_the_metric_spreads() -> None:
    assert step_of(20_003_280.0, 1_900.0) == 1_000.0 and step_of(4.0, 1.1) == step_of(4.0) and step_of(0.0, 2.0) == 0.1
    limits = limits_around(Bound("flops", 20_003_280.0), 4, 1_900.0)
    assert limits == [20_001_280.0, 20_002_280.0, 20_003_280.0, 20_004_280.0, 20_005_280.0]
    assert limits_around(Bound("acc", 93.0, False), 2) == [103.0, 93.0, 83.0]
    with pytest.raises(ConfigError, match="steps: got 0, expected at least 1"):
        limits_around(Bound("flops", 1.0), 0)


def test_candidates_of_a_large_space_are_found_within_each_limit() -> None:
    space = chain_space(4, (1, 2, 3), 5)
    rng = np.random.default_rng(0)
    codes = networks(space, space.sample(300, rng))[:200]
    depth = (codes >= 0).sum(1).astype(float)
    table = ArchTable(space.spec, codes, space.hash_networks(codes), pd.DataFrame({"depth": depth}), np.arange(200))
    budgets = Budgets(fit_metrics(table), (Bound("depth", 7.0),))
    posterior = fit_posterior(space, codes, additive_truth(space, codes), ranked=0.0)
    found = candidates(posterior, space, budgets, 0, (7.0, 9.0), codes[:5])
    deep = (found >= 0).sum(1)
    strangers = space.sample(5000, np.random.default_rng(1))
    worth, others = additive_truth(space, found), additive_truth(space, strangers)
    for limit in (7, 9):
        assert worth[deep <= limit].max() > others[(strangers >= 0).sum(1) <= limit].max()


def test_a_run_says_what_a_step_buys(tmp_path: Path) -> None:
    run = api.train(macro_data(60), "acc", tmp_path / "run", num_members=2, num_steps=5)
    frame = run.prices(["steps <= 9", "err <= 11"])
    assert frame["metric"].tolist() == ["steps", "err"] and frame["next"].tolist() == [10.0, 11.2]
    assert (frame["low"] >= 0).all() and (frame["low"] <= frame["price"]).all() and (frame["price"] <= frame["high"]).all()
    several = run.prices(["steps <= 9"], {"steps": (6, 8, 12)})
    assert several["limit"].tolist() == [6, 8] and several["next"].tolist() == [8, 12]


class TestWritten:
    """What a training wrote of metrics stands in the place of a fit, and says the same."""

    budgets = ("steps <= 9", "err <= 11")

    def before(self, trained: api.Run, tmp_path: Path) -> api.Run:
        """The same run, as an older version trained it."""
        shutil.copytree(trained.folder.path, tmp_path / "run", ignore=shutil.ignore_patterns("metrics.*"))
        return api.Run(tmp_path / "run")

    def test_a_fit_says_the_same(self, trained: api.Run, tmp_path: Path) -> None:
        before = self.before(trained, tmp_path)
        pd.testing.assert_frame_equal(trained.prices(self.budgets), before.prices(self.budgets), rtol=1e-6)
        fitted, written = before.build(5, budgets=self.budgets), trained.build(5, budgets=self.budgets)
        pd.testing.assert_frame_equal(written, fitted, rtol=1e-6)
        with pytest.raises(RunError, match="train it anew"):
            _ = before.metrics

    def test_nothing_is_fitted(self, trained: api.Run, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("fit_metrics", "fit_straight", "fit_posterior"):
            monkeypatch.delattr(fitting, name)
        run = api.Run(trained.folder.path)
        assert len(run.prices(self.budgets)) == 2 and len(run.build(2, budgets=self.budgets)) == 2
        assert list(run.metrics.models) == ["acc", "err", "steps"]

    def test_a_metric_without_a_model_is_fitted_where_a_budget_asks_for_it(
        self, trained: api.Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run, asked = api.Run(trained.folder.path), list[list[str]]()
        models = {name: model for name, model in run.metrics.models.items() if name != "err"}
        known = replace(run._known, metrics=Metrics(models, {"err": "others come first"}))
        monkeypatch.setattr(run, "_known", known)
        fit = fitting.fit_metrics
        monkeypatch.setattr(fitting, "fit_metrics", lambda table, names: asked.append(list(names)) or fit(table, names))
        assert len(run.build(2, budgets=self.budgets)) == len(run.build(2, budgets=self.budgets)) == 2
        assert asked == [["err"]]
        with pytest.raises(ConfigError, match="metric: got 'speed', expected one of"):
            run.build(2, budgets=["speed <= 2"])
