"""Made truths about contexts and stopped trials: what scores must say where it is known what is so. Ours.

Architectures are those of NAS-Bench-Macro. What they are worth is an additive function of their layers with interactions, or
what a file of the whole space says.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.api import Run, train
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.benchmark import report as show
from autobuild_core.benchmark.truth import Truth
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import make_scorer
from autobuild_core.spaces import Space, space_named

Array = NDArray[np.float64]
Result = dict[str, Any]
LAYER_WORTH = np.array([0.0, 0.75, 1.0])  # identity, mb3_k3, mb6_k5
POSITION_WEIGHT = np.array([0.9, 0.5, 0.8, 0.45, 0.4, 0.7, 0.35, 0.3])
PAIR_WEIGHT = 0.25  # of neighbours that both have a layer: they add less than alone
NOISE = 0.06  # of a measurement, as a share of the truth's standard deviation
CORRELATION = 0.7  # of the confounder with depth
ROWS, STUDY_ROWS, TASK_ROWS = 100, 200, 60  # of a table, of a study, of a task
TRUTHS = ("confounder", "mediator", "stopped trials", "no overlap", "sign changes", "seeds")
ONCE, OFTEN, SEEDS = 80, 20, 8  # networks of a table with seeds that were measured once, and so often
SEED_NOISE = 0.7  # of a measurement with one seed, as a share of the truth's standard deviation
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
    """Worth of every architecture.

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

    @property
    def spread(self) -> float:
        """Standard deviation over the encodings."""
        return float(self.values.std())

    def draw(self, num: int, rng: np.random.Generator) -> tuple[Codes, Array]:
        """Distinct networks and what they are worth."""
        first = np.unique(macro().hash_networks(self.codes), return_index=True)[1]
        lines = rng.choice(first, num, replace=False)
        return self.codes[lines], self.values[lines]

    def truth(self, values: Array | None = None) -> Truth:
        """True worth of modules, by other values than the world's own where they are given."""
        return Truth(macro(), self.codes, self.values if values is None else values)


def table_of(codes: Codes, metrics: dict[str, Array], contexts: dict[str, Any], kinds: dict[str, str], **more: Any) -> ArchTable:
    """Architectures with metrics and contexts."""
    rows = np.arange(len(codes))
    frame = pd.DataFrame(contexts, index=pd.RangeIndex(len(codes)))
    table = ArchTable(macro().spec, codes, macro().hash_networks(codes), pd.DataFrame(metrics), rows, "made", len(codes))
    return replace(table, contexts=frame, context_kinds=kinds, **more)


def agreement(predictor: Predictor, truth: Truth) -> tuple[float, float]:
    """(Spearman's correlation of the scores of single layers with the truth, slope of their effects by the true ones)."""
    found, true = layer_effects(predictor), true_effects(truth)
    return _srcc(found, true), slope(found, true)


def _srcc(found: Array, true: Array) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(found, true).statistic)


def layer_effects(predictor: Predictor) -> Array:
    """(modules,) effects of all single layers, by predictions alone."""
    frames = make_scorer("autobuild", predictor).score(macro().windows(1))
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


def confounded(world: World, num: int, seed: int, strength: float = 1.0) -> ArchTable:
    """Deeper networks were trained with a larger learning rate, which lowers the accuracy by as much as networks differ."""
    rng = np.random.default_rng(seed)
    codes, values = world.draw(num, rng)
    deep = depth(codes)
    deep = (deep - deep.mean()) / deep.std()
    logarithm = CORRELATION * deep + np.sqrt(1 - CORRELATION**2) * rng.standard_normal(num)
    target = values - strength * world.spread * logarithm + NOISE * world.spread * rng.standard_normal(num)
    return table_of(codes, {"acc": target}, {"lr": 10 ** (-2 + 0.5 * logarithm)}, {"lr": "setting"})


