"""Made truths about contexts and stopped trials: what scores must say where it is known what is so. Ours.

Architectures are those of NAS-Bench-Macro. What they are worth is an additive function of their layers with interactions, or
what a file of the whole space says.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.benchmark.truth import Truth
from autobuild_core.inference import Predictor
from autobuild_core.notebook import Run, train
from autobuild_core.records import ArchTable, Codes
from autobuild_core.scorers import make_scorer
from autobuild_core.spaces import Space, space_named

Array = NDArray[np.float64]
Result = dict[str, Any]
LAYER_WORTH = np.array([0.0, 0.75, 1.0])  # identity, mb3_k3, mb6_k5
POSITION_WEIGHT = np.array([0.9, 0.5, 0.8, 0.45, 0.4, 0.7, 0.35, 0.3])
PAIR_WEIGHT = 0.25  # of neighbours that both have a layer: they add less than alone
NOISE = 0.12  # of a measurement; the truth's standard deviation is about 0.8
CORRELATION = 0.7  # of the confounder with depth
LAST_ROUND = 27  # where a study of three rounds ends
STARTUP = 10  # trials of a study that are never stopped


def macro() -> Space:
    """The space of all truths."""
    return space_named("nas_bench_macro")


def made_values(codes: Codes) -> Array:
    """(n,) an accuracy that equal networks share."""
    own = LAYER_WORTH[macro().canonical(codes)]
    values: Array = 92 + own @ POSITION_WEIGHT - PAIR_WEIGHT * (own[:, 1:] * own[:, :-1]).sum(1)
    return values


@dataclass(frozen=True, eq=False)
class World:
    """What every architecture is worth.

    Args:
        codes: (n, num_positions) every encoding of the space.
        values: (n,) what they are worth.
    """

    codes: Codes
    values: Array

    @classmethod
    def made(cls) -> "World":
        """By `made_values`."""
        codes = macro().enumerate()
        assert codes is not None
        return cls(codes, made_values(codes))

    @classmethod
    def of(cls, table: ArchTable, values: Array) -> "World":
        """As a file of the whole space says."""
        truth = Truth.of(table, values, macro())
        assert truth is not None
        return cls(truth.population.codes, truth.values)

    def draw(self, num: int, rng: np.random.Generator) -> tuple[Codes, Array]:
        """Distinct networks and what they are worth."""
        first = np.unique(macro().hash_networks(self.codes), return_index=True)[1]
        lines = rng.choice(first, num, replace=False)
        return self.codes[lines], self.values[lines]

    def truth(self, values: Array | None = None) -> Truth:
        """What modules are really worth, by other values than its own where they are given."""
        return Truth(macro(), self.codes, self.values if values is None else values)


def table_of(codes: Codes, metrics: dict[str, Array], contexts: dict[str, Any], kinds: dict[str, str], **more: Any) -> ArchTable:
    """Architectures with metrics and contexts."""
    rows = np.arange(len(codes))
    frame = pd.DataFrame(contexts, index=pd.RangeIndex(len(codes)))
    table = ArchTable(macro().spec, codes, macro().hash_networks(codes), pd.DataFrame(metrics), rows, "made", len(codes))
    return replace(table, contexts=frame, context_kinds=kinds, **more)


def agreement(predictor: Predictor, truth: Truth, table: ArchTable | None = None) -> tuple[float, float]:
    """(Spearman's correlation of the scores of single layers with the truth, slope of their effects by the true ones)."""
    from scipy.stats import spearmanr

    found, true = layer_effects(predictor, table), true_effects(truth)
    return float(spearmanr(found, true).statistic), slope(found, true)


def layer_effects(predictor: Predictor, table: ArchTable | None = None) -> Array:
    """(modules,) effects of all single layers."""
    frames = make_scorer("autobuild", predictor, table=table).score(macro().windows(1))
    return np.asarray(np.concatenate([frame["effect"] for frame in frames]), np.float64)


def true_effects(truth: Truth) -> Array:
    """(modules,) what a single layer really adds."""
    means = np.concatenate([truth.means(group, False) for group in macro().windows(1)])
    return np.asarray(means - truth.values @ truth.population.weights, np.float64)


def slope(found: Array, true: Array) -> float:
    """Least-squares slope through the origin."""
    return float(found @ true / (true @ true))


def depth(codes: Codes) -> Array:
    """(n,) number of layers that are no identity."""
    layers: Array = (macro().canonical(codes) != 0).sum(1).astype(float)
    return layers


# The tables


def confounded(world: World, num: int, seed: int, strength: float = 1.0, noise: float = NOISE) -> ArchTable:
    """Deeper networks were trained with a larger learning rate, which lowers the accuracy by as much as networks differ."""
    rng = np.random.default_rng(seed)
    codes, values = world.draw(num, rng)
    deep = depth(codes)
    deep = (deep - deep.mean()) / deep.std()
    logarithm = CORRELATION * deep + np.sqrt(1 - CORRELATION**2) * rng.standard_normal(num)
    target = values - strength * world.values.std() * logarithm + noise * rng.standard_normal(num)
    return table_of(codes, {"acc": target}, {"lr": 10 ** (-2 + 0.5 * logarithm)}, {"lr": "setting"})


def mediated(world: World, num: int, seed: int, noise: float = NOISE) -> ArchTable:
    """Architectures decide their size, and the size decides the accuracy: `params` comes after the choice."""
    rng = np.random.default_rng(seed)
    codes, values = world.draw(num, rng)
    size = values + 0.3 * world.values.std() * rng.standard_normal(num)
    return table_of(codes, {"acc": size + noise * rng.standard_normal(num), "params": 1e6 * np.exp(size / 4)}, {}, {})


def study(world: World, num: int, seed: int, noise: float = NOISE) -> tuple[ArchTable, ArchTable]:
    """(a whole study, the same as a median pruner would have left it).

    A trial is stopped half-way where its value then is below the median of what others had then; it is known to be worse than
    that share of the completed trials' targets which was below that median.
    """
    rng = np.random.default_rng(seed)
    codes, values = world.draw(num, rng)
    target = values + noise * rng.standard_normal(num)
    half_way = target + 0.5 * noise * rng.standard_normal(num)
    stopped, limit = np.zeros(num, bool), np.full(num, np.nan)
    for trial in range(STARTUP, num):
        limit[trial] = np.median(half_way[:trial])
        stopped[trial] = half_way[trial] < limit[trial]
    done = np.sort(target[~stopped])
    share = np.where(stopped, np.searchsorted(done, limit) / len(done), np.nan)
    whole = table_of(codes, {"acc": target}, {}, {})
    return whole, table_of(codes, {"acc": np.where(stopped, np.nan, target)}, {}, {}, censored=share)


def turned(world: World, num: int, seed: int, noise: float = NOISE) -> tuple[ArchTable, dict[str, Array]]:
    """(rows of two data sets, the truth in each): what the first layer does changes its sign, and the scales differ tenfold."""
    rng = np.random.default_rng(seed)
    turning = 2.0 * world.values.std() * (macro().canonical(world.codes)[:, 0] - 1)
    truths = {"Cora": world.values + turning, "Arxiv": 10 * (world.values - turning)}
    parts, targets, tasks = [], [], []
    for name, values in truths.items():
        lines = rng.choice(len(world.codes), num, replace=False)
        parts.append(world.codes[lines])
        targets.append(values[lines] + noise * (values.std() / world.values.std()) * rng.standard_normal(num))
        tasks += [name] * num
    metrics = {"acc": np.concatenate(targets)}
    return table_of(np.concatenate(parts), metrics, {"dataset": tasks}, {"dataset": "task"}), truths


def apart(world: World, num: int, seed: int, noise: float = NOISE) -> ArchTable:
    """mb6_k5 in the first place was only ever trained with one optimiser, and nothing else with that one."""
    rng = np.random.default_rng(seed)
    codes, values = world.draw(num, rng)
    alone = codes[:, 0] == 2
    optimiser = np.where(alone, "lamb", np.where(rng.random(num) < 0.5, "sgd", "adam"))
    target = values + np.where(optimiser == "adam", 0.5, 0.0) + noise * rng.standard_normal(num)
    return table_of(codes, {"acc": target}, {"optimiser": optimiser}, {"optimiser": "setting"})


# The measurements


def without_contexts(table: ArchTable) -> ArchTable:
    """The rows as if nothing had varied beside the architecture."""
    return replace(table, contexts=pd.DataFrame(index=table.contexts.index), context_kinds={})


def trained(table: ArchTable, **settings: Any) -> Run:
    """A run on a made table."""
    return train(table, "acc", Path(tempfile.mkdtemp(prefix="autobuild-truths-")) / "run", **settings)
