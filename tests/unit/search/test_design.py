"""Design: exactly the best within budgets where all can be looked at, the best found elsewhere, and what stands in the way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core import api
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes
from autobuild_core.cli import main
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.fitting import fit_metrics
from autobuild_core.predictor.metrics import Bound
from autobuild_core.search.budgets import Budgets
from autobuild_core.search.design import Objective, assemble_within, design, expected_improvement
from autobuild_core.spaces import Space
from autobuild_core.testing.examples import additive_truth, chain_space
from tests.learning import macro_data

METRICS = ["acc", "flops", "latency"]


def measured(space: Space, num: int, seed: int = 0) -> ArchTable:
    """Random networks of a space: a target, a cost that is an exact sum, another with noise that is not."""
    rng = np.random.default_rng(seed)
    codes = space.sample(3 * num, rng)
    codes = codes[np.sort(np.unique(space.hash_networks(codes), return_index=True)[1])][:num]
    flops = costs(space, codes)
    metrics = pd.DataFrame({"acc": additive_truth(space, codes), "flops": flops})
    metrics["latency"] = 1 + flops / 100 + (flops / 400) ** 2 + 0.02 * rng.standard_normal(len(codes))
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(len(codes)))


def costs(space: Space, codes: Codes) -> np.ndarray:
    """A sum over layers."""
    worth = np.random.default_rng(3).integers(1, 40, (space.spec.num_positions, len(space.spec.tokens) + 1)).astype(float)
    worth[:, ABSENT] = 0
    return np.asarray(worth[np.arange(space.spec.num_positions), space.canonical(codes)].sum(1))


def objective_of(table: ArchTable, place: Path, **settings: int) -> Objective:
    run = api.train(table, "acc", place, num_members=2, num_steps=5, **settings)
    rows = run.folder.measurements()
    metrics = fit_metrics(rows, [name for name in METRICS if name in rows.metrics])
    return Objective(run.predictor, run.modules(), rows, run.config.goal.values(rows.metrics), metrics)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Objective:
    """A space of 1,521 architectures."""
    return objective_of(measured(chain_space(), 120), tmp_path_factory.mktemp("small") / "run")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Objective:
    """A space that is too large to look at all: five units of up to three layers of four kinds."""
    space = chain_space(4, (1, 2, 3), 5)
    return objective_of(measured(space, 200), tmp_path_factory.mktemp("large") / "run")


def every(objective: Objective) -> Codes:
    codes = objective.predictor.space.enumerate()
    assert codes is not None
    return codes[np.unique(objective.predictor.space.hash_networks(codes), return_index=True)[1]]


class TestAll:
    def test_it_is_the_best_of_those_that_keep_to_the_budgets(self, small: Objective) -> None:
        """By brute force over all architectures."""
        codes = every(small)
        limits = [Bound("flops", float(np.median(costs(small.predictor.space, codes)))), Bound("latency", 2.0)]
        found = design(small, limits, 0.9, num=12)
        keeps = Budgets(small.metrics, tuple(limits), 0.9).keeps(codes)
        new = keeps & ~np.isin(small.predictor.space.hash_networks(codes), small.table.networks)
        scores = np.where(new, small.predictor.member_scores(codes).mean(0), -np.inf)
        best = np.argsort(-scores, kind="stable")[:12]
        assert (
            found.is_exact
            and (small.predictor.space.hash_networks(found.codes) == small.predictor.space.hash_networks(codes[best])).all()
        )
        assert (found.frame["within"] >= 0.9).all() and (found.frame["flops"] <= limits[0].limit).all()
        assert (found.frame["flops"] == costs(small.predictor.space, found.codes)).all()
        assert (found.frame["latency_low"] < found.frame["latency"]).all() and (
            found.frame["latency"] < found.frame["latency_high"]
        ).all()

    def test_a_metric_may_be_called_as_what_is_said_of_the_target(self, small: Objective) -> None:
        """Data from another predictor have a `low` of their own."""
        rows = replace(small.table, metrics=small.table.metrics.assign(low=small.table.metrics["flops"]))
        named = replace(small, table=rows, metrics=fit_metrics(rows, ["low", "flops"]))
        limit = float(np.median(rows.metrics["flops"]))
        found = design(named, [Bound("low", limit)], num=4)
        plain = design(replace(small, metrics=fit_metrics(rows, ["flops"])), [Bound("flops", limit)], num=4)
        assert found.frame["low"].tolist() == plain.frame["low"].tolist()
        assert found.frame["low (metric)"].tolist() == plain.frame["flops"].tolist()
        assert "low (metric)_low" in design(named, [Bound("low", -5.0)]).frame

    def test_a_budget_that_binds_is_named_with_what_it_costs(self, small: Objective) -> None:
        codes = every(small)
        space, size = small.predictor.space, costs(small.predictor.space, codes)
        tight, loose = float(np.quantile(size, 0.2)), float(size.max())
        found = design(small, [Bound("flops", tight), Bound("latency", 99.0)], num=1, allow_evaluated=True)
        scores = small.predictor.member_scores(codes).mean(0).astype(float)
        inside = space.hash_networks(codes[[int(np.where(size <= tight, scores, -np.inf).argmax())]])
        assert space.hash_networks(found.codes)[0] == inside[0]
        gained = small.predictor.expected(np.array([scores.max(), scores[size <= tight].max()]))
        assert [one.bound.metric for one in found.binding] == ["flops"]
        assert found.binding[0].gain == pytest.approx(float(gained[0] - gained[1]))
        assert design(small, [Bound("flops", loose)], num=1).binding == ()

    def test_what_nothing_keeps_to_is_said(self, small: Objective) -> None:
        found = design(small, [Bound("flops", -5.0)])
        assert not len(found.codes) and found.obstacle is not None and found.obstacle.binding == (Bound("flops", -5.0),)
        assert list(found.frame.columns)[:5] == ["predicted", "low", "high", "within", "improvement"]

    def test_units_that_are_locked_stay(self, small: Objective) -> None:
        spec = small.predictor.spec
        found = design(small, [Bound("latency", 3.0)], locks={1: (2, 0)}, num=30, allow_evaluated=True)
        assert len(found.codes) == 30 and (found.codes[:, list(spec.units[1].positions)] == [2, 0, ABSENT]).all()
        best = design(small, locks={1: (2, 0)}, num=1, allow_evaluated=True)
        codes = every(small)
        own = codes[(codes[:, list(spec.units[1].positions)] == [2, 0, ABSENT]).all(1)]
        scores = small.predictor.member_scores(np.concatenate([best.codes, own])).mean(0)
        assert scores[0] == pytest.approx(scores.max())

    @pytest.mark.parametrize("layers", [(), (0, 1, 2, 0), (9,)])
    def test_a_unit_cannot_be_locked_to_what_it_cannot_have(self, small: Objective, layers: tuple[int, ...]) -> None:
        with pytest.raises(ConfigError, match="unit U1: got"):
            design(small, locks={0: layers})

    def test_improvement_is_over_the_best_measured_within_the_budgets(self, small: Objective) -> None:
        limit = float(small.table.metrics["flops"].quantile(0.3))
        inside = small.table.metrics["flops"] <= limit
        best = float(small.values[inside.to_numpy()].max())
        assert small.best([Bound("flops", limit)]) == best < small.best()
        frame = design(small, [Bound("flops", limit)], num=5).frame
        assert frame["improvement"].to_numpy() == pytest.approx(expected_improvement(frame, best, False))
        assert (
            np.isnan(design(small, [Bound("flops", float(small.table.metrics["flops"].min()))], num=1).frame["improvement"]).sum()
            <= 1
        )

    def test_expected_improvement_is_that_of_draws(self) -> None:
        frame = pd.DataFrame({"predicted": [90.0, 91.0, 80.0], "low": [88.0, 90.5, 79.0], "high": [92.0, 91.5, 81.0]})
        spread = (frame["high"] - frame["low"]).to_numpy() / 3.29
        drawn = frame["predicted"].to_numpy() + spread * np.random.default_rng(0).standard_normal((400_000, 3))
        assert expected_improvement(frame, 90.5, False) == pytest.approx(np.maximum(drawn - 90.5, 0).mean(0), abs=4e-3)
        assert expected_improvement(frame, 90.5, True) == pytest.approx(np.maximum(90.5 - drawn, 0).mean(0), abs=2e-2)


class TestLarge:
    def test_it_keeps_to_the_budgets_and_is_better_than_what_was_measured(self, large: Objective) -> None:
        space, limits = large.predictor.space, [Bound("flops", 150.0), Bound("latency", 2.6)]
        assert space.enumerate() is None
        found = design(large, limits, 0.9, num=8)
        assert not found.is_exact and found.assembled is not None and len(found.codes) == 8
        assert Budgets(large.metrics, tuple(limits), 0.9).keeps(found.codes).all()
        assert not np.isin(space.hash_networks(found.codes), large.table.networks).any()
        strangers = space.sample(4000, np.random.default_rng(9))
        strangers = strangers[Budgets(large.metrics, tuple(limits), 0.9).keeps(strangers)]
        scores = large.predictor.member_scores(strangers).mean(0)
        assert large.predictor.member_scores(found.codes).mean(0)[0] > scores.max()
        assert (np.diff(found.frame["predicted"]) <= 1e-9).all()

    def test_exact_assembly_is_the_best_sum_of_effects(self, large: Objective) -> None:
        """Whatever is drawn within the budget has no larger sum of effects than what was assembled."""
        limit = [Bound("flops", 150.0)]
        budgets = Budgets(large.metrics, tuple(limit))
        space = large.predictor.space
        solved, codes = assemble_within(large, budgets, space)
        assert solved is not None and solved.is_proven and budgets.keeps(codes).all() and (costs(space, codes) <= 150).all()
        drawn = space.sample(3000, np.random.default_rng(1))
        drawn = drawn[budgets.keeps(drawn)]
        assert len(drawn) and solved.gap == pytest.approx(0, abs=1e-6)
        assert large.predictor.member_scores(codes).mean() > large.predictor.member_scores(drawn).mean()

    def test_what_nothing_keeps_to_is_said(self, large: Objective) -> None:
        found = design(large, [Bound("flops", 1.0)])
        assert found.obstacle is not None and not len(found.codes) and found.assembled is not None
        space, worth = (
            large.predictor.space,
            costs(large.predictor.space, large.predictor.space.sample(50_000, np.random.default_rng(5))),
        )
        nearest = found.obstacle.nearest[0].limit
        assert 1 < nearest <= worth.min()
        again = design(large, [Bound("flops", nearest)], num=1, allow_evaluated=True)
        assert again.obstacle is None and costs(space, again.codes)[0] <= nearest

    def test_a_tight_budget_that_random_ones_never_keep_to_is_kept(self, large: Objective) -> None:
        """Of two exact limits that only a few architectures keep to."""
        tight = design(large, [Bound("flops", 1.0)]).obstacle
        assert tight is not None
        limit = tight.nearest[0].limit * 1.15
        found = design(large, [Bound("flops", limit), Bound("latency", 99.0)], num=3)
        assert len(found.codes) and (costs(large.predictor.space, found.codes) <= limit).all()

    def test_locked_units_and_a_start(self, large: Objective) -> None:
        columns = list(large.predictor.spec.units[2].positions)
        found = design(large, [Bound("flops", 200.0)], locks={2: (3, 3)}, start=large.table.codes[:3], num=4)
        assert len(found.codes) == 4 and (found.codes[:, columns] == [3, 3, ABSENT]).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("command") / "run"
    api.train(macro_data(60), "acc", place, num_members=2, num_steps=5)
    return place


class TestCommand:
    def test_build_within_a_budget(self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        asked = ["build", str(run), "--num", "5", "--out", str(tmp_path / "b.jsonl"), "--budget", "steps <= 8"]
        assert main(asked) == 0
        lines = pd.read_json(tmp_path / "b.jsonl", lines=True, dtype={"arch": str})
        assert len(lines) == 5 and (lines["within"] >= 0.9).all()
        assert {"arch", "predicted", "low", "high", "modules", "improvement", "steps", "steps_low", "steps_high"} <= set(lines)

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (["--budget", "steps"], "budget: got 'steps', expected a metric"),
            (["--budget", "speed <= 3"], "metric: got 'speed', expected one of acc, err and steps"),
            (
                ["--budget", "steps <= -4"],
                "budget: no architecture keeps to steps <= -4. The nearest that one keeps to: steps <= ",
            ),
            (["--budget", "steps <= 8", "--confidence", "2"], "confidence: got 2.0"),
            (["--budget", "steps <= 8", "--top-k", "0"], "top k: got 0, expected at least 1"),
            (["--lock", "L9=mb3_k3"], "--lock: got 'L9=mb3_k3', expected UNIT=LAYERS with a unit of L1-2, L3-5"),
            (["--lock", 'L1-2=["mb3_k9"]'], "lock of unit L1-2: got the layer 'mb3_k9', expected one of identity"),
            (["--lock", "L1-2=mb3_k9"], "got the layer 'mb3_k9', expected some of"),
        ],
    )
    def test_what_does_not_do_is_said(self, run: Path, given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["build", str(run), "--out", "never.jsonl", *given]) == 2
        assert said in capsys.readouterr().err and not Path("never.jsonl").exists()
