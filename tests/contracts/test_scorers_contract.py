"""What every scorer must do; a new file in scorers/ is tested by itself."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from autobuild_core import registry
from autobuild_core.api import train
from autobuild_core.architectures.module_table import SCORE_COLUMNS
from autobuild_core.architectures.records import ArchTable
from autobuild_core.cli import main
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.scorers import Scorer, make_scorer, score_modules, unit_groups
from autobuild_core.scorers.cost import cost_metric
from autobuild_core.scorers.forest import path_features, token_sets
from autobuild_core.scorers.mean import shrunk_means
from autobuild_core.scorers.ridge import PENALTIES, fit_ridge
from autobuild_core.scoring.population import Population, exact_means
from autobuild_core.spaces import Space, space_named
from autobuild_core.targets.scaling import NormalScores
from tests.learning import chain_space, flat_space, macro_data, random_predictor

SPACES = {"macro": space_named("nas_bench_macro"), "ofa": space_named("ofa_mbv3"), "flat": flat_space(), "chain": chain_space()}
SPACES |= {"cell": space_named("nas_bench_201")}


@cache
def predictor_of(space: str) -> Predictor:
    """An ensemble with random weights whose scale is that of the data."""
    random = random_predictor(SPACES[space], members=2)
    scaling = NormalScores.fit(table_of(space).metrics["acc"].to_numpy(), False)
    return Predictor(random.network, random.spec, scaling, random.calibration, "acc", False)


@cache
def table_of(space: str) -> ArchTable:
    """120 architectures with an additive target, which the scorers that learn from data see, and its cost."""
    made, rng = SPACES[space], np.random.default_rng(0)
    codes = made.sample(120, rng)
    truth = additive_truth(space, codes)
    metrics = pd.DataFrame({"acc": truth + rng.normal(0, 0.02 * truth.std(), 120), "flops": truth**2 + 5})
    return ArchTable(made.spec, codes, made.hash_networks(codes), metrics, np.arange(120), "csv_table", 120)


def additive_truth(space: str, codes: np.ndarray) -> np.ndarray:
    """Every layer adds its own number, more at later positions; equal for equal networks."""
    canonical = SPACES[space].canonical(codes)
    worth = np.append(np.random.default_rng(1).permutation(len(SPACES[space].spec.tokens)) + 1.0, 0.0)  # absent: 0
    worth[0] = 0 if space == "macro" else worth[0]  # an identity is no operation
    return worth[canonical] @ np.linspace(1, 2, canonical.shape[1])


def scorer_of(name: str, space: str) -> Scorer:
    return make_scorer(name, predictor_of(space), table=table_of(space))


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=registry.names("scorers"))
def scorer(request: pytest.FixtureRequest, space: str) -> Scorer:
    made = scorer_of(request.param, space)
    reason = made.supports(predictor_of(space))
    assert not reason or reason.strip()
    if reason:
        pytest.skip(f"{request.param}: {reason}")
    return made


def some_groups(space: Space) -> list:
    return [space.windows(1)[0], space.windows(1)[-1], space.windows(2)[0], space.unit_modules(0)[0], space.unit_modules(1)[-1]]


def test_one_finite_row_a_module_with_the_columns(scorer: Scorer, space: str) -> None:
    groups = some_groups(SPACES[space])
    groups = [g for g in groups if len(g) <= 81]
    shares: list[float] = []
    frames = scorer.score(groups, shares.append)
    assert [len(f) for f in frames] == [len(g) for g in groups]
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


def test_the_same_again(scorer: Scorer, space: str) -> None:
    groups = [SPACES[space].windows(1)[0]]
    again = scorer_of(scorer.__module__.rpartition(".")[2], space)
    assert again.score(groups)[0].equals(scorer.score(groups)[0])


NEW = '''
"""Counts the last tokens of a module."""

import numpy as np
import pandas as pd

from autobuild_core.architectures.module_table import SCORE_COLUMNS
from autobuild_core.scorers import Scorer


class Last(Scorer):
    title = "Last token"
    explained = "the number of a module's last token"

    def __init__(self, predictor, cost=None, table=None):
        self.predictor = predictor

    def supports(self, predictor):
        return None

    def score(self, groups, report=lambda share: None):
        report(1.0)
        last = [group.codes[:, -1].astype(float) for group in groups]
        return [pd.DataFrame({"score": one, "effect": one - 1}).reindex(columns=list(SCORE_COLUMNS)) for one in last]
'''


def test_a_new_one_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of a user's own: the contract holds, a training stands it beside the others, the command line scores by it."""
    (tmp_path / "own" / "scorers").mkdir(parents=True)
    (tmp_path / "own" / "scorers" / "last.py").write_text(NEW)
    monkeypatch.setenv(registry.EXTENSIONS, str(tmp_path / "own"))
    assert "last" in registry.names("scorers")
    made = scorer_of("last", "macro")
    test_one_finite_row_a_module_with_the_columns(made, "macro")
    test_the_same_again(made, "macro")
    test_it_has_a_title()
    run = train(macro_data(40), "acc", tmp_path / "run", num_members=2, num_steps=4, max_length=1, threads=1)
    assert ("last", "Last token", None) in [(line.scorer, line.title, line.why_not) for line in run.trust.scorers]
    table = run.folder.read_frame("scorers.parquet")
    assert (table.loc[table["scorer"] == "last"].groupby("unit_index").size() == [9, 27, 27]).all()
    assert main(["score", str(tmp_path / "run"), "--units", "--scorer", "last", "--out", str(tmp_path / "last.csv")]) == 0
    assert pd.read_csv(tmp_path / "last.csv")["score"].tolist()[0] == 2


