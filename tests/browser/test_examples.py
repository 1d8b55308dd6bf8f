"""What can be dropped, in real Chromium: every example is downloaded, some are dropped again; a wrong file says what it is."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.store.workspace import Workspace
from pages import _intake
from tests.browser.conftest import Watch, unreadable, wait_until_still

pytestmark = pytest.mark.browser
EXAMPLES = {_intake._file_name(kind): kind.example for kind in _intake._kinds().values()}
MOST_DOWNLOADS = 10


def test_a_wrong_file_says_what_it_is(page: Page, server: str, watch: Watch, tmp_path: Path) -> None:
    wrong = tmp_path / "results.pkl"
    wrong.write_text("<!DOCTYPE html><html><body>Sign in</body></html>")
    page.goto(f"{server}/data")
    page.locator("input[type=file]").set_input_files(wrong)
    expect(page.get_by_text("results.pkl: got a web page, not data: download the file itself")).to_be_visible()
    watch.assert_quiet()


def test_every_example_is_downloaded_and_two_are_dropped_again(
    page: Page, server: str, server_workspace: Workspace, watch: Watch, tmp_path: Path
) -> None:
    page.goto(f"{server}/data")
    page.get_by_text("What can I drop here?").click()
    expect(page.get_by_role("button", name="Example")).to_have_count(len(EXAMPLES))
    expect(page.get_by_role("button", name="Example").last).to_be_visible()
    assert unreadable(page) == []
    page.emulate_media(color_scheme="dark")
    wait_until_still(page)
    assert unreadable(page) == []
    files = []
    for number in range(len(EXAMPLES)):
        if number == MOST_DOWNLOADS:  # Chromium asks before a page has more of them
            page.goto(f"{server}/data")
            page.get_by_text("What can I drop here?").click()
            wait_until_still(page)
        with page.expect_download() as download:
            page.get_by_role("button", name="Example").nth(number).click()
        files.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(files[-1])
    assert {file.name: file.read_bytes() for file in files} == EXAMPLES
    dropped = files[0], files[-1]  # tests/app drops them all
    for file in dropped:
        if file != files[0]:
            page.get_by_role("button", name="Add another file").click()
        page.locator("input[type=file]").last.set_input_files(file)
        bar = page.locator("p", has_text="Data set").filter(has_text=file.stem[:20])
        expect(bar).to_be_visible()
        if "not stored" in bar.inner_text():  # a table whose columns are looked at first
            page.get_by_role("button", name="Use these columns").click()
            expect(page.get_by_text("not stored")).to_have_count(0)
        expect(page.get_by_text(re.compile(r"^(\d+) of \1$"))).to_be_visible()
        wait_until_still(page)  # what is dropped while a page is being drawn may be lost
    assert sorted(server_workspace.datasets()["name"]) == sorted(file.name for file in dropped)
    watch.assert_quiet()
