"""Evaluate: the list from any page, batches and results as files, evaluations in every state, what was learned from them."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.evaluate import RESULTS
from autobuild_core.store.candidates import Candidate, Origin
from autobuild_core.store.pins import Pins
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import enter, open_page, set_state, texts, train, trained
from tests.registered import read_again


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a finished run on NAS-Bench-Macro."""
    made = Workspace(tmp_path / "work")
    trained("finished", made)
    enter(made.path, monkeypatch)
    return made


def run_of(workspace: Workspace) -> str:
    return str(workspace.runs()["id"].iloc[-1])


def data_of(workspace: Workspace) -> str:
    return str(workspace.datasets()["id"].iloc[-1])


def listed(workspace: Workspace) -> list[Candidate]:
    return workspace.candidates(data_of(workspace)).all()


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def handed_out(workspace: Workspace, num: int) -> list[str]:
    """Ids of a batch that was handed out."""
    app = open_page("evaluate")
    app.segmented_control(key="where").set_value("Elsewhere").run()
    app.number_input(key="num_handed").set_value(num).run()
    press(app, "hand_out")
    return [one.id for one in listed(workspace) if one.batch]


def test_every_page_with_architectures_puts_them_on_the_list_with_their_prediction(workspace: Workspace) -> None:
    app = press(open_page("builder"), "put_assembled")
    assert "1 candidate put on the list." in texts(app)
    press(app, "build")
    press(app, "put_built")
    assert "9 candidates put on the list; 1 network of them there already" in texts(app)
    assert "put on the list" in texts(press(app, "put_next"))
    found = listed(workspace)
    origins = [one.origin for one in found]
    assert origins.count(Origin.TYPED) == 1 and origins.count(Origin.BUILT) == 9 and Origin.NEXT in origins
    assert all(one.prediction.target == "mean_acc" and one.prediction.predicted for one in found)
    assert all(one.prediction.run == run_of(workspace) for one in found)
    app = open_page("evaluate")
    assert f"**{len(found)}** waiting." in texts(app)
    assert len(next(frame.value for frame in app.dataframe if "proposed" in frame.value)) == len(found)


def test_a_claim_is_tested_by_what_would_overturn_it(workspace: Workspace) -> None:
    best = open_page("importance")
    key = next(str(button.key) for button in best.button if str(button.key).startswith("do_note_"))
    press(best, key)
    app = open_page("review")
    pin = Pins.of(workspace, run_of(workspace)).all()[0]
    app.session_state[f"overturn_{pin.id}"] = True
    app.run()
    press(app, next(str(button.key) for button in app.button if str(button.key).startswith("put_overturn_")))
    assert {one.origin for one in listed(workspace)} == {Origin.CLAIM}


def test_one_is_typed_in_and_a_faulty_one_says_what_is_wrong(workspace: Workspace) -> None:
    app = open_page("evaluate")
    assert "Nothing is on the list yet" in texts(app)
    typed = next(one for one in app.button if one.label == "Add it")
    app.text_input(key="typed_arch").set_value("0120")
    typed.click().run()
    assert "expected" in app.error[0].value and not workspace.candidates(data_of(workspace)).path.exists()
    app.text_input(key="typed_arch").set_value("00000012")
    next(one for one in app.button if one.label == "Add it").click().run()
    assert [(one.arch, one.origin) for one in listed(workspace)] == [("00000012", Origin.TYPED)]
    press(app, "withdraw")
    assert "**1** withdrawn." in texts(app)


def test_a_batch_is_handed_out_as_a_template_makes_it(workspace: Workspace) -> None:
    ids = handed_out(workspace, 5)
    assert len(ids) == 5 and sum(one.origin is Origin.CONTROL for one in listed(workspace)) == 1
    app = open_page("evaluate")
    app.segmented_control(key="where").set_value("Elsewhere").run()
    assert "batch_1.jsonl" in app.get("download_button")[-1].proto.label or any(
        "batch_1.jsonl" in one.proto.label for one in app.get("download_button")
    )
    for template in ("candidates.yaml", "commands.sh", "array.sbatch"):
        app.selectbox(key="template").set_value(template).run()
        assert any(f"batch_1_{template}" in one.proto.label for one in app.get("download_button"))
    app.selectbox(key="template").set_value("A template of yours").run()
    app.file_uploader(key="own_template").set_value(("mine.txt.j2", b"{{ nothing }}", "text/plain")).run()
    assert "'nothing' is undefined" in texts(app)
    app.file_uploader(key="own_template").set_value(("mine.txt.j2", b"{{ candidates | length }}", "text/plain")).run()
    assert any("batch_1_mine.txt" in one.proto.label for one in app.get("download_button"))


