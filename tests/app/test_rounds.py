"""Evaluate: loops in rounds in every state, what starts one, what of it joins the data."""

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.errors import Cancelled
from autobuild_core.evaluators._results import ResultsFile
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.evaluate import RESULTS
from autobuild_core.jobs.kinds.rounds import LOOP, loop_of, rounds_of
from autobuild_core.store.workspace import Workspace
from pages._text import JOINER
from tests import kept
from tests.app.workspaces import enter, open_page, set_state, texts, trained

OWN = """
def evaluate(arch, budget, seed):
    if arch.count("2") > 6 and arch.endswith("1"):
        raise ValueError("out of memory")
    return {"mean_acc": 88 + 0.3 * sum(map(int, arch)), "flops": 1e7 + int(arch, 3)}
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a finished run on NAS-Bench-Macro, and an evaluator of one's own for its networks."""
    made = Workspace(tmp_path / "work")
    trained("finished", made)
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.setenv("AUTOBUILD_EVALUATORS", str(tmp_path / "mine.py"))
    enter(made.path, monkeypatch)
    return made


def run_of(workspace: Workspace) -> str:
    return str(workspace.runs().query("kind == 'train'")["id"].iloc[0])


def jobs(workspace: Workspace) -> pd.DataFrame:
    """The loops of a workspace, newest first."""
    runs = workspace.runs()
    return runs[runs["kind"] == "rounds"]


def loop(workspace: Workspace, state: str, measured: int = 5, error: str = "", **plan: Any) -> str:
    """A loop of two rounds on the run's data, stopped when so many networks are measured: the id of its run."""
    config, table = workspace.run(run_of(workspace)).config, workspace.dataset(str(workspace.datasets()["id"].iloc[-1]))
    plan = {"evaluator": "mine", "target": "mean_acc", "evaluations": 5, "batch": 3} | plan
    run = kinds.add(workspace, "rounds", table, name="My loop", plan=plan, data_name=config.data_name, data_hash=config.data_hash)
    folder, kind = workspace.run(run), kinds.load_kind("rounds")
    stop = 99 if measured == plan["evaluations"] else measured

    def make(place: Path) -> None:
        """The loop as it is then, without the run around it."""
        results = ResultsFile(folder.path / RESULTS)
        with suppress(Cancelled):
            kind.run(folder, kind.settings_of(folder), folder.append_progress, lambda: len(results.read()) >= stop)
        place.mkdir()
        shutil.copytree(folder.path / LOOP, place / LOOP)
        for name in (RESULTS, "progress.jsonl"):
            shutil.copy(folder.path / name, place / name)

    shutil.copytree(kept.once(("loop in rounds", OWN, plan, stop), make), folder.path, dirs_exist_ok=True)
    set_state(workspace, run, state, error)
    return run


def read(text: str) -> str:
    """A text as a reader reads it: without what keeps Markdown from taking it for markup."""
    return text.replace("\\", "").replace(JOINER, "")


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, [e.value for e in app.exception]
    return app


def fill(app: AppTest, **fields: int) -> AppTest:
    """Fills number fields of the form, one after the other as a reader does."""
    for name, value in fields.items():
        app.number_input(key=f"rounds_{name}").set_value(value).run()
    return app


def table_with(app: AppTest, column: str) -> pd.DataFrame:
    found: pd.DataFrame = next(frame.value for frame in app.dataframe if column in frame.value)
    return found


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


