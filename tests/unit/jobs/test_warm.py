"""The supervisor that has the imports done: what it starts behaves as any worker (test_jobs.py), only sooner."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.jobs import executor as jobs
from autobuild_core.jobs import warm
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.store.workspace import Workspace
from tests.unit.jobs.fake_worker import FakeExecutor
from tests.unit.jobs.test_executor import end_workers, pid, state, supervised, until


@pytest.fixture
def run_id(workspace: Workspace, table: ArchTable) -> Iterator[str]:
    """A run whose worker goes on until it is asked to end."""
    run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "obedient")
    yield run_id
    end_workers(workspace)  # also where the test failed


def end(workspace: Workspace, run_id: str) -> None:
    """Cancels a run and waits for it."""
    FakeExecutor(workspace).cancel(run_id)
    until(lambda: state(workspace, run_id) != "running")


def test_worker_has_a_session_of_its_own_and_outlives_the_supervisor(workspace: Workspace, run_id: str) -> None:
    with supervised(workspace) as supervisor:
        FakeExecutor(workspace, use_warm=True).submit(run_id)
        until(lambda: workspace.run(run_id).last_progress())
        number = pid(workspace, run_id)
        assert os.getsid(number) == os.getpgid(number) == number
        assert psutil.Process(number).ppid() == supervisor.pid and not jobs._children
    assert state(workspace, run_id) == "running" and jobs.process_started(number) is not None
    with supervised(workspace):  # the old one's lock is free, though its worker lives
        assert FakeExecutor(workspace).poll() == 1
    end(workspace, run_id)


def test_without_a_supervisor_runs_start_all_the_same(workspace: Workspace, run_id: str) -> None:
    with supervised(workspace) as supervisor:
        os.kill(supervisor.pid, signal.SIGKILL)  # its socket stays behind
        supervisor.wait()
        assert warm.address(workspace.path, 2).exists()
        FakeExecutor(workspace, use_warm=True).submit(run_id)
        until(lambda: workspace.run(run_id).last_progress())
    end(workspace, run_id)


def test_other_threads_need_another_supervisor(workspace: Workspace, table: ArchTable) -> None:
    run_id = workspace.add_run(workspace.add_dataset(table, "macro"), "threads", threads=1)
    with supervised(workspace):
        FakeExecutor(workspace, use_warm=True).submit(run_id)
        until(lambda: state(workspace, run_id) == "finished")
    assert set(workspace.run(run_id).read_json("threads.json").values()) == {"1"}
    until(lambda: jobs.reap() or not jobs._children)


def test_two_do_not_serve_one_workspace(workspace: Workspace) -> None:
    with supervised(workspace) as first, supervised(workspace) as second:
        assert second.wait(20) == 1
        assert first.poll() is None


def test_it_ends_when_idle_or_when_its_workspace_goes(workspace: Workspace) -> None:
    with supervised(workspace, idle_seconds=0.5) as supervisor:
        assert supervisor.wait(20) == 0
    assert not warm.address(workspace.path, 2).exists()
    with supervised(workspace) as supervisor:
        shutil.rmtree(workspace.path)
        assert supervisor.wait(20) == 0


def test_nonsense_is_not_served_and_does_no_harm(workspace: Workspace) -> None:
    with supervised(workspace) as supervisor:
        assert warm.ask(workspace.path, 2, {"arguments": []}) is None  # no log
        assert warm.ask(workspace.path, 2, {"arguments": [], "log": "/nowhere/at/all"}) is not None  # a worker that ends at once
        assert warm.ask(workspace.path, 2, {}) == {} and supervisor.poll() is None


def test_a_folder_that_others_may_enter_is_refused(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"autobuild-{os.getuid()}").mkdir(mode=0o777)
    os.chmod(tmp_path / f"autobuild-{os.getuid()}", 0o777)
    with pytest.raises(PermissionError, match="expected one of this user alone"):
        warm.address(workspace.path, 2)
    assert warm.ask(workspace.path, 2, {}) is None


def test_a_real_run_is_started_by_what_has_its_imports_done(workspace: Workspace, table: ArchTable) -> None:
    executor = SubprocessExecutor(workspace, threads=1, use_warm=True)
    data = workspace.add_dataset(table, "macro")
    assert not executor.keep_warm()
    try:
        until(executor.keep_warm, 100)
        run_id = workspace.add_run(data, "acc", num_members=2, num_steps=5, threads=1)
        executor.submit(run_id)
        assert not jobs._children
        until(lambda: workspace.run(run_id).state["state"] not in ("queued", "running"), 100)
        assert workspace.run(run_id).state["state"] == "finished", workspace.run(run_id).log_text()
    finally:  # on a busy machine a second one was started before the first was ready
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself
                if str(workspace.path) in child.cmdline():
                    child.kill()
        for _, started in warm._started.values():
            started.wait()


class Hanging:
    """A supervisor that takes every connection and never answers, as a stopped process does."""

    def __init__(self, place: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(place))
        self.listener.listen()
        self.listener.setblocking(False)

    def asked(self) -> int:
        """How often it was asked since the last time."""
        num = 0
        with suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
                num += 1
        return num


@pytest.fixture
def hanging(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """In place of the workspace's supervisor."""
    monkeypatch.setattr(warm, "ANSWER_SECONDS", 0.05)
    place = warm.address(workspace.path, 2)
    one = Hanging(place)
    yield one
    one.listener.close()
    place.unlink()


def test_a_page_waits_so_short_that_it_is_hardly_noticed() -> None:
    code = "from autobuild_core.jobs import warm; print(warm.ANSWER_SECONDS)"  # here it is another one, conftest.py
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 0.3


def test_a_hanging_supervisor_is_asked_once_and_then_left_alone_for_a_while(
    workspace: Workspace, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)  # no other is started: it could not take the lock
    executor = SubprocessExecutor(workspace, use_warm=True)
    assert [executor.keep_warm() for _ in range(20)] == [False] * 20  # twenty pages
    assert warm.spawn(workspace.path, 2, ["run"], workspace.path / "log.txt") is None
    assert hanging.asked() == 1
    later = time.monotonic() + warm.SILENT_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not executor.keep_warm() and not executor.keep_warm()
    assert hanging.asked() == 1


def test_the_silence_of_one_does_not_count_for_another(workspace: Workspace, hanging: Hanging) -> None:
    assert warm.ask(workspace.path, 2, {}) is None
    assert warm.is_silent(warm.address(workspace.path, 2))
    assert not warm.is_silent(warm.address(workspace.path, 1))


def test_a_run_starts_all_the_same_while_its_supervisor_hangs(workspace: Workspace, run_id: str, hanging: Hanging) -> None:
    FakeExecutor(workspace, use_warm=True).submit(run_id)
    until(lambda: workspace.run(run_id).last_progress())
    assert hanging.asked() == 1
    end(workspace, run_id)


def test_one_whose_queue_of_askers_is_full_is_left_alone_too(workspace: Workspace, hanging: Hanging) -> None:
    hanging.listener.listen(0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first:
        first.connect(str(warm.address(workspace.path, 2)))
        assert warm.ask(workspace.path, 2, {}) is None
    assert warm.is_silent(warm.address(workspace.path, 2))


def test_importing_it_is_light() -> None:
    code = "import sys, autobuild_core.jobs.supervisor; print([m for m in ('torch', 'scipy', 'streamlit') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
