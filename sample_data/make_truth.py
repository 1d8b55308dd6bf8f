"""Produces the complete spaces and the segmentation sample: every network of a small space trained for real.

    python sample_data/make_truth.py train cells --shard 0 --num-shards 2   # resumable, one process a shard, on any device

One list a set, in an order that stands: first seeds of all networks, then second seeds. What runs.*.jsonl have is not trained
again, whichever process or device wrote it.
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ORDER_SEED = 2027
NUM_SEGMENTATION = 120  # random networks; half of them have a second seed
CELL_OPERATIONS = ("skip_connect", "nor_conv_3x3", "avg_pool_3x3")
Task = tuple[Any, int]  # architecture, seed


def all_cells() -> list[Any]:
    """Cells of NAS-Bench-201's wiring with three operations, each network once, in a random order that stands."""
    from autobuild_core.spaces import space_named

    space = space_named("nas_bench_201")
    tokens = [space.token_index[token] for token in CELL_OPERATIONS]
    codes = np.array(list(itertools.product(tokens, repeat=6)), np.int16)
    _, first = np.unique(space.hash_networks(codes), return_index=True)
    order = np.random.default_rng(ORDER_SEED).permutation(np.sort(first))
    return [space.native(codes[row]) for row in order]


def with_second_seeds(architectures: list[Any]) -> list[Task]:
    """Every architecture with seed 0, then with seed 1; in a random order, so that the first of them are random ones."""
    return [(arch, seed) for seed in (0, 1) for arch in architectures]


def all_unets() -> list[Any]:
    """U-Nets with each of nine blocks there or not, in a random order that stands."""
    from autobuild_core.evaluators._networks import UNET_STAGES

    blocks = [(f"{stage}_{place}", kind) for stage, kinds in UNET_STAGES.items() for place, kind in enumerate(kinds, 1)]
    every = list(itertools.product((True, False), repeat=len(blocks)))
    order = np.random.default_rng(ORDER_SEED).permutation(len(every))
    return [{name: kind if there else "none" for (name, kind), there in zip(blocks, every[row], strict=True)} for row in order]


def some_encoder_decoders() -> list[Any]:
    """Random encoder-decoders, all choices alike; a decoder stage without layers has idle choices, written as its first."""
    from autobuild_core.evaluators import _networks as made

    rng = np.random.default_rng(ORDER_SEED)
    drawn: dict[str, Any] = {}
    while len(drawn) < NUM_SEGMENTATION:
        arch: dict[str, Any] = {}
        for stage in ("enc1", "enc2", "enc3", "skip2", "dec2", "skip1", "dec1"):
            if stage.startswith("skip"):
                arch[stage] = str(rng.choice(["none", "add"]))
                continue
            depth = int(rng.choice(made.ENCODER_DEPTHS if stage.startswith("enc") else made.DECODER_DEPTHS))
            kernel, expansion = int(rng.choice(made.KERNELS)), int(rng.choice(made.EXPANSIONS))
            kernel, expansion = (kernel, expansion) if depth else (made.KERNELS[0], made.EXPANSIONS[0])
            arch |= {f"{stage}_k": kernel, f"{stage}_e": expansion, f"{stage}_l": depth}
        drawn[json.dumps(arch)] = arch
    return list(drawn.values())


def segmentation_tasks() -> list[Task]:
    """Every encoder-decoder with seed 0, then half of them with seed 1."""
    return with_second_seeds(some_encoder_decoders())[: NUM_SEGMENTATION * 3 // 2]


SETS = {
    "segmentation": ("segmentation", segmentation_tasks),
    "cells": ("classification", lambda: with_second_seeds(all_cells())),
    "unets": ("diffusion", lambda: with_second_seeds(all_unets())),
}


def train(name: str, num: int | None, shard: int, num_shards: int, device: str) -> None:
    """Trains what is left of this shard's part of the first `num` of a list."""
    import torch

    from autobuild_core.evaluators import Watch, load_evaluator
    from autobuild_core.evaluators._results import Asked, ResultsFile, Setting, key_of, measure_all

    torch.set_num_threads(1)
    evaluator_name, make_list = SETS[name]
    evaluator, folder = load_evaluator(evaluator_name), HERE / name
    folder.mkdir(exist_ok=True)
    done = {key_of(line) for path in sorted(folder.glob("runs.*.jsonl")) for line in ResultsFile(path).read()}
    asked = [Asked(arch, seed) for arch, seed in make_list()[:num][shard::num_shards]]
    left, results = [one for one in asked if one.key not in done], ResultsFile(folder / f"runs.{shard}.jsonl")
    for line in measure_all(evaluator, left, Setting(evaluator_name, evaluator.budget, device), lambda one: Watch()):
        results.append([line])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["train"])
    parser.add_argument("set", choices=list(SETS))
    parser.add_argument("--num", type=int, help="trainings of the list (default all)")
    parser.add_argument("--shard", type=int, default=0)
    parser.add_argument("--num-shards", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    train(options.set, options.num, options.shard, options.num_shards, options.device)


if __name__ == "__main__":
    main()
