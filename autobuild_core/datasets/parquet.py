"""Parquet tables: read wherever CSV is read, column by column."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import Dataset, Fit
from autobuild_core.datasets._files import open_bytes
from autobuild_core.datasets._intake import assemble
from autobuild_core.datasets._rows import Request, Row, collect_objects
from autobuild_core.errors import DataError

MAGIC = b"PAR1"
BATCH_ROWS = 10_000


def _example() -> bytes:
    """A small Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    columns = {"kernel": [3, 5, 3, 5], "act": ["relu", "relu", "gelu", "gelu"], "acc": [0.71, 0.73, 0.74, 0.75]}
    pq.write_table(pa.table(columns), out, compression="none", store_schema=False)
    return out.getvalue()


@final
class ParquetTable(Dataset):
    """One row an evaluation; structs are objects, lists are lists."""

    title = "Parquet table"
    about = "the columns of a CSV in Parquet: a data frame as pandas or polars write it"
    example = _example()

    def supports(self, head: bytes, name: str) -> Fit:
        return Fit(1, "begins with PAR1") if head.startswith(MAGIC) else Fit(0, "does not begin with PAR1")

    def read(self, path: Path, request: Request) -> ArchTable:
        import pyarrow as pa
        import pyarrow.parquet as pq

        with open_bytes(path) as file:
            content = file.read()
        try:
            table = pq.ParquetFile(pa.BufferReader(content))

            def rows() -> Iterator[Row]:
                for batch in table.iter_batches(BATCH_ROWS):
                    yield from (_plain(row) for row in batch.to_pylist())

            return assemble(collect_objects(rows, request), request)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last of texts in its metadata
            raise DataError(f"{path.name}: got a damaged Parquet file ({str(error)[:120]}), expected a whole one.") from None


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the index that pandas keeps."""
    return {name: value for name, value in row.items() if not name.startswith("__index_level_")}
