"""`benchmark`: speed, memory and held-out quality, measured anew each time; nothing is quoted.

Each measurement (measures.py) runs in a process of its own, so that its peak memory is its own; imports are done before the clock
starts. The published recipe (published.py) runs in the same call on the same rows: ratios hold for any machine, seconds for one.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.benchmark import report as show
from autobuild_core.benchmark.measures import SAMPLED_MODULES, Result, read, write_synthetic
from autobuild_core.benchmark.truth import PRODUCT_K
from autobuild_core.errors import ConfigError, RunError
from autobuild_core.jobs import warm
from autobuild_core.registry import import_path
from autobuild_core.spaces import space_named
from autobuild_core.store import tables

DEFAULT_SIZES = (50, 100, 300, 3000)
DEFAULT_SCALE = (1000, 10_000, 100_000)
COLUMN_ROWS = 200
CHILD = "import sys; from autobuild_core.benchmark.measures import main; sys.exit(main(sys.argv[1:]))"


def measure(name: str, threads: int, **options: Any) -> Result:
    """One measurement in a fresh process, with "peak_mib" of it.

    Raises:
        RunError: it failed; the message is its own.
    """
    environment = {**os.environ, **warm.thread_limits(threads), "PYTHONPATH": import_path()}
    command = [sys.executable, "-c", CHILD, name, tables.to_json({"threads": threads, **options})]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise RunError(f"benchmark, {name}: the measurement broke off with status {done.returncode}: {said[:300]}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    return result


def run(
    data: str | None,
    target: str,
    minimize: bool = False,
    sizes: Sequence[int] = DEFAULT_SIZES,
    seeds: Sequence[int] = (0,),
    with_published: bool = False,
    scale: Sequence[int] = (),
    threads: int = 2,
    members: int | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    columns: Sequence[int] = (),
    swaps: Sequence[str] = (),
    report: Callable[[Result], None] = lambda record: None,
) -> dict[str, list[Result]]:
    """All measurements, as records by table: "speed", "quality", "scale", "modules", "columns", "swaps", "start".

    Args:
        data: file of evaluated architectures; None = only the synthetic scale.
        target: equation over its metrics.
        minimize: smaller targets are better.
        sizes: numbers of networks to learn from; those that leave nothing to judge on are left out.
        seeds: of the draws and trainings.
        with_published: also the published recipe.
        scale: numbers of synthetic architectures.
        threads: of every measurement.
        members: size of the ensemble, None = by the data's size.
        steps: of the training, None = by the data's size.
        epochs: of the published recipe, None = its own 200.
        columns: numbers of loose columns of a synthetic flat table.
        swaps: folders of finished runs, of which every swap of an architecture is tried.
        report: hears {"phase", "share"}.

    Raises:
        StudioError: the data or settings do not do.
    """
    common: Result = {"minimize": minimize, "members": members, "steps": steps, "epochs": epochs}
    names = ("speed", "quality", "scale", "modules", "columns", "swaps", "start")
    found: dict[str, list[Result]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="autobuild-benchmark-") as scratch:
        folder = Path(scratch)
        if data is not None:
            table, _ = read({"data": data, "target": target, "minimize": minimize})
            networks = len(np.unique(table.networks))
            usable = [size for size in sizes if 10 <= size <= networks - 10]
            if not usable:
                raise ConfigError(f"sizes: got {', '.join(map(str, sizes))}, expected some from 10 to {networks - 10} networks.")
            cases = [(size, seed) for size in usable for seed in seeds]
            for number, (size, seed) in enumerate(cases):
                report({"phase": f"{size} networks, seed {seed}", "share": number / len(cases)})
                options = common | {"data": str(Path(data).resolve()), "target": target, "size": size, "seed": seed}
                speed, quality = _one(folder / "run", options, threads, with_published)
                found["speed"] += speed
                found["quality"].append(quality)
        for number, num in enumerate(scale):
            report({"phase": f"{num:,} synthetic architectures", "share": number / len(scale)})
            found["scale"].append(_scale(folder, num, common, threads))
        if scale:
            found["modules"] = _modules(folder, common, threads)
        for number, num in enumerate(columns):
            report({"phase": f"{num} columns", "share": number / len(columns)})
            found["columns"].append(_columns(folder / "run", num, common, threads))
        for number, path in enumerate(swaps):
            report({"phase": f"swaps of {path}", "share": number / len(swaps)})
            found["swaps"].append({"run": path} | measure("swaps", threads, run=str(Path(path).resolve())))
        report({"phase": "start of a run", "share": 1.0})
        found["start"].append(measure("start", threads))
    return found


def _one(run_path: Path, options: Result, threads: int, with_published: bool) -> tuple[list[Result], Result]:
    """Speed and quality of one draw."""
    options = options | {"run": str(run_path)}
    parts = {name: measure(name, threads, **options) for name in ("train", "score", "build", "quality")}
    theirs = measure("published", threads, **options) if with_published else {}
    shutil.rmtree(run_path)
    speed = []
    for name in ("train", "score", "build"):
        row = {"networks": options["size"], "step": name, "ours_s": parts[name][f"{name}_s"], "ours_mib": parts[name]["peak_mib"]}
        if theirs:
            row |= {"published_s": theirs[f"{name}_s"], "published_mib": theirs["peak_mib"]}
            row["ratio"] = row["published_s"] / row["ours_s"]
        speed.append(row)
    both = {"networks": options["size"], "step": "train + score"}
    for who in ("ours_s", "published_s") if theirs else ("ours_s",):
        both[who] = speed[0][who] + speed[1][who]
    if theirs:
        both["ratio"] = both["published_s"] / both["ours_s"]
    judged = parts["quality"] | {name: value for name, value in theirs.items() if name.startswith("published ")}
    quality = {name: value for name, value in judged.items() if name != "peak_mib"}
    return [*speed, both], {"networks": options["size"], "seed": options["seed"]} | quality


def _scale(folder: Path, num: int, common: Result, threads: int) -> Result:
    """Reading, training and scoring of so many synthetic architectures of Once-for-all MobileNetV3."""
    path, run_path = folder / "synthetic.jsonl", folder / "run"
    write_synthetic(path, space_named("ofa_mbv3"), num)
    options = common | {"data": str(path), "target": "acc", "seed": 0, "run": str(run_path)}
    trained = measure("train", threads, **options)
    scored = measure("score", threads, **options)
    shutil.rmtree(run_path)
    path.unlink()
    curve = trained["learning_curve"] or []
    return {
        "architectures": num,
        **{name: trained[name] for name in ("read_s", "train_s", "run_s")},
        "train_mib": trained["peak_mib"],
        "score_s": scored["score_s"],
        "score_mib": scored["peak_mib"],
        "learned_from": trained["num_networks"],
        "srcc": trained["held_srcc"],
        "learning_curve": " ".join(f"{point['num_networks']}: {point['srcc']:.4f}" for point in curve),
    }


def _columns(run_path: Path, num: int, common: Result, threads: int) -> Result:
    """A whole training on a flat table of so many columns that stand side by side by chance."""
    options = common | {"columns": num, "rows": COLUMN_ROWS, "target": "acc", "seed": 0, "run": str(run_path)}
    trained = measure("train", threads, **options)
    shutil.rmtree(run_path)
    kept = {name: trained[name] for name in ("train_s", "run_s", "run_cpu_s", "peak_mib")}
    return {"columns": num, "rows": COLUMN_ROWS, **kept, "srcc": trained["held_srcc"]}


def _modules(folder: Path, common: Result, threads: int) -> list[Result]:
    """Scoring of more and more whole-unit modules, from runs on 1,000 synthetic architectures."""
    rows = []
    path, run_path = folder / "synthetic.jsonl", folder / "run"
    for name, units in (("ofa_mbv3", (1, 2, None)), ("ofa_proxyless", (None,))):
        write_synthetic(path, space_named(name), 1000)
        options = common | {"data": str(path), "target": "acc", "seed": 0, "run": str(run_path)}
        measure("train", threads, **options)
        for count in units:
            scored = measure("score", threads, **options, units=count)
            row = {"modules": scored["modules"], "space": name, "score_s": scored["score_s"], "score_mib": scored["peak_mib"]}
            rows.append(row)
        shutil.rmtree(run_path)
    return rows


def markdown(found: dict[str, list[Result]], threads: int) -> str:
    """The tables of all that was measured."""
    sampled = (
        f"Seconds with imports done, {threads} threads, mean over the seeds; peak memory of each process. The published recipe "
        f"trains and scores in one, with one thread, its fastest; its module scores are timed on about {SAMPLED_MODULES} "
        "modules and extrapolated."
    )
    judged = (
        "On networks not trained on, mean over the seeds. fidelity, good: Spearman correlation of the scores with the truth for "
        "modules of 1 to 4 layers (published: of its norms); norm_in_unit: of norms within a unit; product_rank: of the best "
        f"network in the product of each unit's {PRODUCT_K} best modules. These need a file that holds the whole space."
    )
    parts = []
    if found["speed"]:
        parts.append(show.table("Speed and memory", show.averaged(found["speed"], ("networks", "step")), sampled))
        quality = [{k: v for k, v in row.items() if k != "seed"} for row in found["quality"]]
        parts.append(show.table("Quality", _transposed(show.averaged(quality, ("networks",))), judged))
    if found["scale"]:
        note = "Synthetic architectures of Once-for-all MobileNetV3; learning_curve: networks learned from, held-out Spearman."
        parts.append(show.table("Against the number of architectures", found["scale"], note))
        parts.append(show.table("Against the number of modules", found["modules"]))
    if found["columns"]:
        note = "Loose columns of 2 to 8 values; train_s learns, run_s is a whole training with scores and trust report, "
        note += "run_cpu_s the processor time of it, all threads together."
        parts.append(show.table("Against the number of columns", found["columns"], note))
    if found["swaps"]:
        note = "Every change of one layer or depth and the 50 best modules of each unit in its place; budgets at the medians."
        parts.append(show.table("Every swap of an architecture", found["swaps"], note))
    if found["start"]:
        rows = [{k: v for k, v in row.items() if k != "peak_mib"} for row in found["start"]]
        parts.append(show.table("From submitting a run to its worker's first word and first training step", rows))
    return "\n".join(parts)


def _transposed(records: list[Result]) -> list[Result]:
    """One row a measure, one column a number of networks."""
    names = dict.fromkeys(name for record in records for name in record if name != "networks")
    return [{"measure": name} | {f"{record['networks']:,}": record.get(name) for record in records} for name in names]


def chart(found: dict[str, list[Result]]) -> str:
    """Seconds and memory against architectures and modules, as SVG."""
    sizes, modules = found["scale"], found["modules"]
    seconds = {name: [(row["architectures"], row[f"{name}_s"]) for row in sizes] for name in ("read", "run", "score")}
    peaks = {name: [(row["architectures"], row[f"{name}_mib"]) for row in sizes] for name in ("train", "score")}
    scored = {"score": [(row["modules"], row["score_s"]) for row in modules]}
    memory = {"score": [(row["modules"], row["score_mib"]) for row in modules]}
    return show.chart(
        [
            ("Seconds", "architectures", "s", seconds),
            ("Peak memory", "architectures", "MiB", peaks),
            ("Seconds to score", "whole-unit modules", "s", scored),
            ("Peak memory", "whole-unit modules", "MiB", memory),
        ]
    )


def records(found: dict[str, list[Result]]) -> pd.DataFrame:
    """Every number on a line of its own: table, case, measure, value."""
    lines = []
    keys = ("networks", "step", "seed", "architectures", "run", "space", "columns", "rows")
    for name, rows in found.items():
        for row in rows:
            case = " ".join(f"{key}={row[key]}" for key in keys if key in row)
            for measure_name, value in row.items():
                for place, number in enumerate(value) if isinstance(value, list) else [(None, value)]:
                    if measure_name not in keys and isinstance(number, int | float):
                        label = measure_name if place is None else f"{measure_name}_{place + 1}"
                        lines.append((name, case, label, float(number)))
    return pd.DataFrame(lines, columns=["table", "case", "measure", "value"])
