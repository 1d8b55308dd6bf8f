"""Learning from all that a loop has measured, and the next batch by it: a fit without a training and its report.

What proposes is the searcher that `replay` calls default, on the history that the data are: what is measured of it there holds
here. Ours are the budgets: what is proposed keeps to them, and the best is the best within them.
"""

import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.errors import ConfigError
from autobuild_core.loop.known import Known
from autobuild_core.loop.plan import RoundsPlan
from autobuild_core.loop.rounds_folder import Batch
from autobuild_core.predictor.metrics import Metrics
from autobuild_core.search.assembly import nothing_left
from autobuild_core.search.budgets import Budgets, Obstacle, budget_words
from autobuild_core.search.design import STRANGERS, nearest
from autobuild_core.search.improvement import expected_gain
from autobuild_core.search.searchers import History
from autobuild_core.search.searchers.bayesian_optimisation import BayesianOptimisation, Learned
from autobuild_core.spaces import Space, load_space

SCORE = "score"  # the target, turned so that larger is better, as a metric


@dataclass(frozen=True, eq=False)
class Learner:
    """A version of the data, learned from.

    Args:
        plan: the rounds.
        table: the data.
        waiting: networks that somebody measures already, as decimal digits, with their (num_positions,) codes.
    """

    plan: RoundsPlan
    table: ArchTable
    waiting: tuple[tuple[str, Codes], ...] = ()

    @cached_property
    def space(self) -> Space:
        """The space that is searched."""
        return load_space(self.table.spec)

    @cached_property
    def known(self) -> Known:
        """The networks of the data."""
        return Known.of(self.table, self.plan.aim.target)

    @cached_property
    def budgets(self) -> Budgets:
        """The budgets over what the data say of their metrics.

        Raises:
            ConfigError: a metric is not one of the data's, or too few networks have it.
        """
        from autobuild_core.predictor.fitting import fit_metrics  # here: it loads scipy

        names = list(dict.fromkeys(bound.metric for bound in self.plan.bounds))
        metrics = fit_metrics(self.table, names, self.plan.seed) if names else Metrics({})
        return Budgets(metrics, self.plan.bounds, self.plan.confidence)

    @cached_property
    def searcher(self) -> BayesianOptimisation:
        """The searcher, which keeps to the budgets."""
        return BayesianOptimisation(self.space, self.plan.seed, accept=self.budgets.keeps)

    @cached_property
    def history(self) -> History:
        """The networks of the data as visits, each with its score, and those that somebody measures, without."""
        history, known = History(), self.known
        scores = (self.plan.sign * known.values).tolist()
        for codes, network, score in zip(known.codes, known.networks.tolist(), scores, strict=True):
            history.visit(codes, network, score)
        for digits, codes in self.waiting:
            if int(digits) not in history.known:
                history.visit(codes, int(digits), float("nan"))
        return history

    def propose(self, number: int, num: int) -> Batch | None:
        """The batch of a round; None where no network is left that may be proposed.

        Args:
            number: of the round.
            num: networks, at most.
        """
        begun = time.perf_counter()
        codes = self.searcher.new(self.searcher.propose(self.history, self.plan.batch), self.history)[:num]
        if not len(codes):
            return None
        archs = tuple(self.space.native(row) for row in codes)
        networks = tuple(str(int(network)) for network in self.space.hash_networks(codes))
        learned, about = self.searcher.learned(self.history), (number, self.table.version, archs, networks)
        if learned is None:
            return Batch(*about, seconds_fit=time.perf_counter() - begun)
        return Batch(*about, *self._predicted(learned, codes), time.perf_counter() - begun)

    def _predicted(self, learned: Learned, codes: Codes) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...], float]:
        """(predicted, low, high, expected improvement) in target units."""
        expected, low, high = (self.plan.sign * part for part in learned.posterior.interval(codes, self._widening()))
        ends = np.minimum(low, high), np.maximum(low, high)
        gain = expected_gain(learned.posterior, codes, learned.least, self.searcher.rng(self.history))
        predicted, below, above = (tuple(part.tolist()) for part in (expected, *ends))
        return predicted, below, above, gain

    def _widening(self) -> float:
        """The factor that the standard deviations of measured networks need where these are predicted without themselves."""
        from autobuild_core.predictor.fitting import fit_metrics

        scores = pd.DataFrame({SCORE: self.plan.sign * self.known.values})
        rows = np.sort(np.unique(self.table.networks, return_index=True)[1])
        model = fit_metrics(replace(self.table.take(rows), metrics=scores), [SCORE], self.plan.seed).models.get(SCORE)
        return 1.0 if model is None or model.is_exact else model.widening

    def obstacle(self) -> Obstacle | None:
        """The obstacle of the budgets; None where an architecture keeps to them."""
        budgets, space = self.budgets, self.space
        if not budgets.bounds:
            return None
        if self.searcher.every is not None:
            return budgets.obstacle(self.searcher.every[0])
        rng = np.random.default_rng(self.plan.seed)
        start = np.concatenate([self.known.codes, space.sample(STRANGERS, rng)])
        return None if budgets.keeps(start).any() else budgets.obstacle(nearest(budgets, space, start, rng))

    def check_budgets(self) -> None:
        """Returns when an architecture keeps to the budgets.

        Raises:
            ConfigError: none does; the message says which budget binds and what the nearest are.
        """
        if (found := self.obstacle()) is not None:
            raise ConfigError(f"budgets: {found.words}")

    def why_none(self) -> str:
        """The reason why there is no further batch, a sentence."""
        left = nothing_left(self.space, np.array(list(self.history.known), np.uint64))
        if left.is_exhausted or not self.budgets.bounds:
            return f"{left.said}."
        kept = " and ".join(budget_words(bound) for bound in self.budgets.bounds)
        return f"No network is left that keeps to {kept} with {100 * self.budgets.confidence:g} %."
