"""Pin, review, export in real Chromium: a claim pinned on Importance is on Review in another session, and leaves as one file."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from autobuild_core.review.bundle import read_bundle
from tests.browser.conftest import DRAWN, PATIENCE_MS, Watch

pytestmark = pytest.mark.browser
NOTE = "Is kernel 5 slow on the target?"


def test_a_claim_goes_from_a_pin_to_a_file(page: Page, server: str, watch: Watch, browser: Browser, tmp_path: Path) -> None:
    page.goto(f"{server}/importance?run=sample")
    page.get_by_role("button", name="Pin", exact=True).first.wait_for()
    page.wait_for_function(DRAWN)
    page.get_by_role("button", name="Pin", exact=True).first.click()
    note = page.get_by_label("Note").first
    note.fill(NOTE)
    note.press("Control+Enter")
    page.get_by_role("button", name="Pin this claim").first.click()
    expect(page.get_by_text("Pinned. It is on Review.")).to_be_visible()
    expect(page.get_by_role("button", name="Pinned", exact=True).first).to_be_visible()
    watch.assert_quiet()

    other = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 720})
    review = other.new_page()
    review.set_default_timeout(PATIENCE_MS)
    again = Watch(review, server)
    review.goto(f"{server}/review?run=sample")
    expect(review.get_by_label("Note")).to_have_value(NOTE)
    expect(review.get_by_text("is worth").first).to_be_visible()
    review.get_by_text("The five evaluations most likely").click()
    expect(review.get_by_text("Together they would").first).to_be_visible()
    with review.expect_download() as download:
        review.get_by_role("button", name="One HTML file").click()
    bundle, text = read_bundle(download.value.path())
    assert [pin["note"] for pin in bundle["pins"]] == [NOTE] and bundle["pins"][0]["page"] == "importance"
    assert text is not None and NOTE in text and bundle["data"]["name"] == "fashion_mbconv.csv"
    review.get_by_role("button", name="Delete").click()
    expect(review.get_by_text("No claim is pinned yet")).to_be_visible()
    again.assert_quiet()
    other.close()
