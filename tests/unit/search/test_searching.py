"""A search: what costs an evaluation, when it ends, what evolution gains over random search, which spaces are read."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from autobuild_core.architectures.records import Codes
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.search.budgets import everything
from autobuild_core.search.improvement import expected_gain
from autobuild_core.search.searchers import History, Searcher, searcher_class
from autobuild_core.search.searchers.bayesian_optimisation import BayesianOptimisation
from autobuild_core.search.searching import MOST_FREE, read_space, search
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.spaces._configspace import declared_json
from autobuild_core.spaces._listed import reduced_spec
from autobuild_core.testing.examples import declared_space
from tests.flat_spaces import conditional_space, large_space
from tests.learning import macro_truth

MACRO = space_named("nas_bench_macro")
TWINS = ("02102100", "02120100")  # the place of an identity in a stage changes nothing


class Scripted(Searcher):
    """Proposes what it is told to, then nothing."""

    title, about = "Scripted", "what it is told to"

    def says(self, *proposals: Sequence[str]) -> "Scripted":
        self.proposals = [np.array([self.space.parse(native) for native in one], np.int16) for one in proposals]
        return self

    def propose(self, history: History, num: int) -> Codes:
        self.heard = history
        return self.proposals.pop(0) if self.proposals else self.space.sample(0, self.rng(history))


def natives(codes: Codes) -> list[str]:
    return [MACRO.native(row) for row in codes]


class TestCosts:
    def test_a_twin_is_a_visit_and_no_evaluation(self) -> None:
        asked: list[str] = []

        def evaluate(codes: Codes) -> list[float]:
            asked.extend(natives(codes))
            return [float(number) for number in range(len(codes))]

        scripted = Scripted(MACRO).says(["00000000", TWINS[0], TWINS[1]], [TWINS[1]], ["22222222", "22222222"])
        searched = search(scripted, 9, evaluate, at_once=3)
        assert asked == natives(searched.codes) == ["00000000", TWINS[0], "22222222"]
        history = searched.history
        assert natives(np.stack(history.codes)) == ["00000000", *TWINS, TWINS[1], "22222222", "22222222"]
        assert history.scores == [0.0, 1.0, 1.0, 1.0, 0.0, 0.0] and (len(history), history.num_networks) == (6, 3)
        assert searched.ended == "No network was found that was not evaluated already."

    def test_no_more_than_were_asked_for(self) -> None:
        scripted = Scripted(MACRO).says(["00000000", "11111111", "22222222", "00000000"])
        searched = search(scripted, 2, lambda codes: [1.0] * len(codes), at_once=4)
        assert natives(searched.codes) == ["00000000", "11111111"] and searched.ended == ""

    def test_a_network_that_failed_is_known(self) -> None:
        scripted = Scripted(MACRO).says([TWINS[0]], [TWINS[1]], ["00000000"])
        scores = iter([float("nan"), 2.0])
        searched = search(scripted, 9, lambda codes: [next(scores) for _ in codes])
        assert searched.history.num_networks == 2 and np.isnan(searched.history.scores[:2]).all()

    def test_a_searcher_that_stands_still_is_ended(self) -> None:
        class Still(Searcher):
            title, about = "Still", "always the same"

            def propose(self, history: History, num: int) -> Codes:
                return np.zeros((1, 8), np.int16)

        searched = search(Still(MACRO), 9, lambda codes: [1.0] * len(codes))
        assert len(searched.codes) == 1 and len(searched.history) == MOST_FREE + 2
        assert searched.ended == "No network was found that was not evaluated already."


def planted(space: Space) -> Callable[[Codes], NDArray[np.float64]]:
    """A truth of what a layer is worth at its position and neighbours are together; equal for equal networks."""
    rng, num = np.random.default_rng(2), len(space.spec.tokens) + 1
    worth, pairs = rng.normal(size=(space.spec.num_positions, num)), rng.normal(size=(space.spec.num_positions, num, num))
    places = np.arange(space.spec.num_positions)

    def truth(codes: Codes) -> NDArray[np.float64]:
        canonical = space.canonical(codes)
        together: NDArray[np.float64] = pairs[places[1:], canonical[:, :-1], canonical[:, 1:]].sum(1)
        return 0.4 * together + worth[places, canonical].sum(1)

    return truth


SPACES = {
    "a chain": MACRO,
    "cells": space_named("nas_bench_201"),
    "once-for-all": space_named("ofa_mbv3"),
    "conditions": large_space(),
}


class TestEvolution:
    @pytest.mark.parametrize("name", list(SPACES))
    def test_it_is_clearly_better_than_random_search(self, name: str) -> None:
        space = SPACES[name]
        truth = planted(space)
        best = {
            searcher: [search(searcher_class(searcher)(space, seed), 120, truth).history.known.values() for seed in range(6)]
            for searcher in ("random", "regularised_evolution")
        }
        random, evolved = (np.array([max(values) for values in best[one]]) for one in ("random", "regularised_evolution"))
        assert (evolved > random).sum() >= 5 and evolved.mean() > random.mean() + random.std()

    def test_the_oldest_dies(self) -> None:
        kind = searcher_class("regularised_evolution")
        made = kind(MACRO, 0, {"population": 3, "sample": 2})
        history = History()
        for number, score in enumerate([5.0, 1.0, float("nan"), 2.0, 3.0]):
            history.visit(MACRO.sample(1, np.random.default_rng(number))[0], number, score)
        assert made.population(history) == [4, 3, 1]  # type: ignore[attr-defined]

    def test_children_are_neighbours_of_the_best_of_a_sample(self) -> None:
        kind = searcher_class("regularised_evolution")
        made = kind(MACRO, 0, {"population": 4, "sample": 50})  # so many that the best is among them
        history, rows = History(), MACRO.sample(4, np.random.default_rng(0))
        for number, (row, score) in enumerate(zip(rows, [1.0, 4.0, 2.0, 3.0], strict=True)):
            history.visit(row, number, score)
        children = made.propose(history, 9)
        assert len(children) == 4 and ((children != rows[1]).sum(1) <= 1).all()

    def test_where_all_failed_it_goes_on_at_random(self) -> None:
        searched = search(searcher_class("regularised_evolution")(MACRO, 0), 60, lambda codes: [float("nan")] * len(codes))
        assert len(searched.codes) == 60


def best_of(searcher: str, space: Space, num: int, seeds: int, at_once: int = 1) -> NDArray[np.float64]:
    """(seeds,) the best score that each of some searches finds."""
    kind, truth = searcher_class(searcher), planted(space)
    return np.array([max(search(kind(space, seed), num, truth, at_once).history.known.values()) for seed in range(seeds)])


class TestLocalSearch:
    @pytest.mark.parametrize("name", list(SPACES))
    def test_it_is_clearly_better_than_random_search(self, name: str) -> None:
        random, local = (best_of(one, SPACES[name], 120, 6) for one in ("random", "local_search"))
        assert (local > random).sum() >= 5 and local.mean() > random.mean() + random.std()

    def test_it_climbs_from_the_best_and_begins_anew_at_a_top(self) -> None:
        """An additive truth of three layers has one top: a climb passes neighbours alone, and then something else comes."""
        space, truth = MACRO, macro_truth
        history = search(searcher_class("local_search")(space, 0, {"initial": 4}), 90, truth).history
        best = int(np.argmax(history.scores[:4]))
        assert (np.stack(history.codes[4:6]) != history.codes[best]).any(1).all()
        near = set(space.hash_networks(space.neighbours(history.codes[best])).tolist())
        assert history.networks[4] in near
        every = space.enumerate()
        assert every is not None and max(history.scores) == pytest.approx(truth(every).max())
        top = int(np.argmax(history.scores))
        around = set(space.hash_networks(space.neighbours(history.codes[top])).tolist())
        after = next(visit for visit in range(top, 90) if around <= set(history.networks[: visit + 1]))
        assert history.networks[after + 1] not in around


class TestBayesianOptimisation:
    @pytest.mark.parametrize("name", list(SPACES))
    def test_it_is_clearly_better_than_evolution(self, name: str) -> None:
        space, every = SPACES[name], SPACES[name].enumerate()
        evolved, ours = best_of("regularised_evolution", space, 50, 3), best_of("bayesian_optimisation", space, 50, 3, 10)
        top = np.inf if every is None else planted(space)(every).max() - 1e-9
        assert ((ours > evolved) | (ours >= top)).sum() >= 2 and ours.mean() > evolved.mean()

    def test_the_best_is_what_is_believed_to_be(self) -> None:
        """Of twenty measurements with much noise the luckiest is passed over; of those without any it is not."""
        picks = {}
        for noise in (0.0, 1.0):
            lucky = []
            for seed in range(12):
                rng, history = np.random.default_rng(seed), History()
                codes = MACRO.sample(60, rng)
                scores = macro_truth(codes) + noise * rng.standard_normal(60)
                for row, network, score in zip(codes, MACRO.hash_networks(codes).tolist(), scores.tolist(), strict=True):
                    history.visit(row, network, score)
                place = searcher_class("bayesian_optimisation")(MACRO, 0).incumbent(history)
                assert place is not None
                lucky.append(history.scores[place] == max(history.scores))
            picks[noise] = np.mean(lucky)
        assert picks[0.0] == 1 and picks[1.0] < 1

    @pytest.mark.parametrize("name", list(SPACES))
    @pytest.mark.parametrize("num", [2, 20])
    def test_it_proposes_what_is_accepted_alone(self, name: str, num: int) -> None:
        """At random and by what is learned; the best that is to be exceeded is the best that is accepted."""
        space, truth = SPACES[name], planted(SPACES[name])
        limit = float(np.quantile(truth(space.sample(500, np.random.default_rng(9))), 0.4))

        def accept(codes: Codes) -> NDArray[np.bool_]:
            return truth(codes) <= limit

        history, codes = History(), space.sample(num, np.random.default_rng(0))
        for row, network, score in zip(codes, space.hash_networks(codes).tolist(), truth(codes).tolist(), strict=True):
            history.visit(row, network, score)
        made = BayesianOptimisation(space, 0, accept=accept)
        proposed = made.propose(history, 6)
        assert len(proposed) == 6 and accept(proposed).all()
        place = BayesianOptimisation(space, 0, {"initial": 1}, accept).incumbent(history)
        assert place is None or num < 5 or accept(np.stack(history.codes)[[place]]).all()

    def test_the_best_to_exceed_is_one_that_is_accepted(self) -> None:
        history = search(searcher_class("random")(MACRO, 0), 30, macro_truth).history
        limit = float(np.median(history.scores))
        free, kept = (
            BayesianOptimisation(MACRO, 0, accept=one).learned(history) for one in (everything, lambda c: macro_truth(c) < limit)
        )
        assert free is not None and kept is not None and kept.least < free.least
        assert kept.least == kept.mean[kept.scores < limit].max()

    def test_the_gain_of_a_batch_is_what_its_best_exceeds_the_best_by(self) -> None:
        learned = BayesianOptimisation(MACRO, 0).learned(search(searcher_class("random")(MACRO, 0), 60, macro_truth).history)
        assert learned is not None
        codes, rng = MACRO.sample(5, np.random.default_rng(1)), np.random.default_rng
        posterior, least = learned.posterior, learned.least
        draws = posterior.draws(codes, 20_000, rng(3)).max(1)
        expected = np.maximum(posterior.scaling.straight(draws) - posterior.scaling.straight(np.array([least])), 0).mean()
        assert expected_gain(posterior, codes, least, rng(0)) == pytest.approx(expected, rel=0.3, abs=2e-3)
        assert expected_gain(posterior, codes, least + 50, rng(0)) == 0
        more = np.concatenate([codes, MACRO.sample(5, np.random.default_rng(2))])
        assert expected_gain(posterior, more, least - 2, rng(0)) > expected_gain(posterior, codes, least - 2, rng(0))

    def test_without_scores_there_is_no_best(self) -> None:
        history = History()
        history.visit(MACRO.sample(1, np.random.default_rng(0))[0], 1, float("nan"))
        assert searcher_class("bayesian_optimisation")(MACRO, 0).incumbent(history) is None

    def test_scores_that_are_all_alike_teach_nothing(self) -> None:
        searched = search(searcher_class("bayesian_optimisation")(MACRO, 0), 30, lambda codes: [1.0] * len(codes))
        assert len(searched.codes) == 30


def test_a_search_goes_on_from_a_history() -> None:
    whole = search(searcher_class("regularised_evolution")(MACRO, 0), 40, macro_truth)
    history = search(searcher_class("regularised_evolution")(MACRO, 0), 25, macro_truth).history
    asked = search(searcher_class("regularised_evolution")(MACRO, 0), 40, macro_truth, history=history).codes
    assert (asked == whole.codes[25:]).all() and history.networks == whole.history.networks


class TestReduced:
    @pytest.mark.parametrize("searcher", ["random", "regularised_evolution", "local_search", "bayesian_optimisation"])
    def test_a_reduced_space_is_not_left(self, searcher: str) -> None:
        spec = MACRO.spec
        space = load_space(reduced_spec(spec, [[(0, 1), (2, 2)], [(1, 1, 1), (0, 0, 2), (2, 1, 2)], [(0, 0, 1), (1, 2, 1)]]))
        searched = search(searcher_class(searcher)(space, 0), 99, macro_truth)
        assert len(searched.codes) == 12 and space.valid(searched.codes).all()
        assert searched.ended == "All 12 networks of this space were evaluated already."


class TestReadSpace:
    def test_by_name(self) -> None:
        assert read_space("nas_bench_201").spec == space_named("nas_bench_201").spec
        with pytest.raises(ConfigError, match="got 'abacus', expected one of"):
            read_space("abacus")

    @pytest.mark.parametrize("space", [declared_space(), conditional_space(), MACRO], ids=["places", "conditions", "known"])
    def test_of_a_file_that_declares_it(self, space: Space, tmp_path: Path) -> None:
        (tmp_path / "space.json").write_text(declared_json(space.spec))
        read = read_space(str(tmp_path / "space.json"))
        assert [u.label for u in read.spec.units] == [u.label for u in space.spec.units] and read.size == space.size

    def test_of_a_reduced_one(self, tmp_path: Path) -> None:
        spec = reduced_spec(MACRO.spec, [[(0, 1)], [(1, 1, 1), (2, 1, 2)], [(0, 0, 1)]])
        (tmp_path / "reduced.json").write_text(json.dumps({"spec": json.loads(spec.to_json())}))
        assert read_space(str(tmp_path / "reduced.json")).spec == spec

    @pytest.mark.parametrize(
        ("text", "error", "said"),
        [
            (None, ConfigError, "cannot be opened"),
            ("[1, 2", DataError, "not readable JSON"),
            ('{"units": []}', DataError, "got JSON that declares no space"),
            ('{"spec": 3}', ConfigError, "reduced space: got no spec that can be read"),
        ],
    )
    def test_what_is_none_is_said(self, text: str | None, error: type[Exception], said: str, tmp_path: Path) -> None:
        path = tmp_path / "space.json"
        path.write_text(text or "")
        if text is None:
            path.unlink()
        with pytest.raises(error, match=said):
            read_space(str(path))
