"""Scorers: one file each; a trained run and modules in, scores with intervals out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from autobuild_core import registry
from autobuild_core.architectures.module_table import describe_modules
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.ranges import with_ranges
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.spaces import Space
from autobuild_core.targets.costs import CostModel

DEFAULT_SCORER = "autobuild"
DEFAULT_MAX_LENGTH = 4
MODULE_LIMIT = 5_000  # windows of one length that are scored unasked


class Scorer(ABC):
    """Scores modules of a trained run.

    Lenses that a scorer cannot tell (no interval, no `good`) are NaN.
    """

    title: str
    explained: str = ""

    @abstractmethod
    def supports(self, predictor: Predictor) -> str | None:
        """The reason why it cannot score the modules of this run; None when it can."""

    @abstractmethod
    def score(self, groups: list[ModuleGroup], report: Callable[[float], None] = lambda share: None) -> list[pd.DataFrame]:
        """One frame a group, one row a module, with SCORE_COLUMNS (and COST_COLUMNS); `report` hears the share that is done.

        Of a group with ranges it is one row a range, whose interval is that of the mean of its modules (`population.pooled`). A
        scorer that knows no ranges gives one row a module here too: `score_groups` then takes means and leaves out the intervals.
        """


def make_scorer(name: str, predictor: Predictor, cost: CostModel | None = None, table: ArchTable | None = None) -> Scorer:
    """A scorer by its file name.

    Args:
        name: file in scorers/.
        predictor: the trained run.
        cost: adds the lens `equal_cost`, where the scorer has it.
        table: the evaluated architectures: what scorers learn from, or take as measured.

    Raises:
        ConfigError: there is none of that name.
    """
    make: Callable[..., Scorer] = registry.load("scorers", name, Scorer)  # type: ignore[type-abstract]
    return make(predictor, cost, table)


def default_groups(space: Space, max_length: int | None) -> list[ModuleGroup]:
    """Windows of every length up to max_length (unasked: up to 4, while one length has at most MODULE_LIMIT modules)."""
    groups: list[ModuleGroup] = []
    for length in range(1, min(max_length or DEFAULT_MAX_LENGTH, space.spec.num_positions) + 1):
        if max_length is None and window_count(space, length) > MODULE_LIMIT:
            break
        groups += space.windows(length)
    return groups


def window_count(space: Space, length: int) -> int:
    """Number of modules of a length; makes none of them."""
    return sum(space.group_size(positions) for positions in topology_of(space.spec).window_positions(length))


def unit_groups(space: Space, evaluated: Codes | None = None) -> list[ModuleGroup]:
    """Every whole-unit module; of a depth that has too many some, and those of evaluated architectures.

    Args:
        space: the space.
        evaluated: (n, num_positions) codes.
    """
    groups = [group for index in range(len(space.spec.units)) for group in space.unit_modules(index)]
    return groups if evaluated is None else [_with_evaluated(group, space, evaluated) for group in groups]


def _with_evaluated(group: ModuleGroup, space: Space, evaluated: Codes) -> ModuleGroup:
    """A group of whole-unit modules; of a depth that has too many, with those of evaluated architectures."""
    assert group.unit is not None
    unit, depth = space.spec.units[group.unit], len(group.positions)
    if not space.too_many(unit, depth):
        return group
    inside = np.asarray(evaluated)[:, list(unit.positions)]
    own = inside[(inside[:, :depth] != ABSENT).all(1) & (inside[:, depth:] == ABSENT).all(1), :depth]
    return replace(group, codes=np.unique(np.concatenate([group.codes, own]), axis=0))


def further_units(space: Space, groups: list[ModuleGroup], evaluated: Codes) -> list[ModuleGroup]:
    """Every whole-unit module that is none of these groups, as `unit_groups` has them."""
    there = {group.positions for group in groups if group.unit is not None}
    return [group for group in unit_groups(space, evaluated) if group.positions not in there]


def score_groups(
    scorer: Scorer, groups: list[ModuleGroup], report: Callable[[float], None] = lambda share: None
) -> list[pd.DataFrame]:
    """The scorer's frames with one row a range; of one that knows no ranges a mean without interval."""
    frames = []
    for group, frame in zip(groups, scorer.score(groups, report), strict=True):
        if len(frame) != group.num_shown:
            frame = frame.astype(float).groupby(group.ranges).mean()
            frame[[name for name in frame if name.endswith(("_low", "_high"))]] = np.nan
        frames.append(frame.reset_index(drop=True))
    return frames


def score_modules(
    scorer: Scorer, groups: list[ModuleGroup], table: ArchTable, report: Callable[[float], None] = lambda share: None
) -> pd.DataFrame:
    """Modules with their scores and evidence; the columns of modules.parquet. A choice of many numbers is scored by ranges."""
    groups = [with_ranges(group, table.spec) for group in groups]
    described = describe_modules(groups, table.spec, table.codes)
    scored = pd.concat(score_groups(scorer, groups, report), ignore_index=True)
    first = ["unit", "positions", "layers", "hop"]
    frame = pd.concat([described[first], scored, described.drop(columns=first)], axis=1)
    return frame
