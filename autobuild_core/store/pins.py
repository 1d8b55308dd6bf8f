"""Claims that a reader pinned: which module is meant, through which lens, and a note; one small JSON file a pin.

A pin says nothing about what the claim is worth: `review/record.py` works that out from the run whenever it is shown. Every pin
is a file of its own, written atomically, so that two sessions never lose each other's pins.
"""

import json
import re
import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.store import tables
from autobuild_core.store.workspace import Workspace, is_sample

LONGEST_NOTE = 4000
MOST_PINS = 200


@dataclass(frozen=True)
class Claim(ModuleKey):
    """A claim: that a module is worth what a lens says.

    Args:
        lens: the question that was asked.
    """

    lens: Lens = Lens.SCORE

    @property
    def module(self) -> ModuleKey:
        """The module alone."""
        return ModuleKey(self.positions, self.layers, self.whole_unit)


@dataclass(frozen=True)
class Pin:
    """A claim that somebody pinned.

    Args:
        claim: what is claimed.
        note: the reader's own words, may be empty.
        page: the page it was pinned on.
        created: when, ISO 8601 in UTC.
        id: 16 hex digits, the name of its file.
    """

    claim: Claim
    note: str = ""
    page: str = ""
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="microseconds"))
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def from_dict(cls, raw: dict[str, object]) -> "Pin":
        """A pin from what `asdict` made of one.

        Raises:
            TypeError, KeyError, ValueError: it is none.
        """
        known = dict(raw)
        claim = dict(known.pop("claim"))  # type: ignore[call-overload]
        positions, layers = (tuple(str(part) for part in claim.pop(name)) for name in ("positions", "layers"))
        lens = Lens(claim.pop("lens", Lens.SCORE))
        pin = cls(Claim(positions, layers, lens=lens, **claim), **known)  # type: ignore[arg-type]
        texts = (pin.note, pin.page, pin.created, pin.id)
        if not all(isinstance(text, str) for text in texts) or len(positions) != len(layers):
            raise ValueError("fields of other types")
        return pin


class Pins:
    """The pins of one run. Making the object reads nothing; each call reads what is there now.

    Args:
        folder: where they are, one file each; made by the first pin.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @classmethod
    def of(cls, workspace: Workspace, run_id: str) -> "Pins":
        """The pins of a run of a workspace: in its folder, or, for a read-only one that ships, in the workspace."""
        if is_sample(run_id):
            return cls(workspace.path / "pins" / run_id)
        return cls(workspace.run(run_id).path / "pins")

    def all(self) -> list[Pin]:
        """All pins, the oldest first; a file that is no pin is left out."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(replace(Pin.from_dict(json.loads(path.read_text(encoding="utf-8"))), id=path.stem))
            except (OSError, ValueError, TypeError, KeyError):
                continue
        return sorted(found, key=lambda pin: (pin.created, pin.id))

    def find(self, claim: Claim) -> Pin | None:
        """The pin of a claim, None where it is not pinned."""
        return next((pin for pin in self.all() if pin.claim == claim), None)

    def write(self, pin: Pin) -> Pin:
        """Adds a pin, or puts another note on the one of the same id.

        Raises:
            ConfigError: the note is too long, there are too many pins, or the folder cannot be written.
        """
        if len(pin.note) > LONGEST_NOTE:
            raise ConfigError(f"note: got {len(pin.note):,} characters, expected at most {LONGEST_NOTE:,}.")
        path = self._path(pin.id)
        if not path.exists() and len(self.all()) >= MOST_PINS:
            raise ConfigError(f"pins: got one more than {MOST_PINS}, expected at most so many; delete some on Review.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tables.write_json(path, asdict(pin))
        except OSError as error:
            raise ConfigError(f"{self.folder}: got {error.strerror}, expected a folder that pins can be written to.") from error
        return pin

    def delete(self, pin_id: str) -> None:
        """Forgets a pin; one that is gone already is no error."""
        self._path(pin_id).unlink(missing_ok=True)

    def _path(self, pin_id: str) -> Path:
        """The file of an id; what is not an id of ours never reaches the file system.

        Raises:
            RunError: it is none.
        """
        if not re.fullmatch(r"[0-9a-f]{16}", pin_id):
            raise RunError(f"pin: got the id '{pin_id[:40]}', expected 16 hex digits.")
        return self.folder / f"{pin_id}.json"
