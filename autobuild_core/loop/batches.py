"""A batch that was handed out, and its lines as whoever measures it gets them."""

import json
from dataclasses import dataclass
from typing import Any

from autobuild_core.store.candidates import Candidate, Origin


@dataclass(frozen=True)
class Handed:
    """A batch that was handed out.

    Args:
        number: of the batch.
        candidates: in it, with what was predicted of each.
    """

    number: int
    candidates: tuple[Candidate, ...]

    @property
    def num_controls(self) -> int:
        """The number of random controls in it."""
        return sum(one.origin is Origin.CONTROL for one in self.candidates)

    def lines(self) -> list[dict[str, Any]]:
        """The id, arch and origin of each candidate; predictions stay in the log."""
        return [{"id": one.id, "arch": one.arch, "origin": one.origin.value} for one in self.candidates]

    def json_lines(self) -> str:
        """The lines as a text of JSON lines."""
        return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self.lines())
