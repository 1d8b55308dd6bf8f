"""Train: the form that starts a training, the table of runs of any kind of job, the chosen run live."""

from typing import Any

import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets._mapping import is_minimized
from autobuild_core.errors import StudioError, TargetError
from autobuild_core.figures import quality
from autobuild_core.jobs import kinds
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.run_folder import TRAIN
from autobuild_core.store.states import ACTIVE_STATES, STOPPED_STATES, RunState
from autobuild_core.store.workspace import SAMPLE_ID
from autobuild_core.targets.aim import Aim
from autobuild_core.targets.vocabulary import suggest_targets
from pages import (
    _aim,
    _entering,
    _linked,
    _memory,
    _navigation,
    _pair,
    _run,
    _selection,
    _states,
    _text,
    _theme,
    _widgets,
    _words,
    _workspace,
)

_entering.enter("train")
_widgets.title(
    "Train",
    "a click on a line of the table chooses a run: its curves, its log and its quality follow below, live while it "
    "trains. Held-out SRCC is the rank correlation of prediction and measurement on networks the model never saw; 1 is "
    "perfect, 0 is chance. In the last chart every dot is one such network: near the diagonal it was predicted well, "
    "and a click chooses it on every page.",
)
store = _workspace.workspace()


def start(run_name: str, dataset_id: str, aim: Aim, **settings: int | None) -> None:
    """Makes a run, queues it and opens it."""
    called = {"target_name": aim.name, "target_unit": aim.unit}
    run_id = store.add_run(dataset_id, aim.expression, name=run_name, minimize=aim.minimize, **called, **settings)
    _workspace.executor().submit(run_id)
    _pair.choose_run(run_id)
    _memory.visit()["form"] = False
    st.rerun()


def wanted(frame: pd.DataFrame) -> bool:
    """Whether the form opens unfolded: the reader comes from Data, no run is of these data, or another target is chosen."""
    current, target = _pair.current_run(), _memory.recall("target")
    if _memory.visit()["from"] == "data" or current is None or (frame["id"] == SAMPLE_ID).all():
        return True
    return target is not None and (target, _memory.recall("minimize") == "yes") != (current["target"], bool(current["minimize"]))


def form() -> None:
    """Name and seed; the rest is chosen for the reader."""
    dataset = _pair.current_dataset()
    if dataset is None:
        if store.datasets().empty:
            st.info("There is no data to train on yet: upload evaluated architectures, or take the sample.")
        else:
            st.info("The data of this run are not in the workspace any more: put them back on Data, or choose others there.")
        if st.button("Go to Data", type="primary"):
            _navigation.go_to("data")
        return
    try:
        data = _workspace.read_dataset(str(store.path), str(dataset["id"]))
    except StudioError as problem:
        st.error(f"These data cannot be read; delete them on Data, or choose others there. {_text.plain(problem, 600)}")
        return
    metrics = [str(m) for m in data.metrics.columns]
    if not metrics:
        st.info(f"{_text.plain(dataset['name'])} has no metric to learn from; add a column of measurements and upload it again.")
        return
    first = (suggest_targets(data.metrics) or metrics)[0]
    aim = _aim.known() or Aim("")
    try:
        aim.target.check(metrics)
    except TargetError:  # none was chosen, or for other data
        aim = Aim(first, is_minimized(data, first))
    with st.form("start", border=False):
        called = f"{_text.strong(aim.name)}, {_aim.equation(aim)}" if aim.name else _text.code(aim.expression)
        data_name = _text.strong(dataset["name"])
        st.markdown(f"Learn from {data_name} ({len(data):,} architectures) to {aim.direction} {called}. Data changes both.")
        left, middle, right = st.columns([4, 1.4, 1.6], vertical_alignment="bottom")
        name = left.text_input(
            "Name of the run",
            f"{dataset['name']}: {aim.label.title}"[:100],
            max_chars=120,
            key=f"name_{dataset['id']}_{aim.label.title}",
        )
        seed = middle.number_input("Seed", 0, 2**31 - 1, 0, help="Same seed and threads, same run.")
        with st.expander("Advanced"):
            one, two, three, four = st.columns(4)
            members = one.number_input("Members of the ensemble", 2, 64, None, placeholder="chosen for you")
            steps = two.number_input("Training steps", 10, 100_000, None, placeholder="chosen for you")
            longest = three.number_input("Longest module across units", 1, 8, None, placeholder="chosen for you")
            threads = four.number_input("Threads", 1, 64, 2)
        settings = {"num_members": members, "num_steps": steps, "max_length": longest, "drop_stopped": stopped_switch(data)}
        if right.form_submit_button("Start training", type="primary", width="stretch"):
            known = {k: v if isinstance(v, bool) else int(v) for k, v in settings.items() if v is not None}
            act = lambda: start(name, str(dataset["id"]), aim, seed=int(seed), threads=int(threads), **known)  # noqa: E731
            _widgets.guarded(act)


