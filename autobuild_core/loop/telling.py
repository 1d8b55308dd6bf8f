"""Results from elsewhere: a file of measurements is joined to candidates by id or by network, and to the data.

Rows come in any order, of some candidates only, of some metrics only; what failed or diverged is kept with its reason, and in the
data as known to be worse than the median (`ArchTable.censored`): that a network could not be trained is a result too.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.architectures.records import ArchTable, Batch, Rejection
from autobuild_core.datasets._appending import append
from autobuild_core.datasets._delimited import read_rows
from autobuild_core.datasets._files import read_head
from autobuild_core.datasets._json import document
from autobuild_core.datasets._lists import native_cell
from autobuild_core.datasets._trackers import MEASURED
from autobuild_core.datasets.json_lines import read_lines
from autobuild_core.errors import ArchitectureError, DataError, counted
from autobuild_core.spaces import Space, load_space
from autobuild_core.store.candidates import Candidate, CandidateLog, Result
from autobuild_core.store.tables import content_hash

READY = {"", "finished", "finish", "complete", "completed", "done", "ok", "success", "succeeded", "terminated", "measured"}
UNDER_WAY = {"running", "pending", "queued", "waiting", "scheduled", "started", "asked", "out", "withdrawn"}
DIVERGED = {"diverged", "nan", "inf"}
STATES, REASONS = ("state", "status"), ("error", "reason", "message")
ABOUT = {"evaluator", "version", "device"}  # a line of an evaluator has all of these
HALF = 0.5  # worse than so large a share of the measured values
Read = Callable[[Path, ArchTable], ArchTable]


@dataclass
class Joined:
    """A file of results, joined.

    Args:
        rows: measurements and failures to be appended to the data.
        results: (id of the candidate, its result), in the order of the file.
        rejected: rows of the file that are none of these.
        num_foreign: rows of `rows` that no candidate waited for.
    """

    rows: ArchTable
    results: list[tuple[str, Result]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    num_foreign: int = 0


@dataclass(frozen=True)
class Told:
    """The outcome of a file of results.

    Args:
        num_told: results that candidates got.
        num_added: rows that joined the data.
        num_completed: rows of before that gained metrics.
        num_foreign: rows of networks that no candidate waited for.
        rejected: rows of the file that are no results, or were known already.
    """

    num_told: int
    num_added: int
    num_completed: int
    num_foreign: int
    rejected: tuple[Rejection, ...]

    @property
    def sentence(self) -> str:
        """The outcome in a sentence, for a reader."""
        parts = [f"{counted(self.num_told, 'result')} of candidates"] if self.num_told or not self.num_foreign else []
        parts += [f"{counted(self.num_added, 'row')} joined the data"] if self.num_added else []
        parts += [f"{counted(self.num_completed, 'row')} of before gained metrics"] if self.num_completed else []
        parts += [f"{counted(self.num_foreign, 'row')} of networks that are not on the list"] if self.num_foreign else []
        parts += [f"{counted(len(self.rejected), 'row')} not taken"] if self.rejected else []
        return f"{', '.join(parts)}."


@dataclass(frozen=True)
class _Row:
    """A row of the file that is a result.

    Args:
        number: in the file, from 0.
        values: by column, without what is said below.
        state: "finished", "diverged" or "failed".
        error: the reason of a failure.
        candidate: that its id names; None where it has none.
    """

    number: int
    values: dict[str, Any]
    state: str
    error: str
    candidate: Candidate | None


def take_in(
    path: Path,
    table: ArchTable,
    log: CandidateLog,
    read: Read,
    keep: Callable[[ArchTable], None],
    origin: str = "",
    run: str = "",
    source: str = "",
) -> Told:
    """Takes a file of results in: into the data as their next version, and into the list of candidates.

    The data come first: whoever is cut short between the two finds the rows known when the file is told again, and only tells.

    Args:
        path: as `join` takes it.
        table: the newest version of the data set.
        log: its candidates.
        read: reads a file by the data set's columns (`read_more`).
        keep: is given the next version, to be saved.
        origin: where the results come from; the file's name unless given.
        run: id of the run that proposed the architectures.
        source: what the list remembers to have heard (`CandidateLog.heard`); `origin` unless given.

    Raises:
        DataError: it cannot be read, or no row of it is a new result.
    """
    joined = join(path, table, log.all(), read)
    origin = origin or path.name
    heard = source or origin, len(joined.rows) + len(joined.rejected)
    try:
        added = append(table, joined.rows, Batch(origin, time.time(), content_hash(table), run))
    except DataError:  # all rows are in the data: a file that is told again, or whose telling was cut short
        if not (told := log.tell(joined.results, *heard)):
            raise
        return Told(len(told), 0, 0, joined.num_foreign, tuple(joined.rejected))
    keep(added.table)
    told = log.tell(joined.results, *heard)
    if joined.results and not told:
        log.tell([], *heard)  # rows joined, though every candidate among them was told before: a loop that went on
    rejected = (*joined.rejected, *added.rejected)
    return Told(len(told), added.num_added, added.num_completed, joined.num_foreign, rejected)


def join(path: Path, table: ArchTable, candidates: Sequence[Candidate], read: Read) -> Joined:
    """Joins a file of results to candidates and to the data set that they belong to.

    Args:
        path: JSON lines, a JSON array of objects, or a table; with a column id, an architecture, or both.
        table: the data set.
        candidates: all of its list.
        read: reads a file by the data set's columns (`read_more`).

    Raises:
        DataError: it cannot be read, or no row of it is a result.
    """
    space, joined = load_space(table.spec), Joined(table.take(np.zeros(0, int)))
    by_id = {candidate.id: candidate for candidate in candidates}
    rows = list(_sorted_out(path, by_id, space, joined))
    ready = [row for row in rows if row.state == "finished"]
    measured = _measured(path, ready, table, joined, read)
    failed = _failed([row for row in rows if row.state != "finished"], measured, table, space, joined)
    joined.rows = _both(measured, failed)
    _assign(joined, rows, candidates)
    if not len(joined.rows):
        first = f"; row {joined.rejected[0].row}: {joined.rejected[0].reason}" if joined.rejected else ""
        raise DataError(f"{path.name}: got no result, expected measurements of candidates{first}")
    joined.rejected.sort(key=lambda rejection: rejection.row)
    return joined


def rows_of(path: Path) -> Iterable[Mapping[str, Any] | DataError]:
    """The rows of a file as objects; empty cells are left out.

    Raises:
        DataError: it is no file of rows.
    """
    start = read_head(path).lstrip()[:1]
    if start == b"{":
        yield from read_lines(path)
    elif start == b"[":
        for item in document(path.read_text(encoding="utf-8-sig"), path.name):
            yield item if isinstance(item, dict) else DataError(f"got {str(item)[:60]}, expected an object.")
    else:
        header, cells, _ = read_rows(path)
        for row in cells:
            yield {name: cell for name, cell in zip(header, row, strict=False) if cell.strip()}


def _sorted_out(path: Path, by_id: Mapping[str, Candidate], space: Space, joined: Joined) -> Iterable[_Row]:
    """The rows that are results; the others are among the rejected."""
    for number, given in enumerate(rows_of(path)):
        try:
            yield _row(number, given, by_id, space)
        except DataError as error:
            joined.rejected.append(Rejection(number, str(error)[:300]))


def _row(number: int, given: Mapping[str, Any] | DataError, by_id: Mapping[str, Candidate], space: Space) -> _Row:
    """A row as a result.

    Raises:
        DataError: it is none; the message says why.
    """
    if isinstance(given, DataError):
        raise given
    values = {name: value for name, value in given.items() if value is not None}
    one = str(values.pop("id", "")).strip()
    state = str(next((values.pop(name) for name in STATES if name in values), "")).strip().lower()
    error = str(next((values.pop(name) for name in REASONS if name in values), ""))
    candidate = by_id.get(one)
    if one and candidate is None and "arch" not in values:
        raise DataError(f"id: got '{one[:40]}', expected one of a candidate, or an architecture beside it.")
    if state in UNDER_WAY:
        raise DataError(f"state: got '{state}', expected a result; hand the file in again when there is one.")
    if candidate is not None:
        if "arch" in values and _network(values["arch"], space) != candidate.network:
            raise DataError(f"id: got '{one}' beside another network than that candidate's, expected one of the two.")
        own = set(candidate.arch) if isinstance(candidate.arch, dict) else set()
        values = {"arch": candidate.arch} | {name: value for name, value in values.items() if name not in own | {"arch"}}
    ended = "finished" if state in READY and not (error and not state) else "diverged" if state in DIVERGED else "failed"
    return _Row(number, values, ended, error or (state if ended != "finished" else ""), candidate)


def _network(arch: Any, space: Space) -> str:
    """The canonical hash of an architecture, as decimal digits.

    Raises:
        ArchitectureError: it is not in the space.
    """
    row = np.array([parsed(arch, space)], np.int16)
    return str(int(space.hash_networks(row)[0]))


def parsed(arch: Any, space: Space) -> list[int]:
    """The codes of an architecture, also of one that a cell of a table holds.

    Raises:
        ArchitectureError: it is not in the space.
    """
    return space.parse(native_cell(arch) if isinstance(arch, str) else arch)


def _measured(path: Path, rows: Sequence[_Row], table: ArchTable, joined: Joined, read: Read) -> ArchTable:
    """The rows with measurements, read by the data set's columns; `source_rows` are those of the file."""
    if not rows:
        return table.take(np.zeros(0, int))
    with tempfile.TemporaryDirectory(prefix="autobuild-telling-") as folder:
        lines = Path(folder) / (path.stem + ".jsonl")
        known = {column.name for column in table.columns}
        parts = (json.dumps(_of_the_data(row.values, known), ensure_ascii=False) + "\n" for row in rows)
        lines.write_text("".join(parts), encoding="utf-8")
        more = read(lines, table)
    numbers = np.array([row.number for row in rows])
    joined.rejected += [Rejection(int(numbers[r.row]), r.reason) for r in more.rejected]
    return replace(more, source_rows=numbers[more.source_rows], rejected=())


