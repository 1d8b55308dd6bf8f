"""Checks that every kind of job must pass."""

import dataclasses
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds import JobKind
from autobuild_core.store.run_folder import JobSettings, RunFolder
from autobuild_core.testing.examples import chain_space, table_of


class JobKindSuite:
    """Checks of a kind of job, found by its name: its words, its settings, that it is light, and that it stops when asked.

    Derive a class, say which kind and give settings of a job of it; `table`, where the job reads another than the one here:

        class TestMine(JobKindSuite):
            @pytest.fixture
            def name(self) -> str:
                return "mine"

            @pytest.fixture
            def settings(self) -> JobSettings:
                return MySettings(name="a job", limit=4)
    """

    @pytest.fixture
    def name(self) -> str:
        """Name of the kind."""
        raise NotImplementedError

    @pytest.fixture
    def settings(self) -> JobSettings:
        """Settings of a job."""
        raise NotImplementedError

    @pytest.fixture
    def table(self) -> ArchTable:
        """The data that a job may read: sixty architectures with `acc` and `flops`."""
        return table_of(chain_space())

    @pytest.fixture
    def kind(self, name: str) -> JobKind[Any]:
        """The kind."""
        return kinds.load_kind(name)

    @pytest.fixture
    def folder(self, name: str, settings: JobSettings, table: ArchTable, tmp_path: Path) -> RunFolder:
        """The folder of a job that nobody has begun."""
        return RunFolder(tmp_path / "run").create(settings, table, name)

    def test_it_has_its_words_and_frozen_settings(self, kind: JobKind[Any]) -> None:
        assert kind.title[0].isupper() and kind.noun.islower() and isinstance(kind.resumes, bool)
        assert issubclass(kind.settings_type, JobSettings)
        assert vars(kind.settings_type)["__dataclass_params__"].frozen
        with pytest.raises(ConfigError, match=f"settings of a {kind.noun}: got nonsense"):
            kind.settings({"nonsense": 1})

    def test_its_words_of_a_new_run(self, kind: JobKind[Any], folder: RunFolder, settings: JobSettings) -> None:
        assert kind.settings_of(folder) == settings == kind.settings(dataclasses.asdict(settings))
        come, row = kind.progress({}), kind.row(folder, settings)
        assert come.share == 0 and come.words and row.aim and not row.result
        assert kind.result(folder).empty

    def test_importing_it_is_light(self, kind: JobKind[Any]) -> None:
        place = f"import sys; sys.path[:] = {sys.path!r}; "
        code = f"import {type(kind).__module__}; heavy = ('torch', 'scipy', 'sklearn', 'streamlit'); "
        code += "print([m for m in heavy if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", place + code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_it_stops_when_it_is_asked_to(self, kind: JobKind[Any], folder: RunFolder, settings: JobSettings) -> None:
        records: list[Mapping[str, object]] = []
        with pytest.raises(Cancelled):
            kind.run(folder, settings, records.append, lambda: True)
        shares = [kind.progress(record).share for record in records]
        assert shares == sorted(shares) and all(0 <= share <= 1 for share in shares)
