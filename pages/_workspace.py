"""The workspace that all readers share: its data sets and runs, its queue."""

import os
from pathlib import Path

import pandas as pd
import streamlit as st

from autobuild_core.architectures.records import ArchTable
from autobuild_core.errors import StudioError
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.store.workspace import Workspace
from pages import _memory, _text

SAMPLE_FILE = Path(__file__).resolve().parent.parent / "sample_data" / "fashion_mbconv" / "fashion_mbconv.csv"


@st.cache_resource
def _opened(path: str) -> Workspace:
    return Workspace(path)


def workspace() -> Workspace:
    """The workspace that all readers share: of the environment variable AUTOBUILD_WORKSPACE, else ./workspace.

    Where it cannot be opened (a setting, the disk), the page stops with a sentence.
    """
    try:
        return _opened(os.environ.get("AUTOBUILD_WORKSPACE") or "workspace")
    except StudioError as error:
        st.error(_text.plain(error, 600))
        st.stop()


def executor() -> SubprocessExecutor:
    """The queue of the workspace."""
    limits = setting("AUTOBUILD_MAX_RUNNING", 1), setting("AUTOBUILD_THREADS", 2)
    return SubprocessExecutor(workspace(), *limits, use_warm=os.environ.get("AUTOBUILD_WARM") != "0")


def setting(name: str, default: int) -> int:
    """A whole number from the environment; a useless one stops the page with a sentence."""
    text = os.environ.get(name, str(default))
    if not (number := _memory.whole_number(text)):
        st.error(f"{name}: got {_text.plain(text)}, expected a whole number of at least 1.")
        st.stop()
    return number


def runs() -> pd.DataFrame:
    """All runs, newest first."""
    return workspace().runs()


@st.cache_resource(max_entries=8, show_spinner="Reading the data set")
def read_dataset(path: str, dataset_id: str) -> ArchTable:
    """A data set, read once; data sets never change."""
    return Workspace(path).dataset(dataset_id)


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
            st.warning(_text.plain(error, 600))
