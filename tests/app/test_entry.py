"""From a file to a run: Data, Train, the choice of the run, and what links say of what is gone."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import ROOT, chosen, flat_file, open_page, set_state, texts


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


@pytest.mark.parametrize("in_state", ["finished flat"], indirect=True)
def test_data_and_train_begin_with_the_target_of_the_run_that_is_shown(in_state: Workspace) -> None:
    app = open_page("data")
    assert app.text_input[0].value == "latency_ms" and bar(app)["Target"] == "minimise `latency_ms`"
    app.text_input[0].set_value("acc_pct").run()
    assert bar(app)["Target"] == "minimise `acc_pct`"  # a choice stays
    assert "to minimise `latency_ms`" in texts(open_page("train"))


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
    monkeypatch.setattr("autobuild_core.jobs.executor.SubprocessExecutor.poll", lambda self: None)
    run, other = in_state.runs()["id"].iloc[0], in_state.add_dataset(read_table(flat_file(tmp_path / "flat.csv")), "Flat")
    app = open_page("data", run=run, arch="row:3")
    next(box for box in app.selectbox if box.label == "Data set").set_value(other).run()
    app.switch_page("pages/hops.py").run()
    app.switch_page("pages/train.py").run()
    assert form_is_open(app)
    assert "Learn from **Flat** (90 architectures) to maximise `acc_pct`" in texts(app)
    button(app, "Start training").click().run()
    assert not app.exception
    assert in_state.runs()["data_name"].tolist() == ["Flat", "Test data"]
    assert not form_is_open(app)


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_cancelling_a_queued_run_ends_it_on_the_page(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autobuild_core.jobs.executor.SubprocessExecutor.poll", lambda self: None)
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


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_run_that_ended_badly_does_not_take_over(in_state: Workspace) -> None:
    dataset = in_state.datasets()["id"].iloc[0]
    for state in ("cancelled", "failed", "lost"):
        set_state(in_state, in_state.add_run(dataset, "mean_acc", name=f"One that {state}"), state)
    app = open_page("home")
    assert bar(app)["Run"].startswith("First run")
    assert "Best modules" in texts(app)
    ended = in_state.runs()["id"].iloc[0]
    assert bar(open_page("home", run=ended))["Run"].startswith("One that lost")  # a link still opens it


def warned(app: AppTest, about: str) -> list[str]:
    """The warnings on the page about something."""
    return [text for w in app.warning if about in (text := str(w.value).replace("\\", ""))]


@pytest.mark.parametrize("where", ["home", "data", "train", "importance", "hops"])
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_link_to_what_is_gone_says_so_until_the_page_is_left(where: str, in_state: Workspace) -> None:
    app = open_page(where)
    app.query_params["run"], app.query_params["arch"] = "0" * 32, "row:99999"
    said = [
        'The run in this link does not exist any more; shown is "First run".',
        "Row 99999 of this link is not among the data of this run; shown is the best measured architecture.",
    ]
    for _ in range(2):
        app.run()
        assert not app.exception
        assert warned(app, "this link") == said
    app.switch_page("pages/builder.py").run()
    assert warned(app, "this link") == (said[1:] if where != "importance" else [])  # where the best was put in its place


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_links_to_what_is_there_say_nothing(in_state: Workspace) -> None:
    for page in ("home", "importance"):
        app = open_page(page, run=in_state.runs()["id"].iloc[0], arch="row:3", beside="worst", show="pair")
        assert not warned(app, "this link")


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_data_names_the_run_of_the_data_that_it_shows(in_state: Workspace, tmp_path: Path) -> None:
    first = in_state.datasets()["id"].iloc[0]
    other = in_state.add_dataset(read_table(flat_file(tmp_path / "flat.csv")), "Flat")
    app = open_page("data", data=other)
    assert (bar(app)["Data set"], bar(app)["Run"]) == ("Flat", "none trained on these data")
    next(box for box in app.selectbox if box.label == "Data set").set_value(first).run()
    assert bar(app)["Data set"] == "Test data"
    assert bar(app)["Run"].startswith("First run")
    next(box for box in app.selectbox if box.label == "Data set").set_value(other).run()
    assert bar(app)["Run"] == "none trained on these data"
    app.query_params["data"] = first
    app.query_params["run"] = in_state.add_run(other, "acc_pct", name="Of flat")
    app.run()
    assert bar(app)["Run"].startswith("Of flat") and bar(app)["Data set"] == "Flat"  # a run takes its data along


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_data_set_is_deleted_and_its_run_stays(in_state: Workspace, tmp_path: Path) -> None:
    first = in_state.datasets()["id"].iloc[0]
    in_state.add_dataset(read_table(flat_file(tmp_path / "flat.csv")), "Flat")
    app = open_page("data", data=first)
    assert "1 run trained on it stays: a run keeps its own copy" in texts(app)
    button(app, "Delete this data set").click().run()
    assert not app.exception
    assert in_state.datasets()["name"].tolist() == ["Flat"]
    assert bar(app)["Data set"] == "Flat"
    button(app, "Delete this data set").click().run()
    assert in_state.datasets().empty
    assert len(app.get("file_uploader")) == 1
    assert "Best modules" in texts(open_page("home"))


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_adding_a_file_closes_where_it_was_added(in_state: Workspace, tmp_path: Path) -> None:
    app = open_page("data")
    before = next(p for p in app.get("popover") if p.proto.popover.label == "Add another file").proto
    app.file_uploader[0].set_value(("flat.csv", flat_file(tmp_path / "flat.csv").read_bytes(), "text/csv")).run()
    button(app, "Use these columns").click().run()
    assert not app.exception
    assert bar(app)["Data set"] == "flat.csv"
    after = next(p for p in app.get("popover") if p.proto.popover.label == "Add another file").proto
    assert before.id != after.id


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_too_few_architectures_are_told_before_training(in_state: Workspace, tmp_path: Path) -> None:
    in_state.add_dataset(read_table(flat_file(tmp_path / "five.csv", 5)), "Five")
    app = open_page("data")
    assert warned(app, "Too few") == ["Too few to train on: 5 distinct networks with a target, expected at least 10."]
    assert button(app, "Train on this").disabled
    assert bar(app)["Target"] == "maximise `acc_pct` :red-badge[too few]"
    assert any(chart.proto.alt == "Histogram of acc_pct" for chart in app.get("plotly_chart"))


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_the_scatter_matrix_says_which_metrics_it_leaves_out(in_state: Workspace) -> None:
    app = open_page("data", target="flops / params")
    app.session_state["data_tabs"] = "Metrics against each other"
    app.run()
    alts = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert "Scatter matrix of flops, params, mean_acc, test_acc_1, test_acc_2" in alts
    assert "Not drawn: `test_acc_3`." in texts(app)  # std is the same in every row: no metric


def pair(app: AppTest, workspace: Workspace) -> tuple[str | None, str | None]:
    """Names of the run and of the data set in the URL."""
    url, runs, sets = chosen(app), workspace.runs().set_index("id"), workspace.datasets().set_index("id")
    return tuple(None if key not in url else str(frame.loc[url[key], "name"]) for key, frame in (("run", runs), ("data", sets)))


def two_of_each(workspace: Workspace, folder: Path) -> tuple[str, str]:
    """A second data set and a cancelled run on it beside the finished one: ids of both runs."""
    first = workspace.runs()["id"].iloc[0]
    other = workspace.add_dataset(read_table(flat_file(folder / "flat.csv")), "Flat")
    run = workspace.add_run(other, "latency_ms", name="Of flat", minimize=True)
    set_state(workspace, run, "cancelled")
    return str(first), run


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_run_takes_its_data_along_and_lets_go_of_what_was_chosen_in_others(in_state: Workspace, tmp_path: Path) -> None:
    first, other = two_of_each(in_state, tmp_path)
    app = open_page("train", run=first, arch="row:3", module="L1=mb3_k3", target="params", minimize="yes")
    assert pair(app, in_state) == ("First run", "Test data")
    app.query_params["run"] = other
    app.run()
    assert pair(app, in_state) == ("Of flat", "Flat")
    assert bar(app)["Data set"] == "Flat" and bar(app)["Run"].startswith("Of flat")
    app.switch_page("pages/data.py").run()
    assert bar(app)["Data set"] == "Flat" and bar(app)["Run"].startswith("Of flat")
    assert "90 of 90" in texts(app)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_an_upload_drops_the_run_on_every_page_and_a_run_of_it_comes_back_with_its_data(
    in_state: Workspace, tmp_path: Path
) -> None:
    app = open_page("data", arch="row:3", brush="0,0,1,1")
    assert pair(app, in_state) == ("First run", "Test data")
    app.file_uploader[0].set_value(("flat.csv", flat_file(tmp_path / "flat.csv").read_bytes(), "text/csv")).run()
    button(app, "Use these columns").click().run()
    assert not app.exception
    assert {"run", "arch", "brush"}.isdisjoint(chosen(app))
    for page in ("data", "train", "home", "importance", "builder", "review"):
        if page != "data":
            app.switch_page(f"pages/{page}.py").run()
        assert not app.exception
        assert (page, pair(app, in_state)) == (page, (None, "flat.csv"))
        assert (bar(app)["Data set"], bar(app)["Run"]) == ("flat.csv", "none trained on these data")
    app.switch_page("pages/data.py").run()
    first = in_state.datasets().set_index("name").loc["Test data", "id"]
    next(box for box in app.selectbox if box.label == "Data set").set_value(first).run()
    assert pair(app, in_state) == ("First run", "Test data")
    app.switch_page("pages/importance.py").run()
    assert bar(app)["Run"].startswith("First run")


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_link_to_data_alone_forgets_the_run_of_before(in_state: Workspace, tmp_path: Path) -> None:
    other = in_state.add_dataset(read_table(flat_file(tmp_path / "flat.csv")), "Flat")
    app = open_page("importance")
    assert pair(app, in_state) == ("First run", "Test data")
    app.query_params.clear()
    app.query_params["data"] = other
    app.run()
    assert pair(app, in_state) == (None, "Flat")
    assert not warned(app, "this link")
    assert "no run has been trained on these data" in texts(app)


@pytest.mark.parametrize(("page", "lists"), [("home", []), ("data", []), ("train", [["", "\u25b6"]]), ("importance", [])])
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_fresh_tab_has_the_newest_useful_run_and_its_data(
    page: str, lists: list[list[str]], in_state: Workspace, tmp_path: Path
) -> None:
    two_of_each(in_state, tmp_path)
    app = open_page(page)
    assert pair(app, in_state) == ("First run", "Test data")
    assert [frame.value["Shown"].tolist() for frame in app.dataframe if "Shown" in frame.value] == lists


@pytest.mark.parametrize("page", ["home", "data", "train", "importance"])
@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_fresh_tab_after_the_sample_was_tried_shows_what_train_lists(
    page: str, in_state: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autobuild_core.store.workspace.SAMPLE_DATA", ROOT / "sample_data")
    app = open_page("home")
    button(app, "Try the sample").click().run()
    assert not app.exception
    before = pair(app, in_state)
    assert before[1] == "Fashion MBConv sample" and before[0] is not None
    fresh = open_page(page)
    assert pair(fresh, in_state) == before
    assert bar(fresh)["Run"] != "none yet" and bar(fresh)["Data set"]
    assert "no run has been trained" not in texts(fresh)


@pytest.mark.parametrize("name", ["cells", "unets", "segmentation"])
@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_each_sample_opens_in_one_click(name: str, in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autobuild_core.store.workspace.SAMPLE_DATA", ROOT / "sample_data")
    app = open_page("home")
    app.button(f"try_sample-{name}").click().run()
    assert not app.exception
    assert "Best modules" in texts(app)
    assert pair(app, in_state)[1] == f"{name}.csv"
    for page in ("importance", "hops", "builder", "evaluate"):
        assert not open_page(page).exception


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_run_whose_data_were_deleted_says_so_on_data_and_puts_them_back(in_state: Workspace, tmp_path: Path) -> None:
    in_state.delete_dataset(in_state.datasets()["id"].iloc[0])
    in_state.add_dataset(read_table(flat_file(tmp_path / "flat.csv")), "Flat")
    app = open_page("data", run=in_state.runs()["id"].iloc[0])
    assert not app.exception
    assert pair(app, in_state) == ("First run", None)
    assert 'The data of the run "First run" are not in the workspace any more' in app.info[0].value.replace("\\", "")
    assert bar(app)["Data set"] == "Test data"  # of the run
    assert "put them back on Data" in texts(open_page("train"))
    button(app, "Put them back").click().run()
    assert not app.exception
    assert pair(app, in_state) == ("First run", "Test data")
    assert "What to aim at" in texts(app)


@pytest.mark.parametrize("in_state", ["no run"], indirect=True)
def test_a_target_is_given_a_name_and_a_unit(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autobuild_core.jobs.executor.SubprocessExecutor.poll", lambda self: None)
    app = open_page("data")
    fields = {box.label: box for box in app.text_input}
    fields["Target, an equation over the metrics"].set_value("mean_acc / log10(flops)").run()
    next(box for box in app.text_input if box.label == "Name").set_value("  per  cost ").run()
    assert next(box for box in app.text_input if box.label == "Unit").placeholder == "per cost"
    next(box for box in app.text_input if box.label == "Unit").set_value("points").run()
    assert bar(app)["Target"] == "maximise per cost"
    assert (chosen(app)["target_name"], chosen(app)["target_unit"]) == ("per cost", "points")
    app.switch_page("pages/train.py").run()
    assert "to maximise **per cost**, `mean_acc / log10(flops)`" in texts(app)
    button(app, "Start training").click().run()
    assert not app.exception
    run = in_state.runs().iloc[0]
    assert (run["target_name"], run["target_unit"], run["name"]) == ("per cost", "points", "Test data: per cost")
    app.switch_page("pages/data.py").run()
    assert [box.value for box in app.text_input if box.label in ("Name", "Unit")] == ["per cost", "points"]
    pills = next(g for g in app.get("button_group") if g.label == "For example")
    pills.set_value("params").run()
    assert [box.value for box in app.text_input if box.label in ("Name", "Unit")] == ["", ""]
    assert bar(app)["Target"] == "minimise `params`"
