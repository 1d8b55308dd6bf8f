"""A batch of evaluations: its file of results, what it goes on from, what is refused; a user's own evaluators."""

import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from autobuild_core import api, evaluators
from autobuild_core.datasets import read_table
from autobuild_core.errors import ArchitectureError, Cancelled, ConfigError, DataError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch, _own, evaluator_names, load_evaluator
from autobuild_core.evaluators import latency as timing
from autobuild_core.evaluators._batch import ask, in_words, read_candidates, run_batch, summary
from autobuild_core.evaluators._results import (
    DIVERGED,
    FAILED,
    FINISHED,
    OUT_OF_TIME,
    Asked,
    ResultsFile,
    Setting,
    measure,
    pack_pictures,
    unpack_pictures,
)
from tests.architectures import CELL, stages, unet

ARCHS = ("0120", "0000", "2222")
SETTING = Setting("lengths", 8)


class Lengths(Evaluator):
    """Measures texts; those with an x fail, each in its own way."""

    title, budget, metrics = "Lengths", 8, ("loss", "acc_pct")

    def data(self) -> str:
        return "texts"

    def check(self, arch: Any) -> None:
        if not isinstance(arch, str):
            raise ArchitectureError(f"architecture: got {arch}, expected a text.")

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        curve = []
        for step in range(2, at.budget + 1, 2):
            watch.step()
            curve.append({"step": float(step), "loss": 1 / step})
            watch.epoch(curve[-1])
        if arch == "x crashes":
            raise ZeroDivisionError("a fault of the program")
        loss = float("inf") if arch == "x diverges" else at.seed + arch.count("2")
        return Measured({"loss": loss, "acc_pct": 50.0}, tuple(curve), remark="a remark")


@pytest.fixture
def results(tmp_path: Path) -> ResultsFile:
    return ResultsFile(tmp_path / "measured.jsonl")


class TestLines:
    def test_a_line_says_what_was_measured_and_how(self) -> None:
        line = measure(Lengths(), Asked("0120", 3, "c7"), SETTING, Watch())
        assert line.pop("seconds") >= 0
        curve = line.pop("curve")
        assert [one["step"] for one in curve] == [2, 4, 6, 8]
        about = {"id": "c7", "evaluator": "lengths", "version": "1", "data": "texts", "budget": 8, "device": "cpu"}
        wanted = {"arch": "0120", "seed": 3, "loss": 4.0, "acc_pct": 50.0} | about
        assert line == wanted | {"state": FINISHED, "remark": "a remark"}

    @pytest.mark.parametrize(
        ("arch", "state", "said"),
        [
            ("x diverges", DIVERGED, "loss: got inf, expected a finite number."),
            ("x crashes", FAILED, "ZeroDivisionError: a fault of the program"),
            (7, FAILED, "architecture: got 7, expected a text."),
        ],
    )
    def test_a_failure_is_a_line_with_its_reason(self, arch: Any, state: str, said: str) -> None:
        line = measure(Lengths(), Asked(arch, 0), SETTING, Watch())
        assert (line["state"], line["error"]) == (state, said) and "loss" not in line

    def test_one_that_takes_too_long_is_a_line_and_a_cancelled_one_is_none(self) -> None:
        late = measure(Lengths(), Asked("0", 0), SETTING, Watch(seconds=1e-9))
        assert late["state"] == OUT_OF_TIME and "give it more time" in late["error"]
        with pytest.raises(Cancelled):
            measure(Lengths(), Asked("0", 0), SETTING, Watch(should_stop=lambda: True))

    def test_pictures_survive(self) -> None:
        pictures = torch.rand(3, 4, 5) * 2 - 1
        text = pack_pictures(pictures)
        assert text.startswith("3x4x5:") and unpack_pictures(text).shape == (3, 4, 5)
        assert np.abs(unpack_pictures(text) / 127.5 - 1 - pictures.numpy()).max() < 0.005
        with pytest.raises(ValueError, match="cannot reshape array of size 60"):
            unpack_pictures("3x4x6" + text[5:])


