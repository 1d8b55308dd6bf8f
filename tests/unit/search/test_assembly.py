"""Assembling architectures: rankings by hand, and the builder against brute force over an enumerable space."""

import itertools
import json
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import describe_modules, module_rows, top_modules
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, Codes, SpaceSpec
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import score_modules, unit_groups
from autobuild_core.scorers.autobuild import AutoBuildScorer
from autobuild_core.search import assembly
from autobuild_core.search.assembly import (
    Built,
    NothingLeft,
    best_measured,
    build,
    built_records,
    nothing_left,
    product_codes,
)
from autobuild_core.search.reduction import Keep, Ranking, reduce_space
from autobuild_core.spaces import space_named
from tests.learning import chain_space, flat_space, macro_data, random_predictor

MACRO = space_named("nas_bench_macro")
PREDICTOR = random_predictor(MACRO)
NOTHING = np.zeros(0, np.uint64)


@pytest.fixture(scope="module")
def modules() -> pd.DataFrame:
    return score_modules(AutoBuildScorer(PREDICTOR), MACRO.windows(1) + unit_groups(MACRO), macro_data(30))


def by_hand(lens: list[float], score: list[float]) -> pd.DataFrame:
    layers = [json.dumps([f"mbconv{i}"]) for i in range(3)]
    frame = pd.DataFrame({"layers": [*layers, '["mbconv0"]'], "good": lens, "score": score})
    frame["positions"], frame["unit"], frame["whole_unit"] = '["U1.L1"]', "U1", [True, True, True, False]
    return frame.assign(unit_index=0, embedding_norm=frame["score"])


class TestTopModules:
    def test_the_lens_decides_and_score_breaks_ties(self) -> None:
        ranked = top_modules(by_hand([0.2, 0.5, 0.5, 0.9], [3.0, 1.0, 2.0, 9.0]), Lens.GOOD)
        assert ranked["layers"].tolist() == ['["mbconv2"]', '["mbconv1"]', '["mbconv0"]']  # the last row is no whole unit
        assert ranked["rank"].tolist() == [1, 2, 3]

    def test_a_smaller_target_is_better_when_minimised_but_a_larger_chance_stays_better(self) -> None:
        frame = by_hand([0.2, 0.5, 0.5, 0.9], [3.0, 1.0, 2.0, 9.0])
        assert top_modules(frame, Lens.SCORE, minimize=True)["score"].tolist() == [1.0, 2.0, 3.0]
        assert top_modules(frame, Lens.SCORE)["score"].tolist() == [3.0, 2.0, 1.0]
        assert top_modules(frame, Lens.GOOD, minimize=True)["score"].tolist() == [1.0, 2.0, 3.0]
        assert top_modules(frame, Lens.NORM, minimize=True)["embedding_norm"].tolist() == [3.0, 2.0, 1.0]

    def test_each_unit_has_its_own_ranks(self, modules: pd.DataFrame) -> None:
        ranked = top_modules(modules)
        assert ranked.groupby("unit_index")["rank"].apply(list).tolist() == [
            list(range(1, 10)),
            list(range(1, 28)),
            list(range(1, 28)),
        ]
        for _, unit in ranked.groupby("unit_index"):
            assert unit["good"].is_monotonic_decreasing


@pytest.mark.parametrize("space", [MACRO, flat_space(), chain_space()])
def test_module_rows_are_the_modules(space: object) -> None:
    groups = unit_groups(space)  # type: ignore[arg-type]
    spec: SpaceSpec = space.spec  # type: ignore[attr-defined]
    described = describe_modules(groups, spec, space.sample(3, np.random.default_rng(0)))  # type: ignore[attr-defined]
    codes = module_rows(described, spec)
    row = 0
    for group in groups:
        for layers in group.codes:
            expected = np.full(spec.num_positions, ABSENT)
            expected[list(group.positions)] = layers
            assert codes[row].tolist() == expected.tolist()
            row += 1
    assert row == len(codes)


class TestProduct:
    def test_the_product_is_every_combination(self, modules: pd.DataFrame) -> None:
        codes = product_codes(modules, MACRO.spec, 2, Lens.GOOD, False)
        ranked = top_modules(modules)
        parts = [ranked[(ranked["unit_index"] == u) & (ranked["rank"] <= 2)]["layers"].map(json.loads) for u in range(3)]
        expected = {tuple(itertools.chain(*c)) for c in itertools.product(*parts)}
        assert {tuple(MACRO.spec.tokens[t] for t in row) for row in codes} == expected and len(codes) == 8


