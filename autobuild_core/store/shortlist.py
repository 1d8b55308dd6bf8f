"""The shortlist of a design review: named architectures, each with the verdict on it and why; one small JSON file a design.

A design says nothing about what it is worth: that follows from the run whenever it is shown.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from autobuild_core.errors import ConfigError
from autobuild_core.store.cards import Cards, fresh_id, now

LONGEST_NAME = 80  # characters


class Verdict(StrEnum):
    """The verdict on a design; a reader sees its value."""

    OPEN = "open"
    CHOSEN = "chosen"
    REJECTED = "rejected"


@dataclass(frozen=True)
class ShortDesign:
    """A design on the shortlist.

    Args:
        name: as its reader calls it.
        arch: in its native encoding.
        verdict: on it.
        note: why, in the reader's own words, may be empty.
        created: when, ISO 8601 in UTC.
        id: 16 hex digits, the name of its file.
    """

    name: str
    arch: Any
    verdict: Verdict = Verdict.OPEN
    note: str = ""
    created: str = field(default_factory=now)
    id: str = field(default_factory=fresh_id)

    def __post_init__(self) -> None:
        """Checks its name.

        Raises:
            ConfigError: it is empty, too long, or more than a line.
        """
        if not 0 < len(self.name) <= LONGEST_NAME or self.name != " ".join(self.name.split()):
            got = f"got '{self.name[:LONGEST_NAME]}'"
            raise ConfigError(f"name of a design: {got}, expected one line of 1 to {LONGEST_NAME} characters.")

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """A design from what `asdict` made of one.

        Raises:
            TypeError, KeyError, ValueError: it is none.
        """
        try:
            made = cls(**raw | {"verdict": Verdict(raw["verdict"])})
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if not all(isinstance(text, str) for text in (made.note, made.created, made.id)):
            raise ValueError("fields of other types")
        return made


class Shortlist(Cards[ShortDesign]):
    """The shortlist of one run."""

    kind, name, place, most = ShortDesign, "shortlist", "from the shortlist on Builder", 40

    def free_name(self) -> str:
        """A name that no design has: "Design 3"."""
        taken = {one.name for one in self.all()}
        return next(name for number in range(1, len(taken) + 2) if (name := f"Design {number}") not in taken)
