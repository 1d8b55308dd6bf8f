"""A batch of evaluations: which are asked for, which are done, how far it is; what the command and the job call."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autobuild_core.architectures.records import Rejection
from autobuild_core.datasets.json_lines import read_lines
from autobuild_core.errors import ConfigError, DataError, counted
from autobuild_core.evaluators import Evaluator, Watch
from autobuild_core.evaluators._executors import Executor, executor_for, measure_all
from autobuild_core.evaluators._results import FINISHED, Asked, Line, ResultsFile, Setting, key_of, metrics_of

Report = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True)
class Candidates:
    """The architectures of a file.

    Args:
        archs: each once, in native encodings.
        ids: of each, "" where it has none.
        rejected: lines that have none.
    """

    archs: tuple[Any, ...]
    ids: tuple[str, ...] = ()
    rejected: tuple[Rejection, ...] = ()


def read_candidates(path: Path) -> Candidates:
    """The architectures of JSON lines, as `build` and `suggest` write them: what stands under "arch", with its "id".

    Raises:
        DataError: the file cannot be opened, or no line has an architecture.
    """
    found: dict[str, tuple[Any, str]] = {}
    rejected = []
    for number, row in enumerate(read_lines(path)):
        if isinstance(row, DataError) or row.get("arch") in (None, ""):
            reason = str(row) if isinstance(row, DataError) else "got no arch, expected an architecture."
            rejected.append(Rejection(number, reason))
            continue
        found.setdefault(Asked(row["arch"], 0).key[0], (row["arch"], str(row.get("id", ""))))
    if not found:
        said = f"; line 0: {rejected[0].reason}" if rejected else ""
        raise DataError(f"{path.name}: got no architecture, expected JSON lines with arch{said}")
    archs, ids = zip(*found.values(), strict=True)
    return Candidates(archs, ids, tuple(rejected))


def ask(archs: Sequence[Any], seeds: Iterable[int], ids: Sequence[str] = ()) -> list[Asked]:
    """Every architecture once with every seed, all of a seed before the next."""
    named = list(zip(archs, ids or [""] * len(archs), strict=True))
    every = [Asked(arch, seed, own) for seed in seeds for arch, own in named]
    return list({one.key: one for one in reversed(every)}.values())[::-1]


def run_batch(
    evaluator: Evaluator,
    asked: Sequence[Asked],
    setting: Setting,
    results: ResultsFile,
    report: Report = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    executor: Executor | None = None,
) -> list[Line]:
    """Measures what is not yet in a file of results; every line is written as soon as it is known.

    Args:
        evaluator: the evaluator.
        asked: evaluations.
        setting: conditions of all of them.
        results: what is there already, and where lines go.
        report: hears {"phase", "step": evaluations that are done, "num_steps", "share", "seconds_left"}, and the metrics of the
            last epoch.
        should_stop: asked at every step.
        executor: who measures; None = this process.

    Returns:
        The lines of the evaluations that were asked for, in the order of the file.

    Raises:
        Cancelled: should_stop said so; what was finished is in the file.
        ConfigError: the file holds measurements of other conditions, or cannot be written.
    """
    before = results.read()
    check_same(before, evaluator, setting, results.path)
    wanted = {one.key for one in asked}
    done = {key_of(line) for line in before} & wanted
    left = [one for one in asked if one.key not in done]
    start, finished = time.monotonic(), 0

    def say(part: float = 0.0, metrics: Mapping[str, float] | None = None) -> None:
        spent, come = time.monotonic() - start, finished + part
        seconds_left = spent / come * (len(left) - come) if come else None
        count = len(done) + finished
        record = {
            "phase": "evaluating",
            "step": count,
            "num_steps": len(asked),
            "share": (len(done) + come) / max(len(asked), 1),
            "seconds_left": seconds_left,
        }
        report(record | ({"metrics": dict(metrics)} if metrics else {}))

    def watch(one: Asked) -> Watch:
        def epoch(metrics: Mapping[str, float]) -> None:
            say(min(metrics.get("step", 0.0) / max(setting.budget, 1), 1.0), metrics)

        return Watch(epoch, should_stop, setting.seconds)

    say()
    try:
        with closing(measure_all(evaluator, left, setting, watch, executor)) as lines:
            for line in lines:
                results.append([line])
                finished += 1
                say()
    finally:
        evaluator.close()
    return [line for line in results.read() if key_of(line) in wanted]


def evaluate(
    candidates: Candidates,
    evaluator: Evaluator,
    name: str,
    out: Path,
    seeds: int = 1,
    first_seed: int = 0,
    budget: int | None = None,
    device: str = "cpu",
    seconds: float | None = None,
    report: Report = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    scheduler: str | None = None,
) -> list[Line]:
    """Measures every candidate with every seed into a file, as a user asks for it.

    Args:
        candidates: what is measured.
        evaluator: the evaluator.
        name: by which it was asked for.
        out: file of results.
        seeds: measurements of each candidate; one where a seed changes nothing.
        first_seed: the others follow.
        budget: of every measurement; None = the evaluator's own.
        device: "cpu" or "cuda".
        seconds: that one may take; None = as long as it takes.
        report, should_stop: as `run_batch` has them.
        scheduler: of Dask, whose workers measure; as `executor_for` has it.

    Raises:
        ConfigError: a setting does not do.
        Cancelled: should_stop said so.
    """
    if seeds < 1 or first_seed < 0:
        raise ConfigError(f"seeds: got {seeds} from {first_seed}, expected at least 1, from 0 on.")
    if seconds is not None and seconds <= 0:
        raise ConfigError(f"seconds: got {seconds}, expected more than 0.")
    setting = Setting(name, evaluator.budget_or(budget), device, seconds)
    chosen = range(first_seed, first_seed + (seeds if evaluator.by_seed else 1))
    asked = ask(candidates.archs, chosen, candidates.ids)
    return run_batch(evaluator, asked, setting, ResultsFile(out), report, should_stop, executor_for(scheduler))


def check_same(lines: Iterable[Line], evaluator: Evaluator, setting: Setting, path: Path) -> None:
    """Returns when the lines of a file were measured under the same conditions.

    Raises:
        ConfigError: they were not.
    """
    own = {"evaluator": setting.name, "version": evaluator.version, "data": evaluator.data(), "budget": setting.budget}
    for line in lines:
        for name, value in (own | {"device": setting.device}).items():
            if line.get(name) != value:
                got = f"measurements with {name} {line.get(name)}"
                raise ConfigError(f"{path}: got {got}, expected {value} as asked; name another file.")


def summary(lines: Sequence[Line], evaluator: Evaluator) -> dict[str, Any]:
    """The outcome of a batch: {"num", "failed", "best"}; best by the evaluator's first metric, mean over seeds."""
    fine = [line for line in lines if line["state"] == FINISHED]
    about: dict[str, Any] = {"num": len(lines), "failed": len(lines) - len(fine), "best": None}
    if fine and (metric := first_metric(fine[0], evaluator)):
        means: dict[str, list[float]] = {}
        archs = {key_of(line)[0]: line["arch"] for line in fine}
        for line in fine:
            means.setdefault(key_of(line)[0], []).append(float(line[metric]))
        choose = min if evaluator.minimizes(metric) else max
        key = choose(means, key=lambda one: sum(means[one]) / len(means[one]))
        about["best"] = {"arch": archs[key], metric: sum(means[key]) / len(means[key]), "seeds": len(means[key])}
    remarks = list(dict.fromkeys(str(line["remark"]) for line in fine if line.get("remark")))
    return about | ({"remarks": remarks[:5]} if remarks else {})


def first_metric(line: Line, evaluator: Evaluator) -> str:
    """The metric by which architectures are compared unasked; "" where a line has none."""
    names = [name for name in (*evaluator.metrics, *metrics_of(line)) if name in line]
    return names[0] if names else ""


def in_words(lines: Sequence[Line]) -> str:
    """The outcome for a reader: "32 measured, 1 failed"."""
    failed = sum(line["state"] != FINISHED for line in lines)
    said = f"{counted(len(lines) - failed, 'evaluation')} measured"
    return said + (f", {failed:,} failed" if failed else "")
