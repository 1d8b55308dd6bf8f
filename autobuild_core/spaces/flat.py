"""Flat tables: a space of columns that hold design choices, inferred from what was evaluated or declared in a file.

A single column is a unit of one layer that stands beside the others (a set: no data flow). Columns that share a prefix
ending in a number and differ in a short attribute, one of them a depth (`block0_e`, `block0_k`, `block0_l`), are one unit of
layers that are alike. Numbered columns (`width_0`, `width_1`, ...) and lists are chains, a layer a position.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, final

from autobuild_core.architectures.records import ABSENT, Codes, UnitSpec
from autobuild_core.errors import ArchitectureError, DataError
from autobuild_core.spaces import Space
from autobuild_core.spaces._declared import Slot, as_text, in_order, plain

BLOCK = re.compile(r"^(?P<block>.*?\d+)_(?P<attribute>[A-Za-z]+)$")
DEPTH_NAMES = {"l", "d", "depth", "layers"}
MAX_DEPTH = 16
as_choice = as_text


def block_columns(columns: Sequence[str]) -> dict[str, list[str]]:
    """{block: its columns} of every block that at least two columns describe, all by the same number of attributes."""
    blocks: dict[str, list[str]] = {}
    for column in columns:
        if match := BLOCK.match(column):
            blocks.setdefault(match["block"], []).append(column)
    widest = max((len(found) for found in blocks.values()), default=0)
    return {block: found for block, found in blocks.items() if len(found) >= 2 and len(found) == widest}


def is_absent(value: Any) -> bool:
    """No choice: None, NaN or an empty text."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def block_slot(label: str, columns: Sequence[str], seen: Mapping[str, Sequence[str]]) -> Slot:
    """The unit of a block's columns, that of its depth among them.

    Args:
        label: of the block, with which its columns begin.
        columns: of the block.
        seen: values of every column.

    Raises:
        DataError: a depth column holds something that is not a small whole number.
    """
    names = {column: column.removeprefix(f"{label}_") for column in columns}
    depth = next((c for c in columns if names[c].lower() in DEPTH_NAMES), None)
    choosing = [c for c in columns if c != depth]
    depths = _depths(depth, seen[depth]) if depth else (1,)
    values = tuple(in_order(seen[c]) for c in choosing)
    return Slot(label, "block", tuple(names[c] for c in choosing), tuple((c,) for c in choosing), values, depths, depth)


def _depths(column: str, values: Sequence[str]) -> tuple[int, ...]:
    """The values of a depth column as whole numbers."""
    if not all(v.isascii() and v.isdigit() and int(v) <= MAX_DEPTH for v in values):
        raise DataError(
            f"column {column}: got {', '.join(in_order(values)[:5])}, expected numbers of layers from 0 to {MAX_DEPTH}."
        )
    return tuple(sorted({int(v) for v in values}))


