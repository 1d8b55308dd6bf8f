"""The Gaussian process: evidence, the Gaussian process that it is, and that a member never sees its fold."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal, spearmanr

from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.predictor import gaussian_process
from autobuild_core.predictor.forward import GAUSSIAN, Ensemble, GaussianProcess
from autobuild_core.predictor.gaussian_process import (
    LOG_NOISE,
    PRIOR_NOISE,
    PRIOR_SPREAD,
    PRIOR_WEIGHTS,
    Kernel,
    KernelFeatures,
    find_kernel,
    fit_gaussian_process,
    gaussian_share,
)
from autobuild_core.predictor.kernel import BIAS_VARIANCE, Relevances
from autobuild_core.spaces import load_space, space_named
from tests.flat_spaces import Columns
from tests.learning import flat_space, gaussian_ensemble, random_member

SPACES = {"macro": space_named("nas_bench_macro"), "flat": flat_space(3), "cell": space_named("nas_bench_201")}
NOISE = 0.2
THREE = Relevances(np.array([[0, 2], [0, 2], [1, 2], [3, -1]]), np.array([-1.0, -1.0, 0.0, -2.0]), np.array([2.0, 2.0, 1.0, 2.0]))


def drawn(num: int, noise: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of THREE and scores: a draw from the Gaussian process in which the last coordinate has no say."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(num, 4))
    kernel = Kernel(np.array([0.0, -1.0, 0.0, -12.0, 0.0, -2.0, -3.0, np.log(noise)]), THREE)
    signal = np.linalg.cholesky(kernel.between(columns, columns) + 1e-9 * np.eye(num)) @ rng.normal(size=num)
    return columns, signal + rng.normal(0, noise**0.5, num)


class TestEvidence:
    prior = np.concatenate([THREE.prior, PRIOR_WEIGHTS, [PRIOR_NOISE]])
    spread = np.concatenate([THREE.spread, np.full(4, PRIOR_SPREAD)])

    def asked(self, columns: Any, scores: Any, patch: pytest.MonkeyPatch) -> Any:
        """The function that is minimised: logarithms -> (value, gradient)."""
        heard, real = [], gaussian_process.minimize

        def listen(function: Any, *arguments: Any, **options: Any) -> Any:
            heard.append(function)
            return real(function, *arguments, **options)

        patch.setattr(gaussian_process, "minimize", listen)
        find_kernel(columns, scores, THREE)
        return heard[0]

    def test_the_gradient_is_that_of_finite_differences(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loss, rng = self.asked(*drawn(25, 0.1, 0), monkeypatch), np.random.default_rng(1)
        for logs in (self.prior, *(self.prior + rng.normal(0, 1, (5, 8)))):
            numeric = approx_fprime(logs, lambda x: loss(x)[0], 1e-6)
            assert loss(logs)[1] == pytest.approx(numeric, rel=1e-3, abs=1e-3)

    def test_it_is_the_evidence_with_a_log_normal_prior(self, monkeypatch: pytest.MonkeyPatch) -> None:
        columns, scores = drawn(25, 0.1, 0)
        loss = self.asked(columns, scores, monkeypatch)

        def by_hand(logs: Any) -> float:
            covariance = Kernel(logs, THREE).between(columns, columns) + np.exp(logs[-1]) * np.eye(25)
            evidence = multivariate_normal(np.zeros(25), covariance).logpdf(scores)
            return float(-evidence + 0.5 * (((logs - self.prior) / self.spread) ** 2).sum())

        points = self.prior + np.random.default_rng(2).normal(0, 1, (4, 8))
        differences = [loss(logs)[0] - by_hand(logs) for logs in points]
        assert differences == pytest.approx([-25 / 2 * np.log(2 * np.pi)] * 4)  # a constant is left out

    @pytest.mark.parametrize("noise", [0.02, 0.1, 0.5])
    def test_a_planted_noise_level_is_found(self, noise: float) -> None:
        found = [find_kernel(*drawn(250, noise, seed), THREE).noise for seed in range(3)]
        assert np.exp(np.mean(np.log(found))) == pytest.approx(noise, rel=0.25)

    def test_what_has_no_say_gets_little_relevance(self) -> None:
        scales = THREE.scales(find_kernel(*drawn(250, 0.05, 3), THREE).logs[:4])
        assert scales[3] < 0.05 * scales[:3].min()

    def test_a_target_without_noise_among_twins_leaves_the_kernel_invertible(self) -> None:
        columns = np.repeat(np.random.default_rng(5).normal(size=(30, 4)), 4, axis=0)  # four of each, all equal
        kernel = find_kernel(columns, columns[:, 0], THREE)
        assert np.isfinite(kernel.logs).all() and kernel.noise >= np.exp(LOG_NOISE[0]) * (1 - 1e-9)


def kernels_of(random: Ensemble, solved: dict[str, Any], codes: np.ndarray, others: np.ndarray) -> list[NDArray[np.float64]]:
    """Each member's kernel between two sets of codes, from the definition."""
    parts = []
    for rows in (codes, others):
        raw = random.coordinates(rows, make_graphs(rows, random.codebook.spec), random.structure(rows)).astype(float)
        parts.append(raw - solved[GAUSSIAN + "mean"])
    found = []
    for roots, weights in zip(solved[GAUSSIAN + "roots"].astype(float), solved[GAUSSIAN + "weights"].astype(float), strict=True):
        a, b = parts[0] * roots, parts[1] * roots
        apart = ((a[:, None] - b) ** 2).sum(2)
        found.append(weights[0] * np.exp(-apart) + weights[1] * (a @ b.T) + weights[2] * (a @ b.T) ** 2 + BIAS_VARIANCE)
    return found


