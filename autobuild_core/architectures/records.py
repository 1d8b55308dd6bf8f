"""Data that cross layers: a search space as data, tables of architectures in columns, groups of modules.

Architectures are rows of int16 codes, one column a position of the space, -1 where the position is absent
(variable depth). A million architectures of 20 positions are 40 MB. Nothing here knows a particular space.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ABSENT = -1
Codes = NDArray[np.int16]


@dataclass(frozen=True)
class UnitSpec:
    """One slot of a search space that a module fills.

    Args:
        label: what a reader sees, e.g. "U1" or "L3-5".
        positions: indices of its positions in the space, upstream first.
        depths: numbers of layers it may have, increasing; one value when the depth is fixed.
        tokens: indices of the tokens allowed at its positions.
        tied: all its layers share one token.
        loose: no data flow enters or leaves it: a column of a table that stands beside the others by chance.
        modules: the tokens of every module it may have, as in a reduced space, () among them where it may have no layer;
            empty where all sequences of its tokens are modules. `depths` are their numbers of layers.
    """

    label: str
    positions: tuple[int, ...]
    depths: tuple[int, ...]
    tokens: tuple[int, ...]
    tied: bool = False
    loose: bool = False
    modules: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Condition:
    """A unit that has layers exactly where another unit holds one of some tokens.

    The unit's `depths` contain 0; where the condition holds, one of its other depths is taken. Several conditions on one unit
    must all hold. A parent comes before its child in the order of units.

    Args:
        unit: index of the conditional unit.
        parent: index of the unit that decides.
        tokens: tokens of the parent with which the unit is there.
    """

    unit: int
    parent: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class SpaceSpec:
    """A search space of sequences or of cells as plain data, so that a run folder can hold it as JSON.

    Args:
        name: file in spaces/ that gives it its rules.
        title: what a reader sees.
        position_labels: one label a position, e.g. "U1.L1".
        tokens: what a layer can be, e.g. "mbconv3_e4_k5".
        units: the slots, in data-flow order; their positions partition the positions of the space.
        attributes: name -> value per token ("kernel" -> ("3", "5", ...)); the readable features of a layer.
        options: whatever else the space's own file needs to read and write its native encoding.
        reads: the data flow of a cell with operations on edges: per position the index of the unit whose sum it reads,
            ABSENT for the cell's input; a unit's positions are the operations that enter its sum. Empty for a chain
            along the positions.
        numbers: attribute -> coordinate of each token in 0..1 (of the value itself, of its logarithm where values span a factor
            of 100), NaN where a token has no number; only of attributes that are ordered numbers.
        conditions: which units are there only where another holds certain tokens.
        forbidden: clauses of (unit index, tokens): an architecture in which every unit of a clause has one of its tokens at one
            of its positions is not valid; the token ABSENT stands for a unit without layers.
        topology: file in architectures/topologies/ that says how data flows; "" = a cell where `reads` says so, a loose set
            where units are loose, else a chain.
    """

    name: str
    title: str
    position_labels: tuple[str, ...]
    tokens: tuple[str, ...]
    units: tuple[UnitSpec, ...]
    attributes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    reads: tuple[int, ...] = ()
    numbers: dict[str, tuple[float, ...]] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    forbidden: tuple[tuple[tuple[int, tuple[int, ...]], ...], ...] = ()
    topology: str = ""

    def __post_init__(self) -> None:
        one_nan = {name: tuple(np.nan if v != v else v for v in values) for name, values in self.numbers.items()}
        object.__setattr__(self, "numbers", one_nan)  # NaN equals only itself: equal specs hold one and the same

    @property
    def num_positions(self) -> int:
        """Width of a row of codes."""
        return len(self.position_labels)

    @property
    def fixed_depth(self) -> bool:
        """Every architecture has a layer at every position."""
        return all(unit.depths == (len(unit.positions),) for unit in self.units)

    def encodes_as(self, other: "SpaceSpec") -> bool:
        """Whether codes mean the same in both: the rules, the tokens and the units are equal, whatever else the specs say."""
        return (self.name, self.tokens, self.units) == (other.name, other.tokens, other.units)

    def unit_of(self, position: int) -> int:
        """Index of the unit that owns a position."""
        return next(i for i, unit in enumerate(self.units) if position in unit.positions)

    def to_json(self) -> str:
        """One JSON object; `from_json` is its inverse. What a space does not have is left out."""
        raw = asdict(self)
        for unit in raw["units"]:
            for name in ("loose", "modules"):
                if not unit[name]:
                    del unit[name]
        for name in ("reads", "numbers", "conditions", "forbidden", "topology"):
            if not raw[name]:
                del raw[name]
        for name, values in raw.get("numbers", {}).items():
            raw["numbers"][name] = [None if value != value else value for value in values]
        return json.dumps(raw)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The spec that `to_json` wrote."""
        raw = json.loads(text)
        units = tuple(map(_read_unit, raw["units"]))
        attributes = {name: tuple(values) for name, values in raw["attributes"].items()}
        labels, tokens = tuple(raw["position_labels"]), tuple(raw["tokens"])
        reads = tuple(raw.get("reads", ()))
        numbers = {n: tuple(np.nan if v is None else float(v) for v in values) for n, values in raw.get("numbers", {}).items()}
        conditions = tuple(Condition(c["unit"], c["parent"], tuple(c["tokens"])) for c in raw.get("conditions", ()))
        forbidden = tuple(tuple((unit, tuple(tokens)) for unit, tokens in clause) for clause in raw.get("forbidden", ()))
        given = (raw["name"], raw["title"], labels, tokens, units, attributes, raw["options"], reads)
        return cls(*given, numbers, conditions, forbidden, raw.get("topology", ""))


