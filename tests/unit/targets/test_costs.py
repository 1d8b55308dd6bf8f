"""The cost model: exact where a metric adds up over layers, twins alike, wrong metrics refused."""

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError
from autobuild_core.spaces import space_named
from autobuild_core.targets.costs import fit_cost

MACRO = space_named("nas_bench_macro")


def table_of(num: int) -> ArchTable:
    codes = MACRO.sample(num, np.random.default_rng(0))
    canonical = MACRO.canonical(codes)
    madds = 5 + (canonical == 1) @ np.arange(1.0, 9.0) + (canonical == 2) @ np.arange(2.0, 18.0, 2.0)
    metrics = pd.DataFrame({"madds": madds, "sparse": np.where(np.arange(num) < 5, madds, np.nan)})
    return ArchTable(MACRO.spec, codes, MACRO.hash_networks(codes), metrics, np.arange(num))


def test_an_additive_metric_is_reproduced_off_the_data() -> None:
    model = fit_cost(table_of(300), MACRO, "madds")
    fresh = np.array([MACRO.parse("02012100"), MACRO.parse("11111111"), MACRO.parse("00000000")], np.int16)
    canonical = MACRO.canonical(fresh)
    truth = 5 + (canonical == 1) @ np.arange(1.0, 9.0) + (canonical == 2) @ np.arange(2.0, 18.0, 2.0)
    assert model.explained == pytest.approx(1, abs=1e-6)
    assert model.predict(fresh) == pytest.approx(truth, rel=1e-3)


def test_twins_cost_the_same() -> None:
    model = fit_cost(table_of(300), MACRO, "madds")
    twins = np.array([MACRO.parse("12021201"), MACRO.parse("12021210")], np.int16)
    assert model.predict(twins)[0] == model.predict(twins)[1]


def test_a_metric_that_counts_idle_layers_is_fitted_on_the_encodings_as_written() -> None:
    space = space_named("nas_bench_201")
    codes = space.sample(200, np.random.default_rng(0))
    flops = codes @ np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])  # of every operation, on a live path or not
    table = ArchTable(space.spec, codes, space.hash_networks(codes), pd.DataFrame({"flops": flops}), np.arange(200))
    assert (space.canonical(codes) != codes).any()
    model = fit_cost(table, space, "flops")
    assert model.as_written and model.explained == pytest.approx(1, abs=1e-6)
    assert model.predict(codes) == pytest.approx(flops, rel=1e-3)
    assert not fit_cost(table_of(300), MACRO, "madds").as_written


@pytest.mark.parametrize(("metric", "sentence"), [("flops", "expected one of madds"), ("sparse", "got 5 known values")])
def test_refused(metric: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        fit_cost(table_of(60), MACRO, metric)
