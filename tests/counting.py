"""A kind of job in one file, as a user would write it: counts, waits to be cancelled, and resumes from what it wrote."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autobuild_core import registry
from autobuild_core.jobs import kinds, warm

SOURCE = '''
"""Counting."""

import os
import time
from dataclasses import dataclass

import pandas as pd

from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.jobs.kinds import JobKind
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import JobSettings


@dataclass(frozen=True)
class CountSettings(JobSettings):
    limit: int = 4
    waits_at: int = 2

    def __post_init__(self):
        super().__post_init__()
        if self.limit < 1:
            raise ConfigError(f"limit: got {self.limit}, expected at least 1.")


class Count(JobKind[CountSettings]):
    title, noun, settings_type, resumes = "Counting", "count", CountSettings, True

    def run(self, folder, settings, report, should_stop):
        counted = self._counted(folder)
        waited = bool(counted)
        while len(counted) < settings.limit:
            if len(counted) == settings.waits_at and not waited:
                while not should_stop():
                    time.sleep(0.02)
                raise Cancelled
            counted.append([len(counted) + 1, os.getpid()])
            folder.write_json("count.json", counted)
            report({"step": len(counted), "num_steps": settings.limit})

    def progress(self, record):
        step, total = record.get("step", 0), record.get("num_steps", 1)
        return JobProgress(step / total, f"Counted to {step}")

    def row(self, folder, settings):
        counted = self._counted(folder)
        return RunRow(aim=f"count to {settings.limit}", result=f"{len(counted)} counted" if counted else "")

    def result(self, folder):
        return pd.DataFrame(self._counted(folder), columns=["number", "process"])

    def _counted(self, folder):
        return folder.read_json("count.json") if (folder.path / "count.json").exists() else []
'''


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The kind in a folder of its own, found by this process and by workers; its name."""
    place = tmp_path / "extensions" / "jobs" / "kinds"
    place.mkdir(parents=True)
    (place / "count.py").write_text(SOURCE)
    monkeypatch.setenv(registry.EXTENSIONS, os.pathsep.join(["/nowhere", str(tmp_path / "extensions")]))
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__])
    monkeypatch.setitem(sys.modules, "autobuild_core.jobs.kinds.count", None)
    monkeypatch.delitem(sys.modules, "autobuild_core.jobs.kinds.count")
    _forget()
    yield "count"
    _forget()


def _forget() -> None:
    """What a process works out once holds for one set of extensions."""
    kinds.load_kind.cache_clear()
    warm._code_stamp.cache_clear()
