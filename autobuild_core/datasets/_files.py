"""Opening files that a user handed in: gzip by its magic bytes, bounded lines, every failure one clear sentence."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from autobuild_core.errors import DataError

HEAD_BYTES = 64 * 1024
MAX_LINE_BYTES = 4 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


def inner_name(path: Path) -> str:
    """The file's name without a trailing .gz."""
    return path.name[:-3] if path.name.lower().endswith(".gz") else path.name


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The unpacked content of a file; what goes wrong while it is read becomes a DataError.

    Raises:
        DataError: missing, a folder, not permitted, or a broken gzip stream.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            yield cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if packed else raw
    except FileNotFoundError:
        raise DataError(f"{path}: got no such file, expected a file of architectures.") from None
    except IsADirectoryError:
        raise DataError(f"{path}: got a folder, expected a file of architectures.") from None
    except EOFError:
        raise DataError(f"{path.name}: the gzip file ends too early; it was cut off while being copied.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name}: the gzip file is damaged ({error}).") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror or error}).") from None


def read_head(path: Path) -> bytes:
    """The first 64 KiB of the content, without a UTF-8 byte order mark.

    Raises:
        DataError: it cannot be read, is empty, or is not UTF-8 text.
    """
    with open_bytes(path) as file:
        head = file.read(HEAD_BYTES).removeprefix(UTF8_BOM)
    if not head.strip():
        raise DataError(f"{path.name}: got an empty file, expected architectures.")
    if head.startswith(UTF16_BOMS):
        raise DataError(f"{path.name}: got UTF-16 text, expected UTF-8; save it again as UTF-8.")
    if b"\0" in head:
        raise DataError(f"{path.name}: got binary content, expected JSON, JSON lines or CSV (also gzipped).")
    return head


def byte_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends, the byte order mark removed. A line beyond 4 MiB comes cut to that length plus one.

    Raises:
        DataError: see `open_bytes`.
    """
    with open_bytes(path) as file:
        first = True
        while line := file.readline(MAX_LINE_BYTES + 1):
            rest = line
            while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                rest = file.readline(MAX_LINE_BYTES + 1)  # the remainder of an overlong line is read and let go
            if first:
                line, first = line.removeprefix(UTF8_BOM), False
            yield line if len(line) > MAX_LINE_BYTES else line.rstrip(b"\r\n")


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text, each with a line feed.

    Raises:
        DataError: a line is longer than 4 MiB or not UTF-8; see also `open_bytes`.
    """
    for number, line in enumerate(byte_lines(path), 1):
        if len(line) > MAX_LINE_BYTES:
            raise DataError(f"{path.name}, line {number}: got more than {MAX_LINE_BYTES // 2**20} MiB, expected shorter lines.")
        try:
            yield line.decode() + "\n"
        except UnicodeDecodeError as error:
            found = f"{path.name}, line {number}: got byte 0x{line[error.start]:02x}"
            raise DataError(f"{found}, expected UTF-8 text; save it again as UTF-8.") from None
