import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import Cancelled, DataError
from autobuild_core.jobs import executor as jobs
from autobuild_core.jobs import worker
from autobuild_core.jobs.worker import Worker
from autobuild_core.store.run_folder import RunConfig, RunFolder
from autobuild_core.store.workspace import Workspace, content_hash
from tests.unit.jobs.test_executor import until


@pytest.fixture
def folder(table: ArchTable, tmp_path: Path) -> RunFolder:
    """A run outside a workspace."""
    config = RunConfig("", "a run", "macro", content_hash(table), "acc", num_members=2, num_steps=3)
    return RunFolder(tmp_path / "alone").create(config, table)


def test_finished(folder: RunFolder) -> None:
    def train(run, report, should_stop):
        assert run.state["state"] == "running"
        assert not should_stop()
        report({"step": 1})

    assert Worker(folder).run(train) == "finished"
    assert folder.state["state"] == "finished"
    assert folder.progress()["step"].tolist() == [1]


@pytest.mark.parametrize(
    ("error", "sentence", "traced"),
    [
        (DataError("row 3: got x, expected y."), "row 3: got x, expected y.", False),
        (MemoryError(), "The training ran out of memory", True),
        (ValueError("a\n  b"), "stopped at a fault of the program (ValueError: a b); its log has the details.", True),
    ],
)
def test_failed(folder: RunFolder, error: Exception, sentence: str, traced: bool) -> None:
    def train(*_):
        raise error

    assert Worker(folder).run(train) == "failed"
    assert sentence in folder.state["error"]
    assert ("Traceback" in folder.log_text()) == traced


def test_signal_stops_at_the_next_step(folder: RunFolder) -> None:
    one = Worker(folder)

    def train(run, report, should_stop):
        assert not should_stop()
        one.stop(15, None)
        assert should_stop()
        raise KeyboardInterrupt

    assert one.run(train) == "cancelled"
    assert folder.state["state"] == "cancelled"


def test_cancelled(folder: RunFolder) -> None:
    def train(*_):
        raise Cancelled

    assert Worker(folder).run(train) == "cancelled"
    assert folder.state["error"] == ""
    assert "Traceback" not in folder.log_text()


def test_run_of_another_process_is_left_alone(workspace: Workspace, table: ArchTable) -> None:
    run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "acc")

    def train(*_):
        pytest.fail("it was trained")

    assert Worker(workspace.run(run_id), workspace).run(train) == ""
    assert workspace.run(run_id).state["state"] == "queued"


def test_cancel_flag_is_read_by_should_stop(workspace: Workspace, table: ArchTable, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "acc")
    one = Worker(workspace.run(run_id), workspace)
    assert not one.should_stop()
    with workspace.connect(write=True) as connection:
        connection.execute("UPDATE runs SET cancel = 1")
    monkeypatch.setattr(worker, "ASK_SECONDS", 0)
    assert one.should_stop()


def test_import_is_light() -> None:
    code = "import sys, autobuild_core.jobs.worker; heavy = ('torch', 'scipy', 'sklearn', 'streamlit'); "
    code += "print([m for m in heavy if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def executor(workspace: Workspace) -> Iterator[jobs.SubprocessExecutor]:
    """The real one; at the end its workers are gone."""
    yield jobs.SubprocessExecutor(workspace)
    until(lambda: jobs.reap() or not jobs._children)


def test_real_training_in_a_real_process(workspace: Workspace, table: ArchTable, executor: jobs.SubprocessExecutor) -> None:
    run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "acc", num_members=2, num_steps=20, threads=1)
    executor.submit(run_id)
    until(lambda: (executor.poll(), workspace.run(run_id).state["state"] not in ("queued", "running"))[1], 200)
    folder = workspace.run(run_id)
    assert folder.state["state"] == "finished", folder.log_text()
    assert not folder.read_frame("modules.parquet").empty
    assert not folder.progress().empty
    assert -1 <= workspace.runs()["srcc"][0] <= 1


def test_real_training_obeys_cancel(workspace: Workspace, table: ArchTable, executor: jobs.SubprocessExecutor) -> None:
    run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "acc", num_members=2, num_steps=50_000, threads=1)
    executor.submit(run_id)
    until(lambda: workspace.run(run_id).last_progress(), 100)
    executor.cancel(run_id)
    until(lambda: workspace.run(run_id).state["state"] == "cancelled")


def test_bad_target_fails_with_its_sentence(workspace: Workspace, table: ArchTable, executor: jobs.SubprocessExecutor) -> None:
    run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "acd", num_members=2, num_steps=3)
    executor.submit(run_id)
    until(lambda: workspace.run(run_id).state["state"] == "failed", 100)
    assert "acd" in workspace.run(run_id).state["error"]
    assert "Traceback" not in workspace.run(run_id).state["error"]