class TestBatch:
    def test_every_architecture_with_every_seed(self, results: ResultsFile) -> None:
        lines = run_batch(Lengths(), ask(ARCHS, (0, 1)), SETTING, results)
        assert [(line["arch"], line["seed"], line["loss"]) for line in lines] == [
            *(("0120", 0, 1.0), ("0000", 0, 0.0), ("2222", 0, 4.0)),
            *(("0120", 1, 2.0), ("0000", 1, 1.0), ("2222", 1, 5.0)),
        ]
        told = summary(lines, Lengths())
        assert told == {"num": 6, "failed": 0, "best": {"arch": "0000", "loss": 0.5, "seeds": 2}, "remarks": ["a remark"]}
        assert in_words(lines) == "6 evaluations measured"

    def test_an_architecture_that_is_there_twice_is_measured_once(self) -> None:
        asked = ask([{"k": 1, "e": 2}, "0120", {"e": 2, "k": 1}, "0120"], (0,), ["a", "b", "c", "d"])
        assert [one.id for one in asked] == ["a", "b"]

    def test_a_notebook_gets_a_frame(self, tmp_path: Path) -> None:
        archs = [stages(), stages(5)]
        found = api.evaluate(pd.DataFrame({"arch": archs}), "cost", tmp_path / "cost.jsonl", seeds=3)
        assert found["arch"].tolist() == archs and found["madds_m"].is_monotonic_increasing
        (tmp_path / "built.jsonl").write_text(json.dumps({"arch": stages(7)}) + "\n")
        more = api.evaluate(tmp_path / "built.jsonl", "cost", tmp_path / "cost.jsonl")
        assert len(more) == 1 and len(api.evaluate([*archs, stages(7)], "cost", tmp_path / "cost.jsonl")) == 3
        with pytest.raises(ConfigError, match="seconds: got 0, expected more than 0"):
            api.evaluate(archs, "cost", tmp_path / "cost.jsonl", seconds=0)

    def test_what_is_there_is_not_measured_again(self, results: ResultsFile) -> None:
        run_batch(Lengths(), ask(ARCHS[:2], (0,)), SETTING, results)
        before = results.path.read_bytes()
        heard: list[Mapping[str, Any]] = []
        lines = run_batch(Lengths(), ask(ARCHS, (0,)), SETTING, results, heard.append)
        assert results.path.read_bytes().startswith(before) and [line["arch"] for line in lines] == list(ARCHS)
        assert [record["step"] for record in heard] == [2, 2, 2, 2, 2, 3] and heard[0]["share"] == pytest.approx(2 / 3)
        assert heard[2]["metrics"] == {"step": 4.0, "loss": 0.25} and heard[2]["share"] == pytest.approx((2 + 0.5) / 3)

    def test_a_cancelled_one_keeps_what_it_had(self, results: ResultsFile) -> None:
        asked = iter([False] * 6)  # four steps of the first architecture, two of the second
        with pytest.raises(Cancelled):
            run_batch(Lengths(), ask(ARCHS, (0,)), SETTING, results, should_stop=lambda: next(asked, True))
        assert [line["arch"] for line in results.read()] == ["0120"]

    def test_it_goes_on_where_some_fail(self, results: ResultsFile) -> None:
        lines = run_batch(Lengths(), ask(["x crashes", "0120", "x diverges"], (0,)), SETTING, results)
        assert [line["state"] for line in lines] == [FAILED, FINISHED, DIVERGED]
        assert summary(lines, Lengths())["failed"] == 2 and in_words(lines) == "1 evaluation measured, 2 failed"

    def test_a_torn_last_line_is_measured_again(self, results: ResultsFile) -> None:
        run_batch(Lengths(), ask(ARCHS, (0,)), SETTING, results)
        results.path.write_bytes(results.path.read_bytes()[:-30])
        assert len(results.read()) == 2
        run_batch(Lengths(), ask(ARCHS, (0,)), SETTING, results)
        assert [line["arch"] for line in results.read()] == list(ARCHS)

    def test_measurements_of_other_conditions_are_left_alone(self, results: ResultsFile) -> None:
        run_batch(Lengths(), ask(ARCHS, (0,)), SETTING, results)
        with pytest.raises(ConfigError, match="got measurements with budget 8, expected 9 as asked"):
            run_batch(Lengths(), ask(ARCHS, (0,)), Setting("lengths", 9), results)

    def test_a_file_of_something_else_is_refused(self, results: ResultsFile) -> None:
        results.path.write_text('{"acc": 3}\n{"acc": 4}\n')
        with pytest.raises(ConfigError, match=r"line 1: got .*expected a measurement"):
            run_batch(Lengths(), ask(ARCHS, (0,)), SETTING, results)
        with pytest.raises(ConfigError, match="expected a file that can be written"):
            ResultsFile(results.path.parent / "no" / "where.jsonl").append([{}])

    def test_it_is_read_as_measurements(self, results: ResultsFile) -> None:
        archs = ["00000000", "22222222", "02012100", "x diverges", "x crashes"]
        run_batch(Lengths(), ask(archs, (0, 1)), SETTING, results)
        table = read_table(results.path)
        assert len(table) == 6 and list(table.metrics.columns) == ["loss", "acc_pct"]
        assert {r.row for r in table.rejected} == {3, 4, 8, 9}
        assert table.context_kinds == {
            **{"seed": "seed", "evaluator": "task", "version": "task", "data": "task"},
            **{"budget": "fidelity", "device": "setting"},
        }

    def test_one_that_diverged_is_known_to_be_worse(self, tmp_path: Path) -> None:
        class Macro(Lengths):
            def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
                return Measured({"loss": float("nan") if arch == "11111111" else float(arch.count("2")), "acc_pct": 1.0})

        results = ResultsFile(tmp_path / "macro.jsonl")
        run_batch(Macro(), ask(["00000000", "22222222", "02012100", "11111111"], (0,)), SETTING, results)
        table = read_table(results.path)
        assert (len(table), table.num_censored) == (4, 1)


