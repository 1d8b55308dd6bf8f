"""The networks that evaluators make, and what they cost."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from autobuild_core.errors import ArchitectureError
from autobuild_core.evaluators import Conditions, Watch, load_evaluator
from autobuild_core.evaluators import _mbconv as mbconv
from autobuild_core.evaluators import _unet as unets
from autobuild_core.evaluators._autospace_network import CellBlock
from autobuild_core.evaluators._networks import CELLS, ENCODER_DECODERS, STAGES, UNETS, family_of
from autobuild_core.registry import APP
from autobuild_core.spaces._cells import REFERENCE, SUPPORTS, Cell
from autobuild_core.spaces._cells import mbconv as mbconv_cell
from autobuild_core.spaces._network_file import NetworkFile
from autobuild_core.spaces._skeletons import Block, CellNetwork
from tests.architectures import CELL, cell_network, encoder_decoder, published_network, stages, unet

SAMPLE = APP / "sample_data" / "fashion_mbconv" / "fashion_mbconv.csv"
EVERY: list[Any] = [stages(), stages(7, 6, 3), CELL, CELL.replace("avg_pool_3x3", "nor_conv_1x1"), encoder_decoder(skip="add"),
                    encoder_decoder(5, 3, 2, 2), unet(), unet("all"), cell_network(*REFERENCE), cell_network(mbconv_cell(7, 1)),
                    cell_network(Cell((2, 3, 5, 1, 2, 3), 1), Cell((3, 3, 2, 1, 5, 5), 0))]  # fmt: skip


def hooked_madds(network: nn.Module, inputs: tuple[Tensor, ...]) -> int:
    """Multiply-adds of convolutions and linear layers, from the shapes that pass through them."""
    count = 0

    def add(layer: Any, _: object, output: Tensor) -> None:
        nonlocal count
        positions = output.shape[2] * output.shape[3] if isinstance(layer, nn.Conv2d) else 1
        count += layer.weight.numel() * positions

    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        network.eval()(*inputs)
    assert hooks
    return count


@pytest.mark.parametrize("arch", EVERY)
def test_cost_is_what_layers_and_attention_multiply(arch: Any) -> None:
    family = family_of(arch)
    network = family.make(arch)
    width, pixels = unets.WIDTHS[1], 64
    attended = {1: 2 * (2 * pixels**2 * width) + 2 * 16**2 * unets.WIDTHS[2], 0: 0}  # q k' and the sum of values
    by_hand = hooked_madds(network, family.inputs(arch, 1)) + attended[arch == unet("all")]
    found = load_evaluator("cost").evaluate(arch, Conditions(0, 0), Watch()).metrics
    assert found["madds_m"] * 1e6 == pytest.approx(by_hand, abs=0.5)
    assert found["params_m"] * 1e6 == pytest.approx(sum(p.numel() for p in network.parameters()), abs=0.5)


def test_the_formula_of_cells_is_what_their_network_costs() -> None:
    """Multiply-adds and parameters of random cells, on both skeletons: with strides, shortcuts, repeated blocks."""
    cells, rng = list(SUPPORTS["wide"].cells()), np.random.default_rng(0)
    for skeleton, num in (("pairs", 25), ("published", 3)):
        for _ in range(num):
            own = [cells[index] for index in rng.integers(len(cells), size=11)]
            arch = cell_network(*own, skeleton=skeleton, madds_m=None)
            found, said = load_evaluator("cost").evaluate(arch, Conditions(0, 0), Watch()).metrics, CellNetwork.read(arch).cost
            assert (found["madds_m"], found["params_m"]) == (said.madds / 1e6, said.params / 1e6)


def test_a_cell_of_one_depthwise_convolution_is_an_inverted_residual_block() -> None:
    torch.manual_seed(0)
    for stride in (1, 2):
        block = Block(12, 12, stride, 14)
        ours, other = CellBlock(mbconv_cell(5, 3), block), mbconv.MBConv(12, 12, 5, 3, stride)
        for mine, theirs in zip(ours.parameters(), other.parameters(), strict=True):
            nn.init.normal_(mine)
            theirs.data = mine.data.reshape(theirs.shape)
        x = torch.randn(4, 12, 14, 14)
        assert torch.equal(ours(x), other(x))


def test_networks_for_other_images_are_not_classified() -> None:
    said = "got one for images of 3 x 224 x 224 and 1000 classes, expected 1 x 28 x 28 and 10"
    with pytest.raises(ArchitectureError, match=said):
        load_evaluator("classification").check(cell_network(REFERENCE[0], skeleton="published", madds_m=None))


def test_a_published_network_costs_what_its_file_says() -> None:
    cells = [REFERENCE[0], Cell((9, 2, 3, 1, 5, 5), 1, (1, 0)), None, mbconv_cell(7, 3), REFERENCE[2]]
    for has_se in (False, True):
        arch = published_network(cells, has_se=has_se)
        found = load_evaluator("cost").evaluate(arch, Conditions(0, 0), Watch())
        said = NetworkFile.read(arch)
        assert (found.metrics["madds_m"], found.metrics["params_m"]) == (said.cost.madds / 1e6, said.cost.params / 1e6)
        assert ("squeeze and excitation of 19 blocks" in found.remark) is has_se
    assert [block.cell is None for block in said.blocks].count(True) == 3


def test_cost_is_what_the_sample_says_of_its_networks() -> None:
    known = pd.read_csv(SAMPLE).sample(8, random_state=0)
    for _, row in known.iterrows():
        arch = {name: int(row[name]) for name in known.columns if name.startswith("stage")}
        found = load_evaluator("cost").evaluate(arch, Conditions(0, 0), Watch()).metrics
        assert found == pytest.approx({"madds_m": row["madds_m"], "params_m": row["params_m"]}, abs=1e-9)


@pytest.mark.parametrize("arch", EVERY)
def test_every_part_of_a_network_learns(arch: Any) -> None:
    family = family_of(arch)
    torch.manual_seed(0)
    network = family.make(arch).train()
    inputs = tuple(torch.rand_like(part) for part in family.inputs(arch, 4))
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)  # also what starts at zero
    network(*inputs).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert all(p.grad.abs().sum() > 0 for p in network.parameters() if p.grad is not None and p.dim() > 1)


@pytest.mark.parametrize(
    ("family", "arch", "said"),
    [
        (STAGES, stages() | {"stage2_k": 4}, "stage2_k: got 4, expected one of 3, 5, 7"),
        (STAGES, stages() | {"stage2_k": True}, "stage2_k: got True"),
        (STAGES, {"stage1_k": 3}, "stage1_l: got None"),
        (CELLS, "|none~0|", "NAS-Bench-201 cell: got '|none~0|'"),
        (ENCODER_DECODERS, encoder_decoder() | {"skip1": "yes"}, "skip1: got 'yes', expected one of add, none"),
        (UNETS, unet() | {"mid4_2": "res"}, "mid4_2: got 'res', expected one of att, none"),
    ],
)
def test_what_is_not_sound_is_said_with_its_place(family: Any, arch: Any, said: str) -> None:
    with pytest.raises(ArchitectureError) as error:
        family_of(arch)
    assert said in str(error.value) and family.owns(arch)


def test_idle_choices_of_a_stage_without_layers_change_nothing() -> None:
    one, other = encoder_decoder(decoder=0), encoder_decoder(decoder=0) | {"dec1_k": 7, "dec2_e": 6}
    assert ENCODER_DECODERS.check(one) == ENCODER_DECODERS.check(other)


@pytest.mark.parametrize(("kernel", "stride", "side"), [(5, 1, 4), (7, 1, 4), (7, 1, 6), (3, 2, 14), (3, 1, 4)])
def test_the_depthwise_convolution_and_its_gradients_are_torchs(kernel: int, stride: int, side: int) -> None:
    torch.manual_seed(0)
    layer = mbconv.DepthwiseConv(6, kernel, stride).double()
    x = torch.randn(10, 6, side, side, dtype=torch.double, requires_grad=True)
    plain = nn.functional.conv2d(x, layer.weight, None, stride, kernel // 2, groups=6)
    wanted = torch.autograd.grad(plain.square().sum(), [x, layer.weight])
    torch.set_default_dtype(torch.double)
    try:
        found = layer(x)
        got = torch.autograd.grad(found.square().sum(), [x, layer.weight])
    finally:
        torch.set_default_dtype(torch.float)
    torch.testing.assert_close(found, plain)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other)


class Known(nn.Module):
    """The velocity of one image, exactly: alpha * noise - sigma * image, where the noisy image gives the noise away."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = image

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        alpha, sigma = (part[:, None, None, None] for part in ((torch.pi / 2 * level).cos(), (torch.pi / 2 * level).sin()))
        noise = (x - alpha * self.image) / sigma
        return alpha * noise - sigma * self.image


class TestDiffusion:
    def test_the_image_whose_velocity_is_known_is_drawn(self) -> None:
        image = torch.rand(1, 1, 16, 16) * 2 - 1
        drawn = unets.sample(Known(image), torch.randn(3, 1, 16, 16), 20)
        torch.testing.assert_close(drawn, image.expand(3, -1, -1, -1), atol=1e-4, rtol=0)

    def test_the_known_velocity_has_no_loss(self) -> None:
        image = torch.rand(1, 1, 16, 16) * 2 - 1
        images, noise, level = image.expand(8, -1, -1, -1), torch.randn(8, 1, 16, 16), torch.rand(8) * 0.9 + 0.05
        assert float(unets.velocity_loss(Known(image), images, noise, level)) < 1e-8

    def test_a_block_that_is_there_starts_as_nothing_but_counts(self) -> None:
        torch.manual_seed(0)
        x, level = torch.randn(2, 32, 8, 8), torch.rand(2, unets.TIME_WIDTH)
        for block in (unets.Residual(32), unets.Attention(32)):
            change = (block(x, level) - x).flatten(2)
            torch.testing.assert_close(change, change[:, :, :1].expand_as(change))  # a bias at most
