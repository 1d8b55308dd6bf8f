"""A trained cell in real Chromium: boxes and circles answer the keyboard, the input does not."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.storage import Workspace
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
    canvas, shown = page.locator(".canvas"), page.locator("[data-testid=stHeading] h3")
    expect(shown).to_contain_text("0>1: ")
    canvas.focus()
    page.keyboard.press("ArrowLeft")  # nothing stands before the first operation: the input is not selected
    for module in ("node=", "0>2: ", "0>1>2: ", "0>2, 1>2: "):
        page.keyboard.press("ArrowRight")
        if module != "node=":
            expect(shown).to_contain_text(module)
        else:
            page.wait_for_url("**module=node+1**")
    watch.assert_quiet()
