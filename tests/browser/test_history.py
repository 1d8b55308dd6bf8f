"""Back and Forward in real Chromium: one entry a page, however many choices the address holds."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import macro_file, train
from tests.browser.conftest import LAST_SEEN, Watch, wait_until_still

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def run(server_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished run in the server's workspace."""
    path = macro_file(tmp_path_factory.mktemp("data") / "data.json")
    return train(server_workspace, server_workspace.add_dataset(read_table(path), "Test data"), "mean_acc", False)


@pytest.fixture
def page(page: Page, profile: BrowserContext) -> Page:
    """A tab of its own: Chromium counts the entries of a tab's history to fifty, and no further."""
    return profile.new_page()


def settled(page: Page, title: str) -> int:
    """Waits until a page is drawn and its address is whole; how many history entries there are."""
    page.get_by_text(LAST_SEEN[title.lower().replace("home", "")]).first.wait_for()
    page.wait_for_function("() => location.search.includes('run=')")
    wait_until_still(page)
    length: int = page.evaluate("history.length")
    return length


def test_a_page_is_one_entry_and_back_leads_to_the_page_before(page: Page, server: str, watch: Watch, run: str) -> None:
    page.goto(f"{server}/?run={run}&arch=row:3&lens=good&hop=1")
    length = settled(page, "Home")
    for title in ("Data", "Train", "Hops"):
        page.get_by_role("link", name=title, exact=True).click()
        assert settled(page, title) == (length := length + 1), title
        assert "arch=row" in page.url
    page.get_by_role("button", name="Build better ones").click()
    assert settled(page, "Builder") == length + 1
    for title in ("Hops", "Train", "Data"):
        page.go_back()
        expect(page).to_have_url(re.compile(rf"/{title.lower()}\?.*arch=row"))
        assert settled(page, title) == length + 1
    page.go_back()
    settled(page, "Home")
    page.go_forward()
    settled(page, "Data")
    watch.assert_quiet()


def test_choices_on_a_page_are_no_steps_back(page: Page, server: str, watch: Watch, run: str) -> None:
    page.goto(f"{server}/?run={run}")
    settled(page, "Home")
    page.get_by_role("link", name="Data", exact=True).click()
    length = settled(page, "Data")
    for word in ("Minimise", "Maximise"):
        page.get_by_role("radio", name=word).click()
        expect(page.get_by_test_id("stMarkdown").filter(has_text="Target").first).to_contain_text(f"{word.lower()} mean_acc")
    assert settled(page, "Data") == length
    page.go_back()
    settled(page, "Home")
    assert page.url.startswith(f"{server}/?")
    watch.assert_quiet()
