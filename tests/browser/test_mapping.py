"""The mapping step in real Chromium: exports of trackers from the drop to a built architecture."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
from playwright.sync_api import Locator, Page, expect

from autobuild_core.store.workspace import Workspace
from tests.browser.conftest import Watch, serving, unreadable, wait_until_still
from tests.browser.test_journey import TRAINED_MS, fill_number

pytestmark = pytest.mark.browser
ACTIVATIONS = {"relu": 0.0, "gelu": 0.05, "tanh": -0.05}


@pytest.fixture
def own_workspace(tmp_path: Path) -> Workspace:
    """The workspace of the test's own server."""
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def server(own_workspace: Workspace) -> Iterator[str]:
    """Address of an app where nobody did anything yet."""
    with serving(own_workspace) as address:
        yield address


def quality(activation: str, depth: int, width: int, rng: np.random.Generator) -> float:
    """An accuracy that adds up over the choices."""
    return 0.7 + ACTIVATIONS[activation] + 0.04 * depth + 0.02 * np.log2(width / 16) + rng.normal(0, 0.004)


def optuna_study(path: Path, num: int = 60) -> Path:
    """A real study's `trials_dataframe`, with pruned trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rng = np.random.default_rng(0)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        activation = trial.suggest_categorical("activation", list(ACTIVATIONS))
        depth, width = trial.suggest_int("num_layers", 1, 4), trial.suggest_categorical("width", [16, 32, 64, 128])
        rate = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        found = quality(activation, depth, width, rng) - 0.01 * abs(np.log10(rate) + 2.5)
        trial.report(found / 2, 1)
        if trial.number % 12 == 5:
            raise optuna.TrialPruned
        return float(found)

    study.optimize(objective, num)
    study.trials_dataframe().to_csv(path, index=False)
    return path


def drawn_choices(num: int) -> pd.DataFrame:
    """Choices with the accuracy that they give."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"activation": rng.choice(list(ACTIVATIONS), num), "depth": rng.integers(1, 5, num)})
    frame["width"] = rng.choice([16, 32, 64, 128], num)
    frame["val_acc"] = [quality(a, d, w, rng) for a, d, w in frame.itertuples(index=False)]
    return frame


def wandb_table(path: Path, num: int = 60) -> Path:
    """The layout of a W&B runs table."""
    frame = drawn_choices(num)
    frame.insert(0, "Name", [f"sweep-run-{i}" for i in range(num)])
    frame.insert(1, "State", "finished")
    frame.insert(2, "Created", [f"2026-03-01T10:{i:02}:00.000Z" for i in range(num)])
    frame.insert(3, "Runtime", np.arange(num) % 17 + 40)
    frame.insert(4, "Sweep", "abc123")
    frame["_step"], frame["_timestamp"] = 9, 1_760_000_000 + np.arange(num)
    frame["checkpoint_path"] = [f"ckpt/{d}/best.pt" for d in frame["depth"]]
    frame.to_csv(path, index=False)
    return path


def ray_results(path: Path, num: int = 60) -> Path:
    """The layout of Ray Tune's results frame."""
    frame = drawn_choices(num)
    for name in ("activation", "depth", "width"):
        frame[f"config/{name}"] = frame.pop(name)
    frame["trial_id"] = [f"{i:08x}_{i:05}" for i in range(num)]
    frame["training_iteration"], frame["time_total_s"], frame["done"] = 10, np.arange(num) * 0.7 + 12.3, True
    frame["hostname"], frame["pid"], frame["date"] = "node-1", 4000 + np.arange(num), "2026-03-01_10-00-00"
    frame.to_csv(path, index=False)
    return path


def mlflow_runs(path: Path, num: int = 60) -> Path:
    """The layout of MLflow's `search_runs`."""
    frame = drawn_choices(num)
    out = pd.DataFrame({"run_id": [f"{i:032x}" for i in range(num)], "experiment_id": 1, "status": "FINISHED"})
    out["start_time"] = [f"2026-03-01 10:{i:02}:00+00:00" for i in range(num)]
    for name in ("activation", "depth", "width"):
        out[f"params.{name}"] = frame[name]
    out["metrics.val_acc"], out["tags.mlflow.user"] = frame["val_acc"], "me"
    out.to_csv(path, index=False)
    return path


def dropped(page: Page, server: str, path: Path) -> None:
    """Drops a file on Data; returns when its columns are seen."""
    page.goto(f"{server}/data")
    wait_until_still(page)
    another = page.get_by_role("button", name="Add another file")
    if another.count():
        another.click()
        page.get_by_test_id("stPopoverBody").locator("input[type=file]").set_input_files(path)
    else:
        page.locator("input[type=file]").first.set_input_files(path)
    page.locator("[data-read]").wait_for()


def role(page: Page, column: str) -> Locator:
    """The list of roles in a column's line."""
    return page.get_by_label(f"Role of {column}", exact=True)


