"""The sample mean: what was measured with the module, and no model at all."""

from collections.abc import Callable
from functools import cached_property
from typing import final

import numpy as np
import pandas as pd

from autobuild_core.architectures.lens import GOOD_SHARE
from autobuild_core.architectures.modules import ModuleGroup, active_rows, group_keys, key_columns, module_keys
from autobuild_core.architectures.records import Codes
from autobuild_core.scorers._learned import Array, DataScorer, score_frame
from autobuild_core.targets.scaling import TWO_SIDED_90


def shrunk_means(means: Array, counts: Array, within: float, centre: float) -> tuple[Array, Array]:
    """Empirical-Bayes means and their standard deviations.

    The spread between modules (tau^2) is the method-of-moments estimate from modules seen, weighted by their counts; a module
    seen n times keeps the share tau^2 / (tau^2 + within / n) of its distance to the centre, one never seen keeps none.

    Args:
        means: (m,) mean of what was measured with each module; anything where counts is 0.
        counts: (m,) how many architectures that is.
        within: variance of the target among architectures with the same module.
        centre: mean of all.
    """
    seen = counts > 0
    distance = np.where(seen, means - centre, 0.0)
    observed = float((counts * (distance**2 - within / np.maximum(counts, 1)))[seen].sum() / max(counts.sum(), 1))
    between = max(observed, 0.0)
    keep = between * counts / np.maximum(between * counts + within, 1e-300)
    return centre + keep * distance, np.sqrt(between * (1 - keep))


@final
class SampleMean(DataScorer):
    """The mean target of the evaluated architectures that contain the module, shrunk to the mean of all.

    Ours. Of a uniform sample it estimates the same quantity as `score`, from the few architectures that contain the module; of a
    search log also what else those architectures have in common. The 90 % interval is the posterior's.
    """

    title = "Sample mean"
    explained = "the mean of what was measured with the module, drawn towards the mean of all where it was seen seldom"

    def score(self, groups: list[ModuleGroup], report: Callable[[float], None] = lambda share: None) -> list[pd.DataFrame]:
        values, sign = self._written[1], self.predictor.scaling.sign
        good = (sign * values >= np.quantile(sign * values, 1 - GOOD_SHARE)).astype(float)
        frames = []
        for number, group in enumerate(groups):
            beside = values[active_rows(self._written[0], group, self.predictor.spec)]
            usual = float((beside if len(beside) else values).mean())
            score, effect = self._lens(group, values), self._lens(group, values, usual)
            share = tuple(np.clip(part, 0, 1) for part in self._lens(group, good))
            frames.append(score_frame(score=score, effect=effect, good=(share[0], share[1], share[2])))
            report((number + 1) / len(groups))
        return frames

    @cached_property
    def _written(self) -> tuple[Codes, Array]:
        """Codes as the file encodes them, which decides what contains a module, and their targets."""
        assert self.table is not None
        known = np.isfinite(self.values)
        return self.table.codes[known], self.values[known]

    def _lens(self, group: ModuleGroup, values: Array, less: float = 0.0) -> tuple[Array, Array, Array]:
        """(mean, low, high) of (networks,) values by module, less a constant."""
        keys, spec = group_keys(group, self.predictor.spec), self.predictor.spec
        order = np.argsort(keys)
        found = module_keys(self._written[0], key_columns(group, spec))
        place = np.minimum(np.searchsorted(keys[order], found), len(keys) - 1)
        inside = keys[order][place] == found
        module, num = order[place[inside]], group.num_shown
        if group.ranges is not None:
            module = group.ranges[module]
        counts = np.bincount(module, minlength=num).astype(float)
        means = np.bincount(module, values[inside], num) / np.maximum(counts, 1)
        if not inside.any():
            spread = np.full(num, float(values.std()))
            level = np.full(num, float(values.mean()))
        else:
            rest = values[inside] - means[module]
            free = max(int(counts.sum() - (counts > 0).sum()), 1)
            within = max(float((rest**2).sum() / free), 1e-12 * float(values.var()) + 1e-300)
            if (counts > 1).sum() == 0:  # no module twice: nothing tells the module from the rest
                within = float(values.var())
            level, spread = shrunk_means(means, counts, within, float(values[inside].mean()))
        return level - less, level - less - TWO_SIDED_90 * spread, level - less + TWO_SIDED_90 * spread
