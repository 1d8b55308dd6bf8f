"""What every kind of job must do; and that a new one, a single file anywhere, is queued, cancelled, killed and resumed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autobuild_core import registry
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import Cancelled, ConfigError, RunError, StudioError
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.jobs import executor as jobs
from autobuild_core.jobs import kinds, warm
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.jobs.kinds.evaluate import RESULTS, Evaluate, EvaluateSettings
from autobuild_core.jobs.kinds.evolve import EvolveSettings
from autobuild_core.jobs.kinds.loop import LoopSettings
from autobuild_core.jobs.kinds.replay import ReplaySettings
from autobuild_core.jobs.kinds.rounds import RoundsSettings, loop_of
from autobuild_core.jobs.kinds.search import SearchSettings
from autobuild_core.spaces import Space, space_named
from autobuild_core.store.run_folder import JobSettings, RunConfig, RunFolder
from autobuild_core.store.workspace import Workspace
from autobuild_core.testing.examples import additive_truth, chain_space, declared_space, table_of
from autobuild_core.testing.job_kinds import JobKindSuite
from tests.architectures import EXAMPLES
from tests.counting import counting as counting
from tests.learning import macro_data
from tests.unit.jobs.test_executor import pid, state, until

SETTINGS: dict[str, JobSettings] = {
    "evaluate": EvaluateSettings(name="a batch", evaluator="cost", archs=("02012100", EXAMPLES["cost"]), seeds=(0, 1)),
    "evolve": EvolveSettings(name="an evolution", plan={"generations": 2, "steps": 1, "batch": 4}),
    "loop": LoopSettings(name="a loop", plan={"evaluator": "cost", "evolution": {"fitness": "random", "generations": 2}}),
    "replay": ReplaySettings(name="a replay", plan={"target": "acc", "evaluations": 6, "initial": 5, "seeds": 1}),
    "rounds": RoundsSettings(
        name="some rounds", plan={"evaluator": "table:all.csv", "target": "acc", "evaluations": 4, "batch": 2}
    ),
    "search": SearchSettings(name="a search", evaluator="cost", space=space_named("nas_bench_201").spec.to_json(), num=3),
    "train": RunConfig(name="a run", target="acc", num_members=2, num_steps=2, data_name="mine.csv", data_hash="ab" * 16),
}
CELLS = space_named("nas_bench_201").spec.to_json()


def whole_table(space: Space) -> ArchTable:
    """Every architecture of a space, with an additive `acc`."""
    codes = space.enumerate()
    assert codes is not None
    metrics = pd.DataFrame({"acc": additive_truth(space, codes)})
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(len(codes)))


SUPERVISOR = """
import sys
from pathlib import Path
from autobuild_core.jobs.supervisor import Supervisor
sys.exit(Supervisor(Path(sys.argv[1]), 2, preloaded=[], idle_seconds=60).run())
"""


class TestKinds(JobKindSuite):
    @pytest.fixture(params=registry.names(kinds.FOLDER))
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def settings(self, name: str) -> JobSettings:
        return SETTINGS[name]

    @pytest.fixture
    def table(self, name: str) -> ArchTable:
        """Random architectures; for a replay all of a space."""
        space = chain_space(2, (1, 2))
        return whole_table(space) if name == "replay" else table_of(chain_space())


class TestEvaluates:
    """Evaluations in a worker's folder: each line as it comes, gone on from where a worker was killed."""

    def job(self, tmp_path: Path, **settings: Any) -> tuple[kinds.JobKind[Any], RunFolder, JobSettings]:
        kind = kinds.load_kind("evaluate")
        made = kind.settings(
            {"name": "a batch", "evaluator": "cost", "archs": [EXAMPLES["cost"], EXAMPLES["latency"]]} | settings
        )
        return kind, RunFolder(tmp_path / "run").create(made, None, "evaluate"), made

    def test_results_are_a_table_and_a_row(self, tmp_path: Path) -> None:
        kind, folder, settings = self.job(tmp_path, ids=["a", "b"], seeds=[3, 4])
        records: list[Any] = []
        kind.run(folder, settings, records.append, lambda: False)
        table, row = kind.result(folder), kind.row(folder, settings)
        assert table["id"].tolist() == ["a", "b"] and table["seed"].tolist() == [3, 3]  # a seed changes no cost
        assert (table["madds_m"] > 0).all() and "curve" not in table
        assert (row.aim, row.result) == ("cost of 2 architectures, 2 seeds", "2 evaluations measured")
        assert kind.progress(records[1]).words == "Evaluating, 1 of 2 done" and kind.resumes

    def test_it_goes_on_from_what_is_there(self, tmp_path: Path) -> None:
        kind, folder, settings = self.job(tmp_path)
        kind.run(folder, settings, lambda record: None, lambda: False)
        results = folder.path / "results.jsonl"
        first = results.read_text().splitlines(keepends=True)[0]
        results.write_text(first + '{"arch": "torn')
        kind.run(folder, settings, lambda record: None, lambda: False)
        assert results.read_text().startswith(first) and len(kind.result(folder)) == 2

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"archs": []}, "archs: got none"),
            ({"seeds": [-1]}, "seeds: got"),
            ({"ids": ["a"]}, "ids: got 1 for 2"),
            ({"seconds": 0}, "seconds: got 0"),
            ({"evaluator": "abacus"}, "evaluator: got 'abacus'"),
            ({"budget": 9}, "nothing to spend"),
        ],
    )
    def test_settings_that_do_not_do(self, wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=said):
            self.job(tmp_path, **wrong)


