"""`benchmark --autospace`: what AutoSpace's learned spaces are worth, one file an experiment; every number is measured.

The protocol stands in docs/autospace.md and was written down before the first training. All experiments share one folder
(work.py): a run that was stopped goes on from it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from autobuild_core.benchmark.autospace import ablations, budgets, claim, fitness, searching
from autobuild_core.benchmark.autospace.work import Work
from autobuild_core.benchmark.paper.ledger import Ledger, Settings, asked_for
from autobuild_core.benchmark.paper.outcome import Outcome
from autobuild_core.evaluators._batch import Report

__all__ = ["EXPERIMENTS", "run"]

EXPERIMENTS = {
    one.name: one
    for one in (claim.EXPERIMENT, budgets.EXPERIMENT, fitness.EXPERIMENT, searching.EXPERIMENT, ablations.EXPERIMENT)
}


def run(
    names: Sequence[str],
    out: Path,
    settings: Settings,
    report: Report = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Outcome]:
    """Outcomes of experiments by their names; what their folder has is not made again.

    Args:
        names: of EXPERIMENTS; none = all.
        out: the folder.
        settings: of all.
        report: hears progress.
        should_stop: asked at every step.

    Raises:
        StudioError: data or settings do not do.
        Cancelled: should_stop said so; what was finished is in the folder.
    """
    work = Work(Ledger(out, settings, report, should_stop))
    return {name: EXPERIMENTS[name].run(work) for name in asked_for(names, EXPERIMENTS)}
