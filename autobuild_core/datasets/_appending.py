"""Rows that are appended to a data set: measurements of any time, file and evaluator, told apart by what they say of themselves.

A measurement is (network, context, seed) -> metrics; of its context are evaluator and version, data, budget and device, and what
else varies. Rows that differ in it stand beside each other. Rows that do not differ are repeats; of one seed they are one and the
same measurement, which is kept once and may gain metrics. Columns mean what they meant in the first rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable, Batch, ColumnRole, Rejection
from autobuild_core.datasets import read_table
from autobuild_core.datasets._roles import ONE_VALUE, Found, by_name
from autobuild_core.datasets._sanity import warnings_of
from autobuild_core.errors import DataError, counted, listed
from autobuild_core.targets.vocabulary import snake

AS_SHOWN = 1e-5  # relative: columns of one value keep it with six significant digits


@dataclass(frozen=True, eq=False)
class Appended:
    """A data set with its new rows.

    Args:
        table: all rows.
        num_added: rows that are new.
        num_completed: rows of before that gained metrics.
        rejected: rows of the batch that were refused, counted from 0 in their own file.
    """

    table: ArchTable
    num_added: int
    num_completed: int
    rejected: tuple[Rejection, ...]

    @property
    def sentence(self) -> str:
        """The outcome of the appending in a sentence, for a reader."""
        parts = [f"{counted(self.num_added, 'row')} appended"]
        parts += [f"{counted(self.num_completed, 'row')} of before gained metrics"] if self.num_completed else []
        parts += [f"{counted(len(self.rejected), 'row')} refused"] if self.rejected else []
        return f"{', '.join(parts)}: version {self.table.version}, {counted(len(self.table), 'architecture')}."


def fixed_roles(table: ArchTable) -> dict[str, str]:
    """{column: role} that a data set's rows gave, by which further ones are read.

    A column of one value is what its name says, else a setting, so that another value is seen. An empty one has no role yet.
    """
    roles = {c.name: c.spoken for c in table.columns if c.said or c.role != "ignored" or c.num_values > 1}
    return roles | {c.name: _spoken(_by_name(c)) for c in table.columns if _is_constant(c)}


def _by_name(constant: ColumnRole) -> Found | None:
    """The role that the name of a column of one value gives."""
    return by_name(snake(constant.name), _as_number(constant.examples[0]) is not None)


def _spoken(found: Found | None) -> str:
    """The role of a column of one value, as `--role` takes it."""
    return "setting" if found is None else found.context if found.role == "context" else found.role


def read_more(path: Path, table: ArchTable, format: str | None = None, read: Callable[..., ArchTable] = read_table) -> ArchTable:
    """The rows of a file that are to be appended to a data set, read as its first rows were.

    Args:
        path: the file.
        table: the data set.
        format: where recognition is not wanted.
        read: `datasets.read_table`, or `read_guarded` for a file that a user handed in.

    Raises:
        DataError: it cannot be read.
    """
    return read(path, format, space=table.spec, roles=fixed_roles(table), joining=True)


def append(table: ArchTable, more: ArchTable, batch: Batch) -> Appended:
    """A data set with further rows; each row of these is in it, or among the refused.

    Args:
        table: the data set.
        more: rows that were read with its space and `fixed_roles`, as rows that join others (`joining`).
        batch: where they come from; `first_row` is found here.

    Raises:
        DataError: they are of another space, or no row is new.
    """
    own, other = table.spec, more.spec
    if not own.encodes_as(other):
        raise DataError(f"{batch.origin}: got architectures of {other.title}, expected those of the data set ({own.title}).")
    refused = {rejection.row: rejection.reason for rejection in more.rejected}
    table, more = _constants(table, more, refused)
    before, new = _aligned(table, more)
    completed = _told_apart(before, new, refused)
    keep = ~np.isin(new.source_rows, list(refused))
    if not keep.any() and not completed:
        first = min(refused) if refused else 0
        reason = refused.get(first, "there is none")
        raise DataError(f"{batch.origin}: got no row that is new to the data set; row {first}: {reason}")
    rejected = tuple(Rejection(row, refused[row]) for row in sorted(refused))
    joined = _joined(_completed(before, completed), new.take(keep), rejected, batch)
    return Appended(replace(joined, warnings=warnings_of(joined)), int(keep.sum()), len(completed), rejected)


def _constants(table: ArchTable, more: ArchTable, refused: dict[int, str]) -> tuple[ArchTable, ArchTable]:
    """Both tables with what had one value in the first rows as a column, where the new rows make it a context or a metric.

    In a flat space a row with another value of any other column is refused: it could have been a choice.
    """
    roles = {column.name: column for column in more.columns}
    for constant in filter(_is_constant, table.columns):
        name, value, now = constant.name, constant.examples[0], roles.get(constant.name)
        if now is None:
            continue
        if now.role == "metric" and (number := _as_number(value)) is not None:
            table = replace(table, metrics=table.metrics.assign(**{name: number}))
        elif now.role == "context":
            cells = more.contexts[name]
            other = ~np.array([_same(cell, value) for cell in cells], bool)
            if other.any() and (_by_name(constant) or table.spec.name != "flat"):
                known = _as_number(value) if cells.dtype.kind == "f" else value
                kinds = table.context_kinds | {name: now.kind}
                table = replace(table, contexts=table.contexts.assign(**{name: known}), context_kinds=kinds)
                continue
            for row, cell in zip(more.source_rows[other].tolist(), cells[other], strict=True):
                expected = f"expected {value}, as in every row of the data set so far"
                refused.setdefault(row, f"column {name}: got {cell}, {expected}; it is no choice of its search space.")
            left = {one: kind for one, kind in more.context_kinds.items() if one != name}
            more = replace(more, contexts=more.contexts.drop(columns=name), context_kinds=left)
    return table, more


def _is_constant(column: ColumnRole) -> bool:
    """A column that is ignored because it had one value in every row."""
    return column.role == "ignored" and not column.said and column.why == ONE_VALUE and bool(column.examples)


def _as_number(text: str) -> float | None:
    """A number as it is shown, None of a text."""
    try:
        return float(text)
    except ValueError:
        return None


def _same(cell: Any, shown: str) -> bool:
    """A value is the one that is shown, whose digits may be fewer; what is not said is."""
    if pd.isna(cell) or cell == "":
        return True
    own, number = _as_number(str(cell)), _as_number(shown)
    if own is None or number is None:
        return str(cell)[: len(shown)] == shown
    return abs(own - number) <= AS_SHOWN * max(abs(own), abs(number))


def _aligned(table: ArchTable, more: ArchTable) -> tuple[ArchTable, ArchTable]:
    """Both with the metrics and contexts of either; NaN or "" where one says nothing of it."""
    metrics = list(dict.fromkeys([*table.metrics.columns, *more.metrics.columns]))
    kinds = more.context_kinds | table.context_kinds
    kinds = {name: kinds[name] for name in dict.fromkeys([*table.context_kinds, *more.context_kinds])}
    texts = {n for n in kinds for part in (table, more) if n in part.contexts and part.contexts[n].dtype.kind != "f"}
    return _with(table, metrics, kinds, texts), _with(more, metrics, kinds, texts)


def _with(table: ArchTable, metrics: list[Any], kinds: dict[str, str], texts: set[str]) -> ArchTable:
    """A table with these metrics and contexts, some of which are texts."""
    index = pd.RangeIndex(len(table))
    columns = {name: _context(table.contexts.get(name), name in texts, index) for name in kinds}
    whole = pd.DataFrame({m: table.metrics.get(m, np.nan) for m in metrics}, index=index)
    return replace(table, metrics=whole.astype(np.float64), contexts=pd.DataFrame(columns, index=index), context_kinds=kinds)


def _context(column: pd.Series | None, is_text: bool, index: pd.RangeIndex) -> pd.Series:
    """A context, as texts where it is to be; all unknown where there is none."""
    if column is None:
        return pd.Series("" if is_text else np.nan, index=index, dtype="str" if is_text else np.float64)
    if is_text and column.dtype.kind == "f":
        return column.map(lambda value: "" if value != value else f"{value:g}").astype("str")
    return column


def _told_apart(before: ArchTable, new: ArchTable, refused: dict[int, str]) -> dict[int, dict[str, float]]:
    """{line of `before`: metrics that it gains}; new rows that are measured already are refused, with the reason.

    Args:
        before: the data set, with the same contexts as `new`.
        new: further rows; two of them may be one measurement too.
        refused: {row of `new`: reason}; grows.
    """
    seeds = [name for name, kind in before.context_kinds.items() if kind == "seed"]
    keys = [_measurement(part) for part in (before, new)]
    seeded = np.zeros(len(new), bool)
    for name in seeds:
        seeded |= (new.contexts[name].notna() & (new.contexts[name].astype(str) != "")).to_numpy()
    lines: dict[int, list[int]] = {}
    ended: dict[int, int] = {}  # a stopped trial of each measurement
    for line in np.flatnonzero(np.isin(keys[0], keys[1])).tolist():
        if np.isfinite(before.censored[line]):
            ended[int(keys[0][line])] = line
        else:
            lines.setdefault(int(keys[0][line]), []).append(line)
    old, fresh = before.metrics.to_numpy(float, copy=True), new.metrics.to_numpy(float)
    seen: dict[int, list[int]] = {}
    gained: dict[int, dict[str, float]] = {}
    names = list(map(str, before.metrics.columns))
    for place, row in enumerate(new.source_rows.tolist()):
        key, own = int(keys[1][place]), fresh[place]
        if row in refused:
            continue
        if np.isfinite(new.censored[place]):
            if key in ended:
                refused[row] = f"is in the data set already, stopped, as row {before.source_rows[ended[key]]}."
            continue
        if not np.isfinite(own).any():
            refused[row] = f"got no number in {listed(names)}, expected a measurement."
            continue
        for line in lines.get(key, ()):
            if _agree(old[line], own):
                if gains := np.flatnonzero(np.isfinite(own) & ~np.isfinite(old[line])).tolist():
                    gained.setdefault(line, {}).update({names[i]: float(own[i]) for i in gains})
                    old[line, gains] = own[gains]
                    refused[row] = f"is the measurement of row {before.source_rows[line]}, which has its metrics now too."
                else:
                    refused[row] = f"is in the data set already, as row {before.source_rows[line]}."
                break
            if seeded[place]:
                refused[row] = _differs(names, old[line], own, f"row {before.source_rows[line]} of the data set")
                break
        else:
            for earlier in seen.get(key, ()):
                if _agree(fresh[earlier], own) and seeded[place]:
                    refused[row] = f"is row {new.source_rows[earlier]} once more."
                elif seeded[place]:
                    refused[row] = _differs(names, fresh[earlier], own, f"row {new.source_rows[earlier]}")
            if row not in refused:
                seen.setdefault(key, []).append(place)
    return gained


def _measurement(table: ArchTable) -> NDArray[np.uint64]:
    """(num_rows,) hash of network and all contexts, the seed's too."""
    frame = table.contexts.assign(**{"": table.networks})
    hashes: NDArray[np.uint64] = pd.util.hash_pandas_object(frame, index=False).to_numpy(np.uint64)
    return hashes


