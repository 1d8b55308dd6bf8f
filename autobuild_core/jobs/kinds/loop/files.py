"""The folder of a closed loop: what each stage wrote, and the tables and the summary that are worked out from it.

loop.json                the settings
evolution/               the evolution (autospace/history.py)
learned/, hand_made/     of each of the two spaces:
    sampled.jsonl        evaluations of networks that were drawn from it
    run/                 the run that AutoBuild trained on them (store/run_folder.py)
    built.jsonl          the networks that were built, with their predictions
    measured.jsonl       evaluations of those
again.jsonl              evaluations of the best of every stage with unseen seeds

A stage that is whole is read and not repeated, so a loop that was stopped goes on wherever it was. Imports nothing heavy.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.autospace import LEARNED as LEARNED_FILE
from autobuild_core.autospace import EvolutionFolder, summary
from autobuild_core.errors import ConfigError, TargetError
from autobuild_core.evaluators._results import FINISHED, Asked, Line, ResultsFile, key_of, metrics_of
from autobuild_core.jobs.kinds.loop.plan import LoopPlan
from autobuild_core.scoring.intervals import Mean
from autobuild_core.store import tables
from autobuild_core.targets.aim import Aim

PLAN, EVOLUTION, AGAIN = "loop.json", "evolution", "again.jsonl"
SAMPLED, BUILT, MEASURED, RUN = "sampled.jsonl", "built.jsonl", "measured.jsonl", "run"
LEARNED, HAND_MADE = SPACES = "learned", "hand_made"
STAGES = {"sampled": SAMPLED, "built": MEASURED}
TITLES = {LEARNED: "learned space", HAND_MADE: "hand-made space"}
EVALUATION_COLUMNS = ("space", "stage", "spent", "value", "predicted", "low", "high", "best", "again", "seconds", "arch")


@dataclass(frozen=True)
class LoopFiles:
    """The folder of a closed loop. Making the object reads nothing; each call reads what is there now.

    Args:
        path: the folder.
    """

    path: Path

    def begin(self, plan: LoopPlan) -> None:
        """Makes the folder, or goes on with the same loop that is there.

        Raises:
            ConfigError: it holds another loop, or cannot be written.
        """
        if self.begun:
            found, asked = _compared(self.plan), _compared(plan)
            for name, value in asked.items():
                if (known := found.get(name)) != value:
                    got = f"got a loop with {name} {tables.to_json(known)}, expected {tables.to_json(value)} as asked"
                    raise ConfigError(f"{self.path}: {got}; name another folder.")
            return
        try:
            for name in (*SPACES, EVOLUTION):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            about = plan.to_json()
            del about["evolved"]  # a place on this machine; which evolution it is, its settings say
            tables.write_json(self.path / PLAN, about)
        except OSError as error:
            raise ConfigError(f"{self.path}: got {error.strerror}, expected a folder that can be written.") from error

    @property
    def plan(self) -> LoopPlan:
        """The settings.

        Raises:
            ConfigError: there is no loop in the folder, its file is damaged, or it is a loop through files.
        """
        settings = self._settings
        if "evolution" not in settings:
            raise ConfigError(f"{self.path}: got a loop through files, expected one that evolves its space; name another folder.")
        return LoopPlan.read(settings)

    @property
    def evolves(self) -> bool:
        """There is a loop in the folder, and none through files."""
        return self.begun and "evolution" in self._settings

    @property
    def _settings(self) -> dict[str, Any]:
        path = self.path / PLAN
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{path}: got no settings ({error}), expected those of a closed loop.") from error

    @property
    def begun(self) -> bool:
        """There is a loop in the folder."""
        return (self.path / PLAN).exists()

    def results(self, space: str, stage: str) -> ResultsFile:
        """The evaluations of a stage of STAGES in a space of SPACES."""
        return ResultsFile(self.path / space / STAGES[stage])

    @property
    def again(self) -> ResultsFile:
        """The evaluations with unseen seeds."""
        return ResultsFile(self.path / AGAIN)

    def built(self, space: str) -> list[dict[str, Any]]:
        """The networks that were built in a space: arch, predicted, low, high, madds_m; [] before that.

        Raises:
            ConfigError: the file is damaged.
        """
        path = self.path / space / BUILT
        try:
            return [{**json.loads(line)} for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path}: got a damaged file ({error}), expected networks that were built; delete it.") from None

    @property
    def has_evolved(self) -> bool:
        """The evolution has ended, or was taken."""
        return (self.path / EVOLUTION / LEARNED_FILE).exists()

    def is_of(self, evolution: Path) -> bool:
        """Whether the loop's evolution has the settings and the first cells of that in another folder, or has not begun."""
        places = (self.path / EVOLUTION, evolution)
        own, other = (EvolutionFolder(path).lines()[:1] if path.is_dir() else [] for path in places)
        return not own or own == other

    def has_learned(self, space: str) -> bool:
        """AutoBuild was trained in a space, and what was built there was evaluated."""
        return (self.path / space / RUN / "quality.json").exists() and bool(self.results(space, "built").read())

    @property
    def evolution_seconds(self) -> float:
        """The seconds that the evolution took so far."""
        folder = self.path / EVOLUTION
        return float(summary(EvolutionFolder(folder))["seconds"]) if folder.is_dir() else 0.0

    def charged(self, plan: LoopPlan) -> int:
        """The evaluations that the evolution is worth: as given, else its seconds as finished evaluations of the sample."""
        if plan.charged is not None:
            return plan.charged
        seconds = [line["seconds"] for line in self.results(LEARNED, "sampled").read() if line["state"] == FINISHED]
        return math.ceil(self.evolution_seconds / max(float(np.mean(seconds)), 1e-3)) if seconds else 0


