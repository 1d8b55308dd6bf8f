"""Hostile names in real Chromium: they are read as they were written; nothing is fetched, linked, bold or drawn as an icon."""

from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page

from autobuild_core.review.bundle import make_bundle
from autobuild_core.review.page import page as review_page
from autobuild_core.store.workspace import Workspace
from tests.app import hostile
from tests.browser.conftest import DRAWN, LAST_SEEN, Watch, moved, wait_until_still

pytestmark = pytest.mark.browser
# Everything in the page and in what stands in it with a tree of its own, the drawings of charts among it.
MADE = """() => {
  const found = [], inside = (one) => (one.shadowRoot ? every(one.shadowRoot) : []);
  const every = (root) => [...root.querySelectorAll('*')].flatMap((one) => [one, ...inside(one)]);
  for (const one of every(document)) {
    const own = [...one.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data).join('').trim();
    const names = ['src', 'href', 'xlink:href', 'action', 'data', 'poster'].map((name) => one.getAttribute(name) || '');
    const bold = /^(b|strong|sup|em|del|h1|code|i)$/.test(one.localName) && /^(x|y|h|d|e|c)$/.test(own);
    const spans = one.localName === 'tspan' && (/bold|baseline/.test(one.getAttribute('style') || '')) && /^(x|y)$/.test(own);
    const icon = /^(home|rocket)$/.test(own) || /\\u{1F680}/u.test(own);
    const colour = /stMarkdown(Colored|Badge)|badge/i.test(one.className) && /^(r|b)$/.test(own);
    const formula = one.classList.contains('katex');
    const asked = names.some((name) => /^[^#].*evil/.test(name));
    if (asked || bold || spans || icon || colour || formula) found.push(one.outerHTML.slice(0, 200));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def run(server_workspace: Workspace) -> str:
    """The id of a run whose every name is hostile."""
    return hostile.hostile(server_workspace)


def shown(page: Page) -> str:
    """What can be read, without the joiners of no width."""
    return page.locator("body").inner_text().replace("\u2060", "")


def test_pages_show_hostile_names_as_they_were_written(page: Page, server: str, watch: Watch, run: str) -> None:
    chosen = {"run": run, "arch": f"row:{hostile.PICTURE}", "unit": hostile.LINK, "look": "interactions", "lens": hostile.ICON}
    page.goto(f"{server}/?{urlencode(chosen)}")
    for name, last in LAST_SEEN.items():
        if name:
            moved(page, name)
        page.get_by_text("The five evaluations" if name == "review" else last).first.wait_for()
        page.wait_for_function(DRAWN)
        if page.get_by_text("Should I trust this?").count():
            page.get_by_text("Should I trust this?").first.click()
            page.get_by_text("Is the best module really the best?").wait_for()
        wait_until_still(page)
        assert (name, page.evaluate(MADE)) == (name, [])
        assert hostile.PICTURE[:20] in shown(page), name
        for mark in page.locator(".st-key-top_bar [data-testid=stTooltipHoverTarget]:visible").all():
            mark.hover()
            wait_until_still(page)
            assert (name, page.evaluate(MADE)) == (name, [])
        page.mouse.move(0, 0)  # the tip goes: it would lie over the navigation
    watch.assert_quiet()


def test_a_table_to_be_stored_and_every_section_of_hops(page: Page, server: str, watch: Watch, run: str, tmp_path: Path) -> None:
    for look in ("scorers", "targets"):
        page.goto(f"{server}/hops?{urlencode({'run': run, 'look': look})}")
        page.get_by_text(LAST_SEEN["hops"]).first.wait_for()
        wait_until_still(page)
        assert page.evaluate(MADE) == []
    page.goto(f"{server}/data?{urlencode({'run': run})}")
    page.get_by_role("button", name="Add another file").click()
    file = {"name": f"{hostile.IMAGE.replace('/', ':')}{hostile.FORMULA}.csv", "mimeType": "text/csv"}
    content = hostile.hostile_file(tmp_path / "data.csv").read_bytes()
    page.locator("input[type=file]").first.set_input_files(file | {"buffer": content})
    page.get_by_role("button", name="Use these columns").wait_for()
    wait_until_still(page)
    assert page.evaluate(MADE) == []
    assert hostile.PICTURE in shown(page)
    watch.assert_quiet()


def test_files_that_leave_the_app(page: Page, server_workspace: Workspace, run: str, tmp_path: Path) -> None:
    folder, asked = server_workspace.run(run), list[str]()
    (tmp_path / "review.html").write_text(review_page(make_bundle(folder)), encoding="utf-8")
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"file://{tmp_path}/review.html")
    page.locator(".js-plotly-plot").first.wait_for()
    wait_until_still(page)
    assert page.evaluate(MADE) == []
    assert hostile.PICTURE in shown(page)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
