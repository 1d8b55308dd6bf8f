"""Conditions and forbidden combinations: whatever the product draws, changes, lists, mends or builds keeps to them."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from autobuild_core import registry, spaces
from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.modules import ModuleGroup, active_rows, eligible_rows
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, SpaceSpec
from autobuild_core.errors import ArchitectureError, ConfigError
from autobuild_core.predictor.distillation import distil
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import default_groups, make_scorer, score_modules, unit_groups
from autobuild_core.scorers._learned import LearnedScorer
from autobuild_core.scorers.autobuild import AutoBuildScorer
from autobuild_core.scoring.interactions import interactions
from autobuild_core.scoring.population import NUM_CONTEXTS
from autobuild_core.search import assembly
from autobuild_core.search.acquisition import overturning, suggest
from autobuild_core.search.assembly import build, product_codes
from autobuild_core.spaces import Space
from autobuild_core.spaces._in_contexts import in_contexts
from autobuild_core.testing.spaces import RuledSpaceSuite
from tests.flat_spaces import SPACES, conditional_space, forbidden_space, large_space, loose_space, mixed_space
from tests.learning import random_predictor


@pytest.fixture(params=SPACES)
def flat(request: pytest.FixtureRequest) -> Space:
    return SPACES[request.param]()


def table_of(space: Space, predictor: Predictor, num: int = 60) -> ArchTable:
    codes = space.sample(num, np.random.default_rng(5))
    values = predictor.predict(codes)["predicted"].to_numpy()
    metrics = pd.DataFrame({"acc": values, "flops": values**2})
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(num), "flat_csv", num)


class TestRuledSpaces(RuledSpaceSuite):
    @pytest.fixture
    def space(self, flat: Space) -> Space:
        return flat


class TestSampling:
    def test_the_enumeration_is_all_that_is_valid(self, flat: Space) -> None:
        codes = flat.enumerate()
        assert (codes is None) == (flat.size > spaces.ENUMERATION_LIMIT)
        if codes is None:
            return
        assert flat.valid(codes).all() and len(np.unique(codes, axis=0)) == len(codes) == flat.size
        free = type(flat)(SpaceSpec(*(getattr(flat.spec, f) for f in ("name", "title", "position_labels", "tokens", "units"))))
        everything = free.enumerate()
        assert everything is not None and flat.valid(everything).sum() == len(codes)

    def test_weights_sum_to_one_and_are_the_frequencies_of_samples(self, flat: Space) -> None:
        codes = flat.enumerate()
        if codes is None:
            return
        weights, num = flat.weights(codes), 40_000
        assert weights.sum() == pytest.approx(1)
        drawn, counts = np.unique(flat.sample(num, np.random.default_rng(3)), axis=0, return_counts=True)
        expected = dict(zip(map(tuple, codes.tolist()), weights * num, strict=True))
        wanted = np.array([expected[tuple(row)] for row in drawn.tolist()])
        misfit = float(((counts - wanted) ** 2 / wanted).sum() + (weights.sum() * num - wanted.sum()))
        assert misfit < len(codes) + 5 * (2 * len(codes)) ** 0.5  # chi-squared of so many cells

    def test_a_child_is_there_exactly_where_its_parent_has_the_token(self) -> None:
        codes = conditional_space().sample(6000, np.random.default_rng(4))
        sgd = codes[:, 0] == 0
        assert ((codes[:, 2] != ABSENT) == sgd).all()
        assert ((codes[:, 3] != ABSENT) == (sgd & (codes[:, 2] == 8))).all()  # momentum=0.9, and so sgd
        assert [float((codes[sgd, 2] == t).mean()) for t in (6, 7, 8)] == pytest.approx([1 / 3] * 3, abs=0.04)

    def test_the_size_of_a_space_too_large_to_enumerate_is_estimated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for made in (conditional_space, forbidden_space, mixed_space):
            exact = made().size
            with monkeypatch.context() as patch:
                patch.setattr(spaces, "ENUMERATION_LIMIT", 1)
                assert made().enumerate() is None and made().size == pytest.approx(exact, rel=0.05)
        # c0 decides whether c6 is there; four pairs of neighbours each forbid one of their 16 combinations.
        assert large_space().size == pytest.approx((2 * 4 + 2) * (15 / 16) ** 4 * 4**10, rel=0.02)

    def test_a_space_in_which_nothing_is_allowed_says_so(self) -> None:
        made = loose_space(2)
        every = tuple((unit, made.spec.units[unit].tokens) for unit in (0, 1))
        spec = SpaceSpec.from_json(made.spec.to_json())
        object.__setattr__(spec, "forbidden", (every,))
        with pytest.raises(ConfigError, match="forbidden combinations"):
            type(made)(spec).sample(3, np.random.default_rng(0))


class TestCompletion:
    def test_what_was_put_in_stays_and_the_rest_follows(self, flat: Space) -> None:
        rng = np.random.default_rng(6)
        for index, unit in enumerate(flat.spec.units):
            for group in flat.unit_modules(index):
                codes = flat.sample(40 * len(group), rng)
                codes[:, list(unit.positions)] = ABSENT
                codes[:, list(group.positions)] = np.repeat(group.codes, 40, axis=0)
                kept = np.isin(np.arange(codes.shape[1]), group.positions)
                mended, valid = flat.complete(codes, kept, rng)
                assert valid.all() and flat.valid(mended).all()
                assert (mended[:, list(unit.positions)] == codes[:, list(unit.positions)]).all()

    def test_a_row_that_cannot_be_mended_is_reported_and_left(self) -> None:
        made = forbidden_space()
        codes = made.sample(5, np.random.default_rng(0))
        codes[:, [2, 3]] = 4, 9  # act=relu with width=64
        kept = np.array([False, False, True, True])
        mended, valid = made.complete(codes, kept, np.random.default_rng(0))
        assert not valid.any() and (mended == codes).all()

    def test_a_value_that_nothing_goes_with_is_no_module(self) -> None:
        made = forbidden_space()
        assert made.spec.tokens[6] == "act=dead"
        for groups in (made.unit_modules(2), made.windows(1)[2:3]):
            assert groups[0].codes.ravel().tolist() == [4, 5]

    def test_complaints_name_units_and_tokens(self) -> None:
        made = conditional_space()
        for row, words in (
            ([1, 3, 6, ABSENT, ABSENT, 13], ("momentum", "momentum=0", "optimizer=adam", "optimizer=sgd")),
            ([0, 3, ABSENT, ABSENT, 11, 13], ("momentum", "no layer", "optimizer=sgd")),
            ([0, 3, 8, ABSENT, 11, 13], ("nesterov", "no layer", "momentum=0.9")),
        ):
            with pytest.raises(ArchitectureError) as error:
                made.check(row)
            assert all(word in str(error.value) for word in words), error.value
        with pytest.raises(ArchitectureError, match="act act=relu with width width=64"):
            forbidden_space().check([1, ABSENT, 4, 9])


class TestWhereModulesMeetContexts:
    """Everything that puts modules into architectures asks the ensemble about valid ones only."""

    @pytest.fixture(params=[50_000, 1], ids=["whole", "drawn"])
    def asked(
        self, flat: Space, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> tuple[Predictor, list[float]]:
        """A predictor that notes the share of valid rows in what it is asked."""
        monkeypatch.setattr(spaces, "ENUMERATION_LIMIT", request.param)
        predictor, shares = random_predictor(flat), []
        real = predictor.member_scores

        def noting(codes: Codes) -> NDArray[np.float32]:
            shares.append(float(flat.valid(codes).mean()) if len(codes) else 1.0)
            return real(codes)

        monkeypatch.setattr(predictor, "member_scores", noting)
        return predictor, shares

    def test_scores_builds_and_suggestions(self, flat: Space, asked: tuple[Predictor, list[float]]) -> None:
        predictor, shares = asked
        table = table_of(flat, predictor)
        scorer = AutoBuildScorer(predictor, table=table)
        modules = score_modules(scorer, default_groups(flat, 2) + unit_groups(flat), table)
        assert np.isfinite(modules["score"]).all()
        built = build(predictor, modules, table.networks, 5)
        assert flat.valid(built.codes).all()
        product = product_codes(modules, flat.spec, 3, Lens.GOOD, False)
        assert len(product) and flat.valid(product).all()
        codes, _ = suggest(predictor, modules, table.networks, 4)
        assert flat.valid(codes).all()
        row = np.full(flat.spec.num_positions, ABSENT, np.int16)
        last = flat.unit_modules(len(flat.spec.units) - 1)[0]
        row[list(last.positions)] = last.codes[0]
        assert flat.valid(overturning(predictor, row, last.unit, table.networks)[0]).all()
        assert min(shares) == 1
        pairs = interactions(predictor, modules, False)
        assert np.isfinite(pairs[["value", "low", "high"]].to_numpy()).all()

    def test_lessons(self, flat: Space) -> None:
        seen = []

        def predict(codes: Codes) -> NDArray[np.float64]:
            seen.append(flat.valid(codes).all())
            return codes.sum(1)[None].astype(float)

        distil(flat, predict, 4, np.random.default_rng(0))
        assert len(seen) > 1 and all(seen)

    @pytest.mark.parametrize("name", [name for name in registry.names("scorers") if name != "autobuild"])
    def test_other_scorers(
        self, flat: Space, name: str, asked: tuple[Predictor, list[float]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        predictor, shares = asked
        table = table_of(flat, predictor)
        scorer = make_scorer(name, predictor, table=table)
        if isinstance(scorer, LearnedScorer):
            real = scorer.predict

            def noting(codes: Codes) -> NDArray[np.float64]:
                shares.append(float(flat.valid(codes).mean()))
                return real(codes)

            monkeypatch.setattr(scorer, "predict", noting)
        for frame in scorer.score(default_groups(flat, 1) + unit_groups(flat)):
            assert np.isfinite(frame[["score", "effect"]].to_numpy()).all()
        assert min(shares) == 1

    def test_contexts_of_a_child_are_those_in_which_it_is_there(self) -> None:
        made = conditional_space()
        codes = made.sample(500, np.random.default_rng(0))
        child = made.unit_modules(2)[0]
        rows = eligible_rows(codes, child, made.spec)
        assert (codes[rows, 0] == 0).all() and 100 < len(rows) < 250
        put = in_contexts(child, codes[rows[:NUM_CONTEXTS]], made.spec)
        assert (np.repeat(codes[rows[:NUM_CONTEXTS], :2][None], 3, 0).reshape(-1, 2) == put[:, :2]).all()  # parents stay

    def test_a_childs_effect_is_among_architectures_where_it_is_there(self) -> None:
        made = conditional_space()
        predictor = random_predictor(made)
        scorer = AutoBuildScorer(predictor)
        child = made.unit_modules(2)[0]
        frame = scorer.score([child])[0]
        codes, weights = scorer.population.codes, scorer.population.weights
        there = active_rows(codes, child, made.spec)
        assert there.sum() < len(codes)
        usual = np.average(scorer.member_targets.mean(0)[there], weights=weights[there])
        assert frame["effect"].to_numpy() == pytest.approx(frame["score"].to_numpy() - usual)
        shares = [weights[there & (codes[:, 2] == t)].sum() for t in child.codes[:, 0]]
        assert np.average(frame["effect"], weights=shares) == pytest.approx(0, abs=1e-9)

    def test_a_product_in_which_everything_breaks_a_rule_is_empty(self) -> None:
        made = forbidden_space()
        rows = [(2, "act", "act=relu"), (3, "width", "width=64"), (0, "optimizer", "optimizer=adam")]
        frame = pd.DataFrame(rows, columns=["unit_index", "unit", "token"])
        modules = frame.assign(
            positions=[f'["{unit}"]' for unit in frame["unit"]],
            layers=[f'["{token}"]' for token in frame["token"]],
            whole_unit=True,
            score=0.0,
            good=0.0,
            effect=0.0,
        )
        assert len(product_codes(modules, made.spec, 1, Lens.GOOD, False)) == 0

    def test_the_wrong_group_is_repaired_by_its_own_other_contexts(self) -> None:
        made = forbidden_space()
        group = ModuleGroup((2, 3), np.array([[5, 7]], np.int16))  # gelu with width 16: only beside a momentum
        contexts = made.sample(30, np.random.default_rng(1))
        assert made.valid(in_contexts(group, contexts, made.spec)).all()


def test_the_limit_of_a_product_is_not_spent_on_what_is_not_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "PRODUCT_LIMIT", 6)
    made = forbidden_space()
    predictor = random_predictor(made)
    modules = score_modules(AutoBuildScorer(predictor), unit_groups(made), table_of(made, predictor))
    product = product_codes(modules, made.spec, 9, Lens.GOOD, False)
    assert len(product) == 6 and made.valid(product).all()
