"""What the page tests share: small files of evaluated architectures, runs in any state, pages entered by app.py."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from autobuild_core.datasets import read_table
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.store.workspace import Workspace
from tests import kept
from tests.forge import SmallExecutor
from tests.learning import cell_csv
from tests.registered import read_again

ROOT = Path(__file__).resolve().parents[2]
STATES = ("no data", "no run", "running", "failed", "lost", "finished", "finished flat", "finished cells")


def macro_file(path: Path, num: int = 90) -> Path:
    """NAS-Bench-Macro's format with an additive target."""
    rng = np.random.default_rng(0)
    rows = {}
    for key in rng.choice(3**8, num, replace=False):
        digits = np.base_repr(key, 3).zfill(8)
        acc = 88 + sum(int(d) for d in digits) * 0.3 + rng.normal(0, 0.05)
        test = {"test_acc": [acc, acc, acc], "mean_acc": acc, "std": 0.1}
        rows[digits] = test | {"params": 1e6 + key, "flops": 2e7 + key}
    path.write_text(json.dumps(rows))
    return path


def flat_file(path: Path, num: int = 90) -> Path:
    """A flat CSV of two stages with a depth, and a latency to be minimised; one row is refused."""
    rng = np.random.default_rng(1)
    columns = {f"stage{s}_{a}": rng.choice(v, num) for s in (1, 2) for a, v in (("k", (3, 5)), ("e", (1, 3)), ("l", (1, 2, 3)))}
    frame = pd.DataFrame(columns)
    frame["latency_ms"] = sum(frame[f"stage{s}_l"] * (1 + frame[f"stage{s}_e"] + 0.2 * frame[f"stage{s}_k"]) for s in (1, 2))
    frame["acc_pct"] = 50 + frame["latency_ms"] + rng.normal(0, 0.1, num)
    frame.to_csv(path, index=False)
    return path


def trials(num: int = 40) -> str:
    """The text of a study as Optuna's frame: two choices, a learning rate, pruned and failed trials."""
    rng = np.random.default_rng(0)
    lines = ["number,value,datetime_start,params_activation,params_lr,params_units,state"]
    for i in range(num):
        state = "PRUNED" if i % 10 == 3 else "FAIL" if i == 7 else "COMPLETE"
        units, act = rng.choice([32, 64, 128]), rng.choice(["relu", "gelu"])
        value = "" if state == "FAIL" else f"{0.7 + units / 1000 + rng.normal(0, 0.01):.4f}"
        lines.append(f"{i},{value},2026-01-01 00:{i:02}:00,{act},{10 ** rng.uniform(-4, -1):.6f},{units},{state}")
    return "\n".join(lines) + "\n"


def grid_file(path: Path) -> Path:
    """A grid of 27 architectures of which every one was measured."""
    rows = [f"{a},{b},{c},{60 + 3 * a + 2 * b + c}\n" for a in (1, 2, 3) for b in (1, 2, 3) for c in (1, 2, 3)]
    path.write_text("depth,width,kernel,acc\n" + "".join(rows))
    return path


def large_file(path: Path, num: int) -> Path:
    """A flat CSV of five stages whose target adds up."""
    rng = np.random.default_rng(0)
    choices = {"k": (3, 5, 7), "e": (3, 4, 6), "l": (2, 3, 4)}
    frame = pd.DataFrame({f"stage{s}_{a}": rng.choice(v, num) for s in range(1, 6) for a, v in choices.items()})
    frame["acc_pct"] = 70 + sum(frame[f"stage{s}_k"] * 0.1 + frame[f"stage{s}_l"] * 0.2 for s in range(1, 6))
    frame["acc_pct"] += rng.normal(0, 0.1, num)
    frame.to_csv(path, index=False)
    return path


def deep_file(path: Path, stages: int = 18, depth: int = 12, num: int = 60) -> Path:
    """Designs of more than 200 layers: their units are folded at first."""
    rng = np.random.default_rng(0)
    columns = {
        f"stage{s}_{name}": rng.choice(values, num)
        for s in range(1, stages + 1)
        for name, values in (("k", (3, 5)), ("l", (depth - 1, depth)))
    }
    frame = pd.DataFrame(columns)
    frame["acc_pct"] = 70 + sum(frame[f"stage{s}_k"] * 0.1 for s in range(1, stages + 1)) + rng.normal(0, 0.1, num)
    frame.to_csv(path, index=False)
    return path


def cell_file(path: Path, num: int = 90) -> Path:
    """NAS-Bench-201 cells whose target follows their live paths."""
    path.write_text(cell_csv(num))
    return path


