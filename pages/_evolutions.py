"""Search space: the evolutions of this workspace and the one that ships: chosen, started, cancelled, gone on with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core import registry
from autobuild_core.autospace import EvolutionFolder, EvolutionPlan, make_plan
from autobuild_core.errors import ConfigError
from autobuild_core.evaluators import DEVICES
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.evolve import EVOLUTION
from autobuild_core.spaces._cells import SUPPORTS
from autobuild_core.store.states import ACTIVE_STATES
from pages import _memory, _text, _widgets, _words, _workspace

KIND, SAMPLE = "evolve", "sample"
SHIPPED = registry.APP / "sample_data" / "loop"  # the loop that ships, and in it its evolution
DEFAULTS = EvolutionPlan()
DEMONSTRATION = 40  # generations unless others are chosen: two minutes on an idle core
SUPPORT_WORDS = {"published": "as published: 3x3 and 1x1", "wide": "wide: 5x5 and 7x7 at the input too"}
SECONDS_EACH = 3.2  # of a generation of the defaults, on an idle core


@dataclass(frozen=True)
class Shown:
    """The evolution, or the closed loop, that is shown.

    Args:
        id: of its run, or SAMPLE.
        folder: of what it wrote.
        run: its line in the table of runs; None of the one that ships.
    """

    id: str
    folder: Path
    run: "pd.Series[Any] | None"

    @property
    def is_live(self) -> bool:
        """Whether it goes on by itself."""
        return self.run is not None and self.run["state"] in ACTIVE_STATES


def choose() -> Shown:
    """The evolution that is shown."""
    return choose_of(KIND, "evolution", EVOLUTION, SHIPPED / EVOLUTION, _new)


def choose_of(kind: str, noun: str, name: str, shipped: Path, new: Callable[[int], None]) -> Shown:
    """The job of a kind that is shown: the one in the link, else the newest, else the one that ships.

    Args:
        kind: of the jobs.
        noun: what one is called in links and keys, and as "The ... that ships".
        name: of the folder in that of its run that holds what it wrote.
        shipped: that folder of the one that ships.
        new: draws what starts another one, beside the list; takes how many there are.
    """
    runs = _workspace.runs()
    frame = runs[runs["kind"] == kind]
    names = {str(one["id"]): f"{one['name']}, {one['aim']}, seed {one['seed']:.0f}" for one in frame.to_dict("records")}
    names = _words.distinct(names | {SAMPLE: f"The {noun} that ships with the studio"})
    ids, wanted, label = list(names), _memory.recall(noun), kinds.load_kind(kind).title
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        index = ids.index(wanted) if wanted in names else 0
        chosen = st.selectbox(label, ids, index, format_func=names.__getitem__, width=460, key=f"{noun}_of_{len(ids)}")
        new(len(ids))
    if wanted and wanted not in names:
        st.warning(f"The {noun} of the link is not in this workspace: {_text.plain(wanted, 80)}. Another one is shown.")
    _memory.keep(**{noun: chosen})
    if chosen == SAMPLE:
        return Shown(SAMPLE, shipped, None)
    return Shown(chosen, _workspace.workspace().path / "runs" / chosen / name, frame[frame["id"] == chosen].iloc[0])


def _new(num: int) -> None:
    """The settings of another evolution, and the button that starts it; closed again as soon as there is one more."""
    with st.popover("New evolution", icon=":material/add:", key=f"new_evolution_{num}"):
        st.markdown("Cells compete in a supernet that trains on overlaid pairs of Fashion-MNIST items.")
        name = st.text_input("Name", "Evolution", max_chars=120, key="evolution_name")
        left, right = st.columns(2)
        # No bounds here: a field with bounds keeps its last good value and the button starts with that; the plan says what does.
        madds_m = left.number_input("Budget, M multiply-adds", value=DEFAULTS.madds_m, step=0.05, key="evolution_madds")
        seed = right.number_input("Seed", value=0, step=1, key="evolution_seed")
        generations = left.number_input("Generations", value=DEMONSTRATION, step=1, key="evolution_generations")
        device = right.selectbox("Device", DEVICES, key="evolution_device")
        support = st.selectbox("Operations", list(SUPPORTS), format_func=SUPPORT_WORDS.__getitem__, key="evolution_support")
        references = st.checkbox("Reference cells from the start", True, key="evolution_references")
        kept = st.checkbox(
            "Reference cells in the learned space", True, key="evolution_keep_references", disabled=not references,
            help="As in the published file. Measured in docs/autospace.md: without them its networks are better.",
        )  # fmt: skip
        about = f"About {_words.duration(SECONDS_EACH * max(generations, 0))} on an idle core."
        st.caption(f"{about} The evolutions of docs/autospace.md have {DEFAULTS.generations} generations.")
        refusal = st.container()
        if st.button("Start evolving", type="primary", key="start_evolution"):
            plan = {"madds_m": float(madds_m), "seed": int(seed), "generations": int(generations), "device": device}
            plan |= {"support": support, "references": references, "keep_references": kept}
            with refusal:
                _widgets.guarded(lambda: _start(name, plan))


def _start(name: str, plan: dict[str, Any]) -> None:
    """Starts an evolution.

    Raises:
        ConfigError: a setting does not do.
    """
    make_plan(plan)
    run_id = kinds.add(_workspace.workspace(), KIND, name=" ".join(name.split()) or "Evolution", plan=plan)
    _workspace.executor().submit(run_id)
    _memory.keep(evolution=run_id)
    st.rerun()


def lines_of(shown: Shown) -> list[dict[str, Any]]:
    """The generations of an evolution that are there; what is wrong with them is said."""
    try:
        return EvolutionFolder(shown.folder).lines() if shown.folder.is_dir() else []
    except ConfigError as error:
        st.error(_text.plain(error, 600))
        return []
