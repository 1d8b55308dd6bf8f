"""Units whose modules are an explicit list, as in a reduced space: which layers they may have, drawn, found and mended."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.modules import module_keys
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec, UnitSpec
from autobuild_core.errors import ConfigError

Mask = NDArray[np.bool_]


class Listed:
    """The modules that a unit lists.

    Args:
        unit: with a list.

    Raises:
        ConfigError: a module has a number of layers or a layer that the unit does not take, or is there twice.
    """

    def __init__(self, unit: UnitSpec) -> None:
        _check_list(unit)
        width = len(unit.positions)
        rows = [[*module, *[ABSENT] * (width - len(module))] for module in unit.modules]
        self.rows: Codes = np.array(rows, np.int16).reshape(-1, width)
        self._depths = np.array([len(module) for module in unit.modules])
        self._columns = list(range(width))
        self._keys = np.sort(module_keys(self.rows, self._columns))

    def contains(self, layers: Codes) -> Mask:
        """(n,) which rows of (n, positions of the unit) layers are one of the modules."""
        keys = module_keys(layers, self._columns)
        place = np.searchsorted(self._keys[:-1], keys)
        return np.asarray(self._keys[place] == keys, bool)

    def of_depth(self, depth: int) -> Codes:
        """(m, depth) the modules of a number of layers."""
        return self.rows[self._depths == depth, :depth]

    def num_of_depth(self, depth: int) -> int:
        """Number of modules with so many layers."""
        return int((self._depths == depth).sum())

    def draw(self, num: int, depths: Sequence[int], rng: np.random.Generator) -> Codes:
        """(num, positions of the unit) modules: a depth of some, all alike, then one of its modules, all alike."""
        drawn = np.array(depths)[rng.integers(len(depths), size=num)]
        out = np.empty((num, len(self._columns)), np.int16)
        for depth in depths:
            rows, own = np.flatnonzero(drawn == depth), self.rows[self._depths == depth]
            out[rows] = own[rng.integers(len(own), size=len(rows))]
        return out

    def at(self, places: Sequence[int]) -> Codes:
        """(m, places) what the modules that have a layer at some places of the unit have there, each once."""
        layers = self.rows[self._depths > max(places)][:, list(places)]
        return layers[np.sort(np.unique(layers, axis=0, return_index=True)[1])]

    def around(self, layers: Codes, kept: Mask, rng: np.random.Generator) -> Codes:
        """(n, positions of the unit) the modules that have what is kept and change the fewest of the other layers.

        Rows for which no module has what is kept are as they were given.

        Args:
            layers: (n, positions of the unit).
            kept: of the same shape.
            rng: draws among modules that change as many.
        """
        changed = np.zeros((len(layers), len(self.rows)))
        possible: Mask = np.ones(changed.shape, bool)
        for place in self._columns:
            differs: Mask = layers[:, [place]] != self.rows[:, place]
            possible &= ~(differs & kept[:, [place]])
            changed += differs
        cost = np.where(possible, changed + rng.random(changed.shape) / 2, np.inf)
        return np.where(possible.any(1, keepdims=True), self.rows[cost.argmin(1)], layers)


def _check_list(unit: UnitSpec) -> None:
    """Returns when a unit's list is sound.

    Raises:
        ConfigError: naming the unit, what its list has and what is expected.
    """
    lengths = tuple(sorted({len(module) for module in unit.modules}))
    if lengths != unit.depths or lengths[-1] > len(unit.positions):
        raise ConfigError(f"unit {unit.label}: got modules of {lengths} layers, expected some of each depth {unit.depths}.")
    if len(set(unit.modules)) < len(unit.modules):
        raise ConfigError(f"unit {unit.label}: got a module twice, expected each once.")
    for module in unit.modules:
        if not set(module) <= set(unit.tokens):
            raise ConfigError(f"unit {unit.label}: got a module of tokens {module}, expected some of its own tokens.")
        if unit.tied and len(set(module)) > 1:
            raise ConfigError(f"unit {unit.label}: got a module of different layers, expected all alike.")


def reduced_spec(spec: SpaceSpec, modules: Sequence[Sequence[tuple[int, ...]]]) -> SpaceSpec:
    """A space cut down to some modules of each unit; its codes are those of the whole space.

    Source: AutoBuild, section 4: the product of the best modules of each unit.

    Args:
        spec: the whole space.
        modules: of each unit the layers of those that are kept; a unit that may have none may so in the reduced space too.

    Raises:
        ConfigError: nothing is kept of a unit that must have layers, at least where its conditions hold.
    """
    conditional = {condition.unit for condition in spec.conditions}
    units = []
    for index, (unit, kept) in enumerate(zip(spec.units, modules, strict=True)):
        some = tuple(dict.fromkeys(tuple(map(int, module)) for module in kept if len(module)))
        if not some and (0 not in unit.depths or index in conditional):
            raise ConfigError(f"unit {unit.label}: got no module to keep, expected at least one.")
        some += ((),) if 0 in unit.depths else ()
        units.append(replace(unit, modules=some, depths=tuple(sorted({len(module) for module in some}))))
    return replace(spec, units=tuple(units))
