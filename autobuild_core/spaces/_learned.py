"""Spaces of cells as files: of each layer the cells that it may have, in the form that AutoSpace published.

{"name": "SuperProxylessNASNets", "blocks": [[cell, ...], ...]}: one list a layer. Ours beside it: "skeleton", "madds_m" and,
where its networks are to be trained with one, "max_lr"; published files lack them, and the skeleton is then the published one.
"version" may stand beside them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from autobuild_core.errors import ArchitectureError, ConfigError, DataError
from autobuild_core.spaces._cells import Cell
from autobuild_core.spaces._skeletons import SKELETONS, Skeleton, number_of

FORM = 1  # version of these files
PUBLISHED_NAME = "SuperProxylessNASNets"


@dataclass(frozen=True)
class CellLists:
    """The cells of every layer.

    Args:
        layers: of each layer its cells; one that stands twice is there once more often.
        skeleton: around them.
        madds_m: budget by which the widths of a network are scaled; None = as the skeleton has them.
        max_lr: learning rate that its networks are trained with; None = whoever trains them knows one.

    Raises:
        ConfigError: a layer has no cell, or there are not as many as the skeleton has.
    """

    layers: tuple[tuple[Cell, ...], ...]
    skeleton: Skeleton
    madds_m: float | None = None
    max_lr: float | None = None

    def __post_init__(self) -> None:
        if len(self.layers) != self.skeleton.num_layers:
            expected = f"expected {self.skeleton.num_layers} as its skeleton has"
            raise ConfigError(f"space of cells: got {len(self.layers)} layers, {expected}.")
        for number, cells in enumerate(self.layers, 1):
            if not cells:
                raise ConfigError(f"space of cells, layer {number}: got no cell, expected at least one.")

    @classmethod
    def read(cls, raw: Any) -> Self:
        """A space from the JSON of a file.

        Raises:
            DataError: it is none; the message names the layer and the cell.
        """
        blocks = raw.get("blocks") if isinstance(raw, Mapping) else None
        if not isinstance(blocks, list) or not all(isinstance(layer, list) for layer in blocks):
            raise DataError(f"space of cells: got {str(raw)[:80]}, expected an object with blocks, a list of cells a layer.")
        if (version := raw.get("version", FORM)) != FORM:
            raise DataError(f"space of cells: got a file of version {version!r}, expected {FORM}, or none.")
        layers = []
        for number, layer in enumerate(blocks, 1):
            cells = []
            for place, written in enumerate(layer, 1):
                try:
                    cells.append(Cell.read(written))
                except ArchitectureError as error:
                    raise DataError(f"space of cells, layer {number}, cell {place}: {error}") from error
            layers.append(tuple(cells))
        try:
            skeleton = Skeleton.read(raw["skeleton"]) if "skeleton" in raw else SKELETONS["published"]
            if "skeleton" not in raw and len(layers) != skeleton.num_layers:
                expected = f"expected {skeleton.num_layers}, those of the published one"
                raise DataError(f"space of cells: got {len(layers)} layers and no skeleton, {expected}.")
            return cls(tuple(layers), skeleton, number_of(raw, "madds_m"), number_of(raw, "max_lr"))
        except ConfigError as error:
            raise DataError(str(error)) from error

    @property
    def texts(self) -> list[list[str]]:
        """The cells of each layer as texts."""
        return [[cell.text for cell in cells] for cells in self.layers]

    @property
    def written(self) -> dict[str, Any]:
        """The space ready for JSON, in the published form."""
        blocks = [[cell.written for cell in cells] for cells in self.layers]
        about = {"name": PUBLISHED_NAME, "blocks": blocks, "skeleton": self.skeleton.named}
        return about | {name: value for name in ("madds_m", "max_lr") if (value := getattr(self, name)) is not None}