def stopped_switch(data: ArchTable) -> bool | None:
    """Whether stopped trials are left out; None where the data have none."""
    if not data.num_censored:
        return None
    what = f"the {data.num_censored:,} stopped trials" if data.num_censored > 1 else "the stopped trial"
    return st.toggle(
        f"Leave {what} out", key="drop_stopped", help="Else they are learned as known to be worse than the others were."
    )


def listing(frame: pd.DataFrame) -> "pd.Series[str] | None":
    """All runs, and the chosen one; a click on a line chooses one and its data."""
    current = _pair.current_run()
    shown = pd.DataFrame(
        {
            "Shown": ["" if current is None or run != current["id"] else "\u25b6" for run in frame["id"]],
            "Run": frame["name"],
            "State": frame["state"],
            "Data": frame["data_name"],
            "Target": frame["aim"],
            "Seed": ["" if pd.isna(seed) else f"{seed:.0f}" for seed in frame["seed"]],
            "SRCC, held out": ["" if pd.isna(value) else f"{value:.3f}" for value in frame["srcc"]],
            "Verdict": frame["verdict"],
            "Age": [_words.age(moment) for moment in frame["created"]],
        }
    )
    if (frame["kind"] != TRAIN).any():
        shown.insert(2, "Kind", frame["kind"])
        shown.insert(shown.columns.get_loc("Age"), "Result", frame["result"].where(frame["result"] != "", frame["words"]))
    config = {"Run": st.column_config.TextColumn(width="medium"), "Shown": st.column_config.TextColumn(width="small")}
    picked = st.dataframe(
        shown,
        hide_index=True,
        column_config=config,
        on_select="rerun",
        selection_mode="single-row",
        key="runs",
        height="content" if len(shown) < 7 else 250,
    )
    rows = picked["selection"]["rows"]
    if rows and rows != st.session_state.get("picked_rows"):
        _pair.choose_run(str(frame.iloc[rows[0]]["id"]))
        st.session_state["picked_rows"] = rows
        st.rerun()
    st.session_state["picked_rows"] = rows
    _widgets.csv_button(shown.drop(columns="Shown"), "runs")
    return current


def live(run_id: str) -> None:
    """Curves of a run; reads again every second while it lives, and draws the whole page anew when it ends."""
    frame = store.runs()
    found = frame[frame["id"] == run_id]
    alive = not found.empty and found.iloc[0]["state"] in ACTIVE_STATES

    @st.fragment(run_every=1.0 if alive else None)
    def curves() -> None:
        if alive:
            _workspace.move_the_queue_on(is_said=False)
            rows = store.runs()
            now = rows[rows["id"] == run_id]
            if now.empty or now.iloc[0]["state"] != found.iloc[0]["state"]:
                st.rerun()  # the rest of the page shows the state too
            _states.progress_line(now.iloc[0])
        progress = store.run(run_id).progress()
        if progress.empty or "loss" not in progress:
            if not alive and found["has_scores"].all():
                st.caption("This run left no curve: it ended before its first step.")
            return
        left, right = st.columns(2, gap="large")
        with left:
            losses = progress.dropna(subset=["loss"])
            _widgets.show(
                quality.loss_figure(losses), None if alive else losses[["step", "loss"]], "loss", "Training loss by step"
            )
        with right:
            table = quality.hop_progress_table(progress)
            _widgets.show(
                quality.hop_progress_figure(table),
                None if alive else table,
                "hop_progress",
                "Held-out SRCC by step, a line a hop",
            )

    curves()


