"""Builder under budgets: what stands in the link, gauges, locks, undo, swaps, prices, the front, the shortlist."""

import json
import re

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.store.shortlist import Shortlist, Verdict
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import open_page, texts

FLAT = pytest.mark.parametrize("in_state", ["finished flat"], indirect=True)


def press(app: AppTest, key: str) -> AppTest:
    """Presses the button whose key begins so."""
    next(button for button in app.button if str(button.key).startswith(key)).click().run()
    assert not app.exception, [one.value for one in app.exception]
    return app


def tool(app: AppTest, name: str) -> AppTest:
    """Chooses a tool."""
    next(one for one in app.segmented_control if one.key == "tool").set_value(name).run()
    assert not app.exception, [one.value for one in app.exception]
    return app


def native(app: AppTest) -> str:
    """The architecture on the screen, as written."""
    return str(app.code[0].value)


def table_with(app: AppTest, column: str) -> pd.DataFrame:
    """The table that has a column."""
    return next(frame.value for frame in app.dataframe if column in frame.value)


@FLAT
def test_budgets_stand_in_the_link_and_are_judged_at_once(in_state: Workspace) -> None:
    app = open_page("builder", budgets="acc_pct <= 62; latency_ms >= 6", sure="80")
    assert not app.exception
    fields = {box.label.replace("\\", ""): box.value for box in app.number_input}
    assert fields["acc_pct at most"] == 62 and fields["latency_ms at least"] == 6
    assert "all 2 budgets at once" in texts(app)
    press(app, "without_limit_1")
    assert all("latency" not in box.label for box in app.number_input) and "the budget" in texts(app)
    next(box for box in app.number_input if box.label.replace("\\", "") == "acc_pct at most").set_value(60.5).run()
    assert not app.exception and app.session_state["kept_budgets"] == "acc_pct <= 60.5"


@FLAT
def test_a_budget_is_added_at_the_median(in_state: Workspace) -> None:
    app = open_page("builder")
    press(app, "do_add_budget")
    run = in_state.run(in_state.runs()["id"].iloc[0])
    name, _, limit = app.session_state["kept_budgets"].split(" ")
    assert float(limit) == pytest.approx(run.table().metrics[name].median(), rel=1e-3)


@FLAT
def test_what_nothing_keeps_to_is_said_with_the_nearest_that_one_does(in_state: Workspace) -> None:
    app = open_page("builder", budgets="acc_pct <= 10")
    said = app.warning[0].value.replace("\\", "")
    assert (
        said.startswith("Nothing keeps to the budgets: no architecture keeps to acc_pct") and "The nearest that one keeps" in said
    )
    press(app, "nearest")
    assert not any("Nothing keeps" in one.value for one in app.warning)
    press(app, "build")
    said = app.info[0].value.replace("\\", "")  # the smallest of all, which was measured
    assert said == "Every network that was found within the budgets and locks was evaluated already."


@FLAT
@pytest.mark.parametrize("budgets", ["acc_pct", "speed <= 3", "acc_pct <= x"])
def test_a_budget_of_the_link_that_does_not_do_is_left_out_and_said(budgets: str, in_state: Workspace) -> None:
    app = open_page("builder", budgets=budgets)
    assert not app.exception and any("A budget of the link is left out" in one.value for one in app.warning)
    assert "budgets at once" not in texts(app)


@FLAT
def test_what_is_built_keeps_to_the_budgets_and_to_locked_units(in_state: Workspace) -> None:
    app = open_page("builder", budgets="acc_pct <= 62")
    locked = next(toggle for toggle in app.toggle if str(toggle.key).startswith("lock_") and str(toggle.key).endswith("_0"))
    locked.set_value(True).run()
    press(app, "build")
    lines = table_with(app, "against the screen")
    first = lines.filter(regex="^stage1").iloc[:, 0]
    assert first.nunique() == 1 and (lines["sure to keep the budgets"] >= 0.9).all()
    unit = next(box for box in app.selectbox if box.label.startswith("stage1"))
    assert unit.disabled and first.iloc[0] in str(unit.options).replace("_", " ")


@FLAT
def test_a_swap_is_put_in_undone_and_done_again(in_state: Workspace) -> None:
    app = tool(open_page("builder"), "Single swaps")
    assert re.search(r"(\d+ of|None of) these \d+ swaps (is )?predicted to be better", texts(app))
    before = native(app)
    press(app, "put_swap")
    after = native(app)
    assert after != before
    press(app, "undo")
    assert native(app) == before
    press(app, "redo")
    assert native(app) == after
    press(app, "undo")
    press(app, "reset_slots")
    assert native(app) == before and next(b for b in app.button if b.key == "redo").disabled is False


@FLAT
def test_locked_units_are_no_swaps_and_stay_when_every_unit_gets_its_best(in_state: Workspace) -> None:
    app = tool(open_page("builder"), "Single swaps")
    worst = next(box for box in app.selectbox if box.label.startswith("stage1"))
    worst.set_value(worst.options[-1]).run()
    held = native(app)
    next(toggle for toggle in app.toggle if str(toggle.key).endswith("_0") and str(toggle.key).startswith("lock_")).set_value(
        True
    ).run()
    assert set(table_with(app, "becomes")["unit"]) == {"stage2"}
    press(app, "reset_slots")
    assert json.loads(native(app))["stage1_k"] == json.loads(held)["stage1_k"]