def mediated(world: World, num: int, seed: int) -> ArchTable:
    """Architectures decide their size, and the size decides the accuracy: `params` comes after the choice."""
    rng = np.random.default_rng(seed)
    codes, values = world.draw(num, rng)
    size = values + 0.3 * world.spread * rng.standard_normal(num)
    return table_of(
        codes, {"acc": size + NOISE * world.spread * rng.standard_normal(num), "params": 1e6 * np.exp(size / 4)}, {}, {}
    )


def study(world: World, num: int, seed: int) -> tuple[ArchTable, ArchTable]:
    """(a whole study, the same as a median pruner would have left it).

    A trial is stopped half-way where its value then is below the median of what others had then; it is known to be worse than
    that share of the completed trials' targets which was below that median.
    """
    rng = np.random.default_rng(seed)
    codes, values = world.draw(num, rng)
    target = values + NOISE * world.spread * rng.standard_normal(num)
    half_way = target + 0.5 * NOISE * world.spread * rng.standard_normal(num)
    stopped, limit = np.zeros(num, bool), np.full(num, np.nan)
    for trial in range(STARTUP, num):
        limit[trial] = np.median(half_way[:trial])
        stopped[trial] = half_way[trial] < limit[trial]
    done = np.sort(target[~stopped])
    share = np.where(stopped, np.searchsorted(done, limit) / len(done), np.nan)
    whole = table_of(codes, {"acc": target}, {}, {})
    return whole, table_of(codes, {"acc": np.where(stopped, np.nan, target)}, {}, {}, censored=share)


def turned(world: World, num: int, seed: int) -> tuple[ArchTable, dict[str, Array]]:
    """(rows of two data sets, the truth in each): what the first layer does changes its sign, and the scales differ tenfold."""
    rng = np.random.default_rng(seed)
    turning = 2.0 * world.spread * (macro().canonical(world.codes)[:, 0] - 1)
    truths = {"Cora": world.values + turning, "Arxiv": 10 * (world.values - turning)}
    parts, targets, tasks = [], [], []
    for name, values in truths.items():
        lines = rng.choice(len(world.codes), num, replace=False)
        parts.append(world.codes[lines])
        targets.append(values[lines] + NOISE * values.std() * rng.standard_normal(num))
        tasks += [name] * num
    metrics = {"acc": np.concatenate(targets)}
    return table_of(np.concatenate(parts), metrics, {"dataset": tasks}, {"dataset": "task"}), truths


def apart(world: World, num: int, seed: int) -> ArchTable:
    """mb6_k5 in the first place was only ever trained with one optimiser, and nothing else with that one."""
    rng = np.random.default_rng(seed)
    codes, values = world.draw(num, rng)
    alone = codes[:, 0] == 2
    optimiser = np.where(alone, "lamb", np.where(rng.random(num) < 0.5, "sgd", "adam"))
    target = values + np.where(optimiser == "adam", 0.5, 0.0) + NOISE * world.spread * rng.standard_normal(num)
    return table_of(codes, {"acc": target}, {"optimiser": optimiser}, {"optimiser": "setting"})


def repeated(world: World, seed: int) -> ArchTable:
    """Most networks were trained once, a few, chosen at random, with many seeds; a seed moves the accuracy by much."""
    rng = np.random.default_rng(seed)
    codes, values = world.draw(ONCE + OFTEN, rng)
    lines = np.repeat(np.arange(ONCE + OFTEN), [*[1] * ONCE, *[SEEDS] * OFTEN])
    target = values[lines] + SEED_NOISE * world.spread * rng.standard_normal(len(lines))
    number = np.arange(len(lines)) - np.searchsorted(lines, lines)
    return table_of(codes[lines], {"acc": target}, {"seed": number.astype(float)}, {"seed": "seed"})


def counted_once(table: ArchTable) -> ArchTable:
    """The means over seeds as if each were one measurement."""
    means = table.over_seeds(np.ones(len(table), bool))
    return without_contexts(replace(means, repeats=np.ones(len(means), np.int64)))


# The measurements


def without_contexts(table: ArchTable) -> ArchTable:
    """The rows as if nothing had varied beside the architecture."""
    return replace(table, contexts=pd.DataFrame(index=table.contexts.index), context_kinds={})


