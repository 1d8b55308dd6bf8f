"""The run and the data set that are chosen: one choice, so that they never come apart."""

from typing import Any

import pandas as pd

from autobuild_core.store.states import ACTIVE_STATES, RunState
from autobuild_core.store.workspace import is_sample
from pages import _memory, _workspace


def current_pair(fall_back_to_sample: bool = True) -> "tuple[pd.Series[Any] | None, pd.Series[Any] | None]":
    """The chosen run and the data set that it was trained on: one choice, so that they never come apart.

    A run takes its data along, None where the workspace has them no more (the run keeps its own copy). Data without a run have
    the newest that was trained on them. Where neither is chosen it is the newest run that lives or is finished, else the newest,
    and the shipped sample where its data are in the workspace, or nothing else is; without any run, the newest data set.

    Args:
        fall_back_to_sample: the sample may be it while the workspace is empty.
    """
    frame, sets = _workspace.runs(), _workspace.workspace().datasets()
    run = _one(frame[frame["id"] == _memory.recall("run")])
    dataset = _one(sets[sets["id"] == _memory.recall("data")])
    if run is None and dataset is not None:
        run = _most_useful(frame[frame["data_hash"] == dataset["hash"]])
    elif run is None:
        sample = frame["id"].map(is_sample).astype(bool)
        tried = frame["data_hash"].isin(sets["hash"]) | (fall_back_to_sample and sets.empty)
        run = _most_useful(frame[~sample | tried])
    if run is None:
        return None, dataset if dataset is not None else _one(sets)
    if dataset is None or dataset["hash"] != run["data_hash"]:
        own = sets[sets["hash"] == run["data_hash"]]
        dataset = _one(own.sort_values("name", key=lambda names: names != run["data_name"], kind="stable"))
    return run, dataset


def current_run(fall_back_to_sample: bool = True) -> "pd.Series[Any] | None":
    """The run of `current_pair`; both are kept, so that every page's URL holds the pair."""
    run, dataset = current_pair(fall_back_to_sample)
    if run is not None:
        _memory.keep(run=run["id"], data=None if dataset is None else dataset["id"])
    return run


def current_dataset() -> "pd.Series[Any] | None":
    """The data set of `current_pair`."""
    return current_pair()[1]


def choose_run(run_id: str) -> None:
    """Chooses a run, and with it its data."""
    _choose(run=run_id, data=None)


def choose_data(dataset_id: str | None) -> None:
    """Chooses a data set, and with it the newest run that was trained on it, if any; None forgets both."""
    _choose(run=None, data=dataset_id)


def choose_new_data(dataset_id: str) -> None:
    """Chooses a data set that was just stored: what was chosen in other data, and their target, are let go."""
    _memory.keep(**dict.fromkeys(_memory.OF_THE_DATA))
    choose_data(dataset_id)


def choose_version(dataset_id: str) -> None:
    """Chooses another version of the data set that is chosen: rows keep their numbers, so what was chosen in it stays."""
    _memory.keep(run=None, data=dataset_id)
    run, _ = current_pair()
    _memory.keep(run=None if run is None else run["id"], data=dataset_id)


def _choose(**choice: str | None) -> None:
    """Chooses the pair anew; what was chosen in other data, and their target, are let go."""
    before = _hash_of(*current_pair())
    _memory.keep(**choice)
    run, dataset = current_pair()
    after = {"run": None if run is None else run["id"], "data": None if dataset is None else dataset["id"]}
    _memory.keep(**after, **(dict.fromkeys(_memory.OF_THE_DATA) if _hash_of(run, dataset) != before else {}))


def _hash_of(run: "pd.Series[Any] | None", dataset: "pd.Series[Any] | None") -> str | None:
    """Hash of the data of a pair."""
    known = run["data_hash"] if run is not None else None if dataset is None else dataset["hash"]
    return None if known is None else str(known)


def _most_useful(frame: pd.DataFrame) -> "pd.Series[Any] | None":
    """The newest training that lives or is finished, else the newest; an own one before the sample, a training before a job."""
    frame = frame[frame["has_scores"]] if frame["has_scores"].any() else frame
    own = frame[~frame["id"].map(is_sample).astype(bool)]
    useful = own[own["state"].isin([*ACTIVE_STATES, RunState.FINISHED])]
    found = _one(useful) if len(useful) else _one(own)
    return _one(frame) if found is None else found


def _one(frame: pd.DataFrame) -> "pd.Series[Any] | None":
    """The first line, None where there is none."""
    return None if frame.empty else frame.iloc[0]
