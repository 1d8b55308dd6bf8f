"""Search space in real Chromium: what ships, a cell chosen in its stream, evolutions and loops started, stopped, explored."""

import re

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.autospace import EvolutionFolder
from autobuild_core.jobs.kinds.evolve import EVOLUTION
from autobuild_core.jobs.kinds.loop import files_of
from autobuild_core.store.workspace import Workspace
from tests.browser.conftest import LAST_SEEN, Watch, click_chart, opened, wait_until_still

pytestmark = pytest.mark.browser
EVOLVED_MS = 300_000
FILLS = ".js-plotly-plot .fills path"


def test_a_first_visit_shows_an_evolution_and_a_click_on_a_band_its_cell(page: Page, server: str, watch: Watch) -> None:
    opened(page, f"{server}/search_space", LAST_SEEN["search_space"])
    expect(page.get_by_role("heading", name="Search space")).to_be_visible()
    assert page.locator(FILLS).count() > 100
    pictures = page.get_by_role("img", name=re.compile("^Cell e"))
    assert pictures.count() >= 30 and all(
        one.evaluate("(image) => image.complete && image.naturalWidth > 0") for one in pictures.all()[:5]
    )
    before = page.url
    stream = page.locator(".js-plotly-plot").first
    box = stream.bounding_box()
    assert box is not None
    click_chart(page, box["x"] + box["width"] * 0.5, box["y"] + 80)
    page.wait_for_url(lambda url: "cell=" in url and url != before)
    wait_until_still(page)
    assert re.search(r"cell=1\.\d+", page.url), "the first stream is that of layer 1"


def test_an_evolution_is_started_cancelled_and_gone_on_with(
    page: Page, server: str, watch: Watch, server_workspace: Workspace
) -> None:
    opened(page, f"{server}/search_space", LAST_SEEN["search_space"])
    page.get_by_role("button", name="New evolution").click()
    page.get_by_label("Name").fill("From Chromium")
    box = page.get_by_role("spinbutton", name="Budget, M multiply-adds")
    box.fill("0.1")
    box.press("Enter")
    wait_until_still(page)
    page.get_by_role("button", name="Start evolving").click()
    expect(page.get_by_text(re.compile(r"Evolving, generation \d+ of 40"))).to_be_visible(timeout=EVOLVED_MS)
    expect(page.get_by_role("button", name="Start evolving")).to_be_hidden()
    expect(page.get_by_text("The fittest cells of each layer")).to_be_visible(timeout=EVOLVED_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=EVOLVED_MS)
    run = str(server_workspace.runs()["id"].iloc[0])
    folder = EvolutionFolder(server_workspace.run(run).path / EVOLUTION)
    num = len(folder.lines())
    assert num >= 1 and run in page.url
    page.reload()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=EVOLVED_MS)
    wait_until_still(page)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text(re.compile(rf"Evolving, generation {num + 1} of 40"))).to_be_visible(timeout=EVOLVED_MS)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible(timeout=EVOLVED_MS)
    assert [line["generation"] for line in folder.lines()] == list(range(len(folder.lines())))


def test_a_loop_is_started_cancelled_and_gone_on_with(page: Page, server: str, watch: Watch, server_workspace: Workspace) -> None:
    opened(page, f"{server}/search_space?evolution=sample", LAST_SEEN["search_space"])
    page.get_by_role("button", name="Close the loop").click()
    expect(page.get_by_role("radio", name="that of the evolution above")).to_be_checked()
    page.get_by_role("button", name="Start", exact=True).click()
    sampling = page.get_by_text(re.compile(r"Stage 2 of 10: learned space: evaluating a sample"))
    expect(sampling).to_be_visible(timeout=EVOLVED_MS)
    cancel, resume = (page.get_by_role("button", name=name) for name in ("Cancel", "Resume"))
    run = str(server_workspace.runs()["id"].iloc[0])
    assert f"loop={run}" in page.url
    for last in (False, True):
        cancel.click()
        expect(resume).to_be_visible(timeout=EVOLVED_MS)
        wait_until_still(page)
        if last:
            break
        resume.click()
        expect(sampling).to_be_visible(timeout=EVOLVED_MS)
    files = files_of(server_workspace.run(run))
    assert files.plan.num_sampled == 20 and (files.path / "evolution" / "learned.json").exists()


def test_the_loop_that_ships_opens_on_importance(page: Page, server: str, watch: Watch, server_workspace: Workspace) -> None:
    opened(page, f"{server}/search_space?loop=sample", LAST_SEEN["search_space"])
    expect(page.get_by_text(re.compile("Over 3 unseen seeds the best network built from the learned space has"))).to_be_visible()
    page.get_by_role("button", name="Explore the modules of the learned space").click()
    page.wait_for_url("**/importance?**")
    expect(page.get_by_role("heading", name="Importance")).to_be_visible()
    expect(page.get_by_text("The loop that ships: learn")).to_be_visible()  # cut in the bar
    assert "The loop that ships: learned space" in server_workspace.runs()["name"].tolist()
