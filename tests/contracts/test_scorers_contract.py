"""What every scorer must do; a new file in scorers/ is tested by itself."""

import inspect
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from autobuild_core import registry, scorers
from autobuild_core.api import train
from autobuild_core.cli import main
from autobuild_core.scorers.cost import cost_metric
from autobuild_core.scorers.forest import path_features, token_sets
from autobuild_core.scorers.mean import shrunk_means
from autobuild_core.scorers.ridge import PENALTIES, fit_ridge
from autobuild_core.spaces import space_named
from autobuild_core.testing.examples import table_of
from autobuild_core.testing.scorers import FromDataSuite, ScorerSuite, scorer_of
from tests.learning import macro_data

FIDELITY = {"ridge": 0.97, "forest": 0.9, "mean": 0.5, "cost": 0.9}  # a scorer without a line there keeps the suite's own


class TestScorers(ScorerSuite):
    @pytest.fixture(params=registry.names("scorers"))
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestFromData(FromDataSuite):
    @pytest.fixture(params=[name for name in registry.names("scorers") if name not in ("autobuild", "norms")])
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def fidelity(self, name: str) -> float:
        return FIDELITY.get(name, 0.3)


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
    own_scorer(tmp_path / "own", NEW, monkeypatch)
    assert "last" in registry.names("scorers")
    made = scorer_of("last", "macro")
    suite = ScorerSuite()
    suite.test_one_finite_row_a_module_with_the_columns(made, "macro")
    suite.test_the_same_again(made, "last", "macro")
    suite.test_it_has_a_title_of_its_own("last")
    run = train(macro_data(40), "acc", tmp_path / "run", num_members=2, num_steps=4, max_length=1, threads=1)
    assert ("last", "Last token", None) in [(line.scorer, line.title, line.why_not) for line in run.trust.scorers]
    table = run.folder.read_frame("scorers.parquet")
    assert (table.loc[table["scorer"] == "last"].groupby("unit_index").size() == [9, 27, 27]).all()
    assert main(["score", str(tmp_path / "run"), "--units", "--scorer", "last", "--out", str(tmp_path / "last.csv")]) == 0
    assert pd.read_csv(tmp_path / "last.csv")["score"].tolist()[0] == 2


FAULTS = [
    ("test_one_finite_row_a_module_with_the_columns", "one = one.iloc[1:]"),
    ("test_one_finite_row_a_module_with_the_columns", "one = one.drop(columns='good')"),
    ("test_one_finite_row_a_module_with_the_columns", "one['score'] = np.inf"),
    ("test_one_finite_row_a_module_with_the_columns", "one['score_low'] = one['score_high'] = one['score'] + 1"),
    ("test_one_finite_row_a_module_with_the_columns", "one['good'] = one['good_low'] = one['good_high'] = 2.0"),
    ("test_one_finite_row_a_module_with_the_columns", "one['effect'] = one['score'] * 2"),
    ("test_the_same_again", "one['score'] = np.random.default_rng().normal(size=len(one))"),
    ("test_its_frame_joins_the_evidence", "one['score'] = np.nan"),
]


def own_scorer(place: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a scorer in a folder of a user's own, gone with the test."""
    (place / "scorers").mkdir(parents=True)
    (place / "scorers" / "last.py").write_text(source)
    monkeypatch.setenv(registry.EXTENSIONS, str(place))
    monkeypatch.setattr(scorers, "__path__", [*scorers.__path__])
    monkeypatch.setitem(sys.modules, "autobuild_core.scorers.last", None)
    monkeypatch.delitem(sys.modules, "autobuild_core.scorers.last")
    return "last"


@pytest.mark.parametrize(("check", "fault"), FAULTS)
def test_the_suite_finds_a_planted_fault(check: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = NEW + f"        out = []\n        for one in frames:\n            {fault}\n            out.append(one)\n"
    name = own_scorer(tmp_path, source.replace("return [pd", "frames = [pd") + "        return out\n", monkeypatch)
    asked = {"scorer": scorer_of(name, "macro"), "name": name, "space": "macro"}
    wanted = inspect.signature(getattr(ScorerSuite, check)).parameters
    with pytest.raises(AssertionError):
        getattr(ScorerSuite(), check)(**{key: value for key, value in asked.items() if key in wanted})


@pytest.mark.parametrize("check", ["test_without_data_it_says_why_it_does_not_apply", "test_an_additive_truth_is_found"])
def test_the_suite_of_learning_finds_one_that_learns_nothing(check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = NEW.replace("group.codes[:, -1].astype(float)", "-group.codes.sum(1).astype(float)")
    asked = {"name": own_scorer(tmp_path, source, monkeypatch), "space": "chain", "fidelity": 0.3}
    wanted = inspect.signature(getattr(FromDataSuite, check)).parameters
    with pytest.raises(AssertionError):
        getattr(FromDataSuite(), check)(**{key: value for key, value in asked.items() if key in wanted})


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
    table = table_of(space_named("nas_bench_macro"), 120)
    assert cost_metric(table, "acc") == "flops"
    assert cost_metric(table, "acc / flops") is None
