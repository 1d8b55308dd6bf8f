"""Interactions: what two modules are worth together beyond what each is worth alone. Ours (issue 3)."""

import itertools
import json
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_rows, top_modules
from autobuild_core.architectures.ranges import range_of, shown_layer
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.scoring.intervals import jackknife_half_width
from autobuild_core.spaces import Space

Array = NDArray[np.float64]
CONTEXTS = 12
LAYERS_OF_PLACE = 5  # single layers that enter pairs, where a place has more: those with the largest and the smallest scores
TOP_OF_UNIT = 4  # modules of a unit that enter pairs of units
MOST_ROWS = 4_000  # predictions asked for at most, a kind: pairs of places with the smallest main effects are left out beyond
PAIRS_KEPT = 400  # lines of the table, the strongest


class Ensemble(Protocol):
    """A predictor as far as interactions need it."""

    space: Space
    spec: SpaceSpec

    def member_scores(self, codes: Codes) -> NDArray[np.float32]:
        """(members, n) normal scores."""

    def member_expected(self, scores: NDArray[np.float32]) -> Array:
        """Scores of any shape in target units."""


@dataclass(frozen=True, eq=False)
class Place:
    """A place where modules can stand, and the modules that are asked about there.

    Args:
        label: what a reader sees.
        positions: positions it fills.
        codes: (m, len(positions)) its modules, ABSENT where a position stays empty.
        only_present: a layer is only replaced where there is one (single layers); else the whole place is.
    """

    label: str
    positions: tuple[int, ...]
    codes: Codes
    only_present: bool

    def put(self, codes: Codes, module: int) -> Codes:
        """The codes with one of the modules here."""
        out, columns = codes.copy(), list(self.positions)
        fresh = np.broadcast_to(self.codes[module], (len(codes), len(columns)))
        out[:, columns] = np.where(codes[:, columns] == ABSENT, ABSENT, fresh) if self.only_present else fresh
        return out


def layer_places(spec: SpaceSpec) -> list[Place]:
    """Every position with its layers; the layers of a tied unit are one place."""
    places = []
    for unit in spec.units:
        tokens = np.array(unit.tokens, np.int16)
        if unit.tied:
            places.append(Place(unit.label, unit.positions, np.repeat(tokens[:, None], len(unit.positions), 1), True))
        else:
            places += [Place(spec.position_labels[p], (p,), tokens[:, None], True) for p in unit.positions]
    return places


def extreme_layers(place: Place, modules: pd.DataFrame, spec: SpaceSpec, most: int = LAYERS_OF_PLACE) -> Place:
    """The place with at most so many of its layers: the ones with the largest scores, and half as many with the smallest.

    Of a range of numbers the value that stands for it is asked about, and named as the range.
    """
    stands = [one is None or token == one.standing for token in place.codes[:, 0].tolist() for one in [range_of(spec, token)]]
    place = place if all(stands) else replace(place, codes=place.codes[np.array(stands)])
    if len(place.codes) <= most:
        return place
    here = modules[modules["positions"] == json.dumps([spec.position_labels[place.positions[0]]])]
    scores = dict(zip(here["layers"], here["score"], strict=True))
    worth = np.array([scores.get(json.dumps([shown_layer(spec, int(row[0]))]), 0.0) for row in place.codes])
    order, low = np.argsort(-worth, kind="stable"), most // 2
    kept = np.sort(np.concatenate([order[: most - low], order[len(order) - low :]]))
    return replace(place, codes=place.codes[kept])


def unit_places(modules: pd.DataFrame, spec: SpaceSpec, minimize: bool, top: int = TOP_OF_UNIT) -> list[Place]:
    """Every unit with its best modules by the average lens."""
    ranked = top_modules(modules, Lens.SCORE, minimize)
    ranked = ranked[ranked["rank"] <= top]
    rows, places = module_rows(ranked, spec), []
    for index, unit in enumerate(spec.units):
        own = (ranked["unit_index"] == index).to_numpy()
        if own.any():
            places.append(Place(unit.label, unit.positions, rows[own][:, list(unit.positions)], False))
    return places


def second_differences(predictor: Ensemble, first: Place, second: Place, contexts: Codes) -> Array:
    """(members, m, k) f(a, b) - f(a) - f(b) + f() in target units, averaged over contexts.

    All four share their contexts: where a module is not put, the context keeps its own. So an additive function gives exactly 0.
    Where the space has rules, a pair's contexts are those in which all four keep to them; NaN where there is none.

    Args:
        predictor: the ensemble.
        first: place of the m modules a.
        second: place of the k modules b.
        contexts: (c, num_positions) random architectures.
    """
    m, k, c = len(first.codes), len(second.codes), len(contexts)
    with_first = [contexts, *(first.put(contexts, a) for a in range(m))]
    codes = np.concatenate([part for base in with_first for part in (base, *(second.put(base, b) for b in range(k)))])
    values = predictor.member_expected(predictor.member_scores(codes)).reshape(-1, m + 1, k + 1, c)
    if not predictor.space.rules:
        return _differences(values.mean(3))
    valid = predictor.space.valid(codes).reshape(m + 1, k + 1, c)
    all_four = valid[1:, 1:] & valid[1:, :1] & valid[:1, 1:] & valid[:1, :1]
    by_context = np.where(all_four, _differences(values), 0).sum(3)
    counts = all_four.sum(2)
    return np.where(counts, by_context / np.maximum(counts, 1), np.nan)


