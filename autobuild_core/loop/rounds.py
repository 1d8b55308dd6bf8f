"""A loop that evaluates by itself, in rounds: a batch is measured, all is learned from, the next is proposed, until all is spent.

A step that is over is in a file and is not done again, so rounds that were killed at any point go on and end as unbroken ones:
the batch of a round is written down before anybody hears of it (round.json), its evaluations go on from their lines, results
that are told twice join once, and the row of the round ends it.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import Cancelled, ConfigError, DataError, listed
from autobuild_core.evaluators import check_device, load_evaluator
from autobuild_core.evaluators._batch import Candidates, evaluate
from autobuild_core.evaluators._results import FINISHED, Asked, Line, key_of, metrics_of
from autobuild_core.loop.batches import Handed
from autobuild_core.loop.folder import LoopFolder
from autobuild_core.loop.handing import candidates_in, hand_out_batch
from autobuild_core.loop.learner import Learner
from autobuild_core.loop.plan import RoundsPlan
from autobuild_core.loop.proposing import open_networks
from autobuild_core.loop.round_row import best_so_far, make_row
from autobuild_core.loop.rounds_folder import RESULTS, Batch, RoundsFolder, Row
from autobuild_core.spaces import load_space
from autobuild_core.store import tables
from autobuild_core.store.candidates import Origin
from autobuild_core.store.tables import content_hash

Report = Callable[[Mapping[str, object]], None]


def run_rounds(
    folder: LoopFolder,
    plan: RoundsPlan,
    table: ArchTable | None = None,
    results: Path | None = None,
    report: Report = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    scheduler: str | None = None,
) -> list[Row]:
    """Rounds until the evaluations are spent; what is in the folder already is not done again.

    Args:
        folder: of the loop; made where there is none.
        plan: the settings; of a plan that is there already only the evaluations may change.
        table: the first data; None = those of the folder.
        results: file of all evaluations; None = results.jsonl in the folder.
        report: hears {"phase", "step": new networks that are done, "num_steps", "share", "seconds_left", "round", "num_rounds",
            "best": the best target so far}.
        should_stop: asked before a round and at every step of an evaluation.
        scheduler: of Dask, whose workers measure; as `evaluators._executors.executor_for` has it.

    Returns:
        A row a round (`round_row.make_row`).

    Raises:
        ConfigError: a setting does not do, no architecture keeps to the budgets, or the folder holds another loop.
        TargetError: the evaluator does not measure the target.
        Cancelled: should_stop said so; what was finished is kept.
    """
    if should_stop():
        raise Cancelled
    rounds = _Rounds(folder, plan, results, report, should_stop, scheduler)
    rounds.begin(table)
    with tables.alone(folder.path):
        return rounds.run()


class _Rounds:
    """The rounds of one process."""

    def __init__(
        self,
        folder: LoopFolder,
        plan: RoundsPlan,
        results: Path | None,
        report: Report,
        should_stop: Callable[[], bool],
        scheduler: str | None,
    ) -> None:
        self.folder, self.files, self.plan = folder, RoundsFolder(folder.path), plan
        self.results = results or folder.path / RESULTS
        self.report, self.should_stop, self.scheduler = report, should_stop, scheduler
        self.evaluator = load_evaluator(plan.evaluator)
        self.begun, self.num_before, self.num_spent = time.monotonic(), 0, 0
        self.best: float | None = None
        self.learner: Learner | None = None

    def begin(self, table: ArchTable | None) -> None:
        """Checks plan and data, and makes the folder where there is none."""
        check_device(self.plan.device)
        if self.folder.begun:
            check_same_loop(self.folder, self.plan, table)
        now = self.folder.table() if self.folder.begun else table
        if now is None:
            raise ConfigError(f"{self.folder.path}: got no loop and no data, expected evaluated architectures to begin with.")
        if self.files.begun and (differs := self.files.plan.differs_from(self.plan)):
            raise ConfigError(f"{self.folder.path}: got rounds with {differs}; name another folder.")
        if why_not := self.evaluator.supports(load_space(now.spec)):
            raise ConfigError(f"evaluator: got {self.plan.evaluator}, which does not measure this space: {why_not}")
        if not self.files.begun:
            Learner(self.plan, now).check_budgets()
        if not self.folder.begun:
            self.folder.begin(now, self.plan.target, self.plan.minimize, self.plan.seed)

    def run(self) -> list[Row]:
        """Every round that is left, alone in the folder."""
        self.files.write_plan(self.plan)
        self.num_before = self.num_spent = self.files.num_spent
        self._learn()
        while (batch := self.files.pending()) or self.num_spent < self.plan.evaluations:
            self._say(0.0)
            if batch is None and (batch := self._propose()) is None:
                self.files.write_plan(self.plan, self._learned().why_none())
                break
            self._round(batch)
        self._say(0.0)
        return self.files.rows()

    def _learn(self) -> None:
        """Learns from the newest data."""
        table, log = self.folder.table(), self.folder.log
        is_open, space = open_networks(log), load_space(table.spec)
        waiting = [(one.network, np.array(space.parse(one.arch), np.int16)) for one in log.all() if one.network in is_open]
        self.learner = Learner(self.plan, table, tuple(waiting))
        self.best = best_so_far(self.learner, ())["best"]

    def _learned(self) -> Learner:
        """The newest data, learned from."""
        assert self.learner is not None
        return self.learner

    def _propose(self) -> Batch | None:
        """The next batch, written down; None where no network is left."""
        if self.should_stop():
            raise Cancelled
        batch = self._learned().propose(len(self.files.rows()) + 1, self.plan.evaluations - self.num_spent)
        if batch is not None:
            batch = replace(batch, best_before=self.best)
            self.files.write_pending(batch)
        return batch

    def _round(self, batch: Batch) -> None:
        """A round from its batch to its row."""
        handed = hand_out_batch(self.folder, batch, self.plan)
        lines = self._evaluate(batch, handed)
        self._tell(batch, handed, lines)
        self._learn()
        new = {one.network for one in self.folder.log.all() if one.origin is Origin.IMPROVEMENT}
        self.files.add_row(make_row(self._learned(), batch, handed.number, lines, new))
        self.num_spent += len(batch.archs)

    def _evaluate(self, batch: Batch, handed: Handed) -> list[Line]:
        """The evaluations of a batch, in its order; what the file has is not measured again.

        Raises:
            ConfigError: the evaluator does not measure the target.
        """
        archs, plan = tuple(one.arch for one in handed.candidates), self.plan

        def hear(record: Mapping[str, object]) -> None:
            self._say(float(str(record["share"])) * len(batch.archs))

        about = Candidates(archs, tuple(one.id for one in handed.candidates)), self.evaluator, plan.evaluator, self.results
        told = plan.seconds, hear, self.should_stop, self.scheduler
        lines = evaluate(*about, plan.seeds, plan.first_seed, plan.budget, plan.device, *told)
        fine, names = [line for line in lines if line["state"] == FINISHED], plan.aim.target.names
        if fine and not any(set(names) <= set(line) for line in fine):
            got = f"got {listed(metrics_of(fine[0]))} of {plan.evaluator}"
            raise ConfigError(f"evaluator: {got}, expected {listed(names)}, which the target is of.")
        places = {Asked(arch, 0).key[0]: place for place, arch in enumerate(archs)}
        return sorted(lines, key=lambda line: (places[key_of(line)[0]], key_of(line)[1]))

    def _tell(self, batch: Batch, handed: Handed, lines: list[Line]) -> None:
        """Joins the evaluations of a batch to its candidates and to the data; told once more they change nothing."""
        path = self.folder.path / "batches" / f"{handed.number}.results.jsonl"
        with tables.replacing(path) as part:
            part.write_text("".join(tables.to_json(line) + "\n" for line in lines), encoding="utf-8")
        try:
            self.folder.tell(path, batch.name)
        except DataError:  # the process was killed behind it
            if any(one.state.is_open for one in candidates_in(self.folder.log, batch)):
                raise

    def _say(self, part: float) -> None:
        """Reports how far the rounds are.

        Args:
            part: networks of the present round that are done.
        """
        plan, now, done = self.plan, self.num_spent // self.plan.batch, self.num_spent + part
        num = max(plan.evaluations, 1)
        come, spent = done - self.num_before, time.monotonic() - self.begun
        rounds = math.ceil(num / plan.batch)
        record = {"round": min(now + 1, rounds), "num_rounds": rounds, "best": self.best, "step": int(done), "num_steps": num}
        left = spent / come * max(num - done, 0.0) if come else None
        phase = f"round {record['round']} of {rounds}"
        self.report(record | {"phase": phase, "share": min(done / num, 1.0), "seconds_left": left})


def check_same_loop(folder: LoopFolder, plan: RoundsPlan, table: ArchTable | None) -> None:
    """Returns when rounds can go on in a loop that is there already.

    Args:
        folder: of the loop.
        plan: of the rounds.
        table: the data that were given; None = none.

    Raises:
        ConfigError: it is a loop of another target, or of other data.
    """
    own = folder.settings
    for name, asked in (("target", plan.target), ("minimize", plan.minimize)):
        if own[name] != asked:
            raise ConfigError(f"{folder.path}: got a loop with {name} {own[name]!r}, expected {asked!r} as asked.")
    if table is not None and content_hash(table) != content_hash(folder.first_table()):
        raise ConfigError(f"{folder.path}: got a loop that began with other data, expected those given; name another folder.")