@final
class Flat(Space):
    """Design choices by column; the native encoding is an object {column: value}, lists where a column holds lists."""

    title = "Flat table of design choices"

    def parse(self, native: Any) -> list[int]:
        if not isinstance(native, dict):
            raise ArchitectureError(f"architecture: got {str(native)[:60]}, expected an object with one value a design column.")
        row = [token for index in range(len(self.spec.units)) for token in self.parse_unit(index, native)]
        return self.check(row) if self.rules or self.listed else row

    def columns_of(self, index: int) -> list[str]:
        """The design columns that describe a unit, that of its depth last."""
        columns = self.spec.options["columns"][index]
        return [*columns["choices"], *([columns["depth"]] if columns["depth"] else [])]

    @property
    def columns(self) -> list[str]:
        """Every design column, each once, in the order of units."""
        return list(dict.fromkeys(c for index in range(len(self.spec.units)) for c in self.columns_of(index)))

    def parse_unit(self, index: int, native: Mapping[str, Any]) -> list[int]:
        """The codes of one unit, of an object that has at least its columns.

        Raises:
            ArchitectureError: naming the column, what it got and what it expects.
        """
        unit, entry = self.spec.units[index], self.spec.options["columns"][index]
        kind = entry.get("kind", "")
        if kind == "numbered":
            layers = self._numbered(unit, entry, native)
        elif kind:
            layers = self._listed(unit, entry, native)
        else:
            layers = self._alike(unit, entry, native)
        tokens = [self._token(unit, entry, layer) for layer in dict.fromkeys(layers)]
        known = dict(zip(dict.fromkeys(layers), tokens, strict=True))
        return [known[layer] for layer in layers] + [ABSENT] * (len(unit.positions) - len(layers))

    def _alike(self, unit: UnitSpec, entry: dict[str, Any], native: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """The layers of a single column or of a block: as many as its depth says, all of the same values."""
        missing = [c for c in entry["choices"] if is_absent(native.get(c))]
        if len(missing) == len(entry["choices"]) and 0 in unit.depths and not entry["depth"]:
            return []
        if entry["depth"] and is_absent(native.get(entry["depth"])):
            missing.append(entry["depth"])
        if missing:
            raise ArchitectureError(f"column {missing[0]}: got nothing, expected a design choice.")
        values = tuple(as_choice(native[c]) for c in entry["choices"])
        if unit.loose and len(values) > 1:  # tied columns
            different = [c for c, value in zip(entry["choices"], values, strict=True) if value != values[0]]
            if different:
                raise ArchitectureError(f"column {different[0]}: got {values[-1][:60]}, expected that of {entry['choices'][0]}.")
            values = values[:1]
        if not entry["depth"]:
            return [values]
        depth = as_choice(native[entry["depth"]])
        if depth not in map(str, unit.depths):
            expected = ", ".join(map(str, unit.depths))
            raise ArchitectureError(f"column {entry['depth']}: got {depth[:60]}, expected one of {expected}.")
        return [values] * int(depth)

    def _numbered(self, unit: UnitSpec, entry: dict[str, Any], native: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """The layers of numbered columns, up to the first that is empty."""
        columns, width = entry["choices"], len(unit.positions)
        by_layer = [[columns[a * width + layer] for a in range(len(entry["names"]))] for layer in range(width)]
        filled = [[not is_absent(native.get(c)) for c in own] for own in by_layer]
        depth = next((i for i, own in enumerate(filled) if not all(own)), width)
        for own, there in zip(by_layer[depth:], filled[depth:], strict=True):
            if any(there):
                column = own[there.index(True)]
                raise ArchitectureError(f"column {column}: got a value behind a layer that is not there, expected no gap.")
        self._check_depth(unit, entry, native, depth)
        return [tuple(as_choice(native[c]) for c in own) for own in by_layer[:depth]]

    def _listed(self, unit: UnitSpec, entry: dict[str, Any], native: Mapping[str, Any]) -> list[tuple[str, ...]]:
        """The layers of cells that hold lists, or the one layer at a place of them."""
        lists = []
        for column in entry["choices"]:
            parts = list_of(native.get(column), entry["separator"])
            if parts is None:
                got = "nothing" if is_absent(native.get(column)) else repr(native[column])[:60]
                raise ArchitectureError(f"column {column}: got {got}, expected a list of layers.")
            lists.append(parts)
        lengths = set(map(len, lists))
        if len(lengths) > 1:
            raise ArchitectureError(
                f"columns {', '.join(entry['choices'])}: got lists of {sorted(lengths)}, expected one length."
            )
        layers = list(zip(*lists, strict=True))
        if entry["kind"] == "part":
            parts_of = [e for e in self.spec.options["columns"] if e["choices"] == entry["choices"]]
            if len(layers) != len(parts_of):
                raise ArchitectureError(f"column {entry['choices'][0]}: got {len(layers)} parts, expected {len(parts_of)}.")
            return [layers[entry["part"]]]
        self._check_depth(unit, entry, native, len(layers))
        return layers

    @staticmethod
    def _check_depth(unit: UnitSpec, entry: dict[str, Any], native: Mapping[str, Any], depth: int) -> None:
        """Raises: ArchitectureError: the unit takes no such depth, or the column of its depth says another."""
        if depth not in unit.depths:
            expected = ", ".join(map(str, unit.depths))
            raise ArchitectureError(f"{unit.label}: got {depth} layers, expected one of {expected}.")
        said = native.get(entry["depth"]) if entry["depth"] else None
        if not is_absent(said) and as_choice(said) != str(depth):
            raise ArchitectureError(f"column {entry['depth']}: got {as_choice(said)[:60]}, but {depth} layers of {unit.label}.")

    def native(self, row: Codes) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for unit, entry in zip(self.spec.units, self.spec.options["columns"], strict=True):
            layers = [self._values(unit, entry, int(row[p])) for p in unit.positions if row[p] != ABSENT]
            kind, names = entry.get("kind", ""), entry["names"]
            if kind == "numbered":
                width = len(unit.positions)
                for place, column in enumerate(entry["choices"]):
                    if (layer := place % width) < len(layers):
                        out[column] = plain(layers[layer][place // width])
            elif kind:
                for place, column in enumerate(entry["choices"]):
                    out.setdefault(column, []).extend(plain(layer[place]) for layer in layers)
            elif layers or not unit.loose:
                # without layers the choices of a block are idle: the first stands for all
                values = layers[0] if layers else self._values(unit, entry, unit.tokens[0])
                for place, column in enumerate(entry["choices"]):
                    out[column] = plain(values[min(place, len(names) - 1)])
            if entry["depth"]:
                out[entry["depth"]] = len(layers)
        for entry in self.spec.options["columns"]:  # lists that are texts
            if entry.get("separator"):
                for column in entry["choices"]:
                    if isinstance(out[column], list):
                        out[column] = entry["separator"].join(map(str, out[column]))
        return out

    def values_of(self, index: int, token: int) -> tuple[str, ...]:
        """The values of the attributes of a unit's token."""
        return self._values(self.spec.units[index], self.spec.options["columns"][index], token)

    def _values(self, unit: UnitSpec, entry: dict[str, Any], token: int) -> tuple[str, ...]:
        """The values of a token's attributes."""
        if unit.loose:
            return (self.spec.tokens[token][len(unit.label) + 1 :],)
        return tuple(self.spec.attributes[name][token] for name in entry["names"])

    def _token(self, unit: UnitSpec, entry: dict[str, Any], wanted: tuple[str, ...]) -> int:
        """The token of the unit whose attributes have these values."""
        by_values = self._tokens_of(unit, entry)
        if wanted in by_values:
            return by_values[wanted]
        for place, value in enumerate(wanted):
            allowed = list(dict.fromkeys(values[place] for values in by_values))
            if value not in allowed:
                columns = entry["choices"]
                width = len(unit.positions) if entry.get("kind") == "numbered" else 1
                shown = columns[place * width] if place * width < len(columns) else columns[0]
                raise ArchitectureError(f"column {shown}: got {value[:60]}, expected one of {', '.join(allowed[:12])}.")
        raise AssertionError("every combination of allowed values is a token")

    def _tokens_of(self, unit: UnitSpec, entry: dict[str, Any]) -> dict[tuple[str, ...], int]:
        """{values: token} of a unit, worked out once."""
        known: dict[str, dict[tuple[str, ...], int]] = self.__dict__.setdefault("_by_values", {})
        if unit.label not in known:
            by_text = ((tuple(map(as_text, self._values(unit, entry, token))), token) for token in unit.tokens)
            known[unit.label] = dict(by_text)  # runs of before spelt some numbers otherwise
        return known[unit.label]


def list_of(value: Any, separator: str) -> list[str] | None:
    """The parts of a cell that holds a list, as choices; None where it is no flat list."""
    if isinstance(value, str) and separator:
        return [as_choice(part) for part in value.strip().split(separator)]
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list) or any(isinstance(part, list | dict) or part is None for part in value):
        return None
    return [as_choice(part) for part in value]
