"""Every page in every state in real Chromium: drawn, readable, within the window, no error."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from autobuild_core.store.workspace import Workspace
from tests.app.workspaces import STATES, trained, unfinished
from tests.browser.conftest import DRAWN, LAST_SEEN, Watch, moved, serving, unreadable, wait_until_still

pytestmark = pytest.mark.browser
WIDER = "() => ((main) => main.scrollWidth - main.clientWidth)(document.querySelector('[data-testid=stMain]'))"
SAID = {"no run": re.compile("none (yet|trained on these data)"), "running": "running", "failed": "failed", "lost": "lost"}


@pytest.fixture(scope="module", params=[one for one in STATES if one != "finished"])
def state(request: pytest.FixtureRequest) -> str:
    """Each state once, with a server of its own for all pages; the other tests look at pages of an ordinary finished run."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(state: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an app whose workspace is in the state."""
    workspace = Workspace(tmp_path_factory.mktemp("states") / "workspace")
    (trained if state.startswith("finished") else unfinished)(state, workspace)
    with serving(workspace) as address:
        yield address


def test_every_page_is_drawn_and_readable(page: Page, server: str, watch: Watch, state: str) -> None:
    for turn, (name, text) in enumerate(LAST_SEEN.items()):
        page.emulate_media(color_scheme="dark" if (turn + STATES.index(state)) % 2 else "light")
        if turn:
            moved(page, name)
        else:
            page.goto(server)
        if state.startswith("finished"):
            page.get_by_text(text).first.wait_for()
            wait_until_still(page)
        else:  # "running" says every second how far it is
            expect(page.locator("[data-testid=stMain]")).to_contain_text(SAID.get(state, "ample"))
            page.wait_for_function(DRAWN)
        assert page.locator("[data-testid=stException]").count() == 0, name
        assert (name, unreadable(page)) == (name, [])
        assert (name, page.evaluate(WIDER)) == (name, 0)
    watch.assert_quiet()
