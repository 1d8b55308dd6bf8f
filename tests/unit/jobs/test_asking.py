"""Asking the command line in a process of its own: its answer, its sentence, its progress, and that it can be given up."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from autobuild_core.api import Run
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.jobs import asking
from autobuild_core.jobs.asking import ask


def test_the_answer_is_what_the_command_prints(trained: Run, tmp_path: Path) -> None:
    shares: list[float] = []
    found = ask(["build", str(trained.folder.path), "--num", "2", "--out", str(tmp_path / "b.jsonl")], shares.append)
    assert found["num"] == 2 and (tmp_path / "b.jsonl").read_text().count("\n") == 2
    assert shares == sorted(shares) and all(0 <= share <= 1 for share in shares)


def test_what_the_user_can_mend_is_the_commands_sentence(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^num: got 0, expected at least 1\.$"):
        ask(["build", str(trained.folder.path), "--num", "0", "--out", str(tmp_path / "b.jsonl")])


def test_a_command_that_breaks_off_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking.sys, "executable", "/bin/false")
    with pytest.raises(RunError, match=r"command: it broke off with status 1 \(no message\)"):
        ask(["inspect", "x"])


def test_given_up_it_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(command: list[str], **more: object) -> "subprocess.Popen[bytes]":
        started.append(popen([sys.executable, "-c", "import time; time.sleep(600)"], **more))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(asking.subprocess, "Popen", start)

    def click(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(["inspect", "x"], click)
    assert started[0].returncode is not None and not psutil.pid_exists(started[0].pid)
