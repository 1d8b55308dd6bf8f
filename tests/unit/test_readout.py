"""The solved half: evidence, the Gaussian process that it is, and that a member never sees its fold."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from autobuild_core import readout
from autobuild_core.graphs import make_graphs
from autobuild_core.network import SOLVED, Network
from autobuild_core.readout import (
    BIAS_VARIANCE,
    LOG_NOISE,
    PRIOR_NOISE,
    PRIOR_SPREAD,
    PRIOR_WEIGHT,
    kernel_weights,
    share_of_solved,
    solve_readout,
)
from autobuild_core.spaces import space_named
from tests.learning import flat_space, random_member, solved_network

SPACES = {"macro": space_named("nas_bench_macro"), "flat": flat_space(3), "cell": space_named("nas_bench_201")}
WEIGHTS = np.array([0.7, 0.2, 0.1, 0.3, 0.05, 0.2, 0.4, 0.6, 0.15])  # eight groups of features and the noise


def features_of(random: Network, codes: np.ndarray) -> list[NDArray[np.float64]]:
    parts = random.features(codes, make_graphs(codes, random.codebook.spec), random.structure(codes))
    return [part.astype(float) for part in parts]


def kernels_and_scores(num: int, noise: float, seed: int) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Two kernels of unit scale, and a draw from the Gaussian process that weighs them 0.8 and 0.3."""
    rng = np.random.default_rng(seed)
    features = [rng.normal(size=(num, dim)) / dim**0.5 for dim in (12, 40)]
    signal = sum(w**0.5 * f @ rng.normal(size=f.shape[1]) for w, f in zip((0.8, 0.3), features, strict=True))
    return [f @ f.T for f in features], signal + rng.normal(0, noise**0.5, num)


