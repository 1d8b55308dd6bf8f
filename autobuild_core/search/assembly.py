"""From module scores to architectures: the best modules of each unit, their product, what is built from it."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_rows, top_modules, with_room
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.search.budgets import Accept, everything
from autobuild_core.spaces import Space, load_space

PRODUCT_LIMIT = 20_000
UNREDUCED_K, UNREDUCED_LIMIT = 100, 4_000  # modules a unit, and their combinations, from which the search of a whole space starts
IMPROVE_ROUNDS, IMPROVE_PARENTS, IMPROVE_CHILDREN = 30, 64, 8
PREDICTED_AT_ONCE = 2048  # between two reports
STARTS = 16  # best measured networks that the search begins from too
ALIKE = 1e-6  # share of a prediction that rounding may be


@dataclass(frozen=True, eq=False)
class Built:
    """Architectures, best first. `codes` is (n, num_positions); `frame` has predicted, low, high for each."""

    codes: Codes
    frame: pd.DataFrame


def product_codes(modules: pd.DataFrame, spec: SpaceSpec, top_k: int | None, lens: Lens, minimize: bool) -> Codes:
    """(n, num_positions) the combinations of the top modules of the units, at most PRODUCT_LIMIT; UNREDUCED_LIMIT without top_k.

    Where there are more, those with the largest sum of effects: unit by unit only so many best beginnings are kept, which is
    exact for a sum, so the product is never materialised (docs/method.md, weakness 9). A unit that may have no layer may stay
    empty too; what breaks a rule of the space is left out. Of ranges of numbers as many values are combined as there is room for.

    Args:
        modules: modules.parquet.
        spec: the space.
        top_k: modules of each unit; None = UNREDUCED_K.
        lens: ranks them.
        minimize: smaller targets are better.
    """
    ranked, limit = top_modules(modules, lens, minimize), UNREDUCED_LIMIT if top_k is None else PRODUCT_LIMIT
    kept = with_room(ranked[ranked["rank"] <= (top_k or UNREDUCED_K)], spec, limit)
    codes, sums, rules = np.full((1, spec.num_positions), ABSENT, np.int16), np.zeros(1), load_space(spec).rules
    for index, unit in enumerate(spec.units):
        part = kept[kept["unit_index"] == index]
        layers = module_rows(part, spec)[:, list(unit.positions)]
        effects = part["effect"].to_numpy(float) * Lens.SCORE.direction(minimize)
        if 0 in unit.depths:
            layers = np.concatenate([layers, np.full((1, len(unit.positions)), ABSENT, np.int16)])
            effects = np.append(effects, 0.0)
        total = (sums[:, None] + effects).ravel()
        if rules:
            total[~rules.fits(codes, index, layers).ravel()] = -np.inf
        best = np.argsort(-total, kind="stable")[:limit]
        best = best[total[best] > -np.inf]
        before, module = np.divmod(best, len(effects))
        codes, sums = codes[before].copy(), total[best]
        codes[:, list(unit.positions)] = layers[module]
    return codes


def best_measured(
    codes: Codes, networks: NDArray[np.uint64], values: NDArray[np.float64], minimize: bool, num: int = STARTS
) -> Codes:
    """(at most num, num_positions) the measured architectures with the best targets, one a network, best first.

    Args:
        codes: (n, num_positions) the data.
        networks: (n,) their canonical hashes.
        values: (n,) their targets, NaN where there is none.
        minimize: smaller targets are better.
        num: how many.
    """
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known] if minimize else -values[known], kind="stable")]
    first = np.sort(np.unique(networks[order], return_index=True)[1])
    return codes[order[first[:num]]]


def build(
    predictor: Predictor,
    modules: pd.DataFrame,
    evaluated: NDArray[np.uint64],
    num: int,
    top_k: int | None = None,
    lens: Lens = Lens.GOOD,
    allow_evaluated: bool = False,
    seed: int = 0,
    report: Callable[[float], None] = lambda share: None,
    start: Codes | None = None,
    within: Space | None = None,
    accept: Accept = everything,
) -> Built:
    """The best distinct networks by the ensemble's prediction.

    With `top_k`: within the product of the top K modules of each unit (AutoBuild's reduced space). Without: the
    whole space where it can be enumerated; else the product of the top modules and `start`, improved by local search over
    the whole space with the predictor as judge (ours: unit scores ignore interaction, docs/method.md, weakness 6).

    Args:
        predictor: the run.
        modules: modules.parquet.
        evaluated: canonical hashes of the networks evaluated already.
        num: how many to return at most.
        top_k: modules a unit to combine; None = no reduction.
        lens: ranks the modules.
        allow_evaluated: evaluated networks may be returned.
        seed: of the local search.
        report: hears the share that is done.
        start: (n, num_positions) architectures whose neighbourhoods are searched too, whether they were evaluated or not.
        within: a reduced space that is searched in place of the whole one.
        accept: of architectures those that may be built.
    """
    space, spec = predictor.space, predictor.spec
    refused = np.zeros(0, np.uint64) if allow_evaluated else np.unique(evaluated)
    if top_k is not None:
        return _best(predictor, product_codes(modules, spec, top_k, lens, predictor.minimize), refused, num, report, accept)
    searched = space if within is None else within
    codes = searched.enumerate()
    if codes is not None:
        return _best(predictor, codes, refused, num, report, accept)
    if within is None:
        product = product_codes(modules, spec, None, lens, predictor.minimize)
    else:
        product = within.sample(UNREDUCED_LIMIT, np.random.default_rng(seed))
    begun = product[:0] if start is None else start
    if within is not None:
        begun = begun[within.valid(begun)]
    kept, begun_with = max(num, IMPROVE_PARENTS), np.concatenate([product, begun])
    best = _best(predictor, begun_with, refused, kept, lambda share: report(share / 2), accept)
    rng, known = np.random.default_rng(seed), np.concatenate([refused, space.hash_networks(begun_with)])
    for step in range(IMPROVE_ROUNDS):
        children = np.repeat(np.concatenate([best.codes, begun]), IMPROVE_CHILDREN, axis=0)
        for _ in range(1 + step % 2):  # one change a child, and two in every other round
            children = searched.mutate(children, rng)
        best = _better_of(best, _best(predictor, children, known, kept, accept=accept), kept)
        known = np.union1d(known, space.hash_networks(children))
        report((1 + (step + 1) / IMPROVE_ROUNDS) / 2)
    return Built(best.codes[:num], best.frame.head(num))


def _best(
    predictor: Predictor,
    codes: Codes,
    refused: NDArray[np.uint64],
    num: int,
    report: Callable[[float], None] = lambda share: None,
    accept: Accept = everything,
) -> Built:
    """The `num` best-predicted distinct networks among codes that are accepted, none of them refused."""
    networks = predictor.space.hash_networks(codes)
    first = np.unique(networks, return_index=True)[1]
    first = first[~np.isin(networks[first], refused)]
    first = first[accept(codes[first])]
    parts = []
    for start in range(0, max(len(first), 1), PREDICTED_AT_ONCE):
        parts.append(predictor.predict(codes[first[start : start + PREDICTED_AT_ONCE]]))
        report(min((start + PREDICTED_AT_ONCE) / max(len(first), 1), 1.0))
    return _ordered(codes[first], pd.concat(parts, ignore_index=True), num)


def _better_of(one: Built, other: Built, num: int) -> Built:
    """The `num` best of two sets without a network in common."""
    return _ordered(np.concatenate([one.codes, other.codes]), pd.concat([one.frame, other.frame], ignore_index=True), num)


def _ordered(codes: Codes, frame: pd.DataFrame, num: int) -> Built:
    """The `num` best-predicted of networks and their predictions."""
    order = np.argsort(-frame["score"].to_numpy(), kind="stable")[:num]
    return Built(codes[order], frame.iloc[order].reset_index(drop=True))


@dataclass(frozen=True)
class NothingLeft:
    """Reason why no network is offered that was not evaluated.

    Args:
        said: the reason, a sentence without its full stop.
        is_exhausted: every network of the space was evaluated; else there may be some that were not found.
    """

    said: str
    is_exhausted: bool


def nothing_left(space: Space, evaluated: NDArray[np.uint64]) -> NothingLeft:
    """Reason why no network of a space is offered that is not among those that were evaluated."""
    every = space.enumerate()
    networks = np.zeros(0, np.uint64) if every is None else np.unique(space.hash_networks(every))
    if every is not None and np.isin(networks, evaluated).all():
        return NothingLeft(f"All {len(networks):,} networks of this space were evaluated already", True)
    return NothingLeft("No network was found that was not evaluated already", False)


@dataclass(frozen=True, eq=False)
class Against:
    """Architectures beside one that is there already, by their predictions.

    Args:
        now: the prediction of the one.
        change: (n,) how much more each is predicted, in target units.
        gain: (n,) 1 where it is better, -1 where it is worse, 0 where rounding alone tells them apart.
        same: (n,) it is the very network.
    """

    now: float
    change: NDArray[np.float64]
    gain: NDArray[np.int8]
    same: NDArray[np.bool_]

    @property
    def better(self) -> NDArray[np.bool_]:
        """(n,) which are other networks and better."""
        return ~self.same & (self.gain > 0)


def against(built: Built, codes: Codes, predictor: Predictor) -> Against:
    """Built architectures beside one.

    Args:
        built: the architectures.
        codes: (num_positions,) the one.
        predictor: predicted them.
    """
    now = float(predictor.predict(codes[None])["predicted"].iloc[0])
    change = built.frame["predicted"].to_numpy(np.float64) - now
    gain = np.sign(change) * (np.abs(change) > ALIKE * max(abs(now), 1e-12)) * (-1 if predictor.minimize else 1)
    hashes = predictor.space.hash_networks
    return Against(now, change, gain.astype(np.int8), hashes(built.codes) == hashes(codes[None]))


def built_records(built: Built, predictor: Predictor) -> list[dict[str, Any]]:
    """Records that `build` writes, one an architecture: {"arch", "predicted", "low", "high", "modules"}."""
    return architecture_records(predictor, built.codes, built.frame[["predicted", "low", "high"]])


def architecture_records(predictor: Predictor, codes: Codes, facts: pd.DataFrame) -> list[dict[str, Any]]:
    """One object an architecture: "arch" (native encoding), the numbers known of it, "modules" ([{"unit", "layers"}, ...]).

    Where contexts vary also "context", what the numbers hold at.
    """
    space, records = predictor.space, []
    where = {} if predictor.held is None else {"context": predictor.held.words}
    for row, line in zip(codes, facts.to_dict("records"), strict=True):
        modules = [{"unit": unit, "layers": layers} for unit, layers in space.describe(row)]
        numbers = {name: float(value) for name, value in line.items()}
        records.append({"arch": space.native(row)} | numbers | {"modules": modules} | where)
    return records


def json_lines(records: Iterable[Mapping[str, Any]]) -> str:
    """Architectures as text, one object a line: what `build`, `suggest` and the pages' downloads write."""
    return "".join(json.dumps(record) + "\n" for record in records)