def evaluations_table(files: LoopFiles, plan: LoopPlan, aim: Aim) -> pd.DataFrame:
    """One row an evaluation with a first seed, in the order in which they were spent.

    Columns: space, stage, spent (evaluations so far in its space, those that the evolution is charged among them), value (NaN of
    one that failed), predicted, low, high (of the built), best (so far in its space), again (the mean over unseen seeds, NaN of
    those that were not evaluated again), seconds, arch.
    """
    again: dict[str, list[float]] = {}
    for line, value in with_values(files.again.read(), aim):
        again.setdefault(key_of(line)[0], []).append(value)
    better = min if aim.minimize else max
    rows = []
    for space in SPACES:
        spent = files.charged(plan) if space == LEARNED else 0
        said = {Asked(one["arch"], 0).key[0]: one for one in files.built(space)}
        best = math.nan
        for stage in STAGES:
            for line, value in with_values(files.results(space, stage).read(), aim):
                spent, key = spent + 1, key_of(line)[0]
                known = [one for one in (best, value) if math.isfinite(one)]
                best = better(known) if known else math.nan
                numbers = [said.get(key, {}).get(name, math.nan) for name in ("predicted", "low", "high")]
                repeated = Mean.of(again.get(key, [])).mean
                rows.append((space, stage, spent, value, *numbers, best, repeated, line["seconds"], line["arch"]))
    return pd.DataFrame(rows, columns=list(EVALUATION_COLUMNS))


def stages_table(files: LoopFiles, plan: LoopPlan, aim: Aim) -> pd.DataFrame:
    """One row a stage of a space that has evaluations.

    Columns: space, stage, num (evaluated), failed, spent (evaluations up to its end), mean with its 90 % interval
    mean_low..mean_high over networks, best (with the first seed), again with its 90 % interval again_low..again_high: the same
    network with unseen seeds, whose values did not choose it.
    """
    table, repeated = evaluations_table(files, plan, aim), with_values(files.again.read(), aim)
    rows = []
    for (space, stage), own in table.groupby(["space", "stage"], sort=False):
        known = own[own["value"].notna()]
        row = {"space": space, "stage": stage, "num": len(own), "failed": len(own) - len(known), "spent": int(own["spent"].max())}
        row |= _interval("mean", known["value"].tolist()) | {"best": math.nan} | _interval("again", [])
        if len(known):
            best = best_of(known, aim)
            row["best"] = float(best["value"])
            key = Asked(best["arch"], 0).key[0]
            row |= _interval("again", [value for line, value in repeated if key_of(line)[0] == key])
        rows.append(row)
    return pd.DataFrame(rows)


def best_of(rows: pd.DataFrame, aim: Aim) -> "pd.Series[Any]":
    """The best row by its value."""
    return rows.loc[rows["value"].idxmin() if aim.minimize else rows["value"].idxmax()]


def loop_summary(files: LoopFiles, plan: LoopPlan, aim: Aim) -> dict[str, Any]:
    """The outcome so far, ready for JSON: round (stages with evaluations), num_evaluated, charged, target, best, stages.

    `best` is the network of either space that is best over unseen seeds, {"space", "stage", "arch", "value"}; None before that.
    It is the best of four by these very seeds, so its value is a little too good. Numbers that are not there are None.
    """
    table, stages = evaluations_table(files, plan, aim), stages_table(files, plan, aim)
    known = table[table["again"].notna()]
    best = None
    if len(known):
        row = best_of(known.assign(value=known["again"]), aim)
        best = {"space": row["space"], "stage": row["stage"], "arch": row["arch"], "value": row["again"]}
    about = {"path": str(files.path), "round": len(stages), "num_evaluated": len(table) + len(files.again.read())}
    about |= {"charged": files.charged(plan), "evolution_seconds": files.evolution_seconds}
    return about | {"target": aim.expression, "best": best, "stages": [_plain(one) for one in stages.to_dict("records")]}


def _compared(plan: LoopPlan) -> dict[str, Any]:
    """The settings by which a loop is known again: the whole evolution's in place of those that differ from its defaults."""
    about = plan.to_json()
    del about["evolved"], about["evolution"]
    about |= {f"evolution.{name}": value for name, value in plan.evolution_used.to_json().items()}
    return dict(json.loads(tables.to_json(about)))


def _plain(record: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with None for a number that is not there."""
    return {str(name): None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()}


def with_values(lines: Sequence[Line], aim: Aim) -> list[tuple[Line, float]]:
    """Lines with their targets; NaN of those that failed, lack a metric, or have no target."""
    names, values = aim.target.names, np.full(len(lines), np.nan)
    fine = [n for n, line in enumerate(lines) if line["state"] == FINISHED and set(names) <= set(metrics_of(line))]
    frame = pd.DataFrame([{name: lines[n][name] for name in names} for n in fine])
    if fine:
        try:
            values[fine] = aim.target.values(frame)
        except TargetError:  # of some of them: they divide by zero, say
            for place, number in enumerate(fine):
                with suppress(TargetError):
                    values[number] = aim.target.values(frame.iloc[[place]])[0]
    return list(zip(lines, values.tolist(), strict=True))


def _interval(name: str, values: Sequence[float]) -> dict[str, float]:
    """A mean with its 90 % interval as three columns."""
    found = Mean.of(values)
    return {name: found.mean, f"{name}_low": found.low, f"{name}_high": found.high}