@FLAT
def test_prices_of_each_budget(in_state: Workspace) -> None:
    app = tool(open_page("builder"), "What budgets buy")
    assert "Add a budget above" in texts(app)
    app = tool(open_page("builder", budgets="acc_pct <= 62"), "What budgets buy")
    press(app, "do_prices")
    assert " more of **acc" in texts(app) and "buys **" in texts(app)
    app = tool(open_page("builder", budgets="acc_pct <= 62; acc_pct >= 55"), "What budgets buy")
    press(app, "do_prices")
    assert " more of **acc" in texts(app) and " less of **acc" in texts(app)  # two limits of one metric, a price each


@FLAT
def test_the_front_and_what_it_is_worth(in_state: Workspace) -> None:
    app = tool(open_page("builder"), "Pareto front")
    press(app, "do_front")
    assert "Hypervolume against" in texts(app) and "with what may be reached" in texts(app)
    assert {"is_measured", "probability"} <= set(app.session_state["front"].records[0])


@FLAT
def test_the_shortlist_compares_designs_says_why_and_sends_them_to_evaluate(in_state: Workspace) -> None:
    app = open_page("builder", budgets="acc_pct <= 62")
    run = in_state.runs()["id"].iloc[0]
    next(box for box in app.text_input if box.label == "Name").set_value("Best of all").run()
    next(box for box in app.text_area if str(box.key).startswith("why_")).set_value("largest").run()
    press(app, "do_shortlist")
    press(tool(app, "Single swaps"), "put_swap")
    press(app, "do_shortlist")
    shortlist = Shortlist.of(in_state, run)
    assert [(one.name, one.note) for one in shortlist.all()] == [("Best of all", "largest"), ("Design 1", "")]
    table = table_with(app, "Best of all").set_index("")
    assert table.loc["why", "Best of all"] == "largest" and "; sure to keep its budget: " in table.loc["acc_pct", "Design 1"]
    next(one for one in app.segmented_control if str(one.key).startswith("verdict_")).set_value(Verdict.REJECTED).run()
    press(app, "save_")
    assert [one.verdict for one in shortlist.all()] == [Verdict.REJECTED, Verdict.OPEN]
    press(app, "send_shortlist")
    assert "1 candidate put on the list" in texts(app).replace("\\", "")
    app = open_page("evaluate", run=run)
    assert table_with(app, "why")["why"].tolist() == ["Design 1, open"]


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_run_of_before_metrics_were_written_has_no_budgets_and_says_so(in_state: Workspace) -> None:
    folder = in_state.run(in_state.runs()["id"].iloc[0])
    for name in ("metrics.json", "metrics.safetensors"):
        (folder.path / name).unlink()
    app = open_page("builder", budgets="flops <= 3")
    assert not app.exception and "train it anew for budgets" in texts(app)
    press(app, "build")
    assert "architectures of the space were predicted" in texts(app)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_damaged_metrics_are_said_and_the_page_goes_on(in_state: Workspace) -> None:
    (in_state.run(in_state.runs()["id"].iloc[0]).path / "metrics.json").write_text("{")
    app = open_page("builder")
    assert not app.exception and any("damaged" in one.value for one in app.warning)


@pytest.mark.parametrize("in_state", ["finished", "finished flat", "finished cells"], indirect=True)
def test_gauges_say_how_each_number_is_known(in_state: Workspace) -> None:
    app = open_page("builder")
    figures = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    said = [note["text"] for figure in figures for note in figure["layout"].get("annotations", ()) if "text" in note]
    known = in_state.run(in_state.runs()["id"].iloc[0])
    names = [model["name"] for model in known.read_json("metrics.json")["models"] if model["name"] != known.config.target]
    assert names and all(any(text.startswith(f"<b>{name}</b>") for text in said) for name in names[:5])
    assert sum(text.endswith((" measured", " exact", " predicted")) for text in said) >= len(names[:5])


@FLAT
def test_a_search_is_started_from_the_page_in_the_space_that_is_chosen(in_state: Workspace) -> None:
    app = tool(open_page("builder"), "Search")
    next(box for box in app.number_input if box.key == "search_num").set_value(12).run()
    next(one for one in app.segmented_control if one.key == "search_space").set_value("Reduced space").run()
    next(box for box in app.number_input if box.key == "search_kept").set_value(2).run()
    press(app, "start_search")
    runs = in_state.runs()
    made = runs[runs["kind"] == "search"].iloc[0]
    settings = in_state.run(made["id"]).job.settings
    assert made["data_hash"] == runs[runs["kind"] == "train"].iloc[0]["data_hash"] and settings["num"] == 12
    assert settings["target"] == "predicted" and settings["minimize"] and '"modules"' in settings["space"]
    assert "Bayesian optimisation: minimise predicted" in texts(app)


@FLAT
def test_a_search_says_that_budgets_are_not_its_own(in_state: Workspace) -> None:
    assert "not at the budgets above" not in texts(tool(open_page("builder"), "Search"))
    assert "not at the budgets above" in texts(tool(open_page("builder", budgets="acc_pct <= 62"), "Search"))


@FLAT
def test_a_search_that_does_not_do_is_said_and_starts_nothing(in_state: Workspace) -> None:
    app = tool(open_page("builder"), "Search")
    next(box for box in app.number_input if box.key == "search_num").set_value(0).run()
    press(app, "start_search")
    assert app.error[0].value.startswith("num\\: got 0, expected at least 1") and not (in_state.runs()["kind"] == "search").any()
