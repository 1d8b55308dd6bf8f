"""`python -m autobuild_core COMMAND ...`; see `cli.py`."""

import sys

from autobuild_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
