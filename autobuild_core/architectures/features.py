"""Node feature codebook: what a layer looks like to the feature embedding, as one category a feature."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.padded import Graphs
from autobuild_core.architectures.records import SpaceSpec
from autobuild_core.architectures.structure import told_by_attributes
from autobuild_core.architectures.topologies import topology_of

JOINT = "position and layer"
SUM = "sum"
MANY = "one of many"  # in place of a layer's token where there are too many to have a value each
BUILT_IN = ("layer", "unit", "layer index", JOINT)


@dataclass(frozen=True, eq=False)
class Codebook:
    """Every feature is a table position x token -> category; categories are numbered through over all features.

    Args:
        names: one name a feature.
        values: (feature index, what a reader sees) of every category, in order.
        table: (num_features, num_positions, num_tokens) category index; where the space has states, one place more for each
            and one token more. Tokens that cannot stand at a position have any category there.
        spec: the space.
        numbers: (num_categories,) coordinate of a category that is a number; NaN of others.
    """

    names: tuple[str, ...]
    values: tuple[tuple[int, str], ...]
    table: NDArray[np.int64]
    spec: SpaceSpec
    numbers: NDArray[np.float64]

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
    say that a layer is good *here* (docs/method.md, weakness 11). Features with one value say nothing and are left out.
    Layers that are told by their attributes alone share the value MANY of the layer, and of (position, layer).
    States, such as the sums of a cell, are nodes behind the positions; all that describes a layer has the value SUM there.

    Units that stand apart have tokens of their own, so what cannot be is most of position x token: there only what can be is
    a category, and a feature that says what an earlier one does is left out.
    """
    topology, num_layers, num_tokens = topology_of(spec), spec.num_positions, len(spec.tokens)
    node, token = np.indices((topology.num_nodes, num_tokens + bool(topology.states)))
    token = np.where(node < num_layers, np.minimum(token, num_tokens - 1), num_tokens)
    tokens = (*spec.tokens, SUM)
    labels, units = topology.node_labels, topology.node_units
    columns: dict[str, NDArray[np.object_]] = {}
    coordinates: dict[str, NDArray[np.float64]] = {}
    for name, by_token in spec.attributes.items():
        own = f"{name} (attribute)" if name in BUILT_IN else name
        columns[own] = np.array((*by_token, SUM), object)[token]
        if name in spec.numbers:
            coordinates[own] = np.array((*spec.numbers[name], np.nan))[token]
    wide = np.array([told_by_attributes(spec.units[unit], spec) for unit in units])
    wide[num_layers:] = False  # a state has one token
    columns["layer"] = np.where(wide[node], MANY, np.array(tokens, object)[token])
    columns["unit"] = np.array([spec.units[u].label for u in units], object)[node]
    columns["layer index"] = np.array(labels, object)[node]
    joint = [[f"{label}: {token}" for token in tokens] for label in labels]
    columns[JOINT] = np.where(wide[node], MANY, np.array(joint, object)[node, token])
    apart = any(topology.apart(unit) for unit in range(len(spec.units)))
    possible = np.array([np.isin(np.arange(num_tokens), spec.units[u].tokens) for u in units]) if apart else token >= 0
    names: list[str] = []
    values: list[tuple[int, str]] = []
    numbers: list[float] = []
    tables: list[NDArray[np.int64]] = []
    known: set[bytes] = set()
    for name, column in columns.items():
        number = coordinates.get(name, np.full(column.shape, np.nan))[possible]
        keys = [(text, None if np.isnan(n) else float(n)) for text, n in zip(column[possible], number, strict=True)]
        seen = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        places = np.zeros(column.shape, np.int64)
        places[possible] = [seen[key] for key in keys]
        if len(seen) < 2 or (apart and places.tobytes() in known):
            continue
        if name not in coordinates:
            known.add(places.tobytes())
        tables.append(places + len(values))
        values += [(len(names), text) for text, _ in seen]
        numbers += [np.nan if n is None else n for _, n in seen]
        names.append(name)
    return Codebook(tuple(names), tuple(values), np.stack(tables), spec, np.array(numbers))