def test_it_has_a_title() -> None:
    titles = [registry.load("scorers", name, Scorer).title for name in registry.names("scorers")]  # type: ignore[type-abstract]
    assert all(titles) and len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", registry.names("scorers"))
def test_its_frame_joins_the_evidence(name: str) -> None:
    predictor = predictor_of("macro")
    frame = score_modules(scorer_of(name, "macro"), unit_groups(predictor.space), macro_data(30))
    assert len(frame) == 63 and frame["score"].notna().all() and frame["num_evaluated"].sum() == 90


@pytest.mark.parametrize("name", [name for name in registry.names("scorers") if name != "autobuild"])
def test_without_data_it_says_why_it_does_not_apply(name: str) -> None:
    reason = make_scorer(name, predictor_of("macro")).supports(predictor_of("macro"))
    assert reason is not None and "evaluated architectures" in reason


# Spearman's correlation with the true averages of an additive target, over a unit's modules, from 120 architectures.
FIDELITY = {"ridge": 0.97, "forest": 0.9, "mean": 0.5, "cost": 0.9}
WEAKEST = 0.3  # of a scorer that has no line there


@pytest.mark.parametrize("space", ["macro", "flat", "chain"])
@pytest.mark.parametrize("name", [name for name in registry.names("scorers") if name not in ("autobuild", "norms")])
def test_an_additive_truth_is_found(name: str, space: str) -> None:
    made = SPACES[space]
    population = Population.of(made, np.random.default_rng(0))
    assert population.exact
    groups = [group for group in unit_groups(made) if len(group) >= 4]
    frames = scorer_of(name, space).score(groups)
    found = []
    for group, frame in zip(groups, frames, strict=True):
        truth = exact_means(additive_truth(space, population.codes)[None], population, group, made.spec)[0]
        found.append(spearmanr(frame["score"], truth).statistic)
    assert np.mean(found) > FIDELITY.get(name, WEAKEST), found


def test_the_mean_of_what_was_seen_is_shrunk_by_hand() -> None:
    # Two modules seen 4 times each at 1 and 3, one never: between = 1 - 2 / 4 = 0.5; each keeps 0.5 * 4 / (0.5 * 4 + 2) = 1/2.
    level, spread = shrunk_means(np.array([1.0, 3.0, 99.0]), np.array([4.0, 4.0, 0.0]), within=2.0, centre=2.0)
    assert level == pytest.approx([1.5, 2.5, 2.0])
    assert spread == pytest.approx(np.sqrt([0.25, 0.25, 0.5]))


@pytest.mark.parametrize("width", [4, 40])
def test_ridge_leaves_one_out_in_closed_form(width: int) -> None:
    rng = np.random.default_rng(0)
    features, target = rng.normal(size=(15, width)), rng.normal(size=15)
    weights, intercept = fit_ridge(features, target)
    squares = np.linalg.svd(features - features.mean(0), compute_uv=False) ** 2
    scale = float(squares[squares > 1e-9].mean())

    def fitted(x: np.ndarray, y: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
        centred = x - x.mean(0)
        w = np.linalg.solve(centred.T @ centred + penalty * np.eye(width), centred.T @ (y - y.mean()))
        return w, float(y.mean() - x.mean(0) @ w)

    def left_out(penalty: float) -> float:
        # The mean is part of the hat matrix, and centring is redone without the row: the closed form holds for this very fit.
        x1 = np.column_stack([np.ones(15), features])
        hat = x1 @ np.linalg.solve(x1.T @ x1 + np.diag([0, *[penalty] * width]), x1.T)
        return float((((target - hat @ target) / (1 - np.diag(hat))) ** 2).mean())

    best = min(PENALTIES * scale, key=left_out)
    expected = fitted(features, target, best)
    assert weights == pytest.approx(expected[0]) and intercept == pytest.approx(expected[1])


def test_ridge_of_more_features_than_rows_takes_the_time_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 20_000))  # a decomposition of 20,000 x 20,000 would take an hour and 3 GB
    weights, intercept = fit_ridge(features, features[:, 0])
    assert spearmanr(features @ weights + intercept, features[:, 0]).statistic > 0.9


def test_paths_of_a_cell_by_hand() -> None:
    edges = [(0, 1), (0, 2), (1, 2)]
    features = path_features(np.array([[1, 0, 1], [0, 1, 0]], np.int16), edges, 2)
    sets = token_sets(2)
    assert sets == [(0,), (1,), (0, 1)]
    # A set has: shortest, longest, node 0, 1, 2 reached. Token 1 alone: 0>1>2 in the first cell, 0>2 in the second.
    assert features[0, 5:10].tolist() == [2, 2, 1, 1, 1]
    assert features[1, 5:10].tolist() == [1, 1, 1, 0, 1]
    assert features[0, :5].tolist() == [1, 1, 1, 0, 1]  # token 0: the edge 0>2
    assert features[0, 10:].tolist() == [1, 2, 1, 1, 1]


def test_the_cost_of_the_target_itself_is_no_cost() -> None:
    table = table_of("macro")
    assert cost_metric(table, "acc") == "flops"
    assert cost_metric(table, "acc / flops") is None
