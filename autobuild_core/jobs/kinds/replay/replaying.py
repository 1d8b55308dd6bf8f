"""Replaying: every mode searches the same space from the same networks, seed by seed, and its pick is judged on the way."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures.names import native_text
from autobuild_core.architectures.records import Codes
from autobuild_core.errors import Cancelled, ConfigError
from autobuild_core.jobs.kinds.replay.curves import COLUMNS, read_curves
from autobuild_core.jobs.kinds.replay.modes import ONE_BY_ONE, make_searcher
from autobuild_core.jobs.kinds.replay.plan import ReplayPlan
from autobuild_core.jobs.kinds.replay.worlds import World
from autobuild_core.search.searchers import History, Searcher, searcher_class
from autobuild_core.search.searching import search
from autobuild_core.store import tables

Row = dict[str, Any]


class Replay:
    """A replay whose curves are in a file, every one as soon as it is known; those that are there are not made again.

    Args:
        plan: the protocol.
        world: what is observed and what is true.
        out: CSV with COLUMNS.

    Raises:
        ConfigError: the file holds another replay.
    """

    def __init__(self, plan: ReplayPlan, world: World, out: Path) -> None:
        self.plan, self.world, self.out = plan, world, out
        self.words = f"{plan.words}; {world.space.spec.name}"
        self.rows = self._read()

    def run(
        self, report: Callable[[dict[str, object]], None] = lambda record: None, should_stop: Callable[[], bool] = lambda: False
    ) -> pd.DataFrame:
        """The curves of all modes and seeds, a line a number of evaluations.

        Args:
            report: hears {"phase", "step": curves that are done, "num_steps", "share", "seconds_left"}.
            should_stop: asked before every batch.

        Returns:
            A frame with COLUMNS: `seconds` that the mode itself took so far, `best` the judged target of its pick, `regret` how
            much worse that is than the best network, `network_rank` the pick's rank among all (NaN where these are not known).

        Raises:
            Cancelled: should_stop said so; finished curves are in the file.
            ConfigError: the space has too few networks, or the file cannot be written.
        """
        plan, done = self.plan, {(row["mode"], row["seed"]) for row in self.rows}
        wanted = [(mode, plan.first_seed + n) for n in range(plan.seeds) for mode in plan.modes]
        left, begun = [one for one in wanted if one not in done], time.monotonic()
        for number, (mode, seed) in enumerate(left):
            spent, num_done = time.monotonic() - begun, len(wanted) - len(left) + number
            seconds_left = spent / number * (len(left) - number) if number else None
            record = {"phase": f"{mode}, seed {seed}", "step": num_done, "num_steps": len(wanted)}
            report(record | {"share": num_done / len(wanted), "seconds_left": seconds_left})
            self.rows += self._curve(mode, seed, should_stop)
            self._write()
        frame = self.frame()
        return frame[frame["mode"].isin(plan.modes) & frame["seed"].isin([seed for _, seed in wanted])].reset_index(drop=True)

    def frame(self) -> pd.DataFrame:
        """All curves that are known, with regrets and ranks."""
        frame = pd.DataFrame(self.rows, columns=list(COLUMNS))
        sign = -1.0 if self.plan.minimize else 1.0
        every = self.world.every()
        known = np.sort(sign * (frame["best"].to_numpy(float) if every is None else every))
        known = known[np.isfinite(known)]
        worth = sign * frame["best"].to_numpy(float)
        frame["regret"] = (known[-1] if len(known) else np.nan) - worth
        if every is not None:
            ranks = 1.0 + len(known) - np.searchsorted(known, worth, side="right")
            frame["network_rank"] = np.where(np.isfinite(worth), ranks, np.nan)
        return frame

    def _curve(self, mode: str, seed: int, should_stop: Callable[[], bool]) -> list[Row]:
        """A line a number of evaluations."""
        plan, world, history = self.plan, self.world, History()
        searcher = make_searcher(mode, world.space, seed, plan.initial)
        sign, waited = (-1 if plan.minimize else 1), 0.0

        def evaluate(codes: Codes) -> list[float]:
            nonlocal waited
            if should_stop():
                raise Cancelled
            begun = time.perf_counter()
            scores: list[float] = (sign * world.observe(codes)).tolist()
            waited += time.perf_counter() - begun
            return scores

        drawn = searcher_class("random")(world.space, seed).propose(history, plan.initial)
        if len(drawn) < plan.initial:
            raise ConfigError(f"initial: got {plan.initial}, expected fewer than the {len(drawn):,} networks of the space.")
        for codes, network, score in zip(drawn, world.space.hash_networks(drawn).tolist(), evaluate(drawn), strict=True):
            history.visit(codes, network, score)
        rows, begun, waited = list[Row](), time.perf_counter(), 0.0
        for step in plan.steps:
            if step > plan.initial:
                search(searcher, step, evaluate, 1 if mode in ONE_BY_ONE else plan.batch, history)
            rows.append(self._row(searcher, history, mode, seed, step) | {"seconds": time.perf_counter() - begun - waited})
        return rows

    def _row(self, searcher: Searcher, history: History, mode: str, seed: int, step: int) -> Row:
        """The pick after a number of evaluations."""
        place = searcher.incumbent(history)
        row: Row = {"mode": mode, "seed": seed, "evaluations": step, "plan": self.words, "best": np.nan, "arch": ""}
        if place is not None:
            codes = history.codes[place]
            row |= {"best": float(self.world.judge(codes[None])[0]), "arch": native_text(self.world.space.native(codes))}
        return row

    def _read(self) -> list[Row]:
        """The curves in the file.

        Raises:
            ConfigError: it is another replay's, or none.
        """
        rows: list[Row] = read_curves(self.out).to_dict("records")
        for row in rows:
            if row["plan"] != self.words:
                raise ConfigError(f"{self.out}: got '{row['plan']}', expected '{self.words}' as asked; name another file.")
        return rows

    def _write(self) -> None:
        """Writes all curves.

        Raises:
            ConfigError: the file cannot be written.
        """
        try:
            with tables.replacing(self.out) as part:
                part.write_text(tables.to_csv(self.frame()), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{self.out}: got {error.strerror}, expected a place that can be written.") from error
