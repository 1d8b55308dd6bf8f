"""A real server on a free port with a workspace of its own, and a page that remembers what went wrong."""

import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, ConsoleMessage, Error, Page, Request, expect

from autobuild_core.store.workspace import Workspace
from tests.forge import forked

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
PATIENCE_MS = 60_000  # a busy machine of two cores draws a page in tens of seconds
# What a finished run's page shows last.
LAST_SEEN = {
    "": "Best modules",
    "data": "What to aim at",
    "train": "Compare with",
    "map": "Architectures, best first",
    "importance": "Better in its place",
    "hops": "What a feature is worth",
    "builder": "Evaluate these next",
    "evaluate": "New replay",
    "search_space": "Which mutations survived",
    "review": "Go to Importance",
}
DRAWN = "() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]')"
RAN = "() => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
# Drawn, and nothing in the document was added, removed or moved for so many milliseconds.
STILL = f"""(quiet) => {{
  if (!window.lastChange) {{
    window.lastChange = {{ at: performance.now() }};
    new MutationObserver(() => {{ window.lastChange.at = performance.now(); }})
      .observe(document.body, {{ attributes: true, characterData: true, childList: true, subtree: true }});
  }}
  return ({DRAWN})() && performance.now() - window.lastChange.at > quiet;
}}"""
QUIET_MS = 400
FORGET = "() => { if (location.protocol === 'http:') { localStorage.clear(); sessionStorage.clear(); } }"
# A chart knows what the pointer is on: from then on a click counts.
POINTED_AT = "() => [...document.querySelectorAll('.js-plotly-plot')].some((plot) => plot._hoverdata?.length)"
GRAPH = """() => { for (const e of document.querySelectorAll('*')) {
  const found = e.shadowRoot && e.shadowRoot.querySelector('.graph'); if (found) return found; } }"""
# From the slider's event to the first frame that was painted after it, in milliseconds, with fills and words of all nodes.
RECOLOUR = f"""async ([name, value]) => {{
  const root = ({GRAPH})(), start = performance.now();
  if (name === 'hop') {{
    const slider = root.querySelector('.hop input');
    slider.value = value;
    slider.dispatchEvent(new Event('input', {{ bubbles: true }}));
  }} else root.querySelector(`[data-lens=${{value}}]`).click();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const nodes = [...root.querySelectorAll('.node')], took = performance.now() - start;
  return [took, nodes.map((node) => node.querySelector('.body').style.fill).join(), nodes.map((node) => node.textContent).join()];
}}"""
CONTRAST = Path(__file__).with_name("contrast.js").read_text().rstrip().removesuffix(";")
MIN_CONTRAST = 4.5
# Chromium itself says this of every page on a machine without a graphics card; it is no message of ours.
NOT_OURS = ("GPU stall due to ReadPixels", "Automatic fallback to software WebGL")


def free_port(wanted: int = 0) -> int:
    """A port that nobody listens at; the wanted one, if it is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@cache
def usual_port() -> int:
    """The port of this worker's servers, one after the other: what Chromium keeps, it keeps by address."""
    return free_port()


