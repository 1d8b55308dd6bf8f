"""Modules: which architectures contain them, which can, and one number for each."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec


@dataclass(frozen=True, eq=False)
class ModuleGroup:
    """All modules at the same positions.

    Args:
        positions: positions they fill, upstream first.
        codes: (num_modules, len(positions)) token indices.
        unit: index of the unit when each module is a whole unit (exactly these layers, no deeper), else None.
        ranges: (num_modules,) number of the range that each is shown in, from 0; None where each is shown by itself.
    """

    positions: tuple[int, ...]
    codes: Codes
    unit: int | None = None
    ranges: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def num_shown(self) -> int:
        """Lines that it has in a table of modules: a range has one."""
        return len(self) if self.ranges is None else int(self.ranges.max(initial=-1)) + 1

    @property
    def hop(self) -> int:
        """The hop at which the module is scored: its number of layers minus one."""
        return len(self.positions) - 1


def module_codes(group: ModuleGroup, num_positions: int) -> Codes:
    """(num_modules, num_positions) each module as an architecture of its own, ABSENT elsewhere."""
    codes = np.full((len(group), num_positions), ABSENT, np.int16)
    codes[:, list(group.positions)] = group.codes
    return codes


def module_keys(codes: Codes, columns: list[int]) -> NDArray[np.int64]:
    """(n,) one whole number for what an architecture has at some positions, absence included.

    Random odd multipliers, modulo 2^64: any number of positions, and no collision to be met in practice.
    """
    keys: NDArray[np.int64] = (codes[:, columns].astype(np.int64) + 1) @ _multipliers(len(columns))
    return keys


@cache
def _multipliers(num: int) -> NDArray[np.int64]:
    """(num,) random odd numbers, always the same."""
    multipliers: NDArray[np.int64] = np.random.default_rng(0).integers(2**62, size=num) * 2 + 1
    multipliers.flags.writeable = False
    return multipliers


def key_columns(group: ModuleGroup, spec: SpaceSpec) -> list[int]:
    """The positions that decide whether an architecture contains a module: a whole unit is also *no deeper*."""
    return list(group.positions if group.unit is None else spec.units[group.unit].positions)


def group_keys(group: ModuleGroup, spec: SpaceSpec) -> NDArray[np.int64]:
    """(num_modules,) the keys of a group's modules at its `key_columns`."""
    columns = key_columns(group, spec)
    padded = np.full((len(group), len(columns)), ABSENT, np.int16)
    padded[:, : len(group.positions)] = group.codes
    return module_keys(padded, list(range(len(columns))))


def eligible_rows(codes: Codes, group: ModuleGroup, spec: SpaceSpec) -> NDArray[np.intp]:
    """Rows that have a layer wherever the module has one and, for a whole unit, none behind."""
    inside = (codes[:, list(group.positions)] != ABSENT).all(1)
    if group.unit is not None:
        inside &= (codes[:, list(spec.units[group.unit].positions)] != ABSENT).sum(1) == len(group.positions)
    return np.flatnonzero(inside)


def active_rows(codes: Codes, group: ModuleGroup, spec: SpaceSpec) -> NDArray[np.bool_]:
    """(n,) rows in which every conditional unit that the modules lie in is there: what their effects are compared with."""
    there = np.ones(len(codes), bool)
    for index in {condition.unit for condition in spec.conditions}:
        columns = list(spec.units[index].positions)
        if not set(columns).isdisjoint(group.positions):
            there &= (codes[:, columns] != ABSENT).any(1)
    return there


def count_evaluated(group: ModuleGroup, spec: SpaceSpec, codes: Codes) -> NDArray[np.int64]:
    """(num_modules,) how many of the evaluated architectures contain each module of the group, whatever range it is in."""
    if not len(codes):
        return np.zeros(len(group), np.int64)
    seen, counts = np.unique(module_keys(codes, key_columns(group, spec)), return_counts=True)
    keys = group_keys(group, spec)
    index = np.minimum(np.searchsorted(seen, keys), len(seen) - 1)
    return np.where(seen[index] == keys, counts[index], 0)
