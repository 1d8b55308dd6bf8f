"""What every format must do; a new file in datasets/ is tested by itself through its `example`."""

import functools
import importlib
import inspect
import sys
from pathlib import Path

import pytest

from autobuild_core import registry
from autobuild_core.datasets import load_format, read_table, recognise
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


FAULTS = [
    ("test_its_example_is_read_whole", "pairs of a name and a value", ""),
    ("test_it_is_the_surest_of_its_example", "Fit(0.95", "Fit(0.01"),
    ("test_it_is_the_surest_of_its_example", "begins with kernel or not", ""),
    ("test_garbage_is_refused_without_a_traceback", 'DataError("', 'ValueError("'),
]


@pytest.mark.parametrize(("check", "sound", "faulty"), FAULTS)
def test_the_suite_finds_a_planted_fault(
    check: str, sound: str, faulty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sound in NEW_FORMAT
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "yaml_like.py").write_text(NEW_FORMAT.replace(sound, faulty))
    folder = importlib.import_module("autobuild_core.datasets")
    monkeypatch.setattr(folder, "__path__", [*folder.__path__])
    monkeypatch.setitem(sys.modules, "autobuild_core.datasets.yaml_like", None)
    monkeypatch.delitem(sys.modules, "autobuild_core.datasets.yaml_like")
    monkeypatch.setenv(registry.EXTENSIONS, str(tmp_path))
    dataset, path = load_format("yaml_like"), tmp_path / "example"
    path.write_bytes(dataset.example)
    asked = {"name": "yaml_like", "dataset": dataset, "path": path, "tmp_path": tmp_path}
    run = getattr(DatasetSuite(), check)
    run = functools.partial(run.hypothesis.inner_test, DatasetSuite(), content=b"x") if hasattr(run, "hypothesis") else run
    wanted = inspect.signature(run).parameters
    with pytest.raises((AssertionError, TypeError)):
        run(**{key: value for key, value in asked.items() if key in wanted and key != "content"})


NEW_FORMAT = """
from autobuild_core.datasets import Dataset, Fit
from autobuild_core.datasets._files import byte_lines
from autobuild_core.datasets._intake import assemble
from autobuild_core.datasets._rows import collect_objects
from autobuild_core.errors import DataError


def read_line(line):
    pairs = [pair.strip().split(": ") for pair in line.decode(errors="replace").split(",")]
    return dict(pairs) if all(len(pair) == 2 for pair in pairs) else DataError("got a line without pairs, expected some.")


class YamlLike(Dataset):
    title, about = "Made-up lines", "pairs of a name and a value"
    example = b"kernel: 3, acc: 0.7\\nkernel: 5, acc: 0.8\\nkernel: 3, acc: 0.6\\n"

    def supports(self, head, name):
        return Fit(0.95 if head.startswith(b"kernel: ") else 0, "begins with kernel or not")

    def read(self, path, request):
        def rows():
            return (read_line(line) for line in byte_lines(path) if line.strip())

        return assemble(collect_objects(rows, request), request)
"""
