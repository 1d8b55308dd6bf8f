"""Folds, seeds, and that a member never learns from what it holds out."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from autobuild_core.architectures.features import make_codebook
from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.predictor.model import Encoded, GraphEnsemble, ModelConfig
from autobuild_core.predictor.training import FoldedBatches, TrainConfig, split_folds, train_ensemble
from autobuild_core.store.run_folder import MIN_NETWORKS
from autobuild_core.targets.scaling import NormalScores
from tests.learning import encoded, macro_data

TINY = TrainConfig(members=2, steps=8, batch_size=16, model=ModelConfig(width=8), clip=1e9)
CODEBOOK = make_codebook(macro_data(10).spec)


@dataclass(frozen=True, eq=False)
class Data:
    """What one training learns from."""

    encoded: Encoded
    scores: NDArray[np.float64]
    fold: NDArray[np.int64]


def tiny_data(num: int = 40) -> Data:
    table = macro_data(num, seed=1)
    target = table.metrics["acc"].to_numpy()
    fold = split_folds(table.networks, 2, np.random.default_rng(0))
    return Data(encoded(table.codes, table.spec), NormalScores.fit(target, False).to_scores(target), fold)


def trained(data: Data, config: TrainConfig = TINY, records: list[dict[str, Any]] | None = None) -> GraphEnsemble:
    report = (records if records is not None else []).append
    return train_ensemble(data.encoded, data.scores, data.fold, CODEBOOK, config, report, lambda: False)


class TestBatches:
    def test_folds_are_equal_and_every_row_comes_before_any_again(self) -> None:
        fold = np.repeat([0, 1, 2], [7, 8, 9])
        batches = FoldedBatches(fold, 3, 12, np.random.default_rng(0))
        assert batches.per_fold == 4 and batches.seen.shape == (3, 8)
        drawn = [batches.draw() for _ in range(6)]
        for rows in drawn:
            assert (np.bincount(fold[rows]) == 4).all() and len(set(rows)) == 12
        for member, seen in enumerate(batches.seen):
            assert (fold[drawn[0]][seen] != member).all()
        assert set(np.concatenate(drawn[:2])[np.isin(np.concatenate(drawn[:2]), np.flatnonzero(fold == 1))]) == set(range(7, 15))

    @given(st.lists(st.integers(1, 15), min_size=2, max_size=5), st.integers(1, 60), st.integers(0, 3))
    @settings(max_examples=60, deadline=None)
    def test_of_any_folds_no_row_comes_again_before_all_have_come(self, sizes: list[int], batch: int, seed: int) -> None:
        num = len(sizes)
        fold = np.random.default_rng(seed).permutation(np.repeat(np.arange(num), sizes))
        batches = FoldedBatches(fold, num, batch, np.random.default_rng(seed))
        assert batches.per_fold == max(1, min(round(batch / num), *sizes))
        drawn = np.array([batches.draw() for _ in range(3 * max(sizes))]).reshape(-1, num, batches.per_fold)
        for k, size in enumerate(sizes):
            rows = drawn[:, k].ravel()
            assert (fold[rows] == k).all()
            for start in range(0, len(rows) - size + 1, size):  # every stretch of as many as there are is all of them
                assert set(rows[start : start + size]) == set(np.flatnonzero(fold == k))
            assert all(len(set(batch)) == batches.per_fold for batch in drawn[:, k])
        owner = np.repeat(np.arange(num), batches.per_fold)
        for member, seen in enumerate(batches.seen):
            assert sorted(seen) == np.flatnonzero(owner != member).tolist()

    def test_a_fold_smaller_than_its_share_is_taken_whole(self) -> None:
        batches = FoldedBatches(np.repeat([0, 1], [3, 50]), 2, 64, np.random.default_rng(0))
        assert batches.per_fold == 3 and set(batches.draw()[:3]) == {0, 1, 2}


class TestFolds:
    @given(st.lists(st.integers(0, 40), min_size=1, max_size=150), st.integers(2, 12), st.integers(0, 5))
    @settings(max_examples=80, deadline=None)
    def test_twins_stay_together_and_folds_are_even(self, networks: list[int], num_folds: int, seed: int) -> None:
        hashes = np.array(networks, np.uint64)
        distinct = len(set(networks))
        if distinct < max(MIN_NETWORKS, num_folds):
            with pytest.raises(ConfigError, match=f"got {distinct} distinct networks"):
                split_folds(hashes, num_folds, np.random.default_rng(seed))
            return
        fold = split_folds(hashes, num_folds, np.random.default_rng(seed))
        fold_of = dict(zip(networks, fold.tolist(), strict=True))
        assert [fold_of[n] for n in networks] == fold.tolist()
        sizes = np.bincount(list(fold_of.values()), minlength=num_folds)
        assert len(sizes) == num_folds and sizes.max() - sizes.min() <= 1

    def test_they_are_random_and_follow_the_seed(self) -> None:
        hashes = np.arange(100, dtype=np.uint64)
        first, again, other = (split_folds(hashes, 5, np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert (first == again).all() and (first != other).any() and (first != np.sort(first)).any()

    def test_the_message_says_what_was_expected(self) -> None:
        with pytest.raises(ConfigError, match="got 9 distinct networks with a target, expected at least 10"):
            split_folds(np.repeat(np.arange(9, dtype=np.uint64), 50), 5, np.random.default_rng(0))


class TestConfig:
    def test_defaults_follow_the_size(self) -> None:
        few, many, huge = (TrainConfig.for_size(n) for n in (100, 1500, 100_000))
        assert few.members >= many.members >= 2
        assert few.steps < many.steps <= huge.steps
        assert TrainConfig.for_size(200_000).steps == huge.steps  # a budget in steps has an end

    def test_what_is_given_wins_and_none_is_not_given(self) -> None:
        config = TrainConfig.for_size(100, members=3, steps=None, seed=7)
        assert (config.members, config.steps, config.seed) == (3, TrainConfig.for_size(100).steps, 7)


class TestTraining:
    def test_same_seed_same_weights_bitwise(self) -> None:
        data = tiny_data()
        first, again = trained(data).state_dict(), trained(data).state_dict()
        other = trained(data, replace(TINY, seed=1)).state_dict()
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    def test_a_member_never_learns_from_its_own_fold(self) -> None:
        data = tiny_data()
        changed = data.scores.copy()
        changed[data.fold == 0] = np.random.default_rng(2).normal(size=int((data.fold == 0).sum()))
        first, other = trained(data).state_dict(), trained(replace(data, scores=changed)).state_dict()
        assert all(torch.equal(first[name][0], other[name][0]) for name in first)
        assert any(not torch.equal(first[name][1], other[name][1]) for name in first)

    def test_the_loss_falls_and_progress_says_so(self) -> None:
        records: list[dict[str, Any]] = []
        model = trained(tiny_data(), replace(TINY, steps=60, clip=5.0), records)
        assert not model.training
        assert (records[0]["step"], records[-1]["step"]) == (1, 60)
        assert records[-1]["loss"] < 0.5 * records[0]["loss"]
        for record in records:
            assert record["num_steps"] == 60 and record["phase"] == "training" and len(record["hop_srcc"]) == 5
            assert {"srcc", "seconds", "seconds_left"} <= set(record)
        assert records[-1]["srcc"] > 0.5 and records[-1]["seconds_left"] == 0

    def test_it_stops_when_told_to(self) -> None:
        asked: list[int] = []

        def should_stop() -> bool:
            asked.append(1)
            return len(asked) > 3

        records: list[dict[str, Any]] = []
        data = tiny_data()
        with pytest.raises(Cancelled):
            train_ensemble(data.encoded, data.scores, data.fold, CODEBOOK, TINY, records.append, should_stop)
        assert len(asked) == 4 and records[-1]["step"] <= 3

    def test_a_batch_larger_than_the_data_is_all_of_it(self) -> None:
        trained(tiny_data(20), replace(TINY, batch_size=512, steps=2))
