"""Panoptic segmentation: small encoder-decoders trained from scratch to find the items of composed scenes."""

from typing import TYPE_CHECKING, Any, final

from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.evaluators._images import images_name
from autobuild_core.evaluators._networks import ENCODER_DECODERS, NUM_SCENE_CLASSES, family_of

if TYPE_CHECKING:
    from torch import Tensor

BATCH_SIZE, MAX_LR, BACKGROUND_WEIGHT = 24, 0.005, 0.3
NUM_TEST_PER_EPOCH, TEST_BATCH = 100, 100


@final
class Segmentation(Evaluator):
    """Scenes of two to four items that occlude one another; every pixel gets a class, connected pixels are a segment.

    500 steps of 24 scenes unasked (three epochs of 4,000). Metrics over 500 fixed scenes: `test_loss` (cross entropy, the
    background weighs 0.3), `pq_pct` (panoptic quality), `miou_pct` (mean intersection over union), the last two in percent.
    """

    title = "Panoptic segmentation"
    about = "trains on scenes composed of Fashion-MNIST items and finds each of them"
    budget = 500
    metrics = ("test_loss", "pq_pct", "miou_pct")
    typical_seconds = (33.0, 65.0)

    def data(self) -> str:
        return f"{images_name()}_scenes"

    def check(self, arch: Any) -> None:
        family_of(arch, (ENCODER_DECODERS,))

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        import torch
        from torch import nn

        from autobuild_core.evaluators import _scenes
        from autobuild_core.evaluators._training import Schedule, train

        self.check(arch)
        name = images_name()
        scenes, tested = _scenes.training_scenes(name, at.device), _scenes.test_scenes(name, at.device)
        torch.manual_seed(at.seed)
        generator = torch.Generator(at.device).manual_seed(at.seed)
        network = ENCODER_DECODERS.make(arch).to(at.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        weight = torch.ones(NUM_SCENE_CLASSES, device=at.device)
        weight[_scenes.BACKGROUND] = BACKGROUND_WEIGHT
        order: list[Tensor] = []

        def draw_loss() -> "Tensor":
            if not order:  # an epoch: every scene once
                every = torch.randperm(len(scenes.images), generator=generator, device=at.device)
                order.extend(every[: len(every) // BATCH_SIZE * BATCH_SIZE].split(BATCH_SIZE))
            rows = order.pop()
            logits = network(scenes.images[rows].contiguous(memory_format=torch.channels_last))
            return nn.functional.cross_entropy(logits, scenes.classes[rows], weight)

        def test(whole: bool) -> dict[str, float]:
            rows = slice(None if whole else NUM_TEST_PER_EPOCH)
            logits = torch.cat([network(part) for part in tested.images[rows].split(TEST_BATCH)])
            return _scenes.judge(logits, tested.classes[rows], tested.instances[rows], weight)

        curve = train(network, Schedule(at.budget, MAX_LR), draw_loss, test, watch)
        return Measured({metric: curve[-1][metric] for metric in self.metrics}, tuple(curve))