def _read_unit(raw: dict[str, Any]) -> UnitSpec:
    """A unit of `SpaceSpec.to_json`."""
    positions, depths, tokens = (tuple(raw[name]) for name in ("positions", "depths", "tokens"))
    modules = tuple(map(tuple, raw.get("modules", ())))
    return UnitSpec(raw["label"], positions, depths, tokens, raw["tied"], raw.get("loose", False), modules)


@dataclass(frozen=True)
class Rejection:
    """A row of a file that was refused. `row` counts from 0 in the file's own order."""

    row: int
    reason: str


ROLES = ("architecture", "choice", "context", "metric", "ignored")
CONTEXT_KINDS = ("setting", "task", "fidelity", "seed")
BETTER = ("higher", "lower")


@dataclass(frozen=True)
class ColumnRole:
    """The way in which a column of a file is read, and the evidence that decided it.

    Args:
        name: its header without a prefix that gives its role.
        role: one of ROLES.
        kind: "number", "whole number", "text", "list", "object", "boolean", "architecture"; of a context one of CONTEXT_KINDS.
        num_values: distinct values, absence counting as one.
        why: one clause for people.
        examples: a few values as written.
        histogram: counts in equal bins of a number's range, or of the most frequent values.
        better: of a metric one of BETTER, else "".
        said: a reader said its role, so that the evidence did not decide.
    """

    name: str
    role: str
    kind: str
    num_values: int
    why: str
    examples: tuple[str, ...] = ()
    histogram: tuple[int, ...] = ()
    better: str = ""
    said: bool = False

    @property
    def spoken(self) -> str:
        """Its role as `--role` takes it: a context by its kind, a metric with its direction."""
        if self.role == "context":
            return self.kind
        return f"{self.role}:{self.better}" if self.better else self.role


@dataclass(frozen=True)
class Batch:
    """Rows that came into a data set together.

    Args:
        origin: where they came from: the name of a file, or of an evaluator.
        time: seconds since 1970; 0 where it is not known.
        parent: content hash of the version that they were appended to; "" of the first rows.
        run: id of the run that proposed their architectures; "" where none did.
        first_row: number of their first row among all that the data set was read from.
    """

    origin: str
    time: float = 0.0
    parent: str = ""
    run: str = ""
    first_row: int = 0


