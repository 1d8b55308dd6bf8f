"""What the tests of the learning core share: planted truths, small tables, ensembles with random weights, one trained run."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.api import Run, train
from autobuild_core.architectures.features import make_codebook
from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.records import ABSENT, ArchTable, Codes, SpaceSpec, UnitSpec
from autobuild_core.architectures.structure import structure_features, structure_scale
from autobuild_core.predictor.forward import GAUSSIAN, RANDOM, Ensemble
from autobuild_core.spaces import Space, load_space, space_named
from autobuild_core.spaces.nas_bench_201 import network_of
from autobuild_core.testing.examples import NUM_HOPS
from autobuild_core.testing.examples import chain_space as chain_space
from autobuild_core.testing.examples import flat_space as flat_space
from autobuild_core.testing.examples import random_ensemble as random_ensemble
from autobuild_core.testing.examples import random_predictor as random_predictor
from autobuild_core.testing.examples import random_weights as random_weights

MACRO_WEIGHTS = np.linspace(0.2, 0.5, 8)
MACRO_VALUES = np.array([0.0, 0.6, 1.0])  # identity, mb3_k3, mb6_k5


def macro_truth(codes: Codes) -> NDArray[np.float64]:
    """An accuracy that is additive over the layers of NAS-Bench-Macro, equal for equal networks."""
    return 88 + MACRO_VALUES[space_named("nas_bench_macro").canonical(codes)] @ MACRO_WEIGHTS


def table_of(codes: Codes, metrics: pd.DataFrame) -> ArchTable:
    """Architectures of NAS-Bench-Macro with metrics."""
    space, rows = space_named("nas_bench_macro"), np.arange(len(codes))
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, rows, "nas_bench_macro", len(codes))


def macro_data(num_rows: int, seed: int = 0, noise: float = 0.03) -> ArchTable:
    """Random NAS-Bench-Macro encodings with a noisy `acc`, an `err` and whole `steps`; twins are among them."""
    space, rng = space_named("nas_bench_macro"), np.random.default_rng(seed)
    codes = space.sample(num_rows, rng)
    acc = macro_truth(codes) + rng.normal(0, noise, num_rows)
    metrics = pd.DataFrame({"acc": acc, "err": 100 - acc, "steps": 1.0 + codes.sum(1)})
    rows = np.arange(num_rows)
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, rows, "nas_bench_macro", num_rows)


def macro_json(table: ArchTable) -> str:
    """The rows of a table as the published file."""
    space = load_space(table.spec)
    acc = table.metrics["acc"]
    entries = {space.native(row): {"mean_acc": float(a), "params": 1e6} for row, a in zip(table.codes, acc, strict=True)}
    return json.dumps(entries)


def _signal(terms: tuple[Any, ...]) -> float:
    """What reaches a sum of a cell: operations add their gain to what they hear, sums saturate."""
    gains = {"nor_conv_3x3": 1.0, "nor_conv_1x1": 0.6, "avg_pool_3x3": 0.1}
    heard = [0.3 if term == ("input",) else gains[term[0]] + 0.6 * _signal(term[1]) for term in terms]
    return 2 * math.tanh(sum(heard) / 2)


def cell_truth(codes: Codes) -> NDArray[np.float64]:
    """An accuracy of NAS-Bench-201 cells that follows their live paths, equal for equal networks, 10 without any."""
    networks = [network_of(tuple(row)) for row in codes.tolist()]
    return np.array([60 + 17 * _signal(terms) if terms else 10.0 for terms in networks])


def cell_csv(num_rows: int, seed: int = 0) -> str:
    """Distinct random cells as a CSV: arch, acc, flops."""
    space, rng = space_named("nas_bench_201"), np.random.default_rng(seed)
    codes = space.enumerate()
    assert codes is not None
    first = np.unique(space.hash_networks(codes), return_index=True)[1]
    codes = codes[rng.choice(first, num_rows, replace=False)]
    acc, flops = cell_truth(codes) + rng.normal(0, 0.1, num_rows), (codes == 3).sum(1) * 35.4 + (codes == 2).sum(1) * 4.1
    rows = [f"{space.native(row)},{a:.3f},{f:.1f}\n" for row, a, f in zip(codes, acc, flops, strict=True)]
    return "arch,acc,flops\n" + "".join(rows)


def encoded(codes: Codes, spec: SpaceSpec, scale: NDArray[np.float32] | None = None) -> Any:
    """`model.Encoded` of architectures, their structure standardised by `scale` (by default their own)."""
    from autobuild_core.predictor.model import Encoded

    mean, spread = structure_scale(codes, spec) if scale is None else scale
    return Encoded.of(make_graphs(codes, spec), make_codebook(spec), (structure_features(codes, spec) - mean) / spread)


def random_member(space: Space, width: int = 6) -> Ensemble:
    """One random member."""
    return Ensemble(random_weights(space.spec, members=1, seed=3, width=width), make_codebook(space.spec), NUM_HOPS)


def gaussian_ensemble(random: Ensemble, solved: dict[str, Any], members: int) -> Ensemble:
    """Predicts by the Gaussian process alone."""
    trained = random_weights(random.codebook.spec, members)
    weights = trained | {RANDOM + name: w for name, w in random.weights.items()} | solved
    return Ensemble(weights | {GAUSSIAN + "share": np.array(1, np.float32)}, random.codebook, NUM_HOPS)


def contains(row: Codes, positions: tuple[int, ...], layers: Codes, unit: UnitSpec | None) -> bool:
    """Whether an architecture has these layers at these positions and, for a whole unit, no other in the unit."""
    if any(row[p] != layer for p, layer in zip(positions, layers, strict=True)):
        return False
    return unit is None or all(row[p] == ABSENT for p in unit.positions if p not in positions)


def trained_run(folder: Path) -> Run:
    """A short real training on planted NAS-Bench-Macro data: about six seconds of one core."""
    return train(macro_data(80), "acc", folder, num_members=4, num_steps=120, max_length=2, threads=1)
