"""Every statistic of the trust report against numbers worked out by hand, and planted faults."""

import math

import numpy as np
import pandas as pd
import pytest

from autobuild_core.spaces import space_named
from autobuild_core.trust import permutation, statistics
from autobuild_core.trust.findings import Baseline, DataShape
from tests.learning import macro_truth

MACRO = space_named("nas_bench_macro")


def evolution_log(num: int, seed: int) -> np.ndarray:
    """The codes that a regularised evolution on the planted truth evaluates, in order."""
    rng = np.random.default_rng(seed)
    alive = list(MACRO.sample(12, rng))
    log = list(alive)
    while len(log) < num:
        drawn = rng.choice(len(alive), 5, replace=False)
        parent = alive[max(drawn, key=lambda i: macro_truth(alive[i][None])[0])].copy()
        parent[rng.integers(8)] = rng.integers(3)
        log.append(parent)
        alive = [*alive[1:], parent]
    return np.array(log, np.int16)


class TestOrder:
    def test_perfect_and_reversed_order(self) -> None:
        x = np.arange(30.0)
        assert statistics.grouped_srcc(x, x, np.arange(30)) == pytest.approx((1, 1, 1))
        value, low, high = statistics.grouped_srcc(-x, x, np.arange(30))
        assert (value, low, high) == pytest.approx((-1, -1, -1))

    def test_rows_of_a_network_are_drawn_together(self) -> None:
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=40), rng.normal(size=40)
        a += b
        single = statistics.grouped_srcc(a, b, np.arange(40))
        copied = statistics.grouped_srcc(np.repeat(a, 9), np.repeat(b, 9), np.repeat(np.arange(40), 9))
        width = single[2] - single[1]
        assert copied[0] == pytest.approx(single[0])
        assert copied[2] - copied[1] == pytest.approx(width, rel=0.25)  # nine copies are no evidence
        wrong = statistics.grouped_srcc(np.repeat(a, 9), np.repeat(b, 9), np.arange(360))
        assert wrong[2] - wrong[1] < 0.6 * width

    def test_a_better_order_is_ahead(self) -> None:
        rng = np.random.default_rng(1)
        truth = rng.normal(size=200)
        good, bad = truth + rng.normal(0, 0.3, 200), truth + rng.normal(0, 2, 200)
        lines = statistics.against_baselines(good, {"bad": bad, "same": good}, truth, np.arange(200))
        assert lines[0].ahead == 1.0 and lines[1].ahead == 0.0  # the same is never ahead of itself
        assert lines[0].low <= lines[0].srcc <= lines[0].high

    def test_calibration_bins_by_hand(self) -> None:
        predicted = np.repeat([0.0, 1.0], 8)
        target = np.array([0.0, 0.2] * 4 + [1.0] * 8)
        low, high = predicted - 0.1, predicted + 0.1
        frame = pd.DataFrame({"target": target, "predicted": predicted, "low": low, "high": high})
        table = statistics.calibration_table(frame, 2)
        assert table["num"].tolist() == [8, 8]
        assert table["measured"].tolist() == pytest.approx([0.1, 1.0])
        assert table["coverage"].tolist() == [0.5, 1.0]
        half = 1.645 * np.std([0, 0.2] * 4, ddof=1) / math.sqrt(8)
        assert table["measured_high"].iloc[0] == pytest.approx(0.1 + half)


class TestBest:
    def test_draws_have_the_jackknife_spread(self) -> None:
        members = np.random.default_rng(0).normal(size=(60, 3))
        draws = statistics.jackknife_draws(members, 20_000)
        assert draws.mean(0) == pytest.approx(members.mean(0), abs=0.15)
        expected = members.std(0) * math.sqrt(59) * math.sqrt(59 / 57)  # variance of t with 59 degrees of freedom
        assert draws.std(0) == pytest.approx(expected, rel=0.03)

    def test_two_modules_by_hand(self) -> None:
        # The difference is 1 on average and +-0.5 by member: a t with 1 degree of freedom (Cauchy) of scale 0.5.
        members = np.array([[1.5, 0.0], [0.5, 0.0]])
        frame = statistics.best_of(members)
        assert frame["prob_best"].iloc[0] == pytest.approx(0.5 + math.atan(1 / 0.5) / math.pi, abs=0.03)
        assert frame["share_of_members"].tolist() == [1.0, 0.0]

    def test_equal_modules_share_the_probability_and_cannot_be_told(self) -> None:
        rng = np.random.default_rng(2)
        members = rng.normal(0, 0.1, (200, 4)) / math.sqrt(200)
        members -= members.mean(0)
        frame = statistics.best_of(members)
        assert frame["prob_best"].to_numpy() == pytest.approx(0.25, abs=0.06)
        assert frame["cannot_be_told"].all()
        assert frame["prob_best"].sum() == pytest.approx(1)

    def test_a_clear_winner_is_told_and_minimised_targets_turn_it(self) -> None:
        members = np.random.default_rng(3).normal(0, 0.01, (10, 5)) + np.arange(5.0)
        frame = statistics.best_of(members)
        assert frame["prob_best"].iloc[4] == 1 and frame["cannot_be_told"].tolist() == [False] * 4 + [True]
        assert statistics.best_of(members, sign=-1)["cannot_be_told"].tolist() == [True] + [False] * 4

    def test_shared_errors_cancel(self) -> None:
        common = np.random.default_rng(4).normal(0, 5, (10, 1))
        frame = statistics.best_of(common + np.array([0.0, 0.1]))
        assert frame["prob_best"].iloc[1] == 1  # every member agrees on the difference


