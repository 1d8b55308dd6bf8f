"""The forge of the tests' servers: Streamlit's own command, in a process that has loaded it and what the pages load.

Loading takes three seconds of a core, and the tests have some twenty servers.
"""

import importlib
import sys

from streamlit.web import cli

from tests.forge import fork_for_each_line

LATE = (
    "numpy",
    "pandas",
    "plotly.graph_objects",
    "plotly.io",
    "plotly.subplots",
    "pyarrow.parquet",
    "streamlit.web.bootstrap",
    "streamlit.web.server.starlette",
)


def serve(arguments: list[str]) -> int:
    """A server until it is ended; arguments of `streamlit`."""
    sys.argv = ["streamlit", *arguments]
    cli.main(prog_name="streamlit", standalone_mode=False)
    return 0


if __name__ == "__main__":
    for name in LATE:
        importlib.import_module(name)
    fork_for_each_line(serve)
