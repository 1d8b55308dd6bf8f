"""Opening files that a user handed in: gzip by its magic bytes, any encoding, bounded sizes, every failure one clear sentence.

A file is looked through once before it is read: what it is, its encoding, and whether it keeps to the limits. That
takes no memory, so that a bomb ends there. All readers of text here agree on the encoding.
"""

import gzip
import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from autobuild_core.datasets._encodings import UTF8, UTF8_BOM, WIDE, as_utf8, narrow_encoding, title, transcoded, wide_encoding
from autobuild_core.datasets._kinds import described
from autobuild_core.errors import ConfigError, DataError

HEAD_BYTES = 64 * 1024
CHUNK_BYTES = 1024 * 1024
MAX_LINE_BYTES = 4 * 1024 * 1024
GZIP_MAGIC = b"\x1f\x8b"
SEPARATORS = b",;\t\n"
# A million rows of 60 columns are 60 million values; a bomb of "1,1,1,..." packs 1,000 to 1, honest tables 3 to 50.
UNPACKED_LIMIT, UNPACKED_MIB = "AUTOBUILD_MAX_UNPACKED_MB", 1024
VALUES_LIMIT, VALUES_MILLIONS = "AUTOBUILD_MAX_VALUES_M", 64
TEXT_LIMIT, TEXT_MIB = "AUTOBUILD_MAX_JSON_MB", 512
MAX_RATIO, RATIO_FROM_BYTES = 200, 64 * 1024 * 1024


def inner_name(path: Path) -> str:
    """The file's name without a trailing .gz."""
    return path.name[:-3] if path.name.lower().endswith(".gz") else path.name


def limit_of(variable: str, default: int) -> int:
    """A limit: an environment variable's, else the default.

    Raises:
        ConfigError: the variable holds no positive whole number.
    """
    text = os.environ.get(variable, str(default))
    if not text.strip().isdecimal() or not int(text):
        raise ConfigError(f"{variable}: got {text!r}, expected a whole number of at least 1.")
    return int(text)


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, as far as it may grow.

    Args:
        packed: the gzip file.
        name: of the file, for messages.
    """

    def __init__(self, packed: IO[bytes], name: str) -> None:
        self.packed, self.name, self.size = packed, name, 0
        self.content = gzip.GzipFile(fileobj=packed)
        self.limit = limit_of(UNPACKED_LIMIT, UNPACKED_MIB) * 2**20
        self.max_ratio = None if UNPACKED_LIMIT in os.environ else MAX_RATIO

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer; 0 at the end.

        Raises:
            DataError: a limit is passed.
        """
        piece = self.content.read1(len(buffer))
        buffer[: len(piece)] = piece
        self.size += len(piece)
        lifted = f"set {UNPACKED_LIMIT} to a larger number of MiB if the file is sound"
        if self.size > self.limit:
            raise DataError(f"{self.name}: unpacks to more than the limit of {self.limit / 2**20:,.0f} MiB; {lifted}.")
        if self.max_ratio and self.size > max(RATIO_FROM_BYTES, self.max_ratio * self.packed.tell()):
            grown = f"unpacks to more than {RATIO_FROM_BYTES // 2**20} MiB and the limit of {MAX_RATIO} times its size"
            raise DataError(f"{self.name}: {grown}, which no table of results does; {lifted}.")
        return len(piece)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The unpacked content of a file; what goes wrong while it is read becomes a DataError.

    Raises:
        DataError: missing, a folder, no regular file, not permitted, a broken gzip stream, or one that grows beyond the limits.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise DataError(f"{path}: got a device or a pipe, expected a file: write its content to one first.")
        with path.open("rb") as raw:
            packed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            yield io.BufferedReader(_Unpacked(raw, path.name), CHUNK_BYTES) if packed else raw
    except FileNotFoundError:
        raise DataError(f"{path}: got no such file, expected a file of architectures.") from None
    except IsADirectoryError:
        raise DataError(f"{path}: got a folder, expected a file: choose the one in it that holds the results.") from None
    except EOFError:
        raise DataError(f"{path.name}: the gzip file ends too early; it was cut off while being copied.") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path.name}: the gzip file is damaged ({error}).") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error.strerror or error}).") from None


def read_head(path: Path) -> bytes:
    """The first 64 KiB of the content: text as UTF-8 without a byte order mark, else as they are.

    Raises:
        DataError: it cannot be read, is nothing that a format reads, or passes a limit; the message says what the file is.
    """
    with open_bytes(path) as file:
        head = file.read(HEAD_BYTES)
    kind = described(head)
    if kind and not kind.remedy:
        return head
    encoding = _encoding(path)
    return transcoded(head, encoding) if encoding in WIDE else as_utf8(_whole(head, encoding).removeprefix(UTF8_BOM), encoding)


def encoding_note(path: Path) -> str | None:
    """The sentence for the reader of a text file that is not in UTF-8, None for one that is, or that is no text.

    Raises:
        DataError: see `read_head`.
    """
    with open_bytes(path) as file:
        kind = described(file.read(HEAD_BYTES))
    if kind and not kind.remedy:
        return None
    encoding = _encoding(path)
    if encoding == UTF8:
        return None
    return f"The file is not in UTF-8; it was read as {title(encoding)}."


