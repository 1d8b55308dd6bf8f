"""The Frechet distance and the features that it is taken over."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from autobuild_core.evaluators import _frechet as frechet
from autobuild_core.evaluators._images import read_split


def gaussian(seed: int, dim: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(dim, dim))
    return rng.normal(size=dim), root @ root.T


def test_it_is_zero_between_equals_and_symmetric() -> None:
    one, other = gaussian(0), gaussian(1)
    assert frechet.frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet.frechet_distance(one, other) == pytest.approx(frechet.frechet_distance(other, one))


def test_it_is_what_the_matrix_root_gives() -> None:
    (mean1, cov1), (mean2, cov2) = one, other = gaussian(2), gaussian(3)
    wanted = ((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * np.real(sqrtm(cov1 @ cov2)))
    assert frechet.frechet_distance(one, other) == pytest.approx(wanted)


def test_between_independent_coordinates_it_is_known() -> None:
    one, other = (np.zeros(3), np.diag([1.0, 4.0, 9.0])), (np.array([1.0, 0, 0]), np.diag([4.0, 4.0, 1.0]))
    assert frechet.frechet_distance(one, other) == pytest.approx(1 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2)


def test_a_singular_covariance_is_no_trouble() -> None:
    flat = np.zeros(3), np.diag([1.0, 0.0, 0.0])
    assert frechet.frechet_distance(flat, flat) == pytest.approx(0, abs=1e-9)


def test_the_features_that_ship_tell_real_images_from_blurred_and_from_noise() -> None:
    images = frechet.small_images("digits", "train")
    one, other = images[:600], images[600:1200]
    real = frechet.moments(other, "digits")
    blurred = torch.nn.functional.avg_pool2d(one, 5, 1, 2)
    distances = [
        frechet.frechet_distance(frechet.moments(part, "digits"), real) for part in (one, blurred, torch.rand_like(one) * 2 - 1)
    ]
    assert distances[0] < min(distances[1:]) / 10


def test_features_can_be_trained_anew() -> None:
    features, accuracy = frechet.train_features("digits", 60)
    assert accuracy > 80
    assert features(frechet.small_images("digits", "test")[:5]).shape == (5, frechet.FEATURE_WIDTHS[-1])


def test_small_images_are_small_and_within_their_range() -> None:
    small = frechet.small_images("digits", "test")
    assert small.shape == (len(read_split("digits", "test").labels), 1, 16, 16)
    assert float(small.min()) >= -1 and float(small.max()) <= 1
