"""A loop in rounds in real Chromium: started, its rounds seen to come, cancelled, gone on with, a network put on the screen."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import trained
from tests.browser.conftest import LAST_SEEN, Watch, opened, serving, wait_until_still
from tests.browser.test_evaluate import fill_number

pytestmark = pytest.mark.browser
FIRST_BOX = {"x": 17, "y": 52}  # of a table whose lines can be chosen: a canvas
OWN = """
import time

def evaluate(arch, budget, seed):
    time.sleep(0.2)
    return {"mean_acc": 88 + 0.3 * sum(map(int, arch))}
"""


@pytest.fixture(scope="module")
def server(server_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with an evaluator of one's own, slow enough for a loop to be watched."""
    own = tmp_path_factory.mktemp("own") / "slow.py"
    own.write_text(OWN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOBUILD_EVALUATORS", str(own))
        with serving(server_workspace) as address:
            yield address


@pytest.fixture(scope="module")
def run(server_workspace: Workspace) -> str:
    """A finished run on NAS-Bench-Macro."""
    return trained("finished", server_workspace)


def test_a_loop_is_started_watched_cancelled_and_gone_on_with(
    page: Page, server: str, watch: Watch, run: str, server_workspace: Workspace
) -> None:
    opened(page, f"{server}/evaluate?run={run}", LAST_SEEN["evaluate"])
    page.get_by_role("button", name="New loop").click()
    fill_number(page, "Networks to evaluate", 600)
    fill_number(page, "Networks a round", 3)
    page.get_by_role("button", name="Start the loop").click()

    # The first: while a page is drawn anew what was there before may still be there.
    said = page.get_by_text(re.compile(r"^\d+ rounds? over")).first
    expect(said).to_have_text(re.compile(r"^([2-9]|\d\d+) rounds over"))  # they come by themselves
    expect(page.locator("[class*=st-key-plot_rounds_] .js-plotly-plot")).to_have_count(1)
    page.locator("[class*=st-key-rounds_] .dvn-scroller").first.click(position=FIRST_BOX)
    chosen = page.get_by_text(re.compile("^Networks of round 1[.]")).first
    expect(chosen).to_be_visible()
    now = said.inner_text()
    expect(said).not_to_have_text(now)
    expect(chosen).to_be_visible()  # what is chosen stays while further rounds come

    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("cancelled", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Retrain with the new results")).to_be_visible()
    wait_until_still(page)  # what was drawn while it went on is gone
    before = said.inner_text()
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(page.get_by_text("running", exact=True)).to_be_visible()
    expect(said).not_to_have_text(before)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.get_by_text("cancelled", exact=True)).to_be_visible()

    wait_until_still(page)
    assert server_workspace.datasets()["version"].tolist() == [3, 2, 1]  # what it had both times it was cancelled
    page.get_by_role("button", name="Put candidate 1 on Builder's screen").click()
    page.wait_for_url(re.compile("/builder.*arch=typed"))
    arch = re.search(r"arch=typed%3A(\d+)", page.url)
    assert arch is not None
    expect(page.locator("[data-testid=stCode]").first).to_have_text(arch[1])
    watch.assert_quiet()
