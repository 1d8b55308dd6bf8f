"""Random search: networks that nobody chose, what every other search is compared with."""

from typing import final

from autobuild_core.architectures.records import Codes
from autobuild_core.search.searchers import History, Searcher


@final
class RandomSearch(Searcher):
    """Distinct random networks, drawn as averages over the space draw them; no network comes twice.

    Source: Li and Talwalkar 2019, "Random search and reproducibility for neural architecture search", as the baseline.
    """

    title = "Random search"
    about = "distinct random networks"

    def propose(self, history: History, num: int) -> Codes:
        return self.draw_new(history, num, self.rng(history))
