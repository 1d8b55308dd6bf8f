"""What pages share: navigation, the bar at the top, what is remembered in the URL, cached reads, states, downloads."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from autobuild_core.architectures import numbers
from autobuild_core.architectures.lens import TRAINED, Lens
from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import StudioError
from autobuild_core.figures import drawing
from autobuild_core.figures.colours import Scale
from autobuild_core.figures.template import without_markup
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.jobs.kinds import JobKind, load_kind, noun_of
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.states import ACTIVE_STATES, RunState
from autobuild_core.store.workspace import SAMPLE_ID, Workspace
from autobuild_core.targets.aim import Aim
from pages import _aim, _run, _selection, _streamlit, _theme, _workspace
from pages._selection import keep as keep
from pages._selection import kept, restore
from pages._selection import recall as recall
from pages._text import code as code
from pages._text import plain as plain
from pages._text import strong as strong

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_FILE = ROOT / "sample_data" / "fashion_mbconv" / "fashion_mbconv.csv"
PAGES = {"home": "Home", "data": "Data", "train": "Train", "map": "Map", "importance": "Importance", "hops": "Hops"}
PAGES |= {"builder": "Builder", "review": "Review"}
STYLE = """<style>
[data-testid=stHeader] {height: 2.75rem; min-height: 2.75rem; background: transparent}
[data-testid=stMainBlockContainer] {padding: 2.75rem 2.2rem 3rem; max-width: 1700px}
[data-testid=stMainBlockContainer] > [data-testid=stVerticalBlock] {gap: .7rem}
section[data-testid=stSidebar]:not([aria-expanded=false]) {width: 190px !important; min-width: 190px !important}
[data-testid=stCaptionContainer], [data-testid=stCaptionContainer] p {
  opacity: 1 !important; color: light-dark(#5a606e, #b4b9c6) !important}
[data-testid=stBaseButton-primary]:enabled p, [data-testid=stBaseButton-primaryFormSubmit]:enabled p {
  color: light-dark(#ffffff, #0d1016) !important}
.modebar:focus-within {opacity: 1 !important}
[data-testid=stNumberInput] [data-testid=InputInstructions] {display: none}
</style>"""
SCROLL = """<script>(() => {
  if (window.autobuildAt === "PLACE") return;
  window.autobuildAt = "PLACE";
  let last = null, still = 0, ticks = 0;
  const end = () => { clearInterval(timer); moves.forEach((move) => removeEventListener(move, end, true)); };
  const moves = ["wheel", "pointerdown", "keydown", "touchstart"];
  moves.forEach((move) => addEventListener(move, end, true));
  const timer = setInterval(() => {
    const heading = document.getElementById("PLACE"), main = document.querySelector("[data-testid=stMain]");
    if (++ticks > 80) return end();
    if (!heading || !main) return;
    const place = heading.getBoundingClientRect().top + main.scrollTop;
    still = place === last ? still + 1 : 0;
    last = place;
    main.scrollTo({top: place - 56});
    if (still > 15) end();
  }, 150);
})();</script>"""
QUIET_INK = {"light": "#5a606e", "dark": "#b4b9c6"}  # words that stand back, still at a contrast of 6 to the page
NEXT_STEPS = {
    "home": ("importance", "See what matters"),
    "data": ("train", "Train on this"),
    "train": ("importance", "See what matters"),
    "map": ("importance", "See what matters"),
    "importance": ("hops", "Rank the modules"),
    "hops": ("builder", "Build better ones"),
    "builder": ("review", "Review the claims"),
    "review": ("data", "Add new measurements"),
}
VERDICT_COLOURS = {"trustworthy": "green", "thin": "yellow", "not enough": "orange", "not trustworthy": "red"}
STATE_COLOURS: dict[str, str] = {
    RunState.QUEUED: "gray",
    RunState.RUNNING: "blue",
    RunState.FINISHED: "green",
    RunState.FAILED: "red",
    RunState.CANCELLED: "gray",
    RunState.LOST: "red",
    RunState.DAMAGED: "red",
}
NOTHING_SAID: dict[str, Any] = {"roles": {}, "like": "", "declared": "", "declared_name": "", "turn": 0}
LONGEST_IN_BAR = 30  # characters of a name
OF_MODULES = ("trust_best", "claims")  # tables that the training wrote about modules at the average over contexts
PLOT = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"]}


# Navigation and memory


def page(name: str) -> Any:
    """The page of a name, for links."""
    return st.Page(ROOT / "pages" / f"{name}.py", title=PAGES[name], url_path=name, default=name == "home")


def navigation() -> Any:
    """Builds the navigation; `.run()` on what it returns runs the chosen page."""
    return st.navigation([page(name) for name in PAGES])


def run_page(chosen: Any) -> None:
    """Runs the chosen page; what it did not expect of the disk and the settings is one sentence, no traceback.

    Args:
        chosen: what `navigation` returned.
    """
    try:
        chosen.run()
    except StudioError as error:
        st.error(plain(error, 600))


def enter(name: str) -> None:
    """The first line of every page: repairs the navigation where app.py did not run, moves the queue on, draws the bar.

    A deep link as the first hit of a server starts the page without app.py (tests: "first_hit").
    """
    if _streamlit.is_navigation_missing():
        navigation()
        st.rerun()
    same_page = st.session_state.get("page_shown") == name
    if not same_page:
        _streamlit.forget_fragments()
        st.session_state["visit"] = {"from": st.session_state.get("page_shown")}
        st.session_state["page_shown"] = name
    st.html(STYLE)
    move_the_queue_on()
    restore(same_page)
    if "heard" in visit():  # Streamlit drops the callback of a choice where the next click comes before it is done
        visit()["heard"]()
    wanted = recall("run")
    run = current_run(fall_back_to_sample=name != "home")
    if run is not None and _workspace.workspace().check_run(str(run["id"])) and run["state"] != RunState.DAMAGED:
        run = current_run(fall_back_to_sample=name != "home")  # its folder was found damaged this moment
    if wanted is not None and not (runs()["id"] == wanted).any():
        visit()["instead"] = None if run is None else run["id"]
    if run is not None or name != "home" or not _workspace.workspace().datasets().empty:
        _top_bar(name, run)
    _say_what_is_gone(run)


def move_the_queue_on(is_said: bool = True) -> None:
    """Starts what waits; where the disk refuses it, goes on: what is finished can still be read.

    Args:
        is_said: what is refused is said, once a page.
    """
    try:
        executor().poll()
        executor().keep_warm()
    except StudioError as error:
        if is_said:
            st.warning(plain(error, 600))


def known_aim() -> Aim | None:
    """The target as chosen, else as in the run that is shown."""
    if (chosen := _aim.chosen()).expression:
        return chosen
    run = current_run()
    return None if run is None else Aim.of(run)


def _say_what_is_gone(run: "pd.Series[Any] | None") -> None:
    """Sentences where the link names a run or a row that is not there, so that nothing else than `run` is shown in silence."""
    if "instead" in visit() and visit()["instead"] == (None if run is None else run["id"]):
        other = "" if run is None else f'; shown is "{plain(run["name"])}"'
        st.warning(f"The run in this link does not exist any more{other}.")
    if run is None or run["state"] != RunState.FINISHED or not run["has_scores"]:
        return
    row = visit().get("row") if recall("arch") is None else None  # Importance has already put the best in its place
    if named := _selection.named_rows():
        try:
            known = _run.read_run(str(run["id"])).table.source_rows
        except StudioError:
            return  # the page says it
        if missing := [one for one in named if not (known == _selection.whole_number(one)).any()]:
            row = visit()["row"] = missing[0]
    if row is not None:
        st.warning(f"Row {plain(row)} of this link is not among the data of this run; shown is the best measured architecture.")


def visit() -> dict[str, Any]:
    """What holds until another page is opened; "from" is the page before, "heard" makes the last choice in a component count."""
    found: dict[str, Any] = st.session_state["visit"]
    return found


def go_to(name: str, **choices: Any) -> NoReturn:
    """Opens a page with choices made."""
    keep(**choices)
    _streamlit.forget_fragments()
    st.switch_page(page(name), query_params=kept())


def scroll_to_place(places: Sequence[str]) -> None:
    """Brings the section that a link names (`?at=ranking`) into view, once, when all above it is drawn or the reader moves.

    Streamlit scrolls to a URL's #ranking as soon as the heading is there: charts drawn later push it out of view again, and
    the fragment is lost when a choice is written into the URL.

    Args:
        places: anchors of the page's headings; any other name is no place.
    """
    if (place := st.query_params.get("at")) in places:
        st.html(SCROLL.replace("PLACE", str(place)), unsafe_allow_javascript=True)


# The workspace


def executor() -> SubprocessExecutor:
    """The queue of the workspace."""
    limits = setting("AUTOBUILD_MAX_RUNNING", 1), setting("AUTOBUILD_THREADS", 2)
    return SubprocessExecutor(_workspace.workspace(), *limits, use_warm=os.environ.get("AUTOBUILD_WARM") != "0")


def setting(name: str, default: int) -> int:
    """A whole number from the environment; a useless one stops the page with a sentence."""
    text = os.environ.get(name, str(default))
    if not (number := _selection.whole_number(text)):
        st.error(f"{name}: got {plain(text)}, expected a whole number of at least 1.")
        st.stop()
    return number


def runs() -> pd.DataFrame:
    """All runs, newest first."""
    return _workspace.workspace().runs()


def current_pair(fall_back_to_sample: bool = True) -> "tuple[pd.Series[Any] | None, pd.Series[Any] | None]":
    """The chosen run and the data set that it was trained on: one choice, so that they never come apart.

    A run takes its data along, None where the workspace has them no more (the run keeps its own copy). Data without a run have
    the newest that was trained on them. Where neither is chosen it is the newest run that lives or is finished, else the newest,
    and the shipped sample where its data are in the workspace, or nothing else is; without any run, the newest data set.

    Args:
        fall_back_to_sample: the sample may be it while the workspace is empty.
    """
    frame, sets = runs(), _workspace.workspace().datasets()
    run = _one(frame[frame["id"] == recall("run")])
    dataset = _one(sets[sets["id"] == recall("data")])
    if run is None and dataset is not None:
        run = _most_useful(frame[frame["data_hash"] == dataset["hash"]])
    elif run is None:
        sample = frame["id"] == SAMPLE_ID
        tried = frame["data_hash"].isin(sets["hash"]) | (fall_back_to_sample and sets.empty)
        run = _most_useful(frame[~sample | tried])
    if run is None:
        return None, dataset if dataset is not None else _one(sets)
    if dataset is None or dataset["hash"] != run["data_hash"]:
        own = sets[sets["hash"] == run["data_hash"]]
        dataset = _one(own.sort_values("name", key=lambda names: names != run["data_name"], kind="stable"))
    return run, dataset


def _one(frame: pd.DataFrame) -> "pd.Series[Any] | None":
    """The first line, None where there is none."""
    return None if frame.empty else frame.iloc[0]


def _most_useful(frame: pd.DataFrame) -> "pd.Series[Any] | None":
    """The newest training that lives or is finished, else the newest; an own one before the sample, a training before a job."""
    frame = frame[frame["has_scores"]] if frame["has_scores"].any() else frame
    own = frame[frame["id"] != SAMPLE_ID]
    useful = own[own["state"].isin([*ACTIVE_STATES, RunState.FINISHED])]
    found = _one(useful) if len(useful) else _one(own)
    return _one(frame) if found is None else found


def current_run(fall_back_to_sample: bool = True) -> "pd.Series[Any] | None":
    """The run of `current_pair`; both are kept, so that every page's URL holds the pair."""
    run, dataset = current_pair(fall_back_to_sample)
    if run is not None:
        keep(run=run["id"], data=None if dataset is None else dataset["id"])
    return run


def current_dataset() -> "pd.Series[Any] | None":
    """The data set of `current_pair`."""
    return current_pair()[1]


class Drop:
    """A dropped file whose columns are being looked at: kept in the workspace, so that a reload loses nothing that was said.

    Args:
        upload_id: of the workspace's upload.

    Raises:
        RunError: there is none of that id.
    """

    def __init__(self, upload_id: str) -> None:
        self.id = upload_id
        self.path, self.mapping = _workspace.workspace().upload(upload_id)

    @property
    def name(self) -> str:
        """What the file is called."""
        return str(self.mapping["name"])

    def say(self, **changes: Any) -> None:
        """Keeps changes of its mapping, which has the keys of NOTHING_SAID."""
        self.mapping = self.mapping | changes
        _workspace.workspace().set_mapping(self.id, self.mapping)


def dropped() -> Drop | None:
    """The dropped file whose columns are being looked at; None where there is none any more."""
    if (wanted := recall("drop")) is None:
        return None
    try:
        return Drop(wanted)
    except StudioError:
        keep(drop=None)
        return None


def choose_run(run_id: str) -> None:
    """Chooses a run, and with it its data."""
    _choose(run=run_id, data=None)


def choose_data(dataset_id: str | None) -> None:
    """Chooses a data set, and with it the newest run that was trained on it, if any; None forgets both."""
    _choose(run=None, data=dataset_id)


def choose_new_data(dataset_id: str) -> None:
    """Chooses a data set that was just stored: what was chosen in other data, and their target, are let go."""
    keep(**dict.fromkeys(_selection.OF_THE_DATA))
    choose_data(dataset_id)


def _choose(**choice: str | None) -> None:
    """Chooses the pair anew; what was chosen in other data, and their target, are let go."""
    before = _hash_of(*current_pair())
    keep(**choice)
    run, dataset = current_pair()
    after = {"run": None if run is None else run["id"], "data": None if dataset is None else dataset["id"]}
    keep(**after, **(dict.fromkeys(_selection.OF_THE_DATA) if _hash_of(run, dataset) != before else {}))


def _hash_of(run: "pd.Series[Any] | None", dataset: "pd.Series[Any] | None") -> str | None:
    """Hash of the data of a pair."""
    known = run["data_hash"] if run is not None else None if dataset is None else dataset["hash"]
    return None if known is None else str(known)


@st.cache_resource(max_entries=8, show_spinner="Reading the data set")
def read_dataset(path: str, dataset_id: str) -> ArchTable:
    """A data set, read once; data sets never change."""
    return Workspace(path).dataset(dataset_id)


def chosen_run() -> FinishedRun:
    """The run of a page that shows results; in every other state says what to do and stops the page."""
    run = current_run()
    if run is None:
        _no_run()
    assert run is not None
    if run["state"] in ACTIVE_STATES:
        _still_running(str(run["id"]))
    if run["state"] != RunState.FINISHED or not run["has_scores"]:
        ended_badly(run)
        if st.button("Open this run on Train", type="primary"):
            go_to("train", run=run["id"])
        st.stop()
    try:
        return _run.read_run(str(run["id"]), recall("task") or "")
    except StudioError as error:
        st.error(f"This run cannot be shown: {plain(error, 600)}")
        st.stop()


def kind_of(run: "pd.Series[Any]") -> JobKind[Any] | None:
    """The kind of job of a run; None where the file of that kind is gone, or faulty."""
    try:
        return load_kind(str(run["kind"]))
    except Exception:  # the file is a user's
        return None


def ended_badly(run: "pd.Series[Any]") -> None:
    """One clear sentence for a failed, cancelled, lost or damaged run, and for one without scores."""
    sentence, name = plain(run["error"] or "", 600), plain(run["name"], 120)
    if run["state"] == RunState.FAILED:
        st.error(f'The run "{name}" failed. {sentence}')
    elif run["state"] == RunState.LOST:
        kind = kind_of(run)
        again = "Resume" if kind is not None and kind.resumes else "Repeat"
        st.warning(f'The run "{name}" was lost: its process ended without a word. {sentence} {again} it on Train.')
    elif run["state"] == RunState.DAMAGED:
        st.error(f'The run "{name}" is damaged and can only be deleted, on Train. {sentence}')
    elif run["state"] == RunState.FINISHED:
        st.info(f'The run "{name}" is a {noun_of(str(run["kind"]))}: it has no scores of modules; its result is on Train.')
    else:
        st.info(f'The run "{name}" was cancelled before it finished; its progress is kept on Train.')


def _no_run() -> NoReturn:
    if _workspace.workspace().datasets().empty:
        st.info("Nothing to show yet: upload evaluated architectures, or take the sample.")
        if st.button("Go to Data", type="primary"):
            go_to("data")
    else:
        st.info("Nothing to show yet: no run has been trained on these data.")
        if st.button("Go to Train", type="primary"):
            go_to("train")
    st.stop()


def _still_running(run_id: str) -> NoReturn:
    st.info("This page fills as soon as the run is finished.")

    @st.fragment(run_every=1.0)
    def watch() -> None:
        move_the_queue_on(is_said=False)
        frame = runs()
        run = frame[frame["id"] == run_id]
        if run.empty or run.iloc[0]["state"] not in ACTIVE_STATES:
            st.rerun()
        progress_line(run.iloc[0])

    watch()
    if st.button("Watch it on Train", type="primary"):
        go_to("train", run=run_id)
    st.stop()


def progress_line(run: "pd.Series[Any]") -> None:
    """How far a live run has come: a bar and a sentence."""
    if run["state"] == RunState.QUEUED:
        st.progress(0.0, "Waiting in the queue: one run at a time.")
        return
    kind = kind_of(run)
    if kind is None:
        st.progress(0.0, str(run["words"]) or "Running")
        return
    come = kind.progress(_workspace.workspace().run(str(run["id"])).last_progress())
    left = f", about {duration(come.seconds_left)} left" if come.seconds_left is not None else ""
    st.progress(float(np.clip(come.share, 0, 1)), f"{come.words}{left}")


# The bar at the top


@dataclass(frozen=True)
class Blocked:
    """Why a data set cannot be trained on as Data's fields stand.

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


def _blocked(name: str) -> Blocked | None:
    """What Data said of its fields, for the bar on Data."""
    found, dataset = st.session_state.get("blocked"), current_dataset()
    return found if name == "data" and found is not None and dataset is not None and found.data == dataset["id"] else None


def _top_bar(name: str, run: "pd.Series[Any] | None") -> None:
    drop = dropped() if name == "data" else None
    if drop is not None:
        run = None
    quality = _quality(run)
    if drop is None:
        data, target, equation = _subject(run, name)
    else:
        data, target, equation = f"{plain(drop.name, 22)} :gray-badge[not stored]", "none yet", None
    with st.container(border=True, key="top_bar"):
        columns = st.columns([2.3, 2.3, 3.4, 2.2], vertical_alignment="center")
        _labelled(columns[0], "Data set", data)
        _labelled(columns[1], "Target", target, help=equation)
        if run is None:
            text = "none yet" if _workspace.workspace().datasets().empty or drop is not None else "none trained on these data"
        else:
            verdict = quality.get("verdict")
            badge = (verdict, VERDICT_COLOURS.get(verdict, "gray")) if verdict else (run["state"], STATE_COLOURS[run["state"]])
            text = f"{plain(run['name'], 27)} :{badge[1]}-badge[{badge[0]}]"
        _labelled(columns[2], "Run", text, help=plain(quality.get("verdict_why") or "", 600) or None)
        step, label = NEXT_STEPS[name]
        scored = run is not None and run["state"] == RunState.FINISHED and bool(run["has_scores"])
        ready = step in ("data", "train") or scored
        blocked = _blocked(name)
        if blocked is not None or drop is not None or (name == "data" and _workspace.workspace().datasets().empty):
            ready = False
        with columns[3]:
            why = "Use these columns first" if drop is not None else None if blocked is None else blocked.why
            if st.button(
                label,
                type="primary" if drop is None else "secondary",
                disabled=not ready,
                width="stretch",
                key=f"next_{name}",
                help=why,
            ):
                go_to(step)


def _quality(run: "pd.Series[Any] | None") -> dict[str, Any]:
    if run is None or run["state"] != RunState.FINISHED:
        return {}
    try:
        quality = _workspace.workspace().run(str(run["id"])).read_json("quality.json")
    except StudioError:
        return {}
    return quality if isinstance(quality, dict) else {}


def _subject(run: "pd.Series[Any] | None", name: str) -> tuple[str, str, str | None]:
    """Data set, target in words, equation of a named target: of the run, or as Data's fields say and before the first run."""
    if run is not None and not run["has_scores"]:
        return plain(run["data_name"] or "none", 30), plain(run["aim"] or "none", LONGEST_IN_BAR), None
    if run is not None and (name != "data" or current_dataset() is None):
        return plain(run["data_name"], 30), _aim.words(Aim.of(run)), _aim.equation(Aim.of(run))
    chosen, blocked = current_dataset(), _blocked(name)
    if chosen is None:
        return "none yet", "none yet", None
    aim, badge = _aim.chosen(), ""
    if blocked is not None:
        aim, badge = Aim(blocked.target, aim.minimize), f" :red-badge[{blocked.badge}]"
    return (
        plain(chosen["name"], 30),
        f"{_aim.words(aim)}{badge}" if aim.expression else badge.strip() or "none yet",
        _aim.equation(aim),
    )


def _labelled(column: Any, label: str, text: str, help: str | None = None) -> None:
    column.markdown(f":gray[{label}]  \n{text}", help=help)


# Pieces of a page


def title(text: str, how_to_read: str) -> None:
    """The heading of a page, and behind a button beside it how the page is read: three sentences."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.header(text, anchor=False, width="content")
        with st.popover("How to read this", icon=":material/help:", type="tertiary"):
            st.markdown(f"**How to read this.** {how_to_read[:1].upper()}{how_to_read[1:]}")


def show(
    figure: go.Figure,
    table: pd.DataFrame | None,
    name: str,
    alt: str,
    key: str | None = None,
    on_pick: Callable[[], None] | None = None,
    regions: bool = False,
) -> None:
    """A figure (its mode bar saves SVG) and, below it, its table as CSV.

    Args:
        figure: what is drawn.
        table: what is downloaded.
        name: of the files.
        alt: what a screen reader says.
        key: of the chart, else from the name.
        on_pick: called when a point is clicked or a region is marked.
        regions: boxes and lassos can be drawn.
    """
    ink = {"color": QUIET_INK[_theme.theme()]}
    figure.update_xaxes(tickfont=ink, title={"font": ink}).update_yaxes(tickfont=ink, title={"font": ink})
    figure.for_each_annotation(lambda note: note.update(font=ink) if note.font.color is None else None)
    figure.update_traces(colorbar={"tickfont": ink, "title": {"font": ink}}, selector={"type": "heatmap"})
    config = PLOT | {"toImageButtonOptions": {"format": "svg", "filename": name}}
    chosen: dict[str, Any] = {} if on_pick is None else {"on_select": on_pick, "selection_mode": "points"}
    if regions:
        config["modeBarButtonsToRemove"] = ["autoScale2d"]
        chosen["selection_mode"] = ("points", "box", "lasso")
    st.plotly_chart(without_markup(figure), config=config, key=key or f"plot_{name}", alt=alt, **chosen)
    if table is not None:
        csv_button(table, name)


def drawing_facts(drawn: pd.DataFrame) -> pd.DataFrame:
    """What a drawn architecture says, for its CSV: without places and colours."""
    return drawn.drop(columns=["fill", "outline", "ink", "x", "y", "text", "kind", "after"], errors="ignore")


def csv_button(table: pd.DataFrame, name: str, label: str = "CSV") -> None:
    """A small button that downloads a table."""
    st.download_button(
        label,
        lambda: table.to_csv(index=False),
        f"{name}.csv",
        "text/csv",
        key=f"csv_{name}",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def lens_select(key: str = "lens_widget") -> Lens:
    """The choice of lens, remembered."""
    lenses = list(TRAINED)
    help_text = "  \n".join(f"**{lens.label}**: {lens.explained}." for lens in lenses)
    index = lenses.index(_selection.lens())
    lens = st.selectbox("Score", lenses, index, format_func=lambda one: one.label, key=key, help=help_text)
    _selection.choose_lens(lens)
    return lens


def duration(seconds: float) -> str:
    """Seconds in words."""
    if not np.isfinite(seconds):
        return ""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def age(moment: Any) -> str:
    """How long ago a moment was."""
    return "" if pd.isna(moment) else f"{duration(max(time.time() - moment.timestamp(), 0))} ago"


def interval(low: float, high: float) -> str:
    """An interval in brackets."""
    return f"({numbers.number(low)} to {numbers.number(high)})"


def guarded(action: Callable[[], Any]) -> Any:
    """Runs an action of a button; a project error becomes its one sentence, and None is returned."""
    try:
        return action()
    except StudioError as error:
        st.error(plain(error, 600))
        return None


def table(frame: pd.DataFrame, name: str, when_empty: str) -> None:
    """A table with its CSV, or a sentence when it has no line."""
    if frame.empty:
        st.caption(when_empty)
        return
    st.dataframe(frame.head(2000), hide_index=True, height="auto" if len(frame) < 10 else 360)
    if len(frame) > 2000:
        st.caption(f"The first 2,000 of {len(frame):,} lines; the CSV has all.")
    csv_button(frame, name)


STRIP = '<div style="max-width:520px;font-size:.82rem"><div style="height:12px;border-radius:3px;{0}"></div>{1}</div>'
LABELS = '<div style="display:flex;justify-content:space-between;margin-top:3px">{0}</div>'
CARD = (
    '<div style="display:flex;gap:.7rem;margin:.15rem 0 .55rem">'
    '<div style="flex:none;width:14px;border-radius:3px;background:{0}"></div>'
    '<div><div style="font-weight:600">{1}</div><div style="font-size:.9rem">{2}</div></div></div>'
)


def legend(scale: Scale) -> None:
    """The colour legend as a strip."""
    data = drawing.legend(scale, _theme.theme())
    labels = "".join(f"<span>{escape(label)}</span>" for label in data["labels"])
    st.html(STRIP.format(f"background:linear-gradient(90deg,{','.join(data['stops'])})", LABELS.format(labels)))


def module_card(name: str, words: str, swatch: str) -> str:
    """A module in two lines with its colour, as HTML."""
    return CARD.format(swatch, escape(name), escape(words))