def as_context(table: ArchTable, metric: str) -> ArchTable:
    """The rows as if a metric had been decided beside the architecture."""
    contexts = pd.DataFrame({metric: table.metrics[metric].to_numpy(float)})
    return replace(table, metrics=table.metrics.drop(columns=metric), contexts=contexts, context_kinds={metric: "setting"})


@contextmanager
def trained(table: ArchTable, **settings: Any) -> Iterator[Run]:
    """A run on a made table, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="autobuild-truths-") as place:
        yield train(table, "acc", Path(place) / "run", max_length=1, **settings)


def measure(name: str, world: World, seed: int, **settings: Any) -> Result:
    """Comparison of a run's results with one of TRUTHS; `settings` are those of the training.

    Returns:
        Correlations are Spearman's, of the scores of all single layers with the truth; slopes are of their effects by the true
        ones (of stopped trials: by those of the whole study).

    Raises:
        ConfigError: there is no such truth.
    """
    if name not in TRUTHS:
        raise ConfigError(f"truths: got '{name}', expected some of {', '.join(TRUTHS)}.")
    found: Result = {"truth": name, "seed": seed}
    if name == "confounder":
        table = confounded(world, ROWS, seed)
        for label, rows in (("", table), (" ignored", without_contexts(table))):
            with trained(rows, **settings) as run:
                found |= dict(zip((f"srcc{label}", f"slope{label}"), agreement(run.predictor, world.truth()), strict=True))
    elif name == "mediator":
        table = mediated(world, ROWS, seed)
        for label, rows in (("", table), (" adjusted for", as_context(table, "params"))):
            with trained(rows, **settings) as run:
                found |= dict(zip((f"srcc{label}", f"slope{label}"), agreement(run.predictor, world.truth()), strict=True))
    elif name == "stopped trials":
        whole, cut = study(world, STUDY_ROWS, seed)
        with trained(whole, **settings) as run:
            true = layer_effects(run.predictor)
        found["share stopped"] = cut.num_censored / len(cut)
        for label, drop in (("", False), (" dropped", True)):
            with trained(cut, drop_stopped=drop, **settings) as run:
                effects = layer_effects(run.predictor)
                found |= {f"srcc{label}": _srcc(effects, true), f"slope{label}": slope(effects, true)}
    elif name == "no overlap":
        with trained(apart(world, ROWS, seed), **settings) as run:
            modules = run.modules()
        alone = (modules["positions"].str.startswith('["L1"') & modules["layers"].str.startswith('["mb6_k5"')).to_numpy()
        blank = modules["score"].isna().to_numpy()
        found |= {"no number": float(blank[alone].mean()), "no number elsewhere": float(blank[~alone].mean())}
    elif name == "seeds":
        table = repeated(world, seed)
        for label, rows in (("", table), (" a row a seed", without_contexts(table)), (" uncounted", counted_once(table))):
            with trained(rows, **settings) as run:
                found |= dict(zip((f"srcc{label}", f"slope{label}"), agreement(run.predictor, world.truth()), strict=True))
                found[f"held out{label}"] = run.quality["srcc"]
    else:
        table, truths = turned(world, TASK_ROWS, seed)
        with trained(table, **settings) as run:
            found["srcc"], found["slope"] = agreement(run.predictor, world.truth(np.mean(list(truths.values()), axis=0)))
            for task, values in truths.items():
                found[f"srcc {task}"] = agreement(run.predictor.at({"dataset": task}), world.truth(values))[0]
    return found


def markdown(records: list[Result]) -> str:
    """A table of every truth: means over the draws, of stopped trials also the spread."""
    parts = []
    for name in TRUTHS:
        own = [{k: v for k, v in record.items() if k != "seed"} for record in records if record["truth"] == name]
        if own:
            averaged = show.averaged(own, ("truth",))
            spread = {f"sd of {k}": float(np.std([r[k] for r in own])) for k in ("slope",) if k in own[0] and len(own) > 1}
            parts.append(show.table(f"{name}, mean of {len(own)}", [averaged[0] | spread]))
    return "\n".join(parts)
