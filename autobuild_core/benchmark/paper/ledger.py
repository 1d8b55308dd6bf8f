"""The folder of an experiment: its picks, its measurements and what its predictors said, so that nothing is done twice.

`picks.json` is written before anything that it names is measured, and what stands there is never chosen anew; `found.json` has
what predictors said. Lines of results are those of `evaluate`. One process at a time works in the folder of an experiment.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from autobuild_core.errors import Cancelled, ConfigError, listed
from autobuild_core.evaluators import load_evaluator
from autobuild_core.evaluators._batch import Report, ask, run_batch
from autobuild_core.evaluators._executors import executor_for
from autobuild_core.evaluators._results import FINISHED, Asked, Line, ResultsFile, Setting, key_of, metrics_of
from autobuild_core.store.tables import write_json

SELECTION_SEED = 0  # of the training by which an arm chooses among its ten
UNSEEN_SEEDS = (100, 101, 102, 103, 104)  # of the trainings that judge: neither labels nor selections have one of them
CONDITIONS = ("evaluator", "version", "budget", "data", "device")


@dataclass(frozen=True)
class Settings:
    """The settings of all experiments.

    Args:
        samples: folder of the sample data.
        budget: of every training; None = the evaluator's own.
        draws: of the evaluated part in the experiment on diffusion.
        seeds: of the trainings of predictors in the experiment on hops.
        members: size of an ensemble; None = by the data's size.
        steps: of its training; None = by the data's size.
        epochs: of the published recipe; None = its own 200.
        threads: of a predictor's training.
        device: that trainings run on.
        scheduler: of Dask, whose workers train; None = what AUTOBUILD_DASK_SCHEDULER says.
    """

    samples: Path
    budget: int | None = None
    draws: int = 20
    seeds: int = 5
    members: int | None = None
    steps: int | None = None
    epochs: int | None = None
    threads: int = 1
    device: str = "cpu"
    scheduler: str | None = None

    def __post_init__(self) -> None:
        for name in ("draws", "seeds"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: got {getattr(self, name)}, expected at least 1.")


class Ledger:
    """The folder of an experiment; made when it is not there.

    Args:
        folder: the folder.
        settings: of the experiment.
        report: hears progress.
        should_stop: asked at every step.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        report: Report = lambda record: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder, self.settings, self.report, self.should_stop = folder, settings, report, should_stop
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{folder}: got {error.strerror}, expected a place where a folder can be made.") from error

    def keep_to(self, **facts: Any) -> None:
        """Writes down what decides picks beside the code, or compares it with what stands there.

        Raises:
            ConfigError: the folder holds the experiment with other settings or data.
        """
        own = self.settings
        facts |= {"members": own.members, "steps": own.steps, "epochs": own.epochs}
        for name, value in facts.items():
            if (known := self._once("settings.json", name, partial(str, value))) != str(value):
                raise ConfigError(f"{self.folder}: got an experiment with {name} {known}, expected {value}; name another folder.")

    def pick(self, name: str, choose: Callable[[], Any]) -> Any:
        """The pick of this name: what stands in picks.json, else what is chosen now, once it stands there."""
        return self._once("picks.json", name, choose)

    def found(self, name: str, find: Callable[[], Any]) -> Any:
        """The finding of this name: what stands in found.json, else what is found now."""
        return self._once("found.json", name, find)

    def _once(self, file: str, name: str, make: Callable[[], Any]) -> Any:
        """The value of a name in a JSON file, made and written where it is not there."""
        path = self.folder / file
        known = self._read(path)
        if name not in known:
            if self.should_stop():
                raise Cancelled
            self.report({"phase": f"{self.folder.name}: {name}", "share": 0.0})
            made = make()
            known = self._read(path) | {name: made}
            write_json(path, known)
            known = self._read(path)  # so that it is the same now as when it is read later
        return known[name]

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        """The names and values of a file.

        Raises:
            ConfigError: it is damaged.
        """
        try:
            known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: got a file that cannot be read ({error}), expected JSON; name another folder.") from error
        return known

    def measure(self, file: str, evaluator: str, archs: Sequence[Any], seeds: Iterable[int]) -> "Measurements":
        """The measurements of architectures with seeds; those that are in the file are not made again.

        Raises:
            Cancelled: it was to stop; what was finished is in the file.
            ConfigError: the file holds measurements of other conditions.
        """
        return self._measure(ResultsFile(self.folder / f"{file}.jsonl"), evaluator, ask(archs, seeds), self.settings.budget)

    def rounds(self, file: str, evaluator: str, archs: Sequence[Any], budget: int | None = None) -> "Measurements":
        """The measurements of architectures in rounds over all of them, which a process that was killed begins anew."""
        results, asked = ResultsFile(self.folder / f"{file}.jsonl"), ask(archs, (0,))
        if not {one.key for one in asked} <= {key_of(line) for line in results.read()}:
            results.path.unlink(missing_ok=True)
        return self._measure(results, evaluator, asked, budget)

    def _measure(self, results: ResultsFile, name: str, asked: Sequence[Asked], budget: int | None) -> "Measurements":
        """The measurements that are asked for."""
        evaluator = load_evaluator(name)
        setting = Setting(name, evaluator.budget_or(budget), self.settings.device)
        executor = executor_for(self.settings.scheduler)
        lines = run_batch(evaluator, asked, setting, results, self._say, self.should_stop, executor)
        return Measurements({key_of(line): line for line in lines})

    def _say(self, record: Mapping[str, object]) -> None:
        """Reports how far a batch is, with the experiment's name."""
        self.report(dict(record) | {"phase": f"{self.folder.name}: {record['phase']}"})

    def conditions(self) -> list[dict[str, Any]]:
        """One record for all lines of the folder with the same conditions: these, how many there are, and their seconds."""
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for _, line in self._lines():
            own = {name: line[name] for name in CONDITIONS}
            record = found.setdefault(tuple(own.values()), own | {"evaluations": 0, "hours": 0.0})
            record["evaluations"] += 1
            record["hours"] += line["seconds"] / 3600
        return list(found.values())

    def remarks(self) -> list[dict[str, Any]]:
        """A record for every remark that lines of a file carry: the file, on how many lines, the remark."""
        counts = Counter((file, line["remark"]) for file, line in self._lines() if line.get("remark"))
        return [{"file": file, "evaluations": count, "remark": remark} for (file, remark), count in counts.items()]

    def _lines(self) -> Iterator[tuple[str, Line]]:
        """All lines of the folder, each with the name of its file."""
        for path in sorted(self.folder.glob("*.jsonl")):
            yield from ((path.name, line) for line in ResultsFile(path).read())


def asked_for(names: Sequence[str], known: Mapping[str, object]) -> list[str]:
    """The names of experiments that are asked for; none = all that are known.

    Raises:
        ConfigError: there is none of a name.
    """
    for name in names:
        if name not in known:
            raise ConfigError(f"experiment: got '{name}', expected some of {listed(known)}.")
    return list(names or known)


class Measurements:
    """Lines of results, by architecture and seed.

    Args:
        lines: by `key_of`.
    """

    def __init__(self, lines: dict[tuple[str, int], Line]) -> None:
        self.lines = lines

    def of(self, arch: Any, seed: int = 0) -> dict[str, float]:
        """The metrics of an architecture with a seed; {} where its evaluation failed."""
        line = self.lines[Asked(arch, seed).key]
        return {name: float(line[name]) for name in metrics_of(line)} if line["state"] == FINISHED else {}