class TestSearches:
    """Searches in a worker's folder: the best so far, gone on from where a worker was killed."""

    def job(
        self, tmp_path: Path, table: ArchTable | None = None, **settings: Any
    ) -> tuple[kinds.JobKind[Any], RunFolder, JobSettings]:
        kind = kinds.load_kind("search")
        made = kind.settings({"name": "a search", "evaluator": "cost", "searcher": "random", "num": 6} | settings)
        return kind, RunFolder(tmp_path / "run").create(made, table, "search"), made

    def test_results_are_a_table_and_a_row(self, tmp_path: Path) -> None:
        kind, folder, settings = self.job(tmp_path, space=CELLS, target="params_m", minimize=True, seed=4)
        assert kind.row(folder, settings).aim == "Random search: minimise params_m"
        records: list[Any] = []
        kind.run(folder, settings, records.append, lambda: False)
        table, row = kind.result(folder), kind.row(folder, settings)
        assert len(table) == 6 and (table["value"] == table["params_m"]).all()
        assert table["best"].tolist() == np.minimum.accumulate(table["value"]).tolist()
        assert (row.seed, row.result) == (4, f"6 evaluations measured, best {table['value'].min():.6g}")
        assert kind.progress(records[-1]).words == f"Searching, 6 of 6 networks, best {table['value'].min():.6g}"
        assert kind.progress(records[-1]).share == 1 and kind.resumes

    def test_it_searches_the_space_of_its_data(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text("def evaluate(arch, budget, seed):\n    return {'acc': float(len(str(arch)))}\n")
        mine = {"evaluator": str(tmp_path / "mine.py"), "target": "acc"}
        kind, folder, settings = self.job(tmp_path, table_of(declared_space()), **mine)
        kind.run(folder, settings, lambda record: None, lambda: False)
        assert set(kind.result(folder)["state"]) == {"finished"} and '"width"' in kind.result(folder)["arch"][0]
        bare = RunFolder(tmp_path / "bare").create(settings, None, "search")
        with pytest.raises(ConfigError, match="space: got neither a spec nor data"):
            kind.run(bare, settings, lambda record: None, lambda: False)

    def test_it_goes_on_from_what_is_there(self, tmp_path: Path) -> None:
        kind, folder, settings = self.job(tmp_path, space=CELLS)
        kind.run(folder, settings, lambda record: None, lambda: False)
        whole, results = kind.result(folder), folder.path / "results.jsonl"
        first = "".join(results.read_text().splitlines(keepends=True)[:2])
        results.write_text(first + '{"arch": "torn')
        kind.run(folder, settings, lambda record: None, lambda: False)
        assert results.read_text().startswith(first) and kind.result(folder).equals(whole)

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"num": 0}, "num: got 0"),
            ({"searcher": "abacus"}, "got 'abacus', expected one of bayesian_optimisation"),
            ({"settings": {"speed": 1}}, "got 'speed', expected none"),
            ({"space": "{}"}, "space: got a spec that cannot be read"),
            ({"target": "latency_ms"}, "got 'latency_ms', expected one of the metrics"),
        ],
    )
    def test_settings_that_do_not_do(self, wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
        with pytest.raises(StudioError, match=said):
            self.job(tmp_path, **{"space": CELLS} | wrong)


class TestRounds:
    """Rounds in a worker's folder: a row a round, results as those of an evaluation, gone on from where a worker was killed."""

    def job(self, tmp_path: Path, **plan: Any) -> tuple[kinds.JobKind[Any], RunFolder, JobSettings]:
        kind, table = kinds.load_kind("rounds"), macro_data(40)
        (tmp_path / "mine.py").write_text(
            "def evaluate(arch, budget, seed):\n    return {'acc': 88 + arch.count('2') / 8 + seed / 16}\n"
        )
        about = {"evaluator": str(tmp_path / "mine.py"), "target": "acc", "evaluations": 5, "batch": 3, "seed": 2}
        made = kind.settings({"name": "some rounds", "plan": about | plan, "data_name": "mine.csv", "data_hash": "ab" * 16})
        return kind, RunFolder(tmp_path / "run").create(made, table, "rounds"), made

    def test_rounds_are_a_table_and_a_row(self, tmp_path: Path) -> None:
        kind, folder, settings = self.job(tmp_path, seeds=2)
        row = kind.row(folder, settings)
        assert (row.aim, row.data_name, row.seed) == ("maximise acc: 5 networks by mine.py, 3 a round", "mine.csv", 2)
        records: list[Any] = []
        kind.run(folder, settings, records.append, lambda: False)
        table = kind.result(folder)
        assert table["round"].tolist() == [1, 2] and table["num_evaluated"].tolist() == [3, 5]
        best = f"{table['best'].iloc[-1]:.6g}"
        assert kind.row(folder, settings).result == f"2 rounds, 5 networks, best {best}"
        assert kind.progress(records[-1]).words == f"Round 2 of 2, 5 of 5 networks, best {best}"
        assert kind.progress(records[-1]).share == 1 and kind.resumes

    def test_its_results_are_those_of_an_evaluation(self, tmp_path: Path) -> None:
        kind, folder, settings = self.job(tmp_path)
        kind.run(folder, settings, lambda record: None, lambda: False)
        lines = Evaluate().lines(folder)
        candidates = {one.id: one.arch for one in loop_of(folder).log.all()}
        assert [candidates[line["id"]] for line in lines] == [line["arch"] for line in lines] and len(lines) == 5
        assert {line["state"] for line in lines} == {"finished"}

    def test_it_goes_on_from_what_is_there(self, tmp_path: Path) -> None:
        kind, folder, settings = self.job(tmp_path)
        with pytest.raises(Cancelled):
            kind.run(folder, settings, lambda record: None, lambda: len(ResultsFile(folder.path / RESULTS).read()) >= 4)
        (tmp_path / "again").mkdir()
        kind.run(folder, settings, lambda record: None, lambda: False)
        whole = self.job(tmp_path / "again", evaluator=str(tmp_path / "mine.py"))[1]
        kind.run(whole, settings, lambda record: None, lambda: False)
        timed = ["seconds_fit", "seconds_evaluated"]
        assert kind.result(folder).drop(columns=timed).equals(kind.result(whole).drop(columns=timed))

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"batch": 0}, "batch: got 0"),
            ({"target": ""}, "target: got none"),
            ({"speed": 1}, "rounds: got the setting speed"),
            ({"budgets": ["fast"]}, "budget: got 'fast'"),
        ],
    )
    def test_settings_that_do_not_do(self, wrong: dict[str, Any], said: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=said):
            self.job(tmp_path, **wrong)


