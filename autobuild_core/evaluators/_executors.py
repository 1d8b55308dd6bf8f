"""Executors of evaluations: they measure what may be measured one by one, on this machine or on workers of many.

Which one it is, is a setting: the address of a Dask scheduler, AUTOBUILD_DASK_SCHEDULER or `--scheduler`. Whoever executes, the
process of the batch alone writes its file of results, a line for each evaluation, so nothing is counted twice.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol

from autobuild_core.errors import ArchitectureError, Cancelled
from autobuild_core.evaluators import Evaluator, Watch, check_device
from autobuild_core.evaluators._results import Asked, Line, Setting, failed_line, line_of, measure, show_fault

VARIABLE = "AUTOBUILD_DASK_SCHEDULER"


class Executor(Protocol):
    """Who measures the evaluations of a batch that may be measured one by one."""

    def measure_each(
        self, evaluator: Evaluator, asked: Sequence[Asked], setting: Setting, watch: Callable[[Asked], Watch]
    ) -> Iterator[Line]:
        """A line for every evaluation, as each comes to its end.

        Args:
            evaluator: the evaluator.
            asked: what is to be measured, not none.
            setting: conditions of the batch.
            watch: of an evaluation.

        Raises:
            Cancelled: a watch said so.
            ConfigError: the executor cannot measure under these conditions.
        """


class LocalExecutor:
    """One evaluation after the other, in this process."""

    def measure_each(
        self, evaluator: Evaluator, asked: Sequence[Asked], setting: Setting, watch: Callable[[Asked], Watch]
    ) -> Iterator[Line]:
        """A line for every evaluation, in their order."""
        check_device(setting.device)
        for one in asked:
            yield measure(evaluator, one, setting, watch(one))


def executor_for(scheduler: str | None = None) -> Executor:
    """The executor of a batch.

    Args:
        scheduler: the address of a Dask scheduler, "" for this process, None for what AUTOBUILD_DASK_SCHEDULER says.
    """
    address = os.environ.get(VARIABLE, "") if scheduler is None else scheduler
    if not address.strip():
        return LocalExecutor()
    from autobuild_core.evaluators._dask import DaskExecutor

    return DaskExecutor(address.strip())


def measure_all(
    evaluator: Evaluator,
    asked: Sequence[Asked],
    setting: Setting,
    watch: Callable[[Asked], Watch],
    executor: Executor | None = None,
) -> Generator[Line, None, None]:
    """A line for every evaluation, as each comes to its end.

    Architectures that cannot be measured are said first where the evaluator takes all in rounds. Rounds are never spread:
    they compare architectures on one machine, so they are measured in this process whoever executes the rest.

    Args:
        evaluator: the evaluator.
        asked: what is to be measured.
        setting: conditions of the batch.
        watch: of an evaluation; of all in rounds that of the first.
        executor: of evaluations that are measured one by one; None = this process.

    Raises:
        Cancelled: a watch said so.
        ConfigError: it cannot be measured under these conditions.
    """
    fit, misfits = [], []
    for one in asked:
        try:
            evaluator.check(one.arch)
            fit.append(one)
        except ArchitectureError as error:
            misfits.append(failed_line(evaluator, one, setting, error, 0.0))
    if not fit:
        yield from misfits
        return
    start = time.perf_counter()
    together = evaluator.evaluate_together([one.arch for one in fit], setting.at(0), watch(fit[0]))
    if together is None:
        yield from (executor or LocalExecutor()).measure_each(evaluator, asked, setting, watch)
        return
    check_device(setting.device)
    yield from misfits
    try:
        found = list(together)
    except Cancelled:
        raise
    except Exception as error:  # of one architecture or of time: no round is whole
        show_fault(error)
        seconds = (time.perf_counter() - start) / len(fit)
        yield from (failed_line(evaluator, one, setting, error, seconds) for one in fit)
        return
    seconds = (time.perf_counter() - start) / len(fit)
    yield from (line_of(evaluator, one, setting, measured, seconds) for one, measured in zip(fit, found, strict=True))