def test_results_from_elsewhere_join_list_and_data(workspace: Workspace) -> None:
    ids = handed_out(workspace, 5)
    rows: list[dict[str, Any]] = [{"id": one, "mean_acc": 91.0 + place} for place, one in enumerate(ids[:3])]
    rows += [{"id": ids[3], "state": "failed", "error": "CUDA out of memory"}, {"id": "cunknown", "mean_acc": 1.0}]
    app = open_page("evaluate")
    app.segmented_control(key="where").set_value("Elsewhere").run()
    content = "".join(json.dumps(row) + "\n" for row in reversed(rows)).encode()
    app.file_uploader[0].set_value(("results.jsonl", content, "text/plain")).run()
    assert not app.exception
    assert app.success[0].value.replace("\\", "") == "4 results of candidates, 4 rows joined the data, 1 row not taken."
    assert workspace.datasets()["version"].tolist() == [2, 1]
    said = texts(app)
    assert "**1** out, **3** measured, **1** failed." in said
    table = next(frame.value for frame in app.dataframe if "why it failed" in frame.value)
    assert "CUDA out of memory" in table["why it failed"].tolist()
    assert "has 4 rows more than this run learned from" in said
    app.file_uploader[0].set_value(("again.jsonl", content, "text/plain")).run()
    assert app.error and workspace.datasets()["version"].tolist() == [2, 1]


def evaluation(workspace: Workspace, ids: list[str], state: str, done: int, error: str = "") -> str:
    """An evaluation of a batch in a state, some of whose candidates were measured: the id of its run."""
    known = {one.id: one for one in listed(workspace)}
    config = workspace.run(run_of(workspace)).config
    run = kinds.add(
        workspace, "evaluate", name="Batch 1", evaluator="cost", archs=[known[one].arch for one in ids], ids=ids,
        data_name="Test data", data_hash=config.data_hash,
    )  # fmt: skip
    lines = []
    for place, one in enumerate(ids[:done]):
        about = {"arch": known[one].arch, "seed": 0, "id": one, "evaluator": "cost", "version": "1", "data": "x", "budget": 0}
        ended = {"state": "failed", "error": "no such layer"} if place == 1 else {"state": "finished"}
        metrics = {} if place == 1 else {"mean_acc": 92.0 - place}
        lines.append(
            {"arch": about.pop("arch"), "seed": about.pop("seed")} | metrics | about | {"device": "cpu", "seconds": 1.5} | ended
        )
    folder = workspace.run(run)
    (folder.path / RESULTS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder.append_progress(
        {"phase": "evaluating", "step": done, "num_steps": len(ids), "seconds_left": 30.0, "metrics": {"step": 1}}
    )
    set_state(workspace, run, state, error)
    read_again(workspace, run)
    if state == "running":
        set_state(workspace, run, state)
    return run


def test_a_live_evaluation_shows_how_far_each_candidate_is(workspace: Workspace) -> None:
    ids = handed_out(workspace, 4)
    evaluation(workspace, ids, "running", 2)
    app = open_page("evaluate")
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if "seeds" in frame.value)
    assert table["state"].tolist() == ["measured", "failed", "measuring", "waiting"]
    assert table["error"].tolist()[1] == "no such layer" and table["seeds"].tolist() == ["1 of 1", "1 of 1", "0 of 1", "0 of 1"]
    labels = [button.label for button in app.button]
    assert "Cancel" in labels and "Resume" not in labels
    assert workspace.datasets()["version"].tolist() == [1]  # it joins when it ends


