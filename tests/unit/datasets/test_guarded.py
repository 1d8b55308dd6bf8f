"""The guarded reader: the same table as in-process, and every bound a clear sentence."""

from pathlib import Path

import numpy as np
import psutil
import pytest

from autobuild_core.datasets import read_table
from autobuild_core.datasets._guarded import read_guarded
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.spaces import space_named

TEXT = "b0_k,b0_l,acc\n3,1,0.5\n5,2,0.6\n3,oops,0.7\n5,1,\n"


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    path = tmp_path / "upload.csv"
    path.write_text(TEXT)
    return path


def test_it_hands_over_the_whole_table(upload: Path) -> None:
    inside, guarded = read_table(upload), read_guarded(upload)
    assert guarded.spec == inside.spec and guarded.rejected == inside.rejected and guarded.notes == inside.notes
    assert (guarded.num_read, guarded.format) == (4, "csv_table")
    assert np.array_equal(guarded.codes, inside.codes) and np.array_equal(guarded.networks, inside.networks)
    assert np.array_equal(guarded.source_rows, inside.source_rows)
    assert np.array_equal(guarded.metrics.to_numpy(), inside.metrics.to_numpy(), equal_nan=True)


def test_format_and_space_reach_the_reader(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text('{"arch": "02012100"}\n{"arch": "9"}\n')
    table = read_guarded(path, "json_lines", space_named("ofa_mbv3").spec)
    assert (len(table), table.num_read, len(table.rejected), table.spec.name) == (0, 2, 2, "ofa_mbv3")
    with pytest.raises(ConfigError, match="got 'excel', expected one of"):
        read_guarded(path, "excel")


def test_its_errors_are_those_of_reading(tmp_path: Path) -> None:
    path = tmp_path / "photo.csv"
    path.write_bytes(b"\x89PNG\0\0")
    with pytest.raises(DataError, match=r"photo\.csv: got a PNG image: expected a table of results"):
        read_guarded(path)


def test_too_large_is_said(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_text('{"02012100": {"a": [' + "1," * 5_000_000 + "1]}}")
    with pytest.raises(DataError, match=r"large\.json: needs more than 20 MiB to read"):
        read_guarded(path, max_bytes=20 * 2**20)


def test_too_slow_is_said_and_ended(upload: Path) -> None:
    before = set(psutil.Process().children())
    with pytest.raises(DataError, match=r"upload\.csv: got no result within 0\.05 s"):
        read_guarded(upload, max_seconds=0.05)
    assert set(psutil.Process().children()) <= before
