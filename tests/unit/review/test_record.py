"""Claims: known answers on a handful of architectures, and intervals that hold for all modules together."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from autobuild_core.api import Run
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import RunError
from autobuild_core.review import record as claims
from autobuild_core.review import words
from autobuild_core.review.record import bootstrap_of_difference
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.scoring.intervals import jackknife_half_width, student_bound, student_probability, widening
from autobuild_core.search.acquisition import overturning
from autobuild_core.spaces import space_named
from autobuild_core.store.pins import Claim
from autobuild_core.store.run_folder import RunConfig
from autobuild_core.trust.claim import BesideNoise, BestOfUnit, ClaimRecord, Evaluation, Evidence, Example, Holding, Overturning
from tests.learning import flat_space, random_predictor

MACRO = space_named("nas_bench_macro")
FIRST = Claim(("L1", "L2"), ("mb6_k5", "mb6_k5"), True)
KEYS = ["22000000", "22111111", "21222222", "00222222", "22222222", "11111111"]
ACC = [91.0, 93.0, 95.0, 94.0, np.nan, 90.0]


def module_table(rows: list[tuple[list[str], list[str], float, float, int]]) -> pd.DataFrame:
    """Whole-unit modules of L1-2: (positions, layers, effect, half width, evidence)."""
    lines = []
    for positions, layers, effect, half, seen in rows:
        line: dict[str, Any] = {"unit": "L1-2", "positions": json.dumps(positions), "layers": json.dumps(layers), "hop": 1}
        line |= {
            "embedding_norm": effect,
            "score": 92 + effect,
            "score_low": 92 + effect - half,
            "score_high": 92 + effect + half,
        }
        line |= {"effect": effect, "effect_low": effect - half, "effect_high": effect + half}
        line |= {"good": 0.05, "good_low": 0.0, "good_high": 0.2, "whole_unit": True, "unit_index": 0, "first_position": 0}
        lines.append(line | {"num_evaluated": seen})
    return pd.DataFrame(lines)


@pytest.fixture
def run() -> FinishedRun:
    """Six architectures of which one has no target; three modules with effects 1.0, 0.4 and -0.8 of half width 0.3."""
    codes = np.array([MACRO.parse(key) for key in KEYS], np.int16)
    metrics = pd.DataFrame({"acc": ACC})
    table = ArchTable(MACRO.spec, codes, MACRO.hash_networks(codes), metrics, np.arange(10, 16), "nas_bench_macro", 6)
    places = ["L1", "L2"]
    layers = [["mb6_k5"] * 2, ["mb6_k5", "mb3_k3"], ["identity"] * 2]
    modules = module_table(
        [(places, layers[0], 1.0, 0.3, 2), (places, layers[1], 0.4, 0.3, 1), (places, layers[2], -0.8, 0.3, 1)]
    )
    config = RunConfig("", "a run", "data", "0" * 32, "acc")
    quality = {"ensemble_size": 5, "space_mean": 92.0, "trust": {"noise": {"source": "seeds", "noise_sd": 0.25}}}
    return FinishedRun(config, table, quality, pd.DataFrame({"row": [0]}), modules, random_predictor(MACRO, 5))


class TestExample:
    def test_evidence_and_counter_example_are_those_of_the_data(self, run: FinishedRun) -> None:
        found = claims.record(run, FIRST)
        assert found.evidence == Evidence(2, 5)  # the third that has it was never measured
        best = Example(2, 12, "21222222", 95.0, 1, 5)
        assert found.counter_example == best
        assert found.with_it == Example(1, 11, "22111111", 93.0, 3, 5)

    def test_minimising_turns_best_around(self, run: FinishedRun) -> None:
        found = claims.record(replace(run, config=replace(run.config, minimize=True)), FIRST)
        assert found.counter_example.value == 90.0 and found.with_it.value == 91.0
        assert [e.better for e in found.effects if e.lens == "score"] == [False]
        assert [e.rank for e in found.effects if e.lens == "score"] == [3]

    def test_another_encoding_of_a_network_with_it_is_no_counter_example(self, run: FinishedRun) -> None:
        networks = run.table.networks.copy()
        networks[2] = networks[1]  # as if 21222222 were the network of 22111111
        found = claims.record(replace(run, table=replace(run.table, networks=networks)), FIRST)
        assert found.counter_example.source_row == 13 and found.counter_example.rank == 2

    def test_none_lacks_it(self, run: FinishedRun) -> None:
        only = run.table.take(np.array([0, 1]))
        found = claims.record(replace(run, table=only), FIRST)
        assert found.counter_example is None and found.bootstrap is None
        assert "no measured architecture lacks the module" in dict(words.remarks(found, "acc"))["Without it"]

    def test_effects_are_those_of_the_table_and_wider_when_adjusted(self, run: FinishedRun) -> None:
        found = claims.record(run, FIRST)
        factor = student.ppf(1 - 0.05 / 3, 4) / student.ppf(0.95, 4)
        assert found.looked_at == 3 and found.widening == pytest.approx(factor)
        score = found.effect(Lens.SCORE)
        assert (score.value, score.low, score.high, score.rank) == (1.0, 0.7, 1.3, 1)
        assert score.adjusted_low == pytest.approx(1 - 0.3 * factor) and score.adjusted_high == pytest.approx(1 + 0.3 * factor)
        assert score.sure and score.better
        good = found.effect(Lens.GOOD)  # cut at 0: its upper half is the half width
        assert good.adjusted_low == 0 and good.adjusted_high == pytest.approx(0.05 + 0.15 * factor) and not good.sure
        norm = found.effect(Lens.NORM)
        assert norm.low is None and norm.adjusted_high is None and not norm.sure

    def test_what_is_not_told_from_the_average_says_so(self, run: FinishedRun) -> None:
        weak = claims.record(run, replace(FIRST, layers=("mb6_k5", "mb3_k3")))
        assert weak.effect().low > 0 > weak.effect().adjusted_low
        assert "not told from the average" in words.sentence(weak)
        strong = words.sentence(claims.record(run, FIRST))
        assert strong == "L1 to L2: 2 x mb6 k5 is worth +1.00 acc (+0.55 to +1.45), better than the average"

    def test_noise_stands_beside_it(self, run: FinishedRun) -> None:
        found = claims.record(run, FIRST)
        assert found.noise == BesideNoise("seeds", 0.25, 4.0)
        bare = claims.record(replace(run, quality=run.quality | {"trust": None}), FIRST)
        assert bare.noise.ratio is None and "not known" in dict(words.remarks(bare, "acc"))["Label noise"]

    def test_the_bootstrap_share_of_the_run_is_used_where_it_is_there(self, run: FinishedRun) -> None:
        places, layers, _ = FIRST.texts
        line = {"positions": places, "layers": layers, "prob_best": 0.6, "share_of_members": 0.8, "cannot_be_told": True}
        found = claims.record(replace(run, best=pd.DataFrame([line])), FIRST)
        assert found.best == BestOfUnit(0.6, 0.8, True, None)
        found = claims.record(replace(run, best=pd.DataFrame([line | {"bootstrap_share": 0.7}])), FIRST)
        assert "the best in 70% of the bootstraps" in dict(words.remarks(found, "acc"))["Best of its unit"]

    def test_the_share_of_bootstraps_in_which_it_holds(self, run: FinishedRun) -> None:
        places, layers, whole = FIRST.texts
        line = {"positions": places, "layers": layers, "whole_unit": whole, "holds": 0.93}
        table = pd.DataFrame([line | {"bootstrap_low": -0.1, "bootstrap_high": 1.9}])
        found = claims.record(replace(run, holding=table), FIRST)
        assert found.holds == Holding(0.93, -0.1, 1.9)
        assert dict(words.remarks(found, "acc"))["Bootstraps"].startswith("better in 93% of the refits")
        for missing in (pd.DataFrame(), table.assign(holds=np.nan), table.assign(layers="[]")):
            found = claims.record(replace(run, holding=missing), FIRST)
            assert found.holds is None and "not worked out" in dict(words.remarks(found, "acc"))["Bootstraps"]

    def test_a_module_that_was_not_scored(self, run: FinishedRun) -> None:
        with pytest.raises(RunError, match="got the module mb3_k3, mb3_k3 at L1, L2, expected one that this run scored"):
            claims.record(run, Claim(("L1", "L2"), ("mb3_k3", "mb3_k3"), True))

    def test_a_record_is_plain_json_and_the_same_again(self, run: FinishedRun) -> None:
        found = claims.record(run, FIRST)
        text = json.dumps(claims.plain(found.to_json()), allow_nan=False)
        assert ClaimRecord.from_json(json.loads(text)) == found == claims.record(run, FIRST)


class TestAdjustment:
    @pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 10, 41])
    def test_students_t_is_right_without_scipy(self, degrees: int) -> None:
        for t in (0.1, 1.0, 2.5, 12.0):
            assert student_probability(t, degrees) == pytest.approx(2 * student.sf(t, degrees), rel=1e-9, abs=1e-13)
        for miss in (0.5, 0.1, 0.1 / 27, 0.1 / 7371):
            assert student_bound(miss, degrees) == pytest.approx(student.isf(miss / 2, degrees), rel=1e-6)

    @pytest.mark.parametrize("num", [1, 2, 27, 7371])
    def test_the_factor_is_bonferronis(self, num: int) -> None:
        assert widening(num, 10) == pytest.approx(student.ppf(1 - 0.05 / num, 9) / student.ppf(0.95, 9), rel=1e-6)
        assert widening(1, 10) == 1
        assert widening(num + 1, 10) > widening(num, 10)

    @pytest.mark.parametrize(("shared", "at_most"), [(0.0, 0.94), (0.9, 1.0)])  # independent: not much wider than need be
    def test_all_intervals_hold_together(self, shared: float, at_most: float) -> None:
        """Simulated jackknives of 12 modules, independent or not: the plain intervals fail together, the adjusted hold."""
        rng, members, num, tries = np.random.default_rng(0), 8, 12, 3000
        plain = adjusted = 0
        for _ in range(tries):
            errors = shared * rng.normal(size=(members, 1)) + np.sqrt(1 - shared**2) * rng.normal(size=(members, num))
            left_out = (errors.sum(0) - errors) / (members - 1)  # each member learns from all folds but its own
            half, centre = jackknife_half_width(left_out), np.abs(left_out.mean(0))
            plain += bool((centre <= half).all())
            adjusted += bool((centre <= half * widening(num, members)).all())
        assert 0.89 < adjusted / tries < at_most
        assert plain / tries < 0.85


class TestBootstrap:
    def test_a_clear_difference_holds_always_and_none_half_of_the_time(self) -> None:
        rng = np.random.default_rng(0)
        inside, networks = np.arange(100) % 2 == 0, np.arange(100)
        clear = bootstrap_of_difference(5 * inside + rng.normal(0, 0.1, 100), inside, networks)
        assert clear is not None and clear.share_better == 1 and clear.low > 4.9 and clear.difference == pytest.approx(5, 0.02)
        worse = bootstrap_of_difference(5 * inside + rng.normal(0, 0.1, 100), inside, networks, -1)
        assert worse is not None and worse.share_better == 0
        shares = []
        for seed in range(12):
            noise = bootstrap_of_difference(np.random.default_rng(seed).normal(size=100), inside, networks)
            assert noise is not None
            shares.append(noise.share_better)
        assert 0.2 < np.mean(shares) < 0.8

    def test_its_interval_is_that_of_a_difference_of_means(self) -> None:
        rng = np.random.default_rng(1)
        inside, values = np.arange(400) < 100, rng.normal(size=400)
        found = bootstrap_of_difference(values, inside, np.arange(400))
        assert found is not None
        error = np.sqrt(values[:100].var() / 100 + values[100:].var() / 300) * 1.645
        assert (found.high - found.low) / 2 == pytest.approx(error, rel=0.08)

    def test_rows_of_a_network_count_once(self) -> None:
        values, inside, networks = (
            np.array([1.0, 3.0, 5.0, 0.0, 0.0]),
            np.array([True, True, True, False, False]),
            [1, 1, 2, 3, 4],
        )
        found = bootstrap_of_difference(values, inside, np.array(networks))
        assert found is not None
        assert (found.num_with, found.num_without, found.difference) == (2, 2, 3.5)

    def test_rows_of_other_contexts_stand_beside_each_other(self) -> None:
        values, inside = np.array([1.0, 3.0, 8.0, 0.0, 0.0]), np.array([True, True, True, False, False])
        networks, evaluations = np.array([1, 1, 1, 3, 4]), np.array([11, 11, 12, 31, 41])
        assert bootstrap_of_difference(values, inside, networks, evaluations=evaluations) is None
        networks[2], evaluations[2] = 2, 12
        networks, evaluations = np.append(networks, 2), np.append(evaluations, 22)
        found = bootstrap_of_difference(np.append(values, 2.0), np.append(inside, True), networks, evaluations=evaluations)
        assert found is not None
        assert (found.num_with, found.num_without, found.difference) == (2, 2, 4.0)

    def test_many_networks_are_drawn_less_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(claims, "MOST_DRAWN", 30_000)
        nums = []
        for count in (20, 100, 1000):
            found = bootstrap_of_difference(np.arange(float(count)), np.arange(count) % 2 == 0, np.arange(count))
            nums.append(0 if found is None else found.num)
        assert nums == [1000, 300, 100]

    def test_one_network_on_a_side_is_too_few(self) -> None:
        assert bootstrap_of_difference(np.arange(4.0), np.array([True, False, False, False]), np.arange(4)) is None


class TestOverturning:
    def test_five_that_were_never_evaluated_each_adding_to_the_chance(self, trained: Run) -> None:
        predictor, evaluated = trained.predictor, trained.table().networks
        row = np.full(8, -1, np.int16)
        row[:2] = 2
        codes, frame = overturning(predictor, row, 0, evaluated)
        networks = predictor.space.hash_networks(codes)
        assert len(set(networks.tolist())) == 5 and not np.isin(networks, evaluated).any()
        assert frame["contains"].tolist() == (codes[:, :2] == 2).all(1).tolist()
        assert frame["contains"].any() and not frame["contains"].all()
        assert frame["chance"].is_monotonic_increasing and frame["chance"].iloc[0] >= 0 and frame["chance"].iloc[-1] < 0.5

    def test_a_near_rival_is_likelier_to_overtake_than_the_average(self, trained: Run) -> None:
        best, near = np.full(8, -1, np.int16), np.full(8, -1, np.int16)
        best[:2], near[:2] = 2, (2, 1)
        chances = [
            overturning(trained.predictor, best, 0, trained.table().networks, rival)[1]["chance"].iloc[-1]
            for rival in (None, near)
        ]
        assert chances[1] >= chances[0]

    def test_a_window_keeps_what_a_tied_unit_shares(self) -> None:
        space = flat_space()
        row = np.full(space.spec.num_positions, -1, np.int16)
        last = space.spec.units[1].positions[1]
        row[last] = space.spec.units[1].tokens[0]
        codes, _ = overturning(random_predictor(space), row, None, np.array([], np.uint64))
        assert len(codes) == 5
        for one in codes:
            space.check(one.tolist())

    def test_nothing_is_left(self) -> None:
        space = MACRO
        every = space.enumerate()
        assert every is not None
        row = np.full(8, -1, np.int16)
        row[:2] = 2
        codes, frame = overturning(random_predictor(space), row, 0, space.hash_networks(every))
        assert len(codes) == 0 and frame.empty


def test_many_rivals_are_thinned_but_the_claimed_one_stays(run: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MOST_RIVALS", 1)
    table = claims.rivals_table(run, FIRST)
    assert table["module"].tolist() == ["2 x identity", "2 x mb6 k5"] and table["claimed"].tolist() == [False, True]


def test_evaluations_read_as_text_whatever_the_encoding() -> None:
    one = Evaluation({"k": 3}, 1e-9, True, 1.0, 0.5, 1.5)
    turned = Overturning("L1: mb3 k3", (one, replace(one, chance=0.123, contains=False)))
    table = words.overturn_table(turned)
    assert table["arch"].tolist() == ['{"k": 3}'] * 2 and table["with the module"].tolist() == ["yes", "no"]
    assert table["chance"].tolist() == ["below 0.1 %", "12.3%"]
    assert words.overturn_words(turned).startswith("Together they would show that L1: mb3 k3 is better with probability 12.3%.")
    assert words.overturn_words(Overturning("", ())) == "No network is left to evaluate."
