"""File name = extension name: lists an extension folder without importing it, loads a file on demand.

An extension is one file with one final class, the only subclass of the folder's base that it defines. Where one grows, a folder
of its name with an __init__.py does as well. The environment variable AUTOBUILD_EXTENSIONS names further places, laid out as this
package is: PLACE/jobs/kinds/mine.py is a kind of job. An installed package brings its own by entry points (GROUPS): the name of
the entry point is the name of the extension, its value the module with the class.
"""

import importlib
import os
import pkgutil
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeVar

from autobuild_core.errors import ConfigError

T = TypeVar("T")
PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent  # a process that is started here imports the package
_PACKED = PACKAGE / "_app"  # a wheel holds the app there (setup.py)
APP = _PACKED if _PACKED.is_dir() else ROOT  # where app.py, pages/ and sample_data/ are
EXTENSIONS = "AUTOBUILD_EXTENSIONS"
# Folder -> the group of entry points by which installed packages bring what else could be a file there.
GROUPS = {
    "architectures/topologies": "autobuild_studio.topologies",
    "datasets": "autobuild_studio.datasets",
    "evaluators": "autobuild_studio.evaluators",
    "jobs/kinds": "autobuild_studio.job_kinds",
    "scorers": "autobuild_studio.scorers",
    "search/searchers": "autobuild_studio.searchers",
    "spaces": "autobuild_studio.spaces",
}


class Installed(NamedTuple):
    """An extension that an installed package brings.

    Args:
        folder: where it would be a file, e.g. "spaces".
        name: of the extension.
        module: dotted name of the module with its class.
        package: the package and its version.
    """

    folder: str
    name: str
    module: str
    package: str


def import_path() -> str:
    """PYTHONPATH of a process that imports the package from where it stands, and what this one finds behind it."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def own_places() -> tuple[Path, ...]:
    """Folders of a user's own extensions."""
    return tuple(Path(place).resolve() for place in os.environ.get(EXTENSIONS, "").split(os.pathsep) if place)


def names(folder: str) -> tuple[str, ...]:
    """Names of the extensions in a folder of the package ("spaces", "jobs/kinds", ...), sorted; imports nothing."""
    files = {name for place in (PACKAGE, *own_places()) for name in _files(str(place / folder))}
    return tuple(sorted(files | {one.name for one in installed() if one.folder == folder}))


def installed() -> tuple[Installed, ...]:
    """Extensions that installed packages bring."""
    return _entry_points(tuple(sys.path))


@cache
def _files(place: str) -> tuple[str, ...]:
    return tuple(m.name for m in pkgutil.iter_modules([place]) if not m.name.startswith("_"))


@cache
def _entry_points(places: tuple[str, ...]) -> tuple[Installed, ...]:
    """Extensions that packages in `places`, the folders of sys.path, bring."""
    from importlib.metadata import entry_points  # late: it loads dozens of modules

    found = []
    for folder, group in GROUPS.items():
        for point in entry_points(group=group):
            package = f"{point.dist.name} {point.dist.version}" if point.dist else "a package without a name"
            found.append(Installed(folder, point.name, point.module, package))
    return tuple(sorted(set(found)))


def load(folder: str, name: str, base: type[T]) -> type[T]:
    """The extension class of a file, or of an installed package's module.

    Args:
        folder: folder below autobuild_core, e.g. "spaces" or "jobs/kinds".
        name: file name without suffix, or that of an entry point.
        base: the abstract base that the class derives from.

    Raises:
        ConfigError: there is no such extension, there are two, or its module has not exactly one such class.
    """
    if name not in names(folder):
        raise ConfigError(f"{folder}: got '{name}', expected one of {', '.join(names(folder))}.")
    brought = [one for one in installed() if (one.folder, one.name) == (folder, name)]
    homes = [str(place / folder / name) for place in (PACKAGE, *own_places()) if name in _files(str(place / folder))]
    homes += [f"{one.module} of {one.package}" for one in brought]
    if len(homes) > 1:
        raise ConfigError(f"{folder}: got two called '{name}' ({' and '.join(homes)}), expected one; rename or remove one.")
    module = importlib.import_module(brought[0].module) if brought else _module_of_file(folder, name)
    where = homes[0] if brought else f"{folder}/{name}.py"
    classes = [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, base)]
    own = [c for c in classes if c.__module__ == module.__name__]
    if len(own) != 1:
        raise ConfigError(f"{where}: got {len(own)} subclasses of {base.__name__}, expected exactly one.")
    return own[0]


def _module_of_file(folder: str, name: str) -> ModuleType:
    """The module of a file of the package, or of a user's own folders."""
    package = f"autobuild_core.{folder.replace('/', '.')}"
    searched = importlib.import_module(package).__path__
    searched.extend(place for place in (str(own / folder) for own in own_places()) if place not in searched)
    return importlib.import_module(f"{package}.{name}")
