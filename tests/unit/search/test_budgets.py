"""Budgets: as they are written, joint, and what stands in their way."""

import numpy as np
import pandas as pd
import pytest

from autobuild_core.errors import ConfigError
from autobuild_core.predictor.fitting import fit_metrics
from autobuild_core.predictor.metrics import Bound, Metrics
from autobuild_core.search.budgets import Budgets, budget_words, read_budget, read_budgets
from autobuild_core.spaces import space_named
from tests.learning import table_of

SPACE = space_named("nas_bench_macro")
WEIGHTS = np.random.default_rng(5).integers(1, 99, (8, 3)) * 10.0


def size_of(codes: np.ndarray) -> np.ndarray:
    return np.asarray(WEIGHTS[np.arange(8), SPACE.canonical(codes)].sum(1))


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    rng = np.random.default_rng(0)
    codes = rng.permutation(np.unique(SPACE.canonical(SPACE.sample(400, rng)), axis=0))[:160]
    size = size_of(codes)
    slow = 10 - size / 1000 + 0.2 * rng.standard_normal(len(codes))
    return fit_metrics(table_of(codes, pd.DataFrame({"params": size, "latency": size / 1000 + 0.1 * slow, "fps": slow})))


class TestWriting:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("latency_gpu <= 8", Bound("latency_gpu", 8.0)),
            ("madds_m<40", Bound("madds_m", 40.0)),
            (" acc >= 93.5 ", Bound("acc", 93.5, False)),
            ("fps > 1e3", Bound("fps", 1000.0, False)),
            ("params ≤ 1,000,000", Bound("params", 1e6)),
            ("top 1 acc ≥ -.5", Bound("top 1 acc", -0.5, False)),
        ],
    )
    def test_it_is_read_as_it_is_written(self, text: str, expected: Bound) -> None:
        assert read_budget(text) == expected and read_budget(budget_words(expected)) == expected

    @pytest.mark.parametrize(
        "text", ["", "latency", "latency = 8", "latency <= fast", "<= 8", "a <= nan", "1 <= x <= 2", "a == 8"]
    )
    def test_what_is_none_is_said(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r"budget: got .* expected a metric, <= or >=, and a number"):
            read_budget(text)

    def test_a_metric_and_a_confidence_that_are_none(self, metrics: Metrics) -> None:
        with pytest.raises(ConfigError, match="metric: got 'speed'"):
            read_budgets(metrics, ["speed <= 3"])
        for confidence in (0.0, 1.0, float("nan")):
            with pytest.raises(ConfigError, match="confidence: got"):
                read_budgets(metrics, ["params <= 3"], confidence)


class TestKeeping:
    def test_without_any_everything_is_kept(self, metrics: Metrics) -> None:
        assert Budgets(metrics).keeps(SPACE.sample(5, np.random.default_rng(0))).all()

    def test_more_budgets_and_more_confidence_keep_fewer(self, metrics: Metrics) -> None:
        codes = SPACE.sample(300, np.random.default_rng(1))
        written = ["latency <= 4.2", "fps >= 6.5"]
        counts = [read_budgets(metrics, written[:n], c).keeps(codes).sum() for n, c in ((0, 0.9), (1, 0.6), (1, 0.9), (2, 0.9))]
        assert counts == sorted(counts, reverse=True) and len(set(counts)) == 4 and counts[-1] > 0
        budgets = read_budgets(metrics, written)
        assert (budgets.keeps(codes) == (budgets.within(codes) >= 0.9)).all()
        assert budgets.without(0).bounds == (Bound("fps", 6.5, False),)


class TestObstacle:
    def test_there_is_none_where_one_keeps_to_all(self, metrics: Metrics) -> None:
        codes = SPACE.sample(100, np.random.default_rng(2))
        limit = float(np.sort(size_of(codes))[0])
        assert read_budgets(metrics, [f"params <= {limit}"]).obstacle(codes) is None

    def test_one_that_nothing_keeps_to_is_named_with_the_nearest(self, metrics: Metrics) -> None:
        codes = SPACE.sample(200, np.random.default_rng(3))
        least = float(size_of(codes).min())
        found = read_budgets(metrics, ["latency <= 99", f"params <= {least - 300}"]).obstacle(codes)
        assert found is not None and found.alone and found.binding == (Bound("params", least - 300),)
        assert least <= found.nearest[1].limit <= 1.002 * least and found.nearest[0] == Bound("latency", 99.0)
        assert found.words.startswith(f"no architecture keeps to params <= {least - 300:,.6g}. The nearest that one keeps to: ")
        assert Budgets(metrics, found.nearest).obstacle(codes) is None

    def test_two_that_exclude_each_other_bind_together(self, metrics: Metrics) -> None:
        codes = SPACE.sample(300, np.random.default_rng(4))
        size = np.sort(size_of(codes))
        found = read_budgets(metrics, [f"params <= {size[30]}", f"params >= {size[-30]}"]).obstacle(codes)
        assert found is not None and not found.alone and len(found.binding) == 2
        low, high = found.nearest[1].limit, found.nearest[0].limit
        assert size[30] < high and low < size[-30]
        assert Budgets(metrics, found.nearest).keeps(codes).any()
