"""Positions with so many tokens that attributes alone tell them apart: what is compared, counted and costed, and the memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from autobuild_core.architectures.features import JOINT, MANY, make_codebook
from autobuild_core.architectures.graphs import make_graphs
from autobuild_core.architectures.records import ArchTable, SpaceSpec
from autobuild_core.architectures.structure import (
    MOST_TOKENS,
    counted_attributes,
    layer_tables,
    one_hot,
    structure_features,
    structure_kinds,
    token_counts,
    told_by_attributes,
)
from autobuild_core.predictor.kernel import Layers
from autobuild_core.spaces import Space, load_space
from autobuild_core.targets.costs import fit_cost
from tests.flat_spaces import Columns, loose_space, wide_space

WIDE, NARROW = wide_space(), wide_space((4, 5, 5, 5))  # 600 tokens, 500 tokens
PEAK_MIB, ROOT = 1300, Path(__file__).resolve().parents[3]
TRAINED = """
import numpy as np, pandas as pd
from autobuild_core.api import train
from autobuild_core.architectures.records import ArchTable
from autobuild_core.benchmark.measures import peak_mib
from tests.flat_spaces import wide_space
space = wide_space((4, 5, 10, 10), 4)  # 2,000 tokens
codes = space.sample(40, np.random.default_rng(0))
kernel = np.array([int(value) for value in space.spec.attributes["kernel"]])
acc = 70 + kernel[codes] @ np.array([1.0, 2.0, 0.5, 1.5])
table = ArchTable(space.spec, codes, space.hash_networks(codes), pd.DataFrame({"acc": acc}), np.arange(40))
run = train(table, "acc", num_steps=5, num_members=2, max_length=1, threads=1)
modules = run.modules()
best = modules[modules["positions"] == '["U2"]'].nlargest(20, "score")["layers"]
print(len(modules), best.str.contains("kernel3").mean(), run.quality["srcc"])
print(peak_mib())
"""


def loose_numbers(num: int) -> Space:
    """A column of very many numbers beside a small one."""
    columns = Columns()
    columns.add("rate", [str(value) for value in range(num)])
    columns.add("act", ["relu", "gelu"])
    return columns.space()


def test_only_more_than_so_many_are_told_by_attributes() -> None:
    assert len(NARROW.spec.tokens) == MOST_TOKENS
    assert not any(told_by_attributes(unit, NARROW.spec) for unit in NARROW.spec.units)
    assert all(told_by_attributes(unit, WIDE.spec) for unit in WIDE.spec.units)
    bare = SpaceSpec("flat", "x", WIDE.spec.position_labels, WIDE.spec.tokens, WIDE.spec.units)
    assert not any(told_by_attributes(unit, bare) for unit in bare.units)  # nothing else tells them apart


def test_the_kernel_compares_attributes_and_no_token() -> None:
    assert set(Layers(WIDE.spec).of[:, 1]) == {1, 2, 3, 4} and 0 in Layers(NARROW.spec).of[:, 1]
    codes = WIDE.sample(30, np.random.default_rng(0))
    columns = Layers(WIDE.spec).coordinates(codes)
    assert columns.shape == (30, 4 * (4 + 5 + 10 + 3))
    values = np.stack([np.array(v)[codes] for v in WIDE.spec.attributes.values()], 2)
    differing = (values[0] != values[1]).sum()
    assert ((columns[0] - columns[1]) ** 2).sum() == pytest.approx(differing, abs=1e-5)


def test_structure_counts_attributes_and_no_token() -> None:
    codes = WIDE.sample(10, np.random.default_rng(0))
    features = structure_features(codes, WIDE.spec)
    assert features.shape == (10, 4 + 5 + 10 + 3) and len(structure_kinds(WIDE.spec)) == features.shape[1]
    assert (features.sum(1) == 4 * 4).all()
    narrow = structure_features(NARROW.sample(3, np.random.default_rng(0)), NARROW.spec)
    assert narrow.shape == (3, 500 + 4 + 5 + 5 + 5)


def test_the_codebook_has_a_category_for_every_value_and_none_for_a_token() -> None:
    codebook = make_codebook(WIDE.spec)
    assert "layer" not in codebook.names and JOINT not in codebook.names and MANY not in {v for _, v in codebook.values}
    assert {"kernel", "expansion", "width", "groups", "layer index"} <= set(codebook.names) and len(codebook.values) < 40
    assert {"layer", JOINT} <= set(make_codebook(NARROW.spec).names)
    graphs = make_graphs(WIDE.sample(3, np.random.default_rng(0)), WIDE.spec)
    assert codebook.encode(graphs).shape == (3, 4, len(codebook.names))


def test_narrow_positions_beside_wide_ones_keep_their_tokens() -> None:
    space = loose_numbers(700)
    codes = space.sample(20, np.random.default_rng(0))
    hot = one_hot(codes, space.spec)
    assert counted_attributes(space.spec) == {} and hot.shape == (20, 1 + 2)  # the number itself, and which activation
    assert (hot[:, 1:] == (codes[:, [1]] == [700, 701])).all()
    features = structure_features(codes, space.spec)
    assert features.shape == (20, 2) and (features == token_counts(codes, space.spec)[:, 700:]).all()
    of = Layers(space.spec).of
    assert [tuple(pair) for pair in of[of[:, 0] == 0]] == [(0, 2)] and (of[:, 0] == 1).sum() == 2
    assert all((table[-1] == 0).all() for table in layer_tables(space.spec))


def test_a_cost_is_the_sum_of_what_attributes_cost() -> None:
    codes = WIDE.sample(200, np.random.default_rng(0))
    width = np.array([float(value) for value in WIDE.spec.attributes["width"]])
    flops = width[codes] @ np.array([1.0, 2.0, 3.0, 4.0])
    table = ArchTable(WIDE.spec, codes, WIDE.hash_networks(codes), pd.DataFrame({"flops": flops}), np.arange(200))
    fit = fit_cost(table, WIDE, "flops")
    assert fit.explained > 0.999
    fresh = WIDE.sample(50, np.random.default_rng(1))
    assert fit.predict(fresh) == pytest.approx(width[fresh] @ np.array([1.0, 2.0, 3.0, 4.0]), abs=0.01)
    assert fit.layers() == pytest.approx(width * np.array([[1.0], [2.0], [3.0], [4.0]]), abs=0.01)


def test_below_the_limit_columns_are_those_of_before() -> None:
    for space in (NARROW, loose_space(6)):
        codes = space.sample(20, np.random.default_rng(0))
        allowed = [np.unique(space.spec.units[space.spec.unit_of(p)].tokens) for p in range(codes.shape[1])]
        assert (one_hot(codes, space.spec) == np.concatenate([codes[:, [p]] == own for p, own in enumerate(allowed)], 1)).all()
        assert load_space(space.spec).spec == space.spec


@pytest.mark.slow
def test_two_thousand_tokens_a_position_train_and_score_in_bounded_memory() -> None:
    done = subprocess.run([sys.executable, "-c", TRAINED], capture_output=True, text=True, cwd=ROOT, check=False)
    assert not done.returncode, done.stderr[-2000:]
    facts, peak = done.stdout.strip().splitlines()
    num_modules, share, srcc = map(float, facts.split())
    assert num_modules == 4 * 2000 and share > 0.8 and srcc > 0.8
    assert float(peak) < PEAK_MIB
