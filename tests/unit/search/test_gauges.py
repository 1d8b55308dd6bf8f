"""Gauges: every number says how it is known, and whether a budget is kept."""

import numpy as np
import pytest

from autobuild_core.api import Run
from autobuild_core.predictor.metrics import Bound
from autobuild_core.search.gauges import Known, gauges
from autobuild_core.spaces import space_named

MACRO = space_named("nas_bench_macro")


def novel(run: Run) -> np.ndarray:
    drawn = MACRO.sample(200, np.random.default_rng(5))
    return np.asarray(drawn[~np.isin(MACRO.hash_networks(drawn), run.table().networks)][0])


def test_what_was_measured_is_said_as_measured(trained: Run) -> None:
    table = trained.table()
    found = gauges(trained.metrics, ["acc", "steps"], table, [], table.codes[3])
    same = table.networks == table.networks[3]
    assert set(found["known"]) == {Known.MEASURED}
    assert found["value"].tolist() == pytest.approx([table.metrics.loc[same, name].mean() for name in ("acc", "steps")])
    assert (found["low"] == found["value"]).all() and found["limit"].isna().all() and found["within"].isna().all()


def test_what_was_not_is_predicted_with_its_interval_or_exact(trained: Run) -> None:
    codes = novel(trained)
    found = gauges(trained.metrics, list(trained.metrics.models), trained.table(), [], codes).set_index("metric")
    for name, model in trained.metrics.models.items():
        line = found.loc[name]
        assert line["known"] == (Known.EXACT if model.is_exact else Known.PREDICTED)
        assert (line["value"], line["low"], line["high"]) == pytest.approx(
            [float(part[0]) for part in model.interval(codes[None])]
        )
        assert np.isnan(line["srcc"]) == model.is_exact


def test_limits_are_judged_each_by_itself(trained: Run) -> None:
    codes, bounds = novel(trained), [Bound("acc", 89.0, False), Bound("acc", 91.0), Bound("steps", 8.0)]
    found = gauges(trained.metrics, ["acc", "steps", "err"], trained.table(), bounds, codes)
    assert found["metric"].tolist() == ["acc", "acc", "steps", "err"]
    assert found["limit"].tolist()[:3] == [89.0, 91.0, 8.0] and found["is_upper"].tolist()[:2] == [False, True]
    wanted = [float(trained.metrics.within(codes[None], [bound])[0]) for bound in bounds]
    assert found["within"].tolist()[:3] == pytest.approx(wanted)


def test_a_measurement_keeps_to_a_limit_or_does_not(trained: Run) -> None:
    table = trained.table()
    value = float(table.metrics.loc[table.networks == table.networks[0], "acc"].mean())
    for limit, within in ((value + 1e-9, 1.0), (value - 1e-9, 0.0)):
        found = gauges(trained.metrics, ["acc"], table, [Bound("acc", limit)], table.codes[0])
        assert found["within"].tolist() == [within]
