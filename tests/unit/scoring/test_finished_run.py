"""A finished run as one value: what pages, claims and reports ask it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces import space_named
from autobuild_core.store.run_folder import RunConfig
from tests.learning import random_predictor

MACRO = space_named("nas_bench_macro")
LATENCY = [4.0, 2.0, 9.0, 2.0]
MODULES = [(["L1"], ["mb6_k5"], False), (["L1", "L2"], ["mb6_k5", "mb6_k5"], True)]


@pytest.fixture
def run() -> FinishedRun:
    """Five architectures, the fourth without a target."""
    codes = np.array([MACRO.parse(key) for key in ("22000000", "22111111", "21222222", "00222222", "22222222")], np.int16)
    metrics = pd.DataFrame({"latency_ms": [4.0, 2.0, 9.0, np.nan, 2.0]})
    table = ArchTable(MACRO.spec, codes, MACRO.hash_networks(codes), metrics, np.arange(10, 15), "nas_bench_macro", 5)
    lines = [{"positions": json.dumps(p), "layers": json.dumps(t), "whole_unit": whole} for p, t, whole in MODULES]
    predictions = pd.DataFrame({"row": [0, 1, 2, 4], "target": LATENCY})
    config = RunConfig(target="latency_ms", minimize=True, target_name="Latency")
    task = {"file": "modules_0.parquet", "context": {"device": "pixel"}, "num_rows": 2, "space_mean": 3.0}
    return FinishedRun(config, table, {"tasks": [task]}, predictions, pd.DataFrame(lines), random_predictor(MACRO), id="abc")


def test_rows_are_ranked_in_the_targets_direction_and_equal_ones_stay_in_order(run: FinishedRun) -> None:
    assert run.targets.tolist() == LATENCY
    assert run.ranked_rows().tolist() == [1, 4, 0, 2]
    up = replace(run, config=replace(run.config, minimize=False))
    assert up.ranked_rows().tolist() == [2, 0, 1, 4]


def test_a_row_without_a_target_was_not_measured(run: FinishedRun) -> None:
    assert run.measured(4) == 2.0
    assert np.isnan(run.measured(3))


def test_a_module_is_found_by_what_it_is(run: FinishedRun) -> None:
    assert run.index == {('["L1"]', '["mb6_k5"]', False): 0, ('["L1", "L2"]', '["mb6_k5", "mb6_k5"]', True): 1}
    assert run.index is run.index


def test_it_says_what_it_holds_at_and_what_it_is_called(run: FinishedRun) -> None:
    assert [task.name for task in run.tasks] == ["device=pixel"]
    assert (run.task, run.key) == ("", "abc")
    assert (run.label.title, run.unit, run.amount(4.0)) == ("Latency", "ms", "4.00 ms")
    assert run.space.spec == MACRO.spec
