"""Spaces of cells: files of the published form, learned spaces, and the data that networks of cells make."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autobuild_core import api
from autobuild_core.architectures.records import SpaceSpec
from autobuild_core.errors import ArchitectureError, DataError
from autobuild_core.search.searching import read_space
from autobuild_core.spaces import Space, known_space, load_space, space_named
from autobuild_core.spaces._cells import PUBLISHED, REFERENCE, SUPPORTS, Cell, Support, mbconv
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._skeletons import SKELETONS
from autobuild_core.spaces.autospace import spec_of
from autobuild_core.testing.spaces import SpaceSuite
from tests.architectures import cell_network

PAIRS = SKELETONS["pairs"]


def lists(skeleton: str = "pairs", madds_m: float | None = 0.6, support: Support = PUBLISHED, num: int = 6) -> CellLists:
    """A space of the published form: random cells, mix bits among them, and the reference cells at the end of every layer."""
    cells, rng = list(support.cells()), np.random.default_rng(0)
    layers = [
        (*(cells[index] for index in rng.choice(len(cells), num, replace=False)), *REFERENCE) for _ in SKELETONS[skeleton].widths
    ]
    return CellLists(tuple(layers), SKELETONS[skeleton], madds_m)


def published(tmp_path: Path) -> Path:
    """A file as AutoSpace published one: 11 layers of 9 cells, one of them with a cell twice."""
    space = lists(skeleton="published", madds_m=None)
    blocks = [[cell.written for cell in own] for own in space.layers]
    blocks[3][1] = blocks[3][0]
    path = tmp_path / "search_space.config"
    path.write_text(json.dumps({"name": "SuperProxylessNASNets", "blocks": blocks}), encoding="utf-8")
    return path


class TestLearnedSpace(SpaceSuite):
    @pytest.fixture
    def space(self) -> Space:
        return load_space(spec_of(lists()))


def test_a_published_file_is_a_space(tmp_path: Path) -> None:
    space = read_space(str(published(tmp_path)))
    assert [len(unit.tokens) for unit in space.spec.units] == [9, 9, 9, 8, 9, 9, 9, 9, 9, 9, 9]
    assert space.spec.position_labels == tuple(f"L{n}" for n in range(1, 12))
    native = space.native(space.sample(1, np.random.default_rng(0))[0])
    assert native["skeleton"] == "published" and native["madds_m"] is None
    cost = api.evaluate([native], "cost", tmp_path / "cost.jsonl")
    assert 200 < cost["madds_m"][0] < 2000, "a network of ImageNet's size"


def test_a_file_is_written_in_the_form_in_which_it_is_read() -> None:
    space = lists()
    assert CellLists.read(json.loads(json.dumps(space.written))) == space
    assert space.written["name"] == "SuperProxylessNASNets" and space.written["blocks"][0][-3:] == [c.written for c in REFERENCE]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blocks": "none"}, "expected an object with blocks"),
        ({"blocks": [[[[0] * 4] * 4]]}, "layer 1, cell 1: cell, row 1, column 3: got 0, expected two feature-mix bits"),
        ({"blocks": [[REFERENCE[0].written]] * 3}, "got 3 layers, expected 5 as its skeleton has"),
        ({"blocks": [[]] * 5}, "layer 1: got no cell"),
        ({"madds_m": -1}, "madds_m: got -1"),
        ({"skeleton": "large"}, "skeleton: got 'large'"),
        ({"version": 99}, "got a file of version 99, expected 1, or none"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        CellLists.read(lists().written | change)
    assert said in str(caught.value)


def test_a_file_without_a_skeleton_has_the_published_one() -> None:
    raw = lists().written
    del raw["skeleton"]
    with pytest.raises(DataError, match="got 5 layers and no skeleton, expected 11, those of the published one"):
        CellLists.read(raw)


def test_a_token_is_a_network() -> None:
    """Cells that are one network are one token, and its attributes are the operations of its representative."""
    one, other = Cell((5, 3, 1, 1, 2, 5), 1), Cell((3, 5, 1, 1, 5, 2), 1)
    layer = (one, other, mbconv(3, 6))
    space = load_space(spec_of(CellLists((layer,) * 5, PAIRS, 0.6)))
    assert len(space.spec.units[1].tokens) == 2
    rows = [space.parse(cell_network(cell)) for cell in (one, other)]
    assert rows[0] == rows[1]
    token = rows[0][0]
    written = Cell.read(space.native(np.array(rows[0], np.int16))["cells"][0])
    assert space.spec.attributes["expansion"][token] == "3" and space.spec.numbers["expansion"] == (0.0, 1.0)
    operations = {"none": 1, "skip": 2, "conv 1x1": 3, "dw 3x3": 5}
    edges = ("0>1", "0>2", "1>2", "0>3", "1>3", "2>3")
    assert tuple(operations[space.spec.attributes[edge][token]] for edge in edges) == written.operations


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"skeleton": "published"}, "skeleton: got published, expected pairs as the space has"),
        ({"madds_m": 0.3}, "madds_m: got 0.3, expected 0.6 as the space has"),
        ({"cells": [REFERENCE[0].text] * 4}, "got 4 cells, expected 5, one a layer"),
        ({"cells": [REFERENCE[0].text] * 4 + [mbconv(7, 1).text]}, "L5: got the cell e1_7|-s|--s, expected one of the 9 cells"),
        ({"cells": [REFERENCE[0].text] * 4 + ["[]"]}, "L5, cell: got [], expected a list"),
        ({"cells": None}, "expected an object with skeleton, madds_m and cells"),
    ],
)
def test_what_is_not_in_a_space_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ArchitectureError) as caught:
        load_space(spec_of(lists())).parse(cell_network(*REFERENCE) | change)
    assert said in str(caught.value)


def test_without_a_file_a_network_is_of_the_space_of_all_published_cells() -> None:
    own = known_space(cell_network(*REFERENCE, madds_m=0.9))
    assert own is not None and own.spec.options["madds_m"] == 0.9
    assert [len(unit.tokens) for unit in own.spec.units] == [1062, 813, 813, 1062, 813]
    wide = known_space(cell_network(mbconv(7, 6)))
    assert wide is not None and len(wide.spec.units[0].tokens) > 1062, "a kernel of the published network, not of its space"
    assert known_space(cell_network(Cell((5, 1, 5, 1, 1, 9), 2))) is None, "a 7x7 where none was observed"
    assert space_named("autospace").spec == known_space(cell_network(*REFERENCE)).spec  # type: ignore[union-attr]


def test_networks_with_wider_kernels_are_data(tmp_path: Path) -> None:
    """Where more of the first networks have such a kernel than lie in the published space without, all are read as wide."""
    path, narrow, wide = tmp_path / "measured.jsonl", cell_network(*REFERENCE), cell_network(mbconv(5, 6))
    for archs, tokens, refused in (([narrow, wide], 1860, 0), ([narrow, narrow], 1062, 0), ([wide], 1860, 0)):
        lines = [json.dumps({"arch": arch, "recall_at_2_pct": 60 + n / 10}) for n, arch in enumerate(archs)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        table = api.read(path)
        assert (table.spec.name, len(table.spec.tokens), table.num_rejected) == ("autospace", tokens, refused)


def test_measured_networks_are_data(tmp_path: Path) -> None:
    """Lines of results are read with the learned space, or without a file with the space of all cells; the rate is context."""
    plain = lists(support=SUPPORTS["published"])
    learned, rng = load_space(spec_of(plain)), np.random.default_rng(0)
    archs = [learned.native(row) | {"max_lr": [0.003, 0.006][n % 2]} for n, row in enumerate(learned.sample(24, rng))]
    path = tmp_path / "measured.jsonl"
    lines = [json.dumps({"arch": arch, "seed": 0, "recall_at_2_pct": 60 + n / 10}) for n, arch in enumerate(archs)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    space = tmp_path / "learned.json"
    space.write_text(json.dumps(plain.written), encoding="utf-8")
    for given in (str(space), None):
        table = api.read(path, space=given)
        assert len(table) == 24 and table.num_rejected == 0 and table.context_kinds["max_lr"] == "setting"
        assert table.spec.name == "autospace" and table.metrics["recall_at_2_pct"].iloc[-1] == 62.3
    assert SpaceSpec.from_json(table.spec.to_json()) == table.spec
