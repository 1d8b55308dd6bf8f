"""The Train page with jobs of other kinds among the trainings, and every page where the workspace is damaged."""

import os
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from autobuild_core.jobs import executor as jobs
from autobuild_core.jobs import kinds
from autobuild_core.jobs.executor import SubprocessExecutor
from autobuild_core.store import schema
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import open_page, texts
from tests.counting import counting as counting
from tests.unit.jobs.test_executor import state, until

PAGES = ("home", "data", "train", "map", "importance", "hops", "builder", "evaluate", "search_space", "review")
NO_RUN = pytest.mark.parametrize("in_state", ["no run"], indirect=True)
FAILED = pytest.mark.parametrize("in_state", ["failed"], indirect=True)
FINISHED = pytest.mark.parametrize("in_state", ["finished"], indirect=True)


def button(app: AppTest, label: str) -> AppTest:
    """The page after a click on the one button of that name."""
    (found,) = [one for one in app.button if one.label == label]
    return found.click().run()


def whole(app: AppTest) -> str:
    """What a page says; it has no traceback."""
    assert not app.exception, [one.value for one in app.exception]
    return texts(app)


@NO_RUN
def test_a_new_kind_is_shown_cancelled_and_resumed_on_train(in_state: Workspace, counting: str) -> None:
    run = kinds.add(in_state, counting, name="my count")
    executor = SubprocessExecutor(in_state)
    executor.submit(run)
    until(lambda: in_state.run(run).last_progress().get("step") == 2)
    app = open_page("train", run=run)
    read = whole(app)
    assert "my count" in read and "count to 4" in read and ":blue-badge[running]" in read
    listed = app.dataframe[0].value.iloc[0]
    assert (listed["Run"], listed["Kind"], listed["Target"], listed["Seed"]) == ("my count", "count", "count to 4", "")
    assert "Counted to 2" in [bar.proto.text for bar in app.get("progress")]
    button(app, "Cancel")
    until(lambda: state(in_state, run) == "cancelled")
    app = open_page("train", run=run)
    assert ":gray-badge[cancelled]" in whole(app) and app.dataframe[0].value.iloc[0]["Result"] == "2 counted"
    button(app, "Resume")
    until(lambda: state(in_state, run) == "finished")
    app = open_page("train", run=run)
    whole(app)
    assert app.dataframe[0].value.iloc[0]["Result"] == "4 counted"
    assert app.dataframe[1].value["number"].tolist() == [1, 2, 3, 4]
    for page in PAGES:
        whole(open_page(page, run=run))
    assert "is a count: it has no scores of modules; its result is on Train" in whole(open_page("importance", run=run))
    app = open_page("train", run=run)
    app.button(key=f"repeat_{run}").click().run()
    assert in_state.runs()["name"].tolist()[:2] == ["my count"] * 2
    executor.cancel(in_state.runs()["id"][0])
    until(lambda: executor.poll() == 0 and (jobs.reap() or not jobs._children))


@FINISHED
def test_a_finished_job_does_not_push_the_training_aside(in_state: Workspace, counting: str) -> None:
    run = kinds.add(in_state, counting, name="my count", waits_at=9)
    executor = SubprocessExecutor(in_state)
    executor.submit(run)
    until(lambda: executor.poll() == 0)
    assert "has no scores" not in whole(open_page("importance"))
    until(lambda: jobs.reap() or not jobs._children)


@FAILED
def test_a_training_offers_repeat_and_no_resume(in_state: Workspace) -> None:
    app = open_page("train")
    whole(app)
    labels = [one.label for one in app.button]
    assert "Resume" not in labels and "Start" in labels


