"""Searching: a searcher proposes, an evaluator measures; what was measured is kept whatever happens, and a search goes on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import pandas as pd

from autobuild_core.architectures.names import native_text
from autobuild_core.architectures.records import SpaceSpec
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.evaluators import load_evaluator
from autobuild_core.evaluators._batch import in_words
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.evaluators._searching import DEFAULT_NUM, SearchPlan, run_search
from autobuild_core.jobs.kinds import JobKind, OnDataSettings, Report
from autobuild_core.jobs.kinds.evaluate import RESULTS
from autobuild_core.search.searchers import DEFAULT_SEARCHER, searcher_class
from autobuild_core.spaces import Space, load_space
from autobuild_core.store.entries import RunRow
from autobuild_core.store.queue import JobProgress
from autobuild_core.store.run_folder import RunFolder

FOUND = "found.parquet"  # one row a network, as `Found.table` has them


@dataclass(frozen=True)
class SearchSettings(OnDataSettings):
    """The settings of a search; those that `SearchPlan` has too are explained there.

    Args:
        evaluator, target, minimize, second, minimize_second, reference, searcher, settings, num, seed, seeds, first_seed, budget,
            device, seconds: of the search.
        space: its spec as JSON; "" = that of the data in the run's folder.

    Raises:
        ConfigError: a setting does not do.
        TargetError: the target is no equation over the evaluator's metrics.
    """

    evaluator: str = ""
    space: str = ""
    target: str = ""
    minimize: bool = False
    second: str = ""
    minimize_second: bool = False
    reference: tuple[float, ...] = ()
    searcher: str = DEFAULT_SEARCHER
    settings: Mapping[str, int] = field(default_factory=dict)
    num: int = DEFAULT_NUM
    seed: int = 0
    seeds: int = 1
    first_seed: int = 0
    budget: int | None = None
    device: str = "cpu"
    seconds: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "reference", tuple(self.reference))
        _ = self.plan
        if self.space:
            self.space_of(None)

    @property
    def plan(self) -> SearchPlan:
        """The search."""
        return SearchPlan(**{one.name: getattr(self, one.name) for one in fields(SearchPlan)})

    def space_of(self, folder: RunFolder | None) -> Space:
        """The space that is searched.

        Args:
            folder: of the run, which may hold data.

        Raises:
            ConfigError: there is none, or its spec cannot be read.
        """
        if self.space:
            try:
                return load_space(SpaceSpec.from_json(self.space))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ConfigError(f"space: got a spec that cannot be read ({type(error).__name__}), expected one.") from None
        try:
            assert folder is not None
            return load_space(folder.table().spec)
        except RunError:
            raise ConfigError("space: got neither a spec nor data, expected a space to search.") from None


class Search(JobKind[SearchSettings]):
    """A search; results.jsonl has a line for each evaluation."""

    title = "Search"
    noun = "search"
    settings_type = SearchSettings
    resumes = True

    def run(self, folder: RunFolder, settings: SearchSettings, report: Report, should_stop: Callable[[], bool]) -> None:
        found = run_search(settings.space_of(folder), settings.plan, self._results(folder), report, should_stop)
        table = found.table()
        table["arch"] = table["arch"].map(native_text)
        folder.write_frame(FOUND, table)
        folder.write_json("found.json", found.summary())

    def progress(self, record: Mapping[str, Any]) -> JobProgress:
        if not record:
            return JobProgress(0.0, "Starting: loading the libraries.")
        step, total = int(record["step"]), max(int(record["num_steps"]), 1)
        best = f", best {record['best']:.6g}" if record.get("best") is not None else ""
        return JobProgress(float(record["share"]), f"Searching, {step:,} of {total:,} networks{best}", record.get("seconds_left"))

    def row(self, folder: RunFolder, settings: SearchSettings) -> RunRow:
        by = searcher_class(settings.searcher).title
        aim = " and ".join(aim.words for aim in settings.plan.aims(load_evaluator(settings.evaluator)))
        lines = self._results(folder).read()
        said = in_words(lines) if lines else ""
        if (folder.path / "found.json").exists() and (best := folder.read_json("found.json")["best"]):
            said += f", best {best['value']:.6g}"
        return RunRow(f"{by}: {aim}", said, *settings.data, seed=settings.seed)

    def result(self, folder: RunFolder) -> pd.DataFrame:
        return folder.read_frame(FOUND) if (folder.path / FOUND).exists() else pd.DataFrame()

    @staticmethod
    def _results(folder: RunFolder) -> ResultsFile:
        return ResultsFile(folder.path / RESULTS)
