"""Crafted links: whatever stands in a parameter, a page shows its default or a sentence, never an exception."""

from contextlib import suppress
from typing import Any

import pytest

from autobuild_core.errors import StudioError
from autobuild_core.figures import space
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.scoring.space_map import FILES, Brush
from autobuild_core.store.workspace import Workspace
from pages import _linked, _memory, _run, _selection
from tests.app.workspaces import open_page, texts

PAGES = ("home", "data", "train", "map", "importance", "hops", "builder", "evaluate", "search_space", "review")
LONG = 10_000
NUMBERS = ("²", "٣", "-1", "1.5", "1e9", "nan", "9" * 21, "9" * LONG, " 1", "+1", "1_0")
NONSENSE = (
    "",
    "x",
    "a" * LONG,
    "%ff",
    "../../etc/passwd",
    "\x00",
    "=",
    "!",
    ":",
    ",",
    "null",
    "best:",
    "whole:²",
    "²:all",
    "all:all",
)
JSON = ("[", "{", "[" * LONG, "{" * LONG, "{}", "[[]]", "[[1]]", '[["a", 1], null]', "[1e999]", '["\\ud800"]', '{"a": {"b": []}}')
CORNERS = (
    "",
    "1",
    "0,0,0,0",
    "nan,0,1,1",
    "inf,-inf,1,1",
    "1e308,-1e308,-1e308,1e308",
    "5e-324,0,1e-323,0",
    "٠,١,٢,٣",
    "0," * LONG,
)
VALUES = (*NUMBERS, *NONSENSE, *JSON, *(f"{kind}:{corners}" for kind in ("box", "lasso") for corners in CORNERS))
ROWS = tuple(f"row:{number}" for number in (*NUMBERS, ""))
TYPED = tuple(f"typed:{text}" for text in (*NONSENSE, *JSON, *NUMBERS))
# What every parameter is at once, on every page: each falls back by itself.
AT_ONCE = ("²", "9" * LONG, "[" * LONG, "box:inf,-inf,1,1", "lasso:0,0,0,0,0,0", "\x00=!")
IN_STATES = ("finished", "finished flat", "finished cells")


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the link says, in place of a browser's."""
    said: dict[str, str] = {}
    for module in (_selection, _memory):
        monkeypatch.setattr(module, "recall", lambda name: said.get(name) or None)
    return said


def a_run(workspace: Workspace) -> FinishedRun:
    """The finished run of a workspace."""
    return _run.read_run(str(workspace.runs()["id"].iloc[0]))


@pytest.mark.parametrize("in_state", IN_STATES, indirect=True)
def test_an_architecture_is_the_default_one_or_a_project_error(in_state: Workspace, link: dict[str, str]) -> None:
    run = a_run(in_state)
    for name, default in (("arch", "best"), ("beside", "worst")):
        for value in (*VALUES, *ROWS, *TYPED):
            link |= {name: value, "show": "pair"}
            with suppress(StudioError):
                found = _selection.architecture(run, name)
                assert found.kind in ("best", default, "typed", "row"), value
            _selection.chosen_row(run)
        for value in ROWS:
            link |= {name: value}
            assert _selection.architecture(run, name).kind == "best", value
        link.clear()


@pytest.mark.parametrize("in_state", IN_STATES, indirect=True)
def test_a_module_is_one_of_the_space_or_none(in_state: Workspace, link: dict[str, str]) -> None:
    run = a_run(in_state)
    first, last, token = (*run.table.spec.position_labels[:: run.table.spec.num_positions - 1], run.table.spec.tokens[0])
    strange = (
        f"{first},{first}={token},{token}",
        f"{last},{first}={token},{token}!",
        f"{first}={token},{token}",
        f"{first}=",
        "=!",
    )
    fine = f"{first}={token}"
    chosen = {}
    for value in (*VALUES, *strange, fine):
        link["module"] = value
        chosen[value] = _selection.module(run)
        _selection.module_line(run)
    found = [key for key in chosen.values() if key is not None]
    assert chosen[fine] in found and all(key.fits(run.table.spec) for key in found)
    for key in found:
        _selection.best_row_with(run, key)


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_every_other_choice_falls_back_to_its_default(in_state: Workspace, link: dict[str, str]) -> None:
    run = a_run(in_state)
    for value in (*VALUES, *ROWS, *TYPED):
        link |= dict.fromkeys(("hop", "lens", "unit", "task", "drop"), value)
        assert _selection.hop(4) == 0, value
        assert _selection.lens().value == "score"
        assert _selection.unit(run.table.spec) is None
        assert _run.read_run(run.id, value).task == ""


@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_region_is_one_of_a_map_or_none(in_state: Workspace, link: dict[str, str]) -> None:
    run = a_run(in_state)
    tables: Any = _linked.maps(run)
    regions = []
    for value in VALUES:
        link["brush"] = value
        held, region = _linked.marked(run), Brush.parse(value)
        assert (held is None) == (region is None)
        regions += [region] if region else []
    assert regions
    for region in regions:
        space.window_of(tables[FILES[0]], tables[FILES[1]], region)
        assert Brush.parse(region.text) is not None


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_every_page_opens_whatever_all_its_parameters_are(page: str, in_state: Workspace) -> None:
    run = str(in_state.runs()["id"].iloc[0])
    for value in AT_ONCE:
        everything = dict.fromkeys(_memory.NAMES, value) | {"at": value, "run": run}
        app = open_page(page, **everything | {"arch": "best", "beside": "worst"})
        assert not app.exception, (value, [e.value for e in app.exception])
        assert texts(app)


@pytest.mark.parametrize("name", ["run", "data", "drop", "arch", "show"])
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_what_is_looked_up_opens_too(name: str, in_state: Workspace) -> None:
    for value in ("²", "row:²", "row:" + "9" * LONG, "typed:" + "[" * LONG, "\x00", "../" * 30):
        app = open_page("data" if name in ("data", "drop") else "importance", **{name: value})
        assert not app.exception, (value, [e.value for e in app.exception])
        assert texts(app)


@pytest.mark.parametrize("row", ["-1", "²", "9" * 30, "x"])
@pytest.mark.parametrize("in_state", ["finished"], indirect=True)
def test_a_row_that_is_none_gets_a_sentence(row: str, in_state: Workspace) -> None:
    app = open_page("hops", arch=f"row:{row}")
    assert not app.exception
    assert f"Row {row} of this link is not among the data of this run" in texts(app)


@pytest.mark.parametrize("in_state", ["no data"], indirect=True)
def test_a_setting_that_is_no_number_gets_a_sentence(in_state: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("²", "0", "-1", "many", "9" * LONG):
        monkeypatch.setenv("AUTOBUILD_THREADS", value)
        app = open_page("home")
        assert not app.exception
        assert "expected a whole number of at least 1" in app.error[0].value
