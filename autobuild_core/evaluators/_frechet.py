"""The Frechet distance between sets of images, over features of a small classifier that the project trained.

It is not the Inception FID: its numbers compare with each other only. Its floor is the distance between two sets of real images.
Source: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, section 2, for the distance.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autobuild_core.evaluators import Watch
from autobuild_core.evaluators._images import read_split
from autobuild_core.evaluators._networks import NUM_CLASSES

WEIGHTS = Path(__file__).with_name("features.safetensors")
FEATURE_WIDTHS = (16, 24, 32, 48, 64)
SIDE = 16
Array = NDArray[np.float64]


def small_images(name: str, part: str) -> Tensor:
    """(n, 1, 16, 16) the images of a data set in -1..1."""
    images = read_split(name, part).images[:, None].float() / 127.5 - 1
    small = nn.functional.interpolate(images, size=SIDE, mode="bilinear", antialias=True, align_corners=False)
    return small.clamp(-1.0, 1.0)


@cache
def images_on(name: str, part: str, device: str) -> Tensor:
    """The small images of a part of a data set on a device, worked out once."""
    return small_images(name, part).to(device)


def make_features() -> nn.Sequential:
    """The classifier without its last layer: (n, 1, 16, 16) to (n, 64)."""
    layers: list[nn.Module] = []
    width = 1
    for index, wanted in enumerate(FEATURE_WIDTHS):
        convolution = nn.Conv2d(width, wanted, 3, stride=2 if index in (1, 3) else 1, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(wanted), nn.ReLU()]
        width = wanted
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@cache
def trained_features(name: str) -> nn.Sequential:
    """The features as the project trained them (sample_data/make_features.py), in evaluation mode.

    Args:
        name: of the data set that they were trained on.
    """
    from safetensors.torch import load_file

    features = make_features()
    stored = load_file(WEIGHTS)
    features.load_state_dict({key.removeprefix(f"{name}."): value for key, value in stored.items() if key.startswith(f"{name}.")})
    return features.eval()


@torch.no_grad()
def moments(images: Tensor, name: str) -> tuple[Array, Array]:
    """(mean (64,), covariance (64, 64)) of the features of images (n, 1, 16, 16) in -1..1."""
    features = trained_features(name)
    found = torch.cat([features(part.cpu()) for part in images.split(1000)]).double().numpy()
    return found.mean(0), np.cov(found, rowvar=False)


@cache
def real_moments(name: str) -> tuple[Array, Array]:
    """Moments of all test images of a data set."""
    return moments(small_images(name, "test"), name)


def frechet_distance(first: tuple[Array, Array], second: tuple[Array, Array]) -> float:
    """|mean difference|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of two Gaussians given as (mean, covariance).

    The trace of the root is the sum of the roots of the eigenvalues of S1 S2, which are those of the symmetric
    S1^(1/2) S2 S1^(1/2): no complex part arises from rounding.
    """
    (mean1, cov1), (mean2, cov2) = first, second
    values, vectors = np.linalg.eigh(cov1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ cov2 @ root)
    trace = np.trace(cov1) + np.trace(cov2) - 2 * np.sqrt(np.clip(inner, 0, None)).sum()
    return float(((mean1 - mean2) ** 2).sum() + trace)


def train_features(name: str, steps: int, seed: int = 0) -> tuple[nn.Sequential, float]:
    """(features, accuracy of their classifier on the test images in percent) trained from scratch."""
    from autobuild_core.evaluators._training import Schedule, train

    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    images, labels = small_images(name, "train"), read_split(name, "train").labels
    test_images, test_labels = small_images(name, "test"), read_split(name, "test").labels
    features, head = make_features(), nn.Linear(FEATURE_WIDTHS[-1], NUM_CLASSES)
    network = nn.Sequential(features, head)

    def draw_loss() -> Tensor:
        rows = torch.randint(len(labels), (128,), generator=generator)
        return nn.functional.cross_entropy(network(images[rows]), labels[rows])

    def test(whole: bool) -> dict[str, float]:
        right = torch.cat([network(part).argmax(1) for part in test_images.split(1000)]) == test_labels
        return {"accuracy_pct": 100 * float(right.float().mean())}

    curve = train(network, Schedule(steps, 0.01), draw_loss, test, Watch())
    return features.eval(), curve[-1]["accuracy_pct"]
