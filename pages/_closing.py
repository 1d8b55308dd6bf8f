"""Search space: the closed loop, from a learned space to networks that were built from its best cells and evaluated."""

from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.autospace import LEARNED as LEARNED_FILE
from autobuild_core.errors import StudioError, counted
from autobuild_core.evaluators import DEVICES, load_evaluator
from autobuild_core.figures import cells as drawn_cells
from autobuild_core.figures import closed_loop
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.loop import LOOP
from autobuild_core.jobs.kinds.loop.files import (
    HAND_MADE,
    LEARNED,
    STAGES,
    TITLES,
    LoopFiles,
    best_of,
    evaluations_table,
    stages_table,
)
from autobuild_core.jobs.kinds.loop.keeping import keep
from autobuild_core.jobs.kinds.loop.plan import LoopPlan
from autobuild_core.spaces._cells import Cell
from autobuild_core.targets.aim import Aim
from pages import _evolutions, _memory, _navigation, _run_actions, _states, _text, _theme, _widgets, _words, _workspace

KIND = "loop"
DEFAULTS = LoopPlan()
TARGET = "recall_at_2_pct"  # unless another metric of the evaluator is chosen
ABOUT = (
    "A sample of the learned space is evaluated, AutoBuild learns from it which cells matter in which layer, the builder "
    "assembles networks within the budget, and these are evaluated too. The hand-made space of inverted residual blocks goes "
    "through the same, with as many evaluations more as the evolution took time."
)
SECONDS_EACH = 16.0  # of an evaluation of the defaults, on an idle core


def section(evolution: _evolutions.Shown) -> None:
    """The loop that is shown, and the button that starts another one.

    Args:
        evolution: the one that is shown above; a loop can go on from it.
    """
    st.subheader("From the space to a network", anchor=False)
    st.caption(ABOUT)
    shown = _evolutions.choose_of(KIND, "loop", LOOP, _evolutions.SHIPPED, partial(_new, evolution))
    if shown.run is not None:
        _run_actions.state_line(shown.run, "", "loop")

    @st.fragment(run_every=2.0 if shown.is_live else None)
    def watch() -> None:
        if shown.run is not None and shown.is_live:
            _states.follow(shown.id, str(shown.run["state"]))
        try:
            _results(shown, evolution)
        except StudioError as error:
            st.error(_text.plain(error, 600))

    watch()


def _new(evolution: _evolutions.Shown, num: int) -> None:
    """The settings of another loop, and the button that starts it; closed again as soon as there is one more."""
    with st.popover("Close the loop", icon=":material/all_inclusive:", key=f"close_the_loop_{num}"):
        name = st.text_input("Name", "Closed loop", max_chars=120, key="loop_name")
        has_ended = (evolution.folder / LEARNED_FILE).exists()
        spaces = ["evolve a new one", *(["that of the evolution above"] if has_ended else [])]
        space = st.radio("Space", spaces, len(spaces) - 1, key="loop_space")
        left, right = st.columns(2)
        num_sampled = left.number_input("Networks to learn from", value=DEFAULTS.num_sampled, step=1, key="loop_sampled")
        num_built = right.number_input("Networks to build", value=DEFAULTS.num_built, step=1, key="loop_built")
        seed = left.number_input("Seed", value=0, step=1, key="loop_seed")
        device = right.selectbox("Device", DEVICES, key="loop_device")
        metrics = load_evaluator(DEFAULTS.evaluator).metrics
        target = st.selectbox("Target", metrics, metrics.index(TARGET), key="loop_target")
        madds_m = None
        if space == spaces[0]:
            budget_m = _evolutions.DEFAULTS.madds_m
            madds_m = st.number_input("Budget, M multiply-adds", value=budget_m, step=0.05, key="loop_madds")
        num = max(2 * (num_sampled + num_built) + 4 * DEFAULTS.num_again, 0)
        evolving = _evolutions.SECONDS_EACH * _evolutions.DEFAULTS.generations
        seconds = SECONDS_EACH * num + evolving * (2 if space == spaces[0] else 1)  # once for the hand-made space
        st.caption(
            f"{counted(int(num), 'evaluation')}, and as many more as the evolution took time: about {_words.duration(seconds)} "
            "on an idle core."
        )
        refusal = st.container()
        if st.button("Start", type="primary", key="start_loop"):
            plan = {"num_sampled": int(num_sampled), "num_built": int(num_built), "seed": int(seed), "device": device}
            plan |= {"target": target, "minimize": load_evaluator(DEFAULTS.evaluator).minimizes(target)}
            source = None if space == spaces[0] else evolution
            with refusal:
                _widgets.guarded(lambda: _start(name, plan, madds_m, source))


def _start(name: str, plan: dict[str, Any], madds_m: float | None, evolution: _evolutions.Shown | None) -> None:
    """Starts a loop.

    Raises:
        ConfigError: a setting does not do.
    """
    if evolution is not None:
        made = LoopPlan.after(evolution.folder, plan)
    else:
        made = LoopPlan.read({**plan, "evolution": {"madds_m": madds_m}})
    run_id = kinds.add(_workspace.workspace(), KIND, name=" ".join(name.split()) or "Closed loop", plan=made.to_json())
    _workspace.executor().submit(run_id)
    _memory.keep(loop=run_id)
    st.rerun()


