"""Scenes of two to four items that occlude one another before a smooth background, with the class and instance of every pixel."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from autobuild_core.evaluators._images import SIDE as ITEM_SIDE
from autobuild_core.evaluators._images import read_split
from autobuild_core.evaluators._panoptic import PanopticQuality

SIDE = 48
NUM_TRAIN, NUM_TEST = 4_000, 500
LEAST, MOST = 2, 4  # items of a scene
ITEM_LEVEL = 24  # of 255: darker pixels of an item's picture are not part of it
BACKGROUND = 0  # class of what is no item; class c of the images is c + 1
SEEDS = {"train": 1, "test": 2}
LEAST_PIXELS = 20  # smaller predicted segments are taken for background


@dataclass(frozen=True)
class Scenes:
    """Composed scenes.

    Args:
        images: (n, 1, 48, 48), about unit variance.
        classes: (n, 48, 48) int64, 0 = background.
        instances: (n, 48, 48) int64, 0 = background, else the item of its scene from 1.
    """

    images: Tensor
    classes: Tensor
    instances: Tensor

    def to(self, device: str) -> "Scenes":
        """The same scenes on a device."""
        return Scenes(self.images.to(device), self.classes.to(device), self.instances.to(device))


def compose(name: str, part: str, num: int) -> Scenes:
    """Scenes of a data set's images, always the same.

    Args:
        name: of the data set.
        part: "train" or "test".
        num: scenes.
    """
    split, generator = read_split(name, part), torch.Generator().manual_seed(SEEDS[part])
    coarse = torch.rand((num, 1, 4, 4), generator=generator)
    images = nn.functional.interpolate(coarse, size=SIDE, mode="bicubic", align_corners=True)[:, 0] * 120
    classes, instances = (torch.zeros((num, SIDE, SIDE), dtype=torch.int64) for _ in range(2))
    counts = torch.randint(LEAST, MOST + 1, (num,), generator=generator)
    for scene in range(num):
        for item in range(1, int(counts[scene]) + 1):
            row = int(torch.randint(len(split.labels), (1,), generator=generator))
            top, left = torch.randint(SIDE - ITEM_SIDE + 1, (2,), generator=generator).tolist()
            place = (scene, slice(top, top + ITEM_SIDE), slice(left, left + ITEM_SIDE))
            picture = split.images[row]
            inside = picture > ITEM_LEVEL
            images[place] = torch.where(inside, picture.float(), images[place])
            classes[place] = torch.where(inside, split.labels[row] + 1, classes[place])
            instances[place] = torch.where(inside, item, instances[place])
    return Scenes((images[:, None] / 255 - 0.35) / 0.3, classes, instances)


@cache
def training_scenes(name: str, device: str) -> Scenes:
    """The scenes that networks learn from."""
    return compose(name, "train", NUM_TRAIN).to(device)


@cache
def test_scenes(name: str, device: str) -> Scenes:
    """The scenes that networks are judged on."""
    return compose(name, "test", NUM_TEST).to(device)


def judge(logits: Tensor, classes: Tensor, instances: Tensor, weight: Tensor) -> dict[str, float]:
    """Loss, panoptic quality and mean intersection over union of class scores; the last two in percent.

    Args:
        logits: (n, num_classes, height, width).
        classes: (n, height, width) true classes.
        instances: (n, height, width) true instances.
        weight: (num_classes,) of the loss.
    """
    num = len(weight)
    loss = float(nn.functional.cross_entropy(logits, classes, weight))
    predicted, true, identity = (part.cpu().numpy() for part in (logits.argmax(1), classes, instances))
    quality = PanopticQuality(num)
    for row in range(len(predicted)):
        quality.add(segments_of(predicted[row]), (true[row], identity[row]))
    confusion = np.bincount(true.ravel() * num + predicted.ravel(), minlength=num**2).reshape(num, num)
    both = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - both
    overlap = (both / np.maximum(union, 1))[union > 0]
    return {"test_loss": loss, "pq_pct": 100 * quality.mean, "miou_pct": 100 * float(overlap.mean())}


def segments_of(classes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(classes, instances) of predicted classes (height, width): connected pixels of one kind of item are one instance.

    Segments of fewer than LEAST_PIXELS pixels become background.
    """
    from scipy import ndimage

    kept, instances, found = classes.copy(), np.zeros_like(classes), 0
    for kind in np.unique(classes[classes != BACKGROUND]):
        parts, num = ndimage.label(classes == kind)
        sizes = np.bincount(parts.ravel(), minlength=num + 1)[1:]
        large = np.flatnonzero(sizes >= LEAST_PIXELS) + 1
        numbers = np.zeros(num + 1, np.int64)
        numbers[large] = np.arange(found + 1, found + 1 + len(large))
        kept[(parts > 0) & (numbers[parts] == 0)] = BACKGROUND
        instances += numbers[parts]
        found += len(large)
    return kept, instances
