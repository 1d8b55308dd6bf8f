"""Contexts beside the architecture: settings, tasks, fidelities as numbers, and points that scores hold at.

A predictor sees contexts as coordinates beside the structure of an architecture, never in its nodes. What it says of an
architecture alone is an average over a few context points, or holds at a chosen one. Ours.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.errors import ConfigError
from autobuild_core.targets.scaling import NormalScores

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Chosen = dict[str, str | float]
MOST_POINTS, POINTS_OF_TASK = 16, 8  # context points that are averaged over, in all and of one task, about
MOST_VALUES = 32  # of a text that have a coordinate of their own
ROWS_OF_TASK = 10  # on average: of less, tasks are not ranked by themselves, and a number stays a number
LOG_FACTOR = 100.0  # a positive number that spans it is taken by its logarithm
ROUNDS = 10  # of the search for representative points


@dataclass(frozen=True)
class ContextColumn:
    """One context as coordinates.

    Args:
        name: of the column.
        kind: "setting", "task" or "fidelity".
        texts: its column holds texts, not numbers.
        values: of a text, or of a number that names tasks: its values, the most frequent first; () of any other number.
        shares: how frequent each value is.
        low: smallest and `high` largest observed number.
        log: the number is taken by its logarithm.
        mean: of the number as it is taken; `spread` its standard deviation, 0 where it never varies.
    """

    name: str
    kind: str
    texts: bool = False
    values: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    mean: float = 0.0
    spread: float = 0.0

    @classmethod
    def of(cls, name: str, kind: str, column: pd.Series, as_texts: bool) -> Self:
        """Of the evaluated rows."""
        if as_texts:
            counts = texts(column).replace("", None).value_counts()
            counts = counts.sort_index(kind="stable").sort_values(ascending=False, kind="stable")
            shares = tuple((counts / max(len(column), 1)).head(MOST_VALUES).astype(float))
            return cls(name, kind, column.dtype.kind != "f", tuple(map(str, counts.index[:MOST_VALUES])), shares)
        numbers = column.to_numpy(float)
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return cls(name, kind)
        low, high = float(numbers.min()), float(numbers.max())
        log = low > 0 and high >= LOG_FACTOR * low
        taken = np.log(numbers) if log else numbers
        spread = float(taken.std())
        spread = spread if spread > 1e-9 * max(abs(low), abs(high)) else 0.0
        return cls(name, kind, False, (), (), low, high, log, float(taken.mean()), spread)

    @property
    def width(self) -> int:
        """Number of coordinates; 0 of what never varies."""
        return (len(self.values) if len(self.values) > 1 else 0) if self.values else int(self.spread > 0)

    def encode(self, column: pd.Series) -> Array:
        """(n, width) coordinates; zero, which is the mean, where it is not known."""
        if not self.width:
            return np.zeros((len(column), 0))
        if self.values:
            hot = texts(column).to_numpy(str)[:, None] == np.array(self.values)
            return np.where(hot.any(1, keepdims=True), hot - np.array(self.shares), 0.0)
        numbers = column.to_numpy(float)
        taken = np.log(np.maximum(numbers, 1e-300)) if self.log else numbers
        standard: Array = np.nan_to_num((taken - self.mean) / self.spread)[:, None]
        return standard

    def chosen(self, given: str | float) -> tuple[str | float, str]:
        """(a value that a reader chose, "" or a warning).

        Raises:
            ConfigError: a text that was not observed, or no number where one is expected.
        """
        if self.values:
            text = str(given) if isinstance(given, str) else f"{given:g}"
            if text not in self.values:
                text = _plain_number(text)
            if text not in self.values:
                raise ConfigError(f"context {self.name}: got '{text}', expected one of {', '.join(self.values)}.")
            return text, ""
        try:
            number = float(given)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ConfigError(f"context {self.name}: got '{given}', expected a number from {self.low:g} to {self.high:g}.")
        if self.low <= number <= self.high:
            return number, ""
        between = f"between {self.low:g} and {self.high:g}" if self.low < self.high else f"{self.low:g} only"
        return number, f"{self.name} = {number:g} was never observed ({between}): what is said there is carried on from what was."


def texts(column: pd.Series) -> pd.Series:
    """A context as texts, "" where it is not known."""
    if column.dtype.kind == "f":
        return column.map(lambda value: "" if value != value else f"{value:g}").astype(str)
    return column.fillna("").astype(str)


def _plain_number(text: str) -> str:
    """A number as contexts write it ("224.0" as "224"); any other text as it is."""
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


@dataclass(frozen=True, eq=False)
class Contexts:
    """The contexts of a data set that a predictor sees: all but seeds.

    Args:
        columns: in the table's order.
        tasks: the contexts that name tasks within which the target is ranked by itself.
        names: (tasks, len(tasks)) what each task is called, the most frequent first; one empty name where there are none.
    """

    columns: tuple[ContextColumn, ...]
    tasks: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, table: ArchTable) -> Self | None:
        """Of the evaluated rows; None where nothing but seeds varies."""
        columns, tasks = [], []
        for name in seen_names(table):
            kind, column = table.context_kinds[name], table.contexts[name]
            number = column.dtype.kind == "f"
            often = column.nunique() * ROWS_OF_TASK <= len(column)
            columns.append(ContextColumn.of(name, kind, column, not number or (kind == "task" and often)))
            if kind == "task" and often and columns[-1].width:
                tasks.append(name)
        if not any(column.width for column in columns):
            return None
        joint = _joint(table.contexts, tasks)
        if len(joint) < ROWS_OF_TASK * joint.nunique():  # tasks of few rows each are not ranked by themselves
            tasks, joint = [], _joint(table.contexts, [])
        counts = joint.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable")
        return cls(tuple(columns), tuple(tasks), tuple(counts.index))

    @property
    def groups(self) -> list[int]:
        """Which context each coordinate is of, counted from 0."""
        widths = [column.width for column in self.columns if column.width]
        return [group for group, width in enumerate(widths) for _ in range(width)]

    def encode(self, frame: pd.DataFrame) -> Floats:
        """(n, dim) coordinates of contexts."""
        parts = [column.encode(frame[column.name]) for column in self.columns]
        return np.concatenate(parts, 1).astype(np.float32)

    def task_of(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """(n,) number of each row's task; 0, the most frequent, for one that was not evaluated."""
        number = {name: index for index, name in enumerate(self.names)}
        return np.array([number.get(name, 0) for name in _joint(frame, list(self.tasks))], np.int64)

    def points(self, frame: pd.DataFrame, networks: NDArray[np.uint64]) -> tuple[pd.DataFrame, Array]:
        """Representative contexts at the highest fidelity, with their weights: what averages are over.

        A task weighs as much as it has networks, a context within it as much as it has rows. Where a task has more contexts than
        are averaged over, those nearest to the means of so many clusters stand for them (Lloyd's algorithm).

        Args:
            frame: (n) contexts of the evaluated rows.
            networks: (n,) their hashes.
        """
        task, parts, weights = self.task_of(frame), [], []
        most = max(1, min(POINTS_OF_TASK, MOST_POINTS // len(self.names)))
        for number in range(len(self.names)):
            rows = np.flatnonzero(task == number)
            own = frame[[column.name for column in self.columns]].iloc[rows].reset_index(drop=True)
            for column in self.columns:
                if column.kind == "fidelity" and not column.values:
                    own[column.name] = own[column.name].max()
            chosen, share = _representatives(self.encode(own).astype(float), most)
            parts.append(own.iloc[chosen])
            weights.append(share * len(np.unique(networks[rows])))
        total = np.concatenate(weights)
        return pd.concat(parts, ignore_index=True), total / total.sum()

    def to_dict(self) -> dict[str, Any]:
        """For the checkpoint's JSON."""
        return {"columns": [asdict(column) for column in self.columns], "tasks": list(self.tasks), "names": list(self.names)}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        columns = [ContextColumn(**c | {"values": tuple(c["values"]), "shares": tuple(c["shares"])}) for c in raw["columns"]]
        return cls(tuple(columns), tuple(raw["tasks"]), tuple(map(tuple, raw["names"])))


def seen_names(table: ArchTable) -> list[str]:
    """The contexts of a table that a predictor may see."""
    return [str(name) for name in table.contexts.columns if table.context_kinds[str(name)] != "seed"]


def _joint(frame: pd.DataFrame, names: list[str]) -> pd.Series:
    """(n,) the row's values of some contexts, as one tuple of texts."""
    return pd.Series(
        list(zip(*(texts(frame[name]) for name in names), strict=True)) if names else [()] * len(frame), dtype=object
    )


def _representatives(coordinates: Array, most: int) -> tuple[NDArray[np.intp], Array]:
    """(rows that stand for all, share of the rows that each stands for)."""
    distinct, first, counts = np.unique(coordinates, axis=0, return_index=True, return_counts=True)
    if len(distinct) <= most:
        return first, counts / counts.sum()
    order = np.lexsort(distinct.T[::-1])
    starts = np.searchsorted(np.cumsum(counts[order]) / counts.sum(), (np.arange(most) + 0.5) / most)
    centres = distinct[order[starts]]
    for _ in range(ROUNDS):
        nearest = _nearest(distinct, centres)
        held = [counts[nearest == k] for k in range(most)]
        centres = np.stack(
            [np.average(distinct[nearest == k], axis=0, weights=own) if len(own) else centres[k] for k, own in enumerate(held)]
        )
    nearest = _nearest(distinct, centres)
    share = np.bincount(nearest, counts, most) / counts.sum()
    kept = np.flatnonzero(share)
    return first[_nearest(centres[kept], distinct)], share[kept]


def _nearest(points: Array, centres: Array) -> NDArray[np.intp]:
    """(n,) the centre nearest to each point."""
    apart = (points**2).sum(1)[:, None] - 2 * points @ centres.T + (centres**2).sum(1)
    nearest: NDArray[np.intp] = apart.argmin(1)
    return nearest


@dataclass(frozen=True, eq=False)
class Mixed:
    """A map from normal scores at several context points to those of their average.

    Every point's score is mapped to target units by the scale of its task, averaged there, and mapped back by one common scale.

    Args:
        weights: (points,) summing to one.
        scalings: of each point's task.
        common: the scale of the average.
    """

    weights: Array
    scalings: tuple[NormalScores, ...]
    common: NormalScores

    def targets(self, scores: NDArray[Any]) -> Array:
        """(...) average target of (points, ...) normal scores, each scale carried straight on at its ends."""
        along = zip(self.weights, self.scalings, scores, strict=True)
        return np.asarray(sum(w * scaling.straight(s.astype(float)) for w, scaling, s in along))

    def __call__(self, scores: NDArray[Any]) -> NDArray[Any]:
        """(...) common normal scores of (points, ...) ones."""
        return self.common.back(self.targets(scores)).astype(scores.dtype)


@dataclass(frozen=True, eq=False)
class Held:
    """The contexts that a predictor's numbers hold at.

    With them goes what a common scale is made from at any other place.

    Args:
        contexts: as the predictor sees them.
        points: a line a context point.
        weights: (points,) summing to one.
        scalings: one a task.
        codes: (n, num_positions) canonical encodings of evaluated rows.
        residuals: (n,) their normal score less that predicted in their own context by the member that did not see them.
        fold: (n,) that member.
        measured: (n,) false for a stopped trial, whose normal score is its expectation.
        chosen: contexts that a reader chose; averages are over the points otherwise.
        warnings: about what was chosen.
    """

    contexts: Contexts
    points: pd.DataFrame
    weights: Array
    scalings: tuple[NormalScores, ...]
    codes: Codes
    residuals: Array
    fold: NDArray[np.int64]
    measured: NDArray[np.bool_]
    chosen: Chosen
    warnings: tuple[str, ...] = ()

    @property
    def own_scalings(self) -> tuple[NormalScores, ...]:
        """Of every point, the scale of its task."""
        return tuple(self.scalings[task] for task in self.contexts.task_of(self.points))

    def at(self, chosen: Mapping[str, str | float]) -> "Held":
        """The same, held at a chosen context; averages go on over what is not chosen.

        Raises:
            ConfigError: a context that the data do not have, or a text that was not observed.
        """
        columns = {column.name: column for column in self.contexts.columns}
        points, keep, taken, warnings = self.points.copy(), np.ones(len(self.points), bool), dict(self.chosen), []
        for name, given in chosen.items():
            if name not in columns:
                raise ConfigError(f"context: got '{name}', expected one of {', '.join(columns)}.")
            taken[name], warning = columns[name].chosen(given)
            warnings += [warning] if warning else []
            if name in self.contexts.tasks:
                keep &= (texts(points[name]) == taken[name]).to_numpy()
        if not keep.any():
            combined = ", ".join(f"{name}={value}" for name, value in chosen.items())
            raise ConfigError(f"context: got {combined}, which was never observed together.")
        points, weights = points[keep].reset_index(drop=True), self.weights[keep]
        for name in chosen:
            if name not in self.contexts.tasks:
                points[name] = taken[name] if points[name].dtype.kind != "f" else float(taken[name])
        distinct = points.astype(str).agg("\0".join, axis=1)
        first = ~distinct.duplicated().to_numpy()
        merged = pd.Series(weights).groupby(distinct, sort=False).sum().to_numpy()
        points = points[first].reset_index(drop=True)
        return replace(self, points=points, weights=merged / merged.sum(), chosen=taken, warnings=(*self.warnings, *warnings))

    def rows_of(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        """(n,) which evaluated rows are of the tasks that were chosen: all where none was."""
        inside = np.ones(len(frame), bool)
        for name in self.contexts.tasks:
            if name in self.chosen:
                inside &= (texts(frame[name]) == self.chosen[name]).to_numpy()
        return inside

    @property
    def words(self) -> str:
        """The contexts that numbers hold at, for people."""
        parts = [f"{name}={value if isinstance(value, str) else f'{value:g}'}" for name, value in self.chosen.items()]
        free = [column.name for column in self.contexts.columns if column.width and column.name not in self.chosen]
        return "; ".join([*parts, f"average over {', '.join(free)}"] if free else parts)

    def facts(self) -> dict[str, Any]:
        """For JSON: what was chosen, the points that averages are over, warnings."""
        points = [{n: None if v != v else v for n, v in line.items()} for line in self.points.to_dict("records")]
        return {"chosen": self.chosen, "words": self.words, "points": points, "weights": self.weights.tolist()} | {
            "warnings": list(self.warnings)
        }
