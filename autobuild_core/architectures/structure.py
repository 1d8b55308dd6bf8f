"""What an architecture looks like as a whole: how many layers of each kind, how deep its units, how long its paths.

Pooled node embeddings are means, so they see depth and reachability only through what nodes know of themselves; these
numbers stand beside them in the predictor, never in the nodes, whose norms stay local (docs/method.md, section 2).
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec

Array = NDArray[np.float64]
UNREACHED = 99
PATH_NUMBERS = 7  # of every set of operations
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

    Layers of each token, layers of each attribute's value, layers of each unit where its depth varies; of cells `path_features`
    too.

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
    if spec.reads:
        columns.append(path_features(codes, spec))
    return np.concatenate(columns, 1)


def structure_kinds(spec: SpaceSpec) -> list[int]:
    """The kind of every column of `structure_features`: tokens, each attribute, depths, each number of a path."""
    widths = [len(spec.tokens), *(len(set(values)) for values in spec.attributes.values())]
    widths.append(sum(len(unit.depths) > 1 for unit in spec.units))
    kinds = [kind for kind, width in enumerate(filter(None, widths)) for _ in range(width)]
    num_paths = len(_path_subsets(spec)) if spec.reads else 0
    return kinds + [max(kinds) + 1 + number for _ in range(num_paths) for number in range(PATH_NUMBERS)]


def structure_scale(codes: Codes, spec: SpaceSpec) -> NDArray[np.float32]:
    """(2, dim) mean and scale of the structure features over training data; standardised by it they have norm WEIGHT."""
    features = structure_features(codes, spec)
    spread = features.std(0)
    spread = np.where(spread > 0, spread, 1) * np.sqrt(features.shape[1]) / WEIGHT
    return np.stack([features.mean(0), spread]).astype(np.float32)


def path_features(codes: Codes, spec: SpaceSpec) -> Array:
    """(n, PATH_NUMBERS * subsets) paths of cells with operations on edges, for every set of operations that do something.

    For each set: shortest and longest path from the input to the output over its operations alone, and the number of such paths;
    how many of its operations lie on a path at least and at most, other operations between them allowed; its operations that
    read the input, and those that enter the output.

    Source: in the manner of GRAF (Kadlecova et al., "Surprisingly Strong Performance Prediction with Neural Graph Features",
    ICML 2024, section 3): path lengths and degrees per set of operations; counts along paths are ours.
    """
    present = (codes[:, :, None] == np.array(_working(spec))).any(2)
    columns = []
    for subset in _path_subsets(spec):
        inside = (codes[:, :, None] == np.array(subset)).any(2)
        shortest, longest, ways = _extremes(inside, inside, spec)
        least, most, _ = _extremes(present, inside, spec)
        read_input = inside[:, [p for p, read in enumerate(spec.reads) if read == ABSENT]].sum(1)
        enter_output = inside[:, list(spec.units[-1].positions)].sum(1)
        reached = shortest < UNREACHED
        columns += [np.where(reached, shortest, len(spec.units) + 1), np.where(reached, longest, 0), ways]
        columns += [np.where(least < UNREACHED, least, -1), np.where(least < UNREACHED, most, -1), read_input, enter_output]
    return np.stack(columns, 1).astype(float)


def _working(spec: SpaceSpec) -> list[int]:
    """Tokens that do something."""
    return [t for t in range(len(spec.tokens)) if t != spec.options.get("none")]


def _path_subsets(spec: SpaceSpec) -> list[tuple[int, ...]]:
    """The sets of working tokens whose paths are counted."""
    working = _working(spec)
    largest = len(working) if len(working) <= 5 else 2
    return [s for size in range(1, largest + 1) for s in itertools.combinations(working, size)]


def _extremes(allowed: NDArray[np.bool_], counted: NDArray[np.bool_], spec: SpaceSpec) -> tuple[Array, Array, Array]:
    """(fewest, most) counted operations on a path from input to output over allowed ones, number of such paths; each (n,).

    Args:
        allowed, counted: (n, num_positions).
        spec: units in the order of data flow.
    """
    num = len(allowed)
    fewest = {ABSENT: np.zeros(num)}
    most, ways = {ABSENT: np.zeros(num)}, {ABSENT: np.ones(num)}
    for index, unit in enumerate(spec.units):
        fewest[index], most[index], ways[index] = np.full(num, float(UNREACHED)), np.full(num, -float(UNREACHED)), np.zeros(num)
        for position in unit.positions:
            source, count = spec.reads[position], counted[:, position]
            open_ = allowed[:, position] & (ways[source] > 0)
            fewest[index] = np.where(open_, np.minimum(fewest[index], fewest[source] + count), fewest[index])
            most[index] = np.where(open_, np.maximum(most[index], most[source] + count), most[index])
            ways[index] += np.where(open_, ways[source], 0)
    last = len(spec.units) - 1
    return fewest[last], most[last], ways[last]
