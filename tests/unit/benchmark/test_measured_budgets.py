"""Budgets judged by measuring: on planted costs with known noise shares are as they must be, and what is wrong is found."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core.api import Run
from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark import budget_outcome, measured_budgets
from autobuild_core.benchmark.budget_outcome import Measured
from autobuild_core.benchmark.measured_budgets import Judging, MeasuredBudgets, read_names
from autobuild_core.benchmark.paper import ledger as ledgers
from autobuild_core.benchmark.paper.ledger import Ledger, Settings
from autobuild_core.cli import main
from autobuild_core.errors import Cancelled, ConfigError, EvaluationError
from autobuild_core.evaluators import Conditions, Evaluator, Watch
from autobuild_core.evaluators import Measured as Result
from autobuild_core.jobs.kinds.train import pipeline
from autobuild_core.predictor import fitting
from autobuild_core.spaces import space_named
from autobuild_core.store.tables import content_hash, save_table
from autobuild_core.targets.equation import Target
from tests import kept
from tests.learning import macro_truth, table_of

SPACE = space_named("nas_bench_macro")
ACC, NOISE, FACTOR = Target("acc"), 0.02, 1.3
MINE = """
import random
LOG, NOISE, FACTOR, FAILS = {log!r}, {noise!r}, {factor!r}, {fails!r}
def evaluate(arch, budget, seed):
    with open(LOG, "a") as file:
        file.write(arch + chr(10))
    if arch.startswith(FAILS):
        raise ValueError("planted")
    cost = 5 + sum((place + 4) * int(layer) for place, layer in enumerate(arch)) / 10
    return {{"ms": FACTOR * cost * random.Random(arch).gauss(1, NOISE)}}
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings without what comes after the scores."""
    monkeypatch.setattr(pipeline, "write_report", lambda *_: {})
    monkeypatch.setattr(pipeline, "write_map", lambda *_: None)


@pytest.fixture
def _trained_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The training on a table is that of another test on the same: what differs is measured after it."""
    train = measured_budgets.train

    def once(rows: ArchTable, target: str, folder: Path, minimize: bool, seed: int, **settings: Any) -> Run:
        about = "budgets", content_hash(rows), target, minimize, seed, settings["num_members"], settings["num_steps"]
        return Run(kept.once(about, lambda place: train(rows, target, place, minimize, seed, **settings)))

    monkeypatch.setattr(measured_budgets, "train", once)


@pytest.fixture(scope="module")
def table() -> ArchTable:
    """160 networks with an accuracy that grows with cost, a noisy cost, and an exact one; no skip folds two of them."""
    rng = np.random.default_rng(0)
    codes = SPACE.canonical(SPACE.sample(1200, rng))
    codes = codes[np.unique(SPACE.hash_networks(codes), return_index=True)[1]][:160]
    cost = 5 + codes @ np.arange(4, 12) / 10
    noisy = cost * rng.normal(1, NOISE, len(codes))
    return table_of(codes, pd.DataFrame({"acc": macro_truth(codes), "cost_ms": noisy, "size": 10.0 + codes.sum(1)}))


@pytest.fixture
def mine(tmp_path: Path) -> Callable[..., str]:
    """Writes an evaluator that measures the planted cost on another machine."""

    def write(noise: float = NOISE, fails: str = "none") -> str:
        path, log = tmp_path / "mine.py", str(tmp_path / "asked.txt")
        path.write_text(MINE.format(log=log, noise=noise, factor=FACTOR, fails=fails))
        return str(path)

    return write


def work(table: ArchTable, folder: Path, evaluator: str, names: Sequence[str] = ("cost_ms=ms", "size"), **heard: Any) -> Any:
    """The budgets of a table in a folder, with a training of seconds."""
    judging = Judging.of(table, ACC, names, evaluator)
    return MeasuredBudgets(judging, Ledger(folder, Settings(Path(), members=2, steps=5), **heard))


