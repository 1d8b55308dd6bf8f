"""Evaluate: candidates are measured here or elsewhere, set against what was predicted, and learned from."""

from autobuild_core.scoring.finished_run import FinishedRun
from pages import (
    _entering,
    _evaluations,
    _listed,
    _measuring,
    _outcome,
    _replays,
    _retraining,
    _rounds,
    _states,
    _trust,
    _widgets,
)

HOW_TO_READ = (
    "candidates wait here with what was predicted of them, written down before they are measured and never changed. Every batch "
    "of two or more holds about a fifth of random networks that no prediction chose: what was chosen for its prediction "
    "disappoints even where the predictor is right, and only beside these controls can that be told from a predictor that is "
    "wrong. The interval is one of a measurement like those that were learned from; above the diagonal a measurement is larger "
    "than predicted."
)


def render(run: FinishedRun) -> None:
    """The page of a finished run."""
    _trust.panel(run)
    _evaluations.take_in(run)
    _listed.candidates(run)
    if not _listed.exhausted(run):
        _measuring.measure(run)
    _evaluations.evaluations(run)
    _outcome.outcome(run)
    _rounds.section(run)
    _retraining.retraining(run)
    _replays.section(run)


_entering.enter("evaluate")
_widgets.title("Evaluate", HOW_TO_READ)
render(_states.chosen_run())
