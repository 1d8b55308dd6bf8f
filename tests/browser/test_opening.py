"""A hundred thousand architectures: every page is drawn, a click names a module, the map is brushed. `make times` measures it."""

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import large_file, train
from tests.browser.conftest import LAST_SEEN, Watch, drag, moved, opened, wait_until_still

pytestmark = pytest.mark.browser
NUM = 100_000


@pytest.fixture(scope="module")
def chosen(server_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The query of a finished run and its data."""
    data = read_table(large_file(tmp_path_factory.mktemp("data") / "large.csv", NUM))
    assert len(data) == NUM
    dataset = server_workspace.add_dataset(data, "All")
    return f"run={train(server_workspace, dataset, 'acc_pct', False)}&data={dataset}"


def test_every_page_is_drawn(page: Page, server: str, watch: Watch, chosen: str) -> None:
    page.goto(f"{server}/?{chosen}")
    for name, last in LAST_SEEN.items():
        if name:
            moved(page, name)
        page.get_by_text(last).first.wait_for()
        wait_until_still(page)
        assert page.locator("[data-testid=stException]").count() == 0, name
    watch.assert_quiet()


def test_a_click_on_a_layer_names_its_module(page: Page, server: str, watch: Watch, chosen: str) -> None:
    opened(page, f"{server}/importance?{chosen}", LAST_SEEN["importance"])
    page.locator("[data-ready=yes]").wait_for()
    named = page.locator("[data-testid=stHeading] h3").first
    for layer in ("stage5.L1", "stage2.L2"):
        page.get_by_role("option", name=f"{layer}: ").click()
        expect(named).to_contain_text(layer)
    watch.assert_quiet()


def test_the_map_draws_some_of_them_and_a_region_of_it_is_brushed(page: Page, server: str, watch: Watch, chosen: str) -> None:
    opened(page, f"{server}/map?{chosen}", "100,000 architectures in")
    marks = page.evaluate(
        "() => document.querySelector('.js-plotly-plot')._fullData.find((t) => t.name === 'evaluated').x.length"
    )
    assert 500 < marks < 10_000  # a browser draws so many fluently
    before = page.url
    drag(page)()
    page.wait_for_function("before => location.href !== before", arg=before)
    expect(page.get_by_text("The marked region")).to_be_visible()
    page.get_by_role("button", name="Clear the mark").click()
    expect(page.get_by_text("All evaluated", exact=True)).to_be_visible()
    watch.assert_quiet()
