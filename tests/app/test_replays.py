"""Evaluate's replays: what can be asked, what is started, and what each state of a replay shows."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.datasets import read_table
from autobuild_core.errors import Cancelled
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.replay import CURVES, ReplaySettings
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import enter, grid_file, open_page, set_state, texts, train, trained
from tests.registered import read_again

SMALL = {"evaluations": 12, "initial": 6, "batch": 3, "seeds": 2, "modes": ("default", "ridge", "random")}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a finished run on a space of 27 networks, all of them measured."""
    made = Workspace(tmp_path / "work")
    train(made, made.add_dataset(read_table(grid_file(made.path / "grid.csv")), "Grid"), "acc", False)
    enter(made.path, monkeypatch)
    return made


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def run_of(workspace: Workspace) -> str:
    runs = workspace.runs()
    return str(runs.loc[runs["has_scores"], "id"].iloc[0])


def replayed(workspace: Workspace, state: str, error: str = "", batches: int = 99, **plan: Any) -> str:
    """A replay of the grid in a state, of which so many batches were evaluated: its id."""
    trained_on = workspace.run(run_of(workspace))
    about: dict[str, Any] = {"data_name": "Grid", "data_hash": trained_on.config.data_hash, "name": "A replay"}
    run = kinds.add(workspace, "replay", trained_on.table(), plan={"target": "acc"} | SMALL | plan, **about)
    folder, kind, asked = workspace.run(run), kinds.load_kind("replay"), iter(range(10**6))
    with suppress(Cancelled):
        kind.run(folder, kind.settings_of(folder), folder.append_progress, lambda: next(asked) >= batches)
    set_state(workspace, run, state, error)
    read_again(workspace, run)
    if state == "running":
        set_state(workspace, run, state)
    return run


def test_without_a_replay_the_page_says_what_one_is(workspace: Workspace) -> None:
    app = open_page("evaluate")
    said = texts(app)
    assert not app.exception and "Would this have worked?" in said and "A replay plays a closed loop many times over" in said
    assert "All 27 networks of this space were evaluated already." in said  # so what was measured can be the truth


def test_one_is_started_on_what_was_measured(workspace: Workspace) -> None:
    app = open_page("evaluate")
    app.multiselect(key="replay_modes").set_value(["default", "random"]).run()
    app.number_input(key="replay_evaluations").set_value(20).run()
    app.number_input(key="replay_initial").set_value(8).run()
    press(app, "start_replay")
    runs = workspace.runs()
    made = runs[runs["kind"] == "replay"].iloc[0]
    settings = kinds.load_kind("replay").settings_of(workspace.run(made["id"]))
    assert isinstance(settings, ReplaySettings)
    plan = settings.made
    assert (plan.target, plan.evaluations, plan.initial, plan.modes) == ("acc", 20, 8, ("default", "random"))
    assert settings.evaluator == "" and len(workspace.run(made["id"]).table()) == 27
    assert "maximise acc; 20 evaluations, 8 initial, batches of 10" in texts(app)


def test_or_on_the_predictions_of_the_run(workspace: Workspace) -> None:
    app = open_page("evaluate")
    app.segmented_control(key="replay_truth_2").set_value("The run's predictions").run()
    assert "flatters models of the predictor's kind" in texts(app)
    press(app, "start_replay")
    runs = workspace.runs()
    made = runs[runs["kind"] == "replay"].iloc[0]
    settings = workspace.run(made["id"]).job.settings
    assert settings["evaluator"] == f"predictor:{workspace.run(run_of(workspace)).path}"
    assert settings["plan"]["target"] == "predicted" and "Prediction of a run" in made["aim"]


def test_where_not_all_is_known_only_predictions_can_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Workspace(tmp_path / "work")
    trained("finished", made)
    enter(made.path, monkeypatch)
    app = open_page("evaluate")
    assert app.segmented_control(key="replay_truth_1").options == ["The run's predictions"]
    assert "do not hold every network of the space" in texts(app)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("replay_initial", 60, "initial\\: got 60 of 60 evaluations"),
        ("replay_seeds", 0, "seeds\\: got 0"),
        ("replay_within", -1.0, "within\\: got"),
    ],
)
def test_settings_that_do_not_do_are_said_and_start_nothing(field: str, value: float, said: str, workspace: Workspace) -> None:
    app = open_page("evaluate")
    app.number_input(key=field).set_value(value).run()
    press(app, "start_replay")
    assert app.error[0].value.startswith(said) and not (workspace.runs()["kind"] == "replay").any()
    assert app.number_input(key=field).value == value


