"""Would another sample of networks have said the same of a module? The share of bootstraps in which its effect keeps its sign.

`bootstrap.py` says how predictions move from one bootstrap sample of the networks to the next; here those moves become moves of
every scored module's effect. Ours.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.module_table import groups_of
from autobuild_core.architectures.modules import count_evaluated
from autobuild_core.architectures.records import SpaceSpec
from autobuild_core.scoring.bootstrap import Bootstraps
from autobuild_core.scoring.population import Population, exact_means, mean_beside, pooled, range_weights

Array = NDArray[np.float64]
FILE = "claims.parquet"
NUM_ARCHITECTURES, FEWEST = 2048, 12  # of the space, over which moves are averaged; that a module needs among them


def holding_table(everything: Population, spec: SpaceSpec, bootstraps: Bootstraps, modules: pd.DataFrame) -> pd.DataFrame:
    """claims.parquet: how every module's effect moves over the bootstraps.

    The effect in a bootstrap is that of the module table, moved by what the predictions of architectures with the module move on
    average, less what all move (of a unit with conditions: all in which they hold).

    Args:
        everything: the space, as scores average over it.
        spec: of the space.
        bootstraps: of the ensemble.
        modules: modules.parquet.

    Returns:
        A line a module, in their order: positions, layers, whole_unit, holds (share of the bootstraps in which the effect has the
        sign that it has), bootstrap_low, bootstrap_high (90 % of the bootstraps); NaN where fewer than FEWEST of
        NUM_ARCHITECTURES random architectures contain the module.
    """
    lines = np.sort(np.random.default_rng(0).permutation(len(everything.codes))[:NUM_ARCHITECTURES])
    weights = everything.weights[lines] / everything.weights[lines].sum()
    population = Population(everything.codes[lines], weights, False)
    targets = bootstraps.target_moves(population.codes)
    effects, beside = np.full((len(targets), len(modules)), np.nan), np.empty((len(targets), len(modules)))
    for group, places in groups_of(modules, spec):
        counts, means = count_evaluated(group, spec, population.codes), exact_means(targets, population, group, spec)
        if group.ranges is not None:
            means = pooled(means, group, range_weights(group, population, spec))
            counts = np.bincount(group.ranges, counts, group.num_shown).astype(np.int64)
        effects[:, places] = np.where(counts >= FEWEST, means, np.nan)
        beside[:, places] = mean_beside(targets, population, group, spec)[:, None]
    effects += modules["effect"].to_numpy(float) - beside
    same = (np.sign(effects) == np.sign(modules["effect"].to_numpy(float))).mean(0)
    low, high = np.quantile(effects, [0.05, 0.95], axis=0)
    found = modules[["positions", "layers", "whole_unit"]].assign(holds=np.where(np.isnan(low), np.nan, same))
    return found.assign(bootstrap_low=low, bootstrap_high=high)
