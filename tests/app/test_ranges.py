"""A run on a number of many values, from its file to the pages: modules are ranges, architectures have exact values."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from streamlit.testing.v1 import AppTest

from autobuild_core.api import Run
from autobuild_core.architectures.ranges import MOST_RANGES, ranges_of
from autobuild_core.cli import main
from autobuild_core.datasets import read_table
from autobuild_core.review.record import record
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.store.pins import Claim
from autobuild_core.store.workspace import Workspace
from autobuild_core.trust.claim import Evidence
from tests.app.test_importance import headings, shown
from tests.app.workspaces import chosen, enter, open_page, texts, train

PAGES = ("home", "data", "train", "map", "importance", "hops", "builder", "evaluate", "search_space", "review")
NUM, VALUES = 240, 64
ACT, NORM = {"relu": 0.0, "gelu": 0.6, "tanh": -0.5}, {"batch": 0.0, "layer": 0.4}


def u_shaped(dropout: np.ndarray) -> np.ndarray:
    return np.asarray(70 - 80 * (dropout - 0.2) ** 2)


def numeric_file(path: Path) -> Path:
    """240 evaluations of a number of 64 values and two categories; the best number lies within."""
    rng = np.random.default_rng(0)
    values = np.sort(rng.uniform(0, 0.5, VALUES)).round(6)
    frame = pd.DataFrame({"design:dropout": values[np.concatenate([np.arange(VALUES), rng.integers(0, VALUES, NUM - VALUES)])]})
    frame["act"], frame["norm"] = rng.choice(list(ACT), NUM), rng.choice(list(NORM), NUM)
    frame["val_acc"] = u_shaped(frame["design:dropout"].to_numpy()) + frame["act"].map(ACT) + frame["norm"].map(NORM)
    frame["val_acc"] += rng.normal(0, 0.1, NUM)
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A workspace and its finished run."""
    workspace = Workspace(tmp_path_factory.mktemp("numbers"))
    table = read_table(numeric_file(workspace.path / "numbers.csv"))
    return workspace.path, train(workspace, workspace.add_dataset(table, "Numbers"), "val_acc", False)


