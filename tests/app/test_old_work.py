"""A workspace and a run that an older version wrote: every page opens them, every command works on them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from autobuild_core.api import Run, train
from autobuild_core.architectures.records import ArchTable
from autobuild_core.cli import main
from autobuild_core.datasets import read_table
from autobuild_core.spaces import load_space
from autobuild_core.store.workspace import Workspace, is_sample
from tests.app.workspaces import open_page, texts

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "workspace_f7e27c2"
RUN, NEVER_TRAINED = "fbac7544ebd8e5482eae36a40db93a09", "468e850e33c6999dae526392b4646b8f"
PAGES = ("home", "data", "train", "map", "importance", "hops", "builder", "evaluate", "search_space", "review")


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of it, as the app will find it."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.setenv("AUTOBUILD_WORKSPACE", str(tmp_path / "old"))
    st.cache_resource.clear()
    st.cache_data.clear()
    return Workspace(tmp_path / "old")


def test_the_workspace_has_all_that_it_had(old: Workspace) -> None:
    sets, runs = old.datasets(), old.runs()
    assert sets[["name", "num_rows", "num_rejected"]].to_numpy().tolist() == [["macro of old", 60, 1]]
    own = runs[~runs["id"].map(is_sample).astype(bool)].set_index("id")
    assert own["name"].to_dict() == {RUN: "old run", NEVER_TRAINED: "never trained"}
    assert own["state"].to_dict() == {RUN: "finished", NEVER_TRAINED: "cancelled"}
    assert own.loc[RUN, "srcc"] == json.loads((OLD / "runs" / RUN / "quality.json").read_text())["srcc"]
    assert len(old.dataset(sets["id"].iloc[0])) == 60


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_it(page: str, old: Workspace) -> None:
    app = open_page(page, run=RUN)
    assert not app.exception, [e.value for e in app.exception]
    assert "old run" in texts(app)


def test_a_run_that_never_trained_says_so(old: Workspace) -> None:
    app = open_page("importance", run=NEVER_TRAINED)
    assert not app.exception and "cancelled" in texts(app)


def test_its_numbers_are_those_that_it_wrote(old: Workspace, tmp_path: Path) -> None:
    folder, out = old.run(RUN).path, tmp_path / "scores.csv"
    assert main(["score", str(folder), "--units", "--out", str(out)]) == 0
    written = pd.read_parquet(folder / "modules.parquet")
    whole = written[written["whole_unit"]].sort_values(["unit", "layers"])["score"]
    np.testing.assert_allclose(pd.read_csv(out).sort_values(["unit", "layers"])["score"], whole, rtol=1e-9)


@pytest.mark.parametrize(
    "command",
    [
        ["build", "RUN", "--num", "3", "--out", "OUT"],
        ["suggest", "RUN", "--num", "3", "--out", "OUT"],
        ["report", "RUN", "--out", "OUT.html"],
    ],
    ids=lambda command: command[0],
)
def test_commands_work_on_it(command: list[str], old: Workspace, tmp_path: Path) -> None:
    words = [word.replace("RUN", str(old.run(RUN).path)).replace("OUT", str(tmp_path / "out")) for word in command]
    assert main(words) == 0
    assert (tmp_path / ("out.html" if "report" in command else "out")).stat().st_size > 100


def test_a_training_of_today_agrees_with_it(old: Workspace, tmp_path: Path) -> None:
    """Close, and in the same order: since it was made a training chooses the scale of its target (decision 74)."""
    config, table = old.run(RUN).config, old.run(RUN).table()
    settings = {"num_members": 2, "num_steps": 30, "max_length": 2, "threads": 1}
    now = train(table, config.target, tmp_path / "now", **settings)
    before, after = (Run(path).modules()["score"] for path in (old.run(RUN).path, now.folder.path))
    np.testing.assert_allclose(after, before, rtol=0, atol=0.15 * before.std())
    assert before.corr(after, method="spearman") > 0.99


def test_its_data_are_read_again_as_they_were(old: Workspace, tmp_path: Path) -> None:
    table = old.run(RUN).table()
    text = {key: {"mean_acc": acc} for key, acc in zip(native(table), table.metrics["mean_acc"], strict=True)}
    (tmp_path / "again.json").write_text(json.dumps(text))
    again = read_table(tmp_path / "again.json")
    assert set(again.networks) == set(table.networks)


def native(table: ArchTable) -> list[str]:
    """The encodings of a table as its file had them."""
    space = load_space(table.spec)
    return [space.native(row) for row in table.codes]
