"""A finished run as one value: what pages, claims and reports ask it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import RunError
from autobuild_core.predictor.fitting import fit_run
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces import space_named
from autobuild_core.store.run_folder import RunConfig, RunFolder
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


def test_what_it_knows_of_metrics_is_read_once_and_none_where_an_older_version_trained_it(
    run: FinishedRun, tmp_path: Path
) -> None:
    assert run.known is None and run.metrics is None
    read = replace(run, folder=RunFolder(tmp_path))
    assert read.known is None
    codes = MACRO.sample(30, np.random.default_rng(0))
    codes = codes[np.unique(MACRO.hash_networks(codes), return_index=True)[1]]
    size = MACRO.canonical(codes).sum(1).astype(float)
    table = ArchTable(MACRO.spec, codes, MACRO.hash_networks(codes), pd.DataFrame({"latency_ms": size}), np.arange(len(codes)))
    fit_run(table, run.config.goal).save(RunFolder(tmp_path))
    read = replace(read, id="other")
    assert read.known is read.known and read.metrics is not None and list(read.metrics.models) == ["latency_ms"]
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(RunError, match="train the run anew"):
        _ = replace(read, id="again").metrics


def test_it_says_what_it_holds_at_and_what_it_is_called(run: FinishedRun) -> None:
    assert [task.name for task in run.tasks] == ["device=pixel"]
    assert (run.task, run.key) == ("", "abc")
    assert (run.label.title, run.unit, run.amount(4.0)) == ("Latency", "ms", "4.00 ms")
    assert run.space.spec == MACRO.spec
