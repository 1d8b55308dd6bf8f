"""Data that evaluators measure on: Fashion-MNIST where it is installed, else the digits under their own name."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from autobuild_core.evaluators import Conditions, Watch, load_evaluator
from autobuild_core.evaluators import _images as images
from autobuild_core.evaluators import _pairs as pairs
from tests.architectures import EXAMPLES


def write_idx(path: Path, values: np.ndarray) -> None:
    """A file of the MNIST family."""
    head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


def test_without_fashion_mnist_it_is_the_digits_under_their_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(images.FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    named = {name: load_evaluator(name).data() for name in ("classification", "segmentation", "diffusion")}
    assert named == {"classification": "digits_pairs", "segmentation": "digits_scenes", "diffusion": "digits_16px"}
    found = load_evaluator("classification").evaluate(EXAMPLES["classification"], Conditions(4, 0), Watch())
    assert 0.3 < found.metrics["test_loss"] < 2


def test_files_of_the_family_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (5, 28, 28)), np.arange(5)
    for prefix in ("train", "t10k"):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", pictures)
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", labels)
    monkeypatch.setenv(images.FOLDER_VARIABLE, str(tmp_path))
    assert images.images_name() == images.FASHION_MNIST
    split = images.read_split.__wrapped__(images.FASHION_MNIST, "test")
    assert torch.equal(split.images, torch.from_numpy(pictures).byte()) and split.labels.tolist() == [0, 1, 2, 3, 4]


def test_the_parts_of_the_digits_share_nothing() -> None:
    train, test = images.read_split(images.DIGITS, "train"), images.read_split(images.DIGITS, "test")
    assert len(train.labels) + len(test.labels) == 1797 and train.images.shape[1:] == (28, 28)
    assert set(train.labels.tolist()) == set(test.labels.tolist()) == set(range(10))


class TestPairs:
    def test_two_classes_overlaid(self) -> None:
        drawn, targets = pairs.Pairs(images.read_split(images.DIGITS, "train")).draw(200, torch.Generator().manual_seed(0))
        assert drawn.shape == (200, 1, 28, 28) and (targets.sum(1) == 2).all() and set(targets.unique().tolist()) == {0.0, 1.0}

    def test_one_generator_state_gives_one_batch(self) -> None:
        task = pairs.Pairs(images.read_split(images.DIGITS, "train"))
        first, again, other = (task.draw(5, torch.Generator().manual_seed(seed))[0] for seed in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)

    def test_metrics_of_who_knows_everything_and_of_who_knows_nothing(self) -> None:
        _, targets = pairs.Pairs(images.read_split(images.DIGITS, "test")).draw(400, torch.Generator().manual_seed(0))
        knows = pairs.judge(torch.nn.Identity(), 20 * targets - 10, targets)
        assert knows["map_pct"] == knows["recall_at_2_pct"] == 100 and knows["test_loss"] < 1e-3
        opposite = pairs.judge(torch.nn.Identity(), 10 - 20 * targets, targets)
        assert opposite["recall_at_2_pct"] == 0 and opposite["test_loss"] > 5

    def test_what_is_no_number_is_said(self) -> None:
        _, targets = pairs.Pairs(images.read_split(images.DIGITS, "test")).draw(20, torch.Generator().manual_seed(0))
        assert np.isnan(list(pairs.judge(torch.nn.Identity(), targets * float("nan"), targets).values())).all()
