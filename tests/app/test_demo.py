"""docs/demo.md: every link opens the view it speaks of, on the sample that ships with the project."""

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
import streamlit as st

from pages._memory import NAMES
from pages._selection import parse_module
from tests.app.workspaces import ROOT, open_page, texts

LINKS = re.findall(r"\]\((http://127\.0\.0\.1:8501/[^)]*)\)", (ROOT / "docs" / "demo.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("link", LINKS)
def test_a_link_opens_its_view(link: str) -> None:
    st.cache_resource.clear()
    parts = urlsplit(link)
    query = dict(parse_qsl(parts.query, strict_parsing=True))
    assert query["run"] == "sample" and set(query) <= {*NAMES, "at"}
    app = open_page(parts.path.strip("/") or "home", **query)
    assert not app.exception, [e.value for e in app.exception]
    assert not app.error, [e.value for e in app.error]
    assert "Sample: MBConv" in texts(app)
    places = {value for name, value in query.items() if name == "at"}
    assert places <= {heading.proto.anchor for heading in app.subheader}
    modules = [parse_module(value) for name, value in query.items() if name == "module"]
    assert all(module is not None and module.whole_unit for module in modules)


def test_the_story_goes_through_all_pages_that_show_results() -> None:
    assert {urlsplit(link).path.strip("/") for link in LINKS} == {"", "importance", "hops", "builder", "evaluate", "review"}
    assert len(LINKS) >= 8
    assert any("&at=" in link for link in LINKS) and any("&module=" in link for link in LINKS)
