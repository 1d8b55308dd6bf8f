"""The wheel, built and installed once for all files of a test session, apart from the repository."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests import kept

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "app.py", "autobuild_core", "pages", "sample_data", ".streamlit")
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def _build(place: Path) -> None:
    sources, wheels = place / "sources", place / "wheels"
    sources.mkdir(parents=True)
    for name in SOURCES:  # a copy: setuptools leaves its own files beside what it builds
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, sources / name)
    # As `pip wheel .` does it, by the setuptools that is installed here: no test asks a package index.
    command = [*PIP, "wheel", str(sources), "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(wheels)]
    subprocess.run(command, check=True, capture_output=True)
    found = next(wheels.glob("*.whl"))
    installed = place / "installed"
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(installed), str(found)], check=True)


def wheel() -> Path:
    """The wheel."""
    return next((kept.once("wheel", _build) / "wheels").glob("*.whl"))


def installed() -> Path:
    """The folder that the wheel was installed into; what it needs is that of this very interpreter."""
    return kept.once("wheel", _build) / "installed"
