"""JSON documents: objects whose keys are checked to be unique, arrays read item by item."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from autobuild_core.datasets._rows import Row
from autobuild_core.datasets._table import shorten
from autobuild_core.errors import DataError

BLANK = " \t\r\n"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict.

    Raises:
        DataError: a key is repeated.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        key = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise DataError(f"{shorten(key)}: got it twice in one object, expected each key once.")
    return found


class Repeated(list[tuple[str, Any]]):
    """The pairs of a JSON object that has a key twice."""


def _pairs(pairs: list[tuple[str, Any]]) -> Any:
    """A JSON object as a dict, or as its pairs when a key is repeated: a dict would drop one silently."""
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeated(pairs)


_decode_object = json.JSONDecoder(object_pairs_hook=_unique).decode
_decode_item = json.JSONDecoder(object_pairs_hook=_pairs).raw_decode


def decode_row(text: str) -> Row:
    """A row that is one JSON object, or the error that refuses it."""
    try:
        found = _decode_object(text)
    except json.JSONDecodeError as error:
        return DataError(f"not JSON at column {error.colno}: {error.msg}; got {shorten(error.doc.strip())}.")
    except DataError as error:
        return error
    except (ValueError, RecursionError) as error:
        return DataError(f"not readable JSON: {str(error)[:120]}.")
    return as_row(found)


def as_row(found: Any) -> Row:
    """An item as a row: an object, or the error that refuses it."""
    if isinstance(found, Repeated):
        key = Counter(key for key, _ in found).most_common(1)[0][0]
        return DataError(f"{shorten(key)}: got it twice in one object, expected each key once.")
    return found if isinstance(found, dict) else DataError(f"got {shorten(found)}, expected an object with arch or choices.")


def document(text: str, name: str) -> Any:
    """A whole JSON document; an object with a repeated key is its pairs (`Repeated`).

    Raises:
        DataError: it is no JSON; the message says where, and whether the file was cut off.
    """
    try:
        return json.loads(text, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        ended = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated string")
        cut = " (the file ends too early)" if ended else ""
        raise DataError(f"{name}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}{cut}.") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not readable JSON: {str(error)[:120]}.") from None


def items(text: str, name: str) -> Iterator[Any]:
    """The items of a JSON array, one at a time: a hundred thousand networks never stand in memory as objects.

    Raises:
        DataError: it is no JSON array, or breaks off.
    """
    place = _skip(text, 0)
    more, place = text[place : place + 1] == "[", _skip(text, place + 1)
    if more and text[place : place + 1] == "]":
        more = False
    while more:
        try:
            item, place = _decode_item(text, place)
        except json.JSONDecodeError as error:
            cut = " (the file ends too early)" if error.pos >= len(text.rstrip()) - 1 else ""
            raise DataError(f"{name}, line {error.lineno}, column {error.colno}: not JSON: {error.msg}{cut}.") from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}: not readable JSON: {str(error)[:120]}.") from None
        yield item
        place = _skip(text, place)
        more = text[place : place + 1] == ","
        place = _skip(text, place + 1) if more else place
    if text[place : place + 1] != "]" or text[place + 1 :].strip(BLANK):
        got = shorten(text[place : place + 20]) if place < len(text) else "the end of the file"
        raise DataError(f"{name}: got {got} at character {place}, expected one JSON array.")


def _skip(text: str, place: int) -> int:
    """The next place that is no white space."""
    while text[place : place + 1] and text[place] in BLANK:
        place += 1
    return place