class TestEvolves:
    """Evolutions in a worker's folder: each generation as it comes, gone on from where a worker was killed."""

    def test_results_are_a_table_and_a_row(self, tmp_path: Path) -> None:
        kind = kinds.load_kind("evolve")
        settings = kind.settings({"name": "one", "plan": {"generations": 3, "fitness": "random", "warming": 0, "seed": 5}})
        folder = RunFolder(tmp_path / "run").create(settings, None, "evolve")
        assert kind.row(folder, settings).aim == "5 layers of cells, 0.6 M multiply-adds" and kind.resumes
        records: list[Any] = []
        asked = 0

        def should_stop() -> bool:
            nonlocal asked
            asked += 1
            return asked > 2

        with pytest.raises(Cancelled):
            kind.run(folder, settings, records.append, should_stop)
        assert kind.row(folder, settings).result == "2 generations, 80 cells tried" and kind.result(folder).empty
        assert kind.progress(records[-1]).words == "Evolving, generation 2 of 3"
        kind.run(folder, settings, records.append, lambda: False)
        table, row = kind.result(folder), kind.row(folder, settings)
        assert (row.seed, row.result) == (5, "3 generations, 80 cells tried")
        assert table["layer"].value_counts().tolist() == [9] * 5 and (table["madds_k"] > 0).all()
        assert [record["step"] for record in records] == [1, 2, 3]

    def test_words_of_a_generation(self) -> None:
        record = {"step": 7, "num_steps": 60, "share": 7 / 60, "seconds_left": 90.0, "madds_m": 0.5821}
        come = kinds.load_kind("evolve").progress(record)
        assert come.words == "Evolving, generation 7 of 60, 0.582 M multiply-adds expected" and come.seconds_left == 90.0

    @pytest.mark.parametrize(
        ("plan", "said"), [({"steps": 0}, "steps: got 0"), ({"madds_m": 1e9}, "which these cells cannot meet")]
    )
    def test_settings_that_do_not_do(self, plan: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            kinds.load_kind("evolve").settings({"name": "one", "plan": plan})


def test_a_training_does_not_resume() -> None:
    assert not kinds.load_kind("train").resumes


class TestTrainsWords:
    @pytest.mark.parametrize(
        ("record", "share", "words"),
        [
            ({"step": 1200, "num_steps": 4800, "seconds_left": 3.0}, 0.25, "Training, step 1,200 of 4,800"),
            ({"phase": "scoring", "share": 0.5}, 0.5, "Scoring modules"),
            ({"phase": "checking"}, 1.0, "Checking how far the scores can be trusted"),
            ({"phase": "metrics", "share": 0.25}, 0.25, "Learning every metric of the data"),
        ],
    )
    def test_progress(self, record: dict[str, Any], share: float, words: str) -> None:
        come = kinds.load_kind("train").progress(record)
        assert (come.share, come.words, come.seconds_left) == (share, words, record.get("seconds_left"))


@contextmanager
def supervised(workspace: Workspace) -> Iterator[None]:
    """A supervisor of the workspace, which all workers must have come from."""
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, str(workspace.path)], cwd=registry.ROOT)
    try:
        until(lambda: warm.ask(workspace.path, 2, {}) is not None)
        yield
        assert not jobs._children, "a worker was started the slow way"
    finally:
        supervisor.kill()
        supervisor.wait()


