"""What an architecture looks like as a whole: how many layers of each kind, how deep its units, how long its paths.

Pooled node embeddings are means, so they see depth and reachability only through what nodes know of themselves; these
numbers stand beside them in the predictor, never in the nodes, whose norms stay local (docs/method.md, section 2).
"""

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.architectures.topologies import topology_of

Array = NDArray[np.float64]
WEIGHT = 6.0  # of the structure beside the embeddings: root of its summed variance


def one_hot(codes: Codes, spec: SpaceSpec) -> Array:
    """(n, pairs) which layer stands at each position; columns are the `layer_pairs`, all zeros where a position is absent."""
    places, tokens = layer_pairs(spec)
    column = np.full((spec.num_positions, len(spec.tokens) + 1), len(places))  # ABSENT, and what cannot be: one column too many
    column[places, tokens] = np.arange(len(places))
    hot = np.zeros((len(codes), len(places) + 1))
    rows = np.arange(len(codes))
    for position in range(spec.num_positions):
        hot[rows, column[position, codes[:, position]]] = 1
    return hot[:, :-1]


def layer_pairs(spec: SpaceSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(positions, tokens), each (pairs,), of all layers that can stand at each position."""
    owners = [spec.units[spec.unit_of(position)] for position in range(spec.num_positions)]
    tokens = [np.unique(unit.tokens) for unit in owners]
    return np.repeat(np.arange(len(owners)), [len(own) for own in tokens]), np.concatenate(tokens)


def token_counts(codes: Codes, spec: SpaceSpec) -> Array:
    """(n, tokens) how many layers of each token there are."""
    counts = np.zeros((len(codes), len(spec.tokens) + 1))
    rows = np.arange(len(codes))
    for column in codes.T:
        counts[rows, column] += 1
    return counts[:, :-1]


def structure_features(codes: Codes, spec: SpaceSpec) -> Array:
    """(n, dim) numbers of each architecture, of its canonical encoding; the same columns for every call with a space.

    Layers of each token, layers of each attribute's value, layers of each unit where its depth varies; then what follows from
    the data flow.

    Args:
        codes: (n, num_positions).
        spec: their space.
    """
    counts = token_counts(codes, spec)
    columns = [counts]
    for values in spec.attributes.values():
        kinds = list(dict.fromkeys(values))
        columns.append(counts @ (np.array(values)[:, None] == np.array(kinds)).astype(float))
    columns += [
        (codes[:, list(u.positions)] != ABSENT).sum(1, keepdims=True).astype(float) for u in spec.units if len(u.depths) > 1
    ]
    columns.append(topology_of(spec).structure(codes))
    return np.concatenate(columns, 1)


def structure_kinds(spec: SpaceSpec) -> list[int]:
    """The kind of every column of `structure_features`: tokens, each attribute, depths, those of the topology."""
    widths = [len(spec.tokens), *(len(set(values)) for values in spec.attributes.values())]
    widths.append(sum(len(unit.depths) > 1 for unit in spec.units))
    kinds = [kind for kind, width in enumerate(filter(None, widths)) for _ in range(width)]
    return kinds + [max(kinds) + 1 + kind for kind in topology_of(spec).structure_kinds]


def structure_scale(codes: Codes, spec: SpaceSpec) -> NDArray[np.float32]:
    """(2, dim) mean and scale of the structure features over training data; standardised by it they have norm WEIGHT."""
    features = structure_features(codes, spec)
    spread = features.std(0)
    spread = np.where(spread > 0, spread, 1) * np.sqrt(features.shape[1]) / WEIGHT
    return np.stack([features.mean(0), spread]).astype(np.float32)
