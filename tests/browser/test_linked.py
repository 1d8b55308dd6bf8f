"""Linked selection in real Chromium: the map brushed, charts clicked, a link in a new session, the keyboard."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import macro_file, train
from tests.browser.conftest import LAST_SEEN, Watch, click_chart, drag, moved, opened, unreadable, wait_until_still

pytestmark = pytest.mark.browser
PAGES = ("", "data", "train", "map", "hops", "builder")
# Where on the screen a point of a trace lies: [left, top].
PLACE = """([chart, name, index]) => {
  const plot = document.querySelectorAll('.js-plotly-plot')[chart];
  const trace = plot._fullData.find((one) => one.name === name) || plot._fullData[name];
  const { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
  return [box.left + xaxis._offset + xaxis.d2p(trace.x[index]), box.top + yaxis._offset + yaxis.d2p(trace.y[index])];
}"""


@pytest.fixture(scope="module")
def run(server_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished run in the server's workspace."""
    data = read_table(macro_file(tmp_path_factory.mktemp("data") / "evaluated.json", num=120))
    return train(server_workspace, server_workspace.add_dataset(data, "Evaluated"), "mean_acc", False)


def test_a_brushed_region_is_everywhere_and_in_the_link(
    page: Page, browser: Browser, server: str, watch: Watch, run: str
) -> None:
    opened(page, f"{server}/map", "Architectures, best first")
    drag(page)()
    expect(page.get_by_text("The marked region")).to_be_visible()
    page.wait_for_url(re.compile("brush=box"))
    said = page.get_by_text(re.compile(r"^\d+ of 120 architectures")).inner_text()
    number = re.match(r"\d+", said)
    assert number is not None and 0 < int(number[0]) < 120
    other = browser.new_context().new_page()  # a new session: nothing but the link
    other.goto(page.url)
    for name in ("map", "hops", "train", "data", ""):
        if name != "map":
            moved(other, name)
        expect(other.get_by_text(re.compile(rf"{number[0]} of 120 architectures marked on the map"))).to_be_visible(
            timeout=60_000
        )
    other.close()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_text("All evaluated", exact=True)).to_be_visible()
    assert "brush=" not in page.url
    watch.assert_quiet()


def test_a_click_on_the_map_chooses_an_architecture(page: Page, server: str, watch: Watch, run: str) -> None:
    opened(page, f"{server}/map", "Architectures, best first")
    page.get_by_text("Choose one").click()
    wait_until_still(page)  # the map is drawn anew
    page.locator(".gl-container canvas").first.scroll_into_view_if_needed()
    wait_until_still(page)
    click_chart(page, *page.evaluate(PLACE, [0, "evaluated", 7]))
    page.wait_for_url(re.compile(r"arch=row%3A\d+"))
    row = re.search(r"arch=row%3A(\d+)", page.url)
    assert row is not None
    expect(page.get_by_text(f"Chosen: row {row[1]}")).to_be_visible()
    wait_until_still(page)  # while the line of the choice is still being put in, the button may move away below the pointer
    page.get_by_role("button", name="Show in Importance").click()
    page.wait_for_url(re.compile(rf"/importance.*arch=row%3A{row[1]}"))
    watch.assert_quiet()


def test_a_module_clicked_on_hops_is_chosen_everywhere(page: Page, browser: Browser, server: str, watch: Watch, run: str) -> None:
    opened(page, f"{server}/hops", "What a feature is worth")
    dots = page.locator(".js-plotly-plot").nth(2)
    dots.scroll_into_view_if_needed()
    wait_until_still(page)
    click_chart(page, *page.evaluate(PLACE, [2, 0, 2]))
    page.wait_for_url(re.compile("module="))
    expect(page.get_by_text("Chosen").first).to_be_visible()
    link = page.url
    for name in ("Map", "Home", "Builder"):  # by the sidebar: the session keeps it
        page.get_by_role("link", name=name).click()
        expect(page.get_by_text("Chosen").first).to_be_visible()
        page.wait_for_url(re.compile(rf"{'' if name == 'Home' else name.lower()}\?.*module="))
    other = browser.new_context().new_page()
    other.goto(link)
    expect(other.get_by_text("Chosen").first).to_be_visible(timeout=60_000)
    other.close()
    watch.assert_quiet()


def test_the_mode_bar_is_reached_by_keyboard_and_saves_svg(page: Page, server: str, watch: Watch, run: str) -> None:
    opened(page, f"{server}/hops", "What a feature is worth")
    button = page.locator(".modebar-btn[aria-label='Download plot']").first
    button.focus()
    expect(page.locator(".modebar").first).to_have_css("opacity", "1")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    text = Path(download.value.path()).read_text()
    assert download.value.suggested_filename == "hop_srcc.svg"
    assert text.startswith("<svg") and "hop 0" in text
    watch.assert_quiet()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(page: Page, server: str, watch: Watch, run: str, theme: str) -> None:
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": 1280, "height": 2400})
    page.goto(server)
    for name in PAGES:
        if name:
            moved(page, name)
        page.get_by_text(LAST_SEEN[name]).first.wait_for()
        wait_until_still(page)
        assert (name, unreadable(page)) == (name, [])
        page.get_by_role("button", name=re.compile("How to read this")).click()
        expect(page.locator("[data-testid=stPopoverBody]")).to_contain_text("How to read this.")
        page.keyboard.press("Escape")
