"""The Gaussian process's kernel: likeness of two architectures, with learned relevances of all it compares.

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

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.architectures.structure import MOST_TOKENS, structure_kinds, told_by_attributes

Array = NDArray[np.float64]
BIAS_VARIANCE = 1e-2
PARTS = 3  # weights of the sum
# What is believed before any data: architectures are about LAYERS_APART apart in all their layers by token; the others are
# means of logarithms. Then the standard deviations of the logarithms.
LAYERS_APART, TOKEN, ATTRIBUTE, STRUCTURE, HOP, CONTEXT = 1.8, 0.0, -1.0, -2.0, -4.0, -2.0
POSITION_SPREAD, KIND_SPREAD, GROUP_SPREAD = 2.0, 1.0, 2.0
NEGLIGIBLE = 1e-10  # variance of a group that is rounding


class Layers:
    """The layers of a space as coordinates: at every position one-hot by token, and by attributes that group tokens otherwise.

    Where a position has more than MOST_TOKENS tokens with attributes, these alone tell them apart. Ordered numbers are
    coordinates themselves, one a position, from 0 to 1.

    Args:
        spec: the space.
    """

    def __init__(self, spec: SpaceSpec) -> None:
        attributes = [np.unique(np.array(values), return_inverse=True)[1] for values in spec.attributes.values()]
        kinds = [np.append(kind, ABSENT) for kind in (np.arange(len(spec.tokens)), *attributes)]  # ABSENT is the last row's, too
        seen: dict[tuple[int, ...], list[tuple[int, NDArray[np.float32]]]] = {}
        self._tables, of, nothing = [], [], np.zeros((len(spec.tokens) + 1, 0), np.float32)
        for position in range(spec.num_positions):
            unit = spec.units[spec.unit_of(position)]
            absent = unit.positions.index(position) >= unit.depths[0]
            allowed = (*unit.tokens, *([ABSENT] if absent else []))
            if allowed not in seen:
                seen[allowed] = _one_hot(kinds, np.array(allowed), told_by_attributes(unit, spec)) + _numbers(
                    spec, len(kinds), unit.tokens
                )
            self._tables.append(np.concatenate([nothing, *(table for _, table in seen[allowed])], 1))
            of += [(position, kind) for kind, table in seen[allowed] for _ in range(table.shape[1])]
        self.of = np.array(of, np.int64).reshape(-1, 2)

    def coordinates(self, codes: Codes) -> NDArray[np.float32]:
        """(n, columns) of (n, num_positions) codes. Tokens that differ are 1 apart, a layer and none 0.5 (squared distances)."""
        return np.concatenate([table[codes[:, position]] for position, table in enumerate(self._tables)], 1)


def _one_hot(
    kinds: list[NDArray[np.int64]], allowed: NDArray[np.int64], by_attributes: bool
) -> list[tuple[int, NDArray[np.float32]]]:
    """(kind, table from token to its coordinates) of each kind that tells some allowed tokens apart as none before it does.

    Where attributes tell the layers apart, kinds of more than MOST_TOKENS values are left out: tokens, and many numbers.
    """
    found, known = [], set()
    for number, kind in enumerate(kinds):
        values, group = np.unique(kind[allowed], return_inverse=True)
        num, values = len(values), values[values != ABSENT]
        if by_attributes and len(values) > MOST_TOKENS:
            continue
        parts = frozenset(frozenset(allowed[group == g].tolist()) for g in range(num))
        if len(parts) > 1 and parts not in known:
            known.add(parts)
            found.append((number, (0.5**0.5 * (kind[:, None] == values)).astype(np.float32)))
    return found


def _numbers(spec: SpaceSpec, first: int, tokens: tuple[int, ...]) -> list[tuple[int, NDArray[np.float32]]]:
    """(kind, table from token to its number) of each attribute with at least three numbers; without one, their middle."""
    found = []
    for number, values in enumerate(spec.numbers.values(), first):
        own = np.array([values[token] for token in tokens])
        if len(np.unique(own[np.isfinite(own)])) > 2:  # of two, one-hot says the same
            table = np.append(np.array(values), np.nan)[:, None]
            found.append((number, np.where(np.isnan(table), (np.nanmin(own) + np.nanmax(own)) / 2, table).astype(np.float32)))
    return found


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
    def of_space(cls, spec: SpaceSpec, layers: Layers, hop_widths: Sequence[int], contexts: Sequence[int] = ()) -> Self:
        """For the columns of `Ensemble.coordinates` and those of contexts behind them.

        Args:
            spec: the space.
            layers: its layers.
            hop_widths: dimensions of the graph embeddings of hops 1..M.
            contexts: which context each of their columns is of, counted from 0.
        """
        num, num_hops, kinds = spec.num_positions, len(hop_widths), np.unique(layers.of[:, 1])
        groups = structure_kinds(spec)
        first, own = num + len(kinds), max(groups) + 1
        groups += [own + hop for hop, width in enumerate(hop_widths) for _ in range(width)]
        num_contexts = len(set(contexts))
        groups += [own + num_hops + context for context in contexts]
        pairs = np.stack([layers.of[:, 0], num + np.searchsorted(kinds, layers.of[:, 1])], 1)
        of = np.concatenate([pairs, [(first + group, -1) for group in groups]])
        prior = [np.full(num, np.log(LAYERS_APART / num)), np.where(kinds == 0, TOKEN, ATTRIBUTE)]
        prior += [np.full(own, STRUCTURE), np.full(num_hops, HOP), np.full(num_contexts, CONTEXT)]
        spread = [np.full(num, POSITION_SPREAD), np.full(len(kinds), KIND_SPREAD)]
        spread.append(np.full(own + num_hops + num_contexts, GROUP_SPREAD))
        return cls(of, np.concatenate(prior), np.concatenate(spread))

    def sizes(self, columns: NDArray[Any]) -> Array:
        """(columns,) by which (n, columns) centred coordinates are divided: roots of a group's variance; 1 for layers."""
        group, one = self.of[:, 0], self.of[:, 1] < 0
        whole = np.bincount(group, np.square(columns, dtype=float).mean(0))[group]
        sizes: Array = np.sqrt(np.where(one & (whole > NEGLIGIBLE), whole, 1))
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
        weights: (PARTS,) of the parts.
    """
    apart = np.maximum(left[:, None] + right - 2 * inner, 0)
    whole: NDArray[Any] = weights[0] * np.exp(-apart) + inner * (weights[1] + weights[2] * inner) + BIAS_VARIANCE
    return whole


def compare(left: NDArray[Any], right: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
    """(n, m) the kernel of (n, columns) and (m, columns) scaled coordinates."""
    return similarity(left @ right.T, (left * left).sum(1), (right * right).sum(1), weights)
