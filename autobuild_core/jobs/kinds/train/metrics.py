"""The last phase of a training: what is known of every metric is written into its run folder, so that nobody fits it again."""

import time
from collections.abc import Callable

from autobuild_core.errors import Cancelled
from autobuild_core.predictor.fitting import fit_run
from autobuild_core.store.quality import Report
from autobuild_core.store.run_folder import RunFolder

PHASE = "metrics"


def write_metrics(
    folder: RunFolder,
    threads: int,
    report: Report = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    start: float | None = None,
) -> None:
    """Learns and writes what a run knows of its metrics (`predictor.run_metrics.RunMetrics`).

    Args:
        folder: a run folder with its settings and data.
        threads: metrics that are learned at the same time.
        report: hears the progress.
        should_stop: asked after every metric.
        start: when the training began, by `time.monotonic`; None = now.

    Raises:
        Cancelled: should_stop said so; nothing was written.
    """
    begun = time.monotonic()

    def progress(share: float) -> None:
        if should_stop():
            raise Cancelled
        now = time.monotonic()
        left = (now - begun) / share * (1 - share) if share else None
        report({"phase": PHASE, "share": share, "seconds": now - (start or begun), "seconds_left": left})

    progress(0.0)
    fit_run(folder.measurements(), folder.config.goal, threads, progress).save(folder)
