"""Search spaces: one file each. This base holds all that follows from a `SpaceSpec`; a space adds its encoding.

Averages over a space are uniform over encodings as written: with variable depth, depth uniform per unit, then
layers uniform. Folding equal networks never changes an encoding that the user gave.
"""

import itertools
import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core import registry
from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.records import ABSENT, Codes, ModuleGroup, SpaceSpec, UnitSpec

ENUMERATION_LIMIT = 50_000


class Space(ABC):
    """A search space of sequences, or of cells where its spec says what each position reads.

    Args:
        spec: the space as data; spaces that are always the same take their `default_spec()`.
    """

    title: ClassVar[str]

    def __init__(self, spec: SpaceSpec | None = None) -> None:
        self.spec = spec or self.default_spec()
        self.token_index = {token: i for i, token in enumerate(self.spec.tokens)}

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        """The spec when none is given.

        Raises:
            ConfigError: the space is inferred from data and has no default.
        """
        raise ConfigError(f"space {cls.__module__.rsplit('.')[-1]}: got no spec, expected one inferred from data.")

    @abstractmethod
    def parse(self, native: Any) -> list[int]:
        """A native encoding as one row of codes.

        Raises:
            ArchitectureError: it is not in the space.
        """

    @abstractmethod
    def native(self, row: Codes) -> Any:
        """A row of codes (num_positions,) in the native encoding, ready for JSON."""

    @final
    def canonical(self, codes: Codes) -> Codes:
        """(n, num_positions) codes with every network in one representative encoding.

        Args:
            codes: (n, num_positions) whole architectures: a module alone has none, it would pass for another one's.

        Raises:
            ArchitectureError: a row is no whole architecture.
        """
        self.check_whole(codes)
        return self._canonical(codes)

    def _canonical(self, codes: Codes) -> Codes:
        """(n, num_positions) representatives of whole architectures; by default each encoding is its own."""
        return codes

    def check_whole(self, codes: Codes) -> None:
        """Returns when every row of (n, num_positions) codes has in each unit a number of layers that it may have, without gaps.

        Raises:
            ArchitectureError: naming the first row that has not, its unit, what it got and what it expects.
        """
        if codes.ndim != 2 or codes.shape[1] != self.spec.num_positions:
            raise ArchitectureError(f"architectures: got codes of shape {codes.shape}, expected (n, {self.spec.num_positions}).")
        absent = codes == ABSENT
        if not absent.any():
            return
        wrong = absent[:, self._never_absent].any(1)
        before, after = self._neighbours
        if len(before):
            ends = absent[:, after] & ~absent[:, before]
            wrong |= ends[:, ~self._may_end].any(1)
            wrong |= (absent[:, before] & ~absent[:, after]).any(1)
        if wrong.any():
            row = int(np.argmax(wrong))
            try:
                self.check(codes[row].tolist())
            except ArchitectureError as error:
                raise ArchitectureError(
                    f"architecture {row + 1} of {len(codes)}: got a part of one, expected it whole; {error}"
                ) from None

    @cached_property
    def _never_absent(self) -> list[int]:
        """The first positions of units that have at least a layer: with them the least depths hold, as there are no gaps."""
        return [p for unit in self.spec.units for p in unit.positions[: min(unit.depths)]]

    @cached_property
    def _neighbours(self) -> tuple[list[int], list[int]]:
        """Positions, and the one behind each in the same unit."""
        pairs = [pair for unit in self.spec.units for pair in itertools.pairwise(unit.positions)]
        return [before for before, _ in pairs], [after for _, after in pairs]

    @cached_property
    def _may_end(self) -> NDArray[np.bool_]:
        """(neighbours,) whether a unit may have its last layer at the first of two neighbours."""
        return np.array([n + 1 in u.depths for u in self.spec.units for n in range(len(u.positions) - 1)], bool)

    def hash_networks(self, codes: Codes) -> NDArray[np.uint64]:
        """(n,) canonical hash: equal exactly for equal networks (up to collisions of 64 bits).

        Raises:
            ArchitectureError: a row of codes is no whole architecture.
        """
        if not len(codes):
            return np.zeros(0, np.uint64)
        hashes: NDArray[np.uint64] = pd.util.hash_pandas_object(pd.DataFrame(self.canonical(codes)), index=False).to_numpy(
            np.uint64
        )
        return hashes

    def check(self, row: list[int]) -> list[int]:
        """The row itself when every unit has an allowed depth and allowed tokens without gaps.

        Raises:
            ArchitectureError: naming the unit, what it got and what it expects.
        """
        if len(row) != self.spec.num_positions:
            raise ArchitectureError(f"architecture: got {len(row)} positions, expected {self.spec.num_positions}.")
        for unit in self.spec.units:
            layers = [row[p] for p in unit.positions]
            depth = sum(x != ABSENT for x in layers)
            if depth not in unit.depths or ABSENT in layers[:depth]:
                allowed = ", ".join(map(str, unit.depths))
                raise ArchitectureError(f"unit {unit.label}: got {depth} layers, expected {allowed} without gaps.")
            for layer in layers[:depth]:
                if layer not in unit.tokens:
                    allowed = ", ".join(self.spec.tokens[t] for t in unit.tokens[:12])
                    raise ArchitectureError(f"unit {unit.label}: got {self.spec.tokens[layer]}, expected one of {allowed}.")
            if unit.tied and len(set(layers[:depth])) > 1:
                raise ArchitectureError(f"unit {unit.label}: got different layers, expected all alike.")
        return row

    def describe(self, row: Codes) -> list[tuple[str, list[str]]]:
        """(unit label, its layer tokens) of every unit, for people."""
        tokens = self.spec.tokens
        return [(u.label, [tokens[row[p]] for p in u.positions if row[p] != ABSENT]) for u in self.spec.units]

    def unit_size(self, unit: UnitSpec) -> int:
        """Number of modules that can fill the unit."""
        if unit.tied:
            return sum(len(unit.tokens) if depth else 1 for depth in unit.depths)
        return sum(len(unit.tokens) ** depth for depth in unit.depths)

    @property
    def size(self) -> int:
        """Number of encodings."""
        return math.prod(self.unit_size(unit) for unit in self.spec.units)

    def unit_modules(self, unit_index: int) -> list[ModuleGroup]:
        """Every module of the unit, one group a depth (a depth of 0 has no layer and is left out)."""
        unit = self.spec.units[unit_index]
        groups = []
        for depth in unit.depths:
            if depth:
                groups.append(ModuleGroup(unit.positions[:depth], self._layers(unit, depth), unit_index))
        return groups

    @staticmethod
    def _layers(unit: UnitSpec, length: int) -> Codes:
        """(m, length) every sequence of allowed tokens."""
        if unit.tied:
            return np.repeat(np.array(unit.tokens, np.int16)[:, None], length, axis=1)
        return np.array(list(itertools.product(unit.tokens, repeat=length)), np.int16)

    def window_positions(self, length: int) -> list[tuple[int, ...]]:
        """Where windows of a length stand: at consecutive positions, in a cell at operations joined head to tail by data flow.

        Where the depth varies they stay within a unit.
        """
        owners = [self.spec.unit_of(p) for p in range(self.spec.num_positions)]
        if self.spec.reads:
            paths: list[tuple[int, ...]] = [(p,) for p in range(self.spec.num_positions)]
            for _ in range(length - 1):
                paths = [(*path, p) for path in paths for p, read in enumerate(self.spec.reads) if read == owners[path[-1]]]
            return paths
        starts = range(self.spec.num_positions + 1 - length)
        crossing = self.spec.fixed_depth
        return [tuple(range(s, s + length)) for s in starts if crossing or len(set(owners[s : s + length])) == 1]

    def windows(self, length: int) -> list[ModuleGroup]:
        """Every module at the `window_positions` of a length."""
        groups = []
        for positions in self.window_positions(length):
            owners = [self.spec.units[self.spec.unit_of(p)] for p in positions]
            whole = [i for i, u in enumerate(self.spec.units) if u.positions == positions and u.depths == (length,)]
            unit = whole[0] if whole and not self.spec.reads else None  # a cell's unit is scored at its sum, a window is not
            groups.append(ModuleGroup(positions, self._window_layers(owners), unit))
        return groups

    def group_size(self, positions: tuple[int, ...]) -> int:
        """Number of modules that can stand at these positions, all of them present."""
        sizes = []
        for unit in self.spec.units:
            inside = sum(p in unit.positions for p in positions)
            sizes.append(len(unit.tokens) ** (min(inside, 1) if unit.tied else inside))
        return math.prod(sizes)

    def _window_layers(self, owners: list[UnitSpec]) -> Codes:
        """(m, length) every sequence that the units owning each position allow."""
        parts = []
        for unit, run in itertools.groupby(owners, key=lambda o: o):
            parts.append([tuple(row) for row in self._layers(unit, len(list(run)))])
        return np.array([sum(combination, ()) for combination in itertools.product(*parts)], np.int16)

    def sample(self, num: int, rng: np.random.Generator) -> Codes:
        """(num, num_positions) independent draws, uniform over encodings (depth uniform, then layers uniform)."""
        codes = np.full((num, self.spec.num_positions), ABSENT, np.int16)
        for unit in self.spec.units:
            width = len(unit.positions)
            layers = rng.choice(np.array(unit.tokens, np.int16), size=(num, 1 if unit.tied else width))
            depth = rng.choice(np.array(unit.depths), size=(num, 1))
            inside = np.arange(width) < depth
            codes[:, list(unit.positions)] = np.where(inside, np.broadcast_to(layers, (num, width)), ABSENT)
        return codes

    def enumerate(self) -> Codes | None:
        """(size, num_positions) every encoding; None where there are more than ENUMERATION_LIMIT."""
        if self.size > ENUMERATION_LIMIT:
            return None
        blocks = []
        for index, unit in enumerate(self.spec.units):
            rows = []
            for group in self.unit_modules(index):
                block = np.full((len(group), len(unit.positions)), ABSENT, np.int16)
                block[:, : len(group.positions)] = group.codes
                rows.append(block)
            if 0 in unit.depths:
                rows.append(np.full((1, len(unit.positions)), ABSENT, np.int16))
            blocks.append(np.concatenate(rows))
        grid = np.indices([len(block) for block in blocks]).reshape(len(blocks), -1)
        codes = np.empty((self.size, self.spec.num_positions), np.int16)
        for unit, block, modules in zip(self.spec.units, blocks, grid, strict=True):
            codes[:, list(unit.positions)] = block[modules]
        return codes

    def weights(self, codes: Codes) -> NDArray[np.float64]:
        """(n,) probability of each encoding under `sample`, summing to one over `enumerate()`."""
        weight = np.ones(len(codes))
        for unit in self.spec.units:
            depths = (codes[:, list(unit.positions)] != ABSENT).sum(1)
            per_depth = {d: 1 if unit.tied or not d else len(unit.tokens) ** (d - 1) for d in unit.depths}
            choices = np.array([len(unit.tokens) * per_depth.get(d, 1) if d else 1 for d in range(len(unit.positions) + 1)])
            weight /= len(unit.depths) * choices[depths]
        return weight

    def mutate(self, codes: Codes, rng: np.random.Generator) -> Codes:
        """(n, num_positions) neighbours: in one random unit of each row one layer, or the depth, is drawn anew."""
        fresh, out = self.sample(len(codes), rng), codes.copy()
        chosen = rng.integers(len(self.spec.units), size=len(codes))
        change_depth = rng.random(len(codes)) < 1 / 3
        for index, unit in enumerate(self.spec.units):
            columns = list(unit.positions)
            for row in np.flatnonzero(chosen == index):
                depth = int((codes[row, columns] != ABSENT).sum())
                new_depth = int((fresh[row, columns] != ABSENT).sum())
                if unit.tied or not depth or not new_depth:
                    out[row, columns] = fresh[row, columns]
                elif change_depth[row] and len(unit.depths) > 1:
                    layers = np.where(codes[row, columns] == ABSENT, rng.choice(unit.tokens, len(columns)), codes[row, columns])
                    out[row, columns] = np.where(np.arange(len(columns)) < new_depth, layers, ABSENT)
                else:
                    out[row, columns[int(rng.integers(depth))]] = rng.choice(unit.tokens)
        return out


def load_space(spec: SpaceSpec) -> Space:
    """The space a spec belongs to.

    Raises:
        ConfigError: no file in spaces/ has its name.
    """
    return registry.load("spaces", spec.name, Space)(spec)  # type: ignore[type-abstract]


def space_named(name: str) -> Space:
    """A space that needs no data to be defined.

    Raises:
        ConfigError: there is none of that name, or it is inferred from data.
    """
    return registry.load("spaces", name, Space)()  # type: ignore[type-abstract]
