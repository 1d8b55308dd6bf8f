"""Cost alone: what the size of an architecture says about its target, and nothing else."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import final

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, ArchTable, Codes
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers._learned import Array, LearnedScorer
from autobuild_core.targets.costs import fit_cost
from autobuild_core.targets.equation import Target
from autobuild_core.targets.vocabulary import by_cost, has_word

DEPTH_WORDS = frozenset({"depth"})
LEAST_VALUES = 10
LEAST_EXPLAINED = 0.5  # share of the metric's variance that layers must explain


def cost_metric(table: ArchTable, target: str) -> str | None:
    """The metric that tells the size of an architecture best, by its name; None where none does.

    Metrics that the target itself uses are left out: of them cost alone would be no explanation but the target.
    """
    own = Target(target).names
    names = [str(name) for name in table.metrics.columns if name not in own]
    for name in (*by_cost(names), *(name for name in names if has_word(name, DEPTH_WORDS))):
        values = table.metrics[name].to_numpy(float)
        if np.isfinite(values).sum() >= LEAST_VALUES and np.nanstd(values) > 0:
            return name
    return None


@final
class Cost(LearnedScorer):
    """A cubic of the architecture's cost, fitted to normal scores of the target: how far importance is just size.

    Ours. The cost is the data's own MAdds, FLOPs, parameters or latency, made additive over layers (`costs.fit_cost`); where the
    data have none, the number of layers.
    """

    title = "Cost alone"
    explained = "what the architecture's cost says about the target: whatever agrees with this is just size"

    def supports(self, predictor: Predictor) -> str | None:
        if reason := super().supports(predictor):
            return reason
        if self._costs is None:
            return "the data have no metric that looks like a cost (MAdds, FLOPs, parameters, latency), and depth does not vary"
        return None

    @property
    def metric(self) -> str:
        """The name of the cost: a metric of the data, "number of layers", or "" where there is none."""
        return self._costs[0] if self._costs else ""

    @cached_property
    def _costs(self) -> tuple[str, Callable[[Codes], Array]] | None:
        """The name of the cost, and the function codes -> cost."""
        assert self.table is not None
        name = cost_metric(self.table, self.predictor.target_name)
        if name is not None:
            try:
                model = fit_cost(self.table, self.predictor.space, name)
            except ConfigError:
                model = None
            if model is not None and model.explained >= LEAST_EXPLAINED:
                return name, model.predict
        if self.predictor.spec.fixed_depth:
            return None
        return "number of layers", lambda codes: (codes != ABSENT).sum(1).astype(float)

    def fit(self, folds: NDArray[np.int64]) -> Sequence[Callable[[Codes], Array]]:
        assert self._costs is not None
        cost_of = self._costs[1]
        costs, scores = cost_of(self.evaluated.codes), self.predictor.scaling.to_scores(self.evaluated.values)
        centre, spread = float(costs.mean()), max(float(costs.std()), 1e-12)
        ends = (costs.min() - centre) / spread, (costs.max() - centre) / spread

        def powers(codes: Codes) -> Array:
            return np.vander(np.clip((cost_of(codes) - centre) / spread, *ends), 4, increasing=True)

        basis = powers(self.evaluated.codes)
        curves = [np.linalg.lstsq(basis[folds != m], scores[folds != m], rcond=None)[0] for m in range(folds.max() + 1)]
        errors = [scores[folds == m] - basis[folds == m] @ curve for m, curve in enumerate(curves)]
        grid, expected = self.predictor.scaling.expectation(float(np.sqrt((np.concatenate(errors) ** 2).mean())))

        def member(curve: Array) -> Callable[[Codes], Array]:
            return lambda codes: np.interp(powers(codes) @ curve, grid, expected)

        return [member(curve) for curve in curves]
