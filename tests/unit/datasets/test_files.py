"""Opening files: any encoding, what a wrong file is, limits that end a bomb before it takes memory."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import sqlite3
import tarfile
import tracemalloc
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from autobuild_core.datasets import read_table
from autobuild_core.datasets._encodings import narrow_encoding
from autobuild_core.datasets._files import (
    CHUNK_BYTES,
    HEAD_BYTES,
    MAX_LINE_BYTES,
    byte_lines,
    encoding_note,
    open_bytes,
    read_head,
    read_text,
    text_lines,
)
from autobuild_core.datasets._kinds import BINARY, EMPTY, KINDS, PARQUET, SQLITE, TEXT, kind_of
from autobuild_core.errors import ConfigError, DataError

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CSV = "größe,Präzision\n3,0.5\n5,0.6\n"
Write = Callable[[bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: bytes) -> Path:
        path = tmp_path / "data.csv"
        path.write_bytes(content)
        return path

    return write


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "title"),
        [
            ("utf-8", None),
            ("utf-8-sig", None),
            ("latin-1", "Windows-1252 (Latin-1)"),
            ("cp1252", "Windows-1252 (Latin-1)"),
            ("utf-16", "UTF-16"),
            ("utf-16-le", "UTF-16"),
            ("utf-16-be", "UTF-16"),
            ("utf-32", "UTF-32"),
        ],
    )
    @pytest.mark.parametrize("packed", [False, True])
    def test_all_readers_agree_and_say_which_it_was(self, write: Write, encoding: str, title: str | None, packed: bool) -> None:
        content = CSV.encode(encoding)
        path = write(gzip.compress(content) if packed else content)
        assert read_head(path).decode() == read_text(path) == "".join(text_lines(path)) == CSV
        assert [line.decode() for line in byte_lines(path)] == CSV.splitlines()
        assert encoding_note(path) == (title and f"The file is not in UTF-8; it was read as {title}.")

    def test_big_endian_with_a_mark(self, write: Write) -> None:
        assert read_text(write(b"\xfe\xff" + CSV.encode("utf-16-be"))) == CSV

    @MANY
    @given(
        text=st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1),
        encoding=st.sampled_from(["utf-8", "utf-16", "utf-32"]),
    )
    def test_any_text_survives_in_encodings_of_unicode(self, tmp_path: Path, text: str, encoding: str) -> None:
        self.check(tmp_path, "name\n" + text, encoding)

    @MANY
    @given(
        text=st.text(st.characters(codec="cp1252", min_codepoint=32), min_size=1), encoding=st.sampled_from(["cp1252", "latin-1"])
    )
    def test_any_text_survives_in_latin(self, tmp_path: Path, text: str, encoding: str) -> None:
        try:
            content = text.encode(encoding)
        except UnicodeEncodeError:
            content = text.encode("cp1252")
        assume(narrow_encoding([content]) == "cp1252" or text.isascii())  # "Ã©" in Latin-1 is "é" in UTF-8: nobody can tell
        self.check(tmp_path, "name\n" + text, "cp1252")

    @MANY
    @given(
        text=st.text(st.characters(codec="latin-1", exclude_characters="\0\r", exclude_categories=["Cc"]), min_size=1),
        encoding=st.sampled_from(["utf-16-le", "utf-16-be"]),
    )
    def test_any_western_text_survives_in_utf_16_without_a_mark(self, tmp_path: Path, text: str, encoding: str) -> None:
        self.check(tmp_path, "name\n" + text, encoding)

    @staticmethod
    def check(tmp_path: Path, text: str, encoding: str) -> None:
        path = tmp_path / "any"
        path.write_bytes(text.encode(encoding))
        lines = text.removesuffix("\n").split("\n")
        assert read_text(path) == text
        assert [line.decode() for line in byte_lines(path)] == lines
        assert list(text_lines(path)) == [line + "\n" for line in lines]
        assert read_head(path).decode() == text

    def test_a_late_line_that_is_not_utf_8_decides_for_the_whole_file(self, write: Write) -> None:
        text = "k,l\n" + "1,2\n" * CHUNK_BYTES + "é,2\n"
        path = write(text.encode("latin-1"))
        assert list(text_lines(path))[-1] == "é,2\n" and read_text(path) == text
        assert "Windows-1252" in str(encoding_note(path))

    def test_one_stray_byte_among_utf_8_is_damage_not_another_encoding(self, write: Write) -> None:
        path = write("größe,Präzision\nü,ö\n".encode() + b"5,\xe9\n")
        assert encoding_note(path) is None
        assert list(byte_lines(path))[2] == b"5,\xe9"  # formats of lines refuse this row only
        for read in (lambda: list(text_lines(path)), lambda: read_text(path)):
            with pytest.raises(DataError, match=r"data\.csv, line 3: got byte 0xe9, expected UTF-8 text; save it again"):
                read()

    def test_a_stray_byte_at_the_very_end(self, write: Write) -> None:
        assert read_text(write("name,caf\u00e9".encode("latin-1"))) == "name,caf\u00e9"

    def test_bytes_that_windows_does_not_know_are_said(self, write: Write) -> None:
        path = write(b"a,b\n\xe9,1\n\x81,2\n")
        with pytest.raises(DataError, match=r"line 3: got byte 0x81, expected Windows-1252 \(Latin-1\) text"):
            list(text_lines(path))

    def test_damaged_utf_16_is_said(self, write: Write) -> None:
        path = write("\ufeffa,b\n1,2\n".encode("utf-16-le") + b"\x00\xd8a\0")
        assert read_head(path).startswith(b"a,b\n1,2\n")
        with pytest.raises(DataError, match="the UTF-16 text is damaged; save it again as UTF-8"):
            list(text_lines(path))
        with pytest.raises(DataError, match="expected UTF-16 text; save it again as UTF-8"):
            read_text(path)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
    def test_a_head_ends_with_a_whole_character(self, write: Write, encoding: str) -> None:
        for shift in range(4):
            text = "a" * shift + "é" * HEAD_BYTES
            head = read_head(write(text.encode(encoding))).decode()
            assert text.startswith(head) and len(head) > HEAD_BYTES // 4

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    def test_an_overlong_line_is_cut_and_the_next_is_whole(self, write: Write, encoding: str) -> None:
        path = write(("1" * (3 * MAX_LINE_BYTES) + "\nnext\n").encode(encoding))
        first, second = byte_lines(path)
        assert len(first) == MAX_LINE_BYTES + 1 and second == b"next"

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
    def test_lines_are_streamed(self, write: Write, encoding: str) -> None:
        path = write(
            ("é" + "1" * 99 + "\n").encode(encoding) + ("1" * 100 + "\n").encode(encoding.replace("16", "16-le")) * 100_000
        )
        tracemalloc.start()
        assert sum(1 for _ in text_lines(path)) == 100_001
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 6 * 2**20

    def test_a_table_in_latin_1_is_a_table(self, write: Write) -> None:
        table = read_table(write("b0_k,b0_l,Präzision\n3,1,0.5\n5,2,0.6\n".encode("latin-1")))
        assert list(table.metrics) == ["Präzision"] and len(table) == 2

    def test_a_file_that_changed_is_looked_at_again(self, write: Write) -> None:
        path = write(b"a,b\n1,2\n")
        assert encoding_note(path) is None
        path.write_bytes("é,b\n1,2,3\n".encode("latin-1"))
        assert encoding_note(path)


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def saved(save: Callable[[Any], Any]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.json"))
    return file.getvalue()


def sqlite_bytes() -> bytes:
    database = sqlite3.connect(":memory:")
    database.execute("create table t (a)")
    return database.serialize()


HELD = [{"arch": "02012100", "acc": 0.5, "when": Fraction(1, 3)}]
WRONG = {
    "a web page": [
        b"<!DOCTYPE html>\n<html lang=en>",
        b"\n  <HTML><head>",
        b"<!-- saved -->\n<html>",
        "<!doctype html><p>".encode("utf-16"),
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0">',
    ],
    "a Git LFS pointer": [b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"],
    "a pickle": [
        pickle.dumps(value, protocol) for protocol in range(6) for value in (HELD, {"a": 1}, OrderedDict(a=1), np.zeros(3))
    ],
    r"a PyTorch file \(a pickle\)": [zipped(**{"archive/data.pkl": b"\x80\x02}.", "archive/version": b"3"})],
    r"a compressed pickle \(joblib\)": [zlib.compress(pickle.dumps(HELD), level) for level in (1, 6, 9)],
    "a NumPy archive": [saved(lambda f: np.savez(f, np.zeros(3))), saved(lambda f: np.savez_compressed(f, a=np.zeros(3)))],
    "a NumPy array": [saved(lambda f: np.save(f, np.zeros(3)))],
    "an HDF5 file": [b"\x89HDF\r\n\x1a\n\0\0\0"],
    "an Arrow or Feather file": [saved(lambda f: pd.DataFrame({"a": [1]}).to_feather(f))],
    "an Excel file": [zipped(**{"[Content_Types].xml": b"<a/>", "xl/workbook.xml": b"<a/>"})],
    "an Excel or Office file of the old kind": [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0"],
    "an OpenDocument file": [zipped(mimetype=b"application/vnd.oasis.opendocument.spreadsheet")],
    "an Office document": [zipped(**{"[Content_Types].xml": b"<a/>", "word/document.xml": b"<a/>"})],
    "a PDF document": [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3"],
    "a PNG image": [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"],
    "a JPEG image": [b"\xff\xd8\xff\xe0\0\x10JFIF"],
    "a zip archive": [zipped(**{"a.csv": b"a,b\n1,2\n"}), zipped()],
    "a tar archive": [tarred()],
    "a gzip file in a gzip file": [gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0)],
    "a bzip2 file": [bz2.compress(b"a,b\n1,2\n")],
    "an xz file": [lzma.compress(b"a,b\n1,2\n")],
    "a Zstandard file": [b"\x28\xb5\x2f\xfd\x04\x58\0\0"],
    "an empty file": [b"", b" \n\r\n", b"\xef\xbb\xbf\n", "\ufeff \n".encode("utf-16-le")],
    r"a program \(ELF\)": [b"\x7fELF\x02\x01\x01\0"],
    r"a program \(Windows\)": [b"MZ\x90\0" + b"\0" * 80 + b"PE\0\0"],
    r"a network \(ONNX\)": [b"\x08\x08\x12\x07pytorch\x1a\x052.1.0"],
    r"the weights of a network \(safetensors\)": [b'\x40\0\0\0\0\0\0\0{"w":{}}'],
    "a W&B run log": [b":W&B\xbe\xee\0\0"],
    "a Jupyter notebook": [b'{\n "cells": [\n  {\n   "cell_type": "code"'],
    "an XML file": [b'<?xml version="1.0"?>\n<results/>'],
    "a server's word that there is no such file": [b"404: Not Found"],
    "binary content of an unknown kind": [bytes(range(256)), b"\x01\x02\x03\xff\xfe", np.arange(200, dtype="<i2").tobytes()],
}


class TestKinds:
    @pytest.mark.parametrize(  # what is packed twice already is not packed a third time
        ("packed", "what", "content"),
        [
            (packed, w, c)
            for packed in (False, True)
            for w, own in WRONG.items()
            for c in own
            if not (packed and c[:2] == b"\x1f\x8b")
        ],
    )
    def test_a_wrong_file_says_what_it_is_and_what_to_do(self, write: Write, packed: bool, what: str, content: bytes) -> None:
        path = write(gzip.compress(content) if packed else content)
        for read in (read_head, read_text, lambda p: list(text_lines(p)), lambda p: list(byte_lines(p)), read_table):
            with pytest.raises(DataError, match=rf"^data\.csv: got {what}.*: .{{8,}}\.$") as raised:
                read(path)
            assert str(raised.value).count("\n") == 0 and len(str(raised.value)) < 220

    def test_every_kind_has_a_case_here_or_is_read(self) -> None:
        seen = {
            kind_of(gzip.decompress(one) if one[:2] == b"\x1f\x8b" else one) for all_of_it in WRONG.values() for one in all_of_it
        }
        unseen = {kind.name for kind in KINDS if kind.remedy} - seen
        assert unseen <= {"matlab", "r", "orc", "avro", "gguf", "tensorboard", "gif", "webp", "lz4", "7z", "rar", "mach-o"}
        assert len({kind.name for kind in KINDS}) == len(KINDS)

    def test_what_formats_read_is_not_refused(self, write: Write, tmp_path: Path) -> None:
        frame = tmp_path / "frame"
        pd.DataFrame({"a": [1, 2]}).to_parquet(frame)
        for content, kind in ((frame.read_bytes(), PARQUET), (sqlite_bytes(), SQLITE)):
            path = write(content)
            assert kind_of(read_head(path)) == kind and content.startswith(read_head(path))
            with pytest.raises(DataError, match="expected a text file here"):
                read_text(path)

    @pytest.mark.parametrize(
        "content",
        [
            b"PAR1,PAR2,acc\n1,2,3\n",
            b"cell\nfoo\nbar\n",
            b"(dp,acc\n",
            b"FEA1,acc\n",
            b"GGUF,acc\n",
            b"MZ,acc\n",
            b"ORC,acc\n",
            b"<k>,acc\n",
            json.dumps({"cells": 3}).encode(),
            b"xml,acc\n",
            b"%PDF,acc\n",
            b"a\tb\x1a",
            b'{"html": "<html>"}',
            b"head,body\n1,2\n",
            b"c,d\nn\np1\n",
        ],
    )
    def test_text_that_begins_like_something_else_is_text(self, content: bytes) -> None:
        assert kind_of(content) == TEXT

    def test_names_of_kinds_that_formats_use(self) -> None:
        assert (kind_of(b" "), kind_of(b"\0\1\2\3\xff")) == (EMPTY, BINARY)

    @MANY
    @given(head=st.binary(max_size=300))
    def test_any_bytes_are_something(self, head: bytes) -> None:
        assert kind_of(head) in {kind.name for kind in KINDS} | {TEXT, BINARY}

    def test_nothing_in_a_pickle_is_run(self, write: Write, tmp_path: Path) -> None:
        class Attack:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, (str(tmp_path / "attacked"),)

        for protocol in range(6):
            with pytest.raises(DataError, match="a pickle: not read, it can run code; export it as"):
                read_table(write(pickle.dumps(Attack(), protocol)))
        assert not (tmp_path / "attacked").exists()

    def test_no_files_at_all(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        for path, message in (
            (tmp_path / "none", "got no such file"),
            (tmp_path, "got a folder, expected a file: choose the one in it"),
            (tmp_path / "pipe", "got a device or a pipe"),
            (Path("/dev/zero"), "got a device or a pipe"),
        ):
            for read in (read_head, read_text, encoding_note, lambda p: list(byte_lines(p))):
                with pytest.raises(DataError, match=message):
                    read(path)


def bomb(path: Path, start: bytes, piece: bytes, mib: int) -> Path:
    """A gzip file of this and much of that."""
    with gzip.open(path, "wb") as file:
        file.write(start)
        for _ in range(mib):
            file.write(piece * (2**20 // len(piece)))
    return path


@pytest.fixture
def bounded() -> Iterator[None]:
    """Fails where Python takes more than 16 MiB: what is unpacked or read to its end takes more."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20


