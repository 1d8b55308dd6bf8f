"""Bootstraps: refits are the direct solutions, twins are drawn together, and a clear best stays where a tie does not."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import solve

from autobuild_core.architectures.records import Codes
from autobuild_core.predictor.ensemble import Calibration, Predictor
from autobuild_core.predictor.gaussian_process import fit_gaussian_process
from autobuild_core.scoring.bootstrap import Bootstraps, bootstrap_counts, refit_readouts
from autobuild_core.spaces import space_named
from autobuild_core.targets.scaling import NormalScores
from tests.learning import gaussian_ensemble, random_member

MACRO = space_named("nas_bench_macro")


def test_twins_are_drawn_together_and_every_sample_has_as_many_networks() -> None:
    networks = np.array([7, 7, 3, 5, 3, 7], np.uint64)
    counts = bootstrap_counts(networks, 50, np.random.default_rng(0))
    assert counts.shape == (6, 50)
    assert (counts[0] == counts[1]).all() and (counts[0] == counts[5]).all() and (counts[2] == counts[4]).all()
    assert (counts[[0, 2, 3]].sum(0) == 3).all()
    assert len(np.unique(counts.T, axis=0)) > 5


@pytest.mark.parametrize("shape", [(40, 90), (300, 20)])
def test_refits_are_the_direct_solutions_of_the_weighted_samples(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    scale = np.geomspace(3, 0.1, shape[1])
    features, noise = rng.normal(size=shape) * scale / np.linalg.norm(scale), 0.03  # rows of about unit length, as kernels have
    scores = features @ rng.normal(size=shape[1]) + rng.normal(0, noise**0.5, shape[0])
    counts = rng.multinomial(shape[0], np.full(shape[0], 1 / shape[0]), 12).T
    found = features @ refit_readouts(features, scores, counts, noise)
    direct = [
        features @ solve(features.T @ (w[:, None] * features) + noise * np.eye(shape[1]), features.T @ (w * scores))
        for w in counts.T
    ]
    error = np.sqrt(np.mean((found - np.transpose(direct)) ** 2))
    assert error < 0.1 * np.sqrt(np.var(direct, axis=0).mean())


def gaussian_predictor(codes: Codes, scores: NDArray[np.float64]) -> Predictor:
    """An ensemble on NAS-Bench-Macro that predicts by its solved half alone."""
    random = random_member(MACRO)
    network = gaussian_ensemble(random, fit_gaussian_process(random, codes, scores, np.arange(len(codes)) % 3, 3, 0), 3)
    return Predictor(network, MACRO.spec, NormalScores.fit(scores, False), Calibration(0.1, 0.1), "acc", False)


class TestBootstraps:
    def learned(self, num: int, noise: float) -> tuple[Predictor, Codes, NDArray[np.float64]]:
        """Learned from a truth in which layer 2 at position 0 is the best and position 1 has no say."""
        rng = np.random.default_rng(4)
        codes = MACRO.canonical(MACRO.sample(num, rng))
        truth = np.array([0.0, 0.1, 1.0])[codes[:, 0]]
        scores = (truth - truth.mean()) / truth.std() + rng.normal(0, noise, num)
        return gaussian_predictor(codes, scores), codes, scores

    def shares(self, position: int, noise: float) -> NDArray[np.float64]:
        predictor, codes, scores = self.learned(120, noise)
        bootstraps = Bootstraps.draw(predictor, codes, scores, MACRO.hash_networks(codes), num=60)
        contexts = np.repeat(MACRO.sample(30, np.random.default_rng(5)), 3, axis=0)
        contexts[:, position] = np.tile(np.arange(3), 30)
        targets = predictor.expected(predictor.member_scores(contexts).mean(0)) + bootstraps.target_moves(contexts)
        means = targets.reshape(60, 30, 3).mean(1)
        return np.bincount(means.argmax(1), minlength=3) / 60

    def test_a_clear_best_stays_in_every_sample_and_one_by_chance_does_not(self) -> None:
        assert self.shares(0, noise=0.1)[2] == 1.0
        assert self.shares(1, noise=1.5).max() < 0.95

    def test_moves_are_around_the_ensembles_own_predictions(self) -> None:
        predictor, codes, scores = self.learned(60, 0.3)
        bootstraps = Bootstraps.draw(predictor, codes, scores, MACRO.hash_networks(codes), num=20)
        moves = bootstraps.target_moves(codes)
        assert moves.shape == (20, 60) and 0.01 < moves.std() < 1
        assert np.abs(moves.mean(0)).mean() < 0.4 * moves.std()  # centred before the targets bend them
        still = Bootstraps(predictor, np.zeros_like(bootstraps.moves))
        assert (still.target_moves(codes) == 0).all()

    def test_what_was_seldom_seen_moves_more(self) -> None:
        """Layer 2 at position 0 is left in two of all."""
        _, codes, scores = self.learned(150, 0.3)
        rare = np.flatnonzero(codes[:, 0] == 2)
        kept = np.setdiff1d(np.arange(len(codes)), rare[2:])
        codes, scores = codes[kept], scores[kept]
        bootstraps = Bootstraps.draw(gaussian_predictor(codes, scores), codes, scores, MACRO.hash_networks(codes), num=60)
        contexts = np.repeat(MACRO.sample(30, np.random.default_rng(5)), 3, axis=0)
        contexts[:, 0] = np.tile(np.arange(3), 30)
        seldom = bootstraps.target_moves(contexts).reshape(60, 30, 3).mean(1).std(0)
        assert seldom[2] > 1.5 * max(seldom[0], seldom[1])
