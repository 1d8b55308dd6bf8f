"""What every format must do; a new file in datasets/ is tested by itself through its `example`."""

import importlib
import sys
from pathlib import Path

import pytest

from autobuild_core import registry
from autobuild_core.datasets import read_table, recognise
from autobuild_core.testing.datasets import DatasetSuite


class TestFormats(DatasetSuite):
    @pytest.fixture(params=registry.names("datasets"))
    def name(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


def test_a_format_in_a_new_file_is_found_and_excludes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth format is one file: nobody else knows it, and it reads what it is surest of."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "yaml_like.py").write_text(NEW_FORMAT)
    folder = importlib.import_module("autobuild_core.datasets")
    monkeypatch.setattr(folder, "__path__", [*folder.__path__])
    before = registry.names("datasets")
    monkeypatch.setenv(registry.EXTENSIONS, str(tmp_path))
    try:
        assert set(registry.names("datasets")) == {*before, "yaml_like"}
        file = tmp_path / "upload"
        file.write_text("kernel: 3, acc: 0.7\nkernel: 5, acc: 0.8\nkernel: 3, acc: 0.6\nkernel: 5, acc: 0.9\n")
        assert recognise(file) == "yaml_like" and read_table(file).metrics["acc"].tolist() == [0.7, 0.8, 0.6, 0.9]
    finally:
        sys.modules.pop("autobuild_core.datasets.yaml_like", None)


NEW_FORMAT = """
from autobuild_core.datasets import Dataset, Fit
from autobuild_core.datasets._files import text_lines
from autobuild_core.datasets._intake import assemble
from autobuild_core.datasets._rows import collect_objects


class YamlLike(Dataset):
    title, about, example = "Made-up lines", "pairs of a name and a value", b"kernel: 3, acc: 0.7"

    def supports(self, head, name):
        return Fit(0.95 if head.startswith(b"kernel: ") else 0, "begins with kernel or not")

    def read(self, path, request):
        def rows():
            for line in text_lines(path):
                yield dict(pair.strip().split(": ") for pair in line.split(","))
        return assemble(collect_objects(rows, request), request)
"""
