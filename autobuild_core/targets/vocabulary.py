"""What targets and metrics are called: names and units, and which words of a metric mean an accuracy, a loss or a cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from autobuild_core.errors import TargetError
from autobuild_core.targets.equation import Target

LONGEST_NAME, LONGEST_UNIT, LONGEST_TITLE = 60, 18, 28  # characters: of a name, of a unit, of an axis title
ACCURACY = re.compile(
    r"acc|top_?[15](?!\d)|(^|_)(map|miou|iou|pq|auc|f1|recall|precision|score|psnr|ssim|bleu)(_|$)", re.IGNORECASE
)
LOSS = re.compile(r"(^|_)(loss|error|err|perplexity|ppl|fid|bce|mae|mse|rmse)(_|$)", re.IGNORECASE)
COST = re.compile(r"latency|energy|madds|flops|macs|params|memory", re.IGNORECASE)
REPEAT = re.compile(r"_\d+$|seed|epoch|std|var", re.IGNORECASE)


@dataclass(frozen=True)
class Label:
    """How a target is called where its values are shown.

    Args:
        title: its name, else the equation.
        unit: of its values: as given; of a bare metric points for percentages, ms, M; else what it is called in a word or two;
            empty for an equation without a name.
    """

    title: str
    unit: str

    @classmethod
    def of(cls, expression: str, name: str = "", unit: str = "") -> Self:
        """The label of an equation with the name and the unit that a reader gave it, both may be empty."""
        return cls(name or expression.strip(), unit or unit_of(expression.strip(), name))

    @property
    def axis(self) -> str:
        """Title and unit, for an axis; a long one is cut."""
        short = self.title if len(self.title) <= LONGEST_TITLE else f"{self.title[: LONGEST_TITLE - 1]}\u2026"
        return short if self.unit in ("", self.title) else f"{short} ({self.unit})"


def unit_of(expression: str, name: str = "") -> str:
    """The unit that follows from an equation and its name; empty for an equation without a short name."""
    for ending, unit in (("_pct", "points"), ("_ms", "ms"), ("_m", "M")):
        if re.fullmatch(rf"\w+{ending}", expression):
            return unit
    called = name or (expression if expression.isidentifier() else "")
    return called if len(called) <= LONGEST_UNIT else ""


def suggest_targets(metrics: pd.DataFrame) -> list[str]:
    """Equations to begin with, best guess first: an accuracy, the accuracy per cost, a loss; else any metric.

    Each has been tried on the metrics: it has values and varies. A bare cost or loss is to be minimised.
    Source: the paper's 100**acc / log10(latency).
    """
    names = [str(name) for name in metrics.columns]
    single = [name for name in names if not REPEAT.search(name)] or names
    accuracies = sorted((n for n in single if ACCURACY.search(n)), key=lambda n: "mean" not in n)
    costs = sorted((n for n in single if COST.search(n)), key=lambda n: "latency" not in n.lower())
    losses = [n for n in single if LOSS.search(n) and n not in accuracies]
    wanted = accuracies[:1]
    for accuracy in accuracies[:1]:
        exponent = accuracy if metrics[accuracy].max() <= 1.5 else f"({accuracy}/100)"
        wanted += [f"100**{exponent} / log10({cost})" for cost in costs[:1] if metrics[cost].min() > 1]
    wanted += losses[:1] + accuracies[1:3] + single[:3] + names[:3]
    return [expression for expression in dict.fromkeys(wanted) if _works(expression, metrics)][:4]


def by_use(metrics: Sequence[str]) -> list[str]:
    """Metrics in the order in which a reader wants them: accuracies, costs and losses, others, single repeats and spreads."""
    kinds = (ACCURACY, COST, LOSS)
    return sorted(metrics, key=lambda name: (bool(REPEAT.search(name)), not any(kind.search(name) for kind in kinds)))


def lower_is_better(expression: str) -> bool:
    """Whether an equation is a bare cost or loss, so that the good values are the small ones."""
    name = expression.strip()
    return name.isidentifier() and not ACCURACY.search(name) and bool(COST.search(name) or LOSS.search(name))


def _works(expression: str, metrics: pd.DataFrame) -> bool:
    """The equation has values that vary."""
    try:
        target = Target(expression)
        target.check_varies(target.values(metrics))
    except TargetError:
        return False
    return True
