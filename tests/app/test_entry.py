"""From a file to a run: Data, Train, the choice of the run, and what links say of what is gone."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.datasets import read_table
from autobuild_core.storage import Workspace
from tests.app.workspaces import chosen, flat_file, open_page, set_state, texts


def bar(app: AppTest) -> dict[str, str]:
    """What the bar at the top says, label by label."""
    lines = [str(m.value).replace("\\", "") for m in app.markdown if str(m.value).startswith(":gray[")]
    return {line[6:].partition("]")[0]: line.partition("\n")[2] for line in lines[:3]}


def button(app: AppTest, label: str) -> Any:
    """The button of a label."""
    return next(b for b in app.button if b.label == label)


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_the_bar_on_data_says_what_the_fields_say_after_every_change(in_state: Workspace) -> None:
    app = open_page("data")
    assert bar(app)["Target"] == "maximise `mean_acc`"
    app.text_input[0].set_value("params").run()
    assert bar(app)["Target"] == "maximise `params`"
    way = next(g for g in app.get("button_group") if g.label == "Better is")
    way.set_value("Minimise").run()
    assert bar(app)["Target"] == "minimise `params`"
    assert chosen(app)["minimize"] == "yes"
    app.text_input[0].set_value("flops - 1").run()
    assert bar(app)["Target"] == "minimise `flops - 1`"
    assert app.text_input[0].value == "flops - 1"
    assert chosen(app)["target"] == "flops - 1"


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_a_suggestion_brings_its_direction(in_state: Workspace) -> None:
    app = open_page("data")
    pills = next(g for g in app.get("button_group") if g.label == "For example")
    assert "params" in pills.options
    pills.set_value("params").run()
    assert app.text_input[0].value == "params"
    assert bar(app)["Target"] == "minimise `params`"
    next(g for g in app.get("button_group") if g.label == "For example").set_value("mean_acc").run()
    assert bar(app)["Target"] == "maximise `mean_acc`"


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_a_rejected_equation_keeps_training_away_until_it_is_mended(in_state: Workspace) -> None:
    app = open_page("data")
    assert not button(app, "Train on this").disabled
    app.text_input[0].set_value("mean_acc / nonsense").run()
    assert bar(app)["Target"] == "maximise `mean_acc / nonsense` :red-badge[rejected]"
    assert button(app, "Train on this").disabled
    assert "Train would still learn `mean_acc`" in texts(app)
    assert not any(chart.proto.alt.startswith("Histogram of mean_acc") for chart in app.get("plotly_chart"))
    assert any(chart.proto.alt == "Histogram of every metric" for chart in app.get("plotly_chart"))  # the rest stays
    app.text_input[0].set_value("mean_acc / 2").run()
    assert bar(app)["Target"] == "maximise `mean_acc / 2`"
    assert not button(app, "Train on this").disabled


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_a_link_with_a_faulty_equation_keeps_training_away(in_state: Workspace) -> None:
    app = open_page("data", target="nonsense")
    assert button(app, "Train on this").disabled
    assert "nonsense" in app.error[0].value


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_file_without_metrics_cannot_be_trained_on(in_state: Workspace) -> None:
    path = in_state.path / "bare.csv"
    path.write_text("stage1_k,stage1_e\n" + "".join(f"{k},{e}\n" for k in (3, 5, 7) for e in (1, 3, 6)))
    in_state.add_dataset(read_table(path), "Bare")
    app = open_page("data")
    assert bar(app)["Target"] == ":red-badge[no metric]"
    assert button(app, "Train on this").disabled


def form_is_open(app: AppTest) -> bool:
    """Whether Train's form is unfolded."""
    return bool(next(e for e in app.expander if e.label == "Start a training").proto.expanded)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_the_form_is_open_for_who_comes_from_data_and_folded_for_who_looks_at_a_run(in_state: Workspace) -> None:
    run = in_state.runs()["id"].iloc[0]
    assert not form_is_open(open_page("train", run=run, target="mean_acc"))
    assert form_is_open(open_page("train", run=run, target="mean_acc", minimize="yes"))
    assert form_is_open(open_page("train", run=run, target="params"))
    app = open_page("data", run=run)
    app.switch_page("pages/train.py").run()
    assert form_is_open(app)
    app.switch_page("pages/hops.py").run()
    app.switch_page("pages/train.py").run()
    assert not form_is_open(app)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_the_form_is_open_where_other_data_are_chosen_and_folds_when_a_run_starts(
    in_state: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autobuild_core.jobs.SubprocessExecutor.poll", lambda self: None)
    run, other = in_state.runs()["id"].iloc[0], in_state.add_dataset(read_table(flat_file(tmp_path / "flat.csv")), "Flat")
    app = open_page("train", run=run, data=other)
    assert form_is_open(app)
    assert "Learn from **Flat** (90 architectures) to maximise `acc_pct`" in texts(app)
    button(app, "Start training").click().run()
    assert not app.exception
    assert in_state.runs()["data_name"].tolist() == ["Flat", "Test data"]
    assert not form_is_open(app)


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_cancelling_a_queued_run_ends_it_on_the_page(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autobuild_core.jobs.SubprocessExecutor.poll", lambda self: None)
    run = in_state.add_run(in_state.datasets()["id"].iloc[0], "mean_acc", name="Waiting")
    set_state(in_state, run, "queued")
    app = open_page("train")
    assert "Waiting in the queue" in str(app.get("progress")[0].proto)
    button(app, "Cancel").click().run()
    assert not app.exception
    assert "was cancelled before it finished" in texts(app)
    assert not app.get("progress")
    assert all(b.label != "Cancel" for b in app.button)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_runs_of_one_name_are_told_apart_and_the_shown_one_is_marked(in_state: Workspace) -> None:
    first = in_state.runs()["id"].iloc[0]
    other = in_state.add_run(in_state.datasets()["id"].iloc[0], "mean_acc", name="First run", seed=7)
    set_state(in_state, other, "cancelled")
    listed = open_page("train", run=first).dataframe[0].value
    assert listed["Run"].tolist() == ["First run", "First run"]
    assert listed["Seed"].tolist() == ["7", "0"]
    assert listed["Shown"].tolist() == ["", "\u25b6"]