@contextmanager
def serving(workspace: Workspace) -> Iterator[str]:
    """A server of its own for a workspace: its address."""
    port, log = free_port(usual_port()), workspace.path.parent / "server.log"
    command = ["run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    variables = {"AUTOBUILD_WARM": "0", "AUTOBUILD_WORKSPACE": str(workspace.path)}
    process = psutil.Process(forked("tests.browser.servers", command, log, **variables))
    yield from _answering(process, port, log)


@contextmanager
def started(command: list[str], port: int, folder: Path, **variables: str) -> Iterator[str]:
    """A server that a command starts in a folder, until it is not needed any more.

    Args:
        command: what starts it.
        port: that it will listen at.
        folder: where it is started, and of its log.
        variables: of its environment, beside ours.

    Yields:
        Its address, when it answers.
    """
    environment, log = {**os.environ, "AUTOBUILD_WARM": "0", **variables}, folder / "server.log"
    with log.open("w") as output:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    yield from _answering(process, port, log)


def _answering(process: psutil.Process, port: int, log: Path) -> Iterator[str]:
    """The address of a server when it answers; afterwards it is ended."""
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(address, process, log)
        yield address
    finally:
        with suppress(psutil.NoSuchProcess):  # it ended by itself: _wait_until_healthy says so
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def server_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace of the tests of a file, empty at first."""
    return Workspace(tmp_path_factory.mktemp("server") / "workspace")


@pytest.fixture(scope="module")
def server(server_workspace: Workspace) -> Iterator[str]:
    """Address of an app that the tests of a file share, each in a session of its own."""
    with serving(server_workspace) as address:
        yield address


def _wait_until_healthy(address: str, process: psutil.Process, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.is_running() and process.status() != psutil.STATUS_ZOMBIE, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"no healthy server within {START_SECONDS} s: {log.read_text()}")


class Watch:
    """What a page complained about, and whom it asked besides our server."""

    def __init__(self, page: Page, address: str) -> None:
        self.address, self.complaints, self.strangers = address, [], []
        self._page, self._heard = page, {"console": self._console, "pageerror": self._error, "request": self._request}
        for event, hear in self._heard.items():
            page.on(event, hear)  # type: ignore[call-overload]

    complaints: list[str]
    strangers: list[str]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(known in message.text for known in NOT_OURS):
            self.complaints.append(message.text)

    def _error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _request(self, request: Request) -> None:
        own = (self.address, self.address.replace("http", "ws"), "data:", "blob:")
        if not request.url.startswith(own):
            self.strangers.append(request.url)

    def assert_quiet(self) -> None:
        """No console error, no request to any other host."""
        assert self.complaints == []
        assert self.strangers == []

    def leave(self) -> None:
        """Hears nothing any more."""
        for event, hear in self._heard.items():
            self._page.remove_listener(event, hear)


def wait_until_still(page: Page) -> None:
    """A page is drawn and its figures too, which come after their data."""
    page.wait_for_function(STILL, arg=QUIET_MS)


def fill_number(page: Page, label: str, value: int) -> None:
    """A number input, taken over as a user's Enter does."""
    box = page.get_by_role("spinbutton", name=label)
    box.fill(str(value))
    box.press("Enter")
    wait_until_still(page)


def opened(page: Page, address: str, text: str) -> None:
    """Opens a page and waits until it is drawn to this text."""
    page.goto(address)
    page.get_by_text(text).first.wait_for()
    page.wait_for_function(DRAWN)


def moved(page: Page, name: str) -> None:
    """Opens another page by the navigation, as a reader does: a quarter of the work of loading the app anew."""
    page.get_by_role("link", name=name.replace("_", " ").capitalize() or "Home", exact=True).first.click()
    page.wait_for_url(re.compile(rf"^[^/]+//[^/]+/{name}([?#]|$)"))
    page.wait_for_function(RAN)


def drag(page: Page) -> Callable[[], None]:
    """Draws a box over the middle of the map; what is returned lets the mouse go."""
    canvas = page.locator(".gl-container canvas").first
    canvas.wait_for()
    wait_until_still(page)  # the map may still be drawn anew
    canvas.scroll_into_view_if_needed()
    wait_until_still(page)
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.35, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    for share in (0.5, 0.7):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * (share + 0.05), steps=4)
    return page.mouse.up


def click_chart(page: Page, left: float, top: float) -> None:
    """Clicks on what a chart has there."""
    page.mouse.move(left, top)
    page.wait_for_function(POINTED_AT)
    page.mouse.click(left, top)


def unreadable(page: Page) -> list[str]:
    """Texts of too little contrast, at a moment when the page is drawn: what is being renewed is pale, and "Stop" fades in."""
    seen = page.wait_for_function(f"(limit) => ({DRAWN})() && {{texts: ({CONTRAST})(limit)}}", arg=MIN_CONTRAST)
    texts: list[str] = seen.json_value()["texts"]
    return texts


@pytest.fixture
def watch(page: Page, server: str) -> Iterator[Watch]:
    """Watches the page of the test."""
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    watch = Watch(page, server)
    yield watch
    watch.leave()


@pytest.fixture(scope="session")
def profile(
    browser_type: BrowserType, browser_type_launch_args: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """Chromium with a profile on disk, one a worker: it keeps the app's code compiled, a third of the work of loading a page."""
    folder = tmp_path_factory.mktemp("profile")
    context = browser_type.launch_persistent_context(folder, **browser_type_launch_args, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture(scope="session")
def browser(profile: BrowserContext) -> Browser:
    """The same Chromium, for contexts that share nothing with the profile."""
    assert profile.browser is not None
    return profile.browser


@pytest.fixture
def page(profile: BrowserContext) -> Iterator[Page]:
    """The profile's tab, one for all tests: loading the app into a new one is half as much work again.

    Nothing that a test stored, chose or pointed at there is left to the next.
    """
    page = profile.pages[0]
    page.set_viewport_size({"width": 1280, "height": 720})
    yield page
    for one in profile.pages:
        one.evaluate(FORGET)
        if one != page:
            one.close()
    profile.clear_cookies()
    page.goto("about:blank")
    page.emulate_media(media="null", color_scheme="null", reduced_motion="null")
    page.mouse.move(0, 0)
