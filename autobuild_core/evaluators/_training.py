"""The training that all evaluators share: AdamW at a one-cycle learning rate, clipped gradients, a metric after every epoch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from autobuild_core.errors import Diverged
from autobuild_core.evaluators import Watch

NUM_EPOCHS = 4  # parts of a training after which it is looked at
CLIP, WEIGHT_DECAY = 1.0, 0.01
Curve = list[dict[str, float]]


@dataclass(frozen=True)
class Schedule:
    """The length and the speed of a training.

    Args:
        steps: gradient steps.
        max_lr: the highest learning rate of the one-cycle schedule.
    """

    steps: int
    max_lr: float


def train(
    network: nn.Module,
    schedule: Schedule,
    draw_loss: Callable[[], Tensor],
    test: Callable[[bool], dict[str, float]],
    watch: Watch,
) -> Curve:
    """Trains a network from scratch.

    Source: one-cycle, Smith and Topin 2018; the settings were tried on some architectures of each task (docs/evaluators.md).

    Args:
        network: in its initial state, on its device.
        schedule: steps and learning rate.
        draw_loss: the loss of one fresh batch.
        test: metrics; True asks for all test data, False for a part of them that is quick.
        watch: is asked at every step, and hears the metrics after every epoch.

    Returns:
        The metrics after every epoch with the mean `train_loss` of its steps; the last is over all test data.

    Raises:
        Diverged: the loss is no finite number.
        Cancelled, OutOfTime: the watch said so.
    """
    torch.set_num_threads(1)  # two processes of one thread beat one of two, and sums do not depend on the number
    fused = next(network.parameters()).device.type in ("cpu", "cuda")
    optimiser = torch.optim.AdamW(network.parameters(), lr=schedule.max_lr, weight_decay=WEIGHT_DECAY, fused=fused)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, schedule.max_lr, total_steps=schedule.steps)
    ends = {round(schedule.steps * (epoch + 1) / NUM_EPOCHS) for epoch in range(NUM_EPOCHS)}
    curve: Curve = []
    losses: list[Tensor] = []
    for step in range(1, schedule.steps + 1):
        watch.step()
        network.train()
        loss = draw_loss()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        rates.step()
        losses.append(loss.detach())
        if step in ends:
            train_loss = float(np.mean([float(part) for part in losses]))
            if not np.isfinite(train_loss):
                raise Diverged(f"training loss: got {train_loss} at step {step} of {schedule.steps}, expected a finite number.")
            network.eval()
            with torch.no_grad():
                metrics = test(step == schedule.steps) | {"train_loss": train_loss}
            curve.append({"step": float(step)} | metrics)
            watch.epoch(curve[-1])
            losses = []
    return curve
