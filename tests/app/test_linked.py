"""Linked selection: what is chosen on one page is chosen on all, comes from the URL, and can be let go of; the map."""

import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.scoring import space_map
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import chosen, open_page, texts

LINKED = ("home", "data", "train", "map", "hops", "builder")
MODULE = "L1,L2=mb3_k3,mb6_k5"
DAMAGED = (
    *({"arch": "row:999999"}, {"arch": "typed:99"}, {"module": "L99=nothing"}, {"module": "x"}, {"brush": "box:1"}),
    *({"view": "lasso:1,2"}, {"hop": "-1"}, {"lens": "none"}, {"unit": "U9"}, {"rank": "9:9"}, {"look": "up"}, {"other": "me"}),
)
EVERYTHING = "box:-1e6,-1e6,1e6,1e6"


def run_of(workspace: Workspace) -> str:
    return str(workspace.runs()["id"].iloc[0])


def layers_of(box: Any) -> list[str]:
    """What a slot of the builder holds."""
    return json.loads(box.value) if box.value.startswith("[") else box.value.split(", ")


def slots_of(app: AppTest) -> list[Any]:
    """The slots of the builder."""
    return [box for box in app.selectbox if str(box.key).startswith("slot_")]


@pytest.mark.parametrize("page", LINKED)
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_link_chooses_the_same_on_every_page(page: str, in_state: Workspace) -> None:
    app = open_page(page, arch="row:3", module=MODULE, brush=EVERYTHING)
    assert not app.exception, [e.value for e in app.exception]
    read = texts(app)
    assert "**row 3: " in read
    assert "L1 to L2: mb3 k3, mb6 k5" in read
    assert "**90 of 90** architectures marked on the map" in read
    assert {"arch": "row:3", "module": MODULE}.items() <= chosen(app).items()


