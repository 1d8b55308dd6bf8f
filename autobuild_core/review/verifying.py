"""Works every number of a review report out again, from its data alone: reads them, trains with the recorded settings, compares.

A training with the same data, settings, versions and processor gives the same weights bit for bit, whatever the number of
threads; what follows from them may differ in the last digits where a library sums in another order. So numbers must agree to
EXACT of their column's spread, which is less than any digit shown. Another processor, or other versions, may round a sum within
the training, which carries that on: `tolerance` then allows a share of each column's spread, and leaves out what is a choice
(suggested architectures) or words around a number.
"""

import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autobuild_core import api
from autobuild_core.architectures.records import ArchTable
from autobuild_core.datasets import load_format, read_table, recognise
from autobuild_core.errors import DataError, ReportError
from autobuild_core.review.bundle import Bundle, data_facts, processor, read_bundle, results
from autobuild_core.review.page import page, plotly_version
from autobuild_core.review.record import plain
from autobuild_core.spaces._declared import from_json
from autobuild_core.store import tables
from autobuild_core.store.pins import Pin
from autobuild_core.store.quality import Report
from autobuild_core.store.run_folder import RunConfig, RunFolder, run_versions
from autobuild_core.version import VERSION

EXACT = 1e-5
SAME_SOFTWARE = ("python", "torch", "numpy", "pandas", "scipy")
CHOICES = ("next", "overturn")  # parts that hold architectures chosen by the ensemble
ENDS = ("low", "high", "adjusted_low", "adjusted_high")  # of the interval of a value through a lens, in the value's unit
Path_ = tuple[str | int, ...]


@dataclass
class Check:
    """One line of the table of what was checked.

    Args:
        part: of the report.
        numbers: compared, None among them.
        texts: compared, true and false among them.
        left_out: not compared.
        largest: difference as a share of its column's spread.
        wrong: (place, reported, worked out) of everything that differs.
    """

    part: str
    numbers: int = 0
    texts: int = 0
    left_out: int = 0
    largest: float = 0.0
    wrong: list[tuple[str, Any, Any]] = field(default_factory=list)


