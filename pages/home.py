"""Home: what the data say in one screen."""

import streamlit as st

from autobuild_core.figures import charts, colours, drawing
from autobuild_core.figures.colours import Lens
from pages import _intake, _shared, _trust

_shared.enter("home")


def welcome() -> None:
    """The empty workspace: a drop zone and the sample, nothing else."""
    st.header("Which parts of an architecture matter?", anchor=False)
    st.write(
        "Drop a file of evaluated architectures here. The studio learns which modules matter and builds better ones from them."
    )
    _intake.drop_zone()
    _intake.sample_button()


def findings(run: _shared.FinishedRun) -> None:
    """The best architecture, the modules that matter most and least, the verdict."""
    best = int(run.ranked_rows()[0])
    _shared.title(
        "What the data say",
        "orange layers on their own lift the target above the average architecture's, violet ones lower it; faint means unsure.",
    )
    _trust.panel(run)
    st.subheader(f"Best of {len(run.targets):,} measured: {colours.number(run.measured(best))} {run.unit}", anchor=False)
    drawn = run.drawing(run.table.codes[best], 0, Lens.SCORE)
    figure = drawing.architecture_figure(drawn, _shared.theme())
    _shared.legend(run.scale(Lens.SCORE))
    _shared.show(
        figure,
        None,
        "best_architecture",
        f"The best architecture, {(drawn['kind'] == 'layer').sum()} layers in {drawn['unit'].nunique()} units",
    )
    modules = run.modules[run.modules["whole_unit"]]
    columns = st.columns(2, gap="large")
    ranking = charts.ranking_table(modules, Lens.SCORE, run.config.minimize, run.num_evaluated, run.config.target, 3, 3)
    for column, heading, part in (
        (columns[0], "Most important", ranking.head(3)),
        (columns[1], "Least important", ranking.tail(3).iloc[::-1]),
    ):
        column.subheader(heading, anchor=False)
        for _, module in part.iterrows():
            swatch = run.scale(Lens.SCORE).fill(module["value"], module["low"], module["high"], _shared.theme())
            note = _trust.best_note(run, module["positions"], module["layers"]) if heading == "Most important" else ""
            column.html(_shared.module_card(module["module"], f"{module['words']}; {note}" if note else module["words"], swatch))


def unfinished() -> None:
    """A run that is not finished, and the way to start anew."""
    _shared.title("What the data say", "this page fills when a run is finished.")
    _shared.chosen_run()


current = _shared.current_run(fall_back_to_sample=False)
if current is not None and current["state"] == "finished":
    findings(_shared.chosen_run())
elif current is not None:
    unfinished()
elif _shared.workspace().datasets().empty:
    welcome()
else:
    st.header("Ready to train", anchor=False)
    st.write("The data are in. Choose what to maximise, then train on them.")
    left, right, _ = st.columns([1, 1, 3])
    if left.button("Look at the data", width="stretch"):
        _shared.go_to("data")
    if right.button("Train", type="primary", width="stretch"):
        _shared.go_to("train")