def table_of(space: object, num: int = 10) -> object:
    from autobuild_core.architectures.records import ArchTable

    codes = space.sample(num, np.random.default_rng(0))  # type: ignore[attr-defined]
    networks = space.hash_networks(codes)  # type: ignore[attr-defined]
    return ArchTable(space.spec, codes, networks, pd.DataFrame(), np.arange(num))  # type: ignore[attr-defined]


def check_sound(predictor: Predictor, built: Built, refused: np.ndarray) -> None:
    networks = predictor.space.hash_networks(built.codes)
    assert len(set(networks.tolist())) == len(networks) and not np.isin(networks, refused).any()
    assert (np.diff(built.frame["score"]) <= 0).all()
    assert (built.frame["low"] <= built.frame["high"]).all()
    again = predictor.predict(built.codes)
    assert built.frame["predicted"].to_numpy() == pytest.approx(again["predicted"].to_numpy(), rel=1e-4)
    for row in built.codes:
        predictor.space.check(row.tolist())


def assert_k_best(start: Codes, frame: pd.DataFrame, spec: SpaceSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit below the product's size, exactly the combinations with the largest sums of effects are made."""
    ranked = top_modules(frame, Lens.GOOD, False)
    effect = {tuple(row): value for row, value in zip(module_rows(ranked, spec).tolist(), ranked["effect"], strict=True)}

    def total(row: NDArray[np.int16]) -> float:
        parts = []
        for unit in spec.units:
            alone = np.full(spec.num_positions, ABSENT, np.int16)
            alone[list(unit.positions)] = row[list(unit.positions)]
            parts.append(effect[tuple(alone.tolist())])
        return sum(parts)

    with monkeypatch.context() as patch:
        patch.setattr(assembly, "PRODUCT_LIMIT", 10)
        few = product_codes(frame, spec, 3, Lens.GOOD, False)
    assert [total(row) for row in few] == pytest.approx(sorted(map(total, start), reverse=True)[:10])


class TestBuild:
    def brute(self, predictor: Predictor, refused: np.ndarray, num: int) -> np.ndarray:
        """The best scores of distinct networks, with one encoding each, by sorting all of them."""
        codes = predictor.space.enumerate()
        assert codes is not None
        best = {}
        for network, score in zip(predictor.space.hash_networks(codes).tolist(), predictor.predict(codes)["score"], strict=True):
            best[network] = score
        for network in refused.tolist():
            best.pop(network, None)
        return np.sort(list(best.values()))[::-1][:num]

    @pytest.mark.parametrize("minimize", [False, True])
    def test_equals_brute_force(self, modules: pd.DataFrame, minimize: bool) -> None:
        predictor = random_predictor(MACRO, seed=2, minimize=minimize)
        codes = MACRO.enumerate()
        assert codes is not None
        order = np.argsort(-predictor.predict(codes)["score"].to_numpy())
        evaluated = MACRO.hash_networks(codes[order[:40:2]])  # some of the very best are known already
        built = build(predictor, modules, evaluated, 25)
        check_sound(predictor, built, evaluated)
        assert built.frame["score"].to_numpy() == pytest.approx(self.brute(predictor, evaluated, 25), abs=1e-5)
        assert built.frame["predicted"].is_monotonic_increasing if minimize else built.frame["predicted"].is_monotonic_decreasing

    def test_evaluated_ones_come_back_when_allowed(self, modules: pd.DataFrame) -> None:
        codes = MACRO.enumerate()
        assert codes is not None
        everything = MACRO.hash_networks(codes)
        assert len(build(PREDICTOR, modules, everything, 5).codes) == 0
        built = build(PREDICTOR, modules, everything, 5, allow_evaluated=True)
        check_sound(PREDICTOR, built, NOTHING)
        assert built.frame["score"].to_numpy() == pytest.approx(self.brute(PREDICTOR, NOTHING, 5), abs=1e-5)

    def test_two_encodings_of_one_network_are_offered_once(self, modules: pd.DataFrame) -> None:
        built = build(PREDICTOR, modules, NOTHING, 10_000)
        check_sound(PREDICTOR, built, NOTHING)
        assert len(built.codes) == 3969  # of 6,561 encodings

    def test_says_how_far_it_is(self, modules: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(assembly, "PREDICTED_AT_ONCE", 1000)
        shares: list[float] = []
        built = build(PREDICTOR, modules, NOTHING, 25, report=shares.append)
        assert shares == pytest.approx([1000 / 3969, 2000 / 3969, 3000 / 3969, 1.0])
        assert built.frame["score"].to_numpy() == pytest.approx(self.brute(PREDICTOR, NOTHING, 25), abs=1e-5)

    def test_top_k_stays_within_the_product(self, modules: pd.DataFrame) -> None:
        built = build(PREDICTOR, modules, NOTHING, 1000, top_k=3)
        check_sound(PREDICTOR, built, NOTHING)
        product = product_codes(modules, MACRO.spec, 3, Lens.GOOD, False)
        assert set(MACRO.hash_networks(built.codes).tolist()) == set(MACRO.hash_networks(product).tolist())

    def test_a_large_space_is_searched_from_its_best_modules(self, monkeypatch: pytest.MonkeyPatch) -> None:
        space = space_named("ofa_mbv3")
        predictor, rng = random_predictor(space, members=2), np.random.default_rng(0)
        groups = [
            ModuleGroup(u.positions[:3], space.sample(30, rng)[:, list(u.positions[:3])], i)
            for i, u in enumerate(space.spec.units)
        ]
        groups = [ModuleGroup(g.positions, g.codes[(g.codes != ABSENT).all(1)], g.unit) for g in groups]
        frame = describe_modules(groups, space.spec, space.sample(5, rng))
        frame["good"], frame["score"], frame["effect"] = rng.random(len(frame)), 0.0, rng.random(len(frame))
        monkeypatch.setattr(assembly, "PRODUCT_LIMIT", 300)
        monkeypatch.setattr(assembly, "UNREDUCED_LIMIT", 300)
        monkeypatch.setattr(assembly, "IMPROVE_ROUNDS", 4)
        start = product_codes(frame, space.spec, 3, Lens.GOOD, False)
        assert len(start) == 3**5
        assert_k_best(start, frame, predictor.spec, monkeypatch)
        first = predictor.predict(start)["score"].sort_values(ascending=False)
        refused = space.hash_networks(start[first.index[:3]])
        shares: list[float] = []
        built = build(predictor, frame, refused, 12, report=shares.append)
        check_sound(predictor, built, refused)
        assert len(built.codes) == 12 and built.frame["score"][0] > first.iloc[0] + 0.1
        assert shares == [0.5, 0.625, 0.75, 0.875, 1.0]
        again = build(predictor, frame, refused, 12)
        assert (again.codes == built.codes).all()

    def search_around(
        self, measured: bool, monkeypatch: pytest.MonkeyPatch
    ) -> tuple[Callable[..., Built], Codes, float, Built, Built]:
        """How to build, a good architecture of a large space and its score, what is built around it, and without it."""
        space = space_named("ofa_mbv3")
        predictor, rng = random_predictor(space, members=2), np.random.default_rng(0)
        groups = [ModuleGroup(u.positions[:2], np.zeros((1, 2), np.int16), i) for i, u in enumerate(space.spec.units)]
        frame = describe_modules(groups, space.spec, space.sample(5, rng)).assign(good=0.5, score=0.0, effect=0.0)
        codes = space.sample(4000, rng)
        good = codes[[int(predictor.predict(codes)["score"].argmax())]]
        score = float(predictor.predict(good)["score"].iloc[0])
        evaluated = space.hash_networks(good) if measured else NOTHING
        monkeypatch.setattr(assembly, "IMPROVE_ROUNDS", 2)
        near = build(predictor, frame, evaluated, 5, start=good)
        check_sound(predictor, near, evaluated)
        far = build(predictor, frame, evaluated, 5)
        assert far.frame["score"][0] < score - 0.3  # two rounds from the product alone do not come there
        return partial(build, predictor, frame, evaluated, 5), good, score, near, far

    def test_a_large_space_is_searched_around_where_it_begins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What stands on the screen is offered or bettered."""
        again, good, score, near, _ = self.search_around(False, monkeypatch)
        assert near.frame["score"][0] >= score - 1e-5
        monkeypatch.setattr(assembly, "IMPROVE_ROUNDS", 0)
        assert again(start=good).codes[0].tolist() == good[0].tolist()

    def test_a_large_space_is_searched_around_what_is_measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The neighbours of what stands on the screen are tried."""
        _, good, _, near, far = self.search_around(True, monkeypatch)
        units = space_named("ofa_mbv3").spec.units
        moved = [(row[list(u.positions)] != good[0, list(u.positions)]).any() for row in near.codes for u in units]
        assert np.reshape(moved, (len(near.codes), -1)).sum(1).min() == 1
        assert near.frame["score"][0] > far.frame["score"][0] + 0.2

    def test_with_top_k_what_it_begins_from_is_not_added(self, modules: pd.DataFrame) -> None:
        outside = top_modules(modules).query("rank == 9").drop_duplicates("unit_index")
        start = module_rows(outside, MACRO.spec).max(0)[None]
        built = build(PREDICTOR, modules, NOTHING, 100, top_k=2, start=start)
        assert not np.isin(MACRO.hash_networks(start), MACRO.hash_networks(built.codes)).any()

    def test_a_space_evaluated_whole_is_told_from_one_with_something_left(self) -> None:
        codes = MACRO.enumerate()
        assert codes is not None
        networks = MACRO.hash_networks(codes)
        assert nothing_left(MACRO, networks) == NothingLeft("All 3,969 networks of this space were evaluated already", True)
        some = NothingLeft("No network was found that was not evaluated already", False)
        assert nothing_left(MACRO, networks[networks != networks[0]]) == some
        assert nothing_left(space_named("ofa_mbv3"), networks) == some

    @pytest.mark.parametrize("minimize", [False, True])
    def test_the_best_measured_are_distinct_and_have_a_target(self, minimize: bool) -> None:
        codes = np.array([[1] * 8, [0, 0, 1, 1, 0, 1, 1, 1], [0, 0, 1, 0, 1, 1, 1, 1], [2] * 8, [0] * 8], np.int16)
        values = np.array([3.0, 5.0, 4.0, np.nan, 1.0])  # the second and the third are one network
        found = best_measured(codes, MACRO.hash_networks(codes), values, minimize)
        assert found.tolist() == codes[[4, 0, 2] if minimize else [1, 0, 4]].tolist()
        assert len(best_measured(codes, MACRO.hash_networks(codes), values, minimize, 2)) == 2

    def test_records_are_native(self, modules: pd.DataFrame) -> None:
        built = build(PREDICTOR, modules, NOTHING, 3)
        records = json.loads(json.dumps(built_records(built, PREDICTOR)))
        for record, row, predicted in zip(records, built.codes, built.frame["predicted"], strict=True):
            assert MACRO.parse(record["arch"]) == row.tolist() and record["predicted"] == pytest.approx(predicted)
            assert set(record) == {"arch", "predicted", "low", "high", "modules"}
            assert [m["unit"] for m in record["modules"]] == ["L1-2", "L3-5", "L6-8"]
            assert [t for m in record["modules"] for t in m["layers"]] == [MACRO.spec.tokens[t] for t in row]


class TestWithin:
    """A reduced space is built from as the product of its modules is."""

    @pytest.mark.parametrize("limit", [50_000, 10])
    def test_the_best_of_it_are_found_by_enumeration_and_by_search(
        self, modules: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, limit: int
    ) -> None:
        space = reduce_space([Ranking("", PREDICTOR, modules)], Keep(5)).space
        every = product_codes(modules, MACRO.spec, 5, Lens.GOOD, False)
        expected = assembly._best(PREDICTOR, every, NOTHING, 5)
        monkeypatch.setattr("autobuild_core.spaces.ENUMERATION_LIMIT", limit)
        found = build(PREDICTOR, modules, NOTHING, 5, within=space, start=MACRO.sample(20, np.random.default_rng(0)))
        assert found.frame["predicted"].tolist() == pytest.approx(expected.frame["predicted"].tolist())
        assert space.valid(found.codes).all()


@pytest.mark.parametrize("minimize", [False, True])
def test_built_ones_stand_beside_another_by_their_predictions(minimize: bool) -> None:
    predictor = random_predictor(MACRO, minimize=minimize)
    codes = macro_data(12).codes
    frame = predictor.predict(codes)
    found = assembly.against(Built(codes, frame), codes[3], predictor)
    change = frame["predicted"] - frame["predicted"][3]
    assert found.now == pytest.approx(frame["predicted"][3])
    assert found.change == pytest.approx(change, abs=1e-5)
    assert found.same[3] and found.gain[3] == 0
    others = np.flatnonzero(change.abs() > 1e-3)
    assert len(others) > 5
    assert found.gain[others].tolist() == np.sign(-change[others] if minimize else change[others]).astype(int).tolist()
    assert found.better.tolist() == (~found.same & (found.gain == 1)).tolist()
