"""Numbers of an architecture as a whole: its layers of each kind, depths of its units, lengths of its paths.

Pooled node embeddings are means, so they see depth and reachability only through what nodes know of themselves; these
numbers stand beside them in the predictor, never in the nodes, whose norms stay local (docs/method.md, section 2).
"""

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec, UnitSpec
from autobuild_core.architectures.topologies import topology_of

Array = NDArray[np.float64]
WEIGHT = 6.0  # of the structure beside the embeddings: root of its summed variance
MOST_TOKENS = 500  # of a position: more are told apart by their attributes alone


def told_by_attributes(unit: UnitSpec, spec: SpaceSpec) -> bool:
    """Whether a unit's layers are compared by their attributes alone: more than MOST_TOKENS tokens that have some.

    Ours: of so many tokens the data hold a few each, and a column for each at each position would fill the memory.
    """
    if len(unit.tokens) <= MOST_TOKENS:
        return False
    return any(len({values[token] for token in unit.tokens}) > 1 for values in spec.attributes.values())


def counted(counts: Array, spec: SpaceSpec) -> Array:
    """(n, columns) of the `token_counts` those of tokens that do not only stand where attributes tell layers apart."""
    wide = [unit for unit in spec.units if told_by_attributes(unit, spec)]
    if not wide:
        return counts
    by_name = {token for unit in spec.units if unit not in wide for token in unit.tokens}
    left_out = {token for unit in wide for token in unit.tokens} - by_name
    return np.delete(counts, sorted(left_out), axis=1)


def counted_attributes(spec: SpaceSpec) -> dict[str, tuple[str, ...]]:
    """The attributes whose values are counted one by one: of no unit more than MOST_TOKENS."""
    if all(len(unit.tokens) <= MOST_TOKENS for unit in spec.units):
        return spec.attributes
    return {
        name: values
        for name, values in spec.attributes.items()
        if all(len({values[token] for token in unit.tokens}) <= MOST_TOKENS for unit in spec.units)
    }


def one_hot(codes: Codes, spec: SpaceSpec) -> Array:
    """(n, columns) which layer stands at each position, all zeros where it is absent.

    Columns are the `layer_pairs`, or those of `layer_tables` where a position is told by its attributes.
    """
    if any(told_by_attributes(unit, spec) for unit in spec.units):
        return np.concatenate([table[codes[:, p]] for p, table in enumerate(layer_tables(spec))], 1)
    places, tokens = layer_pairs(spec)
    column = np.full((spec.num_positions, len(spec.tokens) + 1), len(places))  # ABSENT, and what cannot be: one column too many
    column[places, tokens] = np.arange(len(places))
    hot = np.zeros((len(codes), len(places) + 1))
    rows = np.arange(len(codes))
    for position in range(spec.num_positions):
        hot[rows, column[position, codes[:, position]]] = 1
    return hot[:, :-1]


def layer_tables(spec: SpaceSpec) -> list[Array]:
    """Per position (tokens + 1, columns) a token's columns of `one_hot`; the last row, of an absent layer, is zeros.

    Where attributes tell layers apart these are one-hot, and ordered numbers are columns themselves.
    """
    attributes = [np.array(values) for values in counted_attributes(spec).values()]
    numbers = np.nan_to_num(np.array(list(spec.numbers.values())).reshape(-1, len(spec.tokens))).T
    tables: list[Array] = []
    known: dict[int, Array] = {}
    for position in range(spec.num_positions):
        index = spec.unit_of(position)
        if index not in known:
            unit = spec.units[index]
            own = np.unique(unit.tokens)
            kinds, beside = ([np.arange(len(spec.tokens))], numbers[:, :0])
            if told_by_attributes(unit, spec):
                kinds, beside = attributes, numbers[:, np.ptp(numbers[own], axis=0) > 0]
            hot = np.concatenate([*(kind[:, None] == np.unique(kind[own]) for kind in kinds), beside], 1)
            known[index] = np.concatenate([hot, np.zeros((1, hot.shape[1]))])
        tables.append(known[index])
    return tables


def layer_pairs(spec: SpaceSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(positions, tokens), each (pairs,), of all layers that can stand at each position: the columns of `one_hot` by tokens."""
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

    Layers of each token and of each attribute's value that is counted, layers of each unit where its depth varies; then what
    follows from the data flow.

    Args:
        codes: (n, num_positions).
        spec: their space.
    """
    counts = token_counts(codes, spec)
    columns = [counted(counts, spec)]
    for values in counted_attributes(spec).values():
        kinds = list(dict.fromkeys(values))
        columns.append(counts @ (np.array(values)[:, None] == np.array(kinds)).astype(float))
    columns += [
        (codes[:, list(u.positions)] != ABSENT).sum(1, keepdims=True).astype(float) for u in spec.units if len(u.depths) > 1
    ]
    columns.append(topology_of(spec).structure(codes))
    return np.concatenate(columns, 1)


def structure_kinds(spec: SpaceSpec) -> list[int]:
    """The kind of every column of `structure_features`: tokens, each attribute, depths, those of the topology."""
    num_counted = counted(np.zeros((0, len(spec.tokens))), spec).shape[1]
    widths = [num_counted, *(len(set(values)) for values in counted_attributes(spec).values())]
    widths.append(sum(len(unit.depths) > 1 for unit in spec.units))
    kinds = [kind for kind, width in enumerate(filter(None, widths)) for _ in range(width)]
    return kinds + [max(kinds) + 1 + kind for kind in topology_of(spec).structure_kinds]


def structure_scale(codes: Codes, spec: SpaceSpec) -> NDArray[np.float32]:
    """(2, dim) mean and scale of the structure features over training data; standardised by it they have norm WEIGHT."""
    features = structure_features(codes, spec)
    spread = features.std(0)
    spread = np.where(spread > 0, spread, 1) * np.sqrt(features.shape[1]) / WEIGHT
    return np.stack([features.mean(0), spread]).astype(np.float32)
