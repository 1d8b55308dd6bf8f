"""The files that rounds leave in the folder of their loop, beside those that every loop has (`folder.py`). Imports nothing heavy.

rounds.json    the plan, and why the rounds ended early
round.json     the round that is under way: the networks that it asks for, with what was predicted of them
rounds.jsonl   a line a round that is over
results.jsonl  every evaluation, a line each as soon as it is known; a job has the file in its own folder
batches/<n>.results.jsonl  the evaluations of a round, as they joined the data
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import pandas as pd

from autobuild_core.errors import ConfigError
from autobuild_core.loop.folder import LoopFolder
from autobuild_core.loop.plan import RoundsPlan
from autobuild_core.store import tables

PLAN, PENDING, ROWS, RESULTS = "rounds.json", "round.json", "rounds.jsonl", "results.jsonl"
Row = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """The networks that a round asks for, before any of them is measured.

    Args:
        round: its number, from 1.
        data_version: of the data that were learned from.
        archs: in native encodings.
        networks: canonical hashes, as decimal digits.
        predicted, low, high: of each the expected target of a measurement and its 90 % interval; () where too little is known.
        expected_improvement: by which their best is expected to exceed what is believed to be the best so far, in target units.
        seconds_fit: that learning and proposing took.
        best_before: the best target that was known when they were proposed; None where there was none.
    """

    round: int
    data_version: int
    archs: tuple[Any, ...]
    networks: tuple[str, ...]
    predicted: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    expected_improvement: float | None = None
    seconds_fit: float = 0.0
    best_before: float | None = None

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Self:
        """A batch as it was written."""
        lists = {name: tuple(raw[name]) for name in ("archs", "networks", "predicted", "low", "high")}
        return cls(**raw | lists)

    @property
    def name(self) -> str:
        """The round in words, by which its candidates are known again."""
        return f"round {self.round}"


class RoundsFolder:
    """The files of rounds. Making the object reads nothing; each call reads what is there now.

    Args:
        path: folder of the loop.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def begun(self) -> bool:
        """There are rounds in the folder."""
        return (self.path / PLAN).exists()

    @property
    def plan(self) -> RoundsPlan:
        """The plan.

        Raises:
            ConfigError: there is none, or its file is damaged.
        """
        if not self.begun:
            raise ConfigError(f"{self.path}: got no rounds, expected --evaluator and the other settings of a plan.")
        return self._read(PLAN, lambda text: RoundsPlan.read(json.loads(text)["plan"]))

    def plan_of(self, settings: Mapping[str, Any], folder: LoopFolder) -> RoundsPlan:
        """The plan with some settings: the others are those that are there, of rounds or of their loop, or the plan's own.

        Args:
            settings: fields of the plan.
            folder: of the loop.

        Raises:
            ConfigError: a setting does not do, or there are none at all.
        """
        if self.begun:
            return RoundsPlan.read(self.plan.to_json() | dict(settings))
        if not settings:
            return self.plan  # says what is missing
        return RoundsPlan.read((folder.settings if folder.begun else {}) | dict(settings))

    @property
    def ended(self) -> str:
        """The reason why the rounds ended before their evaluations were spent, a sentence; "" where they did not."""
        return self._read(PLAN, lambda text: str(json.loads(text).get("ended", ""))) if self.begun else ""

    def write_plan(self, plan: RoundsPlan, ended: str = "") -> None:
        """Writes the plan."""
        tables.write_json(self.path / PLAN, {"plan": plan.to_json(), "ended": ended})

    def rows(self) -> list[Row]:
        """A row a round that is over, as `round_row.make_row` has them.

        Raises:
            ConfigError: the file is damaged.
        """
        if not (self.path / ROWS).exists():
            return []
        return self._read(ROWS, lambda text: [dict(json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()])

    def table(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame(self.rows())

    def add_row(self, row: Row) -> None:
        """Adds the row of a round, whole or not at all."""
        with (self.path / ROWS).open("a+b") as file:
            tables.append_lines(file, [row])

    def summary(self) -> dict[str, Any]:
        """{"rounds": rows, "ended": why they ended early, and the newest row's "best"}; {} before there are rounds."""
        if not self.begun:
            return {}
        rows = self.rows()
        best = {"best": {"arch": rows[-1]["arch"], "value": rows[-1]["best"]}} if rows and rows[-1]["best"] is not None else {}
        return best | {"rounds": rows, "ended": self.ended}

    @property
    def num_spent(self) -> int:
        """Networks that rounds have asked for, those of the one that is under way apart."""
        return sum(int(row["num_proposed"]) for row in self.rows())

    def pending(self, num_over: int | None = None) -> Batch | None:
        """The round that is under way; None between two.

        Args:
            num_over: rounds that are over; None = those that are now.
        """
        if not (self.path / PENDING).exists():
            return None
        found = self._read(PENDING, lambda text: Batch.read(json.loads(text)))
        return found if found.round > (len(self.rows()) if num_over is None else num_over) else None

    def best_before(self) -> float | None:
        """The best target of the data that the rounds began with; None where there was none, or nothing says it."""
        if rows := self.rows():
            return rows[0].get("best_before")
        return None if (pending := self.pending()) is None else pending.best_before

    def write_pending(self, batch: Batch) -> None:
        """Writes the round that begins."""
        tables.write_json(self.path / PENDING, asdict(batch))

    def _read(self, name: str, parse: Callable[[str], T]) -> T:
        """The content of a file.

        Raises:
            ConfigError: it is damaged.
        """
        path = self.path / name
        try:
            return parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}: got a damaged file ({type(error).__name__}), expected what rounds write.") from error
