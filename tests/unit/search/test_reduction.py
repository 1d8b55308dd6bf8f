"""The reduced space: what is kept by hand, the union over targets, its JSON and its lists, its predicted quality."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core import api
from autobuild_core.api import Run
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_table import top_modules
from autobuild_core.errors import ConfigError
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import score_modules, unit_groups
from autobuild_core.scorers.autobuild import AutoBuildScorer
from autobuild_core.search.assembly import product_codes
from autobuild_core.search.reduction import Keep, Ranking, Reduction, read_reduced, reduce_space
from autobuild_core.search.searching import read_space
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.testing.examples import table_of
from tests.flat_spaces import forbidden_space
from tests.learning import flat_space, macro_data, random_predictor

MACRO = space_named("nas_bench_macro")
PREDICTOR = random_predictor(MACRO)
OPPOSITE = random_predictor(MACRO, minimize=True)


@pytest.fixture(scope="module")
def modules() -> pd.DataFrame:
    return score_modules(AutoBuildScorer(PREDICTOR), MACRO.windows(1) + unit_groups(MACRO), macro_data(30))


def by_hand(predictor: Predictor, goods: dict[str, float], name: str = "", lens: Lens = Lens.GOOD) -> Ranking:
    """Modules of the first unit with these values of a lens, and one module of each other unit."""
    rows = [(0, '["C1", "C2"]', list(text), value) for text, value in goods.items()]
    rows += [(1, "[]", list("000"), 1.0), (2, "[]", list("222"), 1.0)]
    tokens = dict(zip("012", MACRO.spec.tokens, strict=True))
    layers = [json.dumps([tokens[one] for one in digits]) for _, _, digits, _ in rows]
    frame = pd.DataFrame({"unit_index": [row[0] for row in rows], "positions": [row[1] for row in rows], "layers": layers})
    values = [row[3] for row in rows]
    frame = frame.assign(whole_unit=True, good=0.5, score=5.0, embedding_norm=0.0).assign(**{lens.value: values})
    return Ranking(name, predictor, frame, lens)


def first_unit(found: Reduction) -> list[str]:
    """Its modules as digits."""
    digit = {token: str(index) for index, token in enumerate(MACRO.spec.tokens)}
    return ["".join(map(digit.__getitem__, module)) for module in found.units[0].modules]


class TestKeep:
    def test_so_many_or_a_share_at_least_one(self) -> None:
        assert [Keep(4).of(num) for num in (2, 4, 9)] == [2, 4, 4]
        assert [Keep(share=0.5).of(num) for num in (1, 2, 3, 9)] == [1, 1, 1, 4]
        assert [Keep(share=0.29).of(100), Keep(share=1).of(7), Keep(share=1e-9).of(7)] == [29, 7, 1]

    @pytest.mark.parametrize(
        ("top_k", "share", "said"),
        [
            (None, None, "got neither of top k and share, expected one"),
            (3, 0.5, "got both of top k and share, expected one"),
            (0, None, "top k: got 0, expected at least 1"),
            (None, 0.0, "share: got 0, expected above 0"),
            (None, 1.01, "share: got 1.01, expected above 0 and at most 1"),
            (None, float("nan"), "share: got nan"),
        ],
    )
    def test_what_does_not_do_is_said(self, top_k: int | None, share: float | None, said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            Keep(top_k, share)


class TestKept:
    def test_the_best_by_the_lens(self, modules: pd.DataFrame) -> None:
        for lens, minimize in ((Lens.GOOD, False), (Lens.SCORE, False), (Lens.SCORE, True), (Lens.NORM, True)):
            ranking = Ranking("", OPPOSITE if minimize else PREDICTOR, modules, lens)
            found = reduce_space([ranking], Keep(4))
            ranked = top_modules(modules, lens, minimize)
            assert [unit.counts() for unit in found.units] == [
                {"unit": unit.label, "num_kept": 4, "num_modules": num, "num_unscored": 0}
                for unit, num in zip(MACRO.spec.units, (9, 27, 27), strict=True)
            ]
            for index, unit in enumerate(found.units):
                best = ranked[(ranked["unit_index"] == index) & (ranked["rank"] <= 4)]["layers"]
                assert [list(module) for module in unit.modules] == [json.loads(text) for text in best]
                assert unit.kept_by == ((0,),) * 4

    def test_smaller_targets_keep_the_smallest_scores(self) -> None:
        scores = {"00": 1.0, "01": 2.0, "02": 3.0}
        assert first_unit(reduce_space([by_hand(PREDICTOR, scores, lens=Lens.SCORE)], Keep(2))) == ["02", "01"]
        assert first_unit(reduce_space([by_hand(OPPOSITE, scores, lens=Lens.SCORE)], Keep(2))) == ["00", "01"]
        assert first_unit(reduce_space([by_hand(OPPOSITE, scores, lens=Lens.GOOD)], Keep(2))) == ["02", "01"]

    def test_a_share_is_of_each_unit(self, modules: pd.DataFrame) -> None:
        found = reduce_space([Ranking("", PREDICTOR, modules)], Keep(share=0.25))
        assert [len(unit.modules) for unit in found.units] == [2, 6, 6]
        assert (found.space.size, found.full.size) == (72, 6561)
        assert reduce_space([Ranking("", PREDICTOR, modules)], Keep(share=1)).space.size == 6561

    def test_only_what_has_a_score_is_kept_and_it_is_said(self) -> None:
        ranking = by_hand(PREDICTOR, {"00": 0.1, "01": 0.9, "02": 0.5})
        ranking.modules.loc[1, "score"] = np.nan  # the best by the lens
        found = reduce_space([ranking], Keep(9))
        assert first_unit(found) == ["02", "00"]
        assert [unit.num_unscored for unit in found.units] == [7, 26, 26]

    def test_a_unit_without_any_score_is_refused(self, modules: pd.DataFrame) -> None:
        frame = modules.copy()
        frame.loc[frame["unit_index"] == 1, "score"] = np.nan
        with pytest.raises(ConfigError, match="unit L3-5: got no module to keep"):
            reduce_space([Ranking("", PREDICTOR, frame)], Keep(3))

    def test_a_unit_that_may_be_empty_may_stay_so(self) -> None:
        whole = flat_space()
        predictor = random_predictor(whole)
        frame = score_modules(AutoBuildScorer(predictor), unit_groups(whole), table_of(whole))
        found = reduce_space([Ranking("", predictor, frame)], Keep(2))
        assert (found.space.size, found.full.size) == (3 * 2, whole.size)
        assert found.units[0].modules[-1] == () and found.units[0].kept_by[-1] == () and found.lists()[0][-1] == []
        assert found.units[0].counts() == {"unit": "b0", "num_kept": 3, "num_modules": 5, "num_unscored": 0}
        assert () not in found.units[1].modules

    def test_what_the_rules_leave_nothing_of_is_refused(self) -> None:
        whole = forbidden_space()
        (first, some), (second, others) = whole.spec.forbidden[0][:2]
        predictor = random_predictor(whole)
        frame = score_modules(AutoBuildScorer(predictor), unit_groups(whole), table_of(whole))
        wanted = {first: some[0], second: others[0]}
        chosen = [
            wanted.get(int(unit)) == whole.spec.tokens.index(json.loads(text)[0])
            for unit, text in zip(frame["unit_index"], frame["layers"], strict=True)
        ]
        with pytest.raises(ConfigError, match="rules of the space do not let come together"):
            reduce_space([Ranking("", predictor, frame.assign(good=np.array(chosen, float)))], Keep(1))


class TestUnion:
    def test_what_any_run_keeps_is_kept_with_its_runs(self) -> None:
        one = by_hand(PREDICTOR, {"00": 0.9, "01": 0.8, "02": 0.1}, "accuracy")
        other = by_hand(OPPOSITE, {"00": 0.2, "01": 0.8, "02": 0.9}, "latency")
        found = reduce_space([one, other], Keep(2))
        assert first_unit(found) == ["00", "02", "01"]
        assert found.units[0].kept_by == ((0,), (1,), (0, 1))
        assert found.units[1].kept_by == ((0, 1),)
        assert [line["run"] for line in found.record()["runs"]] == ["accuracy", "latency"]

    def test_it_is_the_union_of_the_single_ones(self, modules: pd.DataFrame) -> None:
        first = Ranking("a", PREDICTOR, modules, Lens.SCORE)
        second = Ranking("b", OPPOSITE, modules, Lens.SCORE)
        both, one, two = (reduce_space(some, Keep(3)) for some in ([first, second], [first], [second]))
        for together, a, b in zip(both.units, one.units, two.units, strict=True):
            assert set(together.modules) == set(a.modules) | set(b.modules) and len(together.modules) == 6
            by = dict(zip(together.modules, together.kept_by, strict=True))
            assert {module for module, runs in by.items() if 0 in runs} == set(a.modules)
            assert {module for module, runs in by.items() if 1 in runs} == set(b.modules)

    def test_a_module_counts_as_unscored_where_any_run_has_no_score_for_it(self) -> None:
        one, other = by_hand(PREDICTOR, {"00": 0.9, "01": 0.8}), by_hand(PREDICTOR, {"00": 0.9})
        assert reduce_space([one, other], Keep(2)).units[0].num_unscored == 8

    def test_other_spaces_are_refused(self, modules: pd.DataFrame) -> None:
        own = Ranking("mine", PREDICTOR, modules)
        cells = Ranking("cells", random_predictor(space_named("nas_bench_201")), modules)
        with pytest.raises(
            ConfigError, match="got the run 'cells' of NAS-Bench-201 with other units, layers or rules than 'mine'"
        ):
            reduce_space([own, cells], Keep(2))
        ruled = random_predictor(load_space(replace(MACRO.spec, forbidden=(((0, (0,)), (1, (0,))),))))
        with pytest.raises(ConfigError, match="expected runs of one search space"):
            reduce_space([own, Ranking("ruled", ruled, modules)], Keep(2))
        titled = random_predictor(load_space(replace(MACRO.spec, title="another word for it")))
        assert reduce_space([own, Ranking("titled", titled, modules)], Keep(2)).space.size == 8
        with pytest.raises(ConfigError, match="got no run"):
            reduce_space([], Keep(2))


class TestAsASpace:
    def test_it_enumerates_the_product(self, modules: pd.DataFrame) -> None:
        space = reduce_space([Ranking("", PREDICTOR, modules)], Keep(3)).space
        codes = space.enumerate()
        assert codes is not None and len(codes) == space.size == 27
        product = product_codes(modules, MACRO.spec, 3, Lens.GOOD, False)
        assert {tuple(row) for row in codes.tolist()} == {tuple(row) for row in product.tolist()}

    def test_its_json_reads_back(self, modules: pd.DataFrame, tmp_path: Path) -> None:
        found = reduce_space([Ranking("mine", PREDICTOR, modules)], Keep(4)).with_quality()
        record = json.loads(json.dumps(found.record(), indent=1))
        names = ["space", "top_k", "share", "size", "full_size", "runs", "units", "quality", "spec"]
        assert list(record) == names and (record["size"], record["full_size"], record["top_k"]) == (64, 6561, 4)
        assert record["runs"] == [{"run": "mine", "target": "acc", "minimize": False, "lens": "good"}]
        assert record["quality"][0].items() >= record["runs"][0].items()
        (tmp_path / "space.json").write_text(json.dumps(record))
        for space in (read_reduced(json.dumps(record)), read_space(str(tmp_path / "space.json"))):
            assert type(space) is type(MACRO) and space.spec == found.space.spec
        for unit, listed in zip(record["units"], found.space.spec.units, strict=True):
            assert [tuple(MACRO.spec.tokens.index(t) for t in layers) for layers in unit["modules"]] == list(listed.modules)
            assert unit["kept_by"] == [[0]] * unit["num_kept"]

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"spec": null}', '{"spec": {"name": "flat"}}', "3"])
    def test_what_has_no_spec_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigError, match="reduced space: got no spec"):
            read_reduced(text)

    @pytest.mark.parametrize(("module", "said"), [([0, 0], "got modules of"), ([9] * 3, "expected some of its own tokens")])
    def test_a_damaged_list_is_refused(self, modules: pd.DataFrame, module: list[int], said: str) -> None:
        record = json.loads(json.dumps(reduce_space([Ranking("", PREDICTOR, modules)], Keep(2)).record()))
        record["spec"]["units"][1]["modules"][0] = module
        with pytest.raises(ConfigError, match=said):
            read_reduced(json.dumps(record))


def reduced_ofa(name: str) -> tuple[Space, Reduction]:
    """Three modules of each unit of a once-for-all space, its scores drawn: as if only twenty of a unit had one."""
    space = space_named(name)
    rng = np.random.default_rng(0)
    rows = []
    for index, unit in enumerate(space.spec.units):
        for module in space.sample(20, rng)[:, list(unit.positions)]:
            layers = [space.spec.tokens[code] for code in module if code >= 0]
            rows.append({"unit_index": index, "layers": json.dumps(layers), "positions": "[]", "good": rng.random()})
    frame = pd.DataFrame(rows).drop_duplicates(["unit_index", "layers"]).assign(whole_unit=True, score=0.0, embedding_norm=0.0)
    return space, reduce_space([Ranking("", random_predictor(space, members=2), frame)], Keep(3))


class TestLists:
    @pytest.mark.parametrize("name", ["ofa_mbv3", "ofa_proxyless"])
    def test_a_module_of_each_unit_is_an_architecture(self, name: str) -> None:
        space, found = reduced_ofa(name)
        lists = json.loads(json.dumps(found.lists()))
        assert [len(unit) for unit in lists] == [3] * len(space.spec.units)
        for number in range(3):
            chosen = [unit[number] for unit in lists]
            native = chosen if name == "ofa_mbv3" else [*chosen[:-1], *chosen[-1]]
            codes = np.array(space.parse(native), np.int16)
            assert space.native(codes) == native and found.space.valid(codes[None])[0]
        assert all(10 < unit.num_modules - unit.num_unscored <= 20 for unit in found.units)

    def test_of_proxyless_the_last_unit_has_pairs(self) -> None:
        _, found = reduced_ofa("ofa_proxyless")
        for module, own in zip(found.lists()[-1], found.units[-1].modules, strict=True):
            assert module == [list(own[:-1]), list(own[-1:])]
        assert all(isinstance(token, str) for unit in found.lists()[:-1] for module in unit for token in module)

    def test_of_other_spaces_they_are_tokens(self, modules: pd.DataFrame) -> None:
        found = reduce_space([Ranking("", PREDICTOR, modules)], Keep(2))
        assert found.lists() == [[list(module) for module in unit.modules] for unit in found.units]


class TestOfRuns:
    def test_a_run_is_reduced_by_its_own_target(self, trained: Run) -> None:
        found = api.reduce(trained, top_k=2)
        assert found.space.size == 8 and found.quality[0].reduced.mean > found.quality[0].full.mean
        assert first_unit(found)[0] == "22"  # as planted
        ranked = top_modules(trained.modules(), Lens.SCORE, False)
        again = api.reduce([trained.folder.path], top_k=2, lens="score")
        best = ranked[(ranked["unit_index"] == 2) & (ranked["rank"] <= 2)]["layers"]
        assert [list(module) for module in again.units[2].modules] == [json.loads(text) for text in best]

    def test_each_run_has_a_lens(self, trained: Run) -> None:
        found = api.reduce([trained, trained], share=0.1, lens=["good", "score"])
        assert [line["lens"] for line in found.record()["runs"]] == ["good", "score"] and len(found.quality) == 2
        assert {runs for unit in found.units for runs in unit.kept_by} <= {(0,), (1,), (0, 1)}
        with pytest.raises(ConfigError, match="lens: got 2 for 1 run, expected one, or one a run"):
            api.reduce(trained, top_k=2, lens=["good", "score"])
        with pytest.raises(ConfigError, match="lens: got 'luck', expected one of score, good, embedding_norm"):
            api.reduce(trained, top_k=2, lens="luck")
