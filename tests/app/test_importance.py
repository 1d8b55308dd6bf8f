"""Importance in every way it can be asked: any architecture, pairs, the best tenth, links to modules, cells."""

import json
import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.architectures.lens import Lens
from autobuild_core.architectures.module_key import ModuleKey
from autobuild_core.architectures.module_table import module_index
from autobuild_core.architectures.names import module_name
from autobuild_core.figures import drawing, graph
from autobuild_core.store.workspace import Workspace
from pages._selection import module_text
from tests.app.workspaces import chosen, open_page, texts

FINISHED = pytest.mark.parametrize("in_state", ["finished"], indirect=True)
CELLS = pytest.mark.parametrize("in_state", ["finished cells"], indirect=True)


def shown(app: AppTest, key: str = "graph_one") -> dict[str, object]:
    """What the graph of a page was sent."""
    assert not app.exception, [e.value for e in app.exception]
    found = [element.proto for element in app.get("bidi_component") if key in element.proto.id]
    assert len(found) == 1
    data: dict[str, object] = json.loads(found[0].json)
    return data


def param(app: AppTest, name: str) -> str:
    """A part of the URL: a list of one as it was given, text where the page wrote it."""
    value = app.query_params[name]
    return value if isinstance(value, str) else value[0]


def headings(app: AppTest) -> list[str]:
    return [heading.value.replace("\\", "") for heading in app.subheader]


def best_codes(workspace: Workspace) -> tuple[str, np.ndarray]:
    """(id of the newest run, codes of its best measured architecture)."""
    run = workspace.runs()["id"].iloc[0]
    predictions = workspace.run(run).read_frame("predictions.parquet")
    return run, workspace.run(run).table().codes[int(predictions.loc[predictions["target"].idxmax(), "row"])]


@FINISHED
@pytest.mark.parametrize("choice", ["best", "worst", "typed:01201201", "row:3"])
def test_any_architecture_is_shown(in_state: Workspace, choice: str) -> None:
    app = open_page("importance", arch=choice, hop="unit", lens="good")
    data = shown(app)
    assert len(data["slots"]) == 8 and data["start"]["stop"] == "unit" and data["start"]["lens"] == "good"
    assert "among the best 10 %" in texts(app)
    assert headings(app)[0].startswith("L1 to L2: ")
    assert "Better in its place" in texts(app) and "in its unit" in texts(app)


@FINISHED
def test_every_hop_and_lens_is_sent_at_once(in_state: Workspace) -> None:
    data = shown(open_page("importance"))
    deepest = int(in_state.run(in_state.runs()["id"].iloc[0]).read_frame("modules.parquet")["hop"].max())
    assert [stop["id"] for stop in data["stops"]] == [*map(str, range(deepest + 1)), "unit"]
    assert {lens["id"] for lens in data["lenses"]} == set(data["records"]["paint"]) == {"score", "good", "embedding_norm"}
    assert all(max(node["of"]) < len(data["records"]["name"]) for slot in data["slots"] for node in slot["nodes"])


@FINISHED
def test_a_linked_module_is_selected_where_it_stands(in_state: Workspace) -> None:
    run, codes = best_codes(in_state)
    spec = in_state.run(run).table().spec
    wanted = ModuleKey(("L3", "L4"), tuple(spec.tokens[code] for code in codes[2:4]))
    app = open_page("importance", module=module_text(wanted))
    assert headings(app)[0] == wanted.name
    start = shown(app)["start"]
    assert (start["node"], start["stop"]) == ("L4", "1")
    assert param(app, "module") == module_text(wanted)


@FINISHED
def test_a_linked_module_that_is_not_in_the_architecture_is_told_and_can_be_followed(in_state: Workspace) -> None:
    run, codes = best_codes(in_state)
    spec = in_state.run(run).table().spec
    other = ModuleKey(("L5",), (spec.tokens[(int(codes[4]) + 1) % 3],))
    app = open_page("importance", module=module_text(other))
    assert headings(app)[0] == other.name
    assert "not in this architecture" in texts(app)
    assert param(app, "module") == module_text(other)  # still what was chosen
    next(button for button in app.button if button.label.startswith("Show the best measured")).click().run()
    assert "not in this architecture" not in texts(app)
    assert headings(app)[0] == other.name and shown(app)["start"]["node"] == "L5"
    assert param(app, "arch").startswith("row:")


@FINISHED
def test_two_architectures_side_by_side(in_state: Workspace) -> None:
    app = open_page("importance", show="pair", arch="typed:00000000", beside="typed:00000002")
    data = shown(app, "graph_pair")
    assert [slot["id"] for slot in data["slots"] if slot["differs"]] == ["L8"]
    assert all(len(slot["nodes"]) == 2 for slot in data["slots"])
    read = texts(app)
    assert "In A" in read and "In B" in read and re.search(r"A\*\* [\d.]+ \([\d.]+ to", read)
    assert param(app, "show") == "pair" and param(app, "beside") == "typed:00000002"


