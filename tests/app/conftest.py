"""Workspaces in every state a page can meet; the finished ones were really trained, in seconds, by the real worker."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from autobuild_core.datasets import read_table
from autobuild_core.storage import Workspace
from tests.app.workspaces import cell_file, flat_file, macro_file, set_state, train


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Workspaces with a finished run, by state."""
    found = {}
    for state, make, target, minimize in (
        ("finished", macro_file, "mean_acc", False),
        ("finished flat", flat_file, "latency_ms", True),
        ("finished cells", cell_file, "acc", False),
    ):
        folder = tmp_path_factory.mktemp("trained")
        workspace = Workspace(folder)
        table = read_table(make(folder / ("data.json" if make is macro_file else "data.csv")))
        train(workspace, workspace.add_dataset(table, "Test data"), target, minimize)
        found[state] = folder
    return found


@pytest.fixture(autouse=True)
def server_that_ran_app(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest forgets before each run that app.py built the navigation, as only a server's very first hit does."""
    if "first_hit" in request.keywords:
        return
    begin = PagesManager.__init__

    def begin_later(self: PagesManager, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        PagesManager.uses_pages_directory = False

    monkeypatch.setattr(PagesManager, "__init__", begin_later)


@pytest.fixture
def in_state(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace of a state, as the app will find it."""
    state = request.param
    if state.startswith("finished"):
        shutil.copytree(request.getfixturevalue("trained")[state], tmp_path, dirs_exist_ok=True)
    workspace = Workspace(tmp_path)
    if state in ("no run", "running", "failed", "lost"):
        dataset = workspace.add_dataset(read_table(macro_file(tmp_path / "data.json")), "Test data")
    if state in ("running", "failed", "lost"):
        run = workspace.add_run(dataset, "mean_acc", name="First run")
        for step in (10, 20):
            record = {"step": step, "num_steps": 100, "loss": 1 / step, "hop_srcc": [0.1, 0.2, 0.3, 0.4, 0.5], "srcc": 0.5}
            workspace.run(run).append_progress(record | {"seconds": 1.0, "seconds_left": 4.0, "phase": "training"})
        workspace.run(run).log("a line of the log")
        set_state(workspace, run, state, "Too few networks: got 3, expected 10." if state == "failed" else "")
    monkeypatch.setenv("AUTOBUILD_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("autobuild_core.storage.SAMPLE_RUN", tmp_path / "no-sample")
    st.cache_resource.clear()
    st.cache_data.clear()
    return workspace
