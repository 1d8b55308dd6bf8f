"""The kind of a file, by its first bytes and never by its name, and what to do with one that is no data.

To recognise one more kind, add one line to KINDS.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from autobuild_core.datasets._encodings import MARKS, REPLACED, UTF8_BOM, is_utf8, transcoded, wide_encoding

TEXT, PARQUET, SQLITE, EMPTY, BINARY = "text", "parquet", "sqlite", "empty", "binary"
CONTROLS = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1a\x1b"))

AS_TABLE = "export the table as CSV, JSON lines or Parquet"
AS_TEXT = "not read, it can run code; export it as CSV or JSON lines, in Python for instance with DataFrame.to_csv"
AS_PARQUET = "save it as Parquet or CSV"
AS_SHEET = "save the sheet as CSV"
UNPACK = "unpack it and choose the file of results in it"
NO_TABLE = "expected a table of results as CSV, JSON lines or Parquet"

PICKLE = re.compile(
    rb"\x80[\x02-\x05][\s\S]"  # protocols 2 to 5 give their number
    rb"|[\]})]q\x00"  # protocol 1: the list, dict or tuple goes into the memo
    rb"|\([dlt]p\d+\r?\n"  # protocol 0: the same in text
    rb"|\(?[ci][\w.]+\r?\n\w+\r?\n(p\d+\r?\n|q[\x00-\x1f])"  # 0 and 1: an object of a class
)
WEB_PAGE = re.compile(rb"\s*(<\?xml[^>]*>\s*|<!--[\s\S]*?-->\s*)*<(!doctype\s+html|html|head|body|script)\b", re.IGNORECASE)
NOTEBOOK = re.compile(rb'\s*\{\s*"(nbformat"|cells"\s*:\s*\[\s*\{\s*"(attachments|cell_type|execution_count|id|metadata)")')
ONNX = re.compile(rb"\x08[\x01-\x14]\x12[\x01-\x40][ -~]")
Sign = Callable[[bytes], bool]


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        name: how formats call it.
        what: what it is, with its article.
        remedy: what its owner can do; empty where a format reads such files.
        is_it: whether bytes are the first of such a file.
    """

    name: str
    what: str
    remedy: str
    is_it: Sign


def begins(*magics: bytes, at: int = 0) -> Sign:
    """Whether one of these stands at a place of the file."""
    return lambda head: head.startswith(magics, at)


def matches(pattern: re.Pattern[bytes]) -> Sign:
    """Whether the file begins as a pattern says."""
    return lambda head: pattern.match(head) is not None


def zipped(*pieces: bytes) -> Sign:
    """Whether it is a zip file in whose beginning one of these stands, the names of its members for instance."""
    return lambda head: head.startswith(b"PK\x03\x04") and any(piece in head for piece in pieces)


def has(magic: bytes, piece: bytes) -> Sign:
    """Whether it begins with the one and has the other further on."""
    return lambda head: head.startswith(magic) and piece in head


