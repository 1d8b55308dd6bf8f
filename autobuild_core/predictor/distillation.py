"""Distillation of the Gaussian process into the GNN: architectures that nobody measured, and modules alone.

Few measured architectures leave the norms of a graph network undetermined, while the Gaussian process orders the whole space from
them. So the norms of the GNN learn, beside the measurements, the order that the Gaussian process gives random architectures
(not its predicted values: far from a search's log those are wrong in size, and its prediction is better without them, measured);
and the norm at a module's sink, which credits a module for its neighbours as long as only means over whole graphs are ranked,
learns the order of the modules of a unit (docs/method.md, weakness 11).

Source: learning from another model's predictions is Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; its use
here, and the loss on modules, are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.modules import ModuleGroup, eligible_rows
from autobuild_core.architectures.records import Codes
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.spaces import Space
from autobuild_core.spaces._in_contexts import in_contexts

Array = NDArray[np.float64]
NUM_DISTILLED = 1024  # random architectures
NUM_MODULES, NUM_CONTEXTS = 48, 8  # modules of a unit and depth, at most, and architectures that each is averaged over
DRAWS = 256  # random architectures among which contexts with a unit's depth are found


@dataclass(frozen=True, eq=False)
class DistilledModules:
    """Modules of one unit and depth.

    Args:
        rows: (contexts, num_modules) their rows in `Distilled.codes`, once for every context that their sink can tell apart.
        sink: node whose norm is the module's, in its padded graph.
        hop: at which.
        scores: (members, num_modules) mean normal score of architectures that contain each.
    """

    rows: NDArray[np.int64]
    sink: int
    hop: int
    scores: Array


@dataclass(frozen=True, eq=False)
class Distilled:
    """Architectures and modules with what the Gaussian process says of them; member m learns from what never saw fold m.

    Args:
        codes: (n, num_positions) architectures, in canonical encodings, then modules alone.
        scores: (members, num_architectures) predicted normal scores.
        modules: groups of at least three modules.
    """

    codes: Codes
    scores: Array
    modules: tuple[DistilledModules, ...]


def distil(space: Space, predict: Callable[[Codes], Array], num_hops: int, rng: np.random.Generator) -> Distilled:
    """Random architectures and modules of every unit of a space.

    Args:
        space: the space.
        predict: (n, num_positions) canonical encodings -> (members, n) normal scores.
        num_hops: M; longer modules are distilled at the last hop.
        rng: draws them.
    """
    topology = topology_of(space.spec)
    architectures = space.canonical(space.sample(NUM_DISTILLED, rng))
    parts, modules, start = [architectures], [], len(architectures)
    drawn = space.sample(DRAWS, rng)
    for index in range(len(space.spec.units)):
        for group in space.unit_modules(index):
            chosen = np.sort(rng.permutation(len(group))[:NUM_MODULES])
            group = ModuleGroup(group.positions, group.codes[chosen], group.unit)
            contexts = drawn[eligible_rows(drawn, group, space.spec)[:NUM_CONTEXTS]]
            if len(group) < 3 or not len(contexts):
                continue
            alone = topology.contexts(group)
            rows = start + np.arange(len(alone) * len(group)).reshape(len(alone), len(group))
            start += rows.size
            parts += alone
            inside = predict(space.canonical(in_contexts(group, contexts, space.spec)))
            scores = inside.reshape(len(inside), len(group), len(contexts)).mean(2)
            hop = min(topology.sink(group)[1], num_hops)
            modules.append(DistilledModules(rows, topology.sink_place(group), hop, scores))
    return Distilled(np.concatenate(parts), predict(architectures), tuple(modules))
