"""Checks that every format must pass."""

import contextlib
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autobuild_core import registry
from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import Dataset, Fit, load_format, read_table, recognise
from autobuild_core.errors import DataError
from autobuild_core.spaces import load_space

UNHURRIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)


def check_table(table: ArchTable) -> None:
    """Every row is either in the table or refused, and codes lie in the space."""
    rows = [*table.source_rows.tolist(), *(rejection.row for rejection in table.rejected)]
    assert sorted(rows) == list(range(table.num_read))
    assert table.source_rows.tolist() == sorted(table.source_rows.tolist())
    assert len(table.codes) == len(table.networks) == len(table.metrics) == len(table.source_rows)
    assert table.codes.dtype == np.int16 and table.networks.dtype == np.uint64 and table.source_rows.dtype == np.int64
    assert all(dtype == np.float64 for dtype in table.metrics.dtypes)
    assert not np.isinf(table.metrics.to_numpy()).any()
    assert all(str(metric).isidentifier() for metric in table.metrics)
    assert all(rejection.reason for rejection in table.rejected)
    space = load_space(table.spec)
    for row in table.codes:
        space.check(row.tolist())


class DatasetSuite:
    """Checks of a format, found by its name, on its own `example`, on damaged examples and on garbage.

    Derive a class and say which format:

        class TestMine(DatasetSuite):
            @pytest.fixture
            def name(self) -> str:
                return "mine"
    """

    @pytest.fixture
    def name(self) -> str:
        """Name of the format."""
        raise NotImplementedError

    @pytest.fixture
    def dataset(self, name: str) -> Dataset:
        """The format."""
        return load_format(name)

    @pytest.fixture
    def path(self, tmp_path: Path, dataset: Dataset) -> Path:
        """Its example as a file."""
        file = tmp_path / "example"
        file.write_bytes(dataset.example)
        return file

    def test_its_example_is_read_whole(self, name: str, dataset: Dataset, path: Path) -> None:
        table = read_table(path, name)
        check_table(table)
        assert len(table) == table.num_read >= 2 and table.format == name and len(table.metrics.columns)
        assert np.array_equal(table.networks, load_space(table.spec).hash_networks(table.codes))
        assert dataset.title and dataset.about

    def test_it_is_the_surest_of_its_example(self, name: str, dataset: Dataset, path: Path) -> None:
        assert recognise(path) == name
        fits = {n: load_format(n).supports(dataset.example, "x") for n in registry.names("datasets")}
        own = fits.pop(name)
        assert 0 < own.sure <= 1 and all(own.sure > fit.sure >= 0 for fit in fits.values())
        assert all(5 < len(fit.why) < 200 for fit in (own, *fits.values()))

    def test_gzipped_is_the_same(self, dataset: Dataset, path: Path, tmp_path: Path) -> None:
        packed = tmp_path / "example.gz"
        packed.write_bytes(gzip.compress(dataset.example, mtime=0))
        plain, again = read_table(path), read_table(packed)
        assert np.array_equal(plain.codes, again.codes) and plain.metrics.equals(again.metrics) and plain.spec == again.spec

    def test_a_given_space_is_kept_and_gives_the_same_codes(self, dataset: Dataset, path: Path) -> None:
        inferred = read_table(path)
        table = read_table(path, space=inferred.spec)
        assert table.spec == inferred.spec and np.array_equal(table.codes, inferred.codes)

    def test_its_architectures_survive_as_json_lines(self, dataset: Dataset, path: Path, tmp_path: Path) -> None:
        table = read_table(path)
        space = load_space(table.spec)
        written = tmp_path / "again"
        written.write_text("".join(json.dumps({"arch": space.native(row)}) + "\n" for row in table.codes))
        again = read_table(written, space=table.spec)
        assert np.array_equal(again.codes, table.codes) and np.array_equal(again.networks, table.networks)

    @FUZZ
    @given(data=st.data())
    def test_damage_is_refused_without_a_traceback(
        self, name: str, dataset: Dataset, tmp_path: Path, data: st.DataObject
    ) -> None:
        content = load_format(name).example
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 12)))
        piece = data.draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"{", b"]", b",", b"\n", b"1e999", b"-", b"null", b"\0", b"9" * 400])
        )
        file = tmp_path / "damaged"
        file.write_bytes(content[:start] + piece + content[end:])
        for format in (None, name):
            refused = ""
            try:
                check_table(read_table(file, format))
            except DataError as error:
                refused = str(error)
            assert len(refused) < 1200

    @FUZZ
    @given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
    def test_garbage_is_refused_without_a_traceback(self, name: str, dataset: Dataset, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "garbage"
        file.write_bytes(content)
        with contextlib.suppress(DataError):
            check_table(read_table(file, name))
        assert isinstance(dataset.supports(content, "x"), Fit)
