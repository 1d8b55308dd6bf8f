"""Which architectures to evaluate next, to learn most about which module of each unit is the best. Ours (issue 3).

`overturning` asks the same about a single claim: which evaluations are most likely to turn it.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_rows, top_modules
from autobuild_core.architectures.ranges import by_range
from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.ensemble import Predictor

Array = NDArray[np.float64]
NUM_NEXT = 16  # architectures of a batch
CONTENDING = 5  # modules of a unit that a batch is to tell apart
POOL, CONTEXTS = 1500, 12
OVERTURN_POOL, OVERTURN_CONTEXTS = 160, 48  # candidates are these with the module and as many without
BALANCE, DIVERSITY = 0.5, 0.25  # weights beside the information, which is 1 at its largest


def contending_modules(modules: pd.DataFrame, minimize: bool, num: int = CONTENDING) -> pd.DataFrame:
    """The modules of each unit among which the best one is to be found: the best by the average lens and by `good`.

    Returns:
        At most `num` whole-unit lines a unit, best by the average first.
    """
    by_score = top_modules(modules, Lens.SCORE, minimize)
    by_good = top_modules(modules, Lens.GOOD, minimize)[["positions", "layers", "rank"]]
    both = by_score.merge(by_good, on=["positions", "layers"], suffixes=("", "_good"))
    both["place"] = both[["rank", "rank_good"]].min(axis=1)
    both = both.sort_values(["unit_index", "place", "rank"], kind="stable")
    kept = both[both.groupby("unit_index").cumcount() < num]
    return kept.sort_values(["unit_index", "rank"], kind="stable").drop(columns=["rank_good", "place"]).reset_index(drop=True)


def suggest(
    predictor: Predictor, modules: pd.DataFrame, evaluated: NDArray[np.uint64], num: int, seed: int = 0
) -> tuple[Codes, pd.DataFrame]:
    """A batch of distinct networks, none evaluated, that best separates the contending modules of each unit.

    The members' deviations stand for what is not known (their covariance is that of the jackknife). What is to be learned are the
    differences between each unit's best module and its rivals; an architecture is worth the part of their variance that measuring
    it removes, label noise and residual error considered. Architectures are chosen one by one: each choice conditions all members
    on it, so that a second one that would teach the same is worth less. Beside the information count how seldom the batch has
    the architecture's contending modules, and its distance to the batch.

    Args:
        predictor: the run.
        modules: modules.parquet.
        evaluated: canonical hashes of the networks evaluated already.
        num: how many, at most.
        seed: of the pool of candidates.

    Returns:
        (codes (n, num_positions), a line each: information (share of the differences' variance removed by it and those before
        it), predicted, low, high).

    Raises:
        ConfigError: num is not positive.
    """
    if num < 1:
        raise ConfigError(f"num: got {num}, expected at least 1.")
    spec, rng = predictor.spec, np.random.default_rng(seed)
    contending = contending_modules(modules, predictor.minimize)
    rows, owner = module_rows(contending, spec), contending["unit_index"].to_numpy(int)
    codes = _pool(predictor, rows, owner, evaluated, rng)
    if not len(codes):
        return codes, pd.DataFrame(columns=["information", "predicted", "low", "high"])
    scores = predictor.member_scores(codes).astype(float)
    held = _contains(codes, rows, owner, predictor)
    chosen, information = _greedy(_deviations(scores), _contrasts(predictor, rows, owner, rng), held, codes, predictor, num)
    frame = predictor.predict(codes[chosen]).drop(columns="score")
    frame.insert(0, "information", information)
    return codes[chosen], frame


def _deviations(scores: Array) -> Array:
    """(members, n) what the jackknife takes for the members' joint uncertainty: deviations times the root of members - 1."""
    spread: Array = (scores - scores.mean(0)) * np.sqrt(len(scores) - 1)
    return spread


