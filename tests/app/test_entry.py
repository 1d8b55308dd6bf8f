"""From a file to a run: Data, Train, the choice of the run, and what links say of what is gone."""

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.datasets import read_table
from autobuild_core.storage import Workspace
from tests.app.workspaces import chosen, open_page, texts


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
