"""Registry: lists folders without importing, loads exactly the extension."""

import subprocess
import sys
from pathlib import Path

import pytest

from autobuild_core import registry
from autobuild_core.architectures.topologies import FOLDER, Topology
from autobuild_core.datasets import Dataset
from autobuild_core.errors import ConfigError
from autobuild_core.spaces import Space

ROOT = Path(registry.PACKAGE).parent


def test_names_are_files_without_underscore() -> None:
    assert set(registry.names("spaces")) >= {"flat", "nas_bench_macro", "ofa_mbv3"}
    assert set(registry.names("datasets")) >= {"csv_table", "json_lines", "json_table", "parquet"}
    assert not any(name.startswith("_") for name in registry.names("datasets"))


def test_listing_imports_no_extension() -> None:
    code = "import sys; from autobuild_core import registry; registry.names('spaces'); print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


def test_load_gives_the_one_class_of_the_file() -> None:
    assert registry.load("spaces", "flat", Space).__name__ == "Flat"  # type: ignore[type-abstract]
    assert registry.load("datasets", "csv_table", Dataset).__name__ == "CsvTable"  # type: ignore[type-abstract]


def test_unknown_name_says_which_exist() -> None:
    with pytest.raises(ConfigError, match=r"spaces: got 'mars', expected one of .*flat.*ofa_mbv3"):
        registry.load("spaces", "mars", Space)  # type: ignore[type-abstract]


@pytest.mark.parametrize(("source", "num"), [("", 0), ("class A(B): ...\nclass C(B): ...", 2)])
def test_a_file_without_exactly_one_extension_is_refused(
    source: str, num: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"faulty_{num}"
    (tmp_path / f"{name}.py").write_text(f"from autobuild_core.spaces import Space as B\n{source}\n")
    monkeypatch.setattr("autobuild_core.spaces.__path__", [str(tmp_path)])
    monkeypatch.setattr(registry, "names", lambda folder: (name,))
    with pytest.raises(ConfigError, match=rf"got {num} subclasses of Space, expected exactly one"):
        registry.load("spaces", name, Space)  # type: ignore[type-abstract]


def test_a_folder_below_a_room_holds_extensions_too() -> None:
    assert set(registry.names(FOLDER)) == {"cell", "chain", "loose_set"}
    assert registry.load(FOLDER, "cell", Topology).__name__ == "Cell"  # type: ignore[type-abstract]
