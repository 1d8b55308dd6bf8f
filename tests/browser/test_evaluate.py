"""Evaluate in real Chromium: from the list over a real measurement with a tiny budget to the run that learned from it."""

import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import Workspace
from pages._workspace import SAMPLE_FILE
from tests.app.workspaces import train
from tests.browser.conftest import LAST_SEEN, Watch, fill_number, opened, wait_until_still

pytestmark = pytest.mark.browser
MEASURED_MS = TRAINED_MS = 300_000


@pytest.fixture(scope="module")
def run(server_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small run on networks that the classification evaluator can train."""
    path: Path = tmp_path_factory.mktemp("data") / "stages.csv"
    frame = pd.read_csv(SAMPLE_FILE)
    choices = [name for name in frame.columns if name.startswith("stage")]
    frame[[*choices, "test_loss"]].sample(80, random_state=0).to_csv(path, index=False)
    return train(server_workspace, server_workspace.add_dataset(read_table(path), "Stages"), "test_loss", True)


def test_a_batch_is_measured_and_learned_from(
    page: Page, server: str, watch: Watch, run: str, server_workspace: Workspace
) -> None:
    opened(page, f"{server}/evaluate?run={run}", LAST_SEEN["evaluate"])
    fill_number(page, "Architectures to add", 2)
    page.get_by_role("button", name="Add the best built").click()
    expect(page.get_by_text("2 waiting.")).to_be_visible(timeout=MEASURED_MS)
    wait_until_still(page)

    fill_number(page, "Candidates to measure", 3)
    page.get_by_role("button", name="Budget, seeds, time").click()
    fill_number(page, "Budget", 2)
    page.keyboard.press("Escape")
    expect(page.get_by_text("A budget of 2 is not the 400")).to_be_visible()
    expect(page.get_by_text("3 candidates: 2 that wait, 1 random control. About")).to_be_visible()
    wait_until_still(page)
    page.get_by_role("button", name="Start measuring").click()
    expect(page.get_by_role("heading", name="Evaluations")).to_be_visible(timeout=MEASURED_MS)

    expect(page.get_by_text("3 measured.")).to_be_visible(timeout=MEASURED_MS)
    expect(page.get_by_role("table")).to_contain_text("random controls")
    wait_until_still(page)
    page.get_by_role("button", name="Retrain with the new results").click()
    expect(page.get_by_text("This page fills as soon as the run is finished.")).to_be_visible(timeout=MEASURED_MS)
    expect(page.get_by_text(re.compile(r"\d of 4 claims of the run before are sure now"))).to_be_visible(timeout=TRAINED_MS)
    assert "run=" in page.url and run not in page.url
    runs = server_workspace.runs()
    newest = runs[runs["has_scores"]].iloc[0]
    assert (newest["data_version"], newest["state"]) == (2, "finished")
    measured = server_workspace.dataset(server_workspace.newest_version(server_workspace.data_of_run(run)))
    assert len(measured) == 83 and measured.metrics["test_loss"].notna().all()
