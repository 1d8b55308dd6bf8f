"""The classification task: two overlaid items of different classes, and the network names both.

Plain Fashion-MNIST does not tell architectures apart at budgets of seconds; this does.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from autobuild_core.evaluators import Conditions, Watch
from autobuild_core.evaluators._images import SIDE, Split, images_name, read_split
from autobuild_core.evaluators._networks import NUM_CLASSES
from autobuild_core.evaluators._training import Curve, Schedule, train

NUM_TEST, NUM_TEST_PER_EPOCH, TEST_SEED, TEST_BATCH = 10_000, 1_000, 12345, 500
BATCH_SIZE, MAX_ROLL = 64, 6
METRICS = ("test_loss", "map_pct", "recall_at_2_pct")
Batch = tuple[Tensor, Tensor]


class Pairs:
    """Batches of overlaid pairs drawn from one part of a data set; the same generator state gives the same batch.

    Args:
        split: images and labels.
    """

    def __init__(self, split: Split) -> None:
        self.split = split

    def draw(self, num: int, generator: torch.Generator) -> Batch:
        """Images (num, 1, 28, 28) of about unit variance, and two-hot labels (num, 10).

        Each item is flipped with probability 1/2 and rolled by up to six pixels in both directions; of two the brighter pixel
        shows.
        """
        labels, device = self.split.labels, self.split.labels.device
        first = torch.randint(len(labels), (num,), generator=generator, device=device)
        second = torch.randint(len(labels), (num,), generator=generator, device=device)
        while (same := labels[first] == labels[second]).any():
            second[same] = torch.randint(len(labels), (int(same.sum()),), generator=generator, device=device)
        overlaid = torch.maximum(self._transformed(first, generator), self._transformed(second, generator))
        targets = torch.zeros(num, NUM_CLASSES, device=device)
        targets.scatter_(1, labels[first][:, None], 1.0)
        targets.scatter_(1, labels[second][:, None], 1.0)
        return (overlaid.float()[:, None] / 255 - 0.4) / 0.35, targets

    def _transformed(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """(n, 28, 28) the indexed images, rolled and flipped at random."""
        device = index.device
        num, side = len(index), torch.arange(SIDE, device=device)
        roll = torch.randint(-MAX_ROLL, MAX_ROLL + 1, (2, num, 1), generator=generator, device=device)
        flip = torch.randint(2, (num, 1), generator=generator, device=device).bool()
        rows, columns = (side - roll[0]) % SIDE, (side - roll[1]) % SIDE  # (n, 28)
        columns = torch.where(flip, SIDE - 1 - columns, columns)
        return self.split.images[index[:, None, None], rows[:, :, None], columns[:, None, :]]


@cache
def training_pairs(name: str, device: str) -> Pairs:
    """The pairs of a data set that networks learn from."""
    return Pairs(read_split(name, "train").to(device))


@cache
def test_pairs(name: str, device: str) -> Batch:
    """The 10,000 fixed pairs that networks are judged on, the same on every device."""
    drawn = Pairs(read_split(name, "test")).draw(NUM_TEST, torch.Generator().manual_seed(TEST_SEED))
    images, targets = (part.to(device) for part in drawn)
    return images.contiguous(memory_format=torch.channels_last), targets


def judge(network: nn.Module, images: Tensor, targets: Tensor) -> dict[str, float]:
    """Test loss (mean binary cross entropy), mean average precision and recall at two, both in percent.

    Source: average precision as scikit-learn defines it, mean over classes.
    """
    from sklearn.metrics import average_precision_score

    logits = torch.cat([network(part) for part in images.split(TEST_BATCH)])
    loss = nn.functional.binary_cross_entropy_with_logits(logits, targets)
    if not torch.isfinite(loss):
        return dict.fromkeys(METRICS, float("nan"))
    precision = average_precision_score(targets.cpu().numpy(), logits.cpu().numpy(), average="macro")
    recall = targets.gather(1, logits.topk(2, dim=1).indices).mean()
    return dict(zip(METRICS, (float(loss), 100 * float(precision), 100 * float(recall)), strict=True))


def train_classifier(make: Callable[[], nn.Module], max_lr: float, at: Conditions, watch: Watch) -> Curve:
    """Trains a network from scratch on pairs and judges it: its metrics after every epoch.

    Args:
        make: the network with fresh weights from torch's generator, which has the seed by then.
        max_lr: the highest learning rate.
        at: steps, seed and device.
        watch: is asked at every step.

    Raises:
        Diverged: the loss is no finite number.
        Cancelled, OutOfTime: the watch said so.
    """
    pairs, (images, targets) = training_pairs(images_name(), at.device), test_pairs(images_name(), at.device)
    torch.manual_seed(at.seed)
    generator = torch.Generator(at.device).manual_seed(at.seed)
    network = make().to(at.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def draw_loss() -> Tensor:
        drawn, wanted = pairs.draw(BATCH_SIZE, generator)
        logits = network(drawn.contiguous(memory_format=torch.channels_last))
        return nn.functional.binary_cross_entropy_with_logits(logits, wanted)

    def test(whole: bool) -> dict[str, float]:
        part = slice(None if whole else NUM_TEST_PER_EPOCH)
        return judge(network, images[part], targets[part])

    return train(network, Schedule(at.budget, max_lr), draw_loss, test, watch)
