"""Rankings side by side: the same modules under two targets, and by several scorers."""

import pandas as pd

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import top_modules

KEYS = ["unit_index", "positions", "layers"]


def two_targets(first: pd.DataFrame, second: pd.DataFrame, first_minimized: bool, second_minimized: bool) -> pd.DataFrame:
    """The change of each unit's ranking by the average lens from one run's target to another's.

    Args:
        first: modules.parquet of the one run.
        second: modules.parquet of the other, over the same space.
        first_minimized: smaller targets are better in the first.
        second_minimized: smaller targets are better in the second.

    Returns:
        A line a whole-unit module of both: unit_index, unit, positions, layers, first_rank, second_rank, change (places gained),
        and first_ and second_ score, effect, effect_low, effect_high; by unit and first_rank.
    """
    values = ["rank", "score", "effect", "effect_low", "effect_high"]
    parts = []
    for name, modules, minimized in (("first", first, first_minimized), ("second", second, second_minimized)):
        ranked = top_modules(modules, Lens.SCORE, minimized)
        parts.append(ranked[[*KEYS, "unit", *values]].rename(columns={v: f"{name}_{v}" for v in values}))
    both = parts[0].merge(parts[1].drop(columns="unit"), on=KEYS)
    both["change"] = both["first_rank"] - both["second_rank"]
    return both.sort_values(["unit_index", "first_rank"], kind="stable", ignore_index=True)


def best_by_scorer(table: pd.DataFrame) -> pd.DataFrame:
    """Each scorer's best module of each unit, and where AutoBuild's best stands with it.

    Args:
        table: scorers.parquet.

    Returns:
        A line a scorer and unit: scorer, title, unit_index, positions, layers (its best), agrees (with AutoBuild's best),
        rank_of_ours (the rank it gives AutoBuild's best), num_modules.
    """
    best = table[table["rank"] == 1].reset_index(drop=True)
    ours = best.loc[best["scorer"] == "autobuild", KEYS]
    of_ours = table.merge(ours, on=KEYS)[["scorer", "unit_index", "rank"]].rename(columns={"rank": "rank_of_ours"})
    out = best[["scorer", "title", *KEYS]].merge(of_ours, on=["scorer", "unit_index"], how="left")
    out["agrees"] = out["rank_of_ours"] == 1
    sizes = table.groupby(["scorer", "unit_index"]).size().rename("num_modules").reset_index()
    return out.merge(sizes, on=["scorer", "unit_index"])
