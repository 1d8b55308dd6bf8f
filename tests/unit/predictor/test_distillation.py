"""What the Gaussian process distils: which modules, by which scores, and that sinks learn their order from it."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from autobuild_core.architectures.features import make_codebook
from autobuild_core.architectures.modules import ModuleGroup
from autobuild_core.architectures.records import ABSENT, Codes
from autobuild_core.architectures.topologies import topology_of
from autobuild_core.predictor.distillation import NUM_DISTILLED, NUM_MODULES, Distilled, distil
from autobuild_core.predictor.forward import Ensemble
from autobuild_core.predictor.model import ModelConfig
from autobuild_core.predictor.training import TrainConfig, split_folds, train_ensemble
from autobuild_core.spaces import Space, space_named
from tests.learning import NUM_HOPS, chain_space, encoded, macro_data

SPACES = {"macro": space_named("nas_bench_macro"), "chain": chain_space(), "cell": space_named("nas_bench_201")}
Array = NDArray[np.float64]


def predicted(space: Space, codes: Codes) -> Array:
    """(2, n) sums of what each layer is worth at each position for two members; absence is worth nothing."""
    worth = np.random.default_rng(0).normal(size=(2, space.spec.num_positions, len(space.spec.tokens) + 1))
    worth[..., -1] = 0
    return worth[:, np.arange(space.spec.num_positions), codes].sum(2)


@pytest.mark.parametrize("name", SPACES)
def test_modules_are_whole_units_alone_and_their_scores_means_over_shared_contexts(name: str) -> None:
    """With an additive prediction two modules of a group differ by what their own layers are worth, in any contexts."""
    space = SPACES[name]
    distilled = distil(space, lambda codes: predicted(space, codes), NUM_HOPS, np.random.default_rng(3))
    assert distilled.scores.shape == (2, NUM_DISTILLED)
    assert np.array_equal(distilled.scores, predicted(space, distilled.codes[:NUM_DISTILLED]))
    assert np.array_equal(distilled.codes[:NUM_DISTILLED], space.canonical(distilled.codes[:NUM_DISTILLED]))
    possible = [g for u in range(len(space.spec.units)) for g in space.unit_modules(u) if len(g) >= 3]
    assert len(distilled.modules) == len(possible)
    for group, modules in zip(possible, distilled.modules, strict=True):
        columns = list(group.positions)
        codes = distilled.codes[modules.rows[0]][:, columns]
        assert len(codes) == min(len(group), NUM_MODULES) == len(np.unique(codes, axis=0))
        chosen = ModuleGroup(group.positions, codes, group.unit)
        for alone, rows in zip(topology_of(space.spec).contexts(chosen), modules.rows, strict=True):
            assert np.array_equal(distilled.codes[rows], alone)
        assert modules.hop == topology_of(space.spec).sink(group)[1]
        if name == "chain":  # elsewhere canonical encodings change layers, and so their worth
            own = np.full((len(codes), space.spec.num_positions), ABSENT, np.int16)
            own[:, columns] = codes
            worth = predicted(space, own)
            np.testing.assert_allclose(modules.scores - modules.scores[:, :1], worth - worth[:, :1], atol=1e-9)


def test_modules_that_no_random_architecture_can_hold_are_left_out() -> None:
    space = chain_space(num_tokens=2, depths=(1, 2))
    distilled = distil(space, lambda codes: predicted(space, codes), NUM_HOPS, np.random.default_rng(0))
    assert [modules.rows.shape for modules in distilled.modules] == [
        (1, 4),
        (1, 4),
    ]  # two modules of one layer are too few to rank


def sink_orders(distilled: Distilled, module_weight: float) -> list[float]:
    """Spearman of norms at sinks with the distilled scores, per unit, of a short training."""
    table = macro_data(40, seed=1)
    target = table.metrics["acc"].to_numpy()
    scores = (target - target.mean()) / target.std()
    fold = split_folds(table.networks, 2, np.random.default_rng(0))
    codebook = make_codebook(table.spec)
    config = TrainConfig(members=2, steps=120, batch_size=16, model=ModelConfig(width=12), module_weight=module_weight)
    data = encoded(np.concatenate([table.codes, distilled.codes]), table.spec)
    model = train_ensemble(data, scores, fold, codebook, config, lambda record: None, lambda: False, distilled)
    ensemble = Ensemble({name: tensor.numpy() for name, tensor in model.state_dict().items()}, codebook, NUM_HOPS)
    out = []
    for modules in distilled.modules:
        codes = distilled.codes[modules.rows[0]]
        position = int(np.flatnonzero(codes[0] != ABSENT)[-1])
        norms = ensemble.node_norms(codes, modules.hop)[:, :, position]
        out += [spearmanr(norms[m], modules.scores[m]).statistic for m in range(2)]
    return out


def test_norms_at_sinks_learn_the_order_of_modules() -> None:
    space = SPACES["macro"]
    distilled = distil(space, lambda codes: predicted(space, codes), NUM_HOPS, np.random.default_rng(3))
    with_modules, without = (np.array(sink_orders(distilled, weight)) for weight in (1.0, 0.0))
    assert with_modules.mean() > 0.75 and with_modules.mean() > without.mean() + 0.15


def test_nothing_is_taught_without_a_batch() -> None:
    space, table = SPACES["macro"], macro_data(40, seed=1)
    distilled = distil(space, lambda codes: predicted(space, codes), NUM_HOPS, np.random.default_rng(3))
    fold = split_folds(table.networks, 2, np.random.default_rng(0))
    config = TrainConfig(members=2, steps=4, batch_size=16, distilled_batch=0, model=ModelConfig(width=8))
    scores, codebook = table.metrics["acc"].to_numpy(), make_codebook(table.spec)
    states = []
    for distillation in (None, distilled):
        codes = table.codes if distillation is None else np.concatenate([table.codes, distillation.codes])
        data = encoded(codes, table.spec, np.stack([np.zeros(11), np.ones(11)]).astype(np.float32))
        trained = train_ensemble(data, scores, fold, codebook, config, lambda record: None, lambda: False, distillation)
        states.append(trained.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