def fix_noise(patch: pytest.MonkeyPatch) -> None:
    """Kernels are found as ever, but for their noise, which the solution does not keep."""
    real = gaussian_process.find_kernel

    def noisy(*arguments: Any) -> Kernel:
        kernel = real(*arguments)
        return Kernel(np.append(kernel.logs[:-1], np.log(NOISE)), kernel.relevances)

    patch.setattr(gaussian_process, "find_kernel", noisy)


def planted(codes: np.ndarray, rng: np.random.Generator) -> NDArray[np.float64]:
    """Scores that follow the layers, with noise."""
    signal = codes @ np.linspace(0.5, 1, codes.shape[1]) + rng.normal(0, 0.5, len(codes))
    return np.asarray((signal - signal.mean()) / signal.std())


@pytest.mark.parametrize("name", SPACES)
def test_predictions_are_the_posterior_mean_of_a_gaussian_process(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of seen rows only, with the member's kernel."""
    fix_noise(monkeypatch)
    space, rng = SPACES[name], np.random.default_rng(0)
    random = random_member(space)
    codes, unseen = space.sample(40, rng), space.sample(25, rng)
    scores, fold = planted(codes, rng), np.arange(40) % 3
    solved = fit_gaussian_process(random, codes, scores, fold, 3, 0)
    predicted = gaussian_ensemble(random, solved, 3).predict(unseen).scores
    own, across = kernels_of(random, solved, codes, codes), kernels_of(random, solved, unseen, codes)
    for member in range(3):
        seen = fold != member
        inside = own[member][np.ix_(seen, seen)] + NOISE * np.eye(seen.sum())
        expected = across[member][:, seen] @ np.linalg.solve(inside, scores[seen])
        assert predicted[member] == pytest.approx(expected, abs=2e-3)
    assert np.abs(predicted[0] - predicted[1]).max() > 0.01


class TestManyArchitectures:
    """Beyond MAX_LANDMARKS not all of them are landmarks."""

    def solve(self, landmarks: int, patch: pytest.MonkeyPatch) -> tuple[Any, ...]:
        patch.setattr(gaussian_process, "MAX_LANDMARKS", landmarks)
        space, rng = SPACES["flat"], np.random.default_rng(0)
        random, codes, probes = random_member(space), space.sample(120, rng), space.sample(40, rng)
        scores, fold = planted(codes, rng), np.arange(120) % 2
        solved = fit_gaussian_process(random, codes, scores, fold, 2, 0)
        return random, codes, probes, scores, fold, solved, gaussian_ensemble(random, solved, 2).predict(probes).scores

    def test_predictions_are_those_of_a_regression_on_the_landmarks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Subset of regressors: the Gaussian process whose kernel is k(x, L) K(L, L)^-1 k(L, y)."""
        fix_noise(monkeypatch)
        random, codes, probes, scores, fold, solved, predicted = self.solve(30, monkeypatch)
        raw = random.coordinates(codes, make_graphs(codes, random.codebook.spec), random.structure(codes))
        away = np.square(raw - solved[GAUSSIAN + "mean"] - solved[GAUSSIAN + "landmarks"][:, None]).sum(2)
        marks = away.argmin(1)  # twins are alike
        assert len(marks) == 30 and away.min(1).max() < 1e-9
        among, across, inside = (kernels_of(random, solved, rows, codes[marks]) for rows in (codes, probes, codes[marks]))
        for member in range(2):
            seen = fold != member
            inner = inside[member] + gaussian_process.LANDMARK_NOISE * np.diag(inside[member]).mean() * np.eye(30)
            features = np.linalg.solve(inner, among[member][seen].T)
            whole = among[member][seen] @ features + NOISE * np.eye(seen.sum())
            expected = across[member] @ features @ np.linalg.solve(whole, scores[seen])
            assert predicted[member] == pytest.approx(expected, abs=5e-3)

    def test_with_all_but_one_they_are_nearly_those_of_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        all_but_one, every = (self.solve(num, monkeypatch)[-1] for num in (119, 120))
        assert np.abs(all_but_one - every).max() < 0.05 * every.std()


@pytest.mark.parametrize("name", SPACES)
def test_features_have_the_kernel_of_all_rows_as_inner_products(name: str) -> None:
    space, rng = SPACES[name], np.random.default_rng(3)
    random, codes = random_member(space), space.sample(50, rng)
    solved = fit_gaussian_process(random, codes, planted(codes, rng), np.arange(50) % 3, 3, 0)
    features = KernelFeatures(gaussian_ensemble(random, solved, 3))(codes)
    every = {GAUSSIAN + "mean": solved[GAUSSIAN + "mean"], GAUSSIAN + "roots": solved[GAUSSIAN + "every_roots"][None]}
    kernel = kernels_of(random, every | {GAUSSIAN + "weights": solved[GAUSSIAN + "every_weights"][None]}, codes, codes)[0]
    assert features @ features.T == pytest.approx(kernel, abs=2e-3 * np.diag(kernel).mean())


def test_its_own_predictions_are_those_of_the_network_that_mixes_it() -> None:
    space, rng = SPACES["cell"], np.random.default_rng(0)
    random, codes = random_member(space), space.sample(50, rng)
    solved = fit_gaussian_process(random, codes, rng.normal(size=50), np.arange(50) % 3, 3, 0)
    probes = space.sample(300, rng)  # two chunks
    alone = GaussianProcess(random, solved).scores(probes)
    assert alone == pytest.approx(gaussian_ensemble(random, solved, 3).predict(probes).scores, abs=1e-4)


class TestFolds:
    """What a member holds out must not reach it."""

    def solve(self, scores: Any, fold: Any) -> dict[str, Any]:
        space = SPACES["macro"]
        codes = space.sample(len(scores), np.random.default_rng(7))
        return fit_gaussian_process(random_member(space), codes, scores, fold, 3, 0)

    def test_a_members_kernel_and_readout_do_not_depend_on_its_folds_labels(self) -> None:
        rng, fold = np.random.default_rng(8), np.arange(60) % 3
        scores = rng.normal(size=60)
        changed = np.where(fold == 0, rng.normal(size=60), scores)
        first, other = (self.solve(s, fold) for s in (scores, changed))
        for name in (GAUSSIAN + "roots", GAUSSIAN + "weights", GAUSSIAN + "readout"):
            assert np.array_equal(first[name][0], other[name][0])
            assert not np.array_equal(first[name][1], other[name][1])

    def test_a_fold_of_labels_out_of_the_blue_is_not_predicted(self) -> None:
        rng, fold = np.random.default_rng(9), np.arange(90) % 3
        scores = np.where(fold == 0, 50.0, rng.normal(size=90))
        space = SPACES["macro"]
        ensemble = gaussian_ensemble(random_member(space), self.solve(scores, fold), 3)
        predicted = ensemble.predict(space.sample(90, np.random.default_rng(7))).scores
        assert np.abs(predicted[0, fold == 0]).max() < 5 < predicted[1:, fold == 0].min()


def test_landmarks_and_evidence_are_networks_before_their_twins() -> None:
    codes = np.repeat(np.arange(30, dtype=np.int16)[:, None], 4, axis=0)
    order = gaussian_process._networks_first(codes, np.random.default_rng(0))
    assert sorted(order) == list(range(120))
    assert sorted(codes[order[:30], 0]) == list(range(30)) and order[:30].tolist() != sorted(order[:30])


def test_the_same_seed_gives_the_same_readout_bitwise() -> None:
    space, rng = SPACES["flat"], np.random.default_rng(0)
    codes = space.sample(30, rng)
    scores, fold = rng.normal(size=30), np.arange(30) % 2
    first, again = (fit_gaussian_process(random_member(space), codes, scores, fold, 2, 5) for _ in range(2))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_random_labels_are_not_predicted() -> None:
    """Held-out predictions of permuted labels: no correlation but chance, in either direction, over ten permutations."""
    space, rng = SPACES["macro"], np.random.default_rng(0)
    random, codes, fold = random_member(space), space.sample(90, rng), np.arange(90) % 3
    codes = codes[np.unique(space.hash_networks(codes), return_index=True)[1]]
    fold, real = fold[: len(codes)], codes @ np.linspace(1, 2, 8)
    real = (real - real.mean()) / real.std()

    def held_out(scores: NDArray[np.float64]) -> float:
        predicted = gaussian_ensemble(random, fit_gaussian_process(random, codes, scores, fold, 3, 0), 3).predict(codes).scores
        return float(np.corrcoef(predicted[fold, np.arange(len(codes))], scores)[0, 1])

    assert held_out(real) > 0.9
    permuted = [held_out(rng.permutation(real)) for _ in range(10)]
    assert abs(np.mean(permuted)) < 0.2 and np.max(permuted) < 0.4


class TestShare:
    truth = np.random.default_rng(0).normal(size=50)
    error = np.random.default_rng(1).normal(size=50)

    def test_the_only_good_half_gets_all_but_the_prior(self) -> None:
        assert gaussian_share(self.truth, self.error, self.truth) == pytest.approx(0.875)  # 0.75 * 1 + 0.25 / 2
        assert gaussian_share(self.error, self.truth, self.truth) == pytest.approx(0.125)

    def test_opposite_errors_cancel_at_one_half(self) -> None:
        assert gaussian_share(self.truth + self.error, self.truth - self.error, self.truth) == pytest.approx(0.5)

    def test_the_least_error_by_hand(self) -> None:
        """Errors +1 and -3 of the halves: share s leaves s - 3 (1 - s) = 4 s - 3, which is 0 at 0.75."""
        share = gaussian_share(self.truth + 1, self.truth - 3, self.truth)
        assert share == pytest.approx(0.75 * 0.75 + 0.125)


def test_ordered_numbers_are_learned_from_few_rows_as_numbers() -> None:
    """A smooth function of six columns of eight numbers each, from 40 rows: better by the numbers than by tokens alone."""
    columns = Columns()
    for index in range(6):
        columns.add(f"c{index}", [str(value) for value in range(8)])
    space, gains = columns.space(), []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        worth, peak = rng.normal(size=6), rng.uniform(size=6)
        codes, others = space.sample(40, rng), space.sample(400, rng)
        truth, wanted = (-(worth * ((c % 8) / 7 - peak) ** 2).sum(1) for c in (codes, others))
        scores, fold = (truth - truth.mean()) / truth.std() + rng.normal(0, 0.1, 40), np.arange(40) % 2
        found = []
        for spec in (space.spec, replace(space.spec, numbers={})):
            random = random_member(load_space(spec))
            solved = fit_gaussian_process(random, codes, scores, fold, 2, 0)
            found.append(spearmanr(GaussianProcess(random, solved).scores(others).mean(0), wanted).statistic)
        gains.append(found[0] - found[1])
    assert min(gains) > 0.004 and np.mean(gains) > 0.01


def test_contexts_are_coordinates_and_a_score_at_points_is_the_mean_there() -> None:
    space, rng = space_named("nas_bench_macro"), np.random.default_rng(4)
    codes, own = space.canonical(space.sample(60, rng)), rng.normal(3, 1, (60, 2)).astype(np.float32)
    scores = (codes == 2).sum(1) * 0.4 + own[:, 0]
    scores = (scores - scores.mean()) / scores.std()
    random = random_member(space)
    solved = fit_gaussian_process(random, codes, scores, np.arange(60) % 3, 3, 0, own, (0, 1))
    half, probes = GaussianProcess(random, solved), space.canonical(space.sample(300, rng))
    points = np.array([[2.0, 3.0], [4.0, 3.0], [4.0, 5.0]], np.float32)
    each = np.stack([half.scores(probes, point[None, None]) for point in points])
    assert (each[1] - each[0]).mean() > 0.5 and np.abs(each[2] - each[1]).mean() < 0.2  # only the first context matters
    shares = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(half.scores(probes, points[:, None], shares), np.tensordot(shares, each, 1), rtol=1e-4, atol=1e-5)
    itself = half.scores(codes, own[None])  # each row in its own context
    np.testing.assert_allclose(itself[:, 7], half.scores(codes[7:8], own[7][None, None])[:, 0], rtol=1e-4, atol=1e-5)
    assert np.corrcoef(itself.mean(0), scores)[0, 1] > 0.97 and np.abs(itself.mean(0) - scores).mean() < 0.2
