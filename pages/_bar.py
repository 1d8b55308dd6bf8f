"""The bar at the top of every page: data set, target, run, and the next step."""

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import streamlit as st

from autobuild_core.errors import StudioError
from autobuild_core.store.entries import RunRow
from autobuild_core.store.quality import Quality
from autobuild_core.store.states import RunState
from autobuild_core.targets.aim import Aim
from pages import _aim, _drop, _navigation, _pair, _states, _text, _workspace

NEXT_STEPS = {
    "home": ("importance", "See what matters"),
    "data": ("train", "Train on this"),
    "train": ("importance", "See what matters"),
    "map": ("importance", "See what matters"),
    "importance": ("hops", "Rank the modules"),
    "hops": ("builder", "Build better ones"),
    "builder": ("evaluate", "Measure them"),
    "evaluate": ("review", "Review the claims"),
    "search_space": ("train", "Train on its networks"),
    "review": ("data", "Add new measurements"),
}
VERDICT_COLOURS = {"trustworthy": "green", "thin": "yellow", "not enough": "orange", "not trustworthy": "red"}


@dataclass(frozen=True)
class Blocked:
    """The reason why a data set cannot be trained on as Data's fields stand.

    Args:
        data: its id.
        target: the equation in the box.
        badge: the reason in two words.
        why: the reason in a sentence.
    """

    data: str
    target: str
    badge: str
    why: str


def top_bar(name: str, run: "pd.Series[Any] | None") -> None:
    """The bar.

    Args:
        name: of the page.
        run: the chosen one; not looked at where a dropped file is.
    """
    drop = _drop.dropped() if name == "data" else None
    if drop is None:
        data, target, equation = _subject(run, name)
    else:
        run, data, target, equation = None, f"{_text.plain(drop.name, 22)} :gray-badge[not stored]", "none yet", None
    said, why = _run_words(run, drop is not None)
    with st.container(border=True, key="top_bar"):
        columns = st.columns([2.3, 2.3, 3.4, 2.2], vertical_alignment="center")
        _labelled(columns[0], "Data set", data)
        _labelled(columns[1], "Target", target, help=equation)
        _labelled(columns[2], "Run", said, help=why)
        with columns[3]:
            _next_step(name, run, drop is not None)


def _run_words(run: "pd.Series[Any] | None", is_dropped: bool) -> tuple[str, str | None]:
    """The run's name with its verdict, else its state; why the verdict is so."""
    if run is None:
        nothing = is_dropped or _workspace.workspace().datasets().empty
        return "none yet" if nothing else "none trained on these data", None
    quality = _quality(run)
    if verdict := quality.get("verdict"):
        colour, badge = VERDICT_COLOURS.get(verdict, "gray"), verdict
    else:
        colour, badge = _states.STATE_COLOURS[run["state"]], run["state"]
    why = _text.plain(quality.get("verdict_why") or "", 600) or None
    return f"{_text.plain(run['name'], 27)} :{colour}-badge[{badge}]", why


def _next_step(name: str, run: "pd.Series[Any] | None", is_dropped: bool) -> None:
    """The button to the page after this one, where that has something to show."""
    step, label = NEXT_STEPS[name]
    blocked = _blocked(name)
    scored = run is not None and run["state"] == RunState.FINISHED and bool(run["has_scores"])
    is_ready = step in ("data", "train") or scored
    if blocked is not None or is_dropped or (name == "data" and _workspace.workspace().datasets().empty):
        is_ready = False
    why = "Use these columns first" if is_dropped else None if blocked is None else blocked.why
    kind: Literal["primary", "secondary"] = "secondary" if is_dropped else "primary"
    if st.button(label, type=kind, disabled=not is_ready, width="stretch", key=f"next_{name}", help=why):
        _navigation.go_to(step)


def _blocked(name: str) -> Blocked | None:
    """The reason from Data why its data set cannot be trained on, for the bar on Data."""
    found, dataset = st.session_state.get("blocked"), _pair.current_dataset()
    return found if name == "data" and found is not None and dataset is not None and found.data == dataset["id"] else None


def _quality(run: "pd.Series[Any]") -> Quality:
    """quality.json of a run, {} where there is none."""
    if run["state"] != RunState.FINISHED:
        return {}
    try:
        return RunRow.quality_of(_workspace.workspace().run(str(run["id"])))
    except StudioError:
        return {}


def _subject(run: "pd.Series[Any] | None", name: str) -> tuple[str, str, str | None]:
    """Data set, target in words, equation of a named target: of the run, or as Data's fields say and before the first run."""
    if run is not None and not run["has_scores"]:
        return _text.plain(run["data_name"] or "none", 30), _text.plain(run["aim"] or "none", _aim.LONGEST), None
    if run is not None and (name != "data" or _pair.current_dataset() is None):
        return _data_words(run["data_name"], run["data_version"]), _aim.words(Aim.of(run)), _aim.equation(Aim.of(run))
    chosen, blocked = _pair.current_dataset(), _blocked(name)
    if chosen is None:
        return "none yet", "none yet", None
    aim, badge = _aim.chosen(), ""
    if blocked is not None:
        aim, badge = Aim(blocked.target, aim.minimize), f" :red-badge[{blocked.badge}]"
    target = f"{_aim.words(aim)}{badge}" if aim.expression else badge.strip() or "none yet"
    return _data_words(chosen["name"], chosen["version"]), target, _aim.equation(aim)


def _data_words(name: Any, version: Any) -> str:
    """A data set's name, and its version where it has grown."""
    grown = f", version {int(version)}" if version > 1 else ""
    return _text.plain(name, 30 - len(grown)) + grown


def _labelled(column: Any, label: str, text: str, help: str | None = None) -> None:
    column.markdown(f":gray[{label}]  \n{text}", help=help)
