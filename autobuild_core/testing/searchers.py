"""Checks that every searcher must pass."""

import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest

from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError
from autobuild_core.search.searchers import History, Searcher, searcher_class, searcher_names
from autobuild_core.search.searching import Searched, search
from autobuild_core.spaces import Space, space_named
from autobuild_core.testing.examples import additive_truth, chain_space, declared_space, flat_space

SPACES: dict[str, Callable[[], Space]] = {
    "a chain": lambda: space_named("nas_bench_macro"),
    "cells": lambda: space_named("nas_bench_201"),
    "variable depth": chain_space,
    "once-for-all": lambda: space_named("ofa_mbv3"),
    "blocks": flat_space,
    "conditions and places": declared_space,
}
NUM = 30


class Stopped(Exception):
    """The process of a search is killed."""


class Truth:
    """Evaluations by an additive truth, written down as they are asked for.

    Args:
        space: that is searched.
        fails: whether the evaluation of an architecture fails, by its place among those asked for.
        stops_at: the search is killed when so many were evaluated.
        known: {network: score} of evaluations of before, which are not evaluated again.
    """

    def __init__(
        self,
        space: Space,
        fails: Callable[[int], bool] = lambda number: False,
        stops_at: int | None = None,
        known: dict[int, float] | None = None,
    ) -> None:
        self.space, self.fails, self.stops_at, self.known = space, fails, stops_at, dict(known or {})
        self.asked: list[int] = []
        self.num_evaluated = 0

    def __call__(self, codes: Codes) -> Sequence[float]:
        """Scores of architectures."""
        values = additive_truth(self.space, codes)
        for network, value in zip(self.space.hash_networks(codes).tolist(), values, strict=True):
            if network not in self.known:
                if self.num_evaluated == self.stops_at:
                    raise Stopped
                self.known[network] = float("nan") if self.fails(len(self.asked)) else float(value)
                self.num_evaluated += 1
            self.asked.append(network)
        return [self.known[network] for network in self.asked[len(self.asked) - len(codes) :]]


class SearcherSuite:
    """Checks of a searcher, found by its name: its words, its proposals, that it repeats itself, goes on and comes to an end.

    Derive a class and say which searcher:

        class TestMine(SearcherSuite):
            @pytest.fixture
            def name(self) -> str:
                return "mine"
    """

    @pytest.fixture
    def name(self) -> str:
        """Name of the searcher."""
        raise NotImplementedError

    @pytest.fixture
    def kind(self, name: str) -> type[Searcher]:
        """The class of the searcher."""
        return searcher_class(name)

    @pytest.fixture(params=list(SPACES))
    def space(self, request: pytest.FixtureRequest) -> Space:
        """A space that it searches."""
        return SPACES[request.param]()

    @pytest.fixture
    def small(self) -> Space:
        """A space whose networks it finds all."""
        return declared_space()

    def test_it_has_its_words_and_settings(self, kind: type[Searcher], name: str, small: Space) -> None:
        assert name in searcher_names() and kind.title[0].isupper() and kind.about
        assert all(isinstance(value, int) and value >= 1 for value in kind.defaults.values())
        assert kind(small).settings == kind.defaults
        doubled = {setting: 2 * value for setting, value in kind.defaults.items()}
        assert kind(small, 0, doubled).settings == doubled
        with pytest.raises(ConfigError, match="got 'nonsense', expected"):
            kind(small, 0, {"nonsense": 1})

    def test_importing_it_is_light(self, kind: type[Searcher]) -> None:
        place = f"import sys; sys.path[:] = {sys.path!r}; "
        code = f"import {kind.__module__}; heavy = ('torch', 'scipy', 'sklearn', 'streamlit'); "
        code += "print([m for m in heavy if m in sys.modules])"
        done = subprocess.run([sys.executable, "-c", place + code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    @pytest.mark.parametrize("num", [1, 7])
    def test_proposals_are_architectures_and_follow_from_the_history_alone(
        self, kind: type[Searcher], space: Space, num: int
    ) -> None:
        history = self.visited(kind, space, 25)
        before = len(history), dict(history.known), list(history.scores)
        proposed, again = kind(space, 3).propose(history, num), kind(space, 3).propose(history, num)
        assert 1 <= len(proposed) <= num and proposed.shape[1] == space.spec.num_positions
        assert space.valid(proposed).all() and (proposed == again).all()
        assert (len(history), dict(history.known), list(history.scores)) == before

    def test_a_seed_says_what_it_proposes(self, kind: type[Searcher], space: Space) -> None:
        first, again, other = (self.run(kind, space, seed=seed)[0].asked for seed in (0, 0, 1))
        assert first == again != other

    @pytest.mark.parametrize("at_once", [1, 4])
    def test_every_network_is_evaluated_once(self, kind: type[Searcher], space: Space, at_once: int) -> None:
        truth, searched = self.run(kind, space, at_once=at_once)
        assert len(truth.asked) == len(set(truth.asked)) == truth.num_evaluated == NUM
        assert space.hash_networks(searched.codes).tolist() == truth.asked and not searched.ended

    @pytest.mark.parametrize("at_once", [1, 4])
    def test_killed_and_gone_on_equals_unbroken(self, kind: type[Searcher], space: Space, at_once: int) -> None:
        whole = self.run(kind, space, at_once=at_once)[0].asked
        known: dict[int, float] = {}
        for stops_at in (0, 1, 13, 9):
            killed = Truth(space, stops_at=stops_at, known=known)
            with pytest.raises(Stopped):
                search(kind(space, 0), NUM, killed, at_once)
            known = killed.known
        truth = Truth(space, known=known)
        search(kind(space, 0), NUM, truth, at_once)
        assert truth.asked == whole and truth.num_evaluated == NUM - 23

    def test_more_networks_are_the_same_and_then_others(self, kind: type[Searcher], space: Space) -> None:
        few, more = Truth(space), Truth(space)
        search(kind(space, 0), 11, few, 4)
        search(kind(space, 0), NUM, more, 4)
        assert more.asked[:11] == few.asked

    @pytest.mark.parametrize("share", [2, 1], ids=["half", "all"])
    def test_it_goes_on_where_evaluations_fail(self, kind: type[Searcher], space: Space, share: int) -> None:
        truth = Truth(space, fails=lambda number: number % share == 0)
        search(kind(space, 0), NUM, truth)
        assert len(set(truth.asked)) == NUM

    @pytest.mark.parametrize("at_once", [1, 50])
    def test_a_small_space_is_searched_through_and_the_search_says_so(
        self, kind: type[Searcher], small: Space, at_once: int
    ) -> None:
        every = small.enumerate()
        assert every is not None
        networks = set(small.hash_networks(every).tolist())
        truth = Truth(small)
        searched = search(kind(small, 0), 10 * len(networks), truth, at_once)
        assert set(truth.asked) == networks and truth.num_evaluated == len(networks)
        assert searched.ended == f"All {len(networks):,} networks of this space were evaluated already."

    @staticmethod
    def run(kind: type[Searcher], space: Space, seed: int = 0, at_once: int = 1) -> tuple[Truth, Searched]:
        """A search by an additive truth."""
        truth = Truth(space)
        return truth, search(kind(space, seed), NUM, truth, at_once)

    @staticmethod
    def visited(kind: type[Searcher], space: Space, num: int) -> History:
        """The history of a search."""
        return search(kind(space, 0), num, Truth(space)).history
