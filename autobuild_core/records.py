"""What crosses layers: a search space as data, tables of architectures in columns, groups of modules.

Architectures are rows of int16 codes, one column a position of the space, -1 where the position is absent
(variable depth). A million architectures of 20 positions are 40 MB. Nothing here knows a particular space.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ABSENT = -1
Codes = NDArray[np.int16]


@dataclass(frozen=True)
class UnitSpec:
    """One slot of a search space that a module fills.

    Args:
        label: what a reader sees, e.g. "U1" or "L3-5".
        positions: indices of its positions in the space, upstream first.
        depths: numbers of layers it may have, increasing; one value when the depth is fixed.
        tokens: indices of the tokens allowed at its positions.
        tied: all its layers share one token.
    """

    label: str
    positions: tuple[int, ...]
    depths: tuple[int, ...]
    tokens: tuple[int, ...]
    tied: bool = False


@dataclass(frozen=True)
class SpaceSpec:
    """A search space of sequences or of cells as plain data, so that a run folder can hold it as JSON.

    Args:
        name: file in spaces/ that gives it its rules.
        title: what a reader sees.
        position_labels: one label a position, e.g. "U1.L1".
        tokens: what a layer can be, e.g. "mbconv3_e4_k5".
        units: the slots, in data-flow order; their positions partition the positions of the space.
        attributes: name -> value per token ("kernel" -> ("3", "5", ...)); the readable features of a layer.
        options: whatever else the space's own file needs to read and write its native encoding.
        reads: the data flow of a cell with operations on edges: per position the index of the unit whose sum it reads,
            ABSENT for the cell's input; a unit's positions are the operations that enter its sum. Empty for a chain
            along the positions.
    """

    name: str
    title: str
    position_labels: tuple[str, ...]
    tokens: tuple[str, ...]
    units: tuple[UnitSpec, ...]
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    reads: tuple[int, ...] = ()

    @property
    def num_states(self) -> int:
        """Nodes that a graph has beside its layers: a cell's sums, one a unit; none on chains."""
        return len(self.units) if self.reads else 0

    @property
    def num_positions(self) -> int:
        """Width of a row of codes."""
        return len(self.position_labels)

    @property
    def fixed_depth(self) -> bool:
        """Every architecture has a layer at every position."""
        return all(unit.depths == (len(unit.positions),) for unit in self.units)

    def unit_of(self, position: int) -> int:
        """Index of the unit that owns a position."""
        return next(i for i, unit in enumerate(self.units) if position in unit.positions)

    def to_json(self) -> str:
        """One JSON object; `from_json` is its inverse. Chains leave `reads` out."""
        raw = asdict(self)
        return json.dumps(raw if self.reads else {name: value for name, value in raw.items() if name != "reads"})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The spec that `to_json` wrote."""
        raw = json.loads(text)
        units = tuple(
            UnitSpec(u["label"], tuple(u["positions"]), tuple(u["depths"]), tuple(u["tokens"]), u["tied"]) for u in raw["units"]
        )
        attributes = {name: tuple(values) for name, values in raw["attributes"].items()}
        labels, tokens = tuple(raw["position_labels"]), tuple(raw["tokens"])
        reads = tuple(raw.get("reads", ()))
        return cls(raw["name"], raw["title"], labels, tokens, units, attributes, raw["options"], reads)


@dataclass(frozen=True)
class Rejection:
    """A row of a file that was refused. `row` counts from 0 in the file's own order."""

    row: int
    reason: str


@dataclass(frozen=True, eq=False)
class ArchTable:
    """Evaluated architectures in columns.

    Args:
        spec: their search space.
        codes: (num_rows, num_positions) int16, token index or ABSENT, exactly as the file encodes them.
        networks: (num_rows,) uint64, canonical hash of the network: equal for equal networks in any encoding.
        metrics: num_rows x metrics, float64, NaN where a row lacks one.
        source_rows: (num_rows,) int64, row in the file, from 0.
        format: file in datasets/ that read them.
        num_read: rows in the file.
        rejected: the rows refused, each with its reason.
        notes: sentences a reader should know (columns ignored, ...).
    """

    spec: SpaceSpec
    codes: Codes
    networks: NDArray[np.uint64]
    metrics: pd.DataFrame
    source_rows: NDArray[np.int64]
    format: str = ""
    num_read: int = 0
    rejected: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def num_duplicates(self) -> int:
        """Rows whose network an earlier row has already."""
        return len(self) - len(np.unique(self.networks))

    def take(self, index: NDArray[Any]) -> "ArchTable":
        """The rows at `index` (integers or a mask), with the same report."""
        return ArchTable(
            self.spec,
            self.codes[index],
            self.networks[index],
            self.metrics.iloc[np.arange(len(self))[index]].reset_index(drop=True),
            self.source_rows[index],
            self.format,
            self.num_read,
            self.rejected,
            self.notes,
        )


@dataclass(frozen=True, eq=False)
class ModuleGroup:
    """All modules at the same positions.

    Args:
        positions: positions they fill, upstream first.
        codes: (num_modules, len(positions)) token indices.
        unit: index of the unit when each module is a whole unit (exactly these layers, no deeper), else None.
    """

    positions: tuple[int, ...]
    codes: Codes
    unit: int | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def hop(self) -> int:
        """The hop at which the module is scored: its number of layers minus one."""
        return len(self.positions) - 1