class TestCandidates:
    def test_each_architecture_once_with_its_id(self, tmp_path: Path) -> None:
        lines = [
            {"arch": "0120", "id": "a"},
            {"arch": "0120"},
            {"acc": 1},
            {"arch": {"k": 1, "e": 2}},
            {"arch": {"e": 2, "k": 1}},
        ]
        (tmp_path / "built.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "no JSON\n")
        found = read_candidates(tmp_path / "built.jsonl")
        assert found.archs == ("0120", {"k": 1, "e": 2}) and found.ids == ("a", "")
        assert [r.row for r in found.rejected] == [2, 5] and "got no arch" in found.rejected[0].reason

    def test_a_file_without_any_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "none.jsonl").write_text('{"acc": 1}\n')
        with pytest.raises(DataError, match=r"none\.jsonl: got no architecture, expected JSON lines with arch; line 0"):
            read_candidates(tmp_path / "none.jsonl")
        with pytest.raises(DataError, match="got no such file"):
            read_candidates(tmp_path / "missing.jsonl")


OWN = """
import os, time

def evaluate(arch, budget, seed):
    if arch == "exits":
        os._exit(7)
    if arch == "hangs":
        time.sleep(600)
    if arch == "text":
        return {"acc": 1.0, "remark": "from a text"}
    if arch == "none":
        return {}
    return {"acc": float(len(arch)), "pid": os.getpid()}
"""
PROGRAM = """#!{python}
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["arch"] == "fails":
        print(json.dumps({{"error": "out of memory on the GPU"}}), flush=True)
    elif asked["arch"] == "babbles":
        print("epoch 1: fine", flush=True)
    else:
        print(json.dumps({{"acc": asked["budget"] + asked["seed"]}}), flush=True)
"""


