"""What an architecture costs, learned from a metric of the data: additive over layers at their positions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.errors import ConfigError
from autobuild_core.records import ABSENT, ArchTable, Codes
from autobuild_core.spaces import Space

Array = NDArray[np.float64]
RIDGE = 1e-6  # relative to the number of rows: only settles what the data leave open


@dataclass(frozen=True, eq=False)
class CostModel:
    """A linear fit of a metric on one-hot (position, layer) features.

    Args:
        metric: its name.
        space: the search space.
        as_written: on the encoding as the data have it, idle layers counted; else on the canonical one.
        weights: (num_positions * num_tokens,) contribution of each layer, in the metric's unit.
        intercept: what the layers do not explain.
        explained: share of the metric's variance over the data that the fit explains.
    """

    metric: str
    space: Space
    as_written: bool
    weights: Array
    intercept: float
    explained: float

    def predict(self, codes: Codes) -> Array:
        """(n,) cost of (n, num_positions) codes."""
        out: Array = _one_hot(self.space, codes, self.as_written) @ self.weights + self.intercept
        return out


def _one_hot(space: Space, codes: Codes, as_written: bool) -> Array:
    """(n, num_positions * num_tokens) of the encodings, canonical or as written; an absent position is all zeros."""
    chosen = codes if as_written else space.canonical(codes)
    tokens = np.arange(len(space.spec.tokens))
    hot = (chosen[:, :, None] == tokens) & (chosen[:, :, None] != ABSENT)
    features: Array = hot.reshape(len(codes), -1).astype(float)
    return features


def fit_cost(table: ArchTable, space: Space, metric: str) -> CostModel:
    """Fits the cost model of a metric, on canonical encodings or on those of the data, whichever explains more.

    Raises:
        ConfigError: the data have no such metric, or too few values of it.
    """
    if metric not in table.metrics:
        raise ConfigError(f"cost: got '{metric}', expected one of {', '.join(table.metrics.columns)}.")
    values = table.metrics[metric].to_numpy(float)
    known = np.isfinite(values)
    if known.sum() < 10:
        raise ConfigError(f"cost {metric}: got {known.sum()} known values, expected at least 10.")
    fits = [_fit(metric, space, as_written, table.codes[known], values[known]) for as_written in (False, True)]
    return max(fits, key=lambda fit: fit.explained)


def _fit(metric: str, space: Space, as_written: bool, codes: Codes, values: Array) -> CostModel:
    features = _one_hot(space, codes, as_written)
    mean = features.mean(0)
    centred = features - mean
    gram = centred.T @ centred + RIDGE * len(values) * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, centred.T @ (values - values.mean()))
    residual = values - values.mean() - centred @ weights
    explained = 1 - residual.var() / max(values.var(), 1e-300)
    return CostModel(metric, space, as_written, weights, float(values.mean() - mean @ weights), float(explained))
