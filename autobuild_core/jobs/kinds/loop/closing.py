"""The closed loop at work: a space is evolved, a sample of it evaluated, its modules scored, networks built and evaluated.

Source: ours; neither AutoBuild nor AutoSpace does it (docs/method.md, section 9). The hand-made space goes through the same
stages with as many evaluations, those that the evolution's seconds were worth among its sample.
"""

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from autobuild_core.architectures.records import ArchTable
from autobuild_core.autospace import LEARNED as LEARNED_FILE
from autobuild_core.autospace import EvolutionFolder, evolve, read_learned
from autobuild_core.autospace.history import LINES
from autobuild_core.datasets import read_table
from autobuild_core.errors import ArchitectureError, ConfigError, EvaluationError
from autobuild_core.evaluators import check_device, load_evaluator
from autobuild_core.evaluators._batch import ask, run_batch
from autobuild_core.evaluators._executors import executor_for
from autobuild_core.evaluators._results import FAILED, FINISHED, ResultsFile, Setting
from autobuild_core.jobs.kinds.loop.files import (
    BUILT,
    EVOLUTION,
    HAND_MADE,
    LEARNED,
    RUN,
    SPACES,
    STAGES,
    TITLES,
    LoopFiles,
    best_of,
    evaluations_table,
    loop_summary,
)
from autobuild_core.jobs.kinds.loop.plan import LoopPlan
from autobuild_core.jobs.kinds.train.pipeline import train_new
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.search import assembly
from autobuild_core.spaces import Space, load_space
from autobuild_core.spaces._cells import MBCONVS, canonical
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._skeletons import TOLERANCE, CellNetwork, Skeleton
from autobuild_core.spaces.autospace import spec_of
from autobuild_core.store import tables
from autobuild_core.store.run_folder import MIN_NETWORKS, RunConfig, RunFolder
from autobuild_core.store.states import RunState
from autobuild_core.store.tables import content_hash

Report = Callable[[Mapping[str, object]], None]
FIRST_SEED = 0  # of every evaluation that chooses; unseen ones follow
SPARE = 4  # networks that are ranked for one that is built: some may miss the budget
DRAWS = 20  # rounds of draws for a sample of distinct networks
# A stage's share of the loop's time, in evaluations: guesses before an evolution has said how long it took.
EVOLUTION_WORTH, TRAINING_WORTH, BUILDING_WORTH = 15, 4, 1


def close_loop(
    plan: LoopPlan,
    files: LoopFiles,
    report: Report = lambda record: None,
    should_stop: Callable[[], bool] = lambda: False,
    scheduler: str | None = None,
    threads: int = 2,
) -> dict[str, Any]:
    """Closes the loop; what is in the folder already is not done again.

    Args:
        plan: the settings.
        files: the folder.
        report: hears {"phase", "step": the stage, "num_steps", "share", "seconds_left"}.
        should_stop: asked at every step of an evolution, an evaluation and a training; building takes seconds and is not asked.
        scheduler: of Dask, whose workers evaluate; as `evaluators._executors.executor_for` has it.
        threads: of the trainings of AutoBuild.

    Returns:
        `files.loop_summary`.

    Raises:
        ConfigError: a setting does not do, or the folder holds another loop.
        Cancelled: should_stop said so; what was finished is kept.
        StudioError: a stage cannot be done, as most evaluations failed, say.
    """
    return _Closing(plan, files, report, should_stop, scheduler, threads).run()