def byte_lines(path: Path) -> Iterator[bytes]:
    """The lines of a text file in UTF-8, whatever its encoding, without their ends and the byte order mark.

    A line beyond 4 MiB comes cut to that length plus one. One that is not in the file's encoding comes as it is.

    Raises:
        DataError: it is no text; see also `open_bytes`.
    """
    encoding, first = _encoding(path), True
    with open_bytes(path) as file:
        readline = _utf8_readline(file, encoding) if encoding in WIDE else file.readline
        try:
            while line := readline(MAX_LINE_BYTES + 1):
                rest = line
                while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                    rest = readline(MAX_LINE_BYTES + 1)  # the remainder of an overlong line is read and let go
                if first:
                    line, first = line.removeprefix(UTF8_BOM), False
                if len(line) > MAX_LINE_BYTES:
                    yield line[: MAX_LINE_BYTES + 1]
                else:
                    yield as_utf8(line.rstrip(b"\r\n"), encoding) if encoding not in WIDE else line.rstrip(b"\r\n")
        except UnicodeDecodeError:
            raise DataError(f"{path.name}: the {title(encoding)} text is damaged; save it again as UTF-8.") from None


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, each with a line feed.

    Raises:
        DataError: a line is longer than 4 MiB or not in the file's encoding; see also `byte_lines`.
    """
    for number, line in enumerate(byte_lines(path), 1):
        if len(line) > MAX_LINE_BYTES:
            raise DataError(f"{path.name}, line {number}: got more than {MAX_LINE_BYTES // 2**20} MiB, expected shorter lines.")
        try:
            yield line.decode() + "\n"
        except UnicodeDecodeError as error:
            raise _damaged(path, number, line[error.start], _encoding(path)) from None


def read_text(path: Path) -> str:
    """A whole text file, for formats that cannot be read line by line.

    Raises:
        DataError: it is no text, longer than the limit, or not in its encoding throughout; see also `open_bytes`.
    """
    encoding, max_mib = _encoding(path), limit_of(TEXT_LIMIT, TEXT_MIB)
    with open_bytes(path) as file:
        content = file.read(max_mib * 2**20 + 1)
    if len(content) > max_mib * 2**20:
        lifted = f"write it as JSON lines, or set {TEXT_LIMIT} to a larger number of MiB"
        raise DataError(f"{path.name}: got more than the limit of {max_mib} MiB of JSON in one piece; {lifted}.")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _damaged(path, content.count(b"\n", 0, error.start) + 1, content[error.start], encoding) from None


def _damaged(path: Path, number: int, byte: int, encoding: str) -> DataError:
    """The error of a line that is not in the file's encoding."""
    return DataError(
        f"{path.name}, line {number}: got byte 0x{byte:02x}, expected {title(encoding)} text; save it again as UTF-8."
    )


def _utf8_readline(file: IO[bytes], encoding: str) -> Callable[[int], bytes]:
    """`readline` of a file of two or four bytes a character, giving UTF-8."""
    text = io.TextIOWrapper(file, encoding, newline="\n")
    return lambda size: text.readline(size).encode()


def _whole(head: bytes, encoding: str) -> bytes:
    """The head without a character of UTF-8 that its end went through."""
    for length in range(1, 4):
        if encoding == UTF8 and len(head) >= HEAD_BYTES and head[-length] >= 0xC0:
            return head[:-length]
    return head


def _encoding(path: Path) -> str:
    """The encoding of a text file, found by looking through it once.

    Raises:
        DataError: it is no text of data, or passes a limit.
    """
    try:
        seen = path.stat()
    except OSError:
        return _look_through(path, limit_of(VALUES_LIMIT, VALUES_MILLIONS))  # says what is wrong with it
    stamp = (seen.st_ino, seen.st_size, seen.st_mtime_ns, os.environ.get(UNPACKED_LIMIT))
    return _look_through_once(path, limit_of(VALUES_LIMIT, VALUES_MILLIONS), stamp)


@lru_cache(maxsize=64)
def _look_through_once(path: Path, max_millions: int, stamp: tuple[Any, ...]) -> str:
    """`_look_through`, remembered while the file stays as it is."""
    return _look_through(path, max_millions)


def _look_through(path: Path, max_millions: int) -> str:
    """The encoding of a file that is text and keeps to the limits."""
    with open_bytes(path) as file:
        head = file.read(HEAD_BYTES)
        if kind := described(head):
            raise DataError(f"{path.name}: got {kind.what}: {kind.remedy or 'expected a text file here'}.")
        chunks = _counted(file, head, path.name, max_millions)
        if encoding := wide_encoding(head):
            for _ in chunks:
                pass
            return encoding
        return narrow_encoding(chunks)


def _counted(file: IO[bytes], head: bytes, name: str, max_millions: int) -> Iterator[bytes]:
    """The chunks of a file, whose values are counted as they pass."""
    num, chunk = 0, head
    while chunk:
        num += len(chunk) - len(chunk.translate(None, SEPARATORS))
        if num > max_millions * 1_000_000:
            raise DataError(
                f"{name}: got more than the limit of {max_millions} million values (commas, semicolons, tabs and lines); "
                f"set {VALUES_LIMIT} to a larger number of millions if there is the memory for it."
            )
        yield chunk
        chunk = file.read(CHUNK_BYTES)
