"""The space that a table's design columns span: blocks, numbered columns, lists, single columns, and what is there only if.

A column that is empty in some rows is conditional where another column's values explain it, else a choice that may be absent; a
single gap in a full column is a missing value, and its row is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from autobuild_core.datasets._columns import Column
from autobuild_core.datasets._lists import list_form
from autobuild_core.datasets._table import usual_choices
from autobuild_core.errors import DataError
from autobuild_core.spaces._declared import Declared, Slot, in_order
from autobuild_core.spaces.flat import DEPTH_NAMES, block_columns, block_slot, list_of

MIN_ABSENT, MIN_ABSENT_SHARE = 2, 0.05
MAX_PARENT_VALUES = 12
OVERLAP = 0.5  # parts of a list share their values where each has at least so much of them
NO_VALUE = "expected a design choice; a single gap is a missing value"


@dataclass
class Inference:
    """Design columns on the way to a space.

    Args:
        columns: name -> column, in the order of the table.
        good: (num_rows,) rows that are not refused so far.
        reasons: {row: reason} of refused rows; grows.
    """

    columns: dict[str, Column]
    good: NDArray[np.bool_]
    reasons: dict[int, str]
    slots: list[Slot] = field(default_factory=list)
    conditions: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)

    def declared(self) -> Declared:
        """The space.

        Raises:
            DataError: a column has no value in any readable row, or is no choice.
        """
        names = list(self.columns)
        lists = [n for n in names if list_form(self.columns[n]) is not None]
        single = [n for n in names if n not in lists]
        blocks = self._full_blocks(single)
        in_blocks = {column for own in blocks.values() for column in own}
        chains, depth_of = self._chains([n for n in single if n not in in_blocks])
        for group in self._zipped(lists):
            self._list_slots(group, depth_of)
        used = {column for chain in chains for own in chain.columns for column in own} | set(depth_of.values())
        self.slots += chains
        for label, columns in blocks.items():
            self._refuse_gaps(columns)
            self.slots.append(block_slot(label, columns, {column: self.seen(column) for column in columns}))
        for name in single:
            if name not in used and name not in in_blocks:
                self._single(name)
        return self._ordered(names)

    def seen(self, name: str) -> list[str]:
        """The values that a column takes in readable rows, slips apart.

        Raises:
            DataError: there is none.
        """
        column = self.columns[name]
        if column.choices is None:
            raise DataError(f"column {name}: got too many values, expected a design choice.")
        counts = np.bincount(column.cell_codes()[self.good], minlength=len(column.values)).tolist()
        found = usual_choices({v: n for v, n in zip(column.values, counts, strict=True) if n and v})
        if not found:
            raise DataError(f"column {name}: got no value in any readable row, expected a design choice.")
        return found

    def _refuse(self, rows: NDArray[np.intp], reason: str) -> None:
        """Refuses rows."""
        for row in rows.tolist():
            self.reasons.setdefault(row, reason)
        self.good[rows] = False

    def _refuse_gaps(self, columns: Sequence[str]) -> None:
        """Refuses rows in which one of the columns is empty."""
        for name in columns:
            gaps = np.flatnonzero(self.columns[name].absent & self.good)
            self._refuse(gaps, f"column {name}: got nothing, expected a design choice.")

    def _full_blocks(self, names: list[str]) -> dict[str, list[str]]:
        """Blocks whose columns are (nearly) full: of layers that are alike, with or without a depth."""
        found = block_columns(names)
        with_depth = any(n.rsplit("_", 1)[-1].lower() in DEPTH_NAMES for own in found.values() for n in own)
        empty = [n for own in found.values() for n in own if self._optional(self.columns[n].absent)]
        return {} if empty and not with_depth else found

    def _optional(self, absent: NDArray[np.bool_]) -> bool:
        """Whether so many readable rows lack a value that it is no slip."""
        num = int((absent & self.good).sum())
        return num >= MIN_ABSENT and num >= MIN_ABSENT_SHARE * int(self.good.sum())

    # Numbered columns

    def _chains(self, names: list[str]) -> tuple[list[Slot], dict[str, str]]:
        """(units of numbered columns, {label: column of its depth})."""
        templates: dict[tuple[str, str], dict[int, str]] = {}
        for name in names:
            for found in re.finditer(r"\d+", name):
                templates.setdefault((name[: found.start()], name[found.end() :]), {})[int(found[0])] = name
        taken: set[str] = set()
        groups: dict[tuple[str, ...], list[tuple[str, list[str]]]] = {}
        for (before, after), by_number in sorted(templates.items(), key=lambda item: -len(item[1])):
            numbers = sorted(by_number)
            columns = [by_number[n] for n in numbers]
            if (
                len(numbers) < 2
                or numbers != list(range(numbers[0], numbers[0] + len(numbers)))
                or numbers[0] > 1
                or taken & {*columns}
            ):
                continue
            taken |= {*columns}
            fill = tuple(int((~self.columns[c].absent & self.good).sum()) for c in columns)
            full = len(set(fill)) == 1
            attribute = re.sub(r"[_-]?(l|layer)$", "", (after or before).strip("_-./ ")) or "layer"
            joint = (
                ("joint", before, str(numbers)) if after else ("joint", "", str(fill)) if not full else ("alone", before, after)
            )
            label = before.strip("_-./ ") if after else attribute
            groups.setdefault((*joint, label if after or full else ""), []).append((attribute, columns))
        slots: list[Slot] = []
        depth_of: dict[str, str] = {}
        for key, members in groups.items():
            label = key[-1] or members[0][0]
            made = self._chain(label, members, depth_of, [n for n in names if n not in taken])
            slots += made
        return slots, depth_of

    def _chain(self, label: str, members: list[tuple[str, list[str]]], depth_of: dict[str, str], others: list[str]) -> list[Slot]:
        """The units of columns that are numbered alike: one of several depths, or one a layer; none where there are gaps."""
        filled = np.stack([~np.stack([self.columns[c].absent for c in own]) for _, own in members])  # (attributes, layers, rows)
        there = filled.all(0)
        whole = (filled == there).all((0, 1)) & (np.diff(there.astype(int), axis=0) <= 0).all(0)
        depths = there.sum(0)
        broken = np.flatnonzero(~whole & self.good)
        if len(broken) and self._optional(~whole):
            return []
        first = members[0][1]
        self._refuse(broken, f"columns {first[0]} to {first[-1]}: got a gap between layers, {NO_VALUE}.")
        found = np.unique(depths[self.good]).tolist()
        short = [d for d in found if d < len(first)]
        rare = int((self.good & (depths < len(first))).sum())
        names = tuple(name for name, _ in members)
        column = self._depth_column(depths, others, depth_of)
        if column is None and short and rare < MIN_ABSENT:
            self._refuse(np.flatnonzero(self.good & (depths < len(first))), f"column {first[-1]}: got nothing, {NO_VALUE}.")
            short = []
        if not short:
            values = [[in_order(self.seen(c)) for c in own] for _, own in members]
            return [
                Slot(first[i], "numbered", names, tuple((own[i],) for _, own in members), tuple(v[i] for v in values))
                for i in range(len(first))
            ]
        if column:
            depth_of[label] = column
        pools = tuple(
            in_order(v for c in own if not self.columns[c].absent[self.good].all() for v in self.seen(c)) for _, own in members
        )
        width = max(found)
        columns = tuple(tuple(own[:width]) for _, own in members)
        return [Slot(label, "numbered", names, columns, pools, tuple(int(d) for d in found), column)]

    def _depth_column(self, depths: NDArray[np.intp], others: list[str], depth_of: dict[str, str]) -> str | None:
        """The column that equals the number of layers in every readable row."""
        for name in others:
            column = self.columns[name]
            if name not in depth_of.values() and column.is_whole and len(set(depths[self.good].tolist())) > 1:
                numbers = column.numbers[self.good]
                if (numbers == depths[self.good]).all():
                    return name
        return None

    # Lists

    def _zipped(self, names: list[str]) -> list[list[str]]:
        """Columns of lists that have one length in every row, together."""
        lengths = {name: self._lengths(name) for name in names}
        groups: list[list[str]] = []
        for name in names:
            fitting = (g for g in groups if np.array_equal(lengths[g[0]][self.good], lengths[name][self.good]))
            same_form = next((g for g in fitting if list_form(self.columns[g[0]]) == list_form(self.columns[name])), None)
            if same_form is None:
                groups.append([name])
            else:
                same_form.append(name)
        return groups

    def _lengths(self, name: str) -> NDArray[np.int64]:
        """(num_rows,) lengths of a column's lists, -1 where there is none."""
        column, form = self.columns[name], list_form(self.columns[name])
        by_value = [len(parts) if (parts := list_of(v, form or "")) is not None and v else -1 for v in column.values]
        lengths = np.array(by_value, np.int64)[column.cell_codes()]
        gaps = np.flatnonzero(self.good & (lengths < 0))
        self._refuse(gaps, f"column {name}: got nothing, expected a list.")
        return lengths

    def _list_slots(self, names: list[str], depth_of: dict[str, str]) -> None:
        """The units of zipped lists."""
        form = list_form(self.columns[names[0]]) or ""
        lengths = self._lengths(names[0])
        found = np.unique(lengths[self.good]).tolist()
        label = "+".join(names)
        parts = {name: [list_of(value, form) or [] for value in self.seen(name)] for name in names}
        columns = tuple((name,) for name in names)
        if len(found) == 1:
            by_place = [[in_order(own[i] for own in parts[name]) for i in range(found[0])] for name in names]
            shared = [_shared(places) for places in by_place]
            for i in range(found[0]):
                values = tuple(pool or places[i] for pool, places in zip(shared, by_place, strict=True))
                self.slots.append(Slot(f"{label}.{i + 1}", "part", tuple(names), columns, values, separator=form, part=i))
            return
        depth = self._depth_column(lengths, [n for n in self.columns if n not in names], depth_of)
        if depth:
            depth_of[label] = depth
        values = tuple(in_order(part for own in parts[name] for part in own) for name in names)
        self.slots.append(Slot(label, "list", tuple(names), columns, values, tuple(map(int, found)), depth, form))

    # Single columns

    def _single(self, name: str) -> None:
        """A unit of one column: always there, conditional, or absent by choice."""
        column = self.columns[name]
        absent = column.absent & self.good
        if not absent.any():
            self.slots.append(Slot(name, "column", (name,), ((name,),), (in_order(self.seen(name)),)))
            return
        parent = self._parent(name) if absent.sum() >= MIN_ABSENT else None
        if parent is None and not self._optional(column.absent):
            self._refuse(np.flatnonzero(absent), f"column {name}: got nothing, {NO_VALUE}.")
            self.slots.append(Slot(name, "column", (name,), ((name,),), (in_order(self.seen(name)),)))
            return
        self.slots.append(Slot(name, "column", (name,), ((name,),), (in_order(self.seen(name)),), (0, 1)))
        if parent is not None:
            self.conditions.append((name, *parent))

    def _parent(self, name: str) -> tuple[str, tuple[str, ...]] | None:
        """(column whose values explain where this one is empty, those with which it is there).

        Of several that of fewest values, one that is always there first.
        """
        absent, best = self.columns[name].absent[self.good], None
        for other, column in self.columns.items():
            if other == name or column.choices is None or list_form(column) is not None:
                continue
            codes = column.cell_codes()[self.good]
            there = np.bincount(codes[~absent], minlength=len(column.values)) > 0
            missing = np.bincount(codes[absent], minlength=len(column.values)) > 0
            own_absent = column.choices.values_seen.get("")
            known = [v for i, v in enumerate(column.values) if (there[i] or missing[i]) and v]
            if (there & missing).any() or not 2 <= len(known) + (own_absent is not None) <= MAX_PARENT_VALUES:
                continue
            if own_absent is not None and there[own_absent]:
                continue
            with_it = tuple(v for i, v in enumerate(column.values) if there[i] and v)
            repeated = 2 * len(known) <= len(codes)
            partial = own_absent is not None and bool(missing[own_absent])
            if with_it and len(with_it) < len(known) + partial and repeated:
                rank = partial, len(known)
                best = (rank, other, with_it) if best is None or rank < best[0] else best
        return None if best is None else (best[1], best[2])

    # Order

    def _ordered(self, names: list[str]) -> Declared:
        """Units in the order of their columns, parents before what depends on them, conditions on units that are there."""
        place = {name: i for i, name in enumerate(names)}
        self.slots.sort(key=lambda slot: min(place[c] for own in slot.columns for c in own))
        labels = {slot.label: slot for slot in self.slots}
        kept = []
        for child, parent, values in self.conditions:
            slot = labels.get(parent)
            if slot is not None and slot.loose and slot.values[0] != tuple(values):
                allowed = tuple(v for v in slot.values[0] if v in values)
                if allowed and child in labels:
                    kept.append((child, parent, allowed))
        kept = _without_cycles(kept)
        ordered: list[Slot] = []
        waiting = list(self.slots)
        while waiting:
            done = {slot.label for slot in ordered}
            ready = next(s for s in waiting if all(p in done for c, p, _ in kept if c == s.label))
            ordered.append(ready)
            waiting.remove(ready)
        return Declared(tuple(ordered), tuple(kept))


