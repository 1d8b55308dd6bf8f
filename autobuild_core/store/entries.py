"""Lines of the registry as types: of a data set, and of a run with the row that its kind of job shows in lists.

Every folder of a workspace keeps its own line as entry.json, so that a registry that was lost is made anew from the folders. Of
folders of before, which have none, the line is worked out from what they hold.
"""

import os
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self, cast

from autobuild_core.architectures.records import ArchTable, Batch
from autobuild_core.errors import DataError, RunError, StudioError
from autobuild_core.store import tables
from autobuild_core.store.quality import Quality
from autobuild_core.store.run_folder import TRAIN, RunConfig, RunFolder, StateRecord
from autobuild_core.store.states import RunState

ENTRY = "entry.json"


def folder_bytes(folder: Path) -> int:
    """Size of the files below a folder; what vanishes meanwhile counts nothing."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total


@dataclass(frozen=True)
class DatasetEntry:
    """The registry's line of a data set.

    Args:
        id: 32 hex digits.
        name: what a reader sees.
        hash: `tables.content_hash` of its table.
        created: seconds since 1970.
        format: file in datasets/ that read it.
        space: title of its search space.
        num_rows: accepted rows.
        num_metrics: columns of measurements.
        num_rejected: refused rows.
        size_mb: of its files.
        error: why it cannot be read; "" where it can.
        family: id of its first version, by which versions belong together.
        version: its number, from 1.
        parent: `hash` of the version that its last rows were appended to; "" of a first one.
        origin: where these rows came from.
        run: id of the run that proposed them; "" where none did.
    """

    id: str
    name: str
    hash: str
    created: float
    format: str = ""
    space: str = ""
    num_rows: int = 0
    num_metrics: int = 0
    num_rejected: int = 0
    size_mb: float = 0.0
    error: str = ""
    family: str = ""
    version: int = 1
    parent: str = ""
    origin: str = ""
    run: str = ""

    @classmethod
    def of_table(cls, dataset_id: str, name: str, created: float, table: ArchTable, folder: Path, family: str = "") -> Self:
        """The line of a table that was just saved; without a family it is a first version."""
        counts = len(table), table.metrics.shape[1], table.num_rejected
        about = tables.content_hash(table), created, table.format, table.spec.title
        entry = cls(dataset_id, name, *about, *counts, folder_bytes(folder) / 1e6, family=family or dataset_id)
        return entry._with(table.batches)

    def _with(self, batches: tuple[Batch, ...]) -> Self:
        """The line with what is known of the rows that came last."""
        last = batches[-1] if batches else Batch("")
        return replace(self, version=max(len(batches), 1), parent=last.parent, origin=last.origin, run=last.run)

    @classmethod
    def of_folder(cls, folder: Path, name: str = "", created: float = 0.0) -> Self:
        """The line of a folder: its entry.json, else what its table says; of a damaged one with the reason.

        Args:
            folder: of the data set.
            name: that an older registry gave it.
            created: likewise.
        """
        known = _known(folder, cls)
        name = name or known.get("name") or f"Data set {folder.name[:8]}"
        created = created or known.get("created") or folder.stat().st_mtime
        size_mb = folder_bytes(folder) / 1e6
        try:
            facts = tables.table_facts(folder)
            num_rejected = facts["num_rejected"] if "num_rejected" in facts else len(facts["rejected"])
            counts = facts["num_rows"], len(facts["metrics"]), num_rejected
            about = facts["hash"], created, facts["format"], facts["spec"]["title"]
            entry = cls(folder.name, name, *about, *counts, size_mb, family=known.get("family") or folder.name)
            return entry._with(tables.batches_of(facts))
        except (DataError, LookupError, TypeError) as error:
            said = str(error) if isinstance(error, DataError) else f"{folder / 'table.json'}: got a damaged file ({error})."
            family, version = known.get("family") or folder.name, known.get("version", 1)
            own = folder.name, name, str(known.get("hash", "")), created
            return cls(*own, size_mb=size_mb, error=said, family=family, version=version)


@dataclass(frozen=True)
class RunRow:
    """The row of a run in lists, as its kind of job writes it; a kind fills what it has.

    Args:
        aim: what is asked, in words.
        result: what came out, in words; "" before.
        data_name: name of the data set.
        data_hash: its `tables.content_hash`, by which runs and data find each other.
        data_version: which version of it that is.
        target: equation that is learned.
        target_name: what it is called.
        target_unit: of its values.
        minimize: smaller targets are better.
        seed: of every random choice; None where there is none.
        verdict: of the trust report.
        srcc: held-out rank correlation.
        has_scores: it is a training, whose scores the pages show once it is finished.
    """

    aim: str = ""
    result: str = ""
    data_name: str = ""
    data_hash: str = ""
    data_version: int = 1
    target: str = ""
    target_name: str = ""
    target_unit: str = ""
    minimize: bool = False
    seed: int | None = None
    verdict: str = ""
    srcc: float | None = None
    has_scores: bool = False

    @classmethod
    def of_training(cls, config: RunConfig, quality: Quality) -> Self:
        """The row of a training; here, as the registry needs it of runs of before there were kinds.

        Args:
            config: its settings.
            quality: quality.json, {} before there is one.
        """
        srcc = quality.get("srcc")
        return cls(
            aim=config.aim.words,
            result="" if srcc is None else f"SRCC {srcc:.3f}",
            data_name=config.data_name,
            data_hash=config.data_hash,
            data_version=config.data_version,
            target=config.target,
            target_name=config.target_name,
            target_unit=config.target_unit,
            minimize=config.minimize,
            seed=config.seed,
            verdict=str(quality.get("verdict") or ""),
            srcc=srcc,
            has_scores=True,
        )

    @staticmethod
    def quality_of(folder: RunFolder) -> Quality:
        """The content of quality.json, {} where there is none yet or it is damaged."""
        try:
            raw = folder.read_json("quality.json")
        except StudioError:
            return {}
        return cast(Quality, raw) if isinstance(raw, dict) else {}

    @classmethod
    def of_json(cls, raw: object) -> Self:
        """A row from JSON; fields of another version are left out."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in raw.items() if name in known}) if isinstance(raw, dict) else cls()


