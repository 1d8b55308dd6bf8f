"""Rounds: what each leaves, that they are what `replay` plays, that they go on wherever they were killed, budgets, failures."""

import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from autobuild_core import api
from autobuild_core.architectures.records import ArchTable
from autobuild_core.cli import main
from autobuild_core.errors import Cancelled, ConfigError, TargetError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch, _batch
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.jobs.kinds.replay.modes import make_searcher
from autobuild_core.loop import rounds
from autobuild_core.loop.folder import LoopFolder
from autobuild_core.loop.known import Known
from autobuild_core.loop.learner import Learner
from autobuild_core.loop.plan import RoundsPlan
from autobuild_core.loop.rounds import run_rounds
from autobuild_core.loop.rounds_folder import RoundsFolder
from autobuild_core.registry import ROOT
from autobuild_core.search.searchers import History, searcher_class
from autobuild_core.search.searching import search
from autobuild_core.spaces import space_named
from autobuild_core.store.candidates import Candidate, CandidateLog, Origin, Prediction
from autobuild_core.store.tables import alone
from autobuild_core.targets.equation import Target
from autobuild_core.testing.examples import declared_space
from tests.learning import table_of
from tests.unit.jobs.test_executor import until

MACRO = space_named("nas_bench_macro")
# Large blocks late are good and slow; what has more than FAILS layers of the largest fails.
PLANTED = """
import math, os, time

asked = []

def evaluate(arch, budget, seed):
    asked.append(arch)
    while os.path.exists("HOLD") and len(asked) > 1:
        time.sleep(0.05)
    if arch.count("2") > FAILS:
        raise ValueError("out of memory")
    acc = 88 + sum((0.2 + 0.04 * place) * (0, 0.6, 1)[int(digit)] for place, digit in enumerate(arch))
    wiggle = math.sin(37 * int(arch, 3)) / 10
    return {"acc": acc + wiggle + seed / 100, "size": float(arch.count("1") + 3 * arch.count("2"))}
"""


def planted(folder: Path, fails: int = 9) -> str:
    """An evaluator of one's own; all of its evaluations but the first wait while there is a file "hold" beside it."""
    path = folder / "planted.py"
    path.write_text(PLANTED.replace("FAILS", str(fails)).replace("HOLD", str(folder / "hold")))
    return str(path)


def truth() -> Callable[[str, int, int], dict[str, float]]:
    """The planted truth, of which nothing fails."""
    names: dict[str, Any] = {}
    exec(PLANTED.replace("FAILS", "9"), names)
    measure: Callable[[str, int, int], dict[str, float]] = names["evaluate"]
    return measure


def first_data(num: int = 20, seed: int = 0) -> ArchTable:
    """Random networks as a replay draws them, evaluated with seed 0."""
    codes, measure = searcher_class("random")(MACRO, seed).propose(History(), num), truth()
    return table_of(codes, pd.DataFrame([measure(MACRO.native(row), 0, 0) for row in codes]))


@pytest.fixture
def evaluator(tmp_path: Path) -> str:
    return planted(tmp_path)


def plan_of(evaluator: str) -> RoundsPlan:
    """Three rounds."""
    return RoundsPlan(evaluator, "acc", evaluations=16, batch=6, seed=3)


@pytest.fixture
def plan(evaluator: str) -> RoundsPlan:
    return plan_of(evaluator)


@pytest.fixture
def data() -> ArchTable:
    return first_data()


@pytest.fixture
def folder(tmp_path: Path) -> LoopFolder:
    return LoopFolder(tmp_path / "loop")


def asked(folder: LoopFolder) -> list[Any]:
    """The networks that rounds asked for, in their order."""
    return [one.arch for one in folder.log.all()]


def content(folder: LoopFolder) -> dict[str, Any]:
    """What rounds left, without times and random ids."""
    rows = [{name: value for name, value in row.items() if "seconds" not in name} for row in RoundsFolder(folder.path).rows()]
    candidates = [
        (one.arch, one.batch, one.prediction, [(result.state, result.metrics, result.seed) for result in one.results])
        for one in folder.log.all()
    ]
    table = folder.table()
    batches = {
        path.name: [json.loads(line)["arch"] for line in path.read_text().splitlines()]
        for path in sorted((folder.path / "batches").iterdir())
    }
    rest = table.codes.tolist(), table.metrics["acc"].fillna(-1.0).tolist(), table.version, table.num_censored
    return {"rows": rows, "candidates": candidates, "data": rest, "batches": batches}


