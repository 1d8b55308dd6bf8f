"""A random forest on structural features: the baseline that is hard to beat on cells."""

import importlib.util
import itertools
import re
from collections.abc import Callable, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.architectures.structure import one_hot
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers._learned import Array, LearnedScorer, count_features

NUM_TREES, MIN_LEAF = 40, 2
MOST_NETWORKS = 1000  # that a member learns from: beyond, a random choice of them
ROWS_AT_ONCE = 50_000
MOST_SUBSETS_OF = 5  # every set of so many tokens has its paths; of more tokens, single ones and all but one


def cell_edges(spec: SpaceSpec) -> list[tuple[int, int]] | None:
    """(from, to) of every position where the positions are the edges of a cell ("0>1", "0>2", ...); None elsewhere."""
    ends = [re.fullmatch(r"(\d+)>(\d+)", label) for label in spec.position_labels]
    return [(int(e[1]), int(e[2])) for e in ends if e] if all(ends) else None


def token_sets(num_tokens: int) -> list[tuple[int, ...]]:
    """The sets of tokens whose paths are features."""
    tokens = range(num_tokens)
    sizes = range(1, num_tokens + 1) if num_tokens <= MOST_SUBSETS_OF else (1, num_tokens - 1)
    return [chosen for size in sizes for chosen in itertools.combinations(tokens, size)]


def path_features(codes: Codes, edges: list[tuple[int, int]], num_tokens: int) -> Array:
    """(n, sets * (2 + nodes)) for every set of tokens: shortest and longest path from first to last node, nodes reached.

    Only edges that hold a token of the set count. Where there is no path, the shortest is the number of nodes and the longest -1.
    Source: in the manner of GRAF (Kadlecova et al., ICML 2024), section 3: operation counts, minimum and maximum path lengths
    over sets of operations, and node degrees (here: which nodes the input reaches).
    """
    nodes = max(end for _, end in edges) + 1
    first, last = min(start for start, _ in edges), nodes - 1
    order = sorted(range(len(edges)), key=lambda e: edges[e][1])
    out = []
    for chosen in token_sets(num_tokens):
        open_ = np.isin(codes, chosen)
        short, long = np.full((len(codes), nodes), float(nodes)), np.full((len(codes), nodes), -1.0)
        short[:, first] = long[:, first] = 0
        for edge in order:
            start, end = edges[edge]
            there = open_[:, edge] & (long[:, start] >= 0)
            short[:, end] = np.where(there, np.minimum(short[:, end], short[:, start] + 1), short[:, end])
            long[:, end] = np.where(there, np.maximum(long[:, end], long[:, start] + 1), long[:, end])
        out.append(np.concatenate([short[:, [last]], long[:, [last]], long >= 0], axis=1))
    return np.concatenate(out, axis=1)


@final
class Forest(LearnedScorer):
    """Extremely randomised trees on the raw target.

    Source: Geurts et al., "Extremely randomized trees", 2006, as in scikit-learn; features after GRAF where the space is a cell,
    else counts of layers, depth of every unit and one-hot (position, layer). No intervals: a forest draws extreme modules towards
    the mean, and the spread between its members does not show that (measured on an additive truth: 22 to 63 % covered).
    """

    title = "Structural forest"
    explained = (
        "decision trees on counts of layers, depths and paths, fitted to the target itself; knows interactions, needs data"
    )
    has_intervals = False

    def supports(self, predictor: Predictor) -> str | None:
        if importlib.util.find_spec("sklearn") is None:
            return "scikit-learn is not installed"
        return super().supports(predictor)

    def fit(self, folds: NDArray[np.int64]) -> Sequence[Callable[[Codes], Array]]:
        from sklearn.ensemble import ExtraTreesRegressor  # here: it takes seconds to import

        features, values = self._features(self.evaluated.codes), self.evaluated.values
        rng, members = np.random.default_rng(0), []
        for number in range(folds.max() + 1):
            rows = np.flatnonzero(folds != number)
            if len(rows) > MOST_NETWORKS:
                rows = rng.choice(rows, MOST_NETWORKS, replace=False)
            trees = ExtraTreesRegressor(NUM_TREES, min_samples_leaf=MIN_LEAF, max_features=0.5, random_state=0, n_jobs=1)
            trees.fit(features[rows], values[rows])
            members.append(self._predicting(trees.predict))
        return members

    def _predicting(self, predict: Callable[[Array], Array]) -> Callable[[Codes], Array]:
        def member(codes: Codes) -> Array:
            starts = range(0, len(codes), ROWS_AT_ONCE)
            parts = [predict(self._features(codes[s : s + ROWS_AT_ONCE])) for s in starts]
            return np.concatenate(parts) if parts else np.zeros(0)

        return member

    def _features(self, codes: Codes) -> Array:
        spec = self.predictor.spec
        depths = [(codes[:, list(u.positions)] != ABSENT).sum(1) for u in spec.units if len(u.depths) > 1]
        parts = [one_hot(codes, spec), count_features(codes, spec), *(d[:, None].astype(float) for d in depths)]
        if (edges := cell_edges(spec)) is not None:
            parts.append(path_features(codes, edges, len(spec.tokens)))
        features = np.concatenate(parts, axis=1)
        return features
