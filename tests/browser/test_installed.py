"""`autobuild-studio` of an installed wheel, far from the repository: the pages are drawn, the sample run is there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests import packed
from tests.browser.conftest import LAST_SEEN, Watch, free_port, opened, started

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command is given."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """The address of the installed app."""
    port, place = free_port(), packed.installed()
    command = [str(place / "bin" / "autobuild-studio"), "--port", str(port), "--server.headless", "true"]
    variables = {"PYTHONPATH": str(place), "AUTOBUILD_WORKSPACE": ""}  # "": ./workspace
    with started(command, port, folder, **variables) as address:
        yield address


def test_home_is_drawn_and_the_sample_opens_on_importance(page: Page, server: str, watch: Watch, folder: Path) -> None:
    page.goto(server)
    page.get_by_role("button", name="Try the sample").first.click()
    page.get_by_text(LAST_SEEN[""]).first.wait_for()
    page.get_by_role("link", name="Importance").first.click()
    page.get_by_text(LAST_SEEN["importance"]).first.wait_for()
    expect(page.locator("[data-ready=yes]")).to_be_visible()
    assert page.locator("[data-testid=stException]").count() == 0
    watch.assert_quiet()
    assert (folder / "workspace").is_dir()
    # The colours of .streamlit/config.toml are there.
    colour = "() => getComputedStyle(document.querySelector('[data-testid=stBaseButton-primary]')).backgroundColor"
    assert page.evaluate(colour) == "rgb(11, 122, 111)"


def test_a_page_is_there_by_its_address(page: Page, server: str, watch: Watch) -> None:
    opened(page, f"{server}/hops?run=sample", LAST_SEEN["hops"])
    watch.assert_quiet()
