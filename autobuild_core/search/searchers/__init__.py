"""Searchers: one file each; a space and what was evaluated so far in, the architectures to evaluate next out.

A searcher keeps nothing between calls: what it proposes follows from its space, its settings, its seed and the history alone.
So a search that was killed goes on exactly where it stopped once its evaluations are read back from their file.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from autobuild_core import registry
from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError, listed
from autobuild_core.search.budgets import Accept, everything
from autobuild_core.search.dominance import on_front
from autobuild_core.spaces import Space

FOLDER = "search/searchers"
DEFAULT_SEARCHER = "regularised_evolution"
DRAWS = 8  # random ones beside those that are wanted, twice as many in every round
SOON, ROUNDS = 3, 12  # rounds after which networks that are not known yet are looked for among all, or no more


class History:
    """The visits of a search, the oldest first: every network that was proposed, with its score.

    A network is evaluated once. Proposed again, in whatever encoding, it is a visit too, which costs nothing. Where two targets
    are searched for, every visit has a score of each.
    """

    def __init__(self) -> None:
        self.codes: list[Codes] = []
        self.scores: list[float] = []
        self.second: list[float] = []  # scores of the second target; NaN where there is none
        self.known: dict[int, float] = {}
        self.num_free = 0  # visits since the last network that was new
        self.networks: list[int] = []  # canonical hash of each visit
        self._places: dict[int, int] = {}  # first visit of each network

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def num_networks(self) -> int:
        """Networks that were evaluated, those that failed too."""
        return len(self.known)

    def visit(self, codes: Codes, network: int, score: float, second: float = float("nan")) -> None:
        """Adds a visit; of a network that is known the scores are those of before.

        Args:
            codes: (num_positions,) the architecture.
            network: its canonical hash.
            score: larger is better; NaN where the evaluation failed.
            second: of the second target, where there are two.
        """
        is_known = network in self.known
        self.num_free = self.num_free + 1 if is_known else 0
        self.known.setdefault(network, score)
        place = self._places.setdefault(network, len(self.codes))
        self.networks.append(network)
        self.codes.append(codes)
        self.scores.append(self.known[network])
        self.second.append(self.second[place] if is_known else second)

    def place_of(self, network: int) -> int:
        """The first visit of a network that is known."""
        return self._places[network]

    def front(self, num: int) -> list[int]:
        """Visits of the networks, among the first `num` that were evaluated, that no other exceeds in all targets."""
        rows = [place for place in list(self._places.values())[:num] if np.isfinite(self.scores[place])]
        scores = np.array([self.scores[row] for row in rows], float)
        second = np.array([self.second[row] for row in rows], float)
        if np.isnan(second).all():  # one target: the best
            second = scores
        kept = np.isfinite(second)
        losses = -np.stack([scores[kept], second[kept]], 1)
        places: list[int] = np.array(rows, int)[kept][on_front(losses)].tolist()
        return places

    def evaluated(self) -> tuple[Codes, NDArray[np.float64]]:
        """((n, num_positions) the networks that have a score, as first visited; (n,) their scores)."""
        rows = [place for place in self._places.values() if np.isfinite(self.scores[place])]
        codes = np.stack([self.codes[row] for row in rows]) if rows else np.zeros((0, 0), np.int16)
        return codes, np.array([self.scores[row] for row in rows], float)


class Searcher(ABC):
    """Proposes which architectures of a space are evaluated next.

    `title` names it for people, `about` says in a few words how it searches. `defaults` are its settings with their values:
    whole numbers from 1 on.

    Args:
        space: that is searched; it may be a reduced one.
        seed: of all that is random.
        settings: those that differ from the defaults.
        accept: of architectures those that may be proposed. What is drawn keeps to it, and Bayesian optimisation does; neighbours
            and children need not.

    Raises:
        ConfigError: there is no such setting, or it is out of range.
    """

    title: ClassVar[str]
    about: ClassVar[str]
    defaults: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self, space: Space, seed: int = 0, settings: Mapping[str, int] | None = None, accept: Accept = everything
    ) -> None:
        self.space, self.seed, self.accept = space, seed, accept
        self.settings = check_settings(type(self), settings or {})

    @abstractmethod
    def propose(self, history: History, num: int) -> Codes:
        """The architectures to evaluate next, from what is known so far alone.

        Args:
            history: all visits before.
            num: how many are wanted; fewer may come.

        Returns:
            (at most num, num_positions) valid codes. Networks that are known may be among them: they become visits for free. None
            at all says that the space is searched through.
        """

    def incumbent(self, history: History) -> int | None:
        """The visit that a searcher takes for the best so far: the best score, unless it knows better; None without any."""
        scores = np.array(history.scores, float)
        return int(np.nanargmax(scores)) if np.isfinite(scores).any() else None

    @final
    def rng(self, history: History) -> np.random.Generator:
        """The random numbers of a proposal: they follow from the seed and the number of visits."""
        return np.random.default_rng([self.seed, len(history)])

    @final
    def new(self, codes: Codes, history: History) -> Codes:
        """The rows of (n, num_positions) codes whose network is neither known nor that of an earlier row, in their order.

        Those that may not be proposed are left out.
        """
        networks = self.space.hash_networks(codes)
        first = np.sort(np.unique(networks, return_index=True)[1])
        found = codes[[row for row in first if int(networks[row]) not in history.known]]
        return found[self.accept(found)]

    @final
    def draw_new(self, history: History, num: int, rng: np.random.Generator) -> Codes:
        """(at most num, num_positions) random architectures of distinct networks that are not known yet.

        They are drawn as averages over the space draw them. Where draws find too few and the space can be enumerated, the rest
        is drawn from all networks that are left.
        """
        found = np.zeros((0, self.space.spec.num_positions), np.int16)
        for number in range(ROUNDS):
            drawn = self.space.sample(num + DRAWS * 2**number, rng)
            found = self.new(np.concatenate([found, drawn]), history)[:num]
            if len(found) == num:
                break
            if number >= SOON and self.every is not None:
                codes, networks = self.every
                left = codes[[int(network) not in history.known for network in networks]]
                return self.new(np.concatenate([found, left[rng.permutation(len(left))]]), history)[:num]
        return found

    @cached_property
    def every(self) -> tuple[Codes, NDArray[np.uint64]] | None:
        """One encoding of every network of the space, and their hashes; None where they are too many."""
        codes = self.space.enumerate()
        if codes is None:
            return None
        networks, first = np.unique(self.space.hash_networks(codes), return_index=True)
        return codes[first], networks


def check_settings(searcher: type[Searcher], settings: Mapping[str, int]) -> dict[str, int]:
    """All settings of a searcher, those that are not given by their defaults.

    Raises:
        ConfigError: there is no such setting, or it is no whole number from 1 on.
    """
    defaults = searcher.defaults
    for name, value in settings.items():
        if name not in defaults:
            expected = f"one of {listed(defaults)}" if defaults else "none"
            raise ConfigError(f"setting of the searcher: got '{name}', expected {expected} ({searcher.title}).")
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name}: got {value}, expected a whole number from 1 on.")
    return {**defaults, **settings}


def searcher_class(name: str) -> type[Searcher]:
    """The class of a searcher by its file name; imports nothing heavy.

    Raises:
        ConfigError: there is none of that name.
    """
    return registry.load(FOLDER, name, Searcher)  # type: ignore[type-abstract]


def searcher_names() -> tuple[str, ...]:
    """Names of the searchers."""
    return registry.names(FOLDER)
