"""Produces the sample data: small spaces whose networks are trained for real (docs/evaluators.md).

    python -m sample_data.make_samples train cells --shard 0 --num-shards 2   # resumable, one process a shard, on any device
    python -m sample_data.make_samples latency cells                          # on an idle machine, afterwards
    python -m sample_data.make_samples assemble cells                         # writes the CSV, its curves and PROVENANCE.md
    python -m sample_data.make_samples again cells                            # ten of its networks with a seed that is not in it
    python -m sample_data.make_samples metrics                                # what each run that ships knows of its metrics
    python -m sample_data.make_samples agree                                  # whether those of all sets agree with the sets

Each set is one list of trainings in an order that stands: first seeds of all networks, then second seeds. What runs.*.jsonl hold
is not trained again, whichever process or device wrote it. A training writes what its run knows of metrics at its end; `metrics`
does that alone, in seconds, for runs that are there.
"""

import argparse
import itertools
import json
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from autobuild_core.evaluators import Watch, load_evaluator
from autobuild_core.evaluators import _networks as networks
from autobuild_core.evaluators._batch import ask, run_batch
from autobuild_core.evaluators._results import Asked, Line, ResultsFile, Setting, key_of
from autobuild_core.predictor.run_metrics import ABOUT, ARRAYS
from autobuild_core.scoring.intervals import CONFIDENCE
from autobuild_core.spaces import space_named
from autobuild_core.spaces._declared import Declared, Slot, to_json
from autobuild_core.store.run_folder import RunFolder
from autobuild_core.store.tables import replacing

HERE = Path(__file__).resolve().parent
MBCONV_SEED, ORDER_SEED, AGAIN_SEED = 2026, 2027, 2028  # of the random orders, and of which networks are trained again
NUM_AGAIN, UNSEEN = 10, 2  # networks that are trained again, and the seed that no set has
NUM_MBCONV, NUM_SEGMENTATION = 304, 120
CELL_OPERATIONS = ("skip_connect", "nor_conv_3x3", "avg_pool_3x3")
Arch = Any


def some_stages() -> list[Arch]:
    """Random distinct networks of stages; a longer list extends a shorter one."""
    rng, drawn = np.random.default_rng(MBCONV_SEED), dict[str, Arch]()
    while len(drawn) < NUM_MBCONV:
        choices = rng.integers(3, size=(networks.NUM_STAGES, 3))
        arch: dict[str, int] = {}
        for number, (k, e, d) in enumerate(choices, 1):
            depth, kernel = networks.STAGE_DEPTHS[d], networks.KERNELS[k]
            arch |= {f"stage{number}_e": networks.EXPANSIONS[e], f"stage{number}_k": kernel, f"stage{number}_l": depth}
        drawn[json.dumps(arch)] = arch
    return list(drawn.values())


def all_cells() -> list[Arch]:
    """Cells of NAS-Bench-201's wiring with three operations, each network once, in a random order."""
    space = space_named("nas_bench_201")
    tokens = [space.token_index[token] for token in CELL_OPERATIONS]
    codes = np.array(list(itertools.product(tokens, repeat=6)), np.int16)
    _, first = np.unique(space.hash_networks(codes), return_index=True)
    order = np.random.default_rng(ORDER_SEED).permutation(np.sort(first))
    return [space.native(codes[row]) for row in order]


def all_unets() -> list[Arch]:
    """U-Nets with each of nine blocks there or not, in a random order."""
    stages = networks.UNET_STAGES.items()
    blocks = [(f"{stage}_{place}", kind) for stage, kinds in stages for place, kind in enumerate(kinds, 1)]
    every = list(itertools.product((True, False), repeat=len(blocks)))
    order = np.random.default_rng(ORDER_SEED).permutation(len(every))
    return [{name: kind if there else "none" for (name, kind), there in zip(blocks, every[row], strict=True)} for row in order]


