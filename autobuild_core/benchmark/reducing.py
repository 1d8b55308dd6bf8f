"""Reduced spaces where the truth is known: is their predicted quality true, or flattered by the choice of modules? Ours."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.api import reduce, train
from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark import report as show
from autobuild_core.errors import ConfigError
from autobuild_core.scoring.population import Population
from autobuild_core.scoring.space_quality import NUM_RANDOM
from autobuild_core.search.reduction import Reduction
from autobuild_core.spaces import load_space
from autobuild_core.targets.equation import Target

Result = dict[str, Any]
SIZES = (50, 300)  # networks that are learned from


def measure(
    table: ArchTable,
    target: Target,
    top_ks: Sequence[int],
    sizes: Sequence[int] = SIZES,
    seeds: Sequence[int] = (0,),
    report: Callable[[Result], None] = lambda record: None,
    **settings: Any,
) -> list[Result]:
    """Predicted and true quality of reduced spaces by trainings on random networks of a space whose every network was measured.

    Args:
        table: every network of a space that can be enumerated.
        target: what is learned.
        top_ks: modules of each unit that are kept.
        sizes: networks that are learned from.
        seeds: of the draws.
        report: hears {"phase", "share"}.
        settings: of the trainings.

    Returns:
        A line a size, seed and K: "learned from", "kept a unit", "seed", "gain" (of the mean, predicted; above zero is better),
        "true gain", "true gain inside" (1 where the 90 % interval holds it), "half width", and of the reduced space "in best
        tenth" and "best of 100", each with its true value.

    Raises:
        ConfigError: the file has not every network, or is too small.
    """
    space, values = load_space(table.spec), target.values(table.metrics)
    first = np.unique(table.networks, return_index=True)[1]
    first = first[np.isfinite(values[first])]
    truth, every = pd.Series(values[first], table.networks[first]), space.enumerate()
    if every is None or not np.isin(space.hash_networks(every), truth.index).all():
        raise ConfigError("reduced: got a file without some networks of its space, expected every one, measured.")
    if len(first) <= max(sizes):
        raise ConfigError(f"reduced: got {len(first)} networks, expected more than {max(sizes)}.")
    cases = [(size, seed) for size in sizes for seed in seeds]
    found = []
    for number, (size, seed) in enumerate(cases):
        report({"phase": f"{size} networks, draw {seed}", "share": number / len(cases)})
        rows = np.sort(first[np.random.default_rng(seed).permutation(len(first))[:size]])
        with tempfile.TemporaryDirectory(prefix="autobuild-reduced-") as place:
            run = train(table.take(rows), target.expression, Path(place) / "run", target.minimize, seed, **settings)
            about = {"learned from": size, "seed": seed}
            found += [about | {"kept a unit": k} | _judged(reduce(run, top_k=k), truth, target.minimize) for k in top_ks]
    return found


def _judged(found: Reduction, truth: "pd.Series[float]", minimize: bool) -> Result:
    """Predicted quality of a reduced space beside the true one."""
    turn, said, rng = -1 if minimize else 1, found.quality[0], np.random.default_rng(0)
    full, kept = (Population.of(space, rng) for space in (found.full, found.space))
    of_full, of_kept = (_true(truth, found, one, turn) for one in (full, kept))
    gain, true_gain = turn * said.difference.mean, float(of_kept @ kept.weights - of_full @ full.weights)
    reached = of_kept >= full.best_tenth(of_full[None])[0]
    return {
        "gain": gain,
        "true gain": true_gain,
        "true gain inside": int(abs(gain - true_gain) <= said.difference.half),
        "half width": said.difference.half,
        "in best tenth": said.reduced.in_best_tenth,
        "true in best tenth": float(kept.weights @ reached),
        "best of 100": said.reduced.best_of_100,
        "true best of 100": turn * kept.best_of(of_kept, NUM_RANDOM),
    }


def _true(truth: "pd.Series[float]", found: Reduction, population: Population, turn: int) -> NDArray[np.float64]:
    """(n,) true targets of a population, larger is better."""
    values: NDArray[np.float64] = truth.loc[found.full.hash_networks(population.codes)].to_numpy(float)
    return turn * values


def markdown(records: Sequence[Result]) -> str:
    """Means over the draws, a line a size and K."""
    lines, numbers = [], pd.DataFrame(records)
    for (size, kept), own in numbers.groupby(["learned from", "kept a unit"]):
        means = {name: f"{own[name].mean():.4g}" for name in own if name not in ("seed", "learned from", "kept a unit")}
        means["true gain inside"] = f"{own['true gain inside'].sum()} of {len(own)}"
        lines.append({"learned from": size, "kept a unit": kept} | means)
    return show.table("Reduced spaces, predicted and true", lines)
