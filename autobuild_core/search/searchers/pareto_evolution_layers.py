"""AutoBuild's Pareto evolution over single layers, its arm Layer-Full: what whole units are compared with."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.search.searchers._front_evolution import FrontEvolution


@final
class ParetoEvolutionLayers(FrontEvolution):
    """In every unit of a child, with probability .5 and in one unit at least, one layer or the depth is drawn anew.

    Source: Mills et al., CVPR 2024, section 5, and `OFAStageLevelMutator` of its published code. There a layer is added, removed
    or replaced, alike likely, at any place of its unit; here a third changes the depth, at its end (`Space.mutate`).
    """

    title = "Pareto evolution, single layers"
    about = "the front of two targets, a layer changed in half of the units"

    def change(self, codes: Codes, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Codes:
        return self.space.mutate(codes, rng, chosen)