class TestLimits:
    @pytest.mark.parametrize(
        ("start", "piece"), [(b"a,b,acc\n", b"1,1,1\n"), (b"", b"1,1,"), (b"[", b"1,1,"), (b'{"02012100": [', b"1,")]
    )
    @pytest.mark.usefixtures("bounded")
    def test_a_bomb_stops_before_it_takes_memory(self, tmp_path: Path, start: bytes, piece: bytes) -> None:
        path = bomb(tmp_path / "bomb.gz", start, piece, 70)
        with pytest.raises(
            DataError,
            match=r"bomb\.gz: unpacks to more than 64 MiB and the limit of 200 times its size.*AUTOBUILD_MAX_UNPACKED_MB",
        ):
            read_table(path)

    def test_the_limit_of_unpacked_bytes_can_be_set_and_lifts_the_ratio(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = bomb(tmp_path / "large.gz", b"", b"a line of text without any end\n", 70)
        monkeypatch.setenv("AUTOBUILD_MAX_UNPACKED_MB", "69")
        with pytest.raises(DataError, match="unpacks to more than the limit of 69 MiB; set AUTOBUILD_MAX_UNPACKED_MB"):
            read_head(path)
        monkeypatch.setenv("AUTOBUILD_MAX_UNPACKED_MB", "71")
        assert read_head(path).startswith(b"a line")

    @pytest.mark.usefixtures("bounded")
    def test_the_limit_of_values_can_be_set(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(b"1,2;3\t4\n" * 300_000)
        assert read_head(path)
        monkeypatch.setenv("AUTOBUILD_MAX_VALUES_M", "1")
        with pytest.raises(DataError, match=r"limit of 1 million values.*set AUTOBUILD_MAX_VALUES_M"):
            read_table(path)

    def test_the_limit_of_text_in_one_piece_can_be_set(self, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(b"[" + b" " * 2**20)
        assert read_text(path)[0] == "["
        monkeypatch.setenv("AUTOBUILD_MAX_JSON_MB", "1")
        with pytest.raises(
            DataError, match="limit of 1 MiB of JSON in one piece; write it as JSON lines, or set AUTOBUILD_MAX_JSON_MB"
        ):
            read_text(path)

    @pytest.mark.parametrize("value", ["much", "0", "-1", ""])
    def test_a_limit_that_is_no_number_is_said(self, write: Write, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("AUTOBUILD_MAX_VALUES_M", value)
        with pytest.raises(ConfigError, match=f"AUTOBUILD_MAX_VALUES_M: got '{value}', expected a whole number"):
            read_head(write(b"a,b\n"))

    def test_an_honest_file_may_pack_well(self, tmp_path: Path) -> None:
        path = bomb(tmp_path / "honest.gz", b"", b"3,5,7,0.713\n", 63)
        with open_bytes(path) as file:
            assert len(file.read()) == 63 * (2**20 // 12) * 12

    def test_readme_names_every_limit(self) -> None:
        readme = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
        for variable in ("AUTOBUILD_MAX_UNPACKED_MB", "AUTOBUILD_MAX_VALUES_M", "AUTOBUILD_MAX_JSON_MB"):
            assert f"`{variable}`" in readme
