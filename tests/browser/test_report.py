"""The exported review in real Chromium: it opens from a file without a network, and everything in it works."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from autobuild_core.api import Run
from autobuild_core.architectures.lens import Lens
from autobuild_core.review.bundle import make_bundle
from autobuild_core.review.page import page as drawn
from autobuild_core.store.pins import Claim, Pin

pytestmark = pytest.mark.browser
READY = "[data-ready=yes]"
NOTE = "</script><script>document.title = 'taken over'</script>"


@pytest.fixture(scope="module")
def review(trained: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "review.html"
    pins = [Pin(Claim(("L1", "L2"), ("mb6_k5", "mb6_k5"), True), NOTE), Pin(Claim(("L3",), ("identity",), False, Lens.GOOD))]
    path.write_text(drawn(make_bundle(trained.folder, pins, "A run")), encoding="utf-8")
    assert path.stat().st_size < 10_000_000
    return path


def opened(browser: Browser, review: Path, theme: str) -> tuple[Page, list[str]]:
    """The page in a browser without a network, and what went wrong or was asked for."""
    context = browser.new_context(offline=True, color_scheme="dark" if theme == "dark" else "light", accept_downloads=True)
    page, wrong = context.new_page(), []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url))
    page.goto(review.as_uri())
    page.locator(READY).wait_for()
    return page, wrong


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_opens_without_a_network(browser: Browser, review: Path, theme: str) -> None:
    page, wrong = opened(browser, review, theme)
    assert page.title() == "Design review: A run"
    assert page.locator("html").get_attribute("data-theme") == theme
    shown = page.locator(".figure:visible")
    assert shown.count() >= 2 + 1 + 1 + 5
    assert page.locator(".figure:visible .main-svg").count() >= shown.count()
    for figure in shown.all():
        expect(figure.locator(".main-svg").first).to_be_visible()
    assert page.locator("svg.graph:visible .node").count() >= 8 * 3
    expect(page.locator("blockquote")).to_have_text(NOTE)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert wrong == []
    page.context.close()


def test_it_is_interactive(browser: Browser, review: Path) -> None:
    page, wrong = opened(browser, review, "light")
    hops = page.locator(".panes").filter(has=page.get_by_role("button", name="Hop 0: one layer"))
    before = hops.locator(".pane:visible .score").all_text_contents()
    hops.get_by_role("button", name="Hop 1: 2 layers").click()
    assert hops.locator(".pane:visible .score").all_text_contents() != before
    units = page.locator(".panes").filter(has=page.get_by_role("button", name="L3-5"))
    units.get_by_role("button", name="L3-5").click()
    expect(units.locator(".pane:visible .main-svg").first).to_be_visible()
    dot = page.locator("[data-figure=claim0] .scatterlayer .trace").last.locator("path.point")
    dot.hover(force=True)
    expect(page.locator("[data-figure=claim0] .hoverlayer .hovertext")).to_contain_text("mb6 k5")
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 20, 27)"
    assert page.locator("[data-figure=heat] text.xtitle").evaluate("e => getComputedStyle(e).fill") == "rgb(232, 234, 240)"
    page.get_by_text("The five evaluations most likely").first.click()
    expect(page.locator("details[open] tbody tr")).to_have_count(5)
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    assert json.loads(Path(download.value.path()).read_text())["kind"] == "autobuild-review"
    with page.expect_download() as download:
        page.locator("button[data-csv=heat]").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 1 + 8 * 3 and lines[0].startswith('"position","layer","value"')
    assert wrong == []
    page.context.close()
