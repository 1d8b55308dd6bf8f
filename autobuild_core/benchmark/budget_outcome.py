"""The outcome of measured budgets: factors between machines, shares within budgets, and both beside chance. Ours."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark import report as show
from autobuild_core.errors import EvaluationError

Result = dict[str, Any]
Array = NDArray[np.float64]
CASES = (
    "quantile: of every budgeted metric in the data, where its budget is. confidence: probability with "
    "which networks were built to keep to all budgets. share expected: mean of the probabilities that were "
    "said of them. bias removed: were the median of measured / predicted over all built 1, which on another "
    "machine than that of the data it need not be. random would be: as many random networks, by the share "
    "of the data within all budgets. rows: of the data, measured in the same run; those recorded within the "
    "budgets and not measured so, and the others that are, say how noisy the measuring is."
)
METRICS = (
    "factor: median of measured by recorded over the rows, by which budgets are scaled. middle half: "
    "quartiles of that quotient around its median; rank correlation: of recorded and measured. measured / "
    "predicted, error: median and standard deviation of that quotient over the built, after scaling. "
    "predicted / budget: median of the built. rank correlation: of predicted and measured over the built. A "
    "metric that is not measured is counted by its formula, with factor 1."
)


@dataclass(frozen=True, eq=False)
class Measured:
    """Networks that were built in several cases, and rows of the data, measured in one run.

    Args:
        seed: of training, rows and order.
        data: the data, one network a row.
        names: {metric with a budget: what the evaluator calls it}.
        places: (rows,) those of the data that were measured.
        rows: their architectures.
        picks: of each case {"quantile", "confidence", "limits", "archs", "within": probabilities, "predicted":
            {metric: values}}.
        values: of the rows, then of every case's networks, a column a metric; NaN where an evaluation failed.
    """

    seed: int
    data: ArchTable
    names: dict[str, str]
    places: NDArray[np.intp]
    rows: list[Any]
    picks: Sequence[Result]
    values: pd.DataFrame

    @cached_property
    def recorded(self) -> pd.DataFrame:
        """The recorded metrics of the rows."""
        return self.data.metrics[list(self.names)].iloc[self.places].reset_index(drop=True)

    @cached_property
    def ratios(self) -> pd.DataFrame:
        """Measured by recorded, of every row."""
        return self.values.iloc[: len(self.rows)] / self.recorded

    @cached_property
    def factors(self) -> "pd.Series[float]":
        """The factor by which budgets of each metric are scaled.

        Raises:
            EvaluationError: no row could be measured.
        """
        factors = self.ratios.median()
        if factors.isna().any():
            name = factors.index[factors.isna()][0]
            raise EvaluationError(f"design: got no {self.names[name]} of {len(self.rows)} rows, expected some to scale by.")
        return factors

    @cached_property
    def scaled(self) -> list[pd.DataFrame]:
        """Measured values as the machine of the data would have them: of the rows, then of each case."""
        owner = np.repeat(np.arange(len(self.picks) + 1), [len(self.rows), *(len(pick["archs"]) for pick in self.picks)])
        scaled = self.values / self.factors
        return [scaled[owner == place].reset_index(drop=True) for place in range(len(self.picks) + 1)]

    @cached_property
    def bias(self) -> "pd.Series[float]":
        """The median over all built networks of measured, scaled, by predicted: what machine and predictor do to all alike."""
        predicted = pd.concat([pd.DataFrame(pick["predicted"]) for pick in self.picks], ignore_index=True)
        return (pd.concat(self.scaled[1:], ignore_index=True) / predicted).median()

    def cases(self) -> list[Result]:
        """A line a case: how many keep to all budgets of what was built, of rows recorded so, and by chance."""
        return [self._case(pick, own) for pick, own in zip(self.picks, self.scaled[1:], strict=True)]

    def _case(self, pick: Result, own: pd.DataFrame) -> Result:
        limits = pd.Series(pick["limits"])
        inside, control, among = within(own, limits), within(self.recorded, limits), within(self.scaled[0], limits)
        chance = within(self.data.metrics[list(self.names)], limits).mean()
        return {
            "seed": self.seed,
            "quantile": pick["quantile"],
            "confidence": pick["confidence"],
            "built": len(own),
            "within all budgets": int(inside.sum()),
            "share": float(inside.mean()),
            "share expected": float(np.mean(pick["within"])),
            "within, bias removed": int(within(own / self.bias, limits).sum()),
            "random would be": float(chance * len(own)),
            "rows recorded within": int(control.sum()),
            "of them measured within": int((control & among).sum()),
            "of the others measured within": int((~control & among).sum()),
        }

    def metrics(self) -> list[Result]:
        """A line a case and metric: its budget, factor and spread over rows, and errors of the built."""
        pairs = zip(self.picks, self.scaled[1:], strict=True)
        return [self._metric(name, pick, own) for pick, own in pairs for name in self.names]

    def _metric(self, name: str, pick: Result, own: pd.DataFrame) -> Result:
        limit, factor, ratios = pick["limits"][name], float(self.factors[name]), self.ratios[name] / self.factors[name]
        predicted = np.array(pick["predicted"][name])
        return {
            "seed": self.seed,
            "quantile": pick["quantile"],
            "confidence": pick["confidence"],
            "metric": name,
            "built": len(own),
            "budget": limit,
            "scaled budget": limit * factor,
            "factor": factor,
            "rows: middle half, %": [float(100 * (ratios.quantile(end) - 1)) for end in (0.25, 0.75)],
            "rows: rank correlation": rank_correlation(self.recorded[name].to_numpy(), self.scaled[0][name].to_numpy()),
            "built within": int((own[name] <= limit).sum()),
            "measured / predicted": float((own[name] / predicted).median()),
            "error of built, %": float(100 * (own[name] / predicted - 1).std()),
            "predicted / budget": float(np.median(predicted) / limit),
            "rank correlation": rank_correlation(predicted, own[name].to_numpy()),
        }

    def networks(self) -> pd.DataFrame:
        """A line a network: case, architecture, and each metric as predicted or recorded, measured, scaled."""
        cases: list[Result] = [{"quantile": np.nan, "archs": self.rows, "predicted": self.recorded.to_dict("list")}, *self.picks]
        parts = []
        for case, own in zip(cases, self.scaled, strict=True):
            about = {"seed": self.seed, "quantile": case["quantile"], "confidence": case.get("confidence", np.nan)}
            part = pd.DataFrame({"arch": list(map(json.dumps, case["archs"]))}).assign(**about)
            for name, measured in self.names.items():
                kind = "predicted" if "confidence" in case else "recorded"
                part[f"{name}_{kind}"] = case["predicted"][name]
                part[f"{measured}_measured"], part[f"{name}_scaled"] = own[name] * self.factors[name], own[name]
            parts.append(part)
        return pd.concat(parts, ignore_index=True)


def within(values: pd.DataFrame, limits: "pd.Series[float]") -> NDArray[np.bool_]:
    """(n,) which networks keep to all limits; none that could not be measured."""
    kept: NDArray[np.bool_] = (values[limits.index] <= limits).all(axis=1).to_numpy()
    return kept


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's, of the pairs that are there; NaN where one side never varies."""
    from scipy.stats import spearmanr

    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3 or np.ptp(one[both]) == 0 or np.ptp(other[both]) == 0:
        return float("nan")
    return float(spearmanr(one[both], other[both]).statistic)


def markdown(found: Sequence[Measured], remarks: Sequence[Result] = ()) -> str:
    """Both tables, and what the evaluator remarks of its measurements.

    Args:
        found: outcomes of the seeds.
        remarks: as `Ledger.remarks` has them.
    """
    cases, metrics = [line for one in found for line in one.cases()], [line for one in found for line in one.metrics()]
    parts = [show.table("Budgets, measured", cases, CASES), show.table("Metrics with a budget", metrics, METRICS)]
    return "\n".join([*parts, *([show.table("Remarks of the evaluator", remarks)] if remarks else [])])


def networks(found: Sequence[Measured]) -> pd.DataFrame:
    """A line a network of every run, as `Measured.networks` has it."""
    return pd.concat([one.networks() for one in found], ignore_index=True)