def _differences(values: Array) -> Array:
    """(members, m, k, ...) second differences of (members, m + 1, k + 1, ...) values, those with a module left out first."""
    differences: Array = values[:, 1:, 1:] - values[:, 1:, :1] - values[:, :1, 1:] + values[:, :1, :1]
    return differences


def interactions(
    predictor: Ensemble,
    modules: pd.DataFrame,
    minimize: bool,
    num_contexts: int = CONTEXTS,
    most_rows: int = MOST_ROWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Second differences of pairs of single layers and of pairs of units' best modules, the strongest first.

    Args:
        predictor: the ensemble.
        modules: modules.parquet.
        minimize: smaller targets are better.
        num_contexts: random architectures that each pair is averaged over.
        most_rows: predictions a kind at most; beyond, the pairs of places whose main effects vary most are kept.
        seed: of the contexts.

    Returns:
        kind ("layers" or "units"), first, first_module, second, second_module (labels; modules as JSON lists of layers), value,
        low, high (target units, 90 % interval over the members), strength (root mean square over the pair of places).
    """
    spec, rng = predictor.spec, np.random.default_rng(seed)
    singles = [extreme_layers(place, modules, spec) for place in layer_places(spec)]
    parts: list[pd.DataFrame] = []
    for kind, places in (("layers", singles), ("units", unit_places(modules, spec, minimize))):
        effects = _main_effects(places, modules, spec)
        pairs = sorted(itertools.combinations(range(len(places)), 2), key=lambda p: -effects[p[0]] * effects[p[1]])
        asked = 0
        for one, two in pairs:
            first, second = places[one], places[two]
            asked += (len(first.codes) + 1) * (len(second.codes) + 1) * num_contexts
            if asked > most_rows and parts:
                break
            contexts = _contexts(predictor.space, first, second, num_contexts, rng)
            if len(contexts):
                parts.append(_lines(kind, first, second, second_differences(predictor, first, second, contexts), spec))
    if not parts:
        columns = ["kind", "first", "first_module", "second", "second_module", "value", "low", "high", "strength"]
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)
    order = table["value"].abs().sort_values(ascending=False, kind="stable").index
    table = table.loc[order]
    return table[table.groupby("kind").cumcount() < PAIRS_KEPT].reset_index(drop=True)


def _contexts(space: Space, first: Place, second: Place, num: int, rng: np.random.Generator) -> Codes:
    """(at most num, num_positions) random architectures that have layers at both places, where that matters."""
    drawn = space.sample(num * 16, rng)
    for place in (first, second):
        if place.only_present:
            drawn = drawn[(drawn[:, list(place.positions)] != ABSENT).any(1)]
    return drawn[:num]


def _main_effects(places: list[Place], modules: pd.DataFrame, spec: SpaceSpec) -> list[float]:
    """The spread of the average score between the modules of each place: where pairs are looked for first."""
    out = []
    for place in places:
        labels = [spec.position_labels[p] for p in place.positions]
        here = modules["positions"] == json.dumps(labels if not place.only_present else labels[:1])
        values = modules.loc[here, "score"].to_numpy(float)
        out.append(float(values.std()) if len(values) > 1 else 1e-12)
    return out


def _lines(kind: str, first: Place, second: Place, values: Array, spec: SpaceSpec) -> pd.DataFrame:
    """One line a pair of modules, from (members, m, k) second differences."""
    mean, half = values.mean(0), jackknife_half_width(values)

    def name(place: Place, module: int) -> str:
        codes = place.codes[module][:1] if place.only_present else place.codes[module]
        return json.dumps([shown_layer(spec, int(token)) for token in codes if token != ABSENT])

    grid = [(a, b) for a in range(len(first.codes)) for b in range(len(second.codes))]
    frame = pd.DataFrame({"kind": kind, "first": first.label, "first_module": [name(first, a) for a, _ in grid]})
    frame["second"], frame["second_module"] = second.label, [name(second, b) for _, b in grid]
    frame["value"], frame["low"], frame["high"] = mean.ravel(), (mean - half).ravel(), (mean + half).ravel()
    frame["strength"] = float(np.sqrt(np.nanmean(mean**2))) if np.isfinite(mean).any() else 0.0
    return frame[np.isfinite(mean.ravel())]
