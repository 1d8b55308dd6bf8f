"""What is made once for all files and all processes of a test session: finished runs, which take seconds to train."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

folder: Path | None = None  # set by conftest.py


def begin(base: Path) -> None:
    """Names the folder where things are kept, beside the temporary folders of all workers of the session.

    Args:
        base: pytest's base folder, which with xdist is a worker's own below that of the session.
    """
    global folder
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kept"
    folder.mkdir(exist_ok=True)


def once(about: object, make: Callable[[Path], object]) -> Path:
    """A folder that is made by whoever needs it first, while others wait for it. Nobody may write into it afterwards.

    Args:
        about: all that decides its content; its repr is the key.
        make: fills a new folder, which it makes.

    Returns:
        The folder.
    """
    assert folder is not None
    place = folder / hashlib.sha256(repr(about).encode()).hexdigest()[:16]
    with (folder / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            part = place.with_suffix(".part")  # what a failed attempt left is no content
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            part.rename(place)
    return place