def leaves(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """(path, value) of everything in a JSON value that holds nothing else; of empty lists and objects themselves."""
    parts: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    empty = True
    for name, part in parts:
        empty = False
        yield from leaves(part, (*path, name))
    if empty:
        yield path, value


def compare(reported: Any, found: Any, tolerance: float = 0.0) -> list[Check]:
    """Every leaf of two JSON values against each other.

    Args:
        reported: what a report says.
        found: what was worked out, which decides the spread of a column: the leaves whose paths differ in numbers only and that
            are seen through one lens, as each lens has a unit of its own.
        tolerance: share of that spread by which numbers may differ; 0 = EXACT.

    Returns:
        One check a part, which is the first name of a path, the second too where it has one.
    """
    said, true = dict(leaves(reported)), dict(leaves(found))
    columns: dict[Path_, list[float]] = defaultdict(list)
    for path, value in true.items():
        if _number(value):
            columns[_column(path, found)].append(float(value))
    spreads = {column: _spread(values) for column, values in columns.items()}
    checks: dict[str, Check] = {}
    for path in dict.fromkeys([*true, *said]):
        check = checks.setdefault(_part(path), Check(_part(path)))
        place = ".".join(map(str, path))
        if tolerance and any(name in CHOICES for name in path):
            check.left_out += 1
        elif path not in said or path not in true:
            check.wrong.append((place, said.get(path, "nothing"), true.get(path, "nothing")))
        elif _number(said[path]) and _number(true[path]):
            check.numbers += 1
            off = abs(float(said[path]) - float(true[path])) / max(spreads[_column(path, found)], 1e-300)
            check.largest = max(check.largest, off)
            if not off <= (tolerance or EXACT):
                check.wrong.append((place, said[path], true[path]))
        elif tolerance:
            check.left_out += 1
        else:
            check.texts += 1
            if type(said[path]) is not type(true[path]) or said[path] != true[path]:
                check.wrong.append((place, said[path], true[path]))
    return list(checks.values())


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _column(path: Path_, value: Any) -> Path_:
    """Key of a column of numbers: a path with its counting numbers left out, and the lens it is seen through.

    Args:
        path: of a leaf.
        value: that it is in. A claim and an effect say their lens; a value stands in one column with the ends of its interval.
    """
    lens = ""
    for name in path:
        if isinstance(value, dict):
            lens = value.get("lens") or (value.get("record") or {}).get("lens") or lens
        value = value[name]
    names = [name for name in path if not isinstance(name, int)]
    if lens and names[-1] in ENDS:
        names[-1] = "value"
    return (lens, *names) if lens else tuple(names)


def _spread(values: list[float]) -> float:
    """Range of the numbers of a column, or their distance from zero where they are alike or alone."""
    apart = max(values) - min(values)
    return apart if apart > 1e-12 * max(map(abs, values)) else max(map(abs, values)) or 1.0


def _part(path: Path_) -> str:
    """Name of the part of a report that a path belongs to, in the table of what was checked."""
    if not path:
        return "report"
    names = [str(name + 1) if isinstance(name, int) else name for name in path[:2]]
    return " ".join(names) if path[0] in ("tables", "claims", "quality") and len(path) > 2 else names[0]


def check_page(bundle: Bundle, text: str, path: Path) -> Check:
    """The check that a page shows what its own report says, letter for letter.

    Raises:
        ReportError: it does not, or another version drew it.
    """
    made = bundle.get("made", {})
    for name, own in (("autobuild_core", VERSION), ("plotly", plotly_version())):
        if made.get(name) != own:
            raise ReportError(
                f"{path}: got a page drawn by {name} {made.get(name)}, expected {own} as installed here; a page can only be "
                "checked by the versions that drew it, its JSON by any."
            )
    drawn = page(bundle)
    if drawn != text:
        at = next((i for i, (a, b) in enumerate(zip(text, drawn, strict=False)) if a != b), min(len(text), len(drawn)))
        raise ReportError(
            f"{path}: got a page that shows something else than the report inside it, at character {at:,} "
            f"('{' '.join(text[max(at - 20, 0) : at + 30].split())}'), expected the page as `report` wrote it."
        )
    return Check("page", texts=1)


def _read_as_said(path: Path, said: Mapping[str, Any]) -> ArchTable:
    """The table of a file, read in the format, the roles and the space that a report says of its data.

    Raises:
        DataError: the file is of another format, or cannot be read.
    """
    declared = None if said.get("declared") is None else from_json(json.dumps(said["declared"]))
    if (found := recognise(path)) != said["format"]:
        got, expected = load_format(found).title, said.get("format_title", said["format"])
        raise DataError(f"{path}: got a file read as {got}, expected one of {expected}, which the report was made from.")
    return read_table(path, said["format"], None, said.get("roles"), declared)


def check_data(bundle: Bundle, path: Path) -> tuple[ArchTable, list[Check]]:
    """The table of a data set, which must be the very one that the report is about, and what was checked of it.

    Args:
        bundle: the report.
        path: of a data file, or of the folder of a saved table: a version that grew has no file of its own.

    Raises:
        DataError: it cannot be read, or holds other data.
    """
    said = bundle["data"]
    table = read_table(path) if tables.is_table(path) else _read_as_said(path, said)
    found = data_facts(table, said["name"])
    if found["hash"] != said["hash"]:
        raise DataError(
            f"{path}: got data of hash {found['hash']} ({len(table):,} architectures), expected {said['hash']} "
            f"({said['num_rows']:,}), which the report was made from."
        )
    older = {name for name in ("format_title", "columns", "roles", "declared") if name not in said}
    return table, compare({"data": said}, {"data": {name: part for name, part in plain(found).items() if name not in older}})


def verify(report_path: Path | str, data_path: Path | str, tolerance: float = 0.0, say: Report = lambda _: None) -> list[Check]:
    """Works a report out again; the checks, those that failed among them.

    Args:
        report_path: HTML or JSON, as `report` wrote it.
        data_path: the file that the run was trained on, or the folder of its data set's version.
        tolerance: share of each column's spread by which numbers may differ.
        say: hears progress records.

    Raises:
        ReportError: the file is no report, or its page shows something else than it says.
        DataError: the data are others.
        StudioError: the settings cannot be trained with.
    """
    if not 0 <= tolerance < 1:
        raise ReportError(f"tolerance: got {tolerance:g}, expected a share from 0 to below 1.")
    bundle, text = read_bundle(report_path)
    try:
        checks = [] if text is None else [check_page(bundle, text, Path(report_path))]
        config, pins = RunConfig(**bundle["run"]["settings"]), [Pin.from_dict(raw) for raw in bundle["pins"]]
        said, chosen = dict(bundle["results"]), dict(bundle.get("context", {}).get("chosen", {}))
        table, of_data = check_data(bundle, Path(data_path))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ReportError(f"{report_path}: got a damaged report ({error!r}), expected one as `report` wrote it.") from error
    if config.data_hash != bundle["data"]["hash"]:
        raise ReportError(
            f"{report_path}: got settings for data {config.data_hash}, expected {bundle['data']['hash']}, as it says of its data."
        )
    with tempfile.TemporaryDirectory(prefix="autobuild-verify-") as place:
        folder = train_again(table, config, Path(place) / "run", say)
        run = api.Run(folder.path, chosen)
        found = plain(results(folder, run.finished(), pins))
        where = {} if run.predictor.held is None else {"context": plain(run.predictor.held.facts())}
    of_context = compare({"context": bundle["context"]}, where, tolerance) if "context" in bundle else []  # older have none
    return [*checks, *of_data, *of_context, *compare(said, found, tolerance)]


def train_again(table: ArchTable, config: RunConfig, place: Path, say: Report) -> RunFolder:
    """The run that settings give, in a new folder.

    Raises:
        StudioError: they cannot be trained with.
    """
    settings: dict[str, Any] = {"seed": config.seed, "num_members": config.num_members, "num_steps": config.num_steps}
    settings |= {"drop_stopped": config.drop_stopped}
    settings |= {"max_length": config.max_length, "threads": config.threads, "name": config.name, "data_name": config.data_name}
    settings |= {"target_name": config.target_name, "target_unit": config.target_unit}
    return api.train(table, config.target, place, config.minimize, report=say, **settings).folder


def mismatch(path: Path | str, wrong: int, compared: int, tolerance: float) -> ReportError:
    """Error for a report that differs from what was worked out, with a hint if another machine may be why."""
    bundle, _ = read_bundle(path)
    trained, own = bundle["run"]["versions"], run_versions()
    other = [f"{name} {trained.get(name)} (here {own[name]})" for name in SAME_SOFTWARE if trained.get(name) != own[name]]
    made_on = dict(bundle.get("made") or {}).get("processor")
    if made_on != processor():
        other.append(f"the processor {made_on} (here {processor()})")
    hint = ""
    if other and not tolerance:
        hint = f" It was made with {', '.join(other)}, where sums may round differently: --tolerance 0.05 allows for that."
    return ReportError(f"{path}: got {wrong:,} of {compared:,} values that differ, expected what the data give.{hint}")


def as_text(checks: list[Check]) -> str:
    """The table of what was checked, for a terminal."""
    heads = ("part", "numbers", "texts", "left out", "largest difference", "")
    lines = [heads]
    for check in checks:
        counts = (f"{check.numbers:,}", f"{check.texts:,}", f"{check.left_out:,}", f"{check.largest:.1e}")
        lines.append((check.part, *counts, f"{len(check.wrong):,} DIFFER" if check.wrong else "agrees"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    out = [
        "  ".join(cell.ljust(w) if not i else cell.rjust(w) for i, (cell, w) in enumerate(zip(li, widths, strict=True)))
        for li in lines
    ]
    wrong = [(check.part, *one) for check in checks for one in check.wrong]
    out += [f"{place}: reported {_short(said)}, worked out {_short(true)}" for _, place, said, true in wrong[:20]]
    return "\n".join(out + ([f"and {len(wrong) - 20:,} more"] if len(wrong) > 20 else []))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:59] + "…"
