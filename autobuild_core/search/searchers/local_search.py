"""Local search: the neighbours of the best, one after the other; where none is better, the search begins anew elsewhere."""

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, final

import numpy as np

from autobuild_core.architectures.records import Codes
from autobuild_core.search.searchers import History, Searcher

Near = dict[int, Codes]  # neighbours that are not known yet, by network


@final
class LocalSearch(Searcher):
    """Hill climbing over single changes of a layer or a depth (`Space.neighbours`), in random order, until one is better.

    Source: White, Nolen and Savani 2021, "Exploring the loss landscape in neural architecture search", which moves on as soon as
    a neighbour is better; the first climb begins from the best of `initial` random networks. Ours: a climb that has come to its
    end is followed by another from a random network, and what is known already costs nothing.
    """

    title = "Local search"
    about = "neighbours of the best, from elsewhere once none is better"
    defaults: ClassVar[Mapping[str, int]] = {"initial": 10}

    def propose(self, history: History, num: int) -> Codes:
        rng, initial = self.rng(history), self.settings["initial"]
        if history.num_networks < initial:
            return self.draw_new(history, max(min(num, initial - history.num_networks), 1), rng)
        near = self._climb(history)
        return np.stack(list(near.values())[:num]) if near else self.draw_new(history, 1, rng)

    def _climb(self, history: History) -> Near:
        """The neighbours of the present climb's best that are not known; none where it has come to its end."""
        known: set[int] = set()
        near: Near = {}
        best = -np.inf
        for codes, network, score in zip(history.codes, history.networks, history.scores, strict=True):
            begins = len(known) >= self.settings["initial"] and not near  # another climb
            known.add(network)
            near.pop(network, None)
            if begins or score > best:
                best = score if np.isfinite(score) else -np.inf
                around = {} if best == -np.inf else self._around(codes, network)
                near = {one: other for one, other in around.items() if one not in known}
        return near

    def _around(self, codes: Codes, network: int) -> Near:
        """The neighbours of an architecture, in an order that follows from it and the seed."""
        if network not in self._seen:
            near = self.space.neighbours(codes)
            networks = self.space.hash_networks(near).tolist()
            order = np.random.default_rng([self.seed, network]).permutation(len(near))
            self._seen[network] = {networks[place]: near[place] for place in order}
        return self._seen[network]

    @cached_property
    def _seen(self) -> dict[int, Near]:
        """The neighbours of networks that were asked for: a climb asks again and again."""
        return {}
