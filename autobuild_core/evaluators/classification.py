"""Classification: networks trained from scratch to name two overlaid items of Fashion-MNIST.

It measures two kinds of networks: four stages of inverted residual blocks (columns stage1_e, stage1_k, stage1_l, ...), and cells of
NAS-Bench-201.
"""

from typing import Any, final

from autobuild_core.errors import ArchitectureError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Report
from autobuild_core.spaces import Space

BATCH_SIZE = 64
LR_STAGES, LR_CELLS = 0.003, 0.006


@final
class Classification(Evaluator):
    """Two Fashion-MNIST items of different classes, each flipped and rolled at random, overlaid; the network names both.

    400 steps of 64 pairs unasked. Metrics: `test_loss` (binary cross entropy), `map_pct`, `recall_at_2_pct`, over 10,000 fixed pairs.
    """

    title = "Classification: two overlaid items"
    budget = 400

    def data(self) -> str:
        from autobuild_core.evaluators._images import images_name

        return f"{images_name()}_pairs"

    def supports(self, space: Space) -> str | None:
        return None

    def evaluate(self, arch: Any, at: Conditions, report: Report = lambda metrics: None) -> Measured:
        import torch
        from torch import nn

        from autobuild_core.evaluators import _pairs
        from autobuild_core.evaluators._images import images_name
        from autobuild_core.evaluators._training import Schedule, train

        torch.manual_seed(at.seed)
        generator = torch.Generator(at.device).manual_seed(at.seed)
        network, max_lr = _network_of(arch)
        network = network.to(at.device, memory_format=torch.channels_last)
        pairs, (images, targets) = _pairs.training_pairs(images_name(), at.device), _pairs.test_pairs(images_name(), at.device)

        def draw_loss() -> torch.Tensor:
            drawn, wanted = pairs.draw(BATCH_SIZE, generator)
            logits = network(drawn.contiguous(memory_format=torch.channels_last))
            return nn.functional.binary_cross_entropy_with_logits(logits, wanted)

        def test(whole: bool) -> dict[str, float]:
            part = slice(None if whole else _pairs.NUM_TEST_PER_EPOCH)
            return _pairs.judge(network, images[part], targets[part])

        curve = train(network, Schedule(at.budget, max_lr), draw_loss, test, lambda step, metrics: report(metrics))
        final_metrics = {name: curve[-1][name] for name in _pairs.METRICS}
        return Measured(final_metrics, tuple(curve))


def _network_of(arch: Any) -> tuple[Any, float]:
    """(network, highest learning rate) of an architecture.

    Raises:
        ArchitectureError: it is of no kind that is measured here.
    """
    from autobuild_core.evaluators import _cell_network, _mbconv
    from autobuild_core.evaluators._images import NUM_CLASSES
    from autobuild_core.spaces import space_named

    if isinstance(arch, str):
        space = space_named("nas_bench_201")
        tokens = tuple(space.spec.tokens[token] for token in space.parse(arch))
        return _cell_network.make_network(tokens, NUM_CLASSES), LR_CELLS
    try:
        stages = _mbconv.stages_of(arch)
    except (KeyError, TypeError, ValueError) as error:
        raise ArchitectureError(f"classification: got {str(arch)[:80]}, expected stages or a cell ({error}).") from None
    return _mbconv.make_network(stages, NUM_CLASSES), LR_STAGES
