"""Networks of AutoSpace's cells: a position a layer, a token a cell."""

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, final

from autobuild_core.architectures.records import Codes, SpaceSpec, UnitSpec
from autobuild_core.errors import ArchitectureError, StudioError
from autobuild_core.spaces import Space
from autobuild_core.spaces._cells import EDGE_NAMES, EXPANSIONS, OPERATIONS, SUPPORTS, Cell, canonical
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._skeletons import SKELETONS, Skeleton

DEFAULT_SKELETON, DEFAULT_SUPPORT, DEFAULT_BUDGET_M = "pairs", "published", 0.6
EXPECTED = "an object with skeleton, madds_m and cells, one a layer"


@final
class AutoSpace(Space):
    """{"skeleton": "pairs", "madds_m": 0.6, "cells": ["[[0,0,0,2],[5,0,0,[0,0]],...]", ...]}, each cell in the published form.

    Source: AutoSpace, Zhou et al., ICCV 2021, and its published files. Ours: a token is the representative of its network in
    a layer (`_cells.canonical`), so cells that are one network are one token; skeleton and budget belong to the space. What a
    cell is made of, the operation of each edge and the expansion, are its attributes; where a layer has hundreds of cells,
    they are compared by these alone. Without a file the space is that of every published cell without its mix bits.
    """

    title = "AutoSpace"

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        return _whole(SKELETONS[DEFAULT_SKELETON], DEFAULT_BUDGET_M).spec

    @classmethod
    def holding(cls, native: Any) -> Space | None:
        """The space of all cells of the first support that has a network, around its skeleton and at its budget."""
        if not (isinstance(native, Mapping) and "cells" in native and "skeleton" in native):
            return None
        for support in SUPPORTS:
            with suppress(StudioError):
                space = _whole(Skeleton.read(native["skeleton"]), native.get("madds_m"), support)
                space.parse(native)
                return space
        return None

    def __init__(self, spec: SpaceSpec | None = None) -> None:
        super().__init__(spec)
        self.cells = tuple(Cell.read(text) for text in self.spec.options["cells"])
        self.strides = tuple(self.spec.options["strides"])
        self._parsed: list[dict[str, int]] = [{} for _ in self.strides]  # tokens of what was met so far: files repeat it

    def parse(self, native: Any) -> list[int]:
        if not (isinstance(native, Mapping) and isinstance(native.get("cells"), list) and "skeleton" in native):
            raise ArchitectureError(f"network of cells: got {str(native)[:80]}, expected {EXPECTED}.")
        for name in ("skeleton", "madds_m"):
            if native.get(name) != self.spec.options[name]:
                expected = f"{str(self.spec.options[name])[:80]} as the space has"
                raise ArchitectureError(f"network of cells, {name}: got {str(native.get(name))[:80]}, expected {expected}.")
        if len(native["cells"]) != len(self.strides):
            raise ArchitectureError(
                f"network of cells: got {len(native['cells'])} cells, expected {len(self.strides)}, one a layer."
            )
        return [self._token(layer, written) for layer, written in enumerate(native["cells"])]

    def native(self, row: Codes) -> dict[str, Any]:
        about = {name: self.spec.options[name] for name in ("skeleton", "madds_m", "max_lr") if name in self.spec.options}
        return about | {"cells": [self.cells[token].text for token in row]}

    def context_of(self, native: Any) -> dict[str, Any]:
        """The learning rate of its training, where it says one."""
        found = native.get("max_lr") if isinstance(native, Mapping) else None
        return {} if found is None else {"max_lr": found}

    def _token(self, layer: int, written: Any) -> int:
        """The token of a cell in a layer.

        Raises:
            ArchitectureError: it is no cell, or none of the layer.
        """
        parsed, text = self._parsed[layer], written if isinstance(written, str) else str(written)
        if text not in parsed:
            label = self.spec.position_labels[layer]
            try:
                cell = canonical(Cell.read(written), self.strides[layer])
            except ArchitectureError as error:
                raise ArchitectureError(f"{label}, {error}") from error
            token = self.token_index.get(cell.name)
            if token is None or token not in self.spec.units[layer].tokens:
                num = len(self.spec.units[layer].tokens)
                raise ArchitectureError(f"{label}: got the cell {cell.name}, expected one of the {num} cells of the layer.")
            parsed[text] = token
        return parsed[text]


@lru_cache(maxsize=8)
def _whole(skeleton: Skeleton, madds_m: float | None, support: str = DEFAULT_SUPPORT) -> AutoSpace:
    """The space of all cells of a support, without mix bits."""
    cells = tuple(SUPPORTS[support].cells())
    return AutoSpace(spec_of(CellLists((cells,) * skeleton.num_layers, skeleton, madds_m)))


def read_cells(path: Path) -> SpaceSpec | None:
    """The space of a file that lists the cells of each layer; None where it is no such file.

    Raises:
        DataError: it lists cells and is faulty; the message says where.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None  # who reads it as another kind of file says what is wrong with it
    return spec_of(CellLists.read(raw)) if isinstance(raw, dict) and "blocks" in raw else None


def spec_of(lists: CellLists) -> SpaceSpec:
    """The space of cells that each layer may have, as data; cells that are one network are one token."""
    strides = lists.skeleton.strides
    layers = [
        list(dict.fromkeys(canonical(cell, stride) for cell in own)) for own, stride in zip(lists.layers, strides, strict=True)
    ]
    cells = list(dict.fromkeys(cell for own in layers for cell in own))
    index = {cell: token for token, cell in enumerate(cells)}
    labels = tuple(f"L{number}" for number in range(1, len(layers) + 1))
    units = tuple(
        UnitSpec(label, (layer,), (1,), tuple(index[cell] for cell in own))
        for layer, (label, own) in enumerate(zip(labels, layers, strict=True))
    )
    expansions = [EXPANSIONS[cell.expansion] for cell in cells]
    low, high = min(expansions), max(expansions)
    attributes = {"expansion": tuple(map(str, expansions))}
    for edge, name in enumerate(EDGE_NAMES):
        attributes[name] = tuple(OPERATIONS[cell.operations[edge]].name for cell in cells)
    numbers = {"expansion": tuple((value - low) / (high - low) for value in expansions)} if high > low else {}
    options: dict[str, Any] = {"skeleton": lists.skeleton.named, "madds_m": lists.madds_m, "strides": list(strides)}
    options |= {"cells": [cell.text for cell in cells]} | ({"max_lr": lists.max_lr} if lists.max_lr else {})
    tokens = tuple(cell.name for cell in cells)
    return SpaceSpec("autospace", AutoSpace.title, labels, tokens, units, attributes, options, numbers=numbers)
