"""A claim as a record that can be checked: what a module is worth, how sure that is, and what would speak against it. Ours.

Every number of a record follows from the run's tables, its data and its predictor, without chance: `report` writes it down and
`verify` works it out again.
"""

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.api import Run
from autobuild_core.architectures import numbers
from autobuild_core.architectures.lens import Lens, evidence
from autobuild_core.architectures.module_table import module_rows
from autobuild_core.architectures.names import module_name, native_text
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import RunError
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import DEFAULT_SCORER, make_scorer
from autobuild_core.search.acquisition import overturning
from autobuild_core.store.pins import Claim
from autobuild_core.store.run_folder import RunConfig, RunFolder
from autobuild_core.targets.equation import Target

Array = NDArray[np.float64]
BOOTSTRAPS, FEWEST_BOOTSTRAPS, MOST_DRAWN = 1000, 100, 10_000_000  # of the measured difference; networks drawn in all
CONFIDENCE = 0.9
NUM_OVERTURNING = 5
MOST_RIVALS = 400  # dots of a figure
FEW = 2  # networks on either side that a bootstrap of the measured difference needs


@dataclass(frozen=True, eq=False)
class Facts:
    """What of a finished run a record is made from.

    Args:
        config: its settings.
        table: its data.
        quality: quality.json.
        predictions: predictions.parquet.
        modules: modules.parquet.
        best: trust_best.parquet; without lines where an older version trained the run.
        holding: claims.parquet; likewise.
        predictor: its ensemble.
    """

    config: RunConfig
    table: ArchTable
    quality: dict[str, Any]
    predictions: pd.DataFrame
    modules: pd.DataFrame
    best: pd.DataFrame
    holding: pd.DataFrame
    predictor: Predictor

    @classmethod
    def load(cls, folder: RunFolder) -> Self:
        """Those of a run folder.

        Raises:
            RunError: the run is not finished, or a file is damaged.
        """
        if (state := folder.state["state"]) != "finished":
            raise RunError(f"{folder.path}: got a run that is {state}, expected a finished one.")
        predictions, modules = (folder.read_frame(f"{name}.parquet") for name in ("predictions", "modules"))
        names = ("trust_best.parquet", "claims.parquet")
        best, holding = (folder.read_frame(n) if (folder.path / n).exists() else pd.DataFrame() for n in names)
        quality, predictor = folder.read_json("quality.json"), Predictor.load(folder.path)
        return cls(folder.config, folder.table(), quality, predictions, modules, best, holding, predictor)

    @classmethod
    def of(cls, run: Run) -> Self:
        """Those of a run where it holds.

        Raises:
            RunError: a file is damaged.
        """
        facts = cls.load(run.folder)
        if not run.context:
            return facts
        if (task := run.task) is not None:
            return facts.held_at(run.predictor, run.modules(), float(task["space_mean"]), int(task["num_rows"]))
        from autobuild_core.scorers.autobuild import AutoBuildScorer

        scorer = make_scorer(DEFAULT_SCORER, run.predictor)
        assert isinstance(scorer, AutoBuildScorer)
        return facts.held_at(run.predictor, run.modules(), scorer.space_mean, len(run.evidence()))

    def held_at(self, predictor: Predictor, modules: pd.DataFrame, space_mean: float, num_evidence: int) -> Self:
        """The same run where a predictor holds; what the training asked of modules at the average alone is left out.

        The trust report, and the labels' noise with it, stay those of the training.

        Args:
            predictor: its ensemble, held at a chosen context.
            modules: scored by it.
            space_mean: expected target there.
            num_evidence: rows that are evidence there.
        """
        assert predictor.held is not None
        inside = predictor.held.rows_of(self.table.contexts)[self.predictions["row"].to_numpy(int)]
        quality = self.quality | {"space_mean": space_mean, "num_evidence": num_evidence, "held": predictor.held.facts()}
        none = pd.DataFrame()
        parts = {"quality": quality, "predictions": self.predictions[inside].reset_index(drop=True), "modules": modules}
        return replace(self, **parts, best=none, holding=none, predictor=predictor)

    @property
    def unit(self) -> str:
        """Unit of the target, may be empty."""
        return self.config.label.unit

    @property
    def values(self) -> Array:
        """(num_rows,) measured target of every row of the table, NaN where it is unknown or of another task than is chosen."""
        values, held = Target(self.config.target, self.config.minimize).values(self.table.metrics), self.predictor.held
        return values if held is None else np.where(held.rows_of(self.table.contexts), values, np.nan)

    def line(self, claim: Claim) -> "pd.Series[Any]":
        """The module's line of the module table.

        Raises:
            RunError: the run did not score it.
        """
        found = self.modules[claim.lines_of(self.modules)]
        if found.empty:
            name = ", ".join(claim.layers)
            raise RunError(f"claim: got the module {name} at {', '.join(claim.positions)}, expected one that this run scored.")
        return found.iloc[0]

    def looked_at(self, line: "pd.Series[Any]") -> pd.DataFrame:
        """The modules that a reader chose the module from: all that compete in its unit, as whole units or at its hop."""
        modules = self.modules
        alike = (modules["whole_unit"] == line["whole_unit"]) & (modules["unit_index"] == line["unit_index"])
        return modules[alike] if line["whole_unit"] else modules[alike & (modules["hop"] == line["hop"])]