@pytest.mark.parametrize("page", LINKED)
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_where_nothing_is_chosen_no_page_says_so(page: str, in_state: Workspace) -> None:
    assert "Chosen]" not in texts(open_page(page))


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_choice_outlives_navigation_and_clear_lets_go_of_it(in_state: Workspace) -> None:
    app = open_page("map", arch="row:3", brush=EVERYTHING, hop="1", lens="good")
    app.query_params.clear()  # as the sidebar's links do
    app.switch_page("pages/hops.py").run()
    assert "**row 3: " in texts(app)
    assert {"arch": "row:3", "hop": "1", "lens": "good"}.items() <= chosen(app).items()
    next(b for b in app.button if b.key == "clear_hops").click().run()
    assert "**row 3: " not in texts(app)
    assert {"arch", "module", "brush"}.isdisjoint(chosen(app))


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
@pytest.mark.parametrize("choice", DAMAGED, ids=lambda choice: next(iter(choice)))
def test_a_damaged_link_opens_every_page_all_the_same(in_state: Workspace, choice: dict[str, str]) -> None:
    for page in LINKED:
        app = open_page(page, **choice)
        assert not app.exception, (page, [e.value for e in app.exception])


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_home_opens_a_module_in_the_best_architecture_that_has_it(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("pages._navigation.go_to", lambda name, **choices: asked.append(name))
    run = in_state.run(run_of(in_state))
    table, ranked = run.table(), run.read_frame("predictions.parquet").sort_values("target", ascending=False)["row"].tolist()
    num_measured = 0
    for place in (0, 1, 2, 3, 4, 5):
        app = open_page("home")
        next(b for b in app.button if b.key == f"show_module_{place}").click().run()
        assert not app.exception
        assert asked.pop() == "importance"
        link = chosen(app)
        assert link["module"].endswith("!")
        places, layers = link["module"].removesuffix("!").split("=")
        positions = [table.spec.position_labels.index(p) for p in places.split(",")]
        having = [row for row in ranked if [table.spec.tokens[c] for c in table.codes[row, positions]] == layers.split(",")]
        shown = link.get("arch", "best").removeprefix("row:")
        num_measured += bool(having)
        assert shown == "best" if not having or having[0] == ranked[0] else int(shown) == table.source_rows[having[0]]
    assert num_measured  # among the best and the worst are some that no architecture has


@pytest.mark.parametrize("in_state", ["finished", "finished flat"], indirect=True)
def test_data_draws_the_part_that_is_looked_at(in_state: Workspace) -> None:
    app = open_page("data", arch="row:3", brush=EVERYTHING)
    alts = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert "Histogram of every metric" in alts
    app.session_state["data_tabs"] = "Metrics against each other"
    app.run()
    alts = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert any(alt.startswith("Scatter matrix of ") for alt in alts)
    assert "Histogram of every metric" not in alts
    app.session_state["data_tabs"] = "Architectures"
    app.run()
    assert not app.exception, [e.value for e in app.exception]
    assert any("arch" in frame.value and len(frame.value) == 90 for frame in app.dataframe)


class TestMap:
    @pytest.mark.parametrize("in_state", ["finished", "finished flat", "finished cells"], indirect=True)
    def test_it_says_what_its_axes_are(self, in_state: Workspace) -> None:
        app = open_page("map")
        assert not app.exception
        read = texts(app)
        assert "of the variance of the graph embeddings" in read
        assert "so better, predicted target" in read
        assert "**90** architectures" in read
        assert "best tenth" in read

    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_a_marked_region_is_summed_up(self, in_state: Workspace) -> None:
        points = in_state.run(run_of(in_state)).read_frame("map.parquet")
        middle = float(points["x"].median())
        app = open_page("map", brush=f"box:{middle},-1e6,1e6,1e6")
        read, inside = texts(app), points[points["x"] >= middle]
        assert f"**{len(inside)}** of 90 architectures" in read
        assert "What the marked have in common" in read
        listed = next(f.value for f in app.dataframe if "measured" in f.value)
        assert listed["row"].tolist() == inside.sort_values("target", ascending=False, kind="stable")["source_row"].tolist()

    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_an_empty_region_says_so(self, in_state: Workspace) -> None:
        app = open_page("map", brush="box:1e5,1e5,2e5,2e5")
        assert not app.exception
        assert "No evaluated architecture lies here" in texts(app)

    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_a_region_is_enlarged_and_left_again(self, in_state: Workspace) -> None:
        app = open_page("map", brush="box:-1,-1,1,1")
        next(b for b in app.button if b.label == "Enlarge the region").click().run()
        assert chosen(app)["view"] == "box:-1,-1,1,1"
        assert "brush" not in chosen(app)
        next(b for b in app.button if b.label == "Whole space").click().run()
        assert "view" not in chosen(app)

    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_a_run_of_an_older_version_is_mapped_by_the_page_or_says_what_to_do(
        self, in_state: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = in_state.run(run_of(in_state))
        before = folder.read_frame("map.parquet")
        for name in space_map.FILES:
            (folder.path / f"{name}.parquet").unlink()
        app = open_page("map")
        assert not app.exception
        assert f"**{len(before)}** architectures" in texts(app)
        monkeypatch.setattr("pages._linked.MOST_MAPPED_HERE", 10)
        app = open_page("map", brush=EVERYTHING)
        assert "before there was a map" in texts(app)


class TestHops:
    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_the_chosen_module_decides_what_is_ranked(self, in_state: Workspace) -> None:
        app = open_page("hops", module=MODULE)
        assert next(box for box in app.selectbox if box.label == "Modules of").value == "whole:0"
        app = open_page("hops", module="L2,L3=mb3_k3,mb6_k5")
        assert next(box for box in app.selectbox if box.label == "Modules of").value == "1:-1"
        app = open_page("hops", module=f"{MODULE}!", rank="0:0")
        assert next(box for box in app.selectbox if box.label == "Modules of").value == "0:0"

    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_a_module_is_chosen_without_a_mouse(self, in_state: Workspace) -> None:
        app = open_page("hops", rank="0:0", brush=EVERYTHING)
        assert "Rings: " in texts(app)
        box = next(box for box in app.selectbox if box.label == "Choose a module")
        assert box.value is None
        box.set_value(1).run()
        assert not app.exception
        assert chosen(app)["module"].startswith("L")
        assert next(box for box in app.selectbox if box.label == "Choose a module").value == 1

    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_the_unit_to_follow_is_remembered(self, in_state: Workspace) -> None:
        app = open_page("hops", unit="L3-5")
        box = next(box for box in app.selectbox if box.label == "Follow the best of")
        assert box.value == "1"
        box.set_value("2").run()
        assert chosen(app)["unit"] == "L6-8"

    @pytest.mark.parametrize("in_state", ["finished", "finished flat", "finished cells"], indirect=True)
    def test_every_chart_has_its_words_and_its_table(self, in_state: Workspace) -> None:
        for page in ("home", "map", "hops", "train", "data"):
            app = open_page(page)
            charts = app.get("plotly_chart")
            assert charts and all(len(chart.proto.alt) > 10 for chart in charts), page
            assert len(app.get("download_button")) >= len(charts), page


class TestBuilder:
    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_the_slots_follow_what_is_chosen(self, in_state: Workspace) -> None:
        table = in_state.run(run_of(in_state)).table()
        app = open_page("builder", arch="row:3")
        place = int(np.flatnonzero(table.source_rows == 3)[0])
        held = [layer for box in slots_of(app) for layer in layers_of(box)]
        assert held == [table.spec.tokens[c] for c in table.codes[place]]

    @pytest.mark.parametrize("in_state", ["finished"], indirect=True)
    def test_a_module_chosen_in_a_slot_is_chosen(self, in_state: Workspace) -> None:
        app = open_page("builder")
        others = [layers_of(box) for box in slots_of(app)[1:]]
        option = app.selectbox[1].options[2]
        app.selectbox[1].set_value(option).run()
        assert not app.exception
        assert chosen(app)["module"] == f"L1,L2={','.join(layers_of(app.selectbox[1]))}!"
        assert [layers_of(box) for box in slots_of(app)[1:]] == others
