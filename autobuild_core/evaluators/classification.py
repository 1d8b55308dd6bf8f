"""Classification: networks trained from scratch to name two overlaid items of Fashion-MNIST."""

from typing import Any, final

from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.evaluators._images import images_name
from autobuild_core.evaluators._networks import CELLS, STAGES, family_of

BATCH_SIZE = 64
MAX_LR = {STAGES: 0.003, CELLS: 0.006}


@final
class Classification(Evaluator):
    """Two items of different classes, each flipped and rolled at random, overlaid; the network names both.

    400 steps of 64 pairs unasked. Metrics over 10,000 fixed pairs: `test_loss` (binary cross entropy), `map_pct` (mean average
    precision), `recall_at_2_pct`. It measures stages of inverted residual blocks, and cells of NAS-Bench-201.
    """

    title = "Classification"
    about = "trains on overlaid pairs of Fashion-MNIST items and names both"
    budget = 400
    metrics = ("test_loss", "map_pct", "recall_at_2_pct")
    typical_seconds = (9.0, 21.0)

    def data(self) -> str:
        return f"{images_name()}_pairs"

    def check(self, arch: Any) -> None:
        family_of(arch, tuple(MAX_LR))

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        import torch
        from torch import nn

        from autobuild_core.evaluators import _pairs
        from autobuild_core.evaluators._training import Schedule, train

        family = family_of(arch, tuple(MAX_LR))
        pairs, (images, targets) = _pairs.training_pairs(images_name(), at.device), _pairs.test_pairs(images_name(), at.device)
        torch.manual_seed(at.seed)
        generator = torch.Generator(at.device).manual_seed(at.seed)
        network = family.make(arch).to(at.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

        def draw_loss() -> torch.Tensor:
            drawn, wanted = pairs.draw(BATCH_SIZE, generator)
            logits = network(drawn.contiguous(memory_format=torch.channels_last))
            return nn.functional.binary_cross_entropy_with_logits(logits, wanted)

        def test(whole: bool) -> dict[str, float]:
            part = slice(None if whole else _pairs.NUM_TEST_PER_EPOCH)
            return _pairs.judge(network, images[part], targets[part])

        curve = train(network, Schedule(at.budget, MAX_LR[family]), draw_loss, test, watch)
        return Measured({name: curve[-1][name] for name in self.metrics}, tuple(curve))
