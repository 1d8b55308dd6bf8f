"""Real images without a download: Fashion-MNIST from Debian's package, scikit-learn's digits where that is missing.

They are two data sets under two names, so that what is measured on one is never joined with what is measured on the other.
Torch is imported late: the app process asks for the names.
"""

import gzip
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path("/usr/share/datasets/fashion-mnist")
FOLDER_VARIABLE = "AUTOBUILD_FASHION_MNIST"  # another folder with the four IDX files
FASHION_MNIST, DIGITS = "fashion_mnist", "digits"
SIDE = 28
NUM_TEST_DIGITS = 400


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Args:
        images: (n, 28, 28) uint8.
        labels: (n,) int64, classes 0 to 9.
    """

    images: "Tensor"
    labels: "Tensor"

    def to(self, device: str) -> "Split":
        """The same part on a device."""
        return Split(self.images.to(device), self.labels.to(device))


def fashion_mnist_folder() -> Path:
    """The folder of the files of Fashion-MNIST, there or not."""
    return Path(os.environ.get(FOLDER_VARIABLE) or FOLDER)


def images_name() -> str:
    """The name of the data set that this machine has; reads no images."""
    return FASHION_MNIST if fashion_mnist_folder().is_dir() else DIGITS


@cache
def read_split(name: str, part: str) -> Split:
    """The images of a data set.

    Source: Fashion-MNIST, Xiao et al. 2017; the digits are scikit-learn's, enlarged three times and framed to 28 pixels.

    Args:
        name: FASHION_MNIST or DIGITS.
        part: "train" or "test".
    """
    import torch
    from torch import nn

    if name == FASHION_MNIST:
        prefix = {"train": "train", "test": "t10k"}[part]
        images = _read_idx(fashion_mnist_folder() / f"{prefix}-images-idx3-ubyte.gz")
        labels = _read_idx(fashion_mnist_folder() / f"{prefix}-labels-idx1-ubyte.gz")
        return Split(torch.from_numpy(images), torch.from_numpy(labels).long())
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = torch.from_numpy(digits.images).float()[:, None] * (255 / 16)
    large = nn.functional.interpolate(small, size=24, mode="bilinear", align_corners=False)
    images_28 = nn.functional.pad(large, (2, 2, 2, 2))[:, 0].round().clamp(0, 255).to(torch.uint8)
    labels_all = torch.from_numpy(digits.target).long()
    rows = slice(NUM_TEST_DIGITS, None) if part == "train" else slice(NUM_TEST_DIGITS)
    return Split(images_28[rows], labels_all[rows])


def _read_idx(path: Path) -> np.ndarray:
    """An IDX file of the MNIST family as a uint8 array."""
    with gzip.open(path, "rb") as file:
        raw = file.read()
    num_dims = raw[3]
    shape = np.frombuffer(raw, ">i4", num_dims, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * num_dims).reshape(shape).copy()
