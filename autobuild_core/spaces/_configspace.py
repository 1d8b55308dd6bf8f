"""Files that declare the space of a table: our own `space.json`, and the JSON that ConfigSpace writes.

Source: `ConfigurationSpace.to_json` of ConfigSpace 1.2, format 0.4. Continuous hyperparameters are no choices and are left out.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autobuild_core.architectures.records import ABSENT, SpaceSpec
from autobuild_core.errors import ConfigError, DataError
from autobuild_core.spaces import load_space
from autobuild_core.spaces._declared import FORMAT, Declared, Slot, as_list, as_text, from_json, is_number, to_json
from autobuild_core.spaces.flat import Flat

MAX_BYTES = 16 * 2**20
MAX_INTEGERS = 256
COMPARE: dict[str, Callable[[str, str], bool]] = {
    "EQ": lambda a, b: a == b,
    "NEQ": lambda a, b: a != b,
    "LT": lambda a, b: float(a) < float(b),
    "GT": lambda a, b: float(a) > float(b),
}


def read_declared(path: Path) -> Declared:
    """The space that a file declares.

    Raises:
        ConfigError: it cannot be opened.
        DataError: it declares no space; the message says what is wrong with it.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path.name}: got more than {MAX_BYTES // 2**20} MiB, expected a file that declares a space.")
        text = path.read_text(encoding="utf-8-sig")
        raw = json.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be opened ({error.strerror}), expected a file that declares a space.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: not readable JSON ({str(error)[:80]}), expected a file that declares a space.") from error
    if isinstance(raw, dict) and "hyperparameters" in raw:
        return from_configspace(raw, path.name)
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise DataError(f"{path.name}: got JSON that declares no space, expected format '{FORMAT}' or that of ConfigSpace.")
    return from_json(text)


def declared_json(spec: SpaceSpec) -> str:
    """`space.json` of a space, to be edited and read back."""
    return to_json(declared_of(spec))


def declared_of(spec: SpaceSpec) -> Declared:
    """A space as a reader declares it; `make_spec` is its inverse."""
    space = load_space(spec)
    if not isinstance(space, Flat):
        valid = {token for unit in spec.units for token in unit.tokens}
        return Declared((), base=spec.name, tokens=tuple(t for i, t in enumerate(spec.tokens) if i in valid))
    slots = []
    for index, unit in enumerate(spec.units):
        entry = spec.options["columns"][index]
        kind = entry.get("kind") or ("column" if unit.loose else "block")
        values = [space.values_of(index, token) for token in unit.tokens]
        names, width = tuple(entry["names"]), len(unit.positions)
        if kind == "numbered":
            columns = tuple(tuple(entry["choices"][a * width : (a + 1) * width]) for a in range(len(names)))
        else:
            columns = (tuple(entry["choices"]),) if kind == "column" else tuple((column,) for column in entry["choices"])
        pools = tuple(tuple(dict.fromkeys(own[a] for own in values)) for a in range(len(names)))
        places: tuple[tuple[str, ...], ...] = ()
        if unit.modules:
            there = zip(*unit.modules, strict=True)
            places = tuple(tuple(dict.fromkeys(space.values_of(index, token)[0] for token in own)) for own in there)
        beside = (entry["depth"], entry.get("separator", ""), entry.get("part", 0), places)
        slots.append(Slot(unit.label, kind, names, columns, pools, unit.depths, *beside))

    def told(index: int, tokens: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(space.values_of(index, token)[0] for token in tokens if token != ABSENT)

    labels = [slot.label for slot in slots]
    conditions = tuple((labels[c.unit], labels[c.parent], told(c.parent, c.tokens)) for c in spec.conditions)
    forbidden = tuple({labels[unit]: told(unit, tokens) for unit, tokens in clause} for clause in spec.forbidden)
    return Declared(tuple(slots), conditions, forbidden)


def from_configspace(raw: dict[str, Any], name: str) -> Declared:
    """The choices, conditions and forbidden clauses of ConfigSpace's JSON.

    Raises:
        DataError: it is damaged, has no choice, or a kind of clause that cannot be taken over.
    """
    try:
        values = {str(h["name"]): found for h in raw["hyperparameters"] if (found := _values(h))}
        simple = [c for condition in raw.get("conditions", ()) for c in _simple(condition, name)]
        clauses = [tuple(_clause(clause, values, name)) for clause in raw.get("forbiddens", ())]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{name}: got damaged JSON of ConfigSpace ({type(error).__name__}: {error}).") from None
    if not values:
        raise DataError(f"{name}: got no categorical, ordinal or whole-number hyperparameter, expected at least one choice.")
    conditions = []
    for condition in simple:
        child, parent = str(condition["child"]), str(condition["parent"])
        if child in values and parent in values:
            asked = condition.get("values", [condition.get("value")])
            wanted = list(map(as_text, as_list(asked, f"condition of {child} on {parent}")))
            test = COMPARE.get(condition["type"], COMPARE["EQ"])
            if condition["type"] in ("LT", "GT") and not all(map(is_number, [*values[parent], *wanted])):
                got = f"a condition {condition['type']} on {parent}"
                raise DataError(f"{name}: got {got}, whose values are no numbers, expected EQ, NEQ or IN.")
            conditions.append((child, parent, tuple(v for v in values[parent] if any(test(v, w) for w in wanted))))
    children = {child for child, _, _ in conditions}
    depths = {label: (0, 1) if label in children else (1,) for label in values}
    slots = [Slot(label, "column", (label,), ((label,),), (own,), depths[label]) for label, own in values.items()]
    forbidden = tuple(dict(clause) for clause in clauses if clause and all(label in values for label, _ in clause))
    return Declared(tuple(_parents_first(slots, conditions)), tuple(conditions), forbidden)


def _parents_first(slots: list[Slot], conditions: list[tuple[str, str, tuple[str, ...]]]) -> Iterator[Slot]:
    """The slots, each behind those that it depends on.

    Raises:
        DataError: the conditions go in a circle.
    """
    done: set[str] = set()
    waiting = list(slots)
    while waiting:
        ready = next((s for s in waiting if all(p in done for c, p, _ in conditions if c == s.label)), None)
        if ready is None:
            raise DataError(f"space: got conditions in a circle around {waiting[0].label}, expected none.")
        done.add(ready.label)
        waiting.remove(ready)
        yield ready


def _values(about: dict[str, Any]) -> tuple[str, ...]:
    """The values of a hyperparameter that is a choice, () of one that is none.

    Raises:
        DataError: a range of too many whole numbers.
    """
    kind = about["type"]
    if kind == "categorical":
        return tuple(dict.fromkeys(map(as_text, as_list(about["choices"], f"{about['name']}, choices"))))
    if kind == "ordinal":
        return tuple(dict.fromkeys(map(as_text, as_list(about["sequence"], f"{about['name']}, sequence"))))
    if kind.endswith("_int"):
        if (count := about["upper"] - about["lower"] + 1) > MAX_INTEGERS:
            raise DataError(
                f"{about['name']}: got {count} whole numbers, expected at most {MAX_INTEGERS}, or an ordinal of some."
            )
        return tuple(str(number) for number in range(about["lower"], about["upper"] + 1))
    return ()


def _simple(condition: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The conditions that must all hold.

    Raises:
        DataError: a disjunction, which a table's space does not have.
    """
    if condition["type"] == "AND":
        for part in condition["conditions"]:
            yield from _simple(part, name)
    elif condition["type"] in (*COMPARE, "IN"):
        yield condition
    else:
        got = f"a condition {condition['type']} on {condition.get('child')}"
        raise DataError(f"{name}: got {got}, expected comparisons of one parent, or several that must all hold.")


def _clause(clause: dict[str, Any], values: dict[str, tuple[str, ...]], name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(label, values) of a forbidden clause, all of which must not come together.

    Raises:
        DataError: a relation between hyperparameters, or a disjunction.
    """
    kind = clause["type"]
    if kind == "AND":
        for part in clause["clauses"]:
            yield from _clause(part, values, name)
        return
    label = str(clause.get("name", ""))
    if kind in ("EQUALS", "IN"):
        wanted = list(map(as_text, as_list(clause.get("values", [clause.get("value")]), f"forbidden {label}")))
        yield label, tuple(v for v in values.get(label, ()) if v in wanted)
    elif kind in ("LT", "LE", "GT", "GE") and all(map(is_number, [*values.get(label, ()), str(clause["value"])])):
        bound = float(clause["value"])
        tests = {"LT": lambda v: v < bound, "LE": lambda v: v <= bound, "GT": lambda v: v > bound, "GE": lambda v: v >= bound}
        yield label, tuple(v for v in values.get(label, ()) if tests[kind](float(v)))
    else:
        raise DataError(f"{name}: got a forbidden clause {kind}, expected values that must not come together.")
