"""Results of `benchmark` for people: Markdown tables, and a chart of seconds and memory as SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

Record = Mapping[str, Any]
PANEL, MARGIN, GAP, LABEL = (330, 230), 62, 46, 12
COLOURS = ("#1f6fb4", "#d1730a", "#2a8a4a", "#9a4fb0")


def cell(value: Any) -> str:
    """A number as a reader wants it, everything else as it is."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, list):
        return " ".join(cell(v) for v in value)
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(title: str, records: Sequence[Record], notes: str = "") -> str:
    """A Markdown table with a column for every key that any record has."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    lines = [f"### {title}", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(record.get(column)) for column in columns) + " |" for record in records]
    return "\n".join([*lines, *(["", notes] if notes else []), ""])


def averaged(records: Sequence[Record], by: Sequence[str]) -> list[dict[str, Any]]:
    """The records with equal values of `by` as one, their numbers averaged (lists place by place)."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record[key] for key in by), []).append(record)
    out = []
    for key, members in groups.items():
        one: dict[str, Any] = dict(zip(by, key, strict=True))
        for name in dict.fromkeys(name for member in members for name in member if name not in by):
            one[name] = _mean([member[name] for member in members if member.get(name) is not None])
        out.append(one)
    return out


def _mean(values: list[Any]) -> Any:
    """The mean of numbers or of lists of numbers; the first of anything else."""
    if values and isinstance(values[0], list):
        return [_mean(list(place)) for place in zip(*values, strict=True)]
    if values and all(isinstance(v, int | float) for v in values):
        return values[0] if len(set(values)) == 1 else sum(values) / len(values)
    return values[0] if values else None


def chart(panels: Sequence[tuple[str, str, str, Mapping[str, Sequence[tuple[float, float]]]]]) -> str:
    """An SVG with one log-log panel beside the other.

    Args:
        panels: (title, x axis, y axis, {label of a line: its (x, y) points}).
    """
    width, height = MARGIN + len(panels) * (PANEL[0] + MARGIN), PANEL[1] + 2 * GAP + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" role="img">',
        f"<title>{escape('; '.join(title for title, *_ in panels))}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for index, panel in enumerate(panels):
        parts += _panel(MARGIN + index * (PANEL[0] + MARGIN), *panel)
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: int, title: str, x_name: str, y_name: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> list[str]:
    """One panel: decades as grid, a line with dots and its label for each series."""
    points = [(max(x, 1e-9), max(y, 1e-9)) for own in lines.values() for x, y in own]
    spans = [(math.floor(math.log10(min(v))), math.ceil(math.log10(max(v)) - 1e-9)) for v in zip(*points, strict=True)]
    (x0, x1), (y0, y1) = [(low, max(high, low + 1)) for low, high in spans]

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (math.log10(max(x, 1e-9)) - x0) / (x1 - x0), (math.log10(max(y, 1e-9)) - y0) / (y1 - y0)
        return left + across * PANEL[0], GAP + (1 - up) * PANEL[1]

    out = [f'<text x="{left}" y="{GAP - 26}" font-size="13" font-weight="bold">{escape(title)}</text>']
    out.append(f'<text x="{left}" y="{GAP - 8}" fill="#555">{escape(y_name)}</text>')
    out.append(f'<text x="{left + PANEL[0]}" y="{GAP + PANEL[1] + 34}" text-anchor="end" fill="#555">{escape(x_name)}</text>')
    for decade in range(x0, x1 + 1):
        x, _ = place(10.0**decade, 1)
        out.append(f'<line x1="{x:.1f}" y1="{GAP}" x2="{x:.1f}" y2="{GAP + PANEL[1]}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{GAP + PANEL[1] + 16}" text-anchor="middle" fill="#555">{10**decade:,}</text>')
    for decade in range(y0, y1 + 1):
        _, y = place(1, 10.0**decade)
        out.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + PANEL[0]}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{10.0**decade:,g}</text>')
    series = {label: [place(x, y) for x, y in sorted(own)] for label, own in lines.items()}
    for colour, (label, placed) in zip(COLOURS * len(series), series.items(), strict=False):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
        x, y = placed[-1]
        is_below = any(0 < y - other[-1][1] < LABEL for other in series.values())
        base = y + (LABEL + 3 if is_below else -7)
        out.append(f'<text x="{x - 6:.1f}" y="{base:.1f}" text-anchor="end" fill="{colour}">{escape(label)}</text>')
    return out