def _shared(places: list[tuple[str, ...]]) -> tuple[str, ...]:
    """All values of a list's places where each has at least OVERLAP of them, else ()."""
    pool = in_order(value for own in places for value in own)
    return pool if all(len(own) >= OVERLAP * len(pool) for own in places) else ()


def _without_cycles(
    conditions: list[tuple[str, str, tuple[str, ...]]],
) -> list[tuple[str, str, tuple[str, ...]]]:
    """The conditions without those that would make a unit depend on itself (two columns that are empty together)."""
    kept: list[tuple[str, str, tuple[str, ...]]] = []
    for child, parent, values in conditions:
        above, frontier = {parent}, [parent]
        while frontier:
            up = [p for c, p, _ in kept if c == frontier[-1]]
            frontier = frontier[:-1] + [p for p in up if p not in above]
            above |= set(up)
        if child not in above:
            kept.append((child, parent, values))
    return kept


def with_values(declared: Declared, wider: dict[str, tuple[str, ...]]) -> Declared:
    """A space whose units of one attribute take all values that a study says they can, not only those that were seen."""
    slots = []
    for slot in declared.slots:
        if slot.kind in ("list", "part"):  # a category is the whole text, not a part of it
            slots.append(slot)
            continue
        values = tuple(
            in_order((*own, *(v for c in columns for v in wider.get(c, ()))))
            for own, columns in zip(slot.values, slot.columns, strict=True)
        )
        slots.append(replace(slot, values=values))
    return replace(declared, slots=tuple(slots))
