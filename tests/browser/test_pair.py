"""Run and data set in real Chromium: a run takes its data along, an upload drops it, a new tab agrees with Train."""

from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Locator, Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import flat_file, grid_file, macro_file, train
from tests.browser.conftest import DRAWN, LAST_SEEN, Watch, serving, wait_until_still

pytestmark = pytest.mark.browser
ROW, HALF = 35, 17  # pixels of a table's line


@pytest.fixture(scope="module")
def ids(server_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two data sets with a finished run each, "Macro" the older: ids of runs and of data sets by name."""
    folder, found = tmp_path_factory.mktemp("data"), {}
    for name, path, target in (
        ("Macro", macro_file(folder / "macro.json"), "mean_acc"),
        ("Flat", flat_file(folder / "flat.csv"), "acc_pct"),
    ):
        found[f"{name} data"] = server_workspace.add_dataset(read_table(path), f"{name} data")
        found[f"{name} run"] = train(server_workspace, found[f"{name} data"], target, False)
        server_workspace.rename_run(found[f"{name} run"], f"{name} run")
    return found


def bar(page: Page) -> Locator:
    """The bar at the top."""
    return page.locator(".st-key-top_bar")


def expect_pair(page: Page, ids: dict[str, str], run: str | None, data: str) -> None:
    """Bar and URL name a run and a data set."""
    expect(bar(page)).to_contain_text(run or "none trained on these data")
    expect(bar(page)).to_contain_text(data)
    page.wait_for_function(DRAWN)
    url = {name: values[0] for name, values in parse_qs(urlparse(page.url).query).items()}
    assert url.get("run") == (ids[run] if run else None)
    assert url["data"] == ids.get(data, url["data"])


def test_a_run_clicked_on_train_takes_its_data_along(page: Page, server: str, watch: Watch, ids: dict[str, str]) -> None:
    page.goto(f"{server}/train")
    page.get_by_text(LAST_SEEN["train"]).first.wait_for()
    expect_pair(page, ids, "Flat run", "Flat data")
    runs = page.locator("[data-testid=stDataFrame]").first
    runs.click(position={"x": HALF, "y": 2 * ROW + HALF})  # the second line
    expect_pair(page, ids, "Macro run", "Macro data")
    page.get_by_role("link", name="Data").click()
    page.get_by_text(LAST_SEEN["data"]).first.wait_for()
    expect_pair(page, ids, "Macro run", "Macro data")
    expect(page.get_by_label("Target, an equation over the metrics")).to_have_value("mean_acc")
    watch.assert_quiet()


def test_an_upload_drops_the_run_everywhere(page: Page, server: str, watch: Watch, ids: dict[str, str], tmp_path: Path) -> None:
    page.goto(f"{server}/data?run={ids['Macro run']}")
    expect_pair(page, ids, "Macro run", "Macro data")
    wait_until_still(page)
    page.get_by_role("button", name="Add another file").click()
    page.locator("input[type=file]").set_input_files(grid_file(tmp_path / "grid.csv"))
    page.get_by_role("button", name="Use these columns").click()  # a table shows how its columns are read first
    expect_pair(page, ids, None, "grid.csv")
    page.get_by_role("link", name="Builder").click()
    expect(page.get_by_text("no run has been trained on these data")).to_be_visible()
    expect_pair(page, ids, None, "grid.csv")
    page.get_by_role("link", name="Train").click()
    expect(page.get_by_text("No run was trained on the chosen data")).to_be_visible()
    expect(page.get_by_text("Learn from grid.csv")).to_be_visible()
    page.reload()
    expect_pair(page, ids, None, "grid.csv")
    watch.assert_quiet()


def test_a_new_tab_after_the_sample_was_tried_opens_it(page: Page, tmp_path: Path) -> None:
    with serving(Workspace(tmp_path / "workspace")) as address:
        page.goto(address)
        page.get_by_role("button", name="Try the sample").first.click()
        page.get_by_text("Best modules").wait_for()
        said = bar(page).inner_text()
        for name in ("", "train", "importance"):
            tab = page.context.new_page()
            tab.goto(f"{address}/{name}")
            tab.get_by_text(LAST_SEEN[name]).first.wait_for(state="attached")
            tab.wait_for_function(DRAWN)
            assert bar(tab).inner_text().split("\n")[:6] == said.split("\n")[:6]
            tab.close()