@pytest.fixture
def run(finished: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The run's id, its workspace being the app's."""
    enter(finished[0], monkeypatch)
    return finished[1]


def of(finished: tuple[Path, str]) -> Run:
    return Run(Workspace(finished[0]).run(finished[1]).path)


def test_a_number_is_ranked_by_ranges_that_agree_with_the_truth(finished: tuple[Path, str]) -> None:
    table, modules = of(finished).table(), of(finished).modules()
    numbers = modules[modules["positions"] == '["dropout"]']
    (own,) = ranges_of(table.spec).values()
    assert numbers["layers"].tolist() == [json.dumps([one.text]) for one in own] and len(own) == MOST_RANGES
    assert numbers["num_evaluated"].sum() == len(table) == NUM and (numbers["num_evaluated"] > 0).all()
    ends = [float(end) for text in numbers["range"] for end in json.loads(text)]
    seen = np.array([float(table.spec.tokens[code].removeprefix("dropout=")) for code in table.codes[:, 0]])
    assert (np.diff(ends) > 0).all() and ends[0] == seen.min() and ends[-1] == seen.max()
    inside = [(low <= seen) & (seen <= high) for low, high in zip(ends[::2], ends[1::2], strict=True)]
    assert (np.sum(inside, axis=0) == 1).all() and [int(one.sum()) for one in inside] == numbers["num_evaluated"].tolist()
    truth = [u_shaped(np.array([float(table.spec.tokens[t].removeprefix("dropout=")) for t in one.tokens])).mean() for one in own]
    assert spearmanr(numbers["score"], truth).statistic > 0.9
    assert (numbers["score_low"] < numbers["score"]).all() and (numbers["score"] < numbers["score_high"]).all()
    others = modules[modules["positions"] != '["dropout"]']
    assert others["layers"].tolist() == [f'["act={one}"]' for one in sorted(ACT)] + [f'["norm={one}"]' for one in sorted(NORM)]
    assert others.groupby("positions")["num_evaluated"].sum().tolist() == [NUM, NUM]


def test_the_command_line_ranks_ranges_and_builds_exact_values(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder, values = of(finished).folder.path, pd.read_csv(finished[0] / "numbers.csv")["design:dropout"]
    for extra in (["--units"], [], ["--units", "--scorer", "mean"]):
        assert main(["score", str(folder), *extra, "--out", str(tmp_path / "scores.csv")]) == 0
        lines = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
        assert len(lines) == MOST_RANGES + 5
        assert sum(int(line["num_evaluated"]) for line in lines if line["positions"] == '["dropout"]') == NUM
    for extra in ([], ["--top-k", "2"]):
        assert main(["build", str(folder), "--num", "5", *extra, "--out", str(tmp_path / "built.jsonl")]) == 0
        built = [json.loads(line)["arch"]["dropout"] for line in (tmp_path / "built.jsonl").read_text().splitlines()]
        assert len(built) == 5 and set(built) <= set(values)
    assert main(["suggest", str(folder), "--num", "3", "--out", str(tmp_path / "next.jsonl")]) == 0
    assert {json.loads(line)["arch"]["dropout"] for line in (tmp_path / "next.jsonl").read_text().splitlines()} <= set(values)
    assert main(["predict", str(folder), str(finished[0] / "numbers.csv"), "--out", str(tmp_path / "predicted.csv")]) == 0
    predicted = pd.read_csv(tmp_path / "predicted.csv")["predicted"]
    assert predicted.groupby(values.to_numpy()).first().nunique() > MOST_RANGES
    assert main(["report", str(folder), "--out", str(tmp_path / "review.html")]) == 0
    assert "dropout: " in (tmp_path / "review.html").read_text()


def test_every_page_is_drawn(run: str) -> None:
    for page in PAGES:
        app = open_page(page, run=run)
        assert not app.exception and not app.error, (page, [e.value for e in (*app.exception, *app.error)])


def test_a_click_on_an_exact_value_finds_its_range(run: str, finished: tuple[Path, str]) -> None:
    table, modules = of(finished).table(), of(finished).modules()
    app = open_page("importance", run=run, arch="row:7")
    node = shown(app)["slots"][0]["nodes"][0]  # type: ignore[index]
    assert node["token"] == table.spec.tokens[table.codes[7, 0]]
    (own,) = ranges_of(table.spec).values()
    line = next(i for i, one in enumerate(own) if table.codes[7, 0] in one.tokens)
    assert headings(app)[0] == f"dropout: {own[line].text.removeprefix('dropout=')}"
    assert f"seen in {modules['num_evaluated'].iloc[line]} of {NUM}" in texts(app)
    exact = f"dropout=dropout%3D{table.spec.tokens[table.codes[9, 0]].removeprefix('dropout=')}!"
    linked = open_page("importance", run=run, arch="row:9", module=exact)
    other = next(one for one in own if table.codes[9, 0] in one.tokens)
    assert headings(linked)[0] == f"dropout: {other.text.removeprefix('dropout=')}"


@pytest.mark.parametrize("page", ["hops", "map", "builder", "home"])
def test_a_chosen_range_is_chosen_on_every_page(page: str, run: str, finished: tuple[Path, str]) -> None:
    one = ranges_of(of(finished).table().spec)[0][2]
    app = open_page(page, run=run, module=f"dropout={one.text.replace('=', '%3D')}!")
    assert not app.exception and not app.error
    assert f"dropout: {one.text.removeprefix('dropout=')}" in texts(app)


def test_hops_list_ranges(run: str, finished: tuple[Path, str]) -> None:
    app = open_page("hops", run=run, rank="whole:0")
    box = next(box for box in app.selectbox if box.label == "Choose a module")
    names = [one.text.removeprefix("dropout=") for one in ranges_of(of(finished).table().spec)[0]]
    assert sorted(option.partition(". dropout: ")[2] for option in box.options) == sorted(names)
    app = box.set_value(0).run()
    assert not app.exception and " to " in chosen(app)["module"]


def exact(app: AppTest) -> str:
    """The number of the architecture that the Builder holds, as a token."""
    return f"dropout={json.loads(next(code.value for code in app.code if 'dropout' in code.value))['dropout']}"


def test_the_builder_holds_exact_values(run: str, finished: tuple[Path, str]) -> None:
    spec = of(finished).table().spec
    (own,) = ranges_of(spec).values()
    app = open_page("builder", run=run)
    slot = next(box for box in app.selectbox if box.label == "dropout")
    assert len(slot.options) == MOST_RANGES and all(" to " in option for option in slot.options)
    assert json.loads(slot.value) == [spec.tokens[next(one for one in own if one.text in slot.options[0]).standing]]
    app = slot.set_value(json.dumps([spec.tokens[own[6].standing]])).run()
    assert not app.exception and not app.error and exact(app) == spec.tokens[own[6].standing]
    assert f"dropout: {own[6].text.removeprefix('dropout=')}" in texts(app)  # what is chosen
    app.session_state[f"slots_{run}"] = {0: spec.tokens[own[6].tokens[1]]}  # AppTest itself types nothing new
    app = app.run()
    assert not app.exception and not app.error and exact(app) == spec.tokens[own[6].tokens[1]]
    assert f"seen in {of(finished).modules()['num_evaluated'].iloc[6]} of {NUM}" in texts(app)
    app = open_page("builder", run=run, module=f"dropout={own[1].text.replace('=', '%3D')}!")
    assert exact(app) == spec.tokens[own[1].standing]
    row = int(np.flatnonzero(of(finished).table().codes[:, 0] == own[1].tokens[0])[0])
    app = open_page("builder", run=run, arch=f"row:{row}", module=f"dropout={own[1].text.replace('=', '%3D')}!")
    assert exact(app) == spec.tokens[own[1].tokens[0]]  # the architecture's own value is in the range


def test_a_claim_about_a_range_counts_all_of_its_values(finished: tuple[Path, str]) -> None:
    facts = FinishedRun.load(of(finished).folder)
    values = set(pd.read_csv(finished[0] / "numbers.csv")["design:dropout"])
    for line, one in enumerate(ranges_of(facts.table.spec)[0][2:4], 2):
        found = record(facts, Claim(("dropout",), (one.text,), True))
        assert found.evidence == Evidence(int(facts.modules["num_evaluated"].iloc[line]), NUM)
        assert found.looked_at == MOST_RANGES and found.bootstrap is not None and found.bootstrap.num_with > 1
        evaluations = found.overturn.evaluations
        assert evaluations and {evaluation.arch["dropout"] for evaluation in evaluations} <= values
        inside = [float(one.ends[0]) <= evaluation.arch["dropout"] <= float(one.ends[1]) for evaluation in evaluations]
        assert inside == [evaluation.contains for evaluation in evaluations]
