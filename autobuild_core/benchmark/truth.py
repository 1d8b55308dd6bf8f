"""True worth of modules and architectures, where a file holds a whole space: what scores are judged by."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.scoring.population import Population, exact_means
from autobuild_core.spaces import Space

PRODUCT_K = 3
LONGEST = 4
Array = NDArray[np.float64]
Score = Callable[[list[ModuleGroup]], list[Array]]


class Truth:
    """The measured targets of a whole space.

    Args:
        space: the search space.
        codes: (n, num_positions) every encoding of it.
        values: (n,) their targets, larger is better.
    """

    def __init__(self, space: Space, codes: Codes, values: Array) -> None:
        self.space, self.values, self.population = space, values, Population(codes, space.weights(codes), True)
        self.best_tenth = (values >= self.population.best_tenth(values[None])[0]).astype(float)
        networks, first = np.unique(space.hash_networks(codes), return_index=True)
        self.networks, self.network_values = networks, values[first]
        self.ranks = (-self.network_values).argsort().argsort() + 1

    @classmethod
    def of(cls, table: ArchTable, values: Array, space: Space) -> "Truth | None":
        """The truth in a table; None where the space is large or a network of it was not evaluated."""
        codes = space.enumerate()
        if codes is None:
            return None
        known = pd.Series(values).groupby(table.networks).mean()
        found = known.reindex(space.hash_networks(codes))
        return None if found.isna().any() else cls(space, codes, found.to_numpy(float))

    def means(self, group: ModuleGroup, good: bool) -> Array:
        """(num_modules,) the true mean target, or share among the best tenth, of the architectures with each module."""
        values = self.best_tenth if good else self.values
        means: Array = exact_means(values[None], self.population, group, self.space.spec)[0]
        return means

    def fidelity(self, score: Score, good: bool = False) -> list[float]:
        """Spearman correlation of scores with the truth over all modules of each length from 1 to LONGEST."""
        from scipy.stats import spearmanr

        out = []
        for length in range(1, min(LONGEST, self.space.spec.num_positions) + 1):
            groups = self.space.windows(length)
            truth = np.concatenate([self.means(group, good) for group in groups])
            out.append(float(spearmanr(np.concatenate(score(groups)), truth).statistic))
        return out

    def in_unit(self, score: Score) -> float:
        """Spearman correlation within each unit (and depth), averaged."""
        from scipy.stats import spearmanr

        from autobuild_core.scorers import unit_groups

        groups = [group for group in unit_groups(self.space) if len(group) > 2]
        found = zip(groups, score(groups), strict=True)
        return float(np.mean([spearmanr(values, self.means(group, False)).statistic for group, values in found]))

    def unit_regret(self, score: Score) -> float:
        """Loss by choosing each unit's best module by scores, as a share of (best - average) of the unit; mean over units."""
        from autobuild_core.scorers import unit_groups

        true: dict[int | None, list[Array]] = {}
        found: dict[int | None, list[Array]] = {}
        groups = unit_groups(self.space)
        for group, scores in zip(groups, score(groups), strict=True):
            true.setdefault(group.unit, []).append(self.means(group, False))
            found.setdefault(group.unit, []).append(scores)
        regrets = []
        for unit, parts in true.items():
            worth, chosen = np.concatenate(parts), int(np.argmax(np.concatenate(found[unit])))
            regrets.append((worth.max() - worth[chosen]) / max(worth.max() - worth.mean(), 1e-12))
        return float(np.mean(regrets))

    def product_rank(self, score: Score) -> int:
        """Rank of the best network in the product of each unit's PRODUCT_K best modules."""
        from autobuild_core.predictor import published
        from autobuild_core.scorers import unit_groups

        groups, spec = unit_groups(self.space), self.space.spec
        product = published.build(spec, groups, score(groups), PRODUCT_K, PRODUCT_K ** len(spec.units))
        return self.rank(product)

    def _places(self, codes: Codes) -> NDArray[np.intp]:
        return np.searchsorted(self.networks, self.space.hash_networks(codes))

    def rank(self, codes: Codes) -> int:
        """Rank of the best of these architectures among all networks, from 1."""
        return int(self.ranks[self._places(codes)].min())

    def regret(self, codes: Codes) -> float:
        """Difference between the best of all architectures and the best of these."""
        return float(self.values.max() - self.network_values[self._places(codes)].max())
