"""Puts the app into the wheel. All else about the package is said in pyproject.toml.

app.py, pages/ and sample_data/ stand beside the package, where `streamlit run app.py` wants them. In a wheel they stand
below it, in `autobuild_core/_app/`, so that nothing called "pages" lands among other projects' packages; `registry.APP`
finds them in both places.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

APP = (
    "app.py",
    ".streamlit/config.toml",
    "pages/**/*",
    "sample_data/fashion_mbconv/PROVENANCE.md",
    "sample_data/fashion_mbconv/fashion_mbconv.csv",
    "sample_data/run/*",
    "sample_data/*/run/*",
)


class BuildWithApp(build_py):  # type: ignore[misc]
    """Copies the app beside the package's own files."""

    def _app(self) -> dict[str, str]:
        """Each file of the app -> where it is built."""
        found = sorted(path for pattern in APP for path in Path().glob(pattern))
        files = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
        return {str(path): str(Path(self.build_lib, "autobuild_core", "_app", path)) for path in files}

    def run(self) -> None:
        """Builds; an editable installation finds the app where it stands."""
        super().run()
        if self.editable_mode:
            return
        for source, target in self._app().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target)

    def get_source_files(self) -> list[str]:
        """What a source distribution holds, to build a wheel from."""
        return [*super().get_source_files(), *self._app()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What was built."""
        return [*super().get_outputs(include_bytecode), *([] if self.editable_mode else self._app().values())]


setup(cmdclass={"build_py": BuildWithApp})
