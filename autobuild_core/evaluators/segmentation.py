"""Panoptic segmentation: small encoder-decoders trained from scratch to find the items of composed scenes."""

from typing import Any, final

from autobuild_core.evaluators import Conditions, Evaluator, Measured, Report
from autobuild_core.spaces import Space

BATCH_SIZE, MAX_LR, BACKGROUND_WEIGHT = 24, 0.005, 0.3
NUM_CLASSES = 11  # background and ten kinds of items
NUM_TEST_PER_EPOCH, TEST_BATCH = 100, 100
LEAST_PIXELS = 20  # smaller segments are taken for background


@final
class Segmentation(Evaluator):
    """Scenes of two to four Fashion-MNIST items that occlude one another; every pixel gets a class, connected pixels a segment.

    500 steps of 24 scenes unasked (three epochs of 4,000). Metrics over 500 fixed scenes: `test_loss` (cross entropy, the
    background weighs 0.3), `pq_pct` (panoptic quality), `miou_pct` (mean intersection over union), the last two in percent.
    """

    title = "Panoptic segmentation: scenes of items"
    budget = 500

    def data(self) -> str:
        from autobuild_core.evaluators._images import images_name

        return f"{images_name()}_scenes"

    def supports(self, space: Space) -> str | None:
        return None

    def evaluate(self, arch: Any, at: Conditions, report: Report = lambda metrics: None) -> Measured:
        import torch
        from torch import nn

        from autobuild_core.evaluators import _scenes
        from autobuild_core.evaluators._encoder_decoder import EncoderDecoder, choice_of
        from autobuild_core.evaluators._images import images_name
        from autobuild_core.evaluators._training import Schedule, train

        name, choice = images_name(), choice_of(arch)
        scenes, tested = _scenes.training_scenes(name, at.device), _scenes.test_scenes(name, at.device)
        torch.manual_seed(at.seed)
        generator = torch.Generator(at.device).manual_seed(at.seed)
        network = EncoderDecoder(choice, NUM_CLASSES).to(at.device, memory_format=torch.channels_last)
        weight = torch.ones(NUM_CLASSES, device=at.device)
        weight[_scenes.BACKGROUND] = BACKGROUND_WEIGHT
        order: list[torch.Tensor] = []

        def draw_loss() -> torch.Tensor:
            if not order:  # an epoch: every scene once
                every = torch.randperm(len(scenes.images), generator=generator, device=at.device)
                order.extend(every[: len(every) // BATCH_SIZE * BATCH_SIZE].split(BATCH_SIZE))
            rows = order.pop()
            logits = network(scenes.images[rows].contiguous(memory_format=torch.channels_last))
            return nn.functional.cross_entropy(logits, scenes.classes[rows], weight)

        def test(whole: bool) -> dict[str, float]:
            rows = slice(None if whole else NUM_TEST_PER_EPOCH)
            logits = torch.cat([network(part) for part in tested.images[rows].split(TEST_BATCH)])
            return judge(logits, tested.classes[rows], tested.instances[rows], weight)

        curve = train(network, Schedule(at.budget, MAX_LR), draw_loss, test, lambda step, metrics: report(metrics))
        return Measured({metric: curve[-1][metric] for metric in ("test_loss", "pq_pct", "miou_pct")}, tuple(curve))


def judge(logits: Any, classes: Any, instances: Any, weight: Any) -> dict[str, float]:
    """Loss, panoptic quality and mean intersection over union of class scores.

    Args:
        logits: (n, classes, height, width).
        classes: (n, height, width) true classes.
        instances: (n, height, width) true instances.
        weight: (classes,) of the loss.
    """
    import numpy as np
    from torch import nn

    from autobuild_core.evaluators._panoptic import PanopticQuality

    loss = float(nn.functional.cross_entropy(logits, classes, weight))
    predicted, true, identity = (part.cpu().numpy() for part in (logits.argmax(1), classes, instances))
    quality = PanopticQuality(NUM_CLASSES)
    for row in range(len(predicted)):
        quality.add(segments_of(predicted[row]), (true[row], identity[row]))
    table = np.bincount(true.ravel() * NUM_CLASSES + predicted.ravel(), minlength=NUM_CLASSES**2)
    confusion = table.reshape(NUM_CLASSES, NUM_CLASSES)
    both = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - both
    return {
        "test_loss": loss,
        "pq_pct": 100 * quality.mean,
        "miou_pct": 100 * float((both / np.maximum(union, 1))[union > 0].mean()),
    }


def segments_of(classes: Any) -> tuple[Any, Any]:
    """(classes, instances) of predicted classes (height, width): connected pixels of one kind of item are one instance.

    Segments of fewer than LEAST_PIXELS pixels become background.
    """
    import numpy as np
    from scipy import ndimage

    kept, instances, found = classes.copy(), np.zeros_like(classes), 0
    for kind in np.unique(classes[classes > 0]):
        parts, num = ndimage.label(classes == kind)
        sizes = np.bincount(parts.ravel(), minlength=num + 1)
        large = np.flatnonzero(sizes >= LEAST_PIXELS)[1 if sizes[0] >= LEAST_PIXELS else 0 :]
        small = (parts > 0) & ~np.isin(parts, large)
        kept[small] = 0
        numbers = np.zeros(num + 1, np.int64)
        numbers[large] = np.arange(found + 1, found + 1 + len(large))
        instances += numbers[parts]
        found += len(large)
    return kept, instances
