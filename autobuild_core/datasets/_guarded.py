"""Reads a file that a user handed in within a process of its own, with bounded memory and time.

    python -m autobuild_core.datasets._guarded IN OUT [--request REQUEST.json] [--max-bytes N] [--max-seconds N]

The result comes back as a saved dataset folder (columns and JSON), never as pickled objects.
"""

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from autobuild_core.architectures.records import ArchTable, SpaceSpec
from autobuild_core.errors import ConfigError, DataError, MappingError, StudioError
from autobuild_core.registry import import_path
from autobuild_core.spaces import _declared
from autobuild_core.spaces._declared import Declared
from autobuild_core.store.tables import column_role

DEFAULT_BYTES = 4 * 1024**3
DEFAULT_SECONDS = 300.0
LIBRARY_BYTES = 1024**3  # address space that saving the result maps without using it


def read_guarded(
    path: Path,
    format: str | None = None,
    space: SpaceSpec | None = None,
    roles: Mapping[str, str] | None = None,
    declared: Declared | None = None,
    joining: bool = False,
    max_bytes: int = DEFAULT_BYTES,
    max_seconds: float = DEFAULT_SECONDS,
) -> ArchTable:
    """`datasets.read_table` in a subprocess.

    Args:
        path: the file, plain or gzipped.
        format: its format; None to recognise it.
        space: the space it must lie in; None to infer it.
        roles: {column: role} that a reader said.
        declared: the flat space of its design columns, where a reader declared it.
        joining: the rows are to be appended to others.
        max_bytes: memory that reading may take beyond that of the bare process.
        max_seconds: wall time that it may take.

    Raises:
        MappingError: its columns do not make a space.
        DataError: the file cannot be read, needs too much memory, or takes too long.
        ConfigError: there is no such format.
    """
    from autobuild_core.store.workspace import load_table

    path = Path(path)
    with tempfile.TemporaryDirectory(prefix="autobuild-reading-") as scratch:
        out = Path(scratch) / "table"
        command = [sys.executable, "-m", "autobuild_core.datasets._guarded", str(path.resolve()), str(out)]
        command += ["--max-bytes", str(int(max_bytes)), "--max-seconds", str(max_seconds)]
        asked = {"format": format, "roles": dict(roles or {}), "space": space.to_json() if space else None, "joining": joining}
        asked["declared"] = _declared.to_json(declared) if declared else None
        (Path(scratch) / "request.json").write_text(json.dumps(asked), encoding="utf-8")
        command += ["--request", str(Path(scratch) / "request.json")]
        _run(command, path.name, max_bytes, max_seconds)
        return load_table(out)


def _run(command: list[str], name: str, max_bytes: int, max_seconds: float) -> None:
    """Runs the reader; returns when it has written its folder."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "PYTHONPATH": import_path(), "ARROW_DEFAULT_MEMORY_POOL": "system"}
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        output, errors = child.communicate(timeout=max_seconds)
    except subprocess.TimeoutExpired:
        raise DataError(f"{name}: got no result within {max_seconds:g} s, expected a file that reads faster.") from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    _judge(child.returncode, output, errors, name, max_bytes)


def _judge(status: int, output: str, errors: str, name: str, max_bytes: int) -> None:
    """Returns when the reader succeeded, else raises its one sentence."""
    if status == 0:
        return
    try:
        report = json.loads(output.strip().splitlines()[-1])
        kind, message = str(report["error"]), str(report["message"])
        columns = tuple(column_role(raw) for raw in report.get("columns", ()))
    except (IndexError, ValueError, KeyError, TypeError):
        columns = ()
        kind, message = ("MemoryError", "") if status < 0 or "MemoryError" in errors else ("", "")
    if status == -signal.SIGXCPU:
        raise DataError(f"{name}: takes too much processor time to read, expected a smaller file.")
    if kind == "MemoryError":
        raise DataError(f"{name}: needs more than {max_bytes / 2**20:,.0f} MiB to read, expected a smaller file.")
    if kind == "ConfigError":
        raise ConfigError(message)
    if kind == "MappingError":
        raise MappingError(message, columns)
    if kind:
        raise DataError(message)
    last = (errors.strip().splitlines() or ["no message"])[-1]
    raise DataError(f"{name}: the reader broke off with status {status} ({textwrap.shorten(last, 200, placeholder=' ...')}).")


def _limit_memory(max_bytes: int) -> None:
    """Lets the process take `max_bytes` beyond what it has mapped now, and writes no core."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if sys.platform == "linux" else 0
    limit = mapped + max_bytes
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_and_save(options: argparse.Namespace) -> None:
    """Reads the file under the memory limit, then writes the folder."""
    import pyarrow.parquet  # noqa: F401  (mapped before the limit is set)

    from autobuild_core.datasets import read_table
    from autobuild_core.store.workspace import save_table

    asked = json.loads(options.request.read_text(encoding="utf-8")) if options.request else {}
    spec = SpaceSpec.from_json(asked["space"]) if asked.get("space") else None
    declared = _declared.from_json(asked["declared"]) if asked.get("declared") else None
    _limit_memory(options.max_bytes)
    table = read_table(options.source, asked.get("format"), spec, asked.get("roles"), declared, asked.get("joining", False))
    _limit_memory(LIBRARY_BYTES + options.max_bytes)
    save_table(table, options.out)


def main(arguments: list[str] | None = None) -> int:
    """The reader's process: 0, or 2 with one JSON object {"error", "message"} on standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m autobuild_core.datasets._guarded", description="Reads a file into a dataset folder."
    )
    parser.add_argument("source", type=Path, help="file of evaluated architectures")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--request", type=Path, help="JSON with format, space, roles, declared and joining; each may be null")
    parser.add_argument("--max-bytes", type=int, default=DEFAULT_BYTES, help="memory beyond that of the bare process")
    parser.add_argument(
        "--max-seconds", type=float, default=DEFAULT_SECONDS, help="processor time (the caller watches the clock)"
    )
    options = parser.parse_args(arguments)
    seconds = max(1, int(options.max_seconds) + 1)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        _read_and_save(options)
    except StudioError as error:
        kinds = (MappingError, ConfigError)
        kind = next((k.__name__ for k in kinds if isinstance(error, k)), "DataError")
        columns = [asdict(column) for column in error.columns] if isinstance(error, MappingError) else []
        report = {"error": kind, "message": str(error), "columns": columns}
    except MemoryError:
        report = {"error": "MemoryError", "message": "out of memory", "columns": []}
    else:
        return 0
    print(json.dumps(report))
    return 2


if __name__ == "__main__":
    sys.exit(main())
