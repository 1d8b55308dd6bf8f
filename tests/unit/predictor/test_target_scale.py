"""The scale of the target: what the architectures explain best decides between ranks and the target itself."""

import numpy as np
import pytest
from scipy.special import ndtri

from autobuild_core.predictor.gaussian_process import standard_columns
from autobuild_core.predictor.target_scale import SHARES, ranked_share, slopes_of
from autobuild_core.spaces import space_named
from autobuild_core.targets.scaling import NormalScores, normal_scores, standardised
from tests.learning import macro_truth, random_ensemble

MACRO = space_named("nas_bench_macro")


def share_of(targets: np.ndarray, codes: np.ndarray) -> float:
    """The chosen share of ranks of one task."""
    columns, relevances = standard_columns(random_ensemble(MACRO.spec, members=1), codes, None, ())[:2]
    rows = [np.arange(len(codes))]
    return ranked_share(columns, relevances, [targets], rows, np.ones(len(codes)), seed=0)


@pytest.fixture(scope="module")
def log() -> np.ndarray:
    """Architectures as a search leaves them: most of the best fifth of the space, some of anywhere."""
    rng = np.random.default_rng(0)
    codes = MACRO.canonical(MACRO.sample(600, rng))
    best = codes[np.argsort(-macro_truth(codes))[:120]]
    return np.unique(np.concatenate([best[rng.permutation(120)[:60]], codes[rng.permutation(600)[:20]]]), axis=0)


def test_a_search_log_keeps_its_distances(log: np.ndarray) -> None:
    truth = macro_truth(log) + np.random.default_rng(1).normal(0, 0.02, len(log))
    assert share_of(truth, log) < 0.5


def test_a_heavy_tail_is_ranked(log: np.ndarray) -> None:
    assert share_of(np.exp(8 * standardised(macro_truth(log))), log) > 0.85


def test_of_two_tasks_each_has_its_own_scale(log: np.ndarray) -> None:
    columns, relevances = standard_columns(random_ensemble(MACRO.spec, members=1), log, None, ())[:2]
    truth, half = macro_truth(log), len(log) // 2
    rows = [np.arange(half), np.arange(half, len(log))]
    targets = [truth[:half], 1000 * truth[half:] - 5]
    same = [truth[:half], truth[half:]]
    found = [ranked_share(columns, relevances, some, rows, np.ones(len(log)), seed=0) for some in (targets, same)]
    assert found[0] == pytest.approx(found[1], abs=1e-3) and min(SHARES) <= found[0] <= 1


def test_slopes_of_a_known_map() -> None:
    target = np.random.default_rng(2).random(2000)
    slopes = slopes_of(target, ndtri(target.clip(1e-4, 1 - 1e-4)))
    inside = (target > 0.1) & (target < 0.9)
    density = np.exp(-0.5 * ndtri(target) ** 2) / np.sqrt(2 * np.pi)
    assert np.median(slopes[inside] * density[inside]) == pytest.approx(1, abs=0.05)
    assert slopes_of(np.zeros(9), np.zeros(9)).min() > 0  # of ties, too


def test_a_scale_between_is_a_scale() -> None:
    target = np.exp(np.random.default_rng(3).normal(size=60))
    for ranked in (0.25, 0.6, 1.0):
        scaling = NormalScores.fit(target, True, ranked=ranked)
        scores = scaling.to_scores(target)
        mixed = ranked * normal_scores(-target) + (1 - ranked) * standardised(-target)
        assert scores == pytest.approx(mixed / mixed.std()) and scaling.to_target(scores) == pytest.approx(target)
        assert NormalScores.from_dict(scaling.to_dict()).ranked == ranked
    old = {name: value for name, value in scaling.to_dict().items() if name != "ranked"}
    assert NormalScores.from_dict(old).ranked == 1  # models written before there was a share