class TestEvidence:
    def asked(self, kernels: list[Any], scores: Any, patch: pytest.MonkeyPatch) -> Any:
        """The function that is minimised: logarithms -> (value, gradient)."""
        heard, real = [], readout.minimize

        def listen(function: Any, *arguments: Any, **options: Any) -> Any:
            heard.append(function)
            return real(function, *arguments, **options)

        patch.setattr(readout, "minimize", listen)
        kernel_weights(kernels, scores)
        return heard[0]

    def test_the_gradient_is_that_of_finite_differences(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kernels, scores = kernels_and_scores(25, 0.1, 0)
        loss, rng = self.asked(kernels, scores, monkeypatch), np.random.default_rng(1)
        for logs in (np.array([PRIOR_WEIGHT, PRIOR_WEIGHT, PRIOR_NOISE]), *rng.normal(-1, 1.5, (5, 3))):
            numeric = approx_fprime(logs, lambda x: loss(x)[0], 1e-6)
            assert loss(logs)[1] == pytest.approx(numeric, rel=1e-4, abs=1e-4)

    def test_it_is_the_evidence_with_a_log_normal_prior(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kernels, scores = kernels_and_scores(25, 0.1, 0)
        loss = self.asked(kernels, scores, monkeypatch)
        prior = np.array([PRIOR_WEIGHT, PRIOR_WEIGHT, PRIOR_NOISE])

        def by_hand(logs: Any) -> float:
            w = np.exp(logs)
            covariance = w[0] * kernels[0] + w[1] * kernels[1] + w[2] * np.eye(25) + BIAS_VARIANCE
            evidence = multivariate_normal(np.zeros(25), covariance).logpdf(scores)
            return float(-evidence + 0.5 * (((logs - prior) / PRIOR_SPREAD) ** 2).sum())

        points = np.random.default_rng(2).normal(-1, 1, (4, 3))
        differences = [loss(logs)[0] - by_hand(logs) for logs in points]
        assert differences == pytest.approx([-25 / 2 * np.log(2 * np.pi)] * 4)  # a constant is left out

    @pytest.mark.parametrize("noise", [0.02, 0.1, 0.5])
    def test_a_planted_noise_level_is_found(self, noise: float) -> None:
        found = [kernel_weights(*kernels_and_scores(250, noise, seed))[-1] for seed in range(3)]
        assert np.exp(np.mean(np.log(found))) == pytest.approx(noise, rel=0.2)

    def test_a_kernel_that_says_nothing_gets_little_weight(self) -> None:
        kernels, scores = kernels_and_scores(250, 0.05, 3)
        idle = np.random.default_rng(4).normal(size=(250, 20)) / 20**0.5
        first, second, nothing, _ = kernel_weights([*kernels, idle @ idle.T], scores)
        assert nothing < 0.05 * min(first, second)

    def test_a_target_without_noise_among_twins_leaves_the_kernel_invertible(self) -> None:
        features = np.repeat(np.random.default_rng(5).normal(size=(30, 3)), 4, axis=0)  # four of each, all equal
        weights = kernel_weights([features @ features.T / 3], features[:, 0])
        assert np.isfinite(weights).all() and weights[-1] >= np.exp(LOG_NOISE[0]) * (1 - 1e-9)


@pytest.mark.parametrize("name", SPACES)
def test_predictions_are_the_posterior_mean_of_a_gaussian_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In weight space: a Bayesian linear regression on all features, with a prior variance a group, of seen rows only."""
    monkeypatch.setattr(readout, "kernel_weights", lambda kernels, scores: WEIGHTS)
    space, rng = SPACES[name], np.random.default_rng(0)
    random = random_member(space)
    codes, unseen = space.sample(40, rng), space.sample(25, rng)
    scores, fold = rng.normal(size=40), np.arange(40) % 3
    predicted = solved_network(random, solve_readout(random, codes, scores, fold, 3, 0), 3).predict(unseen).scores
    own, theirs = features_of(random, codes), features_of(random, unseen)
    assert len(own) == len(WEIGHTS) - 1
    for member in range(3):
        seen = fold != member
        columns, probes = [np.full((40, 1), BIAS_VARIANCE**0.5)], [np.full((25, 1), BIAS_VARIANCE**0.5)]
        for weight, f, g in zip(WEIGHTS, own, theirs, strict=False):
            centre = f.mean(0)
            size = ((f - centre) ** 2).sum(1).mean()
            columns.append((weight / size) ** 0.5 * (f - centre))
            probes.append((weight / size) ** 0.5 * (g - centre))
        design = np.concatenate(columns, 1)[seen]
        precision = design.T @ design / WEIGHTS[-1] + np.eye(design.shape[1])
        coefficients = np.linalg.solve(precision, design.T @ scores[seen]) / WEIGHTS[-1]
        assert predicted[member] == pytest.approx(np.concatenate(probes, 1) @ coefficients, abs=2e-4)


def test_the_two_ways_to_solve_give_the_same() -> None:
    """With fewer features than rows the normal equations are solved, else the kernel's: both are the ridge solution."""
    rng = np.random.default_rng(2)
    scores, fold, noise = rng.normal(size=60), np.arange(60) % 3, 0.3
    for dim in (20, 60, 61, 90):
        whole = rng.normal(size=(60, dim))
        found = readout._posterior_means(whole, scores, fold, 3, noise)
        for member in range(3):
            seen = whole[fold != member]
            by_hand = np.linalg.solve(seen.T @ seen + noise * np.eye(dim), seen.T @ scores[fold != member])
            assert found[:, member] == pytest.approx(by_hand, abs=1e-9)


def test_its_own_predictions_are_those_of_the_network_that_mixes_it() -> None:
    space, rng = SPACES["cell"], np.random.default_rng(0)
    random, codes = random_member(space), space.sample(50, rng)
    solved = solve_readout(random, codes, rng.normal(size=50), np.arange(50) % 3, 3, 0)
    probes = space.sample(300, rng)  # two chunks
    alone = readout.solved_scores(random, solved, probes)
    assert alone == pytest.approx(solved_network(random, solved, 3).predict(probes).scores, abs=1e-4)


class TestFolds:
    """What a member holds out must not reach it."""

    def solve(self, scores: Any, fold: Any, patch: pytest.MonkeyPatch) -> dict[str, Any]:
        patch.setattr(readout, "kernel_weights", lambda kernels, scores: WEIGHTS)  # the one number that all folds share
        space = SPACES["macro"]
        codes = space.sample(len(scores), np.random.default_rng(7))
        return solve_readout(random_member(space), codes, scores, fold, 3, 0)

    def test_a_members_readout_does_not_depend_on_its_folds_labels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rng, fold = np.random.default_rng(8), np.arange(60) % 3
        scores = rng.normal(size=60)
        changed = np.where(fold == 0, rng.normal(size=60), scores)
        first, other = (self.solve(s, fold, monkeypatch) for s in (scores, changed))
        for name in (SOLVED + "readout", SOLVED + "bias"):
            assert np.array_equal(first[name][..., 0], other[name][..., 0])
            assert not np.array_equal(first[name][..., 1], other[name][..., 1])

    def test_a_fold_of_labels_out_of_the_blue_is_not_predicted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rng, fold = np.random.default_rng(9), np.arange(90) % 3
        scores = np.where(fold == 0, 50.0, rng.normal(size=90))
        space = SPACES["macro"]
        network = solved_network(random_member(space), self.solve(scores, fold, monkeypatch), 3)
        predicted = network.predict(space.sample(90, np.random.default_rng(7))).scores
        assert np.abs(predicted[0, fold == 0]).max() < 5 < predicted[1:, fold == 0].min()


def test_the_same_seed_gives_the_same_readout_bitwise() -> None:
    space, rng = SPACES["flat"], np.random.default_rng(0)
    codes = space.sample(30, rng)
    scores, fold = rng.normal(size=30), np.arange(30) % 2
    first, again = (solve_readout(random_member(space), codes, scores, fold, 2, 5) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_random_labels_are_not_predicted() -> None:
    """Held-out predictions of permuted labels: no correlation but chance, in either direction, over ten permutations."""
    space, rng = SPACES["macro"], np.random.default_rng(0)
    random, codes, fold = random_member(space), space.sample(90, rng), np.arange(90) % 3
    codes = codes[np.unique(space.hash_networks(codes), return_index=True)[1]]
    fold, real = fold[: len(codes)], codes @ np.linspace(1, 2, 8)
    real = (real - real.mean()) / real.std()

    def held_out(scores: NDArray[np.float64]) -> float:
        predicted = solved_network(random, solve_readout(random, codes, scores, fold, 3, 0), 3).predict(codes).scores
        return float(np.corrcoef(predicted[fold, np.arange(len(codes))], scores)[0, 1])

    assert held_out(real) > 0.9
    permuted = [held_out(rng.permutation(real)) for _ in range(10)]
    assert abs(np.mean(permuted)) < 0.2 and np.max(permuted) < 0.4


class TestShare:
    truth = np.random.default_rng(0).normal(size=50)
    error = np.random.default_rng(1).normal(size=50)

    def test_the_only_good_half_gets_all_but_the_prior(self) -> None:
        assert share_of_solved(self.truth, self.error, self.truth) == pytest.approx(0.875)  # 0.75 * 1 + 0.25 / 2
        assert share_of_solved(self.error, self.truth, self.truth) == pytest.approx(0.125)

    def test_opposite_errors_cancel_at_one_half(self) -> None:
        assert share_of_solved(self.truth + self.error, self.truth - self.error, self.truth) == pytest.approx(0.5)

    def test_the_least_error_by_hand(self) -> None:
        """Errors +1 and -3 of the halves: share s leaves s - 3 (1 - s) = 4 s - 3, which is 0 at 0.75."""
        share = share_of_solved(self.truth + 1, self.truth - 3, self.truth)
        assert share == pytest.approx(0.75 * 0.75 + 0.125)
