"""Fitting what is known of metrics: of one a Gaussian process, in a tenth of a second for a hundred rows; of all what does."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from autobuild_core.architectures.records import ArchTable, Codes, noise_shares
from autobuild_core.errors import ConfigError, listed
from autobuild_core.predictor.gaussian_process import MAX_EVIDENCE, MAX_LANDMARKS, find_kernel
from autobuild_core.predictor.kernel import Layers, Relevances
from autobuild_core.predictor.metrics import SUPPORTED, Formula, HeldOut, MetricModel, Metrics, seen_layers
from autobuild_core.predictor.posterior import Posterior, kernel_coordinates
from autobuild_core.predictor.run_metrics import RunMetrics, name_of_target
from autobuild_core.predictor.target_scale import ranked_share
from autobuild_core.spaces import Space, load_space
from autobuild_core.targets.costs import exact_cost
from autobuild_core.targets.equation import OVERFLOW, Target
from autobuild_core.targets.noise import averaged_in
from autobuild_core.targets.scaling import TWO_SIDED_90, NormalScores
from autobuild_core.targets.vocabulary import by_cost

Array = NDArray[np.float64]
LEAST = 10  # networks that a metric is learned from
MOST_METRICS = 12  # of which a training learns more than its target is: each takes seconds
FOLDS, FURTHEST = 5, 4.0  # parts that are predicted without themselves; standard deviations that an error counts at most


def fit_posterior(
    space: Space,
    codes: Codes,
    values: Array,
    minimize: bool = False,
    repeats: NDArray[np.int64] | None = None,
    seed: int = 0,
    ranked: float | None = None,
) -> Posterior:
    """The Gaussian process of a metric, exact for up to MAX_LANDMARKS architectures; of more so many are learned from.

    Args:
        space: the search space.
        codes: (n, num_positions) measured architectures, one a network.
        values: (n,) the metric, finite, not all alike.
        minimize: smaller values are better.
        repeats: (n,) measurements that each value is the mean of; None = one.
        seed: draws the rows where there are too many, and those that the kernel is found from.
        ranked: share of ranks in the scale; None = as suits the values (`target_scale.ranked_share`).
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(codes))[:MAX_LANDMARKS])
    codes, values = codes[rows], values[rows]
    shares = np.ones(len(rows)) if repeats is None or (found := noise_shares(repeats[rows])) is None else found
    layers = Layers(space.spec)
    raw = kernel_coordinates(space, layers, codes)
    relevances, centre = Relevances.of_space(space.spec, layers, ()), raw.mean(0)
    size = relevances.sizes(raw - centre)
    columns, every = (raw - centre) / size, [np.arange(len(rows))]
    with threadpool_limits(1):  # on small matrices more threads of BLAS only wait
        if ranked is None:
            ranked = ranked_share(columns, relevances, [-values if minimize else values], every, shares, seed)
        scaling = NormalScores.fit(values, minimize, ranked=ranked)
        scores = scaling.to_scores(values)
        some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_EVIDENCE])
        kernel = find_kernel(columns[some], scores[some], relevances, shares[some])
    learned = codes, scores, shares
    return Posterior(space, layers, scaling, centre, kernel.roots / size, kernel.weights, kernel.noise, *learned)


def fit_metrics(table: ArchTable, names: Sequence[str] | None = None, seed: int = 0) -> Metrics:
    """Models of the metrics of a data set.

    Args:
        table: measured architectures; of several rows of a network their mean counts, in whatever contexts they were measured.
        names: of the metrics; None = all.
        seed: draws rows where there are too many.

    Raises:
        ConfigError: a metric is not one of the data's.
    """
    models, unknown = {}, {}
    for name in map(str, table.metrics.columns) if names is None else names:
        if name not in table.metrics:
            raise ConfigError(f"metric: got '{name}', expected one of {listed(map(str, table.metrics.columns))}.")
        found = _fit_metric(table, name, seed)
        if isinstance(found, str):
            unknown[name] = found
        else:
            models[name] = found
    return Metrics(models, unknown)


def fit_straight(table: ArchTable, values: Array, minimize: bool) -> Posterior:
    """The Gaussian process of a target on its own straight scale, as prices need it.

    Args:
        table: measured architectures; of several rows of a network the first counts, in whatever context it was measured.
        values: (num_rows,) their targets; rows without one (NaN) are left out.
        minimize: smaller targets are better.
    """
    known = np.flatnonzero(np.isfinite(values))
    first = known[np.unique(table.networks[known], return_index=True)[1]]
    return fit_posterior(load_space(table.spec), table.codes[first], values[first], minimize, ranked=0.0)


