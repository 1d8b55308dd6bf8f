"""Datasets: file formats that hold evaluated architectures, one file each. Recognised by content, never by name.

A format says how sure it is that a file is its own; the surest reads, and none knows another. It reads what it can and says of
every other row why it was refused; rows count from 0. Only what makes a whole file unreadable is an error.
`_guarded.read_guarded` does the same in a process of its own with bounded memory and time.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from autobuild_core import registry
from autobuild_core.architectures.records import ArchTable, SpaceSpec
from autobuild_core.datasets._files import encoding_note, inner_name, read_head
from autobuild_core.datasets._rows import Request
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.spaces import load_space
from autobuild_core.spaces._declared import Declared
from autobuild_core.store.tables import is_table, load_table


@dataclass(frozen=True)
class Fit:
    """The certainty of a format that a file is its own.

    Args:
        sure: from 0 (it is not) to 1 (nothing else looks so).
        why: the evidence, in a clause.
    """

    sure: float
    why: str


class Dataset(ABC):
    """A file format.

    Attributes:
        title: what a reader sees.
        about: what such a file holds, in one clause.
        example: a small valid file: shown as help, and what the contract tests read.
    """

    title: ClassVar[str]
    about: ClassVar[str]
    example: ClassVar[bytes]

    @abstractmethod
    def supports(self, head: bytes, name: str) -> Fit:
        """The likeness of a file to this format.

        Args:
            head: its first 64 KiB, unpacked.
            name: its name without a trailing .gz, for messages; no decision rests on it.
        """

    @abstractmethod
    def read(self, path: Path, request: Request) -> ArchTable:
        """Every row of a file, read or refused.

        Args:
            path: the file, plain or gzipped.
            request: the space that rows must lie in, roles of columns. With a space, metrics may be missing altogether and a
                table without a single accepted row is no error.

        Raises:
            DataError: the file as a whole cannot be read.
        """


def load_format(name: str) -> Dataset:
    """The format of a file name in this folder.

    Raises:
        ConfigError: there is none of that name.
    """
    return registry.load("datasets", name, Dataset)()  # type: ignore[type-abstract]


def title_of(name: str) -> str:
    """The title of a format for a reader, also of one that is not there any more."""
    try:
        return load_format(name).title
    except ConfigError:
        return name.replace("_", " ")


def recognise(path: Path) -> str:
    """The format that is surest of a file, by its content; a gzipped file is read as what is inside.

    Raises:
        DataError: it cannot be opened, is empty, or no format is sure at all.
    """
    head, name = read_head(Path(path)), inner_name(Path(path))
    fits = {format_name: load_format(format_name).supports(head, name) for format_name in registry.names("datasets")}
    best = max(fits, key=lambda format_name: fits[format_name].sure)
    if not fits[best].sure:
        reasons = "; ".join(f"{load_format(n).title}: {fit.why}" for n, fit in fits.items())
        raise DataError(f"{Path(path).name}: got no table of architectures that is known ({reasons}).")
    return best


def read_table(
    path: Path,
    format: str | None = None,
    space: SpaceSpec | None = None,
    roles: Mapping[str, str] | None = None,
    declared: Declared | None = None,
    joining: bool = False,
) -> ArchTable:
    """The architectures of a file.

    Args:
        path: the file, plain or gzipped, or the folder of a saved table.
        format: its format; None to recognise it.
        space: the space it must lie in (that of a run); None to infer it.
        roles: {column: role} that a reader said; others are found by evidence.
        declared: the flat space of its design columns, where a reader declared it.
        joining: the rows are to be appended to others (`_appending.append`): a context of one value is one.

    Raises:
        MappingError: its columns do not make a space.
        DataError: the file as a whole cannot be read.
        ConfigError: there is no such format, or no such role.
    """
    path = Path(path)
    if is_table(path):
        return _saved(path, space, roles)
    name = format or recognise(path)
    request = Request(path.name, name, load_space(space) if space else None, roles or {}, declared, joining=joining)
    table = load_format(name).read(path, request)
    note = encoding_note(path)
    return replace(table, notes=(*table.notes, note)) if note else table


def _saved(folder: Path, space: SpaceSpec | None, roles: Mapping[str, str] | None) -> ArchTable:
    """The table of a folder that `store.tables.save_table` wrote: a version of a data set, or the data of a run.

    Raises:
        DataError: a file is damaged, or it is of another space.
        ConfigError: a role is said anew.
    """
    table = load_table(folder)
    if roles and space is None:
        raise ConfigError(f"{folder}: got a role for column {next(iter(roles))}, expected none: they are fixed with a data set.")
    if space is not None and not space.encodes_as(table.spec):
        raise DataError(f"{folder}: got architectures of {table.spec.title}, expected those of {space.title}.")
    return table
