"""`autobuild-studio`: opens the app, from an installed wheel as from the repository.

Streamlit's own command runs it, in this very process, so that signals and exit status are the server's.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from autobuild_core.registry import APP
from autobuild_core.version import VERSION

HELP = "What else is given goes to Streamlit as it is, such as --server.headless true."


def command(arguments: Sequence[str]) -> list[str]:
    """The command line of the server.

    Args:
        arguments: of `autobuild-studio`.
    """
    about = "Opens AutoBuild Studio in a browser. Data sets and runs are kept in AUTOBUILD_WORKSPACE, else in ./workspace."
    parser = argparse.ArgumentParser(prog="autobuild-studio", description=about, epilog=HELP, allow_abbrev=False)
    parser.add_argument("--port", type=int, default=8501, help="the port that it listens at (default 8501)")
    parser.add_argument("--address", default="127.0.0.1", help="the address that it listens at (default 127.0.0.1)")
    parser.add_argument("--version", action="version", version=f"AutoBuild Studio {VERSION}")
    options, others = parser.parse_known_args(arguments)
    place = ["--server.address", options.address, "--server.port", str(options.port)]
    return [sys.executable, "-m", "streamlit", "run", str(APP / "app.py"), *place, *others]


def main() -> None:
    """Becomes the server."""
    words = command(sys.argv[1:])
    os.execv(words[0], words)