def actions(run: "pd.Series[str]", kind: kinds.JobKind[Any] | None) -> None:
    """Cancel, resume, repeat, rename, delete."""
    run_id, own = str(run["id"]), run["id"] != SAMPLE_ID
    with st.container(horizontal=True):
        if run["state"] in ACTIVE_STATES and st.button("Cancel", icon=":material/stop_circle:"):
            _widgets.guarded(lambda: cancel(run_id))
        if run["state"] in STOPPED_STATES and kind and kind.resumes and st.button("Resume", icon=":material/play_circle:"):
            _widgets.guarded(lambda: resume(run_id))
        if run["state"] != RunState.DAMAGED and kind:
            repetition(run)
        if own and run["state"] != RunState.DAMAGED:
            with st.popover("Rename"):
                name = st.text_input("New name", str(run["name"]), key=f"rename_{run_id}")
                if st.button("Rename", key=f"do_rename_{run_id}"):
                    _widgets.guarded(lambda: store.rename_run(run_id, name))
                    st.rerun()
        if own and run["state"] not in ACTIVE_STATES:
            with st.popover("Delete"):
                st.write("The run and all its tables go for good. The data set stays.")
                if st.button("Delete this run", key=f"delete_{run_id}"):
                    _widgets.guarded(lambda: store.delete_run(run_id))
                    _memory.keep(run=None)
                    st.rerun()


def repetition(run: "pd.Series[str]") -> None:
    """Another run like this one: of a training with another seed, of any other job with the same settings."""
    run_id = str(run["id"])
    with st.popover("Repeat"):
        if run["has_scores"]:
            seed = st.number_input("Seed of the repetition", 0, 2**31 - 1, int(run["seed"]) + 1, key=f"seed_{run_id}")
        else:
            st.write("A new run with the same settings, from the start.")
        if st.button("Start", type="primary", key=f"repeat_{run_id}"):
            _widgets.guarded(lambda: repeat(run_id, int(seed)) if run["has_scores"] else again(run_id, str(run["kind"])))


def again(run_id: str, kind: str) -> None:
    """A job of another kind than training from the start, on its own copy of the data where it has any."""
    folder = store.run(run_id)
    data = folder.table() if (folder.path / "table.json").exists() else None
    new = kinds.add(store, kind, data, **(folder.job.settings | {"name": store.run_name(run_id)}))
    _workspace.executor().submit(new)
    _pair.choose_run(new)
    st.rerun()


def resume(run_id: str) -> None:
    """Goes on with a run that was stopped, from what it wrote."""
    _workspace.executor().resume(run_id)
    st.rerun()


def cancel(run_id: str) -> None:
    """Takes a run out of the queue, or asks it to end, and draws the page anew: a queued one is over at once."""
    _workspace.executor().cancel(run_id)
    if store.run(run_id).state["state"] in ACTIVE_STATES:
        st.toast("Cancelling: the run stops at its next step, after 3 s at the latest.")
    st.rerun()


def repeat(run_id: str, seed: int) -> None:
    """The same run with another seed, on the run's own copy of the data."""
    folder = store.run(run_id)
    config = folder.config
    dataset_id = store.add_dataset(folder.table(), config.data_name)
    settings = {"num_members": config.num_members, "num_steps": config.num_steps, "max_length": config.max_length}
    settings |= {"drop_stopped": config.drop_stopped}
    name = f"{store.run_name(run_id)[:100]}, seed {seed}"
    start(name, dataset_id, config.aim, seed=seed, threads=config.threads, **settings)


