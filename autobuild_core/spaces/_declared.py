"""A space as its reader declares it: a flat one, its units with columns and values, or a known one of fewer operations.

What a table is inferred as and what a file `space.json` says are the same thing; `make_spec` turns it into a `SpaceSpec`.
"""

import itertools
import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any

from autobuild_core.architectures.records import Condition, SpaceSpec, UnitSpec
from autobuild_core.errors import ConfigError, DataError, counted

MAX_TOKENS = 4096
MAX_DEPTH = 64
LOG_FACTOR = 100  # numbers that span more are compared by their logarithms
PLACE = "place in range"  # attribute of loose numbers: all columns share it
KINDS = ("column", "block", "numbered", "list", "part")
FORMAT = "autobuild space 1"
WRITTEN = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")  # not whole numbers: 007 may be a code


@dataclass(frozen=True)
class Slot:
    """A unit of a flat space: what its layers can be, and in which columns they stand.

    Args:
        label: of the unit.
        kind: "column" (one value; several columns are tied to one value), "block" (columns of one value for all its layers and
            one of their number), "numbered" (a column a layer), "list" (a cell holds the layers), "part" (one place of a list).
        names: attributes of a layer.
        columns: of every attribute, upstream first; one, unless the kind is "numbered" or the columns are tied.
        values: of every attribute, in their order.
        depths: numbers of layers it may have.
        depth: column that holds the number of layers, if any.
        separator: between the parts of a list that is a text; "" = a JSON list.
        part: place in the list.
        places: of numbered columns of one attribute and fixed depth, the values of each place where they differ; all of them
            are then its `values`.
    """

    label: str
    kind: str
    names: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...]
    values: tuple[tuple[str, ...], ...]
    depths: tuple[int, ...] = (1,)
    depth: str | None = None
    separator: str = ""
    part: int = 0
    places: tuple[tuple[str, ...], ...] = ()

    @property
    def loose(self) -> bool:
        """It stands beside the others by chance."""
        return self.kind == "column"

    def token(self, values: tuple[str, ...]) -> str:
        """The token of a layer with these values of its attributes."""
        if self.loose:
            return f"{self.label}={values[0]}"
        return "_".join(
            f"{name}{'' if value[:1].isdigit() else '='}{value}" for name, value in zip(self.names, values, strict=True)
        )


