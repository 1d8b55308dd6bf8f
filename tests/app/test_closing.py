"""The closed loop on Search space: the one that ships, one in every state, started from the page, its spaces kept."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core import registry
from autobuild_core.autospace import EvolutionPlan
from autobuild_core.jobs import kinds
from autobuild_core.jobs.kinds.loop import files_of
from autobuild_core.jobs.kinds.loop.files import LoopFiles, evaluations_table, stages_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import chosen, enter, open_page, set_state, texts
from tests.unit.jobs.test_executor import until

SHIPPED = LoopFiles(registry.APP / "sample_data" / "loop")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace."""
    made = Workspace(tmp_path / "work")
    enter(made.path, monkeypatch)
    return made


def loop(workspace: Workspace, state: str, left_out: tuple[str, ...] = (), error: str = "") -> str:
    """A loop of the workspace that came as far as the one that ships, but for some files."""
    run = kinds.add(workspace, "loop", name="Mine", plan=SHIPPED.plan.to_json())
    if "loop.json" not in left_out:
        shutil.copytree(SHIPPED.path, files_of(workspace.run(run)).path, ignore=shutil.ignore_patterns(*left_out))
    if state == "running":
        progress = {
            "phase": "Learned space: evaluating a sample",
            "step": 2,
            "num_steps": 10,
            "share": 0.2,
            "seconds_left": 300.0,
        }
        workspace.run(run).append_progress(progress)
    set_state(workspace, run, state, error)
    return run


def fine(app: AppTest) -> AppTest:
    assert not app.exception, [e.value for e in app.exception]
    return app


def test_the_loop_that_ships_is_whole_and_real(workspace: Workspace) -> None:
    plan = SHIPPED.plan
    table, stages = (make(SHIPPED, plan, plan.aim()) for make in (evaluations_table, stages_table))
    assert plan.evaluator == "classification" and plan.charged is None and SHIPPED.charged(plan) > 1
    assert stages["num"].tolist() == [plan.num_sampled, plan.num_built, plan.num_sampled + SHIPPED.charged(plan), plan.num_built]
    assert stages["failed"].tolist() == [0] * 4 and stages["again"].notna().all()
    assert (stages["again"] - stages["best"]).abs().max() < 5 and table["seconds"].min() > 1
    app = fine(open_page("search_space"))
    read = texts(app)
    assert chosen(app)["loop"] == "sample" and "Over 3 unseen seeds the best network built from the learned space has" in read
    assert "The best network of each space" in read and len(app.get("plotly_chart")) == 4
    assert [button.key for button in app.button if "explore" in (button.key or "")] == ["explore_learned"], (
        "its other run does not ship"
    )


@pytest.mark.parametrize(
    ("state", "left_out", "said", "buttons"),
    [
        ("running", ("loop.json",), "Stage 2 of 10: Learned space: evaluating a sample", {"cancel_loop"}),
        ("running", ("*.jsonl", "learned.json"), "The space is evolving. The first evaluations follow", {"cancel_loop"}),
        ("running", ("*.jsonl",), "The first evaluations follow", {"cancel_loop"}),
        ("running", ("hand_made", "again.jsonl", "measured.jsonl", "built.jsonl"), "best so far", {"cancel_loop"}),
        ("cancelled", ("loop.json",), "ended before its first stage", {"resume_loop"}),
        ("failed", ("run", "again.jsonl"), "learned space: got 0 of 20 evaluations", {"resume_loop"}),
        ("lost", ("hand_made", "again.jsonl"), "was lost", {"resume_loop", "explore_learned"}),
        ("finished", (), "The best network of each space", {"explore_learned"}),
    ],
)
def test_a_loop_in_every_state(workspace: Workspace, state: str, left_out: tuple[str, ...], said: str, buttons: set[str]) -> None:
    error = "learned space: got 0 of 20 evaluations, expected at least 10; no such luck" if state == "failed" else ""
    run = loop(workspace, state, left_out, error)
    app = fine(open_page("search_space"))
    drawn = "".join(str(one.proto) for kind in ("plotly_chart", "progress") for one in app.get(kind))
    assert said in texts(app) + drawn and chosen(app)["loop"] == run
    own = {button.key for button in app.button if button.key}
    assert {key for key in own if key.endswith("_loop") or key.startswith("explore_")} - {"start_loop"} == buttons


def test_a_damaged_file_is_said_and_others_stay(workspace: Workspace) -> None:
    run = loop(workspace, "finished")
    (files_of(workspace.run(run)).path / "learned" / "sampled.jsonl").write_text("nonsense\n{}\n")
    app = fine(open_page("search_space", loop=run))
    assert "got 'nonsense', expected a measurement" in texts(app)
    assert "unseen seeds" in texts(fine(open_page("search_space", loop="sample")))
    assert chosen(fine(open_page("search_space", loop="gone")))["loop"] == run, "the newest"


def test_a_loop_is_started_from_the_evolution_above_and_from_a_new_one(workspace: Workspace) -> None:
    app = fine(open_page("search_space"))
    app.text_input(key="loop_name").set_value("From the page")
    app.number_input(key="loop_sampled").set_value(11)
    app.button(key="start_loop").click().run()
    run = str(workspace.runs().iloc[0]["id"])
    assert chosen(fine(app))["loop"] == run
    plan = workspace.run(run).job.settings["plan"]
    assert plan["num_sampled"] == 11 and plan["evolved"].endswith("sample_data/loop/evolution")
    assert plan["evolution"] == EvolutionPlan(seed=100).to_json()
    until(lambda: workspace.runs().iloc[0]["state"] == "running" or workspace.run(run).last_progress())
    fine(open_page("search_space")).button(key="cancel_loop").click().run()
    until(lambda: workspace.runs().iloc[0]["state"] == "cancelled")
    app = fine(open_page("search_space"))
    app.radio(key="loop_space").set_value("evolve a new one").run()
    app.number_input(key="loop_madds").set_value(0.1).run()
    app.number_input(key="loop_seed").set_value(5)
    app.button(key="start_loop").click().run()
    settings: dict[str, Any] = workspace.run(str(workspace.runs().iloc[0]["id"])).job.settings["plan"]
    assert (settings["evolved"], settings["evolution"], settings["seed"]) == ("", {"madds_m": 0.1}, 5)
    fine(open_page("search_space")).button(key="cancel_loop").click().run()
    until(lambda: workspace.runs().iloc[0]["state"] == "cancelled")