def some_encoder_decoders() -> list[Arch]:
    """Random encoder-decoders, all choices alike; a decoder stage without layers has idle choices, written as its first."""
    rng, drawn = np.random.default_rng(ORDER_SEED), dict[str, Arch]()
    while len(drawn) < NUM_SEGMENTATION:
        arch: dict[str, Any] = {}
        for stage in ("enc1", "enc2", "enc3", "skip2", "dec2", "skip1", "dec1"):
            if stage.startswith("skip"):
                arch[stage] = str(rng.choice(["none", "add"]))
                continue
            depth = int(rng.choice(networks.ENCODER_DEPTHS if stage.startswith("enc") else networks.DECODER_DEPTHS))
            kernel, expansion = int(rng.choice(networks.KERNELS)), int(rng.choice(networks.EXPANSIONS))
            kernel, expansion = (kernel, expansion) if depth else (networks.KERNELS[0], networks.EXPANSIONS[0])
            arch |= {f"{stage}_k": kernel, f"{stage}_e": expansion, f"{stage}_l": depth}
        drawn[json.dumps(arch)] = arch
    return list(drawn.values())


def cells_space() -> Declared:
    """The space of the cells: that of NAS-Bench-201 with three of its operations."""
    return Declared((), base="nas_bench_201", tokens=CELL_OPERATIONS)


def unets_space() -> Declared:
    """The space of the U-Nets: a unit a stage, whose blocks are each there or not."""
    slots = []
    for stage, kinds in networks.UNET_STAGES.items():
        places = tuple(("none", kind) for kind in kinds)
        columns = tuple(f"{stage}_{place}" for place in range(1, len(kinds) + 1))
        values = tuple(dict.fromkeys(value for own in places for value in own))
        slots.append(Slot(stage, "numbered", ("block",), (columns,), (values,), (len(kinds),), places=places))
    return Declared(tuple(slots))


@dataclass(frozen=True)
class Sample:
    """A set of networks that is trained.

    Args:
        evaluator: that trains them.
        architectures: their list.
        space: in words.
        num_second: networks with a second seed, the first of the list; None = all.
        declared: the space, for space.json; None where it follows from the rows.
        wide: the CSV has a row a network, with both seeds and their mean; else a row a training.
        run: folder of the run that ships, below this file's.
        title: of that run.
        target: of that run, a metric.
        minimize: smaller targets are better.
    """

    evaluator: str
    architectures: Callable[[], list[Arch]]
    space: str
    run: str
    title: str
    target: str
    minimize: bool = True
    num_second: int | None = None
    declared: Callable[[], Declared] | None = None
    wide: bool = False

    def trainings(self) -> list[Asked]:
        """Every network with seed 0, then some with seed 1."""
        archs = self.architectures()
        return [*ask(archs, (0,)), *ask(archs[: self.num_second], (1,))]


STAGES = "four stages that each choose a kernel size (3, 5, 7), an expansion (1, 3, 6) and a depth (1, 2, 3): 531,441 networks"
CELLS = f"cells of NAS-Bench-201's wiring with {', '.join(CELL_OPERATIONS)} on its edges: 729 cells, 435 networks, all of them"
UNETS = "U-Nets with nine blocks there or not: 512 networks, all of them"
SCENES = "encoder-decoders: kernel, expansion and depth of three encoder and two decoder stages, two optional skips"
SAMPLES = {
    "fashion_mbconv": Sample(
        "classification", some_stages, STAGES, "run", "MBConv on overlaid Fashion-MNIST", "test_loss", wide=True
    ),
    "cells": Sample(
        "classification",
        all_cells,
        CELLS,
        "cells/run",
        "Cells on overlaid Fashion-MNIST",
        "test_loss",
        num_second=100,
        declared=cells_space,
    ),
    "unets": Sample(
        "diffusion",
        all_unets,
        UNETS,
        "unets/run",
        "Diffusion U-Nets that draw Fashion-MNIST",
        "log_frechet",
        num_second=100,
        declared=unets_space,
    ),
    "segmentation": Sample(
        "segmentation",
        some_encoder_decoders,
        SCENES,
        "segmentation/run",
        "Panoptic segmentation of Fashion-MNIST scenes",
        "pq_pct",
        minimize=False,
        num_second=NUM_SEGMENTATION // 2,
    ),
}


