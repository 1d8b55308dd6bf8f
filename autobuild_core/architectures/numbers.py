"""Numbers as they are written for people: the digits that matter, the sign, the unit."""

import numpy as np


def number(value: float) -> str:
    """A number as a reader wants it: three or four digits that matter, no exponent where it can be helped."""
    if not np.isfinite(value):
        return "unknown"
    size = abs(value)
    if size and (size >= 1e6 or size < 1e-4):
        return f"{value:.2e}"
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3 if size >= 0.1 else 4
    return f"{value:,.{digits}f}"


def amount(value: float, unit: str) -> str:
    """A number with its unit, which may be empty."""
    return with_unit(number(value), unit)


def with_unit(text: str, unit: str) -> str:
    """A number as text with its unit; nothing stands behind it where the unit is empty."""
    return f"{text} {unit}" if unit else text


def rounded(value: float) -> str:
    """Three digits that matter, for the ends of a scale: thousands instead of an exponent, "1,640,000"."""
    text = f"{value:,.3g}"
    return f"{float(text):,.0f}" if "e" in text and abs(value) >= 1000 else text


def digits_for(low: float, high: float) -> int:
    """Decimals that an interval bears: two digits of its half width, and no more than five of its ends."""
    half, end = (high - low) / 2, max(abs(low), abs(high))
    if not (np.isfinite(half) and half > 0):
        return 3
    return int(np.clip(min(1 - np.floor(np.log10(half)), 4 - np.floor(np.log10(end))), 0, 9))


def signed(value: float, digits: int) -> str:
    """A difference with its sign; zero has none."""
    if not np.isfinite(value):
        return "unknown"
    if abs(value) >= 1e6:
        return f"{value:+.2e}"
    text = f"{value:+,.{digits}f}"
    return text if float(text.replace(",", "")) else text[1:]
