"""File name = extension name: lists an extension folder without importing it, loads a file on demand.

An extension is one file with one final class, the only subclass of the folder's base that it defines. Where one grows, a folder
of its name with an __init__.py does as well. The environment variable AUTOBUILD_EXTENSIONS names further places, laid out as this
package is: PLACE/jobs/kinds/mine.py is a kind of job.
"""

import importlib
import os
import pkgutil
from functools import cache
from pathlib import Path
from typing import TypeVar

from autobuild_core.errors import ConfigError

T = TypeVar("T")
PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # a process that is started here imports the package
EXTENSIONS = "AUTOBUILD_EXTENSIONS"


def own_places() -> tuple[Path, ...]:
    """Folders of a user's own extensions."""
    return tuple(Path(place).resolve() for place in os.environ.get(EXTENSIONS, "").split(os.pathsep) if place)


def names(folder: str) -> tuple[str, ...]:
    """Names of the extensions in a folder of the package ("spaces", "jobs/kinds", ...), sorted; imports nothing."""
    return _names(tuple(str(place / folder) for place in (PACKAGE, *own_places())))


@cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    found = pkgutil.iter_modules(folders)
    return tuple(sorted({m.name for m in found if not m.name.startswith("_")}))


def load(folder: str, name: str, base: type[T]) -> type[T]:
    """The extension class of a file.

    Args:
        folder: folder below autobuild_core, e.g. "spaces" or "jobs/kinds".
        name: file name without suffix.
        base: the abstract base that the class derives from.

    Raises:
        ConfigError: there is no such extension.
    """
    if name not in names(folder):
        raise ConfigError(f"{folder}: got '{name}', expected one of {', '.join(names(folder))}.")
    package = f"autobuild_core.{folder.replace('/', '.')}"
    searched = importlib.import_module(package).__path__
    searched.extend(place for place in (str(own / folder) for own in own_places()) if place not in searched)
    module = importlib.import_module(f"{package}.{name}")
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, base)]
    own = [c for c in classes if c.__module__ == module.__name__]
    if len(own) != 1:
        raise ConfigError(f"{folder}/{name}.py: got {len(own)} subclasses of {base.__name__}, expected exactly one.")
    return own[0]
