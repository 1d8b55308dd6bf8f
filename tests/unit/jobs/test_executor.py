"""The queue with real processes, which take a fake training (fake_worker.py) in place of torch's."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.jobs import executor as jobs
from autobuild_core.jobs import warm
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.registry import ROOT
from autobuild_core.store.workspace import Workspace
from tests.unit.jobs.fake_worker import FakeExecutor

Add = Callable[..., str]


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Waits for a condition."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it took too long"
        time.sleep(0.05)


def state(workspace: Workspace, run_id: str) -> str:
    """What both the registry and the folder say, which must agree."""
    with workspace.connect(write=True) as connection:
        registry = connection.execute("SELECT state FROM runs WHERE id = ?", (run_id,)).fetchone()[0]
        written = workspace.run(run_id).state["state"]
    assert registry == written or (registry, written) == ("running", "queued")
    return str(written)


def pid(workspace: Workspace, run_id: str) -> int:
    """The worker's pid."""
    with workspace.connect() as connection:
        return int(connection.execute("SELECT pid FROM runs WHERE id = ?", (run_id,)).fetchone()[0])


def suspend(worker: psutil.Process) -> None:
    """Stops a worker where it holds no connection to the registry: a stopped process keeps its locks from all others."""

    def stopped_outside() -> bool:
        worker.suspend()
        until(lambda: worker.status() == psutil.STATUS_STOPPED)
        if not any("registry.sqlite" in file.path for file in worker.open_files()):
            return True
        worker.resume()
        return False

    until(stopped_outside)


def edit(workspace: Workspace, run_id: str, column: str, value: float) -> None:
    """Changes the registry behind everybody's back."""
    with workspace.connect(write=True) as connection:
        connection.execute(f"UPDATE runs SET {column} = ? WHERE id = ?", (value, run_id))


@pytest.fixture
def add(workspace: Workspace, table: ArchTable) -> Iterator[Add]:
    """Adds a run; at the end no worker is left."""
    data = workspace.add_dataset(table, "macro")
    yield lambda target, **settings: workspace.add_run(data, target, **settings)
    with workspace.connect() as connection:
        left = [row["pid"] for row in connection.execute("SELECT * FROM runs WHERE pid IS NOT NULL")]
    for number in left:
        if jobs.process_started(number) is not None:
            jobs.kill_group(number)
    until(lambda: jobs.reap() or not jobs._children, 10)


@pytest.fixture(params=["cold", "warm"])
def executor(workspace: Workspace, request: pytest.FixtureRequest) -> Iterator[FakeExecutor]:
    """One run at a time, its processes started by us or by a supervisor."""
    executor = FakeExecutor(workspace, use_warm=request.param == "warm")
    if not executor.use_warm:
        yield executor
        return
    with supervised(workspace):
        yield executor
        assert not jobs._children, "a worker was started the slow way"


