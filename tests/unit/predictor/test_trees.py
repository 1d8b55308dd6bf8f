"""Trees: in numpy as in sklearn, no member learns from its fold, and their part is as large as they are good."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesRegressor

from autobuild_core.jobs.kinds.train.pipeline import _trees
from autobuild_core.predictor.forward import Ensemble
from autobuild_core.predictor.gaussian_process import fit_gaussian_process
from autobuild_core.predictor.tree_growing import NUM_TREES, SHARE_OF_FEATURES, grow_trees, tree_share
from autobuild_core.predictor.trees import TREES, Trees
from autobuild_core.spaces import space_named
from tests.learning import gaussian_ensemble, random_ensemble

RNG = np.random.default_rng(0)
COLUMNS = RNG.integers(0, 3, (60, 7)).astype(np.float32)
SCORES = (COLUMNS[:, 0] == 2) * (COLUMNS[:, 1] > 0) * 2.0 + 0.1 * RNG.normal(size=60)
FOLD, ONES = np.arange(60) % 3, np.ones(60)


def test_predictions_are_those_of_sklearn() -> None:
    found = Trees(grow_trees(COLUMNS, SCORES, FOLD, 3, ONES)).predict(COLUMNS)
    assert found.shape == (3, 60)
    for member in range(3):
        seen = member != FOLD
        forest = ExtraTreesRegressor(NUM_TREES, max_features=SHARE_OF_FEATURES, random_state=0).fit(COLUMNS[seen], SCORES[seen])
        assert found[member] == pytest.approx(forest.predict(COLUMNS), abs=1e-5)


def test_no_member_learns_from_its_fold() -> None:
    moved = SCORES + 5.0 * (FOLD == 1)
    before, after = (Trees(grow_trees(COLUMNS, s, FOLD, 3, ONES)).predict(COLUMNS) for s in (SCORES, moved))
    assert np.array_equal(before[1], after[1]) and not np.array_equal(before[0], after[0])


def test_a_mean_over_many_seeds_counts_for_more() -> None:
    columns, scores = np.zeros((30, 1), np.float32), np.arange(30.0)
    weights = np.where(scores == 29, 1000.0, 1.0)
    found = Trees(grow_trees(columns, scores, np.zeros(30, int) - 1, 1, weights)).predict(columns)
    assert found[0, 0] == pytest.approx(np.average(scores, weights=weights), abs=1e-4)


def test_their_share_is_what_held_out_networks_say() -> None:
    noise = RNG.normal(size=60)
    assert tree_share(SCORES, noise, SCORES) == 1 and tree_share(noise, SCORES, SCORES) == 0
    half = tree_share(SCORES + noise, SCORES - noise, SCORES)
    assert half == pytest.approx(0.5)


def test_they_join_the_ensemble_where_the_truth_is_steps_and_stay_away_where_it_is_a_sum() -> None:
    space, rng = space_named("nas_bench_macro"), np.random.default_rng(3)
    codes = np.unique(space.canonical(space.sample(160, rng)), axis=0)
    fold, random = np.arange(len(codes)) % 3, random_ensemble(space.spec, members=1)
    steps = ((codes == 2).sum(1) >= 4) + 2.0 * ((codes == 0).sum(1) >= 3)
    for truth, helps in ((steps, True), (codes @ np.linspace(0.2, 0.5, 8), False)):
        scores = (truth - truth.mean()) / truth.std() + 0.05 * rng.normal(size=len(codes))
        solved = fit_gaussian_process(random, codes, scores, fold, 3, 0)
        without = gaussian_ensemble(random, solved, 3)
        grown = _trees(codes, scores, fold, without, None)
        assert bool(grown) == helps
        both = Ensemble(without.weights | grown, without.codebook, without.num_hops)
        share = grown.get(TREES + "share", np.zeros(()))
        columns = without.told(codes, without.structure(codes))
        own = Trees(grown).predict(columns) if helps else np.zeros((3, len(codes)))
        assert both.predict(codes).scores == pytest.approx((1 - share) * without.predict(codes).scores + share * own, abs=1e-5)
