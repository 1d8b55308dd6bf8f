"""A claim's record in words: for Review, the report and the command line."""

from dataclasses import asdict

import pandas as pd

from autobuild_core.architectures import numbers
from autobuild_core.architectures.lens import Lens, evidence
from autobuild_core.architectures.names import native_text
from autobuild_core.review.record import FEW
from autobuild_core.trust.claim import ClaimRecord, Effect, Evaluation, Overturning


def value_words(effect: Effect, alone: bool = True) -> str:
    """An effect as text: "-0.0123 test_loss"; not alone where its lens is named beside it."""
    if effect.lens == Lens.GOOD:
        return f"{effect.value:.0%}" + " among the best 10 %" * alone
    if effect.lens == Lens.NORM:
        return "norm " * alone + f"{effect.value:+.2f}"
    digits = 3 if effect.low is None or effect.high is None else numbers.digits_for(effect.low, effect.high)
    return numbers.with_unit(numbers.signed(effect.value, digits), effect.unit)


def interval_words(effect: Effect, adjusted: bool = True) -> str:
    """The interval of an effect, "" where it has none."""
    low, high = (effect.adjusted_low, effect.adjusted_high) if adjusted else (effect.low, effect.high)
    if low is None or high is None or effect.low is None or effect.high is None:
        return ""
    if effect.lens == Lens.GOOD:
        return f"{low:.0%} to {high:.0%}"
    digits = numbers.digits_for(effect.low, effect.high)
    return f"{numbers.signed(low, digits)} to {numbers.signed(high, digits)}"


def sentence(found: ClaimRecord) -> str:
    """The claim in a line: "stage4: 3 x e6 k7 is worth -0.0123 test_loss (-0.0150 to -0.0098), better than the average"."""
    effect = found.effect()
    ends = interval_words(effect)
    side = "better" if effect.better else "worse"
    sure = f"{side} than the average" if effect.sure else "not told from the average"
    worth = "is" if effect.lens == Lens.GOOD else "has" if effect.lens == Lens.NORM else "is worth"
    return f"{found.module} {worth} {value_words(effect)}" + (f" ({ends}), {sure}" if ends else "")


def remarks(found: ClaimRecord, target: str) -> list[tuple[str, str]]:
    """(heading, sentence) of everything in a record but its effects, the drawings and what would overturn it."""
    effect, seen, best, noise = found.effect(Lens.SCORE), found.evidence, found.best, found.noise
    out = [("Looked at", f"{found.looked_at:,} {found.place}, so each interval is {found.widening:.2f} times as wide.")]
    out.append(("Evidence", f"{evidence(seen.seen, seen.of)}."))
    out += [("Bootstraps", _holds_words(found)), ("Measured", _bootstrap_words(found))]
    if best:
        told = "; not ruled out by a joint test of all at 90 %" if best.cannot_be_told and best.prob_best < 0.5 else ""
        share = best.bootstrap_share
        held = f"; the best in {share:.0%} of the bootstraps" if share is not None else ""
        out.append(("Best of its unit", f"with probability {best.prob_best:.0%}{held}{told}."))
    if noise.ratio is not None and noise.noise_sd is not None:
        times = f"{noise.ratio:.1f} times" if noise.ratio < 10 else f"{noise.ratio:.0f} times"
        spread = numbers.amount(noise.noise_sd, effect.unit)
        out.append(("Label noise", f"a label is off by {spread}; the effect is {times} that."))
    else:
        out.append(("Label noise", "not known: no architecture was measured twice."))
    out.append(("Without it", _counter_words(found, target)))
    return out


def _holds_words(found: ClaimRecord) -> str:
    held, effect = found.holds, found.effect(Lens.SCORE)
    if held is None:
        return (
            "not worked out: an older version trained the run (train it anew), the module is too rare in the space, or the claim "
            "is about one task (the training asks it of the average)."
        )
    digits = numbers.digits_for(held.low, held.high)
    ends = numbers.with_unit(f"{numbers.signed(held.low, digits)} to {numbers.signed(held.high, digits)}", effect.unit)
    return f"{'better' if effect.better else 'worse'} in {held.share:.0%} of the refits to bootstraps of the networks ({ends})."


def _bootstrap_words(found: ClaimRecord) -> str:
    boot, effect = found.bootstrap, found.effect(Lens.SCORE)
    if boot is None:
        return f"less than {FEW} networks with it, or without it, so the two sides cannot be compared."
    share = boot.share_better if effect.better else 1 - boot.share_better
    side = "better" if effect.better else "worse"
    difference = numbers.signed(boot.difference, numbers.digits_for(boot.low, boot.high))
    sides = f"the {boot.num_with:,} networks with it measured {side} than the {boot.num_without:,} without"
    return f"{sides} ({difference}); in {share:.1%} of {boot.num:,} bootstraps over networks, no model involved."


def _counter_words(found: ClaimRecord, target: str) -> str:
    other, own = found.counter_example, found.with_it
    if other is None:
        return "no measured architecture lacks the module."
    text = f"row {other.source_row} reaches {target} {numbers.number(other.value)}, rank {other.rank:,} of {other.of:,}"
    if own is None:
        return f"{text}; none with it was measured."
    return f"{text}; the best with it, row {own.source_row}, {numbers.number(own.value)}, rank {own.rank:,}."


EXAMPLES = {"with_it": "Best measured with it", "counter_example": "Best measured without it"}


def effects_table(found: ClaimRecord) -> pd.DataFrame:
    """The effects as a reader sees them, a line a lens: lens, value, 90 % interval, adjusted for N, rank of N."""
    rows = []
    for effect in found.effects:
        row = {
            "lens": effect.lens.label,
            "value": value_words(effect, False),
            "90 % interval": interval_words(effect, False) or "none",
        }
        row |= {f"adjusted for {found.looked_at:,}": interval_words(effect) or "none"}
        rows.append(row | {f"rank of {found.looked_at:,}": effect.rank})
    return pd.DataFrame(rows)


def overturn_table(turned: Overturning) -> pd.DataFrame:
    """Table of evaluations that would overturn a claim: arch, with the module, predicted, low, high, chance (in words)."""
    columns = ["arch", "with the module", "predicted", "low", "high", "chance"]
    rows = []
    for one in turned.evaluations:
        texts = {"arch": native_text(one.arch), "with the module": "yes" if one.contains else "no"}
        rows.append(asdict(one) | texts | {"chance": _chance(one)})
    return pd.DataFrame(rows, columns=columns)


def _chance(evaluation: Evaluation) -> str:
    return f"{evaluation.chance:.1%}" if evaluation.chance >= 0.001 else "below 0.1 %"


def overturn_words(turned: Overturning) -> str:
    """Two sentences on what these evaluations would turn and how likely."""
    if not turned.evaluations:
        return "No network is left to evaluate."
    what = f"that {turned.rival} is better" if turned.rival else "the sign of the effect"
    verb = "show" if turned.rival else "turn"
    chance = _chance(turned.evaluations[-1])
    return f"Together they would {verb} {what} with probability {chance}. The chance counts each with those above it."