@dataclass(frozen=True)
class RunEntry:
    """The registry's line of a run, less what moves while it runs.

    Args:
        id: 32 hex digits, or SAMPLE_ID.
        kind: of job.
        name: what a reader sees.
        created: seconds since 1970.
        row: what lists show of it.
    """

    id: str
    kind: str
    name: str
    created: float
    row: RunRow

    @classmethod
    def of_folder(cls, folder: RunFolder, name: str = "", created: float = 0.0) -> tuple[Self, StateRecord]:
        """The line of a folder and its state; of a damaged one in state "damaged", with the reason.

        Args:
            folder: of the run.
            name: that an older registry gave it.
            created: likewise.
        """
        known = _known(folder.path, cls)
        name = name or known.get("name", "")
        row = RunRow.of_json(known.get("row"))
        kind = str(known.get("kind") or TRAIN)
        try:
            job, state = folder.job, folder.state
            kind, name = job.kind, name or str(job.settings.get("name", ""))
            created = created or known.get("created") or job.created
            if kind == TRAIN:
                row = RunRow.of_training(folder.config, RunRow.quality_of(folder))
        except RunError as error:
            created = created or known.get("created") or folder.path.stat().st_mtime
            state = {"state": RunState.DAMAGED.value, "error": str(error), "started": None, "ended": None}
        return cls(folder.path.name, kind, name or f"Run {folder.path.name[:8]}", created, row), state


def write_entry(folder: Path, entry: DatasetEntry | RunEntry) -> None:
    """Keeps a line of the registry with its folder."""
    tables.write_json(folder / ENTRY, asdict(entry))


def _known(folder: Path, kind: type[DatasetEntry] | type[RunEntry]) -> dict[str, Any]:
    """The fields of entry.json that have the right type, {} where there is none or it is damaged."""
    try:
        raw = RunFolder(folder).read_json(ENTRY)
    except StudioError:
        return {}
    wanted = {"name": str, "kind": str, "hash": str, "created": float, "row": dict, "family": str, "version": int}
    own = {field.name for field in fields(kind)}
    found = raw.items() if isinstance(raw, dict) else ()
    return {name: value for name, value in found if name in own and isinstance(value, wanted.get(name, object))}
