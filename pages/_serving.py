"""The server around the pages: tells the browser where it is, so that it does not guess, and opens it.

Streamlit's browser side takes /train for a possible base address on a deep link or a reload, asks /train/_stcore/health
first, and the console shows two 404s. Its own setting BACKEND_BASE_URL ends the guessing; it has to stand in the page
before its script runs.

It also makes a history entry of every change of a query parameter. Here the parameters follow every click, and a link of the
sidebar, which has none, is completed once the page is open: Back would go through them all. So an address of the same page takes
the last one's place, and Back leads to the page before.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st

from pages._streamlit import open_browser

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]
SCRIPT = b"""<script>
window.__streamlit = {BACKEND_BASE_URL: window.location.origin};
(() => {
  const push = history.pushState.bind(history);
  history.pushState = (state, unused, url) => {
    const same = url != null && new URL(url, location.href).pathname === location.pathname;
    same ? history.replaceState(state, unused, url) : push(state, unused, url);
  };
})();
</script>"""


@asynccontextmanager
async def opening(_: Any) -> AsyncIterator[None]:
    """Opens the browser once the server is up, unless it was told to be headless."""
    if not st.get_option("server.headless"):
        asyncio.get_running_loop().call_later(1.0, open_browser, str(st.get_option("server.address") or ""))
    yield


class BaseAddress:
    """ASGI middleware that puts the server's address into the page.

    Args:
        app: what it wraps.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes everything on; the one HTML page gets the script at the end of its head."""
        if scope["type"] != "http" or "text/html" not in _header(scope, b"accept"):
            await self.app(scope, receive, send)
            return
        plain = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]  # uncompressed, to be added to
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await self._finish(start, body, send)
            else:
                await send(message)

        await self.app({**scope, "headers": plain}, receive, collect)

    @staticmethod
    async def _finish(start: Message, body: bytes, send: Send) -> None:
        if b"<head>" in body:
            body = body.replace(b"<head>", b"<head>" + SCRIPT, 1)
            kept = [pair for pair in start["headers"] if pair[0].lower() not in (b"content-length", b"etag")]
            start = {**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _header(scope: Message, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