class TestDataShape:
    @pytest.mark.parametrize("num", [50, 300])
    def test_a_uniform_sample_is_called_one(self, num: int) -> None:
        for seed in range(3):
            facts, positions = statistics.data_shape(MACRO.sample(num, np.random.default_rng(seed)), MACRO)
            assert facts.kind == "uniform sample" and facts.enough
            assert facts.distance == pytest.approx(facts.uniform_distance, rel=0.15)
            assert len(positions) == 8

    @pytest.mark.parametrize("num", [60, 300])
    def test_an_evolution_log_is_called_one(self, num: int) -> None:
        for seed in range(3):
            facts, _ = statistics.data_shape(evolution_log(num, seed), MACRO)
            assert facts.kind == "search log"
            assert facts.effective_share < 0.95 and facts.distance > facts.uniform_distance

    def test_a_log_that_saw_one_corner_is_not_enough(self) -> None:
        codes = MACRO.sample(80, np.random.default_rng(0))
        codes[:, 2:] = 2
        facts, positions = statistics.data_shape(codes, MACRO)
        assert facts.kind == "search log" and not facts.enough
        assert facts.never_seen == pytest.approx(12 / 24)  # two of three layers at six of eight positions
        assert positions["never_seen"].tolist() == [0, 0, 2, 2, 2, 2, 2, 2]
        assert positions["effective_layers"].iloc[5] == pytest.approx(1)

    def test_the_whole_space(self) -> None:
        codes = MACRO.enumerate()
        assert codes is not None
        assert statistics.data_shape(codes, MACRO)[0].kind == "whole space"

    def test_effective_number_by_hand(self) -> None:
        assert statistics.effective_number(np.array([[0.5, 0.5, 0.0], [0.9, 0.1, 0.0]])) == pytest.approx(
            [2.0, math.exp(-0.9 * math.log(0.9) - 0.1 * math.log(0.1))]
        )


class TestPermutation:
    scores = np.random.default_rng(0).normal(size=200)
    networks = np.arange(200) // 2  # twins

    def test_honest_training_passes(self) -> None:
        rng = np.random.default_rng(1)
        check = permutation.permutation_check(
            lambda rows, new: (rng.normal(size=len(rows)), 0.01), self.scores, self.networks, 1.0
        )
        assert check.passed and abs(check.srcc) < check.limit
        assert check.num_networks == 100

    def test_a_leak_is_found(self) -> None:
        leak = lambda rows, new: (new + np.random.default_rng(2).normal(size=len(new)), 0.9)  # noqa: E731
        check = permutation.permutation_check(leak, self.scores, self.networks, 1.0)
        assert not check.passed and check.srcc > 0.5
        said = statistics.verdict(0.99, 400, permutation=check)
        assert said.word == "not trustworthy" and "leaks" in said.why

    def test_labels_move_between_networks_and_twins_stay_alike(self) -> None:
        seen = {}

        def remember(rows: np.ndarray, new: np.ndarray) -> tuple[np.ndarray, float]:
            seen.update(rows=rows, new=new)
            return new * 0 + np.arange(len(new)), 0.0

        permutation.permutation_check(remember, np.repeat(self.scores[:100], 2), self.networks, 1.0)
        assert (seen["new"][0::2] == seen["new"][1::2]).all()
        assert sorted(seen["new"][0::2]) == pytest.approx(sorted(self.scores[:100]))
        assert abs(np.corrcoef(seen["new"][0::2], self.scores[:100])[0, 1]) < 0.3

    def test_layer_spread_by_hand(self) -> None:
        codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.int16)
        scores = np.array([0.0, 0.0, 2.0, 2.0])  # the first position decides: means -1, +1; the second 0, 0
        assert permutation.layer_spread(scores, codes, 2) == pytest.approx(math.sqrt(0.5))


class TestVerdict:
    def test_words(self) -> None:
        assert statistics.verdict(0.95, 200).word == "trustworthy"
        assert statistics.verdict(0.95, 40).word == "thin"
        assert statistics.verdict(0.7, 400).word == "thin"
        assert statistics.verdict(0.3, 400).word == "not trustworthy"
        assert statistics.verdict(float("nan"), 400).word == "not trustworthy"

    def test_a_log_without_overlap_is_not_enough(self) -> None:
        data = DataShape("search log", 0.2, 0.1, 0.4, 0.6, 0.5, 0.3, enough=False)
        said = statistics.verdict(0.95, 200, data=data)
        assert said.word == "not enough" and "40%" in said.why

    def test_a_better_baseline_is_a_doubt_unless_by_a_hair(self) -> None:
        better = Baseline("ridge", 0.97, 0.96, 0.98, 0.0, "Ridge on ranks")
        assert statistics.verdict(0.93, 200, [better]).word == "thin"
        assert statistics.verdict(0.965, 200, [better]).word == "trustworthy"


def test_agreement_by_hand() -> None:
    front = {"unit_index": [0, 0, 0, 1, 1, 1], "positions": "p", "layers": list("abcabc")}
    ours = pd.DataFrame(front | {"score": [1.0, 2, 3, 1, 2, 3]})
    theirs = pd.DataFrame(front | {"score": [10.0, 20, 30, 3, 2, 1]})
    assert statistics.agreement(ours, theirs) == pytest.approx(0.0)  # 1 in one unit, -1 in the other
    assert statistics.agreement(ours, ours) == pytest.approx(1.0)
    assert statistics.agreement(ours, theirs.assign(score=1.0)) is None