@FINISHED
def test_the_best_tenth_shows_what_is_common_there(in_state: Workspace) -> None:
    app = open_page("importance", show="best")
    assert "9 measured architectures" in texts(app)  # of 90
    table = next(frame.value for frame in app.dataframe if "best tenth" in frame.value)
    assert table["best tenth"].sum() == pytest.approx(1, abs=0.02) and (table["all measured"] > 0).all()
    assert headings(app)[0] == "L1 in the best tenth"


@FINISHED
def test_what_is_marked_on_the_map_is_averaged(in_state: Workspace) -> None:
    everything = "box:-1e6,-1e6,1e6,1e6"
    app = open_page("importance", show="marked", brush=everything)
    assert len(shown(app, "graph_marked")["slots"]) == 8
    assert "the marked region, 90 measured architectures" in texts(app)
    assert headings(app)[0] == "L1 in the marked region"
    table = next(frame.value for frame in app.dataframe if "marked region" in frame.value)
    assert table["marked region"].tolist() == table["all measured"].tolist()  # all are marked
    nothing = open_page("importance", show="marked", brush="box:1e5,1e5,2e5,2e5")
    assert shown(nothing)["start"]["node"] == "L1"  # one architecture, as without the region
    assert "Marked" not in [str(option) for group in nothing.get("button_group") for option in group.options]


@FINISHED
def test_a_typed_mistake_keeps_what_was_typed(in_state: Workspace) -> None:
    app = open_page("importance", arch="typed:99")
    assert "expected 8 digits" in app.error[0].value
    assert any(box.value == "99" for box in app.text_input)


@pytest.mark.parametrize("in_state", ["finished flat"], indirect=True)
def test_a_minimised_target_is_better_when_smaller(in_state: Workspace) -> None:
    data = shown(open_page("importance"))
    score = next(lens for lens in data["lenses"] if lens["id"] == "score")
    assert score["legend"]["light"]["labels"][0].startswith("better")


@CELLS
@pytest.mark.parametrize(
    ("places", "whole", "name"), [(("0>1", "1>3"), False, "0>1>3: "), (("0>3", "1>3", "2>3"), True, "0>3, 1>3, 2>3: ")]
)
def test_paths_and_sums_of_a_cell_are_found(in_state: Workspace, places: tuple[str, ...], whole: bool, name: str) -> None:
    run, codes = best_codes(in_state)
    spec = in_state.run(run).table().spec
    layers = tuple(spec.tokens[codes[spec.position_labels.index(place)]] for place in places)
    app = open_page("importance", module=module_text(ModuleKey(places, layers, whole)))
    assert headings(app)[0].startswith(name)
    assert "Circles are sums" in texts(app)
    assert shown(app)["start"]["node"] == (places[-1] if not whole else shown(app)["start"]["node"])


@CELLS
@pytest.mark.parametrize("show", ["pair", "best"])
def test_cells_side_by_side_and_on_average(in_state: Workspace, show: str) -> None:
    data = shown(open_page("importance", show=show), f"graph_{show}")
    assert data["free"] and data["input"] and [slot["kind"] for slot in data["slots"]].count("sum") == 3


@FINISHED
def test_the_graph_says_what_the_module_table_says(in_state: Workspace) -> None:
    run, codes = best_codes(in_state)
    modules, spec = in_state.run(run).read_frame("modules.parquet"), in_state.run(run).table().spec
    data = shown(open_page("importance"))
    index = module_index(modules)
    for stop in range(len(data["stops"]) - 1):
        lines = {position: line for position, line, _ in drawing.node_lines(modules, index, spec, codes, stop)}
        called = {
            label: module_name(*modules.loc[lines[p], ["positions", "layers"]]) for p, label in enumerate(spec.position_labels)
        }
        sent = {slot["id"]: data["records"]["name"][slot["nodes"][0]["of"][stop]] for slot in data["slots"]}
        assert sent == called
    assert data["stops"][-1]["name"] == graph.stop_name(graph.WHOLE)


@FINISHED
def test_a_click_quicker_than_the_url_of_the_choice_before_it_loses_nothing(in_state: Workspace) -> None:
    app = open_page("hops", lens="good")
    old = chosen(app)
    for lens in (Lens.SCORE, Lens.NORM):
        app.selectbox(key="lens_widget").select(lens).run()
    assert param(app, "lens") == "embedding_norm"
    app.query_params.update(old)  # the browser has not heard of the choice yet
    app.button(key="next_hops").click().run()
    assert not app.exception and param(app, "lens") == "embedding_norm"
    app.query_params.update(old)  # a new link
    app.run()
    assert param(app, "lens") == "good"


@FINISHED
def test_a_choice_whose_callback_was_cut_short_by_the_next_click_counts(
    in_state: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("importance")
    before, start = param(app, "module"), shown(app)["start"]
    now = {"node": "L2", "stop": "0", "lens": "good", "turn": start["turn"], "count": 1}
    monkeypatch.setattr("pages._graphs.chosen", lambda key: now if key == "graph_one" else None)
    app.button(key="next_importance").click().run()
    assert not app.exception
    assert before.startswith("L1=") and param(app, "module").startswith("L2=") and param(app, "lens") == "good"
