"""A claim as a record that can be checked: what a module is worth, how sure that is, and what would speak against it. Ours.

Every number of a record follows from the run's tables, its data and its predictor, without chance: `report` writes it down and
`verify` works it out again.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import module_rows
from autobuild_core.architectures.names import module_name
from autobuild_core.errors import RunError
from autobuild_core.predictor.contexts import ROWS_OF_TASK
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.scoring.intervals import CONFIDENCE, widening
from autobuild_core.search.acquisition import overturning
from autobuild_core.store.pins import Claim
from autobuild_core.trust.claim import (
    BesideNoise,
    BestOfUnit,
    ClaimRecord,
    Effect,
    Evaluation,
    Evidence,
    Example,
    Holding,
    MeasuredDifference,
    Overturning,
)

Array = NDArray[np.float64]
BOOTSTRAPS, FEWEST_BOOTSTRAPS, MOST_DRAWN = 1000, 100, 10_000_000  # of the measured difference; networks drawn in all
NUM_OVERTURNING = 5
MOST_RIVALS = 400  # dots of a figure
FEW = 2  # networks on either side that a bootstrap of the measured difference needs


def looked_at(run: FinishedRun, line: "pd.Series[Any]") -> pd.DataFrame:
    """The modules that a reader chose a module from: all that compete in its unit, as whole units or at its hop."""
    modules = run.modules
    alike = (modules["whole_unit"] == line["whole_unit"]) & (modules["unit_index"] == line["unit_index"])
    return modules[alike] if line["whole_unit"] else modules[alike & (modules["hop"] == line["hop"])]


def _effects(run: FinishedRun, line: "pd.Series[Any]", rivals: pd.DataFrame) -> tuple[Effect, ...]:
    """The effect through every lens that the run has."""
    factor = widening(len(rivals), int(run.quality.get("ensemble_size", 2)))
    return tuple(_effect(run, line, rivals, lens, factor) for lens in Lens if lens in rivals)


def _effect(run: FinishedRun, line: "pd.Series[Any]", rivals: pd.DataFrame, lens: Lens, factor: float) -> Effect:
    """The effect through one lens, its adjusted interval `factor` times as wide."""
    column, low_column, high_column = lens.value_columns
    value, average, sign = float(line[column]), lens.average, lens.direction(run.config.minimize)
    low, high = (float(line[c]) if c else float("nan") for c in (low_column, high_column))
    half = factor * max(value - low, high - value)
    ends = value - half, value + half
    if lens is Lens.GOOD:  # a probability; its interval was cut at 0 and 1, so the longer side is the half width
        ends = min(max(ends[0], 0.0), low), max(min(ends[1], 1.0), high)
    return Effect(
        lens=lens,
        value=value,
        average=average,
        better=sign * (value - average) > 0,
        unit=lens.unit(run.unit),
        rank=int((sign * rivals[lens] > sign * line[lens]).sum()) + 1,
        low=_known(low),
        high=_known(high),
        adjusted_low=_known(ends[0]),
        adjusted_high=_known(ends[1]),
        sure=bool(ends[0] > average or ends[1] < average),
    )


def effect_of(run: FinishedRun, claim: Claim) -> Effect:
    """The effect that a claim is about, as a run sees it.

    Raises:
        RunError: the run did not score the module, or not through the claim's lens.
    """
    line = run.line_of(claim)
    rivals = looked_at(run, line)
    found = next((one for one in _effects(run, line, rivals) if one.lens == claim.lens), None)
    if found is None:
        raise RunError(f"claim: got the lens '{claim.lens}', expected one that this run scored modules through.")
    return found


def _known(value: float) -> float | None:
    """The number; None where it is none."""
    return value if math.isfinite(value) else None


# What was measured


def bootstrap_of_difference(
    values: Array,
    inside: NDArray[np.bool_],
    networks: NDArray[Any],
    sign: int = 1,
    seed: int = 0,
    evaluations: NDArray[Any] | None = None,
) -> MeasuredDifference | None:
    """Mean measured target with a module less without it, and the share of bootstraps over networks in which it is better.

    No model and no refit: the rest of the architectures is whatever was evaluated, so this is the effect only where the
    data are a uniform sample; it is the check that a reader could do by hand.

    Args:
        values: (n,) targets, finite.
        inside: (n,) the row has the module.
        networks: (n,) hashes; rows of a network are drawn together.
        sign: 1 where larger is better.
        seed: of the bootstraps.
        evaluations: (n,) hashes of network and context, the networks unless given; rows of one are averaged, and it has the
            module if any of its rows has.

    Returns:
        The difference; None where less than FEW networks are on a side.
    """
    _, first, group = np.unique(networks if evaluations is None else evaluations, return_index=True, return_inverse=True)
    means = np.bincount(group, values) / np.bincount(group)
    has = np.bincount(group, inside) > 0
    distinct, drawn_with = np.unique(networks[first], return_inverse=True)
    sides = len(np.unique(drawn_with[has])), len(np.unique(drawn_with[~has]))
    if min(sides) < FEW:
        return None
    rng, draws = np.random.default_rng(seed), np.empty(max(min(BOOTSTRAPS, MOST_DRAWN // len(means)), FEWEST_BOOTSTRAPS))
    for b in range(len(draws)):
        counts = np.bincount(rng.integers(len(distinct), size=len(distinct)), minlength=len(distinct))[drawn_with]
        with_it, without = counts * has, counts * ~has
        totals = with_it.sum(), without.sum()
        draws[b] = (with_it @ means / totals[0] - without @ means / totals[1]) if min(totals) else np.nan
    draws = draws[np.isfinite(draws)]
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    difference, share = float(means[has].mean() - means[~has].mean()), float((sign * draws > 0).mean())
    return MeasuredDifference(difference, float(low), float(high), share, len(draws), *sides)


def _example(run: FinishedRun, order: NDArray[np.intp], values: Array, allowed: NDArray[np.bool_]) -> Example | None:
    """The first row of an order, best first, that is allowed."""
    places = np.flatnonzero(allowed[order])
    if not len(places):
        return None
    row = int(order[places[0]])
    native, source_row = run.predictor.space.native(run.table.codes[row]), int(run.table.source_rows[row])
    return Example(row, source_row, native, float(values[row]), int(places[0]) + 1, len(order))


def _difference(run: FinishedRun, known: NDArray[np.intp], inside: NDArray[np.bool_], sign: int) -> MeasuredDifference | None:
    """The measured difference of some rows: within each context where there are rows enough, else within each task.

    So rows of different evaluators, data or budgets are neither averaged nor set against each other.
    """
    values, held, rows = run.values[known], run.predictor.held, run.table.take(known)
    if held is not None:
        names = [column.name for column in held.contexts.columns]
        within = pd.util.hash_pandas_object(rows.contexts[names], index=False).to_numpy()
        if len(known) < ROWS_OF_TASK * len(np.unique(within)):
            within = held.contexts.task_of(rows.contexts)
        _, context = np.unique(within, return_inverse=True)
        levels = np.bincount(context, values) / np.bincount(context)
        values = values - levels[context]
    return bootstrap_of_difference(values, inside, rows.networks, sign, evaluations=rows.evaluations)


@dataclass(frozen=True)
class _Measured:
    """Facts about a claim from the data alone."""

    evidence: Evidence
    bootstrap: MeasuredDifference | None
    with_it: Example | None
    counter_example: Example | None

    @classmethod
    def of(cls, run: FinishedRun, claim: Claim) -> "_Measured":
        """Of the rows whose target is known."""
        values, sign, networks = run.values, Lens.SCORE.direction(run.config.minimize), run.table.networks
        known, inside = np.flatnonzero(np.isfinite(values)), claim.contained_in(run.table)
        lacks = ~np.isin(networks, networks[inside])  # another encoding of a network with the module is no counter-example
        order = known[np.argsort(-sign * values[known], kind="stable")]
        return cls(
            Evidence(int(inside[known].sum()), len(known)),
            _difference(run, known, inside[known], sign),
            _example(run, order, values, inside),
            _example(run, order, values, lacks),
        )


# The record


def _best(run: FinishedRun, claim: Claim) -> BestOfUnit | None:
    """Certainty that a whole-unit module is its unit's best; None where the trust report does not say."""
    if run.best.empty or not claim.whole_unit:
        return None
    found = run.best[claim.lines_of(run.best)]
    if found.empty:
        return None
    line = found.iloc[0]
    share = _known(float(line.get("bootstrap_share", np.nan)))
    return BestOfUnit(float(line["prob_best"]), float(line["share_of_members"]), bool(line["cannot_be_told"]), share)


