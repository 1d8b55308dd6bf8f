"""Text from outside is shown as it was written, on every page and in every figure; tests/browser/test_hostile.py looks again."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from autobuild_core.figures.template import as_written, literal, shown
from autobuild_core.store.workspace import Workspace
from pages import _memory
from pages._text import JOINER, code, plain, strong
from tests.app import hostile
from tests.app.workspaces import enter, open_page, texts

PAGES = ("home", "data", "train", "map", "importance", "hops", "builder", "evaluate", "search_space", "review")
# Fields of Streamlit's elements that it shows as they are; "options" are those of select boxes.
NOT_MARKDOWN = {
    "id",
    "alt",
    "code_text",
    "default",
    "raw_value",
    "value",
    "columns",
    "spec",
    "json",
    "options",
    "icon",
    "placeholder",
}
# What of a hostile name would work: a sign that no backslash stands before, an address or a name that no joiner keeps apart.
WORKS = re.compile(
    r"(?<!\\)(!\\?\[i|\[l\\?\]|<(img|a|b|sup|br)\b|\$x|`c`|~~e)|(?<!\u2060)(https?\\?:\\?//evil|www\\?\.evil)|:(material/home|rocket|red\[r|blue-badge\[b)"
)
TAG = re.compile(r"<[a-zA-Z/!][^>]*>")


@pytest.fixture(scope="module")
def workspace_of_names(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The workspace of hostile.py and its run."""
    place = tmp_path_factory.mktemp("hostile")
    return place, hostile.hostile(Workspace(place))


