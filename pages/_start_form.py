"""Train: the form that starts a training."""

import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets._mapping import is_minimized
from autobuild_core.errors import StudioError, TargetError
from autobuild_core.store.workspace import is_sample
from autobuild_core.targets.aim import Aim
from autobuild_core.targets.vocabulary import suggest_targets
from pages import _aim, _memory, _navigation, _pair, _text, _widgets, _workspace


def form() -> None:
    """Name and seed; the rest is chosen for the reader."""
    dataset = _pair.current_dataset()
    if dataset is None:
        _nothing_to_learn_from()
        return
    try:
        data = _workspace.read_dataset(str(_workspace.workspace().path), str(dataset["id"]))
    except StudioError as problem:
        st.error(f"These data cannot be read; delete them on Data, or choose others there. {_text.plain(problem, 600)}")
        return
    metrics = [str(m) for m in data.metrics.columns]
    if not metrics:
        st.info(f"{_text.plain(dataset['name'])} has no metric to learn from; add a column of measurements and upload it again.")
        return
    aim = aimed_at(data, metrics)
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
        settings = advanced(data)
        if right.form_submit_button("Start training", type="primary", width="stretch"):
            dataset_id = str(dataset["id"])
            _widgets.guarded(lambda: start(name, dataset_id, aim, seed=int(seed), **settings))


def _nothing_to_learn_from() -> None:
    """The reason why there is no form, and the way to Data."""
    if _workspace.workspace().datasets().empty:
        st.info("There is no data to train on yet: upload evaluated architectures, or take the sample.")
    else:
        st.info("The data of this run are not in the workspace any more: put them back on Data, or choose others there.")
    if st.button("Go to Data", type="primary"):
        _navigation.go_to("data")


def aimed_at(data: ArchTable, metrics: list[str]) -> Aim:
    """The target as chosen or as in the run that is shown, where these data have its metrics; else the first suggestion."""
    aim = _aim.known() or Aim("")
    try:
        aim.target.check(metrics)
    except TargetError:  # none was chosen, or for other data
        first = (suggest_targets(data.metrics) or metrics)[0]
        aim = Aim(first, is_minimized(data, first))
    return aim


def advanced(data: ArchTable) -> dict[str, int]:
    """Settings that are chosen for the reader unless they are filled in."""
    with st.expander("Advanced"):
        one, two, three, four = st.columns(4)
        numbers = {
            "num_members": one.number_input("Members of the ensemble", 2, 64, None, placeholder="chosen for you"),
            "num_steps": two.number_input("Training steps", 10, 100_000, None, placeholder="chosen for you"),
            "max_length": three.number_input("Longest module across units", 1, 8, None, placeholder="chosen for you"),
            "threads": four.number_input("Threads", 1, 64, 2),
        }
    known = {name: int(value) for name, value in numbers.items() if value is not None}
    drop_stopped = stopped_switch(data)
    return known if drop_stopped is None else known | {"drop_stopped": drop_stopped}


def stopped_switch(data: ArchTable) -> bool | None:
    """Whether stopped trials are left out; None where the data have none."""
    if not data.num_censored:
        return None
    what = f"the {data.num_censored:,} stopped trials" if data.num_censored > 1 else "the stopped trial"
    return st.toggle(
        f"Leave {what} out", key="drop_stopped", help="Else they are learned as known to be worse than the others were."
    )


def start(run_name: str, dataset_id: str, aim: Aim, **settings: int | None) -> None:
    """Makes a run, queues it and opens it."""
    called = {"target_name": aim.name, "target_unit": aim.unit}
    run_id = _workspace.workspace().add_run(
        dataset_id, aim.expression, name=run_name, minimize=aim.minimize, **called, **settings
    )
    _workspace.executor().submit(run_id)
    _pair.choose_run(run_id)
    _memory.visit()["form"] = False
    st.rerun()


def wanted(frame: pd.DataFrame) -> bool:
    """Whether the form opens unfolded: the reader comes from Data, no run is of these data, or another target is chosen."""
    current, aim = _pair.current_run(), _aim.chosen()
    if _memory.visit()["from"] == "data" or current is None or frame["id"].map(is_sample).all():
        return True
    return bool(aim.expression) and (aim.expression, aim.minimize) != (current["target"], bool(current["minimize"]))