class TestStarting:
    def test_at_first_it_says_what_a_loop_does_and_who_measures(self, workspace: Workspace) -> None:
        app = open_page("evaluate")
        said = texts(app)
        assert not app.exception and "Loop in rounds" in said and "learns from it and chooses the next" in said
        assert app.selectbox(key="rounds_evaluator").options == ["Your own: mine"]
        assert "How long one evaluation takes is known after the first." in said and "Without budgets." in said

    def test_one_is_started_goes_on_and_its_results_join_the_data(self, workspace: Workspace) -> None:
        app = fill(open_page("evaluate"), num=5, batch=3, seed=2)
        app.text_input(key="rounds_name").set_value("Over night").run()
        assert (app.number_input(key="rounds_num").value, app.number_input(key="rounds_batch").value) == (5, 3)
        press(app, "start_rounds")
        one = jobs(workspace).iloc[0]
        assert (one["name"], one["aim"]) == ("Over night", "maximise mean_acc: 5 networks by mine, 3 a round")
        assert (one["data_version"], one["seed"]) == (1, 2)
        deadline = time.monotonic() + 120
        while workspace.run(one["id"]).state["state"] not in ("finished", "failed") and time.monotonic() < deadline:
            app.run()
        assert workspace.run(one["id"]).state["state"] == "finished", workspace.run(one["id"]).log_text()
        app = open_page("evaluate", run=run_of(workspace))
        said = texts(app)
        assert not app.exception and "2 rounds over, " in said and workspace.datasets()["version"].tolist() == [2, 1]
        assert len(workspace.dataset(workspace.datasets()["id"].iloc[0])) == 95
        assert "Retrain with the new results" in labels(app)
        assert "as on the " in said
        open_page("evaluate", run=run_of(workspace))
        assert workspace.datasets()["version"].tolist() == [2, 1]
        press(fill(app, num=3), "start_rounds")
        assert jobs(workspace)["data_version"].tolist() == [2, 1]  # the next begins with what the first measured

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("batch", 0, "batch: got 0, expected at least 1."),
            ("num", -4, "evaluations: got -4, expected at least 1."),
            ("seeds", 0, "seeds: got 0, expected at least 1."),
            ("budget_mine", 0, "budget: got 0, expected at least 1."),
            ("seconds", 0, "seconds: got 0.0, expected more than 0."),
        ],
    )
    def test_what_does_not_do_is_said_where_it_stands_and_nothing_typed_is_lost(
        self, field: str, value: int, said: str, workspace: Workspace
    ) -> None:
        app = press(fill(open_page("evaluate"), **{field: value}), "start_rounds")
        assert [read(error.value) for error in app.error] == [said] and jobs(workspace).empty
        assert app.number_input(key=f"rounds_{field}").value == value

    def test_another_budget_than_the_evaluators_own_is_warned_of(self, workspace: Workspace) -> None:
        app = fill(open_page("evaluate"), budget_mine=7)
        assert any(read(one.value).startswith("A budget of 7 is not the 1 that") for one in app.warning)

    def test_without_an_evaluator_of_the_target_it_says_what_to_do(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AUTOBUILD_EVALUATORS")
        app = open_page("evaluate")
        assert "No evaluator here measures mean_acc of this space" in texts(app)
        assert "start_rounds" not in [button.key for button in app.button]

    def test_budgets_of_builder_hold(self, workspace: Workspace) -> None:
        app = open_page("evaluate", budgets="flops <= 20005000", sure="80")
        assert "Within the budgets of Builder, with 80 %: flops <= 2.0005e+07." in read(texts(app))
        press(app, "start_rounds")
        plan = workspace.run(jobs(workspace)["id"].iloc[0]).job.settings["plan"]
        assert (plan["budgets"], plan["confidence"]) == (["flops <= 20005000.0"], 0.8)

    def test_budgets_that_nothing_keeps_to_are_refused_at_once(self, workspace: Workspace) -> None:
        app = press(open_page("evaluate", budgets="flops <= 5"), "start_rounds")
        assert read(app.error[0].value).startswith("budgets: no architecture keeps to flops <= 5.")
        assert jobs(workspace).empty

    def test_budgets_that_the_run_cannot_judge_start_nothing(self, workspace: Workspace) -> None:
        """A run of before knows no metrics, and a loop without the budgets is not the one that was asked for."""
        for name in ("metrics.json", "metrics.safetensors"):
            (workspace.run(run_of(workspace)).path / name).unlink()
        app = press(open_page("evaluate", budgets="flops <= 20005000"), "start_rounds")
        assert any("of which this run cannot judge all" in read(error.value) for error in app.error) and jobs(workspace).empty


class TestWatching:
    def test_one_that_goes_on_shows_the_round_under_way(self, workspace: Workspace) -> None:
        loop(workspace, "running", measured=4)
        app = open_page("evaluate")
        assert not app.exception
        table = table_with(app, "best so far")
        assert table[["round", "networks"]].to_numpy().tolist() == [[1, 3]]
        own = table_with(app, "state")
        assert sorted(own["state"]) == ["measured", "waiting"] and "Networks of round 2" in texts(app)
        assert [bar.proto.text.partition(", best")[0] for bar in app.get("progress")] == ["Round 2 of 2, 4 of 5 networks"]
        assert "Cancel" in labels(app) and "Resume" not in labels(app)
        assert workspace.datasets()["version"].tolist() == [1]  # it joins when it ends

    def test_one_whose_first_round_is_under_way(self, workspace: Workspace) -> None:
        loop(workspace, "running", measured=1)
        app = open_page("evaluate")
        assert not app.exception and "0 rounds over, 1 network measured" in texts(app)
        assert not [frame for frame in app.dataframe if "best so far" in frame.value]
        assert len(table_with(app, "90 % interval")) == 3

    def test_one_that_waits_says_so(self, workspace: Workspace) -> None:
        run = kinds.add(
            workspace, "rounds", workspace.dataset(workspace.datasets()["id"].iloc[0]), name="My loop",
            plan={"evaluator": "mine", "target": "mean_acc"}, data_name="Test data",
            data_hash=workspace.run(run_of(workspace)).config.data_hash,
        )  # fmt: skip
        set_state(workspace, run, "running")
        app = open_page("evaluate")
        assert not app.exception and "No network is proposed yet." in texts(app)

    @pytest.mark.parametrize(
        ("state", "error", "said"),
        [
            ("cancelled", "", "Resume goes on with the round that was under way."),
            ("failed", "The disk is full.", 'The run "My loop" failed. The disk is full.'),
            ("lost", "", 'The run "My loop" was lost.  Resume it.'),
        ],
    )
    def test_one_that_stopped_says_how_to_go_on_and_what_it_has_joins_once(
        self, state: str, error: str, said: str, workspace: Workspace
    ) -> None:
        loop(workspace, state, measured=4, error=error)
        app = open_page("evaluate")
        assert not app.exception and said in texts(app) and "Resume" in labels(app)
        assert workspace.datasets()["version"].tolist() == [2, 1]
        open_page("evaluate")
        assert workspace.datasets()["version"].tolist() == [2, 1]
        assert len(workspace.dataset(workspace.datasets()["id"].iloc[0])) == 94

    def test_a_finished_one_shows_its_rounds_and_a_network_goes_to_builder(self, workspace: Workspace) -> None:
        run = loop(workspace, "finished")
        app = open_page("evaluate")
        assert not app.exception
        table = table_with(app, "best so far")
        assert table["round"].tolist() == [1, 2] and table["networks"].tolist() == [3, 2]
        assert {"mean predicted", "mean measured", "inside 90 %", "rank correlation", "expected improvement"} <= set(table)
        assert "2 rounds over, " in texts(app) and "best before the loop" in str(app.get("plotly_chart")[0].proto.spec)
        arch = loop_of(workspace.run(run)).log.all()[3].arch  # the first of round 2
        press(app, f"screen_round_{run}")
        assert app.query_params["arch"] in (f"typed:{arch}", [f"typed:{arch}"])
        assert next(one.value for one in app.code) == arch

    def test_results_of_networks_that_are_candidates_are_told_to_them(self, workspace: Workspace) -> None:
        run = loop(workspace, "running")
        arch = loop_of(workspace.run(run)).log.all()[0].arch
        app = open_page("evaluate")
        app.text_input(key="typed_arch").set_value(arch)
        next(one for one in app.button if one.label == "Add it").click().run()
        set_state(workspace, run, "finished")
        said = texts(open_page("evaluate"))
        assert "**1** measured." in said  # the others that it measured were nobody's candidates

    def test_one_that_ended_early_says_why(self, workspace: Workspace) -> None:
        run = loop(workspace, "finished")
        files = rounds_of(workspace.run(run))
        files.write_plan(files.plan, "No network is left that keeps to flops <= 3 with 90 %.")
        assert "It ended before its evaluations were spent. No network is left" in texts(open_page("evaluate"))

    @pytest.mark.parametrize("name", ["rounds.jsonl", "rounds.json", "round.json"])
    def test_damaged_files_are_said_and_the_page_goes_on(self, name: str, workspace: Workspace) -> None:
        run = loop(workspace, "finished", measured=4)
        (workspace.run(run).path / LOOP / name).write_text('{"plan": 3\n')
        app = open_page("evaluate")
        assert not app.exception and [error.value for error in app.error]
        said = read(app.error[0].value)
        assert (
            said.startswith("What this loop wrote cannot be read") and name in said and "this one can be deleted on Train" in said
        )
        assert "Learn from it" in texts(app)

    def test_a_damaged_run_is_said_and_shows_nothing(self, workspace: Workspace) -> None:
        run = loop(workspace, "finished")
        (workspace.run(run).path / "config.json").write_text("{")
        assert workspace.check_run(run)
        app = open_page("evaluate", run=run_of(workspace))
        assert not app.exception and 'The run "My loop" is damaged' in texts(app)
        assert not [frame for frame in app.dataframe if "best so far" in frame.value]

    def test_one_of_another_target_is_named_by_its_own(self, workspace: Workspace) -> None:
        loop(workspace, "finished", target="flops", minimize=True)
        app = open_page("evaluate")
        figure = json.loads(app.get("plotly_chart")[0].proto.spec)
        assert figure["layout"]["yaxis"]["title"]["text"].startswith("flops")
