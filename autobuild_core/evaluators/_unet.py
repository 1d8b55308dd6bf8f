"""A small U-Net whose residual and attention blocks are each there or not, and the diffusion that it learns.

Source: the blocks in the manner of Stable Diffusion 1.4 (Rombach et al., CVPR 2022), whose U-Net AutoBuild takes
apart; v-prediction with a cosine schedule: Salimans and Ho, ICLR 2022; DDIM: Song et al., ICLR 2021.
"""

import itertools
import math

import torch
from torch import Tensor, nn

from autobuild_core.evaluators._networks import UNET_STAGES

SIDE = 16  # pixels of an image
WIDTHS = (16, 32, 48)  # at 16, 8 and 4 pixels
TIME_WIDTH, TIME_FREQUENCIES, GROUPS = 64, 16, 4
Presence = dict[str, tuple[bool, ...]]


class TimeEmbedding(nn.Module):
    """Noise levels in 0..1, (batch,), as (batch, TIME_WIDTH)."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.exp(torch.linspace(0.0, math.log(1000.0), TIME_FREQUENCIES)))
        self.body = nn.Sequential(
            nn.Linear(2 * TIME_FREQUENCIES, TIME_WIDTH), nn.SiLU(), nn.Linear(TIME_WIDTH, TIME_WIDTH), nn.SiLU()
        )

    def forward(self, level: Tensor) -> Tensor:
        angles = level[:, None] * self.frequencies
        out: Tensor = self.body(torch.cat([angles.sin(), angles.cos()], 1))
        return out


class Residual(nn.Module):
    """Two normalised convolutions with the noise level between them, beside the identity; starts as the identity.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
        self.level = nn.Linear(TIME_WIDTH, width)
        last = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.after = nn.Sequential(nn.GroupNorm(GROUPS, width), nn.SiLU(), last)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        out: Tensor = x + self.after(self.before(x) + self.level(level)[:, :, None, None])
        return out


class Attention(nn.Module):
    """Self-attention over all pixels with one head, beside the identity; starts as the identity.

    Args:
        width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, width)
        self.read = nn.Conv2d(width, 3 * width, 1)
        self.write = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.write.weight)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        query, key, value = self.read(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        heard = nn.functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = x + self.write(heard.transpose(1, 2).reshape(x.shape))
        return out


class Stage(nn.ModuleList):
    """The blocks of a stage that are there.

    Args:
        kinds: "res" or "att", upstream first.
        present: whether each is there.
        width: channels.
    """

    def __init__(self, kinds: tuple[str, ...], present: tuple[bool, ...], width: int) -> None:
        made = {"res": Residual, "att": Attention}
        super().__init__(made[kind](width) for kind, there in zip(kinds, present, strict=True) if there)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        for block in self:
            x = block(x, level)
        return x


class UNet(nn.Module):
    """Images (batch, 1, 16, 16) and noise levels (batch,) to the velocity, of the images' shape.

    What joins the stages (stem, strided and upsampling convolutions, 1x1 merges of the skip connections) is always there.

    Args:
        presence: {stage: whether each of its blocks is there}.
    """

    def __init__(self, presence: Presence) -> None:
        super().__init__()
        high, middle, low = WIDTHS
        self.time = TimeEmbedding()
        self.stem, self.stem_level = nn.Conv2d(1, high, 3, padding=1), nn.Linear(TIME_WIDTH, high)
        widths = dict(zip(UNET_STAGES, (high, middle, low, middle, high), strict=True))
        self.stages = nn.ModuleDict({name: Stage(kinds, presence[name], widths[name]) for name, kinds in UNET_STAGES.items()})
        self.down8 = nn.Conv2d(high, middle, 3, stride=2, padding=1)
        self.down4 = nn.Conv2d(middle, low, 3, stride=2, padding=1)
        self.up8, self.merge8 = nn.Conv2d(low, middle, 3, padding=1), nn.Conv2d(2 * middle, middle, 1)
        self.up16, self.merge16 = nn.Conv2d(middle, high, 3, padding=1), nn.Conv2d(2 * high, high, 1)
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, high), nn.SiLU(), nn.Conv2d(high, 1, 3, padding=1))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        embedded = self.time(level)
        x = self.stem(x) + self.stem_level(embedded)[:, :, None, None]
        skip16 = self.stages["down16"](x, embedded)
        skip8 = self.stages["down8"](self.down8(skip16), embedded)
        x = self.stages["mid4"](self.down4(skip8), embedded)
        x = self.up8(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        x = self.stages["up8"](self.merge8(torch.cat([x, skip8], 1)), embedded)
        x = self.up16(nn.functional.interpolate(x, scale_factor=2.0, mode="nearest"))
        x = self.stages["up16"](self.merge16(torch.cat([x, skip16], 1)), embedded)
        velocity: Tensor = self.out(x)
        return velocity


def mixed(images: Tensor, noise: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """(noisy images, their velocity) at noise levels in 0..1 (batch,).

    Source: cosine schedule, alpha = cos(pi t / 2), sigma = sin(pi t / 2); v = alpha * noise - sigma * image.
    """
    alpha, sigma = (part[:, None, None, None] for part in ((math.pi / 2 * level).cos(), (math.pi / 2 * level).sin()))
    return alpha * images + sigma * noise, alpha * noise - sigma * images


def velocity_loss(network: nn.Module, images: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """Mean squared error of the predicted velocity."""
    noisy, velocity = mixed(images, noise, level)
    return nn.functional.mse_loss(network(noisy, level), velocity)


@torch.no_grad()
def sample(network: nn.Module, noise: Tensor, num_steps: int) -> Tensor:
    """Images from noise (n, 1, 16, 16), in -1..1, by DDIM without fresh noise.

    Args:
        network: predicts the velocity.
        noise: where sampling starts.
        num_steps: evaluations of the network.
    """
    levels = torch.linspace(1.0, 0.0, num_steps + 1, device=noise.device).unbind()
    x = noise
    for now, then in itertools.pairwise(levels):
        alpha, sigma = (math.pi / 2 * now).cos(), (math.pi / 2 * now).sin()
        velocity = network(x, now.expand(len(x)))
        image = (alpha * x - sigma * velocity).clamp(-1.0, 1.0)
        rest = (x - alpha * image) / sigma.clamp_min(1e-6)
        x = (math.pi / 2 * then).cos() * image + (math.pi / 2 * then).sin() * rest
    return x.clamp(-1.0, 1.0)
