"""Every page as a reader sees it, light and dark: compared with the pictures in docs/pictures.

`make pictures` takes them anew, after a change that is meant to be seen. Fonts and their edges differ between machines, so
pictures are compared as grids of mean colours: what moves, disappears or changes its colour is found, a letter's shape is not.
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page

from autobuild_core.datasets import read_table
from autobuild_core.store.workspace import SAMPLE_ID, Workspace
from pages._shared import SAMPLE_FILE
from tests.app.workspaces import trials
from tests.browser.conftest import LAST_SEEN, ROOT, Watch, wait_until_still

pytestmark = pytest.mark.browser
FOLDER = ROOT / "docs" / "pictures"
WRITE = os.environ.get("AUTOBUILD_PICTURES") == "write"
CELL = 40  # pixels a side of the cells whose mean colours are compared
MOST_DIFFERENT = 0.06  # share of the cells that may differ: text flows differently where fonts do
NOTICED = 12  # of 255: a difference of a cell's mean colour


def cells(picture: bytes) -> NDArray[np.float64]:
    """(down, across, 3) mean colours of a picture's cells."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), float)
    down, across = pixels.shape[0] // CELL, pixels.shape[1] // CELL
    blocks = pixels[: down * CELL, : across * CELL].reshape(down, CELL, across, CELL, 3)
    means: NDArray[np.float64] = blocks.mean((1, 3))
    return means


def share_different(first: bytes, second: bytes) -> float:
    """Share of the cells of two pictures of one size whose mean colours differ by more than NOTICED."""
    return float((np.abs(cells(first) - cells(second)).max(2) > NOTICED).mean())


def test_what_is_seen_counts_as_different() -> None:
    """A missing figure does, a shade of two levels does not."""
    page = np.full((720, 1280, 3), 250, np.uint8)
    page[200:500, 100:700] = (40, 120, 110)

    def picture(pixels: NDArray[np.uint8]) -> bytes:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        return out.getvalue()

    assert share_different(picture(page), picture(page - 2)) == 0
    assert share_different(picture(page), picture(np.full_like(page, 250))) > MOST_DIFFERENT


@pytest.fixture(scope="module")
def sample(server_workspace: Workspace) -> None:
    """The sample is what the workspace holds."""
    server_workspace.add_dataset(read_table(SAMPLE_FILE), SAMPLE_FILE.name)


@pytest.mark.parametrize("name", LAST_SEEN)
def test_a_page_looks_as_in_its_pictures(name: str, page: Page, server: str, watch: Watch, sample: None) -> None:
    wrong = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        page.goto(f"{server}/{name}?run={SAMPLE_ID}")
        page.get_by_text(LAST_SEEN[name]).first.wait_for(state="attached")
        wrong += compared(page, f"{name or 'home'}-{theme}")
    assert not wrong, f"different from {', '.join(wrong)}; look, then make pictures"
    watch.assert_quiet()


def test_the_mapping_step_looks_as_in_its_pictures(page: Page, server: str, watch: Watch, sample: None, tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text(trials())
    page.goto(f"{server}/data")
    wait_until_still(page)
    page.get_by_role("button", name="Add another file").click()
    page.locator("input[type=file]").set_input_files(path)
    page.locator("[data-read]").wait_for()
    wrong = []
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        page.reload()
        page.get_by_text("Architecture of row").last.wait_for(state="attached")
        page.locator("[data-read]").wait_for()
        wrong += compared(page, f"mapping-{theme}")
    assert not wrong, f"different from {', '.join(wrong)}; look, then make pictures"
    watch.assert_quiet()


def compared(page: Page, name: str) -> list[str]:
    """Takes a page's picture when it is drawn; what differs from the kept one."""
    wait_until_still(page)
    taken = page.screenshot(animations="disabled", caret="hide")
    path = FOLDER / f"{name}.png"
    if WRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(_smaller(taken))
    share = share_different(taken, path.read_bytes())
    return [f"{path.name}: {share:.0%} of the page"] if share > MOST_DIFFERENT else []


def _smaller(picture: bytes) -> bytes:
    """The same picture in 256 colours: a third of the bytes."""
    out = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
