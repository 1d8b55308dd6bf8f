"""Search space: the evolution that ships, evolutions in every state, started, cancelled and gone on with from the page."""

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core import registry
from autobuild_core.autospace import EvolutionFolder, EvolutionPlan, evolve
from autobuild_core.jobs import kinds
from autobuild_core.jobs.executor import GONE
from autobuild_core.jobs.kinds.evolve import EVOLUTION
from autobuild_core.spaces._cells import REFERENCE
from autobuild_core.spaces._learned import CellLists
from autobuild_core.spaces._network_file import NetworkFile
from autobuild_core.spaces._skeletons import SKELETONS
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import chosen, enter, open_page, set_state, texts
from tests.architectures import published_network
from tests.unit.jobs.test_executor import until

QUICK = {"fitness": "random", "generations": 6, "seed": 3}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace."""
    made = Workspace(tmp_path / "work")
    enter(made.path, monkeypatch)
    return made


def evolution(workspace: Workspace, state: str, generations: int = 6, error: str = "", **plan: Any) -> str:
    """An evolution of the workspace in a state, with the generations that it had by then."""
    run = kinds.add(workspace, "evolve", name="Mine", plan=QUICK | plan)
    folder = workspace.run(run)
    if generations:
        evolve(EvolutionPlan(**QUICK | plan), folder.path / EVOLUTION)
        lines = folder.path / EVOLUTION / "evolution.jsonl"
        lines.write_text("".join(lines.read_text().splitlines(keepends=True)[: generations + 1]))
    if state == "running" and generations:
        folder.append_progress({"step": generations, "num_steps": 6, "share": generations / 6, "seconds_left": 30.0})
    set_state(workspace, run, state, error)
    return run


def fine(app: AppTest) -> AppTest:
    assert not app.exception, [e.value for e in app.exception]
    return app


def test_a_first_visit_shows_the_evolution_that_ships(workspace: Workspace) -> None:
    app = fine(open_page("search_space"))
    read = texts(app)
    assert "60 generations" in read and "supernet's loss" in read and "data:image/svg+xml;base64," in read
    assert "The fittest cells of each layer" in read and "Who entered, who left" in read
    assert len(app.get("plotly_chart")) == 4 and len(app.dataframe) == 3
    assert chosen(app)["evolution"] == "sample"


def test_the_evolution_that_ships_is_one_of_the_defaults() -> None:
    lines = EvolutionFolder(registry.APP / "sample_data" / "loop" / EVOLUTION).lines()
    plan = EvolutionPlan(**lines[0]["plan"])
    assert plan == EvolutionPlan(seed=plan.seed) and lines[-1]["generation"] == plan.generations
    assert str(plan.seed) in (registry.APP / "sample_data" / "loop" / "PROVENANCE.md").read_text()


def test_a_link_opens_an_evolution_and_a_cell(workspace: Workspace) -> None:
    run = evolution(workspace, "finished")
    app = fine(open_page("search_space", evolution=run, cell="2.5"))
    assert "6 generations, 90 cells tried" in texts(app)
    assert (chosen(app)["evolution"], chosen(app)["cell"]) == (run, "2.5")
    assert [box.value for box in app.selectbox if box.label == "Layer"] == [2]
    assert [box.value for box in app.selectbox if box.label == "Cell"] == [5]
    for link in ("2.500", "9.1", "x", "2.5.1"):
        assert "6 generations" in texts(fine(open_page("search_space", evolution=run, cell=link)))
    assert "The evolution that ships" not in texts(fine(open_page("search_space", evolution="gone")))


def test_another_cell_is_chosen_from_the_lists(workspace: Workspace) -> None:
    app = fine(open_page("search_space", evolution=evolution(workspace, "finished"), cell="2.5"))
    next(box for box in app.selectbox if box.label == "Layer").set_value(4).run()
    assert chosen(fine(app))["cell"].startswith("4.")
    box = next(box for box in app.selectbox if box.label == "Cell")
    other = next(one for one in box.options if one.split(" ")[0] != "")
    box.select_index(box.options.index(other) + 2).run()
    assert chosen(fine(app))["cell"].startswith("4.") and "Where a cell comes from" in texts(app)


@pytest.mark.parametrize(
    ("state", "generations", "said", "buttons"),
    [
        ("running", 3, "Evolving, generation 3 of 6, about 30 s left", {"Cancel"}),
        ("running", 0, "Starting: loading the libraries.", {"Cancel"}),
        ("cancelled", 3, "3 generations", {"Resume"}),
        ("cancelled", 0, "ended before its first generation", {"Resume"}),
        ("failed", 2, "supernet: got a loss of nan", {"Resume"}),
        ("lost", 2, "was lost. The evolution's process ended without a word", {"Resume"}),
    ],
)
def test_an_evolution_in_every_state(workspace: Workspace, state: str, generations: int, said: str, buttons: set[str]) -> None:
    errors = {"failed": "supernet: got a loss of nan at step 9.", "lost": GONE.format("evolution")}
    evolution(workspace, state, generations, errors.get(state, ""))
    app = fine(open_page("search_space"))
    bars = "\n".join(str(bar.proto.text) for bar in app.get("progress"))
    assert said in texts(app) + bars
    assert {button.label for button in app.button} & {"Cancel", "Resume"} == buttons
    assert ("The fittest cells of each layer" in texts(app)) is bool(generations)


def test_an_evolution_that_has_only_its_first_cells_is_not_drawn(workspace: Workspace) -> None:
    run = evolution(workspace, "cancelled", 1)
    lines = workspace.run(run).path / EVOLUTION / "evolution.jsonl"
    lines.write_text(lines.read_text().splitlines(keepends=True)[0])
    read = texts(fine(open_page("search_space")))
    assert "ended before its first generation" in read and "The fittest cells of each layer" not in read


def test_damaged_lines_are_said_and_other_evolutions_stay(workspace: Workspace) -> None:
    run = evolution(workspace, "finished")
    path = workspace.run(run).path / EVOLUTION / "evolution.jsonl"
    path.write_text("no json\n" + path.read_text())
    app = fine(open_page("search_space"))
    assert "line 1: got 'no json', expected a generation" in texts(app)
    box = next(box for box in app.selectbox if box.label == "Evolution")
    box.set_value("sample").run()
    assert "60 generations" in texts(fine(app))


def test_an_evolution_is_started_cancelled_and_gone_on_with(workspace: Workspace) -> None:
    """By the real worker: a small one begins, is stopped from the page, resumed from the page, and comes to its end."""
    app = fine(open_page("search_space"))
    app.text_input(key="evolution_name").set_value("From the page")
    app.number_input(key="evolution_generations").set_value(500)
    app.number_input(key="evolution_madds").set_value(0.1)
    app.button(key="start_evolution").click().run()
    run = str(workspace.runs()["id"].iloc[0])
    assert chosen(fine(app))["evolution"] == run
    assert workspace.run(run).job.settings["plan"]["madds_m"] == 0.1
    folder = EvolutionFolder(workspace.run(run).path / EVOLUTION)

    until(lambda: len(folder.lines()) > 2, 120)
    app = fine(open_page("search_space"))
    assert "Evolving, generation" in "\n".join(str(bar.proto.text) for bar in app.get("progress"))
    app.button(key="cancel_evolution").click().run()
    until(lambda: workspace.run(run).state["state"] == "cancelled")
    num = len(folder.lines())
    app = fine(open_page("search_space"))
    app.button(key="resume_evolution").click().run()
    until(lambda: len(folder.lines()) > num, 120)
    fine(open_page("search_space")).button(key="cancel_evolution").click().run()
    until(lambda: workspace.run(run).state["state"] == "cancelled")
    assert [line["generation"] for line in folder.lines()] == list(range(len(folder.lines())))


def test_what_is_asked_for_is_evolved(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autobuild_core.jobs.executor.SubprocessExecutor.submit", lambda *given: None)
    app = fine(open_page("search_space"))
    app.text_input(key="evolution_name").set_value("  ")
    app.selectbox(key="evolution_support").set_value("wide")
    app.checkbox(key="evolution_references").uncheck()
    app.number_input(key="evolution_seed").set_value(7)
    app.button(key="start_evolution").click().run()
    run = workspace.runs().iloc[0]
    plan = workspace.run(str(run["id"])).job.settings["plan"]
    assert run["name"] == "Evolution" and (plan["support"], plan["references"], plan["seed"]) == ("wide", False, 7)
    assert EvolutionPlan(**plan) == EvolutionPlan(support="wide", references=False, seed=7, generations=40)


def test_evolutions_of_one_name_are_told_apart(workspace: Workspace) -> None:
    older, newer = evolution(workspace, "finished"), evolution(workspace, "finished")
    app = fine(open_page("search_space"))
    box = next(box for box in app.selectbox if box.label == "Evolution")
    assert len(set(box.options)) == 3 and box.options[0] == f"{box.options[1]} (2)" and chosen(app)["evolution"] == newer
    box.set_value(older).run()
    assert chosen(fine(app))["evolution"] == older


def test_a_link_to_an_evolution_that_is_gone_says_so(workspace: Workspace) -> None:
    app = fine(open_page("search_space", evolution="gone", cell="9.99"))
    assert "The evolution of the link is not in this workspace: gone" in texts(app)
    assert chosen(app)["evolution"] == "sample" and "cell" not in chosen(app)


@pytest.mark.parametrize(("key", "value"), [("evolution_madds", 1000.0), ("evolution_generations", 0), ("evolution_seed", -1)])
def test_a_value_out_of_range_starts_nothing(key: str, value: float, workspace: Workspace) -> None:
    app = fine(open_page("search_space"))
    app.number_input(key=key).set_value(value)
    app.button(key="start_evolution").click().run()
    assert "expected" in "".join(error.value for error in fine(app).error) and workspace.runs().empty


def dropped(content: bytes, name: str = "file.config") -> AppTest:
    """The page with a file of the published form dropped on it."""
    app = open_page("search_space")
    app.file_uploader(key="cells_file").set_value((name, content, "application/json")).run()
    return fine(app)


def test_published_files_are_costed_and_drawn(workspace: Workspace) -> None:
    space = CellLists((REFERENCE * 3,) * 11, SKELETONS["published"])
    app = dropped(json.dumps(space.written).encode(), "search_space.config")
    cost = f"{SKELETONS['published'].layer_cost(0, REFERENCE[0]).madds / 1e6:.3g} M"
    assert "11 layers of cells" in texts(app) and app.dataframe[-1].value["number"].nunique() == 11
    assert cost in "".join(base64.b64decode(part).decode() for part in re.findall(r"base64,([\w+/=]+)", texts(app)))
    network = published_network([REFERENCE[0], None, REFERENCE[1]], has_se=True)
    app = dropped(json.dumps(network).encode())
    words = f"22 blocks, {NetworkFile.read(network).cost.madds / 1e6:,.1f} M multiply-adds"
    assert words in texts(app) and "left out" in texts(app) and "say squeeze and excitation" in texts(app)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no json", "file.config: got no readable JSON"),
        (b"[1, 2]", "expected an object with blocks"),
        (json.dumps({"blocks": [[[[0] * 4] * 4]]}).encode(), "layer 1, cell 1"),
        (json.dumps({"first_conv": {}, "blocks": [1]}).encode(), "network, feature_mix_layer: got None"),
    ],
)
def test_a_file_of_another_form_is_said(content: bytes, said: str, workspace: Workspace) -> None:
    assert said in texts(dropped(content))


def test_a_workspace_with_evolutions_is_shown_on_train(workspace: Workspace) -> None:
    run = evolution(workspace, "finished")
    app = fine(open_page("train", run=run))
    assert "Mine" in texts(app) and any(list(frame.value.columns[:2]) == ["layer", "cell"] for frame in app.dataframe)
    shutil.rmtree(workspace.run(run).path / EVOLUTION)
    assert "ended before its first generation" in texts(fine(open_page("search_space", evolution=run)))