def asked(folder: Path) -> list[str]:
    """The networks that an evaluator was asked for."""
    return (folder / "asked.txt").read_text().split()


@pytest.mark.usefixtures("_trained_once")
def test_shares_are_as_the_noise_makes_them(table: ArchTable, tmp_path: Path, mine: Callable[..., str]) -> None:
    found = work(table, tmp_path / "out", mine(), ["cost_ms=ms"]).measured(0)
    sure, even, sure_low, _ = found.cases()
    assert [(one["quantile"], one["confidence"]) for one in found.cases()] == [(0.5, 0.9), (0.5, 0.5), (0.25, 0.9), (0.25, 0.5)]
    assert all(one["built"] == 30 for one in found.cases())
    assert sure["share"] >= 0.85 and sure_low["share"] >= 0.85 and sure["share expected"] > 0.9
    assert 0.35 < even["share"] < 0.95 and abs(even["share"] - even["share expected"]) < 0.25
    assert sure["random would be"] == pytest.approx(15, abs=0.2) and sure_low["random would be"] == pytest.approx(7.5, abs=0.2)
    assert 0 < sure["of them measured within"] <= sure["rows recorded within"] < 30
    assert found.factors["cost_ms"] == pytest.approx(FACTOR, rel=0.02)
    line = found.metrics()[0]
    assert line["scaled budget"] == pytest.approx(FACTOR * table.metrics["cost_ms"].median(), rel=0.02)
    assert 1 < line["error of built, %"] < 4 and line["predicted / budget"] < 1


