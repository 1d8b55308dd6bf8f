"""Kinds of jobs: one file each. A kind says what it is asked, does it in a worker, and says how that is shown.

Queue, cancelling, lost and resumed runs, restarts of the server and the warm start are the same for all (executor.py, worker.py).
A file is imported by the app process, for its words: what computes, and needs torch or scipy, is imported late, in `run`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Generic, TypeVar

import pandas as pd

from autobuild_core import registry
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import ConfigError, RunError, StudioError
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import JobSettings, RunFolder
from autobuild_core.store.workspace import Workspace

FOLDER = "jobs/kinds"
Report = Callable[[Mapping[str, object]], None]  # hears what a job says of how far it is
S = TypeVar("S", bound=JobSettings)
P = TypeVar("P")  # a plan


@dataclass(frozen=True)
class OnDataSettings(JobSettings):
    """Settings of a job on a data set of the workspace, under which it is listed.

    Args:
        data_name, data_hash, data_version: of the data set; "" where the job is on none.
    """

    data_name: str = ""
    data_hash: str = ""
    data_version: int = 1

    @property
    def data(self) -> tuple[str, str, int]:
        """(data_name, data_hash, data_version), as `RunRow` has them."""
        return self.data_name, self.data_hash, self.data_version


@dataclass(frozen=True)
class PlannedSettings(JobSettings, Generic[P]):
    """Settings of a job that has a plan, a dataclass that checks itself; `read` makes it.

    Args:
        plan: fields of the plan that differ from its own.

    Raises:
        ConfigError: a setting does not do.
    """

    plan: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.made

    @cached_property
    def made(self) -> P:
        """The plan."""
        return self.read(self.plan)

    @staticmethod
    def read(plan: Mapping[str, Any]) -> P:
        """The plan from its fields.

        Raises:
            ConfigError: one is unknown or does not do.
        """
        raise NotImplementedError


class JobKind(ABC, Generic[S]):
    """One kind of job.

    `title` names it for people, with a capital; `noun` stands in sentences ("The training was not heard of").
    `settings_type` is a frozen dataclass derived from JobSettings that checks itself. `resumes`: a run that was stopped goes
    on from what it wrote. `preloaded` are modules that the warm supervisor loads for it.
    """

    title: str
    noun: str
    settings_type: type[S]
    resumes: bool = False
    preloaded: tuple[str, ...] = ()

    @abstractmethod
    def run(self, folder: RunFolder, settings: S, report: Report, should_stop: Callable[[], bool]) -> None:
        """Does the job in a worker; a kind that resumes goes on from what is in the folder already.

        Args:
            folder: of the run; results are files in it.
            settings: as they were asked for.
            report: hears progress records, lines of progress.jsonl.
            should_stop: asked at every step.

        Raises:
            Cancelled: should_stop said so; what was finished is in the folder.
            StudioError: data or settings do not do.
        """

    @abstractmethod
    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        """The newest progress record in words; {} before the first."""

    @abstractmethod
    def row(self, folder: RunFolder, settings: S) -> RunRow:
        """The row of a run in lists: when it is asked for, whose folder is still empty, and again when it has ended."""

    def result(self, folder: RunFolder) -> pd.DataFrame:
        """The result of a finished run as a table to show; without columns where pages of its own show it."""
        return pd.DataFrame()

    def settings(self, raw: Mapping[str, Any]) -> S:
        """Settings from JSON, checked.

        Raises:
            ConfigError: one is unknown, missing or out of range.
        """
        try:
            return self.settings_type(**raw)
        except TypeError as error:
            raise ConfigError(f"settings of a {self.noun}: got {', '.join(raw)}, expected others ({error}).") from error

    def settings_of(self, folder: RunFolder) -> S:
        """The settings of a run.

        Raises:
            RunError: its config.json is missing or damaged.
        """
        try:
            return self.settings(folder.job.settings)
        except ConfigError as error:
            place = folder.path / "config.json"
            raise RunError(f"{place}: got settings that cannot be used ({error}): mend that, or delete the run.") from error


@cache
def load_kind(name: str) -> JobKind[Any]:
    """A kind of job by its file name; imports nothing heavy.

    Raises:
        ConfigError: there is none of that name.
    """
    return registry.load(FOLDER, name, JobKind)()  # type: ignore[type-abstract]


def noun_of(name: str) -> str:
    """The word for a job in sentences; "job" where the kind's file is gone."""
    try:
        return load_kind(name).noun
    except StudioError:
        return "job"


def add(workspace: Workspace, kind: str, table: ArchTable | None = None, **settings: Any) -> str:
    """Makes a run of any kind; `Executor.submit` then puts it in the queue.

    Args:
        workspace: where the run will be.
        kind: file in jobs/kinds.
        table: data that the job reads.
        settings: fields of the kind's settings; its id is given here.

    Returns:
        The id of the run.

    Raises:
        ConfigError: there is no such kind, a setting does not do, or the disk is full.
    """
    made = load_kind(kind)
    checked = made.settings(settings)
    empty = RunFolder(workspace.path / "runs" / ".none")
    return workspace.add_job(kind, checked, made.row(empty, checked), table)
