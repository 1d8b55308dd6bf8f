"""Design where the truth is known: what is built keeps to budgets and is the best that does; prices hold. Ours."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.api import train
from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark import fronts
from autobuild_core.benchmark import report as show
from autobuild_core.errors import ConfigError
from autobuild_core.loop.proposing import codes_of
from autobuild_core.predictor.metrics import Bound
from autobuild_core.predictor.posterior import Posterior
from autobuild_core.search.prices import prices
from autobuild_core.spaces import load_space
from autobuild_core.targets.equation import Target

Result = dict[str, Any]
LEARNED, BUILT, DRAWS = 300, 50, 40  # networks of a draw; architectures that are built; draws that prices are judged by
FARTHEST = (0.1, 0.9)  # quantiles of a metric between which limits are drawn
BEST = ("best of them", "best there is")
STEPS = (0.25, 0.5)  # of a metric's standard deviation


def measure(
    table: ArchTable,
    target: Target,
    metrics: Sequence[str],
    seeds: Sequence[int] = (0,),
    report: Callable[[Result], None] = lambda record: None,
    **settings: Any,
) -> list[Result]:
    """Budgets at the medians of some metrics, and prices of each, judged by a file that holds every network of a space.

    Args:
        table: every network of a space, measured.
        target: what is built for.
        metrics: that have budgets.
        seeds: of the draws that are built from.
        report: hears {"phase", "share"}.
        settings: of the trainings.

    Returns:
        A line a seed, {"built from", "built", "within all budgets", "best of them", "best there is"}, then one a metric and
        step: {"price of", "step", "draws", "true step inside", "price", "true"}, means over draws; then those of
        `fronts.measure`.

    Raises:
        ConfigError: a metric is not one of the file's, or the file is too small.
    """
    check_metrics(table, metrics)
    whole = table.take(np.unique(table.networks, return_index=True)[1])
    values = target.values(whole.metrics)
    if len(whole) <= LEARNED + BUILT:
        raise ConfigError(f"design: got {len(whole)} networks, expected more than {LEARNED + BUILT}.")
    found = []
    for number, seed in enumerate(seeds):
        report({"phase": f"budgets, draw {seed}", "share": 0.9 * number / (len(seeds) + len(metrics))})
        found.append(_built(whole, values, target, metrics, seed, **settings))
    draws = _draws(whole, values, target)
    for number, name in enumerate(metrics):
        report({"phase": f"prices of {name}", "share": 0.9 * (len(seeds) + number) / (len(seeds) + len(metrics))})
        found += [_priced(whole, values, target, name, step, draws) for step in STEPS]
    for number, name in enumerate(metrics):
        report({"phase": f"front with {name}", "share": 0.9 + 0.1 * number / len(metrics)})
        lines = fronts.measure(whole, values, target, name, LEARNED)
        found += [line for line in lines if not number or "support of" not in line]  # which is of the target alone
    return found


def check_metrics(table: ArchTable, metrics: Sequence[str]) -> None:
    """Returns when a table has all these metrics.

    Raises:
        ConfigError: it lacks one.
    """
    if missing := [name for name in metrics if name not in table.metrics]:
        raise ConfigError(f"design: got '{missing[0]}', expected some of {', '.join(map(str, table.metrics.columns))}.")


def _built(
    whole: ArchTable, values: np.ndarray[Any, Any], target: Target, metrics: Sequence[str], seed: int, **settings: Any
) -> Result:
    """Architectures built within the medians from a random draw, against the file."""
    rows = np.random.default_rng(seed).permutation(len(whole))[:LEARNED]
    limits = {name: float(whole.metrics[name].median()) for name in metrics}
    with tempfile.TemporaryDirectory(prefix="autobuild-design-") as place:
        run = train(whole.take(np.sort(rows)), target.expression, Path(place) / "run", target.minimize, seed, **settings)
        frame = run.build(BUILT, budgets=[f"{name} <= {limit!r}" for name, limit in limits.items()], allow_evaluated=True)
        codes = codes_of(run.predictor.space, frame["arch"].tolist())
    line = pd.Series(np.arange(len(whole)), whole.networks).loc[load_space(whole.spec).hash_networks(codes)].to_numpy()
    inside = np.all([whole.metrics[name].to_numpy() <= limit for name, limit in limits.items()], axis=0)
    best = np.nanmin if target.minimize else np.nanmax
    return {
        "built from": LEARNED,
        "built": len(line),
        "within all budgets": int(inside[line].sum()),
        "best of them": float(best(values[line])),
        "best there is": float(best(values[inside])),
    }


def _draws(whole: ArchTable, values: np.ndarray[Any, Any], target: Target) -> list[tuple[Posterior, float]]:
    """Posteriors of random draws, each with the quantile of a metric at which a limit is."""
    from autobuild_core.predictor.fitting import fit_posterior  # here: it loads scipy

    space, found = load_space(whole.spec), []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        rows = rng.permutation(len(whole))[:LEARNED]
        posterior = fit_posterior(space, whole.codes[rows], values[rows], target.minimize, ranked=0.0)
        found.append((posterior, float(rng.uniform(*FARTHEST))))
    return found


def _priced(
    whole: ArchTable,
    values: np.ndarray[Any, Any],
    target: Target,
    metric: str,
    step: float,
    draws: Sequence[tuple[Posterior, float]],
) -> Result:
    """The number of draws in which the price of a step holds the true one."""
    cost = whole.metrics[metric].to_numpy(float)
    turn = -1 if target.minimize else 1
    held, said, true = [], [], []
    for seed, (posterior, quantile) in enumerate(draws):
        limit = float(np.quantile(cost, quantile))
        limits = (limit, limit + step * float(cost.std()))
        price = prices(posterior, whole.codes, cost, Bound(metric, limit), limits, seed).steps().iloc[0]
        before, after = (np.nanmax(turn * values[cost <= one]) for one in limits)
        held.append(price["low"] - 1e-9 <= after - before <= price["high"] + 1e-9)
        said.append(price["price"])
        true.append(after - before)
    about: Result = {"price of": metric, "step": f"{step:g} standard deviations", "draws": DRAWS}
    return about | {"true step inside": int(sum(held)), "price": float(np.mean(said)), "true": float(np.mean(true))}


def markdown(records: Sequence[Result]) -> str:
    """A table of each kind of line."""
    built = [record | {name: f"{record[name]:.4g}" for name in BEST} for record in records if "built" in record]
    titles = {"price of": "Prices", "front with": "Pareto front", "hypervolume with": "Hypervolume", "support of": "Support"}
    tables = [show.table("Budgets at the medians", built)]
    for name, title in titles.items():
        tables.append(show.table(title, [record for record in records if name in record]))
    return "\n".join(tables)
