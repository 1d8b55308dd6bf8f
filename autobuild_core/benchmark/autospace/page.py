"""The measured part of docs/autospace.md: tables and comparisons below what a person wrote."""

import platform
from collections.abc import Mapping
from pathlib import Path

from autobuild_core.benchmark.paper.outcome import Outcome
from autobuild_core.benchmark.paper.page import in_lines
from autobuild_core.benchmark.report import table
from autobuild_core.store.run_folder import run_versions
from autobuild_core.version import VERSION

HEADING = "## Measured"


def measured(outcomes: Mapping[str, Outcome], command: str, path: Path | None) -> str:
    """The page: what is there already up to HEADING, then the tables of all experiments.

    Args:
        outcomes: by name of the experiment.
        command: that made them.
        path: the page that there is; None = there is none.
    """
    before = path.read_text(encoding="utf-8").partition(HEADING)[0] if path and path.exists() else ""
    versions = ", ".join(f"{name} {version}" for name, version in run_versions().items())
    made = f"Made by `{command}` with version {VERSION} of this project on {platform.system()} {platform.machine()} ({versions})."
    conditions = {tuple(record.items()): record for outcome in outcomes.values() for record in outcome.conditions}
    parts = [HEADING, "", made, "", table("Trainings", list(conditions.values()), "budget: gradient steps of a training.")]
    for outcome in outcomes.values():
        parts += [f"### {outcome.title}", ""]
        parts += [table(one.title, one.records, one.notes).replace("### ", "#### ", 1) for one in outcome.tables]
        parts += [*in_lines(outcome.verdicts), ""]
    return before + "\n".join(parts)
