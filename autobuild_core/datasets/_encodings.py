"""The encodings of text files: UTF-8, UTF-16 and UTF-32 with or without a mark, else Windows-1252, which Latin-1 is part of."""

import codecs
from collections.abc import Iterable

UTF8, WINDOWS = "utf-8-sig", "cp1252"
UTF8_BOM, REPLACED = codecs.BOM_UTF8, "\ufffd".encode()
MARKS = {  # those of UTF-32 first: one of them begins with a mark of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
WIDE = (*MARKS.values(), "utf-16-le", "utf-16-be")
TITLES = {UTF8: "UTF-8", WINDOWS: "Windows-1252 (Latin-1)", "utf-32": "UTF-32"}


def title(encoding: str) -> str:
    """The name of an encoding for a reader."""
    return TITLES.get(encoding, "UTF-16")


def wide_encoding(head: bytes) -> str | None:
    """The encoding of two or four bytes a character that a file is in, by its mark or by alternating zero bytes.

    Args:
        head: the first bytes of the file.

    Returns:
        None where a byte is a character, or a part of one of UTF-8.
    """
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    evens, odds = head[0::2].count(0), head[1::2].count(0)
    for encoding, many, few in (("utf-16-le", odds, evens), ("utf-16-be", evens, odds)):
        if many and 4 * many >= len(head) and 10 * few <= many:
            return encoding
    return None


def transcoded(head: bytes, encoding: str) -> bytes:
    """The beginning of a file of a wide encoding in UTF-8, without a mark; a character cut at its end is left out."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(head).encode()


def is_utf8(head: bytes) -> bool:
    """Whether the beginning of a file is UTF-8, as far as it goes."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def narrow_encoding(chunks: Iterable[bytes]) -> str:
    """UTF-8 or Windows-1252: the chunk that holds the first byte that is not UTF-8 decides.

    It is Windows-1252 where no character beyond ASCII came before that chunk, and in it more bytes are strays than
    characters well formed. Otherwise the file is UTF-8 with damaged places. One with UTF-8's mark is UTF-8. Ours.

    Args:
        chunks: the whole file, in pieces. All are taken.
    """
    decoder, encoding, decided, beyond = codecs.getincrementaldecoder("utf-8")(), UTF8, False, False
    for number, chunk in enumerate(chunks):
        decided = decided or (number == 0 and chunk.startswith(UTF8_BOM))
        pending = decoder.getstate()[0]
        if decided or (chunk.isascii() and not pending):
            continue
        try:
            beyond = not decoder.decode(chunk).isascii() or beyond
        except UnicodeDecodeError:
            decided, encoding = True, WINDOWS if not beyond and _mostly_strays(pending + chunk) else UTF8
    cut = decoder.getstate()[0]
    return WINDOWS if cut and not decided and not beyond else encoding


def _mostly_strays(chunk: bytes) -> bool:
    """More bytes that are not UTF-8 than characters beyond ASCII that are."""
    text = chunk.decode("utf-8", "replace")
    strays = text.count("\ufffd")
    return strays > len(text) - strays - sum(map(str.isascii, text))


def as_utf8(line: bytes, encoding: str) -> bytes:
    """A line of an encoding that is not wide, in UTF-8; as it is where it is damaged."""
    if encoding == UTF8 or line.isascii():
        return line
    try:
        return line.decode(encoding).encode()
    except UnicodeDecodeError:
        return line
