"""Search spaces: one file each. This base holds all that follows from a `SpaceSpec`; a space adds its encoding.

Averages over a space are uniform over encodings as written: with variable depth, depth uniform per unit, then layers
uniform (of a unit that lists its modules, those of the depth). Where a unit has conditions, its parents are drawn first;
forbidden combinations are drawn again. Folding equal networks never changes an encoding that the user gave.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache, cached_property
from typing import Any, ClassVar, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core import registry
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec, UnitSpec
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.errors import ArchitectureError, ConfigError, StudioError
from autobuild_core.spaces._listed import Listed
from autobuild_core.spaces._rules import Mask, Rules

ENUMERATION_LIMIT = 50_000
MOST_OF_DEPTH, SOME_OF_DEPTH = 100_000, 4_096  # of more whole-unit modules of one depth so many are looked at
BEGINNINGS = 4  # times as many unfinished rows are held while a space with rules is enumerated
REDRAWS, SHARE_DRAWS = 200, 20_000  # rounds of drawing forbidden rows again; draws that tell which share of them is valid
COMPLETIONS, LOCAL = 150, 50  # rounds of mending a row; those in which only units that break a rule are drawn anew
PROBES = 8  # architectures into which a module is put to see whether it can be there at all


class Space(ABC):
    """A search space: what is valid, drawn, enumerated and changed; how data flows in it is its topology's matter.

    Args:
        spec: the space as data; spaces that are always the same take their `default_spec()`.

    Raises:
        ConfigError: the list of a unit's modules is not sound.
    """

    title: ClassVar[str]

    def __init__(self, spec: SpaceSpec | None = None) -> None:
        self.spec = spec or self.default_spec()
        self.token_index = {token: i for i, token in enumerate(self.spec.tokens)}
        self.rules = Rules(self.spec)
        self.listed = {index: Listed(unit) for index, unit in enumerate(self.spec.units) if unit.modules}

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        """The spec when none is given.

        Raises:
            ConfigError: the space is inferred from data and has no default.
        """
        raise ConfigError(f"space {cls.__module__.rsplit('.')[-1]}: got no spec, expected one inferred from data.")

    @classmethod
    def holding(cls, native: Any) -> "Space | None":
        """The space of this kind that an architecture says it is of, where no data define it; None where it is of none.

        Args:
            native: in its native encoding.
        """
        try:
            space = _default(cls)
            space.parse(native)
        except StudioError:  # it is inferred from data, or the architecture is another space's
            return None
        return space

    @abstractmethod
    def parse(self, native: Any) -> list[int]:
        """A native encoding as one row of codes.

        Raises:
            ArchitectureError: it is not in the space.
        """

    @abstractmethod
    def native(self, row: Codes) -> Any:
        """A row of codes (num_positions,) in the native encoding, ready for JSON."""

    def native_module(self, unit_index: int, layers: Sequence[str]) -> list[Any]:
        """A module of a unit as lists of layer tokens, nested as its part of the published lists of reduced spaces.

        Args:
            unit_index: the unit that it fills.
            layers: its tokens, upstream first.
        """
        return list(layers)

    def context_of(self, native: Any) -> dict[str, Any]:
        """A native encoding's context: {context: value} beside the architecture, such as input resolution."""
        return {}

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
        """The row itself when every unit has an allowed depth and allowed tokens without gaps, and all rules are kept.

        Raises:
            ArchitectureError: naming the unit, what it got and what it expects.
        """
        if len(row) != self.spec.num_positions:
            raise ArchitectureError(f"architecture: got {len(row)} positions, expected {self.spec.num_positions}.")
        for index, unit in enumerate(self.spec.units):
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
            if index in self.listed and tuple(layers[:depth]) not in unit.modules:
                got = ", ".join(self.spec.tokens[t] for t in layers[:depth]) or "no layer"
                raise ArchitectureError(f"unit {unit.label}: got {got}, expected one of its {len(unit.modules)} modules.")
        if self.rules and (complaint := self.rules.complaint(row)):
            raise ArchitectureError(complaint)
        return row

    def valid(self, codes: Codes) -> Mask:
        """(n,) which rows of (n, num_positions) codes `check` accepts."""
        valid: Mask = ~np.asarray(self._broken(codes).any(1), bool)
        for unit in self.spec.units:
            layers = codes[:, list(unit.positions)]
            there = layers != ABSENT
            depth = there.sum(1)
            valid &= np.isin(depth, unit.depths) & (there == (np.arange(layers.shape[1]) < depth[:, None])).all(1)
            valid &= (np.isin(layers, unit.tokens) | ~there).all(1)
            if unit.tied:
                valid &= ((layers == layers[:, :1]) | ~there).all(1)
        return valid

    def _broken(self, codes: Codes) -> Mask:
        """(n, units) units that have a part in a broken rule, or layers that their list has not."""
        broken = self.rules.blamed(codes)
        for index, listed in self.listed.items():
            broken[:, index] |= ~listed.contains(codes[:, list(self.spec.units[index].positions)])
        return broken

    def describe(self, row: Codes) -> list[tuple[str, list[str]]]:
        """(unit label, its layer tokens) of every unit, for people."""
        tokens = self.spec.tokens
        return [(u.label, [tokens[row[p]] for p in u.positions if row[p] != ABSENT]) for u in self.spec.units]

    def unit_size(self, unit: UnitSpec) -> int:
        """Number of modules that can fill the unit."""
        if unit.modules:
            return len(unit.modules)
        if unit.tied:
            return sum(len(unit.tokens) if depth else 1 for depth in unit.depths)
        return sum(len(unit.tokens) ** depth for depth in unit.depths)

    @property
    def size(self) -> int:
        """Number of encodings; of a space with rules that is too large to enumerate, as random draws estimate it."""
        if self._valid_codes is not None:
            return len(self._valid_codes)
        product = math.prod(self.unit_size(unit) for unit in self.spec.units)
        return round(product * self._size_share) if self.rules else product

    @cached_property
    def _size_share(self) -> Fraction:
        """Estimated share of the product of all units' modules that is valid."""
        drawn = self._draw(SHARE_DRAWS, np.random.default_rng(0))
        shares = np.where(self.rules.clauses(drawn).any(1), 0.0, 1.0)  # valid, over the draw's probability times the product
        for index, unit in enumerate(self.spec.units):
            shares /= self._unit_probability(drawn, index) * self.unit_size(unit)
        return Fraction(float(shares.mean()))

    def unit_modules(self, unit_index: int) -> list[ModuleGroup]:
        """Every module of the unit, one group a depth (a depth of 0 has no layer and is left out).

        Modules that no valid architecture has are left out, and of more than MOST_OF_DEPTH modules all but SOME_OF_DEPTH: those
        of layers at equal distances, or where fewer than 3 layers would be left random ones, always the same.
        """
        unit = self.spec.units[unit_index]
        groups = []
        for depth in unit.depths:
            if depth:
                layers = self._some_layers(unit, depth) if self.too_many(unit, depth) else self._modules(unit_index, depth)
                groups.append(ModuleGroup(unit.positions[:depth], layers, unit_index))
        return self._possible(groups)

    @staticmethod
    def too_many(unit: UnitSpec, depth: int) -> bool:
        """Whether only some of a unit's modules of a depth are in `unit_modules`."""
        return not unit.tied and not unit.modules and len(unit.tokens) ** depth > MOST_OF_DEPTH

    def _modules(self, index: int, depth: int) -> Codes:
        """(m, depth) every module of a unit and depth."""
        return self.listed[index].of_depth(depth) if index in self.listed else self._layers(self.spec.units[index], depth)

    @staticmethod
    def _some_layers(unit: UnitSpec, depth: int) -> Codes:
        """(at most SOME_OF_DEPTH, depth) sequences of allowed tokens."""
        tokens = np.array(unit.tokens, np.int16)
        num = int(SOME_OF_DEPTH ** (1 / depth) + 1e-9)
        if num < 3:
            return np.unique(np.random.default_rng(depth).choice(tokens, (SOME_OF_DEPTH, depth)), axis=0)
        spread = tokens[np.unique(np.linspace(0, len(tokens) - 1, num).round().astype(int))]
        return np.array(list(itertools.product(spread.tolist(), repeat=depth)), np.int16)

    def _possible(self, groups: list[ModuleGroup]) -> list[ModuleGroup]:
        """The groups without modules that no valid architecture has."""
        if not self.rules:
            return groups
        found, rng = [], np.random.default_rng(0)
        for group in groups:
            codes = self._draw(PROBES * len(group), rng)
            kept = np.isin(np.arange(self.spec.num_positions), group.positions)
            if group.unit is not None:
                codes[:, list(self.spec.units[group.unit].positions)] = ABSENT
            codes[:, list(group.positions)] = np.repeat(group.codes, PROBES, axis=0)
            there = self.complete(codes, kept, rng)[1].reshape(-1, PROBES).any(1)
            if there.any():
                found.append(ModuleGroup(group.positions, group.codes[there], group.unit))
        return found

    @staticmethod
    def _layers(unit: UnitSpec, length: int) -> Codes:
        """(m, length) every sequence of allowed tokens."""
        if unit.tied:
            return np.repeat(np.array(unit.tokens, np.int16)[:, None], length, axis=1)
        return np.array(list(itertools.product(unit.tokens, repeat=length)), np.int16)

    def windows(self, length: int) -> list[ModuleGroup]:
        """Every module at the topology's `window_positions` of a length."""
        groups, topology = [], topology_of(self.spec)
        for positions in topology.window_positions(length):
            whole = [i for i, u in enumerate(self.spec.units) if u.positions == positions and u.depths == (length,)]
            unit = whole[0] if whole and topology.window_is_unit(whole[0]) else None
            groups.append(ModuleGroup(positions, self._window_layers(positions), unit))
        return self._possible([group for group in groups if len(group)])

    def group_size(self, positions: tuple[int, ...]) -> int:
        """Number of modules that can stand at these positions, all of them present."""
        sizes = []
        for index, unit in enumerate(self.spec.units):
            places = [unit.positions.index(p) for p in positions if p in unit.positions]
            if index in self.listed and places:
                sizes.append(len(self.listed[index].at(places)))
            else:
                sizes.append(len(unit.tokens) ** (min(len(places), 1) if unit.tied else len(places)))
        return math.prod(sizes)

    def _window_layers(self, positions: tuple[int, ...]) -> Codes:
        """(m, length) every sequence that the units owning each position allow."""
        parts = []
        for index, run in itertools.groupby(positions, key=self.spec.unit_of):
            places = [self.spec.units[index].positions.index(p) for p in run]
            listed = self.listed.get(index)
            layers = self._layers(self.spec.units[index], len(places)) if listed is None else listed.at(places)
            parts.append([tuple(row) for row in layers])
        every = [sum(combination, ()) for combination in itertools.product(*parts)]
        return np.array(every, np.int16).reshape(-1, len(positions))

    def sample(self, num: int, rng: np.random.Generator) -> Codes:
        """(num, num_positions) independent draws, uniform over encodings (depth uniform, then layers uniform).

        Raises:
            ConfigError: the forbidden combinations leave nothing that random draws would find.
        """
        codes = self._draw(num, rng)
        left = np.flatnonzero(self.rules.clauses(codes).any(1))
        for _ in range(REDRAWS):
            if not len(left):
                return codes
            codes[left] = self._draw(len(left), rng)
            left = left[self.rules.clauses(codes[left]).any(1)]
        every = self._valid_codes
        if every is None or not len(every):
            got = f"{num * REDRAWS:,} forbidden combinations in as many random draws"
            raise ConfigError(f"space: got {got}, expected some that are allowed; look at the forbidden combinations.")
        codes[left] = every[rng.choice(len(every), len(left), p=self.weights(every))]
        return codes

    def _draw(self, num: int, rng: np.random.Generator, active: bool = False) -> Codes:
        """(num, num_positions) draws in which conditions hold and forbidden combinations occur.

        Args:
            num: how many.
            rng: draws them.
            active: units with conditions have layers everywhere, as where their conditions hold.
        """
        codes = np.full((num, self.spec.num_positions), ABSENT, np.int16)
        for index, unit in enumerate(self.spec.units):
            layers = self._draw_unit(index, num, rng)
            if index in self.rules.conditions and not active:
                layers = np.where(self.rules.active(codes, index)[:, None], layers, ABSENT)
            codes[:, list(unit.positions)] = layers
        return codes

    def _draw_unit(self, index: int, num: int, rng: np.random.Generator, by_module: bool = False) -> Codes:
        """(num, positions of the unit) layers of a unit, depth uniform, then modules of the depth uniform.

        Args:
            index: of the unit.
            num: how many.
            rng: draws them.
            by_module: all modules are alike likely instead, so that most have the depth that most have.
        """
        unit, depths = self.spec.units[index], self._drawn_depths(index)
        if index in self.listed:
            own = self.listed[index]
            return own.rows[rng.integers(len(own.rows), size=num)] if by_module else own.draw(num, depths, rng)
        width = len(unit.positions)
        layers = np.array(unit.tokens, np.int16)[rng.integers(len(unit.tokens), size=(num, 1 if unit.tied else width))]
        if by_module:
            sizes = np.array([self._num_modules(index, depth) for depth in depths], float)
            depth = rng.choice(np.array(depths), size=(num, 1), p=sizes / sizes.sum())
        else:
            depth = np.array(depths)[rng.integers(len(depths), size=(num, 1))]
        return np.where(np.arange(width) < depth, layers, np.int16(ABSENT))

    def _drawn_depths(self, index: int) -> tuple[int, ...]:
        """The depths that a unit is drawn with: where it has conditions and they hold, those with layers."""
        depths = self.spec.units[index].depths
        return tuple(depth for depth in depths if depth) if index in self.rules.conditions else depths

    def enumerate(self) -> Codes | None:
        """(size, num_positions) every encoding; None where there are more than ENUMERATION_LIMIT."""
        if self.rules:
            return None if self._valid_codes is None else self._valid_codes.copy()
        if self.size > ENUMERATION_LIMIT:
            return None
        blocks = [self._fillings(index) for index in range(len(self.spec.units))]
        grid = np.indices([len(block) for block in blocks]).reshape(len(blocks), -1)
        codes = np.empty((self.size, self.spec.num_positions), np.int16)
        for unit, block, modules in zip(self.spec.units, blocks, grid, strict=True):
            codes[:, list(unit.positions)] = block[modules]
        return codes

    def _fillings(self, index: int) -> Codes:
        """(m, positions of the unit) every module of a unit, and no layers at all where that may be."""
        unit, rows = self.spec.units[index], []
        if index in self.listed:
            return self.listed[index].rows.copy()
        for depth in filter(None, unit.depths):
            layers = self._layers(unit, depth)
            block = np.full((len(layers), len(unit.positions)), ABSENT, np.int16)
            block[:, :depth] = layers
            rows.append(block)
        if 0 in unit.depths:
            rows.append(np.full((1, len(unit.positions)), ABSENT, np.int16))
        return np.concatenate(rows)

    @cached_property
    def _valid_codes(self) -> Codes | None:
        """Every encoding of a space with rules, unit by unit; None where they are too many, or there are no rules."""
        if not self.rules:
            return None
        codes = np.full((1, self.spec.num_positions), ABSENT, np.int16)
        for index, unit in enumerate(self.spec.units):
            if self.unit_size(unit) > ENUMERATION_LIMIT or len(codes) * self.unit_size(unit) > BEGINNINGS**2 * ENUMERATION_LIMIT:
                return None
            block = self._fillings(index)
            before, after = np.nonzero(self.rules.fits(codes, index, block))
            if len(before) > BEGINNINGS * ENUMERATION_LIMIT:
                return None
            codes = codes[before]
            codes[:, list(unit.positions)] = block[after]
        return codes if len(codes) <= ENUMERATION_LIMIT else None

    def weights(self, codes: Codes) -> NDArray[np.float64]:
        """(n,) probability of each valid encoding under `sample`, summing to one over `enumerate()`."""
        weights = self._probability(codes)
        return weights / self._valid_share if self.spec.forbidden else weights

    @cached_property
    def _valid_share(self) -> float:
        """Share of the draws that no clause forbids."""
        if self._valid_codes is not None:
            return float(self._probability(self._valid_codes).sum())
        drawn = self._draw(SHARE_DRAWS, np.random.default_rng(0))
        return max(float((~self.rules.clauses(drawn).any(1)).mean()), 1 / SHARE_DRAWS)

    def _probability(self, codes: Codes) -> NDArray[np.float64]:
        """(n,) probability of each encoding under `_draw`."""
        weight = np.ones(len(codes))
        for index in range(len(self.spec.units)):
            weight *= self._unit_probability(codes, index)
        return weight

    def _unit_probability(self, codes: Codes, index: int) -> NDArray[np.float64]:
        """(n,) probability of each encoding's layers in a unit, those of earlier units given, under `_draw`."""
        unit, drawn = self.spec.units[index], self._drawn_depths(index)
        depths = (codes[:, list(unit.positions)] != ABSENT).sum(1)
        choices = np.array([self._num_modules(index, depth) for depth in range(len(unit.positions) + 1)])
        alike = np.where(depths > 0, len(drawn), 1) if index in self.rules.conditions else len(drawn)
        probability: NDArray[np.float64] = 1 / (alike * choices[depths])
        return probability

    def _num_modules(self, index: int, depth: int) -> int:
        """Number of modules of a unit with so many layers, at least 1."""
        unit = self.spec.units[index]
        if not depth:
            return 1
        if index in self.listed:
            return max(self.listed[index].num_of_depth(depth), 1)
        free: int = 1 if unit.tied or depth not in unit.depths else depth
        num: int = len(unit.tokens) ** free
        return num

    def complete(self, codes: Codes, kept: Mask, rng: np.random.Generator) -> tuple[Codes, Mask]:
        """Mends rows after modules were put into them, so that they keep to all rules and to the lists of units.

        A unit with a list takes the module that has what was put in and changes the fewest other layers. Units with layers
        against their conditions lose them, units without layers although their conditions hold are drawn; then units that
        have a part in a broken rule are drawn anew, and at last all of them. What is kept is never changed.

        Args:
            codes: (n, num_positions).
            kept: (num_positions,), or (n, num_positions), what was put in; its whole unit is kept, unless it has a list.
            rng: draws what is missing.

        Returns:
            (codes, (n,) which rows are mended); rows that cannot be mended are as they were given.
        """
        mended: Mask = ~np.asarray(self._broken(codes).any(1), bool)
        if mended.all():
            return codes, mended
        out, units = codes.copy(), [list(unit.positions) for unit in self.spec.units]
        left = np.flatnonzero(~mended)
        rows = codes[left]
        own = np.broadcast_to(kept, codes.shape)[left]
        held = np.stack([own[:, columns].any(1) for columns in units], 1)
        for index, listed in self.listed.items():
            some = np.flatnonzero(held[:, index] & ~listed.contains(rows[:, units[index]]))
            place = some[:, None], np.array(units[index])
            rows[place] = listed.around(rows[place], own[place], rng)
        for attempt in range(COMPLETIONS):
            fresh = self._draw(len(left), rng, active=True)
            anew = ~held & (self._broken(rows) if 0 < attempt <= LOCAL else attempt > LOCAL)
            for index, columns in enumerate(units):
                rows[:, columns] = np.where(anew[:, [index]], fresh[:, columns], rows[:, columns])
                if index in self.rules.conditions:
                    wrong = np.flatnonzero(self.rules.misplaced(rows, index) & ~held[:, index])
                    there = self.rules.active(rows[wrong], index)[:, None]
                    rows[wrong[:, None], columns] = np.where(there, fresh[wrong[:, None], columns], ABSENT)
            done = ~self._broken(rows).any(1)
            out[left[done]], mended[left[done]] = rows[done], True
            left, rows, held = left[~done], rows[~done], held[~done]
            if not len(left):
                break
        return out, mended

    def neighbours(self, row: Codes) -> Codes:
        """(n, num_positions) architectures that differ from one in one layer or in the depth of one unit, each network once.

        A unit that becomes deeper gets any of its tokens, all alike where it gets several; a unit with a list gets any other of
        its modules. Where rules connect a unit with others, these follow.

        Args:
            row: (num_positions,) the architecture.
        """
        codes, changed = [], []
        for index, unit in enumerate(self.spec.units):
            columns = list(unit.positions)
            for layers in self._near(index, row[columns]):
                codes.append(row.copy())
                codes[-1][columns] = layers
                changed.append(np.isin(np.arange(len(row)), columns))
        if not codes:
            return row[:0].reshape(0, len(row))
        mended, valid = self.complete(np.stack(codes), np.stack(changed), np.random.default_rng(0))
        found = mended[valid]
        networks = self.hash_networks(found)
        first = np.sort(np.unique(networks, return_index=True)[1])
        near: Codes = found[first[networks[first] != self.hash_networks(row[None])[0]]]
        return near

    def _near(self, index: int, own: Codes) -> Codes:
        """(m, positions of the unit) modules of a unit that are next to one, without it."""
        unit, width = self.spec.units[index], len(own)
        if index in self.listed:
            others: Codes = self.listed[index].rows[(self.listed[index].rows != own).any(1)]
            return others
        depth = int((own != ABSENT).sum())
        deeper = min((d for d in unit.depths if d > depth), default=None)
        shallower = max((d for d in unit.depths if d < depth), default=None)
        rows = []
        for token in unit.tokens:
            changed = range(0) if not depth else range(1) if unit.tied else range(depth)
            for place in changed:
                rows.append(own.copy())
                rows[-1][slice(0, depth) if unit.tied else place] = token
            if deeper is not None and (not unit.tied or not depth or token == own[0]):
                rows.append(own.copy())
                rows[-1][depth:deeper] = token
        if shallower is not None:
            rows.append(np.where(np.arange(width) < shallower, own, np.int16(ABSENT)))
        near: Codes = np.array(rows, np.int16).reshape(-1, width)
        return np.asarray(near[(near != own).any(1)])

    def mutate(self, codes: Codes, rng: np.random.Generator, chosen: Mask | None = None) -> Codes:
        """(n, num_positions) neighbours: in one random unit of each row one layer, or the depth, is drawn anew.

        A unit with a list gets one of its modules. Where rules connect it with other units, these follow; a unit whose
        conditions do not hold stays empty.

        Args:
            codes: (n, num_positions).
            rng: draws what changes.
            chosen: (n, num_units) the units that change so; None = one random unit of each row.
        """
        num, num_units = len(codes), len(self.spec.units)
        fresh, out = self._draw(num, rng, active=True), codes.copy()
        if chosen is None:
            chosen = rng.integers(num_units, size=num)[:, None] == np.arange(num_units)
            change_depth = np.repeat(rng.random(num)[:, None] < 1 / 3, num_units, axis=1)
        else:
            change_depth = rng.random(chosen.shape) < 1 / 3
        for index, unit in enumerate(self.spec.units):
            columns = list(unit.positions)
            for row in np.flatnonzero(chosen[:, index] & self.rules.active(codes, index)):
                depth = int((codes[row, columns] != ABSENT).sum())
                new_depth = int((fresh[row, columns] != ABSENT).sum())
                if unit.tied or unit.modules or not depth or not new_depth:
                    out[row, columns] = fresh[row, columns]
                elif change_depth[row, index] and len(unit.depths) > 1:
                    layers = np.where(codes[row, columns] == ABSENT, rng.choice(unit.tokens, len(columns)), codes[row, columns])
                    out[row, columns] = np.where(np.arange(len(columns)) < new_depth, layers, ABSENT)
                else:
                    out[row, columns[int(rng.integers(depth))]] = rng.choice(unit.tokens)
        return self._followed(codes, out, chosen, rng)

    def redraw_units(self, codes: Codes, rng: np.random.Generator, chosen: Mask) -> Codes:
        """(n, num_positions) architectures whose chosen units are whole modules drawn anew, all modules of a unit alike likely.

        Where rules connect a unit with others, these follow; a unit whose conditions do not hold stays empty.

        Args:
            codes: (n, num_positions).
            rng: draws the modules.
            chosen: (n, num_units).
        """
        out = codes.copy()
        for index, unit in enumerate(self.spec.units):
            rows = np.flatnonzero(chosen[:, index] & self.rules.active(codes, index))
            out[rows[:, None], list(unit.positions)] = self._draw_unit(index, len(rows), rng, by_module=True)
        return self._followed(codes, out, chosen, rng)

    def _followed(self, codes: Codes, changed: Codes, chosen: Mask, rng: np.random.Generator) -> Codes:
        """(n, num_positions) rows with what changed in chosen units and what follows by rules; as before where nothing can."""
        kept = chosen[:, [self.spec.unit_of(p) for p in range(self.spec.num_positions)]]
        mended, valid = self.complete(changed, kept, rng)
        return np.where(valid[:, None], mended, codes)


@cache
def _default(kind: type[Space]) -> Space:
    """The space of a kind that needs no data."""
    return kind()


def known_space(native: Any) -> Space | None:
    """The space that needs no data to be defined and has this architecture; None when there is none."""
    return next((found for kind in _kinds() if (found := kind.holding(native)) is not None), None)


@cache
def _kinds() -> tuple[type[Space], ...]:
    """The kinds of spaces; a file that has not exactly one is passed over."""
    found = []
    for name in registry.names("spaces"):
        with suppress(ConfigError):
            found.append(registry.load("spaces", name, Space))  # type: ignore[type-abstract]
    return tuple(found)


def unit_facts(spec: SpaceSpec) -> list[dict[str, Any]]:
    """One object a unit: {"unit", "positions" (labels), "num_modules"}."""
    space = load_space(spec)
    labels = spec.position_labels
    return [
        {"unit": unit.label, "positions": [labels[p] for p in unit.positions], "num_modules": space.unit_size(unit)}
        for unit in spec.units
    ]


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
