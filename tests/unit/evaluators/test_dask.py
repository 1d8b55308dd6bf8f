"""Evaluations on the workers of a Dask scheduler: real processes that are killed, cancelled, and refused where they differ."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from autobuild_core import api, cli
from autobuild_core.datasets import read_table
from autobuild_core.errors import Cancelled, ConfigError, EvaluationError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch, _dask, load_evaluator
from autobuild_core.evaluators._batch import Candidates, ask, evaluate, run_batch
from autobuild_core.evaluators._dask import DaskExecutor, name_elsewhere
from autobuild_core.evaluators._executors import VARIABLE, LocalExecutor, executor_for
from autobuild_core.evaluators._images import FOLDER_VARIABLE
from autobuild_core.evaluators._results import FAILED, FINISHED, OUT_OF_TIME, ResultsFile, Setting
from autobuild_core.jobs.kinds import load_kind
from autobuild_core.jobs.kinds.evaluate import RESULTS, EvaluateSettings
from autobuild_core.store.run_folder import RunFolder
from tests.architectures import stages
from tests.unit.evaluators.cluster import ROOT, Cluster, Waiting, lines_of, wait_for

Lines = list[dict[str, Any]]
NOWHERE = "tcp://127.0.0.1:9"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with two workers, for tests that leave it as it was."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        for name in ("first", "second"):
            cluster.worker(name, cwd=ROOT)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Clusters of a test's own."""
    made: list[Cluster] = []

    def make(**environment: str) -> Cluster:
        made.append(Cluster(tmp_path / f"cluster{len(made)}", environment))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Waiting]:
    """An evaluator of a user's own that waits for the test; whatever waits at its end goes on."""
    made = Waiting(tmp_path / "own")
    yield made
    made.open()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def measured(waiting: Waiting, archs: Sequence[str], out: Path, scheduler: str, seeds: int = 1, **more: Any) -> Lines:
    """A batch with the waiting evaluator."""
    own = str(waiting.path)
    return evaluate(Candidates(tuple(archs)), load_evaluator(own), own, out, seeds, scheduler=scheduler, **more)


def values(lines: Lines) -> dict[tuple[str, int], float]:
    """{(architecture, seed): what was measured}."""
    return {(line["arch"], line["seed"]): line["loss"] for line in lines}


