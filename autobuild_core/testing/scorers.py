"""Checks that every scorer must pass."""

import numpy as np
import pytest
from numpy.typing import NDArray

from autobuild_core import registry
from autobuild_core.architectures.module_table import SCORE_COLUMNS
from autobuild_core.architectures.records import ArchTable
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import Scorer, make_scorer, score_modules, unit_groups
from autobuild_core.scoring.population import Population, exact_means
from autobuild_core.spaces import space_named
from autobuild_core.targets.scaling import NormalScores
from autobuild_core.testing.examples import additive_truth, chain_space, flat_space, random_predictor, table_of

NUM_ROWS = 120
SPACES = {
    "macro": space_named("nas_bench_macro"),
    "ofa": space_named("ofa_mbv3"),
    "cell": space_named("nas_bench_201"),
    "chain": chain_space(),
    "flat": flat_space(),
}
_tables = {name: table_of(space, NUM_ROWS) for name, space in SPACES.items()}
_predictors: dict[str, Predictor] = {}
SMALL = 81  # modules of a group that is scored here


def predictor_of(space: str) -> Predictor:
    """An ensemble with random weights whose scale is that of the data."""
    if space not in _predictors:
        random = random_predictor(SPACES[space], members=2)
        scaling = NormalScores.fit(_tables[space].metrics["acc"].to_numpy(), False)
        _predictors[space] = Predictor(random.ensemble, random.spec, scaling, random.calibration, "acc", False)
    return _predictors[space]


def scorer_of(name: str, space: str) -> Scorer:
    """A scorer of the run of a space, with its table."""
    return make_scorer(name, predictor_of(space), table=_tables[space])


class ScorerSuite:
    """Checks of a scorer, found by its name, on five spaces; a space that it says it does not do is skipped with its reason.

    Derive a class and say which scorer:

        class TestMine(ScorerSuite):
            @pytest.fixture
            def name(self) -> str:
                return "mine"
    """

    @pytest.fixture
    def name(self) -> str:
        """Name of the scorer."""
        raise NotImplementedError

    @pytest.fixture(params=SPACES)
    def space(self, request: pytest.FixtureRequest) -> str:
        """One of SPACES."""
        return str(request.param)

    @pytest.fixture
    def scorer(self, name: str, space: str) -> Scorer:
        """The scorer of the space's run."""
        made = scorer_of(name, space)
        reason = made.supports(predictor_of(space))
        assert reason is None or reason.strip()
        if reason:
            pytest.skip(f"{name}: {reason}")
        return made

    def test_one_finite_row_a_module_with_the_columns(self, scorer: Scorer, space: str) -> None:
        made = SPACES[space]
        groups = [*made.windows(1)[:: len(made.windows(1)) - 1], *made.windows(2)[:1], *made.unit_modules(0)[:1]]
        groups = [group for group in (*groups, made.unit_modules(1)[-1]) if len(group) <= SMALL]
        shares: list[float] = []
        frames = scorer.score(groups, shares.append)
        assert [len(frame) for frame in frames] == [len(group) for group in groups]
        assert shares == sorted(shares) and shares[-1] == pytest.approx(1)
        for frame in frames:
            assert list(frame.columns) == list(SCORE_COLUMNS)
            assert np.isfinite(frame[["score", "effect"]].to_numpy(float)).all()
            for lens in ("score", "effect", "good"):
                low, high = frame[f"{lens}_low"], frame[f"{lens}_high"]
                within = ((low <= frame[lens] + 1e-9) & (frame[lens] <= high + 1e-9)).all()
                assert within or (low.isna() & high.isna()).all()  # a scorer that cannot tell says so for all modules
            good = frame[["good", "good_low", "good_high"]].to_numpy()
            assert np.isnan(good).all(0).any() or (good.min() >= 0 and good.max() <= 1)
            differences = frame["score"] - frame["effect"]
            assert differences.to_numpy() == pytest.approx(differences.iloc[0], rel=1e-6)  # one average of the space

    def test_the_same_again(self, scorer: Scorer, name: str, space: str) -> None:
        groups = [SPACES[space].windows(1)[0]]
        assert scorer_of(name, space).score(groups)[0].equals(scorer.score(groups)[0])

    def test_it_has_a_title_of_its_own(self, name: str) -> None:
        every = [registry.load("scorers", one, Scorer).title for one in registry.names("scorers")]  # type: ignore[type-abstract]
        own = registry.load("scorers", name, Scorer).title  # type: ignore[type-abstract]
        assert own.strip() and every.count(own) == 1

    def test_its_frame_joins_the_evidence(self, name: str) -> None:
        frame = score_modules(scorer_of(name, "macro"), unit_groups(SPACES["macro"]), table_of(SPACES["macro"], 30))
        assert len(frame) == 63 and frame["score"].notna().all() and frame["num_evaluated"].sum() == 90


class FromDataSuite:
    """Checks of a scorer that learns from evaluated architectures, beside those of `ScorerSuite`.

    `fidelity`: Spearman's correlation that it reaches, on average over units, with the true averages of an additive target.
    """

    @pytest.fixture
    def name(self) -> str:
        """Name of the scorer."""
        raise NotImplementedError

    @pytest.fixture
    def fidelity(self) -> float:
        """The least fidelity that the scorer reaches."""
        return 0.3

    def test_without_data_it_says_why_it_does_not_apply(self, name: str) -> None:
        made: ArchTable | None = None
        reason = make_scorer(name, predictor_of("macro"), table=made).supports(predictor_of("macro"))
        assert reason is not None and "evaluated architectures" in reason

    @pytest.mark.parametrize("space", ["macro", "flat", "chain"])
    def test_an_additive_truth_is_found(self, name: str, space: str, fidelity: float) -> None:
        made = SPACES[space]
        population = Population.of(made, np.random.default_rng(0))
        assert population.exact
        groups = [group for group in unit_groups(made) if len(group) >= 4]
        found = []
        for group, frame in zip(groups, scorer_of(name, space).score(groups), strict=True):
            truth = exact_means(additive_truth(made, population.codes)[None], population, group, made.spec)[0]
            found.append(spearman(frame["score"].to_numpy(float), truth))
        assert np.mean(found) > fidelity, found


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rank correlation."""
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)
