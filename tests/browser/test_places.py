"""A link to a section brings it into view, whatever is drawn above it later, and lets go when the reader scrolls."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch, wait_until_still

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("query", "place"), [("rank=whole:0", "ranking"), ("look=interactions", "interactions")])
def test_a_link_opens_at_its_section(query: str, place: str, page: Page, server: str, watch: Watch) -> None:
    page.goto(f"{server}/hops?run=sample&{query}&at={place}")
    page.get_by_text("What a feature is worth").wait_for()
    heading = page.locator(f"#{place}")
    expect(heading).to_be_in_viewport()
    wait_until_still(page)  # all charts are there
    expect(heading).to_be_in_viewport()
    assert (heading.bounding_box() or {"y": 1e9})["y"] < 200
    page.mouse.move(640, 400)
    page.mouse.wheel(0, -5000)
    wait_until_still(page)
    expect(page.get_by_text("How well each hop orders")).to_be_in_viewport()
    watch.assert_quiet()
