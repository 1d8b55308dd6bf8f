"""How alike two architectures are: the kernel of the solved half (`readout.py`), with learned relevances of all that it compares.

It compares the layers of every position (by token and by each attribute), the structure by its kinds (`structure.py`), and the
graph embeddings of a random graph network, hop by hop. Scaled by their relevances these are coordinates a and b of two
architectures, and

    k(a, b) = w0 exp(-|a - b|^2) + w1 a.b + w2 (a.b)^2 + BIAS_VARIANCE

so that likeness interpolates, and the linear and the squared part carry on where nothing like it was measured, as beyond a
search's log.

Source: automatic relevance determination as in Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section
5.1; sums of kernels, section 4.2.4. That a layer's relevance is one of its position times one of what it is compared by is ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from autobuild_core.records import Codes, SpaceSpec
from autobuild_core.structure import structure_kinds

Array = NDArray[np.float64]
BIAS_VARIANCE = 1e-2
PARTS = 3  # weights of the sum
# Logarithms before any data, each with its standard deviation: architectures are about 1 apart in all their layers.
LAYERS_APART, POSITION_SPREAD = 1.8, 2.0
TOKEN, ATTRIBUTE, KIND_SPREAD = 0.0, -1.0, 1.0
STRUCTURE, HOP, GROUP_SPREAD = -2.0, -4.0, 2.0


def layer_kinds(spec: SpaceSpec) -> list[NDArray[np.int64]]:
    """What layers are compared by, each (num_tokens,) the value of every token: the token itself, then each attribute."""
    attributes = [np.unique(np.array(values), return_inverse=True)[1] for values in spec.attributes.values()]
    return [np.arange(len(spec.tokens)), *attributes]


def layer_coordinates(codes: Codes, spec: SpaceSpec) -> NDArray[np.float32]:
    """(n, num_positions * values) one-hot layers of (n, num_positions) codes, kind by kind; two that differ are 1 apart."""
    parts = []
    for kind in layer_kinds(spec):
        table = np.zeros((len(kind) + 1, kind.max() + 1), np.float32)  # ABSENT has the last row: zeros
        table[np.arange(len(kind)), kind] = 0.5**0.5
        parts.append(table[codes].reshape(len(codes), -1))
    return np.concatenate(parts, 1)


@dataclass(frozen=True, eq=False)
class Relevances:
    """Which relevances scale which coordinate, and what is believed of them before any data.

    Args:
        of: (columns, 2) numbers of the relevances whose product scales each squared coordinate; -1 where there is no second.
        prior: (relevances,) means of their logarithms.
        spread: (relevances,) standard deviations of these.
    """

    of: NDArray[np.int64]
    prior: Array
    spread: Array

    @classmethod
    def of_space(cls, spec: SpaceSpec, hop_widths: Sequence[int]) -> Self:
        """For the columns of `Network.coordinates`.

        Args:
            spec: the space.
            hop_widths: dimensions of the graph embeddings of hops 1..M.
        """
        num, kinds = spec.num_positions, layer_kinds(spec)
        pairs = [(p, num + a) for a, kind in enumerate(kinds) for p in range(num) for _ in range(kind.max() + 1)]
        groups, num_hops = structure_kinds(spec), len(hop_widths)
        first, own = num + len(kinds), max(groups) + 1
        groups += [own + hop for hop, width in enumerate(hop_widths) for _ in range(width)]
        prior = [np.full(num, np.log(LAYERS_APART / num)), np.full(1, TOKEN), np.full(len(kinds) - 1, ATTRIBUTE)]
        prior += [np.full(own, STRUCTURE), np.full(num_hops, HOP)]
        spread = [np.full(num, POSITION_SPREAD), np.full(len(kinds), KIND_SPREAD), np.full(own + num_hops, GROUP_SPREAD)]
        of = np.array(pairs + [(first + group, -1) for group in groups])
        return cls(of, np.concatenate(prior), np.concatenate(spread))

    def sizes(self, columns: NDArray[Any]) -> Array:
        """(columns,) by which (n, columns) centred coordinates are divided: roots of a group's variance; 1 for layers."""
        group, one = self.of[:, 0], self.of[:, 1] < 0
        whole = np.bincount(group, np.square(columns, dtype=float).mean(0))[group]
        sizes: Array = np.sqrt(np.where(one & (whole > 0), whole, 1))
        return sizes

    def scales(self, logs: Array) -> Array:
        """(columns,) factors of the squared coordinates."""
        factors: Array = np.exp(np.append(logs, 0.0)[self.of].sum(1))
        return factors

    def gather(self, slopes: Array) -> Array:
        """(relevances,) sums of (columns,) slopes, each over the columns that one scales."""
        return np.bincount(self.of.ravel() + 1, np.repeat(slopes, 2), len(self.prior) + 1)[1:].astype(float)


def similarity(inner: NDArray[Any], left: NDArray[Any], right: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """(n, m) the kernel of n and m architectures.

    Args:
        inner: (n, m) inner products of their scaled coordinates.
        left: (n,) squared norms of the former.
        right: (m,) of the latter.
        weights: of the parts; more than PARTS are ignored.
    """
    apart = np.maximum(left[:, None] + right - 2 * inner, 0)
    whole: NDArray[Any] = weights[0] * np.exp(-apart) + inner * (weights[1] + weights[2] * inner) + BIAS_VARIANCE
    return whole