def _results(shown: _evolutions.Shown, evolution: _evolutions.Shown) -> None:
    """Everything that is there of a loop so far.

    Args:
        shown: the loop.
        evolution: the one that is shown above, which may be another one than the loop's.

    Raises:
        ConfigError: a file of it is damaged.
    """
    files = LoopFiles(shown.folder)
    if not files.begun:
        if not shown.is_live:
            st.info("This loop ended before its first stage; resume it, or start another one.")
        return
    if not files.is_of(evolution.folder):
        st.caption("This loop has an evolution of its own, another one than that above.")
    plan = files.plan
    aim = plan.aim()
    table, stages = evaluations_table(files, plan, aim), stages_table(files, plan, aim)
    if table.empty:
        st.caption(f"{'' if files.has_evolved else 'The space is evolving. '}The first evaluations follow.")
        return
    _said(files, aim, stages)
    charged = files.charged(plan)
    _widgets.table(closed_loop.stages_shown(stages, TITLES, aim.label.unit), "stages", "Nothing was evaluated yet.")
    st.caption(
        f"The evolution took {_words.duration(files.evolution_seconds)}: {counted(charged, 'evaluation')} that the "
        "hand-made space gets on top. A best value was chosen among noisy ones; unseen seeds say what it is worth."
    )
    figure = closed_loop.loop_figure(table, TITLES, charged, aim.label.axis)
    words = f"{aim.label.axis} of {len(table)} evaluations in the learned and in the hand-made space, and the best so far"
    _widgets.show(figure, table.drop(columns="arch"), "evaluations_of_the_loop", words)
    _best(table, aim)
    if not shown.is_live:
        _keep(shown, files)


def _said(files: LoopFiles, aim: Aim, stages: pd.DataFrame) -> None:
    """The outcome in two sentences: the best that was built in both spaces over unseen seeds, and the best of the samples."""
    known = stages[stages["again"].notna()].set_index(["space", "stage"])
    if len(known) < len(TITLES) * len(STAGES):
        return
    ours, theirs = (known.loc[(space, "built")] for space in (LEARNED, HAND_MADE))
    gain = (theirs["again"] - ours["again"]) if aim.minimize else (ours["again"] - theirs["again"])
    apart = ours["again_low"] > theirs["again_high"] or ours["again_high"] < theirs["again_low"]
    told = "" if apart else ", which the seeds do not tell apart"
    seeds = counted(len({line["seed"] for line in files.again.read()}), "unseen seed")
    samples = " and ".join(f"{known.loc[(space, 'sampled'), 'again']:#.4g}" for space in (LEARNED, HAND_MADE))
    spent = sorted({int(ours["spent"]), int(theirs["spent"])})
    st.markdown(
        f"Over {seeds} the best network built from the learned space has {ours['again']:#.4g}, the best built from the hand-made "
        f"one {theirs['again']:#.4g}: {abs(gain):#.2g} {'better' if gain > 0 else 'worse'}{told}. The best of the samples have "
        f"{samples}. Evaluations spent on each space: {' and '.join(map(str, spent))}."
    )


def _best(table: pd.DataFrame, aim: Aim) -> None:
    """The best network of each space, drawn cell by cell: by unseen seeds as soon as they are known."""
    has_again = bool(table["again"].notna().any())
    judged, rows = table.assign(value=table["again"]) if has_again else table, []
    for space, title in TITLES.items():
        known = judged[(judged["space"] == space) & judged["value"].notna()]
        if len(known):
            best = best_of(known, aim)
            cells = [Cell.read(text) for text in best["arch"]["cells"]]
            rows.append((title, [(cell, f"layer {layer}") for layer, cell in enumerate(cells, 1)]))
    if rows:
        st.markdown(f"**The best network of each space**, by {'unseen seeds' if has_again else 'its first seed'}")
        st.html(drawn_cells.cells_html(rows, _theme.theme()))


def _keep(shown: _evolutions.Shown, files: LoopFiles) -> None:
    """The buttons that put what AutoBuild learned in a space beside the other runs, to be looked at on every page."""
    with st.container(horizontal=True, gap="small"):
        for space, title in TITLES.items():
            if files.has_learned(space) and st.button(
                f"Explore the modules of the {title}", icon=":material/grid_view:", key=f"explore_{space}"
            ):
                _widgets.guarded(partial(_explore, shown, files, space))


def _explore(shown: _evolutions.Shown, files: LoopFiles, space: str) -> None:
    """Puts data and run of a space into the workspace, and opens the run."""
    name = "The loop that ships" if shown.run is None else str(shown.run["name"])
    run_id = keep(files, space, name, _workspace.workspace())
    _navigation.go_to("importance", run=run_id)