def run_of(name: str) -> str:
    """The command that trains the run of a set which ships."""
    sample = SAMPLES[name]
    space = f" --space sample_data/{name}/space.json" if sample.declared is not None else ""
    aim = f"--target {sample.target}{' --minimize' if sample.minimize else ''}"
    data = f"python -m autobuild_core train sample_data/{name}/{name}.csv{space}"
    return f'{data} {aim} --name "Sample: {sample.title}" --out sample_data/{sample.run}'


def read_runs(name: str) -> list[Line]:
    """The trainings of a set that are there, over all shards."""
    return [line for path in sorted((HERE / name).glob("runs.*.jsonl")) for line in ResultsFile(path).read()]


def train(name: str, num: int | None, shard: int, num_shards: int, device: str) -> None:
    """Trains what is left of this shard's part of the first `num` of a list."""
    sample = SAMPLES[name]
    evaluator, done = load_evaluator(sample.evaluator), {key_of(line) for line in read_runs(name)}
    (HERE / name).mkdir(exist_ok=True)
    left = [one for one in sample.trainings()[:num][shard::num_shards] if one.key not in done]
    own = f"runs.{shard}.jsonl" if device == "cpu" else f"runs.{device}.{shard}.jsonl"
    run_batch(evaluator, left, Setting(sample.evaluator, evaluator.budget, device), ResultsFile(HERE / name / own))


def measure_latency(name: str) -> None:
    """Measures the latency of all networks of a set, in rounds over all of them."""
    evaluator, path = load_evaluator("latency"), HERE / name / "latency.jsonl"
    path.unlink(missing_ok=True)
    asked = ask(sorted({key_of(line)[0]: line["arch"] for line in read_runs(name)}.values(), key=json.dumps), (0,))
    lines = run_batch(evaluator, asked, Setting("latency", evaluator.budget), ResultsFile(path))
    print(f"{len(lines)} networks, {lines[0].get('remark', 'nothing to remark')}")


def train_again(name: str, shard: int, num_shards: int) -> None:
    """Trains some networks of a set with an unseen seed."""
    sample, evaluator = SAMPLES[name], load_evaluator(SAMPLES[name].evaluator)
    archs = sample.architectures()
    chosen = np.random.default_rng(AGAIN_SEED).choice(len(archs), NUM_AGAIN, replace=False)
    asked = ask([archs[place] for place in chosen], (UNSEEN,))[shard::num_shards]
    run_batch(evaluator, asked, Setting(sample.evaluator, evaluator.budget), ResultsFile(HERE / name / f"again.{shard}.jsonl"))


def agreement() -> None:
    """Prints how far networks that were trained again are from their sets, in what the noise of a seed explains.

    A difference from the mean over n seeds has a standard deviation of sqrt(1 + 1/n) times that of one seed, as networks with two
    seeds show it: over all sets the root mean square of the quotients is near 1 where sets and evaluators are what they say.
    """
    pooled: list[float] = []
    for name, sample in SAMPLES.items():
        metric = load_evaluator(sample.evaluator).metrics[0]
        found: dict[str, list[float]] = {}
        for line in read_runs(name):
            found.setdefault(key_of(line)[0], []).append(float(line[metric]))
        pairs = np.array([values for values in found.values() if len(values) > 1])
        fresh = [line for path in sorted((HERE / name).glob("again.*.jsonl")) for line in ResultsFile(path).read()]
        if not len(pairs) or not fresh:
            print(f"{name}: {len(pairs)} networks with two seeds and {len(fresh)} trained again, expected some of both")
            continue
        noise = float(np.sqrt(np.mean(np.var(pairs, axis=1, ddof=1))))
        known = [(float(line[metric]), found[key_of(line)[0]]) for line in fresh]
        quotients = [(value - np.mean(seeds)) / (np.sqrt(1 + 1 / len(seeds)) * noise) for value, seeds in known]
        print(f"{name}: {metric}, seed sd {noise:.4g}, {len(quotients)} again, root mean square {_rms(quotients):.3f}")
        pooled += quotients
    print(f"all sets: {len(pooled)} again, root mean square {_rms(pooled):.3f}")


