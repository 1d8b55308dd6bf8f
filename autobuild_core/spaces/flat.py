"""Flat tables: a space inferred from the columns of design choices.

Columns that share a prefix ending in a number and differ in a short attribute (`block0_e`, `block0_k`, `block0_l`)
are one unit: its layers are alike, and an attribute named l, d, depth or layers is how many there are. Any other
design column is a unit of one layer.
"""

import itertools
import math
import re
from typing import Any, final

import pandas as pd

from autobuild_core.errors import ArchitectureError, DataError
from autobuild_core.records import ABSENT, Codes, SpaceSpec, UnitSpec
from autobuild_core.spaces import Space

BLOCK = re.compile(r"^(?P<block>.*?\d+)_(?P<attribute>[A-Za-z]+)$")
DEPTH_NAMES = {"l", "d", "depth", "layers"}
WHOLE = re.compile(r"-?\d+\.0+")
MAX_DEPTH = 16
MAX_TOKENS = 4096


def block_columns(columns: list[str]) -> dict[str, list[str]]:
    """{block: its columns} of every block that at least two columns describe, none of them seen twice."""
    blocks: dict[str, list[str]] = {}
    for column in columns:
        if match := BLOCK.match(column):
            blocks.setdefault(match["block"], []).append(column)
    widest = max((len(found) for found in blocks.values()), default=0)
    return {block: found for block, found in blocks.items() if len(found) >= 2 and len(found) == widest}


def as_choice(value: Any) -> str:
    """A cell as text; 3, 3.0 and "3.0" are the same choice."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text.split(".")[0] if WHOLE.fullmatch(text) else text


def is_absent(value: Any) -> bool:
    """No choice: None, NaN or an empty text."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def infer_spec(frame: pd.DataFrame, design: list[str]) -> SpaceSpec:
    """The space of all combinations of the values seen in each design column.

    Args:
        frame: one row an architecture.
        design: its design columns, in the table's order (which is taken for the order of data flow).

    Raises:
        DataError: a depth column holds something that is not a small whole number, or a unit has too many combinations.
    """
    seen = {column: _sorted_choices(frame[column]) for column in design}
    blocks = block_columns(design)
    owner = {column: block for block, columns in blocks.items() for column in columns}
    tokens: dict[str, int] = {}
    attributes: dict[str, dict[str, str]] = {}
    units: list[UnitSpec] = []
    labels: list[str] = []
    unit_columns: list[dict[str, Any]] = []
    for label in dict.fromkeys(owner.get(column, column) for column in design):
        columns = blocks.get(label, [label])
        names = {column: column.removeprefix(f"{label}_") if label in blocks else label for column in columns}
        depth = next((c for c in columns if label in blocks and names[c].lower() in DEPTH_NAMES), None)
        choosing = [c for c in columns if c != depth]
        depths = _depths(depth, seen[depth]) if depth else (1,)
        num_combinations = math.prod(len(seen[c]) for c in choosing)
        if num_combinations > MAX_TOKENS:
            raise DataError(f"{label}: got {num_combinations} combinations of values, expected at most {MAX_TOKENS}.")
        allowed = []
        for values in itertools.product(*(seen[c] for c in choosing)):
            pairs = [(names[c], v) for c, v in zip(choosing, values, strict=True)]
            token = "_".join(f"{n}{v}" for n, v in pairs) if label in blocks else f"{label}={values[0]}"
            allowed.append(tokens.setdefault(token, len(tokens)))
            attributes[token] = dict(pairs)
        width = max(depths)
        positions = tuple(range(len(labels), len(labels) + width))
        labels += [f"{label}.L{i + 1}" for i in range(width)] if label in blocks else [label]
        units.append(UnitSpec(label, positions, depths, tuple(allowed), tied=True))
        unit_columns.append({"depth": depth, "choices": choosing, "names": [names[c] for c in choosing]})
    features = list(dict.fromkeys(name for pairs in attributes.values() for name in pairs))
    table = {name: tuple(attributes[token].get(name, "") for token in tokens) for name in features}
    return SpaceSpec("flat", Flat.title, tuple(labels), tuple(tokens), tuple(units), table, {"columns": unit_columns})


