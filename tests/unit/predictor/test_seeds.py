"""Repeats with other seeds: the mean is learned, as sure as it is, and what differs in anything else is never averaged."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from autobuild_core.api import train
from autobuild_core.architectures.records import ArchTable, noise_shares
from autobuild_core.benchmark.truths import counted_once
from autobuild_core.predictor.gaussian_process import Kernel, _readout, expect_stopped
from autobuild_core.predictor.kernel import Relevances
from autobuild_core.predictor.training import FoldedBatches
from autobuild_core.scoring.bootstrap import refit_readouts
from autobuild_core.scoring.population import Evaluated
from autobuild_core.spaces import space_named
from autobuild_core.targets.equation import Target
from autobuild_core.targets.noise import label_noise
from autobuild_core.targets.scaling import NormalScores
from tests.learning import macro_truth, table_of

MACRO = space_named("nas_bench_macro")
ONE = Relevances(np.array([[0, -1], [1, -1]]), np.array([-1.0, -1.0]), np.array([2.0, 2.0]))
REPEATS = np.array([1, 3, 1, 2, 5, 1, 1, 4])


def seeded(repeats: NDArray[np.int64], noise: float = 0.2, seed: int = 0, **contexts: Any) -> ArchTable:
    """Distinct networks of NAS-Bench-Macro, each trained with some seeds."""
    rng = np.random.default_rng(seed)
    every = MACRO.enumerate()
    assert every is not None
    first = np.sort(np.unique(MACRO.hash_networks(every), return_index=True)[1])
    codes = np.repeat(every[rng.choice(first, len(repeats), replace=False)], repeats, axis=0)
    acc = macro_truth(codes) + rng.normal(0, noise, len(codes))
    number = np.concatenate([np.arange(num) for num in repeats]).astype(float)
    frame = pd.DataFrame({"seed": number} | contexts)
    kinds = {"seed": "seed"} | dict.fromkeys(contexts, "task")
    return replace(table_of(codes, pd.DataFrame({"acc": acc, "ms": acc / 7})), contexts=frame, context_kinds=kinds)


def means(table: ArchTable) -> ArchTable:
    return table.over_seeds(np.isfinite(table.metrics["acc"].to_numpy()))


class TestMeans:
    def test_one_row_stands_for_all_seeds(self) -> None:
        table = seeded(REPEATS)
        found = means(table)
        first = np.concatenate([[0], np.cumsum(REPEATS)[:-1]])
        assert len(found) == len(table)
        assert np.flatnonzero(found.metrics["acc"].notna()).tolist() == first.tolist()
        assert found.repeats[first].tolist() == REPEATS.tolist()
        parts = np.split(table.metrics["acc"].to_numpy(), first[1:])
        assert found.metrics["acc"].to_numpy()[first] == pytest.approx([part.mean() for part in parts])
        spread = [part.std(ddof=1) if len(part) > 1 else np.nan for part in parts]
        assert found.spreads["acc"].to_numpy()[first] == pytest.approx(spread, nan_ok=True)
        assert found.take(first).repeats.tolist() == REPEATS.tolist()
        assert found.take(first).spreads["acc"].to_numpy() == pytest.approx(spread, nan_ok=True)

    def test_only_known_targets_are_averaged(self) -> None:
        table = seeded(np.array([3, 1]))
        metrics = table.metrics.copy()
        metrics.loc[1, "acc"] = np.nan
        found = means(replace(table, metrics=metrics))
        assert found.metrics.loc[0, "acc"] == pytest.approx(table.metrics.loc[[0, 2], "acc"].mean())
        assert found.repeats.tolist() == [2, 1, 1, 1]

    def test_a_stopped_trial_is_no_part_of_a_mean(self) -> None:
        table = seeded(np.array([3, 1]))
        found = means(replace(table, censored=np.array([np.nan, 0.5, np.nan, np.nan])))
        assert found.repeats.tolist() == [2, 1, 1, 1]

    @pytest.mark.parametrize("name", ["evaluator", "version", "data", "budget"])
    def test_what_differs_in_anything_else_is_never_averaged(self, name: str) -> None:
        table = seeded(np.array([2, 2, 2]), **{name: ["a", "b"] * 3})
        assert means(table) is table
        assert means(replace(table, contexts=table.contexts.assign(**{name: "a"}))).repeats.max() == 2

    def test_without_seeds_nothing_changes(self) -> None:
        table = seeded(REPEATS)
        plain = replace(table, contexts=table.contexts[[]], context_kinds={})
        assert means(plain) is plain
        assert means(seeded(np.ones(8, np.int64))).repeats.tolist() == [1] * 8


class TestCounts:
    def test_shares_have_mean_one(self) -> None:
        shares = noise_shares(REPEATS)
        assert shares is not None
        assert shares.mean() == pytest.approx(1)
        assert shares[0] == pytest.approx(5 * shares[4])
        assert noise_shares(np.full(5, 3)) is None
        assert noise_shares(np.zeros(0, np.int64)) is None

    def test_a_gaussian_process_learns_from_means_what_it_learns_from_all_rows(self) -> None:
        rng = np.random.default_rng(1)
        columns = rng.normal(size=(len(REPEATS), 2))
        lines = np.repeat(np.arange(len(REPEATS)), REPEATS)
        scores, noise = rng.normal(size=len(lines)), 0.3
        mean = np.bincount(lines, scores) / REPEATS
        shares = noise_shares(REPEATS)
        assert shares is not None
        every = Kernel(np.array([0.0, 0.0, 0.0, -2.0, -3.0, np.log(noise)]), ONE)
        averaged = Kernel(np.append(every.logs[:-1], np.log(noise * (1 / REPEATS).mean())), ONE)
        asked = rng.normal(size=(20, 2))
        by_rows = _readout(every, columns[lines], np.arange(len(lines)), scores, np.ones(len(lines), bool), np.ones(len(lines)))
        by_means = _readout(averaged, columns, np.arange(len(REPEATS)), mean, np.ones(len(REPEATS), bool), shares)
        wanted = every.between(asked, columns[lines]) @ by_rows
        assert averaged.between(asked, columns) @ by_means == pytest.approx(wanted)
        some = np.arange(6)  # landmarks
        by_rows = _readout(every, columns[lines], some, scores, np.ones(len(lines), bool), np.ones(len(lines)))
        place = np.unique(lines, return_index=True)[1]
        by_means = _readout(averaged, columns, lines[some], mean, np.ones(len(REPEATS), bool), shares)
        assert lines[some].tolist() == [0, 1, 1, 1, 2, 3]
        assert len(place) == len(REPEATS)
        wanted = every.between(asked, columns[lines[some]]) @ by_rows
        assert averaged.between(asked, columns[lines[some]]) @ by_means == pytest.approx(wanted, rel=1e-3)

    def test_a_stopped_trial_hears_of_the_counts(self) -> None:
        rng = np.random.default_rng(2)
        columns, scores = rng.normal(size=(6, 2)), rng.normal(size=6)
        bounds = np.array([-0.5, *[np.nan] * 5])
        kernel = Kernel(np.array([0.0, 0.0, 0.0, -2.0, -3.0, -1.0]), ONE)
        sure = expect_stopped(kernel, columns, scores, bounds, np.array([1, 0.1, 0.1, 0.1, 0.1, 0.1]))[0]
        unsure = expect_stopped(kernel, columns, scores, bounds, np.full(6, 5.0))[0]
        assert sure[0] != pytest.approx(unsure[0])
        assert expect_stopped(kernel, columns, scores, bounds)[0] == pytest.approx(
            expect_stopped(kernel, columns, scores, bounds, np.ones(6))[0]
        )

    def test_a_bootstrap_weighs_a_mean_as_its_rows(self) -> None:
        rng = np.random.default_rng(3)
        features, scores = rng.normal(size=(5, 3)), rng.normal(size=5)
        lines = np.array([0, 1, 1, 1, 2, 3, 4])
        repeats = np.bincount(lines)
        shares = noise_shares(repeats)
        assert shares is not None
        every = refit_readouts(features[lines], scores[lines], np.ones((len(lines), 1)), 0.2)
        averaged = refit_readouts(features, scores, 1 / shares[:, None], 0.2 * (1 / repeats).mean())
        assert averaged == pytest.approx(every, rel=1e-3)

    def test_a_network_meets_a_mean_as_often_as_it_has_seeds(self) -> None:
        fold, repeats = np.arange(9) % 3, np.array([1, 1, 1, 4, 1, 1, 1, 1, 1])
        batches = FoldedBatches(fold, 3, 9, np.random.default_rng(0), repeats)
        drawn = np.concatenate([batches.draw() for _ in range(60)])
        counts = np.bincount(drawn)
        assert counts[3] / counts[0] == pytest.approx(4, rel=0.05)
        plain = FoldedBatches(fold, 3, 9, np.random.default_rng(0))
        same = FoldedBatches(fold, 3, 9, np.random.default_rng(0), np.full(9, 7))
        assert [plain.draw().tolist() for _ in range(5)] == [same.draw().tolist() for _ in range(5)]

    def test_what_was_measured_counts_by_its_seeds(self) -> None:
        table = means(seeded(REPEATS))
        learned = table.take(table.metrics["acc"].notna().to_numpy())
        found = Evaluated.of(table, MACRO, "acc", False)
        seeds = dict(zip(learned.networks.tolist(), REPEATS.tolist(), strict=True))
        assert found.counts / found.counts.min() == pytest.approx([seeds[network] for network in found.networks.tolist()])


class TestNoise:
    def test_two_seeds_give_what_twins_give(self) -> None:
        table = seeded(np.full(150, 2))
        scaling = NormalScores.fit(table.metrics["acc"].to_numpy(), False)
        twins = label_noise(table, Target("acc"), scaling)
        found = label_noise(means(table), Target("acc"), scaling)
        assert (twins.source, found.source) == ("rows of the same network", "repeats with other seeds")
        assert twins.noise_sd == pytest.approx(0.2, rel=0.15)
        assert found.noise_sd == pytest.approx(float(twins.noise_sd or 0) / np.sqrt(2), rel=1e-6)  # of the mean of two

    def test_means_of_many_seeds_have_less_noise(self) -> None:
        repeats = np.array([1] * 60 + [4] * 60)
        found = label_noise(means(seeded(repeats)), Target("acc"), NormalScores.fit(np.arange(99.0), False))
        assert found.noise_sd == pytest.approx(0.2 * np.sqrt((1 / repeats).mean()), rel=0.15)

    def test_where_contexts_vary_too(self) -> None:
        table = means(seeded(np.full(100, 2)))
        values = table.metrics["acc"].to_numpy() + 5
        found = label_noise(table, Target("acc"), NormalScores.fit(values[np.isfinite(values)], False), values)
        assert found.noise_sd == pytest.approx(0.2 / np.sqrt(2), rel=0.15)


def test_a_run_learns_from_means_and_says_so(tmp_path: Path) -> None:
    table = seeded(np.array([3] * 10 + [1] * 30))
    run = train(table, "acc", tmp_path / "run", num_members=2, num_steps=2, max_length=1)
    assert [run.quality[name] for name in ("num_train", "num_networks", "num_repeated", "num_without_target")] == [40, 40, 10, 0]
    assert len(run.table()) == 60
    assert len(run.learned()) == 40
    finished = run.finished()
    assert finished.predictions["target"].to_numpy() == pytest.approx(finished.values[finished.predictions["row"]])
    assert finished.predictions["target"].iloc[0] == pytest.approx(table.metrics["acc"][:3].mean())
    assert run.trust.noise.source == "repeats with other seeds"
    once = counted_once(table)
    assert once.repeats.max() == 1
    assert np.isfinite(once.metrics["acc"]).sum() == 40
