"""The trust report as values: what `report.py` finds out, pages and the review show. JSON only at the edge."""

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from autobuild_core.store.quality import Quality
from autobuild_core.targets.noise import LabelNoise


@dataclass(frozen=True)
class HeldOut:
    """A held-out rank correlation with its 90 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Baseline:
    """A scorer that predicts, on the same folds: its held-out rank correlation beside the ensemble's.

    Args:
        scorer: file in scorers/.
        srcc: rank correlation.
        low: of its 90 % interval.
        high: likewise.
        ahead: share of the bootstraps in which the ensemble orders better.
        title: of the scorer.
    """

    scorer: str
    srcc: float
    low: float
    high: float
    ahead: float
    title: str = ""


@dataclass(frozen=True)
class CostShare:
    """Part of the importance that is just size: cost metric, agreement within units, or why that is not known."""

    metric: str
    agreement: float | None
    why_not: str | None


@dataclass(frozen=True)
class DataShape:
    """Distribution of the data over the space.

    Args:
        kind: "whole space", "uniform sample" or "search log".
        departure: mean distance from the uniform layer frequencies, beyond that of uniform samples of the same size.
        never_seen: share of the (position, layer) pairs that were never evaluated.
        seldom_seen: likewise, less than three times.
        effective_share: how varied layers are, of what a uniform sample has.
        distance: share of positions at which a random architecture differs from the nearest evaluated one.
        uniform_distance: likewise for a uniform sample as large.
        enough: a search's log covers enough of the space.
    """

    kind: str
    departure: float
    never_seen: float
    seldom_seen: float
    effective_share: float
    distance: float
    uniform_distance: float
    enough: bool = True


@dataclass(frozen=True)
class UnitFinding:
    """The best module of a unit by the average lens, and how sure that is.

    Args:
        unit: label.
        unit_index: of the unit.
        positions: of the module, as the table of modules has them.
        layers: likewise.
        prob_best: probability that it is the best, adjusted for having looked at all.
        share_of_members: members of the ensemble that say so.
        bootstrap_share: bootstraps of the networks that say so; None where an older version did not ask.
        likeliest: layers of the module with the largest probability.
        num_alike: modules that a joint test does not rule out, itself among them.
        num_modules: of the unit.
        num_seen: that were evaluated.
        num_evaluated: architectures with the best.
    """

    unit: str
    unit_index: int
    positions: str
    layers: str
    prob_best: float
    share_of_members: float
    bootstrap_share: float | None
    likeliest: str
    num_alike: int
    num_modules: int
    num_seen: int
    num_evaluated: int


@dataclass(frozen=True)
class ScorerLine:
    """A scorer that stands beside AutoBuild's: its name, title, what it says, why it does not apply (None = it does)."""

    scorer: str
    title: str
    explained: str
    why_not: str | None


@dataclass(frozen=True)
class PermutationCheck:
    """A training on permuted labels.

    Args:
        srcc: held-out rank correlation that is left.
        limit: below which chance stays.
        passed: it is not beyond that.
        spread: of the layers' scores.
        real_spread: of the real ensemble's.
        num_networks: that were trained on.
        seconds: that it took.
    """

    srcc: float
    limit: float
    passed: bool
    spread: float
    real_spread: float
    num_networks: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """Whether scores are to be trusted: a word, its reason, and what else speaks against it."""

    word: str
    why: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class TrustReport:
    """The report behind the verdict.

    Args:
        srcc: held-out order of the ensemble.
        baselines: beside it.
        cost: how much is just size.
        noise: of the labels.
        data: where they lie in the space.
        units: one a unit that has modules.
        scorers: beside AutoBuild's.
        permutation: the check on permuted labels; None where it was not made.
        seconds: that the report took.
        reasons: for the verdict, the weightiest first.
    """

    srcc: HeldOut
    baselines: tuple[Baseline, ...]
    cost: CostShare
    noise: LabelNoise
    data: DataShape
    units: tuple[UnitFinding, ...]
    scorers: tuple[ScorerLine, ...]
    permutation: PermutationCheck | None = None
    seconds: float = 0.0
    reasons: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, quality: Quality) -> Self | None:
        """The report in a run's quality.json; None where an older version trained the run."""
        raw = quality.get("trust")
        return None if raw is None else cls.from_json(raw)

    def to_json(self) -> dict[str, Any]:
        """Content of quality.json under "trust"."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """The report that `to_json` wrote.

        Raises:
            TypeError, KeyError: it is none.
        """
        many = {"baselines": Baseline, "units": UnitFinding, "scorers": ScorerLine}
        lines = raw | {"units": [{"bootstrap_share": None} | unit for unit in raw["units"]]}
        parts: dict[str, Any] = {name: tuple(kind(**line) for line in lines[name]) for name, kind in many.items()}
        parts |= {"srcc": HeldOut(**raw["srcc"]), "cost": CostShare(**raw["cost"]), "noise": LabelNoise(**raw["noise"])}
        parts |= {"data": DataShape(**raw["data"]), "reasons": tuple(raw["reasons"])}
        check = raw["permutation"]
        return cls(**raw | parts | {"permutation": None if check is None else PermutationCheck(**check)})
