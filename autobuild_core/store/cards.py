"""Cards: small things that a reader writes down, each a JSON file of its own, so that two sessions never lose each other's."""

import json
import re
import secrets
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from autobuild_core.errors import ConfigError, RunError
from autobuild_core.store import tables
from autobuild_core.store.workspace import Workspace, is_sample


class Card(Protocol):
    """A card, a frozen dataclass: note (the reader's own words), created (ISO 8601 in UTC), id (the name of its file)."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def note(self) -> str: ...

    @property
    def created(self) -> str: ...

    @property
    def id(self) -> str: ...

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """A card from what `asdict` made of one; TypeError, KeyError or ValueError where it is none."""


def now() -> str:
    """The present moment, as `Card.created` has it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def fresh_id() -> str:
    """An id that no card has: 16 hex digits."""
    return secrets.token_hex(8)


C = TypeVar("C", bound=Card)
LONGEST_NOTE = 4000  # characters


class Cards(Generic[C]):
    """The cards of one run. Making the object reads nothing; each call reads what is there now.

    Attributes:
        kind: of the cards.
        name: of their folder, and the word for several of them.
        place: where a reader deletes some, as a sentence names it.
        most: so many at most.

    Args:
        folder: where they are; made by the first card.
    """

    kind: type[C]
    name: ClassVar[str]
    place: ClassVar[str]
    most: ClassVar[int] = 200

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @classmethod
    def of(cls, workspace: Workspace, run_id: str) -> Self:
        """The cards of a run of a workspace: in its folder, or, for a read-only one that ships, in the workspace."""
        if is_sample(run_id):
            return cls(workspace.path / cls.name / run_id)
        return cls(workspace.run(run_id).path / cls.name)

    def all(self) -> list[C]:
        """All cards, the oldest first; a file that is none is left out."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(replace(self.kind.from_dict(json.loads(path.read_text(encoding="utf-8"))), id=path.stem))
            except (OSError, ValueError, TypeError, KeyError):
                continue
        return sorted(found, key=lambda card: (card.created, card.id))

    def write(self, card: C) -> C:
        """Adds a card, or writes the one of the same id anew.

        Raises:
            ConfigError: the note is too long, there are too many, or the folder cannot be written.
        """
        if len(card.note) > LONGEST_NOTE:
            raise ConfigError(f"note: got {len(card.note):,} characters, expected at most {LONGEST_NOTE:,}.")
        path = self._path(card.id)
        if not path.exists() and len(self.all()) >= self.most:
            expected = f"expected at most so many; delete some {self.place}"
            raise ConfigError(f"{self.name}: got one more than {self.most}, {expected}.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tables.write_json(path, asdict(card))
        except OSError as error:
            raise ConfigError(
                f"{self.folder}: got {error.strerror}, expected a folder that {self.name} can be written to."
            ) from error
        return card

    def delete(self, card_id: str) -> None:
        """Forgets a card; one that is gone already is no error."""
        self._path(card_id).unlink(missing_ok=True)

    def _path(self, card_id: str) -> Path:
        """The file of an id; what is not an id of ours never reaches the file system.

        Raises:
            RunError: it is none.
        """
        if not re.fullmatch(r"[0-9a-f]{16}", card_id):
            raise RunError(f"{self.name}: got the id '{card_id[:40]}', expected 16 hex digits.")
        return self.folder / f"{card_id}.json"
