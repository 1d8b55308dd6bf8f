"""The workspace that all readers share."""

import os

import streamlit as st

from autobuild_core.errors import StudioError
from autobuild_core.store.workspace import Workspace
from pages import _text


@st.cache_resource
def _workspace(path: str) -> Workspace:
    return Workspace(path)


def workspace() -> Workspace:
    """The workspace that all readers share: of the environment variable AUTOBUILD_WORKSPACE, else ./workspace.

    Where it cannot be opened (a setting, the disk), the page stops with a sentence.
    """
    try:
        return _workspace(os.environ.get("AUTOBUILD_WORKSPACE") or "workspace")
    except StudioError as error:
        st.error(_text.plain(error, 600))
        st.stop()
