"""Choices of many numbers: their ranges, what is shown of a range, and its score as that of the architectures with its values."""

import json

import numpy as np
import pandas as pd
import pytest

from autobuild_core import registry
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.module_table import RANGE, describe_modules, groups_of, module_index, module_rows, with_room
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.names import module_name
from autobuild_core.architectures.ranges import (
    MOST_RANGES,
    by_range,
    is_layer,
    range_of,
    ranges_of,
    shown_layer,
    some_of,
    standing_tokens,
    tokens_of,
    with_ranges,
)
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, Condition
from autobuild_core.figures import drawing, rankings, replacements
from autobuild_core.figures.colours import scale_for
from autobuild_core.predictor.contexts import Contexts
from autobuild_core.scorers import make_scorer, score_modules, unit_groups
from autobuild_core.scorers.autobuild import AutoBuildScorer
from autobuild_core.scoring.intervals import jackknife_half_width
from autobuild_core.scoring.overlap import mark_confounded
from autobuild_core.scoring.population import pooled, range_weights
from autobuild_core.search.assembly import product_codes
from autobuild_core.search.reduction import Keep, Ranking, reduce_space
from autobuild_core.spaces import Space
from tests.flat_spaces import SPACES, Columns
from tests.learning import random_predictor
from tests.unit.predictor.test_contexts import with_contexts

NUM = 60


def numbers(num: int = NUM, seed: int = 0) -> list[str]:
    return [str(v) for v in np.sort(np.random.default_rng(seed).uniform(0, 0.5, num)).round(6)]


def numeric_space(num: int = NUM, more: int = 0) -> Space:
    """A number of many values, two categories, and more columns of 12 texts that make it too large to enumerate."""
    columns = Columns()
    columns.add("dropout", numbers(num))
    columns.add("act", ["relu", "gelu", "tanh"])
    columns.add("norm", ["batch", "layer"])
    for index in range(more):
        columns.add(f"c{index}", [f"v{v}" for v in range(12)])
    return columns.space()


def truth(codes: Codes, space: Space) -> np.ndarray:
    """U-shaped in the number, additive over the rest."""
    value = np.array([float(token.partition("=")[2]) for token in np.array(space.spec.tokens)[codes[:, 0]]])
    return 70 - 80 * (value - 0.2) ** 2 + 0.6 * (codes[:, 1] == NUM) + 0.4 * (codes[:, 2] == NUM + 3)


def table_of(space: Space, num: int = 240) -> ArchTable:
    codes = space.sample(num, np.random.default_rng(1))
    metrics = pd.DataFrame({"acc": truth(codes, space), "flops": (codes + 2.0).sum(1)})
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(num), "csv_table", num)


class TestRanges:
    def test_values_are_covered_once_in_order(self) -> None:
        space = numeric_space()
        (own,) = ranges_of(space.spec).values()
        assert len(own) == MOST_RANGES and {len(one.tokens) for one in own} == {7, 8}
        assert [token for one in own for token in one.tokens] == list(space.spec.units[0].tokens)
        ends = [float(end) for one in own for end in one.ends]
        assert ends == sorted(ends) and len(set(ends)) == len(ends)
        assert [shown_layer(space.spec, token) for one in own for token in one.tokens] == [o.text for o in own for _ in o.tokens]
        assert all(tokens_of(space.spec, one.text) == one.tokens and is_layer(space.spec, one.text) for one in own)
        assert range_of(space.spec, NUM) is None and shown_layer(space.spec, NUM) == "act=relu"

    def test_texts_have_few_digits(self) -> None:
        columns = Columns()
        columns.add("lr", [repr(float(v)) for v in np.geomspace(1e-5, 0.1, 40)])
        columns.add("width", [str(v) for v in range(100, 1300, 100)])
        lr, width = ranges_of(columns.space().spec).values()
        assert lr[0].text == "lr=1e-05 to 2.6e-05" and lr[-1].text == "lr=0.039 to 0.1"
        assert [one.text for one in width[:5]] == [f"width={low} to {low + 100}" for low in (100, 300, 500, 700)] + ["width=900"]
        assert width[4].tokens == tokens_of(columns.space().spec, "width=900")

    def test_close_values_get_more_digits(self) -> None:
        columns = Columns()
        columns.add("lr", [f"0.10000{v:02}" for v in range(1, 41)])
        texts = [one.text for one in next(iter(ranges_of(columns.space().spec).values()))]
        assert len(set(texts)) == MOST_RANGES and texts[0] == "lr=0.1000001 to 0.1000005"

    @pytest.mark.parametrize("name", SPACES)
    def test_few_values_have_none(self, name: str) -> None:
        assert ranges_of(SPACES[name]().spec) == {}

    def test_texts_and_chains_have_none(self) -> None:
        columns = Columns()
        columns.add("kind", [f"v{v}" for v in range(20)])
        columns.add("width", [str(v) for v in range(20)], loose=False)
        assert ranges_of(columns.space().spec) == {}

    def test_an_optional_number_has_ranges(self) -> None:
        columns = Columns()
        first = columns.add("optimizer", ["sgd", "adam"])
        columns.add("momentum", numbers(20), (0, 1))
        space = columns.space((Condition(1, 0, first[:1]),))
        codes = space.sample(200, np.random.default_rng(0))
        stands = by_range(codes, space.spec)
        assert ((stands == ABSENT) == (codes == ABSENT)).all() and (stands[:, 0] == codes[:, 0]).all()
        assert len(np.unique(stands[:, 1])) == MOST_RANGES + 1
        assert [shown_layer(space.spec, t) for t in stands[codes[:, 1] >= 0, 1]] == [
            shown_layer(space.spec, t) for t in codes[codes[:, 1] >= 0, 1]
        ]


