"""Home: what the data say in one screen."""

from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.figures import drawing, rankings
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.states import RunState
from pages import (
    _entering,
    _intake,
    _linked,
    _navigation,
    _pair,
    _run,
    _selection,
    _states,
    _text,
    _theme,
    _trust,
    _widgets,
    _workspace,
)

SHOW = "Chooses this module and shows it in Importance"
HOW_TO_READ = (
    "the drawing is the best architecture that was measured, a box a layer: orange ones on their own make the "
    "target better than the average architecture's, violet ones worse, and faint means unsure. Below are the "
    "best and the worst modules, with the interval in which their effect lies. The line under the title "
    "says how far all of this can be trusted."
)


def render(run: "pd.Series[Any] | None") -> None:
    """The page, whatever there is: a finished run, another one, data alone, or nothing.

    Args:
        run: line of the chosen run in the table of runs; None where there is none.
    """
    if run is not None and run["state"] == RunState.FINISHED:
        findings(_states.chosen_run())
    elif run is not None:
        _widgets.title("What the data say", "this page fills when a run is finished.")
        _states.chosen_run()  # says how far it is, or what to do
    elif _workspace.workspace().datasets().empty:
        welcome()
    else:
        ready()


def welcome() -> None:
    """The empty workspace: a drop zone and the sample, nothing else."""
    st.header("Which parts of an architecture matter?", anchor=False)
    st.write(
        "Drop a file of evaluated architectures here. The studio learns which modules matter and builds better ones from them."
    )
    _intake.drop_zone()
    _intake.sample_button()


def ready() -> None:
    """Data without a run: the ways to look at them and to train on them."""
    st.header("Ready to train", anchor=False)
    st.write("The data are in. Choose what to maximise, then train on them.")
    left, right, _ = st.columns([1, 1, 3])
    if left.button("Look at the data", width="stretch"):
        _navigation.go_to("data")
    if right.button("Train", type="primary", width="stretch"):
        _navigation.go_to("train")


def findings(run: FinishedRun) -> None:
    """The verdict, the best architecture, the best and the worst modules."""
    _widgets.title("What the data say", HOW_TO_READ)
    _trust.panel(run)
    _linked.line(run, "home")
    best_architecture(run)
    best_and_worst(run)


def best_architecture(run: FinishedRun) -> None:
    """The best measured architecture, coloured by its layers."""
    best = int(run.ranked_rows()[0])
    st.subheader(f"Best of {len(run.targets):,} measured: {_text.plain(run.amount(run.measured(best)))}", anchor=False)
    drawn = _run.drawn(run, run.table.codes[best], 0, Lens.SCORE)
    figure = drawing.architecture_figure(drawn, _theme.theme())
    _widgets.legend(_run.scale(run, Lens.SCORE))
    words = f"The best architecture, {(drawn['kind'] == 'layer').sum()} layers in {drawn['unit'].nunique()} units"
    _widgets.show(figure, _widgets.drawing_facts(drawn), "best_architecture", words)


def best_and_worst(run: FinishedRun) -> None:
    """The three best and the three worst whole-unit modules."""
    modules = run.modules[run.modules["whole_unit"] & run.modules["score"].notna()]
    columns = st.columns(2, gap="large")
    ranking = rankings.ranking_table(modules, Lens.SCORE, run.config.minimize, run.num_evaluated, run.unit, 3, 3)
    for column, heading, part in (
        (columns[0], "Best modules", ranking.head(3)),
        (columns[1], "Worst modules", ranking.tail(3).iloc[::-1]),
    ):
        column.subheader(heading, anchor=False)
        with column:
            for place, module in part.iterrows():
                module_line(run, int(place), module, heading == "Best modules")
    with st.container():
        _widgets.csv_button(ranking.drop(columns=["first_position"], errors="ignore"), "modules_that_matter")


def module_line(run: FinishedRun, place: int, module: "pd.Series[Any]", is_best: bool) -> None:
    """A module with what is known of it, and the way to it.

    Args:
        run: the run.
        place: its line of the ranking.
        module: that line.
        is_best: it stands among the best, so that the report may say how sure that is.
    """
    swatch = _run.scale(run, Lens.SCORE).fill(module["value"], module["low"], module["high"], _theme.theme())
    note = _trust.best_note(run, module["positions"], module["layers"]) if is_best else ""
    card, link = st.columns([5, 1], vertical_alignment="center")
    card.html(_widgets.module_card(module["module"], f"{module['words']}; {note}" if note else module["words"], swatch))
    if link.button("Show", type="tertiary", icon=":material/arrow_forward:", key=f"show_module_{place}", help=SHOW):
        _selection.choose_module(ModuleKey.of(module))
        _linked.follow(run)


_entering.enter("home")
render(_pair.current_run(fall_back_to_sample=False))