class TestKilled:
    def test_nothing_is_lost_and_nothing_counted_twice(
        self, make_cluster: Callable[..., Cluster], waiting: Waiting, background: ThreadPoolExecutor, tmp_path: Path
    ) -> None:
        cluster, out = make_cluster(), tmp_path / "measured.jsonl"
        workers = {process.pid: process for process in (cluster.worker("first"), cluster.worker("second"))}
        archs = ["a", "b", "held c", "d", "e", "f"]
        batch = background.submit(measured, waiting, archs, out, cluster.address, 2)
        held = wait_for(lambda: [one for one in waiting.begun() if one[0] == "held c"], "no evaluation is held")[0]
        os.kill(held[2], signal.SIGKILL)
        assert workers[held[2]].wait() == -signal.SIGKILL
        assert ("held c", 0) not in values(lines_of(out))  # it was killed in the middle
        wait_for(lambda: [one for one in waiting.begun() if one[:2] == held[:2] and one[2] != held[2]], "it is not done anew")
        wait_for(lambda: not psutil.pid_exists(held[3]), "the evaluator of a worker that was killed goes on")
        waiting.open()
        lines = batch.result(timeout=120)
        assert Counter((line["arch"], line["seed"]) for line in lines_of(out)) == {(a, s): 1 for a in archs for s in (0, 1)}
        assert {line["state"] for line in lines} == {FINISHED}
        assert values(lines) == values(measured(waiting, archs, tmp_path / "local.jsonl", "", 2))
        assert {line["worker"] for line in lines} <= {"first", "second"} and all(line["host"] for line in lines)
        assert len({line["worker"] for line in lines if line["arch"] == "held c"}) == 1  # of the one that is left

    def test_one_that_kills_its_workers_is_a_failed_line(
        self, make_cluster: Callable[..., Cluster], waiting: Waiting, tmp_path: Path
    ) -> None:
        cluster = make_cluster(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")
        cluster.worker("only", "--nanny")
        lines = measured(waiting, ["a", "deadly", "b"], tmp_path / "measured.jsonl", cluster.address)
        assert {line["arch"]: line["state"] for line in lines} == {"a": FINISHED, "deadly": FAILED, "b": FINISHED}
        (error,) = [line["error"] for line in lines if "error" in line]
        assert error == "2 workers died while measuring it, the last only: out of memory, or killed."
        assert Counter(one[0] for one in waiting.begun()) == {"a": 1, "deadly": 2, "b": 1}

    def test_without_the_scheduler_it_fails_and_goes_on_without_it(
        self, make_cluster: Callable[..., Cluster], waiting: Waiting, background: ThreadPoolExecutor, tmp_path: Path
    ) -> None:
        cluster, out = make_cluster(), tmp_path / "measured.jsonl"
        worker = cluster.worker("only")
        batch = background.submit(measured, waiting, ["a", "b", "held", "c"], out, cluster.address)
        wait_for(lambda: len(waiting.begun()) == 3, "no evaluation is held")
        own = waiting.begun()[-1][3]
        cluster.scheduler.kill()
        with pytest.raises(EvaluationError, match=r"the scheduler is gone; what was measured is kept\. Start it again"):
            batch.result(timeout=120)
        before = out.read_bytes()
        assert [line["arch"] for line in lines_of(out)] == ["a", "b"]
        worker.wait(timeout=120)  # nobody waits for it any more
        wait_for(lambda: not psutil.pid_exists(own), "the evaluation of a worker that is gone goes on")
        waiting.open()
        lines = measured(waiting, ["a", "b", "held", "c"], out, "")
        assert out.read_bytes().startswith(before) and [line["arch"] for line in lines] == ["a", "b", "held", "c"]

    def test_without_workers_it_gives_up(
        self, make_cluster: Callable[..., Cluster], waiting: Waiting, background: ThreadPoolExecutor, tmp_path: Path
    ) -> None:
        cluster, results = make_cluster(), ResultsFile(tmp_path / "measured.jsonl")
        own, executor = str(waiting.path), DaskExecutor(cluster.address, patience=0.5)
        batch = ask(["a", "held"], (0,))
        with pytest.raises(ConfigError, match=r"got no worker, expected some: python -m dask worker tcp://127\.0\.0\.1:"):
            run_batch(load_evaluator(own), batch, Setting(own, 1), results, executor=executor)
        worker = cluster.worker("only")
        running = background.submit(run_batch, load_evaluator(own), batch, Setting(own, 1), results, executor=executor)
        wait_for(lambda: len(waiting.begun()) == 2, "no evaluation is held")
        worker.kill()
        with pytest.raises(EvaluationError, match=r"got no worker for 0\.5 s; what was measured is kept"):
            running.result(timeout=120)
        assert [line["arch"] for line in results.read()] == ["a"]


class TestShared:
    def test_a_cancelled_one_ends_on_the_workers_too(
        self, shared: Cluster, waiting: Waiting, background: ThreadPoolExecutor, tmp_path: Path
    ) -> None:
        stop, out = threading.Event(), tmp_path / "measured.jsonl"
        archs = ["a", "held b", "held c", "held d"]
        batch: Future[Lines] = background.submit(measured, waiting, archs, out, shared.address, should_stop=stop.is_set)
        held = wait_for(lambda: one if len(one := waiting.begun()) == 3 else None, "no evaluation is held")[1:]
        stop.set()
        with pytest.raises(Cancelled):
            batch.result(timeout=120)
        wait_for(lambda: not any(psutil.pid_exists(own) for *_, own in held), "evaluations go on that nobody waits for")
        assert [line["arch"] for line in lines_of(out)] == ["a"]
        waiting.open()
        assert measured(waiting, archs, out, shared.address)[0]["arch"] == "a"
        assert Counter(line["arch"] for line in lines_of(out)) == dict.fromkeys(archs, 1)

    def test_an_evaluation_has_its_time(self, shared: Cluster, waiting: Waiting, tmp_path: Path) -> None:
        heard: list[Any] = []
        out, asked = tmp_path / "measured.jsonl", ["held a", "held b"]
        lines = measured(waiting, asked, out, shared.address, seconds=1.0, report=lambda said: heard.append(said["step"]))
        assert {line["state"] for line in lines} == {OUT_OF_TIME} and "within 1 s" in lines[0]["error"]
        assert {line["worker"] for line in lines} <= {"first", "second"} and heard == [0, 1, 2]

    def test_what_workers_hold_ends_with_the_batch(self, shared: Cluster, waiting: Waiting, tmp_path: Path) -> None:
        measured(waiting, ["a", "b", "c"], tmp_path / "m.jsonl", shared.address)
        own = {one[3] for one in waiting.begun()}
        assert 1 <= len(own) <= 2  # one process for a worker, not one for an evaluation
        wait_for(lambda: not any(map(psutil.pid_exists, own)), "processes of the evaluator go on")

    def test_a_job_goes_by_the_environment_and_its_lines_are_data(
        self, shared: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(VARIABLE, shared.address)
        settings = EvaluateSettings(
            evaluator="cost", archs=[stages(kernel, 3, depth) for kernel in (3, 5, 7) for depth in (1, 2)]
        )
        (tmp_path / "job").mkdir()
        kind = load_kind("evaluate")
        kind.run(RunFolder(tmp_path / "job"), settings, lambda record: None, lambda: False)
        found = lines_of(tmp_path / "job" / RESULTS)
        assert {line["worker"] for line in found} <= {"first", "second"} and len(found) == 6
        local = api.evaluate(list(settings.archs), "cost", tmp_path / "local.jsonl", scheduler="")
        here = {json.dumps(arch): madds for arch, madds in zip(local["arch"], local["madds_m"], strict=True)}
        assert {json.dumps(line["arch"]): line["madds_m"] for line in found} == here
        table = read_table(tmp_path / "job" / RESULTS)
        assert len(table.codes) == 6 and not {"host", "worker"} & {*table.contexts, *table.metrics}

    def test_the_command_finds_a_table_in_its_own_folder(
        self, shared: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        rows = [{"kernel": kernel, "depth": depth} for kernel in (3, 5) for depth in (1, 2)]
        Path("known.csv").write_text("kernel,depth,acc\n" + "".join(f"{r['kernel']},{r['depth']},0.{r['depth']}\n" for r in rows))
        Path("asked.jsonl").write_text("".join(json.dumps({"arch": row}) + "\n" for row in rows))
        words = ["evaluate", "asked.jsonl", "--evaluator", "table:known.csv", "--out", "measured.jsonl"]
        assert cli.main([*words, "--scheduler", shared.address]) == 0
        assert json.loads(capsys.readouterr().out)["failed"] == 0
        assert all(
            line["evaluator"] == "table:known.csv" and line["acc"] == line["arch"]["depth"] / 10
            for line in lines_of(Path("measured.jsonl"))
        )


class Rounds(Evaluator):
    """Measures in rounds over all."""

    title = "Rounds"

    def data(self) -> str:
        return "none"

    def check(self, arch: Any) -> None:
        pass

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        raise NotImplementedError

    def evaluate_together(self, archs: Sequence[Any], at: Conditions, watch: Watch) -> Iterator[Measured]:
        return iter([Measured({"ms": float(len(arch))}) for arch in archs])


class TestWhatIsNotSpread:
    def test_rounds_stay_on_one_machine(self, tmp_path: Path) -> None:
        results = ResultsFile(tmp_path / "measured.jsonl")
        lines = run_batch(Rounds(), ask(["a", "bb"], (0,)), Setting("rounds", 0), results, executor=DaskExecutor(NOWHERE))
        assert [(line["ms"], line.get("host")) for line in lines] == [(1.0, None), (2.0, None)]

    def test_the_setting_names_the_executor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(VARIABLE, raising=False)
        assert isinstance(executor_for(), LocalExecutor)
        monkeypatch.setenv(VARIABLE, " tcp://there:1 ")
        assert isinstance(executor_for(""), LocalExecutor)
        assert [executor_for().address, executor_for(NOWHERE).address] == ["tcp://there:1", NOWHERE]  # type: ignore[attr-defined]

    def test_dask_is_loaded_for_an_address_alone(self) -> None:
        code = "import sys; from autobuild_core import cli; from autobuild_core.jobs.kinds import evaluate; "
        code += "from autobuild_core.evaluators import _dask, _executors; _executors.executor_for(''); "
        code += "print({'dask', 'distributed', 'torch'} & set(sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"


class TestRefused:
    def refused(self, cluster: Cluster, evaluator: str, out: Path) -> str:
        with pytest.raises(ConfigError) as refused:
            evaluate(Candidates((stages(),)), load_evaluator(evaluator), evaluator, out, scheduler=cluster.address)
        assert not out.exists()
        return str(refused.value)

    @pytest.mark.parametrize("address", ["there", "there:8786", "tcp://127.0.0.1:x", "ftp://127.0.0.1:1", "tcp://a b:1"])
    def test_it_is_no_address(self, address: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"scheduler: got '.*', expected its address, as tcp://HOST:8786"):
            api.evaluate([stages()], "cost", tmp_path / "m.jsonl", scheduler=address)

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            (NOWHERE, r"got no answer \(.*\), expected a scheduler that runs there \(python -m dask scheduler\)"),
            ("tcp://[::1]:9", "got no answer"),
            ("tls://127.0.0.1:9", "got no certificates for it in Dask's settings here"),
        ],
    )
    def test_there_is_no_such_scheduler(self, address: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_dask, "CONNECT_SECONDS", 0.5)
        with pytest.raises(ConfigError, match=said):
            api.evaluate([stages()], "cost", tmp_path / "m.jsonl", scheduler=address)

    def test_dask_is_not_installed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(ConfigError, match=r"Dask is not installed here \(.*\); pip install -r requirements-scale\.txt"):
            api.evaluate([stages()], "cost", tmp_path / "m.jsonl", scheduler=NOWHERE)

    def test_other_threads_data_files_and_code(
        self, make_cluster: Callable[..., Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster, out = make_cluster(), tmp_path / "measured.jsonl"
        other, mine = tmp_path / "other" / "mine.py", tmp_path / "mine.py"
        other.parent.mkdir()
        other.write_text("def evaluate(arch, budget, seed):\n    return {'acc': 1}\n")
        mine.write_text("def evaluate(arch, budget, seed):\n    return {'acc': 2}\n")
        monkeypatch.setenv("AUTOBUILD_EVALUATORS", str(mine))
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))  # a folder that is there
        own = {FOLDER_VARIABLE: str(tmp_path / "nowhere"), "AUTOBUILD_EVALUATORS": str(other)}
        worker = cluster.worker("differs", environment=own)
        said = self.refused(cluster, "classification", out)
        assert said.startswith("worker differs on ") and said.endswith("Install the same version, data and files there.")
        assert "got data digits_pairs where the batch has fashion_mnist_pairs; expected" in said
        assert "version of the evaluator" in self.refused(cluster, "mine", out)
        shutil.copytree(ROOT / "autobuild_core", tmp_path / "old" / "autobuild_core")
        (tmp_path / "old" / "autobuild_core" / "version.py").write_text('"""Old."""\n\nVERSION = "0.0.9"\n')
        cluster.stop(worker)
        worker = cluster.worker("old", cwd=tmp_path / "old")
        assert "got AutoBuild Studio 0.0.9 where the batch has" in self.refused(cluster, "cost", out)
        cluster.stop(worker)
        cluster.worker("wide", threads=2)
        assert "got 2 threads, expected 1: start it with --nthreads 1, and --nworkers 2" in self.refused(cluster, "cost", out)

    def test_one_without_the_package(self, make_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
        cluster = make_cluster()
        (tmp_path / "empty").mkdir()
        cluster.worker("bare", cwd=tmp_path / "empty")
        said = self.refused(cluster, "cost", tmp_path / "measured.jsonl")
        assert (
            "ModuleNotFoundError" in said
            and "expected AutoBuild Studio as it is here, at the scheduler and at each worker" in said
        )

    def test_one_that_joins_later(
        self, make_cluster: Callable[..., Cluster], waiting: Waiting, background: ThreadPoolExecutor, tmp_path: Path
    ) -> None:
        cluster, out = make_cluster(), tmp_path / "measured.jsonl"
        cluster.worker("first")
        batch = background.submit(measured, waiting, ["held", "a"], out, cluster.address)
        wait_for(waiting.begun, "no evaluation is held")
        cluster.worker("late", threads=2)
        with pytest.raises(ConfigError, match=r"worker late on .*: got 2 threads, expected 1"):
            batch.result(timeout=120)
        assert lines_of(out) == []

    def test_a_file_that_is_gone(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"gone\.csv: got No such file or directory, expected the evaluator's file"):
            list(DaskExecutor(NOWHERE).measure_each(load_evaluator("table:gone.csv"), [], Setting("table:gone.csv", 0), Watch))

    def test_paths_are_whole_elsewhere_and_registered_names_stay(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("mine.py").write_text("")
        monkeypatch.setenv("AUTOBUILD_EVALUATORS", str(tmp_path / "mine.py"))
        names = ("cost", "mine", "./mine.py", "table:a.csv")
        found = [name_elsewhere(load_evaluator(name), name) for name in names]
        assert found == ["cost", "mine", str(tmp_path / "mine.py"), f"table:{tmp_path / 'a.csv'}"]