class TestPooled:
    def test_weighted_means_without_what_is_not_known(self) -> None:
        group = ModuleGroup((0,), np.arange(5, dtype=np.int16)[:, None], 0, np.array([0, 0, 1, 1, 2]))
        values = np.array([[1.0, 3, 5, np.nan, np.nan], [2.0, 2, 2, 4, np.nan]])
        found = pooled(values, group, np.array([1.0, 3, 1, 1, 1]))
        assert np.allclose(found, [[2.5, 5, np.nan], [2, 3, np.nan]], equal_nan=True)
        assert group.num_shown == 3 and pooled(values, ModuleGroup((0,), group.codes)) is values

    def test_forbidden_combinations_weigh(self) -> None:
        columns = Columns()
        tokens, other = columns.add("x", numbers(16)), columns.add("y", ["a", "b", "c"])
        space = columns.space(forbidden=(((0, tokens[:1]), (1, other[:2])),))
        predictor = random_predictor(space)
        scorer = AutoBuildScorer(predictor)
        group = with_ranges(space.windows(1)[0], space.spec)
        weights = range_weights(group, scorer.population, space.spec)
        assert np.isclose(weights[0] * 3, weights[1]) and np.allclose(weights[1:], weights[1])
        inside = np.isin(scorer.population.codes[:, 0], tokens[:2])
        mean = scorer.member_targets[:, inside] @ scorer.population.weights[inside] / scorer.population.weights[inside].sum()
        assert np.isclose(scorer.score([group])[0]["score"].iloc[0], mean.mean())