class TestARound:
    def test_every_round_is_a_row(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        records: list[Mapping[str, Any]] = []
        rows = run_rounds(folder, plan, data, report=records.append)
        assert rows == RoundsFolder(folder.path).rows() and RoundsFolder(folder.path).ended == ""
        assert [(row["round"], row["batch"], row["num_proposed"], row["num_evaluated"]) for row in rows] == [
            (1, 1, 6, 6),
            (2, 2, 6, 12),
            (3, 3, 4, 16),
        ]
        assert [row["data_version"] for row in rows] == [2, 3, 4] and folder.table().version == 4 and len(folder.table()) == 36
        shares = [record["share"] for record in records]
        assert shares == sorted(shares) and (shares[0], shares[-1]) == (0, 1)
        assert records[-1]["phase"] == "round 3 of 3" and records[-1]["best"] == rows[-1]["best"]

    def test_a_row_says_what_was_predicted_and_what_was_measured(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable
    ) -> None:
        rows = run_rounds(folder, plan, data)
        candidates, first = folder.log.all(), data.metrics["acc"].max()
        for row in rows:
            own = [one for one in candidates if one.batch == row["batch"]]
            measured = [one.results[0].metrics["acc"] for one in own]
            predicted = [float(one.prediction.predicted or 0) for one in own]
            inside = [
                float(one.prediction.low or 0) <= m <= float(one.prediction.high or 0)
                for one, m in zip(own, measured, strict=True)
            ]
            assert (row["mean_predicted"], row["mean_measured"]) == pytest.approx((np.mean(predicted), np.mean(measured)))
            assert row["inside"] == pytest.approx(np.mean(inside))
            assert row["srcc"] == pytest.approx(spearmanr(predicted, measured).statistic)
            assert row["expected_improvement"] >= 0 and row["num_failed"] == 0
            so_far = [one.results[0].metrics["acc"] for one in candidates if one.batch <= row["batch"]]
            assert row["best_new"] == max(so_far) and row["best"] == max(first, *so_far)
            assert all(one.origin is Origin.IMPROVEMENT and one.prediction.target == "acc" for one in own)
        assert rows[-1]["best"] > first + 0.2, "the planted truth is searched"

    def test_predictions_are_written_before_anything_is_measured(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable
    ) -> None:
        with pytest.raises(Cancelled):
            run_rounds(folder, plan, data, should_stop=lambda: folder.begun and bool(folder.log.all()))
        assert {one.state.value for one in folder.log.all()} == {"asked"}
        assert all(one.prediction.low is not None for one in folder.log.all())

    def test_its_folder_is_one_through_files(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, tmp_path: Path) -> None:
        rows = run_rounds(folder, plan, data)
        status = folder.status()
        assert (status["round"], status["version"], status["num_evaluated"]) == (3, 4, 36)
        assert status["best"] == {"arch": rows[-1]["arch"], "value": rows[-1]["best"]}
        (tmp_path / "more.jsonl").write_text('{"arch": "00000000", "acc": 80.0, "size": 0}\n')
        assert folder.tell(tmp_path / "more.jsonl").num_added == 1
        more = run_rounds(folder, replace(plan, evaluations=20))
        assert more[:3] == rows and (more[3]["num_proposed"], more[3]["data_version"]) == (4, 6)

    def test_few_networks_teach_nothing_yet(self, folder: LoopFolder, plan: RoundsPlan) -> None:
        rows = run_rounds(folder, plan, first_data(7))
        assert (rows[0]["num_proposed"], rows[0]["mean_predicted"], rows[0]["inside"], rows[0]["srcc"]) == (3, None, None, None)
        assert rows[1]["mean_predicted"] is not None and [row["num_evaluated"] for row in rows] == [3, 9, 15, 16]


class TestReplayed:
    """What `replay` shows of its mode default holds of rounds: from the same networks both ask for the same."""

    @pytest.mark.parametrize(("minimize", "seed"), [(False, 0), (True, 1)])
    def test_rounds_ask_for_what_replay_asks_for(self, minimize: bool, seed: int, folder: LoopFolder, plan: RoundsPlan) -> None:
        target = "100 - acc" if minimize else "acc"
        data, measure = first_data(seed=seed), truth()
        run_rounds(folder, replace(plan, seed=seed, target=target, minimize=minimize, evaluations=24, batch=8), data)
        history = History()
        for codes, network, acc in zip(data.codes, data.networks.tolist(), data.metrics["acc"].tolist(), strict=True):
            history.visit(codes, network, -(100 - acc) if minimize else acc)

        def observe(codes: Any) -> list[float]:
            found = [measure(MACRO.native(row), 0, 0)["acc"] for row in codes]
            return [-(100 - acc) for acc in found] if minimize else found

        searched = search(make_searcher("default", MACRO, seed, 20), 44, observe, 8, history)
        assert asked(folder) == [MACRO.native(row) for row in searched.codes]


class Killed(BaseException):
    """The process ends at once."""


def kill_behind(monkeypatch: pytest.MonkeyPatch, kind: type, method: str, times: int) -> None:
    """Ends the process behind the n-th call of a method."""
    whole, calls = getattr(kind, method), [0]

    def called(*given: Any, **named: Any) -> Any:
        found = whole(*given, **named)
        calls[0] += 1
        if calls[0] == times:
            raise Killed
        return found

    monkeypatch.setattr(kind, method, called)


def kill_before(monkeypatch: pytest.MonkeyPatch, kind: type, method: str, times: int) -> None:
    """Ends the process before the n-th call of a method."""
    whole, calls = getattr(kind, method), [0]

    def called(*given: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == times:
            raise Killed
        return whole(*given, **named)

    monkeypatch.setattr(kind, method, called)


STAGES = {
    "the folder is made": (kill_behind, LoopFolder, "begin", 1),
    "the plan is written": (kill_behind, RoundsFolder, "write_plan", 1),
    "before the batch is written down": (kill_before, RoundsFolder, "write_pending", 2),
    "the batch is written down": (kill_behind, RoundsFolder, "write_pending", 2),
    "its networks are candidates": (kill_behind, CandidateLog, "propose", 2),
    "they are handed out": (kill_behind, CandidateLog, "ask", 2),
    "the file of the batch is written": (kill_behind, LoopFolder, "write_batch", 2),
    "some are measured": (kill_behind, ResultsFile, "append", 9),
    "before any result is told": (kill_before, LoopFolder, "tell", 2),
    "the data have the results": (kill_before, CandidateLog, "tell", 2),
    "all results are told": (kill_behind, LoopFolder, "tell", 2),
    "before the row is written": (kill_before, RoundsFolder, "add_row", 2),
    "the row is written": (kill_behind, RoundsFolder, "add_row", 2),
}


class Here(Evaluator):
    """The planted evaluator without a process of its own."""

    title = "Planted"

    def data(self) -> str:
        return ""

    def check(self, arch: Any) -> None:
        MACRO.parse(arch)

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        watch.step()
        return Measured(runpy.run_path(self.source)["evaluate"](arch, at.budget, at.seed))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The content of rounds as those of TestGoesOn, which nothing breaks."""
    place = tmp_path_factory.mktemp("unbroken")
    whole = LoopFolder(place / "whole")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rounds, "load_evaluator", Here)
        run_rounds(whole, plan_of(planted(place, fails=5)), first_data())
    return content(whole)


class TestGoesOn:
    @pytest.fixture(autouse=True)
    def _here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rounds, "load_evaluator", Here)

    @pytest.fixture
    def evaluator(self, tmp_path: Path) -> str:
        return planted(tmp_path, fails=5)  # some networks fail

    @pytest.mark.parametrize("stage", list(STAGES))
    def test_killed_anywhere_it_ends_as_unbroken(
        self, stage: str, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, unbroken: dict[str, Any]
    ) -> None:
        kill, *where = STAGES[stage]
        with pytest.MonkeyPatch.context() as patched:
            kill(patched, *where)  # type: ignore[arg-type]
            with pytest.raises(Killed):
                run_rounds(folder, plan, data)
        run_rounds(folder, plan, data)
        assert content(folder) == unbroken
        run_rounds(folder, plan)
        assert content(folder) == unbroken, "what is over stays as it is"

    def test_stopped_within_a_batch(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, unbroken: dict[str, Any]
    ) -> None:
        results = ResultsFile(folder.path / "results.jsonl")
        for num in (2, 8, 14):
            with pytest.raises(Cancelled):
                run_rounds(folder, plan, data, should_stop=lambda num=num: len(results.read()) >= num)
            assert len(results.read()) == num
        run_rounds(folder, plan)
        assert content(folder) == unbroken

    def test_the_order_in_which_evaluations_end_changes_nothing(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, unbroken: dict[str, Any]
    ) -> None:
        """As on many machines: the data have the networks of a batch in its order."""
        with pytest.MonkeyPatch.context() as patched:
            kill_before(patched, LoopFolder, "tell", 2)
            with pytest.raises(Killed):
                run_rounds(folder, plan, data)
        lines = (folder.path / "results.jsonl").read_text().splitlines(keepends=True)
        (folder.path / "results.jsonl").write_text("".join(lines[::-1]))
        run_rounds(folder, plan)
        assert content(folder) == unbroken

    def test_a_killed_process(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, tmp_path: Path) -> None:
        """The same by the command, killed for good within a batch."""
        lines = [{"arch": MACRO.native(row), **one} for row, one in zip(data.codes, data.metrics.to_dict("records"), strict=True)]
        (tmp_path / "first.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        given = ["--data", str(tmp_path / "first.jsonl"), "--target", "acc", "--evaluator", plan.evaluator, "--seed", "3"]
        command = [
            sys.executable,
            "-m",
            "autobuild_core",
            "loop",
            str(folder.path),
            *given,
            "--evaluations",
            "16",
            "--batch",
            "6",
        ]
        (tmp_path / "hold").touch()
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True)
        until(lambda: bool(ResultsFile(folder.path / "results.jsonl").read()), 60)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert 1 <= len(ResultsFile(folder.path / "results.jsonl").read()) < 6
        (tmp_path / "hold").unlink()
        done = subprocess.run([*command[:5], "--rounds"], cwd=ROOT, capture_output=True, text=True, check=True)
        whole = LoopFolder(tmp_path / "whole")
        run_rounds(whole, plan, api.read(tmp_path / "first.jsonl"))
        assert content(folder) == content(whole)
        assert len(json.loads(done.stdout)["rounds"]) == 3

    def test_more_evaluations_go_on(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        few = run_rounds(folder, replace(plan, evaluations=12), data)
        assert len(few) == 2 and len(run_rounds(folder, plan)) == 3
        assert RoundsFolder(folder.path).plan == plan

    def test_one_process_at_a_time(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        run_rounds(folder, replace(plan, evaluations=6), data)
        with alone(folder.path), pytest.raises(ConfigError, match="got another process at work in it"):
            run_rounds(folder, plan)


class TestBudgets:
    def test_all_that_is_asked_for_keeps_to_them(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        rows = run_rounds(folder, replace(plan, budgets=("size <= 9", "size >= 4")), data)
        sizes = [one.results[0].metrics["size"] for one in folder.log.all()]
        assert len(sizes) == 16 and max(sizes) <= 9 and min(sizes) >= 4
        table = folder.table()
        kept = table.metrics["size"].between(4, 9)
        assert rows[-1]["best"] == table.metrics.loc[kept, "acc"].max() < table.metrics["acc"].max()
        assert rows[-1]["best"] > data.metrics.loc[data.metrics["size"] <= 9, "acc"].max()

    def test_a_predicted_metric_is_kept_to_with_confidence(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        """The models are fitted anew in each round; measurements keep to them about as often as was asked for."""
        run_rounds(folder, replace(plan, target="size", minimize=True, budgets=("acc >= 89.5",), evaluations=30, batch=10), data)
        good = [one.results[0].metrics["acc"] >= 89.5 for one in folder.log.all()]
        assert len(good) == 30 and np.mean(good) > 0.8

    def test_what_cannot_be_kept_to_is_said_at_once(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        with pytest.raises(
            ConfigError, match=r"budgets: no architecture keeps to size <= -1\. The nearest that one keeps to: size <= "
        ):
            run_rounds(folder, replace(plan, budgets=("size <= -1",)), data)
        with pytest.raises(ConfigError, match="metric: got 'latency_ms', expected one of acc and size"):
            run_rounds(folder, replace(plan, budgets=("latency_ms <= 8",)), data)
        assert not folder.path.exists()
        run_rounds(folder, replace(plan, budgets=("size <= 9",), evaluations=6), data)

    def test_in_a_space_too_large_to_look_at_all(self, tmp_path: Path) -> None:
        space = space_named("ofa_mbv3")
        codes = space.sample(30, np.random.default_rng(0))
        deep = (codes >= 0).sum(1).astype(float)
        metrics = pd.DataFrame({"acc": 70 + deep / 10 + codes.sum(1) / 1000, "latency_ms": deep})
        table = ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(30))
        path = tmp_path / "deep.py"
        count = "sum(len(unit) for unit in (arch['arch'] if isinstance(arch, dict) else arch))"
        path.write_text(
            f"def evaluate(arch, budget, seed):\n    return {{'acc': 70 + {count} / 10, 'latency_ms': float({count})}}\n"
        )
        folder = LoopFolder(tmp_path / "loop")
        limit = float(np.quantile(deep, 0.3))
        run_rounds(folder, RoundsPlan(str(path), "acc", evaluations=8, batch=4, budgets=(f"latency_ms <= {limit}",)), table)
        found = [one.results[0].metrics["latency_ms"] for one in folder.log.all()]
        assert len(found) == 8 and max(found) <= limit
        with pytest.raises(ConfigError, match="budgets: no architecture keeps to latency_ms <= 1"):
            run_rounds(LoopFolder(tmp_path / "none"), RoundsPlan(str(path), "acc", budgets=("latency_ms <= 1",)), table)


class TestEnds:
    def small(self, tmp_path: Path) -> tuple[ArchTable, str, int]:
        """Networks of a space of few, an evaluator of them, and how many there are."""
        space = declared_space()
        every = space.enumerate()
        assert every is not None
        networks, first = np.unique(space.hash_networks(every), return_index=True)
        codes = every[first]
        (tmp_path / "mine.py").write_text(
            "def evaluate(arch, budget, seed):\n    text = str(sorted(arch.items()))\n"
            "    return {'acc': float(sum(map(ord, text)) % 97), 'size': float(len(text))}\n"
        )
        measure = runpy.run_path(str(tmp_path / "mine.py"))["evaluate"]
        metrics = pd.DataFrame([measure(space.native(row), 0, 0) for row in codes])
        table = ArchTable(space.spec, codes, networks, metrics, np.arange(len(codes)))
        return table.take(np.arange(len(codes) - 5)), str(tmp_path / "mine.py"), len(codes)

    def test_when_no_network_is_left(self, folder: LoopFolder, tmp_path: Path) -> None:
        table, mine, num = self.small(tmp_path)
        rows = run_rounds(folder, RoundsPlan(mine, "acc", evaluations=9, batch=3), table)
        assert [row["num_proposed"] for row in rows] == [3, 2]
        assert RoundsFolder(folder.path).ended == f"All {num:,} networks of this space were evaluated already."
        assert run_rounds(folder, RoundsPlan(mine, "acc", evaluations=9, batch=3)) == rows

    def test_when_none_is_left_within_the_budgets(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        rows = run_rounds(folder, replace(plan, budgets=("size <= 2",)), data)
        assert 0 < rows[-1]["num_evaluated"] < 16
        assert RoundsFolder(folder.path).ended == "No network is left that keeps to size <= 2 with 90 %."
        assert RoundsFolder(folder.path).summary()["ended"].startswith("No network is left")


class TestMeasuring:
    def test_what_fails_is_a_result_and_is_spent(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, tmp_path: Path
    ) -> None:
        planted(tmp_path, fails=5)
        rows = run_rounds(folder, plan, data)
        failed = [one for one in folder.log.all() if one.state.value == "failed"]
        assert failed and sum(row["num_failed"] for row in rows) == len(failed) and rows[-1]["num_evaluated"] == 16
        assert {one.results[0].error for one in failed} == {"ValueError: out of memory"}
        assert folder.table().num_censored == len(failed) and len(set(asked(folder))) == 16

    def test_all_that_fails(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, tmp_path: Path) -> None:
        planted(tmp_path, fails=-1)
        rows = run_rounds(folder, plan, data)
        assert [row["num_failed"] for row in rows] == [6, 6, 4] and rows[-1]["best_new"] is None
        assert rows[-1]["best"] == data.metrics["acc"].max() and rows[-1]["mean_measured"] is None

    def test_a_network_counts_once_with_the_mean_of_its_seeds(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable
    ) -> None:
        rows = run_rounds(folder, replace(plan, seeds=3, first_seed=1, evaluations=6), data)
        assert len(folder.table()) == 20 + 18 and rows[0]["num_evaluated"] == 6
        own = folder.log.all()
        assert [sorted(result.seed or 0 for result in one.results) for one in own] == [[1, 2, 3]] * 6
        means = [np.mean([result.metrics["acc"] for result in one.results]) for one in own]
        assert rows[0]["mean_measured"] == pytest.approx(np.mean(means))
        learner = Learner(plan, folder.table())
        assert learner.history.scores[20:] == pytest.approx(means) and len(learner.history) == 26

    def test_where_the_equation_has_no_value_of_a_network(self, data: ArchTable) -> None:
        table = replace(data, metrics=data.metrics.assign(size=[0.0, *data.metrics["size"][1:]]))
        known = Known.of(table, Target("acc / size"))
        assert np.isnan(known.values[0]) and np.isfinite(known.values[1:]).sum() >= 15

    def test_networks_that_others_measure_are_not_asked_for(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, tmp_path: Path
    ) -> None:
        other = LoopFolder(tmp_path / "other")
        run_rounds(other, replace(plan, evaluations=6), data)
        taken = other.log.all()[0]
        folder.begin(data, "acc", False, 3)
        (one,) = folder.log.propose([Candidate("", taken.arch, taken.network, Origin.TYPED, Prediction(), 0.0)])
        folder.log.ask([one.id])
        run_rounds(folder, replace(plan, evaluations=6))
        assert asked(folder).count(taken.arch) == 1 and len(asked(folder)) == 7

    def test_it_asks_a_scheduler_as_evaluate_does(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard: list[str | None] = []
        whole = _batch.executor_for
        monkeypatch.setattr(_batch, "executor_for", lambda scheduler: (heard.append(scheduler), whole(""))[1])
        run_rounds(folder, replace(plan, evaluations=6), data, scheduler="tcp://there:8786")
        assert heard == ["tcp://there:8786"]


class TestRefuses:
    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"evaluations": 0}, "evaluations: got 0"),
            ({"batch": 0}, "batch: got 0"),
            ({"batch": 2.5}, "batch: got 2.5, expected a whole number"),
            ({"seeds": 0}, "seeds: got 0"),
            ({"confidence": 1.0}, "confidence: got 1.0"),
            ({"budgets": ("fast",)}, "budget: got 'fast'"),
            ({"budgets": "size <= 3"}, "expected a list of texts"),
            ({"device": "tpu"}, "device: got 'tpu'"),
            ({"seconds": 0}, "seconds: got 0"),
            ({"target": ""}, "target: got none"),
            ({"evaluator": ""}, "evaluator: got none"),
            ({"evaluator": "nobody"}, "evaluator: got 'nobody'"),
            ({"minimize": 1}, "minimize: got 1"),
            ({"nonsense": 1}, "rounds: got the setting nonsense"),
            ({"evaluator": "cost"}, "expected one of the metrics"),
        ],
    )
    def test_a_plan_that_does_not_do(self, wrong: dict[str, Any], said: str, plan: RoundsPlan) -> None:
        with pytest.raises((ConfigError, TargetError), match=said):
            RoundsPlan.read(plan.to_json() | wrong)

    def test_another_loop_in_the_folder(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        with pytest.raises(ConfigError, match="got no loop and no data"):
            run_rounds(folder, plan)
        run_rounds(folder, replace(plan, evaluations=6), data)
        before = content(folder)
        for other, said in (
            (replace(plan, batch=5), "got rounds with batch 6, expected 5 as asked; name another folder"),
            (replace(plan, target="size"), "got a loop with target 'acc', expected 'size' as asked"),
        ):
            with pytest.raises(ConfigError, match=said):
                run_rounds(folder, other)
        with pytest.raises(ConfigError, match="got a loop that began with other data"):
            run_rounds(folder, plan, data.take(np.arange(15)))
        assert content(folder) == before

    def test_an_evaluator_that_does_not_measure_it(
        self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable, tmp_path: Path
    ) -> None:
        with pytest.raises(ConfigError, match="evaluator: got segmentation, which does not measure this space"):
            run_rounds(
                folder,
                replace(plan, evaluator="segmentation", target="pq_pct"),
                replace(data, metrics=data.metrics.assign(pq_pct=1.0)),
            )
        assert not folder.path.exists()
        (tmp_path / "other.py").write_text("def evaluate(arch, budget, seed):\n    return {'loss': 1.0}\n")
        with pytest.raises(ConfigError, match=r"evaluator: got loss of .*other\.py, expected acc, which the target is of"):
            run_rounds(folder, replace(plan, evaluator=str(tmp_path / "other.py")), data)

    @pytest.mark.parametrize(
        ("name", "text"), [("rounds.json", "{}"), ("round.json", '{"round": 9}'), ("rounds.jsonl", "nonsense\n")]
    )
    def test_a_damaged_file_is_said(self, name: str, text: str, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        run_rounds(folder, replace(plan, evaluations=6), data)
        (folder.path / name).write_text(text)
        with pytest.raises(ConfigError, match=f"{name}: got a damaged file"):
            run_rounds(folder, plan)


class TestAsked:
    """From a notebook and by the command."""

    def test_a_notebook_gets_the_rounds_as_a_table(self, folder: LoopFolder, plan: RoundsPlan, data: ArchTable) -> None:
        about = {name: value for name, value in plan.to_json().items() if name != "target"}
        with pytest.raises(ConfigError, match="got no rounds, expected --evaluator and the other settings"):
            api.run_rounds(folder.path)
        folder.begin(data, "acc", False, 3)
        table = api.run_rounds(folder.path, **about)
        assert table["round"].tolist() == [1, 2, 3] and api.run_rounds(folder.path).equals(table)
        assert len(api.run_rounds(folder.path, evaluations=18)) == 4

    def test_the_command(self, folder: LoopFolder, evaluator: str, data: ArchTable, tmp_path: Path, capsys: Any) -> None:
        lines = [{"arch": MACRO.native(row), **one} for row, one in zip(data.codes, data.metrics.to_dict("records"), strict=True)]
        (tmp_path / "first.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        given = ["loop", str(folder.path), "--data", str(tmp_path / "first.jsonl"), "--target", "acc", "--evaluator", evaluator]
        given += ["--evaluations", "8", "--batch", "4", "--budget", "size <= 12", "--confidence", "0.8"]
        assert main(given) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["round"] == 2 and found["num_evaluated"] == 28 and len(found["rounds"]) == 2 and found["ended"] == ""
        assert found["best"] == {"arch": found["rounds"][-1]["arch"], "value": found["rounds"][-1]["best"]}
        for again in (given, given[:2], [*given[:2], "--rounds"]):
            assert main(again) == 0 and json.loads(capsys.readouterr().out) == found
        assert main([*given[:2], "--evaluations", "10"]) == 0
        assert [row["num_evaluated"] for row in json.loads(capsys.readouterr().out)["rounds"]] == [4, 8, 10]
        assert main([*given[:2], "--ask", "2", "--members", "2", "--steps", "5"]) == 0
        assert json.loads(capsys.readouterr().out)["round"] == 4

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (("--rounds",), "got no rounds, expected --evaluator"),
            (("--rounds", "--ask", "3"), "loop: got rounds and --ask, expected one"),
            (("--batch", "3", "--members", "3"), "loop: got rounds and --members, expected one"),
            (("--evolve", "--batch", "3"), "loop: got --evolve and --batch, expected one"),
            (("--evolve", "--budget", "a <= 3"), "loop: got --evolve and --budget, expected one"),
            (("--evaluator", "cost", "--evaluations", "3"), "target: got none"),
            (("--evaluator", "cost", "--target", "params_m"), "got no loop and no data"),
            (("--evaluator", "cost", "--max-lr", "0.1"), "got --max-lr without --evolve"),
        ],
    )
    def test_what_the_command_refuses(self, flags: tuple[str, ...], said: str, folder: LoopFolder, capsys: Any) -> None:
        assert main(["loop", str(folder.path), *flags]) == 2
        assert said in capsys.readouterr().err and not folder.path.exists()
