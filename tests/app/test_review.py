"""Pins from every page that has scores, and the page that lists, edits and exports them."""

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.architectures.lens import Lens
from autobuild_core.store.pins import Claim, Pin, Pins
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import open_page, texts

FINISHED = pytest.mark.parametrize("in_state", ["finished", "finished flat", "finished cells"], indirect=True)
ONE = pytest.mark.parametrize("in_state", ["finished"], indirect=True)


def run_of(workspace: Workspace) -> str:
    run: str = workspace.runs()["id"].iloc[0]
    return run


def press(app: AppTest, label: str) -> AppTest:
    """Presses the first button that says so."""
    return next(button for button in app.button if button.label == label).click().run()


def some_pin(workspace: Workspace, note: str = "", lens: str = "score") -> Pin:
    """A pin of the run's best whole-unit module."""
    folder = workspace.run(run_of(workspace))
    modules = folder.read_frame("modules.parquet")
    line = modules[modules["whole_unit"]].sort_values("effect").iloc[-1]
    claim = Claim(tuple(json.loads(line["positions"])), tuple(json.loads(line["layers"])), True, Lens(lens))
    return Pins(folder.path / "pins").write(Pin(claim, note))


@pytest.mark.parametrize("page", ["importance", "hops", "builder"])
@FINISHED
def test_a_claim_is_pinned_on_any_page_and_found_in_a_new_session(page: str, in_state: Workspace) -> None:
    app = open_page(page, lens="good") if page != "builder" else open_page(page)
    next(area for area in app.text_area if area.label == "Note").set_value("Ask *Ada* about <this>").run()
    press(app, "Pin this claim")
    assert not app.exception, [e.value for e in app.exception]
    assert any("It is on Review" in toast.value for toast in app.toast)
    assert any(button.label == "Save the note" for button in app.button)
    kept = Pins.of(in_state, run_of(in_state)).all()
    assert [(pin.note, pin.page) for pin in kept] == [("Ask *Ada* about <this>", page)]
    assert kept[0].claim.lens == ("score" if page == "builder" else "good")
    again = open_page("review")
    assert not again.exception, [e.value for e in again.exception]
    assert [area.value for area in again.text_area] == ["Ask *Ada* about <this>"]
    assert ("among the best 10 %" if page != "builder" else "is worth") in texts(again)


@pytest.mark.parametrize("page", ["home", "data", "train", "map"])
@ONE
def test_the_chosen_module_can_be_pinned_everywhere(page: str, in_state: Workspace) -> None:
    app = press(open_page(page, module="L1,L2=mb6_k5,mb6_k5!", lens="good"), "Pin this claim")
    assert not app.exception, [e.value for e in app.exception]
    kept = Pins.of(in_state, run_of(in_state)).all()
    assert [(pin.page, pin.claim) for pin in kept] == [(page, Claim(("L1", "L2"), ("mb6_k5", "mb6_k5"), True, Lens.GOOD))]


@ONE
def test_a_pinned_claim_shows_its_note_where_it_was_pinned(in_state: Workspace) -> None:
    app = open_page("hops")
    press(app, "Pin this claim")
    app = open_page("hops")
    next(area for area in app.text_area if area.label == "Note").set_value("later").run()
    press(app, "Save the note")
    kept = Pins.of(in_state, run_of(in_state)).all()
    assert [pin.note for pin in kept] == ["later"]


@FINISHED
def test_a_claim_has_all_that_speaks_for_and_against_it(in_state: Workspace) -> None:
    some_pin(in_state)
    app = open_page("review")
    assert not app.exception, [e.value for e in app.exception]
    read = texts(app)
    for part in ("Looked at:", "seen in", "Measured:", "refits to bootstraps", "Label noise:", "Without it:", "times as wide"):
        assert part in read, part
    table = app.table[0].value
    assert table.index.tolist() == ["Average", "Among the best 10 %", "AutoBuild norm"]
    assert any(column.startswith("adjusted for ") for column in table.columns)
    assert {e.label for e in app.expander} >= {
        "The best measured with it, and the best without it",
        "The five evaluations most likely to overturn it",
    }


@ONE
def test_notes_are_edited_and_claims_deleted(in_state: Workspace) -> None:
    pin = some_pin(in_state, "first")
    pins = Pins.of(in_state, run_of(in_state))
    app = open_page("review")
    app.text_area[0].set_value("second").run()
    assert [p.note for p in pins.all()] == ["second"]
    assert open_page("review").text_area[0].value == "second"
    next(b for b in app.button if str(b.key) == f"delete_{pin.id}").click().run()
    assert not app.exception and pins.all() == []
    assert "No claim is pinned yet" in texts(app)
    press(app, "Undo")
    assert not app.exception and [(p.id, p.note) for p in pins.all()] == [(pin.id, "second")]
    assert not any(button.label == "Undo" for button in app.button)


@ONE
def test_the_module_of_a_claim_is_shown_on_importance(in_state: Workspace) -> None:
    some_pin(in_state, lens="good")
    app = press(open_page("review"), "Show the module")
    assert not app.exception, [e.value for e in app.exception]
    assert "Importance" in [heading.value for heading in app.header]
    assert "good" in app.query_params["lens"] and "module" in app.query_params


@ONE
def test_a_claim_of_a_module_that_the_run_does_not_have_can_be_deleted(in_state: Workspace) -> None:
    pin = some_pin(in_state)
    pins = Pins.of(in_state, run_of(in_state))
    pins.write(replace(pin, claim=replace(pin.claim, layers=("nonsense",) * len(pin.claim.layers))))
    app = open_page("review")
    assert not app.exception
    assert "expected one that this run scored" in app.error[0].value
    press(app, "Delete")
    assert pins.all() == []


@ONE
def test_a_full_workspace_says_so_and_loses_nothing(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autobuild_core.store.pins.Pins.most", 0)
    app = press(open_page("builder"), "Pin this claim")
    assert not app.exception
    assert any("delete some on Review" in toast.value.replace("\\", "") for toast in app.toast)


@ONE
def test_a_run_of_an_older_version_has_its_claims_too(in_state: Workspace) -> None:
    some_pin(in_state)
    folder = in_state.run(run_of(in_state))
    quality = folder.read_json("quality.json")
    del quality["trust"]
    folder.write_json("quality.json", quality)
    (folder.path / "trust_best.parquet").unlink()
    app = open_page("review")
    assert not app.exception, [e.value for e in app.exception]
    assert "not known: no architecture was measured twice" in texts(app)
