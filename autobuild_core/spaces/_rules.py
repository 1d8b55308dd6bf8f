"""Rules on combinations of layers: conditions and forbidden clauses of a space, for many rows at once."""

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes, Condition, SpaceSpec

Mask = NDArray[np.bool_]


class Rules:
    """The conditions and clauses of a space; false where it has none.

    Args:
        spec: the space.
    """

    def __init__(self, spec: SpaceSpec) -> None:
        self._spec = spec
        self.conditions: dict[int, list[Condition]] = {}  # by the unit that they are on
        for condition in spec.conditions:
            self.conditions.setdefault(condition.unit, []).append(condition)
        self._deciding: dict[int, set[int]] = {}  # a unit with those that its presence hangs on, at any remove
        for unit in range(len(spec.units)):
            parents = [condition.parent for condition in self.conditions.get(unit, [])]
            self._deciding[unit] = {unit}.union(*(self._deciding[parent] for parent in parents))

    def __bool__(self) -> bool:
        return bool(self._spec.conditions or self._spec.forbidden)

    def holds(self, codes: Codes, unit: int, tokens: tuple[int, ...]) -> Mask:
        """(n,) rows in which a unit has one of the tokens at one of its positions; ABSENT stands for no layer at all."""
        layers = codes[:, list(self._spec.units[unit].positions)]
        wanted = np.array([token for token in tokens if token != ABSENT], layers.dtype)
        found = (layers[:, :, None] == wanted).any((1, 2))  # of a few tokens: a fifth of the time of np.isin
        return np.asarray(found | (layers == ABSENT).all(1) if ABSENT in tokens else found, bool)

    def active(self, codes: Codes, unit: int) -> Mask:
        """(n,) rows in which all conditions on a unit hold; all rows where there is none."""
        active = np.ones(len(codes), bool)
        for condition in self.conditions.get(unit, []):
            active &= self.holds(codes, condition.parent, condition.tokens)
        return active

    def misplaced(self, codes: Codes, unit: int) -> Mask:
        """(n,) rows in which a conditional unit has layers against its conditions, or none although they hold."""
        if unit not in self.conditions:
            return np.zeros(len(codes), bool)
        there = (codes[:, list(self._spec.units[unit].positions)] != ABSENT).any(1)
        return np.asarray(there != self.active(codes, unit), bool)

    def settled(self, row: list[int]) -> list[int]:
        """A row in which units whose conditions do not hold have no layers, whatever stood there."""
        codes = np.array([row], np.int16)
        for unit in range(len(self._spec.units)):
            if not self.active(codes, unit)[0]:
                codes[:, list(self._spec.units[unit].positions)] = ABSENT
        settled: list[int] = codes[0].tolist()
        return settled

    def clauses(self, codes: Codes) -> Mask:
        """(n, clauses) which forbidden combinations the rows have."""
        out = np.ones((len(codes), len(self._spec.forbidden)), bool)
        for number, clause in enumerate(self._spec.forbidden):
            for unit, tokens in clause:
                out[:, number] &= self.holds(codes, unit, tokens)
        return out

    def blamed(self, codes: Codes) -> Mask:
        """(n, units) units that have a part in a rule that a row breaks; no line has one exactly where the row keeps to all."""
        out = np.zeros((len(codes), len(self._spec.units)), bool)
        for unit in self.conditions:
            out[:, list(self._deciding[unit])] |= self.misplaced(codes, unit)[:, None]
        for clause, broken in zip(self._spec.forbidden, self.clauses(codes).T, strict=True):
            out[:, list(set().union(*(self._deciding[unit] for unit, _ in clause)))] |= broken[:, None]
        return out

    def fits(self, codes: Codes, unit: int, layers: Codes) -> Mask:
        """(n, m) which layers can follow in a unit of rows whose earlier units are settled and keep to all rules.

        Args:
            codes: (n, num_positions); later units do not matter.
            unit: whose layers are asked about.
            layers: (m, positions of the unit), ABSENT where there is none.
        """
        options = np.full((len(layers), codes.shape[1]), ABSENT, np.int16)
        options[:, list(self._spec.units[unit].positions)] = layers
        fits = np.ones((len(codes), len(layers)), bool)
        if unit in self.conditions:
            fits &= self.active(codes, unit)[:, None] == (layers != ABSENT).any(1)
        for clause in self._spec.forbidden:
            if max(member for member, _ in clause) == unit:
                before, here = np.ones(len(codes), bool), np.ones(len(layers), bool)
                for member, tokens in clause:
                    if member == unit:
                        here &= self.holds(options, unit, tokens)
                    else:
                        before &= self.holds(codes, member, tokens)
                fits &= ~(before[:, None] & here)
        return fits

    def complaint(self, row: list[int]) -> str | None:
        """Which rule a row breaks, in words; None where it keeps to all."""
        codes = np.array([row], np.int16)
        for unit, conditions in self.conditions.items():
            if self.misplaced(codes, unit)[0]:
                label, got = self._spec.units[unit].label, self._layers(row, unit)
                needed = " and ".join(f"{self._units(c.parent)} has {self._tokens(c.tokens)}" for c in conditions)
                has = ", ".join(dict.fromkeys(f"{self._units(c.parent)} {self._layers(row, c.parent)}" for c in conditions))
                return f"unit {label}: got {got} with {has}, expected layers exactly where {needed}."
        for clause, broken in zip(self._spec.forbidden, self.clauses(codes)[0], strict=True):
            if broken:
                got = " with ".join(f"{self._units(unit)} {self._layers(row, unit)}" for unit, _ in clause)
                return f"architecture: got {got}, expected another combination: this one is forbidden."
        return None

    def _units(self, unit: int) -> str:
        return self._spec.units[unit].label

    def _tokens(self, tokens: tuple[int, ...]) -> str:
        return " or ".join("no layer" if token == ABSENT else self._spec.tokens[token] for token in tokens)

    def _layers(self, row: list[int], unit: int) -> str:
        layers = [self._spec.tokens[row[p]] for p in self._spec.units[unit].positions if row[p] != ABSENT]
        return ", ".join(layers) or "no layer"