def fit_run(
    table: ArchTable, target: Target, threads: int = 1, report: Callable[[float], None] = lambda share: None
) -> RunMetrics:
    """All that a run knows of its metrics.

    Single repeats of a metric that averages them have no model, nor what is left beyond MOST_METRICS (`_in_turn`).

    Args:
        table: measured architectures.
        target: of the run.
        threads: metrics that are learned at the same time.
        report: hears the share that is done; what it raises ends the fit.
    """
    values, own = target.values(table.metrics), name_of_target(target)
    left = {name: f"a single repeat of {mean}, which averages several" for name, mean in averaged_in(table.metrics).items()}
    names = _in_turn([name for name in map(str, table.metrics.columns) if name not in left or name in target.names], target)
    left = {name: why for name, why in left.items() if name not in names}
    left |= dict.fromkeys(names[MOST_METRICS:], f"a training learns {MOST_METRICS} metrics of its data, others come first")
    asked = dict.fromkeys(names[:MOST_METRICS], table)
    if own not in table.metrics:
        asked[own] = replace(table, metrics=pd.DataFrame({own: values}, index=table.metrics.index))
    metrics, num = Metrics({}, left), len(asked) + 1
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        straight = pool.submit(fit_straight, table, values, target.minimize)
        try:
            for done, fitted in enumerate(pool.map(lambda name: fit_metrics(asked[name], [name]), asked), 1):
                metrics = metrics.beside(fitted)
                report(done / num)
        finally:
            pool.shutdown(cancel_futures=True)
    return RunMetrics(metrics, own, straight.result())


def _in_turn(names: Sequence[str], target: Target) -> list[str]:
    """Metrics in the order in which they are learned: the target's, costs, then as the data have them."""
    return list(dict.fromkeys([*(name for name in target.names if name in names), *by_cost(names), *names]))


def _fit_metric(table: ArchTable, name: str, seed: int) -> MetricModel | str:
    """The model of a metric, or why there is none."""
    column = table.metrics[name]
    known = np.flatnonzero(np.isfinite(column.to_numpy(float)))
    rows = known[np.sort(np.unique(table.networks[known], return_index=True)[1])]
    if len(rows) < LEAST:
        return f"only {len(rows)} networks have it, {LEAST} are needed"
    own, space = table.take(rows), load_space(table.spec)
    values = column.groupby(table.networks).mean().loc[own.networks].to_numpy(float)
    own = replace(own, metrics=pd.DataFrame({name: values}))
    if np.abs(values).max() > OVERFLOW:
        return f"it has values beyond {OVERFLOW:g}"
    if np.ptp(values) <= 1e-12 * np.abs(values).max():
        return "it never varies"
    if (cost := exact_cost(own, space, name)) is not None:
        codes = own.codes if cost.as_written else space.canonical(own.codes)
        off = float(np.abs(cost.predict(own.codes) - values).mean())
        formula = Formula(cost, seen_layers(codes, len(table.spec.tokens)))
        return MetricModel(name, formula, HeldOut(1.0, off, 1.0, len(rows)), np.full(len(table), np.nan))
    return _predicted(name, own, values, rows, len(table), seed)


def _predicted(name: str, own: ArchTable, values: Array, rows: NDArray[np.intp], num_rows: int, seed: int) -> MetricModel:
    """The Gaussian process of a metric, with what it says of each of FOLDS parts of the networks that it does not see.

    A kernel that saw a network fits it too well, so each part has one that is found without it. By the root mean square of these
    errors, in the standard deviations that were expected, all standard deviations are made wider or narrower.
    """
    from scipy.stats import spearmanr

    space, repeats = load_space(own.spec), own.repeats
    posterior = fit_posterior(space, own.codes, values, repeats=repeats, seed=seed)
    fold = np.random.default_rng(seed).permutation(len(values)) % FOLDS
    predicted, off, spreads = np.empty(len(values)), np.empty(len(values)), np.empty(len(values))
    for part in range(FOLDS):
        left, seen = fold == part, fold != part
        without = fit_posterior(
            space, own.codes[seen], values[seen], repeats=repeats[seen], seed=seed, ranked=posterior.scaling.ranked
        )
        mean, spread = without.moments(own.codes[left])
        spreads[left] = spread
        predicted[left] = without.scaling.straight(mean)
        off[left] = (without.scaling.back(values[left]) - mean) / np.sqrt(spread**2 + without.noise)
    widening = float(np.sqrt(np.mean(np.clip(off, -FURTHEST, FURTHEST) ** 2)))
    residuals = np.full(num_rows, np.nan)
    residuals[rows] = off / widening
    inside = float(np.mean(np.abs(off) <= TWO_SIDED_90 * widening))
    srcc, mae = float(spearmanr(predicted, values).statistic), float(np.abs(predicted - values).mean())
    support = float(np.quantile(spreads, SUPPORTED))
    return MetricModel(name, posterior, HeldOut(srcc, mae, inside, len(rows)), residuals, widening, support)
