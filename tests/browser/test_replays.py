"""A replay in real Chromium: started with many seeds, its curves seen to come, cancelled, gone on with, read as differences."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import grid_file, train
from tests.browser.conftest import LAST_SEEN, Watch, fill_number, opened, wait_until_still

pytestmark = pytest.mark.browser
STARTED_MS = 60_000


@pytest.fixture(scope="module")
def grid(server_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run on a space all of whose networks were measured."""
    path: Path = tmp_path_factory.mktemp("data") / "grid.csv"
    return train(server_workspace, server_workspace.add_dataset(read_table(grid_file(path)), "Grid"), "acc", False)


def test_a_replay_is_started_watched_cancelled_and_gone_on_with(page: Page, server: str, watch: Watch, grid: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 720})
    opened(page, f"{server}/evaluate?run={grid}", LAST_SEEN["evaluate"])
    page.get_by_role("button", name="New replay").click()
    for label, value in (("Evaluations", 16), ("Of these random", 8), ("In a batch", 4), ("Seeds", 2000)):
        fill_number(page, label, value)
    page.get_by_role("button", name="Start the replay").click()
    outcome = page.get_by_role("table")
    expect(outcome).to_contain_text("Bayesian optimisation, as a search offers it", timeout=STARTED_MS)
    first = outcome.inner_text()
    expect(outcome).not_to_have_text(first, use_inner_text=True)  # it goes on by itself
    expect(page.locator("[class*=st-key-plot_replay_] .js-plotly-plot").first).to_be_visible()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
    wait_until_still(page)

    page.get_by_text("Default less each mode", exact=True).click()
    expect(page.get_by_text("Below zero the default is better.")).to_be_visible()
    expect(page.get_by_text(re.compile("^Mean over the seeds; a band"))).to_be_hidden()
    wait_until_still(page)
    kept = outcome.inner_text()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_visible()
    expect(outcome).not_to_have_text(kept, use_inner_text=True)  # from where it was
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
    wait_until_still(page)
    watch.assert_quiet()
