"""Tables of architectures on disk, and the atomic writes that everything on disk goes through.

A saved table is a folder: table.parquet holds what has a value a row (codes "c0", "c1", ..., "network", "source_row", each metric
as "m:<name>", each context as "x:<name>", "censored" where trials were stopped), table.json the space, how columns were read,
how many rows were refused, the batches that rows came in, and the content hash, refused.parquet the refused rows with their
reasons. Parquet and JSON only,
never pickle.
"""

import fcntl
import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from autobuild_core.architectures.records import ArchTable, Batch, ColumnRole, Rejection, SpaceSpec
from autobuild_core.errors import ConfigError, DataError

SCHEMA_VERSION = 1
MOST_REFUSED = 10_000  # refused rows kept with their reasons; beyond, only their number is


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` in one step when the block ends well.

    A reader sees the old file or the new one, never half of one; when the block raises, the old file stays.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process that asks is at work in a folder meanwhile; the end of this one ends it too.

    Raises:
        ConfigError: another one is.
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder}: got another process at work in it, expected none; wait for its end.") from None
        yield
    finally:
        os.close(lock)


def _plain(value: Any) -> Any:
    """Numpy values, tuples and paths as what JSON knows."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"JSON: got {type(value).__name__}, expected numbers, texts, lists, dicts or numpy values")


def to_json(value: Any, indent: int | None = None) -> str:
    """Any mix of plain and numpy values as JSON text."""
    return json.dumps(value, default=_plain, indent=indent, ensure_ascii=False)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically."""
    with replacing(path) as part:
        part.write_text(to_json(value, indent=1) + "\n", encoding="utf-8")


def append_lines(file: IO[bytes], values: Iterable[Any]) -> None:
    """Adds JSON lines to a file that is open for reading and writing; a torn last line of a killed process is cut off first."""
    file.seek(0)
    content = file.read()
    file.truncate(content.rfind(b"\n") + 1)
    file.seek(0, os.SEEK_END)
    file.write("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode())
    file.flush()
    os.fsync(file.fileno())


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Writes a frame as Parquet atomically; its index is not kept."""
    with replacing(path) as part:
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), part, compression="zstd")


def to_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV text without its index; texts are quoted, NaN is empty. Eight times as fast as pandas."""
    with io.BytesIO() as out:
        options = csv.WriteOptions(include_header=False)
        csv.write_csv(pa.Table.from_pandas(frame, preserve_index=False), out, options)
        return ",".join(map(str, frame.columns)) + "\n" + out.getvalue().decode()


def read_frame(path: Path) -> pd.DataFrame:
    """The frame that `write_frame` wrote, read through a memory map."""
    frame: pd.DataFrame = pq.read_table(path, memory_map=True).to_pandas()
    return frame


def content_hash(table: ArchTable) -> str:
    """32 hex digits that are equal exactly when space, codes, networks, metrics and row numbers are equal."""
    digest = hashlib.sha256(table.spec.to_json().encode())
    for array in (table.codes, table.networks, table.source_rows):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    for name in table.metrics.columns:
        digest.update(f"m:{name}".encode())
        digest.update(table.metrics[name].to_numpy(np.float64).tobytes())
    for name, kind in table.context_kinds.items():
        digest.update(f"x:{name}:{kind}".encode())
        digest.update(pd.util.hash_pandas_object(table.contexts[name], index=False).to_numpy().tobytes())
    if table.num_censored:
        digest.update(b"censored" + table.censored.tobytes())
    return digest.hexdigest()[:32]


def save_table(table: ArchTable, folder: Path) -> None:
    """Saves a table as a folder, each file atomically; an older table there is replaced.

    Args:
        table: any table, also one without rows or metrics.
        folder: made when it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {f"c{i}": table.codes[:, i] for i in range(table.codes.shape[1])}
    columns |= {"network": table.networks, "source_row": table.source_rows}
    columns |= {f"m:{name}": table.metrics[name].to_numpy(np.float64) for name in table.metrics.columns}
    columns |= {f"x:{name}": pa.array(table.contexts[name], from_pandas=True) for name in table.context_kinds}
    if table.num_censored:
        columns["censored"] = table.censored
    with replacing(folder / "table.parquet") as part:
        pq.write_table(pa.table(columns), part, compression="zstd")
    about = {
        "schema_version": SCHEMA_VERSION,
        "spec": json.loads(table.spec.to_json()),
        "num_rows": len(table),
        "num_duplicates": table.num_duplicates,
        "metrics": list(table.metrics.columns),
        "format": table.format,
        "num_read": table.num_read,
        "num_rejected": table.num_rejected,
        "notes": list(table.notes),
        "contexts": table.context_kinds,
        "num_censored": table.num_censored,
        "columns": [asdict(column) for column in table.columns],
        "warnings": list(table.warnings),
        "declared": table.declared,
        "batches": [asdict(batch) for batch in table.batches],
        "hash": content_hash(table),
    }
    kept = table.rejected[:MOST_REFUSED]
    write_frame(folder / "refused.parquet", pd.DataFrame([(r.row, r.reason) for r in kept], columns=["row", "reason"]))
    write_json(folder / "table.json", about)


def _refused(folder: Path, facts: dict[str, Any]) -> tuple[tuple[Rejection, ...], int]:
    """(the refused rows that are kept, how many more there were); tables of before have all of them in table.json."""
    if "rejected" in facts:
        return tuple(Rejection(r["row"], r["reason"]) for r in facts["rejected"]), 0
    frame = read_frame(folder / "refused.parquet")
    kept = tuple(Rejection(row, reason) for row, reason in zip(frame["row"].tolist(), frame["reason"].tolist(), strict=True))
    return kept, facts["num_rejected"] - len(kept)


def is_table(path: Path) -> bool:
    """A folder that `save_table` wrote into, in contrast to a file of any format."""
    return (path / "table.json").is_file()


def table_facts(folder: Path) -> dict[str, Any]:
    """The content of table.json: the space, the report and the content hash, without the rows.

    Raises:
        DataError: the file is missing, damaged, or of another schema version.
    """
    path = folder / "table.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: got no readable file ({type(error).__name__}), expected a saved table.") from error
    if not isinstance(facts, dict):
        raise DataError(f"{path}: got a {type(facts).__name__}, expected a saved table; delete it and upload the file again.")
    version = facts.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DataError(f"{path}: got schema version {version}, expected {SCHEMA_VERSION}.")
    return facts


def load_table(folder: Path) -> ArchTable:
    """The table that `save_table` wrote.

    Raises:
        DataError: a file is missing, damaged, or of another schema version.
    """
    facts, path = table_facts(folder), folder / "table.parquet"
    try:
        return _table(folder, facts)
    except (OSError, LookupError, TypeError, ValueError, AttributeError, pa.ArrowException) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise DataError(f"{path}: got a damaged or missing file ({said}), expected a saved table.") from error


def _table(folder: Path, facts: dict[str, Any]) -> ArchTable:
    """The table of a folder whose table.json is read; raises whatever a damaged file causes."""
    spec = SpaceSpec.from_json(json.dumps(facts["spec"]))
    arrow = pq.read_table(folder / "table.parquet", memory_map=True)
    columns = {name: arrow.column(name).to_numpy() for name in arrow.column_names}
    codes = np.empty((arrow.num_rows, spec.num_positions), np.int16)
    for position in range(spec.num_positions):
        codes[:, position] = columns[f"c{position}"]
    metrics = pd.DataFrame({name: columns[f"m:{name}"] for name in facts["metrics"]}, index=range(arrow.num_rows))
    kinds = facts.get("contexts", {})
    contexts = pd.DataFrame({name: _context(columns[f"x:{name}"]) for name in kinds}, index=metrics.index)
    rejected, more = _refused(folder, facts)
    return ArchTable(
        spec,
        codes,
        columns["network"].astype(np.uint64),
        metrics,
        columns["source_row"].astype(np.int64),
        facts["format"],
        facts["num_read"],
        rejected,
        tuple(facts["notes"]),
        contexts,
        kinds,
        columns.get("censored", np.zeros(0)),
        tuple(column_role(raw) for raw in facts.get("columns", ())),
        tuple(facts.get("warnings", ())),
        facts.get("declared", False),
        more,
        batches_of(facts),
    )


def batches_of(facts: dict[str, Any]) -> tuple[Batch, ...]:
    """The batches that table.json tells of; none in tables of before."""
    return tuple(Batch(**raw) for raw in facts.get("batches", ()))


def column_role(raw: dict[str, Any]) -> ColumnRole:
    """A column's role as it was saved."""
    return ColumnRole(**raw | {name: tuple(raw[name]) for name in ("examples", "histogram")})


def _context(values: NDArray[Any]) -> pd.Series:
    """A context as it was saved: numbers as float64, texts with "" where there is none."""
    if values.dtype == object:
        return pd.Series(["" if value is None else str(value) for value in values], dtype="str")
    return pd.Series(values.astype(np.float64))