@pytest.mark.parametrize(("state", "error"), [("cancelled", ""), ("failed", "The disk is full."), ("lost", "")])
def test_what_a_stopped_evaluation_has_joins_and_it_can_be_resumed(state: str, error: str, workspace: Workspace) -> None:
    ids = handed_out(workspace, 4)
    evaluation(workspace, ids, state, 2, error)
    app = open_page("evaluate")
    assert not app.exception
    said = texts(app)
    assert "Resume" in [button.label for button in app.button] and error in said
    assert "**2** out, **1** measured, **1** failed." in said
    assert workspace.datasets()["version"].tolist() == [2, 1]
    open_page("evaluate")
    assert workspace.datasets()["version"].tolist() == [2, 1]


def test_results_that_cannot_join_are_said_once(workspace: Workspace) -> None:
    ids = handed_out(workspace, 2)
    run = evaluation(workspace, ids, "finished", 1)
    lines = (workspace.run(run).path / RESULTS).read_text().replace("92.0", '"abc"')
    (workspace.run(run).path / RESULTS).write_text(lines)
    app = open_page("evaluate")
    assert any("did not join the data" in one.value for one in app.warning)
    assert not open_page("evaluate").warning


def test_an_evaluator_of_ones_own_is_offered_and_started(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "mine.py"
    own.write_text("def evaluate(arch, budget, seed):\n    return {'mean_acc': 90.0 + sum(map(int, arch)) / 10}\n")
    monkeypatch.setenv("AUTOBUILD_EVALUATORS", str(own))
    monkeypatch.setenv("AUTOBUILD_WARM", "0")
    app = open_page("evaluate")
    app.number_input(key="num_measured").set_value(3).run()
    assert "3 candidates: 0 that wait, 2 chosen by the run, 1 random control." in texts(app)
    assert "How long one evaluation takes is known after the first." in texts(app)
    press(app, "start_measuring")
    runs = workspace.runs()
    job = str(runs.loc[runs["kind"] == "evaluate", "id"].iloc[0])
    deadline = time.monotonic() + 120
    while workspace.run(job).state["state"] not in ("finished", "failed") and time.monotonic() < deadline:
        app.run()
    assert workspace.run(job).state["state"] == "finished", workspace.run(job).log_text()
    app = open_page("evaluate", run=run_of(workspace))
    said = texts(app)
    assert "**3** measured." in said and "random controls" in str([table.value for table in app.table])
    assert "Retrain with the new results" in [button.label for button in app.button]
    assert "as on the 3 evaluations measured here" in said


@pytest.mark.parametrize("in_state", ["finished cells"], indirect=True)
def test_a_first_visitor_reads_how_long_a_batch_takes(in_state: Workspace) -> None:
    said = texts(open_page("evaluate"))
    assert "About 72 s to 3 min: 8 evaluations of 9 s for a middling network to 21 s for the largest of the samples" in said


def test_a_retrained_run_stands_beside_the_one_before(workspace: Workspace) -> None:
    first, data = run_of(workspace), data_of(workspace)
    ids = handed_out(workspace, 5)
    app = open_page("evaluate")
    app.segmented_control(key="where").set_value("Elsewhere").run()
    content = "".join(json.dumps({"id": one, "mean_acc": 93.0}) + "\n" for one in ids).encode()
    app.file_uploader[0].set_value(("results.jsonl", content, "text/plain")).run()
    newest = workspace.newest_version(data)
    second = train(workspace, newest, "mean_acc", False)
    app = open_page("evaluate", run=second)
    assert not app.exception
    table: pd.DataFrame = next(frame.value for frame in app.dataframe if "verdict" in frame.value)
    assert len(table) == len(workspace.dataset(data).spec.units) and set(table.columns) >= {"claim", "before", "now", "verdict"}
    assert "Retrain with the new results" not in [button.label for button in app.button]
    assert app.selectbox(key=f"before_{second}").options[0].startswith("First run")
    quality = next(frame.value for frame in app.dataframe if "measure" in frame.value.columns and "before" in frame.value.columns)
    assert np.isfinite(quality.loc[quality["measure"] == "SRCC, held out", ["before", "now"]].to_numpy(float)).all()
    assert first != second
