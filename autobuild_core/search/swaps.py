"""Single swaps of an architecture: every change of one layer or depth, and the best modules of every unit in its place. Ours.

Each with what it gains by the ensemble, how sure that is, and what it changes of other metrics. Numpy alone, in less than a
second, as the page Builder asks after every click.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_rows, top_modules
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.predictor.posterior import OWN_SHARE, Posterior
from autobuild_core.search.budgets import Budgets
from autobuild_core.spaces import Space
from autobuild_core.targets.scaling import TWO_SIDED_90

Array = NDArray[np.float64]
BEST_OF_UNIT = 50  # modules of each unit that are tried as a whole


@dataclass(frozen=True, eq=False)
class Swaps:
    """Architectures that differ from one in one unit and what follows from it by rules, the largest gain first.

    Args:
        codes: (n, num_positions).
        frame: of each unit (label), was and becomes (layers of the unit as tokens, lists), is_single (one layer or the depth),
            predicted, gain (above 0 is better, in the target's units) with low to high (90 % interval), within (probability of
            keeping to all budgets), supported.
        changes: of each metric, in its unit.
    """

    codes: Codes
    frame: pd.DataFrame
    changes: pd.DataFrame


def find_swaps(
    predictor: Predictor,
    straight: Posterior,
    budgets: Budgets,
    modules: pd.DataFrame,
    codes: Codes,
    metrics: Sequence[str] = (),
    locked: Collection[int] = (),
    most: int = BEST_OF_UNIT,
) -> Swaps:
    """The swaps of an architecture.

    Args:
        predictor: the target's ensemble.
        straight: the Gaussian process of the target on its own scale, by which the gain is sure or not: errors of two
            architectures that are alike go together.
        budgets: what is known of the metrics, and the limits, which may be none.
        modules: modules.parquet.
        codes: (num_positions,) the architecture.
        metrics: whose changes are told.
        locked: indices of units that stay as they are.
        most: modules of each unit, the best on average.

    Raises:
        ConfigError: a metric is not known.
    """
    space = predictor.space
    near = space.neighbours(codes)
    whole = _whole_units(space, modules, predictor.minimize, codes, most)
    found, is_single = np.concatenate([near, whole]), np.arange(len(near) + len(whole)) < len(near)
    networks, own = space.hash_networks(found), space.hash_networks(codes[None])[0]
    changed = _changed_units(space.spec, found, codes)
    free = (networks != own) & changed.any(1) & ~changed[:, list(locked)].any(1)
    kept = [row for row in np.sort(np.unique(networks, return_index=True)[1]) if free[row]]
    found, is_single = found[kept], is_single[kept]
    unit = [_swapped(space, row) for row in changed[kept]]
    frame, changes = _facts(predictor, straight, budgets, metrics, found, codes)
    frame.insert(0, "unit", [space.spec.units[index].label for index in unit])
    frame.insert(1, "was", [_layers(space.spec, index, codes) for index in unit])
    frame.insert(2, "becomes", [_layers(space.spec, index, row) for index, row in zip(unit, found, strict=True)])
    frame.insert(3, "is_single", is_single)
    order = np.argsort(-frame["gain"].to_numpy(float), kind="stable")
    return Swaps(found[order], frame.iloc[order].reset_index(drop=True), changes.iloc[order].reset_index(drop=True))


def _whole_units(space: Space, modules: pd.DataFrame, minimize: bool, codes: Codes, most: int) -> Codes:
    """(n, num_positions) the architecture with each unit's best modules in their place, where rules allow it."""
    ranked = top_modules(modules, Lens.SCORE, minimize)
    ranked = ranked[ranked["rank"] <= most]
    rows, spec = module_rows(ranked, space.spec), space.spec
    unit_of = np.array([spec.unit_of(position) for position in range(spec.num_positions)])
    own = unit_of == ranked["unit_index"].to_numpy(int)[:, None]
    put = np.where(own, rows, codes).astype(codes.dtype)
    mended, valid = space.complete(put, own, np.random.default_rng(0))
    found: Codes = mended[valid]
    return found


def _changed_units(spec: SpaceSpec, found: Codes, codes: Codes) -> NDArray[np.bool_]:
    """(n, num_units) which units differ."""
    return np.stack([(found[:, list(unit.positions)] != codes[list(unit.positions)]).any(1) for unit in spec.units], 1)


def _swapped(space: Space, changed: NDArray[np.bool_]) -> int:
    """The unit that was swapped, of the (num_units,) that differ: those whose conditions follow others are its consequences."""
    units = np.flatnonzero(changed).tolist()
    return int(next((one for one in units if one not in space.rules.conditions), units[0]))


def _layers(spec: SpaceSpec, index: int, row: Codes) -> list[str]:
    """The layers of a unit, as tokens."""
    return [spec.tokens[row[position]] for position in spec.units[index].positions if row[position] != ABSENT]


def _facts(
    predictor: Predictor, straight: Posterior, budgets: Budgets, metrics: Sequence[str], found: Codes, codes: Codes
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and gains, and changes of metrics, of architectures against one, as `Swaps` has them."""
    both, direction = np.concatenate([codes[None], found]), -1 if predictor.minimize else 1
    predicted = predictor.predict(both)["predicted"].to_numpy(float)
    gain = direction * (predicted[1:] - predicted[0])
    half = TWO_SIDED_90 * _gain_spread(straight, found, codes)
    frame = pd.DataFrame({"predicted": predicted[1:], "gain": gain, "low": gain - half, "high": gain + half})
    models = {name: budgets.metrics.model(name) for name in metrics}
    expected = {name: model.expected(both) for name, model in models.items()}
    changes = pd.DataFrame({name: own[1:] - own[0] for name, own in expected.items()}, index=frame.index)
    frame["within"] = budgets.within(found)
    frame["supported"] = np.all([np.ones(len(found), bool), *(model.supports(found) for model in models.values())], axis=0)
    return frame, changes


def _gain_spread(straight: Posterior, found: Codes, codes: Codes) -> Array:
    """(n,) standard deviation of the difference of the target between each architecture and one, in the target's units.

    Each network has a part of its own, which no other tells (`posterior.OWN_SHARE`).
    """
    variance, shared = straight.apart(np.concatenate([codes[None], found]))
    variance = variance + OWN_SHARE * straight.noise
    spread = np.sqrt(np.maximum(variance + variance[0] - 2 * shared, 0))[1:]
    scaling = straight.scaling
    slope = abs(float(scaling.values[-1] - scaling.values[0])) / max(float(scaling.scores[-1] - scaling.scores[0]), 1e-300)
    wide: Array = spread * slope
    return wide
