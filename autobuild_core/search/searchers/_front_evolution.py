"""An evolution of the Pareto front in generations, as AutoBuild's; what a change is, each searcher says.

Source: Mills et al., "AutoBuild", CVPR 2024, section 5, and its published code (`rm_pareto_search`): from random networks, every
generation changes those on the front as it stood when the generation began, in turn, until it has so many children.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.search.searchers import History, Searcher

PROBABILITY = 0.5  # with which a unit changes
TRIES = 20  # changes of the same parents, until a network is found that is not known


class FrontEvolution(Searcher):
    """An evolution of the front; with one target the front is the best.

    Ours: a network is evaluated once, whichever generation it comes in; where none is found that is new random ones come.
    """

    defaults: ClassVar[Mapping[str, int]] = {"initial": 50, "generation": 50}

    @abstractmethod
    def change(self, codes: Codes, chosen: NDArray[np.bool_], rng: np.random.Generator) -> Codes:
        """(n, num_positions) children of parents, which differ in the (n, num_units) chosen units."""

    @final
    def propose(self, history: History, num: int) -> Codes:
        rng, initial, size = self.rng(history), self.settings["initial"], self.settings["generation"]
        if history.num_networks < initial:
            return self.draw_new(history, max(min(num, initial - history.num_networks), 1), rng)
        place = (history.num_networks - initial) % size  # in the generation
        front = history.front(history.num_networks - place)
        if not front:
            return self.draw_new(history, num, rng)
        wanted = min(num, size - place)
        turns = [front[(place + turn) % len(front)] for turn in range(wanted)]
        parents = np.stack([history.codes[turn] for turn in turns])
        for _ in range(TRIES):
            if len(found := self.new(self.change(parents, self._units(wanted, rng), rng), history)):
                return found
        return self.draw_new(history, wanted, rng)

    def _units(self, num: int, rng: np.random.Generator) -> NDArray[np.bool_]:
        """(num, num_units) the units that change: each with PROBABILITY, one at least."""
        chosen = rng.random((num, len(self.space.spec.units))) < PROBABILITY
        while not (some := chosen.any(1)).all():
            chosen[~some] = rng.random((int((~some).sum()), chosen.shape[1])) < PROBABILITY
        return chosen
