"""A trained cell in real Chromium: boxes and circles answer the keyboard, the input does not."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import cell_file, train
from tests.browser.conftest import Watch

pytestmark = pytest.mark.browser


def test_the_arrow_keys_walk_through_a_cell(
    page: Page, server: str, watch: Watch, server_workspace: Workspace, tmp_path: Path
) -> None:
    data = read_table(cell_file(tmp_path / "cells.csv"))
    train(server_workspace, server_workspace.add_dataset(data, "Cells"), "acc", False)
    page.goto(f"{server}/importance?hop=1")
    page.locator("[data-ready=yes]").wait_for()
    shown = page.locator("[data-testid=stHeading] h3").first
    expect(shown).to_contain_text("0>1: ")
    legend = page.locator("div.legend").bounding_box()
    assert legend is not None and legend["y"] + legend["height"] < 720  # in sight with the whole cell
    page.get_by_role("option").first.focus()
    page.keyboard.press("ArrowLeft")  # nothing stands before the first operation: the input is not selected
    for module in ("0>1: ", "0>2: ", "0>1>2: ", "0>2, 1>2: "):  # at node 1 its whole unit: the one operation that enters it
        page.keyboard.press("ArrowRight")
        expect(shown).to_contain_text(module)
    expect(page.locator(".node.selected")).to_have_attribute("data-id", "node 2")
    page.keyboard.press("ArrowUp")  # the nearest above: 0>2 and 0>3 stand there
    expect(page.locator(".node.selected")).not_to_have_attribute("data-id", "node 2")
    watch.assert_quiet()
