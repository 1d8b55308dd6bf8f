"""The names under which the server answers.

A page from elsewhere can let its own name point at 127.0.0.1 (DNS rebinding); the browser then takes this app for a part of that
page, which may read and change everything here. The Host header gives it away: it says the foreign name, and Starlette refuses
it. Streamlit's own setting server.allowedHosts looks at websockets only, not at uploads, downloads and pages.
"""

import os
import re

from autobuild_core.errors import ConfigError

SETTING = "AUTOBUILD_HOSTS"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
NAME = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_.-]+", re.I)


def trusted_hosts() -> tuple[str, ...]:
    """The names that the setting lists, separated by commas; those of this machine itself where it lists none.

    Raises:
        ConfigError: one is no name: it has a scheme, a port or a path.
    """
    named = [name.strip() for name in os.environ.get(SETTING, "").split(",") if name.strip()]
    for name in named:
        if not NAME.fullmatch(name):
            raise ConfigError(f"{SETTING}: got '{name}', expected names without scheme, port and path, as in {LOOPBACK[0]}.")
    return tuple(name.lower().rstrip(".") for name in named) or LOOPBACK
