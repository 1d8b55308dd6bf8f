"""Predictor: the ensemble of a finished run stands in for measurements, for searches of many thousand architectures."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from autobuild_core.errors import RunError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.predictor.run_metrics import ABOUT, RunMetrics
from autobuild_core.spaces import Space
from autobuild_core.store.run_folder import RunFolder

if TYPE_CHECKING:
    from autobuild_core.predictor.ensemble import Predictor


OWN = ("predicted", "low", "high")  # metrics of every run


@final
class Predicted(Evaluator):
    """`predicted`, the run's own target, with the 90 % interval `low` to `high`; averaged over contexts where the data have some.

    Beside them what the run knows of every other metric of its data (`RunMetrics`), by its name: the expected value.
    `predictor:RUN` names the folder of the run. Its version is a hash of the model.
    """

    title = "Prediction of a run"
    about = "predicts the target of a finished run"
    metrics: tuple[str, ...] = OWN
    by_seed = False
    by_device = False
    takes_source = True
    at_once = 64

    def __init__(self, source: str = "") -> None:
        super().__init__(source)
        model = Path(source) / "model.safetensors"
        self.version = hashlib.sha256(model.read_bytes()).hexdigest()[:12] if model.is_file() else "none"
        self.metrics = (*OWN, *self._others)

    @cached_property
    def _others(self) -> tuple[str, ...]:
        """The metrics that the run knows beside its target; none of a run of before, or one whose files are damaged."""
        try:
            about = RunFolder(self.source).read_json(ABOUT)
            return tuple(one["name"] for one in about["models"] if one["name"] not in (*OWN, about["target"]))
        except (RunError, LookupError, TypeError):
            return ()

    def data(self) -> str:
        return Path(self.source).resolve().name

    @cached_property
    def _predictor(self) -> "Predictor":
        """The ensemble.

        Raises:
            RunError: the folder holds no finished run.
        """
        from autobuild_core.predictor.ensemble import Predictor

        return Predictor.load(self.source)

    @property
    def space(self) -> Space:
        """The space of the run."""
        return self._predictor.space

    @cached_property
    def _known(self) -> RunMetrics:
        """All that the run knows of metrics."""
        return RunMetrics.load(RunFolder(self.source), self.space)

    def minimizes(self, metric: str) -> bool:
        return self._predictor.minimize if metric in OWN else super().minimizes(metric)

    def check(self, arch: Any) -> None:
        self.space.parse(arch)

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        return next(self.evaluate_together([arch], at, watch))

    def evaluate_together(self, archs: Sequence[Any], at: Conditions, watch: Watch) -> Iterator[Measured]:
        watch.step()
        codes = np.array([self.space.parse(arch) for arch in archs], np.int16)
        frame = self._predictor.predict(codes)[list(OWN)]
        for name in self._others:
            frame[name] = self._known.metrics.model(name).expected(codes)
        rows = frame.to_dict("records")  # an exact metric has no value where a layer was never seen
        return iter([Measured({str(name): float(one) for name, one in row.items() if np.isfinite(one)}) for row in rows])