def train_and_build(page: Page) -> None:
    """Trains a small ensemble on the stored data set and opens Builder on what it says."""
    page.get_by_role("button", name="Train on this").click()
    page.get_by_text("Advanced").click()
    fill_number(page, "Members of the ensemble", 2)
    fill_number(page, "Training steps", 60)
    fill_number(page, "Threads", 1)
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text("Compare with")).to_be_visible(timeout=TRAINED_MS)
    page.get_by_role("link", name="Builder").click()
    page.get_by_role("button", name="Build", exact=True).click()


def test_an_optuna_study_from_the_drop_to_a_built_architecture(
    page: Page, server: str, watch: Watch, own_workspace: Workspace, tmp_path: Path
) -> None:
    dropped(page, server, optuna_study(tmp_path / "study.csv"))
    shown = {name: role(page, name).input_value() for name in ("value", "activation", "lr", "num_layers", "width", "state")}
    assert shown == dict(zip(shown, ("metric:higher", "choice", "setting", "choice", "choice", "ignored"), strict=True))
    expect(page.get_by_text("3 units of a space of 48 architectures")).to_be_visible()
    expect(page.get_by_text("5 stopped trials are kept as known to be worse than")).to_be_visible()
    assert unreadable(page) == []

    role(page, "width").select_option("setting")
    expect(page.get_by_text("2 units of a space of 12 architectures")).to_be_visible()
    expect(page.get_by_text("changed, was choice")).to_be_visible()
    assert own_workspace.datasets().empty  # nothing is stored yet
    page.reload()  # and nothing is lost
    expect(page.get_by_text("changed, was choice")).to_be_visible()
    expect(role(page, "width")).to_have_value("setting")
    role(page, "width").focus()
    page.keyboard.press("ArrowUp")  # a list answers the keyboard: above "Context, setting" stands "Choice"
    expect(page.get_by_text("3 units of a space of 48 architectures")).to_be_visible()
    expect(page.get_by_text("changed, was choice")).to_have_count(0)

    page.get_by_role("button", name="Use these columns").click()
    page.get_by_text("What to aim at").wait_for()
    train_and_build(page)
    with page.expect_download() as download:
        page.get_by_text("JSON lines").click()
    built = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert built and set(built[0]["arch"]) == {"activation", "num_layers", "width"}
    watch.assert_quiet()


def test_trackers_layouts_from_the_drop_to_a_built_architecture(
    page: Page, server: str, watch: Watch, own_workspace: Workspace, tmp_path: Path
) -> None:
    for num, make in enumerate((wandb_table, ray_results, mlflow_runs), 1):
        dropped(page, server, make(tmp_path / f"{make.__name__}.csv"))
        page.get_by_role("button", name="Use these columns").click()
        page.get_by_text("What to aim at").wait_for()
        assert len(own_workspace.datasets()) == num
    tables = [own_workspace.dataset(one) for one in own_workspace.datasets()["id"]]
    for table in tables:
        assert sorted(unit.label for unit in table.spec.units) == ["activation", "depth", "width"]
        assert "val_acc" in table.metrics.columns and len(table) == 60
        assert sorted(table.networks) == sorted(tables[0].networks)  # so one training stands for all three
    train_and_build(page)
    expect(page.get_by_text(re.compile("architectures of the space were predicted|whole space"))).to_be_visible()
    watch.assert_quiet()


def test_several_changes_in_a_row_all_hold_and_are_remembered_for_the_next_file(
    page: Page, server: str, watch: Watch, tmp_path: Path
) -> None:
    dropped(page, server, wandb_table(tmp_path / "first.csv"))
    role(page, "depth").select_option("fidelity")  # the second one comes while the file is read again for the first
    role(page, "val_acc").select_option("metric:lower")
    expect(page.get_by_text("changed, was choice")).to_be_visible()
    expect(page.get_by_text("changed, was metric, high is good")).to_be_visible()
    expect(page.get_by_text("2 units of a space of 12 architectures")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Changed")).click()
    expect(role(page, "activation")).to_be_hidden()
    expect(role(page, "depth")).to_have_value("fidelity")
    page.get_by_role("button", name="Use these columns").click()
    page.get_by_text("What to aim at").wait_for()

    page.get_by_role("button", name="Add another file").click()
    another = page.get_by_test_id("stPopoverBody").locator("input[type=file]")  # the step's own stays until the page is drawn
    another.set_input_files(wandb_table(tmp_path / "second.csv", 50))
    expect(page.get_by_text("Read as you chose for first.csv:")).to_be_visible()
    expect(role(page, "depth")).to_have_value("fidelity")
    page.get_by_role("button", name="Forget these choices").click()
    expect(role(page, "depth")).to_have_value("choice")
    expect(page.get_by_text("3 units of a space of 48 architectures")).to_be_visible()
    page.get_by_role("button", name="Discard the file").click()
    expect(page.get_by_text("60 of 60")).to_be_visible()
    watch.assert_quiet()
