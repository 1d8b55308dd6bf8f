"""The networks that a loop knows: each once, with the means of its repeats, from the rows of its data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.predictor.metrics import Bound, Metrics
from autobuild_core.targets.equation import Target

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Known:
    """The networks of a data set, in the order of their first rows.

    Args:
        codes: (n, num_positions) each as its first row has it.
        networks: (n,) canonical hashes.
        metrics: n rows, means over all repeats that have a target; NaN where there is none.
        values: (n,) the target of these means; NaN of a network that failed.
    """

    codes: Codes
    networks: NDArray[np.uint64]
    metrics: pd.DataFrame
    values: Array

    @classmethod
    def of(cls, table: ArchTable, target: Target) -> Self:
        """The networks of a table.

        Args:
            table: rows; of one network they may differ in seed, or in whatever else they were measured in.
            target: the equation.

        Raises:
            TargetError: it is none over the metrics.
        """
        first = np.sort(np.unique(table.networks, return_index=True)[1])
        fine = np.isfinite(target.values_or_nan(table.metrics)) & np.isnan(table.censored)
        means = table.metrics[fine].groupby(table.networks[fine]).mean().reindex(table.networks[first])
        means = means.reset_index(drop=True)
        return cls(table.codes[first], table.networks[first], means, target.values_or_nan(means))

    def within(self, bounds: Sequence[Bound], metrics: Metrics) -> NDArray[np.bool_]:
        """(n,) which networks have a target and keep to limits, as measured, or as expected of a metric that was not."""
        kept = np.isfinite(self.values)
        for bound in bounds:
            values = self.metrics[bound.metric].to_numpy(float)
            values = np.where(np.isfinite(values), values, metrics.model(bound.metric).interval(self.codes)[0])
            kept &= bound.turn * (bound.limit - values) >= 0
        return kept

    def best(self, sign: int, among: NDArray[np.bool_]) -> int | None:
        """The row with the best target among some; None without any.

        Args:
            sign: 1 where larger targets are better, -1 where smaller ones are.
            among: (n,) which rows; all of them have a target.
        """
        rows = np.flatnonzero(among)
        return int(rows[np.argmax(sign * self.values[rows])]) if len(rows) else None
