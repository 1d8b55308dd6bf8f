"""The Pareto front of two metrics: its members, how sure they are, the hypervolume, and what data and budgets forbid."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.fitting import fit_metrics
from autobuild_core.predictor.metrics import Metrics
from autobuild_core.search.budgets import read_budgets
from autobuild_core.search.dominance import hypervolume, on_front
from autobuild_core.search.front import Axis, find_front
from autobuild_core.spaces import space_named
from autobuild_core.testing.examples import additive_truth
from tests.learning import macro_truth, table_of

Array = NDArray[np.float64]
MACRO, OFA = space_named("nas_bench_macro"), space_named("ofa_mbv3")
ACC, SIZE = Axis("acc", False), Axis("size", True)
NOISE = 0.02


def every() -> Codes:
    codes = MACRO.enumerate()
    assert codes is not None
    return codes[np.unique(MACRO.hash_networks(codes), return_index=True)[1]]


def size_of(codes: Codes) -> Array:
    return np.asarray(10.0 + (MACRO.canonical(codes) * [1, 2, 2, 3, 3, 5, 5, 5]).sum(1), float)


def measured(num: int, seed: int = 0) -> ArchTable:
    rng = np.random.default_rng(seed)
    codes = every()[rng.permutation(3969)[:num]]
    acc = macro_truth(codes) + NOISE * rng.standard_normal(num)
    return table_of(codes, pd.DataFrame({"acc": acc, "size": size_of(codes)}))


@pytest.fixture(scope="module")
def table() -> ArchTable:
    return measured(150)


@pytest.fixture(scope="module")
def metrics(table: ArchTable) -> Metrics:
    return fit_metrics(table)


class TestMembers:
    def test_the_measured_front_is_that_of_the_measurements(self, table: ArchTable, metrics: Metrics) -> None:
        found = find_front(metrics, (ACC, SIZE), table)
        front = table.networks[on_front(np.stack([-table.metrics["acc"], table.metrics["size"]], 1))]
        assert sorted(MACRO.hash_networks(found.codes)[found.frame["on_measured"]]) == sorted(front)
        line = found.frame[found.frame["on_measured"]].iloc[0]
        row = table.networks.tolist().index(MACRO.hash_networks(found.codes)[found.frame["on_measured"]][0])
        assert (line["acc_measured"], line["size_measured"]) == tuple(table.metrics.loc[row, ["acc", "size"]])

    def test_the_predicted_front_holds_no_network_that_another_exceeds(self, table: ArchTable, metrics: Metrics) -> None:
        found = find_front(metrics, (ACC, SIZE), table)
        front = found.frame[found.frame["on_predicted"]]
        assert on_front(np.stack([-front["acc"], front["size"]], 1)).all() and len(front) >= 10
        supported = every()[metrics.model("acc").supports(every())]
        expected = np.stack([-metrics.model("acc").expected(supported), size_of(supported)], 1)
        reached = hypervolume(np.stack([-front["acc"], front["size"]], 1), np.array([-88.0, 60.0]))
        assert reached == pytest.approx(hypervolume(expected, np.array([-88.0, 60.0])), rel=1e-3)

    def test_they_are_listed_by_the_first_metric_once_each(self, table: ArchTable, metrics: Metrics) -> None:
        for axes in ((ACC, SIZE), (SIZE, ACC)):
            found = find_front(metrics, axes, table)
            first = axes[0].turn * found.frame[axes[0].metric]
            assert (np.diff(first) >= 0).all()
            assert len(set(MACRO.hash_networks(found.codes).tolist())) == len(found.frame)

    def test_a_network_with_several_rows_counts_by_their_mean(self, table: ArchTable, metrics: Metrics) -> None:
        twice = replace(
            table,
            codes=np.tile(table.codes, (2, 1)),
            networks=np.tile(table.networks, 2),
            metrics=pd.concat([table.metrics, table.metrics.assign(acc=table.metrics["acc"] - 1)], ignore_index=True),
            source_rows=np.arange(2 * len(table)),
        )
        one, other = (find_front(metrics, (ACC, SIZE), given) for given in (table, twice))
        assert other.frame["acc_measured"].max() == pytest.approx(one.frame["acc_measured"].max() - 0.5)


class TestDoubt:
    def test_probabilities_are_those_of_the_truth(self) -> None:
        said, true = [], []
        codes = every()
        front = dict(
            zip(MACRO.hash_networks(codes).tolist(), on_front(np.stack([-macro_truth(codes), size_of(codes)], 1)), strict=True)
        )
        for seed in range(8):
            drawn = measured(120, seed)
            found = find_front(fit_metrics(drawn), (ACC, SIZE), drawn, seed=seed)
            said += found.frame["probability"].tolist()
            true += [front[network] for network in MACRO.hash_networks(found.codes).tolist()]
        likely, unlikely = np.array(said) > 0.8, np.array(said) < 0.2
        assert np.mean(np.array(true)[likely]) > 0.6 > 0.3 > np.mean(np.array(true)[unlikely]) and likely.sum() > 20

    def test_the_hypervolume_holds_the_true_one(self) -> None:
        codes, reference, held = every(), (88.5, 50.0), []
        true = hypervolume(np.stack([-macro_truth(codes), size_of(codes)], 1), np.array([-88.5, 50.0]))
        for seed in range(8):
            drawn = measured(120, seed)
            volumes = find_front(fit_metrics(drawn), (ACC, SIZE), drawn, reference=reference, seed=seed).hypervolumes()
            reachable = volumes.set_index("of").loc["reachable"]
            assert reachable["expected"] == pytest.approx(true, rel=0.03)
            held.append(reachable["low"] <= true <= reachable["high"])
            gain = volumes.set_index("of").loc["gain"]
            assert 0 <= gain["low"] <= gain["expected"] <= gain["high"]
        assert sum(held) >= 5

    def test_exact_metrics_leave_no_doubt(self, table: ArchTable) -> None:
        weighed = replace(table, metrics=table.metrics.assign(acc=macro_truth(table.codes)))
        found = find_front(fit_metrics(weighed), (ACC, SIZE), weighed)
        assert set(found.frame["probability"]) == {0.0, 1.0} and np.ptp(found.volumes) == 0
        assert (found.frame["on_predicted"] == (found.frame["probability"] == 1)).all()

    def test_what_was_measured_draws_its_draws_to_itself(self, table: ArchTable, metrics: Metrics) -> None:
        codes, known = table.codes[:5], np.full((5, 1), np.nan)
        free = metrics.draws(codes, ["acc"], known, 4000)
        higher = metrics.draws(codes, ["acc"], metrics.model("acc").expected(codes)[:, None] + 0.2, 4000)
        assert (higher.mean(0) - free.mean(0))[:, 0] == pytest.approx(np.full(5, 0.1), abs=0.03)
        assert higher.std(0).mean() < 0.95 * free.std(0).mean()


class TestBounds:
    def test_the_reference_is_the_worst_that_was_measured_unless_it_is_given(self, table: ArchTable, metrics: Metrics) -> None:
        assert find_front(metrics, (ACC, SIZE), table).reference == (table.metrics["acc"].min(), table.metrics["size"].max())
        assert find_front(metrics, (ACC, SIZE), table, reference=(89.0, 30.0)).reference == (89.0, 30.0)

    def test_what_was_not_measured_keeps_to_budgets(self, table: ArchTable, metrics: Metrics) -> None:
        found = find_front(metrics, (ACC, SIZE), table, read_budgets(metrics, ["size <= 25"]))
        others = found.frame[~found.frame["is_measured"]]
        assert len(others) > 5 and others["size"].max() <= 25 < found.frame["size"].max()

    def test_what_the_data_do_not_support_is_no_member(self, table: ArchTable) -> None:
        narrow = table.take(table.codes[:, 2:].max(1) < 2)  # large blocks only in the first two layers
        learned = fit_metrics(narrow, ["acc"])
        model = learned.model("acc")
        assert model.supports(narrow.codes).mean() >= 0.95
        assert model.supports(np.full((1, 8), 2, np.int16)).tolist() == [False]

    def test_a_space_too_large_to_look_at_all_is_evolved(self) -> None:
        rng = np.random.default_rng(0)
        codes = OFA.sample(120, rng)
        metrics = pd.DataFrame({"acc": additive_truth(OFA, codes), "size": (codes >= 0).sum(1) + 0.01 * rng.random(120)})
        table = ArchTable(OFA.spec, codes, OFA.hash_networks(codes), metrics, np.arange(120), "ofa_mbv3", 120)
        found = find_front(fit_metrics(table), (ACC, SIZE), table)
        others = found.frame[~found.frame["is_measured"]]
        assert OFA.valid(found.codes).all() and others["acc"].max() > metrics["acc"].max()
        again = find_front(fit_metrics(table), (ACC, SIZE), table)
        assert (again.codes == found.codes).all()

    def test_bad_questions_are_refused(self, table: ArchTable, metrics: Metrics) -> None:
        with pytest.raises(ConfigError, match="front: got acc twice, expected two metrics"):
            find_front(metrics, (ACC, ACC), table)
        with pytest.raises(ConfigError, match="metric: got 'speed', expected one of acc and size"):
            find_front(metrics, (ACC, Axis("speed", True)), table)
        with pytest.raises(ConfigError, match="front: got no network with both acc and size"):
            find_front(metrics, (ACC, SIZE), replace(table, metrics=table.metrics.assign(acc=np.nan)))