class TestScores:
    def test_a_range_is_the_mean_of_the_architectures_in_it(self) -> None:
        space = numeric_space()
        scorer = AutoBuildScorer(random_predictor(space, members=4), table=table_of(space))
        frame = score_modules(scorer, space.windows(1), table_of(space))
        codes, targets = scorer.population.codes, scorer.member_targets
        for line, one in zip(frame.head(MOST_RANGES).to_dict("records"), ranges_of(space.spec)[0], strict=True):
            members = targets[:, np.isin(codes[:, 0], one.tokens)].mean(1)
            half = jackknife_half_width(members[:, None])[0]
            found = [line["score"], line["score_low"], line["score_high"]]
            assert np.allclose(found, [members.mean(), members.mean() - half, members.mean() + half])
            assert json.loads(line["layers"]) == [one.text] and json.loads(line[RANGE]) == list(one.ends)
        assert frame["num_evaluated"].head(MOST_RANGES).sum() == len(table_of(space))
        assert (frame[RANGE].iloc[MOST_RANGES:] == "").all()

    def test_of_a_large_space_too(self) -> None:
        space = numeric_space(more=4)
        scorer = AutoBuildScorer(random_predictor(space, members=3))
        assert not scorer.population.exact
        group = space.windows(1)[0]
        exact, ranged = scorer.score([group, with_ranges(group, space.spec)])
        part = [np.isin(group.codes[:, 0], one.tokens) for one in ranges_of(space.spec)[0]]
        assert np.allclose(ranged["score"], [exact.loc[own, "score"].mean() for own in part])
        assert (ranged["score_high"] - ranged["score_low"] > 0).all()
        width = (exact["score_high"] - exact["score_low"]).to_numpy()
        assert all(r <= width[own].mean() + 1e-9 for r, own in zip(ranged["score_high"] - ranged["score_low"], part, strict=True))

    def test_single_layers_keep_their_effects_by_value(self) -> None:
        space = numeric_space()
        one, two = (AutoBuildScorer(random_predictor(space)) for _ in range(2))
        group = space.windows(1)[0]
        two.score([with_ranges(group, space.spec)])
        assert np.array_equal(one.member_effects(group), two.member_effects(group))

    @pytest.mark.parametrize("name", registry.names("scorers"))
    def test_every_scorer_scores_ranges(self, name: str) -> None:
        space = numeric_space()
        table = table_of(space)
        scorer = make_scorer(name, random_predictor(space), table=table)
        frame = score_modules(scorer, unit_groups(space), table)
        assert len(frame) == MOST_RANGES + 3 + 2
        assert frame["score"].notna().all()
        known = frame.dropna(subset=["score_low"])
        assert len(known) in (0, len(frame)) and (known["score_low"] <= known["score"]).all()

    def test_a_scorer_that_knows_no_ranges_has_no_interval_there(self) -> None:
        space = numeric_space()

        class Simple(AutoBuildScorer):  # type: ignore[misc]
            def score(self, groups, report=lambda share: None):  # type: ignore[no-untyped-def]
                return super().score([ModuleGroup(g.positions, g.codes, g.unit) for g in groups], report)

        predictor = random_predictor(space)
        simple, known = (score_modules(make(predictor), space.windows(1), table_of(space)) for make in (Simple, AutoBuildScorer))
        assert np.allclose(simple["score"], known["score"])
        first = simple.head(MOST_RANGES)
        assert first[["score_low", "good_high"]].isna().all().all() and simple["score_low"].iloc[MOST_RANGES:].notna().all()

    @pytest.mark.parametrize("name", SPACES)
    def test_tables_without_ranges_have_no_such_column(self, name: str) -> None:
        space = SPACES[name]()
        rows = space.sample(30, np.random.default_rng(0))
        table = ArchTable(space.spec, rows, space.hash_networks(rows), pd.DataFrame({"acc": np.arange(30.0)}), np.arange(30))
        assert RANGE not in score_modules(AutoBuildScorer(random_predictor(space)), space.windows(1), table)