def _sorted_choices(column: pd.Series) -> list[str]:
    """Distinct values of a column, numbers in numeric order."""
    values = {as_choice(v) for v in column.dropna().tolist()}
    numeric = all(re.fullmatch(r"-?\d+(\.\d+)?", v) for v in values)
    return sorted(values, key=float) if numeric else sorted(values)


def _depths(column: str, values: list[str]) -> tuple[int, ...]:
    """The values of a depth column as whole numbers."""
    if not all(v.isdigit() and int(v) <= MAX_DEPTH for v in values):
        raise DataError(f"column {column}: got {', '.join(values[:5])}, expected numbers of layers from 0 to {MAX_DEPTH}.")
    return tuple(sorted({int(v) for v in values}))


@final
class Flat(Space):
    """One value a design column; the native encoding is an object {column: value}."""

    title = "Flat table of design choices"

    def parse(self, native: Any) -> list[int]:
        if not isinstance(native, dict):
            raise ArchitectureError(f"architecture: got {str(native)[:60]}, expected an object with one value a design column.")
        return [token for index in range(len(self.spec.units)) for token in self.parse_unit(index, native)]

    def columns_of(self, index: int) -> list[str]:
        """The design columns that describe a unit, that of its depth last."""
        columns = self.spec.options["columns"][index]
        return [*columns["choices"], *([columns["depth"]] if columns["depth"] else [])]

    def parse_unit(self, index: int, native: dict[str, Any]) -> list[int]:
        """The codes of one unit, of an object that has at least its columns.

        Raises:
            ArchitectureError: naming the column, what it got and what it expects.
        """
        unit, columns = self.spec.units[index], self.spec.options["columns"][index]
        missing = [c for c in self.columns_of(index) if is_absent(native.get(c))]
        if missing:
            raise ArchitectureError(f"column {missing[0]}: got nothing, expected a design choice.")
        depth = as_choice(native[columns["depth"]]) if columns["depth"] else "1"
        if depth not in map(str, unit.depths):
            got = depth[:60]
            raise ArchitectureError(f"column {columns['depth']}: got {got}, expected one of {', '.join(map(str, unit.depths))}.")
        token = self._token(unit, columns, native)
        return [token] * int(depth) + [ABSENT] * (len(unit.positions) - int(depth))

    def native(self, row: Codes) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for unit, columns in zip(self.spec.units, self.spec.options["columns"], strict=True):
            layers = [int(row[p]) for p in unit.positions if row[p] != ABSENT]
            token = layers[0] if layers else unit.tokens[0]  # without layers the choices are idle: the first stands for all
            for column, name in zip(columns["choices"], columns["names"], strict=True):
                out[column] = _number(self.spec.attributes[name][token])
            if columns["depth"]:
                out[columns["depth"]] = len(layers)
        return out

    def _token(self, unit: UnitSpec, columns: dict[str, Any], native: dict[str, Any]) -> int:
        """The token of the unit whose attributes are the values of its choice columns."""
        wanted = [as_choice(native[c]) for c in columns["choices"]]
        for column, name, value in zip(columns["choices"], columns["names"], wanted, strict=True):
            allowed = list(dict.fromkeys(self.spec.attributes[name][t] for t in unit.tokens))
            if value not in allowed:
                raise ArchitectureError(f"column {column}: got {value[:60]}, expected one of {', '.join(allowed[:12])}.")
        for token in unit.tokens:
            if all(self.spec.attributes[n][token] == v for n, v in zip(columns["names"], wanted, strict=True)):
                return token
        raise AssertionError("every combination of allowed values is a token")


def _number(text: str) -> int | float | str:
    """A choice as a JSON number where it is one."""
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
