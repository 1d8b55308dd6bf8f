"""Networks in the form of the published net_340M.config: read, costed, refused with the place of what is wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from autobuild_core.errors import ArchitectureError, DataError
from autobuild_core.evaluators import load_evaluator
from autobuild_core.spaces._cells import REFERENCE, Cell, mbconv
from autobuild_core.spaces._network_file import NetworkFile
from autobuild_core.spaces._skeletons import SKELETONS
from tests.architectures import published_network

ARCH = published_network([REFERENCE[0], mbconv(5, 3), None])


def test_its_blocks_are_cells_inverted_residual_layers_or_left_out() -> None:
    network = NetworkFile.read(ARCH)
    assert len(network.blocks) == 22 and network.stem == (3, 32, 3, 2) and network.mix_width == 1280
    assert network.blocks[0].cell == mbconv(3, 1), "the fixed first block has no expansion"
    assert network.blocks[1].cell == REFERENCE[0] and network.blocks[2].cell == mbconv(5, 3) and network.blocks[3].cell is None
    assert [block.place.side for block in network.blocks][:3] == [112, 112, 56] and network.blocks[-1].place.side == 7
    assert network.blocks[2].shortcut and not network.blocks[1].shortcut and network.num_with_se == 0


def test_all_reference_blocks_cost_what_the_skeleton_of_the_space_says() -> None:
    """The skeleton's 11 layers are the file's 21 blocks: first and rest of five stages, and the last."""
    for cell in (*REFERENCE, Cell((5, 3, 2, 1, 1, 5), 1)):
        assert NetworkFile.read(published_network([cell])).cost == SKELETONS["published"].cost((cell,) * 11)


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The network with a change of its own copy."""
    arch = published_network([REFERENCE[0], mbconv(5, 3), None])
    change(arch)
    return arch


def layer(arch: dict[str, Any], number: int) -> dict[str, Any]:
    """The layer of a block, from 1."""
    found: dict[str, Any] = arch["blocks"][number - 1]["mobile_inverted_conv"]
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda arch: arch.pop("classifier"), "network, classifier: got None, expected an object"),
        (lambda arch: arch["first_conv"].update(stride=0), "first_conv, stride: got 0"),
        (lambda arch: layer(arch, 2).update(in_channels=8), "block 2: got 8 channels of input, expected the 16 that reach it"),
        (lambda arch: layer(arch, 2).update(build_graph="[[0]]"), "block 2, cell: got [[0]], expected a list of 4 lists"),
        (lambda arch: layer(arch, 2).update(dim_conv_idx=0), "block 2: got dim_conv_idx 0, expected 2 as the graph has it"),
        (lambda arch: layer(arch, 3).update(kernel_size=4), "block 3: got kernel 4 and expansion 3"),
        (lambda arch: layer(arch, 3).update(stride=2), "block 3: got a shortcut from 24 to 24 channels at stride 2"),
        (lambda arch: arch["blocks"][3].update(shortcut=None), "block 4: got a ZeroLayer without a shortcut"),
        (lambda arch: arch["blocks"].__setitem__(4, 7), "block 5, mobile_inverted_conv: got None"),
    ],
)
def test_a_faulty_network_is_refused_with_its_place(change: Callable[[dict[str, Any]], None], said: str) -> None:
    with pytest.raises(DataError) as caught:
        NetworkFile.read(changed(change))
    assert said in str(caught.value)
    with pytest.raises(ArchitectureError):
        load_evaluator("cost").check(changed(change))


@pytest.mark.parametrize("raw", [7, {}, {"blocks": [], "first_conv": {}}, {"first_conv": {}}])
def test_what_is_no_network(raw: Any) -> None:
    with pytest.raises(DataError, match="expected an object with first_conv, blocks and classifier"):
        NetworkFile.read(raw)
