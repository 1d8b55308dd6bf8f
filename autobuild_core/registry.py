"""File name = extension name: lists an extension folder without importing it, loads a file on demand.

An extension is one file with one final class, the only subclass of the folder's base that it defines.
"""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import TypeVar

from autobuild_core.errors import ConfigError

T = TypeVar("T")
PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # a process that is started here imports the package


_registered: dict[tuple[str, str], type] = {}  # extensions that are no file of the package, by folder and name


def register(folder: str, name: str, extension: type | None) -> None:
    """Makes an extension known that is no file of the package, to this process; None takes it away again.

    Args:
        folder: of the extensions of its kind, e.g. "spaces".
        name: by which it is found, before a file of that name.
        extension: its class.
    """
    if extension is None:
        _registered.pop((folder, name), None)
    else:
        _registered[folder, name] = extension
    names.cache_clear()


@cache
def names(folder: str) -> tuple[str, ...]:
    """Names of the extensions in a folder of the package ("spaces", "jobs/kinds", ...), sorted; imports nothing."""
    found = pkgutil.iter_modules([str(PACKAGE / folder)])
    files = {m.name for m in found if not m.name.startswith("_")}
    return tuple(sorted(files | {name for place, name in _registered if place == folder}))


def load(folder: str, name: str, base: type[T]) -> type[T]:
    """The extension class of a file.

    Args:
        folder: folder below autobuild_core, e.g. "spaces" or "architectures/topologies".
        name: file name without suffix.
        base: the abstract base that the class derives from.

    Raises:
        ConfigError: there is no such extension.
    """
    if name not in names(folder):
        raise ConfigError(f"{folder}: got '{name}', expected one of {', '.join(names(folder))}.")
    known = _registered.get((folder, name))
    if known is not None:
        return known
    module = importlib.import_module(f"autobuild_core.{folder.replace('/', '.')}.{name}")
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, base)]
    own = [c for c in classes if c.__module__ == module.__name__]
    if len(own) != 1:
        raise ConfigError(f"{folder}/{name}.py: got {len(own)} subclasses of {base.__name__}, expected exactly one.")
    return own[0]
