"""`benchmark --paper`: the papers' experiments at this scale, one file each; every number is measured (docs/experiments.md).

An experiment has a folder of its own (ledger.py): a run that was stopped goes on from it, and experiments may run side by side.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from autobuild_core.benchmark.paper import classification, diffusion, hops, segmentation
from autobuild_core.benchmark.paper.ledger import Ledger, Settings, asked_for
from autobuild_core.benchmark.paper.outcome import Outcome
from autobuild_core.evaluators._batch import Report

__all__ = ["EXPERIMENTS", "Ledger", "Outcome", "Settings", "run"]

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (classification.EXPERIMENT, diffusion.EXPERIMENT, hops.EXPERIMENT, segmentation.EXPERIMENT)
}


def run(
    names: Sequence[str],
    out: Path,
    settings: Settings,
    report: Report = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[str, Outcome]:
    """Outcomes of experiments by their names; what their folders have is not made again.

    Args:
        names: of EXPERIMENTS; none = all.
        out: folder with a folder for each.
        settings: of all.
        report: hears progress.
        should_stop: asked at every step.

    Raises:
        StudioError: data or settings do not do.
        Cancelled: should_stop said so; what was finished is in the folders.
    """
    return {
        name: EXPERIMENTS[name].run(Ledger(out / name, settings, report, should_stop)) for name in asked_for(names, EXPERIMENTS)
    }
