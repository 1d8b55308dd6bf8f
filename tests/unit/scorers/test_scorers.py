"""Scores against brute force over spaces that can be enumerated: every definition is spelled out again here, in plain loops."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student_t

from autobuild_core import spaces
from autobuild_core.api import Run
from autobuild_core.architectures import module_table
from autobuild_core.architectures.module_table import describe_modules
from autobuild_core.architectures.modules import ModuleGroup, count_evaluated
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.predictor.forward import Ensemble
from autobuild_core.scorers import autobuild, default_groups, score_modules, unit_groups
from autobuild_core.scorers.autobuild import AutoBuildScorer, calibrate, context_error
from autobuild_core.scoring.population import scaled, shifted
from autobuild_core.spaces import Space, space_named
from autobuild_core.targets.costs import CostModel
from autobuild_core.targets.scaling import NormalScores
from tests.learning import chain_space, contains, flat_space, macro_data, random_predictor

MACRO = space_named("nas_bench_macro")
CELL = space_named("nas_bench_201")
SMALL = {"flat": flat_space(), "chain": chain_space()}


class BruteForce:
    """Every encoding with its probability and each member's expectation, straight from the definitions."""

    def __init__(self, predictor: Predictor) -> None:
        self.space = predictor.space
        codes = self.space.enumerate()
        assert codes is not None
        self.codes, self.spec = codes, predictor.spec
        self.probability = np.array([self._probability(row) for row in codes])
        self.scores = predictor.ensemble.predict(self.space.canonical(codes)).scores.astype(float)
        self.targets = predictor.expected(self.scores)
        self.residual = predictor.calibration.residual
        self.measured = np.zeros(len(codes), bool)

    def _probability(self, row: NDArray[np.int16]) -> float:
        """Depth uniform per unit, then layers uniform."""
        out = 1.0
        for unit in self.spec.units:
            depth = int(sum(row[p] != ABSENT for p in unit.positions))
            choices = (1 if unit.tied else depth) if depth else 0
            out /= len(unit.depths) * len(unit.tokens) ** choices
        return out

    def threshold(self, member: int) -> float:
        """The largest score that at least a tenth of the space reaches."""
        reached = [s for s in np.unique(self.scores[member]) if self.probability[self.scores[member] >= s].sum() >= 0.1 - 1e-9]
        return float(max(reached))

    def blurred(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """((members, n) probability of being one of the best tenth, (members,) the score that these reach), by bisection.

        Every predicted score is off by a normal error.
        """
        out, ends = [], []
        for scores in self.scores:

            def above(threshold: float, scores: NDArray[np.float64] = scores) -> NDArray[np.float64]:
                return np.where(self.measured, scores >= threshold, norm.sf(threshold, scores, self.residual))

            low, high = -20.0, 20.0
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if self.probability @ above(middle) > 0.1 - 1e-9 else (low, middle)
            out.append(above(low))
            ends.append(low)
        return np.array(out), np.array(ends)

    def good(self, group: ModuleGroup, index: int) -> NDArray[np.float64]:
        """(members,) probability that an architecture with a module is one of the best tenth; 0 where no member has one there."""
        best = np.stack([scores >= self.threshold(member) for member, scores in enumerate(self.scores)]).any(0, keepdims=True)
        return self.average(self.blurred()[0], group, index) * (self.average(best.astype(float), group, index) > 0)

    def average(self, values: NDArray[np.float64], group: ModuleGroup, index: int) -> NDArray[np.float64]:
        """(members,) mean of values over the architectures that contain a module."""
        unit = None if group.unit is None else self.spec.units[group.unit]
        inside = (self.codes[:, list(group.positions)] == group.codes[index]).all(1)
        if unit:
            inside &= (self.codes[:, [p for p in unit.positions if p not in group.positions]] == ABSENT).all(1)
        assert inside.any()
        weight = self.probability * inside
        mean: NDArray[np.float64] = values @ weight / weight.sum()
        return mean


def agreed(space: Space) -> Predictor:
    """A predictor whose two members are one, so that nothing of intervals is a spread between them."""
    base = random_predictor(space, members=2)
    own = base.ensemble
    weights = {name: np.repeat(w[:1], 2, 0) if name != "structure_scale" else w for name, w in own.weights.items()}
    ensemble = Ensemble(weights, own.codebook, own.num_hops)
    return Predictor(ensemble, base.spec, base.scaling, base.calibration, base.target_name, base.minimize)


def check_exact(predictor: Predictor, groups: list[ModuleGroup], every: int = 1) -> None:
    brute, scorer = BruteForce(predictor), AutoBuildScorer(predictor)
    assert brute.probability.sum() == pytest.approx(1)
    space_means = brute.targets @ brute.probability
    assert scorer.space_mean == pytest.approx(space_means.mean(), rel=1e-6)
    assert scorer.space_good == pytest.approx(0.1, abs=1e-6)
    for group, frame in zip(groups, scorer.score(groups), strict=True):
        assert list(frame.columns) == list(module_table.SCORE_COLUMNS) and len(frame) == len(group)
        for index in range(0, len(group), every):
            target = brute.average(brute.targets, group, index)
            row = frame.iloc[index]
            assert row["score"] == pytest.approx(target.mean(), rel=1e-6)
            assert row["effect"] == pytest.approx((target - space_means).mean(), abs=1e-6)
            assert row["good"] == pytest.approx(brute.good(group, index).mean(), abs=1e-6)
            members = len(target)
            half = student_t.ppf(0.95, members - 1) * np.sqrt(members - 1) * target.std()
            assert row["score_high"] - row["score_low"] == pytest.approx(2 * half, rel=1e-5)
            half = student_t.ppf(0.95, members - 1) * np.sqrt(members - 1) * (target - space_means).std()
            assert row["effect_high"] - row["effect_low"] == pytest.approx(2 * half, rel=1e-5)


class TestExact:
    def test_windows_of_nas_bench_macro(self) -> None:
        predictor = random_predictor(MACRO)
        groups = [MACRO.windows(1)[0], MACRO.windows(1)[4], MACRO.windows(2)[1], MACRO.windows(3)[2]]
        check_exact(predictor, groups, every=4)

    def test_units_of_nas_bench_macro(self) -> None:
        check_exact(random_predictor(MACRO, seed=1, minimize=True), [g for u in range(3) for g in MACRO.unit_modules(u)], every=9)

    @pytest.mark.parametrize("name", SMALL)
    def test_windows_and_units_of_variable_depth(self, name: str) -> None:
        space = SMALL[name]
        windows = [g for length in (1, 2) for g in space.windows(length)]
        check_exact(random_predictor(space), windows + unit_groups(space), every=1 if name == "flat" else 3)

    def test_windows_and_units_of_cells(self) -> None:
        groups = [CELL.windows(1)[2], *CELL.windows(2)[1:3], CELL.unit_modules(1)[0]]
        check_exact(random_predictor(CELL), groups, every=6)

    def test_the_modules_of_a_position_average_to_the_space(self) -> None:
        scorer = AutoBuildScorer(random_predictor(MACRO))
        for frame in scorer.score(MACRO.windows(1) + MACRO.unit_modules(1)):  # equally likely, and one of them is there
            assert frame["score"].mean() == pytest.approx(scorer.space_mean, rel=1e-6)
            assert frame["effect"].mean() == pytest.approx(0, abs=1e-6)
            assert frame["good"].mean() == pytest.approx(0.1, abs=0.01)

    def test_intervals_enclose_their_estimate(self) -> None:
        frame = pd.concat(AutoBuildScorer(random_predictor(MACRO)).score(MACRO.windows(2)))
        for lens in ("score", "effect", "good"):
            assert (frame[f"{lens}_low"] <= frame[lens]).all() and (frame[lens] <= frame[f"{lens}_high"]).all()
        assert frame[["good_low", "good_high"]].to_numpy().min() >= 0 and frame["good_high"].max() <= 1

    def test_effects_are_surer_than_scores_where_members_differ_in_level(self) -> None:
        predictor = random_predictor(MACRO, members=5)
        predictor.ensemble.weights["out_bias"] += np.linspace(-0.5, 0.5, 5, dtype=np.float32)[:, None, None]
        frame = AutoBuildScorer(predictor).score([MACRO.windows(1)[3]])[0]
        assert (frame["effect_high"] - frame["effect_low"] < frame["score_high"] - frame["score_low"]).all()

    def test_the_good_threshold_is_the_target_of_the_best_tenth(self) -> None:
        predictor = random_predictor(MACRO)
        brute = BruteForce(predictor)
        expected = predictor.scaling.to_target(brute.blurred()[1]).mean()
        assert AutoBuildScorer(predictor).good_threshold == pytest.approx(expected, rel=0.03)

    def test_progress_counts_modules(self) -> None:
        shares: list[float] = []
        AutoBuildScorer(random_predictor(SMALL["flat"])).score(unit_groups(SMALL["flat"]), shares.append)
        assert shares == sorted(shares) and shares[-1] == 1


class TestSampled:
    """The same spaces as if they were too large to enumerate."""

    def both(self, space: Space, groups: list[ModuleGroup], patch: pytest.MonkeyPatch) -> tuple[pd.DataFrame, pd.DataFrame]:
        predictor = random_predictor(space)
        exact, brute = pd.concat(AutoBuildScorer(predictor).score(groups), ignore_index=True), BruteForce(predictor)
        blurred = brute.blurred()[0]
        assert blurred @ brute.probability == pytest.approx(0.1, abs=1e-6)
        exact["good"] = [brute.average(blurred, group, index).mean() for group in groups for index in range(len(group))]
        patch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        patch.setattr(autobuild, "NUM_CONTEXTS", 4000)
        scorer = AutoBuildScorer(predictor)
        assert not scorer.population.exact
        return exact, pd.concat(scorer.score(groups), ignore_index=True)

    def check_close(self, exact: pd.DataFrame, sampled: pd.DataFrame) -> None:
        spread = exact["score"].std()
        assert (sampled["score"] - exact["score"]).abs().max() < 0.25 * spread
        assert np.corrcoef(sampled["score"], exact["score"])[0, 1] > 0.99
        assert (sampled["good"] - exact["good"]).abs().max() < 0.04
        assert (sampled["effect"] - exact["effect"]).abs().max() < 0.25 * spread
        assert (sampled["embedding_norm"] == exact["embedding_norm"]).all()

    @pytest.mark.parametrize("name", ["macro", "cells", "chain"])
    def test_the_few_contexts_are_in_the_intervals(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        space = {"macro": MACRO, "cells": CELL, "chain": SMALL["chain"]}[name]
        predictor = agreed(space)
        groups = [group for length in (1, 2) for group in space.windows(length) if len(group) <= 160]
        exact = pd.concat(AutoBuildScorer(predictor).score(groups), ignore_index=True)
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        held: dict[str, list[float]] = {"effect": [], "good": []}
        for seed in range(6):
            sampled = pd.concat(AutoBuildScorer(predictor, seed=seed).score(groups), ignore_index=True)
            assert (sampled["good"] > 0).all()
            for lens, found in held.items():
                found += sampled[f"{lens}_low"].le(exact[lens]).mul(sampled[f"{lens}_high"].ge(exact[lens])).tolist()
        assert 0.8 <= np.mean(held["effect"]) <= 0.98
        assert 0.55 <= np.mean(held["good"]) <= 0.98  # where members agree, sixteen contexts alone know a skewed share too well

    def test_a_module_alone_is_as_unsure_as_its_contexts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        predictor, whole = agreed(MACRO), MACRO.windows(1)[3]
        alone = ModuleGroup(whole.positions, whole.codes[:1], whole.unit)
        exact = AutoBuildScorer(predictor).score([alone])[0].iloc[0]
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        rows = [AutoBuildScorer(predictor, seed=seed).score([alone])[0].iloc[0] for seed in range(40)]
        held = [row["score_low"] <= exact["score"] <= row["score_high"] for row in rows]
        assert 0.75 <= np.mean(held) <= 1 and all(row["score_high"] > row["score_low"] for row in rows)

    def test_of_a_large_group_the_contexts_are_in_the_intervals_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        predictor, group = agreed(MACRO), MACRO.windows(5)[1]
        assert len(group) > autobuild.CALIBRATED_ON
        exact = AutoBuildScorer(predictor).score([group])[0]
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        held, means = list[float](), list[float]()
        for seed in range(6):
            frame = AutoBuildScorer(predictor, seed=seed).score([group])[0]
            held += frame["effect_low"].le(exact["effect"]).mul(frame["effect_high"].ge(exact["effect"])).tolist()
            means.append(float(frame["good"].mean()))
        assert np.mean(held) >= 0.8
        assert max(means) < 0.2  # a tenth is good, however few good ones the contexts hold

    def test_what_a_context_does_to_all_alike_is_no_error(self) -> None:
        modules, contexts = np.array([[1.0], [2.0], [4.0]]), np.array([[0.1, 0.2, 0.3]])
        assert context_error(modules + contexts, contexts[0], shifted) == pytest.approx(np.zeros(3))
        assert context_error(0.1 * modules * contexts, contexts[0], scaled) == pytest.approx(np.zeros(3))
        values = np.random.default_rng(0).normal(size=(400, 25))
        widened = student_t.ppf(0.95, 24) / norm.ppf(0.95)
        assert context_error(values, np.zeros(25), shifted).mean() == pytest.approx(widened / 5, rel=0.05)
        assert context_error(values[:, :1], np.zeros(1), shifted).max() == 0  # one context has no spread to tell from

    def test_windows_of_fixed_depth(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.check_close(*self.both(MACRO, [MACRO.windows(1)[2], MACRO.windows(2)[4]], monkeypatch))

    def test_units_and_windows_of_free_layers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        space = SMALL["chain"]
        groups = [*space.unit_modules(0)[:2], space.windows(1)[1], space.windows(1)[5], space.windows(2)[0]]
        self.check_close(*self.both(space, groups, monkeypatch))

    def test_units_of_tied_layers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        space = flat_space(3)
        self.check_close(*self.both(space, unit_groups(space), monkeypatch))

    def test_windows_of_tied_layers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        space = flat_space(3)
        self.check_close(*self.both(space, [space.windows(1)[0], space.windows(1)[2], space.windows(1)[4]], monkeypatch))

    def test_a_module_of_a_partial_group_scores_alone_as_among_others(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        scorer, group = AutoBuildScorer(random_predictor(MACRO)), MACRO.windows(1)[2]
        together = scorer.score([ModuleGroup(group.positions, group.codes[:2])])[0]["score"].tolist()
        alone = [scorer.score([ModuleGroup(group.positions, group.codes[i : i + 1])])[0]["score"][0] for i in range(2)]
        assert alone == pytest.approx(together, rel=1e-6)

    def test_a_whole_group_averages_to_the_space(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that what the few contexts get wrong does not tilt one position against another."""
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        scorer = AutoBuildScorer(random_predictor(MACRO))
        frames = scorer.score(MACRO.windows(1))
        assert [f["score"].mean() for f in frames] == pytest.approx([scorer.space_mean] * 8, rel=1e-6)

    def test_every_module_meets_the_same_contexts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So that the few contexts that are affordable move all modules alike and their order is sharp."""
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        predictor, group = random_predictor(MACRO), MACRO.windows(1)[3]
        reverse = ModuleGroup(group.positions, group.codes[::-1])
        first, second = (AutoBuildScorer(predictor, seed=3).score([g])[0] for g in (group, reverse))
        assert first["score"].to_numpy() == pytest.approx(second["score"].to_numpy()[::-1], rel=1e-6)


class TestCalibrated:
    """Large groups of spaces that are not enumerated: some modules in contexts, the others by regression."""

    def scored(
        self, predictor: Predictor, patch: pytest.MonkeyPatch, contexts: int
    ) -> tuple[pd.DataFrame, pd.DataFrame, AutoBuildScorer]:
        """(truth, found, scorer) of the 243 modules of L2 to L6."""
        group = MACRO.windows(5)[1]
        exact = AutoBuildScorer(predictor).score([group])[0]
        patch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        patch.setattr(autobuild, "NUM_CONTEXTS", contexts)
        scorer = AutoBuildScorer(predictor)
        assert len(group) == 243 > autobuild.CALIBRATED_ON
        return exact, scorer.score([group])[0], scorer

    def test_it_is_close_to_the_exact_scores_and_knows_how_close(self, trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        exact, found, scorer = self.scored(trained.predictor, monkeypatch, 400)
        ((num, error, spread),) = scorer.calibration_errors
        off = found["score"] - exact["score"]
        assert num == 243 and spread == pytest.approx(exact["score"].std(), rel=0.2)
        assert 0.2 * error < off.std() < 1.5 * error and error < 0.1 * spread
        assert found["score"].corr(exact["score"], method="spearman") > 0.99
        assert found["good"].corr(exact["good"], method="spearman") > 0.85
        assert (found["embedding_norm"] == exact["embedding_norm"]).all()
        assert found[["good", "good_low", "good_high"]].to_numpy().min() >= 0 and found["good_high"].max() <= 1

    def test_its_error_is_in_the_intervals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, found, scorer = self.scored(random_predictor(MACRO), monkeypatch, 8)
        error = scorer.calibration_errors[0][1]
        assert (found["score_high"] - found["score_low"]).min() / 2 >= 1.645 * error - 1e-9
        assert (found["effect_high"] - found["effect_low"]).min() / 2 >= 1.645 * error - 1e-9

    def test_a_small_group_is_not_calibrated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", 1)
        scorer = AutoBuildScorer(random_predictor(MACRO))
        scorer.score([MACRO.windows(4)[0]])  # 81 modules
        assert scorer.calibration_errors == []

    def test_a_linear_truth_is_recovered(self) -> None:
        rng = np.random.default_rng(0)
        every, weights = rng.normal(size=(400, 6)) * np.array([1, 10, 0.1, 1, 1, 0]), rng.normal(size=(6, 3))
        truth = every @ weights + np.array([5.0, -2.0, 0.0])
        found, error = calibrate(every[:60], truth[:60], every)
        assert np.abs(found - truth).max() < 2e-3 * truth.std(0).min() and (error < 1e-3 * truth.std(0)).all()

    def test_what_does_not_vary_among_the_known_says_nothing(self) -> None:
        rng = np.random.default_rng(1)
        every = rng.normal(size=(80, 3))
        every[:40, 2], every[40:, 2] = 1.0, 1e6
        truth = every[:, :1] @ np.ones((1, 2))
        found, _ = calibrate(every[:40], truth[:40], every)
        assert np.abs(found - truth).max() < 0.01

    def test_its_error_is_that_of_leaving_each_out(self) -> None:
        rng = np.random.default_rng(2)
        features, values = rng.normal(size=(25, 8)), rng.normal(size=(25, 2))
        values[:, 0] += 2 * features[:, 3]
        _, error = calibrate(features, values, features)
        scaled = (features - features.mean(0)) / features.std(0)

        def left_out(penalty: float) -> NDArray[np.float64]:
            missed = []
            for row in range(25):
                others = np.arange(25) != row
                x, y = scaled[others], values[others]
                centred = x - x.mean(0)
                weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(8), centred.T @ (y - y.mean(0)))
                missed.append(values[row] - y.mean(0) - (scaled[row] - x.mean(0)) @ weights)
            return np.sqrt((np.array(missed) ** 2).mean(0))

        every = np.array([left_out(penalty) for penalty in autobuild.PENALTIES * 25])
        assert error == pytest.approx(every.min(0), rel=1e-6)
        assert every[:, 0].argmin() != every[:, 1].argmin()  # signal and noise ask for penalties of their own


class TestMeasured:
    """What was measured counts as measured, in every encoding of its network."""

    def table(self, predictor: Predictor, share: float) -> tuple[ArchTable, NDArray[np.float64]]:
        """(one encoding of some networks of NAS-Bench-Macro with a target, the target of every encoding or NaN).

        Whatever begins with an identity is below all else.
        """
        codes, rng = MACRO.enumerate(), np.random.default_rng(0)
        assert codes is not None
        networks, first, inverse = np.unique(MACRO.hash_networks(codes), return_index=True, return_inverse=True)
        scores = np.where(codes[first, 0] == 0, -1.0, 1.0) + rng.uniform(-0.5, 0.5, len(networks))
        values = predictor.scaling.to_target(scores)
        kept = np.sort(rng.permutation(len(networks))[: int(share * len(networks))])
        rows, metrics = codes[first[kept]], pd.DataFrame({"acc": values[kept]})
        table = ArchTable(MACRO.spec, rows, networks[kept], metrics, np.arange(len(kept)), "nas_bench_macro", len(kept))
        known = np.full(len(networks), np.nan)
        known[kept] = values[kept]
        return table, known[inverse]

    def test_of_a_measured_space_every_lens_is_the_measurement(self) -> None:
        predictor = random_predictor(MACRO)
        table, known = self.table(predictor, 1)
        scorer, codes = AutoBuildScorer(predictor, table=table), MACRO.enumerate()
        assert codes is not None
        best = known >= np.quantile(known, 0.9, method="inverted_cdf")
        assert scorer.space_mean == pytest.approx(known.mean(), rel=1e-9)
        assert scorer.member_targets == pytest.approx(np.tile(known, (3, 1)), rel=1e-12)
        for group in (MACRO.windows(1)[0], MACRO.windows(2)[3], MACRO.unit_modules(0)[0]):
            frame = scorer.score([group])[0]
            for index, layers in enumerate(group.codes):
                inside = (codes[:, list(group.positions)] == layers).all(1)
                row = frame.iloc[index]
                assert row["score"] == pytest.approx(known[inside].mean(), rel=1e-9)
                assert row["effect"] == pytest.approx(known[inside].mean() - known.mean(), abs=1e-9)
                assert row["good"] == pytest.approx(best[inside].mean(), abs=2 / inside.sum())
                assert row["score_low"] == pytest.approx(row["score"]) == pytest.approx(row["score_high"])  # all members agree

    def test_the_noise_of_labels_is_in_the_intervals_of_a_measured_space(self) -> None:
        space, rng = chain_space(num_tokens=3, depths=(2,), num_units=2), np.random.default_rng(0)
        codes, predictor = space.enumerate(), random_predictor(space)
        assert codes is not None and len(codes) == 81
        truth, rows = predictor.scaling.to_target(rng.normal(0, 1, 81)), np.repeat(np.arange(81), 2)
        best = truth >= np.quantile(truth, 0.9, method="inverted_cdf")
        group, held, halves, held_good = space.windows(1)[0], [], [], []
        for _ in range(20):
            metrics = pd.DataFrame({"acc": truth[rows] + rng.normal(0, 0.5, 162)})
            measured = codes[rows]
            table = ArchTable(space.spec, measured, space.hash_networks(measured), metrics, np.arange(162), "flat", 162)
            frame = AutoBuildScorer(predictor, table=table).score([group])[0]
            for index, layers in enumerate(group.codes):
                average, row = truth[codes[:, 0] == layers[0]].mean(), frame.iloc[index]
                held.append(row["score_low"] <= average <= row["score_high"])
                halves.append((row["score_high"] - row["score_low"]) / 2)
                share = best[codes[:, 0] == layers[0]].mean()
                held_good.append(row["good_low"] <= share <= row["good_high"])
        assert np.mean(halves) == pytest.approx(1.645 * 0.5 / np.sqrt(2 * 27), rel=0.05)
        assert 0.8 <= np.mean(held) <= 0.98
        assert 0.8 <= np.mean(held_good) <= 1

    def test_without_a_good_architecture_good_is_exactly_nothing(self) -> None:
        predictor = random_predictor(MACRO)
        frame = AutoBuildScorer(predictor, table=self.table(predictor, 1)[0]).score([MACRO.windows(1)[0]])[0]
        assert frame.loc[0, ["good", "good_low", "good_high"]].tolist() == [0, 0, 0]
        assert (frame.loc[1:, "good"] > 0.05).all()

    def test_what_was_not_measured_is_predicted(self) -> None:
        predictor = random_predictor(MACRO)
        table, known = self.table(predictor, 0.5)
        brute, scorer = BruteForce(predictor), AutoBuildScorer(predictor, table=table)
        unknown = np.isnan(known)
        assert 0.3 < unknown.mean() < 0.7
        targets = np.where(unknown, brute.targets, known)
        assert scorer.member_targets == pytest.approx(targets, rel=1e-5)
        brute.scores = np.where(unknown, scorer.predictor.member_scores(brute.codes), predictor.scaling.to_scores(known))
        brute.measured = ~unknown
        group = MACRO.windows(2)[2]
        frame = scorer.score([group])[0]
        for index in range(len(group)):
            own = brute.average(targets, group, index)
            assert frame["score"][index] == pytest.approx(own.mean(), rel=1e-6)
            assert frame["good"][index] == pytest.approx(brute.good(group, index).mean(), abs=1e-6)

    def test_the_chance_of_what_was_not_measured_is_in_the_interval_of_good(self) -> None:
        predictor, rng = agreed(MACRO), np.random.default_rng(0)
        table, known = self.table(predictor, 0.5)
        scorer, brute, group = AutoBuildScorer(predictor, table=table), BruteForce(predictor), MACRO.windows(2)[2]
        frame, scores = scorer.score([group])[0], np.where(np.isnan(known), brute.scores[0], predictor.scaling.to_scores(known))
        networks, inverse = np.unique(MACRO.hash_networks(brute.codes), return_inverse=True)
        held = []
        for _ in range(100):
            drawn = scores + np.where(
                np.isnan(known), predictor.calibration.residual * rng.normal(size=len(networks))[inverse], 0
            )
            best = (drawn >= np.quantile(drawn, 0.9)).astype(float)
            shares = np.array([brute.average(best[None], group, index)[0] for index in range(len(group))])
            held += ((frame["good_low"] <= shares) & (shares <= frame["good_high"])).tolist()
        assert 0.85 <= np.mean(held) <= 0.97

    def test_a_members_own_target_scale_has_a_quarter_of_the_say(self) -> None:
        base = random_predictor(MACRO)
        own = tuple(NormalScores(base.scaling.scores, base.scaling.values + shift, 1) for shift in (0.0, 1.0, 5.0))
        parts = (base.ensemble, base.spec, base.scaling, base.calibration, "acc", False)
        shifted = AutoBuildScorer(Predictor(*parts, own))
        assert shifted.space_means - AutoBuildScorer(base).space_means == pytest.approx([0, 0.25, 1.25], abs=1e-6)


class TestNorms:
    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_is_the_standardised_norm_inside_an_architecture(self, length: int) -> None:
        predictor = random_predictor(MACRO)
        group = MACRO.windows(length)[2]
        codes = np.tile(MACRO.sample(1, np.random.default_rng(0)), (len(group), 1))
        codes[:, list(group.positions)] = group.codes
        norms = predictor.ensemble.node_norms(codes, length - 1)[:, :, group.positions[-1]]
        expected = np.mean([(n - n.mean()) / n.std() for n in norms.astype(float)], axis=0)
        assert AutoBuildScorer(predictor).score([group])[0]["embedding_norm"].to_numpy() == pytest.approx(expected, abs=1e-3)

    def test_an_operation_that_is_heard_too_is_averaged_over(self) -> None:
        """0>2 and 2>3 in a cell: the mean over what stands at 1>2, which 2>3 hears as well; of a unit it is its sum's norm."""
        predictor, pair, unit = random_predictor(CELL), CELL.windows(2)[2], CELL.unit_modules(1)[0]
        codes = np.array([[0, a, c, 1, 2, b] for c in range(5) for a, b in pair.codes], np.int16)
        norms = predictor.ensemble.node_norms(codes, 1)[:, :, 5].astype(float).reshape(3, 5, 25).mean(1)
        cells = np.array([[0, a, b, 1, 2, 3] for a, b in unit.codes], np.int16)
        sums = predictor.ensemble.node_norms(cells, 1)[:, :, 7].astype(float)
        for group, found in ((pair, norms), (unit, sums)):
            expected = np.mean([(n - n.mean()) / n.std() for n in found], axis=0)
            assert AutoBuildScorer(predictor).score([group])[0]["embedding_norm"].to_numpy() == pytest.approx(expected, abs=1e-3)

    def test_modules_beyond_the_last_hop_are_scored_there(self) -> None:
        groups = [ModuleGroup(tuple(range(8)), MACRO.sample(5, np.random.default_rng(1)))]
        predictor = random_predictor(MACRO)
        norms = predictor.ensemble.node_norms(groups[0].codes, 4)[:, :, 7].astype(float)
        expected = ((norms - norms.mean(1, keepdims=True)) / norms.std(1, keepdims=True)).mean(0)
        assert AutoBuildScorer(predictor).score(groups)[0]["embedding_norm"].to_numpy() == pytest.approx(expected, abs=1e-3)


class TestEvidence:
    @pytest.mark.parametrize("space", [MACRO, CELL, *SMALL.values()])
    def test_counts_are_those_of_a_loop(self, space: Space) -> None:
        codes = space.sample(60, np.random.default_rng(2))
        for group in [*space.windows(1), *space.windows(2)[:4], *unit_groups(space)[:3]]:
            unit = None if group.unit is None else space.spec.units[group.unit]
            expected = [sum(contains(row, group.positions, layers, unit) for row in codes) for layers in group.codes]
            assert count_evaluated(group, space.spec, codes).tolist() == expected

    def test_a_whole_unit_is_no_deeper(self) -> None:
        space = SMALL["chain"]
        codes = np.array([[0, 1, ABSENT, 2, ABSENT, ABSENT], [0, 1, 2, 2, ABSENT, ABSENT]], np.int16)
        two = space.unit_modules(0)[1]
        index = two.codes.tolist().index([0, 1])
        assert count_evaluated(two, space.spec, codes)[index] == 1
        assert count_evaluated(ModuleGroup((0, 1), two.codes), space.spec, codes)[index] == 2

    def test_described_by_labels(self) -> None:
        groups = [MACRO.windows(2)[0], MACRO.windows(2)[1], MACRO.unit_modules(1)[0]]
        frame = describe_modules(groups, MACRO.spec, np.array([[2, 1, 0, 0, 0, 0, 0, 0]], np.int16))
        assert len(frame) == 9 + 9 + 27
        stage = frame.iloc[2 * 3 + 1]  # L1-2 is a whole unit
        assert (stage["unit"], stage["positions"], stage["layers"]) == ("L1-2", '["L1", "L2"]', '["mb6_k5", "mb3_k3"]')
        assert (stage["hop"], stage["whole_unit"], stage["unit_index"], stage["first_position"]) == (1, True, 0, 0)
        assert stage["num_evaluated"] == 1 and frame["num_evaluated"].sum() == 3
        crossing = frame.iloc[9]
        assert (crossing["unit"], crossing["whole_unit"], crossing["unit_index"], crossing["first_position"]) == (
            "",
            False,
            -1,
            1,
        )
        assert json.loads(frame.iloc[-1]["layers"]) == ["mb6_k5"] * 3 and frame.iloc[-1]["unit"] == "L3-5"

    def test_units_of_cells_are_scored_at_hop_1_and_an_edge_that_is_a_unit_says_so(self) -> None:
        groups = [*CELL.windows(1)[:2], *CELL.windows(2)[:1], *CELL.unit_modules(2)]
        frame = describe_modules(groups, CELL.spec, CELL.sample(50, np.random.default_rng(0)))
        first = frame.drop_duplicates("positions").set_index("positions")
        assert first["hop"].tolist() == [0, 0, 1, 1] and first["whole_unit"].tolist() == [False, False, False, True]
        assert first["unit"].tolist() == ["node 1", "", "", "node 3"] and first["unit_index"].tolist() == [0, 1, -1, 2]
        assert frame.groupby("positions")["num_evaluated"].sum().tolist() == [50] * 4

    def test_a_frame_has_the_columns_of_the_interface_first(self) -> None:
        table = macro_data(20)
        frame = score_modules(AutoBuildScorer(random_predictor(MACRO)), MACRO.windows(1), table)
        assert list(frame.columns[:4]) == ["unit", "positions", "layers", "hop"]
        assert list(frame.columns[4:14]) == list(module_table.SCORE_COLUMNS)
        assert frame["num_evaluated"].sum() == 20 * 8 and len(frame) == 24


class TestGroups:
    def test_default_windows_stop_before_they_are_too_many(self) -> None:
        assert [g.hop for g in default_groups(MACRO, None)] == [0] * 8 + [1] * 7 + [2] * 6 + [3] * 5
        assert [g.hop for g in default_groups(MACRO, 2)] == [0] * 8 + [1] * 7
        ofa = default_groups(space_named("ofa_mbv3"), None)  # 15 places of 81 pairs are not too many, 10 of 729 triples are
        assert {g.hop for g in ofa} == {0, 1}
        assert max(g.hop for g in default_groups(MACRO, 99)) == 7

    def test_unit_groups_are_all_modules(self) -> None:
        assert [len(g) for g in unit_groups(MACRO)] == [9, 27, 27]
        assert sum(map(len, unit_groups(space_named("ofa_mbv3")))) == 5 * 7371


class TestEqualCost:
    def test_nothing_is_left_where_the_target_is_a_line_in_the_cost(self) -> None:
        """A cost that is the prediction itself explains every score; the effect stays."""

        class Same(CostModel):
            def predict(self, codes: Codes) -> NDArray[np.float64]:
                return predictor.expected(predictor.member_scores(codes)).mean(0)

        predictor = random_predictor(MACRO, members=1)
        scorer = AutoBuildScorer(predictor, Same("same", MACRO, False, np.zeros(0), 0.0, 1.0))
        frame = scorer.score(MACRO.windows(2)[:1])[0]
        assert np.abs(frame["equal_cost"]).max() < 1e-6 < np.abs(frame["effect"]).max()

    def test_brute_force(self) -> None:
        predictor, codes = random_predictor(MACRO), MACRO.enumerate()
        assert codes is not None
        cost = CostModel("layers", MACRO, False, np.tile([0.0, 1.0, 3.0], 8), 2.0, 1.0)
        frame = AutoBuildScorer(predictor, cost).score(MACRO.windows(1)[4:5])[0]
        targets, costs = predictor.expected(predictor.member_scores(codes)), cost.predict(codes)
        beyond = np.stack([t - np.polyval(np.polyfit(costs, t, 3), costs) for t in targets])
        expected = [beyond[:, codes[:, 4] == token].mean() for token in range(3)]
        assert frame["equal_cost"].to_numpy() == pytest.approx(expected, abs=1e-5)
