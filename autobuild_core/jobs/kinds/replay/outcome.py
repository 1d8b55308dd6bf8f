"""The outcome of a replay: every mode's regret, rank and success, and how the default differs from it seed by seed."""

from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.jobs.kinds.replay.plan import MODES, ReplayPlan
from autobuild_core.scoring.intervals import Mean, number, wilson

ROUNDING = 1e-9
SPREAD = 0.1, 0.9  # quantiles over seeds


def outcome_table(curves: pd.DataFrame, plan: ReplayPlan) -> pd.DataFrame:
    """A line a mode, in the order of MODES.

    Args:
        curves: of `replaying.Replay.run`.
        plan: the protocol.

    Returns:
        mode, seeds, area (mean regret on the way, by the trapezoid rule over evaluations), regret and best of the final picks,
        network_rank, success (share of the final picks within `plan.within` of the best) with success_low and success_high,
        seconds (of the mode itself, a seed), each a mean over seeds and its standard deviation as *_sd; and apart (the default's
        area less the mode's, paired by seed) with its 90 % interval apart_low to apart_high. Where final picks were evaluated
        again also `again`, again_sd and again_apart (as `apart`, less is better), again_low, again_high.
    """
    last = curves["evaluations"] == plan.evaluations
    areas = {mode: _areas(own) for mode, own in curves.groupby("mode")}
    lines = []
    for mode in [mode for mode in MODES if mode in areas]:
        final, area = curves[last & (curves["mode"] == mode)], areas[mode]
        num, hits = len(final), int((final["regret"] <= plan.within + ROUNDING).sum())
        line: dict[str, Any] = {"mode": mode, "seeds": num, "area": area.mean(), "area_sd": area.std(ddof=1)}
        for name in ("regret", "best", "network_rank", "seconds", *(["again"] if "again" in final else [])):
            line |= {name: final[name].mean(), f"{name}_sd": final[name].std(ddof=1)}
        line["success"] = hits / num if num else np.nan
        line["success_low"], line["success_high"] = wilson(hits, num) if num else (np.nan, np.nan)
        if "default" in areas and mode != "default":
            apart = Mean.of((areas["default"] - area).dropna().tolist())
            line |= {"apart": apart.mean, "apart_low": apart.low, "apart_high": apart.high}
            if "again" in final:
                line |= _again_apart(curves[last], mode, plan.minimize)
        lines.append(line)
    return pd.DataFrame(lines)


def course_table(curves: pd.DataFrame) -> pd.DataFrame:
    """The way of every mode: a line a mode and number of evaluations, modes in the order of MODES.

    Args:
        curves: of `replaying.Replay.run`, or those of them that are there.

    Returns:
        mode, evaluations, seeds, seconds (of the mode itself so far, mean over seeds), regret (mean) with the quantiles SPREAD
        over seeds as low and high; and apart (the default's regret less the mode's, mean over the seeds that both have) with its
        90 % interval apart_low to apart_high, NaN of the default and where it is not replayed. Regrets are in the judge's unit.
    """
    by_seed = curves.pivot(index=["evaluations", "seed"], columns="mode", values="regret")
    lines = []
    for mode in [mode for mode in MODES if mode in by_seed]:
        for num, own in curves[curves["mode"] == mode].groupby("evaluations"):
            line: dict[str, Any] = {"mode": mode, "evaluations": int(num), "seeds": len(own), "seconds": own["seconds"].mean()}
            line |= {"regret": own["regret"].mean()}
            line |= dict(zip(("low", "high"), own["regret"].quantile(list(SPREAD)), strict=True))
            apart = np.full(3, np.nan)
            if mode != "default" and "default" in by_seed:
                both = by_seed.loc[num]
                found = Mean.of((both["default"] - both[mode]).dropna().tolist())
                apart = np.array([found.mean, found.low, found.high])
            lines.append(line | dict(zip(("apart", "apart_low", "apart_high"), apart.tolist(), strict=True)))
    return pd.DataFrame(lines)


def in_words(table: pd.DataFrame) -> list[dict[str, str]]:
    """The outcome for people, a line a mode: means ± standard deviations, and differences with their 90 % intervals.

    Args:
        table: of `outcome_table`.
    """
    lines = []
    for line in table.to_dict("records"):
        said = {
            "mode": str(line["mode"]),
            "mean regret": _spread(line, "area"),
            "default less it": _interval(line, "apart", "apart"),
        }
        said |= {"final regret": _spread(line, "regret"), "final rank": _spread(line, "network_rank")}
        if "again" in line:
            said |= {"unseen seeds": _spread(line, "again"), "default worse there by": _interval(line, "again_apart", "again")}
        lines.append(said | {"success": _interval(line, "success", "success"), "seconds": f"{line['seconds']:.2g}"})
    return lines


def _spread(line: dict[Any, Any], name: str) -> str:
    """A mean with its standard deviation, which one seed has none of; "" where there is no mean."""
    if not np.isfinite(line[name]):
        return ""
    spread = line[f"{name}_sd"]
    return f"{number(line[name])}{f' ± {spread:.2g}' if np.isfinite(spread) else ''}"


def _interval(line: dict[Any, Any], name: str, ends: str) -> str:
    """A mean with its 90 % interval, which one seed has none of; "" where there is no mean."""
    if not np.isfinite(line.get(name, np.nan)):
        return ""
    low, high = line[f"{ends}_low"], line[f"{ends}_high"]
    return f"{line[name]:.2g}{f' [{low:.2g}, {high:.2g}]' if np.isfinite(low) else ''}"


def _areas(curves: pd.DataFrame) -> pd.Series:
    """The mean regret of each seed's curve between its first and its last number of evaluations."""
    found = {}
    for seed, own in curves.sort_values("evaluations").groupby("seed"):
        at = own["evaluations"].to_numpy(float)
        found[seed] = float(np.trapezoid(own["regret"], at) / max(at[-1] - at[0], 1.0))
    return pd.Series(found, dtype=float)


def _again_apart(final: pd.DataFrame, mode: str, minimize: bool) -> dict[str, float]:
    """The difference of final picks, the default's worse by it than a mode's, paired by seed; below 0 they are better."""
    by_mode = final.pivot(index="seed", columns="mode", values="again")
    apart = Mean.of(((by_mode["default"] - by_mode[mode]) * (1 if minimize else -1)).dropna().tolist())
    return {"again_apart": apart.mean, "again_low": apart.low, "again_high": apart.high}


def summary(curves: pd.DataFrame, plan: ReplayPlan) -> dict[str, Any]:
    """The outcome ready for JSON: {"modes": {mode: its line of `outcome_table`}}; what is no number is None."""
    table = outcome_table(curves, plan)
    lines = table.drop(columns="mode", errors="ignore").astype(object).where(table.notna(), None).to_dict("records")
    return {"modes": dict(zip(table.get("mode", []), lines, strict=True))}