@pytest.fixture
def run(workspace_of_names: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The app's run."""
    enter(workspace_of_names[0], monkeypatch)
    return workspace_of_names[1]


def nodes(node: Any) -> Iterator[Any]:
    """Every element of a page."""
    for child in getattr(node, "children", {}).values():
        yield child
        yield from nodes(child)


def strings(message: Any) -> Iterator[tuple[str, str]]:
    """(field, text) of all texts of an element's message."""
    for field, value in message.ListFields():
        for one in value if hasattr(value, "append") or hasattr(value, "add") else [value]:
            if isinstance(one, str):
                yield field.name, one
            elif hasattr(one, "ListFields"):
                yield from strings(one)


def said(app: AppTest) -> list[tuple[str, str, str]]:
    """(kind of element, field, text) of all that a page says."""
    found = [(n.type, *pair) for n in nodes(app._tree) if getattr(n, "proto", None) is not None for pair in strings(n.proto)]
    assert any("evil" in text for *_, text in found)
    return found


def works(kind: str, field: str, text: str) -> bool:
    """Whether a hostile name does in a text what it is made for."""
    if kind == "html":
        return bool(re.search("evil|home", " ".join(TAG.findall(text))))
    if kind == "plotly_chart" and field == "spec":
        foreign = set(TAG.findall(json.dumps(json.loads(text)))) - {"<br>", "<b>", "</b>", "<extra>", "</extra>"}
        return bool(foreign or re.search(r"<b>x|<br>\W*$|<br>[=:]", text))
    return field not in NOT_MARKDOWN and bool(WORKS.search(re.sub(r"`[^`]*`", "", text)))


def check(app: AppTest) -> None:
    """No name works, wherever it stands."""
    assert not app.exception, [e.value for e in app.exception]
    assert [one for one in said(app) if works(*one)] == []


PLANTED = [
    ("html", "body", f"<b>{hostile.IMAGE}</b>", True),
    ("html", "body", "<b>evil</b>", False),
    ("plotly_chart", "spec", json.dumps({"x": [hostile.ANCHOR]}), True),
    ("plotly_chart", "spec", json.dumps({"x": ["<br>: a"]}), True),
    ("plotly_chart", "spec", json.dumps({"x": ["a<br>b<extra></extra>"]}), False),
    ("markdown", "body", f"a {hostile.LINK}", True),
    ("markdown", "body", f"a `{hostile.LINK}`", False),
    ("markdown", "icon", hostile.ICON, False),
]


@pytest.mark.parametrize(("kind", "field", "text", "found"), PLANTED)
def test_what_works_is_found(kind: str, field: str, text: str, found: bool) -> None:
    assert works(kind, field, text) == found


@pytest.mark.parametrize("name", PAGES)
def test_no_name_of_data_run_target_column_or_note_works(name: str, run: str) -> None:
    for look in ("interactions", "scorers", "targets") if name == "hops" else ("",):
        check(open_page(name, run=run, look=look))


@pytest.mark.parametrize("name", PAGES)
def test_no_parameter_of_a_link_works(name: str, run: str) -> None:
    for turn in range(0, len(hostile.ALL), 4):  # each parameter is three of them, one after the other
        texts_now = itertools.cycle((*hostile.ALL[turn:], *hostile.ALL[:turn]))
        everything = dict(zip((*_memory.NAMES, "at"), texts_now, strict=False)) | {"run": run, "show": "pair"}
        check(open_page(name, **everything | {way: f"row:{next(texts_now)}" for way in ("arch", "beside")}))
    check(open_page(name, **dict.fromkeys(_memory.NAMES, hostile.EVERYTHING) | {"run": run, "arch": "best"}))
    chosen = {"unit": hostile.PICTURE, "task": f"{hostile.ANCHOR}={hostile.LINK}", "data": hostile.PICTURE}
    check(open_page(name, **chosen | {"run": hostile.PICTURE}))
    check(open_page(name, **chosen | {"run": run, "module": f"{hostile.COLUMNS[3]}={hostile.COLUMNS[3]}=plain!"}))


@pytest.mark.parametrize("name", ["data", "importance"])
def test_no_text_that_is_refused_works(name: str, run: str) -> None:
    for text in (*hostile.ALL[::3], hostile.EVERYTHING):
        app = open_page(name, run=run, arch=f"typed:{text}", target=text, target_name=text, target_unit=text)
        assert app.error
        check(app)


def test_the_file_that_is_dropped_and_its_columns(run: str, tmp_path: Path) -> None:
    app = open_page("data", run=run)
    content = hostile.hostile_file(tmp_path / "data.csv").read_bytes()
    app.file_uploader[0].set_value((f"{hostile.PICTURE}.csv", content, "text/csv")).run()
    assert "How is" in texts(app)
    check(app)


def test_markdown_shows_a_text_as_it_is() -> None:
    for text in (*hostile.ALL, hostile.EVERYTHING, "a -> b", "1. x", "- x", "> x", "a | b", "x = y", "&lt;", "\\", "===", "---"):
        shown = plain(text, 1000)
        assert re.sub(r"\\(.)", r"\1", shown).replace(JOINER, "") == " ".join(text.split())
        assert "\n" not in shown and not re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]()#+\-.!|<>$:~&=^]", shown), shown
    assert plain("L1: loss, 0.5 of 3") == r"L1\: loss, 0\.5 of 3"
    assert strong(" x ") == "**x**" and plain("abcdef", 4) == "abc…"
    assert code("a`b\n\n![i](x)") == "`ab ![i](x)`" and code("`") == "` `"


def test_figures_have_the_markup_that_is_theirs_alone() -> None:
    own = {"text": ["a<br><b>1</b>"], "hovertemplate": "%{y}<extra></extra>"}
    assert as_written(own) is own
    foreign = {"x": ["<a href='x'>y</a>", 1, None], "layout": {"title": {"text": "<sup>2</sup><brr><script>"}}}
    assert as_written(foreign) == {
        "x": ["&lt;a href='x'>y&lt;/a>", 1, None],
        "layout": {"title": {"text": "&lt;sup>2&lt;/sup>&lt;brr>&lt;script>"}},
    }
    figure = go.Figure().add_scatter(x=np.array(["<i>a", "b"], object), y=[1, 2], name="<img src=x>")
    drawn = shown(figure, "#123456")
    assert list(drawn.data[0].x) == ["&lt;i>a", "b"] and drawn.data[0].name == "&lt;img src=x>"
    assert list(figure.data[0].x) == ["<i>a", "b"]
    assert literal("<b>&lt; %{x}") == "&lt;b>&amp;lt; %&#123;x}"