def test_a_context_is_told_from_ranges_where_no_value_was_seen_twice() -> None:
    space = numeric_space(200)
    rows = np.arange(200)
    codes = np.stack([rows, 200 + rows % 3, 203 + rows // 3 % 2], 1).astype(np.int16)
    table = ArchTable(space.spec, codes, space.hash_networks(codes), pd.DataFrame({"acc": rows * 1.0}), rows)
    task = np.where(np.random.default_rng(0).random(200) < 0.4, "a", "b")
    task[np.isin(codes[:, 0], ranges_of(space.spec)[0][3].tokens)] = "c"  # a range that was seen in a task of its own
    table = with_contexts(table, {"task": "task"}, task=task)
    contexts = Contexts.of(table)
    assert contexts is not None
    groups = [with_ranges(group, space.spec) for group in space.windows(1)]
    modules = describe_modules(groups, space.spec, codes).assign(score=1.0)
    marked = mark_confounded(modules, table, contexts)
    assert marked["score"].isna().tolist() == [line == 3 for line in range(len(modules))]


@pytest.fixture(scope="module")
def scored() -> tuple[Space, ArchTable, pd.DataFrame, AutoBuildScorer]:
    space = numeric_space()
    table = table_of(space)
    scorer = AutoBuildScorer(random_predictor(space), table=table)
    return space, table, score_modules(scorer, space.windows(1), table), scorer


Scored = tuple[Space, ArchTable, pd.DataFrame, AutoBuildScorer]


class TestShown:
    def test_an_exact_value_finds_its_range(self, scored: Scored) -> None:
        space, table, modules, _ = scored
        index = module_index(modules)
        for row in table.codes[:40]:
            lines = {position: line for position, line, _ in drawing.node_lines(modules, index, space.spec, row, 0)}
            own = range_of(space.spec, int(row[0]))
            assert own is not None and json.loads(modules["layers"].iloc[lines[0]]) == [own.text]
            assert json.loads(modules["layers"].iloc[lines[1]]) == [space.spec.tokens[row[1]]]

    def test_a_table_of_before_is_found_by_its_values(self, scored: Scored) -> None:
        space, table, _, scorer = scored
        groups = space.windows(1)
        layers = [json.dumps([space.spec.tokens[t]]) for group in groups for t in group.codes[:, 0]]
        old = pd.concat(scorer.score(groups), ignore_index=True).assign(layers=layers, whole_unit=True)
        old["positions"] = [json.dumps([space.spec.position_labels[g.positions[0]]]) for g in groups for _ in range(len(g))]
        index = module_index(old)
        found = drawing.node_lines(old, index, space.spec, table.codes[0], 0)
        assert json.loads(old["layers"].iloc[found[0][1]]) == [space.spec.tokens[table.codes[0, 0]]]

    def test_what_contains_a_range_is_counted(self, scored: Scored) -> None:
        _, table, modules, _ = scored
        for line in modules.to_dict("records"):
            inside = ModuleKey.of(line).contained_in(table)
            assert inside.sum() == line["num_evaluated"]

    def test_the_heat_map_is_in_the_order_of_the_number(self, scored: Scored) -> None:
        space, table, modules, _ = scored
        heat = rankings.heat_table(modules, space.spec, Lens.SCORE, len(table), "")
        assert heat["layer"].head(MOST_RANGES).tolist() == [one.text for one in ranges_of(space.spec)[0]]
        figure = rankings.heat_figure(heat, scale_for(modules, Lens.SCORE, float(modules["score"].mean()), False, ""))
        shown = [note.text for note in figure.layout.annotations if note.x == 0]
        lowest = [one.text.removeprefix("dropout=").partition(" to ")[0] for one in ranges_of(space.spec)[0]]
        assert shown == [f"≥{low}" for low in lowest]
        called = [module_name(p, m) for p, m in zip(modules["positions"], modules["layers"], strict=True)]
        assert called[0] == "dropout: " + ranges_of(space.spec)[0][0].text.removeprefix("dropout=")

    def test_architectures_get_exact_values(self, scored: Scored) -> None:
        space, table, modules, _ = scored
        stands = set(standing_tokens(space.spec).values())
        rows = module_rows(modules, space.spec)
        assert set(rows[:MOST_RANGES, 0]) == stands
        codes = product_codes(modules, space.spec, 2, Lens.SCORE, False)
        found = reduce_space([Ranking("", random_predictor(space), modules, Lens.SCORE)], Keep(2))
        kept = [{layer for (layer,) in unit.modules} for unit in found.units]
        assert len(codes) == found.space.size == len(kept[0]) * 4 and len(kept[0]) in (14, 15, 16) and space.valid(codes).all()
        assert found.full.size == NUM * 3 * 2 and [unit.num_unscored for unit in found.units] == [0, 0, 0]
        assert [set(np.array(space.spec.tokens)[column]) for column in codes.T] == kept
        replaced = replacements.replaced(space.spec, table.codes[0], modules.head(MOST_RANGES))
        assert set(replaced[:, 0]) == stands and space.valid(replaced).all()

    def test_where_there_is_no_room_fewer_values_are_combined(self, scored: Scored) -> None:
        space, _, modules, _ = scored
        every, few, none = (with_room(modules, space.spec, limit) for limit in (360, 150, 1))
        assert [len(one) for one in (every, few, none)] == [NUM + 5, 3 * MOST_RANGES + 5, MOST_RANGES + 5]
        assert none["layers"].head(MOST_RANGES).tolist() == [
            json.dumps([space.spec.tokens[one.standing]]) for one in ranges_of(space.spec)[0]
        ]
        assert [some_of((1, 2, 3, 4, 5), most) for most in (1, 2, 9)] == [(3,), (2, 4), (1, 2, 3, 4, 5)]

    def test_groups_of_lines_hold_all_values(self, scored: Scored) -> None:
        space, _, modules, scorer = scored
        for group, lines in groups_of(modules.iloc[[9, 3, 0, 12]].reset_index(drop=True), space.spec):
            again = scorer.score([group])[0]["score"]
            assert np.allclose(again, modules.iloc[[9, 3, 0, 12]]["score"].iloc[lines])