def _pool(
    predictor: Predictor, rows: Codes, owner: NDArray[np.int64], evaluated: NDArray[np.uint64], rng: np.random.Generator
) -> Codes:
    """(n, num_positions) distinct networks, none evaluated: random ones with a contending module in about half of the units.

    Where those were all evaluated, every network that is left of a space that can be enumerated.
    """
    space, units = predictor.space, predictor.spec.units
    codes = space.sample(POOL, rng)
    for index, unit in enumerate(units):
        own = np.flatnonzero(owner == index)
        if len(own):
            put, which = rng.random(POOL) < 0.6, rng.choice(own, POOL)
            columns = list(unit.positions)
            codes[:, columns] = np.where(put[:, None], rows[which][:, columns], codes[:, columns])
    codes, valid = space.complete(codes, np.zeros(codes.shape[1], bool), rng)
    left = _new(predictor, codes[valid], evaluated)
    return left if len(left) or (every := space.enumerate()) is None else _new(predictor, every, evaluated)


def _new(predictor: Predictor, codes: Codes, evaluated: NDArray[np.uint64]) -> Codes:
    """(n, num_positions) the distinct networks among codes that were not evaluated."""
    networks = predictor.space.hash_networks(codes)
    first = np.unique(networks, return_index=True)[1]
    return codes[first[~np.isin(networks[first], evaluated)]]


def _contains(codes: Codes, rows: Codes, owner: NDArray[np.int64], predictor: Predictor) -> NDArray[np.bool_]:
    """(n, contending) which codes have which contending module in its unit, as written; of a range any of its values."""
    codes, rows = by_range(codes, predictor.spec), by_range(rows, predictor.spec)
    out = np.empty((len(codes), len(rows)), bool)
    for number, unit in enumerate(owner):
        columns = list(predictor.spec.units[unit].positions)
        out[:, number] = (codes[:, columns] == rows[number, columns]).all(1)
    return out


def _contrasts(predictor: Predictor, rows: Codes, owner: NDArray[np.int64], rng: np.random.Generator) -> Array:
    """(members, contrasts) deviations of the differences between each unit's best module and its rivals, over shared contexts."""
    spec = predictor.spec
    contexts = predictor.space.sample(CONTEXTS, rng)
    codes, kept = np.tile(contexts, (len(rows), 1)), np.zeros((len(rows) * CONTEXTS, spec.num_positions), bool)
    for number, unit in enumerate(owner):
        columns, own = list(spec.units[unit].positions), slice(number * CONTEXTS, (number + 1) * CONTEXTS)
        codes[own, columns], kept[own, columns] = rows[number, columns], True
    codes = predictor.space.complete(codes, kept, rng)[0]
    means = predictor.member_scores(codes).astype(float).reshape(-1, len(rows), CONTEXTS).mean(2)
    parts = [means[:, owner == unit][:, :1] - means[:, owner == unit][:, 1:] for unit in np.unique(owner)]
    return _deviations(np.concatenate(parts, axis=1))


def _greedy(
    candidates: Array, contrasts: Array, held: NDArray[np.bool_], codes: Codes, predictor: Predictor, num: int
) -> tuple[list[int], list[float]]:
    """Rows of the pool, chosen one by one, and the share of the contrasts' variance that is removed after each."""
    noise = max(predictor.calibration.residual, 0.05) ** 2
    members, candidates, contrasts = len(candidates), candidates.copy(), contrasts.copy()
    whole = float((contrasts**2).sum())
    counts, nearest = np.zeros(held.shape[1]), np.ones(len(codes))
    free, chosen, information = np.ones(len(codes), bool), [], []
    for _ in range(min(num, len(codes))):
        variance = (candidates**2).mean(0) + noise
        gain = ((candidates.T @ contrasts / members) ** 2).sum(1) / variance
        balance = (held / (1 + counts)).sum(1) / np.maximum(held.sum(1), 1)
        worth = gain / max(float(gain.max()), 1e-300) + BALANCE * balance + DIVERSITY * nearest
        pick = int(np.where(free, worth, -np.inf).argmax())
        chosen.append(pick)
        free[pick] = False
        own = candidates[:, pick].copy()
        # The square-root filter: deviations lose what the measurement explains, so that their variance is the conditional one.
        share = 1 / (1 + np.sqrt(noise / variance[pick]))
        for values in (candidates, contrasts):
            values -= share * np.outer(own, own @ values / members / variance[pick])
        counts += held[pick]
        nearest = np.minimum(nearest, (codes != codes[pick]).mean(1))
        information.append(1 - float((contrasts**2).sum()) / max(whole, 1e-300))
    return chosen, information


