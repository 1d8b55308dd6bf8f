"""Complete spaces: draws, baselines and measures are true where the truth is planted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark import complete
from autobuild_core.benchmark.complete import Whole, baseline_values, markdown, measure_all, read_lines, winkler
from autobuild_core.cli import main
from autobuild_core.errors import ConfigError
from autobuild_core.jobs.kinds.train import pipeline
from autobuild_core.spaces import space_named
from autobuild_core.targets.equation import Target
from tests.learning import macro_json, macro_truth

MACRO, LOSS = space_named("nas_bench_macro"), Target("loss", True)
FEW = {"num_members": 2, "num_steps": 20, "threads": 1}


@pytest.fixture(scope="module")
def table() -> ArchTable:
    """Every encoding of NAS-Bench-Macro with a planted loss and accuracy."""
    codes = MACRO.enumerate()
    assert codes is not None
    metrics = pd.DataFrame({"acc": macro_truth(codes), "loss": 100 - macro_truth(codes)})
    return ArchTable(MACRO.spec, codes, MACRO.hash_networks(codes), metrics, np.arange(len(codes)), "", len(codes))


@pytest.fixture(scope="module")
def whole(table: ArchTable) -> Whole:
    """The space of it, loss minimised."""
    return Whole.of(table, LOSS)


@pytest.fixture
def nothing_after_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trust report and the map are not what is judged."""
    monkeypatch.setattr(pipeline, "write_report", lambda *_: {})
    monkeypatch.setattr(pipeline, "write_map", lambda *_: None)


@pytest.mark.parametrize("sample", complete.SAMPLES)
def test_draws_are_distinct_networks_and_come_again(whole: Whole, sample: str) -> None:
    drawn = whole.draw(sample, 100, 3)
    assert len(np.unique(whole.networks[drawn])) == 100 and np.array_equal(drawn, whole.draw(sample, 100, 3))
    assert not np.array_equal(drawn, whole.draw(sample, 100, 4))
    assert len(np.unique(whole.rows_of(drawn).networks)) == 100


def test_a_log_is_of_good_networks(whole: Whole) -> None:
    log, drawn = (whole.truth.values[whole.draw(sample, 200, 0)] for sample in ("log", "random"))
    assert log[-50:].mean() > drawn.mean() + whole.truth.values.std()


def test_a_part_of_a_space_is_refused(table: ArchTable, whole: Whole) -> None:
    with pytest.raises(ConfigError, match=r"got 3,968 measured networks of NAS-Bench-Macro, expected a measurement of every"):
        Whole.of(table.take(table.networks != table.networks[0]), LOSS)
    with pytest.raises(ConfigError, match="got the sample 'astrology', expected one of random, log"):
        whole.draw("astrology", 100, 0)
    with pytest.raises(ConfigError, match="sizes: got 3960, expected 20 to 3959 of 3969 networks"):
        whole.draw("random", 3960, 0)


def test_baselines_learn_an_additive_truth(whole: Whole) -> None:
    found = baseline_values(whole, whole.draw("random", 300, 0))
    srcc = {name: pd.Series(values).corr(pd.Series(whole.truth.values), "spearman") for name, values in found.items()}
    assert srcc["ridge"] > 0.98 and srcc["kernel"] > 0.97 and srcc["forest"] > 0.93
    twins = whole.networks == whole.networks[0]
    assert all(np.ptp(values[twins]) < 1e-9 for values in found.values())


def test_interval_score_of_known_intervals() -> None:
    truth = np.array([0.0, 1.0, 3.0])
    assert winkler(np.zeros(3), np.full(3, 2.0), truth) == pytest.approx(2 + 20 * 1 / 3)


@pytest.mark.usefixtures("nothing_after_the_scores")
def test_draws_are_judged_once_and_gone_on_from(whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "draws.jsonl"
    cases = [("random", 60, 0)]
    found = measure_all(whole, LOSS, "macro", cases, out, **FEW)
    assert found[0]["ours srcc"] > 0.8 and found[0]["ours fidelity_1"] > 0.8 and 0 <= found[0]["ours cover_2"] <= 1
    assert found[0]["ridge fidelity_1"] > 0.8 and found[0]["forest built_rank"] >= 1
    out.write_text(out.read_text() + '{"data": "mac')  # a killed process
    assert read_lines(out) == json.loads(json.dumps(found))
    monkeypatch.setattr(complete, "measure", lambda *_, **__: {name: 1.0 for name in found[0] if " " in name})
    again = measure_all(whole, LOSS, "macro", [*cases, ("log", 60, 0)], out, **FEW)
    assert again[0]["ours srcc"] == found[0]["ours srcc"] and again[1]["sample"] == "log" and len(read_lines(out)) == 2


def test_a_table_of_paired_differences() -> None:
    records = [
        {"data": "cells", "sample": "log", "size": 100, "seed": seed}
        | {"ours srcc": 0.9 + 0.01 * seed, "ridge srcc": 0.8, "kernel srcc": 0.9, "forest srcc": 0.95}
        | {"ours unit_regret": 0.1, "ridge unit_regret": 0.3, "kernel unit_regret": 0.1, "forest unit_regret": 0.0}
        | {"ours coverage": 0.9}
        for seed in (0, 1, 2)
    ]
    text = markdown(records)
    assert "### cells, 100 networks of a search's log, 3 draws" in text
    assert "| srcc | 0.910 | 0.800 (+0.110 ± 0.017) | 0.900 (+0.010 ± 0.017) | 0.950 (-0.040 ± 0.017) |" in text
    assert "| unit_regret | 0.100 | 0.300 (+0.200 ± 0.000) |" in text and "| coverage | 0.900 |  |  |  |" in text


def test_the_command_line_asks_for_a_whole_space(table: ArchTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some.json").write_text(macro_json(table.take(np.arange(50))))
    assert main(["benchmark", str(tmp_path / "some.json"), "--target", "mean_acc", "--complete", "random"]) == 2
    assert "expected a measurement of every network" in capsys.readouterr().err
    assert main(["benchmark", "--complete"]) == 2
    assert "--complete: got no data or no --target" in capsys.readouterr().err