def test_a_judge_that_is_no_equation_over_the_metrics_is_said(workspace: Workspace) -> None:
    app = open_page("evaluate")
    app.text_input(key="replay_judge").set_value("acc_2 + 1").run()
    press(app, "start_replay")
    assert "acc" in app.error[0].value and not (workspace.runs()["kind"] == "replay").any()


def outcome_of(app: AppTest) -> pd.DataFrame:
    return next(table.value for table in app.table if "mean regret" in table.value)


def test_a_finished_one_shows_curves_differences_and_the_outcome(workspace: Workspace) -> None:
    replayed(workspace, "finished", within=2.0)
    app = open_page("evaluate")
    assert not app.exception
    table = outcome_of(app)
    assert table.index.tolist() == ["default", "ridge", "random"] and "within 2 of it" in texts(app)
    assert "how much worse than the best network;" in texts(app)
    assert table.loc["random", "default less it"].endswith("]") and table.loc["default", "default less it"] == ""
    app.segmented_control(key="replay_over").set_value("seconds").run()
    app.segmented_control(key="replay_shown").set_value("Default less each mode").run()
    assert not app.exception and "Below zero the default is better" in texts(app)
    assert not any(one.key == "replay_over" for one in app.segmented_control)  # they differ after equally many evaluations


def test_without_the_default_there_are_no_differences_to_show(workspace: Workspace) -> None:
    replayed(workspace, "finished", modes=("ridge", "random"))
    app = open_page("evaluate")
    assert "default less it" not in outcome_of(app) and not any(one.key == "replay_shown" for one in app.segmented_control)


@pytest.mark.parametrize(("state", "error"), [("running", ""), ("cancelled", ""), ("failed", "The disk is full."), ("lost", "")])
def test_what_is_there_is_shown_and_it_can_be_stopped_or_gone_on_with(state: str, error: str, workspace: Workspace) -> None:
    run = replayed(workspace, state, error, batches=7)
    known = len(pd.read_csv(workspace.run(run).path / CURVES))
    app = open_page("evaluate")
    assert not app.exception and error in texts(app)
    assert ("Cancel" if state == "running" else "Resume") in [button.label for button in app.button]
    assert 0 < known < 3 * 3 * 2 and np.isin(outcome_of(app).index, ["default", "ridge", "random"]).all()


def test_regrets_have_the_unit_of_what_judged_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that aims at a latency shows a replay of the same data that aimed at the accuracy."""
    made = Workspace(tmp_path / "work")
    text = "".join(f"{a},{b},{60 + 3 * a + 2 * b},{a + b}\n" for a in (1, 2, 3, 4, 5) for b in (1, 2, 3, 4, 5))
    (made.path / "grid.csv").write_text("depth,width,acc_pct,latency_ms\n" + text)
    train(made, made.add_dataset(read_table(made.path / "grid.csv"), "Grid"), "latency_ms", True)
    enter(made.path, monkeypatch)
    replayed(made, "finished", target="acc_pct")
    app = open_page("evaluate")
    titles = [json.loads(chart.proto.spec)["layout"]["yaxis"]["title"]["text"] for chart in app.get("plotly_chart")]
    assert not app.exception and "regret (points)" in titles


@pytest.mark.parametrize("text", ["", "\x00\x01", "mode,seed\nrandom,0\n", "mode,seed,evaluations\nrandom,0,5"])
def test_damaged_curves_are_said(text: str, workspace: Workspace) -> None:
    run = replayed(workspace, "finished")
    (workspace.run(run).path / CURVES).write_text(text)
    app = open_page("evaluate")
    assert not app.exception and "got a file that holds no replay" in app.error[0].value


def test_before_the_first_curve_and_of_a_damaged_one_it_says_so(workspace: Workspace) -> None:
    run = replayed(workspace, "running", batches=0)
    assert "No curve is there yet" in texts(open_page("evaluate"))
    (workspace.run(run).path / "config.json").write_text("{")
    read_again(workspace, run)
    app = open_page("evaluate", run=run_of(workspace))
    assert not app.exception and "damaged" in texts(app) and not app.table
