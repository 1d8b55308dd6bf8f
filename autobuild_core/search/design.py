"""Design under budgets: the best architectures that keep to them, how good any could be, and what stands in the way. Ours.

A space that can be enumerated is looked through as a whole, so what is found is exactly the best prediction. In a larger one
exact assembly of the modules' effects (`exact.py`) begins a search by the whole ensemble, which alone judges; without budgets the
best modules and the best measured architectures do.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_rows, top_modules
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, SpaceSpec
from autobuild_core.errors import ConfigError, listed
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.predictor.metrics import Bound, Metrics
from autobuild_core.scoring.interactions import Place, second_differences
from autobuild_core.search.assembly import Built, best_measured, build
from autobuild_core.search.budgets import CONFIDENCE, Budgets, Obstacle, budget_words
from autobuild_core.search.exact import Pair, Problem, Solutions, assemble
from autobuild_core.search.improvement import look_for_promising
from autobuild_core.spaces import Space, load_space
from autobuild_core.targets.scaling import TWO_SIDED_90

Array = NDArray[np.float64]
Report = Callable[[float], None]
ASSEMBLED, SECONDS = 5, 20.0  # choices that a search begins with, and how long their assembly may take
TIGHTENED = 3  # assemblies at most, each with limits moved by what the last one's choices broke them by
PAIR_CONTEXTS, PAIR_PREDICTIONS, MOST_PAIRED = 8, 8_000, 12  # of pair terms: contexts, predictions in all, modules of a unit
STRANGERS, NEAREST = 4_000, 64  # random architectures, and those from which the nearest to the budgets is looked for
FAR = 1e6  # spreads of a metric: further than any architecture that has a cost


@dataclass(frozen=True, eq=False)
class Objective:
    """The target of a design, and all that is known.

    Args:
        predictor: the target's ensemble.
        modules: modules.parquet.
        table: the measured architectures, one row for all seeds of a measurement.
        values: (num_rows,) their targets, NaN where there is none.
        metrics: what is known of the metrics that have budgets.
    """

    predictor: Predictor
    modules: pd.DataFrame
    table: ArchTable
    values: Array
    metrics: Metrics

    def best(self, bounds: Sequence[Bound] = ()) -> float:
        """The best target of those measured whose measured metrics keep to some limits; NaN where there is none."""
        kept = np.isfinite(self.values)
        for bound in bounds:
            kept &= bound.turn * (bound.limit - self.table.metrics[bound.metric].to_numpy(float)) >= 0
        known = self.values[kept]
        if not len(known):
            return float("nan")
        return float(known.min() if self.predictor.minimize else known.max())


@dataclass(frozen=True)
class Binding:
    """A budget that keeps better architectures out.

    Args:
        bound: the budget.
        gain: how much better the best prediction would be without it, in target units, above 0.
    """

    bound: Bound
    gain: float


@dataclass(frozen=True, eq=False)
class Design:
    """Architectures within budgets, best first.

    Args:
        codes: (n, num_positions).
        frame: of each predicted, low, high (90 % interval), within (probability that its measurements keep to all budgets),
            improvement (expected over the best target measured within the budgets, in its units; NaN where there is none), and
            of each metric with a budget its expectation and NAME_low to NAME_high (90 % interval of a measurement); a NAME that
            is taken here is "NAME (metric)".
        is_exact: all architectures were looked at, so no prediction within the budgets is better than the first.
        assembled: exact assembly of the modules' effects, where there are budgets and the space is too large to look at all.
        binding: budgets that keep better ones out, known where all were looked at.
        obstacle: what stands in the way where no architecture keeps to the budgets.
    """

    codes: Codes
    frame: pd.DataFrame
    is_exact: bool
    assembled: Solutions | None = None
    binding: tuple[Binding, ...] = ()
    obstacle: Obstacle | None = None

    def record(self) -> dict[str, Any]:
        """Facts for JSON beside the architectures: {"is_exact", "binding": [{"budget", "gain"}], "assembled"}.

        Of an exact assembly {"num", "best" and "bound" (sums of effects), "gap", "is_proven", "ended"}; None where there is none.
        """
        binding = [{"budget": budget_words(one.bound), "gain": one.gain} for one in self.binding]
        assembled: dict[str, Any] | None = None
        if (own := self.assembled) is not None:
            best = float(own.values[0]) if len(own.values) else None
            assembled = {"num": len(own.values), "best": best, "bound": own.bound, "gap": own.gap}
            assembled |= {"is_proven": own.is_proven, "ended": own.ended}
        return {"is_exact": self.is_exact, "binding": binding, "assembled": assembled}


def design(
    objective: Objective,
    constraints: Sequence[Bound] = (),
    confidence: float = CONFIDENCE,
    locks: Mapping[int, Sequence[int]] | None = None,
    start: Codes | None = None,
    num: int = 10,
    allow_evaluated: bool = False,
    within: Space | None = None,
    seed: int = 0,
    report: Report = lambda share: None,
) -> Design:
    """The best distinct networks that keep to all budgets.

    Args:
        objective: what is built for.
        constraints: budgets.
        confidence: probability with which measurements are to keep to all budgets at once.
        locks: {unit index: layers, as tokens} that every architecture has.
        start: (n, num_positions) architectures whose neighbourhoods are searched too, in a space too large to look at all.
        num: how many, at most.
        allow_evaluated: measured networks may be among them.
        within: a reduced space that is built in; None = the whole one.
        seed: of the search.
        report: hears the share that is done.

    Raises:
        ConfigError: num is not positive, a metric is not known, or a unit cannot have the layers that it is locked to.
    """
    if num < 1:
        raise ConfigError(f"num: got {num}, expected at least 1.")
    budgets = Budgets(objective.metrics, tuple(constraints), confidence)
    space = locked(within or objective.predictor.space, locks or {})
    every = space.enumerate()
    if every is not None:
        return _among_all(objective, budgets, every, num, allow_evaluated, report)
    return _searched(objective, budgets, space, start, num, allow_evaluated, seed, report)


def locks_of(spec: SpaceSpec, named: Mapping[str, Sequence[str]]) -> dict[int, tuple[int, ...]]:
    """{unit index: layers, as tokens} of locks by the units' labels and the layers' tokens.

    Raises:
        ConfigError: there is no such unit or token.
    """
    units, tokens = [unit.label for unit in spec.units], {token: place for place, token in enumerate(spec.tokens)}
    for label, layers in named.items():
        if label not in units:
            raise ConfigError(f"lock: got the unit '{label}', expected one of {listed(units)}.")
        if unknown := [layer for layer in layers if layer not in tokens]:
            raise ConfigError(f"lock of unit {label}: got the layer '{unknown[0]}', expected one of {listed(tokens)}.")
    return {units.index(label): tuple(tokens[layer] for layer in layers) for label, layers in named.items()}


def locked(space: Space, locks: Mapping[int, Sequence[int]]) -> Space:
    """The space of the architectures whose units have the layers that they are locked to.

    Raises:
        ConfigError: a unit cannot have these layers.
    """
    if not locks:
        return space
    units = list(space.spec.units)
    for index, layers in locks.items():
        unit, own = units[index], tuple(map(int, layers))
        if unit.modules and own not in unit.modules:
            raise ConfigError(f"unit {unit.label}: got layers to lock that are none of its modules.")
        units[index] = replace(unit, modules=(own,), depths=(len(own),))
        if len(own) not in unit.depths or not set(own) <= set(unit.tokens) or (unit.tied and len(set(own)) > 1):
            raise ConfigError(f"unit {unit.label}: got {len(own)} layers to lock, which it cannot have.")
    return load_space(replace(space.spec, units=tuple(units)))


def _among_all(objective: Objective, budgets: Budgets, every: Codes, num: int, allow_evaluated: bool, report: Report) -> Design:
    """The best of all architectures, and what each budget costs."""
    space = objective.predictor.space
    codes = every[np.unique(space.hash_networks(every), return_index=True)[1]]
    kept = budgets.keeps(codes)
    if not kept.any():
        return Design(codes[:0], _facts(objective, budgets, codes[:0]), True, obstacle=budgets.obstacle(codes))
    scores = _predicted_scores(objective.predictor, codes, report)
    offered = kept if allow_evaluated else kept & ~np.isin(space.hash_networks(codes), objective.table.networks)
    order = np.flatnonzero(offered)[np.argsort(-scores[offered], kind="stable")][:num]
    best, binding = scores[kept].max(), []
    for place, bound in enumerate(budgets.bounds):
        free = budgets.without(place).keeps(codes)
        if (gained := scores[free].max()) > best:
            both = objective.predictor.expected(np.array([best, gained]))
            binding.append(Binding(bound, abs(float(both[1] - both[0]))))
    return Design(codes[order], _facts(objective, budgets, codes[order]), True, binding=tuple(binding))


def _predicted_scores(predictor: Predictor, codes: Codes, report: Report) -> Array:
    """(n,) mean normal scores of many architectures."""
    parts = []
    for number, part in enumerate(chunks := np.array_split(codes, max(len(codes) // 2048, 1))):
        parts.append(predictor.member_scores(part).mean(0).astype(float))
        report((number + 1) / len(chunks))
    return np.concatenate(parts)


def _searched(
    objective: Objective,
    budgets: Budgets,
    space: Space,
    start: Codes | None,
    num: int,
    allow_evaluated: bool,
    seed: int,
    report: Report,
) -> Design:
    """A search by the whole ensemble, from what exact assembly finds and the best measured ones that keep to the budgets."""
    predictor, table, rng = objective.predictor, objective.table, np.random.default_rng(seed)
    assembled, codes = None, table.codes[:0]
    if budgets.bounds:
        assembled, codes = assemble_within(objective, budgets, space, seed)
    measured = best_measured(table.codes, table.networks, objective.values, predictor.minimize)
    begun = np.concatenate([codes, measured, *([] if start is None else [start])])
    begun = begun[space.valid(begun)]
    strangers = space.sample(STRANGERS, rng)
    found = np.concatenate([begun[budgets.keeps(begun)], _best_of(predictor, strangers[budgets.keeps(strangers)])])
    if not len(found):
        near = nearest(budgets, space, np.concatenate([begun, strangers, table.codes[space.valid(table.codes)]]), rng)
        found = near[budgets.keeps(near)]
        if not len(found):
            facts = _facts(objective, budgets, found)
            return Design(found, facts, False, assembled, obstacle=budgets.obstacle(near))
    within = space if space is not predictor.space else None
    built = build(
        *(predictor, objective.modules, table.networks, num, None, Lens.GOOD, allow_evaluated, seed, report, found, within),
        accept=budgets.keeps,
    )
    return Design(built.codes, _facts(objective, budgets, built.codes, built), False, assembled)


def nearest(budgets: Budgets, space: Space, start: Codes, rng: np.random.Generator) -> Codes:
    """(n, num_positions) architectures that come as near to all budgets as a search for nothing else finds."""
    spreads = budgets.spreads(start)
    over = budgets.over(start, spreads).max(0)
    begun = start[np.argsort(over, kind="stable")[:NEAREST]]
    near = look_for_promising(lambda codes: -np.minimum(budgets.over(codes, spreads).max(0), FAR), space, begun, frozenset(), rng)
    return np.concatenate([near, begun])


def _best_of(predictor: Predictor, codes: Codes, num: int = 64) -> Codes:
    """The best predicted of some architectures."""
    if not len(codes):
        return codes
    return codes[np.argsort(-predictor.member_scores(codes).mean(0), kind="stable")[:num]]


def _facts(objective: Objective, budgets: Budgets, codes: Codes, built: Built | None = None) -> pd.DataFrame:
    """Facts about each architecture, as `Design.frame` has them."""
    metrics = list(dict.fromkeys(bound.metric for bound in budgets.bounds))
    if not len(codes):
        frame = pd.DataFrame(columns=["predicted", "low", "high", "within", "improvement"], dtype=float)
    else:
        frame = (objective.predictor.predict(codes) if built is None else built.frame)[["predicted", "low", "high"]].copy()
        frame["within"] = budgets.within(codes)
        frame["improvement"] = expected_improvement(frame, objective.best(budgets.bounds), objective.predictor.minimize)
    for name in metrics:
        columns = _columns_of(name, frame)
        for column, values in zip(columns, budgets.metrics.model(name).interval(codes), strict=True):
            frame[column] = values
    return frame


def _columns_of(metric: str, frame: pd.DataFrame) -> tuple[str, str, str]:
    """Three columns of a metric beside those of a frame, told apart where the data call a metric as one of these."""
    columns = metric, f"{metric}_low", f"{metric}_high"
    return columns if frame.columns.intersection(columns).empty else _columns_of(f"{metric} (metric)", frame)


def expected_improvement(frame: pd.DataFrame, best: float, minimize: bool) -> Array:
    """(n,) how much better than a target predictions are expected to be, where they are better, in its units.

    Source: Jones, Schonlau and Welch 1998, equation 15; the prediction is taken for normal with its 90 % interval.

    Args:
        frame: predicted, low and high of each.
        best: the target; NaN = not known.
        minimize: smaller targets are better.
    """
    gain = (-1 if minimize else 1) * (frame["predicted"].to_numpy(float) - best)
    spread = np.maximum((frame["high"] - frame["low"]).to_numpy(float) / (2 * TWO_SIDED_90), 1e-300)
    normal = NormalDist()
    pairs = zip(gain.tolist(), spread.tolist(), strict=True)
    return np.array([np.maximum(g * normal.cdf(g / s) + s * normal.pdf(g / s), 0.0) for g, s in pairs])


def assemble_within(objective: Objective, budgets: Budgets, space: Space, seed: int = 0) -> tuple[Solutions | None, Codes]:
    """Exact assembly of the modules' effects under budgets taken for sums over units, and what it finds as codes.

    A module's cost is what it changes in an architecture that was measured. Metrics are no sums exactly: where no choice keeps to
    the budgets, limits are moved by what was broken and all is assembled again.

    Returns:
        (None, no codes) where rules connect the units.
    """
    spec, predictor = space.spec, objective.predictor
    if space.rules:
        return None, np.zeros((0, spec.num_positions), np.int16)
    ranked = top_modules(objective.modules, Lens.SCORE, predictor.minimize)
    rows = module_rows(ranked, spec)
    owner = ranked["unit_index"].to_numpy(int)
    effects = ranked["effect"].to_numpy(float) * Lens.SCORE.direction(predictor.minimize)
    choices = [_choices(spec, unit, rows[owner == unit], effects[owner == unit]) for unit in range(len(spec.units))]
    base = objective.table.codes[np.flatnonzero(np.isfinite(objective.values))[0]]
    costs, limits = _costs(budgets, spec, choices, base)
    pairs = _pairs(objective, space, choices, seed)
    found, codes = None, np.zeros((0, spec.num_positions), np.int16)
    for _ in range(TIGHTENED):
        problem = Problem([scores for _, scores in choices], costs, limits, pairs)
        found = assemble(problem, ASSEMBLED, seconds=SECONDS / TIGHTENED)
        codes = _whole(spec, choices, found.chosen)
        if not len(codes) or not budgets.bounds or budgets.keeps(codes).any():
            break
        over = [bound.turn * (budgets.needed(codes, bound) - bound.limit) for bound in budgets.bounds]
        limits = limits - np.maximum(np.array(over).min(1), 0) - 1e-3 * np.abs(limits)
    return found, codes


def _choices(spec: SpaceSpec, unit: int, rows: Codes, effects: Array) -> tuple[Codes, Array]:
    """((modules, positions of the unit) layers, (modules,) effects) of a unit; with those it is locked to, or none at all."""
    own = spec.units[unit]
    layers = rows[:, list(own.positions)]
    if own.modules:
        allowed = {tuple(module) for module in own.modules}
        kept = [tuple(int(token) for token in row if token != ABSENT) in allowed for row in layers]
        layers, effects = layers[kept], effects[kept]
        known = {tuple(int(token) for token in row if token != ABSENT) for row in layers}
        others = [module for module in own.modules if tuple(module) not in known]
        added = [[*module, *[ABSENT] * (len(own.positions) - len(module))] for module in others]
        layers = np.concatenate([layers, np.array(added, np.int16).reshape(-1, len(own.positions))])
        return layers, np.append(effects, np.zeros(len(others)))
    if 0 in own.depths:
        layers = np.concatenate([layers, np.full((1, len(own.positions)), ABSENT, np.int16)])
        effects = np.append(effects, 0.0)
    return layers, effects


def _costs(budgets: Budgets, spec: SpaceSpec, choices: Sequence[tuple[Codes, Array]], base: Codes) -> tuple[list[Array], Array]:
    """(of each unit (modules, budgets) costs, (budgets,) limits), turned so that all limits are upper ones."""
    turn = np.array([bound.turn for bound in budgets.bounds])
    own = np.array([budgets.needed(base[None], bound)[0] for bound in budgets.bounds])
    limits = turn * (np.array([bound.limit for bound in budgets.bounds]) - own)
    costs = []
    for unit, (layers, _) in zip(spec.units, choices, strict=True):
        codes = np.repeat(base[None], len(layers), axis=0)
        codes[:, list(unit.positions)] = layers
        parts = [turn[place] * (budgets.needed(codes, bound) - own[place]) for place, bound in enumerate(budgets.bounds)]
        costs.append(np.nan_to_num(np.stack(parts, 1) if parts else np.zeros((len(layers), 0)), nan=1e12))
    return costs, np.nan_to_num(limits, nan=-1e12)


def _pairs(objective: Objective, space: Space, choices: Sequence[tuple[Codes, Array]], seed: int) -> list[Pair]:
    """Pair terms of the best modules of each two units: what both are worth beyond the sum of their effects."""
    predictor, spec = objective.predictor, space.spec
    num_pairs = max(len(spec.units) * (len(spec.units) - 1) // 2, 1)
    most = min(int((PAIR_PREDICTIONS / num_pairs / PAIR_CONTEXTS) ** 0.5) - 1, MOST_PAIRED)
    if most < 1:
        return []
    turn = -1 if predictor.minimize else 1
    contexts = space.sample(PAIR_CONTEXTS, np.random.default_rng(seed))
    best = [np.argsort(-effects, kind="stable")[:most] for _, effects in choices]
    places = [
        Place(unit.label, unit.positions, layers[own], False)
        for unit, (layers, _), own in zip(spec.units, choices, best, strict=True)
    ]
    found = []
    for one, other in itertools.combinations(range(len(places)), 2):
        values = turn * second_differences(predictor, places[one], places[other], contexts).mean(0)
        grid = itertools.product(enumerate(best[one]), enumerate(best[other]))
        found += [Pair((one, int(a)), (other, int(b)), float(values[i, j])) for (i, a), (j, b) in grid if values[i, j]]
    return found


def _whole(spec: SpaceSpec, choices: Sequence[tuple[Codes, Array]], chosen: NDArray[np.int64]) -> Codes:
    """(n, num_positions) the architectures of some choices."""
    codes = np.full((len(chosen), spec.num_positions), ABSENT, np.int16)
    for unit, (layers, _), modules in zip(spec.units, choices, chosen.T, strict=True):
        codes[:, list(unit.positions)] = layers[modules]
    return codes
