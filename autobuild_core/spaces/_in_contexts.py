"""Modules put into architectures: what surrounds them stays, and keeps to the rules of the space."""

import numpy as np

from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.spaces import load_space


def in_contexts(group: ModuleGroup, contexts: Codes, spec: SpaceSpec) -> Codes:
    """(num_modules * contexts, num_positions) every module of a group put into every context, contexts inside.

    The other layers of tied units that a window lies in get the window's layer. Where the space has rules, or units that list
    their modules, what does not go with a module is drawn anew; a context in which a module cannot be gives way to another
    one of the same module.
    """
    codes = np.tile(contexts, (len(group), 1))
    codes[:, list(group.positions)] = np.repeat(group.codes, len(contexts), axis=0)
    for unit in spec.units:
        inside = [p for p in group.positions if p in unit.positions]
        if unit.tied and inside and group.unit is None:
            columns = list(unit.positions)
            codes[:, columns] = np.where(codes[:, columns] == ABSENT, ABSENT, codes[:, inside[:1]])
    ruled = spec.conditions or spec.forbidden or any(unit.modules for unit in spec.units)
    return _mended(codes, group, spec) if ruled else codes


def _mended(codes: Codes, group: ModuleGroup, spec: SpaceSpec) -> Codes:
    """Rows of `in_contexts` that keep to the rules of their space."""
    kept = np.isin(np.arange(spec.num_positions), group.positions)
    mended, valid = load_space(spec).complete(codes, kept, np.random.default_rng(0))
    num = len(codes) // len(group)
    for start in range(0, len(codes), num):
        good, bad = (start + np.flatnonzero(one) for one in (valid[start : start + num], ~valid[start : start + num]))
        if len(good) and len(bad):
            mended[bad] = mended[np.resize(good, len(bad))]
    return mended
