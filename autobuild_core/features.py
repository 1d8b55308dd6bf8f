"""Node feature codebook: what a layer looks like to the feature embedding, as one category a feature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.graphs import Graphs
from autobuild_core.records import SpaceSpec

JOINT = "position and layer"
BUILT_IN = ("layer", "unit", "layer index", JOINT)


@dataclass(frozen=True, eq=False)
class Codebook:
    """Every feature is a table position x token -> category; categories are numbered through over all features.

    Args:
        names: one name a feature.
        values: (feature index, what a reader sees) of every category, in order.
        table: (num_features, num_positions, num_tokens) category index.
    """

    names: tuple[str, ...]
    values: tuple[tuple[int, str], ...]
    table: NDArray[np.int64]

    @property
    def feature_of(self) -> NDArray[np.int64]:
        """(num_categories,) the feature each category belongs to."""
        return np.array([feature for feature, _ in self.values])

    def encode(self, graphs: Graphs) -> NDArray[np.int64]:
        """(num_graphs, num_nodes, num_features) categories; padded nodes get those of position 0, token 0."""
        positions, tokens = np.maximum(graphs.positions, 0), np.maximum(graphs.tokens, 0)
        return np.moveaxis(self.table[:, positions, tokens], 0, -1)


def make_codebook(spec: SpaceSpec) -> Codebook:
    """The features of a space: its layers' attributes, the layer, the unit, the layer index, and (position, layer) jointly.

    The joint feature is ours: without it hop 0 is additive in features that do not know the position and cannot
    say that a layer is good *here* (method.md, weakness 11). Features with one value say nothing and are left out.
    """
    num_positions, num_tokens = spec.num_positions, len(spec.tokens)
    grid = np.indices((num_positions, num_tokens))
    columns: dict[str, NDArray[np.object_]] = {}
    for name, by_token in spec.attributes.items():
        own = f"{name} (attribute)" if name in BUILT_IN else name
        columns[own] = np.array(by_token, object)[grid[1]]
    columns["layer"] = np.array(spec.tokens, object)[grid[1]]
    unit_labels = [spec.units[spec.unit_of(p)].label for p in range(num_positions)]
    columns["unit"] = np.array(unit_labels, object)[grid[0]]
    columns["layer index"] = np.array(spec.position_labels, object)[grid[0]]
    joint = [[f"{label}: {token}" for token in spec.tokens] for label in spec.position_labels]
    columns[JOINT] = np.array(joint, object)
    names: list[str] = []
    values: list[tuple[int, str]] = []
    tables = []
    for name, column in columns.items():
        seen = list(dict.fromkeys(column.ravel().tolist()))
        if len(seen) > 1:
            index = {value: len(values) + i for i, value in enumerate(seen)}
            tables.append(np.vectorize(index.__getitem__, otypes=[np.int64])(column))
            values += [(len(names), value) for value in seen]
            names.append(name)
    return Codebook(tuple(names), tuple(values), np.stack(tables))
