"""A design review that can be sent: everything a run says and every pinned claim as one JSON value, and as one offline page.

The JSON value is the report; the page is a function of it (page.py), so that who holds either can work out the other.
`verifying.py` works out its results again from the data.

    kind, schema     what it is
    made             when and with which versions; not worked out again
    run              name, date, settings (`RunConfig`), versions
    data             name, hash, format, space, counts; how the columns were read, the roles that a reader gave, the space where
                     a reader declared it
    pins             claims and notes, as pinned
    context          what the numbers hold at, where contexts vary (`Held.facts`); chosen is {} for the average
    results          quality (quality.json), scales, tables, architectures, claims (`record.record` of each pin)
"""

import json
import platform
import re
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from autobuild_core.architectures.lens import TRAINED, Lens
from autobuild_core.architectures.names import native_text
from autobuild_core.architectures.records import ArchTable, Codes
from autobuild_core.datasets import _mapping as mapping
from autobuild_core.datasets import title_of
from autobuild_core.errors import ReportError
from autobuild_core.figures import colours, drawing, rankings, review, trust
from autobuild_core.figures.quality import hop_srcc_table
from autobuild_core.review import record, words
from autobuild_core.review.record import plain
from autobuild_core.scoring.finished_run import FinishedRun
from autobuild_core.search.acquisition import NUM_NEXT, suggest
from autobuild_core.spaces._configspace import declared_json
from autobuild_core.store import tables
from autobuild_core.store.pins import Pin, Pins
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.trust.findings import TrustReport
from autobuild_core.version import VERSION

KIND, SCHEMA = "autobuild-review", 1
RANKED = (10, 4)  # best and worst modules shown of each unit
MOST_POINTS = 2000  # of the scatter of predictions
DEEPEST_HOP = 4
NOT_RESULTS = ("seconds",)  # how long it took is no result
BUNDLE = re.compile(r'<script type="application/json" id="bundle">(.*?)</script>', re.S)
Bundle = dict[str, Any]


def make_bundle(folder: RunFolder, pins: list[Pin] | None = None, name: str = "", run: FinishedRun | None = None) -> Bundle:
    """The report of a finished run.

    Args:
        folder: the run.
        pins: the claims; None = those in the run's folder.
        name: what the run is called now; its own name unless given.
        run: its tables, where they are read already, or hold at a chosen context.

    Raises:
        RunError: the run is not finished, or did not score a pinned module.
    """
    run = run or FinishedRun.load(folder)
    pins = Pins(folder.path / "pins").all() if pins is None else pins
    about = folder.about
    made = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "autobuild_core": VERSION}
    made |= {"plotly": metadata.version("plotly"), "machine": platform.machine(), "processor": processor()}
    about_run = {"name": name or run.config.name, "created": about["created"], "versions": about["versions"]}
    bundle = {
        "kind": KIND,
        "schema": SCHEMA,
        "made": made,
        "run": about_run | {"settings": asdict(run.config) | {"id": ""}},
    }  # an id opens the run
    if run.predictor.held is not None:
        bundle["context"] = run.predictor.held.facts()
    bundle |= {"data": data_facts(folder.table(), run.config.data_name), "pins": [asdict(pin) for pin in pins]}
    found: Bundle = plain(bundle | {"results": results(folder, run, pins)})
    return found


