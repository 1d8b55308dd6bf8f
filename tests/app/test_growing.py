"""Data: measurements are appended to a data set, versions are chosen, shown and taken back."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import chosen, enter, macro_file, open_page, set_state, texts

MORE = [{"arch": "00000001", "mean_acc": 91.5}, {"arch": "00000002", "mean_acc": 92.5}, {"arch": "9", "mean_acc": 1}]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    made = Workspace(tmp_path / "work")
    made.add_dataset(read_table(macro_file(made.path / "data.json")), "Test data")
    enter(made.path, monkeypatch)
    return made


def dropped(app: AppTest, lines: list[dict[str, object]], name: str = "results.jsonl") -> AppTest:
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    app.file_uploader[1].set_value((name, content, "text/plain")).run()
    return app


def test_appended_rows_make_a_version_that_is_shown(workspace: Workspace) -> None:
    first = str(workspace.datasets()["id"].iloc[0])
    app = dropped(open_page("data", target="mean_acc", arch="row:3"), MORE)
    assert not app.exception
    sets = workspace.datasets().set_index("version")
    assert sets["num_rows"].to_dict() == {1: 90, 2: 92}
    assert sets["family"].unique().tolist() == [first]
    said = texts(app)
    assert app.success[0].value.replace("\\", "").startswith("2 rows appended, 1 row refused: version 2, 92 architectures.")
    assert "Test data, version 2" in said
    assert (chosen(app)["data"], chosen(app)["target"], chosen(app)["arch"]) == (sets.loc[2, "id"], "mean_acc", "row:3")
    assert [tab.label for tab in app.tabs][-1] == "History (2 versions)"
    app.switch_page("pages/home.py").run()
    assert not app.switch_page("pages/data.py").run().success


def test_the_history_says_where_rows_came_from(workspace: Workspace) -> None:
    first = str(workspace.datasets()["id"].iloc[0])
    run = workspace.add_run(first, "mean_acc", name="Who proposed")
    set_state(workspace, run, "cancelled")
    app = open_page("data", data=first)
    app.selectbox(key="appended_by").set_value(run).run()
    dropped(app, MORE)
    second = workspace.datasets().set_index("version").loc[2]
    assert (second["origin"], second["run"], second["parent"]) == ("results.jsonl", run, workspace.datasets()["hash"].iloc[-1])
    app = open_page("data", data=str(second["id"]))
    app.session_state["data_tabs"] = "History (2 versions)"
    app.run()
    table = next(frame.value for frame in app.dataframe if "proposed_by" in frame.value.columns)
    assert table[["version", "origin", "rows", "refused", "proposed_by"]].to_numpy().tolist() == [
        [1, "Test data", 90, 0, ""],
        [2, "results.jsonl", 2, 1, "Who proposed"],
    ]


def test_a_file_without_a_new_row_says_so_and_changes_nothing(workspace: Workspace) -> None:
    table = workspace.dataset(str(workspace.datasets()["id"].iloc[0]))
    there = {"arch": "".join(map(str, table.codes[4])), "mean_acc": float(table.metrics["mean_acc"][4])}
    app = dropped(open_page("data"), [there])
    assert "got no row that is new to the data set; row 0: is in the data set already, as row 4." in texts(app)
    assert len(workspace.datasets()) == 1


def test_an_unreadable_file_is_a_sentence(workspace: Workspace) -> None:
    app = open_page("data")
    app.file_uploader[1].set_value(("page.html", b"<!DOCTYPE html><html></html>", "text/html")).run()
    assert "page.html: got a web page, not data" in texts(app)
    assert len(workspace.datasets()) == 1


def test_versions_are_chosen_and_the_newest_is_taken_back(workspace: Workspace) -> None:
    app = dropped(open_page("data"), MORE)
    ids = workspace.datasets().set_index("version")["id"]
    version = next(box for box in app.selectbox if box.label == "Version")
    assert version.options == ["2: 92 rows", "1: 90 rows"]
    version.set_value(ids[1]).run()
    assert chosen(app)["data"] == ids[1]
    assert "Only the newest version grows" in texts(app)
    data_sets = next(box for box in app.selectbox if box.label == "Data set")
    assert data_sets.options == ["Test data, 90 architectures"]
    next(box for box in app.selectbox if box.label == "Version").set_value(ids[2]).run()
    app.button(key=f"do_take_back_{ids[2]}").click().run()
    assert not app.exception
    assert workspace.datasets()["id"].tolist() == [ids[1]]
    assert chosen(app)["data"] == ids[1]
    assert [box.label for box in app.selectbox if box.label == "Version"] == []


def test_a_data_set_goes_with_its_versions(workspace: Workspace) -> None:
    app = dropped(open_page("data"), MORE)
    newest = str(workspace.datasets().set_index("version").loc[2, "id"])
    assert "goes for good with its 2 versions" in texts(app)
    app.button(key=f"do_delete_{newest}").click().run()
    assert workspace.datasets().empty


def test_runs_say_which_version_they_learned_from(workspace: Workspace) -> None:
    dropped(open_page("data"), MORE)
    ids = workspace.datasets().set_index("version")["id"]
    for number in (1, 2):
        run = workspace.add_run(ids[number], "mean_acc", name=f"On {number}")
        set_state(workspace, run, "cancelled")
    app = open_page("train", run=run)
    assert app.dataframe[0].value["Data"].tolist() == ["Test data, version 2", "Test data"]
    assert "Test data, version 2" in texts(app)
