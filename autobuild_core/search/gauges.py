"""Every metric of one architecture against its budgets: how much it is, how that is known, and whether it keeps to them. Ours."""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import pandas as pd

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.predictor.metrics import Bound, Metrics
from autobuild_core.spaces import load_space


class Known(StrEnum):
    """The way in which a number is known; a reader sees its value."""

    MEASURED = "measured"
    EXACT = "exact"
    PREDICTED = "predicted"


def gauges(metrics: Metrics, names: Sequence[str], table: ArchTable, bounds: Sequence[Bound], codes: Codes) -> pd.DataFrame:
    """Facts about metrics of an architecture, one line a metric and limit; a metric without a limit has one line.

    Args:
        metrics: models of them.
        names: of the metrics, in the order of the lines.
        table: the measured architectures.
        bounds: limits.
        codes: (num_positions,) the architecture.

    Returns:
        metric, value, low, high (90 % interval of a measurement; of what is measured or exact both are the value), known,
        least and most (that were measured), limit and is_upper (NaN and True without a limit), within (probability that a
        measurement keeps to it; NaN without one), supported, srcc (held out; NaN of what is no prediction).

    Raises:
        ConfigError: a metric is not known.
    """
    network = load_space(table.spec).hash_networks(codes[None])[0]
    own, lines = table.metrics[table.networks == network], []
    for name in names:
        model = metrics.model(name)
        value, low, high = (float(part[0]) for part in model.interval(codes[None]))
        known = Known.EXACT if model.is_exact else Known.PREDICTED
        values = table.metrics[name].to_numpy(float) if name in table.metrics else np.array([np.nan])
        if name in own and np.isfinite(own[name].to_numpy(float)).any():
            value = low = high = float(own[name].mean())
            known = Known.MEASURED
        ends = (np.nanmin(values), np.nanmax(values)) if np.isfinite(values).any() else (np.nan, np.nan)
        about = {"metric": name, "value": value, "low": low, "high": high, "known": known, "least": ends[0], "most": ends[1]}
        about |= {"supported": bool(model.supports(codes[None])[0])}
        about |= {"srcc": model.held_out.srcc if known is Known.PREDICTED else np.nan}
        limits: list[Bound | None] = [bound for bound in bounds if bound.metric == name]
        for bound in limits or [None]:
            lines.append(about | _against(metrics, bound, codes, value, known))
    return pd.DataFrame(lines)


def _against(metrics: Metrics, bound: Bound | None, codes: Codes, value: float, known: Known) -> dict[str, object]:
    """A limit, and the probability that the architecture keeps to it: of a measurement 0 or 1."""
    if bound is None:
        return {"limit": np.nan, "is_upper": True, "within": np.nan}
    within = float(metrics.within(codes[None], [bound])[0])
    if known is Known.MEASURED:
        within = float(bound.turn * (bound.limit - value) >= 0)
    return {"limit": bound.limit, "is_upper": bound.is_upper, "within": within}
