"""The Pareto front of two metrics: measured and predicted, how sure each member's place is, and the hypervolume. Ours.

In joint draws of both metrics the measured networks and the most promising others are set against each other: the share of the
draws in which one is on the front is the probability that it belongs there. Numpy alone, as pages draw it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.metrics import Metrics
from autobuild_core.search.budgets import Budgets
from autobuild_core.search.dominance import hypervolume, on_front
from autobuild_core.search.searchers import History, searcher_class
from autobuild_core.search.searching import search
from autobuild_core.spaces import Space, load_space

Array = NDArray[np.float64]
DRAWS = 200  # joint draws
SIDE, MOST = 200, 400  # measured networks, and others, that are set against each other in them: about, and at most
REACH = 1.0  # standard deviations to the better side by which others are promising
STRANGERS, GENERATION, GENERATIONS = 200, 50, 40  # of the evolution by predictions in a space too large to look at all
LEAST = 0.05  # probability from which a network is listed that is on neither front


@dataclass(frozen=True)
class Axis:
    """A metric of a front.

    Args:
        metric: its name.
        minimize: small values are the good ones.
    """

    metric: str
    minimize: bool

    @property
    def turn(self) -> int:
        """The factor that makes values losses."""
        return 1 if self.minimize else -1


@dataclass(frozen=True, eq=False)
class Front:
    """The members of a front, by the first metric, its better values first.

    Args:
        axes: the two metrics.
        codes: (n, num_positions).
        frame: of each metric NAME (expected), NAME_low to NAME_high (90 % interval of a measurement) and NAME_measured (NaN where
            it was not); is_measured, on_measured (no measured one exceeds its measurements), on_predicted (no other
            exceeds what is expected of it), probability (of being on the front).
        reference: (2,) of the hypervolume, in the metrics' units.
        measured_volumes: (draws,) hypervolume of the measured networks.
        volumes: (draws,) of these and the promising others: what could be reached.
    """

    axes: tuple[Axis, Axis]
    codes: Codes
    frame: pd.DataFrame
    reference: tuple[float, float]
    measured_volumes: Array
    volumes: Array

    def hypervolumes(self) -> pd.DataFrame:
        """The hypervolume of what was measured, of what could be reached, and what that gains: of, expected, low, high (90 %)."""
        parts = {"measured": self.measured_volumes, "reachable": self.volumes, "gain": self.volumes - self.measured_volumes}
        lines = [(name, part.mean(), *np.quantile(part, [0.05, 0.95])) for name, part in parts.items()]
        return pd.DataFrame(lines, columns=["of", "expected", "low", "high"])


def find_front(
    metrics: Metrics,
    axes: tuple[Axis, Axis],
    table: ArchTable,
    budgets: Budgets | None = None,
    reference: Sequence[float] = (),
    seed: int = 0,
) -> Front:
    """The front of two metrics over the part of a space that the data support (`MetricModel.supports`).

    Args:
        metrics: models of both.
        axes: which.
        table: the measured architectures; a network counts by the mean of its rows.
        budgets: that what was not measured keeps to.
        reference: of the hypervolume, a value of each metric; () = the worst that was measured.
        seed: of draws and of the evolution in a space too large to look at all.

    Raises:
        ConfigError: both axes are one metric, a metric is not known, or nobody has measured both.
    """
    names = [axis.metric for axis in axes]
    if names[0] == names[1]:
        raise ConfigError(f"front: got {names[0]} twice, expected two metrics.")
    judge = _Judge(metrics, axes, budgets)
    measured, values = _measured(table, names)
    if not len(measured):
        raise ConfigError(f"front: got no network with both {names[0]} and {names[1]}, expected some that were measured.")
    losses = judge.turn * values
    corner = np.array(reference, float) if len(reference) else losses.max(0) * judge.turn
    others = _promising(judge, load_space(table.spec), measured, seed)
    kept = _peeled(losses)
    codes, known = np.concatenate([measured[kept], others]), np.full((len(kept) + len(others), 2), np.nan)
    known[: len(kept)] = values[kept]
    drawn = judge.turn * metrics.draws(codes, names, known, DRAWS, seed)
    frame = _facts(metrics, names, codes, known)
    expected = judge.turn * frame[names].to_numpy(float)
    frame["is_measured"] = np.isfinite(known[:, 0])
    frame["on_measured"] = np.append(on_front(losses)[kept], np.zeros(len(others), bool))
    frame["on_predicted"] = on_front(expected)
    frame["probability"] = on_front(drawn).mean(0)
    listed = (frame["on_measured"] | frame["on_predicted"] | (frame["probability"] >= LEAST)).to_numpy(bool)
    order = np.flatnonzero(listed)[np.argsort(expected[listed, 0], kind="stable")]
    ends = (float(corner[0]), float(corner[1]))
    volumes = [hypervolume(part, judge.turn * corner) for part in (drawn[:, : len(kept)], drawn)]
    return Front(axes, codes[order], frame.iloc[order].reset_index(drop=True), ends, volumes[0], volumes[1])


class _Judge:
    """Losses by two metrics as they may be at best.

    Args:
        metrics: models of both.
        axes: which.
        budgets: to keep to.
    """

    def __init__(self, metrics: Metrics, axes: tuple[Axis, Axis], budgets: Budgets | None) -> None:
        self.models, self.budgets = [metrics.model(axis.metric) for axis in axes], budgets
        self.turn = np.array([axis.turn for axis in axes], float)

    def losses(self, codes: Codes) -> Array:
        """(n, 2) losses of architectures, REACH standard deviations to the better side; NaN where data or budgets forbid them."""
        sides = [model.expected(codes, -turn * REACH) for model, turn in zip(self.models, self.turn, strict=True)]
        allowed = np.all([model.supports(codes) for model in self.models], axis=0)
        if self.budgets is not None:
            allowed &= self.budgets.keeps(codes)
        return np.where(allowed[:, None], self.turn * np.stack(sides, 1), np.nan)

    def pairs(self, codes: Codes) -> list[tuple[float, float]]:
        """Scores of a search, the losses turned round."""
        return [(-one, -other) for one, other in self.losses(codes).tolist()]


def _measured(table: ArchTable, names: Sequence[str]) -> tuple[Codes, Array]:
    """((n, num_positions) the networks that have both metrics, (n, 2) the means of their rows)."""
    means = table.metrics[list(names)].astype(float).groupby(table.networks).mean().dropna()
    rows = pd.Series(np.arange(len(table)), table.networks).groupby(level=0).first().loc[means.index]
    return table.codes[rows.to_numpy(np.intp)], means.to_numpy(float)


def _peeled(losses: Array) -> NDArray[np.intp]:
    """Rows of the first fronts, one after the other, each of what is left, until SIDE are found."""
    left, found = np.arange(len(losses)), np.zeros(0, np.intp)
    while len(left) and len(found) < SIDE:
        front = on_front(losses[left])
        found, left = np.append(found, left[front]), left[~front]
    return found[:MOST]


def _promising(judge: _Judge, space: Space, measured: Codes, seed: int) -> Codes:
    """The networks that were not measured and come first by what they may be at best."""
    every = space.enumerate()
    codes = _evolved(judge, space, measured, seed) if every is None else every
    networks = space.hash_networks(codes)
    first = np.unique(networks, return_index=True)[1]
    codes = codes[first[~np.isin(networks[first], space.hash_networks(measured))]]
    losses = judge.losses(codes)
    kept = np.isfinite(losses).all(1)
    return codes[kept][_peeled(losses[kept])]


def _evolved(judge: _Judge, space: Space, measured: Codes, seed: int) -> Codes:
    """The networks that AutoBuild's Pareto evolution meets when predictions judge, from the measured and random ones."""
    history = History()
    for row, network, pair in zip(measured, space.hash_networks(measured).tolist(), judge.pairs(measured), strict=True):
        history.visit(row, network, *pair)
    initial = history.num_networks + STRANGERS
    searcher = searcher_class("pareto_evolution")(space, seed, {"initial": initial, "generation": GENERATION})
    return search(searcher, initial + GENERATIONS * GENERATION, judge.pairs, GENERATION, history).codes


def _facts(metrics: Metrics, names: Sequence[str], codes: Codes, known: Array) -> pd.DataFrame:
    """Facts about each metric of architectures, as `Front.frame` has them."""
    columns: dict[str, Array] = {}
    for name, measured in zip(names, known.T, strict=True):
        columns[name], columns[f"{name}_low"], columns[f"{name}_high"] = metrics.model(name).interval(codes)
        columns[f"{name}_measured"] = measured
    return pd.DataFrame(columns)
