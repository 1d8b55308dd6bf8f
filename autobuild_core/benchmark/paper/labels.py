"""The evaluated networks that an arm begins with: one row each, with its target and what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core import api
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.errors import ConfigError, TargetError
from autobuild_core.spaces import Space, load_space
from autobuild_core.targets.aim import Aim

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Labels:
    """Evaluated networks under a target.

    Args:
        table: all evaluations, as a predictor learns from them.
        rows: one row a network, the mean over its seeds.
        values: (n,) targets of the rows.
        aim: the target.
    """

    table: ArchTable
    rows: ArchTable
    values: Array
    aim: Aim

    @classmethod
    def of(cls, table: ArchTable, aim: Aim) -> Self:
        """The networks of a table that have a target."""
        known = np.isfinite(aim.target.values(table.metrics))
        rows = table.over_seeds(known)
        values = aim.target.values(rows.metrics)
        kept = np.isfinite(values)
        return cls(table, rows.take(kept), values[kept], aim)

    @property
    def space(self) -> Space:
        """Their space."""
        return load_space(self.table.spec)

    @property
    def gains(self) -> Array:
        """(n,) targets, larger is better."""
        return -self.values if self.aim.minimize else self.values

    @property
    def num_evaluations(self) -> int:
        """The evaluations that the rows are the means of."""
        return int(self.rows.repeats.sum())

    def best(self) -> Any:
        """The network with the best target, in its native encoding."""
        return self.space.native(self.rows.codes[int(self.gains.argmax())])

    def part(self, lines: NDArray[np.intp]) -> "Labels":
        """Some of the networks, with all their evaluations."""
        rows = self.rows.take(lines)
        table = self.table.take(np.isin(self.table.networks, rows.networks))
        return Labels(table, rows, self.values[lines], self.aim)


def read_sample(path: Path) -> ArchTable:
    """The table of a sample, in the space that a space.json beside it declares.

    Raises:
        ConfigError: the file is not there.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: got no such file, expected the sample data; `make_samples assemble` writes it.")
    space = path.with_name("space.json")
    return api.read(path, space=space if space.is_file() else None)


def value_of(metrics: dict[str, float], aim: Aim) -> float:
    """The target of measured metrics; NaN where they lack one, or the equation has no value there."""
    if not set(aim.target.names) <= set(metrics):
        return float("nan")
    try:
        return float(aim.target.values(pd.DataFrame([metrics]))[0])
    except TargetError:
        return float("nan")


def best_of(archs: Sequence[Any], values: Sequence[float], aim: Aim) -> Any:
    """The architecture with the best target; the first where none has one."""
    gains = np.array([-value if aim.minimize else value for value in values])
    return archs[int(np.where(np.isfinite(gains), gains, -np.inf).argmax())]


def natives(space: Space, codes: Codes) -> list[Any]:
    """Rows of codes in their native encodings."""
    return [space.native(row) for row in codes]
