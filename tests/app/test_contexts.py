"""Pages of a run with tasks, a setting, a seed, stopped trials and modules that cannot be told from a context."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.api import Run
from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import chosen, enter, open_page, texts, train

PAGES = ("home", "data", "train", "map", "importance", "hops", "builder", "evaluate", "search_space", "review")


def study(num: int = 100) -> str:
    """An Optuna frame: the value "swish" was tried on one data set, all others on another, every seventh trial was pruned."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"number": range(num)})
    frame["params_act"] = rng.choice(["relu", "gelu", "swish"], num)
    frame["params_units"], frame["params_depth"] = rng.choice([32, 64, 128], num), rng.choice([1, 2, 3], num)
    frame["params_lr"] = np.round(10 ** rng.uniform(-4, -1, num), 6)
    frame["user_attrs_dataset"] = np.where(frame["params_act"] == "swish", "cora", "pubmed")
    frame["user_attrs_seed"] = rng.choice([0, 1], num)
    frame["value"] = np.round(
        60
        + 20 * (frame["user_attrs_dataset"] == "pubmed")
        + frame["params_units"] / 16
        + frame["params_depth"]
        + rng.normal(0, 0.3, num),
        4,
    )
    frame["state"] = np.where(np.arange(num) % 7 == 3, "PRUNED", "COMPLETE")
    return frame.rename(columns={"user_attrs_dataset": "context:dataset", "user_attrs_seed": "context:seed"}).to_csv(index=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace and its finished run."""
    path = tmp_path_factory.mktemp("contexts")
    file = path / "study.csv"
    file.write_text(study())
    table = read_table(file, roles={"dataset": "task", "seed": "seed"})
    assert table.context_kinds == {"lr": "setting", "dataset": "task", "seed": "seed"} and table.num_censored == 14
    workspace = Workspace(path)
    return path, train(workspace, workspace.add_dataset(table, "Study"), "value", False)


@pytest.fixture(autouse=True)
def entered(trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    enter(trained[0], monkeypatch)


@pytest.mark.parametrize("task", ["", "dataset=pubmed"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_drawn(page: str, task: str, trained: tuple[Path, str]) -> None:
    app = open_page(page, run=trained[1], **({"task": task} if task else {}))
    assert not app.exception and not app.error, [e.value for e in (*app.exception, *app.error)]
    assert "nan" not in texts(app).lower().replace("finance", "").split()


def test_a_module_that_cannot_be_told_from_a_context_has_no_number_and_says_so(trained: tuple[Path, str]) -> None:
    modules = Workspace(trained[0]).run(trained[1]).read_frame("modules.parquet")
    swish = modules[modules["layers"] == '["act=swish"]']
    assert len(swish) and swish["score"].isna().all() and (swish["confounded_with"] == "dataset").all()
    others = modules[modules["layers"] == '["act=relu"]']
    assert others["score"].notna().all() and (others["confounded_with"] == "").all()
    app = open_page("importance", run=trained[1], module="act=act=swish!")
    assert not app.exception and not app.error
    assert "no number: cannot be told from dataset" in texts(app) and "varied together with dataset" in texts(app)
    assert "act=swish" not in texts(open_page("home", run=trained[1]))


def test_what_cannot_be_told_has_no_number_at_a_task_either(trained: tuple[Path, str]) -> None:
    folder = Workspace(trained[0]).run(trained[1])
    for line in folder.read_json("quality.json")["tasks"]:
        modules = folder.read_frame(line["file"])
        assert modules.loc[modules["layers"] == '["act=swish"]', "score"].isna().all()
        other = Run(folder.path, line["context"] | {"lr": 0.01}).scores(units=True)
        swish = other[other["layers"] == '["act=swish"]']
        assert swish["score"].isna().all() and (swish["confounded_with"] == "dataset").all()


def test_a_task_keeps_the_module_that_was_chosen(trained: tuple[Path, str]) -> None:
    app = open_page("importance", run=trained[1], module="act=act%3Drelu!")
    for task in ("dataset=cora", "dataset=pubmed"):  # the best of cora has another one
        next(box for box in app.selectbox if box.label == "Numbers hold for").select(task).run()
        assert chosen(app)["module"] == "act=act%3Drelu!" and "act: relu" in texts(app)


def test_a_reader_chooses_the_task_that_numbers_hold_for(trained: tuple[Path, str]) -> None:
    workspace, run = Workspace(trained[0]), trained[1]
    tasks = {line["context"]["dataset"]: line for line in workspace.run(run).read_json("quality.json")["tasks"]}
    app = open_page("importance", run=run, module="params_units=params_units=128!")
    choice = next(box for box in app.selectbox if box.label == "Numbers hold for")
    assert choice.options == ["For all tasks, averaged", "For dataset=pubmed", "For dataset=cora"]
    assert "average over lr, dataset as observed" in texts(app)
    means = []
    for name in ("pubmed", "cora"):
        next(box for box in app.selectbox if box.label == "Numbers hold for").select(f"dataset={name}").run()
        assert not app.exception and not app.error
        assert f"hold at: dataset={name} (" in texts(app) and "average over lr as observed" in texts(app)
        mean = re.search(r"the average architecture has (\d+\.\d+)", texts(app))
        assert mean is not None and float(mean[1]) == pytest.approx(tasks[name]["space_mean"], abs=0.06)
        means.append(float(mean[1]))
        assert app.query_params["task"] in (f"dataset={name}", [f"dataset={name}"])
    assert means[0] > means[1] + 10  # 20 more on pubmed
    app.switch_page("pages/builder.py").run()
    assert not app.exception and "hold at: dataset=cora (" in texts(app)
    app.switch_page("pages/hops.py").run()
    assert "not for dataset=cora" in texts(app)


def test_a_task_that_the_run_does_not_have_is_the_average(trained: tuple[Path, str]) -> None:
    app = open_page("hops", run=trained[1], task="dataset=nothing")
    assert not app.exception and "hold at: average over lr, dataset as observed" in texts(app)
