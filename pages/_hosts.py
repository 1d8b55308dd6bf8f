"""The names under which the server answers.

A page from elsewhere can let its own name point at 127.0.0.1 (DNS rebinding); the browser then takes this app for a part of that
page, which may read and change everything here. The Host header gives it away: it says the foreign name. Streamlit's own setting
server.allowedHosts looks at websockets only, not at uploads, downloads and pages.
"""

import os
import re
from collections.abc import Collection

from autobuild_core.errors import ConfigError
from pages._serving import Application, Message, Receive, Send

SETTING = "AUTOBUILD_HOSTS"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
REFUSED = f"This server does not answer to that name; its names are set in {SETTING}.\n"
HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?", re.I)


def trusted_hosts() -> tuple[str, ...]:
    """The names that the setting lists, separated by commas; those of this machine itself where it lists none.

    Raises:
        ConfigError: one is no name: it has a scheme, a port or a path.
    """
    named = [name.strip() for name in os.environ.get(SETTING, "").split(",") if name.strip()]
    for name in named:
        if _name(name) != name.lower().rstrip("."):
            raise ConfigError(f"{SETTING}: got '{name}', expected names without scheme, port and path, as in {LOOPBACK[0]}.")
    return tuple(name.lower().rstrip(".") for name in named) or LOOPBACK


def _name(header: str) -> str | None:
    """The name in a Host header, without port; None where it is none."""
    found = HEADER.fullmatch(header)
    return None if found is None else found[1].lower().rstrip(".")


class TrustedHosts:
    """ASGI middleware that refuses requests and websockets to a foreign name, whatever the port.

    Args:
        app: what it wraps.
        names: the server's names, in lower case.
    """

    def __init__(self, app: Application, names: Collection[str]) -> None:
        self.app, self.names = app, frozenset(names)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes on what is addressed to one of the names; else answers with a sentence."""
        kind = scope["type"]
        if kind not in ("http", "websocket") or self._trusts(scope):
            await self.app(scope, receive, send)
            return
        if kind == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": REFUSED.strip()})
            return
        prefix, body = "websocket.http" if kind == "websocket" else "http", REFUSED.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await send({"type": f"{prefix}.response.start", "status": 403, "headers": headers})
        await send({"type": f"{prefix}.response.body", "body": body})

    def _trusts(self, scope: Message) -> bool:
        said = [value.decode("latin-1") for key, value in scope["headers"] if key == b"host"]
        return len(said) == 1 and _name(said[0]) in self.names
