"""The closed loop through files, for any scheduler and no network: a folder gives batches and takes results.

loop.json          target and direction
data/<version>/    saved tables (store.tables): the first data, and every version that results made
runs/<version>/    the run that learned from that version, trained when a batch is asked for
candidates.jsonl   the log of candidates: what was predicted, handed out and told
batches/<n>.jsonl  what was handed out

A loop that evaluates by itself has more files here: `rounds_folder.py`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets._appending import read_more
from autobuild_core.errors import ConfigError
from autobuild_core.loop import telling
from autobuild_core.loop.batches import Handed
from autobuild_core.loop.proposing import Run, check_num, hand_out
from autobuild_core.spaces import load_space
from autobuild_core.store import tables
from autobuild_core.store.candidates import CandidateLog
from autobuild_core.targets.equation import Target


class LoopFolder:
    """A closed loop in a folder. Making the object reads nothing; each call reads what is there now.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.log = CandidateLog(self.path / "candidates.jsonl")

    @property
    def begun(self) -> bool:
        """There is a loop in the folder."""
        return (self.path / "loop.json").exists()

    def begin(self, table: ArchTable, target: str, minimize: bool, seed: int = 0) -> None:
        """Makes the folder with the first data.

        Raises:
            ConfigError: there is a loop in it already, or it cannot be written.
            TargetError: the equation is not one over the metrics.
        """
        if self.begun:
            raise ConfigError(f"{self.path}: got a folder that holds a loop already; leave out --data and --target to go on.")
        Target(target, minimize).values(table.metrics)
        try:
            for name in ("data", "runs", "batches"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            tables.save_table(table, self.path / "data" / str(table.version))
            tables.write_json(self.path / "loop.json", {"target": target, "minimize": minimize, "seed": seed})
        except OSError as error:
            raise ConfigError(f"{self.path}: got {error.strerror}, expected a folder that can be written.") from error

    @property
    def settings(self) -> dict[str, Any]:
        """Target, direction and seed.

        Raises:
            ConfigError: there is no loop in the folder, or its file is damaged.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / "loop.json").read_text(encoding="utf-8"))
            if "evolution" in found:
                raise ConfigError(
                    f"{self.path}: got a loop that evolves its space, expected one through files; --evolve goes on."
                )
            return {"target": str(found["target"]), "minimize": bool(found["minimize"]), "seed": int(found["seed"])}
        except FileNotFoundError:
            raise ConfigError(f"{self.path}: got no loop, expected --data and --target to begin one.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self.path / 'loop.json'}: got a damaged file ({error}), expected target and direction."
            ) from None

    def table(self) -> ArchTable:
        """The newest version of the data.

        Raises:
            ConfigError: there is no loop in the folder.
            DataError: the version is damaged.
        """
        self.settings  # noqa: B018 - says it where there is no loop
        return tables.load_table(self.path / "data" / str(max(self._versions())))

    def first_table(self) -> ArchTable:
        """The data that the loop began with.

        Raises:
            DataError: they are damaged.
        """
        return tables.load_table(self.path / "data" / str(min(self._versions())))

    def _versions(self) -> list[int]:
        """Numbers of the versions of the data."""
        return [int(path.name) for path in (self.path / "data").iterdir() if path.name.isdigit()]

    def run_of(self, table: ArchTable) -> Path:
        """The place of the run that learned from a version of the data."""
        return self.path / "runs" / str(table.version)

    def ask(self, num: int, learn: Callable[[], Run]) -> Handed:
        """Hands out the next batch, and writes it to batches/.

        Args:
            num: candidates, at most.
            learn: gives the run that learned from the newest data, trained where there is none yet (`api.learned_by`).

        Raises:
            StudioError: the data do not do, or nothing is left.
            Cancelled: the training was stopped.
        """
        check_num(num)
        handed = hand_out(learn(), self.log, num, self.settings["seed"])
        self.write_batch(handed)
        return handed

    def write_batch(self, handed: Handed) -> None:
        """Writes a batch that was handed out to batches/."""
        with tables.replacing(self.path / "batches" / f"{handed.number}.jsonl") as part:
            part.write_text(handed.json_lines(), encoding="utf-8", newline="\n")

    def tell(self, path: Path, origin: str = "") -> telling.Told:
        """Joins a file of results: to the candidates, and to the data as their next version.

        Args:
            path: the file.
            origin: where the results come from; its name unless given.

        Raises:
            DataError: it cannot be read, or no row of it is a new result.
        """

        def keep(table: ArchTable) -> None:
            tables.save_table(table, self.path / "data" / str(table.version))

        return telling.take_in(path, self.table(), self.log, read_more, keep, origin)

    def status(self) -> dict[str, Any]:
        """{"round": the last batch, "num_evaluated": networks, "best": {"arch", "value"}, "candidates": {state: number}}."""
        table, settings, candidates = self.table(), self.settings, self.log.all()
        values = Target(settings["target"], settings["minimize"]).values_or_nan(table.metrics)
        known = np.flatnonzero(np.isfinite(values))
        best = None
        if len(known):
            row = int(known[np.argmin(values[known]) if settings["minimize"] else np.argmax(values[known])])
            best = {"arch": load_space(table.spec).native(table.codes[row]), "value": float(values[row])}
        counts: dict[str, int] = {}
        for candidate in candidates:
            counts[candidate.state.value] = counts.get(candidate.state.value, 0) + 1
        return {
            "round": max((candidate.batch for candidate in candidates), default=0),
            "version": table.version,
            "num_evaluated": len(np.unique(table.networks[known])),
            "best": best,
            "candidates": counts,
        }
