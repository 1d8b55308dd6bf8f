"""Costs of architectures, learned from a metric of the data: additive over layers at their positions."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable, Codes, SpaceSpec
from autobuild_core.architectures.structure import layer_pairs, layer_tables, one_hot, told_by_attributes
from autobuild_core.errors import ConfigError
from autobuild_core.spaces import Space
from autobuild_core.targets.vocabulary import by_cost

Array = NDArray[np.float64]
MIN_EXPLAINED = 0.9  # of the variance
EXACT, FOLDS = 1e-3, 5  # a formula misses less of a metric's spread (those tried: 1e-4, a fit of latencies 0.3)
RIDGE = 1e-6  # relative to the number of rows: only settles what the data leave open


@dataclass(frozen=True, eq=False)
class CostModel:
    """A linear fit of a metric on one-hot (position, layer) features.

    Args:
        metric: its name.
        space: the search space.
        as_written: on the encoding as the data have it, idle layers counted; else on the canonical one.
        weights: (columns,) contribution of each column of `structure.one_hot`, in the metric's unit.
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

    def layers(self) -> Array:
        """(num_positions, num_tokens) what a layer adds to the cost, over the cheapest that may stand at its position.

        Where a position may be absent, that is the cheapest; NaN for tokens that may not stand there.
        """
        spec = self.space.spec
        weights = self._by_layer(spec)
        added = np.full_like(weights, np.nan)
        for unit in spec.units:
            for layer, position in enumerate(unit.positions):
                allowed = list(unit.tokens)
                least = 0.0 if layer >= min(unit.depths) else float(weights[position, allowed].min())
                added[position, allowed] = np.maximum(weights[position, allowed] - least, 0.0)
        return added

    def _by_layer(self, spec: SpaceSpec) -> Array:
        """(num_positions, num_tokens) contribution of each layer."""
        weights = np.zeros((spec.num_positions, len(spec.tokens)))
        if not any(told_by_attributes(unit, spec) for unit in spec.units):
            weights[layer_pairs(spec)] = self.weights
            return weights
        start = 0
        for position, table in enumerate(layer_tables(spec)):
            weights[position] = table[:-1] @ self.weights[start : start + table.shape[1]]
            start += table.shape[1]
        return weights


def _one_hot(space: Space, codes: Codes, as_written: bool) -> Array:
    """(n, pairs) of the encodings, canonical or as written."""
    return one_hot(codes if as_written else space.canonical(codes), space.spec)


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


def exact_cost(table: ArchTable, space: Space, metric: str) -> CostModel | None:
    """The formula of a metric that is a sum over layers, such as parameters or multiply-adds; None where it is no such sum.

    A least-squares fit without a penalty must say what the networks that it does not see have, within EXACT of their spread, in
    each of FOLDS parts of the networks.

    Args:
        table: measured architectures, one row a network.
        space: their space.
        metric: its name; all rows have it.
    """
    values = table.metrics[metric].to_numpy(float)
    fold = np.random.default_rng(0).permutation(len(values)) % FOLDS
    for as_written in (False, True):
        features = np.insert(_one_hot(space, table.codes, as_written), 0, 1.0, axis=1)
        if len(values) - len(values) // FOLDS <= np.linalg.matrix_rank(features):
            continue  # so few rows that any metric is such a sum
        fits = [np.linalg.lstsq(features[fold != f], values[fold != f])[0] for f in range(FOLDS)]
        off = max(float(np.abs(features[fold == f] @ fit - values[fold == f]).max()) for f, fit in enumerate(fits))
        if off <= EXACT * float(values.std()):
            weights = np.linalg.lstsq(features, values)[0]
            return CostModel(metric, space, as_written, weights[1:], float(weights[0]), 1.0)
    return None


def layer_cost(table: ArchTable, space: Space, target: str) -> CostModel | None:
    """The cost model that a drawing shows: of the first cost metric of the data that layers add up to, the target's own apart.

    None where the data have no such metric, or layers explain less than MIN_EXPLAINED of each.
    """
    named = [str(name) for name in table.metrics.columns if name not in re.findall(r"\w+", target)]
    for metric in by_cost(named):
        try:
            model = fit_cost(table, space, metric)
        except ConfigError:
            continue
        if model.explained >= MIN_EXPLAINED:
            return model
    return None
