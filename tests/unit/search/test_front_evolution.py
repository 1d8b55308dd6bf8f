"""AutoBuild's Pareto evolution: its generations, parents, units, and that it finds the front sooner than random search."""

import dataclasses

import numpy as np
import pytest

from autobuild_core.architectures.records import Codes
from autobuild_core.search.dominance import hypervolume
from autobuild_core.search.searchers import History, Searcher, searcher_class
from autobuild_core.search.searching import search
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.testing.examples import declared_space
from autobuild_core.testing.searchers import SPACES, SearcherSuite

MACRO, OFA = space_named("nas_bench_macro"), space_named("ofa_mbv3")
FAST = {"initial": 8, "generation": 6}
ARMS = ["pareto_evolution", "pareto_evolution_layers"]


class TestInGenerations(SearcherSuite):
    """The suite at settings that make it evolve within its few networks."""

    @pytest.fixture(params=ARMS)
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture(params=["cells", "conditions and places"])
    def space(self, request: pytest.FixtureRequest) -> Space:
        return SPACES[request.param]()

    @pytest.fixture
    def small(self) -> Space:
        """The suite's with one width instead of three: 36 networks, six generations."""
        spec = declared_space().spec
        units = [dataclasses.replace(u, tokens=u.tokens[:1]) if u.label == "width" else u for u in spec.units]
        return load_space(dataclasses.replace(spec, units=tuple(units)))

    @pytest.fixture
    def kind(self, name: str) -> type[Searcher]:
        return type("Fast", (searcher_class(name),), {"defaults": FAST})


def pairs(codes: Codes) -> list[tuple[float, float]]:
    """(large blocks, small size) of architectures of NAS-Bench-Macro: the two pull apart."""
    return [(float((row == 2).sum()), -float((row * [1, 1, 2, 2, 2, 4, 4, 4]).sum())) for row in codes]


def losses_of(history: History) -> np.ndarray:
    return -np.stack([history.scores, history.second], 1)


def changed_units(child: Codes, parent: Codes) -> set[int]:
    return {MACRO.spec.unit_of(int(position)) for position in np.flatnonzero(child != parent)}


@pytest.mark.parametrize("name", ARMS)
def test_children_come_from_the_front_as_it_stood_when_their_generation_began(name: str) -> None:
    searcher = searcher_class(name)(MACRO, 1, FAST)
    history = search(searcher, 8 + 4, pairs, 4).history
    front = {history.networks[place] for place in history.front(8)}
    assert front != {history.networks[place] for place in history.front(12)}, "the test can tell the two apart"
    met: list[Codes] = []
    searcher.change = lambda codes, chosen, rng: (met.append(codes), MACRO.sample(len(codes), rng))[1]  # type: ignore[method-assign, func-returns-value, assignment]
    searcher.propose(history, 2)
    assert set(MACRO.hash_networks(met[0]).tolist()) <= front


def test_a_generation_takes_the_front_in_turn() -> None:
    searcher = searcher_class("pareto_evolution")(MACRO, 1, {"initial": 30, "generation": 30})
    history = search(searcher, 30, pairs).history
    met: list[Codes] = []
    searcher.change = lambda codes, chosen, rng: (met.append(codes), MACRO.sample(len(codes), rng))[1]  # type: ignore[method-assign, func-returns-value, assignment]
    searcher.propose(history, 30)
    counts = np.unique(MACRO.hash_networks(met[0]), return_counts=True)[1]
    assert len(counts) == len(history.front(30)) and counts.max() - counts.min() <= 1


@pytest.mark.parametrize("name", ARMS)
def test_every_unit_changes_with_probability_a_half_one_at_least(name: str) -> None:
    searcher = searcher_class(name)(OFA, 0)
    units = searcher._units(20_000, np.random.default_rng(0))  # type: ignore[attr-defined]
    assert units.any(1).all() and units.mean() == pytest.approx(0.5 / (1 - 0.5**5), abs=0.01)


def test_whole_units_are_drawn_from_the_list_all_modules_alike() -> None:
    parents = OFA.sample(20_000, np.random.default_rng(0))
    chosen = np.ones((len(parents), 5), bool)
    chosen[:, 1:] = False
    children = OFA.redraw_units(parents, np.random.default_rng(1), chosen)
    columns = list(OFA.spec.units[0].positions)
    assert (np.delete(children, columns, 1) == np.delete(parents, columns, 1)).all() and OFA.valid(children).all()
    depths = (children[:, columns] >= 0).sum(1)
    wanted = np.array([9**2, 9**3, 9**4]) / (9**2 + 9**3 + 9**4)
    assert np.bincount(depths, minlength=5)[2:] / len(depths) == pytest.approx(wanted, abs=0.01)


def test_single_layers_change_one_layer_or_the_depth_of_each_unit() -> None:
    parents = OFA.sample(2_000, np.random.default_rng(0))
    chosen = np.ones((len(parents), 5), bool)
    children = OFA.mutate(parents, np.random.default_rng(1), chosen)
    for unit in OFA.spec.units:
        own, before = children[:, list(unit.positions)], parents[:, list(unit.positions)]
        same_depth = ((own >= 0) == (before >= 0)).all(1)
        assert ((own != before).sum(1)[same_depth] <= 1).all() and (~same_depth).mean() == pytest.approx(2 / 9, abs=0.03)


def test_in_a_reduced_space_only_its_modules_come() -> None:
    units = [
        dataclasses.replace(unit, modules=((0,) * len(unit.positions), (2,) * len(unit.positions))) for unit in MACRO.spec.units
    ]
    reduced = load_space(dataclasses.replace(MACRO.spec, units=tuple(units)))
    found = search(searcher_class("pareto_evolution")(reduced, 0, {"initial": 3, "generation": 2}), 100, pairs)
    assert len(found.codes) == 8 and reduced.valid(found.codes).all() and "All 8 networks" in found.ended


def test_units_that_rules_connect_follow() -> None:
    space = declared_space()
    parents = space.sample(500, np.random.default_rng(0))
    chosen = np.random.default_rng(1).random((500, len(space.spec.units))) < 0.5
    children = space.redraw_units(parents, np.random.default_rng(2), chosen)
    assert space.valid(children).all() and (children != parents).any()


@pytest.mark.parametrize("name", ARMS)
def test_it_dominates_more_than_random_search(name: str) -> None:
    reference, found = np.array([0.0, 44.0]), {}
    for searcher in (name, "random"):
        own = {} if searcher == "random" else {"initial": 20, "generation": 20}
        volumes = [
            hypervolume(losses_of(search(searcher_class(searcher)(MACRO, seed, own), 100, pairs).history), reference)
            for seed in range(5)
        ]
        found[searcher] = float(np.mean(volumes))
    assert found[name] > 1.1 * found["random"]


def test_what_has_only_one_of_two_targets_is_no_parent() -> None:
    history = History()
    codes = MACRO.sample(3, np.random.default_rng(0))
    for row, (one, two) in zip(codes, [(1.0, 1.0), (9.0, np.nan), (np.nan, 9.0)], strict=True):
        history.visit(row, int(MACRO.hash_networks(row[None])[0]), one, two)
    assert history.front(3) == [0] and History().front(0) == []


def test_with_one_target_the_front_is_the_best() -> None:
    history = History()
    for row, score in zip(MACRO.sample(4, np.random.default_rng(0)), (1.0, 3.0, np.nan, 2.0), strict=True):
        history.visit(row, int(MACRO.hash_networks(row[None])[0]), score)
    assert history.front(4) == [1] and history.front(1) == [0]
