"""Diffusion: small U-Nets trained from scratch to draw items of Fashion-MNIST, judged by the Frechet distance of samples."""

from typing import TYPE_CHECKING, Any, final

from autobuild_core.evaluators import Conditions, Evaluator, Measured, Watch
from autobuild_core.evaluators._images import images_name
from autobuild_core.evaluators._networks import UNETS, family_of

if TYPE_CHECKING:
    from torch import Tensor

BATCH_SIZE, MAX_LR = 64, 0.003
NUM_SAMPLES, NUM_SAMPLING_STEPS, SAMPLE_BATCH, FIXED_SEED = 1_000, 20, 250, 12345
NUM_TEST, NUM_TEST_PER_EPOCH, TEST_BATCH = 2_000, 500, 500
NUM_PICTURES = 8  # samples that are kept to be looked at


@final
class Diffusion(Evaluator):
    """A denoising diffusion model of 16x16 images; which blocks of each stage of its U-Net are there is the architecture.

    300 steps of 64 images unasked. Metrics: `v_loss` (mean squared error of the velocity on 2,000 test images),
    `frechet_distance` between the features of 1,000 samples and of all test images, `log_frechet`, its natural logarithm. The
    first samples are kept; they begin with the same noise for every architecture.
    """

    title = "Diffusion"
    about = "trains a denoising model on Fashion-MNIST items and judges what it draws"
    budget = 300
    metrics = ("log_frechet", "frechet_distance", "v_loss")
    typical_seconds = (16.0, 35.0)

    def data(self) -> str:
        return f"{images_name()}_16px"

    def check(self, arch: Any) -> None:
        family_of(arch, (UNETS,))

    def evaluate(self, arch: Any, at: Conditions, watch: Watch) -> Measured:
        import numpy as np
        import torch

        from autobuild_core.evaluators import _frechet, _unet
        from autobuild_core.evaluators._results import pack_pictures
        from autobuild_core.evaluators._training import Schedule, train

        self.check(arch)
        name = images_name()
        images, test_images = (_frechet.images_on(name, part, at.device) for part in ("train", "test"))
        test_images = test_images[:NUM_TEST]
        fixed = torch.Generator().manual_seed(FIXED_SEED)
        test_noise = torch.randn(test_images.shape, generator=fixed).to(at.device)
        test_level = torch.rand(len(test_images), generator=fixed).to(at.device)
        sampling_noise = torch.randn((NUM_SAMPLES, 1, _unet.SIDE, _unet.SIDE), generator=fixed).to(at.device)
        torch.manual_seed(at.seed)
        generator = torch.Generator(at.device).manual_seed(at.seed)
        network = UNETS.make(arch).to(at.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

        def draw_loss() -> "Tensor":
            rows = torch.randint(len(images), (BATCH_SIZE,), generator=generator, device=at.device)
            drawn = images[rows].contiguous(memory_format=torch.channels_last)
            noise = torch.randn(drawn.shape, generator=generator, device=at.device)
            level = torch.rand(BATCH_SIZE, generator=generator, device=at.device)
            return _unet.velocity_loss(network, drawn, noise, level)

        def test(whole: bool) -> dict[str, float]:
            losses = []
            for row in range(0, min(NUM_TEST if whole else NUM_TEST_PER_EPOCH, len(test_images)), TEST_BATCH):
                part = slice(row, row + TEST_BATCH)
                losses.append(float(_unet.velocity_loss(network, test_images[part], test_noise[part], test_level[part])))
            return {"v_loss": float(np.mean(losses))}

        curve = train(network, Schedule(at.budget, MAX_LR), draw_loss, test, watch)
        drawn = []
        for part in sampling_noise.split(SAMPLE_BATCH):
            watch.step()
            drawn.append(_unet.sample(network, part, NUM_SAMPLING_STEPS))
        samples = torch.cat(drawn)
        distance = _frechet.frechet_distance(_frechet.moments(samples, name), _frechet.real_moments(name))
        metrics = {"log_frechet": float(np.log(distance)), "frechet_distance": distance, "v_loss": curve[-1]["v_loss"]}
        return Measured(metrics, tuple(curve), pack_pictures(samples[:NUM_PICTURES, 0].cpu()))
