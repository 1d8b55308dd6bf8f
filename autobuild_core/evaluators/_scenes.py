"""Scenes of two to four items that occlude one another before a smooth background, with the class and instance of every pixel."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from autobuild_core.evaluators._images import SIDE as ITEM_SIDE
from autobuild_core.evaluators._images import read_split

SIDE = 48
NUM_TRAIN, NUM_TEST = 4_000, 500
LEAST, MOST = 2, 4  # items of a scene
ITEM_LEVEL = 24  # of 255: darker pixels of an item's picture are not part of it
BACKGROUND = 0  # class of what is no item; class c of the images is c + 1
SEEDS = {"train": 1, "test": 2}


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
