"""A real server on a free port with a workspace of its own, and a page that remembers what went wrong."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, expect

from autobuild_core.storage import Workspace

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
    "builder": "Build for me",
    "review": "Go to Importance",
}
DRAWN = "() => !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-stale=true]')"
CONTRAST = Path(__file__).with_name("contrast.js").read_text().rstrip().removesuffix(";")
MIN_CONTRAST = 4.5
# Chromium itself says this of every page on a machine without a graphics card; it is no message of ours.
NOT_OURS = ("GPU stall due to ReadPixels", "Automatic fallback to software WebGL")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def serving(workspace: Workspace) -> Iterator[str]:
    """A server of its own for a workspace: its address."""
    folder = workspace.path.parent
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.headless", "true"]
    environment = {**os.environ, "AUTOBUILD_WORKSPACE": str(workspace.path)}
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(address, process, folder / "server.log")
        yield address
    finally:
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


def _wait_until_healthy(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no healthy server within {START_SECONDS} s: {log.read_text()}")


class Watch:
    """What a page complained about, and whom it asked besides our server."""

    def __init__(self, page: Page, address: str) -> None:
        self.address, self.complaints, self.strangers = address, [], []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)

    complaints: list[str]
    strangers: list[str]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(known in message.text for known in NOT_OURS):
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        own = (self.address, self.address.replace("http", "ws"), "data:", "blob:")
        if not request.url.startswith(own):
            self.strangers.append(request.url)

    def assert_quiet(self) -> None:
        """No console error, no request to any other host."""
        assert self.complaints == []
        assert self.strangers == []


def unreadable(page: Page) -> list[str]:
    """Texts of too little contrast, at a moment when the page is drawn: what is being renewed is pale, and "Stop" fades in."""
    seen = page.wait_for_function(f"(limit) => ({DRAWN})() && {{texts: ({CONTRAST})(limit)}}", arg=MIN_CONTRAST)
    texts: list[str] = seen.json_value()["texts"]
    return texts


@pytest.fixture
def watch(page: Page, server: str) -> Watch:
    """Watches the page of the test."""
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page.set_viewport_size({"width": 1280, "height": 720})
    return Watch(page, server)


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """Downloads are allowed."""
    return {**browser_context_args, "accept_downloads": True}
