"""Names and units of targets and metrics, and which words of a metric mean an accuracy, a loss or a cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from autobuild_core.errors import TargetError
from autobuild_core.targets.equation import Target

LONGEST_NAME, LONGEST_UNIT, LONGEST_TITLE = 60, 18, 28  # characters: of a name, of a unit, of an axis title


def _words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


# The one list of what metrics are called, in words of snake case; a word counts with digits behind it too ("recall5").
ACCURACY_WORDS = _words("""
    acc accuracy top1 top5 map miou iou pq auc auroc f1 recall precision score psnr ssim bleu rouge r2 correlation correct
    top_1 top_5 m_ap m_io_u
""")
LOSS_WORDS = _words("loss error err perplexity ppl fid frechet bce ce nll mae mse rmse rmsle")
COST_WORDS = (  # the best stand-in for the size of an architecture first
    _words("madds madd"),
    _words("macs mac gmacs mmacs"),
    _words("flops flop gflops mflops tflops"),
    _words("params param parameters"),
    _words("size"),
    _words("latency"),
    _words("runtime time duration elapsed"),
    _words("ms us ns sec secs seconds minutes hour hours"),
    _words("energy joules watts power"),
    _words("memory mem"),
)
REPEAT = re.compile(r"_\d+$|seed|epoch|std|var", re.IGNORECASE)


def snake(name: str) -> str:
    """A header in lower case with underscores between its words: "valTop1 (%)" -> "val_top1"."""
    return re.sub(r"[\W_]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)).strip("_").lower()


def has_word(name: str, words: frozenset[str]) -> bool:
    """Whether a metric's name has one of some words, a number behind it apart."""
    word = snake(name)
    own = word.split("_")
    pairs = {"_".join(own[start : start + length]) for length in (2, 3) for start in range(len(own))}
    return bool(words & {*own, *(one.rstrip("0123456789") for one in own), *pairs})


def is_accuracy(name: str) -> bool:
    """Whether a metric is one of which the high values are good, by its name."""
    return has_word(name, ACCURACY_WORDS) or "acc" in name.lower()


def is_loss(name: str) -> bool:
    """Whether a metric is a loss, an error or a distance, by its name."""
    return has_word(name, LOSS_WORDS)


def cost_rank(name: str) -> int | None:
    """A metric's rank as a stand-in for an architecture's size, by name: 0 best; None of what is no cost."""
    return next((rank for rank, words in enumerate(COST_WORDS) if has_word(name, words)), None)


def by_cost(metrics: Sequence[str]) -> list[str]:
    """The metrics that are costs, the best stand-in for the size of an architecture first."""
    ranks = {name: rank for name in metrics if (rank := cost_rank(name)) is not None}
    return sorted(ranks, key=ranks.__getitem__)


@dataclass(frozen=True)
class Label:
    """The name and the unit of a target where its values are shown.

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
    accuracies = sorted(filter(is_accuracy, single), key=lambda n: "mean" not in n)
    costs = sorted((n for n in single if cost_rank(n) is not None), key=lambda n: "latency" not in n.lower())
    losses = [n for n in single if is_loss(n) and n not in accuracies]
    wanted = accuracies[:1]
    for accuracy in accuracies[:1]:
        exponent = accuracy if metrics[accuracy].max() <= 1.5 else f"({accuracy}/100)"
        wanted += [f"100**{exponent} / log10({cost})" for cost in costs[:1] if metrics[cost].min() > 1]
    wanted += losses[:1] + accuracies[1:3] + single[:3] + names[:3]
    return [expression for expression in dict.fromkeys(wanted) if _works(expression, metrics)][:4]


def by_use(metrics: Sequence[str]) -> list[str]:
    """Metrics in the order in which a reader wants them: accuracies, costs and losses, others, single repeats and spreads."""

    def is_wanted(name: str) -> bool:
        return is_accuracy(name) or is_loss(name) or cost_rank(name) is not None

    return sorted(metrics, key=lambda name: (bool(REPEAT.search(name)), not is_wanted(name)))


def lower_is_better(expression: str) -> bool:
    """Whether an equation is a bare cost or loss, so that the good values are the small ones."""
    name = expression.strip()
    return name.isidentifier() and not is_accuracy(name) and (is_loss(name) or cost_rank(name) is not None)


def _works(expression: str, metrics: pd.DataFrame) -> bool:
    """The equation has values that vary."""
    try:
        target = Target(expression)
        target.check_varies(target.values(metrics))
    except TargetError:
        return False
    return True