@NO_RUN
def test_a_run_of_a_kind_that_is_gone_can_be_deleted(in_state: Workspace, counting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = kinds.add(in_state, counting, name="left over")
    SubprocessExecutor(in_state).cancel(run)
    monkeypatch.setenv("AUTOBUILD_EXTENSIONS", "")
    kinds.load_kind.cache_clear()
    app = open_page("train", run=run)
    assert "no kind of job called `count`" in whole(app)
    app.button(key=f"delete_{run}").click().run()
    assert in_state.runs().empty


DAMAGES = [
    ("config.json", "[]", "damaged"),
    ("state.json", "", "damaged"),
    ("quality.json", "[]", "finished"),
    ("model.json", "{}", "finished"),
]
OF_A_RUN = {"importance", "hops", "builder", "review", "map"}


@FINISHED
@pytest.mark.parametrize(("file", "content", "listed"), DAMAGES)
def test_a_damaged_run_is_a_sentence_on_every_page_and_deletable(
    in_state: Workspace, file: str, content: str, listed: str
) -> None:
    run = in_state.runs()["id"][0]
    (in_state.path / "runs" / run / file).write_text(content)
    read = {page: whole(open_page(page)) for page in PAGES}
    said = {page for page in PAGES if "damaged" in read[page] or "This run cannot be shown" in read[page]}
    assert said >= OF_A_RUN
    app = open_page("train")
    assert app.dataframe[0].value["State"].tolist() == [listed]
    app.button(key=f"delete_{run}").click().run()
    assert in_state.runs().empty and not (in_state.path / "runs" / run).exists()


@NO_RUN
def test_a_damaged_data_set_is_a_sentence_and_deletable(in_state: Workspace) -> None:
    data = in_state.datasets()["id"][0]
    (in_state.path / "datasets" / data / "table.json").write_text("[]")
    for page in PAGES:
        whole(open_page(page))
    assert "cannot be read; delete them on Data" in whole(open_page("train"))
    app = open_page("data")
    assert "expected a saved table" in whole(app) and app.selectbox[0].options == ["Test data, damaged"]
    app.button(key=f"do_delete_{data}").click().run()
    assert in_state.datasets().empty


@FAILED
@pytest.mark.parametrize("content", [None, b"", b"hello " * 2000], ids=["missing", "emptied", "no database"])
def test_a_lost_registry_is_made_anew_under_the_app(in_state: Workspace, content: bytes | None) -> None:
    for page in PAGES:
        for end in ("", "-wal", "-shm"):
            (in_state.path / f"registry.sqlite{end}").unlink(missing_ok=True)
        if content is not None:
            (in_state.path / "registry.sqlite").write_bytes(content)
        app = open_page(page)
        whole(app)
        assert in_state.runs()["name"].tolist() == ["First run"] and len(in_state.datasets()) == 1
    assert "First run" in whole(open_page("train"))


SETTINGS = {
    "AUTOBUILD_DISK_CAP_GB": ("lots", "expected a positive number of gigabytes"),
    "AUTOBUILD_MAX_RUNNING": ("many", "expected a whole number"),
    "AUTOBUILD_THREADS": ("0", "expected a whole number"),
    "AUTOBUILD_WORKSPACE": ("/dev/null/here", "see that the disk is there and this user may write"),
}


@NO_RUN
@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("page", PAGES)
def test_a_bad_setting_is_one_sentence(in_state: Workspace, page: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value, sentence = SETTINGS[name]
    monkeypatch.setenv(name, value)
    st.cache_resource.clear()
    app = open_page(page)
    assert sentence in whole(app) and len(app.error) == 1


@FAILED
def test_a_full_disk_leaves_pages_that_can_be_read(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = in_state.add_run(in_state.datasets()["id"][0], "mean_acc", name="waits")
    with in_state.connect(write=True) as connection:
        connection.execute("UPDATE runs SET submitted = 1 WHERE id = ?", (waiting,))
    opened = schema.open_connection

    def tight(path: Path) -> object:
        connection = opened(path)
        connection.execute("PRAGMA query_only = 1")  # as on a disk that takes no more
        return connection

    monkeypatch.setattr(schema, "open_connection", tight)
    for page in PAGES:
        read = whole(open_page(page))
        assert "it may not be written" in read, page
    assert os.listdir(in_state.path / "runs")
