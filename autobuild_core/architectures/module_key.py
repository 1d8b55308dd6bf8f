"""The key of a module: what tells it from all others wherever it crosses a room, a file or a link."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.names import module_name
from autobuild_core.architectures.ranges import is_layer, tokens_of
from autobuild_core.architectures.records import ABSENT, ArchTable, SpaceSpec


@dataclass(frozen=True)
class ModuleKey:
    """A module by its places and layers.

    Args:
        positions: labels of its positions, upstream first.
        layers: its tokens, or a range of numbers as the table of modules has it.
        whole_unit: exactly these layers fill their unit, no deeper.
    """

    positions: tuple[str, ...]
    layers: tuple[str, ...]
    whole_unit: bool = False

    @classmethod
    def of(cls, line: "Mapping[str, Any] | pd.Series[Any]") -> Self:
        """The key of a line of the table of modules, or of a drawing (module_positions, module_layers)."""
        places, tokens = (line.get(f"module_{name}", line.get(name)) for name in ("positions", "layers"))
        return cls(tuple(json.loads(str(places))), tuple(json.loads(str(tokens))), bool(line.get("whole_unit", False)))

    @property
    def texts(self) -> tuple[str, str, bool]:
        """(positions, layers, whole unit) as the table of modules has them."""
        return json.dumps(list(self.positions)), json.dumps(list(self.layers)), self.whole_unit

    @property
    def hop(self) -> int:
        """The hop at which it is scored."""
        return len(self.positions) - 1

    @property
    def name(self) -> str:
        """The name that a reader sees, its place included."""
        places, tokens, _ = self.texts
        return module_name(places, tokens)

    def fits(self, spec: SpaceSpec) -> bool:
        """Whether a space has such places and layers."""
        return set(self.positions) <= set(spec.position_labels) and all(is_layer(spec, layer) for layer in self.layers)

    def lines_of(self, table: pd.DataFrame) -> NDArray[np.bool_]:
        """(num_lines,) the lines of a table with positions, layers and, where windows stand beside units, whole_unit."""
        places, layers, whole = self.texts
        found = (table["positions"] == places) & (table["layers"] == layers)
        if "whole_unit" in table:
            found &= table["whole_unit"] == whole
        mask: NDArray[np.bool_] = found.to_numpy(bool)
        return mask

    def contained_in(self, table: ArchTable) -> NDArray[np.bool_]:
        """(num_rows,) the architectures with these layers, or one of a range, at these positions of their encoding."""
        spec = table.spec
        columns = [spec.position_labels.index(label) for label in self.positions]
        mask: NDArray[np.bool_] = np.ones(len(table), bool)
        for column, layer in zip(columns, self.layers, strict=True):
            mask &= np.isin(np.asarray(table.codes)[:, column], tokens_of(spec, layer))
        unit = spec.units[spec.unit_of(columns[-1])]
        beyond = [p for p in unit.positions if p > columns[-1]]
        if self.whole_unit and beyond:
            mask &= np.asarray(table.codes)[:, beyond[0]] == ABSENT
        return mask