def overturning(
    predictor: Predictor,
    row: Codes,
    unit: int | None,
    evaluated: NDArray[np.uint64],
    rival: Codes | None = None,
    num: int = 5,
    seed: int = 0,
) -> tuple[Codes, pd.DataFrame]:
    """The networks whose evaluation is most likely to turn a claim: that a module is better, or worse, than another.

    What is not known is a difference of two means over contexts, with the module and with its rival (or over the space), a
    Gaussian with the members' jackknife variance v. Once measurements have removed a share i of it (`_greedy`), its mean has
    moved by a Gaussian of variance i v: the sign has turned with probability Phi(-|difference| / sqrt(i v)), on the scale of
    normal scores.

    Args:
        predictor: the run.
        row: (num_positions,) the module's layers at its positions, ABSENT elsewhere.
        unit: the unit that it fills, no deeper; None for a window.
        evaluated: canonical hashes of the networks evaluated already.
        rival: another module for the same place; None = the average architecture.
        num: how many, at most.
        seed: of contexts and candidates.

    Returns:
        (codes (n, num_positions), a line each: chance (that it and those before it turn the claim), contains (the module),
        predicted, low, high).
    """
    space, rng = predictor.space, np.random.default_rng(seed)
    contexts, mixed = space.sample(OVERTURN_CONTEXTS, rng), space.sample(OVERTURN_POOL, rng)
    with_it = _put(contexts, row, unit, predictor)
    other, without = (v if rival is None else _put(v, rival, unit, predictor) for v in (contexts, mixed))
    codes = np.concatenate([without, _put(mixed, row, unit, predictor)])
    networks = space.hash_networks(codes)
    first = np.sort(np.unique(networks, return_index=True)[1])
    codes = codes[first[~np.isin(networks[first], evaluated)]]
    if not len(codes) or not len(with_it):
        return codes[:0], pd.DataFrame(columns=["chance", "contains", "predicted", "low", "high"])
    effect = (predictor.member_scores(with_it).mean(1) - predictor.member_scores(other).mean(1)).astype(float)[:, None]
    doubt, scores = _deviations(effect), predictor.member_scores(codes).astype(float)
    columns = np.flatnonzero(row != ABSENT) if unit is None else np.array(predictor.spec.units[unit].positions)
    held = (by_range(codes, predictor.spec)[:, columns] == by_range(row[None], predictor.spec)[0, columns]).all(1)
    chosen, information = _greedy(_deviations(scores), doubt, np.stack([held, ~held], 1), codes, predictor, num)
    moved = np.sqrt(np.maximum(np.array(information) * float((doubt**2).mean()), 1e-300))
    distance = abs(float(effect.mean())) / moved
    frame = predictor.predict(codes[chosen]).drop(columns="score")
    frame.insert(0, "chance", [0.5 * math.erfc(d / math.sqrt(2)) for d in distance])
    frame.insert(1, "contains", held[chosen])
    return codes[chosen], frame


def _put(codes: Codes, row: Codes, unit: int | None, predictor: Predictor) -> Codes:
    """(n, num_positions) a module put into those codes that have layers where a window has; all of them for a whole unit."""
    if unit is not None:
        columns = list(predictor.spec.units[unit].positions)
        whole = codes.copy()
        whole[:, columns] = row[columns]
        return _mended(whole, columns, predictor)
    columns = np.flatnonzero(row != ABSENT).tolist()
    put: Codes = codes[(codes[:, columns] != ABSENT).all(1)]
    for own in predictor.spec.units:
        inside = [p for p in columns if p in own.positions]
        if own.tied and inside:
            layers = list(own.positions)
            put[:, layers] = np.where(put[:, layers] == ABSENT, ABSENT, row[inside[0]])
    put[:, columns] = row[columns]
    return _mended(put, columns, predictor)


def _mended(codes: Codes, columns: list[int], predictor: Predictor) -> Codes:
    """The given codes that keep to the rules of the space once all but some columns may be drawn anew."""
    kept = np.isin(np.arange(codes.shape[1]), columns)
    mended, valid = predictor.space.complete(codes, kept, np.random.default_rng(0))
    return mended[valid]
