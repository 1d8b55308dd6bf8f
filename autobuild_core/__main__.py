"""`python -m autobuild_core COMMAND ...`; see `cli.py`."""

import os
import sys

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # matrices are small: threads of the libraries cost more than they give

from autobuild_core.cli import main  # noqa: E402 -- numpy reads the limits when it is imported

if __name__ == "__main__":
    sys.exit(main())
