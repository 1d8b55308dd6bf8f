"""Panoptic quality: how well segments with a class and an identity are found.

Source: Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4: a predicted and a true segment of one class match where
their intersection over union exceeds one half; PQ = sum of the matches' IoU / (TP + FP / 2 + FN / 2), averaged over classes.
"""

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.int64]
MATCHED = 0.5  # a match has a larger intersection over union


class PanopticQuality:
    """Adds up images; classes that neither occur nor are predicted take no part in the mean.

    Args:
        num_classes: classes, things and stuff alike; a class of stuff is one segment an image.
    """

    def __init__(self, num_classes: int) -> None:
        self.iou = np.zeros(num_classes)
        self.matched, self.false, self.missed = (np.zeros(num_classes, np.int64) for _ in range(3))

    def add(self, predicted: tuple[Map, Map], true: tuple[Map, Map]) -> None:
        """One image.

        Args:
            predicted: (classes, instances), each (height, width); a segment is what has one class and one instance.
            true: likewise.
        """
        num = len(self.iou)
        found, found_sizes, found_at = _segments(*predicted, num)
        wanted, wanted_sizes, wanted_at = _segments(*true, num)
        pairs, shared = np.unique(np.stack([found_at, wanted_at]), axis=1, return_counts=True)
        union = found_sizes[pairs[0]] + wanted_sizes[pairs[1]] - shared
        iou = shared / union
        match = (iou > MATCHED) & (found[pairs[0]] == wanted[pairs[1]])
        classes = found[pairs[0][match]]
        np.add.at(self.iou, classes, iou[match])
        np.add.at(self.matched, classes, 1)
        self.false += np.bincount(found, minlength=num) - np.bincount(classes, minlength=num)
        self.missed += np.bincount(wanted, minlength=num) - np.bincount(classes, minlength=num)

    @property
    def by_class(self) -> NDArray[np.float64]:
        """(num_classes,) quality in 0..1, NaN where a class neither occurs nor is predicted."""
        weight = self.matched + self.false / 2 + self.missed / 2
        return np.where(weight > 0, self.iou / np.where(weight > 0, weight, 1), np.nan)

    @property
    def mean(self) -> float:
        """Mean over classes, in 0..1; NaN without any."""
        there = self.by_class[np.isfinite(self.by_class)]
        return float(there.mean()) if len(there) else float("nan")


def _segments(classes: Map, instances: Map, num_classes: int) -> tuple[Map, Map, Map]:
    """(class of every segment, its pixels, segment of every pixel) of an image."""
    keys, at, sizes = np.unique(instances.ravel() * num_classes + classes.ravel(), return_inverse=True, return_counts=True)
    return keys % num_classes, sizes, at
