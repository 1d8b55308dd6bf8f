"""The forge of the readers: a file handed in is read by the real one, in a process of its own that has loaded what it needs.

Loading it takes most of a second of a core, and the tests hand in some hundred files. What the process is otherwise, its limits
and its ways to end, tests/unit/datasets/test_guarded.py looks at.
"""

import importlib
from contextlib import suppress
from pathlib import Path

import psutil

from autobuild_core import registry
from autobuild_core.datasets import _guarded
from tests.forge import fork_for_each_line, forked

STATUS = ".status"


def run(command: list[str], name: str, max_bytes: int, max_seconds: float) -> None:
    """In place of `_guarded._run`: a fork in place of a new process."""
    arguments = command[command.index(_guarded.__name__) + 1 :]
    status = Path(arguments[1]).with_suffix(STATUS)
    log = status.with_suffix(".log")
    with suppress(psutil.NoSuchProcess):  # it may have ended already
        psutil.Process(forked(__name__, arguments, log)).wait(max_seconds)
    _guarded._judge(int(status.read_text()), log.read_text(), "", name, max_bytes)


def read(arguments: list[str]) -> int:
    """A reader to its end; its status is left beside its folder."""
    status = _guarded.main(arguments)
    Path(arguments[1]).with_suffix(STATUS).write_text(str(status))
    return status


if __name__ == "__main__":
    formats = (f"autobuild_core.datasets.{name}" for name in registry.names("datasets"))
    for module in ("autobuild_core.store.workspace", "pyarrow.parquet", *formats):
        importlib.import_module(module)
    fork_for_each_line(read)
