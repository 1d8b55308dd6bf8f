"""AutoBuild's scores: the ensemble's own expectations over the space, and the published embedding norm."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from autobuild_core.costs import CostModel
from autobuild_core.graphs import module_contexts, module_sink
from autobuild_core.inference import TWO_SIDED_90, Predictor
from autobuild_core.records import ABSENT, Codes, ModuleGroup
from autobuild_core.scorers import Scorer, group_keys, key_columns, module_keys

Array = NDArray[np.float64]
NUM_CONTEXTS = 16
NUM_DRAWS = 4096
GOOD_SHARE = 0.1
MODULES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Population:
    """The space as the lenses average over it.

    Args:
        codes: (n, num_positions) every encoding, or random ones where they are too many.
        weights: (n,) probability of each, summing to one.
        exact: every encoding is there.
    """

    codes: Codes
    weights: Array
    exact: bool


def jackknife_half_width(values: Array) -> Array:
    """Half of the 90 % interval of the mean of (members, n) values.

    Members differ in what they hold out, one fold of as many as there are members: the spread between them is
    that of a delete-a-group jackknife, whose standard error is the spread times sqrt(members - 1).
    """
    half: Array = TWO_SIDED_90 * np.sqrt(len(values) - 1) * values.std(0)
    return half


@final
class AutoBuildScorer(Scorer):
    """Scores by the trained ensemble.

    Source: the embedding norm is AutoBuild's (section 3.3), standardised over all modules at the same positions
    (method.md, weakness 3). Ours: `score` and `good` are expectations of the predictor over the rest of the
    architecture: exact over every encoding of a space of up to 50,000, else over the same NUM_CONTEXTS random
    contexts for every module, so that differences are sharp. Intervals are the spread between members.

    Args:
        predictor: the trained run.
        cost: adds the lens `equal_cost`: the expected target beyond what a cubic in this cost explains over the space.
        seed: of the random contexts.
    """

    title = "AutoBuild"

    def __init__(self, predictor: Predictor, cost: CostModel | None = None, seed: int = 0) -> None:
        self.predictor, self.cost = predictor, cost
        self._rng = np.random.default_rng(seed)
        self.population = self._population()
        scores = predictor.member_scores(self.population.codes)  # (members, n)
        self._targets = predictor.expected(scores)
        self._thresholds = self._good_thresholds(scores)
        self._good = self._good_of(scores)
        self.space_means: Array = self._targets @ self.population.weights  # (members,)
        self.space_good: Array = self._good @ self.population.weights
        self._by_cost = self._cost_curves()
        self._beyond = self._beyond_cost(self.population.codes, self._targets)

    @property
    def space_mean(self) -> float:
        """Expected target of an average architecture of the space."""
        return float(self.space_means.mean())

    @property
    def member_targets(self) -> Array:
        """(members, n) expected targets of the population, by member."""
        return self._targets

    @property
    def good_threshold(self) -> float:
        """The target that the best tenth of the space is expected to reach."""
        return float(self.predictor.scaling.to_target(self._thresholds).mean())

    def supports(self, predictor: Predictor) -> str | None:
        return None

    def score(self, groups: list[ModuleGroup], report: Callable[[float], None] = lambda share: None) -> list[pd.DataFrame]:
        total, done, frames = sum(map(len, groups)), 0, []
        for group in groups:
            target, good, beyond = self._exact(group) if self.population.exact else self._sampled(group)
            frame = self._frame(target, good, beyond)
            frame.insert(0, "embedding_norm", self._norms(group))
            frames.append(frame)
            done += len(group)
            report(done / total)
        return frames

    def _population(self) -> Population:
        space = self.predictor.space
        codes = space.enumerate()
        if codes is not None:
            return Population(codes, space.weights(codes), True)
        return Population(space.sample(NUM_DRAWS, self._rng), np.full(NUM_DRAWS, 1 / NUM_DRAWS), False)

    def _good_thresholds(self, scores: NDArray[np.float32]) -> Array:
        """(members,) the score above which a tenth of the space lies, prediction error included."""
        drawn = self._rng.choice(len(self.population.weights), NUM_DRAWS * 4, p=self.population.weights)
        noise = self.predictor.calibration.residual * self._rng.standard_normal(len(drawn))
        thresholds: Array = np.quantile(scores[:, drawn] + noise, 1 - GOOD_SHARE, axis=1)
        return thresholds

    def _good_of(self, scores: NDArray[np.float32]) -> Array:
        """Probability that an architecture with these (members, n) scores is among the best tenth."""
        residual = max(self.predictor.calibration.residual, 1e-6)
        good: Array = ndtr((scores - self._thresholds[:, None]) / residual)
        return good

    def _cost_curves(self) -> Array:
        """(members, 4) least-squares cubic of each member's targets in the standardised cost, over the space."""
        if self.cost is None:
            return np.zeros((len(self._targets), 0))
        costs = self.cost.predict(self.population.codes)
        self._cost_scale = float(costs.mean()), max(float(costs.std()), 1e-12)
        root = np.sqrt(self.population.weights)
        curves = np.linalg.lstsq(self._powers(costs) * root[:, None], (self._targets * root).T, rcond=None)[0].T
        return np.asarray(curves, np.float64)

    def _powers(self, costs: Array) -> Array:
        """(n, 4) powers 0 to 3 of the standardised cost."""
        mean, spread = self._cost_scale
        return np.vander((costs - mean) / spread, 4, increasing=True)

    def _beyond_cost(self, codes: Codes, targets: Array) -> Array:
        """(members, n) targets less what the cost of the codes explains; the targets themselves without a cost."""
        if self.cost is None:
            return targets
        beyond: Array = targets - self._by_cost @ self._powers(self.cost.predict(codes)).T
        return beyond

    def _exact(self, group: ModuleGroup) -> tuple[Array, Array, Array]:
        """(members, num_modules) expected target, `good`, target beyond cost, over every encoding that contains the module."""
        spec = self.predictor.spec
        keys = group_keys(group, spec)
        order = np.argsort(keys)
        found = module_keys(self.population.codes, key_columns(group, spec))
        place = np.minimum(np.searchsorted(keys[order], found), len(keys) - 1)
        inside = keys[order][place] == found
        module = order[place[inside]]
        weight = self.population.weights[inside]
        total = np.bincount(module, weight, len(group))

        def average(values: Array) -> Array:
            sums = [np.bincount(module, row * weight, len(group)) for row in values[:, inside]]
            return np.stack(sums) / total

        return average(self._targets), average(self._good), average(self._beyond)

    def _sampled(self, group: ModuleGroup) -> tuple[Array, Array, Array]:
        """As `_exact`, over random contexts.

        The few contexts are shared by all modules, so what they get wrong is the same for all: where the group holds
        every sequence of layers at its positions, its mean is moved to that of all random architectures which have as
        many layers there; else the mean of the contexts themselves is.
        """
        eligible = self._eligible(group)
        base = self.population.codes[eligible[:NUM_CONTEXTS]]
        columns, width, members = list(group.positions), len(base), len(self.space_means)
        target, good, beyond = (np.empty((members, len(group))) for _ in range(3))
        for start in range(0, len(group), MODULES_AT_ONCE):
            part = group.codes[start : start + MODULES_AT_ONCE]
            codes = np.tile(base, (len(part), 1))
            codes[:, columns] = np.repeat(part, width, axis=0)
            self._tie(codes, group)
            scores = self.predictor.member_scores(codes)
            targets, stop = self.predictor.expected(scores), start + len(part)
            target[:, start:stop] = targets.reshape(members, len(part), width).mean(2)
            good[:, start:stop] = self._good_of(scores).reshape(members, len(part), width).mean(2)
            beyond[:, start:stop] = self._beyond_cost(codes, targets).reshape(members, len(part), width).mean(2)
        complete = len(group) == self.predictor.space.group_size(group.positions)
        for averages, values in ((target, self._targets), (good, self._good), (beyond, self._beyond)):
            now = averages.mean(1) if complete else values[:, eligible[:NUM_CONTEXTS]].mean(1)
            averages += (values[:, eligible].mean(1) - now)[:, None]
        return target, np.clip(good, 0, 1), beyond

    def _tie(self, codes: Codes, group: ModuleGroup) -> None:
        """Gives the other layers of tied units that a window lies in the window's layer, in place."""
        for unit in self.predictor.spec.units:
            inside = [p for p in group.positions if p in unit.positions]
            if unit.tied and inside and group.unit is None:
                columns = list(unit.positions)
                codes[:, columns] = np.where(codes[:, columns] == ABSENT, ABSENT, codes[:, inside[:1]])

    def _eligible(self, group: ModuleGroup) -> NDArray[np.intp]:
        """Rows of the random architectures that have a layer wherever the module has one; for a whole unit, and none behind."""
        codes = self.population.codes
        inside = (codes[:, list(group.positions)] != ABSENT).all(1)
        if group.unit is not None:
            unit = self.predictor.spec.units[group.unit]
            inside &= (codes[:, list(unit.positions)] != ABSENT).sum(1) == len(group.positions)
        return np.flatnonzero(inside)

    def _frame(self, target: Array, good: Array, beyond: Array) -> pd.DataFrame:
        """Means over members with 90 % intervals."""
        lenses = {"score": target, "effect": target - self.space_means[:, None], "good": good}
        if self.cost is not None:
            lenses["equal_cost"] = beyond
        out: dict[str, Any] = {}
        for name, values in lenses.items():
            mean, half = values.mean(0), jackknife_half_width(values)
            out |= {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}
        frame = pd.DataFrame(out)
        frame[["good_low", "good_high"]] = frame[["good_low", "good_high"]].clip(0, 1)
        return frame

    def _norms(self, group: ModuleGroup) -> Array:
        """(num_modules,) norm at the module's sink, alone, at its hop; standardised over the group, mean over members.

        Modules longer than the last hop sees are scored at the last hop. Where the sink hears more than the module, the norm is
        the mean over what may stand there.
        """
        network, spec = self.predictor.network, self.predictor.spec
        sink, hop = module_sink(group, spec)
        hop, contexts = min(hop, network.num_hops), module_contexts(group, spec)
        norms = np.mean([network.node_norms(codes, hop)[:, :, sink].astype(float) for codes in contexts], axis=0)
        spread = norms.std(1, keepdims=True)
        standard: Array = ((norms - norms.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)).mean(0)
        return standard