def _agree(old: NDArray[np.float64], new: NDArray[np.float64]) -> bool:
    """No metric that both have differs."""
    both = np.isfinite(old) & np.isfinite(new)
    return bool((old[both] == new[both]).all())


def _differs(names: list[str], old: NDArray[np.float64], new: NDArray[np.float64], where: str) -> str:
    """The sentence on one seed with two results."""
    place = int(np.flatnonzero(np.isfinite(old) & np.isfinite(new) & (old != new))[0])
    got = f"got {names[place]} {new[place]:g}, expected {old[place]:g}, as measured with that seed in {where}"
    return f"{got}; a repeat has a seed of its own."


def _completed(table: ArchTable, gained: Mapping[int, Mapping[str, float]]) -> ArchTable:
    """The table with metrics that rows gained."""
    metrics = table.metrics.copy()
    for line, values in gained.items():
        for name, value in values.items():
            metrics.loc[line, name] = value
    return replace(table, metrics=metrics)


def _joined(table: ArchTable, new: ArchTable, rejected: tuple[Rejection, ...], batch: Batch) -> ArchTable:
    """One table of both; rows of files are counted on."""
    first_row = table.num_read
    both = [table, new]
    refused = tuple(Rejection(first_row + r.row, f"{batch.origin}: {r.reason}"[:300]) for r in rejected)
    return replace(
        table,
        codes=np.concatenate([part.codes for part in both]),
        networks=np.concatenate([part.networks for part in both]),
        metrics=pd.concat([part.metrics for part in both], ignore_index=True),
        source_rows=np.concatenate([table.source_rows, new.source_rows + first_row]),
        num_read=table.num_read + new.num_read,
        rejected=table.rejected + refused,
        num_more_rejected=table.num_more_rejected + new.num_more_rejected,
        contexts=pd.concat([part.contexts for part in both], ignore_index=True),
        censored=np.concatenate([part.censored for part in both]),
        columns=_columns(table, new.columns),
        batches=(*(table.batches or (Batch(""),)), replace(batch, first_row=first_row)),
    )


def _columns(table: ArchTable, new: Iterable[ColumnRole]) -> tuple[ColumnRole, ...]:
    """The columns of both, each with the way in which it is read."""
    by_name = {column.name: column for column in new}
    names = {*table.context_kinds, *map(str, table.metrics.columns)}
    own = {column.name for column in table.columns}
    kept = [by_name.get(c.name, c) if c.role == "ignored" and c.name in names else c for c in table.columns]
    return (*kept, *(column for column in by_name.values() if column.name not in own))
