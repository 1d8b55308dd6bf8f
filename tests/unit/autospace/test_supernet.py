"""The supernet: cells side by side are what each is by itself, with weights that they share."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from autobuild_core.autospace.supernet import SharedBlock, Supernet
from autobuild_core.evaluators._autospace_network import CellBlock
from autobuild_core.spaces._cells import OPERATIONS, REFERENCE, SUPPORTS, Cell, Support
from autobuild_core.spaces._skeletons import SKELETONS, Block

WIDE = SUPPORTS["wide"]
EVERY = list(WIDE.cells())


def drawn(num: int, seed: int = 0) -> list[Cell]:
    rng = np.random.default_rng(seed)
    return [EVERY[index] for index in rng.integers(len(EVERY), size=num)]


def shuffled(block: SharedBlock) -> SharedBlock:
    """The block with random weights everywhere, also where they begin at one or zero."""
    torch.manual_seed(1)
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    return block


def alone(shared: SharedBlock, cell: Cell) -> CellBlock:
    """A cell as networks have it, with the weights that it has in a supernet."""
    block, hidden = CellBlock(cell, shared.block), shared.block.hidden(cell)
    kind = shared.kind(hidden)

    def give(layers: nn.Module, name: str) -> None:
        convolution, norm = list(layers.children())[:2]
        weight = shared.weights[name][:hidden]
        convolution.weight.data = weight[:, : convolution.weight.shape[1]].data
        norm.weight.data, norm.bias.data = shared.scales[name][:hidden].data, shared.shifts[name][:hidden].data

    if kind == "wide":
        give(block.expand, "expand")
    for edge, operation in block.edges.items():
        if OPERATIONS[cell.operations[int(edge)]].kernel:
            give(operation, f"{kind}_{edge}_{cell.operations[int(edge)]}")
    project, norm = block.project
    project.weight.data = shared.weights[f"{kind}_project"][:, :hidden].data
    norm.weight.data, norm.bias.data = shared.scale.data, shared.shift.data
    return block


@pytest.mark.parametrize("stride", [1, 2])
def test_one_cell_in_a_supernet_is_the_cell_of_a_network(stride: int) -> None:
    shared = shuffled(SharedBlock(Block(4, 4, stride, 6), WIDE))
    x = torch.randn(5, 4, 6, 6)
    for cell in [*drawn(25), *REFERENCE]:
        found, expected = shared(x, [cell], torch.ones(1)), alone(shared, cell)(x)
        assert torch.allclose(found, expected, atol=1e-4), cell.name


@pytest.mark.parametrize("stride", [1, 2])
def test_cells_side_by_side_do_not_disturb_each_other(stride: int) -> None:
    """What they have in common is worked out once, at the widest hidden width: each is still what it is alone."""
    shared = shuffled(SharedBlock(Block(4, 6, stride, 6), WIDE))
    x, cells = torch.randn(5, 4, 6, 6), [*drawn(8, 1), *REFERENCE]
    for number, cell in enumerate(cells):
        share = torch.eye(len(cells))[number]
        assert torch.allclose(shared(x, cells, share), shared(x, [cell], torch.ones(1)), atol=1e-4), cell.name


def test_the_output_is_the_sum_of_cells_weighted_by_their_shares() -> None:
    shared = shuffled(SharedBlock(Block(4, 6, 1, 6), WIDE))
    shared.shift.data.zero_()
    x, (one, other) = torch.randn(5, 4, 6, 6), drawn(2, 3)
    outs = [shared(x, [cell], torch.ones(1)) for cell in (one, other)]
    mixed = shared(x, [one, other], torch.tensor([0.3, 0.7]))
    assert torch.allclose(mixed, 0.3 * outs[0] + 0.7 * outs[1], atol=1e-4)


def test_a_mutated_cell_inherits_the_weights_of_its_layer() -> None:
    """Every operation of a child that its parent has on the same edge is the same parameter."""
    shared = SharedBlock(Block(4, 4, 1, 6), WIDE)
    parent, child = Cell((5, 1, 5, 1, 1, 5), 2), Cell((5, 1, 5, 1, 2, 5), 1)

    def used(cell: Cell) -> set[str]:
        shared.zero_grad()
        shared(torch.randn(3, 4, 6, 6), [cell], torch.ones(1)).square().sum().backward()
        return {name for name, parameter in shared.named_parameters() if parameter.grad is not None}

    assert used(child) == used(parent)


def test_a_support_without_expansion_one_has_no_weights_for_it() -> None:
    some = Support(WIDE.edges, expansions=(1, 2))
    names = [name for name, _ in SharedBlock(Block(4, 4, 1, 6), some).named_parameters()]
    assert names and not any("thin" in name for name in names)
    thin = Support(WIDE.edges, expansions=(0,))
    names = [name for name, _ in SharedBlock(Block(4, 4, 1, 6), thin).named_parameters()]
    assert names and not any("wide" in name or "expand" in name for name in names)


def test_a_whole_supernet_learns_weights_and_alpha() -> None:
    skeleton = SKELETONS["pairs"].scaled(0.4)
    network = Supernet(skeleton, SUPPORTS["published"])
    cells = [list(REFERENCE)] * skeleton.num_layers
    alphas: list[Tensor] = [torch.zeros(3, requires_grad=True) for _ in cells]
    for layer in network.modules():  # scales of shortcuts begin at zero, and nothing in front of them would learn yet
        if isinstance(layer, SharedBlock):
            nn.init.ones_(layer.scale)
    logits = network(torch.randn(6, 1, 28, 28), cells, [alpha.softmax(0) for alpha in alphas])
    logits.square().mean().backward()
    assert logits.shape == (6, 10)
    assert all(alpha.grad is not None and alpha.grad.abs().sum() > 0 for alpha in alphas)
