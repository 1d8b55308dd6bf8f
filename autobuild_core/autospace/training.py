"""The training of a supernet: weights and alpha by gradient, in turns and on images of their own, under a price of multiply-adds.

Source: AutoSpace, section 3: alpha is learned by gradient descent with the weights, and a constraint of multiply-adds is part of
the objective. Ours: everything that a number in this file says (docs/autospace.md, "Answers").
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autobuild_core.autospace.plan import EvolutionPlan
from autobuild_core.autospace.supernet import Supernet
from autobuild_core.errors import Cancelled, Diverged
from autobuild_core.evaluators import check_device
from autobuild_core.evaluators._images import Split, images_name, read_split
from autobuild_core.evaluators._networks import check_images
from autobuild_core.evaluators._pairs import Pairs
from autobuild_core.evaluators._training import CLIP, WEIGHT_DECAY
from autobuild_core.spaces._cells import Cell

WARM, LOWEST = 0.05, 0.05  # share of the steps in which the learning rate rises; share of the highest that it ends at
SOFT = 0.1  # relative excess of multiply-adds over which their price rises from nothing to all of it
SEEDS_APART = 100_000  # more than any evolution has generations
MEMORY = 0.95  # of the usual size of a layer's gradient of alpha
Cells = Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Trained:
    """The outcome of a generation's training.

    Args:
        alphas: of each layer (cells,) alpha at its end, less its mean.
        loss: mean over the steps of the weights.
        alpha_loss: mean over the steps of alpha, on images that the weights do not see; NaN of none.
        madds_m: expected multiply-adds of a network at its end, in millions.
    """

    alphas: list[list[float]]
    loss: float
    alpha_loss: float
    madds_m: float


class SupernetTraining:
    """A supernet that is trained generation after generation.

    Args:
        plan: of the evolution.

    Raises:
        ConfigError: the skeleton does not take the images, or there is no such device here.
    """

    def __init__(self, plan: EvolutionPlan) -> None:
        torch.set_num_threads(1)
        skeleton = plan.skeleton_used
        check_images(skeleton)
        self.plan, self.skeleton, self.device = plan, skeleton, check_device(plan.device)
        torch.manual_seed(plan.seed)
        self.generator = torch.Generator(plan.device)
        network = Supernet(skeleton, plan.support_used)
        self.network = network.to(plan.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=plan.lr, weight_decay=WEIGHT_DECAY, fused=True)
        images = read_split(images_name(), "train").to(plan.device)
        half = len(images.labels) // 2
        self.for_weights = Pairs(Split(images.images[:half], images.labels[:half]))
        self.for_alpha = Pairs(Split(images.images[half:], images.labels[half:]))
        self.sizes = [0.0] * skeleton.num_layers  # usual squared gradients of alpha
        self.step = self.alpha_step = 0

    def generation(self, generation: int, cells: Cells, should_stop: Callable[[], bool] = lambda: False) -> Trained:
        """Trains the weights, and alpha from zero, with some cells of each layer.

        Args:
            generation: its number; its batches follow from it and the seed alone.
            cells: of each layer those that run.
            should_stop: asked at every step.

        Raises:
            Cancelled: should_stop said so.
            Diverged: the loss is no finite number.
        """
        self.generator.manual_seed(self.plan.seed * SEEDS_APART + generation)
        alphas = [torch.zeros(len(own), device=self.device, requires_grad=True) for own in cells]
        costs = self.costs(cells)
        losses: list[Tensor] = []
        alpha_losses: list[Tensor] = []
        for number in range(self.plan.steps):
            if should_stop():
                raise Cancelled
            losses.append(self._weight_step(cells, alphas))
            if number % 2:
                alpha_losses.append(self._alpha_step(cells, alphas, costs))
        loss, alpha_loss = (float(torch.stack(own).mean()) if own else math.nan for own in (losses, alpha_losses))
        if not math.isfinite(loss):
            expected = f"expected a finite number; lower lr ({self.plan.lr})"
            raise Diverged(f"supernet: got a loss of {loss} at step {self.step}, {expected}.")
        ended = [alpha.detach() for alpha in alphas]
        madds_m = float(self._madds(ended, costs)) / 1e6
        return Trained([(alpha - alpha.mean()).tolist() for alpha in ended], loss, alpha_loss, madds_m)

    def numbers(self) -> dict[str, Any]:
        """The state beside the tensors, ready for JSON."""
        return {"sizes": self.sizes, "step": self.step, "alpha_step": self.alpha_step}

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimiser as tensors by name."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for number, state in self.optimiser.state_dict()["state"].items():
            found |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
        return {name: value.detach().cpu().contiguous() for name, value in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Goes back to a state of `tensors` and `numbers`."""
        own = {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
        self.network.load_state_dict(own)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            kind, number, part = (*name.split(".", 2), "")[:3]
            if kind == "optimiser":
                state.setdefault(int(number), {})[part] = value
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": state})
        self.sizes, self.step, self.alpha_step = list(numbers["sizes"]), numbers["step"], numbers["alpha_step"]

    def costs(self, cells: Cells) -> list[Tensor]:
        """Of each layer (cells,) their multiply-adds."""
        found = [[self.skeleton.layer_cost(layer, cell).madds for cell in own] for layer, own in enumerate(cells)]
        return [torch.tensor(own, dtype=torch.float32, device=self.device) for own in found]

    def _madds(self, alphas: Sequence[Tensor], costs: Sequence[Tensor]) -> Tensor:
        """Multiply-adds of a network that are expected under softmax(alpha)."""
        expected = [(alpha.softmax(0) * cost).sum() for alpha, cost in zip(alphas, costs, strict=True)]
        return torch.stack(expected).sum() + self.skeleton.fixed.madds

    def _weight_step(self, cells: Cells, alphas: Sequence[Tensor]) -> Tensor:
        """One step of the weights; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.lr * learning_rate(self.step / self.plan.num_steps)
        loss = self._loss(self.for_weights, cells, [alpha.detach() for alpha in alphas])
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.step += 1
        return loss.detach()

    def _alpha_step(self, cells: Cells, alphas: Sequence[Tensor], costs: Sequence[Tensor]) -> Tensor:
        """One step of alpha, on images that the weights do not see; returns the loss without the price."""
        loss = self._loss(self.for_alpha, cells, alphas)
        excess = self._madds(alphas, costs) / (self.plan.madds_m * 1e6) - 1
        priced = loss + self.plan.price * SOFT * nn.functional.softplus(excess / SOFT)
        gradients = torch.autograd.grad(priced, list(alphas))
        self.alpha_step += 1
        for layer, (alpha, gradient) in enumerate(zip(alphas, gradients, strict=True)):
            self.sizes[layer] = MEMORY * self.sizes[layer] + (1 - MEMORY) * float(gradient.square().mean())
            usual = math.sqrt(self.sizes[layer] / (1 - MEMORY**self.alpha_step)) or 1.0
            with torch.no_grad():
                alpha -= self.plan.alpha_lr * gradient / usual
        return loss.detach()

    def _loss(self, pairs: Pairs, cells: Cells, alphas: Sequence[Tensor]) -> Tensor:
        """The loss of a fresh batch."""
        images, targets = pairs.draw(self.plan.batch, self.generator)
        shares = [alpha.softmax(0) for alpha in alphas]
        logits = self.network(images.contiguous(memory_format=torch.channels_last), cells, shares)
        return nn.functional.binary_cross_entropy_with_logits(logits, targets)


def learning_rate(done: float) -> float:
    """The share of the highest learning rate when a share of all steps is done: it rises, then falls as a cosine."""
    if done < WARM:
        return max(done / WARM, LOWEST)
    return LOWEST + (1 - LOWEST) * (1 + math.cos(math.pi * (done - WARM) / (1 - WARM))) / 2
