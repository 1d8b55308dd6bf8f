"""A search by evaluations: a searcher proposes, an evaluator measures, a target judges; what the command and the job call."""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError, TargetError
from autobuild_core.evaluators import Evaluator, Watch, check_device, load_evaluator
from autobuild_core.evaluators._batch import Report, ask, check_same
from autobuild_core.evaluators._executors import measure_all
from autobuild_core.evaluators._results import FINISHED, Asked, Line, ResultsFile, Setting, key_of, metrics_of
from autobuild_core.search.dominance import anytime_volume, on_front
from autobuild_core.search.searchers import DEFAULT_SEARCHER, check_settings, searcher_class
from autobuild_core.search.searching import search
from autobuild_core.spaces import Space
from autobuild_core.targets.aim import Aim
from autobuild_core.targets.equation import Target

DEFAULT_NUM = 100
FIRST = 10  # networks with both targets that the reference of a hypervolume is taken from, unless it is given
PATIENCE = 5  # networks without a metric of the target, before an evaluator that declares none is said not to measure it


@dataclass(frozen=True)
class SearchPlan:
    """A search as it is asked for.

    Args:
        evaluator: by name.
        target: equation over its metrics; "" = the metric that it is judged by first.
        minimize: smaller targets are better; that of a bare metric follows from its name where `target` is "".
        second: equation of a second target, where a Pareto front is searched for; "" = none.
        minimize_second: smaller second targets are better, as they are of a loss or a cost anyway.
        reference: of the hypervolume, a value of each target; () = the worst of the first FIRST networks that have both.
        searcher: file in search/searchers/.
        settings: of the searcher, where they differ from its own.
        num: networks to evaluate, at most.
        seed: of the search.
        seeds: evaluations of each network.
        first_seed: of the evaluations; the others follow.
        budget: of every evaluation; None = the evaluator's own.
        device: "cpu" or "cuda".
        seconds: that one evaluation may take; None = as long as it takes.

    Raises:
        ConfigError: a setting does not do.
        TargetError: the target is no equation over the evaluator's metrics.
    """

    evaluator: str
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
        for name, least in (("num", 1), ("seed", 0), ("seeds", 1), ("first_seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name.replace('_', ' ')}: got {getattr(self, name)}, expected at least {least}.")
        if self.seconds is not None and self.seconds <= 0:
            raise ConfigError(f"seconds: got {self.seconds}, expected more than 0.")
        check_settings(searcher_class(self.searcher), self.settings)
        made = load_evaluator(self.evaluator)
        made.budget_or(self.budget)
        if not (self.target or made.metrics):
            raise ConfigError(f"target: got none, expected an equation over the metrics that {self.evaluator} gives.")
        for expression in filter(None, (self.target, self.second)):
            target = Target(expression)
            if made.metrics:
                target.check(list(made.metrics))
        if self.reference and (len(self.reference) != 2 or not self.second or not np.isfinite(self.reference).all()):
            raise ConfigError(f"reference: got {list(self.reference)}, expected a number for each of two targets.")

    def aims(self, evaluator: Evaluator) -> tuple[Aim, ...]:
        """The target with its direction, and the second where there is one."""
        if self.target:
            first = Aim(self.target, self.minimize)
        else:
            first = Aim(evaluator.metrics[0], self.minimize or evaluator.minimizes(evaluator.metrics[0]))
        second = Aim(self.second, self.minimize_second or evaluator.minimizes(self.second))
        return (first, second) if self.second else (first,)


@dataclass(frozen=True, eq=False)
class Found:
    """The outcome of a search.

    Args:
        archs: the networks that were evaluated, in their order, in native encodings.
        lines: of each, one a seed.
        values: (n, 1 or 2) of each its targets, from the mean over seeds; NaN where it has none, as its evaluations failed.
        aims: the targets.
        reference: (2,) of the hypervolume, in the targets' units, where there are two.
        ended: why it ended before it had as many networks as were asked for, a sentence; "" where it has them.
    """

    archs: tuple[Any, ...]
    lines: tuple[tuple[Line, ...], ...]
    values: NDArray[np.float64]
    aims: tuple[Aim, ...]
    reference: tuple[float, ...] = ()
    ended: str = ""

    @property
    def aim(self) -> Aim:
        """The first target."""
        return self.aims[0]

    @property
    def losses(self) -> NDArray[np.float64]:
        """(n, 1 or 2) the targets turned so that smaller is better."""
        return turned(self.values, self.aims)

    @property
    def on_front(self) -> NDArray[np.bool_]:
        """(n,) which networks no other exceeds in all targets."""
        known, kept = np.isfinite(self.values).all(1), np.zeros(len(self.values), bool)
        kept[known] = on_front(self.losses[known][:, [0, -1]])
        return kept

    def best_so_far(self) -> NDArray[np.float64]:
        """(n,) the best target after every network, NaN before the first; of two targets the hypervolume of all until then."""
        if self.reference:
            return anytime_volume(self.losses, turned(np.array(self.reference), self.aims))
        better = np.fmin if self.aim.minimize else np.fmax
        best: NDArray[np.float64] = better.accumulate(self.values[:, 0])
        return best

    def anytime(self) -> list[tuple[int, float]]:
        """(networks evaluated, best target so far) wherever it became better, and at the end."""
        best = self.best_so_far()
        known = np.flatnonzero(np.isfinite(best)).tolist()
        steps = [n for n in known if n == known[0] or best[n] != best[n - 1]]
        steps += [len(best) - 1] if steps and steps[-1] < len(best) - 1 else []
        return [(n + 1, float(best[n])) for n in steps]

    def table(self) -> pd.DataFrame:
        """One row a network: arch, value, best (so far), state, and the mean of each metric over seeds.

        Of two targets also second and on_front, and in the place of best the hypervolume so far.
        """
        about: dict[str, Any] = {"arch": list(self.archs), "value": self.values[:, 0]}
        if self.reference:
            about |= {"second": self.values[:, 1], "on_front": self.on_front, "hypervolume": self.best_so_far()}
        else:
            about["best"] = self.best_so_far()
        frame = pd.DataFrame(about | {"state": [_state(lines) for lines in self.lines]})
        means = pd.DataFrame([_means(lines) for lines in self.lines], index=frame.index)
        return frame.join(means.rename(columns={name: f"{name}_measured" for name in frame}))

    def summary(self) -> dict[str, Any]:
        """The outcome ready for JSON: num (networks), num_evaluated (evaluations), failed, target, best, anytime, ended.

        Of two targets also second, front, reference and hypervolume, which anytime is then about.
        """
        failed = int((~np.isfinite(self.values)).any(1).sum())
        about: dict[str, Any] = {"num": len(self.archs), "num_evaluated": sum(map(len, self.lines)), "failed": failed}
        about |= {"target": self.aim.expression, "minimize": self.aim.minimize, "best": None, "anytime": self.anytime()}
        turned_first = self.losses[:, 0]
        if np.isfinite(turned_first).any():
            about["best"] = self._record(int(np.nanargmin(turned_first)))
        if self.reference:
            front = np.flatnonzero(self.on_front)
            places = front[np.argsort(turned_first[front], kind="stable")]
            about |= {"second": self.aims[1].expression, "minimize_second": self.aims[1].minimize}
            about |= {"front": [self._record(place) for place in places.tolist()], "reference": list(self.reference)}
            about["hypervolume"] = about["anytime"][-1][1] if about["anytime"] else None
        return about | ({"ended": self.ended} if self.ended else {})

    def _record(self, place: int) -> dict[str, Any]:
        """A network ready for JSON."""
        means = _means(self.lines[place])
        about = {"arch": self.archs[place], "value": float(self.values[place, 0]), "metrics": means}
        return about | ({"second": float(self.values[place, 1])} if self.reference else {})


class Evaluations:
    """The evaluations of a search: those that are in a file already, and others as they are asked for.

    Args:
        space: that is searched.
        plan: the search.
        results: what is there already, and where lines go.
        report: hears {"phase", "step": networks that are done, "num_steps", "share", "seconds_left", "best"}.
        should_stop: asked at every step of an evaluation.

    Raises:
        ConfigError: the evaluator does not measure the space, or the file holds another search.
    """

    def __init__(
        self, space: Space, plan: SearchPlan, results: ResultsFile, report: Report, should_stop: Callable[[], bool]
    ) -> None:
        self.space, self.plan, self.results, self.report, self.should_stop = space, plan, results, report, should_stop
        self.evaluator = load_evaluator(plan.evaluator)
        self.aims = plan.aims(self.evaluator)
        budget, device = self.evaluator.budget_or(plan.budget), check_device(plan.device)
        self.setting = Setting(plan.evaluator, budget, device, plan.seconds)
        self.seeds = range(plan.first_seed, plan.first_seed + (plan.seeds if self.evaluator.by_seed else 1))
        if why_not := self.evaluator.supports(space):
            raise ConfigError(f"evaluator: got {plan.evaluator}, which does not measure this space: {why_not}")
        self.words = in_a_line(space, plan, self.aims, self.seeds)
        before = results.read()
        check_same(before, self.evaluator, self.setting, results.path)
        check_same_search(before, self.words, results)
        self.known = {key_of(line): line for line in before}
        self.values: list[tuple[float, ...]] = []  # targets of the networks so far
        self.metrics: set[str] = set()  # that any of them has
        self.begun, self.num_measured = time.monotonic(), 0

    @property
    def aim(self) -> Aim:
        """The first target."""
        return self.aims[0]

    def scores(self, codes: Codes) -> list[float]:
        """Scores of (n, num_positions) architectures by the first target, larger is better; NaN of those that have none.

        Raises:
            Cancelled: should_stop said so; what was finished is in the file.
            TargetError: a target uses a metric that no network has.
        """
        return [scores[0] for scores in self.all_scores(codes)]

    def pairs(self, codes: Codes) -> list[tuple[float, float]]:
        """Scores by two targets, as `scores` has them."""
        return [(scores[0], scores[-1]) for scores in self.all_scores(codes)]

    def all_scores(self, codes: Codes) -> list[tuple[float, ...]]:
        """Scores by every target, as `scores` has them."""
        archs = [self.space.native(row) for row in codes]
        self._measure(ask(archs, self.seeds))
        values = [self._values(self.lines_of(arch)) for arch in archs]
        self.values += values
        self._say(0.0)
        return [tuple((-turned(np.array(own), self.aims)).tolist()) for own in values]

    def lines_of(self, arch: Any) -> tuple[Line, ...]:
        """The lines of an architecture, one a seed."""
        return tuple(self.known[one.key] for one in ask([arch], self.seeds))

    def means_of(self, arch: Any) -> dict[str, float]:
        """The mean over seeds of each metric of an architecture that was measured; {} where it failed."""
        return _means(self.lines_of(arch))

    def _measure(self, asked: Sequence[Asked]) -> None:
        """Measures what is not known yet; lines are written as soon as they are known."""
        left = [one for one in asked if one.key not in self.known]
        if not left:
            return
        is_together = self.evaluator.at_once > 1  # the same in company, so that numbers do not depend on what is known already
        num_done = len(asked) - len(left)

        def watch(one: Asked) -> Watch:
            def epoch(metrics: Mapping[str, float]) -> None:
                part = min(metrics.get("step", 0.0) / max(self.setting.budget, 1), 1.0)
                self._say((num_done + part) / len(self.seeds))

            return Watch(epoch, self.should_stop, self.setting.seconds)

        lines = measure_all(self.evaluator, asked if is_together else left, self.setting, watch)
        batches: Iterable[list[Line]] = [list(lines)] if is_together else ([line] for line in lines)
        for batch in batches:
            own = {key_of(line): line | {"search": self.words} for line in batch if key_of(line) not in self.known}
            self.results.append(own.values())
            self.known |= own
            self.num_measured += len(own)
            num_done += len(own)
            self._say(num_done / len(self.seeds))

    def _values(self, lines: Sequence[Line]) -> tuple[float, ...]:
        """The targets of a network's mean over seeds; NaN where none was measured, or the equation has no value there."""
        means = _means(lines)
        self.metrics |= set(means)
        return tuple(self._value(means, aim.target) for aim in self.aims)

    def _value(self, means: Mapping[str, float], target: Target) -> float:
        """One target of a network."""
        if not means:
            return float("nan")
        if self.evaluator.metrics or len(self.values) + 1 >= PATIENCE:  # one that declares none may leave one out
            target.check(sorted(self.metrics))
        return target_value(means, target)

    def _say(self, part: float) -> None:
        """Reports how far the search is.

        Args:
            part: networks that are done of those asked for now.
        """
        done, num = len(self.values) + part, self.plan.num
        spent, each = time.monotonic() - self.begun, len(self.seeds)
        left = spent / self.num_measured * each * max(num - done, 0.0) if self.num_measured else None
        record = {"phase": "searching", "step": int(done), "num_steps": num, "share": min(done / num, 1.0), "seconds_left": left}
        finite = [own[0] for own in self.values if np.isfinite(own[0])]
        best = (min if self.aim.minimize else max)(finite) if finite else None
        self.report(record | {"best": best})


def run_search(
    space: Space,
    plan: SearchPlan,
    results: ResultsFile,
    report: Report = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Found:
    """Searches a space; every line of results is written as soon as it is known, and what is there is not measured again.

    A search that was stopped takes the same way again, its evaluations read from the file, and goes on: the searcher keeps
    nothing of its own.

    Args:
        space: that is searched.
        plan: the search.
        results: the file.
        report, should_stop: as `Evaluations` has them.

    Raises:
        Cancelled: should_stop said so; what was finished is in the file.
        ConfigError: the evaluator does not measure the space, or the file holds another search or cannot be written.
        TargetError: the target uses a metric that no network has.
    """
    evaluations = Evaluations(space, plan, results, report, should_stop)
    searcher = searcher_class(plan.searcher)(space, plan.seed, plan.settings)
    try:
        judge = evaluations.pairs if plan.second else evaluations.scores
        searched = search(searcher, plan.num, judge, evaluations.evaluator.at_once)
    finally:
        evaluations.evaluator.close()
    archs, aims = tuple(space.native(row) for row in searched.codes), evaluations.aims
    lines, values = tuple(map(evaluations.lines_of, archs)), np.array(evaluations.values).reshape(-1, len(aims))
    reference = plan.reference or (worst_of(values, aims) if plan.second else ())
    return Found(archs, lines, values, aims, reference, searched.ended)


def target_value(means: Mapping[str, float], target: Target) -> float:
    """A target of a network's metrics; NaN where one is missing, or the equation has no value there."""
    if not set(target.names) <= set(means):
        return float("nan")
    try:
        return float(target.values(pd.DataFrame([means]))[0])
    except TargetError:  # of this network alone: it divides by zero, say
        return float("nan")


def found_so_far(plan: SearchPlan, lines: Iterable[Line]) -> Found:
    """The outcome of a search as far as its lines go, whether it goes on or not; a network counts from its first line on.

    Args:
        plan: the search.
        lines: of its file.
    """
    aims = plan.aims(load_evaluator(plan.evaluator))
    of_arch: dict[str, list[Line]] = {}
    for line in lines:
        of_arch.setdefault(key_of(line)[0], []).append(line)
    archs = tuple(own[0]["arch"] for own in of_arch.values())
    own = tuple(map(tuple, of_arch.values()))
    metrics = pd.DataFrame([_means(part) for part in own])
    columns = [aim.target.values_or_nan(metrics) for aim in aims if set(aim.target.names) <= set(metrics)]
    values = np.stack(columns, 1) if len(columns) == len(aims) else np.full((len(own), len(aims)), np.nan)
    reference = plan.reference or (worst_of(values, aims) if plan.second else ())
    return Found(archs, own, values, aims, reference)


def worst_of(values: NDArray[np.float64], aims: Sequence[Aim]) -> tuple[float, ...]:
    """The worst value of each target among the first FIRST of (n, targets) that have all, in their units; NaN where none has."""
    losses = turned(values, aims)
    known = losses[np.isfinite(losses).all(1)][:FIRST]
    worst = known.max(0) if len(known) else np.full(len(aims), np.nan)
    return tuple(turned(worst, aims).tolist())


def turned(values: NDArray[np.float64], aims: Sequence[Aim]) -> NDArray[np.float64]:
    """(..., targets) values of targets as losses, or losses as values."""
    losses: NDArray[np.float64] = values * [1.0 if aim.minimize else -1.0 for aim in aims]
    return losses


def in_a_line(space: Space, plan: SearchPlan, aims: Sequence[Aim], seeds: Sequence[int]) -> str:
    """A search in a line, by which its file is known again: all that decides which networks are evaluated, and how often."""
    settings = [f"{name} {value}" for name, value in check_settings(searcher_class(plan.searcher), plan.settings).items()]
    place = f"space {space.spec.name} {hashlib.sha256(space.spec.to_json().encode()).hexdigest()[:8]}"
    each = f"evaluation seeds {seeds[0]} to {seeds[-1]}"
    targets = [f"{aim.direction} {aim.expression}" for aim in aims]
    return "; ".join([plan.searcher, *settings, f"seed {plan.seed}", *targets, place, each])


def check_same_search(lines: Iterable[Line], words: str, results: ResultsFile) -> None:
    """Returns when lines are of one search.

    Raises:
        ConfigError: they are not; the message says in which settings they differ.
    """
    for line in lines:
        if (said := line.get("search")) != words:
            was, now = str(said or "no search").split("; "), words.split("; ")
            got, expected = (", ".join(part for part in one if part not in other) for one, other in ((was, now), (now, was)))
            raise ConfigError(f"{results.path}: got results of {got}, expected {expected} as asked; name another file.")


def _means(lines: Sequence[Line]) -> dict[str, float]:
    """The mean over seeds of each metric that all finished lines of a network have."""
    fine = [line for line in lines if line["state"] == FINISHED]
    names = [name for name in metrics_of(fine[0]) if all(name in line for line in fine)] if fine else []
    return {name: sum(float(line[name]) for line in fine) / len(fine) for name in names}


def _state(lines: Sequence[Line]) -> str:
    """The state of a network: finished where any of its evaluations did, else that of the first."""
    states = [str(line["state"]) for line in lines]
    return FINISHED if FINISHED in states else states[0]