class TestOwn:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Path:
        (tmp_path / "mine.py").write_text(OWN)
        return tmp_path / "mine.py"

    @pytest.fixture
    def program(self, tmp_path: Path) -> Path:
        path = tmp_path / "measure"
        path.write_text(PROGRAM.format(python=sys.executable))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def measured(self, path: Path, archs: list[Any], results: ResultsFile, seconds: float | None = None) -> list[dict[str, Any]]:
        return run_batch(load_evaluator(str(path)), ask(archs, (0,)), Setting(str(path), 1, seconds=seconds), results)

    def test_one_process_serves_a_batch_and_what_ends_it_costs_one_evaluation(self, own: Path, results: ResultsFile) -> None:
        lines = self.measured(own, ["a", "bb", "exits", "ccc"], results)
        assert [line["state"] for line in lines] == [FINISHED, FINISHED, FAILED, FINISHED]
        assert lines[0]["pid"] == lines[1]["pid"] != lines[3]["pid"] and [lines[n]["acc"] for n in (0, 1, 3)] == [1, 2, 3]
        assert lines[2]["error"] == "mine: its process ended without an answer (status 7); what it said is in the log."

    def test_one_that_hangs_is_ended(self, own: Path, results: ResultsFile) -> None:
        lines = self.measured(own, ["hangs", "a"], results, seconds=3)
        assert [line["state"] for line in lines] == [OUT_OF_TIME, FINISHED]

    def test_what_is_no_metric_is_said(self, own: Path, results: ResultsFile) -> None:
        lines = self.measured(own, ["none", "text"], results)
        assert lines[0]["error"] == "mine: got no metric, expected metrics with numbers."
        assert (lines[1]["acc"], lines[1]["remark"]) == (1.0, "from a text")

    def test_a_program_answers_lines(self, program: Path, results: ResultsFile) -> None:
        lines = self.measured(program, ["a", "fails", "babbles", {"b": 1}], results)
        assert [line["state"] for line in lines] == [FINISHED, FAILED, FAILED, FINISHED] and lines[0]["acc"] == 1
        assert lines[1]["error"] == "out of memory on the GPU"
        assert lines[2]["error"] == "measure: got 'epoch 1: fine', expected a line with a JSON object of metrics."

    def test_a_file_without_the_function_is_said(self, tmp_path: Path, results: ResultsFile) -> None:
        (tmp_path / "empty.py").write_text("x = 1\n")
        (line,) = self.measured(tmp_path / "empty.py", ["a"], results)
        assert line["state"] == FAILED and "empty: its process ended without an answer (status 1)" in line["error"]

    def test_its_version_is_that_of_its_text(self, own: Path) -> None:
        before = load_evaluator(str(own)).version
        own.write_text(OWN + "\n# another\n")
        assert load_evaluator(str(own)).version != before

    def test_registered_ones_are_asked_by_name(self, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(_own.VARIABLE, str(own))
        assert "mine" in evaluator_names() and load_evaluator("mine").data() == "mine"

    def test_files_that_are_none_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("no program")
        for wrong, said in (("gone.py", "got no such file"), ("text", "got a file that is no program")):
            with pytest.raises(ConfigError, match=said):
                load_evaluator(f"{tmp_path}{os.sep}{wrong}")


class TestLatency:
    def test_all_are_timed_in_rounds_and_the_remark_says_how_well_they_agree(self, monkeypatch: pytest.MonkeyPatch) -> None:
        turns: list[int] = []

        def fastest(network: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> float:
            turns.append(len(list(network.modules())))
            return turns[-1] / 1000

        monkeypatch.setattr(timing, "fastest", fastest)
        monkeypatch.setattr(os, "getloadavg", lambda: (1.5, 0.0, 0.0))
        archs = [stages(), stages(depth=2), unet()]
        found = list(load_evaluator("latency").evaluate_together(archs, Conditions(4, 0), Watch()))
        assert turns == turns[:3] * 4 and len(set(turns)) == 3
        assert [one.metrics["latency_ms"] for one in found] == turns[:3]
        assert found[0].remark == "odd and even rounds correlate at 1.000; the machine was busy (load 1.5 before it began)"

    def test_out_of_time_all_of_a_round_are_lines(self, results: ResultsFile) -> None:
        lines = run_batch(load_evaluator("latency"), ask([stages(), "x"], (0,)), Setting("latency", 9, seconds=1e-6), results)
        assert sorted(line["state"] for line in lines) == [FAILED, OUT_OF_TIME]

    def test_threads_are_as_before(self) -> None:
        before = torch.get_num_threads()
        found = load_evaluator("latency").evaluate(CELL, Conditions(2, 0), Watch())
        assert torch.get_num_threads() == before and found.metrics["latency_ms"] > 0

    def test_a_quiet_machine_needs_no_remark(self) -> None:
        assert timing.remark_of(np.ones((1, 1)), 0.0) == ""


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch sees no GPU here"):
        evaluators.check_device("cuda")
    with pytest.raises(ConfigError, match="got 'abacus', expected cpu or cuda"):
        evaluators.check_device("abacus")
    assert evaluators.check_device("cpu") == "cpu"
