"""Architectures as directed graphs in padded arrays: a node a layer, an edge where data flow.

Chains: i -> i + 1. Cells with operations on edges: an operation hears those that enter the node it reads, and a state
node for each of the cell's sums hears the operations that enter it. Loose units are a set: each hears the mean of all nodes.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec

MEAN = -2  # among the sources of a node: the mean of all nodes of its graph


@dataclass(frozen=True, eq=False)
class Graphs:
    """A batch of graphs; the nodes of chains stand in data-flow order, padded at the end; in cells node = position, sums last.

    Args:
        positions: (num_graphs, num_nodes) position of each node in its space, ABSENT where padded; the sum of unit u
            counts as position num_positions + u.
        tokens: (num_graphs, num_nodes) token of each node, ABSENT where padded; that of a sum is the number of tokens.
        sources: (num_graphs, num_nodes, degree) indices of the nodes that a node hears, itself first, ABSENT where none,
            MEAN where it hears the mean of all.
    """

    positions: Codes
    tokens: Codes
    sources: Codes

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(num_graphs, num_nodes) where a node is real."""
        mask: NDArray[np.bool_] = self.positions != ABSENT
        return mask

    def __len__(self) -> int:
        return len(self.positions)


def make_graphs(codes: Codes, spec: SpaceSpec) -> Graphs:
    """The graphs of (num_graphs, num_positions) codes: cells where the spec says what each position reads, else chains, or sets.

    A module alone is a row with ABSENT everywhere but at the module's positions.
    """
    if spec.reads:
        return cell_graphs(codes, spec)
    return set_graphs(codes, spec) if any(unit.loose for unit in spec.units) else chain_graphs(codes)


def hops_that_differ(spec: SpaceSpec, num_hops: int) -> int:
    """So many of the hops as have something to say: in a set the first has met all there is."""
    return min(num_hops, 1) if all(unit.loose for unit in spec.units) else num_hops


def chain_graphs(codes: Codes) -> Graphs:
    """The chains that codes stand for; absent positions are left out, so their neighbours become adjacent.

    A module alone is a row with ABSENT everywhere but at the module's positions.

    Args:
        codes: (num_graphs, num_positions).
    """
    present = codes != ABSENT
    width = max(int(present.sum(1).max(initial=0)), 1)
    order = np.argsort(~present, axis=1, kind="stable")[:, :width].astype(np.int16)
    tokens = np.take_along_axis(codes, order, 1)
    positions = np.where(tokens == ABSENT, np.int16(ABSENT), order)
    node = np.arange(width, dtype=np.int16)
    chain = np.stack([node, node - 1], axis=1)  # (width, 2): itself, its predecessor (none for the first)
    return Graphs(positions, tokens, np.broadcast_to(chain, (len(codes), width, 2)))


def set_graphs(codes: Codes, spec: SpaceSpec) -> Graphs:
    """As `chain_graphs`, where a node of a loose unit hears itself and the mean of all nodes; no arrow enters or leaves it.

    A choice that stands by itself together with all others: ours. So a chain is not joined across a loose unit either.

    Args:
        codes: (num_graphs, num_positions).
        spec: their space.
    """
    chains = chain_graphs(codes)
    loose = np.array([spec.units[spec.unit_of(p)].loose for p in range(spec.num_positions)])
    run = np.cumsum(loose)  # positions of one chain share its number
    place, before = np.maximum(chains.positions, 0), np.maximum(np.roll(chains.positions, 1, 1), 0)
    arrow = ~loose[place] & ~loose[before] & (run[place] == run[before])
    second = np.where(arrow, chains.sources[..., 1], np.int16(ABSENT))
    second[loose[place]] = MEAN
    second[~chains.mask] = ABSENT
    return Graphs(chains.positions, chains.tokens, np.stack([chains.sources[..., 0], second], -1))


def heard_by(spec: SpaceSpec) -> list[list[int]]:
    """Per node of a cell's graph, operations first, the operations that it hears."""
    entering = [list(unit.positions) for unit in spec.units]
    return [entering[unit] if unit != ABSENT else [] for unit in spec.reads] + entering


def cell_graphs(codes: Codes, spec: SpaceSpec) -> Graphs:
    """The cells that codes stand for. An absent operation is heard by no node; a sum of absent operations is absent.

    Source: docs/method.md, section 1: a state node per cell node is the sink of the operations entering it. That an
    operation hears operations and not the sum between them is ours: so two operations head to tail meet at hop 1.

    Args:
        codes: (num_graphs, num_positions).
        spec: their space.
    """
    heard, num_graphs = heard_by(spec), len(codes)
    width = 1 + max(map(len, heard))
    template = np.array([[node, *ops, *[ABSENT] * (width - 1 - len(ops))] for node, ops in enumerate(heard)], np.int16)
    sums = np.stack([(codes[:, list(unit.positions)] != ABSENT).any(1) for unit in spec.units], 1)
    tokens = np.concatenate([codes, np.where(sums, np.int16(len(spec.tokens)), np.int16(ABSENT))], 1)
    present = tokens != ABSENT
    positions = np.where(present, np.arange(len(heard), dtype=np.int16), np.int16(ABSENT))
    if present.all():
        return Graphs(positions, tokens, np.broadcast_to(template, (num_graphs, *template.shape)))
    known = (template != ABSENT) & present[:, template]
    known[..., 0] = True
    return Graphs(positions, tokens, np.where(known, template, np.int16(ABSENT)))


def module_sink(group: ModuleGroup, spec: SpaceSpec) -> tuple[int, int]:
    """(position of the node whose norm is the module's, its hop): the last layer, hop L - 1; of a cell's unit its sum, hop 1."""
    if spec.reads and group.unit is not None:
        return spec.num_positions + group.unit, 1
    return group.positions[-1], group.hop


def module_contexts(group: ModuleGroup, spec: SpaceSpec) -> list[Codes]:
    """The modules as architectures of their own, once for every context that their sink can tell apart.

    On a chain there is one, the module alone. In a cell the sink may hear operations that are not the module's (0>2, 2>3 hears
    1>2 too): one context for each combination of what may stand there, to be averaged over (docs/method.md, section 2).

    Returns:
        each (num_modules, num_positions), ABSENT elsewhere.
    """
    alone = module_codes(group, spec.num_positions)
    if not spec.reads:
        return [alone]
    sink, hop = module_sink(group, spec)
    heard, reached = heard_by(spec), {sink}
    for _ in range(hop):
        reached |= {source for node in reached for source in heard[node]}
    free = sorted(reached - {*group.positions, sink})
    contexts = []
    for layers in itertools.product(*[spec.units[spec.unit_of(p)].tokens for p in free]):
        context = alone.copy()
        context[:, free] = layers
        contexts.append(context)
    return contexts


def module_codes(group: ModuleGroup, num_positions: int) -> Codes:
    """(num_modules, num_positions) each module as an architecture of its own, ABSENT elsewhere."""
    codes = np.full((len(group), num_positions), ABSENT, np.int16)
    codes[:, list(group.positions)] = group.codes
    return codes
