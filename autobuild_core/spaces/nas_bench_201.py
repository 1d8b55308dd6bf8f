"""NAS-Bench-201: cells of four nodes, five operations on each of the six edges."""

import itertools
import re
from functools import cache
from typing import Any, final

import numpy as np

from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec, UnitSpec
from autobuild_core.errors import ArchitectureError
from autobuild_core.spaces import Space, _four_nodes
from autobuild_core.spaces._four_nodes import EDGES, IDENTITY, NOTHING, Terms

TOKENS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP = 0, 1
EXPECTED = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
SHAPE = re.compile(re.escape(EXPECTED).replace("op", r"(\w{1,40})"))
LABELS = (NOTHING, IDENTITY, *TOKENS[2:])  # of the tokens, as networks are told apart


def network_of(row: tuple[int, ...]) -> Terms:
    """The network of a cell of token indices, as `_four_nodes` has it: equal exactly for equal networks."""
    return _four_nodes.network_of([LABELS[token] for token in row])


@cache
def _canonical_table() -> Codes:
    """(15625, 6) the representative of every encoding, which is numbered by its base-5 digits.

    Of the encodings of a network it is the one with the fewest operations, then the fewest skips, then the first.
    """
    rows = list(itertools.product(range(len(TOKENS)), repeat=len(EDGES)))
    best: dict[Terms, tuple[int, int, tuple[int, ...]]] = {}
    networks = [network_of(row) for row in rows]
    for row, network in zip(rows, networks, strict=True):
        rank = (len(EDGES) - row.count(NONE), row.count(SKIP), row)
        best[network] = min(best.get(network, rank), rank)
    table = np.array([best[network][2] for network in networks], np.int16)
    table.setflags(write=False)
    return table


@final
class NasBench201(Space):
    """A string "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|": the operations that enter cell nodes 1, 2 and 3, each with its source.

    Source: Dong and Yang, "NAS-Bench-201", ICLR 2020, section 2. 15,625 strings, 4,930 distinct networks. Folded as equal
    are: operations on dead paths, which `none` cuts off from the input or from the output (a convolution or pooling of
    nothing is nothing); a node that `skip_connect`, the identity, hands on and the terms that it sums, so that sums of
    sums are one sum; the order of the terms of a sum, so that isomorphic cells are one network. Kept apart are x + x and
    x, and conv(x + y) and conv(x) + conv(y).
    """

    title = "NAS-Bench-201"

    @classmethod
    def default_spec(cls) -> SpaceSpec:
        every = tuple(range(len(TOKENS)))
        units = []
        for node in (1, 2, 3):
            entering = tuple(p for p, (_, target) in enumerate(EDGES) if target == node)
            units.append(UnitSpec(f"node {node}", entering, (len(entering),), every))
        attributes: dict[str, tuple[str, ...]]
        attributes = {"operation": ("none", "skip", "conv", "conv", "pool"), "kernel": ("0", "0", "1", "3", "3")}
        reads = tuple(source - 1 if source else ABSENT for source, _ in EDGES)
        labels = tuple(f"{source}>{target}" for source, target in EDGES)
        idle = {"none": NONE, "skip": SKIP}
        return SpaceSpec("nas_bench_201", cls.title, labels, TOKENS, tuple(units), attributes, idle, reads)

    def parse(self, native: Any) -> list[int]:
        found = SHAPE.fullmatch(native) if isinstance(native, str) else None
        if found is None:
            raise ArchitectureError(f"NAS-Bench-201 cell: got {str(native)[:100]!r}, expected {EXPECTED}.")
        try:
            return [self.token_index[token] for token in found.groups()]
        except KeyError:
            label, token = next(
                pair for pair in zip(self.spec.position_labels, found.groups(), strict=True) if pair[1] not in TOKENS
            )
            raise ArchitectureError(f"edge {label}: got {token!r}, expected one of {', '.join(TOKENS)}.") from None

    def native(self, row: Codes) -> str:
        names = [f"{TOKENS[token]}~{source}" for token, (source, _) in zip(row, EDGES, strict=True)]
        return "+".join("|" + "".join(f"{names[p]}|" for p in unit.positions) for unit in self.spec.units)

    def _canonical(self, codes: Codes) -> Codes:
        place = len(TOKENS) ** np.arange(len(EDGES))[::-1]
        table: Codes = _canonical_table()[codes.astype(np.int64) @ place]
        return table
