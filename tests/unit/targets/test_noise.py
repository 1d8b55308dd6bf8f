"""Label noise by hand, from columns, twins and deviations."""

import math

import numpy as np
import pandas as pd
import pytest

from autobuild_core.spaces import space_named
from autobuild_core.targets.equation import Target
from autobuild_core.targets.noise import averaged_in, label_noise, repeats_of, srcc_ceiling
from autobuild_core.targets.scaling import NormalScores
from tests.learning import macro_data, macro_truth, table_of

MACRO = space_named("nas_bench_macro")


def test_ceiling_by_hand() -> None:
    assert srcc_ceiling(1.0) == pytest.approx(1.0)
    assert srcc_ceiling(0.0) == 0.0
    assert srcc_ceiling(0.25) == pytest.approx(6 / math.pi * math.asin(0.25))


def test_the_ceiling_is_what_the_truth_itself_reaches() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    seeds = truth[:, None] + rng.normal(0, 0.6, (4000, 2))
    metrics = pd.DataFrame({"acc": seeds.mean(1), "acc_seed0": seeds[:, 0], "acc_seed1": seeds[:, 1]})
    codes = MACRO.sample(4000, rng)
    scaling = NormalScores.fit(metrics["acc"].to_numpy(), False)
    noise = label_noise(table_of(codes, metrics), Target("acc"), scaling)
    reached = pd.Series(truth).corr(metrics["acc"], method="spearman")
    assert noise.ceiling == pytest.approx(reached, abs=0.02)
    assert noise.noise_sd == pytest.approx(0.6 / math.sqrt(2), rel=0.05)
    single = label_noise(table_of(codes, metrics), Target("acc_seed0"), scaling)
    assert single.noise_sd == pytest.approx(0.6, rel=0.05)


def test_twins_are_repeats() -> None:
    rng = np.random.default_rng(1)
    codes = np.repeat(MACRO.sample(200, rng), 2, axis=0)
    acc = macro_truth(codes) + rng.normal(0, 0.2, 400)
    scaling = NormalScores.fit(acc, False)
    noise = label_noise(table_of(codes, pd.DataFrame({"acc": acc})), Target("acc"), scaling)
    assert noise.source == "rows of the same network" and noise.noise_sd == pytest.approx(0.2, rel=0.15)


def test_a_mean_of_another_name_and_a_column_of_deviations() -> None:
    rng = np.random.default_rng(2)
    runs = rng.normal(90, 1, (50, 1)) + rng.normal(0, 0.1, (50, 3))
    metrics = pd.DataFrame({"mean_acc": runs.mean(1), "std": runs.std(1)} | {f"test_acc_{k + 1}": runs[:, k] for k in range(3)})
    assert repeats_of(metrics, "mean_acc") == (["test_acc_1", "test_acc_2", "test_acc_3"], 3)
    assert averaged_in(metrics) == dict.fromkeys(["test_acc_1", "test_acc_2", "test_acc_3"], "mean_acc")
    assert averaged_in(metrics.drop(columns="mean_acc")) == {}
    codes = MACRO.enumerate()
    assert codes is not None
    codes, scaling = codes[::100][:50], NormalScores.fit(metrics["mean_acc"].to_numpy(), False)
    noise = label_noise(table_of(codes, metrics), Target("mean_acc"), scaling)
    assert noise.noise_sd == pytest.approx(0.1 / math.sqrt(3), rel=0.25)
    spread = metrics.assign(std=0.3)[["mean_acc", "std"]]
    noise = label_noise(table_of(codes, spread), Target("mean_acc"), scaling)
    assert noise.source == "column std" and noise.noise_sd == pytest.approx(0.3)


def test_nothing_measured_twice() -> None:
    table = macro_data(12)
    scaling = NormalScores.fit(table.metrics["acc"].to_numpy(), False)
    assert label_noise(table, Target("acc"), scaling).ceiling is None