@st.fragment
def judged(run: FinishedRun, frame: pd.DataFrame) -> None:
    """Prediction against measurement, and the comparison with another finished run."""
    _linked.line(run, "train")
    left, right = st.columns(2, gap="large")
    with left:
        chosen = _selection.chosen_row(run) if _memory.recall("arch") else None
        figure = quality.predictions_figure(run.predictions, run.label.axis, chosen, _linked.marked(run), _theme.theme())
        alt = f"Held-out prediction against measurement, one dot an architecture; rank correlation {run.quality['srcc']:.3f}"
        click = _linked.row_click("plot_predictions", run)
        _widgets.show(figure, run.predictions, "predictions", alt, on_pick=click)
    with right:
        others = frame[(frame["state"] == RunState.FINISHED) & frame["has_scores"] & (frame["id"] != run.id)]
        names = {row["id"]: str(row["name"]) for _, row in others.iterrows()}
        other = st.selectbox(
            "Compare with", list(names), None, format_func=names.__getitem__, placeholder="another finished run", key="compare"
        )
        sides = {f"{_run.name_of(run)} ": run.quality}
        if other:
            sides[names[other]] = _run.read_run(other).quality
        table = quality.compare_table(sides)
        st.dataframe(
            table, hide_index=True, column_config={c: st.column_config.NumberColumn(format="%.4g") for c in table.columns[1:]}
        )
        _widgets.csv_button(table, "comparison")


def asked(run: "pd.Series[str]") -> str:
    """The aim of a run in Markdown, with its seed where it has one."""
    aim = Aim.of(run)
    words = _text.plain(run["aim"], 200)
    if run["has_scores"]:
        words = f"{_aim.words(aim)} ({_aim.equation(aim)})" if aim.name else f"{aim.direction} {_text.code(aim.expression)}"
    return words if pd.isna(run["seed"]) else f"{words}, seed {run['seed']:.0f}"


def detail(run: "pd.Series[str]", frame: pd.DataFrame) -> None:
    """The chosen run."""
    state = str(run["state"])
    st.subheader(_text.plain(run["name"], 100), anchor=False)
    badge = f":{_states.STATE_COLOURS[state]}-badge[{state}]"
    st.markdown(f"{badge} {_words.age(run['created'])}, {asked(run)}")
    if state in (*STOPPED_STATES, RunState.DAMAGED):
        _states.ended_badly(run)
    kind = _states.kind_of(run)
    if kind is None:
        st.warning(f"There is no kind of job called {_text.code(run['kind'])} here any more; the run can still be deleted.")
    actions(run, kind)
    if state == RunState.DAMAGED:
        return
    live(str(run["id"]))
    if state == RunState.FINISHED and run["has_scores"]:
        judged(_run.read_run(str(run["id"])), frame)
    elif state == RunState.FINISHED and kind:
        result = kind.result(store.run(str(run["id"])))
        _widgets.table(result, str(run["kind"]), str(run["result"]))
    with st.expander("Log", expanded=state == RunState.FAILED):
        st.code(store.run(str(run["id"])).log_text()[-20_000:] or "The log is empty so far.", language=None, height=260)


everything = _workspace.runs()
if everything.empty:
    form()
else:
    unfolded = _memory.visit().setdefault("form", wanted(everything))
    with st.expander("Start a training", expanded=unfolded, icon=":material/add:"):
        form()
    try:
        shown = listing(everything)
        if shown is None:
            st.caption(
                "No run was trained on the chosen data; a click on a line chooses a run and the data that it was trained on."
            )
        else:
            detail(shown, everything)
    except StudioError as problem:
        st.error(_text.plain(problem, 600))