def _holds(run: FinishedRun, claim: Claim) -> Holding | None:
    """In what share of the bootstraps the effect keeps its sign; None where not worked out."""
    if run.holding.empty:
        return None
    found = run.holding[claim.lines_of(run.holding)]
    if found.empty or not np.isfinite(found["holds"].iloc[0]):
        return None
    return Holding(*map(float, found[["holds", "bootstrap_low", "bootstrap_high"]].iloc[0]))


def _noise(run: FinishedRun, effect: float) -> BesideNoise:
    """Label noise beside the effect."""
    noise = (run.quality.get("trust") or {}).get("noise") or {}
    spread = noise.get("noise_sd")
    return BesideNoise(noise.get("source", ""), spread, abs(effect) / spread if spread else None)


def _overturn(run: FinishedRun, line: "pd.Series[Any]", rivals: pd.DataFrame) -> Overturning:
    """Rival of a claim and evaluations that would turn it, the first alone, then together with those before.

    A whole-unit module that is the best of its unit is threatened by the second best; every other one by the average.
    """
    spec, unit, rival, row = run.table.spec, None, None, module_rows(pd.DataFrame([line]), run.table.spec)[0]
    name = ""
    if line["whole_unit"]:
        unit, order = int(line["unit_index"]), Lens.SCORE.direction(run.config.minimize) * rivals["effect"]
        best = order.sort_values(ascending=False, kind="stable").index[:2]
        if len(best) == 2 and best[0] == line.name:
            second = rivals.loc[best[1]]
            rival, name = module_rows(pd.DataFrame([second]), spec)[0], module_name(second["positions"], second["layers"])
    codes, frame = overturning(run.predictor, row, unit, run.table.networks, rival, NUM_OVERTURNING)
    natives = [run.predictor.space.native(one) for one in codes]
    frame["chance"] = frame["chance"].astype(float).round(6)  # in the far tail all digits are noise
    lines = zip(natives, frame[["chance", "contains", "predicted", "low", "high"]].itertuples(index=False), strict=True)
    evaluations = (
        Evaluation(native, float(one.chance), bool(one.contains), float(one.predicted), float(one.low), float(one.high))
        for native, one in lines
    )
    return Overturning(name, tuple(evaluations))


