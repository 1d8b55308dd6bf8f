"""Ranges of numbers: a choice of many numbers is shown and ranked as a few ranges of them, while its tokens stay exact.

A range belongs to the space, not to a run: the distinct values in order are cut into parts of equal size (their quantiles), so
that whoever holds a spec finds the same ranges. Its text, such as "dropout=0.063 to 0.12", stands in module tables, links and
pins where a token stands else.
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec, UnitSpec

MOST_RANGES = 8  # a number of more values is shown in so many ranges


@dataclass(frozen=True)
class Range:
    """Neighbouring values of a choice that is a number.

    Args:
        text: in place of a token; that of the token itself where it has one value only.
        tokens: its values by size.
        ends: the least and the largest value as written.
    """

    text: str
    tokens: tuple[int, ...]
    ends: tuple[str, str]

    @property
    def standing(self) -> int:
        """The token that stands for the range where an architecture needs one value: the middle one."""
        return some_of(self.tokens, 1)[0]


def ranges_of(spec: SpaceSpec) -> dict[int, tuple[Range, ...]]:
    """{index of a unit: its ranges, in the order of the number} of every loose choice of more than MOST_RANGES numbers."""
    known: dict[int, tuple[Range, ...]] | None = spec.__dict__.get("_ranges")
    if known is None:
        found = ((index, _ranges(unit, spec)) for index, unit in enumerate(spec.units))
        known = spec.__dict__["_ranges"] = {index: ranges for index, ranges in found if ranges}
    return known


def _ranges(unit: UnitSpec, spec: SpaceSpec) -> tuple[Range, ...]:
    """The ranges of a unit, in order; none where it is no loose choice of more than MOST_RANGES numbers."""
    if not unit.loose or len(unit.positions) != 1 or len(unit.tokens) <= MOST_RANGES:
        return ()
    if any(not set(unit.tokens).isdisjoint(other.tokens) for other in spec.units if other is not unit):
        return ()
    if not any(all(np.isfinite(places[token]) for token in unit.tokens) for places in spec.numbers.values()):
        return ()
    prefix = f"{unit.label}="
    values = {token: spec.tokens[token].removeprefix(prefix) for token in unit.tokens}
    parts = np.array_split(sorted(unit.tokens, key=lambda token: float(values[token])), MOST_RANGES)
    ends = [(values[int(part[0])], values[int(part[-1])]) for part in parts]
    shown = _rounded(ends)
    found = []
    for part, own, (low, high) in zip(parts, ends, shown, strict=True):
        text = f"{prefix}{low} to {high}" if len(part) > 1 else spec.tokens[part[0]]
        found.append(Range(text, tuple(int(token) for token in part), own))
    return tuple(found)


def _rounded(ends: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Ends of ranges with two digits, or as many more as keep all ends apart; whole numbers as they are.

    Module tables, pins and links of runs hold these texts: rounded otherwise, they would not be found again.
    """
    every = sorted({float(end) for pair in ends for end in pair})
    for digits in range(2, 17):
        texts = {end: _text(end, digits) for end in every}
        if all(float(texts[a]) < float(texts[b]) for a, b in itertools.pairwise(every)):
            return [(texts[float(low)], texts[float(high)]) for low, high in ends]
    return ends


def _text(value: float, digits: int) -> str:
    """A number with so many digits, whole where it is whole; with an exponent only where it is very large or small."""
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:.0f}"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits}g}"
    text = f"{value:.{max(digits - 1 - math.floor(math.log10(abs(value))), 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def some_of(tokens: tuple[int, ...], most: int) -> tuple[int, ...]:
    """At most so many of the values of a range, at equal distances and around its middle."""
    num = min(most, len(tokens))
    return tuple(tokens[(2 * place + 1) * len(tokens) // (2 * num)] for place in range(num))


def shown_layer(spec: SpaceSpec, token: int) -> str:
    """The text that module tables have for a layer: of its range where it is in one, else its token."""
    known = range_of(spec, token)
    return spec.tokens[token] if known is None else known.text


def range_of(spec: SpaceSpec, token: int) -> Range | None:
    """The range that a token is in; None where its unit has none. A token in a range stands in one unit only."""
    return _lookup(spec)[0].get(token)


def tokens_of(spec: SpaceSpec, text: str) -> tuple[int, ...]:
    """The tokens that a layer's text in a module table means: all of a range's, else the one.

    Raises:
        ValueError: it is none of the space.
    """
    known = _lookup(spec)[1].get(text)
    return (spec.tokens.index(text),) if known is None else known.tokens


def standing_tokens(spec: SpaceSpec) -> dict[str, int]:
    """{text of a range: the one token that stands for it in an architecture}."""
    return {text: one.standing for text, one in _lookup(spec)[1].items()}


def is_layer(spec: SpaceSpec, text: str) -> bool:
    """Whether a space has such a token or range."""
    return text in spec.tokens or text in _lookup(spec)[1]


def _lookup(spec: SpaceSpec) -> tuple[dict[int, Range], dict[str, Range]]:
    """Every range by its tokens and by its text, worked out once."""
    known: tuple[dict[int, Range], dict[str, Range]] | None = spec.__dict__.get("_range_lookup")
    if known is None:
        every = [one for own in ranges_of(spec).values() for one in own]
        known = {token: one for one in every for token in one.tokens}, {one.text: one for one in every}
        spec.__dict__["_range_lookup"] = known
    return known


def by_range(codes: Codes, spec: SpaceSpec) -> Codes:
    """(n, num_positions) codes in which every value is the one that stands for its range; themselves without ranges."""
    ranges = ranges_of(spec)
    if not ranges:
        return codes
    out = codes.copy()
    for index, own in ranges.items():
        stands = np.arange(-1, len(spec.tokens), dtype=np.int16)  # ABSENT is -1: one place before the first token
        for one in own:
            stands[np.array(one.tokens) + 1] = one.standing
        column = spec.units[index].positions[0]
        out[:, column] = stands[codes[:, column] - ABSENT]
    return out


def with_ranges(group: ModuleGroup, spec: SpaceSpec) -> ModuleGroup:
    """A group whose modules are shown by their ranges; itself where its place has none."""
    places = {one: place for place, one in enumerate(ranges_of(spec).get(spec.unit_of(group.positions[0]), ()))}
    own = [range_of(spec, int(token)) for token in group.codes[:, 0]] if places else []
    number = [places[one] for one in own if one is not None]
    if not number:
        return group
    ranges: NDArray[np.intp] = np.unique(number, return_inverse=True)[1]
    return replace(group, ranges=ranges)
