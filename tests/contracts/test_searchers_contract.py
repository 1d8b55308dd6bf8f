"""What every searcher must do; that a new one is a single file; and that the suite finds faults."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autobuild_core import registry
from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError
from autobuild_core.search import improvement, searchers
from autobuild_core.search.searchers import History, Searcher, searcher_class, searcher_names
from autobuild_core.testing.examples import declared_space
from autobuild_core.testing.searchers import SearcherSuite

NEW = '''
"""Neighbours of the newest."""

from autobuild_core.search.searchers import Searcher


class Walk(Searcher):
    title, about, defaults = "Random walk", "neighbours of the newest", {"steps": 3}

    def propose(self, history, num):
        rng = self.rng(history)
        if not len(history):
            return self.draw_new(history, 1, rng)
        codes = history.codes[-1][None]
        for _ in range(self.settings["steps"]):
            codes = self.space.mutate(codes, rng)
        found = self.new(codes, history)
        return found if len(found) else self.draw_new(history, 1, rng)
'''


class TestSearchers(SearcherSuite):
    """All that there are, those that look at many networks before each proposal at fewer: what is checked depends on none."""

    @pytest.fixture(autouse=True)
    def _few_are_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for size, few in {"POOL": 40, "ROUNDS": 4, "STRANGERS": 100}.items():
            assert getattr(improvement, size) > few
            monkeypatch.setattr(improvement, size, few)

    @pytest.fixture(params=registry.names(searchers.FOLDER))
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestNew:
    """A searcher in a folder of its user's."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        place = tmp_path / "extensions" / "search" / "searchers"
        place.mkdir(parents=True)
        (place / "walk.py").write_text(NEW)
        monkeypatch.setenv(registry.EXTENSIONS, str(tmp_path / "extensions"))
        monkeypatch.setattr(searchers, "__path__", [*searchers.__path__])
        yield
        sys.modules.pop("autobuild_core.search.searchers.walk", None)

    def test_it_is_found_and_checked(self) -> None:
        assert "walk" in searcher_names()
        suite, space = SearcherSuite(), declared_space()
        suite.test_it_has_its_words_and_settings(searcher_class("walk"), "walk", space)
        suite.test_killed_and_gone_on_equals_unbroken(searcher_class("walk"), space, 1)

    def test_the_command_line_lists_it_and_searches_with_it(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "autobuild_core", "search"]
        said = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, env=os.environ).stdout
        assert ", walk" in " ".join(said.split())
        (tmp_path / "mine.py").write_text("def evaluate(arch, budget, seed):\n    return {'acc': arch.count('2')}\n")
        asked = [
            "--space",
            "nas_bench_macro",
            "--evaluator",
            tmp_path / "mine.py",
            "--target",
            "acc",
            "--out",
            tmp_path / "o.jsonl",
        ]
        search = [*command, *asked, "--searcher", "walk", "--set", "steps=2", "--num", "5"]
        done = subprocess.run(search, capture_output=True, text=True, check=True, env=os.environ)
        assert json.loads(done.stdout)["num"] == 5 and '"walk; steps 2; seed 0;' in (tmp_path / "o.jsonl").read_text()


def test_an_unknown_one_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=f"got 'abacus', expected one of {', '.join(searcher_names())}"):
        searcher_class("abacus")


class Steady(Searcher):
    """A searcher that passes the suite."""

    title, about, defaults = "Steady", "new random networks", {"num": 2}

    def propose(self, history: History, num: int) -> Codes:
        return self.draw_new(history, num, self.rng(history))


def by_chance(self: Searcher, history: History, num: int) -> Codes:
    return self.draw_new(history, num, np.random.default_rng())


def never_by_chance(self: Searcher, history: History, num: int) -> Codes:
    return self.draw_new(history, num, np.random.default_rng(len(history)))


def writes_history(self: Searcher, history: History, num: int) -> Codes:
    found = self.draw_new(history, num, self.rng(history))
    history.visit(found[0], int(self.space.hash_networks(found[:1])[0]), 1.0)
    return found


def nonsense(self: Searcher, history: History, num: int) -> Codes:
    found = self.draw_new(history, num, self.rng(history))
    return np.where(found >= 0, len(self.space.spec.tokens), found)


def gives_up(self: Searcher, history: History, num: int) -> Codes:
    return self.space.sample(num if history.num_networks < 40 else 0, self.rng(history))


def wants_success(self: Searcher, history: History, num: int) -> Codes:
    is_hopeless = len(history) > 3 and not np.isfinite(history.scores).any()
    return self.draw_new(history, 0 if is_hopeless else num, self.rng(history))


FAULTS = [
    ("test_it_has_its_words_and_settings", {"title": "lower"}),
    ("test_it_has_its_words_and_settings", {"defaults": {"num": 0}}),
    ("test_proposals_are_architectures_and_follow_from_the_history_alone", {"propose": by_chance}),
    ("test_proposals_are_architectures_and_follow_from_the_history_alone", {"propose": writes_history}),
    ("test_proposals_are_architectures_and_follow_from_the_history_alone", {"propose": nonsense}),
    ("test_a_seed_says_what_it_proposes", {"propose": never_by_chance}),
    ("test_every_network_is_evaluated_once", {"propose": writes_history}),
    ("test_killed_and_gone_on_equals_unbroken", {"propose": by_chance}),
    ("test_more_networks_are_the_same_and_then_others", {"propose": by_chance}),
    ("test_it_goes_on_where_evaluations_fail", {"propose": wants_success}),
    ("test_a_small_space_is_searched_through_and_the_search_says_so", {"propose": gives_up}),
]


@pytest.mark.parametrize(("check", "faulty"), [("", {}), *FAULTS])
def test_a_faulty_searcher_is_found(check: str, faulty: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made = type("Faulty", (Steady,), faulty)
    space = declared_space()
    monkeypatch.setattr("autobuild_core.testing.searchers.searcher_names", lambda: ("faulty",))
    asked = {"kind": made, "name": "faulty", "space": space, "small": space, "num": 3, "at_once": 1, "share": 1}
    for one in [check] if check else sorted({name for name, _ in FAULTS}):
        run = getattr(SearcherSuite(), one)
        with pytest.raises((AssertionError, pytest.fail.Exception)) if check else nullcontext():
            run(**{name: asked[name] for name in inspect.signature(run).parameters})
