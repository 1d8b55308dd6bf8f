"""Commands that a page asks at once, each in a process of its own, with its progress; any click ends it."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from autobuild_core.errors import StudioError
from autobuild_core.jobs.asking import ask
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.budgets import Budgets, budget_text
from pages import _run, _text, _workspace


def asked(
    run: FinishedRun,
    command: str,
    arguments: Sequence[str],
    said: str,
    files: dict[str, str] | None = None,
    held: bool = False,
) -> tuple[dict[str, Any], str] | str:
    """The answer of a command about a run, and what it wrote; its sentence where it says that something does not do.

    Args:
        run: the run.
        command: its name.
        arguments: behind the run, without --out.
        said: beside the bar.
        files: {option: text} of files that it reads.
        held: it is asked where the run is held; else on the average over contexts.
    """
    bar = st.progress(0.0, f"{said}; a click anywhere ends it")

    def report(share: float) -> None:
        bar.progress(share, f"{said}; a click anywhere ends it")

    with TemporaryDirectory(prefix="autobuild-page-") as scratch:
        out, given = Path(scratch) / "out", []
        for number, (option, text) in enumerate((files or {}).items()):
            place = Path(scratch) / f"in_{number}.jsonl"
            place.write_text(text, encoding="utf-8")
            given += [option, str(place)]
        folder = str(_workspace.workspace().run(run.id).path)
        where = [part for name, value in _run.held_at(run).items() for part in ("--context", f"{name}={value}")] if held else []
        try:
            answer = ask([command, folder, *arguments, *where, *given, "--out", str(out)], report)
            return answer, out.read_text(encoding="utf-8")
        except StudioError as error:
            return _text.cut(error, 900)
        finally:
            bar.empty()


def of_budgets(budgets: Budgets | None) -> list[str]:
    """The options of budgets; none where there are none."""
    if budgets is None or not budgets.bounds:
        return []
    limits = [part for bound in budgets.bounds for part in ("--budget", budget_text(bound))]
    return [*limits, "--confidence", repr(budgets.confidence)]


def lines_of(text: str) -> list[dict[str, Any]]:
    """The objects of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]