def know_metrics() -> None:
    """Writes what each run that ships knows of its metrics, as the end of its training does."""
    from autobuild_core.jobs.kinds.train.metrics import write_metrics

    for path in sorted(HERE.glob("**/run")):
        write_metrics(RunFolder(path), RunFolder(path).config.threads)
        files = [path / ARRAYS, path / ABOUT]
        print(f"{path.relative_to(HERE)}: {sum(file.stat().st_size for file in files):,} bytes")


def _rms(values: list[float]) -> float:
    """Root mean square; NaN of none."""
    return float(np.sqrt(np.mean(np.square(values)))) if values else float("nan")


def costs_of(arch: Arch) -> dict[str, float]:
    """`params_m` and `madds_m` of a network."""
    found = load_evaluator("cost").evaluate(arch, Setting("cost", 0).at(0), Watch()).metrics
    return {"params_m": found["params_m"], "madds_m": found["madds_m"]}


def choices_of(arch: Arch) -> dict[str, Any]:
    """An architecture as columns."""
    return dict(arch) if isinstance(arch, dict) else {"arch": arch}


def assemble(name: str) -> None:
    """Writes the CSV of a set, the curves of a wide one, and where it comes from."""
    sample = SAMPLES[name]
    metrics = load_evaluator(sample.evaluator).metrics
    by_key = {key_of(line): line for line in read_runs(name)}
    latency = {key_of(line)[0]: line["latency_ms"] for line in ResultsFile(HERE / name / "latency.jsonl").read()}
    archs = dict(sorted({key[0]: line["arch"] for key, line in by_key.items()}.items(), key=lambda pair: order_of(pair[1])))
    rows: list[dict[str, Any]] = []
    for key, arch in archs.items():
        runs = [by_key[key, seed] for seed in (0, 1) if (key, seed) in by_key]
        measured = costs_of(arch) | ({"latency_cpu_ms": round(latency[key], 4)} if latency else {})
        if sample.wide:
            means = {metric: round(float(np.mean([run[metric] for run in runs])), 6) for metric in metrics}
            seeds = {f"{metric}_seed{run['seed']}": round(run[metric], 6) for metric in metrics for run in runs}
            rows.append(choices_of(arch) | means | seeds | measured)
            continue
        for run in runs:
            own = {metric: round(run[metric], 6) for metric in metrics}
            about = {column: run[column] for column in ("evaluator", "version", "data", "budget", "device", "seconds", "state")}
            rows.append(choices_of(arch) | {"seed": run["seed"]} | own | measured | about)
    table = pd.DataFrame(rows)
    write(HERE / name / f"{name}.csv", table.to_csv(index=False))
    if sample.declared is not None:
        write(HERE / name / "space.json", to_json(sample.declared()) + "\n")
    if sample.wide:
        write(HERE / name / "curves.csv", curves_of(archs, by_key).to_csv(index=False))
    write(HERE / name / "PROVENANCE.md", provenance(name, by_key, archs))


def order_of(arch: Arch) -> Any:
    """The place of an architecture in its CSV: that of its choices, kernel, expansion and depth of each stage first."""
    if isinstance(arch, str) or "stage1_k" not in arch:
        return json.dumps(arch)
    return [arch[f"stage{number}_{choice}"] for number in range(1, networks.NUM_STAGES + 1) for choice in "kel"]


def curves_of(archs: dict[str, Arch], by_key: dict[tuple[str, int], Line]) -> pd.DataFrame:
    """The metrics of every training after every epoch."""
    rows = []
    for key, arch in archs.items():
        stages = range(1, networks.NUM_STAGES + 1)
        label = "|".join(f"k{arch[f'stage{n}_k']}e{arch[f'stage{n}_e']}l{arch[f'stage{n}_l']}" for n in stages)
        for seed in (0, 1):
            for epoch, values in enumerate(by_key[key, seed]["curve"], 1):
                rows.append({"architecture": label, "seed": seed, "epoch": epoch} | values)
    return pd.DataFrame(rows).drop(columns="step", errors="ignore").round(6)