@pytest.fixture(params=["cold", "warm"])
def executor(workspace: Workspace, counting: str, request: pytest.FixtureRequest) -> Iterator[SubprocessExecutor]:
    """The real one, whose real workers find the new kind; at the end none is left."""
    with supervised(workspace) if request.param == "warm" else nullcontext():
        yield SubprocessExecutor(workspace, use_warm=request.param == "warm")
    until(lambda: jobs.reap() or not jobs._children, 10)


def waiting(workspace: Workspace, executor: SubprocessExecutor, **settings: Any) -> str:
    """A run that has counted to two and waits to be cancelled."""
    run = kinds.add(workspace, "count", name="my count", **settings)
    executor.submit(run)
    until(lambda: workspace.run(run).last_progress().get("step") == 2)
    return run


class TestNewKind:
    def test_it_is_found_and_checked(self, counting: str, workspace: Workspace) -> None:
        assert set(registry.names(kinds.FOLDER)) == {"count", "evaluate", "evolve", "loop", "replay", "rounds", "search", "train"}
        with pytest.raises(ConfigError, match="limit: got 0, expected at least 1"):
            kinds.add(workspace, counting, name="x", limit=0)
        with pytest.raises(ConfigError, match="settings of a count: got name, colour"):
            kinds.add(workspace, counting, name="x", colour="red")
        with pytest.raises(
            ConfigError,
            match="jobs/kinds: got 'dance', expected one of count, evaluate, evolve, loop, replay, rounds, search, train",
        ):
            kinds.add(workspace, "dance", name="x")

    def test_queued_cancelled_resumed(self, workspace: Workspace, executor: SubprocessExecutor) -> None:
        run = waiting(workspace, executor)
        row = workspace.runs().iloc[0]
        assert (row["kind"], row["name"], row["aim"], row["result"]) == ("count", "my count", "count to 4", "")
        until(lambda: workspace.runs()["words"][0] == "Counted to 2")
        executor.cancel(run)
        until(lambda: state(workspace, run) == "cancelled")
        assert workspace.runs()["result"][0] == "2 counted"
        executor.resume(run)
        until(lambda: state(workspace, run) == "finished")
        counted = kinds.load_kind("count").result(workspace.run(run))
        assert counted["number"].tolist() == [1, 2, 3, 4]
        assert counted["process"].nunique() == 2, "it went on, in another process, from what the first one wrote"
        assert workspace.runs()["result"][0] == "4 counted"
        assert "Counting starts." in workspace.run(run).log_text()

    def test_killed_is_lost_and_resumes(self, workspace: Workspace, executor: SubprocessExecutor) -> None:
        run = waiting(workspace, executor)
        os.kill(pid(workspace, run), signal.SIGKILL)
        until(lambda: (executor.poll(), state(workspace, run) == "lost")[1])
        assert workspace.runs()["error"][0].startswith("The count's process ended without a word")
        executor.resume(run)
        until(lambda: state(workspace, run) == "finished")
        assert kinds.load_kind("count").result(workspace.run(run))["number"].tolist() == [1, 2, 3, 4]

    def test_it_takes_its_turn_among_trainings(
        self, workspace: Workspace, executor: SubprocessExecutor, table: ArchTable
    ) -> None:
        first = waiting(workspace, executor)
        training = workspace.add_run(workspace.add_dataset(table, "macro"), "acc")
        executor.submit(training)
        assert executor.poll() == 2 and state(workspace, training) == "queued"
        executor.cancel(training)
        executor.cancel(first)
        until(lambda: executor.poll() == 0)

    def test_what_cannot_be_resumed_says_why(self, workspace: Workspace, counting: str, table: ArchTable) -> None:
        executor = SubprocessExecutor(workspace)
        training = workspace.add_run(workspace.add_dataset(table, "macro"), "acc")
        with pytest.raises(RunError, match="expected one that failed, was cancelled or lost"):
            executor.resume(training)
        executor.cancel(training)
        with pytest.raises(RunError, match="a training cannot go on where it stopped; repeat it"):
            executor.resume(training)
        count = kinds.add(workspace, counting, name="x")
        executor.cancel(count)
        with workspace.connect(write=True) as connection:
            query = "UPDATE runs SET state = 'lost', pid = ?, pid_started = ? WHERE id = ?"
            connection.execute(query, (os.getpid(), jobs.process_started(os.getpid()), count))
        with pytest.raises(RunError, match="while its old process lives"):
            executor.resume(count)

    def test_a_fault_of_the_kind_ends_the_run_with_a_sentence(self, workspace: Workspace, executor: SubprocessExecutor) -> None:
        run = kinds.add(workspace, "count", name="x")
        (workspace.run(run).path / "count.json").write_text('{"a": 1}')
        executor.submit(run)
        until(lambda: state(workspace, run) == "failed")
        assert "The count stopped at a fault of the program (AttributeError" in workspace.runs()["error"][0]

    def test_a_run_of_a_kind_that_is_gone_is_listed_and_deletable(self, workspace: Workspace, counting: str) -> None:
        run = kinds.add(workspace, counting, name="left over")
        SubprocessExecutor(workspace).cancel(run)
        (workspace.path / "registry.sqlite").unlink()
        kinds.load_kind.cache_clear()
        row = workspace.runs().iloc[0]
        assert (row["name"], row["kind"], row["aim"], row["state"]) == ("left over", "count", "count to 4", "cancelled")
        workspace.delete_run(run)
        assert run not in workspace.runs()["id"].tolist()
