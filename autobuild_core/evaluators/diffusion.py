"""Diffusion: small U-Nets trained from scratch to draw items of Fashion-MNIST, judged by the Frechet distance of their samples."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any, final

from autobuild_core.errors import ArchitectureError
from autobuild_core.evaluators import Conditions, Evaluator, Measured, Report
from autobuild_core.spaces import Space

BATCH_SIZE, MAX_LR = 64, 0.003
NUM_SAMPLES, NUM_SAMPLING_STEPS, SAMPLE_SEED = 1_000, 20, 12345
NUM_TEST, NUM_TEST_PER_EPOCH = 2_000, 500
NUM_STRIP = 8  # samples that are kept to be looked at


@final
class Diffusion(Evaluator):
    """A denoising diffusion model of 16x16 images; which blocks of each stage of its U-Net are there is the architecture.

    300 steps of 64 images unasked. Metrics: `v_loss` (mean squared error of the velocity on test images), `frechet_distance`
    between features of 1,000 samples and of all test images, and its natural logarithm `log_frechet`. `samples` holds the first
    samples, from the same noise for every architecture.
    """

    title = "Diffusion: drawing items"
    budget = 300

    def data(self) -> str:
        from autobuild_core.evaluators._images import images_name

        return f"{images_name()}_16px"

    def supports(self, space: Space) -> str | None:
        return None

    def evaluate(self, arch: Any, at: Conditions, report: Report = lambda metrics: None) -> Measured:
        import numpy as np
        import torch

        from autobuild_core.evaluators import _frechet, _unet
        from autobuild_core.evaluators._images import images_name
        from autobuild_core.evaluators._training import Schedule, train

        name = images_name()
        images, test_images = _images16(name, "train", at.device), _images16(name, "test", at.device)[:NUM_TEST]
        fixed = torch.Generator().manual_seed(SAMPLE_SEED)
        test_noise = torch.randn(test_images.shape, generator=fixed).to(at.device)
        test_level = torch.rand(len(test_images), generator=fixed).to(at.device)
        sampling_noise = torch.randn((NUM_SAMPLES, 1, _unet.SIDE, _unet.SIDE), generator=fixed).to(at.device)
        torch.manual_seed(at.seed)
        generator = torch.Generator(at.device).manual_seed(at.seed)
        network = _unet.UNet(presence_of(arch)).to(at.device, memory_format=torch.channels_last)

        def draw_loss() -> torch.Tensor:
            rows = torch.randint(len(images), (BATCH_SIZE,), generator=generator, device=at.device)
            drawn = images[rows].contiguous(memory_format=torch.channels_last)
            noise = torch.randn(drawn.shape, generator=generator, device=at.device)
            level = torch.rand(BATCH_SIZE, generator=generator, device=at.device)
            return _unet.velocity_loss(network, drawn, noise, level)

        def test(whole: bool) -> dict[str, float]:
            rows = range(0, NUM_TEST if whole else NUM_TEST_PER_EPOCH, 500)
            parts = [(test_images[r : r + 500], test_noise[r : r + 500], test_level[r : r + 500]) for r in rows]
            return {"v_loss": float(np.mean([float(_unet.velocity_loss(network, *part)) for part in parts]))}

        curve = train(network, Schedule(at.budget, MAX_LR), draw_loss, test, lambda step, metrics: report(metrics))
        samples = torch.cat([_unet.sample(network, part, NUM_SAMPLING_STEPS) for part in sampling_noise.split(250)])
        distance = _frechet.frechet_distance(_frechet.moments(samples, name), _frechet.real_moments(name))
        metrics = {"v_loss": curve[-1]["v_loss"], "frechet_distance": distance, "log_frechet": float(np.log(distance))}
        strip = ((samples[:NUM_STRIP, 0].cpu() + 1) * 127.5).round().to(torch.uint8).numpy()
        return Measured(metrics, tuple(curve), {"samples": base64.b64encode(zlib.compress(strip.tobytes(), 9)).decode()})


def _images16(name: str, part: str, device: str) -> Any:
    from autobuild_core.evaluators import _frechet

    if (name, part, device) not in _HELD:
        _HELD[name, part, device] = _frechet.small_images(name, part).to(device)
    return _HELD[name, part, device]


_HELD: dict[tuple[str, str, str], Any] = {}


def presence_of(arch: Any) -> dict[str, tuple[bool, ...]]:
    """Which blocks of each stage an architecture {"down16_1": "res" or "none", ...} has.

    Raises:
        ArchitectureError: a block is missing, or is neither there nor not.
    """
    from autobuild_core.evaluators._unet import STAGES

    presence = {}
    for stage, kinds in STAGES.items():
        row = []
        for place, kind in enumerate(kinds, 1):
            got = arch.get(f"{stage}_{place}") if isinstance(arch, Mapping) else None
            if got not in (kind, "none"):
                raise ArchitectureError(f"diffusion, {stage}_{place}: got {got!r}, expected '{kind}' or 'none'.")
            row.append(got == kind)
        presence[stage] = tuple(row)
    return presence