def test_a_confidence_that_is_none_is_found(
    table: ArchTable, tmp_path: Path, mine: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = fitting._predicted
    monkeypatch.setattr(fitting, "_predicted", lambda *asked: replace(honest(*asked), widening=0.02))
    sure = work(table, tmp_path / "out", mine(), ["cost_ms=ms"]).measured(0).cases()[0]
    assert sure["share"] < 0.85 and sure["share expected"] > 0.9


@pytest.mark.usefixtures("_trained_once")
def test_a_machine_that_is_noisier_than_the_data_is_found(table: ArchTable, tmp_path: Path, mine: Callable[..., str]) -> None:
    found = work(table, tmp_path / "out", mine(noise=0.2), ["cost_ms=ms"]).measured(0)
    assert found.cases()[0]["share"] < 0.85
    low, high = found.metrics()[0]["rows: middle half, %"]
    assert low < -5 and high > 5 and found.metrics()[0]["rows: rank correlation"] < 0.9


@pytest.mark.usefixtures("_trained_once")
def test_what_is_exact_is_counted_and_all_is_kept(table: ArchTable, tmp_path: Path, mine: Callable[..., str]) -> None:
    found = work(table, tmp_path / "out", mine()).measured(0)
    size = next(line for line in found.metrics() if line["metric"] == "size")
    assert size["factor"] == 1 and size["built within"] == size["built"] == 30 and size["error of built, %"] == 0
    frame = found.networks()
    built = [arch for pick in found.picks for arch in pick["archs"]]
    assert frame["arch"].tolist() == [json.dumps(arch) for arch in [*found.rows, *built]]
    assert list(frame["quantile"].isna()) == [True] * 30 + [False] * len(built)
    codes = SPACE.canonical(np.array([SPACE.parse(arch) for arch in built], np.int16))
    assert np.allclose(frame["size_scaled"][30:], 10.0 + codes.sum(1))
    assert not set(SPACE.hash_networks(codes).tolist()) & set(table.networks.tolist())
    places = table.metrics.set_index(pd.Index([SPACE.native(row) for row in table.codes]))
    assert np.allclose(frame["cost_ms_recorded"][:30], places.loc[found.rows, "cost_ms"])
    text = budget_outcome.markdown([found], [{"file": "measured_0.jsonl", "remark": "the clock was wrong"}])
    assert "### Budgets, measured" in text and "| 0 | 0.25 | 0.9 | size |" in text and "the clock was wrong" in text


@pytest.mark.usefixtures("_trained_once")
def test_a_stopped_run_goes_on_in_one_mixed_order(table: ArchTable, tmp_path: Path, mine: Callable[..., str]) -> None:
    own, asks = mine(), 0

    def stop() -> bool:
        nonlocal asks
        asks += (tmp_path / "asked.txt").exists()
        return asks > 40

    with pytest.raises(Cancelled):
        work(table, tmp_path / "out", own, should_stop=stop).measured(0)
    begun, picks = asked(tmp_path), (tmp_path / "out" / "picks.json").read_text()
    found = work(table, tmp_path / "out", own).measured(0)
    every, later = {*found.rows, *(arch for pick in found.picks for arch in pick["archs"])}, asked(tmp_path)
    assert 0 < len(begun) < len(every) and len(later) <= len(every) + 1 and set(later) == every
    assert (tmp_path / "out" / "picks.json").read_text() == picks
    turns = [place for place, arch in enumerate(dict.fromkeys(later)) if arch in found.rows]
    assert 0.25 < np.mean(turns) / len(every) < 0.75 and turns != list(range(turns[0], turns[0] + 30))
    again = work(table, tmp_path / "out", own).measured(0)
    assert asked(tmp_path) == later and again.cases() == found.cases()
    with pytest.raises(ConfigError, match="got an experiment with metrics"):
        work(table, tmp_path / "out", own, ["cost_ms=ms"])


@pytest.mark.usefixtures("_trained_once")
def test_what_is_timed_is_timed_in_rounds_over_all(table: ArchTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[list[Any]] = []

    class Clock(Evaluator):
        title, budget, metrics, at_once = "Clock", 9, ("ms",), 8

        def data(self) -> str:
            return "planted"

        def check(self, arch: Any) -> None:
            """All will do."""

        def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Result:
            raise AssertionError("alone")

        def evaluate_together(self, archs: Sequence[Any], at: Conditions, watch: Watch) -> Iterator[Result]:
            heard.append(list(archs))
            yield from (Result({"ms": float(at.budget + sum(map(int, arch)))}) for arch in archs)

    for module in (measured_budgets, ledgers):
        monkeypatch.setattr(module, "load_evaluator", lambda name: Clock())
    judging = Judging.of(table, ACC, ["cost_ms=ms"], "clock")
    ledger = Ledger(tmp_path / "out", Settings(Path(), budget=2, members=2, steps=5))
    found = MeasuredBudgets(judging, ledger).measured(0)
    assert len(heard) == 1 and set(heard[0]) == {*found.rows, *(arch for pick in found.picks for arch in pick["archs"])}
    assert found.values["cost_ms"][0] == 2 + sum(map(int, found.rows[0]))
    lines = (tmp_path / "out" / "measured_0.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "out" / "measured_0.jsonl").write_text("".join(lines[:-1]))
    again = MeasuredBudgets(judging, ledger).measured(0)
    assert heard[1] == heard[0] and again.cases() == found.cases()  # a part of a round is none


def test_what_fails_is_not_within(table: ArchTable) -> None:
    values = pd.DataFrame({"cost_ms": [2.0, np.nan, 6.0, 3.0, np.nan, 1.0]})
    pick = {"quantile": 0.5, "confidence": 0.9, "limits": {"cost_ms": 2.0}, "archs": ["a", "b", "c"], "within": [0.9, 1.0, 0.95]}
    pick |= {"predicted": {"cost_ms": [1.5, 1.5, 0.5]}}
    rows = table.take(np.arange(3))
    rows = replace(rows, metrics=pd.DataFrame({"cost_ms": [1.0, 2.0, 3.0]}))
    found = Measured(0, rows, {"cost_ms": "ms"}, np.arange(3), ["x", "y", "z"], [pick], values)
    (case,) = found.cases()
    assert found.factors["cost_ms"] == 2.0 and (case["built"], case["within all budgets"]) == (3, 2)
    assert (case["rows recorded within"], case["of them measured within"]) == (2, 1)
    assert case["of the others measured within"] == 0
    assert found.bias["cost_ms"] == pytest.approx(1.0) and case["within, bias removed"] == 2  # of 1 and 1
    slower = replace(found, values=values.assign(cost_ms=[2.0, 4.0, 6.0, 4.5, np.nan, 1.5])).cases()[0]
    assert (slower["within all budgets"], slower["within, bias removed"]) == (1, 2)
    mixed = replace(found, values=values.assign(cost_ms=[1.0, 5.0, 1.5, 3.0, 3.0, 1.0])).cases()[0]  # scaled 1, 5, 1.5
    assert (mixed["of them measured within"], mixed["of the others measured within"]) == (1, 1)
    assert case["random would be"] == pytest.approx(2) and case["share expected"] == pytest.approx(0.95)
    with pytest.raises(EvaluationError, match="got no ms of 3 rows, expected some to scale by"):
        _ = replace(found, values=values.assign(cost_ms=[np.nan] * 3 + [1.0] * 3)).factors


def test_within_is_within_every_limit() -> None:
    values = pd.DataFrame({"ms": [1.0, 1.0, 3.0, np.nan], "size": [1.0, 3.0, 1.0, 1.0], "other": [9.0] * 4})
    kept = budget_outcome.within(values, pd.Series({"size": 2.0, "ms": 1.0}))
    assert kept.tolist() == [True, False, False, False]


def test_names_are_those_of_both() -> None:
    assert read_names(["params_m", "latency_cpu_ms=latency_ms"]) == {"params_m": "params_m", "latency_cpu_ms": "latency_ms"}


def test_what_does_not_do_is_said(
    table: ArchTable, tmp_path: Path, mine: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="got 'cost_ms', which latency does not measure and which is no exact sum"):
        Judging.of(table, ACC, ["size", "cost_ms"], "latency")
    with pytest.raises(
        ConfigError, match="got 'size=speed', but latency does not measure speed; expected METRIC=NAME with NAME among latency_ms"
    ):
        Judging.of(table, ACC, ["size=speed"], "latency")
    with pytest.raises(ConfigError, match="got 'speed', expected some of acc, cost_ms, size"):
        Judging.of(table, ACC, ["speed=latency_ms"], "latency")
    with pytest.raises(ConfigError, match="got 30 networks with all budgeted metrics, expected more than 30"):
        Judging.of(table.take(np.arange(30)), ACC, ["cost_ms=latency_ms"], "latency")
    with pytest.raises(ConfigError, match=r"does not measure and .* NAME among ms\."):
        work(table, tmp_path / "out", mine(), ["cost_ms"]).measured(0)
    save_table(table, tmp_path / "table")
    told = ["benchmark", str(tmp_path / "table"), "--target", "acc", "--design", "cost_ms=ms", "--measured", mine()]
    assert main(told) == 2 and "got --measured without --out" in capsys.readouterr().err
    told = ["benchmark", str(tmp_path / "table"), "--target", "acc", "--measured", "latency"]
    assert main(told) == 2 and "got --measured without --design" in capsys.readouterr().err


@pytest.mark.usefixtures("_trained_once")
def test_the_command_prints_the_tables(
    table: ArchTable, tmp_path: Path, mine: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    save_table(table, tmp_path / "table")
    told = ["benchmark", str(tmp_path / "table"), "--target", "acc", "--design", "cost_ms=ms", "--measured", mine()]
    told += ["--members", "2", "--steps", "5", "--threads", "1", "--out", str(tmp_path / "out")]
    assert main(told) == 0
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert [line["built"] for line in answer["design"]] == [30] * 4 and "### Budgets, measured" in said.err
    frame = pd.read_csv(tmp_path / "out" / "networks.csv")
    assert len(frame) == 150 and {"cost_ms_recorded", "cost_ms_predicted", "ms_measured", "cost_ms_scaled"} <= set(frame)