def train(
    workspace: Workspace,
    dataset: str,
    target: str,
    minimize: bool,
    max_length: int | None = None,
    num_steps: int = 30,
    executor: type[SubprocessExecutor] = SmallExecutor,
    **called: str,
) -> str:
    """A finished run: trained by a worker, or the copy of one that was trained on the same before (tests/kept.py)."""
    small = {"num_members": 2, "num_steps": num_steps, "threads": 1, "max_length": max_length} | called
    run = workspace.add_run(dataset, target, name="First run", minimize=minimize, **small)
    folder = workspace.run(run).path
    data = [path.read_bytes() for path in sorted(folder.glob("table.*"))]
    about = data, target, minimize, small, executor.__name__
    finished = kept.once(about, lambda place: shutil.copytree(_trained(executor(workspace), run), place))
    if workspace.run(run).state["state"] == "queued":  # trained before, for another workspace
        shutil.copytree(finished, folder, ignore=shutil.ignore_patterns("config.json", "entry.json"), dirs_exist_ok=True)
        with workspace.connect(write=True) as connection:
            connection.execute("UPDATE runs SET submitted = created WHERE id = ?", (run,))
        read_again(workspace, run)
    return run


def _trained(executor: SubprocessExecutor, run: str) -> Path:
    """Runs a worker to its end; the run's folder."""
    executor.submit(run)
    deadline = time.monotonic() + 200
    while executor.poll() and time.monotonic() < deadline:
        time.sleep(0.2)
    folder = executor.workspace.run(run)
    assert folder.state["state"] == "finished", (folder.state, folder.log_text())
    return folder.path


FILES = {
    "finished": (macro_file, "data.json", "mean_acc", False),
    "finished flat": (flat_file, "data.csv", "latency_ms", True),
    "finished cells": (cell_file, "data.csv", "acc", False),
}


def trained(state: str, workspace: Workspace) -> str:
    """A data set and its finished run in a workspace: the run's id."""
    make, name, target, minimize = FILES[state]
    table = read_table(make(workspace.path / name))
    return train(workspace, workspace.add_dataset(table, "Test data"), target, minimize)


def unfinished(state: str, workspace: Workspace) -> None:
    """What a workspace of one of the first STATES holds."""
    if state == "no data":
        return
    dataset = workspace.add_dataset(read_table(macro_file(workspace.path / "data.json")), "Test data")
    if state == "no run":
        return
    run = workspace.add_run(dataset, "mean_acc", name="First run")
    for step in (10, 20):
        record = {"step": step, "num_steps": 100, "loss": 1 / step, "hop_srcc": [0.1, 0.2, 0.3, 0.4, 0.5], "srcc": 0.5}
        workspace.run(run).append_progress(record | {"seconds": 1.0, "seconds_left": 4.0, "phase": "training"})
    workspace.run(run).log("a line of the log")
    set_state(workspace, run, state, "Too few networks: got 3, expected 10." if state == "failed" else "")


def set_state(workspace: Workspace, run: str, state: str, error: str = "") -> None:
    """A state as a worker would have left it; "running" is held by this very process."""
    workspace.run(run).set_state(state, error)
    now = time.time()
    mine = (os.getpid(), psutil.Process().create_time(), now) if state == "running" else (None, None, None)
    read_again(workspace, run)
    with workspace.connect(write=True) as connection:
        query = "UPDATE runs SET submitted = ?, pid = ?, pid_started = ?, heartbeat = ? WHERE id = ?"
        connection.execute(query, (now, *mine, run))


def enter(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a workspace, and nothing else, the app's."""
    monkeypatch.setenv("AUTOBUILD_WORKSPACE", str(path))
    monkeypatch.setattr("autobuild_core.store.workspace.SAMPLE_DATA", path / "no-sample")
    st.cache_resource.clear()
    st.cache_data.clear()


def open_page(name: str, **query: str) -> AppTest:
    """A page by its address, entered by app.py."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    if name != "home":
        app.switch_page(f"pages/{name}.py")  # before a run the page is named by its file, as _navigation names its address
    return app.run()


def texts(app: AppTest) -> str:
    """All that a reader can read."""
    kinds = ("markdown", "caption", "header", "subheader", "error", "info", "warning", "code", "html")
    found = "\n".join(str(element.value) for kind in kinds for element in app.get(kind) if hasattr(element, "value"))
    return found.replace("\\", "")  # users' text is escaped for Markdown


def chosen(app: AppTest) -> dict[str, str]:
    """The page's URL."""
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}
