"""Records: specs survive JSON, tables count duplicates and take rows."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, ArchTable, Rejection, SpaceSpec, UnitSpec


@pytest.fixture
def spec() -> SpaceSpec:
    units = (UnitSpec("U1", (0, 1), (1, 2), (0, 1)), UnitSpec("U2", (2,), (1,), (1,), tied=True))
    return SpaceSpec("toy", "Toy", ("U1.L1", "U1.L2", "U2"), ("a", "b"), units, {"kernel": ("3", "5")}, {"resolution": 64})


@pytest.fixture
def table(spec: SpaceSpec) -> ArchTable:
    codes = np.array([[0, ABSENT, 1], [0, 1, 1], [0, ABSENT, 1]], np.int16)
    metrics = pd.DataFrame({"acc": [0.5, 0.6, np.nan]})
    rows = np.array([0, 2, 3], np.int64)
    return ArchTable(spec, codes, np.array([7, 8, 7], np.uint64), metrics, rows, "toy", 4, (Rejection(1, "why"),), ("note",))


def test_spec_survives_json(spec: SpaceSpec) -> None:
    again = SpaceSpec.from_json(spec.to_json())
    assert again == spec
    assert isinstance(again.units[0].positions, tuple) and again.units[1].tied


def test_spec_knows_its_shape(spec: SpaceSpec) -> None:
    assert spec.num_positions == 3
    assert not spec.fixed_depth
    assert [spec.unit_of(p) for p in range(3)] == [0, 0, 1]
    fixed = dataclasses.replace(spec, units=(UnitSpec("U1", (0, 1), (2,), (0, 1)), spec.units[1]))
    assert fixed.fixed_depth


def test_duplicates_are_later_rows_of_a_known_network(table: ArchTable) -> None:
    assert len(table) == 3
    assert table.num_duplicates == 1


@pytest.mark.parametrize("index", [np.array([False, True, True]), np.array([1, 2])])
def test_take_keeps_the_report(table: ArchTable, index: np.ndarray) -> None:
    taken = table.take(index)
    assert taken.codes.tolist() == [[0, 1, 1], [0, ABSENT, 1]]
    assert taken.source_rows.tolist() == [2, 3]
    assert taken.networks.tolist() == [8, 7]
    assert taken.metrics.index.tolist() == [0, 1] and taken.metrics["acc"][0] == 0.6
    assert (taken.num_read, taken.rejected, taken.notes) == (4, (Rejection(1, "why"),), ("note",))


def test_a_module_is_scored_at_the_hop_before_its_length() -> None:
    group = ModuleGroup((0, 1, 2), np.zeros((5, 3), np.int16))
    assert (len(group), group.hop) == (5, 2)
