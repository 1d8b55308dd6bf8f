"""What cannot be told from a context: only what really hangs on it."""

import numpy as np
import pytest

from autobuild_core.architectures.module_table import describe_modules
from autobuild_core.predictor.contexts import Contexts
from autobuild_core.scorers import unit_groups
from autobuild_core.scoring.overlap import apart, confounded_layers, mark_confounded
from autobuild_core.spaces import space_named
from tests.learning import macro_data
from tests.unit.predictor.test_contexts import with_contexts

MACRO = space_named("nas_bench_macro")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("a0 b0 a1 b1", ""),  # crossed
        ("a0 b0 b1", ""),  # a is seen in one context only, where it stands beside b, which tells the contexts apart
        ("a0 b1", "ab"),  # each its own context
        ("a0 b1 c1", "a"),  # b and c can be compared, a with neither
        ("a0 a0 a0 b1 c1", "abc"),  # most rows are a's, which has nothing beside it
        ("a0 d0 b1 c1 c1", "ad"),  # two pairs that nothing joins: the larger one keeps its numbers
        ("a0 b0 b1 c1 c2 d2", ""),  # a chain
    ],
)
def test_chains_of_evaluations(pairs: str, expected: str) -> None:
    rows = pairs.split()
    choices, context = np.array([ord(row[0]) for row in rows]), np.array([int(row[1]) for row in rows])
    assert "".join(map(chr, apart(choices, context, False))) == expected


def test_of_a_number_a_layer_whose_presence_its_bins_explain() -> None:
    rng = np.random.default_rng(0)
    table = macro_data(160)
    codes = table.codes.copy()
    lr = np.where(codes[:, 0] == 2, rng.uniform(0.5, 1, 160), rng.uniform(0, 0.5, 160))
    lr[np.flatnonzero(codes[:, 0] == 2)[0]] = 0.45  # one row does not join what is apart
    weak = with_contexts(table, {"lr": "setting"}, lr=lr)
    contexts = Contexts.of(weak)
    assert contexts is not None and confounded_layers(weak, contexts) == {(0, 2): "lr"}
    loose = with_contexts(table, {"lr": "setting"}, lr=(codes != 0).sum(1) + rng.normal(0, 1.5, 160))  # correlated, no more
    contexts = Contexts.of(loose)
    assert contexts is not None and confounded_layers(loose, contexts) == {}


def test_modules_with_such_a_layer_have_no_number_and_say_why() -> None:
    table = macro_data(120)
    optimiser = np.where(table.codes[:, 0] == 2, "lamb", np.where(np.arange(120) % 2, "sgd", "adam"))
    table = with_contexts(table, {"optimiser": "setting"}, optimiser=optimiser)
    contexts = Contexts.of(table)
    assert contexts is not None
    modules = describe_modules(unit_groups(MACRO), MACRO.spec, table.codes).assign(score=1.0, score_low=0.0, embedding_norm=0.5)
    marked = mark_confounded(modules, table, contexts)
    inside = (modules["positions"] == '["L1", "L2"]') & modules["layers"].str.startswith('["mb6_k5"')
    assert inside.sum() == 3 and (marked["confounded_with"] == np.where(inside, "optimiser", "")).all()
    assert (marked["score"].isna() == inside).all() and (marked["score_low"].isna() == inside).all()
    assert (marked["embedding_norm"] == 0.5).all() and (marked["num_evaluated"] == modules["num_evaluated"]).all()
