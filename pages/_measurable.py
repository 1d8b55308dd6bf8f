"""Evaluators that measure the space of a run, and why the others do not."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from autobuild_core import registry
from autobuild_core.architectures.records import SpaceSpec
from autobuild_core.evaluators import evaluator_names, load_evaluator
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.spaces import load_space


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