class _Closing:
    """One loop on its way."""

    def __init__(
        self,
        plan: LoopPlan,
        files: LoopFiles,
        report: Report,
        should_stop: Callable[[], bool],
        scheduler: str | None,
        threads: int,
    ) -> None:
        self.plan, self.files, self.should_stop, self.scheduler, self.threads = plan, files, should_stop, scheduler, threads
        self.evaluator = load_evaluator(plan.evaluator)
        self.aim = plan.aim(self.evaluator)
        self.setting = Setting(plan.evaluator, self.evaluator.budget_or(plan.budget), check_device(plan.device))
        self.steps = Steps(plan, report)

    def run(self) -> dict[str, Any]:
        """Checks the settings, and goes through the stages, alone in the folder."""
        skeleton = Skeleton.read(self.plan.evolution_used.skeleton)
        layers = (MBCONVS,) * skeleton.num_layers
        hand_made = CellLists(layers, skeleton, self.plan.evolution_used.madds_m, self.plan.max_lr)
        if why_not := self.evaluator.supports(load_space(spec_of(hand_made))):
            raise ConfigError(f"evaluator: got {self.plan.evaluator}, which does not measure these networks: {why_not}")
        self.files.begin(self.plan)
        with tables.alone(self.files.path):
            return self._stages(hand_made)

    def _stages(self, hand_made: CellLists) -> dict[str, Any]:
        """Every stage in turn, the hand-made space after the learned one."""
        learned = replace(self._evolved(), max_lr=self.plan.max_lr)
        self._design(LEARNED, learned, self.plan.num_sampled)
        wanted = self.plan.num_sampled + self.files.charged(self.plan)
        num = max(min(wanted, num_networks(hand_made) - SPARE * self.plan.num_built), MIN_NETWORKS)  # some are left to build
        self.steps.expect_hand_made(num)
        self._design(HAND_MADE, hand_made, num)
        self._again()
        return loop_summary(self.files, self.plan, self.aim)

    def _evolved(self) -> CellLists:
        """The learned space: evolved, or copied from the evolution that is taken."""
        folder, report = self.files.path / EVOLUTION, self.steps.next("Evolving the space")
        if self.plan.evolved and not self.files.has_evolved:
            if not (Path(self.plan.evolved) / LEARNED_FILE).exists():
                raise ConfigError(f"evolved: got {self.plan.evolved}, where no ended evolution is any more; start another loop.")
            for name in (LINES, LEARNED_FILE):
                with tables.replacing(folder / name) as part:
                    shutil.copyfile(Path(self.plan.evolved) / name, part)
        elif not self.files.has_evolved:
            evolve(self.plan.evolution_used, folder, report, self.should_stop)
        return read_learned(EvolutionFolder(folder))

    def _design(self, name: str, cells: CellLists, num: int) -> None:
        """A space from its sample to the evaluations of what was built in it.

        Args:
            name: of the space, one of SPACES.
            cells: the space.
            num: networks of its sample.
        """
        space, title = load_space(spec_of(cells)), f"{TITLES[name]}: "
        rng = np.random.default_rng((self.plan.seed, SPACES.index(name)))
        results = self.files.results(name, "sampled")
        forget_failures(results, num)
        self._evaluate(draw(space, num, rng), results, self.steps.next(title + "evaluating a sample"))
        check_enough(results, TITLES[name])
        table = read_table(results.path, space=space.spec)
        folder = RunFolder(self.files.path / name / RUN)
        report = self.steps.next(title + "scoring its modules")
        if not (folder.path / "quality.json").exists():
            shutil.rmtree(folder.path, ignore_errors=True)  # of a training that was cut short
            words, said = TITLES[name].capitalize(), (self.aim.expression, self.aim.minimize, self.plan.seed)
            sizes: dict[str, Any] = {"num_members": self.plan.num_members, "num_steps": self.plan.num_steps}
            sizes |= {"threads": self.threads}
            config = RunConfig("", f"{words}: {self.aim.expression}", words, content_hash(table), *said, **sizes)
            train_new(folder, config, table, report, self.should_stop)
        folder.set_state(RunState.FINISHED)  # a process may have been killed between the last file and this
        report = self.steps.next(title + "building networks")
        if not (self.files.path / name / BUILT).exists():
            self._build(name, folder, table, report)
        archs = [one["arch"] for one in self.files.built(name)]
        self._evaluate(archs, self.files.results(name, "built"), self.steps.next(title + "evaluating what was built"))

    def _build(self, name: str, folder: RunFolder, table: ArchTable, report: Report) -> None:
        """Builds the best networks within the budget and writes them down.

        Raises:
            ConfigError: none is left.
        """
        predictor, values = Predictor.load(folder.path), self.aim.target.values(table.metrics)
        built = assembly.build(
            predictor,
            folder.read_frame("modules.parquet"),
            table.networks,
            SPARE * self.plan.num_built,
            report=lambda share: report({"share": share}),
            start=assembly.best_measured(table.codes, table.networks, values, self.aim.minimize),
        )
        records = []
        for one in assembly.built_records(built, predictor):
            if (madds_m := madds_within_budget(one["arch"])) is not None:
                records.append({**one, "madds_m": madds_m})
        if not records:
            raise ConfigError(f"{TITLES[name]}: got no network within its budget that was not evaluated, expected some to build.")
        with tables.replacing(self.files.path / name / BUILT) as part:
            part.write_text("".join(tables.to_json(one) + "\n" for one in records[: self.plan.num_built]), encoding="utf-8")

    def _again(self) -> None:
        """The best of every stage, evaluated with seeds whose values did not choose it."""
        table, report = evaluations_table(self.files, self.plan, self.aim), self.steps.next("Evaluating the best again")
        known = table[table["value"].notna()]
        archs = [best_of(own, self.aim)["arch"] for _, own in known.groupby(["space", "stage"], sort=False)]
        seeds = range(FIRST_SEED + 1, FIRST_SEED + 1 + self.plan.num_again)
        self._evaluate(archs, self.files.again, report, seeds if self.evaluator.by_seed else seeds[:1])

    def _evaluate(self, archs: Sequence[Any], results: ResultsFile, report: Report, seeds: Sequence[int] = (FIRST_SEED,)) -> None:
        """Evaluates architectures into a file; what it has is not measured again."""
        asked, executor = ask(archs, seeds), executor_for(self.scheduler)
        run_batch(self.evaluator, asked, self.setting, results, report, self.should_stop, executor)


