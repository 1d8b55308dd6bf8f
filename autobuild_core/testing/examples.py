"""Examples that the suites try extensions on: ensembles with random weights, small chains and flat tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from autobuild_core.architectures.features import make_codebook
from autobuild_core.architectures.records import ArchTable, SpaceSpec, UnitSpec
from autobuild_core.architectures.structure import structure_scale
from autobuild_core.predictor.ensemble import Calibration, Predictor
from autobuild_core.predictor.forward import Ensemble
from autobuild_core.spaces import Space, load_space
from autobuild_core.spaces._declared import Declared, Slot, in_order, make_spec
from autobuild_core.spaces.flat import Flat, as_choice, block_columns, block_slot
from autobuild_core.targets.scaling import NormalScores

NUM_HOPS = 4


def chain_space(num_tokens: int = 3, depths: tuple[int, ...] = (1, 2, 3), num_units: int = 2) -> Space:
    """A small space of free layers (not tied) and variable depth, with the rules of Once-for-all."""
    width = max(depths)
    tokens = tuple(f"mbconv{e}" for e in range(num_tokens))
    every = tuple(range(num_tokens))
    units = tuple(UnitSpec(f"U{u + 1}", tuple(range(u * width, (u + 1) * width)), depths, every) for u in range(num_units))
    labels = tuple(f"U{u + 1}.L{i + 1}" for u in range(num_units) for i in range(width))
    attributes = {"expansion": tuple(str(e) for e in every)}
    return load_space(SpaceSpec("ofa_mbv3", "small", labels, tokens, units, attributes))


def infer_spec(frame: pd.DataFrame, design: Sequence[str]) -> SpaceSpec:
    """The space of all combinations of the values seen in each design column: blocks, and single columns.

    Args:
        frame: one row an architecture.
        design: its design columns, in the table's order (which is taken for the order of data flow between blocks).

    Raises:
        DataError: a depth column holds something that is not a small whole number, or a unit has too many combinations.
    """
    seen = {column: [as_choice(v) for v in frame[column].dropna().tolist()] for column in design}
    blocks = block_columns(design)
    owner = {column: block for block, columns in blocks.items() for column in columns}
    slots = []
    for label in dict.fromkeys(owner.get(column, column) for column in design):
        if label in blocks:
            slots.append(block_slot(label, blocks[label], seen))
        else:
            slots.append(Slot(label, "column", (label,), ((label,),), (in_order(seen[label]),)))
    return make_spec(Declared(tuple(slots)), Flat.title)


def flat_space(num_blocks: int = 2, depths: tuple[int, ...] = (1, 3)) -> Space:
    """Tied blocks of variable depth: kernel in {3, 5}, expansion in {1, 6}; the first block may also be empty."""
    columns: dict[str, list[int]] = {}
    for block in range(num_blocks):
        columns |= {f"b{block}_k": [3, 5, 3], f"b{block}_e": [1, 6, 6]}
        columns[f"b{block}_l"] = [0, 2, 2] if block == 0 else [depths[0], depths[-1], depths[0]]
    return load_space(infer_spec(pd.DataFrame(columns), list(columns)))


def declared_space() -> Space:
    """Columns of which one is there only with a value of another, numbers, and numbered places that differ in their values."""
    places = (("none", "res"), ("none", "att", "res"), ("att", "res"))
    slots = (
        Slot("optimizer", "column", ("optimizer",), (("optimizer",),), (("adam", "sgd"),)),
        Slot("momentum", "column", ("momentum",), (("momentum",),), (("0", "0.9"),), (0, 1)),
        Slot("width", "column", ("width",), (("width",),), (("16", "32", "64"),)),
        Slot("mid", "numbered", ("mid",), (("mid_0", "mid_1", "mid_2"),), (("att", "none", "res"),), (3,), places=places),
    )
    return load_space(make_spec(Declared(slots, (("momentum", "optimizer", ("sgd",)),)), Flat.title))


def table_of(space: Space, num: int = 60, seed: int = 0) -> ArchTable:
    """Random architectures with an additive `acc` and a cost that grows with it."""
    rng = np.random.default_rng(seed)
    codes = space.sample(num, rng)
    truth = additive_truth(space, codes)
    metrics = pd.DataFrame({"acc": truth + rng.normal(0, 0.02 * truth.std(), num), "flops": truth**2 + 5})
    return ArchTable(space.spec, codes, space.hash_networks(codes), metrics, np.arange(num), "csv_table", num)


def additive_truth(space: Space, codes: NDArray[np.int16]) -> NDArray[np.float64]:
    """Every layer adds its own number, more at later positions; equal for equal networks."""
    canonical = space.canonical(codes)
    worth = np.append(np.random.default_rng(1).permutation(len(space.spec.tokens)) + 1.0, 0.0)  # absent: 0
    worth[:-1][[token == "identity" for token in space.spec.tokens]] = 0  # it is no operation
    added: NDArray[np.float64] = worth[canonical] @ np.linspace(1, 2, canonical.shape[1])
    return added


def random_weights(spec: SpaceSpec, members: int = 3, seed: int = 0, width: int = 12) -> dict[str, NDArray[np.float32]]:
    """Weights of an ensemble, random everywhere, batch norm and biases too; structure is scaled as random architectures'."""
    from autobuild_core.predictor.model import GraphEnsemble, ModelConfig

    space = load_space(spec)
    scale = structure_scale(space.canonical(space.sample(200, np.random.default_rng(0))), spec)
    state = GraphEnsemble(make_codebook(spec), members, ModelConfig(width=width), scale.shape[1], seed).state_dict()
    return {name: disturbed(name, t.numpy(), seed) for name, t in state.items()} | {"structure_scale": scale}


def disturbed(name: str, weight: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """The weight with noise, variances kept positive: nothing is left at its initial zero or one."""
    rng = np.random.default_rng([seed, *name.encode()])
    noise = 0.3 * rng.standard_normal(weight.shape)
    return (weight * np.exp(noise) if name.endswith("variance") else weight + noise).astype(np.float32)


def random_ensemble(spec: SpaceSpec, members: int = 3, seed: int = 0) -> Ensemble:
    """An ensemble with random weights everywhere, without a Gaussian process."""
    return Ensemble(random_weights(spec, members, seed), make_codebook(spec), NUM_HOPS)


def random_predictor(space: Space, members: int = 3, seed: int = 0, minimize: bool = False) -> Predictor:
    """A predictor of a skewed target whose ensemble has random weights, its output spread like normal scores."""
    network = random_ensemble(space.spec, members, seed)
    rng = np.random.default_rng(seed)
    scores = network.predict(space.canonical(space.sample(500, rng))).scores
    gain = 1 / scores.std(1)[:, None, None]
    for name in ("out_weight", "out_bias", "linear_weight"):
        network.weights[name] = (network.weights[name] * gain).astype(np.float32)
    network.weights["out_bias"] -= (scores.mean(1)[:, None, None] * gain).astype(np.float32)
    scaling = NormalScores.fit(np.exp(rng.normal(0, 0.5, 200)), minimize)
    return Predictor(network, space.spec, scaling, Calibration(0.3, 0.1), "acc", minimize)
