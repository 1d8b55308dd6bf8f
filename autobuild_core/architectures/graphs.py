"""Architectures as directed graphs in padded arrays: a node a layer, an edge where data flow, as their topology says."""

from autobuild_core.architectures.padded import MEAN as MEAN
from autobuild_core.architectures.padded import Graphs as Graphs
from autobuild_core.architectures.records import Codes, SpaceSpec
from autobuild_core.architectures.topologies import topology_of


def make_graphs(codes: Codes, spec: SpaceSpec) -> Graphs:
    """The graphs of (num_graphs, num_positions) codes.

    A module alone is a row with ABSENT everywhere but at the module's positions.
    """
    return topology_of(spec).graphs(codes)


def hops_that_differ(spec: SpaceSpec, num_hops: int) -> int:
    """Number of the hops that have something to say: in a set the first has met all there is."""
    return topology_of(spec).hops_that_differ(num_hops)
