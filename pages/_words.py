"""Durations, ages, intervals and the names of a list in words."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures import numbers


def duration(seconds: float) -> str:
    """Seconds in words."""
    if not np.isfinite(seconds):
        return ""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def distinct(names: Mapping[str, str]) -> dict[str, str]:
    """The names of a list, newest first; of those that are alike all but the oldest get a number behind.

    A list in the browser knows its entries by what they read, so two that read alike would be one.
    """
    found, seen = {}, Counter[str]()
    for key, name in reversed(list(names.items())):
        seen[name] += 1
        found[key] = name if seen[name] == 1 else f"{name} ({seen[name]})"
    return {key: found[key] for key in names}


def age(moment: Any) -> str:
    """The time since a moment, in words."""
    return "" if pd.isna(moment) else f"{duration(max(time.time() - moment.timestamp(), 0))} ago"


def interval(low: float, high: float) -> str:
    """An interval in brackets."""
    return f"({numbers.number(low)} to {numbers.number(high)})"