KINDS = (
    Kind(EMPTY, "an empty file", "write it again, or copy it again", lambda head: not head.strip()),
    Kind(PARQUET, "a Parquet file", "", matches(re.compile(rb"PAR1[\x00-\x08\x0e-\x1f]"))),
    Kind(SQLITE, "an SQLite file", "", begins(b"SQLite format 3\0")),
    # text that is no data
    Kind("lfs", "a Git LFS pointer, not the data", "fetch the data with git lfs pull", begins(b"version https://git-lfs.")),
    Kind("html", "a web page, not data", "download the file itself, not the page that shows it", matches(WEB_PAGE)),
    Kind("404", "a server's word that there is no such file", "mend the link and download it again", begins(b"404: Not Found")),
    Kind("xml", "an XML file", AS_TABLE, begins(b"<?xml", b"<svg")),
    Kind("notebook", "a Jupyter notebook", f"run it and {AS_TABLE}", matches(NOTEBOOK)),
    Kind("pdf", "a PDF document", NO_TABLE, begins(b"%PDF-")),
    # what Python and its libraries save
    Kind("torch", "a PyTorch file (a pickle)", AS_TEXT, zipped(b"/data.pkl")),
    Kind("pickle", "a pickle", AS_TEXT, matches(PICKLE)),
    Kind("joblib", "a compressed pickle (joblib)", AS_TEXT, begins(b"\x78\x01", b"\x78\x9c", b"\x78\xda")),
    Kind("npz", "a NumPy archive (.npz)", AS_TABLE, zipped(b".npy")),
    Kind("npy", "a NumPy array (.npy)", AS_TABLE, begins(b"\x93NUMPY")),
    Kind("hdf5", "an HDF5 file", AS_TABLE, begins(b"\x89HDF\r\n\x1a\n")),
    Kind("matlab", "a MATLAB file", AS_TABLE, begins(b"MATLAB 5.0 MAT-file")),
    Kind("r", "an R data file", AS_TABLE, begins(b"RDX2\nX\n", b"RDX3\nX\n", b"X\n\0\0\0")),
    Kind("arrow", "an Arrow or Feather file", AS_PARQUET, matches(re.compile(rb"ARROW1\0|FEA1[\x00-\x08]"))),
    Kind("orc", "an ORC file", AS_PARQUET, has(b"ORC", b"\0")),
    Kind("avro", "an Avro file", AS_PARQUET, begins(b"Obj\x01")),
    Kind("safetensors", "the weights of a network (safetensors)", NO_TABLE, begins(b'\0\0{"', at=6)),
    Kind("gguf", "the weights of a network (GGUF)", NO_TABLE, matches(re.compile(rb"GGUF[\x01-\x08]\0"))),
    Kind("onnx", "a network (ONNX)", NO_TABLE, matches(ONNX)),
    Kind("tensorboard", "a TensorBoard log", AS_TABLE, lambda head: b"brain.Event:" in head[:64]),
    Kind("wandb", "a W&B run log", "export the runs table of the project's page as CSV", begins(b":W&B")),
    # office
    Kind("xlsx", "an Excel file", AS_SHEET, zipped(b"xl/workbook", b"xl/worksheets")),
    Kind("ods", "an OpenDocument file", AS_SHEET, zipped(b"mimetypeapplication/vnd.oasis")),
    Kind("office", "an Office document", "save the table in it as CSV", zipped(b"[Content_Types].xml", b"word/", b"ppt/")),
    Kind("xls", "an Excel or Office file of the old kind", AS_SHEET, begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")),
    # pictures
    Kind("png", "a PNG image", NO_TABLE, begins(b"\x89PNG")),
    Kind("jpeg", "a JPEG image", NO_TABLE, begins(b"\xff\xd8\xff")),
    Kind("gif", "a GIF image", NO_TABLE, begins(b"GIF87a", b"GIF89a")),
    Kind("webp", "a WebP image", NO_TABLE, begins(b"WEBPVP", at=8)),
    # archives
    Kind("zip", "a zip archive", UNPACK, begins(b"PK\x03\x04", b"PK\x05\x06")),
    Kind("tar", "a tar archive", UNPACK, begins(b"ustar", at=257)),
    Kind("gzip", "a gzip file in a gzip file", "unpack it once", begins(b"\x1f\x8b\x08")),
    Kind("bzip2", "a bzip2 file", UNPACK, lambda head: head.startswith(b"BZh") and head[4:10] == b"1AY&SY"),
    Kind("xz", "an xz file", UNPACK, begins(b"\xfd7zXZ\0")),
    Kind("zstd", "a Zstandard file", UNPACK, begins(b"\x28\xb5\x2f\xfd")),
    Kind("lz4", "an LZ4 file", UNPACK, begins(b"\x04\x22\x4d\x18")),
    Kind("7z", "a 7-Zip archive", UNPACK, begins(b"7z\xbc\xaf\x27\x1c")),
    Kind("rar", "a RAR archive", UNPACK, begins(b"Rar!\x1a\x07")),
    # programs
    Kind("elf", "a program (ELF)", NO_TABLE, begins(b"\x7fELF")),
    Kind("exe", "a program (Windows)", NO_TABLE, has(b"MZ", b"PE\0\0")),
    Kind("mach-o", "a program (macOS)", NO_TABLE, begins(b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")),
)
UNKNOWN = Kind(BINARY, "binary content of an unknown kind", NO_TABLE, lambda head: True)


def described(head: bytes) -> Kind | None:
    """The kind of a file that is no text of data.

    Args:
        head: its first 64 KiB, unpacked, in whatever encoding.

    Returns:
        None where it is text and nothing says that it is no data.
    """
    encoding = wide_encoding(head)
    text = transcoded(head, encoding) if encoding else head.removeprefix(UTF8_BOM)
    certain = encoding in MARKS.values() or (encoding is None and is_utf8(head))
    for kind in KINDS:
        if kind.is_it(head) or kind.is_it(text):
            return kind
    doubtful = len(text) > len(text.translate(None, CONTROLS)) or (encoding and REPLACED in text)
    return UNKNOWN if b"\0" in text or (doubtful and not certain) else None


def kind_of(head: bytes) -> str:
    """The name of what a file is: TEXT, PARQUET, SQLITE or that of another of KINDS.

    Args:
        head: its first 64 KiB, unpacked, in whatever encoding.
    """
    kind = described(head)
    return kind.name if kind else TEXT
