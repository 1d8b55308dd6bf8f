"""Names and values that formats share: metrics as equations call them, what stands for nothing, known spaces."""

import keyword
import math
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

MAX_METRICS = 1000
SLIP_SHARE = 0.05  # of the rows, from which on a text among numbers is a choice
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
MISSING_MARKS = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none", "-", "?"})


@cache
def metric_name(field: str) -> str:
    """A field's name as equations write it: letters, digits and underscores, not starting with a digit."""
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", field.strip())).strip("_") or "metric"
    name = re.sub(r"\W", "_", name)
    return f"m_{name}" if name[0].isdigit() else f"{name}_" if keyword.iskeyword(name) else name


def is_missing(value: Any) -> bool:
    """None, NaN, or a text that stands for nothing."""
    if isinstance(value, str):
        return value.strip().lower() in MISSING_MARKS
    return value is None or (isinstance(value, float) and math.isnan(value))


def shorten(value: Any, length: int = 60) -> str:
    """A value for a message."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."


def usual_choices(counts: Mapping[str, int]) -> list[str]:
    """The values that a design column takes: where most cells are numbers only those, so that one slip is no new choice."""
    texts, num = [value for value in counts if not NUMBER.fullmatch(value)], sum(counts.values())
    if sum(counts[value] for value in texts) * 2 < num:
        slips = {value for value in texts if counts[value] < max(2, SLIP_SHARE * num)}
        return [value for value in counts if value not in slips]
    return list(counts)