def signal_to_noise(values: np.ndarray) -> np.ndarray:
    """(ratio, low, high): the std between networks over that of a seed, and its 90 % interval, of (n, 2) values.

    Source: the exact interval of a one-way random-effects analysis of variance (Searle, Casella and McCulloch, "Variance
    Components", 1992, section 3.6), which takes both for normal.
    """
    from scipy.stats import f

    num, seeds = values.shape
    quotient = seeds * float(np.var(values.mean(1), ddof=1)) / float(np.mean(np.var(values, axis=1, ddof=1)))
    ends = f.ppf([(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2], num - 1, num * (seeds - 1))
    squares = (quotient / np.array([1.0, *ends]) - 1) / seeds
    ratios: np.ndarray = np.sqrt(np.maximum(squares, 0))
    return ratios


def provenance(name: str, by_key: dict[tuple[str, int], Line], archs: dict[str, Arch]) -> str:
    """The origin of a CSV, and how far its spread exceeds the seed noise."""
    import torch

    sample, evaluator, runs = SAMPLES[name], load_evaluator(SAMPLES[name].evaluator), list(by_key.values())
    seconds, both = [run["seconds"] for run in runs], [key for key in archs if (key, 0) in by_key and (key, 1) in by_key]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE).stdout.strip()
    lines = [
        *(f"# Where {name}.csv comes from", ""),
        *(
            f"Written by `python -m sample_data.make_samples assemble {name}`; every number is measured, none is a prediction.",
            "",
        ),
        f"- The space: {sample.space}.",
        f"- {len(archs)} networks, {len(runs)} trainings by the evaluator `{sample.evaluator}` (docs/evaluators.md), version "
        f"{evaluator.version}, {evaluator.budget} steps, on {runs[0]['data']}; median {np.median(seconds):.1f} s each.",
        f"- {len(both)} networks have a second seed; `runs.*.jsonl` has every training with its metrics after every epoch.",
        *(["- `space.json` declares the space: `--space` reads it, and averages run over it alone."] if sample.declared else []),
        f"- The run that ships: `{run_of(name)}`.",
        f"- Put together with torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}, at commit "
        f"{commit or 'none'}.",
        "- Images: Fashion-MNIST (Xiao et al. 2017, MIT licence), from Debian's package dataset-fashion-mnist.",
    ]
    if latencies := ResultsFile(HERE / name / "latency.jsonl").read():
        lines += [
            "- `latency_cpu_ms`: 32 inputs, one thread, the median over rounds of the fastest of five, in a pass of its own; "
            f"{latencies[0].get('remark', 'nothing to remark')}."
        ]
    lines += [
        "",
        "Of networks with two seeds, 90 % intervals in brackets:",
        "",
        "| metric | mean | std between networks / seed std | two seeds averaged | Spearman between seeds |",
        "|---|---|---|---|---|",
    ]
    for metric in evaluator.metrics if both else ():
        values = np.array([[by_key[key, seed][metric] for seed in (0, 1)] for key in both])
        one, averaged = (_in_brackets(scale * signal_to_noise(values)) for scale in (1, 2**0.5))
        spearman = pd.DataFrame(values).corr("spearman").to_numpy()[0, 1]
        mean = np.mean([run[metric] for run in runs])
        lines.append(f"| {metric} | {mean:.4g} | {one} | {averaged} | {spearman:.3f} |")
    return "\n".join(lines) + "\n"


def _in_brackets(ratio: np.ndarray) -> str:
    """A ratio with its interval."""
    return f"{ratio[0]:.2f} [{ratio[1]:.2f}, {ratio[2]:.2f}]"


def write(path: Path, text: str) -> None:
    """Writes a file completely or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["train", "latency", "assemble", "again", "agree", "metrics"])
    parser.add_argument("sample", nargs="?", choices=list(SAMPLES))
    parser.add_argument("--num", type=int, help="trainings of the list (default all)")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--num-shards", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    if options.command == "agree":
        agreement()
    elif options.command == "metrics":
        know_metrics()
    elif options.sample is None:
        parser.error(f"{options.command}: got no set, expected one of {', '.join(SAMPLES)}.")
    elif options.command == "again":
        train_again(options.sample, options.shard, options.num_shards)
    elif options.command == "train":
        train(options.sample, options.num, options.shard, options.num_shards, options.device)
    elif options.command == "latency":
        measure_latency(options.sample)
    else:
        assemble(options.sample)


if __name__ == "__main__":
    main()