def processor() -> str:
    """Name of the machine's processor, "" where it does not say: another one may round sums differently."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def data_facts(table: ArchTable, name: str) -> dict[str, Any]:
    """Facts about a table and how it was read, and the hash that only the same content has."""
    declared = json.loads(declared_json(table.spec)) if table.declared else None
    beside: dict[str, Any] = {"contexts": table.context_kinds} if table.context_kinds else {}
    beside |= {"num_stopped": table.num_censored} if table.num_censored else {}
    return beside | {
        "name": name,
        "hash": tables.content_hash(table),
        "format": table.format,
        "format_title": title_of(table.format),
        "space": table.spec.title,
        "num_rows": len(table),
        "num_duplicates": table.num_duplicates,
        "num_rejected": table.num_rejected,
        "num_positions": table.spec.num_positions,
        "metrics": list(table.metrics.columns),
        "columns": as_columns(mapping.columns_table(table.columns)),
        "roles": mapping.said(table.columns),
        "declared": declared,
    }


def results(folder: RunFolder, run: FinishedRun, pins: list[Pin]) -> dict[str, Any]:
    """Everything of a report that follows from data, settings and claims."""
    lenses = [lens for lens in TRAINED if lens.value in run.modules]
    config, mean = run.config, run.quality["space_mean"]
    scales = {lens: colours.scale_for(run.modules, lens, mean, config.minimize, run.unit) for lens in lenses}
    found: dict[str, Any] = {"quality": _without_times(run.quality), "scales": {}, "tables": _tables(folder, run)}
    found["scales"] = {lens.value: asdict(scale) | {"lens": lens.value} for lens, scale in scales.items()}
    found["architectures"] = _architectures(run, scales[Lens.SCORE])
    found["claims"] = [_claim(run, pin, scales) for pin in pins]
    return found


def _without_times(value: Any) -> Any:
    """A value without what is in NOT_RESULTS, at any depth."""
    if isinstance(value, dict):
        return {name: _without_times(part) for name, part in value.items() if name not in NOT_RESULTS}
    return [_without_times(part) for part in value] if isinstance(value, list) else value


def as_columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """A table as JSON: its columns by name."""
    return {str(name): frame[name].tolist() for name in frame.columns}


def as_frame(columns: dict[str, list[Any]]) -> pd.DataFrame:
    """The table that `as_columns` wrote; None is NaN among numbers."""
    return pd.DataFrame(columns)


def _tables(folder: RunFolder, run: FinishedRun) -> dict[str, Any]:
    """The tables behind the figures; without those that an older version of the training did not write."""
    modules, quality = run.modules, run.quality
    found = {"ranking": _ranking(run), "hop_srcc": hop_srcc_table(quality["hop_srcc"], quality["srcc"])}
    total = run.num_evaluated
    found["heat"] = rankings.heat_table(modules, run.table.spec, Lens.SCORE, total, run.unit)
    step = -(-len(run.predictions) // MOST_POINTS)
    found["predictions"] = run.predictions.iloc[::step][["row", "source_row", "target", "predicted", "low", "high"]]
    if (report := TrustReport.of(quality)) is not None:
        found |= {"held_out": trust.srcc_table(report), "units": trust.evidence_table(report)}
        found["contenders"] = trust.contenders_table(folder.read_frame("trust_best.parquet"), report)
        found["calibration"] = folder.read_frame("trust_calibration.parquet")
        found["next"] = _next(folder, run)
    return {name: as_columns(frame) for name, frame in found.items()}


def _ranking(run: FinishedRun) -> pd.DataFrame:
    """The best and the worst whole-unit modules of every unit by the average lens."""
    parts, columns = [], ["rank", "module", "value", "low", "high", "words"]
    total = run.num_evaluated
    for index, unit in enumerate(run.table.spec.units):
        own = run.modules[run.modules["whole_unit"] & (run.modules["unit_index"] == index)]
        if len(own):
            part = rankings.ranking_table(own, Lens.SCORE, run.config.minimize, total, run.unit, *RANKED)
            parts.append(part[columns].assign(unit=unit.label))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*columns, "unit"])


def _next(folder: RunFolder, run: FinishedRun) -> pd.DataFrame:
    """Architectures to evaluate next: arch, information, predicted, low, high; at a chosen context suggested anew."""
    predictor = run.predictor
    if predictor.held is not None and predictor.held.chosen:
        codes, table = suggest(predictor, run.modules, run.table.networks, NUM_NEXT)
        return pd.DataFrame({"arch": [native_text(predictor.space.native(row)) for row in codes]}).join(table)
    table = folder.read_frame("next.parquet")
    archs = [native_text(json.loads(text)["arch"]) for text in table.get("record", [])]
    return pd.DataFrame({"arch": archs}).join(table.drop(columns="record", errors="ignore"))


def _architectures(run: FinishedRun, scale: colours.Scale) -> list[dict[str, Any]]:
    """The best measured architecture, drawn at every hop."""
    sign = -1 if run.config.minimize else 1
    best = run.predictions.iloc[int((sign * run.predictions["target"]).to_numpy().argmax())]
    row = int(best["row"])
    deepest = min(int(run.modules["hop"].max()), DEEPEST_HOP)
    drawn = [drawn_at(run, run.table.codes[row], hop, scale) for hop in range(deepest + 1)]
    about = {"source_row": int(run.table.source_rows[row]), "measured": float(best["target"])}
    return [about | {"arch": run.predictor.space.native(run.table.codes[row]), "hops": drawn}]


def drawn_at(run: FinishedRun, codes: Codes, hop: int, scale: colours.Scale) -> dict[str, list[Any]]:
    """An architecture laid out and scored at a hop: `review.svg_table`."""
    spec = run.table.spec
    scores = drawing.node_scores(run.modules, run.index, spec, codes, hop)
    drawn = drawing.coloured(drawing.architecture_table(spec, codes), scores, scale, run.unit)
    return as_columns(review.svg_table(drawn, scale.lens))


def _claim(run: FinishedRun, pin: Pin, scales: dict[Lens, colours.Scale]) -> dict[str, Any]:
    """The record of a pin with what its figures need: its sentence, its rivals, both examples drawn at the claim's hop."""
    found = record.record(run, pin.claim)
    out: dict[str, Any] = {"sentence": words.sentence(found), "remarks": words.remarks(found, run.config.label.title)}
    out |= {"record": found.to_json(), "rivals": as_columns(record.rivals_table(run, pin.claim))}
    for name, example in found.examples.items():
        codes = None if example is None else run.table.codes[example.row]
        out[name] = None if codes is None else drawn_at(run, codes, found.hop, scales[Lens.SCORE])
    return out


# Files


def read_bundle(path: Path | str) -> tuple[Bundle, str | None]:
    """(the report in a file, the page's text where it is one).

    Raises:
        ReportError: it is no report, or a damaged one.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ReportError(f"{path}: got {error.strerror}, expected a report that `report` wrote.") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"{path}: got a file that is no text, expected a report: HTML or JSON as `report` wrote it.") from error
    page = text.lstrip()[:15].lower().startswith("<!doctype html")
    found = BUNDLE.search(text) if page else None
    if page and found is None:
        raise ReportError(f"{path}: got an HTML page without a report in it, expected one that `report` wrote.")
    try:
        bundle = json.loads(found[1] if found else text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: got a file that is no report, expected HTML or JSON as `report` wrote it.") from error
    if not isinstance(bundle, dict) or bundle.get("kind") != KIND:
        raise ReportError(f"{path}: got JSON that is no report, expected one whose kind is '{KIND}'.")
    if bundle.get("schema") != SCHEMA:
        raise ReportError(f"{path}: got a report of schema {bundle.get('schema')}, expected {SCHEMA}; make it anew.")
    return bundle, text if page else None


def to_json(bundle: Bundle) -> str:
    """The report as a JSON file."""
    return json.dumps(bundle, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
