"""Worlds, in which every architecture can be looked up or measured: what a loop observes of a network, and what is true."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.errors import ConfigError
from autobuild_core.evaluators import load_evaluator
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.evaluators._searching import Evaluations, SearchPlan
from autobuild_core.jobs.kinds.replay.plan import ReplayPlan
from autobuild_core.spaces import Space, load_space
from autobuild_core.targets.equation import Target

Array = NDArray[np.float64]


class World(ABC):
    """A space and what is known of its networks. Targets keep their units and sign.

    Args:
        space: that is searched.
    """

    def __init__(self, space: Space) -> None:
        self.space = space

    @abstractmethod
    def observe(self, codes: Codes) -> Array:
        """(n,) the target of (n, num_positions) networks as a loop gets it; NaN where there is none."""

    @abstractmethod
    def judge(self, codes: Codes) -> Array:
        """(n,) the target that they are judged by."""

    @abstractmethod
    def every(self) -> Array | None:
        """(networks,) what every network of the space is judged by; None where they are too many."""


class Looked(World):
    """A table that holds every network of a space.

    Where it has several seeds of a network a loop observes the first, and the mean of all is the judge. Where it has several
    contexts besides, such as tasks, both are means over these.

    Args:
        table: evaluated architectures.
        target: what is observed.
        judge: what is true.

    Raises:
        ConfigError: the space is too large, or a network of it is not in the table.
        TargetError: an equation is not one over the metrics.
    """

    def __init__(self, table: ArchTable, target: Target, judge: Target) -> None:
        super().__init__(load_space(table.spec))
        every = self.space.enumerate()
        networks = np.zeros(0, np.uint64) if every is None else np.unique(self.space.hash_networks(every))
        rows = table.take(np.isin(table.networks, networks))
        found = len(np.unique(rows.networks))
        if every is None or found < len(networks):
            of = "a space too large to hold" if every is None else f"{found:,} of the {len(networks):,} networks of its space"
            raise ConfigError(
                f"data: got a file with {of}, expected every network; `replay --evaluator` measures those it lacks."
            )
        seeds = [name for name, kind in rows.context_kinds.items() if kind == "seed"]
        order = np.lexsort([rows.contexts[name] for name in seeds]) if seeds else np.arange(len(rows))
        self._rows = rows.take(order[np.unique(rows.networks[order], return_index=True)[1]])
        self._networks = self._rows.networks
        self._observed = target.values(_first_of_each_context(rows, order).loc[self._networks])
        self._judged = judge.values(rows.metrics.groupby(rows.networks).mean().loc[self._networks])
        if not np.isfinite(self._judged).any():
            raise ConfigError("replay: got no network with a target to be judged by, expected some.")

    def _places(self, codes: Codes) -> NDArray[np.intp]:
        return np.searchsorted(self._networks, self.space.hash_networks(codes))

    def rows(self, codes: Codes) -> ArchTable:
        """The rows of the table that are observed of (n, num_positions) networks."""
        return self._rows.take(self._places(codes))

    def observe(self, codes: Codes) -> Array:
        return self._observed[self._places(codes)]

    def judge(self, codes: Codes) -> Array:
        return self._judged[self._places(codes)]

    def every(self) -> Array | None:
        return self._judged


def _first_of_each_context(rows: ArchTable, order: NDArray[np.intp]) -> pd.DataFrame:
    """The metrics of each network, by its hash: the mean over contexts of what its first row in each of them says.

    Args:
        rows: evaluated architectures.
        order: of the rows.
    """
    others = [name for name, kind in rows.context_kinds.items() if kind != "seed"]
    keys = pd.DataFrame({"network": rows.networks}).join(rows.contexts[others].reset_index(drop=True)).iloc[order]
    first = order[~keys.duplicated().to_numpy()]
    return rows.metrics.iloc[first].groupby(rows.networks[first]).mean()


class Measured(World):
    """A space whose networks an evaluator measures when they are asked for.

    Args:
        evaluations: measures what no mode has asked for before.
        judge: equation over the evaluator's metrics: what is true.
    """

    def __init__(self, evaluations: Evaluations, judge: Target) -> None:
        super().__init__(evaluations.space)
        self._evaluations, self._judge = evaluations, judge

    def observe(self, codes: Codes) -> Array:
        sign = -1 if self._evaluations.aim.minimize else 1
        return sign * np.array(self._evaluations.scores(codes), float)

    def judge(self, codes: Codes) -> Array:
        self._evaluations.scores(codes)
        means = pd.DataFrame([self._evaluations.means_of(self.space.native(row)) for row in codes])
        known = means.dropna() if set(self._judge.names) <= set(means.columns) else means[:0]
        values = pd.Series(np.nan, means.index)
        values[known.index] = self._judge.values(known)
        judged: Array = values.to_numpy(float)
        return judged

    def every(self) -> Array | None:
        return None


def looked_up(plan: ReplayPlan, table: ArchTable) -> Looked:
    """The world of a replay in which every network is known.

    Args:
        plan: says what is observed and what judges.
        table: evaluated architectures.

    Raises:
        ConfigError: the space is too large, or a network of it is not in the table.
        TargetError: an equation is not one over the metrics.
    """
    return Looked(table, Target(plan.target, plan.minimize), Target(plan.judged, plan.minimize))


def measured_by(
    plan: ReplayPlan,
    searched: SearchPlan,
    space: Space | None,
    results: ResultsFile,
    should_stop: Callable[[], bool] = lambda: False,
) -> Measured:
    """The world of a replay whose networks an evaluator measures.

    Args:
        plan: says what is observed and what judges.
        searched: the evaluator with its budget and device (`ReplayPlan.search_plan`).
        space: that it measures; None = its own.
        results: keep what was measured.
        should_stop: asked before every evaluation.

    Raises:
        ConfigError: no space is given and the evaluator has none, or it does not measure the space.
    """
    own: Space | None = space or getattr(load_evaluator(searched.evaluator), "space", None)
    if own is None:
        raise ConfigError(f"{searched.evaluator}: got no --space, expected the space that it measures.")
    return Measured(Evaluations(own, searched, results, lambda record: None, should_stop), Target(plan.judged, plan.minimize))