@dataclass(frozen=True, eq=False)
class ArchTable:
    """Evaluated architectures in columns.

    A row is a measurement: of a network, in a context (evaluator, data, budget, device, settings), with a seed.

    Args:
        spec: their search space.
        codes: (num_rows, num_positions) int16, token index or ABSENT, exactly as the file encodes them.
        networks: (num_rows,) uint64, canonical hash of the network: equal for equal networks in any encoding.
        metrics: num_rows x metrics, float64, NaN where a row lacks one.
        source_rows: (num_rows,) int64, row in the file, from 0; of rows that were appended counted on from those before.
        format: file in datasets/ that read them.
        num_read: rows in the file.
        rejected: the rows refused, each with its reason.
        notes: sentences a reader should know (columns ignored, ...).
        contexts: num_rows x contexts, what varied beside the architecture: float64 columns, or texts; NaN or "" where unknown.
        context_kinds: one of CONTEXT_KINDS for every column of `contexts`.
        censored: (num_rows,) NaN where the target was measured; of a stopped trial the quantile of the completed rows' target
            than which it is known to be worse (0.5: their median). Its metrics are NaN.
        columns: how the file's columns were read; empty where the format gives every field its role.
        warnings: what should be looked at before training, each with its remedy.
        declared: the space was declared by a reader, not inferred from the rows.
        num_more_rejected: rows refused beside `rejected`, whose reasons were not kept.
        batches: where the rows came from, oldest first; empty where nothing was said and nothing was appended.
        repeats: (num_rows,) seeds that the metrics of a row are the mean of (`over_seeds`), else 1.
        spreads: num_rows x metrics, standard deviation over these seeds, NaN of one; without columns where none was averaged.
    """

    spec: SpaceSpec
    codes: Codes
    networks: NDArray[np.uint64]
    metrics: pd.DataFrame
    source_rows: NDArray[np.int64]
    format: str = ""
    num_read: int = 0
    rejected: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()
    contexts: pd.DataFrame = field(default_factory=pd.DataFrame)
    context_kinds: dict[str, str] = field(default_factory=dict)
    censored: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    columns: tuple[ColumnRole, ...] = ()
    warnings: tuple[str, ...] = ()
    declared: bool = False
    num_more_rejected: int = 0
    batches: tuple[Batch, ...] = ()
    repeats: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    spreads: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        if not len(self.censored):
            object.__setattr__(self, "censored", np.full(len(self.codes), np.nan))
        if not len(self.repeats):
            object.__setattr__(self, "repeats", np.ones(len(self.codes), np.int64))
        if not self.contexts.shape[1]:
            object.__setattr__(self, "contexts", pd.DataFrame(index=pd.RangeIndex(len(self.codes))))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def num_duplicates(self) -> int:
        """Rows whose network an earlier row has already in the same context."""
        return len(self) - len(np.unique(self.evaluations))

    @property
    def version(self) -> int:
        """Number of this version of its data set, from 1: every batch that is appended makes a new one."""
        return max(len(self.batches), 1)

    @property
    def batch_of(self) -> NDArray[np.intp]:
        """(num_rows,) index in `batches` of the one that each row came with."""
        first_rows = [batch.first_row for batch in self.batches] or [0]
        found: NDArray[np.intp] = np.searchsorted(first_rows, self.source_rows, "right") - 1
        return found

    @property
    def num_rejected(self) -> int:
        """All refused rows, also those whose reasons were not kept."""
        return len(self.rejected) + self.num_more_rejected

    @property
    def num_censored(self) -> int:
        """Stopped trials, known only to be worse than a bound."""
        return int(np.isfinite(self.censored).sum())

    @property
    def evaluations(self) -> NDArray[np.uint64]:
        """(num_rows,) hash of network and context; rows that differ only in their seed are repeats and share it."""
        seen = [name for name in self.contexts.columns if self.context_kinds[name] != "seed"]
        if not seen or not len(self):
            return self.networks
        frame = self.contexts[seen].assign(**{"": self.networks})
        hashes: NDArray[np.uint64] = pd.util.hash_pandas_object(frame, index=False).to_numpy(np.uint64)
        return hashes

    def take(self, index: NDArray[Any]) -> "ArchTable":
        """The rows at `index` (integers or a mask), with the same report."""
        rows = np.arange(len(self))[index]
        return replace(
            self,
            codes=self.codes[rows],
            networks=self.networks[rows],
            metrics=self.metrics.iloc[rows].reset_index(drop=True),
            source_rows=self.source_rows[rows],
            contexts=self.contexts.iloc[rows].reset_index(drop=True),
            censored=self.censored[rows],
            repeats=self.repeats[rows],
            spreads=self.spreads.iloc[rows].reset_index(drop=True) if self.spreads.shape[1] else self.spreads,
        )

    def over_seeds(self, known: NDArray[np.bool_]) -> "ArchTable":
        """The same rows, one of which stands for all seeds of a measurement: it has their means, the others have no metrics.

        Nothing changes where no seed is said. Rows that differ in evaluator, data, budget or any other context are different
        measurements.

        Args:
            known: (num_rows,) the rows that are averaged: those whose target is known.
        """
        lines = np.flatnonzero(known & np.isnan(self.censored))
        own = self.evaluations[lines]
        _, first, inverse, counts = np.unique(own, return_index=True, return_inverse=True, return_counts=True)
        if "seed" not in self.context_kinds.values() or len(first) == len(lines):
            return self
        metrics, spreads, repeats = self.metrics.copy(), self.metrics * np.nan, self.repeats.copy()
        by_measurement = self.metrics.iloc[lines].groupby(inverse)
        metrics.iloc[lines] = np.nan
        metrics.iloc[lines[first]] = by_measurement.mean().to_numpy()
        spreads.iloc[lines[first]] = by_measurement.std().to_numpy()
        repeats[lines[first]] = counts
        return replace(self, metrics=metrics, repeats=repeats, spreads=spreads)

    @property
    def noise_shares(self) -> NDArray[np.float64] | None:
        """(num_rows,) noise variance of each row by its seeds, as a share of their mean; None where all are equal."""
        return noise_shares(self.repeats)


def noise_shares(repeats: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """(n,) noise variance of means over (n,) numbers of seeds, as a share of their mean; None where all are equal."""
    if not len(repeats) or (repeats == repeats[0]).all():
        return None
    shares: NDArray[np.float64] = 1 / repeats / (1 / repeats).mean()
    return shares
