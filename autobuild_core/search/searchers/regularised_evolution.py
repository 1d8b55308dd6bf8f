"""Regularised ("aging") evolution: the best of a small sample has a child, and the oldest of the population dies."""

from collections.abc import Mapping
from typing import ClassVar, final

import numpy as np

from autobuild_core.architectures.records import Codes
from autobuild_core.search.searchers import History, Searcher

STEPS = 50  # mutations in a row in which a new network is looked for


@final
class RegularisedEvolution(Searcher):
    """The population is the newest `population` visits; a parent is the best of `sample` of them, drawn with replacement.

    Source: Real et al. 2019, "Regularized evolution for image classifier architecture search", algorithm 1. A mutation draws one
    layer, or the depth, of one unit anew, as the space has it (`Space.mutate`). Settings: the paper's 100 and 25 are for 20,000
    evaluations; 20 and 5 were the best of those tried for a few hundred (decision 72). Where we differ: a child whose network is
    known already joins the population without an evaluation; after as many of these in a row as the population is large, children
    are mutated on until their network is new, so that a search does not stand still. What failed never joins.
    """

    title = "Regularised evolution"
    about = "children of the best of a sample, the oldest dies"
    defaults: ClassVar[Mapping[str, int]] = {"population": 20, "sample": 5}

    def propose(self, history: History, num: int) -> Codes:
        population, rng = self.population(history), self.rng(history)
        if len(history) < self.settings["population"] or not population:
            return self.draw_new(history, max(min(num, self.settings["population"] - len(history)), 1), rng)
        places = [self._parent(history, population, rng) for _ in range(min(num, self.settings["population"]))]
        children = self.space.mutate(np.stack([history.codes[place] for place in places]), rng)
        if history.num_free < self.settings["population"]:
            return children
        for _ in range(STEPS):
            if len(found := self.new(children, history)):
                return found
            children = self.space.mutate(children, rng)
        return self.draw_new(history, num, rng)

    def population(self, history: History) -> list[int]:
        """The living: the newest visits that have a score, as places in the history, the newest first."""
        alive: list[int] = []
        for visit in range(len(history) - 1, -1, -1):
            if np.isfinite(history.scores[visit]):
                alive.append(visit)
            if len(alive) == self.settings["population"]:
                break
        return alive

    def _parent(self, history: History, population: list[int], rng: np.random.Generator) -> int:
        """The place of the best of a sample of the population."""
        sample: list[int] = rng.choice(population, self.settings["sample"]).tolist()
        return max(sample, key=history.scores.__getitem__)