class Steps:
    """Progress of a loop: its stages one after the other, each with its guessed share of the time.

    Args:
        plan: the loop.
        report: hears of it.
    """

    def __init__(self, plan: LoopPlan, report: Report) -> None:
        self.report, self.begun, self.number = report, time.monotonic(), 0
        self.shown = self.come = 0.0  # share that was reported last; work of this process in stages that are over
        own = [plan.num_sampled, TRAINING_WORTH, BUILDING_WORTH, plan.num_built]
        self.worth = [0 if plan.evolved else EVOLUTION_WORTH, *own, *own, plan.num_again * len(SPACES) * len(STAGES)]
        self.expect_hand_made(plan.num_sampled + (EVOLUTION_WORTH if plan.charged is None else plan.charged))

    def expect_hand_made(self, num: int) -> None:
        """Says how large the sample of the hand-made space is, now that it is known."""
        self.worth[5] = num

    def next(self, words: str) -> Report:
        """Begins the next stage, which reports to what is returned."""
        number, self.number = self.number, self.number + 1
        whole, before, come = sum(self.worth), sum(self.worth[:number]), self.come
        first = reached = -1.0  # of the stage; a training counts its scoring from the start again

        def say(share: float) -> None:
            self.shown = max(self.shown, (before + self.worth[number] * share) / whole)
            left = None
            if self.come > whole / 100:
                left = (time.monotonic() - self.begun) / self.come * max(whole - before - self.worth[number] * share, 0.0)
            about = {"phase": words, "step": number + 1, "num_steps": len(self.worth)}
            self.report(about | {"share": self.shown, "seconds_left": left})

        def hear(record: Mapping[str, object]) -> None:
            nonlocal first, reached
            reached = max(reached, _share_of(record))
            first = reached if first < 0 else first  # what a stage had before it was gone on with took no time of this process
            self.come = come + self.worth[number] * (reached - first)
            say(reached)

        say(0.0)
        return hear


def _share_of(record: Mapping[str, Any]) -> float:
    """The share of a stage that is done, by a record of its own."""
    if "share" in record:
        return min(max(float(record["share"] or 0.0), 0.0), 1.0)
    return float(record["step"]) / max(float(record["num_steps"]), 1.0) if "num_steps" in record else 0.0


def num_networks(cells: CellLists) -> int:
    """The number of distinct networks of a space."""
    strides = cells.skeleton.strides
    return math.prod(len({canonical(cell, stride) for cell in own}) for own, stride in zip(cells.layers, strides, strict=True))


def forget_failures(results: ResultsFile, num: int) -> None:
    """Takes failed evaluations out of a whole sample that is too poor to train on, so that they are tried again.

    Args:
        results: of a sample; what diverged or ran out of time would do so again and stays.
        num: networks of the sample.
    """
    lines = results.read()
    if len(lines) >= num and sum(line["state"] == FINISHED for line in lines) < MIN_NETWORKS:
        with tables.replacing(results.path) as part:
            ResultsFile(part).append([line for line in lines if line["state"] != FAILED])


def check_enough(results: ResultsFile, title: str) -> None:
    """Returns when enough evaluations came to their end for a training.

    Raises:
        EvaluationError: they did not; the message says why the first failed.
    """
    lines = results.read()
    fine = sum(line["state"] == FINISHED for line in lines)
    if fine < MIN_NETWORKS:
        error = next((line["error"] for line in lines if line.get("error")), "none said why")
        raise EvaluationError(f"{title}: got {fine} of {len(lines)} evaluations, expected at least {MIN_NETWORKS}; {error}")


def draw(space: Space, num: int, rng: np.random.Generator) -> list[Any]:
    """Distinct networks within the budget of their space, drawn uniformly over encodings.

    Args:
        space: of networks of cells.
        num: how many.
        rng: of the draws.

    Raises:
        ConfigError: it has no so many.
    """
    found: dict[int, Any] = {}
    for _ in range(DRAWS):
        codes = space.sample(num, rng)
        for row, network in zip(codes, space.hash_networks(codes).tolist(), strict=True):
            if network not in found and madds_within_budget(native := space.native(row)) is not None:
                found[network] = native
            if len(found) == num:
                return list(found.values())
    got = f"got a space in which {DRAWS * num} draws found {len(found)} networks within the budget"
    raise ConfigError(f"sample: {got}, expected {num} to evaluate; start a loop that asks for fewer.")


def madds_within_budget(arch: Mapping[str, Any]) -> float | None:
    """The multiply-adds of a network in millions; None where it costs more than its budget, or no widths meet that.

    Args:
        arch: in its native encoding; one without a budget is within it.
    """
    try:
        madds_m = CellNetwork.read(arch).cost.madds / 1e6
    except ArchitectureError:
        return None
    return madds_m if madds_m <= (arch.get("madds_m") or math.inf) * (1 + TOLERANCE) else None
