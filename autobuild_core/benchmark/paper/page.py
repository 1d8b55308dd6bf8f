"""The page of the experiments: how it was made, where AutoBuild does not win, and every table."""

import platform
from collections.abc import Mapping, Sequence

from autobuild_core.benchmark.paper.comparing import LOSES, OPEN, WINS, Verdict
from autobuild_core.benchmark.paper.ledger import UNSEEN_SEEDS
from autobuild_core.benchmark.paper.outcome import Outcome
from autobuild_core.benchmark.report import table
from autobuild_core.errors import counted
from autobuild_core.store.run_folder import run_versions
from autobuild_core.version import VERSION

INTRODUCTION = (
    "Every number here was measured by the evaluators of this project (docs/evaluators.md); none is quoted. "
    "The papers' own experiments are larger: what is compared here is the methods, at a scale that a desk "
    f"has. Each final pick was trained anew with the seeds {UNSEEN_SEEDS[0]} to {UNSEEN_SEEDS[-1]}, which "
    "neither labels nor selections have; each arm is charged all trainings by which it chose. A gain above "
    "0 is in favour of the one that is named first. Intervals are 90 %, by Student's t, for each comparison "
    "by itself: of twenty that cannot be told apart, two would seem to be."
)


def markdown(outcomes: Mapping[str, Outcome], command: str) -> str:
    """The page.

    Args:
        outcomes: by name of the experiment.
        command: that made it.
    """
    versions = ", ".join(f"{name} {version}" for name, version in run_versions().items())
    made = f"Made by `{command}` with version {VERSION} of this project on {platform.system()} {platform.machine()} ({versions})."
    conditions = [{"experiment": name} | dict(record) for name, outcome in outcomes.items() for record in outcome.conditions]
    parts = ["# The papers' experiments at this scale", "", made, "", INTRODUCTION, ""]
    if conditions:
        parts += [table("Evaluations", conditions, "budget: gradient steps of a training; rounds of latency.")]
    parts += ["## Where AutoBuild does not win", "", *not_won(outcomes), ""]
    for outcome in outcomes.values():
        parts += [f"## {outcome.title}", "", outcome.about, ""]
        parts += [table(one.title, one.records, one.notes) for one in outcome.tables]
        parts += ["### Comparisons", "", *in_lines(outcome.verdicts), ""]
    return "\n".join(parts)


def not_won(outcomes: Mapping[str, Outcome]) -> list[str]:
    """A line for every comparison that is lost or cannot be told, those that are lost first, and how many there are."""
    every = [one for outcome in outcomes.values() for one in outcome.verdicts]
    count = {said: sum(one.outcome == said for one in every) for said in (WINS, LOSES, OPEN)}
    total = f"Of {counted(len(every), 'comparison')} {count[WINS]} are won, {count[LOSES]} lost, {count[OPEN]} cannot be told."
    lost = [one for said in (LOSES, OPEN) for one in every if one.outcome == said]
    return [total, "", *in_lines(lost)]


def in_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """Verdicts as a list."""
    return [f"- {one.text}" for one in verdicts]
