"""The Gaussian process of one metric: exact, joint, on the metric's own scale, and no better informed than its data."""

import numpy as np
import pytest

from autobuild_core.predictor.fitting import fit_posterior
from autobuild_core.predictor.kernel import compare
from autobuild_core.predictor.posterior import OWN_SHARE, Posterior
from autobuild_core.spaces import space_named
from tests.learning import macro_truth

MACRO = space_named("nas_bench_macro")


def learned(num: int = 60, minimize: bool = False, noise: float = 0.0) -> tuple[Posterior, np.ndarray, np.ndarray]:
    """A posterior, and (codes, values) of networks that it did not see."""
    rng = np.random.default_rng(0)
    codes = MACRO.canonical(MACRO.sample(600, rng))
    codes = np.unique(codes, axis=0)[rng.permutation(len(np.unique(codes, axis=0)))]
    values = macro_truth(codes) + noise * rng.standard_normal(len(codes))
    sign = -1 if minimize else 1
    return fit_posterior(MACRO, codes[:num], sign * values[:num], minimize), codes[num:], sign * values[num:]


class TestPosterior:
    def test_it_is_the_formula(self) -> None:
        """Equations 2.25 and 2.26 of Rasmussen and Williams, worked out plainly."""
        posterior, codes, _ = learned()
        at, marks = posterior.scaled(codes[:7]), posterior.marks
        noisy = compare(marks, marks, posterior.weights) + posterior.noise * np.eye(len(marks))
        between, own = compare(at, marks, posterior.weights), compare(at, at, posterior.weights)
        mean, covariance = posterior.joint(codes[:7])
        assert mean == pytest.approx(between @ np.linalg.solve(noisy, posterior.scores), abs=1e-7)
        assert covariance == pytest.approx(own - between @ np.linalg.solve(noisy, between.T), abs=1e-7)
        alone, spread = posterior.moments(codes[:7])
        assert alone == pytest.approx(mean) and spread**2 == pytest.approx(np.diag(covariance), abs=1e-7)
        assert np.allclose(posterior.moments(at)[0], mean)  # scaled coordinates stand for codes

    def test_draws_have_its_mean_and_covariance(self) -> None:
        posterior, codes, _ = learned(20)
        drawn = posterior.draws(codes[:5], 40_000, np.random.default_rng(1))
        mean, covariance = posterior.joint(codes[:5])
        assert drawn.mean(0) == pytest.approx(mean, abs=0.02)
        assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.02 * float(np.diag(covariance).max()) + 1e-4)

    @pytest.mark.parametrize("minimize", [False, True])
    def test_it_orders_what_it_did_not_see(self, minimize: bool) -> None:
        posterior, codes, values = learned(minimize=minimize)
        mean, spread = posterior.moments(codes)
        order = np.corrcoef(np.argsort(np.argsort(mean)), np.argsort(np.argsort(-values if minimize else values)))[0, 1]
        assert order > 0.95
        off = (posterior.scaling.to_scores(values) - mean) / np.sqrt(spread**2 + posterior.noise)
        assert 0.75 <= np.mean(np.abs(off) < 1.645) <= 0.99

    def test_twins_are_one_network(self) -> None:
        posterior, _, _ = learned(20)
        twins = np.array([MACRO.parse(native) for native in ("02102100", "02120100")], np.int16)
        mean, covariance = posterior.joint(twins)
        assert mean[0] == pytest.approx(mean[1]) and covariance[0, 1] == pytest.approx(covariance[0, 0])

    def test_what_is_measured_is_believed_in_part(self) -> None:
        posterior, codes, values = learned(40, noise=0.3)
        mean = posterior.moments(codes[:9])[0]
        believed, measured = posterior.believed(codes[:9], values[:9]), posterior.scaling.to_scores(values[:9])
        assert believed == pytest.approx((1 - OWN_SHARE) * mean + OWN_SHARE * measured)

    def test_of_many_rows_so_many_are_learned_from(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("autobuild_core.predictor.fitting.MAX_LANDMARKS", 30)
        assert len(learned(50)[0].marks) == 30

    def test_means_of_many_seeds_count_for_more(self) -> None:
        rng = np.random.default_rng(3)
        codes = np.unique(MACRO.canonical(MACRO.sample(60, rng)), axis=0)[:40]
        values, repeats = rng.standard_normal(40), np.where(np.arange(40) < 20, 1, 25)
        posterior = fit_posterior(MACRO, codes, values, repeats=repeats)
        mean = posterior.moments(codes)[0]
        off = np.abs(mean - posterior.scores)
        assert off[repeats == 25].mean() < 0.5 * off[repeats == 1].mean()
