"""Metrics: exact where layers add up to them, else predicted with intervals that hold; several are judged together."""

from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.fitting import fit_metrics
from autobuild_core.predictor.metrics import Bound, Metrics
from autobuild_core.spaces import space_named
from tests.learning import macro_truth, table_of

SPACE = space_named("nas_bench_macro")
WEIGHTS = np.random.default_rng(5).integers(1, 999, (8, 3)) * 37.0


def made(num: int, seed: int = 0, apart: float = 0.0) -> ArchTable:
    """Measured networks: an accuracy, a latency whose errors follow those of the accuracy, an energy, parameters, a constant."""
    rng = np.random.default_rng(seed)
    codes = np.unique(SPACE.canonical(SPACE.sample(3 * num, rng)), axis=0)
    codes = codes[rng.permutation(len(codes))[:num]]
    off = rng.standard_normal((3, num))
    size = WEIGHTS[np.arange(8), codes].sum(1)
    metrics = {"acc": macro_truth(codes) + 0.1 * off[0], "params": 1e4 + size, "alike": np.ones(num)}
    metrics["latency"] = size / 3000 + 0.15 * (apart * off[0] + (1 - apart**2) ** 0.5 * off[1])
    metrics["energy"] = np.exp(size / 60_000 + 0.05 * off[2])
    return table_of(codes, pd.DataFrame(metrics).assign(few=np.where(np.arange(num) < 4, 1.0 + np.arange(num), np.nan)))


@pytest.fixture(scope="module")
def learned() -> tuple[ArchTable, Metrics]:
    table = made(160, apart=0.9)
    return table, fit_metrics(table)


class TestKinds:
    def test_sums_over_layers_are_exact_and_others_are_predicted(self, learned: tuple[ArchTable, Metrics]) -> None:
        _, metrics = learned
        assert {name: model.is_exact for name, model in metrics.models.items()} == {
            "acc": False,
            "params": True,
            "latency": False,
            "energy": False,
        }
        assert dict(metrics.unknown) == {"alike": "it never varies", "few": "only 4 networks have it, 10 are needed"}

    def test_an_exact_metric_is_exact_of_networks_that_nobody_measured(self, learned: tuple[ArchTable, Metrics]) -> None:
        codes = SPACE.sample(500, np.random.default_rng(9))
        true = 1e4 + WEIGHTS[np.arange(8), SPACE.canonical(codes)].sum(1)
        expected, low, high = learned[1].model("params").interval(codes)
        assert (expected == true).all() and (low == true).all() and (high == true).all()

    def test_a_layer_that_was_never_seen_has_no_exact_cost(self) -> None:
        table = made(160)
        table = table.take(table.codes[:, 0] != 2)
        model = fit_metrics(table, ["params"]).model("params")
        codes = SPACE.sample(200, np.random.default_rng(1))
        unknown = SPACE.canonical(codes)[:, 0] == 2
        assert model.is_exact and (np.isnan(model.interval(codes)[0]) == unknown).all()
        assert (Metrics({"params": model}).within(codes, [Bound("params", 1e9)]) == ~unknown).all()

    def test_few_rows_fit_any_sum_and_prove_none(self) -> None:
        assert not fit_metrics(made(15), ["params"]).model("params").is_exact

    def test_what_is_no_metric_is_said(self, learned: tuple[ArchTable, Metrics]) -> None:
        table, metrics = learned
        with pytest.raises(ConfigError, match="metric: got 'speed', expected one of acc, params, alike"):
            fit_metrics(table, ["speed"])
        with pytest.raises(ConfigError, match="metric: got 'alike': it never varies"):
            metrics.model("alike")
        with pytest.raises(ConfigError, match="metric: got 'speed', expected one of acc, params, latency and energy"):
            metrics.model("speed")

    def test_of_several_rows_of_a_network_the_mean_counts(self) -> None:
        table = made(60)
        shifted = table.metrics.assign(params=table.metrics["params"] + 10.0)
        both = {"codes": np.tile(table.codes, (2, 1)), "networks": np.tile(table.networks, 2)}
        both |= {"metrics": pd.concat([table.metrics, shifted], ignore_index=True), "source_rows": np.arange(120)}
        reset = {"contexts": pd.DataFrame(), "censored": np.zeros(0), "repeats": np.zeros(0, np.int64)}
        model = fit_metrics(ArchTable(**{**vars(table), **both, **reset}), ["params"]).model("params")
        assert model.is_exact and model.interval(table.codes)[0] == pytest.approx(table.metrics["params"] + 5)


