"""Node feature codebook: what a layer looks like to the feature embedding, as one category a feature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.graphs import Graphs
from autobuild_core.records import SpaceSpec

JOINT = "position and layer"
SUM = "sum"
BUILT_IN = ("layer", "unit", "layer index", JOINT)


@dataclass(frozen=True, eq=False)
class Codebook:
    """Every feature is a table position x token -> category; categories are numbered through over all features.

    Args:
        names: one name a feature.
        values: (feature index, what a reader sees) of every category, in order.
        table: (num_features, num_positions, num_tokens) category index; where the space has sums, one place more for each
            and one token more.
        spec: the space.
    """

    names: tuple[str, ...]
    values: tuple[tuple[int, str], ...]
    table: NDArray[np.int64]
    spec: SpaceSpec

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
    The sums of a cell are nodes behind the positions; all that describes a layer has the value SUM there.
    """
    num_layers, num_tokens = spec.num_positions, len(spec.tokens)
    node, token = np.indices((num_layers + spec.num_states, num_tokens + bool(spec.num_states)))
    token = np.where(node < num_layers, np.minimum(token, num_tokens - 1), num_tokens)
    tokens = (*spec.tokens, SUM)
    labels = (*spec.position_labels, *(unit.label for unit in spec.units if spec.num_states))
    units = [*(spec.unit_of(p) for p in range(num_layers)), *range(spec.num_states)]
    columns: dict[str, NDArray[np.object_]] = {}
    for name, by_token in spec.attributes.items():
        own = f"{name} (attribute)" if name in BUILT_IN else name
        columns[own] = np.array((*by_token, SUM), object)[token]
    columns["layer"] = np.array(tokens, object)[token]
    columns["unit"] = np.array([spec.units[u].label for u in units], object)[node]
    columns["layer index"] = np.array(labels, object)[node]
    joint = [[f"{label}: {token}" for token in tokens] for label in labels]
    columns[JOINT] = np.array(joint, object)[node, token]
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
    return Codebook(tuple(names), tuple(values), np.stack(tables), spec)
