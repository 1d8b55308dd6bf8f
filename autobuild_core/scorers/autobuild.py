"""AutoBuild's scores: the ensemble's own expectations over the space, and the published embedding norm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.lens import GOOD_SHARE
from autobuild_core.architectures.modules import ModuleGroup, count_evaluated, eligible_rows
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.architectures.structure import one_hot, told_by_attributes
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import Scorer
from autobuild_core.scoring.intervals import CONFIDENCE, jackknife_half_width, student_bound
from autobuild_core.scoring.population import (
    NUM_CONTEXTS,
    NUM_DRAWS,
    Evaluated,
    Population,
    exact_means,
    mean_beside,
    pooled,
    range_weights,
    scaled,
    shifted,
)
from autobuild_core.spaces._in_contexts import in_contexts
from autobuild_core.targets.costs import CostModel
from autobuild_core.targets.noise import label_noise
from autobuild_core.targets.scaling import TWO_SIDED_90

Array = NDArray[np.float64]
CALIBRATED_ON = 160  # modules of a larger group that are put into contexts; the rest follow from their embeddings
Move = Callable[[Array, Array, Array], Array]
PENALTIES = np.logspace(-5, 2, 15)
FAR, BISECTIONS = 6.0, 40  # how far beyond the scores a threshold is looked for, in normal scores, and in how many halvings


def calibrate(features: Array, values: Array, every: Array) -> tuple[Array, Array]:
    """Ridge regression of a few modules' expectations on their features, carried over to all modules of the group.

    Args:
        features: (n, dim) of the modules with known expectations.
        values: (n, lenses) their expectations.
        every: (m, dim) features of all modules.

    Returns:
        (m, lenses) expectations, and (lenses,) leave-one-out error of the n, for the best of PENALTIES per lens.
    """
    mean, spread = features.mean(0), features.std(0)
    spread = np.where(spread > 1e-9, spread, np.inf)  # what does not vary says nothing
    standard, middle = (features - mean) / spread, values.mean(0)
    basis, singular, _ = np.linalg.svd(standard, full_matrices=False)
    along = basis.T @ (values - middle)
    best = np.full(values.shape[1], np.inf)
    weights = np.zeros((len(singular), values.shape[1]))
    for penalty in PENALTIES * len(values):
        kept = singular**2 / (singular**2 + penalty)
        leverage = (basis**2) @ kept + 1 / len(values)
        residual = (values - middle - basis @ (kept[:, None] * along)) / np.maximum(1 - leverage, 1e-3)[:, None]
        error = np.sqrt((residual**2).mean(0))
        better = error < best
        best = np.where(better, error, best)
        weights[:, better] = (kept[:, None] * along / np.maximum(singular, 1e-12)[:, None])[:, better]
    rotation = np.linalg.lstsq(basis * singular, standard, rcond=None)[0]  # (rank, dim): the right singular vectors
    return (every - mean) / spread @ rotation.T @ weights + middle, best


def context_error(values: Array, by_context: Array, move: Move) -> Array:
    """(num_modules,) standard error of the mean over random contexts of (num_modules, contexts) values.

    Widened so that 1.645 of it are what Student's t has for so few contexts.

    Args:
        values: of each module in each context.
        by_context: (contexts,) what a context has in common for all modules; it is no error, since `move` takes it off.
        move: `shifted` or `scaled`.
    """
    num = values.shape[1]
    if num < 2:
        return np.zeros(len(values))
    alike = move(np.repeat(values.mean(1)[None], num, 0), np.full(num, by_context.mean()), by_context).T
    error: Array = np.sqrt(((values - alike) ** 2).sum(1) / (num * (num - 1)))
    return error * student_bound(1 - CONFIDENCE, num - 1) / TWO_SIDED_90


def _pooled_error(error: Array | float, group: ModuleGroup, weights: Array, shared: bool) -> Array | float:
    """Standard error of each range's mean: of its modules' errors, which are independent or shared."""
    if not isinstance(error, np.ndarray):
        return error
    assert group.ranges is not None
    own: Array = weights / np.bincount(group.ranges, weights)[group.ranges] * error
    pooled_error = np.bincount(group.ranges, own if shared else own**2, group.num_shown).astype(float)
    return pooled_error if shared else np.sqrt(pooled_error)


@dataclass(frozen=True, eq=False)
class Doubts:
    """The uncertainty over an enumerated space beside the spread between members.

    Args:
        labels: (n,) variance of measured targets, times the encodings that share a network.
        good: (n,) variance of being among the best tenth, times these.
        best_of_any: (n,) 1 where any member has an encoding among its best tenth, by its score alone.
    """

    labels: Array
    good: Array
    best_of_any: Array


@final
class AutoBuildScorer(Scorer):
    """Scores by the trained ensemble.

    Source: the embedding norm is AutoBuild's (section 3.3), standardised over all modules at the same positions
    (docs/method.md, weakness 3). Ours: `score` and `good` are expectations of the predictor over the rest of the architecture. Of
    a space of up to 50,000 encodings they are exact, and what was measured enters as measured. Beyond that every module meets the
    same NUM_CONTEXTS random contexts, so that differences are sharp; of groups with more than CALIBRATED_ON modules so many are
    put into contexts, and the others' expectations follow from their own hop embeddings by a regression whose leave-one-out
    error is kept in `calibration_errors`. Over an enumerated space a module none of whose architectures any member has among its
    best tenth has a `good` of 0: small probabilities would bring modules into an order that have no good architecture. Intervals
    are the spread between members and, where there is one, that error and that of the few contexts, or the noise of measured
    labels, and of `good` the chance by which architectures turn out to be among the best tenth.

    Args:
        predictor: the trained run.
        cost: adds the lens `equal_cost`: the expected target beyond what a cubic in this cost explains over the space.
        table: the evaluated architectures; without them, and where contexts vary, nothing counts as measured.
        seed: of the random contexts.
    """

    title = "AutoBuild"

    def __init__(
        self, predictor: Predictor, cost: CostModel | None = None, table: ArchTable | None = None, seed: int = 0
    ) -> None:
        self.predictor, self.cost = predictor, cost
        self._rng = np.random.default_rng(seed)
        self.population = Population.of(predictor.space, self._rng)
        scores = predictor.member_scores(self.population.codes).astype(float)  # (members, n)
        self._targets = predictor.member_expected(scores)
        networks = predictor.space.hash_networks(self.population.codes)
        known, noise = np.zeros(len(networks), bool), np.zeros(len(networks))
        if table is not None and predictor.held is None:  # what was measured holds in its own context
            measured = Evaluated.of(table, predictor.space, predictor.target_name, predictor.minimize)
            lines, place = measured.find(networks)
            scores[:, lines] = predictor.scaling.to_scores(measured.values[place])
            self._targets[:, lines] = measured.values[place]
            known[lines] = True
            noise_sd = label_noise(table, predictor.target, predictor.scaling).noise_sd
            noise[lines] = (noise_sd or 0.0) / np.sqrt(measured.counts[place])
        self._thresholds = self._good_thresholds(scores, known)
        self._good = self._good_of(scores)
        self._good[:, known] = scores[:, known] >= self._thresholds[:, None]
        self._doubts = self._doubts_of(scores, noise, networks) if self.population.exact else None
        self.space_means: Array = self._targets @ self.population.weights  # (members,)
        self.space_good: Array = self._good @ self.population.weights
        self.calibration_errors: list[tuple[int, float, float]] = []  # (modules, error, spread of the scores) a calibrated group
        self._effects: dict[tuple[int, int | None], Array] = {}  # of single layers that were scored, by position and unit
        self._by_cost = self._cost_curves()
        self._beyond = self._beyond_cost(self.population.codes, self._targets)

    @property
    def member_targets(self) -> Array:
        """(members, n) expected target of every architecture of the population."""
        return self._targets

    @property
    def space_mean(self) -> float:
        """Expected target of an average architecture of the space."""
        return float(self.space_means.mean())

    @property
    def good_threshold(self) -> float:
        """The target that the best tenth of the space is expected to reach."""
        return float(self.predictor.scaling.to_target(self._thresholds).mean())

    def means_beside(self, group: ModuleGroup) -> Array:
        """(members,) expected target that the modules' effects are differences from: of the space, where they can be at all."""
        return mean_beside(self._targets, self.population, group, self.predictor.spec)

    def supports(self, predictor: Predictor) -> str | None:
        return None

    def score(self, groups: list[ModuleGroup], report: Callable[[float], None] = lambda share: None) -> list[pd.DataFrame]:
        total, done, frames = sum(map(len, groups)), 0, []
        for group in groups:
            error: Sequence[Array | float]
            best: Array | None = None
            if self._doubts is not None:
                lenses, labels = self._exact(group), self._error_of(self._doubts.labels, group)
                error = (labels, self._error_of(self._doubts.good, group), labels)
                best = exact_means(self._doubts.best_of_any[None], self.population, group, self.predictor.spec)[0]
            elif len(group) <= CALIBRATED_ON:
                lenses, missed = self._sampled(group, group)
                error = tuple(missed)
            else:
                lenses, missed = self._calibrated(group)
                error = missed.tolist()
            if len(group.positions) == 1:
                self._effects[group.positions[0], group.unit] = lenses[0] - self.means_beside(group)[:, None]
            norms = self._norms(group)
            if group.ranges is not None:
                weights = range_weights(group, self.population, self.predictor.spec)
                lenses = pooled(lenses[0], group, weights), pooled(lenses[1], group, weights), pooled(lenses[2], group, weights)
                shared = self._doubts is None  # by all that meet the same contexts
                error, norms = [_pooled_error(one, group, weights, shared) for one in error], pooled(norms, group, weights)
                best = best if best is None else pooled(best, group, weights)
            frame = self._frame(group, *lenses, error)
            if best is not None:
                frame.loc[best == 0, ["good", "good_low"]] = 0.0
            frame.insert(0, "embedding_norm", norms)
            frames.append(frame)
            done += len(group)
            report(done / total)
        return frames

    def member_effects(self, group: ModuleGroup) -> Array:
        """(members, num_modules) what single layers at a position add to the expected target, by every member."""
        key = group.positions[0], group.unit
        if key not in self._effects:
            self.score([group])
        return self._effects[key]

    def _good_thresholds(self, scores: Array, known: NDArray[np.bool_]) -> Array:
        """(members,) the score that a tenth of the space is expected to reach; what is not measured has its prediction error."""
        weights = self.population.weights
        if not self.population.exact:
            drawn = self._rng.choice(len(weights), NUM_DRAWS * 4, p=weights)
            noise = self.predictor.calibration.residual * self._rng.standard_normal(len(drawn)) * ~known[drawn]
            thresholds: Array = np.quantile(scores[:, drawn] + noise, 1 - GOOD_SHARE, axis=1)
            return thresholds
        low, high = (np.full(len(scores), end) for end in (scores.min() - FAR, scores.max() + FAR))
        predicted, measured = scores[:, ~known], scores[:, known]
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            reached = self._above(predicted, middle) @ weights[~known] + (measured >= middle[:, None]) @ weights[known]
            enough = reached >= GOOD_SHARE - 1e-9
            low, high = np.where(enough, middle, low), np.where(enough, high, middle)
        return low

    def _good_of(self, scores: NDArray[Any]) -> Array:
        """The probability that each member gives architectures with these (members, n) scores of being among the best tenth."""
        return self._above(scores, self._thresholds)

    def _above(self, scores: NDArray[Any], thresholds: Array) -> Array:
        """(members, n) probability of being above (members,) thresholds, with the prediction error."""
        above: Array = ndtr((scores - thresholds[:, None]) / max(self.predictor.calibration.residual, 1e-6))
        return above

    def _doubts_of(self, scores: Array, noise: Array, networks: NDArray[np.uint64]) -> Doubts:
        """The doubts over an enumerated space, of (members, n) scores, (n,) label deviations and (n,) hashes of networks."""
        inverse, counts = np.unique(networks, return_inverse=True, return_counts=True)[1:]
        shared = counts[inverse]
        variance = (self._good * (1 - self._good)).mean(0)
        noisy = noise > 0
        beyond = np.abs(self._targets[0, noisy] - self.good_threshold) / noise[noisy]
        variance[noisy] = ndtr(beyond) * ndtr(-beyond)
        best = scores >= self.population.best_tenth(scores)[:, None]
        return Doubts(noise**2 * shared, variance * shared, best.any(0).astype(float))

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
        means = [exact_means(v, self.population, group, spec) for v in (self._targets, self._good, self._beyond)]
        return means[0], means[1], means[2]

    def _error_of(self, variance: Array, group: ModuleGroup) -> Array:
        """(num_modules,) standard error of a module's exact mean, of (n,) variances times the encodings that share each."""
        if not variance.any():
            return np.zeros(len(group))
        population, spec = self.population, self.predictor.spec
        parts = np.stack([variance * population.weights, 1 / population.weights])
        squares, inverse = exact_means(parts, population, group, spec)  # sum of w^2 v over sum of w, and number over sum of w
        error: Array = np.sqrt(squares * inverse / np.maximum(count_evaluated(group, spec, population.codes), 1))
        return np.nan_to_num(error)

    def _sampled(self, part: ModuleGroup, group: ModuleGroup) -> tuple[tuple[Array, Array, Array], Array]:
        """As `_exact` for some modules of a group, over random contexts, and (3, num_modules) standard errors of these.

        The few contexts are shared by all modules, so what they get wrong is the same for all: where the group holds every
        sequence of layers at its positions, its mean (that of a random part of it) is moved to that of all random architectures
        which have as many layers there; else the mean of the contexts themselves is.
        """
        predictor, num_members = self.predictor, len(self.space_means)
        eligible = eligible_rows(self.population.codes, group, predictor.spec)
        contexts = self.population.codes[eligible[:NUM_CONTEXTS]]
        codes = in_contexts(part, contexts, predictor.spec)
        scores = predictor.member_scores(codes)
        targets = predictor.member_expected(scores)
        complete, used = len(group) == predictor.space.group_size(group.positions), eligible[:NUM_CONTEXTS]
        shares = self._good_of(scores)
        values = (targets, self._targets), (shares, self._good), (self._beyond_cost(codes, targets), self._beyond)
        out, errors = [], []
        for predicted, everywhere in values:
            in_each = predicted.reshape(num_members, len(part), len(contexts))
            averages, move = in_each.mean(2), scaled if predicted is shares else shifted
            alike = in_each.mean(1) if complete else everywhere[:, used]  # (members, contexts) what all modules have in common
            out.append(move(averages, alike.mean(1), everywhere[:, eligible].mean(1)))
            errors.append(context_error(in_each.mean(0), alike.mean(0), move))
        return (out[0], out[1], out[2]), np.array(errors)

    def _calibrated(self, group: ModuleGroup) -> tuple[tuple[Array, Array, Array], Array]:
        """As `_sampled` for a large group, and (3,) errors, of the regression left one out and of the contexts in one."""
        chosen = np.sort(self._rng.permutation(len(group))[:CALIBRATED_ON])
        known, missed = self._sampled(ModuleGroup(group.positions, group.codes[chosen], group.unit), group)
        features = self._module_features(group)
        out = np.empty((3, len(features), len(group)))
        errors = np.empty((len(features), 3))
        for member, own in enumerate(features):
            values = np.stack([lens[member] for lens in known], 1)
            estimates, errors[member] = calibrate(own[chosen], values, own)
            out[:, member] = estimates.T
        out[1] = np.clip(out[1], 0, 1)
        error = np.sqrt((errors**2).mean(0))
        self.calibration_errors.append((len(group), float(error[0]), float(known[0].mean(0).std())))
        return (out[0], out[1], out[2]), np.hypot(error, np.sqrt((missed**2).mean(1)))

    def _module_features(self, group: ModuleGroup) -> Array:
        """(members, num_modules, dim) what each member sees of a module alone: graph embeddings of all hops, layers one-hot.

        Layers that are told by their attributes are one-hot by these.
        """
        ensemble, spec = self.predictor.ensemble, self.predictor.spec
        alone = topology_of(spec).contexts(group)[0]
        if any(told_by_attributes(spec.units[spec.unit_of(p)], spec) for p in group.positions):
            hot = one_hot(alone, spec)
            hot = hot[:, hot.any(0)]
        else:
            hot = (group.codes[:, :, None] == np.arange(len(spec.tokens))).reshape(len(group), -1).astype(float)
        parts = ensemble.by_chunks(lambda codes: np.concatenate(ensemble.pooled(make_graphs(codes, spec)), -1), alone)
        return np.concatenate([np.concatenate(parts, 1), np.broadcast_to(hot, (ensemble.members, *hot.shape))], -1).astype(float)

    def _frame(
        self, group: ModuleGroup, target: Array, good: Array, beyond: Array, error: Sequence[Array | float]
    ) -> pd.DataFrame:
        """Means over members with 90 % intervals."""
        effect = target - self.means_beside(group)[:, None]
        lenses = {"score": (target, error[0]), "effect": (effect, error[0]), "good": (good, error[1])}
        if self.cost is not None:
            lenses["equal_cost"] = beyond, error[2]
        out: dict[str, Any] = {}
        for name, (values, missed) in lenses.items():
            mean, half = values.mean(0), np.hypot(jackknife_half_width(values), TWO_SIDED_90 * missed)
            out |= {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}
        frame = pd.DataFrame(out)
        frame[["good_low", "good_high"]] = frame[["good_low", "good_high"]].clip(0, 1)
        return frame

    def _norms(self, group: ModuleGroup) -> Array:
        """(num_modules,) norm at the module's sink, alone, at its hop; standardised over the group, mean over members.

        Modules longer than the last hop sees are scored at the last hop. Where the sink hears more than the module, the norm is
        the mean over what may stand there.
        """
        ensemble, topology = self.predictor.ensemble, topology_of(self.predictor.spec)
        sink, hop = topology.sink(group)
        hop, contexts = min(hop, ensemble.num_hops), topology.contexts(group)
        norms = np.mean([ensemble.node_norms(codes, hop)[:, :, sink].astype(float) for codes in contexts], axis=0)
        spread = norms.std(1, keepdims=True)
        standard: Array = ((norms - norms.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)).mean(0)
        return standard