class TestHeldOut:
    @pytest.mark.parametrize("name", ["acc", "latency", "energy"])
    def test_the_quality_is_that_of_networks_it_did_not_see(self, learned: tuple[ArchTable, Metrics], name: str) -> None:
        model, fresh = learned[1].model(name), made(900, seed=7, apart=0.9)
        expected, low, high = model.interval(fresh.codes)
        actual = fresh.metrics[name].to_numpy(float)
        assert 0.78 <= np.mean((low <= actual) & (actual <= high)) <= 0.97
        assert model.held_out.mae == pytest.approx(np.abs(expected - actual).mean(), rel=0.35)
        assert model.held_out.num == 160 and 0.84 <= model.held_out.coverage <= 0.96 and model.held_out.srcc > 0.9


class TestTogether:
    def test_errors_that_go_together_are_known_to(self, learned: tuple[ArchTable, Metrics]) -> None:
        found = learned[1].correlation(["acc", "latency", "energy", "params"])
        assert found[0, 1] > 0.4 and abs(found[0, 2]) < 0.3 and found[3].tolist() == [0, 0, 0, 1]

    def test_one_limit_is_a_normal_probability(self, learned: tuple[ArchTable, Metrics]) -> None:
        metrics, codes = learned[1], SPACE.sample(50, np.random.default_rng(2))
        model = metrics.model("latency")
        for limit in (1.0, 1.2):
            expected = [NormalDist().cdf(side) for side in model.room(codes, Bound("latency", limit))]
            assert metrics.within(codes, [Bound("latency", limit)]) == pytest.approx(expected)
            assert metrics.within(codes, [Bound("latency", limit, False)]) == pytest.approx(1 - np.array(expected))

    def test_the_quantile_is_where_the_probability_is_reached(self, learned: tuple[ArchTable, Metrics]) -> None:
        metrics, codes = learned[1], SPACE.sample(20, np.random.default_rng(3))
        needed = metrics.model("energy").quantile(codes, 0.9)
        for row, limit in zip(codes, needed, strict=True):
            assert metrics.within(row[None], [Bound("energy", float(limit))])[0] == pytest.approx(0.9, abs=1e-6)

    def test_a_joint_probability_is_that_of_measurements(self, learned: tuple[ArchTable, Metrics]) -> None:
        """Among architectures that are said to be within both limits with some probability, so many are."""
        metrics, fresh = learned[1], made(900, seed=8, apart=0.9)
        limits = [
            Bound("acc", float(fresh.metrics["acc"].median()), False),
            Bound("latency", float(fresh.metrics["latency"].median())),
        ]
        said = metrics.within(fresh.codes, limits)
        true = (fresh.metrics["acc"] >= limits[0].limit) & (fresh.metrics["latency"] <= limits[1].limit)
        for low, high in ((0.05, 0.35), (0.35, 0.65), (0.65, 0.95)):
            inside = (said >= low) & (said < high)
            assert inside.sum() > 15 and abs(true[inside].mean() - said[inside].mean()) < 0.17
        assert true[said > 0.97].mean() > 0.9

    def test_an_exact_limit_is_kept_or_not(self, learned: tuple[ArchTable, Metrics]) -> None:
        metrics, codes = learned[1], SPACE.sample(60, np.random.default_rng(4))
        size = metrics.model("params").interval(codes)[0]
        limit = float(np.median(size))
        alone = metrics.within(codes, [Bound("params", limit)])
        assert (alone == (size <= limit)).all()
        both = metrics.within(codes, [Bound("params", limit), Bound("latency", 1.1)])
        assert both == pytest.approx(alone * metrics.within(codes, [Bound("latency", 1.1)]))
