"""Claims that a reader pinned: which module is meant, through which lens, and a note; one small JSON file a pin.

A pin says nothing about what the claim is worth: `review/record.py` works that out from the run whenever it is shown.
"""

from dataclasses import dataclass, field
from typing import Any

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.store.cards import Cards, fresh_id, now


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
    created: str = field(default_factory=now)
    id: str = field(default_factory=fresh_id)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "Pin":
        """A pin from what `asdict` made of one.

        Raises:
            TypeError, KeyError, ValueError: it is none.
        """
        known = dict(raw)
        claim = dict(known.pop("claim"))
        positions, layers = (tuple(str(part) for part in claim.pop(name)) for name in ("positions", "layers"))
        lens = Lens(claim.pop("lens", Lens.SCORE))
        pin = cls(Claim(positions, layers, lens=lens, **claim), **known)
        texts = (pin.note, pin.page, pin.created, pin.id)
        if not all(isinstance(text, str) for text in texts) or len(positions) != len(layers):
            raise ValueError("fields of other types")
        return pin


class Pins(Cards[Pin]):
    """The pins of one run."""

    kind, name, place = Pin, "pins", "on Review"

    def find(self, claim: Claim) -> Pin | None:
        """The pin of a claim, None where it is not pinned."""
        return next((pin for pin in self.all() if pin.claim == claim), None)