def _of_the_data(values: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """The values of a row that the data set is to get: of a line of an evaluator metrics, seed and what the data know already.

    Else the evaluator, its version and what it read would be contexts that only new rows have, and its seconds a metric.
    """
    if not set(values) >= ABOUT:
        return dict(values)
    about = {name for name in values if MEASURED.ignored.match(name) or (name in MEASURED.contexts and name != "seed")}
    kept = {name: value for name, value in values.items() if name in known or name not in about}
    return kept | ({"state": "finished"} if known >= ABOUT else {})


def _failed(rows: Sequence[_Row], measured: ArchTable, table: ArchTable, space: Space, joined: Joined) -> ArchTable:
    """The rows without measurements, as architectures known to be worse than the median."""
    kept, codes = [], []
    for row in rows:
        try:
            arch = row.values.get("arch", row.values)
            codes.append(parsed(arch, space))
            kept.append(row)
        except ArchitectureError as error:
            joined.rejected.append(Rejection(row.number, f"{row.error or 'failed'}; and {error}"[:300]))
    coded = np.array(codes, np.int16).reshape(len(kept), space.spec.num_positions)
    like = measured if len(measured) else table
    beside = {
        name: [_context(row, name, like.contexts[name], like.context_kinds[name]) for row in kept] for name in like.contexts
    }
    frame = pd.DataFrame(beside, index=pd.RangeIndex(len(kept))).astype(like.contexts.dtypes.to_dict())
    return replace(
        like.take(np.zeros(0, int)),
        codes=coded,
        networks=space.hash_networks(coded),
        metrics=pd.DataFrame(np.nan, index=pd.RangeIndex(len(kept)), columns=like.metrics.columns),
        source_rows=np.array([row.number for row in kept], np.int64),
        contexts=frame,
        censored=np.full(len(kept), HALF),
        repeats=np.ones(len(kept), np.int64),
        rejected=(),
    )


def _context(row: _Row, name: str, known: "pd.Series[Any]", kind: str) -> Any:
    """A context of a failed row: what it says, else what the other rows have most; of a seed nothing."""
    if name in row.values:
        return row.values[name]
    if kind == "seed" or known.dropna().empty:
        return np.nan if known.dtype.kind == "f" else ""
    return known.mode().iloc[0]


def _both(measured: ArchTable, failed: ArchTable) -> ArchTable:
    """One table of both, in the order of the file."""
    if not len(failed):
        return measured
    parts = [measured, failed] if len(measured) else [failed]
    rows = np.concatenate([part.source_rows for part in parts])
    order = np.argsort(rows, kind="stable")
    whole = replace(
        parts[0],
        codes=np.concatenate([part.codes for part in parts]),
        networks=np.concatenate([part.networks for part in parts]),
        metrics=pd.concat([part.metrics for part in parts], ignore_index=True),
        source_rows=rows,
        contexts=pd.concat([part.contexts for part in parts], ignore_index=True),
        censored=np.concatenate([part.censored for part in parts]),
        repeats=np.concatenate([part.repeats for part in parts]),
    )
    return whole.take(order)


def _assign(joined: Joined, rows: Sequence[_Row], candidates: Sequence[Candidate]) -> None:
    """Gives every result to its candidate: by id, else by network, to the one that was proposed last."""
    by_number, by_network = {row.number: row for row in rows}, {candidate.network: candidate for candidate in candidates}
    table = joined.rows
    seeds = [name for name, kind in table.context_kinds.items() if kind == "seed"]
    for place, number in enumerate(table.source_rows.tolist()):
        row = by_number[number]
        candidate = row.candidate or by_network.get(str(int(table.networks[place])))
        if candidate is None:
            joined.num_foreign += 1
            continue
        metrics = {str(name): float(value) for name, value in table.metrics.iloc[place].items() if np.isfinite(value)}
        seed = _whole(table.contexts[seeds[0]].iloc[place]) if seeds else _whole(row.values.get("seed"))
        joined.results.append((candidate.id, Result(row.state, metrics, seed, row.error)))


def _whole(value: Any) -> int | None:
    """A seed as a whole number; None where there is none."""
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return None
