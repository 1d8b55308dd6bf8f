"""Pages of runs on loose, conditional and mixed choices: drawn, ranked and built without a mistake."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.records import ArchTable
from autobuild_core.predictor.ensemble import Predictor
from autobuild_core.spaces import Space
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import enter, open_page, texts, train
from tests.flat_spaces import conditional_space, loose_space, mixed_space

SPACES = {"set": loose_space, "conditional": conditional_space, "mixed": mixed_space}
PAGES = ("home", "data", "train", "map", "importance", "hops", "builder", "evaluate", "search_space", "review")


def table_of(space: Space, num: int = 70) -> ArchTable:
    """Random rows with an additive target and a cost."""
    rng = np.random.default_rng(0)
    codes = space.sample(num, rng)
    worth = np.append(rng.normal(0, 0.3, len(space.spec.tokens)), 0)
    metrics = pd.DataFrame({"acc": 75 + worth[codes].sum(1) + rng.normal(0, 0.02, num), "flops": (codes + 2.0).sum(1)})
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(num), "flat_csv", num)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """By name: a workspace and its finished run."""
    found = {}
    for name, make in SPACES.items():
        path = tmp_path_factory.mktemp(name)
        workspace = Workspace(path)
        found[name] = path, train(workspace, workspace.add_dataset(table_of(make()), "Columns"), "acc", False)
    return found


def entered(where: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> str:
    enter(where[0], monkeypatch)
    return where[1]


@pytest.mark.parametrize("name", SPACES)
def test_every_page_is_drawn(name: str, trained: dict[str, tuple[Path, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    run = entered(trained[name], monkeypatch)
    for page in PAGES:
        app = open_page(page, run=run)
        assert not app.exception and not app.error, (page, [e.value for e in (*app.exception, *app.error)])


def test_a_set_has_one_hop_and_no_modules_of_neighbours(trained: dict[str, tuple[Path, str]]) -> None:
    path, run = trained["set"]
    folder = Workspace(path).run(run)
    modules, space = folder.read_frame("modules.parquet"), loose_space()
    assert Predictor.load(folder.path).ensemble.num_hops == 1
    assert len(modules) == sum(len(unit.tokens) for unit in space.spec.units) and (modules["hop"] == 0).all()
    assert len(folder.read_json("quality.json")["hop_srcc"]) == 2


def test_the_builder_leaves_out_what_its_parent_does_not_allow(
    trained: dict[str, tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = entered(trained["conditional"], monkeypatch)
    app = open_page("builder", run=run)
    slots = {box.label: box for box in app.selectbox}
    app = slots["optimizer"].set_value(json.dumps(["optimizer=adam"])).run()
    assert not app.exception and not app.error
    shown = json.loads(next(code.value for code in app.code if "optimizer" in code.value))
    assert shown["optimizer"] == "adam" and "Predicted" in texts(app)


def test_a_best_offer_keeps_to_the_conditions(trained: dict[str, tuple[Path, str]]) -> None:
    from autobuild_core.api import Run

    path, run = trained["conditional"]
    found = Run(Workspace(path).run(run).path)
    lines = found.build(20)
    layers = [{unit["unit"]: unit["layers"] for unit in modules} for modules in lines["modules"]]
    assert len(layers) == 20
    assert all(bool(line["momentum"]) == (line["optimizer"] == ["optimizer=sgd"]) for line in layers)
    assert all(bool(line["nesterov"]) == (line["momentum"] == ["momentum=0.9"]) for line in layers)