@contextmanager
def supervised(workspace: Workspace, idle_seconds: float = 60) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor that listens, and afterwards none."""
    code = "import sys; from tests.unit.jobs.fake_worker import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, str(workspace.path), "--supervise", str(idle_seconds)]
    child = subprocess.Popen(command, cwd=ROOT)
    try:
        until(lambda: warm.ask(workspace.path, 2, {}) is not None)
        yield child
    finally:
        child.kill()
        child.wait()


def test_queue_moves_by_itself_in_order(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    ids = [add("quick") for _ in range(3)]
    for run_id in reversed(ids):
        executor.submit(run_id)
    assert [state(workspace, i) for i in ids[:2]] == ["queued", "queued"]
    until(lambda: all(state(workspace, i) == "finished" for i in ids))  # nobody polls here: the workers do
    started = [workspace.run(i).state["started"] for i in reversed(ids)]
    assert started == sorted(started)
    assert executor.poll() == 0
    row = workspace.runs().iloc[0]
    assert row["srcc"] == 0.5
    assert row["seconds"] > 0.1


def test_two_at_a_time_and_never_more(workspace: Workspace, add: Add) -> None:
    executor = FakeExecutor(workspace, max_running=2)
    ids = [add("obedient") for _ in range(4)]
    for run_id in ids:
        executor.submit(run_id)
    until(lambda: [state(workspace, i) for i in ids].count("running") == 2)
    threads = [threading.Thread(target=FakeExecutor(workspace, 2).poll) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with workspace.connect() as connection:
        assert connection.execute("SELECT count(*) FROM runs WHERE pid IS NOT NULL").fetchone()[0] == 2


def test_cancel_queued_and_running(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    first, second = add("obedient"), add("obedient")
    executor.submit(first)
    executor.submit(second)
    executor.cancel(second)
    assert state(workspace, second) == "cancelled"
    until(lambda: workspace.run(first).last_progress())
    executor.cancel(first)
    until(lambda: state(workspace, first) != "running", 3)
    assert workspace.run(first).last_progress()["step"] == 2
    ended = workspace.run(first).state
    executor.cancel(first)
    assert workspace.run(first).state == ended


@pytest.mark.parametrize("polled", [True, False])
def test_deaf_worker_is_killed_after_three_seconds(workspace: Workspace, add: Add, executor: FakeExecutor, polled: bool) -> None:
    first, second = add("deaf"), add("quick")
    executor.submit(first)
    executor.submit(second)
    until(lambda: workspace.run(first).last_progress())
    asked, number = time.monotonic(), pid(workspace, first)
    executor.cancel(first)
    until(lambda: (executor.poll() if polled else None, state(workspace, first) == "cancelled")[1], 10)
    assert time.monotonic() - asked > 2.5
    until(lambda: jobs.reap() or jobs.process_started(number) is None, 5)
    until(lambda: state(workspace, second) == "finished")


def test_killed_worker_is_lost_and_keeps_its_progress(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    run_id = add("killed")
    executor.submit(run_id)
    until(lambda: (executor.poll(), state(workspace, run_id) == "lost")[1])
    assert "without a word" in workspace.run(run_id).state["error"]
    assert workspace.run(run_id).last_progress()["step"] == 1
    assert workspace.runs().iloc[0]["state"] == "lost"


def test_killed_from_outside_lets_the_next_start(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    first, second = add("obedient"), add("quick")
    executor.submit(first)
    executor.submit(second)
    until(lambda: state(workspace, first) == "running")
    os.kill(pid(workspace, first), signal.SIGKILL)
    until(lambda: (executor.poll(), state(workspace, second) == "finished")[1])
    assert state(workspace, first) == "lost"


def test_silent_run_is_lost_and_comes_back_when_it_speaks(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    run_id = add("obedient")
    executor.submit(run_id)
    until(lambda: state(workspace, run_id) == "running")
    worker = psutil.Process(pid(workspace, run_id))
    suspend(worker)
    edit(workspace, run_id, "heartbeat", time.time() - 31)
    executor.poll()
    assert state(workspace, run_id) == "lost"
    assert "not heard of for 30 s" in workspace.run(run_id).state["error"]
    worker.resume()
    until(lambda: state(workspace, run_id) == "running", 6)
    executor.cancel(run_id)
    until(lambda: state(workspace, run_id) not in ("running", "lost"))


def test_lost_run_that_lives_on_can_be_cancelled_or_deleted(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    run_id = add("obedient")
    executor.submit(run_id)
    until(lambda: state(workspace, run_id) == "running")
    number = pid(workspace, run_id)
    suspend(psutil.Process(number))
    edit(workspace, run_id, "heartbeat", 0)
    executor.poll()
    executor.cancel(run_id)
    assert state(workspace, run_id) == "cancelled"
    until(lambda: jobs.reap() or jobs.process_started(number) is None, 5)


def test_deleted_under_a_lost_worker_that_wakes(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    run_id = add("deaf")
    executor.submit(run_id)
    until(lambda: workspace.run(run_id).last_progress())
    worker = psutil.Process(pid(workspace, run_id))
    suspend(worker)
    edit(workspace, run_id, "heartbeat", 0)
    executor.poll()
    workspace.delete_run(run_id)
    worker.resume()
    until(lambda: jobs.reap() or jobs.process_started(worker.pid) is None, 6)
    assert list((workspace.path / "runs").iterdir()) == []


def test_same_pid_of_a_later_process_is_not_the_worker(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    run_id = add("obedient")
    executor.submit(run_id)
    until(lambda: state(workspace, run_id) == "running")
    number = pid(workspace, run_id)
    edit(workspace, run_id, "pid_started", time.time() - 3600)
    executor.poll()
    assert state(workspace, run_id) == "lost"
    executor.cancel(run_id)
    assert jobs.process_started(number) is not None, "a process that may be a stranger's was killed"


def test_survives_its_starter(workspace: Workspace, add: Add) -> None:
    """A server that started a run dies; another one, which is no parent of the worker, goes on with it."""
    run_id = add("obedient")
    code = "import sys; from tests.unit.jobs.fake_worker import *; FakeExecutor(Workspace(sys.argv[1])).submit(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(workspace.path), run_id], check=True, cwd=ROOT)
    until(lambda: state(workspace, run_id) == "running")
    executor = FakeExecutor(Workspace(workspace.path))
    assert executor.poll() == 1
    executor.cancel(run_id)
    until(lambda: state(workspace, run_id) != "running")


def test_starter_dies_between_start_and_commit(workspace: Workspace, add: Add) -> None:
    """The registry forgets such a start; the worker sees that and leaves, so that no run is trained twice."""
    run_id = add("quick")

    class Dying(FakeExecutor):
        def _spawn(self, name: str) -> int:
            super()._spawn(name)
            raise SystemExit

    edit(workspace, run_id, "submitted", 1)
    with pytest.raises(SystemExit):
        Dying(workspace).poll()
    until(lambda: jobs.reap() or not jobs._children)
    assert state(workspace, run_id) == "queued"
    FakeExecutor(workspace).poll()
    until(lambda: state(workspace, run_id) == "finished")


def test_ended_between_folder_and_registry(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    """A worker that died after its last word to the folder: the folder is believed."""
    run_id = add("killed")
    executor.submit(run_id)
    until(lambda: jobs.reap() or jobs.process_started(pid(workspace, run_id)) is None)
    workspace.run(run_id).set_state("finished")
    executor.poll()
    assert state(workspace, run_id) == "finished"


def test_errors(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    mended, broken = add("mended"), add("broken")
    executor.submit(mended)
    executor.submit(broken)
    until(lambda: state(workspace, broken) == "failed")
    assert workspace.run(mended).state["error"] == "target: got 'acd', expected a metric such as acc."
    assert "Traceback" not in workspace.run(mended).log_text()
    assert "fault of the program (ZeroDivisionError: half of it)" in workspace.run(broken).state["error"]
    assert "Traceback" in workspace.run(broken).log_text()


def test_thread_limit_is_the_smaller_one(workspace: Workspace, add: Add) -> None:
    for limit, wish, expected in ((2, 1, "1"), (2, 8, "2")):
        run_id = add("threads", threads=wish)
        FakeExecutor(workspace, threads=limit).submit(run_id)
        until(lambda i=run_id: state(workspace, i) == "finished")
        assert set(workspace.run(run_id).read_json("threads.json").items()) == {
            ("AUTOBUILD_THREADS", expected),
            ("OMP_NUM_THREADS", "1"),
        }


def test_worker_that_cannot_start(workspace: Workspace, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = add("quick")
    monkeypatch.setattr(FakeExecutor, "command", lambda *_: ["/nowhere/python"])
    FakeExecutor(workspace).submit(run_id)
    assert state(workspace, run_id) == "failed"
    assert "could not be started" in workspace.run(run_id).state["error"]


def test_refusals(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    run_id = add("quick")
    with pytest.raises(RunError, match="not in this workspace"):
        executor.submit("0" * 32)
    executor.submit(run_id)
    with pytest.raises(RunError, match="got a second request to start it"):
        executor.submit(run_id)
    with pytest.raises(ConfigError, match="got max_running 0 and threads 2"):
        SubprocessExecutor(workspace, 0)


def test_run_that_is_not_submitted_waits(workspace: Workspace, add: Add, executor: FakeExecutor) -> None:
    run_id = add("quick")
    assert executor.poll() == 0
    assert state(workspace, run_id) == "queued"
