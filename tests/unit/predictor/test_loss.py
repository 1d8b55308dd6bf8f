"""The loss against the maths: projections by hand, gradients in float64, limits, and the published mistakes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from autobuild_core.predictor.loss import STRENGTH, autobuild_loss, pearson, soft_rank, spearman, zero_gradient_share


def tensor(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


class TestSoftRank:
    def test_two_values_by_hand(self) -> None:
        # [0, 1] / 2 lies a gap of 0.5 apart, ranks 1: one block, moved so that the sum is 3 and the gap stays
        assert soft_rank(tensor([1.0, 0.0]), 2.0).tolist() == [[1.75, 1.25]]
        assert soft_rank(tensor([0.0, 1.0]), 0.5).tolist() == [[1.0, 2.0]]

    @pytest.mark.parametrize("strength", [0.05, 0.4, 2.0])
    def test_gradient(self, strength: float) -> None:
        values = torch.randn(3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
        assert torch.autograd.gradcheck(lambda v: soft_rank(v, strength), (values,))

    def test_gradient_through_the_correlation(self) -> None:
        generator = torch.Generator().manual_seed(2)
        values = torch.randn(2, 9, dtype=torch.float64, generator=generator, requires_grad=True)
        ranks = torch.stack([torch.randperm(9, generator=generator) for _ in range(2)]).double()
        assert torch.autograd.gradcheck(lambda v: pearson(soft_rank(v, 0.3), ranks), (values,))

    @given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=30, unique=True))
    @settings(max_examples=60, deadline=None)
    def test_towards_zero_strength_the_ranks_are_hard(self, values: list[int]) -> None:
        assert soft_rank(tensor([float(v) for v in values]), 0.5)[0].tolist() == rankdata(values).tolist()

    @given(st.lists(st.floats(-50, 50), min_size=2, max_size=20), st.floats(0.01, 100))
    @settings(max_examples=60, deadline=None)
    def test_it_is_the_projection_onto_the_permutahedron(self, values: list[float], strength: float) -> None:
        soft = soft_rank(tensor(values), strength)[0].numpy()
        n = len(values)
        ascending = np.sort(soft)
        assert soft.sum() == pytest.approx(n * (n + 1) / 2)
        bounds = np.cumsum(np.arange(1, n + 1))  # the k smallest sum to at least 1 + ... + k
        assert (np.cumsum(ascending) >= bounds - 1e-6 * n).all()
        vertex = np.empty(n)  # no vertex lies in the direction from the projection to the point
        direction = np.array(values) / strength - soft
        vertex[np.argsort(direction, kind="stable")] = np.arange(1, n + 1)
        assert direction @ (vertex - soft) <= 1e-6 * n * (1 + np.abs(direction).max())

    def test_towards_infinite_strength_it_is_affine(self) -> None:
        values = torch.randn(1, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        soft = soft_rank(values, 1e4)
        assert torch.allclose(soft, 20.5 + (values - values.mean()) / 1e4, atol=1e-12)


class TestSpearman:
    def test_log_normal_norms_are_ranked_not_correlated(self) -> None:
        norms = np.exp(np.random.default_rng(0).normal(0, 1.0, 128))
        ranks = torch.from_numpy(rankdata(norms))[None]
        soft = float(spearman(torch.from_numpy(norms)[None], ranks))
        fixed = float(pearson(soft_rank(torch.from_numpy(norms)[None], 1.0), ranks))  # as published: an affine map
        assert soft > 0.97 and fixed == pytest.approx(np.corrcoef(norms, ranks[0])[0, 1], abs=0.02) and fixed < 0.9

    def test_it_is_near_the_hard_correlation_at_any_quality(self) -> None:
        rng = np.random.default_rng(1)
        for noise in (0.1, 0.5, 2.0):
            target = rng.normal(size=128)
            norms = np.exp(target + noise * rng.normal(size=128))
            ranks = torch.from_numpy(rankdata(target))[None]
            assert float(spearman(torch.from_numpy(norms)[None], ranks)) == pytest.approx(
                spearmanr(norms, target).statistic, abs=0.08
            )

    @pytest.mark.parametrize(("scale", "shift"), [(1e-3, 0.0), (1e3, 0.0), (7.0, -90.0)])
    def test_scale_and_shift_change_nothing(self, scale: float, shift: float) -> None:
        generator = torch.Generator().manual_seed(4)
        values = torch.randn(3, 50, dtype=torch.float64, generator=generator)
        ranks = torch.randn(3, 50, dtype=torch.float64, generator=generator).argsort(1).argsort(1).double()
        assert torch.allclose(spearman(values, ranks), spearman(scale * values + shift, ranks), atol=1e-9)

    def test_constant_norms_give_zero_and_finite_gradients(self) -> None:
        values = torch.ones(1, 10, requires_grad=True)
        rho = spearman(values, torch.arange(1.0, 11.0)[None])
        rho.sum().backward()
        assert values.grad is not None and bool(torch.isfinite(values.grad).all())
        assert rho.item() == pytest.approx(0, abs=1e-5)


class TestZeroGradientShare:
    @pytest.mark.parametrize("strength", [0.02, 0.3, STRENGTH, 20.0])
    def test_is_the_share_of_zero_rows_of_the_jacobian(self, strength: float) -> None:
        values = np.exp(np.random.default_rng(5).normal(size=40))
        width = strength * values.std(ddof=1) / len(values)
        jacobian = torch.autograd.functional.jacobian(lambda v: soft_rank(v[None], width)[0], torch.from_numpy(values))
        share = float((jacobian.abs().amax(1) < 1e-9).double().mean())
        assert zero_gradient_share(values, strength) == pytest.approx(share)

    def test_ends(self) -> None:
        values = np.arange(10.0)
        assert zero_gradient_share(values, 1e-3) == 1 and zero_gradient_share(values, 1e3) == 0

    def test_at_the_strength_used_most_norms_still_learn(self) -> None:
        assert zero_gradient_share(np.exp(np.random.default_rng(6).normal(size=128))) < 0.6


class TestAutobuildLoss:
    def test_by_hand(self) -> None:
        predicted, target = tensor([0.0, 1.0, 2.0], [1.0, 1.0, 1.0]), tensor([0.0, 1.0, 4.0], [1.0, 1.0, 1.0])
        ranks = tensor([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
        norms = torch.stack([tensor([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]), tensor([2.0, 1.0, 3.0], [1.0, 2.0, 3.0])])
        # well apart, so the ranks are hard; rho: 1 and -1, then 0.5 and 1
        loss = autobuild_loss(predicted, target, ranks, norms, weight=0.1)
        assert loss.tolist() == pytest.approx([4 / 3 + 0.1 * (0 + 2) / 2, 0.1 * (0.5 + 0) / 2])

    def test_a_perfect_order_of_a_heavy_tailed_target_costs_next_to_nothing(self) -> None:
        accuracy = np.sort(np.random.default_rng(7).normal(0.7, 0.15, 128))
        heavy = torch.from_numpy(100 ** (3 * accuracy))[None]
        ranks = torch.from_numpy(rankdata(heavy.numpy(), axis=1))
        norms = torch.from_numpy(accuracy)[None, None]
        assert float(autobuild_loss(heavy, heavy, ranks, norms, 1.0)) < 0.01
        raw = 1 - float(pearson(soft_rank(norms[0], 1e-6), heavy))  # the published term: raw target in place of its ranks
        assert raw > 0.3

    def test_the_gradient_of_the_rank_term_reaches_every_hop(self) -> None:
        generator = torch.Generator().manual_seed(8)
        norms = torch.rand(2, 5, 30, generator=generator, requires_grad=True)
        target = torch.randn(2, 30, generator=generator)
        ranks = target.argsort(1).argsort(1).float() + 1
        autobuild_loss(target, target, ranks, norms, 1.0).sum().backward()
        assert norms.grad is not None and bool((norms.grad.abs().amax(2) > 0).all())
