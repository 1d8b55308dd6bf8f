"""Models of metrics: an exact formula where layers add up to it, else a Gaussian process with its doubt.

Numbers are in the metric's own units. Several metrics of one architecture are judged together: their errors go together as far
as those of the measured architectures did, each predicted without itself. Ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.errors import ConfigError, listed
from autobuild_core.predictor.posterior import OWN_SHARE, Posterior
from autobuild_core.targets.costs import CostModel

Array = NDArray[np.float64]
EXACT_DIGITS = 11  # of an exact value, about
SUPPORTED = 0.99  # share of the held-out networks whose doubt can be believed
DRAWS, DRAWS_AT_ONCE = 2_000, 100  # of a joint probability


@dataclass(frozen=True)
class Bound:
    """A limit of a metric.

    Args:
        metric: its name.
        limit: in its unit.
        is_upper: measurements are to stay below it; else above.
    """

    metric: str
    limit: float
    is_upper: bool = True

    @property
    def turn(self) -> int:
        """1 of an upper limit, -1 of a lower one."""
        return 1 if self.is_upper else -1


@dataclass(frozen=True)
class HeldOut:
    """The quality of a metric's predictions of architectures that were left out.

    Args:
        srcc: rank correlation.
        mae: mean absolute error, in the metric's unit.
        coverage: share inside the 90 % intervals.
        num: architectures.
    """

    srcc: float
    mae: float
    coverage: float
    num: int


@dataclass(frozen=True, eq=False)
class Formula:
    """A metric that is an exact sum over layers.

    Args:
        cost: the sum.
        seen: (num_positions, num_tokens + 1) which layers the data have where, the last column an absent one.
    """

    cost: CostModel
    seen: NDArray[np.bool_]

    def moments(self, codes: Codes) -> tuple[Array, Array]:
        """((n,) values, NaN where a layer was never seen; (n,) zeros)."""
        as_counted = codes if self.cost.as_written else self.cost.space.canonical(codes)
        known = self.seen[np.arange(codes.shape[1]), as_counted].all(1)
        values = self.cost.predict(codes)
        size = float(np.abs(values).max()) if len(values) else 1.0
        digits = EXACT_DIGITS - int(np.floor(np.log10(max(size, 1e-300))))  # what rounding leaves of a sum is no part of it
        return np.where(known, np.round(values, digits), np.nan), np.zeros(len(codes))


@dataclass(frozen=True, eq=False)
class MetricModel:
    """One metric.

    Args:
        name: of the metric.
        known: how it is known.
        held_out: quality of the predictions.
        residuals: (n,) errors of the measured networks, each predicted without itself, in standard deviations; NaN where exact.
        widening: factor of the standard deviations, by which those of held-out networks are as large as expected.
        support: the standard deviation, of normal scores, that SUPPORTED of the held-out networks had at most. Beyond it errors
            were several times as large as expected (docs/design.md).
    """

    name: str
    known: Formula | Posterior
    held_out: HeldOut
    residuals: Array
    widening: float = 1.0
    support: float = float("inf")

    @property
    def is_exact(self) -> bool:
        """It is no prediction."""
        return isinstance(self.known, Formula)

    def interval(self, codes: Codes) -> tuple[Array, Array, Array]:
        """(expected, low, high), each (n,): of a measurement, with its 90 % interval; of an exact metric all the same."""
        if isinstance(self.known, Formula):
            values = self.known.moments(codes)[0]
            return values, values, values
        return self.known.interval(codes, self.widening)

    def room(self, codes: Codes, bound: Bound) -> Array:
        """(n,) standard deviations of a measurement by which an architecture is on the right side of a limit.

        Infinite of an exact metric, which is there or is not.
        """
        if isinstance(self.known, Formula):
            values = self.known.moments(codes)[0]
            return np.where(bound.turn * (bound.limit - values) >= 0, np.inf, -np.inf)
        mean, spread = self.known.of_measurement(codes, self.widening)
        scaling = self.known.scaling
        return bound.turn * scaling.sign * (float(scaling.back(np.array([bound.limit]))[0]) - mean) / spread

    def supports(self, codes: Codes) -> NDArray[np.bool_]:
        """(n,) which architectures are so near to the measured ones that the doubt that is said of them can be believed."""
        if isinstance(self.known, Formula):
            return np.isfinite(self.known.moments(codes)[0])
        return self.known.moments(codes)[1] <= self.support

    def expected(self, codes: Codes, deviations: float = 0.0) -> Array:
        """(n,) the metric itself, without the noise of a measurement, so many standard deviations above what is expected."""
        if isinstance(self.known, Formula):
            return self.known.moments(codes)[0]
        mean, spread = self.known.moments(codes)
        above: Array = self.known.scaling.straight(mean + self.known.scaling.sign * deviations * self.widening * spread)
        return above

    def drawn(self, codes: Codes, measured: Array, normals: Array, own: Array) -> Array:
        """(num, n) joint draws of the metric itself, without the noise of a measurement; of an exact one all alike.

        Of what the kernel leaves of a measurement OWN_SHARE is the network's own and no noise: of one that was measured that
        share of its residual is believed, of another it is as uncertain as it is large.

        Args:
            codes: (n, num_positions).
            measured: (n,) the metric where it was measured, else NaN.
            normals: (num, n) standard normals that the draws follow.
            own: (num, n) standard normals that what is the networks' own follows.
        """
        if isinstance(self.known, Formula):
            return np.broadcast_to(self.known.moments(codes)[0], normals.shape)
        posterior, is_measured = self.known, np.isfinite(measured)
        believed = posterior.believed(codes, np.where(is_measured, measured, 0.0)) - posterior.moments(codes)[0]
        left = OWN_SHARE * np.where(is_measured, 1 - OWN_SHARE, 1.0) * posterior.noise
        drawn = posterior.drawn(codes, posterior.scaling.sign * normals, self.widening)
        drawn += np.where(is_measured, believed, 0.0) + self.widening * np.sqrt(left) * own
        return posterior.scaling.straight(drawn)

    def quantile(self, codes: Codes, level: float) -> Array:
        """(n,) what a measurement stays below with a probability; of an exact metric its value."""
        if isinstance(self.known, Formula):
            return self.known.moments(codes)[0]
        mean, spread = self.known.of_measurement(codes, self.widening)
        quantile: Array = self.known.scaling.straight(mean + self.known.scaling.sign * NormalDist().inv_cdf(level) * spread)
        return quantile


@dataclass(frozen=True, eq=False)
class Metrics:
    """All metrics of a data set.

    Args:
        models: by name.
        unknown: {metric: why nothing is known of it}.
    """

    models: Mapping[str, MetricModel]
    unknown: Mapping[str, str] = field(default_factory=dict)

    def model(self, name: str) -> MetricModel:
        """The model of a metric.

        Raises:
            ConfigError: there is none.
        """
        if name in self.models:
            return self.models[name]
        why = self.unknown.get(name)
        raise ConfigError(f"metric: got '{name}'" + (f": {why}." if why else f", expected one of {listed(self.models)}."))

    def beside(self, others: "Metrics") -> "Metrics":
        """These and others."""
        return Metrics({**self.models, **others.models}, {**self.unknown, **others.unknown})

    def correlation(self, names: Sequence[str]) -> Array:
        """(metrics, metrics) correlation of the errors of metrics; of an exact one, which has none, zero."""
        found = np.eye(len(names))
        for row, one in enumerate(names):
            for column, other in enumerate(names[:row]):
                both = np.stack([self.models[one].residuals, self.models[other].residuals])
                inside = np.isfinite(both).all(0)
                if inside.sum() > 2 and both[:, inside].std(1).min() > 0:
                    together = np.atleast_2d(np.corrcoef(both[:, inside]))
                    found[row, column] = found[column, row] = together[0, 1]
        return found

    def draws(self, codes: Codes, names: Sequence[str], measured: Array, num: int, seed: int = 0) -> Array:
        """(num, n, metrics) joint draws of metrics of architectures, in their units, without the noise of a measurement.

        Args:
            codes: (n, num_positions).
            names: of the metrics; their errors go together as those of the held-out networks did.
            measured: (n, metrics) what was measured, NaN where nothing was.
            num: draws.
            seed: of them.
        """
        root, rng = _root(self.correlation(names)), np.random.default_rng(seed)
        normals, own = (rng.standard_normal((num, len(codes), len(names))) @ root.T for _ in range(2))
        parts = [
            self.model(name).drawn(codes, measured[:, place], normals[..., place], own[..., place])
            for place, name in enumerate(names)
        ]
        return np.stack(parts, -1)

    def within(self, codes: Codes, bounds: Sequence[Bound], seed: int = 0) -> Array:
        """(n,) probability that measurements of an architecture keep to all bounds.

        Args:
            codes: (n, num_positions).
            bounds: one a limit.
            seed: of the joint draws; one bound alone needs none.
        """
        sides = [self.model(bound.metric).room(codes, bound) for bound in bounds]
        exact = [side for side in sides if not np.isfinite(side).any()]
        pairs = [(bound, side) for bound, side in zip(bounds, sides, strict=True) if np.isfinite(side).any()]
        sure = np.all([side > 0 for side in exact], axis=0) if exact else np.ones(len(codes), bool)
        if not pairs:
            return sure.astype(float)
        apart = np.stack([side for _, side in pairs])
        if len(pairs) == 1:
            return np.where(sure, [NormalDist().cdf(level) for level in apart[0]], 0.0)
        turn = np.array([bound.turn for bound, _ in pairs])
        root = _root(self.correlation([bound.metric for bound, _ in pairs]) * np.outer(turn, turn))
        drawn: Array = np.random.default_rng(seed).standard_normal((DRAWS, len(pairs))) @ root.T
        inside = np.zeros(len(codes))
        for part in np.array_split(drawn, DRAWS // DRAWS_AT_ONCE):
            inside += (np.expand_dims(part, 2) <= apart).all(1).sum(0)
        return np.where(sure, inside / DRAWS, 0.0)


def _root(correlation: Array) -> Array:
    """The root of a correlation matrix that makes its normals of independent ones."""
    values, vectors = np.linalg.eigh(correlation)
    root: Array = vectors * np.sqrt(np.maximum(values, 0))
    return root


def seen_layers(codes: Codes, num_tokens: int) -> NDArray[np.bool_]:
    """(num_positions, num_tokens + 1) which layers (n, num_positions) codes have where, the last column an absent one."""
    seen = np.zeros((codes.shape[1], num_tokens + 1), bool)
    for position, column in enumerate(codes.T):
        seen[position, np.where(column == ABSENT, num_tokens, column)] = True
    return seen
