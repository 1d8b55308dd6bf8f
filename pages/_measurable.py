"""Evaluators that measure the space of a run, why the others do not, and how long evaluations will take."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from autobuild_core import registry
from autobuild_core.architectures.records import SpaceSpec
from autobuild_core.errors import counted
from autobuild_core.evaluators import evaluator_names, load_evaluator
from autobuild_core.jobs.kinds.evaluate import seconds_each
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces import load_space
from pages import _words, _workspace


@dataclass(frozen=True)
class Measurable:
    """The evaluators as a space finds them.

    Args:
        titles: {name: title} of those that measure it.
        reasons: {title: why not} of the others.
    """

    titles: dict[str, str]
    reasons: dict[str, str]


def measurable(run: FinishedRun) -> Measurable:
    """The evaluators as the space of a run finds them."""
    return _measurable(run.table.spec, run.config.data_hash, evaluator_names())


def of_target(run: FinishedRun) -> dict[str, str]:
    """The evaluators of the space of a run that measure its target, {name: title}.

    One that says what it measures only once it has, as a user's own, may measure it and comes last.
    """
    titles, needs = measurable(run).titles, set(run.config.goal.names)
    sure = [name for name in titles if needs <= set(load_evaluator(name).metrics)]
    return {name: titles[name] for name in (*sure, *(name for name in titles if not load_evaluator(name).metrics))}


def predictions_of(run: FinishedRun) -> str:
    """The evaluator that asks a run for its predictions."""
    return f"predictor:{_workspace.workspace().run(run.id).path}"


def time_words(name: str, num: int, budget: int) -> str:
    """The seconds that evaluations will take, in a sentence, before they are started.

    Args:
        name: of the evaluator.
        num: evaluations.
        budget: of each.
    """
    each = seconds_each(_workspace.workspace(), name, budget)
    if each is None:
        return "How long one evaluation takes is known after the first."
    least, most = (_words.duration(max(one * num, 1.0)) for one in (each.middling, each.largest))
    total, evaluations = least if least == most else f"{least} to {most}", f"{num:,} evaluations of {each.middling:.3g} s"
    if each.middling < each.largest:
        evaluations += f" for a middling network to {each.largest:.3g} s for the largest of the samples"
    source = f"as on the {counted(each.num_known, 'evaluation')} measured here" if each.num_known else "on an idle core"
    return f"About {total}: {evaluations}, {source}."


def warn_of_budget(name: str, budget: int | None) -> None:
    """A warning where evaluations will not have the budget that an evaluator spends unasked."""
    own = load_evaluator(name).budget
    if own and budget is not None and budget != own:
        st.warning(
            f"A budget of {budget:,} is not the {own:,} that this evaluator spends unasked: measurements of two budgets are "
            "not of one kind. Keep to that of the measurements that were learned from."
        )


@st.cache_data(max_entries=16, show_spinner="Asking the evaluators")
def _measurable(_spec: SpaceSpec, key: str, names: tuple[str, ...]) -> Measurable:
    """The evaluators that measure a space.

    Args:
        _spec: of the space.
        key: tells it from others.
        names: of the evaluators.
    """
    space, titles, reasons = load_space(_spec), {}, {}
    for name in names:
        evaluator = load_evaluator(name)
        title = evaluator.title if name in registry.names("evaluators") else f"{evaluator.title}: {Path(name).name}"
        if (why_not := evaluator.supports(space)) is None:
            titles[name] = title
        else:
            reasons[title if title not in reasons else f"{title} ({name})"] = why_not
    return Measurable(titles, reasons)
