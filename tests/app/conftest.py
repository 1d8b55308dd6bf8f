"""Workspaces in every state a page can meet; the finished ones were really trained, in seconds, by the real worker."""

import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from autobuild_core.datasets import _guarded
from autobuild_core.store.workspace import Workspace
from tests.app import reading, workspaces
from tests.app.workspaces import FILES


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Workspaces with a finished run, by state."""
    found = {}
    for state in FILES:
        found[state] = tmp_path_factory.mktemp("trained")
        workspaces.trained(state, Workspace(found[state]))
    return found


@pytest.fixture(scope="session", autouse=True)
def _scanned_once() -> Iterator[None]:
    """AppTest makes a runtime for each run, and each asks all installed packages for components, as a server does once."""
    from streamlit.components.v2 import manifest_scanner  # tests/test_streamlit.py says it better where it has moved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(autouse=True)
def server_that_ran_app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest forgets before each run that app.py built the navigation, as only a server's very first hit does."""
    if "first_hit" in request.keywords:
        return
    from streamlit.runtime.pages_manager import PagesManager  # tests/test_streamlit.py says it better where it has moved

    begin = PagesManager.__init__

    def begin_later(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", begin_later)


@pytest.fixture(autouse=True)
def _reader_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file handed in is read by a fork."""
    monkeypatch.setattr(_guarded, "_run", reading.run)


@pytest.fixture
def in_state(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace of a state, as the app will find it."""
    state = request.param
    if state.startswith("finished"):
        shutil.copytree(request.getfixturevalue("trained")[state], tmp_path, dirs_exist_ok=True)
    workspace = Workspace(tmp_path)
    if not state.startswith("finished"):
        workspaces.unfinished(state, workspace)
    monkeypatch.setenv("AUTOBUILD_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("autobuild_core.store.workspace.SAMPLE_DATA", tmp_path / "no-sample")
    st.cache_resource.clear()
    st.cache_data.clear()
    return workspace
