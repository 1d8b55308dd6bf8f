"""Datasets: file formats that hold evaluated architectures, one file each. Recognised by content, never by name.

A format reads what it can and says of every other row why it was refused; rows count from 0. Only what makes a whole
file unreadable is an error. `reading.read_guarded` does the same in a process of its own with bounded memory and time.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from autobuild_core import registry
from autobuild_core.datasets._files import inner_name, read_head
from autobuild_core.errors import DataError
from autobuild_core.records import ArchTable, SpaceSpec
from autobuild_core.spaces import Space, load_space


class Dataset(ABC):
    """A file format.

    Attributes:
        title: what a reader sees.
        example: a small valid file: shown as help, and what the contract tests read.
    """

    title: ClassVar[str]
    example: ClassVar[bytes]

    @abstractmethod
    def supports(self, head: bytes, name: str) -> str | None:
        """Whether a file looks like this format.

        Args:
            head: its first 64 KiB, unpacked.
            name: its name without a trailing .gz, for messages; no decision rests on it.

        Returns:
            None when it does, else the reason why not.
        """

    @abstractmethod
    def read(self, path: Path, space: Space | None) -> ArchTable:
        """Every row of a file, read or refused.

        Args:
            path: the file, plain or gzipped.
            space: the space that rows must lie in; None to infer it. With it, metrics may be missing altogether
                and a table without a single accepted row is no error.

        Raises:
            DataError: the file as a whole cannot be read.
        """


def load_format(name: str) -> Dataset:
    """The format of a file name in this folder.

    Raises:
        ConfigError: there is none of that name.
    """
    return registry.load("datasets", name, Dataset)()  # type: ignore[type-abstract]


def recognise(path: Path) -> str:
    """The format of a file, by its content; a gzipped file is read as what is inside.

    Raises:
        DataError: it cannot be opened, is empty, or no format fits; the message gives each format's reason.
    """
    head, name = read_head(Path(path)), inner_name(Path(path))
    reasons = []
    for format_name in registry.names("datasets"):
        reason = load_format(format_name).supports(head, name)
        if reason is None:
            return format_name
        reasons.append(f"{format_name}: {reason}")
    raise DataError(f"{Path(path).name}: not in a known format ({'; '.join(reasons)}).")


def read_table(path: Path, format: str | None = None, space: SpaceSpec | None = None) -> ArchTable:
    """The architectures of a file.

    Args:
        path: the file, plain or gzipped.
        format: its format; None to recognise it.
        space: the space it must lie in (that of a run); None to infer it.

    Raises:
        DataError: the file as a whole cannot be read.
        ConfigError: there is no such format.
    """
    path = Path(path)
    reader = load_format(format or recognise(path))
    return reader.read(path, load_space(space) if space else None)
