"""What is handed out: the wheel holds the package and the app, nothing else; what is listed is what is used."""

import ast
import configparser
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

from autobuild_core import studio
from autobuild_core.version import VERSION
from tests import packed
from tests.packed import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PRODUCT = ("autobuild_core", "pages", "app.py", "sample_data")
OURS = {"autobuild_core", "pages", "sample_data", "tests"}
NEEDED_BY = {"networkx": "pyvis"}  # what nothing imports itself is there for another package, which asks for it
# What is no import: a file that would say something else without the package, and the words.
TOOLS = {
    "import-linter": ("Makefile", "$(BIN)/lint-imports"),
    "mypy": ("Makefile", "$(BIN)/mypy"),
    "pytest-cov": ("Makefile", "--cov"),
    "pytest-playwright": ("tests/conftest.py", "browser_type_launch_args"),
    "pytest-timeout": ("pyproject.toml", "\ntimeout = "),
    "pytest-xdist": ("Makefile", "--dist"),
    "ruff": ("Makefile", "$(BIN)/ruff"),
    "setuptools": ("setup.py", "from setuptools import"),
}


def imported(*places: str, root: Path = ROOT) -> set[str]:
    """Distributions that files, or all files below folders, import, late imports too."""
    files = [f for place in places for f in ([root / place] if place.endswith(".py") else (root / place).rglob("*.py"))]
    tops = set()
    for node in (n for file in files for n in ast.walk(ast.parse(file.read_text(encoding="utf-8")))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        tops |= {name.split(".")[0] for name in names}
    homes = importlib.metadata.packages_distributions()
    foreign = tops - sys.stdlib_module_names - OURS
    return {canonical(home) for top in foreign for home in homes.get(top, [top])}


def listed(requirements: list[str]) -> dict[str, Requirement]:
    """Requirements by name."""
    return {canonical(Requirement(line).name): Requirement(line) for line in requirements}


def locked(name: str) -> dict[str, Requirement]:
    """What a lock file pins itself."""
    lines = (ROOT / name).read_text().splitlines()
    return listed([line for line in lines if line and not line.startswith(("#", "-r "))])


RUN, DEV = listed(PROJECT["dependencies"]), listed(PROJECT["optional-dependencies"]["dev"])
SUITES, SCALE = listed(PROJECT["optional-dependencies"]["testing"]), listed(PROJECT["optional-dependencies"]["scale"])


def test_what_the_product_imports_is_listed_and_what_is_listed_is_imported() -> None:
    assert imported(*PRODUCT) == set(RUN) - set(NEEDED_BY) | set(SUITES) | set(SCALE)
    assert SUITES.items() <= DEV.items()


def test_what_is_listed_for_another_package_is_asked_for_by_it() -> None:
    for name, other in NEEDED_BY.items():
        assert name in listed(importlib.metadata.requires(other) or []) and other in RUN


def test_what_tests_import_is_listed_and_the_rest_of_the_list_is_tools() -> None:
    assert imported("tests") - set(RUN) == set(DEV) - set(TOOLS)
    for file, words in TOOLS.values():
        assert words in (ROOT / file).read_text()


def test_planted_imports_are_found(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "late.py").write_text("def f():\n    from PIL import Image\n    import sklearn.svm\n")
    (tmp_path / "unknown.py").write_text("import nowhere_to_be_found, json, pages\nfrom . import neighbour\n")
    assert imported("sub", root=tmp_path) == {"pillow", "scikit-learn"}
    assert imported("unknown.py", root=tmp_path) == {"nowhere-to-be-found"}


@pytest.mark.parametrize(
    ("lock", "ranges"), [("requirements.txt", RUN), ("requirements-dev.txt", DEV), ("requirements-scale.txt", SCALE)]
)
def test_the_lock_pins_what_is_listed_within_its_range(lock: str, ranges: dict[str, Requirement]) -> None:
    pins = locked(lock)
    assert set(pins) == set(ranges)
    for name, pin in pins.items():
        ((operator, version),) = [(s.operator, s.version) for s in pin.specifier]
        assert operator == "==" and ranges[name].specifier.contains(version)
        assert pin.specifier.contains(importlib.metadata.version(name))  # what these tests ran with


def test_every_dependency_of_the_product_has_both_ends() -> None:
    assert all({">=", "<"} == {s.operator for s in found.specifier} for found in (RUN | SCALE).values())


class TestWheel:
    def test_it_holds_the_package_and_the_app_and_nothing_else(self) -> None:
        package = (ROOT / "autobuild_core").rglob("*")
        wanted = [path.relative_to(ROOT) for path in package if path.is_file() and "__pycache__" not in path.parts]
        below = [ROOT / "app.py", ROOT / ".streamlit" / "config.toml", ROOT / "sample_data" / "fashion_mbconv" / "PROVENANCE.md"]
        below += [ROOT / "sample_data" / "fashion_mbconv" / "fashion_mbconv.csv", *(ROOT / "sample_data" / "run").iterdir()]
        below += (ROOT / "sample_data").glob("*/run/*")
        below += [p for p in (ROOT / "pages").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
        wanted += [Path("autobuild_core", "_app", path.relative_to(ROOT)) for path in below]
        with zipfile.ZipFile(packed.wheel()) as file:
            held = [name for name in file.namelist() if ".dist-info/" not in name]
        assert sorted(held) == sorted(str(path) for path in wanted)
        assert {"autobuild_core/py.typed", "autobuild_core/review/page.css"} <= set(held)

    def test_its_description(self) -> None:
        about = f"autobuild_studio-{VERSION}.dist-info"
        with zipfile.ZipFile(packed.wheel()) as file:
            said = file.read(f"{about}/METADATA").decode()
            commands = configparser.ConfigParser()
            commands.read_string(file.read(f"{about}/entry_points.txt").decode())
            assert "AutoBuild Studio contributors" in file.read(f"{about}/licenses/LICENSE").decode()
        assert re.search("^License-Expression: MIT$", said, re.MULTILINE)
        asked = listed(re.findall("^Requires-Dist: (.*)$", said, re.MULTILINE))
        assert set(asked) == set(RUN) | set(DEV) | set(SCALE)
        assert dict(commands["console_scripts"]) == {"autobuild-studio": "autobuild_core.studio:main"}

    def test_installed_it_reads_its_own_sample_anywhere(self, tmp_path: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(packed.installed())}
        sample = packed.installed() / "autobuild_core" / "_app" / "sample_data" / "fashion_mbconv" / "fashion_mbconv.csv"
        command = [sys.executable, "-m", "autobuild_core", "inspect", str(sample)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and '"num_accepted": 304' in done.stdout, done.stderr
        code = "import autobuild_core as ab, sys; from autobuild_core.registry import APP; sys.stdout.write(str(APP))"
        said = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert said.stdout == str(packed.installed() / "autobuild_core" / "_app")


class TestCommand:
    def test_it_runs_the_app_on_this_machine_alone(self) -> None:
        words = studio.command([])
        assert words[:4] == [sys.executable, "-m", "streamlit", "run"] and words[4] == str(ROOT / "app.py")
        assert words[5:] == ["--server.address", "127.0.0.1", "--server.port", "8501"]

    def test_what_it_does_not_know_goes_to_the_server(self) -> None:
        words = studio.command(["--port", "9000", "--address", "0.0.0.0", "--server.headless", "true"])
        assert words[5:] == ["--server.address", "0.0.0.0", "--server.port", "9000", "--server.headless", "true"]

    def test_its_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            studio.command(["--version"])
        assert capsys.readouterr().out == f"AutoBuild Studio {VERSION}\n"