def record(run: FinishedRun, claim: Claim) -> ClaimRecord:
    """All that is known about a claim.

    Args:
        run: the run, where it holds.
        claim: the module and the lens.

    Raises:
        RunError: the run did not score the module.
    """
    line = run.line_of(claim)
    rivals, spec, measured = looked_at(run, line), run.table.spec, _Measured.of(run, claim)
    unit = spec.units[int(line["unit_index"])].label if line["unit_index"] >= 0 else ""
    what = "whole-unit modules" if line["whole_unit"] else f"modules of {len(claim.layers)} layer{'s' * (len(claim.layers) > 1)}"
    return ClaimRecord(
        module=module_name(line["positions"], line["layers"]),
        unit=unit,
        hop=int(line["hop"]),
        lens=claim.lens,
        place=f"{what} {f'of {unit}' if unit else 'across units'}",
        looked_at=len(rivals),
        widening=widening(len(rivals), int(run.quality.get("ensemble_size", 2))),
        effects=_effects(run, line, rivals),
        evidence=measured.evidence,
        bootstrap=measured.bootstrap,
        with_it=measured.with_it,
        counter_example=measured.counter_example,
        best=_best(run, claim),
        holds=_holds(run, claim),
        noise=_noise(run, float(line["effect"])),
        overturn=_overturn(run, line, rivals),
    )


def plain(value: Any) -> Any:
    """Plain JSON values: numpy's become Python's, lenses their names, numbers that are none become None."""
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, StrEnum):
        return value.value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def rivals_table(run: FinishedRun, claim: Claim) -> pd.DataFrame:
    """The modules that were looked at, through the claim's lens: module, value, claimed; by value, of many every n-th."""
    line = run.line_of(claim)
    rivals = looked_at(run, line)
    column = (claim.lens if claim.lens in rivals else Lens.SCORE).value_columns[0]
    names = [module_name(p, m, False) for p, m in zip(rivals["positions"], rivals["layers"], strict=True)]
    claimed = (rivals["positions"] == line["positions"]) & (rivals["layers"] == line["layers"])
    out = pd.DataFrame({"module": names, "value": rivals[column].to_numpy(float), "claimed": claimed.to_numpy(bool)})
    out = out.sort_values("value", kind="stable", ignore_index=True)
    return out[out["claimed"] | (out.index % -(-len(out) // MOST_RIVALS) == 0)].reset_index(drop=True)
