"""The record of a claim: everything that is known about what a module is worth, as values. JSON only at the edge.

`review/record.py` works it out, `review/words.py` says it, figures draw it.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

from autobuild_core.architectures.lens import Lens

Native = Any  # an architecture in its space's own encoding: a text, or lists as JSON has them


@dataclass(frozen=True)
class Effect:
    """Worth of a module through a lens, beside the average architecture.

    Args:
        lens: the question.
        value: on the axis of `Lens.value_columns`.
        average: what the average architecture has.
        better: on the better side of it.
        unit: of the value, may be empty.
        rank: among the modules that were looked at, from 1.
        low: of the 90 % interval; None where the lens has none.
        high: likewise.
        adjusted_low: of the interval that holds for all that were looked at together.
        adjusted_high: likewise.
        sure: that interval leaves the average out.
    """

    lens: Lens
    value: float
    average: float
    better: bool
    unit: str
    rank: int
    low: float | None
    high: float | None
    adjusted_low: float | None
    adjusted_high: float | None
    sure: bool


@dataclass(frozen=True)
class Evidence:
    """Evaluated architectures that contain the module, of all."""

    seen: int
    of: int


@dataclass(frozen=True)
class MeasuredDifference:
    """Mean measured target with a module less without it, over bootstraps of the networks; no model involved.

    Args:
        difference: of the means.
        low: of 90 % of the bootstraps.
        high: likewise.
        share_better: of the bootstraps in which it is on the better side.
        num: bootstraps.
        num_with: networks with the module.
        num_without: networks without it.
    """

    difference: float
    low: float
    high: float
    share_better: float
    num: int
    num_with: int
    num_without: int


@dataclass(frozen=True)
class Example:
    """A measured architecture.

    Args:
        row: in the run's table.
        source_row: in the file.
        arch: native encoding.
        value: measured target.
        rank: among all that were measured, from 1.
        of: how many these are.
    """

    row: int
    source_row: int
    arch: Native
    value: float
    rank: int
    of: int


@dataclass(frozen=True)
class BestOfUnit:
    """Certainty that a whole-unit module is the best of its unit.

    Args:
        prob_best: probability that it is.
        share_of_members: members of the ensemble that say so.
        cannot_be_told: a joint test at 90 % does not rule it out.
        bootstrap_share: of the bootstraps in which it is; None where that was not worked out.
    """

    prob_best: float
    share_of_members: float
    cannot_be_told: bool
    bootstrap_share: float | None


@dataclass(frozen=True)
class Holding:
    """The effect over refits to bootstraps of the networks: share that keeps its sign, and 90 % of the effects."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class BesideNoise:
    """The labels' noise: where it is known from ("" = not known), its standard deviation, the effect as a multiple of it."""

    source: str
    noise_sd: float | None
    ratio: float | None


@dataclass(frozen=True)
class Evaluation:
    """An architecture that could overturn a claim.

    Args:
        arch: native encoding.
        chance: that it, with those before it, turns the claim.
        contains: it has the module.
        predicted: its expected target.
        low: of the 90 % interval.
        high: likewise.
    """

    arch: Native
    chance: float
    contains: bool
    predicted: float
    low: float
    high: float


@dataclass(frozen=True)
class Overturning:
    """Rival of a claim in words ("" = the average), and evaluations that would turn it, each with those before it."""

    rival: str
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True)
class ClaimRecord:
    """All that is known about a claim.

    Args:
        module: in words.
        unit: its label, "" across units.
        hop: at which it is scored.
        lens: through which it is claimed.
        place: what was looked at, in words.
        looked_at: how many modules these are.
        widening: by what their intervals grow to hold together.
        effects: one a lens that the run has.
        evidence: in the data.
        bootstrap: the measured difference; None with too few networks on a side.
        with_it: the best measured architecture with the module.
        counter_example: the best measured one without it.
        best: of a whole-unit module; None where the trust report does not say.
        holds: over the bootstraps; None where not worked out.
        noise: of the labels.
        overturn: what would turn it.
    """

    module: str
    unit: str
    hop: int
    lens: Lens
    place: str
    looked_at: int
    widening: float
    effects: tuple[Effect, ...]
    evidence: Evidence
    bootstrap: MeasuredDifference | None
    with_it: Example | None
    counter_example: Example | None
    best: BestOfUnit | None
    holds: Holding | None
    noise: BesideNoise
    overturn: Overturning

    @property
    def examples(self) -> dict[str, Example | None]:
        """The two measured architectures by their names in a report."""
        return {"with_it": self.with_it, "counter_example": self.counter_example}

    def effect(self, lens: Lens | None = None) -> Effect:
        """The effect through a lens, by default the claim's own; the first where the run has none of it."""
        wanted = lens or self.lens
        return next((one for one in self.effects if one.lens == wanted), self.effects[0])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, but for numbers that are none (`record.plain`)."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Self:
        """The record that `to_json` wrote.

        Raises:
            TypeError, KeyError, ValueError: it is none.
        """
        optional = {"bootstrap": MeasuredDifference, "with_it": Example, "counter_example": Example}
        optional |= {"best": BestOfUnit, "holds": Holding}
        parts = {name: None if raw[name] is None else kind(**raw[name]) for name, kind in optional.items()}
        effects = tuple(Effect(**one | {"lens": Lens(one["lens"])}) for one in raw["effects"])
        turned = raw["overturn"]
        overturn = Overturning(turned["rival"], tuple(Evaluation(**one) for one in turned["evaluations"]))
        parts |= {"effects": effects, "overturn": overturn, "lens": Lens(raw["lens"])}
        parts |= {"evidence": Evidence(**raw["evidence"]), "noise": BesideNoise(**raw["noise"])}
        return cls(**raw | parts)
