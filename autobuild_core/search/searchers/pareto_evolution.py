"""AutoBuild's Pareto evolution over whole units: in a full space its arm Stage-Full, in a reduced one Stage-AutoBuild."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.search.searchers._front_evolution import FrontEvolution


@final
class ParetoEvolution(FrontEvolution):
    """Every unit of a child is, with probability .5 and in one unit at least, another of the unit's list.

    Source: Mills et al., CVPR 2024, section 5, and `OFAStageWholeMutator` of its published code.
    """

    title = "Pareto evolution, whole units"
    about = "the front of two targets, half of the units replaced by others of their lists"

    def change(self, codes: Codes, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Codes:
        return self.space.redraw_units(codes, rng, chosen)