@dataclass(frozen=True)
class Declared:
    """A flat space, or a known one with some of its operations.

    Args:
        slots: the units of a flat space.
        conditions: (unit, parent, values of the parent with which the unit is there), by labels.
        forbidden: {unit label: values} that must not come together.
        base: file in spaces/ of the known space, "" of a flat one.
        tokens: its operations that are valid.
    """

    slots: tuple[Slot, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    forbidden: tuple[dict[str, tuple[str, ...]], ...] = ()
    base: str = ""
    tokens: tuple[str, ...] = ()


def is_number(text: str) -> bool:
    """A finite decimal number as `float` reads it, without underscores."""
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def in_order(values: Any) -> tuple[str, ...]:
    """Distinct values, numbers by size where all are numbers."""
    distinct = list(dict.fromkeys(values))
    return tuple(sorted(distinct, key=float) if all(map(is_number, distinct)) else sorted(distinct))


def coordinates(values: tuple[str, ...]) -> dict[str, float]:
    """{value: place in 0..1} of numbers, by their logarithms where they span LOG_FACTOR; {} where they are none."""
    if len(values) < 2 or not all(map(is_number, values)):
        return {}
    numbers = [float(value) for value in values]
    if min(numbers) > 0 and max(numbers) / min(numbers) >= LOG_FACTOR:
        numbers = [math.log(number) for number in numbers]
    low, high = min(numbers), max(numbers)
    return {value: (number - low) / (high - low) for value, number in zip(values, numbers, strict=True)} if high > low else {}


def make_spec(declared: Declared, title: str) -> SpaceSpec:
    """The spec of a declared space.

    Raises:
        DataError: a unit has too many combinations of values, two units share a label, or a condition or clause names what is
            not there.
    """
    if declared.base:
        return _with_some_tokens(declared)
    tokens: dict[str, int] = {}
    attributes: dict[str, dict[str, str]] = {}
    numbers: dict[str, dict[str, float]] = {}
    units: list[UnitSpec] = []
    labels: list[str] = []
    for slot in declared.slots:
        count = math.prod(map(len, slot.places or slot.values))
        if not 0 < count <= MAX_TOKENS:
            raise DataError(f"{slot.label}: got {count} combinations of values, expected 1 to {MAX_TOKENS}.")
        allowed = []
        places = [coordinates(values) for values in slot.values] if slot.kind != "block" else [{} for _ in slot.values]
        for values in itertools.product(*slot.values):
            token = slot.token(values)
            allowed.append(tokens.setdefault(token, len(tokens)))
            if slot.loose:
                place = places[0].get(values[0])
                attributes[token] = {} if place is None else {PLACE: f"{place:.3g}"}
                numbers[token] = {} if place is None else {PLACE: place}
                continue
            attributes[token] = dict(zip(slot.names, values, strict=True))
            numbers[token] = {n: p[v] for n, p, v in zip(slot.names, places, values, strict=True) if v in p}
        width = max(slot.depths, default=1) or 1
        positions = tuple(range(len(labels), len(labels) + width))
        single = slot.kind in ("column", "part") or (slot.kind == "numbered" and width == 1)
        labels += [slot.label] if single else [f"{slot.label}.L{i + 1}" for i in range(width)]
        modules = tuple(itertools.product(*([tokens[slot.token((value,))] for value in own] for own in slot.places)))
        shape = slot.label, positions, slot.depths, tuple(allowed), slot.kind in ("column", "block"), slot.loose
        units.append(UnitSpec(*shape, modules if slot.places else ()))
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise DataError(f"space: got two units that would be called {twice}, expected distinct names of columns.")
    features = list(dict.fromkeys(name for pairs in attributes.values() for name in pairs))
    ordered = [n for n in features if any(n in found for found in numbers.values())]
    table = {name: tuple(attributes[token].get(name, "") for token in tokens) for name in features}
    coordinate = {name: tuple(numbers[token].get(name, math.nan) for token in tokens) for name in ordered}
    return SpaceSpec(
        *("flat", title, tuple(labels), tuple(tokens), tuple(units), table, {"columns": [_entry(s) for s in declared.slots]}),
        numbers=coordinate,
        conditions=tuple(_condition(declared, c, tokens) for c in declared.conditions),
        forbidden=tuple(tuple(_allowed(declared, u, v, tokens) for u, v in clause.items()) for clause in declared.forbidden),
    )


def _with_some_tokens(declared: Declared) -> SpaceSpec:
    """The spec of a known space whose units take some of its tokens; its codes stay those of the whole space.

    Raises:
        DataError: there is no such space or operation, or a unit would have none.
    """
    from autobuild_core.spaces import space_named  # the space imports this module

    try:
        spec = space_named(declared.base).spec
    except ConfigError as error:
        raise DataError(f"space.json: {error}") from error
    unknown = [token for token in declared.tokens if token not in spec.tokens]
    if unknown:
        raise DataError(f"space.json: got the operation {unknown[0][:60]}, expected some of {', '.join(spec.tokens[:12])}.")
    units = []
    for unit in spec.units:
        kept = tuple(token for token in unit.tokens if spec.tokens[token] in declared.tokens)
        if not kept:
            raise DataError(f"space.json: got no operation of {unit.label}, expected at least one.")
        units.append(replace(unit, tokens=kept))
    fewer = len(declared.tokens) < len(spec.tokens)
    title = f"{spec.title} of {counted(len(declared.tokens), 'operation')}" if fewer else spec.title
    return replace(spec, title=title, units=tuple(units))


def _entry(slot: Slot) -> dict[str, Any]:
    """The entry of a unit as read and written: columns, names of their attributes, column of its depth."""
    columns = [column for own in slot.columns for column in own]
    entry: dict[str, Any] = {"depth": slot.depth, "choices": columns, "names": list(slot.names)}
    if slot.kind in ("numbered", "list", "part"):
        entry |= {"kind": slot.kind, "separator": slot.separator, "part": slot.part}
    return entry


def _allowed(declared: Declared, label: str, values: tuple[str, ...], tokens: dict[str, int]) -> tuple[int, tuple[int, ...]]:
    """(unit index, tokens) of a unit with one attribute.

    Raises:
        DataError: there is no such unit, or it does not take such a value.
    """
    index = next((i for i, slot in enumerate(declared.slots) if slot.label == label), None)
    if index is None:
        raise DataError(f"space: got a condition on '{label}', expected one of {', '.join(s.label for s in declared.slots)}.")
    slot = declared.slots[index]
    if len(slot.names) != 1:
        raise DataError(f"space: got a condition on '{label}', which has {len(slot.names)} attributes, expected one.")
    unknown = [value for value in values if value not in slot.values[0]]
    if unknown:
        raise DataError(f"space, {label}: got a condition on {unknown[0]}, expected one of {', '.join(slot.values[0])}.")
    return index, tuple(tokens[slot.token((value,))] for value in values)


def _condition(declared: Declared, condition: tuple[str, str, tuple[str, ...]], tokens: dict[str, int]) -> Condition:
    """A condition by unit indices."""
    label, parent, values = condition
    place, allowed = _allowed(declared, parent, values, tokens)
    unit = next((i for i, slot in enumerate(declared.slots) if slot.label == label), None)
    if unit is None or unit <= place or 0 not in declared.slots[unit].depths:
        raise DataError(f"space: got a condition of '{label}' on '{parent}', expected a unit behind it that may be absent.")
    return Condition(unit, place, allowed)


def to_json(declared: Declared) -> str:
    """The text of `space.json`: units with columns and values in order, conditions, clauses. `from_json` reads it back."""
    if declared.base:
        return json.dumps({"format": FORMAT, "space": declared.base, "operations": list(declared.tokens)}, indent=1)
    units = []
    for slot in declared.slots:
        unit: dict[str, Any] = {"unit": slot.label, "kind": slot.kind}
        unit["columns"] = dict(zip(slot.names, map(list, slot.columns), strict=True))
        unit["values"] = dict(zip(slot.names, ([plain(v) for v in values] for values in slot.values), strict=True))
        if slot.places:
            unit["values"] = {slot.names[0]: [[plain(v) for v in own] for own in slot.places]}
        unit["ordered"] = [name for name, values in zip(slot.names, slot.values, strict=True) if coordinates(values)]
        unit |= {"depths": list(slot.depths), "depth": slot.depth} if slot.depths != (1,) or slot.depth else {}
        unit |= {"separator": slot.separator} if slot.separator else {}
        unit |= {"part": slot.part} if slot.kind == "part" else {}
        units.append(unit)
    conditions = [{"unit": u, "where": {p: [plain(v) for v in values]}} for u, p, values in declared.conditions]
    forbidden = [{u: [plain(v) for v in values] for u, values in clause.items()} for clause in declared.forbidden]
    text = {"format": FORMAT, "units": units, "conditions": conditions, "forbidden": forbidden}
    return json.dumps(text, indent=1, ensure_ascii=False)


def from_json(text: str) -> Declared:
    """The space that `to_json` wrote, or a person edited.

    Raises:
        DataError: it is no such file; the message names the unit and what is wrong with it.
    """
    try:
        raw = json.loads(text)
        if raw.get("format") != FORMAT:
            raise DataError(f"space.json: got format {raw.get('format')!r}, expected '{FORMAT}'.")
        if "space" in raw:
            tokens = tuple(dict.fromkeys(_texts(raw["operations"], "operations")))
            return Declared((), base=str(raw["space"]), tokens=tokens)
        slots = tuple(_slot(unit) for unit in as_list(raw["units"], "space.json, units"))
        for slot in slots:
            num = sum(other.kind == "part" and other.columns == slot.columns for other in slots)
            if slot.kind == "part" and not 0 <= slot.part < num:
                raise DataError(f"space.json, {slot.label}: got part {slot.part}, expected 0 to {num - 1}.")
        conditions = tuple(
            (str(c["unit"]), str(parent), _texts(values, f"condition of {c['unit']} on {parent}"))
            for c in raw.get("conditions", ())
            for parent, values in c["where"].items()
        )
        forbidden = tuple({str(u): _texts(v, f"forbidden {u}") for u, v in clause.items()} for clause in raw.get("forbidden", ()))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(f"space.json: got a damaged file ({type(error).__name__}: {str(error)[:80]}), expected units.") from None
    return Declared(slots, conditions, forbidden)


def _slot(unit: dict[str, Any]) -> Slot:
    """A unit of space.json."""
    label, kind = str(unit["unit"]), str(unit["kind"])
    if kind not in KINDS:
        raise DataError(f"space.json, {label}: got kind '{kind}', expected one of {', '.join(KINDS)}.")
    names = tuple(map(str, unit["columns"]))
    places = _places(unit, label, kind, names)
    if places:
        unit = unit | {"values": {names[0]: [value for own in places for value in own]}}
    values = tuple(tuple(dict.fromkeys(_texts(unit["values"][name], f"{label}, values of {name}"))) for name in names)
    for name, own in zip(names, values, strict=True):
        if not own:
            raise DataError(f"space.json, {label}: got no value of {name}, expected at least one.")
        if name in as_list(unit.get("ordered", []), f"space.json, {label}, ordered") and not all(map(is_number, own)):
            raise DataError(f"space.json, {label}: got {', '.join(own)[:60]} as ordered values of {name}, expected numbers.")
    if not names:
        raise DataError(f"space.json, {label}: got no column, expected at least one.")
    depths = tuple(sorted({int(depth) for depth in as_list(unit.get("depths", [1]), f"space.json, {label}, depths")}))
    if not depths or depths[0] < 0 or depths[-1] > MAX_DEPTH:
        raise DataError(f"space.json, {label}: got depths {list(depths)}, expected numbers of layers from 0 to {MAX_DEPTH}.")
    columns = tuple(tuple(map(str, unit["columns"][name])) for name in names)
    needed = max(depths[-1], 1) if kind == "numbered" else 1
    for name, own in zip(names, columns, strict=True):
        if isinstance(unit["columns"][name], str) or len(own) < needed or (kind == "numbered" and len(own) != needed):
            raise DataError(f"space.json, {label}: got {len(own)} columns of {name}, expected a list of {needed}.")
    if kind in ("column", "part") and depths[-1] > 1:
        raise DataError(f"space.json, {label}: got depths {list(depths)}, expected 1, or 0 and 1, of a {kind}.")
    if places and (depths != (needed,) or len(places) != needed or unit.get("depth")):
        expected = f"expected {needed}, one a column, and depths [{needed}]"
        raise DataError(f"space.json, {label}: got values of {len(places)} places and depths {list(depths)}, {expected}.")
    beside = (unit.get("depth"), str(unit.get("separator", "")), int(unit.get("part", 0)))
    return Slot(label, kind, names, columns, values, depths, *beside, places)


def _places(unit: dict[str, Any], label: str, kind: str, names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The values of each place of numbered columns, where a unit of space.json has a list for each; else ().

    Raises:
        DataError: it is no unit of numbered columns with one attribute, or a place has no value.
    """
    given = [own for name in names if isinstance(own := unit["values"].get(name), list) and any(isinstance(v, list) for v in own)]
    if not given:
        return ()
    if kind != "numbered" or len(names) != 1:
        raise DataError(f"space.json, {label}: got a list of values a place, expected it of numbered columns with one attribute.")
    places = tuple(tuple(dict.fromkeys(_texts(own, f"{label}, values of a place"))) for own in given[0])
    if not all(places):
        raise DataError(f"space.json, {label}: got a place without a value, expected at least one.")
    return places


def as_list(value: Any, place: str) -> list[Any]:
    """A JSON value that must be a list: a text would be taken for its letters.

    Args:
        value: the value.
        place: where it stands, for the message.

    Raises:
        DataError: it is none.
    """
    if not isinstance(value, list):
        raise DataError(f"{place}: got {json.dumps(value, ensure_ascii=False)[:60]}, expected a list, such as [1, 2].")
    return value


def _texts(value: Any, place: str) -> tuple[str, ...]:
    """The values of a list in space.json as texts."""
    return tuple(map(as_text, as_list(value, f"space.json, {place}")))


def as_text(value: Any) -> str:
    """A value as text; 3, 3.0 and "3.0" are the same, True is "True"."""
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.capitalize()
    if not WRITTEN.fullmatch(text) or not math.isfinite(number := float(text)):
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)


def plain(text: str) -> int | float | str | bool:
    """A value as JSON writes it: a number where it is one and reads back as the same text."""
    if text in ("True", "False"):
        return text == "True"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if as_text(number) == text and math.isfinite(number):
            return number
    return text