# How much wider for having looked at many


def student_probability(t: float, degrees: int) -> float:
    """P(|T| > t) of Student's t with whole degrees of freedom, without scipy.

    Source: Abramowitz and Stegun 26.7.3 and 26.7.4 (finite sums in the angle atan(t / sqrt(degrees))).
    """
    angle = math.atan2(t, math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    if degrees % 2:
        term = total = cosine if degrees > 1 else 0.0
        for k in range(3, degrees, 2):
            term *= cosine**2 * (k - 1) / k
            total += term
        return 1 - 2 / math.pi * (angle + sine * total)
    term = total = 1.0
    for k in range(2, degrees, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    return 1 - sine * total


@cache
def student_bound(miss: float, degrees: int) -> float:
    """The t that is passed, on either side together, with probability `miss`."""
    low, high = 0.0, 1.0
    while student_probability(high, degrees) > miss and high < 1e12:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if student_probability(middle, degrees) > miss else (low, middle)
    return high


def widening(num: int, members: int) -> float:
    """The factor by which a 90 % interval grows when `num` of them are to hold together with probability 90 %.

    Bonferroni over the modules that were looked at: each interval may miss with probability 0.1 / num. It holds under any
    dependence between the modules' errors and needs no more than the module table, so that it can be worked out again from a
    report. Sidak's bound is a little narrower but assumes that the studentised errors are jointly t; a maximum over the ensemble
    would be narrower still, but a few members (errors of rank members - 1) know their own largest deviation badly. Student's t
    with members - 1 degrees of freedom, as the intervals themselves (`intervals.jackknife_half_width`): where an interval also
    holds a regression's error, which is normal, it becomes wider than need be.

    Args:
        num: modules looked at.
        members: size of the ensemble.
    """
    miss, degrees = 1 - CONFIDENCE, max(members - 1, 1)
    return student_bound(miss / max(num, 1), degrees) / student_bound(miss, degrees)


def _effects(facts: Facts, line: "pd.Series[Any]", rivals: pd.DataFrame) -> list[dict[str, Any]]:
    """One dictionary a lens that the run has: value, interval, adjusted interval, average, rank among the rivals."""
    factor = widening(len(rivals), int(facts.quality.get("ensemble_size", 2)))
    out = []
    for lens in Lens:
        if lens not in rivals:
            continue
        (column, low_column, high_column), average = lens.value_columns, lens.average
        value, sign = float(line[column]), lens.direction(facts.config.minimize)
        found: dict[str, Any] = {"lens": lens.value, "value": value, "average": average, "better": sign * (value - average) > 0}
        found["unit"] = lens.unit(facts.unit)
        found["rank"] = int((sign * rivals[lens] > sign * line[lens]).sum()) + 1
        low, high = (float(line[c]) if c else float("nan") for c in (low_column, high_column))
        half = factor * max(value - low, high - value)
        ends = value - half, value + half
        if lens is Lens.GOOD:  # a probability; its interval was cut at 0 and 1, so the longer side is the half width
            ends = min(max(ends[0], 0.0), low), max(min(ends[1], 1.0), high)
        found |= {"low": low, "high": high, "adjusted_low": ends[0], "adjusted_high": ends[1]}
        found["sure"] = bool(ends[0] > average or ends[1] < average)
        out.append(found)
    return out


# What was measured


def bootstrap_of_difference(
    values: Array, inside: NDArray[np.bool_], networks: NDArray[Any], sign: int = 1, seed: int = 0
) -> dict[str, Any] | None:
    """Mean measured target with a module less without it, and the share of bootstraps over networks in which it is better.

    No model and no refit: the rest of the architectures is whatever was evaluated, so this is the effect only where the
    data are a uniform sample; it is the check that a reader could do by hand.

    Args:
        values: (n,) targets, finite.
        inside: (n,) the row has the module.
        networks: (n,) hashes; rows of a network are averaged and drawn together. It has the module if any of its rows has.
        sign: 1 where larger is better.
        seed: of the bootstraps.

    Returns:
        {"difference", "low", "high" (90 % of the bootstraps), "share_better", "num", "num_with", "num_without"}; None where less
        than FEW networks are on a side.
    """
    _, group = np.unique(networks, return_inverse=True)
    means = np.bincount(group, values) / np.bincount(group)
    has = np.bincount(group, inside) > 0
    sides = int(has.sum()), int((~has).sum())
    if min(sides) < FEW:
        return None
    rng, draws = np.random.default_rng(seed), np.empty(max(min(BOOTSTRAPS, MOST_DRAWN // len(means)), FEWEST_BOOTSTRAPS))
    for b in range(len(draws)):
        counts = np.bincount(rng.integers(len(means), size=len(means)), minlength=len(means))
        with_it, without = counts * has, counts * ~has
        totals = with_it.sum(), without.sum()
        draws[b] = (with_it @ means / totals[0] - without @ means / totals[1]) if min(totals) else np.nan
    draws = draws[np.isfinite(draws)]
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    found = {"difference": float(means[has].mean() - means[~has].mean()), "low": float(low), "high": float(high)}
    share = float((sign * draws > 0).mean())
    return found | {"share_better": share, "num": len(draws), "num_with": sides[0], "num_without": sides[1]}


def _example(facts: Facts, order: NDArray[np.intp], values: Array, allowed: NDArray[np.bool_]) -> dict[str, Any] | None:
    """The first row of an order, best first, that is allowed: source_row, arch, value, rank among all of the order."""
    places = np.flatnonzero(allowed[order])
    if not len(places):
        return None
    row = int(order[places[0]])
    native = facts.predictor.space.native(facts.table.codes[row])
    found = {"row": row, "source_row": int(facts.table.source_rows[row]), "arch": native, "value": float(values[row])}
    return found | {"rank": int(places[0]) + 1, "of": len(order)}


def _measured(facts: Facts, claim: Claim) -> dict[str, Any]:
    """What the data alone say: "evidence", "bootstrap", "with_it" and "counter_example" of a record."""
    values, sign = facts.values, Lens.SCORE.direction(facts.config.minimize)
    known = np.flatnonzero(np.isfinite(values))
    inside = claim.contained_in(facts.table)
    networks = facts.table.networks
    lacks = ~np.isin(networks, networks[inside])  # another encoding of a network with the module is no counter-example
    order = known[np.argsort(-sign * values[known], kind="stable")]
    found: dict[str, Any] = {"evidence": {"seen": int(inside[known].sum()), "of": len(known)}}
    found["bootstrap"] = bootstrap_of_difference(values[known], inside[known], networks[known], sign)
    found["with_it"] = _example(facts, order, values, inside)
    return found | {"counter_example": _example(facts, order, values, lacks)}


# The record


def _best(facts: Facts, claim: Claim) -> dict[str, Any] | None:
    """How sure it is that a whole-unit module is the best of its unit; None where the trust report does not say."""
    if facts.best.empty or not claim.whole_unit:
        return None
    found = facts.best[claim.lines_of(facts.best)]
    if found.empty:
        return None
    line = found.iloc[0]
    out: dict[str, Any] = {name: float(line[name]) for name in ("prob_best", "share_of_members")}
    share = float(line.get("bootstrap_share", np.nan))
    return out | {"cannot_be_told": bool(line["cannot_be_told"]), "bootstrap_share": share if np.isfinite(share) else None}


def _holds(facts: Facts, claim: Claim) -> dict[str, Any] | None:
    """Over bootstraps of the networks, each refitted: share (the effect keeps its sign), low, high; None where not worked out."""
    if facts.holding.empty:
        return None
    found = facts.holding[claim.lines_of(facts.holding)]
    if found.empty or not np.isfinite(found["holds"].iloc[0]):
        return None
    return dict(
        zip(("share", "low", "high"), map(float, found[["holds", "bootstrap_low", "bootstrap_high"]].iloc[0]), strict=True)
    )


def _noise(facts: Facts, effect: float) -> dict[str, Any]:
    """Label noise beside the effect: source ("" where it is not known), noise_sd, ratio of the effect to it."""
    noise = (facts.quality.get("trust") or {}).get("noise") or {}
    spread = noise.get("noise_sd")
    ratio = abs(effect) / spread if spread else None
    return {"source": noise.get("source", ""), "noise_sd": spread, "ratio": ratio}


def _overturn(facts: Facts, line: "pd.Series[Any]", rivals: pd.DataFrame) -> dict[str, Any]:
    """What would turn the claim: its rival, and the evaluations, the first alone, then together with those before.

    A whole-unit module that is the best of its unit is threatened by the second best; every other one by the average.
    """
    spec, unit, rival, row = facts.table.spec, None, None, module_rows(pd.DataFrame([line]), facts.table.spec)[0]
    name = ""
    if line["whole_unit"]:
        unit, order = int(line["unit_index"]), Lens.SCORE.direction(facts.config.minimize) * rivals["effect"]
        best = order.sort_values(ascending=False, kind="stable").index[:2]
        if len(best) == 2 and best[0] == line.name:
            second = rivals.loc[best[1]]
            rival, name = module_rows(pd.DataFrame([second]), spec)[0], module_name(second["positions"], second["layers"])
    codes, frame = overturning(facts.predictor, row, unit, facts.table.networks, rival, NUM_OVERTURNING)
    natives = [facts.predictor.space.native(one) for one in codes]
    frame["chance"] = frame["chance"].astype(float).round(6)  # in the far tail all digits are noise
    lines = [{"arch": native, **known} for native, known in zip(natives, frame.to_dict("records"), strict=True)]
    return {"rival": name, "evaluations": lines}


def record(facts: Facts, claim: Claim) -> dict[str, Any]:
    """All that is known about a claim, as plain JSON.

    Args:
        facts: the run.
        claim: the module and the lens.

    Returns:
        {"module" (in words), "unit" (label, "" across units), "hop", "lens", "place" (what was looked at, in words),
        "looked_at" (how many), "widening" (`widening` of these), "effects" (one a lens: lens, value, low, high, adjusted_low,
        adjusted_high, average, better, sure, rank, unit), "evidence" {seen, of}, "bootstrap" (`bootstrap_of_difference` or
        None), "best" (prob_best, share_of_members, bootstrap_share, cannot_be_told, or None), "holds" (share of the bootstraps
        in which the effect keeps its sign, low, high, or None), "noise" {source, noise_sd, ratio},
        "with_it" and "counter_example" (the best measured architecture with the module, and without it: row, source_row, arch,
        value, rank, of; or None), "overturn" {rival (in words, "" = the average), evaluations (arch, chance, contains,
        predicted, low, high)}}.

    Raises:
        RunError: the run did not score the module.
    """
    line = facts.line(claim)
    rivals, spec = facts.looked_at(line), facts.table.spec
    unit = spec.units[int(line["unit_index"])].label if line["unit_index"] >= 0 else ""
    what = "whole-unit modules" if line["whole_unit"] else f"modules of {len(claim.layers)} layer{'s' * (len(claim.layers) > 1)}"
    out: dict[str, Any] = {"module": module_name(line["positions"], line["layers"]), "unit": unit, "hop": int(line["hop"])}
    out |= {"lens": claim.lens.value, "place": f"{what} {f'of {unit}' if unit else 'across units'}", "looked_at": len(rivals)}
    out["widening"] = widening(len(rivals), int(facts.quality.get("ensemble_size", 2)))
    out |= {"effects": _effects(facts, line, rivals)} | _measured(facts, claim)
    out |= {
        "best": _best(facts, claim),
        "holds": _holds(facts, claim),
        "noise": _noise(facts, float(line["effect"])),
        "overturn": _overturn(facts, line, rivals),
    }
    found: dict[str, Any] = plain(out)
    return found


def plain(value: Any) -> Any:
    """Plain JSON values: numpy's become Python's, numbers that are none become None."""
    if isinstance(value, dict):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


# In words


def effect_of(found: dict[str, Any], lens: str | None = None) -> dict[str, Any]:
    """The record's line of a lens, by default the claim's own; the average where the run has none of it."""
    wanted = lens or found["lens"]
    return next((line for line in found["effects"] if line["lens"] == wanted), found["effects"][0])


def value_words(line: dict[str, Any], alone: bool = True) -> str:
    """A line of "effects" as text: "-0.0123 test_loss"; not alone where its lens is named beside it."""
    if line["lens"] == Lens.GOOD:
        return f"{line['value']:.0%}" + " among the best 10 %" * alone
    if line["lens"] == Lens.NORM:
        return "norm " * alone + f"{line['value']:+.2f}"
    digits = numbers.digits_for(line["low"], line["high"]) if line["low"] is not None else 3
    return f"{numbers.signed(line['value'], digits)} {line['unit']}".strip()


def interval_words(line: dict[str, Any], adjusted: bool = True) -> str:
    """The interval of a line of "effects", "" where it has none."""
    low, high = (line[f"{'adjusted_' if adjusted else ''}{end}"] for end in ("low", "high"))
    if low is None or high is None:
        return ""
    if line["lens"] == Lens.GOOD:
        return f"{low:.0%} to {high:.0%}"
    digits = numbers.digits_for(line["low"], line["high"])
    return f"{numbers.signed(low, digits)} to {numbers.signed(high, digits)}"


def sentence(found: dict[str, Any]) -> str:
    """The claim in a line: "stage4: 3 x e6 k7 is worth -0.0123 test_loss (-0.0150 to -0.0098), better than the average"."""
    line = effect_of(found)
    ends = interval_words(line)
    side = "better" if line["better"] else "worse"
    sure = f"{side} than the average" if line["sure"] else "not told from the average"
    worth = "is" if line["lens"] == Lens.GOOD else "has" if line["lens"] == Lens.NORM else "is worth"
    return f"{found['module']} {worth} {value_words(line)}" + (f" ({ends}), {sure}" if ends else "")


def remarks(found: dict[str, Any], target: str) -> list[tuple[str, str]]:
    """(heading, sentence) of everything in a record but its effects, the drawings and what would overturn it."""
    line, seen, best, noise = effect_of(found, "score"), found["evidence"], found["best"], found["noise"]
    out = [("Looked at", f"{found['looked_at']:,} {found['place']}, so each interval is {found['widening']:.2f} times as wide.")]
    out.append(("Evidence", f"{evidence(seen['seen'], seen['of'])}."))
    out += [("Bootstraps", _holds_words(found)), ("Measured", _bootstrap_words(found))]
    if best:
        told = "; not ruled out by a joint test of all at 90 %" if best["cannot_be_told"] and best["prob_best"] < 0.5 else ""
        share = best["bootstrap_share"]
        held = f"; the best in {share:.0%} of the bootstraps" if share is not None else ""
        out.append(("Best of its unit", f"with probability {best['prob_best']:.0%}{held}{told}."))
    if noise["ratio"] is not None:
        times = f"{noise['ratio']:.1f} times" if noise["ratio"] < 10 else f"{noise['ratio']:.0f} times"
        spread = numbers.amount(noise["noise_sd"], line["unit"])
        out.append(("Label noise", f"a label is off by {spread}; the effect is {times} that."))
    else:
        out.append(("Label noise", "not known: no architecture was measured twice."))
    out.append(("Without it", _counter_words(found, target)))
    return out


def _holds_words(found: dict[str, Any]) -> str:
    held, line = found["holds"], effect_of(found, "score")
    if held is None:
        return (
            "not worked out: an older version trained the run (train it anew), the module is too rare in the space, or the claim "
            "is about one task (the training asks it of the average)."
        )
    digits = numbers.digits_for(held["low"], held["high"])
    ends = f"{numbers.signed(held['low'], digits)} to {numbers.signed(held['high'], digits)} {line['unit']}".strip()
    return (
        f"{'better' if line['better'] else 'worse'} in {held['share']:.0%} of the refits to bootstraps of the networks ({ends})."
    )


def _bootstrap_words(found: dict[str, Any]) -> str:
    boot, line = found["bootstrap"], effect_of(found, "score")
    if boot is None:
        return f"less than {FEW} networks with it, or without it, so the two sides cannot be compared."
    share = boot["share_better"] if line["better"] else 1 - boot["share_better"]
    side = "better" if line["better"] else "worse"
    difference = numbers.signed(boot["difference"], numbers.digits_for(boot["low"], boot["high"]))
    sides = f"the {boot['num_with']:,} networks with it measured {side} than the {boot['num_without']:,} without"
    return f"{sides} ({difference}); in {share:.1%} of {boot['num']:,} bootstraps over networks, no model involved."


def _counter_words(found: dict[str, Any], target: str) -> str:
    other, own = found["counter_example"], found["with_it"]
    if other is None:
        return "no measured architecture lacks the module."
    text = (
        f"row {other['source_row']} reaches {target} {numbers.number(other['value'])}, rank {other['rank']:,} of {other['of']:,}"
    )
    if own is None:
        return f"{text}; none with it was measured."
    return f"{text}; the best with it, row {own['source_row']}, {numbers.number(own['value'])}, rank {own['rank']:,}."


EXAMPLES = {"with_it": "Best measured with it", "counter_example": "Best measured without it"}


def effects_table(found: dict[str, Any]) -> pd.DataFrame:
    """The effects as a reader sees them, a line a lens: lens, value, 90 % interval, adjusted for N, rank of N."""
    rows = []
    for line in found["effects"]:
        row = {
            "lens": Lens(line["lens"]).label,
            "value": value_words(line, False),
            "90 % interval": interval_words(line, False) or "none",
        }
        row |= {f"adjusted for {found['looked_at']:,}": interval_words(line) or "none"}
        rows.append(row | {f"rank of {found['looked_at']:,}": line["rank"]})
    return pd.DataFrame(rows)


def overturn_table(found: dict[str, Any]) -> pd.DataFrame:
    """What would overturn the claim, as a reader sees it: arch, with the module, predicted, low, high, chance (in words)."""
    columns = ["arch", "with the module", "predicted", "low", "high", "chance"]
    rows = []
    for one in found["overturn"]["evaluations"]:
        texts = {"arch": native_text(one["arch"]), "with the module": "yes" if one["contains"] else "no"}
        rows.append(one | texts | {"chance": _chance(one)})
    return pd.DataFrame(rows, columns=columns)


def _chance(evaluation: dict[str, Any]) -> str:
    chance = float(evaluation["chance"])
    return f"{chance:.1%}" if chance >= 0.001 else "below 0.1 %"


def overturn_words(found: dict[str, Any]) -> str:
    """What these evaluations would turn and how likely, in two sentences."""
    turned = found["overturn"]
    if not turned["evaluations"]:
        return "No network is left to evaluate."
    what = f"that {turned['rival']} is better" if turned["rival"] else "the sign of the effect"
    verb = "show" if turned["rival"] else "turn"
    chance = _chance(turned["evaluations"][-1])
    return f"Together they would {verb} {what} with probability {chance}. The chance counts each with those above it."


def rivals_table(facts: Facts, claim: Claim) -> pd.DataFrame:
    """The modules that were looked at, through the claim's lens: module, value, claimed; by value, of many every n-th."""
    line = facts.line(claim)
    rivals = facts.looked_at(line)
    column = (claim.lens if claim.lens in rivals else Lens.SCORE).value_columns[0]
    names = [module_name(p, m, False) for p, m in zip(rivals["positions"], rivals["layers"], strict=True)]
    claimed = (rivals["positions"] == line["positions"]) & (rivals["layers"] == line["layers"])
    out = pd.DataFrame({"module": names, "value": rivals[column].to_numpy(float), "claimed": claimed.to_numpy(bool)})
    out = out.sort_values("value", kind="stable", ignore_index=True)
    return out[out["claimed"] | (out.index % -(-len(out) // MOST_RIVALS) == 0)].reset_index(drop=True)
