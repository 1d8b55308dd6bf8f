"""Claims between two runs: which of one run's claims still hold in another that learned from more. Ours."""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import pandas as pd

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.module_table import top_modules
from autobuild_core.errors import RunError
from autobuild_core.review.record import effect_of
from autobuild_core.review.words import interval_words, value_words
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.pins import Claim
from autobuild_core.trust.claim import Effect


class Verdict(StrEnum):
    """The fate of a claim; a reader sees its value."""

    HOLDS = "holds"
    STILL_OPEN = "was open, is open"
    GAINED = "was open, is sure now"
    LOST = "is not told from the average any more"
    TURNED = "has turned"
    UNKNOWN = "was not scored again"


def verdict_of(old: Effect, new: Effect | None) -> Verdict:
    """The fate of a claim by its effect in two runs, each sure where its adjusted interval leaves the average out."""
    if new is None:
        return Verdict.UNKNOWN
    if old.sure and new.sure:
        return Verdict.HOLDS if old.better == new.better else Verdict.TURNED
    if old.sure:
        return Verdict.LOST
    return Verdict.GAINED if new.sure else Verdict.STILL_OPEN


def best_of_units(run: FinishedRun) -> list[Claim]:
    """The claims that a run would make unasked: the best whole-unit module of each unit by the average lens."""
    ranked = top_modules(run.modules, Lens.SCORE, run.config.minimize)
    keys = (ModuleKey.of(line) for line in ranked[ranked["rank"] == 1].to_dict("records"))
    return [Claim(one.positions, one.layers, one.whole_unit, Lens.SCORE) for one in keys]


def claims_between(old: FinishedRun, new: FinishedRun, claims: Sequence[Claim]) -> pd.DataFrame:
    """Claims of one run beside what another says of them.

    Args:
        old: that the claims were made from.
        new: another of the same space and target.
        claims: those that `old` scored count.

    Returns:
        A line a claim: claim, verdict, before and now (value and interval in words), lens, rank_before, rank_now (among the
        modules that were looked at; NaN where not scored).
    """
    rows = []
    for claim in claims:
        try:
            before = effect_of(old, claim)
        except RunError:
            continue
        try:
            now: Effect | None = effect_of(new, claim)
        except RunError:
            now = None
        ranks = before.rank, np.nan if now is None else now.rank
        rows.append((claim.name, verdict_of(before, now).value, _words(before), _words(now), claim.lens.label, *ranks))
    return pd.DataFrame(rows, columns=["claim", "verdict", "before", "now", "lens", "rank_before", "rank_now"])


def _words(effect: Effect | None) -> str:
    """An effect and its interval."""
    if effect is None:
        return ""
    ends = interval_words(effect)
    return value_words(effect) + (f" ({ends})" if ends else "")
